# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""bin/site for real, from a clone of its own: real Xinference, real models, a test Dify; then everything that goes wrong.

The tests follow one another: one installation serves the file, as a person would use it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import time
from pathlib import Path

import pytest
import requests
from checkout import check_out
from servers.dify import DifyServer
from servers.dify.server import EMAIL, PASSWORD
from servers.dify.xinference import Backend

ROOT = Path(__file__).resolve().parents[2]
RECAP = re.compile(r"localhost +: ok=(\d+) +changed=(\d+) .*failed=(\d+)")
QUESTION = {"messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 8}


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


class Site:
    """A clone, a home directory and an installation, which a link leads to another disk, all below one temporary directory."""

    def __init__(self, folder):
        self.folder = folder
        self.clone = folder / "clone"
        self.home = folder / "home"
        (folder / "disk").mkdir()
        (folder / "link").symlink_to("disk")
        self.dir = folder / "link/data"
        self.home.mkdir()
        self.port = free_port()
        check_out(self.clone)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def key(self):
        return (self.dir / "secrets" / "client_key").read_text().strip()

    def run(self, *words, program=("bin/site",), **variables):
        """Runs bin/site, or another program; returns (exit code, changed, what it printed)."""
        known = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "PYTHON"))}
        env = {**known, "HOME": str(self.home), "MODELOPS_DIR": str(self.dir), "UV_CACHE_DIR": str(ROOT / ".cache/uv")}
        # pip asks rustc for its version, and a rustup that has no home makes one.
        env["RUSTUP_HOME"] = str(self.folder / "rustup")
        extra = json.dumps({"xinference_port": self.port, "xinference_cache_dir": env["UV_CACHE_DIR"], **variables})
        done = subprocess.run(
            [*program, *words, "-e", extra],
            cwd=self.clone,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            # Of whoever runs it; nothing that is made may go by it.
            umask=0o077,
        )
        recap = RECAP.search(done.stdout)
        print(done.stdout)
        return done.returncode, int(recap[2]) if recap else None, done.stdout

    def plain(self):
        """Runs `ansible-playbook site.yml` with the ansible-core that bin/site installed, as a user does who has one."""
        return self.run(program=(self.clone / ".venv/bin/ansible-playbook", "site.yml"))

    def post(self, path, body):
        answer = requests.post(self.url + path, json=body, headers={"Authorization": f"Bearer {self.key}"}, timeout=60)
        answer.raise_for_status()
        return answer.json()

    def serves(self):
        chat = self.post("/v1/chat/completions", {"model": "gemma3-270m", **QUESTION})
        assert chat["choices"][0]["message"]["content"].strip()
        vector = self.post("/v1/embeddings", {"model": "minilm", "input": "hello"})["data"][0]["embedding"]
        assert len(vector) == 384

    def main_process(self):
        """The server's process as supervisord started it."""
        control = self.dir / "supervisor"
        words = [control / "environment/bin/supervisorctl", "-c", control / "supervisord.conf", "pid", "xinference"]
        return int(subprocess.run(words, check=True, capture_output=True, text=True).stdout)

    def listens(self):
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", self.port)) == 0


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    made = Site(tmp_path_factory.mktemp("site"))
    yield made
    made.run("playbooks/remove.yml")


@pytest.fixture(scope="module")
def dify():
    """A Dify of the newest recorded release that asks the very URL that it is given."""
    with DifyServer("1.16.0-rc1", backend=Backend({}, live=True, cache_seconds=0)) as server:
        yield server


def targets(dify, **more):
    target = {"name": "office", "url": dify.url, "email": EMAIL, "password": PASSWORD, "allow_loopback": True}
    return {"dify_targets": [{**target, **more}]}


def test_check_mode_on_a_new_machine_tells_and_makes_nothing(site):
    code, changed, out = site.run("--check", "--diff")
    assert code == 0, out
    assert changed > 0
    assert "+ build release 4.1.0-" in out
    assert not site.dir.exists()


