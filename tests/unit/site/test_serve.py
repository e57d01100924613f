# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options of role models for a server or a cluster, and its reconciler: pure."""

from __future__ import annotations

import configparser
import hashlib
import shlex

import pytest

from ansible_collections.modelops.inference.plugins.module_utils._xinference.reconciler import program
from ansible_collections.modelops.inference.plugins.plugin_utils._calls import merged
from ansible_collections.modelops.inference.plugins.plugin_utils._site import serve
from ansible_collections.modelops.inference.plugins.plugin_utils._site.calls import Run
from ansible_collections.modelops.inference.plugins.plugin_utils._site.host_plan import HostPlan
from ansible_collections.modelops.inference.plugins.plugin_utils._site.reconciler import Reconciler
from ansible_collections.modelops.inference.plugins.plugin_utils._site.steps import calls

NO_RECONCILER = {
    "installed": False,
    "active": "stopped",
    "enabled": False,
    "path": "/u",
    "timer_path": "/t",
    "refusal": "",
}
RECONCILERS = dict.fromkeys(("xinference-reconcile", "xinference-supervisor-reconcile"), NO_RECONCILER)
RUNS = {"service": {"active": "running"}, "services": RECONCILERS}
CARD = {"index": 0, "memory_bytes": 24 << 30}
WORKER = {"host": "gpu01", "address": "10.1.1.9:9998", "started": True, "gpus": [{**CARD, "worker": "10.1.1.9:9998"}]}
MODEL = {"uid": "m", "type": "embedding"}


def step(name, host, others=None, check=False):
    """The last call of a step."""
    return calls(name, HostPlan.of(host), Run({"hostvars": others or {}}, check), {})[-1]


def section(text, name):
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str
    parser.read_string(text)
    return dict(parser[name])


# -- the requested packages -----------------------------------------------------------------------------------------------------


def test_a_server_of_its_own_is_asked_for_everything_at_once(host):
    variables = {
        "xinference_models": [MODEL],
        "xinference_definitions": [{"name": "d"}],
        "xinference_users": [{"name": "viewer"}],
        "models_reconcile": True,
        "models_replace": "true",
    }
    call = step("serve", host(variables, found={**RUNS, "gpus": [CARD], "weights": {"w": {"path": "/w"}}}))
    given = call.options
    assert (call.module, call.interpreter) == ("xinference_serve", "/opt/xinference/current/bin/python")
    assert (
        given["endpoint"] == "http://127.0.0.1:9997"
        and given["password_file"] == "/opt/xinference/secrets/admin_password"
    )
    assert [user["name"] for user in given["users"]] == ["viewer", "reconciler"]
    assert given["keys"] == [{"name": "client", "path": "/opt/xinference/secrets/client_key"}]
    assert given["definitions"] == [{"name": "d"}] and given["models"] == [MODEL]
    assert given["weights"] == {"w": {"path": "/w"}} and given["replace"] == "true"
    assert (given["workers"], given["new_workers"], given["cluster"]) == ([], [], False)
    assert given["downloads"] == "/opt/xinference/home" and given["devices"][0]["memory_bytes"] == CARD["memory_bytes"]
    assert given["remember"] == "/opt/xinference/reconciler/declared.json"
    assert given["log_path"] == "/opt/xinference/home/logs/xinference.log"


def test_a_cluster_is_placed_on_the_workers_that_this_run_has_heard(host):
    models = [{**MODEL, "worker": "gpu01"}, {**MODEL, "uid": "o", "worker": "10.9.9.9"}, {**MODEL, "uid": "p"}]
    said = {"xinference_models": models}
    head = host(said, "supervisor", RUNS, said)
    heard = step("serve", head, {"gpu01": {"xinference_worker": WORKER}}).options
    assert [model.get("worker") for model in heard["models"]] == ["10.1.1.9:9998", "10.9.9.9", None]
    assert heard["workers"] == heard["new_workers"] == ["10.1.1.9:9998"] and heard["devices"] == WORKER["gpus"]
    assert heard["cluster"] and "downloads" not in heard
    # One that was not started again, and one that this run leaves out: then the inventory says where it is.
    known = step("serve", head, {"gpu01": {"xinference_worker": {**WORKER, "started": False}}}).options
    assert known["workers"] == ["10.1.1.9:9998"] and known["new_workers"] == []
    unheard = step("serve", head, {"gpu01": {}}).options
    assert unheard["models"][0]["worker"] == "10.1.1.2:9998"
    assert (unheard["workers"], unheard["devices"], unheard["cluster"]) == ([], [], True)


