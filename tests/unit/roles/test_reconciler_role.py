# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The reconciler's service as the role models writes it, and whether the role sees that it is as it must be."""

from __future__ import annotations

import configparser
import hashlib
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import emulated
import pytest

from ansible_collections.modelops.inference.plugins.filter.reconciler_digest import reconciler_digest

ROOT = Path(__file__).resolve().parents[3]


BASE = {"systemd": "/etc/systemd/system/xinference-reconcile", "supervisord": "/opt/xinference/supervisor/conf.d/x"}
PROGRAM = "/opt/xinference/tools/modelops-reconcile"


def host(manager="systemd", files=None, active="running"):
    """What the probe tells of a host."""
    systemd = manager == "systemd"
    row = {"installed": bool(files), "active": active, "enabled": True, "path": f"{BASE[manager]}.service"}
    row["timer_path"] = f"{BASE[manager]}.timer" if systemd else None
    return {
        "plan": {
            "service": {"systemd": systemd},
            "endpoint": "http://127.0.0.1:9997",
            "authentication": "{{ 'database' if xinference_auth else 'none' }}",
        },
        "system": {"root": True, "accelerators": []},
        "service": {"manager": manager, "scope": "system"},
        "services": {"xinference-reconcile": row},
        "resolved": {"/opt/xinference": "/home/disk/xinference"},
        "files": files or {},
    }


@pytest.fixture(scope="module")
def render(tmp_path_factory):
    """``render({name: (host, variables)})`` -> by name unit, timer and whether they differ, by one run of Ansible."""
    collections = next(path for path in sys.path if (Path(path) / "ansible_collections" / "modelops").is_dir())
    names = ("unit", "timer", "differs")
    content = "{{ [" + ", ".join(f"_models_reconciler_{name}" for name in names) + "] | to_json }}"

    def run(variants):
        tmp_path = tmp_path_factory.mktemp("reconciler")
        roles = [ROOT / "roles" / role for role in ("xinference", "models")]
        play = {
            "hosts": "localhost",
            "connection": "local",
            "gather_facts": False,
            "vars_files": [str(role / part / "main.yml") for part in ("defaults", "vars") for role in roles],
            "tasks": [
                {
                    "ansible.builtin.copy": {"dest": str(tmp_path / f"{n}.json"), "content": content, "mode": "0600"},
                    "vars": {"xinference_found": found, **variables},
                }
                for n, (found, variables) in enumerate(variants.values())
            ],
        }
        (tmp_path / "templates").symlink_to(roles[1] / "templates")
        (tmp_path / "play.yml").write_text(json.dumps([play]))
        env = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": collections, "ANSIBLE_PYTHON_INTERPRETER": sys.executable}
        command = [Path(sys.executable).parent / "ansible-playbook", "-i", "localhost,", tmp_path / "play.yml"]
        env |= emulated.called_in_process()
        done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        texts = [(tmp_path / f"{n}.json").read_text() for n in range(len(variants))]
        return {name: dict(zip(names, json.loads(text))) for name, text in zip(variants, texts)}

    return run


@pytest.fixture(scope="module")
def made(render):
    """What a host gets that has nothing yet."""
    return render(
        {
            "systemd": (host(), {}),
            "supervisord": (host("supervisord"), {}),
            "systemd, unwanted": (host(), {"models_reconcile": False}),
            "supervisord, unwanted": (host("supervisord"), {"models_reconcile": False}),
            "metrics": (host(), {"models_reconcile_metrics_dir": "/var/lib/node_exporter"}),
            "bare": (host(), {"xinference_hardening": False, "xinference_auth": False}),
            "30 seconds": (host("supervisord"), {"models_reconcile_interval": 30}),
        }
    )


def section(text, name):
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str
    parser.read_string(text)
    return dict(parser[name])


def sha256(text):
    return {"sha256": hashlib.sha256(text.encode()).hexdigest()}


def test_systemd_runs_it_after_each_start_and_by_the_clock_with_few_rights(made):
    made = made["metrics"]
    service, timer = section(made["unit"], "Service"), section(made["timer"], "Timer")
    assert shlex.split(service["ExecStart"]) == [
        "/opt/xinference/current/bin/python",
        "/opt/xinference/tools/modelops-reconcile",
        "run",
        *("--endpoint", "http://127.0.0.1:9997"),
        *("--attempts", "5"),
        *("--ready-timeout", "300"),
        *("--return-timeout", "120"),
        *("--interval", "60"),
        *("--password-file", "/opt/xinference/reconciler/password"),
        *("--metrics-dir", "/var/lib/node_exporter"),
    ]
    # What systemd says of each turn is info, and its own lines are not.
    assert service["SyslogLevel"] == service["LogLevelMax"] == "notice"
    assert (service["User"], service["CapabilityBoundingSet"], service["ProtectSystem"]) == ("xinference", "", "strict")
    assert service["ReadWritePaths"] == "/opt/xinference/reconciler /var/lib/node_exporter"
    # What needs nobody to act is no failure.
    assert service["SuccessExitStatus"] == "3 4 SIGTERM"
    assert timer["OnUnitInactiveSec"] == "60s" and "OnActiveSec" in timer
    for text in made["unit"], made["timer"]:
        assert section(text, "Unit")["PartOf"] == "xinference.service"
    assert section(made["timer"], "Install")["WantedBy"] == "xinference.service"


def test_systemd_hides_nothing_that_links_lead_to(made):
    service = section(made["systemd"]["unit"], "Service")
    assert (service["ProtectHome"], service["PrivateTmp"]) == ("read-only", "yes")


def test_without_hardening_or_authentication_it_is_shorter(made):
    assert "ProtectSystem" in made["systemd"]["unit"] and "--password-file" in made["systemd"]["unit"]
    assert "ProtectSystem" not in made["bare"]["unit"] and "--password-file" not in made["bare"]["unit"]


def test_supervisord_runs_it_all_the_time(made):
    made = made["30 seconds"]
    program = section(made["unit"], "program:xinference-reconcile")
    command = shlex.split(program["command"])
    # Nothing of the environment that supervisord was started in.
    assert command[:2] == ["/usr/bin/env", "-i"] and command[4] == "LANG=C.UTF-8"
    assert command[7:9] == ["loop", "--endpoint"] and command[command.index("--interval") + 1] == "30"
    assert (program["user"], program["autorestart"], made["timer"]) == ("xinference", "true", "")


def test_what_is_as_it_must_be_costs_nothing(render, made):
    variants = {}
    for manager, base in BASE.items():
        assert (made[manager]["differs"], made[f"{manager}, unwanted"]["differs"]) == (True, False)
        files = {
            PROGRAM: {"sha256": reconciler_digest("/opt/xinference")},
            f"{base}.service": sha256(made[manager]["unit"]),
            f"{base}.timer": sha256(made[manager]["timer"]),
        }
        variants |= {
            f"{manager}, same": (host(manager, files), {}),
            f"{manager}, stopped": (host(manager, files, active="stopped"), {}),
            f"{manager}, another variable": (host(manager, files), {"models_reconcile_attempts": 7}),
            f"{manager}, another program": (host(manager, {**files, PROGRAM: sha256("another release")}), {}),
            f"{manager}, unwanted": (host(manager, files), {"models_reconcile": False}),
        }
    found = {name: row["differs"] for name, row in render(variants).items()}
    assert found == {name: not name.endswith("same") for name in variants}
