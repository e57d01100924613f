# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Properties of every role, and data derived from other files."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.modelops.inference.plugins.modules.validate_variables import DOCUMENTATION
from ansible_collections.modelops.inference.plugins.plugin_utils._site import kinds, names
from ansible_collections.modelops.inference.plugins.plugin_utils._site.needs import PLAYBOOKS
from ansible_collections.modelops.inference.plugins.plugin_utils._site.settings import SPECS

ROOT = Path(__file__).resolve().parents[3]
PLAYBOOK_FILES = [path for path in (ROOT / "playbooks").glob("*.yml") if path.suffixes == [".yml"]]
ROLES = sorted(path.name for path in (ROOT / "roles").iterdir() if path.is_dir())


def load(*parts):
    return yaml.safe_load(ROOT.joinpath(*parts).read_text())


@pytest.mark.parametrize("role", ROLES)
def test_a_default_is_spelled_the_same_in_both_places(role):
    options = load("roles", role, "meta", "argument_specs.yml")["argument_specs"]["main"]["options"]
    defaults = load("roles", role, "defaults", "main.yml")
    assert {name for name, option in options.items() if "default" in option} == set(defaults)
    for name, default in defaults.items():
        # A computed default may be told in words.
        assert options[name]["default"] == default or "{{" in str(default), name


@pytest.mark.parametrize("role", ROLES)
def test_the_defaults_pass_the_roles_own_check(role):
    options = load("roles", role, "meta", "argument_specs.yml")["argument_specs"]["main"]["options"]
    defaults = load("roles", role, "defaults", "main.yml")
    plain = {name: value for name, value in defaults.items() if "{{" not in str(value)}
    spec = {name: option for name, option in options.items() if name in plain}
    assert ArgumentSpecValidator(spec).validate(plain).error_messages == []


@pytest.mark.parametrize("playbook", sorted(path.stem for path in PLAYBOOK_FILES))
def test_a_playbook_validates_its_variables_first_and_on_all_hosts(playbook):
    first = load("playbooks", f"{playbook}.yml")[0]
    # Steps that run once for all hosts only read the inventory.
    task = next(task for task in first.get("pre_tasks") or first["tasks"] if "run_once" not in task)
    validates = [task.get(f"modelops.inference.{name}") for name in ("validate_variables", "host_plan")]
    assert playbook in [each["playbook"] for each in validates if each]
    assert "when" not in task and ("serial" not in first or playbook == "site")


def test_what_a_playbook_validates_is_documented():
    choices = yaml.safe_load(DOCUMENTATION)["options"]["playbook"]["choices"]
    assert choices == sorted(PLAYBOOKS)
    page = (ROOT / "docs" / "fleet.md").read_text().partition("## Variables that each playbook validates")[2]
    written = re.findall(r"^\| `(\w+)` \| ([^|]*) \|$", page, re.MULTILINE)
    wanted = [
        (
            name,
            ", ".join(f"`{each}`" for each in (*needs.roles, *needs.also))
            + " without `xinference_users`" * (not needs.users),
        )
        for name, needs in PLAYBOOKS.items()
    ]
    assert written == wanted