def test_a_worker_that_needs_no_start_is_told_by_its_plan(host):
    head = host({"xinference_models": [MODEL]}, "supervisor", RUNS)
    plan = HostPlan.of(host({}, "worker", {**RUNS, "gpus": [CARD]})).data
    there = {**plan, "changes": False, "accelerator": ""}

    def heard(plan, **known):
        told = step("serve", head, {"gpu01": {"xinference_found": {"plan": plan}, **known}}).options
        assert not told["new_workers"] and bool(told["devices"]) == bool(told["workers"])
        return told["workers"]

    assert heard(there) == ["10.1.1.2:9998"]
    # It may have failed at a step, of which the last one would tell, or at its driver.
    assert heard({**there, "changes": True}) == heard({**there, "accelerator": "change"}) == []
    assert heard({**there, "accelerator": "change"}, accelerator_proof={"skipped": True}) == ["10.1.1.2:9998"]
    assert heard({**there, "step": "other"}) == heard({**there, "worker": {}}) == []
    co_located = {"xinference_found": {"plan": {**there, "worker": {}}, "co_located": {"plan": there}}}
    assert step("serve", head, {"gpu01": co_located}).options["workers"] == ["10.1.1.2:9998"]
    # One that was refused has a failure in the place of a plan.
    assert step("serve", head, {"gpu01": {"xinference_found": {"failed": True}}}).options["workers"] == []


def test_for_a_worker_its_supervisors_variables_say_what_is_served(host):
    theirs = {
        "xinference_models": [MODEL],
        "xinference_dir": "/srv/x",
        "xinference_admin_password": "a-password",
        "models_prune": True,
    }
    mine = {"xinference_models": [{"uid": "other"}], "models_prune": False}
    others = {"gpu01": {"xinference_worker": WORKER}, "head": {"xinference_found": {"weights": {"theirs": {}}}}}
    call = step("models", host(mine, "worker", RUNS, theirs), others)
    given = call.options
    assert (call.module, call.interpreter) == ("xinference_models", "/srv/x/current/bin/python")
    assert given["models"] == [MODEL] and given["prune"] is True and given["weights"] == {"theirs": {}}
    assert given["endpoint"] == "http://10.1.1.1:9997" and given["password"] == "a-password"
    assert "password_file" not in given and given["remember"] == "/srv/x/reconciler/declared.json"
    assert given["log_path"] == "/srv/x/home/logs/xinference.log"
    alone = step("models", host(mine, "worker", {**RUNS, "weights": {"mine": {}}}, theirs), {"gpu01": {}, "head": {}})
    assert alone.options["weights"] == {"mine": {}}


@pytest.mark.parametrize(
    ("variables", "users", "keys"),
    [
        ({"xinference_auth": False}, [], 0),
        ({"xinference_version": "2.12.0", "models_reconcile": True}, [], 1),
        ({"models_reconcile": False}, ["absent"], 1),
        # Role models is not in the play.
        ({}, [], 1),
    ],
)
def test_users_and_keys_of_each_kind_of_authentication(host, variables, users, keys):
    found = serve.accounts(host(variables))
    assert [user["state"] for user in found["users"]] == users and len(found["keys"]) == keys


def test_a_key_of_the_inventory_is_told_to_the_server_and_to_nobody_else(host):
    given = host({"xinference_client_key": "xf-secret", "xinference_admin_password": "a-password"}, found=RUNS)
    call = step("serve", given)
    assert call.options["keys"][0]["key"] == "xf-secret"
    assert "xf-secret" not in repr((call.told, call.assumed)) and "a-password" not in repr((call.told, call.assumed))


def test_check_mode_asks_no_server_that_is_not_there_and_no_users_of_another_release(host):
    models = {"xinference_models": [MODEL]}
    stopped = step("serve", host(models, found={"services": RECONCILERS}), check=True)
    assert stopped.module == "" and stopped.assumed["models"][0]["state"] == "unknown"
    assert calls("models", HostPlan.of(host(models)), Run(check_mode=True), {}) == []
    replaced = step("serve", host(models, found={**RUNS, "current": "2.12.0-a"}), check=True)
    assert replaced.module == "xinference_serve" and "users" not in replaced.options


