# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which secrets of a server are replaced, by which password, and what a person is told of it: pure."""

from __future__ import annotations

import pytest

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.plugin_utils._site.host_plan import HostPlan
from ansible_collections.modelops.inference.plugins.plugin_utils._site.needs import PLAYBOOKS
from ansible_collections.modelops.inference.plugins.plugin_utils._site.refusals import refusals
from ansible_collections.modelops.inference.plugins.plugin_utils._site.rotation import Rotation
from ansible_collections.modelops.inference.plugins.plugin_utils._site.steps import DIALOGUES, Run, calls

ALL = ["client_key", "admin_password", "reconciler"]
TARGETS = [{"name": "office", "url": "http://dify.example.com"}]
PASSWORD_FILE = {"files": {"/opt/xinference/reconciler/password": {}}}


def step(name, host, run):
    """The one call of a step."""
    (call,) = calls(name, HostPlan.of(host), run, {})
    return call


@pytest.mark.parametrize(
    ("variables", "secrets", "wait"),
    [
        # In their own order, whatever the play names first.
        ({"rotate": ALL}, ["admin_password", "reconciler", "client_key"], 0),
        ({"rotate": "client_key,admin_password"}, ["admin_password", "client_key"], 0),
        ({}, [], 0),
        # Only Difys are waited for, and only before an old key ends.
        ({"rotate": "client_key", "dify_targets": TARGETS}, ["client_key"], 60),
        ({"rotate": "client_key", "dify_targets": TARGETS, "rotate_wait": "5"}, ["client_key"], 5),
        ({"rotate": "client_key", "dify_targets": TARGETS, "rotate_wait": 0}, ["client_key"], 0),
        ({"rotate": "client_key", "dify_targets": TARGETS, "rotate_revoke": "false"}, ["client_key"], 0),
        ({"rotate": "reconciler", "dify_targets": TARGETS}, ["reconciler"], 0),
    ],
)
def test_secrets_and_their_order(host, variables, secrets, wait):
    assert HostPlan.of(host(variables)).data["rotation"] == {"secrets": secrets, "wait": wait}


def refused(host, variables):
    return refusals(host(variables).settings, variables, PLAYBOOKS["rotate"])


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({}, "rotate names no secret. Set it to client_key, admin_password, reconciler or several of them"),
        ({"rotate": []}, "rotate names no secret."),
        ({"rotate": "client_key,password"}, "not one of client_key, admin_password, reconciler"),
        (
            {"rotate": "admin_pasword"},
            "'admin_pasword', not one of client_key, admin_password, reconciler (did you mean admin_password?).",
        ),
        (
            {"rotate": "client_key", "xinference_client_key": "sk-s3crettoken1234"},
            "the new key is stored in /opt/xinference/secrets/client_key. Nothing was changed.",
        ),
    ],
)
def test_a_wrong_rotation_is_refused_by_one_sentence(host, variables, words):
    (said,) = refused(host, variables)
    assert words in said and "s3crettoken" not in said


def test_a_key_of_the_inventory_is_no_matter_of_other_secrets(host):
    assert refused(host, {"rotate": "admin_password", "xinference_client_key": "sk-s3crettoken1234"}) == []


@pytest.mark.parametrize("name", ["admin_password", "reconciler_password", "key_begun", "key_finished"])
def test_a_secret_that_is_not_named_is_left_alone(host, name):
    mine = {"admin_password": "admin_password", "reconciler_password": "reconciler"}.get(name, "client_key")
    others = [each for each in ALL if each != mine]
    assert calls(name, HostPlan.of(host({"rotate": others}, found=PASSWORD_FILE)), Run(), {}) == []
    assert calls(name, HostPlan.of(host({"rotate": mine}, found=PASSWORD_FILE)), Run(), {}) != []


@pytest.mark.parametrize(
    ("variables", "check_mode", "changed", "password"),
    [
        ({"xinference_admin_password": "new"}, False, True, "new"),
        # The server still has the old one.
        ({"xinference_admin_password": "new", "rotate_old_admin_password": "old"}, True, True, "old"),
        ({"xinference_admin_password": "new", "rotate_old_admin_password": "old"}, True, False, "new"),
        ({"xinference_admin_password": "new"}, True, True, None),
    ],
)
def test_by_which_password_a_key_is_rotated(host, variables, check_mode, changed, password):
    run = Run({"xinference_password_result": {"changed": changed}}, check_mode)
    options = step("key_begun", host({"rotate": "client_key", **variables}), run).options
    assert options.get("password") == password
    assert (options.get("password_file") is None) == (password is not None)


# --- the old key -------------------------------------------------------------------------------------------------------


