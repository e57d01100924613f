# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""All facts about the accelerators of a host, read once. Private to the collection."""

from __future__ import annotations

import json
import re
import time
import typing as t
from dataclasses import asdict

from ansible_collections.modelops.inference.plugins.module_utils._accelerator import (
    amd,
    apt_sources,
    ascend,
    compute,
    kernel_log,
    nvidia,
    packages,
    pci,
    processes,
    products,
    system,
)
from ansible_collections.modelops.inference.plugins.module_utils._accelerator.host import HostAccess
from ansible_collections.modelops.inference.plugins.module_utils._accelerator.installations import installations

# The record of the role accelerator: packages, holds and proofs.
RECORD = "/var/lib/modelops/accelerator.json"
# Keys of every card, whatever its source.
_UNKNOWN: dict[str, t.Any] = {
    "index": None,
    "name": "",
    "uuid": "",
    "memory_bytes": None,
    "free_bytes": None,
    "capability": "",
    "generation": "",
    "fabric": "",
    "mig_capable": False,
    "mig": {"enabled": None, "pending": None, "instances": []},
    "persistence": None,
    "ecc": None,
    "uncorrected_errors": 0,
    "reset_required": False,
    "healthy": True,
    "fabric_state": "",
    "answers": None,
    "virtual_gpu": False,
}


def read(host: HostAccess, users_record: str = "") -> dict[str, t.Any]:
    """See RETURN of the module accelerator_info, key ``facts``.

    :param users_record: the record's file where this is not root, who installs nothing; "" for none.
    """
    found = base(host)
    about = found.pop("system")
    present = {card["vendor"] for card in found["cards"]}
    known = packages.packages(host)
    driven = bool(present) and not about["container"]
    headers = {"package": "", "candidate": ""}
    if driven and about["loads_modules"] and not about["headers"]:
        headers = packages.headers(host, about["distribution"]["repository"], about["kernel"])
    record_path = RECORD if about["root"] else users_record
    record = _record(host, record_path)
    sources = apt_sources.sources(host, about["architecture"])
    named = {repository: codename for codename, repository in products.CODENAMES.items()}
    log = kernel_log.events(host) if present else {"readable": False, "events": []}
    return {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "system": {**about, "headers_package": headers["package"], "headers_candidate": headers["candidate"]},
        "cpu": compute.cpu(host),
        "memory": compute.memory(host),
        **found,
        "packages": known,
        "sources": [asdict(source) for source in sources],
        "archive": apt_sources.archive(sources, named.get(about["distribution"]["repository"], "")),
        "record": record,
        "record_path": record_path,
        "installations": installations(host, record.get("asked", [])),
        "log": log,
        "processes": processes.processes(host) if any(found[v]["nodes"] for v in present) else [],
    }


def base(host: HostAccess) -> dict[str, t.Any]:
    """The facts that decide the host's build of PyTorch (plan.torch)."""
    found, about = devices(host), system.system(host)
    if about["container"]:
        # The bus is the host's, and shows what other containers were given.
        found["cards"] = [card for card in found["cards"] if card["answers"] is not False]
    return {"system": about, **found, "vendors": vendors(found)}


def _record(host: HostAccess, path: str) -> dict[str, t.Any]:
    try:
        record = json.loads((path and host.read(path)) or "{}")
    except ValueError:  # cut off: then nothing is known to be the role's
        return {}
    return record if isinstance(record, dict) else {}


def devices(host: HostAccess) -> dict[str, t.Any]:
    """``cards`` and ``switches``, and what each vendor's driver says, by vendor. Programs start only where there is a device."""
    on_bus = pci.devices(host)
    rows = [dict(device) for device in on_bus if device["kind"] == "gpu"]
    has = {vendor: any(row["vendor"] == vendor for row in rows) for vendor in products.VENDORS.values()}
    nvidia_driver = nvidia.driver(host, has[products.NVIDIA] or host.exists("/proc/driver/nvidia"))
    amd_driver = amd.driver(host)
    ascend_driver = ascend.driver(host)
    # Without its driver a vendor's tool only says that there is none.
    windows = host.exists("/dev/dxg") and host.exists("/usr/lib/wsl/lib/nvidia-smi")
    said = nvidia.query(host) if nvidia_driver["loaded"] or nvidia_driver["nodes"] or windows else _silent()
    amd_said = amd.query(host) if "/dev/kfd" in amd_driver["nodes"] else _silent()
    ascend_said = ascend.query(host) if ascend_driver["nodes"] else _silent()
    targets = amd.targets(host) if amd_driver["loaded"] else {}
    cards = [
        *_nvidia_cards(host, rows, said),
        *_amd_cards(host, rows, amd_said, targets),
        *_ascend_cards(rows, ascend_said),
    ]
    return {
        "cards": cards,
        "switches": [device for device in on_bus if device["kind"] == "switch"],
        products.NVIDIA: {
            **nvidia_driver,
            "driver": nvidia_driver["loaded"] or said["driver"],
            **_tool(said),
            "cuda": said["cuda"],
        },
        products.AMD: {**amd_driver, "driver": amd_driver["loaded"], **_tool(amd_said)},
        products.ASCEND: {**ascend_driver, **_tool(ascend_said)},
    }