# -- what is told -----------------------------------------------------------------------------------------------------------


def test_what_other_roles_are_told(host):
    call = step("serve", host({"xinference_models": [MODEL], "models_reconcile": True}, found=RUNS))
    told = {**call.told, **call.assumed}
    # Of these the server says more; no other one may come from its host.
    assert set(call.assumed) == {"version", "models"}
    assert told == {
        "cluster": "gpu01",
        "version": "4.1.0",
        "loopback": True,
        "url": "http://127.0.0.1:9997",
        "api_key_file": "/opt/xinference/secrets/client_key",
        "admin_user": "admin",
        "admin_password": "/opt/xinference/secrets/admin_password",
        "directory": "/opt/xinference",
        "reconciler": "/opt/xinference/tools/modelops-reconcile",
        "models": told["models"],
    }
    assert [(row["uid"], row["type"], row["declared"]) for row in told["models"]] == [("m", "embedding", "present")]
    bare = serve.served(host({"xinference_auth": False, "xinference_admin_password": "x" * 8}))
    assert (bare["admin_user"], bare["api_key_file"], bare["reconciler"]) == ("", "", "")
    assert bare["admin_password"] == "the inventory"


@pytest.mark.parametrize(
    ("part", "variables", "address", "url"),
    [
        ("local", {"xinference_host": "10.2.2.2", "xinference_port": 9000}, "", "http://10.2.2.2:9000"),
        ("local", {"xinference_host": "0.0.0.0"}, "10.3.3.3", "http://gpu01:9997"),
        ("supervisor", {}, "10.3.3.3", "http://10.1.1.1:9997"),
    ],
)
def test_the_url_under_which_clients_reach_a_server(host, part, variables, address, url):
    assert serve.url(host(variables, part, {"system": {"address": address}})) == url


# -- the reconciler -----------------------------------------------------------------------------------------------------------

BASE = {"systemd": "/etc/systemd/system/xinference-reconcile", "supervisord": "/opt/xinference/supervisor/conf.d/x"}


@pytest.fixture
def reconciled(host):
    """``reconciled({variable: value}, manager="systemd", files={...})`` -> Host whose reconciler runs."""

    def make(variables=None, manager="systemd", files=None, active="running", scope="system"):
        timer = f"{BASE[manager]}.timer" if manager == "systemd" else None
        row = {
            "installed": bool(files),
            "active": active,
            "enabled": True,
            "path": f"{BASE[manager]}.service",
            "timer_path": timer,
            "refusal": "",
        }
        found = {
            "service": {"manager": manager, "scope": scope},
            "services": {"xinference-reconcile": row},
            "resolved": {"/opt/xinference": "/home/disk/xinference"},
            "files": files or {},
        }
        return host({"models_reconcile": True, **(variables or {})}, found=found)

    return make


def installed(wanted, manager):
    texts = {f"{BASE[manager]}.service": wanted.unit.encode(), f"{BASE[manager]}.timer": (wanted.timer or "").encode()}
    texts["/opt/xinference/tools/modelops-reconcile"] = program.reconciler("/opt/xinference")
    return {path: {"sha256": hashlib.sha256(text).hexdigest()} for path, text in texts.items()}


def test_systemd_runs_it_after_each_start_and_by_the_clock_with_few_rights(reconciled):
    made = Reconciler.of(reconciled({"models_reconcile_metrics_dir": "/var/lib/node_exporter"}))
    service, timer = section(made.unit, "Service"), section(made.timer, "Timer")
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
    # systemd logs each turn as info; the turn's own lines are notice.
    assert service["SyslogLevel"] == service["LogLevelMax"] == "notice"
    assert (service["User"], service["CapabilityBoundingSet"], service["ProtectSystem"]) == ("xinference", "", "strict")
    assert service["ReadWritePaths"] == "/opt/xinference/reconciler /var/lib/node_exporter"
    assert service["IPAddressDeny"] == "any"
    # An outcome that needs no action is no failure.
    assert service["SuccessExitStatus"] == "3 4 SIGTERM"
    assert timer["OnUnitInactiveSec"] == "60s" and "OnActiveSec" in timer
    for text in made.unit, made.timer:
        assert section(text, "Unit")["PartOf"] == "xinference.service"
    assert section(made.timer, "Install")["WantedBy"] == "xinference.service"