def test_derived_documents_are_fresh():
    done = subprocess.run(
        [sys.executable, ROOT / "docs" / "generate.py", "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


KNOWN = names.Names(SPECS.options)


@pytest.mark.parametrize(
    "name, nearest",
    [
        ("xinference_verison", "xinference_version"),
        ("xinference_extra", "xinference_extras"),
        ("xinference_model", "xinference_models"),
        # One letter more, less, other, or swapped, and capitals.
        ("models_replaces", "models_replace"),
        ("xinference_hosts", "xinference_host"),
        ("xinference_dirr", "xinference_dir"),
        ("xinferrence_port", "xinference_port"),
        ("acelerator", "accelerator"),
        ("model_replace", "models_replace"),
        ("dify_target", "dify_targets"),
        ("XINFERENCE_PORT", "xinference_port"),
        ("Xinference_Port", "xinference_port"),
        ("xinference_host_vars", None),
        ("rotated", None),
        ("_xinference_index", None),
        ("models", None),
        ("inventory_hostname", None),
        ("xinference_version_of_staging", None),
        ("xinference_site_name", None),
        ("xinference_version", None),
        ("ansible_host", None),
    ],
)
def test_misspelled_variables_are_told_from_own_ones(name, nearest):
    assert names.misspelled([name], KNOWN) == ({name: nearest} if nearest else {})


def test_what_the_collection_leaves_itself_is_no_slip():
    left = set()
    for path in [*ROOT.glob("roles/*/tasks/*.yml"), *PLAYBOOK_FILES]:
        text = path.read_text()
        left |= set(re.findall(r"register: (\w+)", text))
        for block in re.findall(r"set_fact:[^\n]*\n((?: +[^\n]*\n)+)", text):
            left |= set(re.findall(r"^ +(_*(?:xinference|models|dify|accelerator)_\w+):", block, re.MULTILINE))
    assert {"xinference_clusters", "xinference_served", "xinference_worker", "models_declared", "dify_result"} <= left
    assert names.misspelled(left, KNOWN) == {}


KINDS = {
    "port": {"type": "int", "default": 9997},
    "open": {"type": "bool"},
    "level": {"type": "str", "choices": ["INFO", "ERROR"]},
    "ports": {"type": "list", "elements": "int"},
    "levels": {"type": "list", "elements": "str", "choices": ["INFO", "ERROR"]},
    "pin": {"type": "int", "no_log": True},
    "share": {"type": "float", "default": 0.5},
    "key": {"type": "str", "no_log": True},
    "text": {"type": "str", "default": ""},
    "environment": {"type": "dict"},
    "users": {
        "type": "list",
        "elements": "dict",
        "options": {"name": {"type": "str", "required": True}, "pin": {"type": "int", "no_log": True}},
    },
}


@pytest.mark.parametrize(
    "name, value, told",
    [
        ("port", "http", ["port must be a whole number in digits, not 'http' (the default is 9997)."]),
        ("port", [1], ["port must be a whole number in digits, not a list (the default is 9997)."]),
        ("port", None, ["port must be a whole number in digits, but is empty (the default is 9997)."]),
        ("port", "9998", []),
        ("open", "maybe", ["open must be true or false, not 'maybe'."]),
        ("open", "yes", []),
        ("level", "LOUD", ["level is 'LOUD', not one of INFO, ERROR."]),
        ("ports", {"http": 80}, ["ports must be a list, not a mapping: write a list, such as [a, b]."]),
        (
            "ports",
            ["http", 80, None],
            [
                "ports, item 1 must be a whole number in digits, not 'http'.",
                "ports, item 3 must be a whole number in digits, but is empty.",
            ],
        ),
        ("ports", "80, http", ["ports, item 2 must be a whole number in digits, not ' http'."]),
        ("levels", ["INFO", "LOUD"], ["levels, item 2 is 'LOUD', not one of INFO, ERROR."]),
        ("pin", "12a4", ["pin must be a whole number in digits, not a text."]),
        ("port", True, ["port must be a whole number in digits, not the boolean True (the default is 9997)."]),
        ("share", "nan", ["share must be a number in digits, not 'nan' (the default is 0.5)."]),
        ("level", True, ["level must be one text, not the boolean True: put it in quotes."]),
        ("key", 12345678, ["key must be one text, not a number: put it in quotes."]),
        ("key", "1\n", ["key has a line break or an invisible character. Write it in one line."]),
        ("text", None, ["text must be one text, but is empty."]),
        ("text", 7, []),
        ("text", "a\x00b", ["text has a line break or an invisible character. Write it in one line."]),
        ("levels", ["INFO", None], ["levels, item 2 is empty."]),
        ("environment", "TOKEN", ["environment must be a mapping, not a text: write keys with values."]),
        ("users", [], []),
        ("users", ["ann"], ["users, item 1 must be a mapping, not a text: write keys with values."]),
        (
            "users",
            [{"name": "ann", "pin": "12a4"}],
            ["users, ann, pin must be a whole number in digits, not a text."],
        ),
        (
            "users",
            [{"nam": "ann"}],
            ["users, item 1: no key nam; did you mean name?", "users, item 1: name is missing."],
        ),
        ("users", [{"name": "ann", "pin": None}], []),
    ],
)
def test_a_value_of_another_type_is_told_in_a_sentence(name, value, told):
    assert kinds.mistakes(value, KINDS[name], name, lambda value, option: value) == told
