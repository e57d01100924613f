# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hosts as a reading finds them, for plans: pure."""

from __future__ import annotations

import copy

import pytest

from ansible_collections.modelops.inference.plugins.plugin_utils._site.host import Host, Request
from ansible_collections.modelops.inference.plugins.plugin_utils._site.settings import Inventory, Settings

GROUPS = {"supervisor": ["xinference_supervisors"], "worker": ["xinference_workers"]}
UNIT = "/etc/systemd/system/xinference.service"
MEMBERS = {
    "supervisor": {"host": "head", "address": "10.1.1.1", "port": 9997},
    "workers": [{"host": "gpu01", "address": "10.1.1.2", "port": 9998}],
    "hosts": [
        {"name": "head", "address": "10.1.1.1", "ports": [9997, 9999]},
        {"name": "gpu01", "address": "10.1.1.2", "ports": [9998]},
    ],
}
#: The reading of a host that supports everything and has nothing yet.
FOUND = {
    "system": {
        "name": "Debian GNU/Linux 12",
        "kernel": "Linux",
        "architecture": "x86_64",
        "root": True,
        "user": "root",
        "python_path": "/usr/bin/python3",
        "address": "10.9.9.9",
        "lacks": {"apt": [], "dnf": []},
    },
    "accelerator": {"accelerator": "none", "torch": {"backend": "cpu"}, "groups": [], "refusals": []},
    "gpus": [],
    "user": {"id": 7, "made_here": True},
    "disk": {"path": "/opt", "free_bytes": 100 << 30, "writable": True},
    "entries": [],
    "releases": [],
    "release": {},
    "current": "",
    "previous": "",
    "lock_drift": [],
    "files": {},
    "resolved": {},
    "directories": {"differ": [], "refused": []},
    "auth_users": -1,
    "auth_unreadable": "",
    "denied": [],
    "service": {
        "manager": "systemd",
        "scope": "system",
        "path": UNIT,
        "installed": False,
        "active": "stopped",
        "enabled": False,
        "config": "",
        "release": "",
        "refusal": "",
    },
    "services": {"xinference-reconcile": {"refusal": ""}},
    "ffmpeg": "",
    "weights": {},
    "models_entries": {"own": [], "foreign": []},
    "bind": {"address": "10.1.1.2", "why_not": ""},
    "port": {"listening": False, "ours": False, "by": ""},
}


def merged(found, changes):
    """A reading of which some keys, at any depth, are others."""
    for key, value in changes.items():
        found[key] = merged(found.get(key) or {}, value) if isinstance(value, dict) and value else value
    return found


@pytest.fixture
def host():
    """``host({variable: value}, part="worker", step="upgrade", found={key: value}, ...)`` -> Host that was read."""

    def make(variables=None, part="local", found=None, supervisor=None, parts=None, play=(), **request):
        groups = [group for each in parts or [part] for group in GROUPS.get(each, ["xinference_local"])]
        settings = Settings(variables or {}, Inventory("gpu01", groups, play_hosts=play), part=part)
        reading = merged(copy.deepcopy(FOUND), found or {})
        theirs = Settings(supervisor or {}, Inventory("head", GROUPS["supervisor"]))
        return Host(settings, reading, {"default": MEMBERS}, Request(**request), lambda name: theirs)

    return make
