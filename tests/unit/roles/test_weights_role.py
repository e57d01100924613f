# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Weights of several hosts, run by ansible-playbook: from afar once, and from the first host to the others."""

from __future__ import annotations

import hashlib
import json
import random
import re
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import emulated
import pytest

HERE = Path(__file__).parent
HOSTS = ("gpu01.example.com", "gpu02.example.com")
MODEL = random.Random(5).randbytes(300_000)
SHA = "sha256:" + hashlib.sha256(MODEL).hexdigest()
NAME = f"tiny-{SHA[7:19]}"


@pytest.fixture
def origin():
    """Where the weights come from: counts who asks for them."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.headers.get("X-Token"))
            self.send_response(200 if self.path == "/tiny.gguf" else 404)
            self.send_header("Content-Length", str(len(MODEL)))
            self.end_headers()
            self.wfile.write(MODEL)

        def log_message(self, *_args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.asked = asked
    server.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def play(tmp_path, origin):
    """``play(hosts)`` -> (return code, output, weights by host); variables of all hosts as keywords.

    Where they are sent, modules are executed by Python processes of their own, as on a machine of its own.
    """

    def run(*options, hosts=HOSTS, only=None, sent=False, **variables):
        source = {"url": f"{origin.url}/tiny.gguf", "checksum": SHA, "headers": {"X-Token": "s3cret-token"}}
        everywhere = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "outcome": str(tmp_path),
            "xinference_dir": f"{tmp_path}/{{{{ inventory_hostname }}}}",
            "xinference_user": "",
            # Other keys that a plan needs of a host.
            "xinference_service": "test-weights",
            "xinference_service_manager": "supervisord",
            "xinference_free_gib": 1,
            "xinference_torch": "cpu",
            "xinference_models": [{"uid": "tiny", "engine": "llama.cpp", "source": source}],
            **variables,
        }
        inventory = {"all": {"hosts": {host: (only or {}).get(host, {}) for host in hosts}, "vars": everywhere}}
        (tmp_path / "hosts.json").write_text(json.dumps(inventory))
        words = ["-i", tmp_path / "hosts.json", HERE / "playbooks/weights.yml", *options]
        done = emulated.play(*words, no_proxy="*", **({"SENT": ""} if sent else {}))
        found = {
            host: json.loads((tmp_path / f"{host}.json").read_text())
            for host in hosts
            if (tmp_path / f"{host}.json").exists()
        }
        return done.returncode, done.stdout + done.stderr, found

    return run


def changed(output):
    """Hosts by the number of tasks that changed them."""
    return {host: int(count) for host, count in re.findall(r"^(\S+)\s+: .*changed=(\d+)", output, re.MULTILINE)}


def content(tmp_path, host):
    return (tmp_path / host / "models" / NAME / "tiny.gguf").read_bytes()


def test_one_host_fetches_and_gives_to_the_others(play, origin, tmp_path):
    code, output, found = play("--diff", "-v", sent=True, xinference_weights_seed=HOSTS[0], xinference_version="4.1.0")
    assert code == 0, output
    # One request for the size, one for the file; not one for each host.
    assert origin.asked == ["s3cret-token"] * 2
    assert all(content(tmp_path, host) == MODEL for host in HOSTS)
    assert all(found[host][NAME]["path"] == f"{tmp_path}/{host}/models/{NAME}/tiny.gguf" for host in HOSTS)
    assert "s3cret-token" not in output
    assert changed(output) == dict.fromkeys(HOSTS, 1)
    assert f"  gpu02.example.com: {NAME}  fetched, 0.3 MB" in output
    assert not list(tmp_path.glob("*/models/.*")), "nothing is left, not of the process that served either"

    code, output, _found = play(xinference_weights_seed=HOSTS[0])
    assert code == 0 and len(origin.asked) == 2
    assert changed(output) == dict.fromkeys(HOSTS, 0) and "Download weights" not in output


def test_a_host_that_came_later_gets_them_from_the_first(play, origin, tmp_path):
    assert play(hosts=HOSTS[:1], xinference_weights_seed=HOSTS[0])[0] == 0
    origin.asked.clear()
    code, output, _found = play(xinference_weights_seed=HOSTS[0])
    assert code == 0, output
    assert origin.asked == [] and all(content(tmp_path, host) == MODEL for host in HOSTS)
    assert changed(output) == {HOSTS[0]: 0, HOSTS[1]: 1}


def test_a_host_gives_what_only_others_declare(play, origin, tmp_path):
    code, output, found = play(xinference_weights_seed=HOSTS[0], only={HOSTS[0]: {"xinference_models": []}})
    assert code == 0, output
    assert len(origin.asked) == 2 and content(tmp_path, HOSTS[1]) == MODEL


def test_without_a_seed_each_fetches(play, origin, tmp_path):
    code, output, _found = play()
    assert code == 0, output
    assert len(origin.asked) == 4 and all(content(tmp_path, host) == MODEL for host in HOSTS)


def test_a_run_without_the_seed_fetches_from_afar(play, origin, tmp_path):
    code, output, _found = play("--limit", HOSTS[1], xinference_weights_seed=HOSTS[0])
    assert code == 0, output
    assert len(origin.asked) == 2 and content(tmp_path, HOSTS[1]) == MODEL


def test_a_seed_that_fails_is_named(play, origin, tmp_path):
    models = [
        {"uid": "x", "engine": "llama.cpp", "source": {"url": f"{origin.url}/no.gguf", "checksum": SHA, "name": "x"}}
    ]
    code, output, _found = play(xinference_weights_seed=HOSTS[0], only={HOSTS[0]: {"xinference_models": models}})
    assert code != 0 and "404 Not Found" in output
    assert f"{HOSTS[1]} (cluster {HOSTS[1]}): the weights must come from {HOSTS[0]}, which failed" in " ".join(
        output.split()
    )


def test_check_mode_says_what_would_come_and_asks_for_it_once(play, origin, tmp_path):
    code, output, _found = play("--check", xinference_weights_seed=HOSTS[0])
    assert code == 0, output
    # Only the host that would fetch reaches its server.
    assert changed(output) == dict.fromkeys(HOSTS, 1) and origin.asked == ["s3cret-token"]
    assert not list(tmp_path.glob("*/models"))


def test_prune(play, origin, tmp_path):
    assert play(hosts=HOSTS[:1])[0] == 0
    code, output, found = play(hosts=HOSTS[:1], xinference_models=[])
    assert code == 0 and changed(output) == {HOSTS[0]: 0}
    code, output, found = play(hosts=HOSTS[:1], xinference_models=[], xinference_weights_prune=True)
    assert code == 0, output
    assert changed(output) == {HOSTS[0]: 1} and found[HOSTS[0]] == {}
    assert not (tmp_path / HOSTS[0] / "models" / NAME).exists()


def test_a_file_of_the_controller(play, tmp_path):
    """Through the action plugin and a real connection."""
    (tmp_path / "house.gguf").write_bytes(MODEL)
    source = {"file": str(tmp_path / "house.gguf"), "checksum": SHA}
    code, output, found = play(
        sent=True,
        xinference_models=[{"uid": "house", "engine": "llama.cpp", "source": source}],
        xinference_weights_seed=HOSTS[0],
    )
    assert code == 0, output
    for host in HOSTS:
        (weights,) = found[host].values()
        assert Path(weights["path"]).read_bytes() == MODEL and weights["path"].endswith("/house.gguf")
    assert not list(tmp_path.rglob("piece"))


def test_a_file_that_is_not_there_is_refused_before_anything_changes(play, tmp_path):
    source = {"file": str(tmp_path / "house.gguf"), "checksum": SHA}
    code, output, _found = play(xinference_models=[{"uid": "house", "engine": "llama.cpp", "source": source}])
    assert code and f"source.file {source['file']} is not on the controller" in " ".join(output.split())
    assert set(changed(output).values()) == {0}