def test_systemd_hides_nothing_that_links_lead_to(reconciled):
    service = section(Reconciler.of(reconciled()).unit, "Service")
    assert (service["ProtectHome"], service["PrivateTmp"]) == ("read-only", "yes")
    assert service["ReadWritePaths"] == "/opt/xinference/reconciler"


def test_without_hardening_or_authentication_it_is_shorter(reconciled):
    full = Reconciler.of(reconciled()).unit
    bare = Reconciler.of(reconciled({"xinference_hardening": False, "xinference_auth": False})).unit
    assert "ProtectSystem" in full and "--password-file" in full
    assert "ProtectSystem" not in bare and "--password-file" not in bare
    own = Reconciler.of(reconciled(scope="user")).unit
    assert "ProtectSystem" not in own and "User=" not in own


@pytest.mark.parametrize("manager", BASE)
def test_percent_signs_mean_themselves(reconciled, manager):
    made = Reconciler.of(reconciled({"xinference_dir": "/opt/a%b", "xinference_cluster": "50%"}, manager))
    assert "/opt/a%%b/tools/modelops-reconcile" in made.unit
    if manager == "systemd":
        assert "(50%%)" in made.unit and "(50%%)" in made.timer and "=/opt/a%%b/reconciler" in made.unit


def test_supervisord_runs_it_all_the_time(reconciled):
    made = Reconciler.of(reconciled({"models_reconcile_interval": 30}, "supervisord"))
    about = section(made.unit, "program:xinference-reconcile")
    words = shlex.split(about["command"])
    # Nothing of the environment that supervisord was started in.
    assert words[:2] == ["/usr/bin/env", "-i"] and words[4] == "LANG=C.UTF-8"
    assert words[7:9] == ["loop", "--endpoint"] and words[words.index("--interval") + 1] == "30"
    assert (about["user"], about["autorestart"], made.timer) == ("xinference", "true", None)


@pytest.mark.parametrize("manager", BASE)
def test_what_is_as_it_must_be_costs_nothing(reconciled, manager):
    wanted = Reconciler.of(reconciled(manager=manager))
    files = installed(wanted, manager)
    as_wanted = reconciled(manager=manager, files=files)
    assert wanted.differences != () == Reconciler.of(as_wanted).differences
    assert [call.module for call in calls("serve", HostPlan.of(as_wanted), Run(), {})] == ["xinference_serve"]
    unwanted = {"models_reconcile": False}
    assert Reconciler.of(reconciled(unwanted, manager)).differences == ()
    program_path = "/opt/xinference/tools/modelops-reconcile"
    for other, why in (
        (reconciled(manager=manager, files=files, active="stopped"), "it is stopped"),
        (reconciled({"models_reconcile_attempts": 7}, manager, files), f"{BASE[manager]}.service differs"),
        (reconciled(manager=manager, files={**files, program_path: {"sha256": "x"}}), f"{program_path} differs"),
        (reconciled(unwanted, manager, files), "it is no longer declared"),
    ):
        assert Reconciler.of(other).differences == (why,)


def test_program_and_service_are_put_in_place_or_removed_together_before_the_models(reconciled):
    program_call, service, last = calls("serve", HostPlan.of(reconciled()), Run(), {})
    assert (program_call.module, program_call.options["state"]) == ("xinference_reconciler", "present")
    assert service.options["state"] == "restarted" and service.options["timer"].startswith("# Managed by")
    assert last.module == "xinference_serve"
    gone = reconciled({"models_reconcile": False}, files=installed(Reconciler.of(reconciled()), "systemd"))
    assert [call.options.get("state") for call in calls("serve", HostPlan.of(gone), Run(), {})] == [
        "absent",
        "absent",
        None,
    ]


def test_several_executions_are_told_as_one():
    first = {"changed": True, "plan": ["+ install x"], "diff": {"before": "", "after": "x"}}
    last = {"changed": False, "plan": ["+ launch m"], "diff": [{"before": {}, "after": {"m": {}}}], "models": []}
    told = merged([first, {"changed": False}, last])
    assert told["changed"] and told["plan"] == ["+ install x", "+ launch m"] and told["models"] == []
    assert told["diff"] == [first["diff"], *last["diff"]]
    assert merged([]) == {"changed": False}
