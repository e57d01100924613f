# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The one difference object."""

from __future__ import annotations

from ansible_collections.modelops.inference.plugins.module_utils._plan import Field, Plan


def test_changes_of_one_thing_are_shown_together():
    plan = Plan("service")
    plan.add("change", "install", "xinference", [Field("unit", "old", "new"), Field("key", "a", "b", secret=True)])
    plan.add("change", "restart", "xinference", [Field("active", "failed", "running")])
    plan.add("remove", "delete", "leftover")
    assert plan.diff() == {
        "before": {"xinference": {"unit": "old", "key": "********", "active": "failed"}, "leftover": {}},
        "after": {"xinference": {"unit": "new", "key": "********", "active": "running"}},
        "before_header": "service",
        "after_header": "service",
    }


def test_what_an_earlier_change_of_a_thing_shows_survives_one_that_shows_nothing():
    plan = Plan()
    plan.add("add", "install", "xinference", [Field("unit", None, "new")])
    plan.add("change", "restart", "xinference")
    assert plan.diff()["after"] == {"xinference": {"unit": "new"}}


def test_urls_are_shown_without_the_users_and_passwords_in_them():
    plan = Plan()
    before, after = "https://me:it's@mine@host/x", ["git+https://ghp_x@host/y", {"index": "https://host:80/z"}]
    change = plan.add("change", "replace", "q", [Field("packages", before, after), Field("when", 1, (2,))])
    assert str(change.fields[0]).startswith("packages https://********@host/x -> ['git+https://********@host/y'")
    assert plan.diff()["before"] == {"q": {"packages": "https://********@host/x", "when": 1}}
    masked = ["git+https://********@host/y", {"index": "https://host:80/z"}]
    assert plan.diff()["after"] == {"q": {"packages": masked, "when": [2]}}
    assert not any("mine" in line or "ghp_x" in line for line in plan.lines)
