# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The kernel's messages about cards since its start. Private to the collection."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._accelerator import pci, products
from ansible_collections.modelops.inference.plugins.module_utils._accelerator.host import HostAccess

WORDS = r"NVRM|nvidia-nvswitch|amdgpu|davinci|devdrv"
# NVRM: Xid (PCI:0000:1b:00): 79, pid=..., GPU has fallen off the bus.   nvidia-nvswitch0: SXid (PCI:0000:84:00.0): 20034, ...
_XID = re.compile(r"\b(S?Xid) \(PCI:([0-9a-fA-F:.]+)\): (\d+),?\s*(.*)")
_MISMATCH = re.compile(r"NVRM: API mismatch: .*")
_UNSUPPORTED = re.compile(
    r"NVRM: The NVIDIA (?:probe routine|GPU) ([0-9a-fA-F:.]+).*(?:not supported|ignored|legacy).*"
)
_INIT_FAILED = re.compile(r"NVRM: GPU ([0-9a-fA-F:.]+): RmInitAdapter failed!.*")
_AMD = re.compile(
    r"amdgpu ([0-9a-fA-F:.]+): .*?((?:\d+ )?uncorrectable hardware errors? detected|GPU reset begin|ring \S+ timeout|GPU is lost).*"
)


def events(host: HostAccess) -> dict[str, t.Any]:
    """``readable`` and ``events``: one row for each kind, code and card, with the last text and how often it stands there."""
    answer = host.run("dmesg", "--notime", timeout=10)
    text = answer.text if answer.ok else ""
    # Its ring overwrites the oldest lines; the journal still has them.
    if "Linux version" not in text:
        journal = host.run("journalctl", "-k", "-b", "-q", "-o", "cat", "--no-pager", f"--grep={WORDS}", timeout=10)
        text = journal.text if journal.ok and journal.text else text
    rows: dict[tuple[str, int, str], dict[str, t.Any]] = {}
    for line in text.splitlines():
        found = _event(line)
        if found:
            row = rows.setdefault((found["kind"], found["code"], found["address"]), {**found, "count": 0})
            row.update(text=found["text"], count=row["count"] + 1)
    return {"readable": answer.ok or bool(text), "events": list(rows.values())}


def _event(line: str) -> dict[str, t.Any] | None:
    xid = _XID.search(line)
    if xid:
        kind, where, code, rest = xid.groups()
        text = products.XIDS.get(int(code), "") if kind == "Xid" else "an NVSwitch error"
        serious = kind == "SXid" or int(code) in products.XIDS
        return _row(products.NVIDIA, kind.lower(), int(code), where, text or rest.strip(), serious)
    for pattern, kind in ((_UNSUPPORTED, "unsupported"), (_INIT_FAILED, "start_failed")):
        found = pattern.search(line)
        if found:
            return _row(products.NVIDIA, kind, 0, found.group(1), found.group(0)[:200], True)
    found = _MISMATCH.search(line)
    if found:
        return _row(products.NVIDIA, "mismatch", 0, "", found.group(0)[:200], True)
    found = _AMD.search(line)
    return _row(products.AMD, "amdgpu", 0, found.group(1), found.group(2), True) if found else None


def _row(vendor: str, kind: str, code: int, where: str, text: str, serious: bool) -> dict[str, t.Any]:
    return {
        "vendor": vendor,
        "kind": kind,
        "code": code,
        "address": pci.address(where),
        "text": text,
        "serious": serious,
    }
