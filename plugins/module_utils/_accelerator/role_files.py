# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files that the role writes beside repositories, and what it records. Private to the collection."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._accelerator import (
    role_packages,
    role_repositories,
)
from ansible_collections.modelops.inference.plugins.module_utils._accelerator.role_options import DEBIAN, Case, unique
from ansible_collections.modelops.inference.plugins.module_utils._accelerator.role_repositories import WRITTEN

PREFERENCES = "apt/preferences.d/modelops-accelerator"
NOUVEAU = "modprobe.d/modelops-nouveau.conf"
TMPFILES = "tmpfiles.d/modelops-accelerator.conf"
#: Of dnf's plugin.
VERSION_LOCK = "dnf/plugins/versionlock.list"
#: Below /etc, as those above.
PERSISTENCE = "systemd/system/nvidia-persistenced.service.d/modelops.conf"
#: Link that enabling the daemon makes, once its unit can be enabled.
PERSISTENCE_LINK = "systemd/system/multi-user.target.wants/nvidia-persistenced.service"
HUGE_PAGES = "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"
GOVERNOR = "/sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"
NOUVEAU_OFF = f"{WRITTEN}.\nblacklist nouveau\noptions nouveau modeset=0\n"
#: Ubuntu's unit starts the daemon without persistence, stops it where nothing needs it, and is not there to be enabled.
PERSISTS = f"""{WRITTEN}.
[Unit]
StopWhenUnneeded=false

[Service]
ExecStart=
ExecStart=/usr/bin/nvidia-persistenced --user nvidia-persistenced --verbose

[Install]
WantedBy=multi-user.target
"""
#: The initial file system holds a copy of what keeps nouveau off, and loads modules before the host's own files are there.
INITRAMFS = {
    "debian": ["/usr/sbin/update-initramfs", "-u", "-k", "all"],
    "redhat": ["/usr/bin/dracut", "--force", "--regenerate-all"],
}
#: In the order in which they need each other.
PARTS = ("driver", "firmware", "cann")


def is_pinned(case: Case) -> bool:
    """Whether apt gets a pin: of the vendor's packages on their branch.

    The distribution's change their branch only under another name, or with its next release: of these an exact version.
    """
    of_distribution = role_packages.set_name(case).endswith("_distribution")
    exact = case.has_step("driver") and of_distribution and case.is_exact
    return case.family == DEBIAN and ("nvidia" in role_repositories.required_names(case) or exact)


def pin(case: Case) -> str:
    """The preferences file that pins the driver to its source and version: other builders' packages are no part of this driver.

    Without it, apt would install the newest version of dependencies beside an exact version.
    """
    other = "o=Ubuntu" if case.is_ubuntu else "o=Debian"
    names = "Package: *nvidia* libcuda* libnv* cuda-drivers*"
    return f"""{WRITTEN}: the driver stays on its branch or version, and is the
# {case.source}'s alone. The first match of a package counts.
{names}
Pin: release {"l=NVIDIA CUDA" if case.source == "distribution" else other}
Pin-Priority: 100

{names}
Pin: version {role_packages.version_pattern(case)}
Pin-Priority: 1000
"""


def settings(case: Case) -> str:
    """Settings of memory and processors, applied by systemd-tmpfiles at every start."""
    lines = [f"{WRITTEN}."]
    if case.options.huge_pages:
        lines.append(f"w {HUGE_PAGES} - - - - {case.options.huge_pages}")
    if case.options.governor:
        lines.append(f"w {GOVERNOR} - - - - {case.options.governor}")
    return "\n".join([*lines, ""])


def huge_pages_now(case: Case) -> int:
    sizes = [row["total"] for row in case.facts["memory"]["huge_pages"] if row["size_bytes"] == 2 << 20]
    return int(sizes[0]) if sizes else 0


def settings_differ(case: Case) -> bool:
    """Whether huge pages or governor are others than those that are declared."""
    options = case.options
    if not case.settings_declared:
        return case.etc(TMPFILES) in case.recorded("files")
    pages = options.huge_pages > 0 and options.huge_pages != huge_pages_now(case)
    return pages or options.governor not in ("", case.facts["cpu"]["governor"])


