# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Properties of any host with NVIDIA cards: a plan is done or refused, keeps to what the cards can, and done leaves nothing."""

from __future__ import annotations

import copy
import tempfile
from pathlib import Path

import machines
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.modelops.inference.plugins.module_utils._accelerator import (
    facts,
    plan,
    plan_nvidia,
    products,
    versions,
)
from ansible_collections.modelops.inference.plugins.module_utils._accelerator.draft import PlanOptions

DEVICES = [
    "102d",
    "1b80",
    "1db5",
    "1eb8",
    "20b2",
    "26b9",
    "2330",
    "2342",
    "2901",
    "2b85",
    "2e12",
    "2941",
    "31c2",
    "3500",
]
VERSIONS = [
    "",
    "470.256.02",
    "535.183.01",
    "550.163.01",
    "570.172.08",
    "580.95.05",
    "595.58.03",
    "620.10.01",
    "1010.1.1",
]


@st.composite
def hosts(draw):
    cards = draw(st.lists(st.sampled_from(DEVICES), min_size=1, max_size=3))
    driver = draw(st.sampled_from(VERSIONS))
    library = draw(st.sampled_from([driver, *VERSIONS]))
    return {
        # Without these the driver came by NVIDIA's installer.
        "packages": {"installed": {"nvidia-utils": f"{library or '1'}-1"} if draw(st.integers(0, 3)) else {}},
        "system": {
            "os": draw(st.sampled_from(["debian12", "ubuntu2404", "arch"])),
            "headers": draw(st.booleans()),
            "nouveau": draw(st.booleans()),
            "secure_boot": draw(st.integers(0, 1)),
            "key": draw(st.sampled_from(["enrolled", "not"])),
            **draw(st.sampled_from([{}, {}, {}, {"container": "docker"}])),
        },
        "cards": [{"id": f"10de:{device}", "at": 8 * index, "driver": "nvidia"} for index, device in enumerate(cards)],
        "switches": draw(st.sampled_from([0, 4])),
        "nvidia": {
            "driver": driver,
            "flavor": draw(st.sampled_from(["open", "proprietary"])),
            "installed": draw(st.sampled_from([driver, *VERSIONS])),
            "library": library,
        },
        "processes": draw(st.sampled_from([[], [{"pid": 7, "name": "vllm", "devices": ["nvidia0"]}]])),
    }


def wishes():
    return st.builds(
        PlanOptions,
        branch=st.sampled_from(["", "", "535", "580", "580.95.05", "595", "620"]),
        kernel_modules=st.sampled_from(["auto", "auto", "open", "proprietary"]),
        source=st.sampled_from(["auto", "auto", "distribution", "vendor"]),
        cuda=st.sampled_from([0, 0, 12, 13]),
        torch=st.sampled_from(["auto", "auto", "default", "cpu", "cu118", "cu126", "cu128"]),
        manage=st.booleans(),
        hold=st.booleans(),
    )


def done(found, planned):
    """The facts after the plan's steps, and a restart where it asks for one."""
    after = copy.deepcopy(found)
    names, driver, nvidia = [step["name"] for step in planned["steps"]], planned["driver"], after["nvidia"]
    if "driver" in names:
        version = driver["version"] or f"{driver['branch']}.1.1"
        nvidia.update(installed=version, library=version, installed_flavor=driver["kernel_modules"])
        after["packages"]["driver"] = {
            "nvidia-kernel-open-dkms": f"{version}-1",
            "nvidia-fabricmanager": f"{version}-1",
        }
    if "driver" in names or "reload" in names or "load" in names or planned["reboot"]:
        loaded = nvidia["installed"] or nvidia["loaded"]
        nvidia.update(loaded=loaded, loaded_flavor=nvidia["installed_flavor"] or nvidia["loaded_flavor"], driver=loaded)
        after["system"]["nouveau"]["loaded"] = False
    after["system"]["nouveau"]["kept_off"] |= "nouveau_off" in names
    after["system"]["headers"] |= "headers" in names
    nvidia["persistence_daemon"] |= "persistence" in names
    if "fabric_manager" in names:
        # Without a source there is no package of it, and beside a driver that stays only its own version will do.
        assert driver["source"] and (
            "driver" in names or versions.numbers(driver["version"]) == versions.numbers(nvidia["installed"])
        )
        version = driver["version"] or nvidia["installed"]
        after["packages"]["driver"]["nvidia-fabricmanager"] = f"{version}-1"
        nvidia["fabric_manager"] = True
    if "hold" in names:
        after["packages"]["held"] = sorted(after["packages"]["driver"])
        after["record"] = {"held": after["packages"]["held"]}
    after["processes"] = []
    return after


@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(hosts(), wishes())
def test_a_plan(about, wanted):
    with tempfile.TemporaryDirectory() as root:
        found = facts.read(machines.Machine(Path(root), about).host)
    planned = plan.plan(found, wanted)
    assert planned["mode"] in ("none", "check", "change", "refused")
    assert (planned["mode"] == "refused") == bool(planned["refusals"])
    assert (planned["mode"] == "change") == bool(planned["steps"])
    assert all(row["text"] and "None" not in row["text"] for row in planned["refusals"] + planned["warnings"])
    if planned["mode"] == "refused":
        assert planned["steps"] == planned["reboot"] == []
        return
    if planned["accelerator"] == "none":
        assert (planned["steps"], planned["torch"]["kind"]) == ([], "cpu")
        return
    kinds = [products.GENERATIONS[card["generation"]] for card in found["cards"] if not plan_nvidia.too_old(card)]
    branch = planned["driver"]["branch"]
    assert all(kind.first_branch <= branch and (kind.last_branch or branch) >= branch for kind in kinds)
    assert branch >= products.CUDA_FLOORS[planned["torch"]["cuda"]]
    assert all((kind.last_cuda or 99) >= planned["torch"]["cuda"] for kind in kinds)
    named = "" if wanted.cuda else wanted.torch
    build = named if products.cuda_version(named)[0] else products.TORCH_CUDA[planned["torch"]["cuda"]]
    assert wanted.torch == "cpu" or all(kind.first_cuda <= products.cuda_version(build) for kind in kinds)
    if planned["mode"] == "check":
        return
    modules = planned["driver"]["kernel_modules"]
    assert not (modules == "open" and any(kind.open_modules == products.OPEN_IMPOSSIBLE for kind in kinds))
    assert not (modules == "proprietary" and any(kind.open_modules == products.OPEN_REQUIRED for kind in kinds))
    again = plan.plan(done(found, planned), wanted)
    assert (again["refusals"], again["steps"], again["reboot"]) == ([], [], []), again["lines"]
    assert versions.same(again["driver"]["found"], again["driver"]["version"] or str(again["driver"]["branch"]))
