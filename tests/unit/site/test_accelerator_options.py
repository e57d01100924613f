# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options of a reading by the variables of the role accelerator: pure."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleActionFail
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.modelops.inference.plugins.action import accelerator_repositories
from ansible_collections.modelops.inference.plugins.module_utils._accelerator import reading
from ansible_collections.modelops.inference.plugins.plugin_utils._site.accelerator import (
    Pretended,
    RunStage,
    controller_boot_id,
    declared_keys,
    options,
    proof,
)
from ansible_collections.modelops.inference.plugins.plugin_utils._site.settings import Inventory, Settings

INVENTORY = Inventory("gpu01", ["xinference_local"])
DRIVER = {"part": "driver", "path": "/a/driver.run", "checksum": "0" * 64}
#: Variables, the option that each asks for, and its value; an option of the role stands behind "role.".
ASKED = [
    ({}, "accelerator", "auto"),
    ({}, "container_is_host", False),
    ({}, "record", ""),
    ({}, "role.directory", "/opt/xinference"),
    ({}, "role.service", ""),
    ({}, "role.groups", ["xinference_local"]),
    ({"accelerator": "amd"}, "accelerator", "amd"),
    ({"accelerator_driver_branch": 580}, "branch", "580"),
    ({"accelerator_kernel_modules": "open"}, "kernel_modules", "open"),
    ({"accelerator_modules_from": "precompiled"}, "modules_from", "precompiled"),
    ({"accelerator_source": "vendor"}, "source", "vendor"),
    ({"accelerator_cuda": "12"}, "cuda", 12),
    ({"accelerator_manage": "no"}, "manage", False),
    ({"accelerator_container_toolkit": True}, "container_toolkit", True),
    ({"accelerator_hold": False}, "hold", False),
    ({"accelerator_ascend_files": [DRIVER]}, "ascend_files", ["driver"]),
    ({"accelerator_ascend_files": [DRIVER]}, "role.ascend_files", [DRIVER]),
    ({"accelerator_state": "absent"}, "role.state", "absent"),
    ({"accelerator_huge_pages": 64}, "role.huge_pages", 64),
    ({"accelerator_governor": "performance"}, "role.governor", "performance"),
    ({"accelerator_reboot_ok": True}, "role.reboot_ok", True),
    ({"xinference_torch": "cu126"}, "torch", "cu126"),
    ({"xinference_dir": "/srv/x"}, "record", "/srv/x/etc/accelerator.json"),
    ({"xinference_dir": "/srv/x"}, "role.directory", "/srv/x"),
    ({"xinference_service": "served"}, "role.service", "served"),
    ({"xinference_user": "serving"}, "role.user", "serving"),
    ({"xinference_user": ""}, "role.user", ""),
]


def value(asked, name):
    return asked["role"][name.partition(".")[2]] if name.startswith("role.") else asked[name]


@pytest.mark.parametrize(("variables", "name", "expected"), ASKED)
def test_a_variable_is_an_option_of_the_reading(variables, name, expected):
    assert value(options(Settings(variables, INVENTORY)), name) == expected


def test_the_module_takes_the_options_of_every_host():
    mirror = {"nvidia": {"url": "https://mirror.example/"}}
    for variables in ({}, {"accelerator_repositories": mirror, "accelerator_ascend_files": [DRIVER]}):
        checked = ArgumentSpecValidator(reading.OPTIONS).validate(options(Settings(variables, INVENTORY)))
        assert checked.error_messages == []
    assert value(checked.validated_parameters, "role.repositories")["nvidia"]["url"] == mirror["nvidia"]["url"]


def test_a_later_reading_knows_what_the_run_did():
    commands = [{"rc": 1, "item": {"failure": "it"}}]
    asked = options(Settings({}, INVENTORY), RunStage("changed", True, ["firmware"], commands), "boot")["role"]
    told = {name: asked[name] for name in ("after", "server_stops", "carried", "commands", "controller")}
    assert told == {
        "after": "changed",
        "server_stops": True,
        "carried": ["firmware"],
        "commands": commands,
        "controller": "boot",
    }


@pytest.mark.parametrize(
    ("pretended", "kernel"),
    [(Pretended(), True), (Pretended(root="/srv/machine"), False), (Pretended(root="/srv/machine", kernel=True), True)],
)
def test_a_kernel_that_is_pretended_is_asked_for_nothing(pretended, kernel):
    asked = options(Settings({}, INVENTORY), pretended=pretended)
    assert (asked["root"], asked["role"]["kernel"], asked["container_is_host"]) == (pretended.root, kernel, not kernel)


def test_the_controller_is_known_by_its_kernel():
    assert len(controller_boot_id()) in (0, 36)


PROVEN = {"kind": "cuda", "driver": "580", "cards": ["0"], "python": "/opt/xinference/current/bin/python"}


@pytest.mark.parametrize(
    ("variables", "due", "proven", "proves"),
    [
        ({}, True, {}, {"environment": ""}),
        ({"accelerator_environment": "b1"}, True, {**PROVEN, "environment": "b0"}, {"environment": "b1"}),
        ({"accelerator_environment": "b1"}, True, {**PROVEN, "environment": "b1"}, None),
        (
            {"accelerator_python": "/p", "accelerator_environment": "b1"},
            True,
            {**PROVEN, "environment": "b1"},
            {"python": "/p"},
        ),
        ({}, False, {}, None),
    ],
)
def test_what_was_proven_is_not_proven_again(variables, due, proven, proves):
    planned = {"kind": "cuda", "devices": 1, "used": False, "user": "", "groups": [], "record": "/r", "due": due}
    planned["proves"] = {key: PROVEN[key] for key in ("kind", "driver", "cards")}
    found = {"role": {"proof": planned}, "facts": {"record": {"proven": proven}}}
    asked = proof(Settings({"accelerator_proof_timeout": 9, **variables}, INVENTORY), found)
    if proves is None:
        assert asked == {}
    else:
        assert asked["timeout"] == 9 and "due" not in asked and asked["python"] == asked["proves"]["python"]
        assert {key: asked["proves"][key] for key in proves} == proves


def test_a_host_gets_no_file_that_the_inventory_does_not_name(tmp_path):
    key, other = tmp_path / "key.asc", tmp_path / "id_ed25519"
    key.write_text("a key\n")
    other.write_text("a secret\n")
    mirrors = {"nvidia": {"url": "https://mirror.example/", "key": str(key)}, "rocm": None}
    declared = declared_keys(Settings({"accelerator_repositories": mirrors}, INVENTORY, lambda name, value: value))
    assert declared == [str(key)]
    action = object.__new__(accelerator_repositories.ActionModule)
    row = {"path": "/etc/apt/keyrings/modelops-nvidia.asc", "about": "repository nvidia"}
    assert action._key({**row, "src": str(key)}, declared)["content"] == "a key\n"
    assert action._key({**row, "src": "https://a/key"}, declared)["url"] == "https://a/key"
    with pytest.raises(
        AnsibleActionFail, match="repository nvidia: the host asks for .*id_ed25519, which is not in accelerator_rep"
    ):
        action._key({**row, "src": str(other)}, declared)
