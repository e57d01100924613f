# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where NVIDIA's driver comes from: the distribution's own archive or NVIDIA's repository."""

from __future__ import annotations

import machines
import pytest

from ansible_collections.modelops.inference.plugins.module_utils._accelerator import facts, plan
from ansible_collections.modelops.inference.plugins.module_utils._accelerator.draft import PlanOptions


@pytest.fixture
def planned(tmp_path):
    def plan_for(os="debian12", **wanted):
        machine = machines.build(
            tmp_path / "-".join([os, *map(str, wanted)]), "h100_bare", {"system": {"os": os}, "switches": 0}
        )
        return plan.plan(facts.read(machine.host), PlanOptions(**wanted))

    return plan_for


@pytest.mark.parametrize(
    "os, wanted, source, branch, cuda",
    [
        ("debian12", {}, "vendor", 580, 13),
        ("debian12", {"cuda": 12, "branch": "535"}, "distribution", 535, 12),
        ("debian12", {"cuda": 12, "branch": "535", "source": "vendor"}, "vendor", 535, 12),
        ("debian12", {"source": "distribution"}, "distribution", 535, 12),
        ("ubuntu2404", {}, "distribution", 580, 13),
        ("ubuntu2404", {"source": "distribution"}, "distribution", 580, 13),
        # Ubuntu's packages of earlier branches bring 580.
        ("ubuntu2404", {"branch": "570"}, "vendor", 570, 12),
        ("ubuntu2404", {"branch": "535"}, "vendor", 535, 12),
        ("ubuntu2404", {"branch": "595"}, "distribution", 595, 13),
        ("ubuntu2404", {"branch": "615"}, "distribution", 615, 13),
        ("ubuntu2404", {"branch": "615", "kernel_modules": "proprietary"}, "vendor", 615, 13),
        # An exact version is to be had where all of them are kept.
        ("ubuntu2404", {"branch": "580.95.05"}, "vendor", 580, 13),
        ("rocky9", {}, "vendor", 580, 13),
    ],
)
def test_source(planned, os, wanted, source, branch, cuda):
    made = planned(os, **wanted)
    assert made["refusals"] == []
    assert (made["driver"]["source"], made["driver"]["branch"], made["torch"]["cuda"]) == (source, branch, cuda)


@pytest.mark.parametrize(
    "os, wanted, words",
    [
        ("debian12", {"source": "distribution", "cuda": 13}, "(bookworm) itself has no driver of 580 or later"),
        ("debian12", {"source": "distribution", "branch": "580"}, "(bookworm) itself has no driver 580, but 535"),
        ("ubuntu2404", {"source": "distribution", "branch": "570"}, "itself has no driver 570, but 580, 595, 615"),
        ("rocky9", {"source": "distribution"}, "Rocky Linux 9.6 itself has no driver of 580 or later"),
    ],
)
def test_a_distribution_that_does_not_have_it(planned, os, wanted, words):
    refusals = planned(os, **wanted)["refusals"]
    assert [refusal["code"] for refusal in refusals] == ["not_offered"]
    assert words in refusals[0]["text"]


def test_a_distribution_that_lacks_what_the_fabric_needs(tmp_path):
    found = facts.read(machines.build(tmp_path, "b200").host)
    [refusal] = plan.plan(found, PlanOptions(source="distribution"))["refusals"]
    assert "no driver 580 with NVLink's subnet manager (nvlsm), but 580" in refusal["text"]


def test_a_branch_that_ended_is_no_default_and_is_said_where_the_distribution_has_no_other(planned):
    assert not [w for w in planned()["warnings"] if w["code"] == "branch_ended"]
    warnings = planned(source="distribution")["warnings"]
    assert [w["text"] for w in warnings if w["code"] == "branch_ended"] == [
        "driver branch 535 has had no fixes from NVIDIA since 2026-06: use 580"
    ]


def test_a_driver_that_may_not_change_and_has_left_a_card_behind(tmp_path):
    machine = machines.build(tmp_path, "v100", {"nvidia": {"driver": "595.58.03"}})
    made = plan.plan(facts.read(machine.host), PlanOptions(manage=False))
    assert [refusal["code"] for refusal in made["refusals"]] == ["driver_too_new"]
