# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What cannot be right of the role accelerator's variables, before any host is asked. Private to the collection."""

from __future__ import annotations

import re
import typing as t

VENDORS = ("auto", "nvidia", "amd", "ascend", "none")
_BRANCH = re.compile(r"([0-9]{3}([.][0-9]+){0,2})?")
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")

Repositories = t.Mapping[str, t.Mapping[str, t.Any]]


def mistakes(given: t.Mapping[str, t.Any], is_file: t.Callable[[str], bool]) -> list[str]:
    """A sentence for each.

    :param given: the options of the module accelerator_preflight.
    :param is_file: whether a path is a file on the controller.
    """
    found = []
    if given["accelerator"] not in VENDORS:
        found.append(f"accelerator must be auto, nvidia, amd, ascend or none (it is '{given['accelerator']}').")
    found += _of_branch(given["branch"])
    if given["huge_pages"] < 0:
        found.append(f"accelerator_huge_pages is a number of pages (it is {given['huge_pages']}).")
    reboot, proof = given["reboot_timeout"], given["proof_timeout"]
    if min(reboot, proof) < 1:
        found.append(
            "accelerator_reboot_timeout and accelerator_proof_timeout are seconds, at least 1 (they are "
            f"{reboot} and {proof})."
        )
    found += _of_files(given["ascend_files"])
    return found + _of_repositories(given["repositories"], is_file)


def _of_branch(branch: t.Any) -> list[str]:
    if isinstance(branch, float):
        return [f'accelerator_driver_branch is the number {branch}: a version stands in quotes ("580.95.05").']
    if _BRANCH.fullmatch(str(branch)):
        return []
    return [
        f"accelerator_driver_branch must be a branch such as 580, or a version such as 580.95.05 (it is '{branch}')."
    ]


def _of_files(files: t.Sequence[t.Mapping[str, str]]) -> list[str]:
    parts, found = [file["part"] for file in files], []
    if len(parts) > len(set(parts)):
        found.append(f"accelerator_ascend_files names a part twice ({', '.join(parts)}).")
    if not all(_SHA256.fullmatch(file["checksum"]) for file in files):
        found.append("each checksum of accelerator_ascend_files must be a SHA-256, 64 hexadecimal digits.")
    return found


def _of_repositories(repositories: Repositories, is_file: t.Callable[[str], bool]) -> list[str]:
    def where(wrong: t.Callable[[str, str], bool]) -> str:
        """Names of those with a url or a key that is wrong."""
        return ", ".join(name for name, url, key in rows if wrong(url, key))

    rows = [(name, each.get("url") or "", each.get("key") or "") for name, each in repositories.items() if each]
    logins = where(lambda url, key: any(re.search("://[^/]*@", text) for text in (url, key)))
    schemes = where(lambda url, key: url != "" and not re.match("(https?|file)://", url))
    keys = where(lambda url, key: key != "" and not re.match("https?://", key) and not is_file(key))
    found = []
    if logins:
        found.append(
            f"accelerator_repositories: the url or key of {logins} has a login in it, which would stand in a file that everybody on the "
            "host reads. Put it into /etc/apt/auth.conf.d of the host (dnf needs a mirror without one), and name the key as a file on the "
            "controller."
        )
    if schemes:
        found.append(f"accelerator_repositories: the url of {schemes} must begin with https://, http:// or file:///.")
    if keys:
        found.append(f"accelerator_repositories: the key of {keys} is neither a URL nor a file on the controller.")
    return found


def wrong_file(file: t.Mapping[str, str], checksum: str) -> str:
    """What is wrong with one of Huawei's files; "" for nothing.

    :param checksum: of what is there, "" for nothing.
    """
    if checksum == file["checksum"].lower():
        return ""
    what = f"has the SHA-256 {checksum}, not {file['checksum']}" if checksum else "is not on the controller"
    return f"accelerator_ascend_files, {file['part']}: {file['path']} {what}. Get the file again, or correct its entry."
