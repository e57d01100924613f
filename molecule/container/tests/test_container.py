# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The container after site.yml, after its server was killed, and after site.yml again."""

from __future__ import annotations

import json

import pytest

DIR = "/opt/xinference"

EMBED = f"""
import json, urllib.request
key = open("{DIR}/secrets/client_key").read().strip()
body = json.dumps(dict(model="minilm", input="hello")).encode()
headers = {{"Content-Type": "application/json", "Authorization": "Bearer " + key}}
request = urllib.request.Request("http://127.0.0.1:9997/v1/embeddings", body, headers)
print(len(json.load(urllib.request.urlopen(request, timeout=120))["data"][0]["embedding"]))
"""


def processes(host):
    """(user, arguments) of every process whose directory is the server's home."""
    found = []
    for line in host.check_output("ps -eo pid=,user:32=,args=").splitlines():
        pid, user, arguments = line.split(None, 2)
        if host.run("readlink /proc/%s/cwd", pid).stdout.strip() == f"{DIR}/home":
            found.append((user, arguments))
    return found


def test_the_server_runs_as_its_user_and_once(host):
    found = processes(host)
    assert {user for user, arguments in found} == {"xinference"}
    assert len([arguments for user, arguments in found if "xinference-local" in arguments]) == 1
    # What the killed server left behind is gone.
    assert len([arguments for user, arguments in found if "minilm" in arguments]) == 1


@pytest.mark.parametrize(
    "path, owner, mode",
    [
        ("secrets", "root", 0o700),
        ("secrets/client_key", "root", 0o600),
        ("etc/xinference.env", "xinference", 0o600),
        ("etc/xinference.sh", "root", 0o755),
        ("home/auth/auth.db", "xinference", 0o600),
        ("releases", "root", 0o755),
    ],
)
def test_owners_and_modes(host, path, owner, mode):
    file = host.file(f"{DIR}/{path}")
    assert (file.user, file.mode) == (owner, mode)


def test_embedding(host):
    assert json.loads(host.check_output("python3 -c %s", EMBED)) == 384
