# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of a plan and its draft. Private to the collection."""

from __future__ import annotations

import dataclasses
import typing as t

NONE = "none"
#: Modes of a plan beside NONE, there is nothing to do: things are only looked at, they change, they cannot be done.
CHECK, CHANGE, REFUSED = "check", "change", "refused"


@dataclasses.dataclass(frozen=True)
class PlanOptions:
    """The options of the module accelerator_info, see there."""

    accelerator: str = "auto"
    branch: str = ""
    kernel_modules: str = "auto"
    modules_from: str = "dkms"
    cuda: int = 0
    torch: str = "auto"
    manage: bool = True
    source: str = "auto"
    container_is_host: bool = False
    container_toolkit: bool = False
    hold: bool = True
    ascend_files: t.Sequence[str] = ()


@dataclasses.dataclass
class Draft:
    """See RETURN of the module accelerator_info, key ``plan``."""

    accelerator: str = NONE
    reason: str = ""
    mode: str = NONE
    refusals: list[dict[str, str]] = dataclasses.field(default_factory=list)
    warnings: list[dict[str, str]] = dataclasses.field(default_factory=list)
    driver: dict[str, t.Any] = dataclasses.field(default_factory=dict)
    steps: list[dict[str, str]] = dataclasses.field(default_factory=list)
    reboot: list[str] = dataclasses.field(default_factory=list)
    torch: dict[str, t.Any] = dataclasses.field(default_factory=dict)
    groups: list[str] = dataclasses.field(default_factory=list)

    def refuse(self, code: str, text: str) -> None:
        self.refusals.append({"code": code, "text": text})

    def warn(self, code: str, text: str) -> None:
        self.warnings.append({"code": code, "text": text})

    def step(self, name: str, text: str) -> None:
        self.mode = CHANGE
        self.steps.append({"name": name, "text": text})

    @property
    def installs(self) -> bool:
        return bool(self.steps)


def driver(vendor: str, **known: t.Any) -> dict[str, t.Any]:
    """The plan's part about the driver; options not given are empty."""
    texts = ("found", "floor_reason", "version", "kernel_modules", "repository", "source", "fabric", "text")
    return {"vendor": vendor, "floor": 0, "branch": 0, "change": False, **dict.fromkeys(texts, ""), **known}


def only_checks(facts: t.Mapping[str, t.Any], wanted: PlanOptions) -> str:
    """Why no driver is changed here; "" where one may be."""
    about = facts["system"]
    if about["wsl"]:
        return "in WSL2 the driver is that of Windows"
    if about["container"] and not wanted.container_is_host:
        return f"this is a container ({about['container']}): the driver is its host's"
    if not about["loads_modules"] and not wanted.container_is_host:
        return "this system may not load kernel modules, or has none for its kernel"
    if any(card["virtual_gpu"] for card in facts["cards"]):
        return "the card is a virtual one (vGPU), whose driver comes with that of its hypervisor"
    return "" if wanted.manage else "manage is false"


def unsupported(
    draft: Draft, facts: t.Mapping[str, t.Any], vendor: str, table: t.Mapping[str, t.Sequence[str]]
) -> bool:
    """Refuses a distribution that no packages of the vendor's are known for."""
    about = facts["system"]
    named = about["distribution"]["repository"]
    if about["architecture"] in table.get(named, ()):
        return False
    draft.refuse(
        "distribution",
        f"this collection has no packages of {vendor} for {about['distribution']['name'] or 'this system'} on {about['architecture']} "
        f"(only for {', '.join(sorted(table))}). Install its driver by hand; a run then uses it",
    )
    return True


def builds_modules(draft: Draft, facts: t.Mapping[str, t.Any], wanted: PlanOptions) -> None:
    """Requirements of a module compiled on the host: the kernel's headers, and with Secure Boot an enrolled key."""
    about = facts["system"]
    if wanted.modules_from == "dkms" and not about["headers"]:
        package = about["headers_package"] or f"headers of {about['kernel']}"
        # None: without an index of packages, the package manager must say it.
        if about["headers_candidate"] != "":
            draft.step("headers", f"install {package}, which the build of the kernel module requires")
        elif not wanted.container_is_host:
            draft.refuse(
                "no_headers",
                f"the headers of the running kernel {about['kernel']} are not installed, and no repository has them ({package}): "
                "update the kernel, and restart the host",
            )
    # Ubuntu's precompiled modules carry the signature of a key that shim knows.
    signed = wanted.modules_from == "precompiled" and about["distribution"]["repository"].startswith("ubuntu")
    if about["secure_boot"] and not signed and not any(key["enrolled"] for key in about["signing_keys"]):
        keys = about["signing_keys"]
        if any(key["enrolled"] is None for key in keys):
            draft.warn(
                "secure_boot",
                f"Secure Boot is on, and whether the key {keys[0]['path']} is enrolled cannot be read here",
            )
            return
        how = (
            f"mokutil --import {keys[0]['path']}"
            if keys
            else "make a key (update-secureboot-policy --new-key, or dkms) and mokutil --import it"
        )
        draft.refuse(
            "secure_boot",
            f"Secure Boot is on and no key of this host's is enrolled, so the kernel would not load the module: {how}, restart the "
            "host and confirm it at its console; or turn Secure Boot off",
        )
    elif about["lockdown"] == "confidentiality":
        draft.warn(
            "lockdown",
            "the kernel is locked down (confidentiality): profiling and some of the driver's features are off",
        )


def in_use(draft: Draft, facts: t.Mapping[str, t.Any], prefixes: tuple[str, ...]) -> None:
    """Refuses to take a driver from under running processes."""
    users = users_of(facts, prefixes)
    if users:
        draft.refuse("in_use", f"the driver must change, and cards are in use by {users}: stop them first")


def users_of(facts: t.Mapping[str, t.Any], prefixes: tuple[str, ...]) -> str:
    """Names of the processes that have a card open, without the driver's own services; "" for none."""
    users = [p for p in facts["processes"] if not p["of_driver"] and any(d.startswith(prefixes) for d in p["devices"])]
    named = ", ".join(f"{process['name']} ({process['pid']})" for process in users[:8])
    return named + (f" and {len(users) - 8} more" if len(users) > 8 else "")


def text_of(draft: Draft) -> list[str]:
    """The plan, a line for each thing."""
    lines = [f"accelerator: {draft.accelerator} ({draft.reason})"]
    if draft.driver.get("text"):
        lines.append(f"driver: {draft.driver['text']}")
    lines += [f"refused: {refusal['text']}" for refusal in draft.refusals]
    lines += [f"step: {step['text']}" for step in draft.steps]
    lines += [f"needs a restart of the host: {reason}" for reason in draft.reboot]
    lines += [f"warning: {warning['text']}" for warning in draft.warnings]
    if draft.torch:
        lines.append(f"PyTorch: {draft.torch['kind']}, {draft.torch['reason']}")
    return lines
