# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every playbook that works on hosts, one after the other on emulated ones: roles, filters and action plugins are the real ones."""

from __future__ import annotations

import json
import re

import pytest
from emulated import Hosts

GROUPS = {"xinference_supervisors": ["head"], "xinference_workers": ["w1"], "xinference_local": ["solo"]}
MODEL = {"name": "bge-m3", "type": "embedding", "uid": "m"}
OFFICE = {"name": "office", "url": "https://dify.example.org", "email": "a@example.org", "password": "Secret123"}
OFFICE["models"] = {"clusters": ["default"]}
VARIABLES = {
    "xinference_version": "4.0.1",
    "xinference_models": [MODEL],
    "xinference_firewall": True,
    "xinference_api_networks": ["10.0.0.0/8"],
    "models_reconcile": False,
    "dify_targets": [OFFICE],
}


@pytest.mark.each_core(
    "accelerator",
    "accelerator_plan",
    "accelerator_prove",
    "dify",
    "models",
    "xinference",
    "validate_variables",
    "host_plan",
    "host_step",
    "report",
    "site.yml",
)
@pytest.mark.each_core("upgrade.yml", "rollback.yml", "restart.yml", "reload.yml")
@pytest.mark.each_core("drain.yml", "undrain.yml", "decommission.yml", "remove.yml")
def test_playbooks_from_an_installation_to_its_removal(tmp_path):
    children = {group: {"hosts": dict.fromkeys(names, {})} for group, names in GROUPS.items()}
    (tmp_path / "hosts.json").write_text(json.dumps({"all": {"vars": VARIABLES, "children": children}}))
    hosts = Hosts(tmp_path, tmp_path / "hosts.json", gpus=["w1"])
    code, out = hosts.install()
    assert code == 0, out
    # One command each: what one playbook notes of a host is no variable of the next one.
    for name, host, *more in (
        ("site", "solo"),
        ("upgrade", "solo", "-e", "xinference_version=4.1.0"),
        ("rollback", "solo"),
        ("restart", "solo"),
        ("reload", "solo"),
        ("drain", "w1"),
        ("undrain", "w1"),
        ("decommission", "w1"),
        ("remove", "solo"),
    ):
        code, out = hosts.play(f"playbooks/{name}.yml", "--limit", host, *more)
        assert code == 0 and re.search(r" : ok=[1-9]\d* .*failed=0 ", out), out
