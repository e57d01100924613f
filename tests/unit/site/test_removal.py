# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The steps of a removal in order, and the files that stay: pure."""

from __future__ import annotations

import pytest

from ansible_collections.modelops.inference.plugins.plugin_utils._site import reading
from ansible_collections.modelops.inference.plugins.plugin_utils._site.host_plan import HostPlan
from ansible_collections.modelops.inference.plugins.plugin_utils._site.steps import Run, calls

TOP = "/opt/xinference"
ABSENT = {"xinference_state": "absent"}
KEEPS_MODELS = {"xinference_keep_models": True}
ENTRIES = ["cache", "current", "etc", "home", "models", "reconciler", "releases", "secrets", "tools"]
HOME, MODELS = f"{TOP}/home", f"{TOP}/models"
PROGRAMS = [f"{TOP}/{name}" for name in ("current", "releases", "tools", "etc", "cache", "reconciler")]
#: The reading of a host that has everything.
INSTALLED = {
    "entries": ENTRIES,
    "files": {path: {"mode": "0755"} for path in (TOP, HOME, MODELS)},
    "service": {"installed": True},
    "services": {"xinference-reconcile": {"installed": True, "refusal": "", "path": "/x", "timer_path": ""}},
}


def plan(host, variables=None, part="local", found=None, **more):
    return HostPlan.of(host({**ABSENT, **(variables or {})}, part, {**INSTALLED, **(found or {})}, **more))


def removed(made):
    """Paths that go."""
    return calls("remove_directories", made, Run(), {})[0].options["paths"]


def test_everything_goes_in_order(host):
    firewall = {"firewall": {"differs": True, "plan": ["- remove file /x"], "refused": ""}}
    made = plan(host, {"xinference_firewall": True}, found=firewall)
    assert list(made.steps) == ["remove_services", "firewall", "remove_directories", "remove_user"]
    assert (made.refusals, made.notes) == ((), ())
    assert made.steps["remove_services"] == "xinference-reconcile, xinference are installed"
    assert made.steps["firewall"] == "- remove file /x"
    options = [call.options for call in calls("remove_services", made, Run(), {})]
    assert [(each["name"], each["state"]) for each in options] == [
        ("xinference-reconcile", "absent"),
        ("xinference", "absent"),
    ]
    assert removed(made) == [*PROGRAMS[:-1], f"{TOP}/reconciler", f"{TOP}/secrets", HOME, MODELS, TOP]
    options = calls("firewall", made, Run(), {})[0].options
    assert options["state"] == "absent" and options["peers"] == []
    assert calls("remove_user", made, Run(), {})[0].options == {"name": "xinference", "state": "absent"}


def test_nothing_is_done_where_nothing_is_left(host):
    gone = {"entries": [], "files": {}, "service": {"installed": False}, "services": {}, "user": {"made_here": False}}
    assert plan(host, found=gone).steps == {}
    # A file of a service that the manager does not know any more.
    unit = "/etc/systemd/system/xinference.service"
    assert list(plan(host, found={**gone, "files": {unit: {}}}).steps) == ["remove_services"]


@pytest.mark.parametrize("step", ["other", "upgrade", "undrain"])
def test_other_playbooks_remove_nothing(host, step):
    assert plan(host, step=step).steps == {}


def test_a_removal_needs_no_room_and_no_port(host):
    found = {"disk": {"free_bytes": 0, "writable": True, "path": "/opt"}, "port": {"listening": True, "by": "nginx"}}
    assert plan(host, found=found).refusals == ()


def test_a_service_of_somebody_else_is_refused(host):
    foreign = {"service": {"installed": True, "refusal": "/x is not a file of this collection."}}
    assert plan(host, found=foreign).refusals == ("/x is not a file of this collection.",)


def test_data_and_their_user_are_kept_on_request(host):
    made = plan(host, {"xinference_keep_data": True})
    assert list(made.steps) == ["remove_services", "remove_directories"]
    assert removed(made) == PROGRAMS and made.notes == ()


def test_weights_are_kept_on_request(host):
    assert removed(plan(host, KEEPS_MODELS)) == [*PROGRAMS, f"{TOP}/secrets", HOME]
    elsewhere = {**KEEPS_MODELS, "xinference_models_dir": "/opt/xinference-models"}
    files = {path: {} for path in (TOP, HOME, "/opt/xinference-models")}
    entries = [name for name in ENTRIES if name != "models"]
    made = plan(host, elsewhere, found={"files": files, "entries": entries})
    assert removed(made)[-1] == TOP and "/opt/xinference-models" not in removed(made)