# Each is one host's mistake, so that one run shows them all.
MISTAKES = {
    "misspelt": (
        {"xinference_verison": "4.1.0"},
        "xinference_verison is not a variable of this collection: did you mean xinference_version",
    ),
    "version": (
        {"xinference_version": "newest"},
        "xinference_version must be a version such as 4.1.0 (it is 'newest')",
    ),
    "blank": (
        {"xinference_dir": "/opt/my xinference"},
        "xinference_dir, xinference_home and xinference_models_dir must have no space in their paths",
    ),
    "type": ({"xinference_extras": {"a": 1}}, "xinference_extras must be a list, not a mapping"),
    "choice": (
        {"xinference_service_manager": "upstart"},
        "xinference_service_manager is 'upstart', not one of auto, systemd,",
    ),
    "systemd": ({"xinference_service_manager": "systemd"}, "systemd does not manage this host"),
    "open": ({"xinference_auth": False, "xinference_host": "0.0.0.0"}, "anyone who reaches the port could run code"),
    "disk": ({"xinference_free_gib": 999999}, "GiB free, the installation needs 999999"),
    "twice": (
        {"xinference_models": [{"uid": "a", "engine": "vllm"}, {"uid": "a", "engine": "vllm"}]},
        "declared 2 times",
    ),
    "option": ({"xinference_models": [{"uid": "a", "engnie": "vllm"}]}, "no option 'engnie'; nearest: engine"),
    "uid": ({"xinference_models": [{"uid": "a/b", "engine": "vllm"}]}, "UID 'a/b' contains /"),
}


def test_wrong_input_is_refused_before_anything_changes(site):
    hosts = {
        name: {"xinference_dir": str(site.dir / name), **variables} for name, (variables, _message) in MISTAKES.items()
    }
    inventory = site.folder / "mistakes.json"
    about = {
        "ansible_connection": "local",
        "ansible_python_interpreter": "{{ ansible_playbook_python }}",
        "accelerator": "none",
        "xinference_user": "",
        "xinference_service_manager": "supervisord",
    }
    inventory.write_text(json.dumps({"xinference_local": {"hosts": hosts, "vars": about}}))
    code, changed, out = site.run("-i", str(inventory))
    assert code != 0
    words = " ".join(out.split())
    for name, (_variables, message) in MISTAKES.items():
        assert message in words, name
        assert re.search(rf"{name} +: ok=\d+ +changed=0 +unreachable=0 +failed=1 ", out), name
    assert not site.dir.exists() or os.listdir(site.dir) == []


def test_wrong_targets_are_refused_before_anything_changes(site):
    target = {"email": "a@example.com", "password": "b"}
    wrong = [
        {**target, "name": "x", "url": "dify"},
        {**target, "name": "y", "url": "http://d", "server_url": "http://localhost:9997"},
    ]
    code, changed, out = site.run(dify_targets=wrong)
    assert (code != 0, changed) == (True, 0)
    assert "must start with http:// or https://" in out and "server_url is a loopback address" in out
    assert not site.dir.exists() or os.listdir(site.dir) == []


def test_an_inventory_that_does_not_exist_fails(site):
    code, changed, out = site.run("-i", "inventories/typo")
    assert code != 0 and changed is None and "inventories/typo" in out
    assert not site.dir.exists()


def test_a_taken_port_is_refused_naming_who_has_it(site):
    with socket.create_server(("127.0.0.1", 0)) as server:
        code, changed, out = site.run(xinference_port=server.getsockname()[1])
    assert code != 0
    assert re.search(r"is in use by process \d+ \(", re.sub(r"\s+", " ", out))


def test_a_version_that_does_not_exist(site):
    code, changed, out = site.run(xinference_version="4.999.0")
    assert code != 0
    assert "The index has no xinference[llama-cpp]==4.999.0" in re.sub(r"\s+", " ", out)
    assert not (site.dir / "current").exists()


