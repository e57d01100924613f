# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Decisions without a server: refusals, comparison, the plan."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.modelops.inference.plugins.module_utils._address import is_loopback
from ansible_collections.modelops.inference.plugins.module_utils._dify.api.releases import rules_of
from ansible_collections.modelops.inference.plugins.module_utils._dify.models import (
    declared_models,
    model_plan,
    ownership,
)
from ansible_collections.modelops.inference.plugins.module_utils._dify.models.declared_models import (
    KEEP,
    ActualModel,
    DeclaredModel,
    masked,
    same,
)
from ansible_collections.modelops.inference.plugins.module_utils._dify.models.model_plan import (
    Policy,
    decide,
    must_be_offered,
    superfluous,
)
from ansible_collections.modelops.inference.plugins.module_utils._dify.models.provider_models import full_name

OLD, NEW = rules_of("1.7.2"), rules_of("1.9.2")
WANTED = DeclaredModel("chat", "llm", "http://10.1.2.3:9997", "qwen3", "sk-0123456789ab", credential_name="ours")
STORED = {
    "server_url": "http://10.1.2.3:9997",
    "model_uid": "qwen3",
    "invoke_timeout": "60",
    "max_retries": "3",
    "api_key": "sk-012************ab",
    "context_length": 32768,
    "completion_type": "chat",
}
REGISTERED = ActualModel(STORED, "id-1", "ours", (("id-1", "ours"),), status="active")


def kinds(wanted, actual, release=NEW, update_secret="when_changed"):
    step, fields = decide(wanted, actual, release, Policy(update_secret))
    return (step.kind if step else None), [field.name for field in fields]


def test_nothing_to_do():
    assert kinds(WANTED, REGISTERED) == (None, [])
    assert kinds(WANTED, ActualModel(STORED, status="active"), OLD) == (None, [])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("server_url", "http://10.1.2.4:9997"),
        ("model_uid", "other"),
        ("invoke_timeout", "61"),
        ("max_retries", "4"),
        ("api_key", "sk-0123456789xy"),
    ],
)
@pytest.mark.parametrize("release", [OLD, NEW])
def test_one_field_differs(field, value, release):
    actual = REGISTERED if release is NEW else ActualModel(STORED, status="active")
    wanted = replace(WANTED, **{field: value})
    step, fields = decide(wanted, actual, release, Policy())
    assert step.kind == "update"
    assert [item.name for item in fields] == [field]
    assert step.credential_id == actual.credential_id
    assert step.fields["api_key"] == (value if field == "api_key" else KEEP)


def test_last_slash_of_the_url_does_not_count():
    assert kinds(WANTED, replace(REGISTERED, stored={**STORED, "server_url": "http://10.1.2.3:9997/"})) == (None, [])


def test_masked_url_is_compared_by_its_mask():
    for shown in ("http:/************97", "http:/************7/"):
        assert kinds(WANTED, ActualModel({**STORED, "server_url": shown}, status="active"), OLD) == (None, [])
    other = ActualModel({**STORED, "server_url": "http:/************98"}, status="active")
    assert kinds(WANTED, other, OLD) == ("update", ["server_url"])


@pytest.mark.parametrize(
    ("value", "shown"), [("12345678", "*" * 20), ("123456789", "123456************89"), ("a", "*" * 20)]
)
def test_mask(value, shown):
    assert masked(value) == shown
    assert same("api_key", value, shown)
    assert not same("api_key", value, None)


def test_policies_of_the_secret():
    other = replace(WANTED, api_key="sk-9999999999zz")
    assert kinds(other, REGISTERED) == ("update", ["api_key"])
    assert kinds(other, REGISTERED, update_secret="on_create") == (None, [])
    assert kinds(WANTED, REGISTERED, update_secret="always") == ("update", ["api_key"])
    without = replace(WANTED, api_key=None)
    assert kinds(without, REGISTERED, update_secret="always") == (None, [])


def test_no_stored_key_is_not_kept():
    """Dify would store the word that means "keep" where there is nothing to keep."""
    stored = {name: value for name, value in STORED.items() if name != "api_key"}
    wanted = replace(WANTED, api_key=None, max_retries="9")
    step = decide(wanted, replace(REGISTERED, stored=stored), NEW, Policy())[0]
    assert "api_key" not in step.fields


def test_fields_that_an_old_provider_does_not_have():
    stored = {name: STORED[name] for name in ("server_url", "model_uid", "api_key")}
    assert kinds(WANTED, ActualModel(stored, status="active"), rules_of("0.9.0")) == (None, [])