def vendors(found: t.Mapping[str, t.Any]) -> list[str]:
    """Vendors that this host can compute with. Many a processor has an AMD display controller: those do not count.

    A container may hide the bus; then its device nodes tell.
    """
    of_cards = {card["vendor"] for card in found["cards"]}
    of_nodes = {vendor for vendor in products.VENDORS.values() if products.reached(found[vendor], vendor)}
    return sorted({card["vendor"] for card in found["cards"] if card["computes"]} | (of_nodes - of_cards))


def gpus(found: t.Mapping[str, t.Any]) -> list[dict[str, t.Any]]:
    """The cards that their driver lists, as the module xinference_models takes them (option ``devices``)."""
    return [
        {
            "vendor": card["vendor"],
            "index": card["index"],
            "name": card["name"],
            "memory_bytes": card["memory_bytes"],
            "free_bytes": card["free_bytes"],
            "driver": found[card["vendor"]]["driver"],
            "compute_capability": card["capability"],
        }
        for card in found["cards"]
        if card["answers"] and card["index"] is not None
    ]


def _silent() -> dict[str, t.Any]:
    return {"tool": False, "error": "", "driver": "", "cuda": "", "cards": {}}


def _tool(said: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    return {"tool": bool(said["tool"]), "tool_error": said["error"]}


def _joined(rows: t.Iterable[dict[str, t.Any]], vendor: str, said: t.Mapping[str, t.Any]) -> list[dict[str, t.Any]]:
    """The vendor's devices with what its tool says of each; those that only the tool knows (WSL2) stand behind them."""
    cards = []
    listed = dict(said["cards"])
    for row in rows:
        if row["vendor"] == vendor:
            told = listed.pop(row["address"], None)
            # None where nobody could be asked: a tool that failed says nothing of any single card.
            answers = told is not None if said["tool"] and not said["error"] else None
            device = row["id"]
            cards.append({**_UNKNOWN, **row, **(told or {}), "id": device, "answers": answers})
    for address, told in listed.items():
        bare = dict(vendor=vendor, kind="gpu", address=address, id="", subsystem="", driver="", numa_node=None)
        cards.append(
            {**_UNKNOWN, **bare, "class": "", "virtual_function": False, "alive": True, **told, "answers": True}
        )
    return cards


def _nvidia_cards(
    host: HostAccess, rows: t.Iterable[dict[str, t.Any]], said: t.Mapping[str, t.Any]
) -> list[dict[str, t.Any]]:
    cards = _joined(rows, products.NVIDIA, said)
    for card in cards:
        device = card["id"].partition(":")[2]
        known = products.nvidia_card(device) if re.fullmatch(r"[0-9a-f]{4}", device) else None
        card["computes"] = True
        if known:
            card.update(generation=known.generation, fabric=known.fabric, mig_capable=known.mig)
            card["capability"] = known.capability or (nvidia.capability(host, device) if card["answers"] else "")
        # A card that can be divided says so itself, whatever the table knows.
        card["mig_capable"] = card["mig_capable"] or card["mig"]["enabled"] is not None
    return cards


def _amd_cards(
    host: HostAccess,
    rows: t.Iterable[dict[str, t.Any]],
    said: t.Mapping[str, t.Any],
    targets: t.Mapping[str, dict[str, t.Any]],
) -> list[dict[str, t.Any]]:
    cards = _joined(rows, products.AMD, said)
    for card in cards:
        known = targets.get(card["address"], {})
        total, free = amd.vram(host, card["address"])
        device = card["id"].partition(":")[2]
        card["generation"] = known.get("target") or products.AMD_TARGETS.get(device, "")
        card["name"] = card["name"] or host.read(f"{pci.DEVICES}/{card['address']}/product_name")
        card["memory_bytes"] = card["memory_bytes"] or total or known.get("memory_bytes")
        card["free_bytes"] = free
        # A graphics processor inside the CPU has a target, too, but is in no list of ROCm's.
        targets_of_rocm = (*products.AMD_SUPPORTED, *products.AMD_DROPPED)
        card["computes"] = card["class"] == "1200" or card["generation"] in targets_of_rocm
    return cards


def _ascend_cards(rows: t.Iterable[dict[str, t.Any]], said: t.Mapping[str, t.Any]) -> list[dict[str, t.Any]]:
    cards = _joined(rows, products.ASCEND, said)
    for card in cards:
        card["generation"] = products.ASCEND_CHIPS.get(card["id"].partition(":")[2], "")
        # Huawei's servers have a display controller of Huawei's for their console.
        card["computes"] = card["class"] in ("1200", "")
    return cards
