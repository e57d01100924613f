# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The registrations of a Dify as dify_targets: pure."""

from __future__ import annotations

import pytest

from ansible_collections.modelops.inference.plugins.plugin_utils._dify.captured_targets import capture


def test_urls_with_a_user_in_them_are_secrets():
    fields = {"server_url": "http://********@10.1.2.3:9997", "model_uid": "m"}  # as dify_info tells it
    model = {"name": "M", "type": "llm", "state": "active", "fields": fields}
    result = {"_call": {"key": 0}, "workspace": {"id": "1", "name": "Research"}, "models": [model]}
    target = {
        "name": "office",
        "url": "https://u:hunter2@dify.example.com",
        "proxy": "http://u:hunter2@proxy:3128",
        "email": "ops@example.com",
        "password": "hunter2",
        "server_urls": {"one": "http://u:hunter2@one:9997", "two": "http://two:9997"},
        "prove_from": {"command": ["env", "http_proxy=http://u:hunter2@proxy:3128"]},
    }
    found = capture([result], [target], [{"cluster": "one", "url": "", "uids": ["m"]}])
    assert "hunter2" not in str(found)
    (captured,) = found.targets
    assert captured["url"] == "{{ vault_dify_office_url }}" and captured["email"] == "ops@example.com"
    assert captured["server_urls"] == {"one": "{{ vault_dify_office_server_urls_one }}", "two": "http://two:9997"}
    assert captured["overrides"]["m"]["server_url"] == "{{ vault_dify_office_overrides_m_server_url }}"
    what = "overrides.m.server_url of office, http://********@10.1.2.3:9997"
    assert found.variables["vault_dify_office_overrides_m_server_url"] == what
    assert found.variables["vault_dify_office_password"] == "password of office"
    assert len(found.variables) == 6


def result(*models, key=0, workspace="Research"):
    """Of (name, UID, server URL)."""
    told = [
        {"name": name, "type": "llm", "state": "active", "fields": {"model_uid": uid, "server_url": url}}
        for name, uid, url in models
    ]
    return {"_call": {"key": key}, "workspace": {"id": "1", "name": workspace}, "models": told}


def source(cluster, *uids):
    return {"cluster": cluster, "url": f"http://{cluster}:9997", "uids": uids}


def chosen(found):
    return {
        item["name"]: {**item["models"], "names": [o["name"] for o in item["overrides"].values()]}
        for item in found.targets
    }


OFFICE = {"name": "office", "url": "https://dify", "email": "ops@example.com"}


def test_a_uid_of_several_clusters_is_that_of_the_one_at_its_address():
    """Known by server_urls, by the cluster's own address, or by a model that only it declares."""
    sources = [source("one", "m"), source("two", "m"), source("three", "m", "n")]
    models = [
        ("A", "m", "http://lan:1/"),
        ("B", "m", "http://two:9997"),
        ("C", "m", "http://gw:3"),
        ("D", "n", "http://gw:3"),
    ]
    found = capture([result(*models)], [{**OFFICE, "server_urls": {"one": "http://lan:1"}}], sources)
    assert chosen(found) == {
        "office one": {"clusters": ["one"], "uids": ["m"], "names": ["A"]},
        "office two": {"clusters": ["two"], "uids": ["m"], "names": ["B"]},
        "office three": {"clusters": ["three"], "uids": ["m", "n"], "names": ["C", "D"]},
    }
    assert not found.notes
    # One address for all of them tells nothing.
    found = capture([result(*models[:1])], [{**OFFICE, "server_url": "http://lan:1"}], sources)
    assert not found.targets and "nothing shows that this is cluster one or three or two" in found.notes[0]


def test_a_uid_at_two_addresses_is_that_of_the_known_one():
    models = [
        ("Theirs", "m", "http://u:hunter2@elsewhere:1"),
        ("Ours", "m", "http://one:9997"),
        ("N", "n", "http://x:1"),
    ]
    found = capture([result(*models)], [OFFICE], [source("one", "m", "n")])
    assert chosen(found) == {"office": {"uids": ["m", "n"], "names": ["Ours", "N"]}}
    (note,) = found.notes
    assert "Theirs has the UID m at http://********@elsewhere:1" in note and "server_urls of office" in note


def test_a_hidden_address_is_no_clusters():
    hidden = result(("A", "m", "http:/************97"))
    found = capture([hidden], [OFFICE], [source("one", "m"), source("two", "m")])
    assert not found.targets and "This Dify hides the address" in found.notes[0]
    found = capture([hidden], [OFFICE], [source("one", "m")])
    assert found.targets and "Add server_url" in found.notes[0]
    for given in ({"server_url": "http://lan:97"}, {"server_urls": {"one": "http://lan:97"}}):
        found = capture([hidden], [{**OFFICE, **given}], [source("one", "m")])
        (note,) = found.notes
        assert "Check there whether it is http://lan:97" in note and "Add server_url" not in note


def test_a_uid_under_two_names_is_in_two_targets():
    found = capture([result(("A", "m", "http://x:1"), ("B", "m", "http://x:1"))], [OFFICE], [source("one", "m")])
    assert chosen(found) == {"office": {"uids": ["m"], "names": ["A"]}, "office 2": {"uids": ["m"], "names": ["B"]}}


def test_a_loopback_address_in_use_is_not_refused():
    found = capture(
        [result(("A", "m", "http://localhost:1"))], [{**OFFICE, "allow_loopback": False}], [source("one", "m")]
    )
    assert found.targets[0]["allow_loopback"] is True


def test_what_was_not_read_is_not_empty():
    unread = {**result(), "models": None, "not_read": "Dify: 'Research' is not the account's current workspace."}
    found = capture([result(("A", "m", "http://one:9997")), unread], [OFFICE], [source("one", "m")])
    assert len(found.targets) == 1 and found.notes == [unread["not_read"]]


def test_a_cluster_is_known_by_an_address_with_a_user_in_it():
    urls = {"server_urls": {"one": "http://u:hunter2@lan:1"}}
    found = capture(
        [result(("A", "m", "http://********@lan:1"))], [{**OFFICE, **urls}], [source("one", "m"), source("two", "m")]
    )
    assert chosen(found) == {"office one": {"clusters": ["one"], "uids": ["m"], "names": ["A"]}}
    assert "hunter2" not in str(found)


@pytest.mark.parametrize(
    ("typed", "taken", "noted"),
    [
        ("60", None, False),
        ("90", 90, False),
        (90, 90, False),
        ("60.0", None, True),
        ("90s", None, True),
        ("", None, True),
    ],
)
def test_a_timeout_as_a_person_typed_it(typed, taken, noted):
    told = result(("A", "m", "http://one:9997"))
    told["models"][0]["fields"]["invoke_timeout"] = typed
    found = capture([told], [OFFICE], [source("one", "m")])
    assert found.targets[0]["overrides"]["m"].get("invoke_timeout") == taken
    assert [f"its invoke_timeout is '{typed}'" in note for note in found.notes] == [True] * noted