BEGUN = {"xinference_key_result": {"old": ["sk-old4"], "since": "2026-11-22 10:47:06"}}


def test_the_old_key_ends_unless_somebody_may_have_it(host):
    rotated = host({"rotate": "client_key"})
    call = step("key_finished", rotated, Run(BEGUN))
    assert call.options["state"] == "finished" and call.options["path"] == "/opt/xinference/secrets/client_key"
    held = {"dify_key_result": {"holders": {"gpu01": "gpu01: the old key stays"}}}
    with pytest.raises(ModelopsError, match="^gpu01: the old key stays$"):
        step("key_finished", rotated, Run({**BEGUN, **held}))
    assert step("key_finished", host({"rotate": "client_key", "rotate_revoke": False}), Run(BEGUN)).module == ""
    assert step("key_finished", rotated, Run(BEGUN, check_mode=True)).module == ""


def test_dify_reads_the_new_key_by_the_result(host):
    told = step("key_begun", host({"rotate": "client_key"}), Run()).told
    assert told == {"cluster": "gpu01", "api_key_file": "/opt/xinference/secrets/client_key"}


# --- what a person is told ---------------------------------------------------------------------------------------------

SINCE = {"since": "2026-11-22 10:47:06"}
#: Step, its result, check mode, and the text.
SAID = [
    (
        "key_finished",
        {**SINCE, "old": []},
        False,
        "the client key of cluster gpu01 exists since 2026-11-22 10:47:06 (UTC)",
    ),
    (
        "key_finished",
        {**SINCE, "old": ["sk-old4"]},
        False,
        "the client key of cluster gpu01 exists since 2026-11-22 10:47:06 (UTC) and the old one is still valid",
    ),
    (
        "key_finished",
        {**SINCE, "old": ["sk-old4"]},
        True,
        "the client key of cluster gpu01 would be replaced; it exists since 2026-11-22 10:47:06 (UTC)",
    ),
    ("key_finished", {"old": []}, False, ""),
    (
        "admin_password",
        {**SINCE, "changed": True},
        False,
        "the administrator's password of cluster gpu01 was replaced (on the host since 2026-11-22 10:47:06 UTC)",
    ),
    ("admin_password", {"changed": True}, True, "the administrator's password of cluster gpu01 would be replaced"),
    (
        "admin_password",
        {"changed": False},
        False,
        "the administrator's password of cluster gpu01 is already the one of the inventory",
    ),
    (
        "reconciler_password",
        SINCE,
        False,
        "the reconciler of cluster gpu01 got a new password, which exists since 2026-11-22 10:47:06 (UTC)",
    ),
    (
        "reconciler_password",
        SINCE,
        True,
        "the reconciler of cluster gpu01 would get a new password; its current one exists since 2026-11-22 10:47:06 (UTC)",
    ),
]


@pytest.mark.parametrize(("name", "result", "check", "text"), SAID)
def test_a_person_is_told_since_when_a_secret_exists(host, name, result, check, text):
    call = step(name, host({"rotate": ALL}, found=PASSWORD_FILE), Run(check_mode=check))
    assert call.says(result) == (f"gpu01: {text}" if text else "")


def test_a_host_without_a_reconciler_says_so(host):
    call = step("reconciler_password", host({"rotate": ALL}), Run())
    assert call.module == "" and "has no password: models_reconcile is off" in call.says({})


def test_revoking_is_the_default(host):
    assert Rotation.of(host({"rotate": "client_key"}).settings).revokes
    assert not Rotation.of(host({"rotate": "client_key", "rotate_revoke": "no"}).settings).revokes


def test_the_play_waits_as_long_as_the_server_that_waits_longest(host):
    """The first host of the play may have no Dify, and its pause is that of all."""
    asked = [("bare", {}), ("head", {"dify_targets": TARGETS}), ("other", {"dify_targets": TARGETS, "rotate_wait": 90})]
    plans = {name: HostPlan.of(host({"rotate": "client_key", **more})).data for name, more in asked}
    hosts = {name: {"xinference_found": {"plan": plan}} for name, plan in plans.items()}
    hosts["unread"] = {"xinference_found": {"msg": "refused"}}

    def waits(*names, **more):
        run = Run({"hostvars": hosts, "ansible_play_hosts": names}, **more)
        dialogue = DIALOGUES["key_waits"](HostPlan.of(host({"rotate": "client_key"})), run)
        return sum(call.delay for call in dialogue)

    assert waits("bare", "head") == 60
    assert waits("bare", "other", "head", "unread") == 90
    assert waits("bare") == waits("unread") == 0
    assert waits("bare", "head", check_mode=True) == 0
