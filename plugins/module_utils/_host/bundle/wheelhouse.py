# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Gathers the wheels of environments, for this machine or for another platform. Private to the collection.

uv resolves (it knows other platforms, and PyTorch's indexes) and names the URL and the hash of every wheel (pylock.toml,
PEP 751); they are fetched as weights are, resumed and compared. What the index has as a source only is built here, and
must be pure Python then.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import typing as t
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit, urlunsplit

from ansible_collections.modelops.inference.plugins.module_utils._directory import make_directory
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._host.release import (
    denied,
    environments,
    release,
    resolution,
    uv_tools,
)
from ansible_collections.modelops.inference.plugins.module_utils._host.release.index import IndexSettings, normal
from ansible_collections.modelops.inference.plugins.module_utils._host.system.digests import digest
from ansible_collections.modelops.inference.plugins.module_utils._host.system.shell import read_file, run, write_file
from ansible_collections.modelops.inference.plugins.module_utils._host.weights.download import (
    Clock,
    Part,
    Web,
    origin,
    verify,
)

# At a time.
DOWNLOADS = 6
# Python knows TOML since 3.11, and pip carries a reader of its own.
READ_TOML = """
import json, sys
try:
    import tomllib
except ImportError:
    from pip._vendor import tomli as tomllib
json.dump(tomllib.loads(sys.stdin.read()), sys.stdout, default=str)
"""


@dataclass(frozen=True)
class IndexFile:
    """One file of an index: its name, where it lies, and its SHA-256 ("" where the index does not tell)."""

    name: str
    url: str
    sha256: str

    @classmethod
    def of(cls, about: t.Mapping[str, t.Any]) -> IndexFile:
        url = about.get("url") or about["path"]
        name = about.get("name") or os.path.basename(unquote(urlsplit(url).path))
        return cls(name, url, about.get("hashes", {}).get("sha256", ""))


@dataclass(frozen=True)
class Distribution:
    """A distribution chosen by uv: a wheel, or the source if no wheel fits the platform."""

    name: str
    version: str
    wheel: IndexFile | None
    sdist: IndexFile | None


def distributions(lock: t.Mapping[str, t.Any]) -> list[Distribution]:
    """Reads a pylock.toml. Pure.

    :raises ModelopsError: something that comes from no index.
    """
    found = []
    for package in lock.get("packages", []):
        wheels = sorted(map(IndexFile.of, package.get("wheels", [])), key=lambda file: _rank(file.name))
        sdist, archive = package.get("sdist"), package.get("archive")
        if archive and IndexFile.of(archive).name.endswith(".whl"):  # a wheel that a requirement names by its URL
            wheels = [IndexFile.of(archive)]
        if "version" not in package or not (wheels or sdist):
            raise ModelopsError(
                f"{package['name']} does not come from a package index, so a bundle cannot contain it. Name the URL of its wheel "
                "(name @ URL), or put the wheel into xinference_index.find_links."
            )
        found.append(
            Distribution(
                normal(package["name"]),
                package["version"],
                wheels[-1] if wheels else None,
                IndexFile.of(sdist) if sdist else None,
            )
        )
    return found


def _rank(name: str) -> tuple[t.Any, ...]:
    """uv names only wheels that fit. The most particular is best: compiled, for one Python, for the newest glibc."""
    python, abi, platform = name[: -len(".whl")].split("-")[-3:]
    libc = [tuple(map(int, pair)) for pair in re.findall(r"manylinux_(\d+)_(\d+)", platform)]
    since = [(int(digits[0]), int(digits[1:] or 0)) for digits in re.findall(r"\d+", python)]
    return platform != "any", abi not in ("abi3", "none"), abi == "abi3", max(since), max(libc, default=(0, 0)), name


def lock_lines(wheels: t.Mapping[str, tuple[str, str]]) -> str:
    """A requirements file with hashes.

    :param wheels: by name of the distribution (version, SHA-256 of its wheel).
    """
    return "".join(f"{name}=={version} --hash=sha256:{sha256}\n" for name, (version, sha256) in sorted(wheels.items()))


