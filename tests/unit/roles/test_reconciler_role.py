# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The reconciler's service as the role models writes it, and whether the role sees that it is as it must be."""

from __future__ import annotations

import configparser
import hashlib
import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.modelops.inference.plugins.filter.reconciler_digest import reconciler_digest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def render(tmp_path):
    """``render(manager="systemd", found=..., models_reconcile=...)`` -> the role's variables."""
    collections = next(path for path in sys.path if (Path(path) / "ansible_collections" / "modelops").is_dir())
    names = ("_models_reconciler_unit", "_models_reconciler_timer", "_models_reconciler_differs")

    def run(manager="systemd", files=None, active="running", **variables):
        systemd = manager == "systemd"
        base = "/etc/systemd/system/xinference-reconcile" if systemd else "/opt/xinference/supervisor/conf.d/x"
        row = {
            "installed": bool(files),
            "active": active,
            "enabled": True,
            "path": f"{base}.service",
            "timer_path": f"{base}.timer" if systemd else None,
        }
        found = {
            "system": {"root": True, "accelerators": []},
            "service": {"manager": manager, "scope": "system"},
            "services": {"xinference-reconcile": row},
            "files": files or {},
        }
        roles = [ROOT / "roles" / role for role in ("xinference", "models")]
        play = {
            "hosts": "localhost",
            "connection": "local",
            "gather_facts": False,
            "vars_files": [str(role / part / "main.yml") for part in ("defaults", "vars") for role in roles],
            "vars": {"xinference_found": found, **variables},
            "tasks": [
                {
                    "ansible.builtin.copy": {
                        "dest": str(tmp_path / "rendered.json"),
                        "content": "{{ [" + ", ".join(names) + "] | to_json }}",
                        "mode": "0600",
                    }
                }
            ],
        }
        (tmp_path / "templates").unlink(missing_ok=True)
        (tmp_path / "templates").symlink_to(roles[1] / "templates")
        (tmp_path / "play.yml").write_text(json.dumps([play]))
        env = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": collections, "ANSIBLE_PYTHON_INTERPRETER": sys.executable}
        command = [Path(sys.executable).parent / "ansible-playbook", "-i", "localhost,", tmp_path / "play.yml"]
        done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return dict(zip(("unit", "timer", "differs"), json.loads((tmp_path / "rendered.json").read_text())))

    return run


def section(text, name):
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str
    parser.read_string(text)
    return dict(parser[name])


def sha256(text):
    return {"sha256": hashlib.sha256(text.encode()).hexdigest()}


def test_systemd_runs_it_after_each_start_and_by_the_clock_with_few_rights(render):
    made = render(models_reconcile_metrics_dir="/var/lib/node_exporter")
    service, timer = section(made["unit"], "Service"), section(made["timer"], "Timer")
    assert shlex.split(service["ExecStart"]) == [
        "/opt/xinference/current/bin/python",
        "/opt/xinference/tools/modelops-reconcile",
        "run",
        *("--endpoint", "http://127.0.0.1:9997"),
        *("--release", "4.1.0"),
        *("--attempts", "5"),
        *("--ready-timeout", "300"),
        *("--password-file", "/opt/xinference/reconciler/password"),
        *("--metrics-dir", "/var/lib/node_exporter"),
    ]
    assert (service["User"], service["CapabilityBoundingSet"], service["ProtectSystem"]) == ("xinference", "", "strict")
    assert service["ReadWritePaths"] == "/opt/xinference/reconciler /var/lib/node_exporter"
    # What needs nobody to act is no failure.
    assert service["SuccessExitStatus"] == "3 4 SIGTERM"
    assert timer["OnUnitInactiveSec"] == "60s" and "OnActiveSec" in timer
    for text in made["unit"], made["timer"]:
        assert section(text, "Unit")["PartOf"] == "xinference.service"
    assert section(made["timer"], "Install")["WantedBy"] == "xinference.service"


def test_without_hardening_or_authentication_it_is_shorter(render):
    made = render(xinference_hardening=False, xinference_auth=False)
    assert "ProtectSystem" not in made["unit"] and "--password-file" not in made["unit"]


def test_systemd_takes_the_units(render, tmp_path):
    if not shutil.which("systemd-analyze"):
        pytest.fail("systemd-analyze is needed: it comes with the package systemd")
    made = render()
    (tmp_path / "xinference.service").write_text("[Service]\nExecStart=/bin/true\n")
    paths = [tmp_path / "xinference-reconcile.service", tmp_path / "xinference-reconcile.timer"]
    # Neither this user nor that program is on this machine.
    text = made["unit"].replace("/opt/xinference/current/bin/python", "/bin/true")
    paths[0].write_text("\n".join(line for line in text.splitlines() if not line.startswith(("User=", "Group="))))
    paths[1].write_text(made["timer"])
    done = subprocess.run(["systemd-analyze", "verify", *paths], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_supervisord_runs_it_all_the_time(render):
    made = render(manager="supervisord", models_reconcile_interval=30)
    program = section(made["unit"], "program:xinference-reconcile")
    command = shlex.split(program["command"])
    assert command[2:4] == ["loop", "--endpoint"] and command[command.index("--interval") + 1] == "30"
    assert (program["user"], program["autorestart"], made["timer"]) == ("xinference", "true", "")


@pytest.mark.parametrize("manager", ["systemd", "supervisord"])
def test_what_is_as_it_must_be_costs_nothing(render, manager):
    made = render(manager)
    assert made["differs"] is True
    program = "/opt/xinference/tools/modelops-reconcile"
    base = "/etc/systemd/system/xinference-reconcile" if manager == "systemd" else "/opt/xinference/supervisor/conf.d/x"
    files = {program: {"sha256": reconciler_digest("/opt/xinference")}, f"{base}.service": sha256(made["unit"])}
    if manager == "systemd":
        files[f"{base}.timer"] = sha256(made["timer"])
    assert render(manager, files)["differs"] is False
    assert render(manager, files, active="stopped")["differs"] is True
    assert render(manager, files, models_reconcile_attempts=7)["differs"] is True
    assert render(manager, {**files, program: sha256("another release")})["differs"] is True
    assert render(manager, files, models_reconcile=False)["differs"] is True
    assert render(manager, {}, models_reconcile=False)["differs"] is False
