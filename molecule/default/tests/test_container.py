# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The container after site.yml, and after its server was killed."""

from __future__ import annotations

import json
import time

import pytest

testinfra_hosts = ["ansible://modelops-container"]

DIR = "/opt/xinference"

EMBED = f"""
import json, urllib.request
key = open("{DIR}/secrets/client_key").read().strip()
body = json.dumps(dict(model="minilm", input="hello")).encode()
headers = {{"Content-Type": "application/json", "Authorization": "Bearer " + key}}
request = urllib.request.Request("http://127.0.0.1:9997/v1/embeddings", body, headers)
print(len(json.load(urllib.request.urlopen(request, timeout=120))["data"][0]["embedding"]))
"""


def test_the_server_runs_as_its_user_and_once(host):
    lines = host.check_output("ps -eo user:32=,args=").splitlines()
    server = [line.split(None, 1) for line in lines if "xinference-local" in line or "Model: " in line]
    assert {user for user, arguments in server} == {"xinference"}
    # No process of the killed server remains.
    assert sorted("Model: " in arguments for user, arguments in server) == [False, True]


@pytest.mark.parametrize(
    "path, owner, mode",
    [
        ("secrets", "root", 0o700),
        ("secrets/client_key", "root", 0o600),
        ("etc/xinference.env", "xinference", 0o600),
        ("etc/xinference.sh", "root", 0o755),
        ("home/auth/auth.db", "xinference", 0o600),
        ("releases", "root", 0o755),
        ("reconciler/password", "xinference", 0o600),
        ("tools/modelops-reconcile", "root", 0o755),
    ],
)
def test_owners_and_modes(host, path, owner, mode):
    file = host.file(f"{DIR}/{path}")
    assert (file.user, file.mode) == (owner, mode)


def test_the_reconciler_runs_and_has_nothing_to_do(host):
    control = f"{DIR}/supervisor/environment/bin/supervisorctl -c {DIR}/supervisor/supervisord.conf"
    assert "RUNNING" in host.check_output(f"{control} status xinference-reconcile")
    # A turn takes a moment, and the server was killed just now.
    end = time.monotonic() + 60
    while not (told := host.run(f"{DIR}/tools/modelops-reconcile status").stdout).startswith("as declared"):
        assert time.monotonic() < end, told
        time.sleep(3)


def test_everything_listens_on_loopback_only(host):
    assert host.socket("tcp://127.0.0.1:9997").is_listening
    addresses = {line.split()[3].rsplit(":", 1)[0] for line in host.check_output("ss -Hltn").splitlines()}
    # 127.0.0.11 is the name server that Docker puts into the namespace of a container.
    assert addresses <= {"127.0.0.1", "127.0.0.11", "[::1]"}


def test_embedding(host):
    assert json.loads(host.check_output("python3 -c %s", EMBED)) == 384
