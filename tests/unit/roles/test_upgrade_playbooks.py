# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbooks upgrade and rollback on an emulated cluster: what changes, what a failure leaves, and where hosts go back to."""

from __future__ import annotations

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from emulated import Hosts

NAMES = ("head", "w1", "w2")
OLD, NEW = "4.0.1", "4.1.0"


class Cluster(Hosts):
    def runs(self, release):
        """On every host servers of this release run, as after a run of the site."""
        service = {"installed": True, "active": "running", "enabled": True, "pid": 1, "release": release}
        for file in self.folder.glob("hosts/*.json"):
            about = json.loads(file.read_text())
            about["found"].update(current=release, releases=[release], auth_users=2)
            about["services"] = dict.fromkeys(("xinference-supervisor", "xinference-worker"), service)
            file.write_text(json.dumps(about))

    def run(self, name, *words, fails=()):
        """A playbook; the first execution of a module that has all of `fails` in its name and arguments fails."""
        (self.folder / "calls").write_text("")
        (self.folder / "calls.fails").write_text(json.dumps(fails))
        self.env["EMULATED_CALLS"] = str(self.folder / "calls")
        code, out = self.play(f"playbooks/{name}.yml", *words)
        return code, " ".join(out.split())[-6000:]

    def called(self, module, host):
        """The arguments of each execution of a module for a host."""
        calls = [json.loads(line) for line in (self.folder / "calls").read_text().splitlines()]
        return [given for name, given in calls if name == module and f"hosts/{host}" in json.dumps(given)]

    def drained(self, worker):
        """(state, returns) of each step of a worker's drains."""
        calls = [json.loads(line) for line in (self.folder / "calls").read_text().splitlines()]
        steps = [
            given for name, given in calls if name == "xinference_drain" and given["worker"].startswith(f"{worker}:")
        ]
        return [(given["state"], given["returns"]) for given in steps]

    def versions(self, link="current"):
        """Of each host the version of the release that runs, or of the link."""
        found = [json.loads((self.folder / "hosts" / f"{name}.json").read_text())["found"] for name in NAMES]
        return [each[link].rpartition("-")[0] for each in found]

    def under_way(self):
        return sorted(path.name for path in self.folder.glob("hosts/*/etc/*"))


@pytest.fixture
def hosts(tmp_path):
    """``hosts(variables)`` -> a cluster, on which nothing is installed yet."""

    def make(variables):
        groups = {"xinference_supervisors": NAMES[:1], "xinference_workers": NAMES[1:]}
        children = {group: {"hosts": dict.fromkeys(names, {})} for group, names in groups.items()}
        models = [{"name": "bge-m3", "type": "embedding", "uid": "m"}]
        variables = {"xinference_version": OLD, "xinference_models": models, "models_reconcile": False, **variables}
        (tmp_path / "hosts.json").write_text(json.dumps({"all": {"vars": variables, "children": children}}))
        return Cluster(tmp_path, tmp_path / "hosts.json")

    return make


@pytest.fixture
def supervisor():
    """The port of a supervisor that has the first worker alone."""

    class Status(BaseHTTPRequestHandler):
        def do_GET(self):
            body = json.dumps({"workers": {"w1:9998": {}}}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Status) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def test_nobody_is_stopped_where_the_others_do_not_serve(hosts, supervisor):
    cluster = hosts({"xinference_port": supervisor})
    variables = json.loads((cluster.folder / "hosts.json").read_text())
    variables["all"]["children"]["xinference_supervisors"]["hosts"]["head"] = {"ansible_host": "127.0.0.1"}
    (cluster.folder / "hosts.json").write_text(json.dumps(variables))
    cluster.runs(f"{OLD}-aaaaaaaaaaaa")
    code, out = cluster.run("restart")
    assert (
        code
        and "w2 (cluster default) is currently not a worker of http://127.0.0.1" in out
        and "w1 (cluster" not in out
    ), out
    assert "Nothing was changed" in out and not cluster.called("xinference_service", "")
    code, out = cluster.run("restart", "-e", "xinference_upgrade_batch=2")
    assert code and "changes all workers of cluster default at once" in out, out
    assert not cluster.called("xinference_service", "")


