# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A plugin's package file, known by its manifest. Private to the collection."""

from __future__ import annotations

import hashlib
import os
import re
import typing as t
import zipfile
from dataclasses import dataclass

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError


@dataclass(frozen=True)
class PluginPackage:
    """A .difypkg file.

    :param size: bytes.
    :param digests: by which Dify may call it, as hexadecimal SHA-256: of its contents, and of the file itself.
    """

    path: str
    size: int
    plugin: str
    version: str
    digests: tuple[str, ...]

    @property
    def identifiers(self) -> tuple[str, ...]:
        return tuple(f"{self.plugin}:{self.version}@{digest}" for digest in self.digests)


def package_of(path: str) -> PluginPackage:
    """Reads a package file's manifest locally."""
    try:
        with open(path, "rb") as file:
            whole = hashlib.sha256(file.read()).hexdigest()
        with zipfile.ZipFile(path) as archive:
            names = [item.filename for item in archive.infolist() if not item.is_dir()]
            manifest = archive.read("manifest.yaml").decode("utf-8", "replace")
            contents = {name: hashlib.sha256(archive.read(name)).digest() for name in names}
    except OSError as exc:
        raise ModelopsError(f"package: {path} cannot be read ({exc.strerror or exc})") from exc
    except (zipfile.BadZipFile, KeyError) as exc:
        raise ModelopsError(
            f"package: {path} is not a Dify plugin package ({str(exc).strip(chr(34))}). A .difypkg file is a ZIP archive "
            "with a manifest.yaml. Check that the download is complete."
        ) from exc
    found = {key: _manifest_value(manifest, key) for key in ("author", "name", "version")}
    if not found["name"] or not found["version"]:
        raise ModelopsError(f"package: {path} has a manifest.yaml without a name or a version")
    plugin = "/".join(part for part in (found["author"], found["name"]) if part)
    digests = (_content_digest(contents), whole)
    return PluginPackage(path, os.path.getsize(path), plugin, str(found["version"]), digests)


def _manifest_value(manifest: str, key: str) -> str | None:
    """A scalar of the manifest's first level; the module's Python may have no YAML parser."""
    match = re.search(rf"^{key}:[ \t]*(['\"]?)([^'\"#\r\n]*)\1", manifest, re.MULTILINE)
    return match.group(2).strip() or None if match else None


def _content_digest(contents: t.Mapping[str, bytes]) -> str:
    """The digest in the daemon's identifiers: over the names and contents of the files, in the order of the names."""
    digest = hashlib.sha256()
    for name in sorted(contents, key=lambda item: item.encode()):
        digest.update(hashlib.sha256(name.encode()).digest() + contents[name])
    return digest.hexdigest()