class Wheelhouse:
    """
    :param directory: of the bundle.
    :param work: directory for what must outlast a broken run: parts of files, locks, wheels that were built here.
    """

    def __init__(self, directory: str, work: str, tools: uv_tools.Tools, settings: IndexSettings):
        self.directory = directory
        self.work = work
        self.tools = tools
        self.settings = settings
        self.web = Web(
            ca_path=settings.ca_path, proxy=settings.proxy, no_proxy=settings.no_proxy, timeout=settings.timeout
        )
        # SHA-256 by path of everything that was gathered, compared or fetched in this run.
        self.gathered: dict[str, str] = {}
        # Paths of what was there and was not what it had to be.
        self.replaced: set[str] = set()

    def size(self, path: str) -> int:
        return os.path.getsize(os.path.join(self.directory, path))

    def environment(self, declared: t.Mapping[str, t.Any], installers: t.Sequence[str]) -> dict[str, t.Any]:
        """Gathers an environment with its installers and packages of weights.

        :param declared: {"id", "version", "extras", "packages", "constraints", "range", "torch", "python", "platform",
            "weights": [requirement], "fetch_python"}.
        :returns: its entry in the manifest.
        """
        target = ["--python-version", declared["python"], "--python-platform", declared["platform"]]
        key = f"{declared['id']}-{declared['python']}-{declared['platform']}"
        found = self._resolve(target, f"{key}-", **release.ingredients(declared))
        wheels = self._gather(found)
        lock = f"locks/{key}.txt"
        pins = {one.name: (one.version, self.gathered[path]) for one, path in zip(found, wheels)}
        self._write(lock, lock_lines(pins))
        names = [one.name for one in found]
        packages = {
            requirement: self._gather(
                self._resolve(
                    target, f"{key}-{requirement}-", requirements=[requirement], constraints=[], left_out=names
                )
            )
            for requirement in declared["weights"]
        }
        made_from = ("version", "extras", "packages", "constraints", "torch")
        return {
            "id": declared["id"],
            "declared": {**{key: declared[key] for key in made_from}, "python": declared["range"]},
            "python": declared["python"],
            "platform": declared["platform"],
            "lock": lock,
            "wheels": wheels,
            "tools": self._gather(self._resolve(target, f"{key}-tools-", requirements=installers, constraints=[])),
            "packages": packages,
            **({"interpreter": self.interpreter(declared)} if declared.get("fetch_python") else {}),
        }

    def interpreter(self, declared: t.Mapping[str, t.Any]) -> str:
        """The archive of a Python, where uv looks for it on a mirror: below the name of its release. uv has its hash."""
        platform = declared["platform"]
        key = f"cpython-{declared['python']}-linux-{platform.partition('-')[0]}-gnu"
        words = ["python", "list", "--only-downloads", "--output-format", "json", key]
        rows = json.loads(self.tools.call(self.settings, words, f"asking uv for Python {declared['python']}"))
        if not rows:
            raise ModelopsError(
                f"uv has no Python {declared['python']} for {platform}. Set xinference_bundle_python to another version."
            )
        url = rows[0]["url"]
        release_, name = unquote(urlsplit(url).path).split("/")[-2:]
        path = f"python/{release_}/{name}"
        place, kept = os.path.join(self.directory, path), os.path.join(self.work, "pythons", f"{name}.sha256")
        known, found = read_file(kept), digest(place) if os.path.exists(place) else ""
        if not found or found != known:
            found, before = self._fetch(IndexFile(name, url, known or ""), place), found
            if before:
                self.replaced.add(path)
            make_directory(os.path.dirname(kept))
            write_file(kept, found, 0o644)
        self.gathered[path] = found
        return path

    def _resolve(self, target: t.Sequence[str], key: str, **what: t.Any) -> list[Distribution]:
        """Once resolved stays resolved, so that a rerun makes the same bundle; another declaration is another name."""
        refused = denied.constraints(self.settings.denied)
        asked = json.dumps([target, what, self.settings.constraints, refused], sort_keys=True)
        kept = os.path.join(self.work, "resolved", f"{key}{environments.short_hash(asked)}.toml")
        text = read_file(kept)
        if text is None:
            work = os.path.join(self.work, "resolving")
            make_directory(work)
            resolver = resolution.Resolver(self.tools, self.settings, target, work)
            # In the directory that paths of files are relative to.
            text = resolver.resolve(**what, words=["--format", "pylock.toml"])[0]
            make_directory(os.path.dirname(kept))
            # URLs of an index may hold a password.
            write_file(kept, text, 0o600)
        printed = run([self.tools.pip[0], "-c", READ_TOML], "reading what uv resolved", stdin=text)
        found = distributions(json.loads(printed))
        denied.refuse([(one.name, one.version) for one in found], self.settings.denied, "the bundle")
        return found

    def _gather(self, found: t.Sequence[Distribution]) -> list[str]:
        """Brings the wheels to their place; their paths in the bundle, in the same order."""
        with ThreadPoolExecutor(DOWNLOADS) as pool:
            return list(pool.map(self._wheel, found))

    def _wheel(self, one: Distribution) -> str:
        if one.wheel is None:
            return self._built(one, t.cast(IndexFile, one.sdist))
        path = f"wheels/{one.wheel.name}"
        place = os.path.join(self.directory, path)
        found = digest(place) if os.path.exists(place) else ""
        if not found or found != one.wheel.sha256:
            self.gathered[path] = self._fetch(one.wheel, place)
            if found not in ("", self.gathered[path]):
                self.replaced.add(path)
        else:
            self.gathered[path] = found
        return path

    def _fetch(self, file: IndexFile, place: str) -> str:
        """Brings a file to its place; returns its SHA-256."""
        make_directory(os.path.dirname(place))
        url, headers = self._address(file.url)
        draft = os.path.join(self.work, "parts", file.name)
        make_directory(draft)
        part = Part(draft)
        if urlsplit(url).scheme in ("http", "https"):
            self.web.download(url, headers, part, f"{file.name} {file.sha256}", Clock(), lambda: file.name)
        else:
            local = unquote(urlsplit(url).path)
            part.start(file.name, "", os.path.getsize(local))
            shutil.copyfile(local, part.path)
        if file.sha256:
            verify(part, "sha256", file.sha256, file.name)
        found = file.sha256 or digest(part.path)
        os.chmod(part.path, 0o644)
        shutil.move(part.path, place)
        shutil.rmtree(draft)
        return found

    def _address(self, url: str) -> tuple[str, dict[str, str]]:
        """A URL without a password, and the header that carries it: the URL's own, or that of the index it came from."""
        parts = urlsplit(url)
        netloc = parts.netloc.rpartition("@")[2]
        bare = urlunsplit(parts._replace(netloc=netloc))
        for known in (url, self.settings.index_url or "", *self.settings.extra_index_urls):
            index = urlsplit(known)
            if index.username and origin(bare) == origin(known):
                pair = f"{unquote(index.username)}:{unquote(index.password or '')}"
                return bare, {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
        return bare, {}

    def _built(self, one: Distribution, source: IndexFile) -> str:
        """A wheel made of a source, once."""
        place = os.path.join(self.work, "built", environments.short_hash(f"{source.name} {source.sha256}"))
        wheels = _wheels(place)
        if not wheels:
            archive = os.path.join(self.work, "sources", source.name)
            self._fetch(source, archive)
            words = ["build", "--quiet", "--wheel", "--python", self.tools.pip[0], "--out-dir", place, archive]
            self.tools.call(self.settings, words, f"building a wheel of {source.name}", timeout=3600)
            wheels = _wheels(place)
        name = wheels[0]
        if not name.endswith("-none-any.whl"):
            raise ModelopsError(
                f"{one.name} {one.version} has no wheel for the platform, and the wheel built here ({name}) is for this machine "
                "alone. Put its wheel into xinference_index.find_links, or remove what needs it "
                "(xinference_extras, xinference_packages)."
            )
        path = f"wheels/{name}"
        make_directory(os.path.join(self.directory, "wheels"))
        shutil.copyfile(os.path.join(place, name), os.path.join(self.directory, path))
        self.gathered[path] = digest(os.path.join(place, name))
        return path

    def _write(self, path: str, text: str) -> None:
        place = os.path.join(self.directory, path)
        make_directory(os.path.dirname(place))
        write_file(place, text, 0o644)
        self.gathered[path] = digest(place)


def _wheels(directory: str) -> list[str]:
    return [name for name in os.listdir(directory) if name.endswith(".whl")] if os.path.isdir(directory) else []
