# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Variables of the role accelerator: their refusals, and the options of a reading. Private to the collection."""

from __future__ import annotations

import hashlib
import os
import re
import typing as t
from dataclasses import dataclass, field

from ansible_collections.modelops.inference.plugins.module_utils._address import address_problem
from ansible_collections.modelops.inference.plugins.plugin_utils._site.kinds import known
from ansible_collections.modelops.inference.plugins.plugin_utils._site.settings import Refusals, Settings

BOOT_ID = "/proc/sys/kernel/random/boot_id"
# Options of the module accelerator_info, by the variables that they are.
_OPTIONS = {
    "accelerator": "accelerator",
    "branch": "accelerator_driver_branch",
    "kernel_modules": "accelerator_kernel_modules",
    "modules_from": "accelerator_modules_from",
    "source": "accelerator_source",
    "cuda": "accelerator_cuda",
    "torch": "xinference_torch",
    "manage": "accelerator_manage",
    "container_toolkit": "accelerator_container_toolkit",
    "hold": "accelerator_hold",
}
# Of its option ``role``.
_ROLE_OPTIONS = {
    "state": "accelerator_state",
    "repositories": "accelerator_repositories",
    "ascend_files": "accelerator_ascend_files",
    "huge_pages": "accelerator_huge_pages",
    "governor": "accelerator_governor",
    "reboot_ok": "accelerator_reboot_ok",
    "directory": "xinference_dir",
}


@dataclass(frozen=True)
class RunStage:
    """When in a run a host is read.

    :param after: "changed" or "restarted", where the run did that to the host before; empty at its beginning.
    :param server_stops: Xinference is stopped before the driver is removed.
    :param carried: reasons for a restart that the reading before returned.
    :param commands: results of the commands that load the kernel module.
    """

    after: str = ""
    server_stops: bool = False
    carried: t.Sequence[str] = ()
    commands: t.Sequence[t.Mapping[str, t.Any]] = ()


@dataclass(frozen=True)
class Pretended:
    """Values that tests put in the place of a host's own.

    :param root: directory in place of /, a tree that pretends to be hardware.
    :param kernel: whether the kernel is asked for anything; None for where root is /.
    :param packages: by vendor, instead of those that a driver's installation installs.
    """

    root: str = "/"
    etc: str = "/etc"
    kernel: bool | None = None
    packages: t.Mapping[str, t.Sequence[str]] = field(default_factory=dict)


def options(
    settings: Settings, stage: RunStage = RunStage(), controller: str = "", pretended: Pretended = Pretended()
) -> dict[str, t.Any]:
    """The options of the module accelerator_info for this host. Pure.

    :param controller: boot ID of the machine that Ansible runs on.
    """
    files = settings.get("accelerator_ascend_files") or []
    kernel = pretended.root == "/" if pretended.kernel is None else pretended.kernel
    directory = settings.get("xinference_dir")
    service, user = (settings.get(name) or "" if _known(settings, name) else "" for name in _OF_XINFERENCE)
    return {
        **{option: settings.get(name) for option, name in _OPTIONS.items()},
        "container_is_host": not kernel,
        "ascend_files": [each["part"] for each in files],
        # Of a user who is not root, and installs nothing: beside the environment that is proven.
        "record": f"{directory}/etc/accelerator.json" if _known(settings, "xinference_dir") else "",
        "root": pretended.root,
        "role": {
            **{option: settings.get(name) for option, name in _ROLE_OPTIONS.items()},
            "host": settings.inventory.host,
            "groups": list(settings.inventory.groups),
            "kernel": kernel,
            "etc": pretended.etc,
            "packages": dict(pretended.packages),
            "controller": controller,
            "service": service,
            "user": user,
            "server_stops": stage.server_stops,
            "after": stage.after,
            "carried": list(stage.carried),
            "commands": list(stage.commands),
        },
    }


