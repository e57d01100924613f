# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the service must be, against what the probe found."""

from __future__ import annotations

import hashlib

import pytest

from ansible_collections.modelops.inference.plugins.filter.service_wanted import service_wanted

BASE, UNIT = "/opt/xinference/etc/xinference", "/etc/systemd/system/xinference.service"
TEXTS = {
    "unit": "[Unit]\n",
    "script": "",
    "environment": 'A="b"\n',
    "release": "4.1.0-a",
    "built": "today",
    "owner": None,
    "models": {"path": "/opt/xinference/home/uv.toml", "torch": "cu126", "packages": [], "denied": ["evil"]},
}


def found(texts):
    """A host that has all of it."""
    wanted = service_wanted(texts, {"service": _service(""), "files": {}, "current": "", "user": {"id": 7}}, BASE)
    files = {file["path"]: (file["content"], file["mode"]) for file in wanted["files"]}
    files[UNIT] = (texts["unit"], "0644")
    there = {
        path: {"sha256": hashlib.sha256(text.encode()).hexdigest(), "mode": mode, "uid": 7}
        for path, (text, mode) in files.items()
    }
    return {"service": _service(wanted["config"]), "files": there, "current": texts["release"], "user": {"id": 7}}


def _service(config):
    return {"active": "running", "enabled": True, "config": config, "path": UNIT}


@pytest.mark.parametrize("texts", [TEXTS, {**TEXTS, "script": "exec a\n"}])
def test_a_host_that_has_all_of_it_does_not_differ(texts):
    assert not service_wanted(texts, found(texts), BASE)["differs"]


@pytest.mark.parametrize("name", [name for name in TEXTS if name not in ("owner", "script", "models")])
def test_each_text_is_another_configuration(name):
    other = {**TEXTS, name: "other"}
    told = service_wanted(other, found(TEXTS), BASE)
    assert told["differs"] and told["config"] != service_wanted(TEXTS, found(TEXTS), BASE)["config"]


@pytest.mark.parametrize(
    "part, change",
    [
        ("service", {"active": "stopped"}),
        ("service", {"enabled": False}),
        ("service", {"config": "0123456789ab"}),
        (None, {"current": "4.0.1-a"}),
        ("files", {UNIT: {"sha256": "other", "mode": "0644"}}),
        ("files", {f"{BASE}.env": {"sha256": "other", "mode": "0600"}}),
    ],
)
def test_what_is_otherwise_on_the_host_differs(part, change):
    host = found(TEXTS)
    (host[part] if part else host).update(change)
    assert service_wanted(TEXTS, host, BASE)["differs"]


@pytest.mark.parametrize("suffix", [".env", ".sh"])
def test_a_file_with_another_mode_or_none_differs(suffix):
    texts = {**TEXTS, "script": "exec a\n"}
    host = found(texts)
    host["files"][BASE + suffix]["mode"] = "0777"
    assert service_wanted(texts, host, BASE)["differs"]
    del host["files"][BASE + suffix]
    assert service_wanted(texts, host, BASE)["differs"]


def test_other_bounds_of_packages_of_models_are_written_and_restart_nothing():
    texts = {**TEXTS, "models": {**TEXTS["models"], "denied": []}}
    told = service_wanted(texts, found(TEXTS), BASE)
    assert (
        told["differs"] and not told["itself"] and told["config"] == service_wanted(TEXTS, found(TEXTS), BASE)["config"]
    )
    assert service_wanted({**TEXTS, "unit": "other"}, found(TEXTS), BASE)["itself"]


def test_a_file_of_another_owner_differs_where_the_owner_is_told():
    host = found({**TEXTS, "owner": "xinference"})
    host["files"][f"{BASE}.env"]["uid"] = 0
    assert service_wanted({**TEXTS, "owner": "xinference"}, host, BASE)["differs"]
    assert not service_wanted(TEXTS, host, BASE)["differs"]


def test_the_process_is_told_its_configuration():
    wanted = service_wanted(TEXTS, found(TEXTS), BASE)
    assert wanted["files"][:-1] == [
        {
            "path": f"{BASE}.env",
            "mode": "0600",
            "owner": None,
            "content": f'A="b"\nMODELOPS_CONFIG="{wanted["config"]}"\n',
        }
    ]
