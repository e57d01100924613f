#!/usr/bin/python
# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xinference_cache
short_description: List and prune the model caches of an Xinference server or cluster
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Lists the weights in the caches of the workers of an Xinference server or cluster, with the users of each entry.
  - With O(state=pruned), the server deletes weights that no running, loading, declared or kept model uses. The deletion is final. The
    server downloads deleted weights again at the next launch.
  - For a used model, the module keeps only the formats, sizes and quantizations in use, if the server reports them. The server reports them
    for an LLM.
notes:
  - The module never deletes weights in the path of a custom model's definition, or entries whose files are outside the server's own
    directory (C(XINFERENCE_HOME)). Xinference up to 3.2 follows links and deletes their targets. It also deletes files that another model
    of the same repository uses. With those releases, the module therefore keeps an entry if another entry of its repository stays.
  - This cache does not include virtual environments of models and weights that M(modelops.inference.xinference_weights) fetched.
  - A run sends C(GET /status), C(GET /v1/cluster/auth), C(POST /token) with authentication, C(GET /v1/cluster/version), C(GET
    /v1/cache/models), C(GET /v1/models), C(GET /v1/models/instances) and the request for the autostart. If entries are unused, it sends one
    more request for each type and one for each unused custom model. Pruning sends one request for each entry and one to verify the result.
  - Works with Xinference 1.17, 2.12, 3.x and 4.x.
extends_documentation_fragment:
  - modelops.inference._xinference
  - modelops.inference._http
  - modelops.inference._attributes
  - modelops.inference._attributes.idempotent
  - modelops.inference._attributes.actiongroup_xinference
options:
  state:
    description: Action of the module. V(listed) changes nothing, and V(pruned) deletes unused weights.
    type: str
    choices: [listed, pruned]
    default: listed
  models:
    description:
      - Declared models, as in M(modelops.inference.xinference_models). The module keeps their weights even if they do not run. Models with
        C(state=absent) do not count.
      - Required with O(state=pruned), even if the list is empty.
    type: list
    elements: dict
  keep:
    description: Names of additional models to keep, with all their variants. V(*) matches any characters.
    type: list
    elements: str
    default: []
  worker:
    description: Address (IP address, or IP address and port) of the only worker to process. The default is all workers.
    type: str
  ready_timeout:
    description: Time in seconds to wait until the server answers, and until a worker registers with it.
    type: int
    default: 30
"""

EXAMPLES = r"""
- name: List the cached models and their users
  modelops.inference.xinference_cache:
    password_file: /opt/xinference/secrets/admin_password
    models: "{{ xinference_models }}"

- name: Free disk space and keep a model that another cluster declares
  modelops.inference.xinference_cache:
    password: "{{ vault_xinference_admin_password }}"
    state: pruned
    models: "{{ xinference_models }}"
    keep: [qwen3, bge-*]
"""

RETURN = r"""
plan:
  description: One line for each entry that the module deleted, or would delete in check mode.
  returned: always
  type: list
  elements: str
  sample: ["- delete qwen3--32B--awq--Int4 on 10.0.0.5:30001 (18.2 GiB)"]
entries:
  description: Entries of the caches before the deletion.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Name of the model.
      type: str
    version:
      description: Xinference's name of this variant of the model.
      type: str
    worker:
      description: Address of the worker.
      type: str
    path:
      description: Path of the entry in the worker's cache.
      type: str
    real_path:
      description: Path of the entry's files.
      type: str
    format:
      description: Format. V(null) if the server does not report it.
      type: str
    size:
      description: Size in billions of parameters. V(null) if the server does not report it.
      type: str
    quantization:
      description: Quantization. V(null) if the server does not report it.
      type: str
    bytes:
      description: Disk usage in bytes. V(null) before 4.x.
      type: int
    kept:
      description: Reason why the entry stays. Empty if the entry is unused.
      type: str
      sample: qwen3-32b runs
    removed:
      description: Whether the entry was deleted.
      type: bool
bytes_total:
  description: Size of all entries in bytes. V(null) before 4.x.
  returned: always
  type: int
bytes_unused:
  description: Size in bytes of the unused entries, which O(state=pruned) frees. V(null) before 4.x.
  returned: always
  type: int
bytes_freed:
  description: Size in bytes of the deleted entries. V(null) before 4.x.
  returned: always
  type: int
requests:
  description: Number of requests by HTTP method.
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
    using = cache.model_uses(client.models(), client.instances(), autostart, p["models"] or [])
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
    """The total size; None if the server reports no sizes. Files that two entries share count twice, as the server tells them."""
    sizes = [item.size for item in entries]
    return None if None in sizes else sum(size or 0 for size in sizes)


def main() -> None:
    module = _module.Module(
        argument_spec=ARGUMENT_SPEC, supports_check_mode=True, required_if=[("state", "pruned", ["models"])]
    )
    _module.run(module, work)


if __name__ == "__main__":
    main()
