#!/usr/bin/python
# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xinference_cache
short_description: List what an Xinference has downloaded and delete what nothing uses
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Lists the weights that the workers of an Xinference server or cluster hold in their caches, and what uses each of them.
  - With O(state=pruned) it has the server delete what no running, loading, declared or kept model uses. That is final. The
    server downloads it again at the next launch.
  - Of a model that is used only the formats, sizes and quantizations that are used are kept, where the server tells them,
    which it does for an LLM.
notes:
  - Weights that a custom model's definition places with a path are never deleted, and neither is anything whose files are
    outside the server's own directory (C(XINFERENCE_HOME)). Releases up to 3.2 would follow such a link and delete the
    files behind it. They also delete files that another model of the same repository uses, so there an entry stays where
    one beside it does.
  - Virtual environments of models and weights that M(modelops.inference.xinference_weights) fetched are no part of this cache.
  - A run sends C(GET /status), C(GET /v1/cluster/auth), C(POST /token) where there is authentication,
    C(GET /v1/cluster/version), C(GET /v1/cache/models), C(GET /v1/models), C(GET /v1/models/instances) and the autostart.
    Where something is unused it sends one more for each type and one for each unused custom model. Pruning sends one for
    each entry and one to look.
  - Works with Xinference 1.17, 2.12, 3.x and 4.x.
extends_documentation_fragment:
  - modelops.inference._xinference
  - modelops.inference._http
  - modelops.inference._attributes
  - modelops.inference._attributes.idempotent
  - modelops.inference._attributes.actiongroup_xinference
options:
  state:
    description: V(listed) changes nothing, V(pruned) deletes what is not used.
    type: str
    choices: [listed, pruned]
    default: listed
  models:
    description:
      - Models that are declared, as M(modelops.inference.xinference_models) takes them. What they use is kept, though they do
        not run. Those with C(state=absent) do not count.
      - With O(state=pruned) it must be given, even if empty.
    type: list
    elements: dict
  keep:
    description: Names of further models to keep, in all their forms. V(*) stands for any characters.
    type: list
    elements: str
    default: []
  worker:
    description: Address (IP address, or IP address and port) of the only worker to look at. Unset is all of them.
    type: str
  ready_timeout:
    description: Seconds to wait for the server to answer and for a worker to register with it.
    type: int
    default: 30
"""

EXAMPLES = r"""
- name: What is there, and what uses it
  modelops.inference.xinference_cache:
    password_file: /opt/xinference/secrets/admin_password
    models: "{{ xinference_models }}"

- name: Make room, but keep what another cluster declares now and then
  modelops.inference.xinference_cache:
    password: "{{ vault_xinference_admin_password }}"
    state: pruned
    models: "{{ xinference_models }}"
    keep: [qwen3, bge-*]
"""

RETURN = r"""
plan:
  description: One line for each entry that was deleted, or in check mode would be.
  returned: always
  type: list
  elements: str
  sample: ["- delete qwen3--32B--awq--Int4 on 10.0.0.5:30001 (18.2 GiB)"]
entries:
  description: What is in the caches, before the deletion.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Name of the model.
      type: str
    version:
      description: Xinference's name of this form of the model.
      type: str
    worker:
      description: Address of the worker.
      type: str
    path:
      description: Its place in the worker's cache.
      type: str
    real_path:
      description: Where its files are.
      type: str
    format:
      description: Format. V(null) where the server does not tell it.
      type: str
    size:
      description: Billions of parameters. V(null) where the server does not tell it.
      type: str
    quantization:
      description: Quantization. V(null) where the server does not tell it.
      type: str
    bytes:
      description: Bytes on the disk. V(null) before 4.x.
      type: int
    kept:
      description: Why it stays. Empty where nothing uses it.
      type: str
      sample: qwen3-32b runs
    removed:
      description: Whether it was deleted.
      type: bool
bytes_total:
  description: Bytes of all entries. V(null) before 4.x.
  returned: always
  type: int
bytes_unused:
  description: Bytes that nothing uses, which O(state=pruned) frees. V(null) before 4.x.
  returned: always
  type: int
bytes_freed:
  description: Bytes of what was deleted. V(null) before 4.x.
  returned: always
  type: int
requests:
  description: Number of HTTP requests by verb.
  returned: always
  type: dict
  sample: {GET: 8, POST: 1, DELETE: 1}
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.modelops.inference.plugins.module_utils import _connection, _module
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._xinference.api.client import Client
from ansible_collections.modelops.inference.plugins.module_utils._xinference.catalog import cache

ARGUMENT_SPEC = dict(
    state=dict(type="str", choices=["listed", "pruned"], default="listed"),
    models=dict(type="list", elements="dict"),
    keep=dict(type="list", elements="str", default=[], no_log=False),
    worker=dict(type="str"),
    ready_timeout=dict(type="int", default=30),
    **_connection.XINFERENCE_OPTIONS,
)


def work(module: AnsibleModule) -> dict[str, t.Any]:
    p = module.params
    client = Client.of(module)
    client.wait_ready(p["ready_timeout"])
    client.login()
    entries = [cache.entry(told) for told in client.cached(p["worker"])]
    autostart = client.autostart() or {}
    using = cache.users(client.models(), client.instances(), autostart, p["models"] or [])
    cache.judge(entries, using, p["keep"])
    cache.look_at_definitions(client, entries)
    cache.keep_together(entries, client.version)
    plan = cache.plan_of(entries if p["state"] == "pruned" else [], f"caches of {client.endpoint}")
    result = plan.result()
    problems = cache.prune(client, entries) if plan and not module.check_mode else []
    result.update(
        entries=[_row(item) for item in entries],
        bytes_total=_total(entries),
        bytes_unused=_total([item for item in entries if not item.kept]),
        bytes_freed=_total([item for item in entries if item.removed]),
        requests=dict(client.session.counts),
    )
    if problems:
        raise ModelopsError(f"Not everything could be deleted on {client.endpoint}:\n" + "\n".join(problems), **result)
    return result


def _row(item: cache.CachedVersion) -> dict[str, t.Any]:
    row = {name: getattr(item, name) for name in ("name", "version", "worker", "path", "real_path", "kept", "removed")}
    return {**row, **item.spec, "bytes": item.size}


def _total(entries: t.Sequence[cache.CachedVersion]) -> int | None:
    """None where the server does not tell sizes. Files that two entries share count twice, as the server tells them."""
    sizes = [item.size for item in entries]
    return None if None in sizes else sum(size or 0 for size in sizes)


def main() -> None:
    module = _module.Module(
        argument_spec=ARGUMENT_SPEC, supports_check_mode=True, required_if=[("state", "pruned", ["models"])]
    )
    _module.run(module, work)


if __name__ == "__main__":
    main()