def test_an_index_that_cannot_be_reached(site):
    index = {"index_url": "http://127.0.0.1:9/simple", "extra_index_urls": [], "timeout": 5}
    code, changed, out = site.run(xinference_index=index, xinference_version="4.0.1")
    assert code != 0
    assert "127.0.0.1:9" in out
    assert not (site.dir / "current").exists()


def test_a_run_that_breaks_off_in_the_middle_leaves_nothing_half_made(site):
    """The installer dies; the next test's run finishes the job."""
    env = {**os.environ, "HOME": str(site.home), "MODELOPS_DIR": str(site.dir), "UV_CACHE_DIR": str(ROOT / ".cache/uv")}
    env["RUSTUP_HOME"] = str(site.folder / "rustup")
    extra = json.dumps({"xinference_port": site.port, "xinference_cache_dir": env["UV_CACHE_DIR"]})
    with subprocess.Popen(["bin/site", "-e", extra], cwd=site.clone, env=env, start_new_session=True) as process:
        deadline = time.monotonic() + 120
        while not list(site.dir.glob("releases/.building-*/lib")):
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGKILL)
    # Processes that Ansible started continue for a while; the next run must wait for them.
    assert not (site.dir / "current").exists()


def test_the_whole_job(site):
    code, changed, out = site.run()
    assert code == 0, out
    site.serves()
    for text in (
        "gemma3-270m  LLM        ready",
        "minilm       embedding  ready",
        "384 dimensions",
        "Model Type   TEXT EMBEDDING",
        f"Server url   {site.url}",
        f"everything is in   {site.dir}",
        "supervisorctl -c",
        f"undo               MODELOPS_DIR={site.dir} bin/site playbooks/remove.yml",
    ):
        assert text in out
    assert "Model uid    gemma3-270m" in (site.dir / "connection-sheet.txt").read_text()


def test_nothing_lies_outside_the_clone_and_the_directory(site):
    assert os.listdir(site.home) == []


def test_secrets_are_closed_and_in_no_argv_log_or_sheet(site):
    secrets = {(site.dir / "secrets" / name).read_text().strip() for name in ("admin_password", "client_key")}
    for path in [*(site.dir / "secrets").iterdir(), site.dir / "etc/xinference.env", site.dir / "home/auth/auth.db"]:
        assert path.stat().st_mode & 0o077 == 0, path
    texts = [path.read_text(errors="replace") for path in site.dir.rglob("*.log")]
    texts.append((site.dir / "connection-sheet.txt").read_text())
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            texts.append(process.read_text())
        except OSError:
            continue
    assert not [secret for secret in secrets for text in texts if secret in text]
    assert not [text for text in texts if "Setup token" in text]


def test_modes_do_not_go_by_the_umask_of_whoever_runs_it(site):
    modes = {name: stat.S_IMODE((site.dir / name).stat().st_mode) for name in ("", "etc", "releases", "tools", "home")}
    assert modes == {"": 0o755, "etc": 0o755, "releases": 0o755, "tools": 0o755, "home": 0o750}
    for path in (site.dir / "current/bin/python", site.dir / "current/release.json", site.dir / "etc/xinference.sh"):
        assert path.stat().st_mode & 0o044 == 0o044, path
    assert (site.dir / "reconciler/declared.json.lock").stat().st_mode & 0o777 == 0o644


def test_the_client_key_cannot_manage(site):
    answer = requests.post(
        f"{site.url}/v1/models",
        json={"model_name": "x", "model_type": "embedding"},
        headers={"Authorization": f"Bearer {site.key}"},
        timeout=30,
    )
    assert answer.status_code == 403
    assert requests.get(f"{site.url}/v1/models", timeout=30).status_code == 401


def test_a_second_run_with_plain_ansible_playbook_changes_nothing(site):
    code, changed, out = site.plain()
    assert (code, changed) == (0, 0), out