def persists(case: Case) -> bool:
    """Whether the role adds to the unit of the daemon."""
    return case.has_step("persistence") and case.is_ubuntu


def written_files(case: Case) -> list[str]:
    """Files that the role writes, or whose being there it causes."""
    paths = [PREFERENCES] if is_pinned(case) else []
    paths += [NOUVEAU] if case.has_step("nouveau_off") else []
    paths += [PERSISTENCE, PERSISTENCE_LINK] if persists(case) else []
    paths += [TMPFILES] if case.settings_declared else []
    return role_repositories.files(case) + [case.etc(path) for path in paths]


def record(case: Case) -> dict[str, t.Any]:
    """Things that the role may remove or release later, as far as the plan determines them.

    What came with the packages, users and parts the tasks add.
    """
    before = case.record
    kept = {
        # Who asked for it.
        "asked": sorted({*case.recorded("asked"), case.directory}),
        "parts": [part for part in PARTS if part in before.get("parts", ())],
        "users": unique(case.recorded("users")),
        "packages": sorted({*case.recorded("packages")}),
        "wanted": sorted({*case.recorded("wanted")}),
        "held": sorted({*case.recorded("held")}),
        "files": sorted({*case.recorded("files")}),
    }
    if not case.options.is_present:
        return kept
    files = {*kept["files"], *written_files(case)} - (set() if case.settings_declared else {case.etc(TMPFILES)})
    return {**kept, "wanted": sorted({*kept["wanted"], *role_packages.package_names(case)}), "files": sorted(files)}


def pin_step(case: Case) -> dict[str, t.Any]:
    """The pin; empty where there is nothing to do.

    The pin of before would keep back the requested packages now.
    """
    pinned = is_pinned(case)
    if case.family != DEBIAN or not (pinned or case.has_step("driver")):
        return {}
    return _file(case.etc(PREFERENCES), pin(case) if pinned else "")


def _file(path: str, content: str, **more: t.Any) -> dict[str, t.Any]:
    """The data of a step that writes a file.

    ``content`` is empty for a file that is removed; ``commands`` apply it; ``directory`` is made before; ``record`` says whether the
    record has the file.
    """
    return {"path": path, "content": content, "directory": "", "commands": [], "record": False, **more}


def _command(argv: t.Sequence[str], needs: str) -> dict[str, t.Any]:
    """:param needs: a file without which the command does not run."""
    return {"argv": list(argv), "needs": needs}


def nouveau_step(case: Case) -> dict[str, t.Any]:
    """The file that disables nouveau; empty where nouveau stays."""
    if not case.has_step("nouveau_off"):
        return {}
    # The record also where nothing is installed.
    recorded = not case.options.check_mode
    return _file(case.etc(NOUVEAU), NOUVEAU_OFF, commands=initramfs(case), record=recorded)


def persistence_step(case: Case) -> dict[str, t.Any]:
    """The drop-in of the daemon's unit; empty where none is needed."""
    if not persists(case) or case.options.check_mode:
        return {}
    path = case.etc(PERSISTENCE)
    return _file(path, PERSISTS, directory=os.path.dirname(path), record=True)


def initramfs(case: Case) -> list[dict[str, t.Any]]:
    """The command that rebuilds the initial file system; empty if none is known."""
    argv = INITRAMFS.get(case.family, [])
    return [_command(argv, argv[0])] if argv else []


def settings_step(case: Case) -> dict[str, t.Any]:
    """Huge pages and governor; empty where memory and processors are as declared."""
    if not settings_differ(case):
        return {}
    declared = case.settings_declared
    path = case.etc(TMPFILES)
    apply = [_command(["systemd-tmpfiles", "--create", path], path)] if declared and case.options.kernel else []
    return _file(path, settings(case) if declared else "", commands=apply, record=not case.options.check_mode)
