# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""NVIDIA's driver that is on the host: its version, and whether its parts agree. Private to the collection."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._accelerator import versions
from ansible_collections.modelops.inference.plugins.module_utils._accelerator.needs_nvidia import DriverNeeds

Facts = t.Mapping[str, t.Any]


def current_version(facts: Facts) -> str:
    """The driver's version. After an upgrade whose module was not built for this kernel, that of the libraries is meant."""
    found = facts["nvidia"]
    return t.cast(str, max(found["installed"], found["library"], key=versions.numbers) or found["loaded"])


def mismatch(found: Facts) -> str:
    """The difference of library and loaded module, which stops every program; "" for none."""
    loaded, library = found["loaded"], found["library"]
    if not loaded or not library or versions.numbers(loaded) == versions.numbers(library):
        return ""
    return (
        f"the loaded kernel module is {loaded} and the driver's libraries are {library}: programs fail with "
        "'Driver/library version mismatch' until both are the same"
    )


def agrees(found: Facts) -> bool:
    """Whether libraries and module on the disk are of one version, so that a start of the host makes them run."""
    module = found["installed"] or found["loaded"]
    return not found["library"] or versions.numbers(found["library"]) == versions.numbers(module)


def kernel_with_modules(facts: Facts) -> str:
    """The kernel that Ubuntu's precompiled modules came for, where an upgrade left the running one behind; "" for none."""
    library, running = facts["nvidia"]["library"], facts["system"]["kernel"]
    name = rf"linux-modules-nvidia-{versions.branch(library)}-(?:server-)?(?:open-)?(\d\S+)"
    found = (re.fullmatch(name, package) for package in facts["packages"]["installed"])
    kernels = {match.group(1) for match in found if match}
    newest = max(kernels, key=_release, default="")
    return newest if library and not agrees(facts["nvidia"]) and _release(newest) > _release(running) else ""


def _release(kernel: str) -> tuple[int, ...]:
    """6.8.0-85-generic as (6, 8, 0, 85)."""
    return tuple(int(number) for number in re.findall(r"\d+", kernel.rpartition("-")[0]))


def kernel_modules(found: Facts) -> str:
    return t.cast(str, found["installed_flavor"] or found["loaded_flavor"])


def modules_fit(found: Facts, needs: DriverNeeds) -> bool:
    """Whether the kernel modules that are there drive the cards; of unknown ones that is taken for granted."""
    return not needs.modules or kernel_modules(found) in ("", needs.modules)


def is_packaged(facts: Facts) -> bool:
    """Whether the driver came by packages: by NVIDIA's installer (.run) or a container of drivers, no package has its version."""
    found, there = facts["nvidia"], facts["packages"]["driver"].values()
    return any(versions.same(v, own) for own in (found["installed"], found["loaded"], found["library"]) for v in there)
