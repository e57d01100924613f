# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options of the playbook capture for a server, where it writes the answer, and why it does not."""

from __future__ import annotations

import pytest

from ansible_collections.modelops.inference.plugins.plugin_utils._site.captured import (
    Place,
    interpreter,
    left_to_do,
    options,
    place,
    refusal,
)

PLAN = {"xinference_found": {"plan": {"endpoint": "http://127.0.0.1:9997", "secrets": "/opt/x/secrets"}}}
OURS = {**PLAN, "xinference_admin_user": "admin", "xinference_home": "/opt/x/home", "xinference_dir": "/opt/x"}
ASKED = {
    "endpoint": "http://127.0.0.1:9997",
    "username": "admin",
    "password_file": "/opt/x/secrets/admin_password",
    "home": "/opt/x/home",
    "remember": "/opt/x/reconciler/declared.json",
}
THEIRS = {"capture_endpoint": "http://10.1.2.3:9997", "capture_password_file": "/p", "capture_ca_path": "/ca"}


@pytest.mark.parametrize(
    ("variables", "asked"),
    [
        (OURS, ASKED),
        (
            {**OURS, "xinference_admin_password": "Orange-7"},
            {**{name: value for name, value in ASKED.items() if name != "password_file"}, "password": "Orange-7"},
        ),
        ({**OURS, "capture_username": "ops", "capture_home": "/h"}, {**ASKED, "username": "ops", "home": "/h"}),
        (
            {**OURS, **THEIRS},
            {"endpoint": "http://10.1.2.3:9997", "username": "admin", "password_file": "/p", "ca_path": "/ca"},
        ),
    ],
)
def test_a_server_of_this_collection_is_asked_by_its_plan_and_another_by_capture_variables(variables, asked):
    assert options(variables.get) == asked


def test_the_file_is_beside_the_inventory():
    files = {"/inv/host_vars": ["gpu1.yml", "gpu10.yml"]}
    assert place(None, "/inv", "gpu1", files.__getitem__) == Place(
        "/inv/host_vars/gpu1/xinference_models.yml", ["/inv/host_vars/gpu1.yml"]
    )
    assert place("/mine.yml", "/inv", "gpu1", files.__getitem__) == Place("/mine.yml")


FOUND = {
    "text": "new",
    "unsettled": {},
    "models": [{"uid": "q"}],
    "variables": {"vault_x": "token of q"},
    "notes": {"q": ["a", "b"]},
}


@pytest.mark.parametrize(
    ("unsettled", "there", "replace", "words"),
    [
        ({}, "", False, ""),
        ({}, "new", False, ""),
        ({}, "old", True, ""),
        ({}, "old", False, "/f exists and differs from the running models"),
        (
            {"q": "loading"},
            "",
            True,
            "gpu1: http://u has models that do not run (q (loading)), so /f was not written.",
        ),
        # Where nothing is lost by it, a file is written without the models that failed.
        ({"q": "failed"}, "", False, ""),
        ({"q": "failed", "r": "missing"}, "old", True, "has models that do not run (q (failed), r (missing)), so"),
    ],
)
def test_a_file_is_kept_unless_told_and_while_models_load(unsettled, there, replace, words):
    why = refusal({**FOUND, "unsettled": unsettled}, Place("/f"), there, "gpu1", "http://u", replace=replace)
    assert words in why and bool(words) == bool(why)


def test_the_hosts_own_variables_are_not_hidden():
    why = refusal(FOUND, Place("/f", ["/inv/host_vars/gpu1.yml"]), "", "gpu1", "http://u", replace=True)
    assert why.startswith("The variables of gpu1 are in /inv/host_vars/gpu1.yml, which Ansible no longer reads")


def test_what_is_left_to_do():
    assert left_to_do(FOUND, "/f", "http://u") == [
        "1 models of http://u are in /f.",
        "Define vault_x: token of q.",
        "q: a b",
    ]


@pytest.mark.parametrize(
    ("variables", "python"),
    [
        ({"xinference_found": {"plan": {"interpreter": "/opt/x/current/bin/python"}}}, "/opt/x/current/bin/python"),
        (THEIRS, ""),
        ({**THEIRS, "ansible_connection": "local"}, "/usr/bin/python-of-ansible"),
        ({**THEIRS, "ansible_connection": "local", "capture_python": "/srv/venv/bin/python"}, "/srv/venv/bin/python"),
    ],
)
def test_the_python_that_asks_has_the_libraries(variables, python):
    assert interpreter(variables.get, "/usr/bin/python-of-ansible") == python
