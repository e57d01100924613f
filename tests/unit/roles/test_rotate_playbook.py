# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook rotate against the test servers, while clients ask with the keys that Dify and the file hold."""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.request
from pathlib import Path

import emulated
import pytest
import yaml
from servers.dify import Backend, DifyServer
from servers.dify.server import EMAIL
from servers.dify.server import PASSWORD as DIFY_PASSWORD
from servers.repeated import repeated
from servers.xinference import PASSWORD, XinferenceServer

from ansible_collections.modelops.inference.plugins.module_utils._xinference.reconciler import reconcile

OLD = "sk-old4567890123"
SCOPES = ["models:list", "models:write", "models:register"]


@pytest.fixture
def server(tmp_path):
    with XinferenceServer("4.1.0") as server:
        owner = server.accounts.add_user("client", "x" * 12, ["models:list", "models:read"])
        server.accounts.add_key("client", owner["id"], OLD)
        server.serve("qwen2.5-instruct", model_engine="llama.cpp")
        server.serve("bge-m3", model_type="embedding")
        yield server


@pytest.fixture
def file(tmp_path, installed):
    """The file that holds the key, on a host whose directory looks installed."""
    secrets = Path(installed(1)["xinference_dir"]) / "secrets"
    secrets.mkdir(mode=0o700)
    (secrets / "client_key").write_text(OLD + "\n")
    return secrets / "client_key"


@pytest.fixture
def play(server, file, tmp_path):
    def run(*more, **variables):
        given = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "xinference_dir": str(file.parents[1]),
            "xinference_host": "127.0.0.1",
            "xinference_port": int(server.url.rpartition(":")[2]),
            "xinference_admin_password": PASSWORD,
            "xinference_user": "",
            "xinference_service_manager": "supervisord",
            "rotate_wait": 1,
            **variables,
        }
        path = tmp_path / "hosts.yml"
        path.write_text(yaml.safe_dump({"all": {"children": {"xinference_local": {"hosts": {"gpu1": given}}}}}))
        done = emulated.play("-i", path, "modelops.inference.rotate", "-vv", *more)
        assert OLD not in done.stdout + done.stderr
        return done.returncode, " ".join((done.stdout + done.stderr).split())

    return run


def clients(url, *places):
    """``with clients(url, place, ...) as answers``: they ask all the time, each with the key that it finds where it keeps one."""

    def ask():
        answers = []
        for place in places:
            request = urllib.request.Request(url + "/v1/models")
            request.add_header("Authorization", f"Bearer {place()}")
            try:
                with urllib.request.urlopen(request, timeout=10) as answer:
                    answers.append(answer.status)
            except urllib.error.HTTPError as exc:
                answers.append(exc.code)
        return tuple(answers)

    return repeated(ask, 0.05)


def keys_in(dify):
    return {model.shown["api_key"] for space in dify.state.workspaces.values() for model in space.models.values()}


def names(server):
    return {row["name"]: row["key"] for row in server.accounts.keys}


@pytest.mark.each_core("rotate.yml")
def test_no_request_fails_and_a_dify_that_is_down_keeps_the_old_key(server, file, play, dify_models):
    mine = {"server_url": server.url, "api_key": OLD}
    chat = {**mine, "name": "chat", "type": "llm", "model_uid": "qwen2.5-instruct"}
    words = {**mine, "name": "words", "type": "text-embedding", "model_uid": "bge-m3"}
    with (
        DifyServer("1.16.0-rc1", backend=Backend(live=True)) as office,
        DifyServer("1.7.2", backend=Backend(live=True)) as lab,
    ):
        office.state.add_workspace("Research", admin="owner")
        assert not dify_models(office, [chat, words]).failed
        assert not dify_models(office, [chat], workspace="Research").failed
        assert not dify_models(lab, [words]).failed
        login = {"email": EMAIL, "password": DIFY_PASSWORD}
        targets = [
            {"name": "office", "url": office.url, "workspaces": ["admin's Workspace", "Research"], **login},
            {"name": "lab", "url": lab.url, **login},
        ]
        down = [targets[0], {**targets[1], "url": "http://127.0.0.1:9"}]
        places = [lambda dify=dify: next(iter(keys_in(dify))) for dify in (office, lab)]
        with clients(server.url, lambda: file.read_text().strip(), *places) as answers:
            code, out = play("-e", "rotate=client_key", dify_targets=down)
            assert code, out
            assert (
                "the old key of cluster gpu1 stays valid beside the new one: Dify lab: " in out
                and "Connection refused" in out
            )
            both = names(server)
            assert both["client"] == OLD and file.read_text().strip() == both["client-next"]
            assert keys_in(office) == {both["client-next"]} and keys_in(lab) == {OLD}

            code, out = play("-e", "rotate=client_key", dify_targets=targets)
            assert code == 0, out
            assert "the client key of cluster gpu1 exists since 2026-11-22 10:47:06 (UTC)" in out
            assert names(server) == {"client": both["client-next"]} and keys_in(lab) == keys_in(office)
            assert both["client-next"] not in out
        assert len(answers) > 10 and set(answers) == {(200, 200, 200)}