def test_check_mode_with_nothing_to_change(site):
    code, changed, out = site.run("--check", "--diff")
    assert (code, changed) == (0, 0), out


def test_models_are_registered_with_dify_once(site, dify):
    code, changed, out = site.run(**targets(dify))
    assert code == 0, out
    assert set(dify.workspace.models) == {("gemma3-270m", "llm"), ("minilm", "text-embedding")}
    assert "office" in out and "active" in out
    before = len(dify.sent("POST", "/models/credentials"))
    code, changed, out = site.run(**targets(dify))
    assert (code, changed) == (0, 0), out
    assert len(dify.sent("POST", "/models/credentials")) == before == 2


def test_a_wrong_dify_password_is_tried_once(site, dify):
    before = len(dify.sent("POST", "/login"))
    code, changed, out = site.run(**targets(dify, password="wrong-password"))
    assert code != 0
    assert "password is wrong" in out and "wrong-password" not in out
    assert len(dify.sent("POST", "/login")) == before + 1
    site.serves()


def test_an_unreachable_dify_says_so(site, dify):
    code, changed, out = site.run(**targets(dify, url="http://127.0.0.1:9"))
    assert code != 0
    assert "127.0.0.1:9" in out
    site.serves()


def test_an_unknown_engine_or_model_leaves_the_others(site):
    known = [{"uid": "extra", "name": "no-such-model", "type": "embedding"}]
    code, changed, out = site.run(xinference_models=known)
    assert code != 0
    assert "no-such-model" in out
    site.serves()


def test_a_killed_server_comes_back_and_the_site_brings_its_models(site):
    old = site.main_process()
    os.kill(old, signal.SIGKILL)
    deadline = time.monotonic() + 180
    while not site.listens() or site.main_process() in (0, old):
        assert time.monotonic() < deadline
        time.sleep(1)
    code, changed, out = site.plain()
    assert code == 0, out
    assert changed > 0
    assert f"undo               MODELOPS_DIR={site.dir} ansible-playbook {site.clone}/playbooks/remove.yml" in out
    site.serves()
    # Nothing of the killed server is left: one main process, and each model once.
    titles = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if os.readlink(process / "cwd") == str((site.dir / "home").resolve()):
                titles.append((process / "cmdline").read_text())
        except OSError:
            continue
    assert len([title for title in titles if "gemma3-270m" in title]) == 1
    assert len([title for title in titles if "xinference-local" in title]) == 1


def test_a_changed_environment_and_a_package_changed_by_hand_are_mended_in_one_run(site):
    old = site.main_process()
    lock = (site.dir / "current" / "lock.txt").read_text()
    package = next((site.dir / "current").resolve().glob("lib/python3*/site-packages/tabulate-*.dist-info"))
    shutil.rmtree(package)
    wanted = {"xinference_environment": {"HF_TOKEN": "hf-secret-token"}}
    code, changed, seen = site.run("--check", **wanted)
    assert code == 0 and "is gone" in seen
    assert not package.exists() and site.main_process() == old
    code, changed, out = site.run(**wanted)
    assert code == 0, out
    assert (site.dir / "current" / "lock.txt").read_text() == lock
    assert next((site.dir / "current").resolve().glob("lib/python3*/site-packages/tabulate-*.dist-info"))
    assert site.main_process() != old
    assert "hf-secret-token" not in seen + out
    assert 'HF_TOKEN="hf-secret-token"' in (site.dir / "etc/xinference.env").read_text()
    site.serves()


def test_removal_leaves_nothing(site):
    code, changed, out = site.run("playbooks/remove.yml")
    assert code == 0, out
    assert not site.listens()
    assert not site.dir.exists() or os.listdir(site.dir) == []
    code, changed, out = site.run("playbooks/remove.yml")
    assert (code, changed) == (0, 0), out