def test_create_or_attach():
    assert kinds(WANTED, ActualModel())[0] == "create"
    step = decide(WANTED, ActualModel(available=(("id-2", "API KEY 1"), ("id-1", "ours"))), NEW, Policy())[0]
    assert (step.kind, step.credential_id) == ("attach", "id-1")
    elsewhere = {**STORED, "server_url": "http://10.9.9.9:9997"}
    others = ActualModel(available=(("id-2", "API KEY 1"), ("id-3", "x")), inactive={"id-2": elsewhere, "id-3": STORED})
    step = decide(WANTED, others, NEW, Policy())[0]
    assert (step.kind, step.credential_id) == ("attach", "id-3")
    another = {**STORED, "model_uid": "other"}
    step = decide(WANTED, replace(others, inactive={"id-2": elsewhere, "id-3": another}), NEW, Policy())[0]
    assert (step.kind, step.credential_id) == ("create", None)
    # A key that is there stays where none is given.
    step = decide(replace(WANTED, api_key=None), others, NEW, Policy())[0]
    assert step.fields["api_key"] == KEEP
    # Listed with a dead credential's values (Dify 1.8 to 1.12 after its active credential was removed).
    zombie = ActualModel(STORED, None, None, (("id-2", "API KEY 1"),), {"id-2": STORED}, "active")
    assert kinds(WANTED, zombie)[0] == "attach"


def test_policies_of_a_registered_model():
    piled = replace(REGISTERED, available=(("id-1", "ours"), ("id-2", "API KEY 1"), ("id-3", "ours")))
    step, fields = decide(WANTED, piled, NEW, Policy())
    assert (step.kind, step.superfluous, fields) == ("keep", (("id-3", "ours"),), [])
    step, fields = decide(WANTED, piled, NEW, Policy(clean=True))
    assert step.superfluous == (("id-2", "API KEY 1"), ("id-3", "ours"))
    # Where the active one is not ours, nobody knows what ours are for.
    others = replace(piled, credential_id="id-2", credential_name="API KEY 1")
    assert kinds(WANTED, others) == (None, [])
    for state in ("present_with_defaults", "ignored"):
        left = replace(WANTED, state=state, server_url="http://other", enabled=False)
        assert decide(left, piled, NEW, Policy("always", clean=True)) == (None, [])


def test_credentials_that_balance_the_load_are_not_too_many():
    piled = replace(REGISTERED, available=(("id-1", "ours"), ("id-2", "API KEY 1"), ("id-3", "ours")))
    balanced = replace(piled, balancing=({"id": "x", "name": "ours", "enabled": True, "credential_id": "id-3"},))
    assert superfluous(WANTED, balanced, False) == ()
    assert superfluous(WANTED, balanced, True) == (("id-2", "API KEY 1"),)


@pytest.mark.parametrize(
    ("enabled", "status", "offered"),
    [(None, "active", True), (None, "disabled", False), (None, "no-configure", True), (None, None, True)]
    + [(True, "disabled", True), (False, "active", False)],
)
def test_what_is_to_be_offered(enabled, status, offered):
    wanted = replace(WANTED, enabled=enabled)
    assert must_be_offered(wanted, replace(REGISTERED, status=status)) is offered
    assert not must_be_offered(replace(wanted, state="absent"), replace(REGISTERED, status=status))


def test_full_name_of_a_provider():
    assert full_name("xinference") == full_name("langgenius/xinference/xinference")
    assert full_name("xinference") != full_name("somebody/xinference/xinference")


@pytest.mark.parametrize(
    ("wanted", "status", "enable"),
    [(None, "disabled", None), (True, "disabled", True), (True, "active", None), (False, "active", False)]
    + [(False, "disabled", None), (True, "no-configure", None), (False, "no-configure", False)],
)
def test_enabled(wanted, status, enable):
    step = decide(replace(WANTED, enabled=wanted), replace(REGISTERED, status=status), NEW, Policy())[0]
    assert (step.enable if step else None) is enable


@pytest.mark.parametrize(
    ("wanted", "stored", "stale"),
    [(None, 1, False), (1, None, False), (1, 1, False), (1, "1", False), (1, 2, True), (1, "2", True)],
)
def test_context_length(wanted, stored, stale):
    values = {**STORED, "context_length": stored}
    assert kinds(replace(WANTED, context_length=wanted), replace(REGISTERED, stored=values)) == (
        ("update", ["context_length"]) if stale else (None, [])
    )