def test_a_failed_upgrade_goes_on_and_every_host_goes_back_where_its_cluster_came_from(hosts):
    cluster = hosts({})
    code, out = cluster.install()
    assert code == 0, out
    upgrade = ("upgrade", "-e", f"xinference_version={NEW}")
    # Before anything of a host was changed: it is left as it is.
    code, out = cluster.run(*upgrade, fails=["xinference_drain", '"drained"', "w2:"])
    assert code and "w2 (cluster default): the upgrade of its worker" in out, out
    assert "It was not stopped, and serves with 4.0.1-" in out and "-e xinference_rollback_to=4.0.1." in out, out
    assert cluster.versions() == [OLD, NEW, OLD] and not cluster.under_way()
    assert not cluster.called("xinference_service", "w2") and not cluster.called("xinference_service", "head")

    # Run again it goes on. It fails after the server was stopped: that returns.
    code, out = cluster.run(*upgrade, fails=["xinference_service", '"started"', "hosts/head"])
    assert code and "It serves with 4.0.1-" in out, out
    assert cluster.versions() == [OLD, NEW, NEW] and not cluster.under_way()
    assert cluster.versions("previous") == [OLD, OLD, OLD]
    assert not cluster.called("xinference_service", "w1")
    kept, restored = cluster.called("xinference_backup", "head")
    assert (kept["state"], restored["state"]) == ("present", "restored")
    assert kept["release"] == restored["release"] and kept["release"].startswith(f"{OLD}-")

    # The one that has come back stays. The rollback breaks off at the last one, which goes on with the new release.
    code, out = cluster.run("rollback", fails=["xinference_service", '"started"', "hosts/w2"])
    assert code and "It serves with 4.1.0-" in out, out
    assert cluster.versions() == [OLD, OLD, NEW] and not cluster.called("xinference_service", "head")

    # A run that was killed has drained the last one. Run again it goes on, whatever the inventory names, and changes nothing where it is
    # done.
    for mark in ("drained", "upgrading"):
        (cluster.folder / "hosts" / "w2" / "etc" / f"xinference-worker.{mark}").write_text("")
    code, out = cluster.run("rollback", "-e", "xinference_version=2.6.1")
    assert code == 0 and cluster.versions() == [OLD, OLD, OLD] and not cluster.under_way(), out
    assert cluster.drained("w2") == [("drained", True), ("leaving", True), ("left", True), ("undrained", False)]
    changed = dict(re.findall(r"(\w+) : ok=[0-9]+ changed=([0-9]+)", out))
    assert changed["head"] == changed["w1"] == "0" != changed["w2"], out


def test_a_worker_comes_back_and_what_fails_on_it_returns(hosts):
    cluster = hosts({})
    cluster.runs(f"{OLD}-aaaaaaaaaaaa")
    upgrade = ("upgrade", "-e", f"xinference_version={NEW}")
    once = [("drained", True), ("leaving", True), ("left", True), ("undrained", False)]
    # Its returned model does not answer: it leaves again, and gets the model back with its old release.
    code, out = cluster.run(*upgrade, fails=["xinference_drain", '"undrained"', "w1:"])
    assert code and "w1 (cluster default): the upgrade of its worker" in out and "It serves with 4.0.1-" in out, out
    assert cluster.drained("w1") == once + once and not cluster.drained("w2")
    assert cluster.versions() == [OLD, OLD, OLD] and not cluster.under_way()
    stops = [given for given in cluster.called("xinference_service", "w1") if given["state"] in ("disabled", "stopped")]
    assert [(given["state"], given["leaves"]) for given in stops] == [("disabled", True)] * 2 + [("stopped", False)]

    code, out = cluster.run("restart", "--limit", "w1")
    assert code == 0 and cluster.drained("w1") == once, out
    # A worker that is drained by hand has its replicas served elsewhere.
    code, out = cluster.run("drain", "--limit", "w2")
    assert code == 0 and cluster.drained("w2") == [("drained", False), ("leaving", False), ("left", False)], out