def proof(settings: Settings, found: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The options of the module accelerator_proof for this host; empty where it has nothing to prove. Pure.

    :param found: what accelerator_info returned.
    """
    planned = dict(found["role"]["proof"])
    # The role's default, which is a template.
    python = settings.get("accelerator_python") or f"{settings.get('xinference_dir')}/current/bin/python"
    proves = {**planned["proves"], "python": python, "environment": settings.get("accelerator_environment")}
    if not planned.pop("due") or found["facts"]["record"].get("proven") == proves:
        return {}
    return {**planned, "python": python, "timeout": settings.get("accelerator_proof_timeout"), "proves": proves}


def declared_keys(settings: Settings) -> list[str]:
    """Keys of repositories that the inventory names, URLs or files on the controller."""
    mirrors = settings.get("accelerator_repositories") or {}
    return [each["key"] for each in mirrors.values() if each and each.get("key")]


_OF_XINFERENCE = ("xinference_service", "xinference_user")


def _known(settings: Settings, name: str) -> bool:
    """Whether the play has the variable of another role."""
    return settings.raw(name) is not None


def controller_boot_id() -> str:
    """The boot ID of the controller, which identifies hosts on the same kernel; empty if unreadable."""
    try:
        with open(BOOT_ID, encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""


def refusals(settings: Settings) -> Refusals:
    branch = settings.plain("accelerator_driver_branch") if settings.given("accelerator_driver_branch") else ""
    if isinstance(branch, (str, int, float)) and not re.fullmatch(r"([0-9]{3}([.][0-9]+){0,2})?", str(branch)):
        yield f"accelerator_driver_branch must be a branch such as 580, or a version such as 580.95.05 (it is '{branch}')."
    pages = settings.get("accelerator_huge_pages")
    if isinstance(pages, int) and pages < 0:
        yield f"accelerator_huge_pages must be a number of pages (it is {pages})."
    seconds = [settings.get(name) for name in ("accelerator_reboot_timeout", "accelerator_proof_timeout")]
    if any(isinstance(each, int) and each < 1 for each in seconds):
        yield (
            "accelerator_reboot_timeout and accelerator_proof_timeout must be at least 1 second "
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
            yield f"accelerator_ascend_files, {each['part']}: {each['path']} {why}. Copy the file again, or correct its entry."


def _sha256(path: str) -> str:
    """The SHA-256 of a file on the controller; empty if it cannot be read."""
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            for piece in iter(lambda: file.read(1 << 20), b""):
                digest.update(piece)
    except OSError:
        return ""
    return digest.hexdigest()


def _address_problem(url: str) -> str:
    if re.match("file:///", url):
        return "contains a space. Write it as %20" if re.search(r"\s", url) else ""
    return address_problem(url) if url else ""


def _mirrors(mirrors: t.Mapping[str, t.Any]) -> Refusals:
    given = {name: {key: value for key, value in each.items() if value} for name, each in mirrors.items() if each}
    logins = [name for name, each in given.items() if any(re.search(r"://[^/]*@", text) for text in each.values())]
    if logins:
        yield (
            f"accelerator_repositories: the url or key of {', '.join(logins)} contains a login, which would be in a file that "
            "everybody on the host can read. Put it into /etc/apt/auth.conf.d of the host (dnf needs a mirror without a login), and name "
            "the key as a file on the controller."
        )
    schemes = [name for name, each in given.items() if "url" in each and not re.match(r"(https?|file)://", each["url"])]
    if schemes:
        yield f"accelerator_repositories: the url of {', '.join(schemes)} must begin with https://, http:// or file:///."
    for name, each in given.items():
        problem = "" if name in (*logins, *schemes) else _address_problem(each.get("url", ""))
        if problem:
            yield f"accelerator_repositories: the url of {name} {problem}."
    keys = [
        name
        for name, each in given.items()
        if "key" in each
        and not re.match(r"https?://", each["key"])
        and not os.path.isfile(os.path.expanduser(each["key"]))
    ]
    if keys:
        yield f"accelerator_repositories: the key of {', '.join(keys)} is neither a URL nor a file on the controller."
