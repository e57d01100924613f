#!/usr/bin/python
# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xinference_release
short_description: Build and activate a Python environment with Xinference
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Builds C(releases/<id>) below O(path) with uv. The module builds the environment in a hidden directory next to it and proves that
    Xinference can be imported. It writes the lock file and moves the environment to its path. The last step points the link C(current) to
    the release. An interrupted build never serves.
  - The link C(previous) then points to the release to which C(current) pointed before. A rollback returns to that release (O(previous)).
  - Unset values of the package index come from pip's own configuration on the host.
extends_documentation_fragment:
  - modelops.inference._attributes
  - modelops.inference._attributes.idempotent
  - modelops.inference._environment
  - modelops.inference._index
options:
  id:
    description: Name of the release, C(<version>-<hash of all inputs of the build>).
    type: str
    required: true
  torch:
    description:
      - PyTorch build by the name of PyTorch's index, such as V(cpu), V(cu126) or V(rocm7.2). The module searches for the build in
        find_links, on the configured indexes, then on PyTorch's own index. It fails if it finds none.
      - V(default) uses the default build of the index, which on Linux is a build with CUDA.
      - Required for a build.
    type: str
  user:
    description: User for which the environment must work, which is the user of the service. The default is the user that runs the module.
    type: str
  lock:
    description:
      - Path of a lock file on the host that contains every distribution with its hashes, as in a bundle
        (M(modelops.inference.xinference_bundle)). The module installs exactly these distributions and does not resolve requirements with an
        index.
    type: path
  activate:
    description: Whether to point C(current) to the release.
    type: bool
    default: true
  previous:
    description: Release to which C(previous) points after O(id) is activated. The default is the release to which C(current) pointed.
    type: str
  build:
    description:
      - Whether to build a missing release. With V(false), the module fails if the release is missing, and does not change an existing one.
    type: bool
    default: true
  keep:
    description: Number of releases to keep, including the current one. The module removes older releases, and the previous release last.
    type: int
    default: 3
"""

EXAMPLES = r"""
- name: Build a small CPU environment
  modelops.inference.xinference_release:
    path: /opt/xinference
    id: 4.1.0-1f0a9c33
    version: 4.1.0
    extras: [llama-cpp]
    packages: ["sentence-transformers>=3.1,<6"]
    torch: cpu
    uv: uv==0.13.9
    cache: /opt/xinference/cache/uv
"""

RETURN = r"""
plan:
  description: One line for each change.
  returned: success
  type: list
  elements: str
  sample: ["+ build release 4.1.0-1f0a9c33", "~ activate current (target none -> releases/4.1.0-1f0a9c33)"]
release:
  description:
    - Record of the release, as in its C(release.json), with its C(llama_cpp).
    - C(build) in it is V(cpu), V(cuda), V(rocm) or V(vulkan), or empty if llama.cpp is not installed. C(index) is the index from which
      Xinference installs a build for this environment's CUDA into the virtual environment of a model, or empty if Xinference knows none.
      Both are absent if they cannot be read.
  returned: when it exists
  type: dict
  sample: {id: 4.1.0-1f0a9c33, version: 4.1.0, python: 3.11.2, torch: 2.13.0+cpu, packages: 107, llama_cpp: {build: cpu, index: ""}}