FOREIGN = {"models_entries": {"own": [".fetching-b", "a"], "foreign": ["llama-of-ann"]}}


def test_weights_that_somebody_else_put_there_stay(host):
    made = plan(host, found=FOREIGN)
    assert removed(made)[-2:] == [f"{MODELS}/.fetching-b", f"{MODELS}/a"]
    assert made.notes == (
        "gpu01 (cluster gpu01): /opt/xinference/models/llama-of-ann stays, because this collection did not create it. Remove by hand "
        "what nobody needs.",
    )
    elsewhere = {"xinference_models_dir": "/data/models"}
    files = {path: {} for path in (TOP, HOME, "/data/models")}
    entries = [name for name in ENTRIES if name != "models"]
    made = plan(host, elsewhere, found={**FOREIGN, "files": files, "entries": entries})
    assert removed(made)[-3:] == ["/data/models/.fetching-b", "/data/models/a", TOP] and len(made.notes) == 1


def test_a_directory_that_holds_something_else_stays(host):
    made = plan(host, found={"entries": [*ENTRIES, "notes.txt"]})
    assert removed(made)[-1] == MODELS
    assert "/opt/xinference/notes.txt stays, because" in made.notes[0]


def test_a_directory_of_such_a_name_that_no_variable_names_stays(host):
    made = plan(host, {"xinference_home": "/data/home", "xinference_models_dir": "/data/models"})
    assert removed(made) == [*PROGRAMS, f"{TOP}/secrets"]
    assert f"{HOME}, {MODELS} stay, because this collection did not create them." in made.notes[0]


BOTH = ["supervisor", "worker"]


def test_a_worker_leaves_its_supervisors_host(host):
    files = {f"{TOP}/etc/xinference-worker.{ending}": {} for ending in ("env", "drained")}
    found = {"files": files, "services": {}, "firewall": {"differs": False}}
    made = plan(host, {"xinference_firewall": True}, "worker", found, parts=BOTH)
    assert list(made.steps) == ["remove_services", "remove_directories"] and made.notes == ()
    assert removed(made) == [f"{TOP}/etc/xinference-worker.env", f"{TOP}/etc/xinference-worker.drained"]
    assert [call.options["name"] for call in calls("remove_services", made, Run(), {})] == ["xinference-worker"]
    assert "firewall" not in reading.options([made.host])


def test_a_host_that_is_both_is_removed_with_both(host):
    wanted = host(ABSENT, "supervisor", parts=BOTH)
    assert reading.options([wanted])["services"] == ["xinference-supervisor-reconcile", "xinference-worker"]
    worker = {"installed": True, "refusal": "", "path": "/w", "timer_path": ""}
    services = {**INSTALLED["services"], "xinference-worker": worker}
    made = plan(host, part="supervisor", found={"services": services}, parts=BOTH)
    names = [call.options["name"] for call in calls("remove_services", made, Run(), {})]
    assert names == ["xinference-reconcile", "xinference-supervisor", "xinference-worker"]
    # Elsewhere nobody asks for it.
    assert reading.options([host({}, "supervisor", parts=BOTH)])["services"] == ["xinference-supervisor-reconcile"]


def test_a_removal_follows_no_link(host, run_module, tmp_path):
    top, outside = tmp_path / "xinference", tmp_path / "outside"
    (top / "home" / "logs").mkdir(parents=True)
    (top / "secrets").mkdir()
    outside.mkdir()
    (outside / "file").write_text("x")
    for link in (top / "home" / "logs" / "link", top / "models", top / "current"):
        link.symlink_to(outside)
    found = {
        **INSTALLED,
        "entries": sorted(path.name for path in top.iterdir()),
        "files": {str(path): {} for path in (top, top / "home", top / "models")},
    }
    made = HostPlan.of(host({**ABSENT, "xinference_dir": str(top)}, found=found))
    for call in calls("remove_directories", made, Run(), {}):
        assert not run_module(call.module, call.options).failed
    assert not top.exists() and [path.name for path in outside.iterdir()] == ["file"]