def test_what_cannot_be_rotated_is_refused(server, file, play):
    code, out = play("-e", json.dumps({"rotate": "client_key"}), xinference_client_key=OLD)
    assert code and "gpu1 (cluster gpu1): xinference_client_key sets the text of the key" in out
    assert names(server) == {"client": OLD} and not server.changes()


@pytest.fixture
def reconciler(server, file, run_module):
    """Its directory, with a model that is remembered and the password of its user; none of it is a service here."""
    directory = file.parents[1] / "reconciler"
    user = {"name": "reconciler", "password_path": str(directory / "password"), "permissions": SCOPES}
    login = {"endpoint": server.url, "password": PASSWORD}
    assert not run_module("xinference_admin", {**login, "users": [user]}).failed
    model = {"uid": "bge-m3", "type": "embedding"}
    remember = {"remember": str(directory / "declared.json"), "prove": "never"}
    assert not run_module("xinference_models", {**login, "models": [model], **remember}).failed
    return directory


def turning(server, directory):
    """One turn of the reconciler after the other; as its context their exit statuses."""
    command = ["--directory", str(directory), "run", "--endpoint", server.url, "--release", "4.1.0"]
    return repeated(lambda: reconcile.main([*command, "--password-file", str(directory / "password")]), 0.1)


def test_every_secret_is_replaced_and_what_breaks_off_goes_on(server, file, play, reconciler):
    """The run is ended twice, each time by an answer that is lost after the server has changed a password."""
    held = {"admin": file.with_name("admin_password"), "reconciler": reconciler / "password"}
    held["admin"].write_text(PASSWORD + "\n")
    before = {name: path.read_text().strip() for name, path in held.items()}

    def in_force(name):
        return server.accounts.users[name]["password"]

    asked = ["-e", "rotate=client_key,admin_password,reconciler"]
    outs = []
    with (
        clients(server.url, lambda: file.read_text().strip()) as answers,
        turning(server, reconciler) as turns,
    ):
        for name in held:
            user = server.accounts.users[name]["id"]
            server.fault("reset_after", verb="PUT", path=f"/{user}/password$")
            code, out = play(*asked, xinference_admin_password="")
            outs.append(out)
            assert code and held[name].read_text().strip() == before[name] != in_force(name), out
            assert held[name].with_name(held[name].name + ".next").read_text().strip() == in_force(name)
        code, out = play(*asked, xinference_admin_password="")
        outs.append(out)
        assert code == 0, out
    for name, path in held.items():
        assert path.read_text().strip() == in_force(name) != before[name]
        assert not path.with_name(path.name + ".next").exists()
        assert not any(in_force(name) in out or before[name] in out for out in outs)
    assert "gpu1: the administrator's password of cluster gpu1 was replaced (on the host since 20" in out
    assert "gpu1: the reconciler of cluster gpu1 got a new password, which exists since 20" in out
    assert "the client key of cluster gpu1 exists since 2026-11-22 10:47:06 (UTC)" in out
    assert names(server) == {"client": file.read_text().strip()} != {"client": OLD}
    assert len(answers) > 10 and set(answers) == {(200,)}
    # The three runs take as long as a few turns do.
    assert len(turns) > 2 and set(turns) == {0}


def test_the_administrator_gets_the_password_of_the_inventory(server, file, play, reconciler):
    admin_password = file.with_name("admin_password")
    admin_password.write_text(PASSWORD + "\n")
    new = "another-password-2"
    asked = ["-e", "rotate=admin_password,reconciler"]
    code, out = play(*asked, "--check", xinference_admin_password=new)
    assert code == 0, out
    assert "the administrator's password of cluster gpu1 would be replaced" in out
    assert "the reconciler of cluster gpu1 would get a new password" in out
    assert server.accounts.users["admin"]["password"] == admin_password.read_text().strip() == PASSWORD
    code, out = play("-e", "rotate=admin_password", xinference_admin_password=new)
    assert code == 0 and new not in out and PASSWORD not in out, out
    assert server.accounts.users["admin"]["password"] == admin_password.read_text().strip() == new


def test_a_host_without_a_reconciler_says_so_and_other_secrets_are_refused(server, file, play):
    code, out = play("-e", "rotate=reconciler")
    assert code == 0 and "the reconciler of cluster gpu1 has no password" in out and not server.changes(), out
    code, out = play("-e", "rotate=client_key,password")
    assert code and "client_key, admin_password, reconciler" in out and not server.changes(), out
