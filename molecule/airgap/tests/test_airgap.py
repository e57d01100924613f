# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The host without a network after site.yml installed it from a bundle."""

from __future__ import annotations

import json
import subprocess

DIR = "/opt/xinference"

# Run on the host: the key goes from its file into the request, never into a command line.
ASK = f"""
import json, sys, urllib.request
path, body = sys.argv[1:]
request = urllib.request.Request("http://127.0.0.1:9997/v1/" + path, body.encode())
request.add_header("Content-Type", "application/json")
request.add_header("Authorization", "Bearer " + open("{DIR}/secrets/client_key").read().strip())
with urllib.request.urlopen(request, timeout=120) as answer:
    print(answer.read().decode())
"""


def networks() -> list[str]:
    form = "{{range $name, $about := .NetworkSettings.Networks}}{{$name}} {{end}}"
    asked = ["docker", "inspect", "--format", form, "modelops-airgap"]
    return subprocess.run(asked, check=True, capture_output=True, text=True).stdout.split()


def ask(host, path: str, **body):
    return json.loads(host.check_output("python3 -c %s %s %s", ASK, path, json.dumps(body)))


def test_there_is_no_way_out(host):
    asked = ["docker", "network", "inspect", "--format", "{{.Internal}}", *networks()]
    assert set(subprocess.run(asked, check=True, capture_output=True, text=True).stdout.split()) == {"true"}
    assert not host.file("/etc/pip.conf").exists


def test_embedding_model_serves(host):
    answer = ask(host, "embeddings", model="minilm", input="hello")
    assert len(answer["data"][0]["embedding"]) == 384


def test_language_model_serves(host):
    messages = [{"role": "user", "content": "Hello"}]
    answer = ask(host, "chat/completions", model="gemma3-270m", messages=messages, max_tokens=4)
    assert answer["choices"][0]["message"]["content"]


def test_environment_is_exactly_the_lock_of_the_bundle(host):
    release = host.check_output("basename $(readlink %s/current)", DIR)
    lock = host.check_output("cat %s/bundle/locks/%s-*.txt", DIR, release)
    wanted = sorted(line.split(" ")[0] for line in lock.splitlines())
    assert all("--hash=sha256:" in line for line in lock.splitlines())
    assert sorted(host.check_output("cat %s/current/lock.txt", DIR).split()) == wanted


def test_neither_pip_nor_venv_of_the_distribution_was_needed(host):
    assert not host.package("python3-venv").is_installed
    assert not host.package("python3-pip").is_installed
    assert host.file(f"{DIR}/tools/bin/uv").exists


def test_server_looks_for_nothing_outside(host):
    text = host.file(f"{DIR}/etc/xinference.env").content_string
    assert 'XINFERENCE_ENABLE_VIRTUAL_ENV="0"' in text
    assert 'HF_HUB_OFFLINE="1"' in text
