# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Differences in few lines: none of them tells less than the plan and the files that exist."""

from __future__ import annotations

import pytest

from ansible_collections.modelops.inference.plugins.module_utils._plan import Field, Plan
from ansible_collections.modelops.inference.plugins.plugin_utils._short_diff import shortened


def of_plan(*changes):
    plan = Plan("unit")
    for sign, verb, name, *fields in changes:
        plan.add(sign, verb, name, [Field(*field) for field in fields])
    return plan.diff(), plan.lines


def test_new_and_removed_things_are_lines_of_the_plan():
    diff, plan = of_plan(("add", "write", "/a", ("content", None, "x\n" * 90)), ("remove", "remove", "/b"))
    assert shortened(diff, plan) == (["+ write /a", "- remove /b"], [])


def test_short_values_of_a_change_are_in_its_line():
    diff, plan = of_plan(("change", "activate", "current", ("release", None, "4.1.0")))
    assert shortened([diff], plan) == (["~ activate current (release none -> 4.1.0)"], [])


@pytest.mark.parametrize("value", ["a\nb", "x" * 61, {"a": 1}, ["a"]])
def test_other_values_of_a_change_stay_in_full(value):
    diff, plan = of_plan(("add", "write", "/new"), ("change", "rewrite", "/a", ("content", "old", value)))
    lines, rest = shortened(diff, plan)
    assert lines == plan
    assert [(each["before"], each["after"]) for each in rest] == [
        ({"/a": {"content": "old"}}, {"/a": {"content": value}})
    ]


@pytest.mark.parametrize(
    ("before", "after", "lines", "stays"),
    [
        ("", "line\n" * 6, ["+ write /x/sheet"], False),
        ("", "line\n" * 5, [], True),
        ("old\n", "line\n" * 90, [], True),
        ({}, {"a": {}}, [], True),  # of a module that has no plan
    ],
)
def test_files(before, after, lines, stays):
    diff = {"before": before, "after": after, "before_header": "/x/sheet", "after_header": "/x/sheet"}
    assert shortened(diff, []) == (lines, [diff] if stays else [])
    if lines:
        assert shortened([diff], ["+ write /x/sheet"]) == (["+ write /x/sheet"], [])


@pytest.mark.parametrize(
    "diff",
    [
        "a text",
        {"prepared": "a difference"},
        # Files that exist, of which copy tells no more.
        {"dst_larger": 104448, "after": "line\n" * 90, "after_header": "/x"},
        {"dst_binary": 1, "after": "line\n" * 90, "after_header": "/x"},
    ],
)
def test_other_forms_of_a_difference_stay_as_they_are(diff):
    assert shortened(diff, []) == shortened([diff], []) == ([], [diff])
