# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Inventories, variables and plays that a document shows are taken: pure."""

from __future__ import annotations

import importlib
import re

import documented
import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from test_refusals import CUSTOM, LOCAL, refused

from ansible_collections.modelops.inference.plugins.plugin_utils._site.settings import SPECS, Inventory

PAGES = [path for path in documented.pages() if path.name != "README.zh.md"]
BLOCKS = [block for path in PAGES for block in documented.blocks(path) if block.language == "yaml"]
MODULES = "ansible_collections.modelops.inference.plugins.modules"
GROUPS = {"xinference_supervisors", "xinference_workers", "xinference_local"}


def read(text):
    """With a word for each "…", and the inventory's secrets."""
    text = text.replace("sha256:…", f"sha256:{'0' * 64}").replace("-….whl", "-1.0-py3-none-any.whl")
    return yaml.safe_load(re.sub(r"\{\{ vault_\w+ \}\}", "correct horse", text))


def settings_of(text):
    """[(variables, inventory)] of a block: one for each host, or for each play."""
    if re.match(r"source:", text):
        sources = [read(part)["source"] for part in re.split(r"^(?=source:)", text, flags=re.MULTILINE)[1:]]
        models = [{**CUSTOM, "uid": f"m{n}", "source": source} for n, source in enumerate(sources)]
        return [({"xinference_models": [{k: v for k, v in model.items() if k != "path"} for model in models]}, LOCAL)]
    shown = read(text)
    if isinstance(shown, list):
        roles = [role for play in shown for role in play.get("roles", []) if isinstance(role, dict)]
        return [(role["vars"], LOCAL) for role in roles]
    if not {*shown} <= GROUPS:
        return [(shown, LOCAL)]
    everyone = {group: [*about["hosts"]] for group, about in shown.items()}
    names = [name for group in everyone.values() for name in group]
    return [
        ({**about.get("vars", {}), **(about["hosts"][name] or {})}, Inventory(name, [group], everyone, names))
        for group, about in shown.items()
        for name in about["hosts"]
    ]


def tasks_of(text):
    """[(module, its options)] of the plays of a block, with the defaults of their group."""
    shown = read(text)
    for play in shown if isinstance(shown, list) else []:
        defaults = {name: value for group in play.get("module_defaults", {}).values() for name, value in group.items()}
        for task in play.get("tasks", []):
            ((module, options),) = task.items()
            yield module.removeprefix("modelops.inference."), {**defaults, **options}


def test_modules_take_the_options_of_tasks():
    found = [task for block in BLOCKS if block.text.startswith("- ") for task in tasks_of(block.text)]
    assert found
    for module, options in found:
        spec = importlib.import_module(f"{MODULES}.{module}").ARGUMENT_SPEC
        assert {*options} <= {*spec}, module
        assert not ArgumentSpecValidator(spec).validate({**options}).error_messages


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: f"{block.page}:{block.line}")
def test_it_is_taken(block):
    for variables, inventory in settings_of(block.text):
        ours = {name: value for name, value in variables.items() if not name.startswith("ansible_")}
        assert {*ours} <= {*SPECS.options}
        assert not refused(ours, inventory)