def test_who_owns_a_model():
    ours = (("id-1", "modelops.inference"), ("id-2", "modelops.inference b"))
    urls = ["http://10.1.2.3:9997/"]
    assert ownership.owned(replace(REGISTERED, available=ours), NEW, "modelops.inference", [])
    assert not ownership.owned(
        replace(REGISTERED, available=(*ours, ("id-3", "API KEY 1"))), NEW, "modelops.inference", urls
    )
    for theirs in ("modelops.inference-b", "modelops.inference.b", "modelops"):
        assert not ownership.owned(replace(REGISTERED, available=(("id-1", theirs),)), NEW, "modelops.inference", urls)
    assert not ownership.owned(replace(REGISTERED, available=()), NEW, "modelops.inference", urls)
    assert ownership.owned(ActualModel(STORED), OLD, "", urls) and not ownership.owned(ActualModel(STORED), OLD, "", [])
    hidden = ActualModel({**STORED, "server_url": "http:/************97"})
    assert not ownership.owned(hidden, OLD, "", urls) and ownership.hides_owner(hidden, OLD)
    assert not ownership.hides_owner(hidden, NEW)


def test_absent():
    gone = replace(WANTED, state="absent")
    assert kinds(gone, ActualModel()) == (None, [])
    assert kinds(gone, REGISTERED)[0] == "remove"
    assert kinds(gone, ActualModel(available=(("id-1", "ours"),)))[0] == "remove"
    assert kinds(gone, ActualModel(STORED, status="active"), OLD)[0] == "remove"


def test_plan_lines_and_diff_hide_the_key():
    models = [
        replace(WANTED, name="a"),
        replace(WANTED, name="b", server_url="http://10.9.9.9:9997", api_key="sk-9999999999zz"),
        replace(WANTED, name="c", state="absent"),
        replace(WANTED, name="d"),
        replace(WANTED, name="e"),
        replace(WANTED, name="f", state="absent"),
    ]
    left = (("id-1", "ours"),)
    actual = [
        ActualModel(),
        REGISTERED,
        REGISTERED,
        REGISTERED,
        ActualModel(available=left),
        ActualModel(available=left),
    ]
    plan = model_plan.plan(models, actual, NEW, Policy(), "here")
    assert plan.lines == [
        "+ register llm a",
        "~ update llm b (server_url http://10.1.2.3:9997 -> http://10.9.9.9:9997, api_key (hidden))",
        "- remove llm c",
        "+ register llm e (with its credential 'ours')",
        "- remove llm f (1 credential left)",
    ]
    text = str(plan.result())
    assert "sk-" not in text
    assert plan.result()["changed"]


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:9997",
        "http://LOCALHOST.:9997",
        "http://x.localhost",
        "http://127.0.0.1:9997",
        "https://127.1.2.3",
        "http://127.1:9997",
        "http://0.0.0.0:9997",
        "http://[::1]:9997",
        "http://[::]:9997",
        "http://[::ffff:127.0.0.1]:9997",
    ],
)
def test_loopback(url):
    assert is_loopback(url)
    wanted = replace(WANTED, server_url=url)
    assert "plugin_daemon" in declared_models.problems([wanted], allow_loopback=False)[0]
    assert declared_models.problems([wanted], allow_loopback=True) == []


@pytest.mark.parametrize(
    "url", ["http://10.0.0.1", "http://host.docker.internal:9997", "http://x.example.com", "http://[fd00::1]"]
)
def test_not_loopback(url):
    assert not is_loopback(url)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"name": ""}, "no name"),
        ({"model_uid": ""}, "model_uid is empty"),
        ({"model_uid": "a/b"}, "refuses"),
        ({"model_uid": "a?b"}, "refuses"),
        ({"model_uid": "a#b"}, "refuses"),
        ({"server_url": ""}, "server_url is empty"),
        ({"server_url": "10.1.2.3:9997"}, "not an address"),
        ({"server_url": "ftp://10.1.2.3"}, "not an address"),
        ({"server_url": "http://10.1.2.3:9997/v1"}, "ends in /v1"),
        ({"server_url": "http://10.1.2.3:9997/v1/"}, "ends in /v1"),
        ({"server_url": "http://10.1.2.3:9997/x"}, "remove everything after the port"),
        ({"server_url": "http://0x7f.1:9997"}, "is a loopback address"),
        ({"server_url": "http://0x0a.1:9997"}, "not an IPv4 address"),
        ({"credential_name": "n" * 31}, "30 characters"),
    ],
)
def test_problems(changed, words):
    found = declared_models.problems([replace(WANTED, **changed)], allow_loopback=False)
    assert len(found) == 1 and words in found[0]


def test_problems_of_the_list():
    same_type = [WANTED, replace(WANTED, model_uid="other")]
    assert "given twice" in declared_models.problems(same_type, allow_loopback=False)[0]
    assert declared_models.problems([WANTED, replace(WANTED, type="rerank")], allow_loopback=False) == []
    assert declared_models.problems([DeclaredModel("gone", "llm", state="absent")], allow_loopback=False) == []
