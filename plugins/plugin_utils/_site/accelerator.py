# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Variables of the role accelerator, and the files that they name on the controller. Private to the collection."""

from __future__ import annotations

import hashlib
import os
import re
import typing as t

from ansible_collections.modelops.inference.plugins.plugin_utils._site.kinds import known
from ansible_collections.modelops.inference.plugins.plugin_utils._site.settings import Refusals, Settings


def refusals(settings: Settings) -> Refusals:
    branch = settings.plain("accelerator_driver_branch") if settings.given("accelerator_driver_branch") else ""
    if isinstance(branch, (str, int, float)) and not re.fullmatch(r"([0-9]{3}([.][0-9]+){0,2})?", str(branch)):
        yield f"accelerator_driver_branch must be a branch such as 580, or a version such as 580.95.05 (it is '{branch}')."
    pages = settings.get("accelerator_huge_pages")
    if isinstance(pages, int) and pages < 0:
        yield f"accelerator_huge_pages is a number of pages (it is {pages})."
    seconds = [settings.get(name) for name in ("accelerator_reboot_timeout", "accelerator_proof_timeout")]
    if any(isinstance(each, int) and each < 1 for each in seconds):
        yield (
            "accelerator_reboot_timeout and accelerator_proof_timeout are seconds, at least 1 "
            f"(they are {seconds[0]} and {seconds[1]})."
        )
    files = settings.get("accelerator_ascend_files")
    if files and known(files):
        yield from _files(files)
    mirrors = settings.get("accelerator_repositories")
    if mirrors and known(mirrors):
        yield from _mirrors(mirrors)


def _files(files: t.Sequence[t.Mapping[str, t.Any]]) -> Refusals:
    parts = [each["part"] for each in files]
    if len(parts) > len(set(parts)):
        yield f"accelerator_ascend_files names a part twice ({', '.join(parts)})."
    if not all(re.fullmatch(r"[0-9a-fA-F]{64}", each["checksum"]) for each in files):
        yield "each checksum of accelerator_ascend_files must be a SHA-256, 64 hexadecimal digits."
        return
    for each in files:
        path = os.path.expanduser(each["path"])
        found = _sha256(path)
        if found != each["checksum"].lower():
            why = f"has the SHA-256 {found}, not {each['checksum']}" if found else "is not on the controller"
            yield f"accelerator_ascend_files, {each['part']}: {each['path']} {why}. Get the file again, or correct its entry."


def _sha256(path: str) -> str:
    """Of a file on the controller; empty where there is none that can be read."""
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            for piece in iter(lambda: file.read(1 << 20), b""):
                digest.update(piece)
    except OSError:
        return ""
    return digest.hexdigest()


def _mirrors(mirrors: t.Mapping[str, t.Any]) -> Refusals:
    given = {name: {key: value for key, value in each.items() if value} for name, each in mirrors.items() if each}
    logins = [name for name, each in given.items() if any(re.search(r"://[^/]*@", text) for text in each.values())]
    if logins:
        yield (
            f"accelerator_repositories: the url or key of {', '.join(logins)} has a login in it, which would stand in a file that "
            "everybody on the host reads. Put it into /etc/apt/auth.conf.d of the host (dnf needs a mirror without one), and name "
            "the key as a file on the controller."
        )
    schemes = [name for name, each in given.items() if "url" in each and not re.match(r"(https?|file)://", each["url"])]
    if schemes:
        yield f"accelerator_repositories: the url of {', '.join(schemes)} must begin with https://, http:// or file:///."
    keys = [
        name
        for name, each in given.items()
        if "key" in each
        and not re.match(r"https?://", each["key"])
        and not os.path.isfile(os.path.expanduser(each["key"]))
    ]
    if keys:
        yield f"accelerator_repositories: the key of {', '.join(keys)} is neither a URL nor a file on the controller."