"""

import os
import shutil
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.modelops.inference.plugins.module_utils import _module
from ansible_collections.modelops.inference.plugins.module_utils._directory import make_directory
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._host.release import (
    environments,
    interpreters,
    release,
    uv_tools,
)
from ansible_collections.modelops.inference.plugins.module_utils._host.system import llama_cpp
from ansible_collections.modelops.inference.plugins.module_utils._plan import Field, Plan


def make_plan(
    wanted: str, complete: bool, drift: list[str], current: str | None, old: list[str], activate: bool
) -> Plan:
    """The releases to build, activate and remove. Pure.

    :param complete: the release is there.  :param drift: how it differs from its lock file.
    :param current: release that ``current`` points at.  :param old: releases beyond the number to keep.
    """
    plan = Plan("release")
    if drift:
        plan.add("change", "build release", wanted, why="; ".join(drift[:5]))
    elif not complete:
        plan.add("add", "build release", wanted)
    if activate and current != wanted:
        plan.add("change", "activate", "current", [Field("release", current, wanted)])
    for name in old:
        plan.add("remove", "remove release", name)
    return plan


def work(module: AnsibleModule) -> dict[str, t.Any]:
    if module.check_mode:
        return converge(module)
    with uv_tools.one_at_a_time(module.params["path"]):
        return converge(module)


def converge(module: AnsibleModule) -> dict[str, t.Any]:
    p = module.params
    releases = os.path.join(p["path"], "releases")
    directory = os.path.join(releases, p["id"])
    link = os.path.join(p["path"], "current")
    current = release.pointed_at(link)
    complete = environments.record(directory) is not None
    if not p["build"] and not complete and not module.check_mode:
        kept = [name for name in sorted(_listing(releases)) if environments.record(os.path.join(releases, name))]
        raise ModelopsError(f"release {p['id']} is not in {releases}; available releases: {', '.join(kept) or 'none'}")
    there = complete or os.path.lexists(os.path.join(directory, environments.RECORD))
    drift = environments.drift(directory, p["index"].get("denied") or []) if there and p["build"] else []
    previous = release.pointed_at(os.path.join(p["path"], "previous"))
    old = _surplus(releases, [p["id"], current, previous], p["keep"])
    # Without a build only check mode comes here for a release that is missing: a step before this one would have built it.
    plan = make_plan(p["id"], complete or not p["build"], drift, current, old, p["activate"])
    if not module.check_mode:
        for change in plan:
            if change.verb == "build release":
                _build(module, directory)
            elif change.verb == "activate":
                before = p["previous"] or current
                if before:
                    release.point(os.path.join(p["path"], "previous"), os.path.join("releases", before))
                release.point(link, os.path.join("releases", p["id"]))
            else:
                shutil.rmtree(os.path.join(releases, change.name))
    made = environments.record(directory)
    return dict(plan.result(), **({"release": {**made, "llama_cpp": llama_cpp.describe(directory)}} if made else {}))


def _surplus(releases: str, dear: t.Sequence[str | None], keep: int) -> list[str]:
    """The oldest releases beyond ``keep``.

    :param dear: the wanted and the current one, which are never among them, and the previous one, which comes last.
    """
    wanted, current, previous = dear
    others = [name for name in _listing(releases) if name not in (wanted, current) and not name.startswith(".")]
    others.sort(key=lambda name: (name == previous, os.path.getmtime(os.path.join(releases, name))), reverse=True)
    return others[max(0, keep - len({wanted, current} - {None})) :]


def _listing(directory: str) -> list[str]:
    return os.listdir(directory) if os.path.isdir(directory) else []


def _build(module: AnsibleModule, directory: str) -> None:
    p = module.params
    make_directory(os.path.dirname(directory))
    tools = uv_tools.Tools(p["path"], p["uv"], p["cache"])
    settings = tools.make(p["index"])
    packages = interpreters.Packages(tools, settings, None if p["lock"] else p, module.tmpdir)
    choice = interpreters.pick(tools, settings, p["python"], p["python_source"], packages)
    python = interpreters.path_of(tools, settings, choice, interpreters.directory_of(p["path"]))
    release.Builder(tools, settings, directory, python).build(
        **release.ingredients(p),
        proof=["torch", "xinference"],
        compiled=[
            "xinference.deploy.cmdline, xinference.api.restful_api, xinference.core.worker",
            "sentence_transformers",
        ],
        user=p["user"],
        lock=p["lock"],
        facts=dict(id=p["id"], version=p["version"], extras=p["extras"], torch_choice=p["torch"], uv=p["uv"]),
    )


def main() -> None:
    module = AnsibleModule(
        argument_spec=dict(
            id=dict(type="str", required=True),
            torch=dict(type="str"),
            user=dict(type="str"),
            lock=dict(type="path"),
            activate=dict(type="bool", default=True),
            previous=dict(type="str"),
            build=dict(type="bool", default=True),
            keep=dict(type="int", default=3),
            **interpreters.OPTIONS,
        ),
        required_if=[("build", True, ["torch"])],
        supports_check_mode=True,
    )
    _module.run(module, work)


if __name__ == "__main__":
    main()
