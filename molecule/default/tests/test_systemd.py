# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The host after site.yml, after its server was killed, after a reboot and after a pause of the reconciler."""

from __future__ import annotations

import json
import time

import pytest

testinfra_hosts = ["ansible://modelops-systemd"]

DIR = "/opt/xinference"
UNIT = "xinference.service"
RECONCILER = "xinference-reconcile.service"
PASSWORD = f"{DIR}/secrets/admin_password"
CLIENT_KEY = f"{DIR}/secrets/client_key"

# Run on the host: the key goes from its file into the request, never into a command line.
CALL = """
import json, sys, urllib.error, urllib.request
method, path, key_file, body = sys.argv[1:]
request = urllib.request.Request("http://127.0.0.1:9997" + path, body.encode() or None, method=method)
request.add_header("Content-Type", "application/json")
if key_file:
    request.add_header("Authorization", "Bearer " + open(key_file).read().strip())
try:
    with urllib.request.urlopen(request, timeout=120) as answer:
        print(json.dumps([answer.status, json.load(answer)]))
except urllib.error.HTTPError as exc:
    print(json.dumps([exc.code, None]))
"""

# Prints the files of those named that hold one of the secrets.
LEAKS = f"""
import glob, sys
secrets = [open(path, "rb").read().strip() for path in ("{PASSWORD}", "{CLIENT_KEY}", "{DIR}/reconciler/password")]
for pattern in sys.argv[1:]:
    for path in glob.glob(pattern):
        try:
            text = open(path, "rb").read()
        except OSError:
            continue
        if any(secret in text for secret in secrets):
            print(path)
"""


@pytest.fixture
def call(host):
    """``call("GET", "/v1/models")`` -> (status, decoded body)."""

    def run(method: str, path: str, body: dict | None = None, *, key_file: str = CLIENT_KEY):
        text = json.dumps(body) if body is not None else ""
        return json.loads(host.check_output("python3 -c %s %s %s %s %s", CALL, method, path, key_file, text))

    return run


def mode(host, path: str) -> tuple[str, int]:
    file = host.file(path)
    return file.user, file.mode


def test_service_is_enabled_and_runs(host):
    service = host.service(UNIT)
    assert service.is_enabled
    assert service.is_running


def test_user_has_no_shell(host):
    assert host.user("xinference").shell == "/usr/sbin/nologin"
    assert host.check_output("systemctl show --property User --value %s", UNIT) == "xinference"


@pytest.mark.parametrize(
    "path, permissions",
    [
        ("secrets", 0o700),
        ("secrets/admin_password", 0o600),
        ("secrets/client_key", 0o600),
        ("etc/xinference.env", 0o600),
    ],
)
def test_secrets_are_for_root_alone(host, path, permissions):
    assert mode(host, f"{DIR}/{path}") == ("root", permissions)


# A tenth of it is that they may see /home, where the installation is here.
@pytest.mark.parametrize("unit, most", [(UNIT, 2.5), (RECONCILER, 1.6)])
def test_units_are_sound_and_confined(host, unit, most):
    verified = host.run("systemd-analyze verify %s", unit)
    assert (verified.rc, verified.stdout, verified.stderr) == (0, "", "")
    overall = host.check_output("systemd-analyze security --no-pager %s", unit).splitlines()[-1]
    exposure = float(overall.partition(f"for {unit}:")[2].split()[0])
    assert exposure <= most


def test_the_reconciler_runs_by_its_timer_and_has_nothing_to_do(host):
    assert host.service("xinference-reconcile.timer").is_running
    assert host.service("xinference-reconcile.timer").is_enabled
    # Its timer comes each minute, and a turn takes a moment.
    end = time.monotonic() + 120
    while (status := json.loads(host.file(f"{DIR}/reconciler/status.json").content_string))["result"] != "as declared":
        assert time.monotonic() < end, status
        time.sleep(3)
    assert {uid: row["state"] for uid, row in status["models"].items()} == {"gemma3-270m": "ready", "minilm": "ready"}
    assert 'model_ready{uid="minilm"} 1' in host.file(f"{DIR}/reconciler/metrics.prom").content_string
    assert mode(host, f"{DIR}/reconciler/password") == ("xinference", 0o600)
    assert mode(host, f"{DIR}/reconciler/declared.json") == ("xinference", 0o600)
    assert mode(host, f"{DIR}/tools/modelops-reconcile") == ("root", 0o755)


def test_both_models_are_served(call):
    status, answer = call("GET", "/v1/models")
    assert status == 200
    assert {model["id"] for model in answer["data"]} == {"gemma3-270m", "minilm"}


def test_chat_answers(call):
    question = [{"role": "user", "content": "Say hello."}]
    status, answer = call(
        "POST", "/v1/chat/completions", {"model": "gemma3-270m", "messages": question, "max_tokens": 16}
    )
    assert status == 200
    assert answer["choices"][0]["message"]["content"].strip()


def test_embedding_has_384_dimensions(call):
    status, answer = call("POST", "/v1/embeddings", {"model": "minilm", "input": "hello"})
    assert status == 200
    assert len(answer["data"][0]["embedding"]) == 384


def test_without_a_key_nothing_is_told(call):
    assert call("GET", "/v1/models", key_file="")[0] == 401


def test_client_key_cannot_launch(call):
    body = {"model_name": "minilm", "model_type": "embedding", "model_uid": "intruder"}
    assert call("POST", "/v1/models", body)[0] == 403


def test_administrator_is_settled(call):
    assert call("GET", "/v1/admin/setup/status", key_file="")[1]["needs_setup"] is False


def test_secrets_are_in_no_command_line_and_no_log(host):
    host.check_output("journalctl --no-pager > /run/journal.txt")
    logs = ["/run/journal.txt", f"{DIR}/home/logs/*", "/var/log/*", "/proc/[0-9]*/cmdline"]
    assert host.check_output("python3 -c %s %s %s %s %s", LEAKS, *logs) == ""


def test_setup_token_was_never_offered(host):
    assert "Setup token" not in host.check_output("journalctl --no-pager --unit %s", UNIT)
    assert host.run("grep -rl 'Setup token' %s", f"{DIR}/home/logs").rc == 1


def test_lock_is_what_is_installed(host):
    lock = host.file(f"{DIR}/current/lock.txt").content_string.splitlines()
    listing = (
        "import re, importlib.metadata as m;"
        "print(*(re.sub('[-_.]+', '-', d.name).lower() + '==' + d.version for d in m.distributions()), sep='\\n')"
    )
    installed = host.check_output("%s -c %s", f"{DIR}/current/bin/python", listing).splitlines()
    assert sorted(lock) == sorted(set(installed))
