# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Takes the place of `run` in plugins/module_utils/_module.py: answers as a host, a server or a Dify would.

A module comes here with its arguments checked. What a host has is in the file DIRECTORY.json beside its xinference_dir; what
modules that bring something about would have made, in check mode, too, is noted there. Servers and Difys have what is declared.
Its cards and their driver are read for real, from a tree of files that takes the place of /.

Where $EMULATED_CALLS names a file, each execution is written to it; that file with ".fails" holds what is in the line of one that
fails, once.
"""

import hashlib
import json
import os
import time

UNITS = "/etc/systemd/system"


def _read(path, kind="json"):
    with open(f"{path}.{kind}", encoding="utf-8") as file:
        return json.load(file)


def _note(path, **made):
    """Keys of the host's file with what is new of each."""
    host = _read(path)
    for name, new in made.items():
        host[name] = {**host[name], **new}
    with open(f"{path}.json", "w", encoding="utf-8") as file:
        json.dump(host, file)
    return _changed(*made)


def _changed(*names):
    """Of a module that would bring something about."""
    after = {name: {} for name in names}
    return {"changed": True, "plan": [f"+ emulated {name}" for name in names], "diff": {"before": {}, "after": after}}


def _file(content, mode="0644"):
    content = content.encode() if isinstance(content, str) else content
    return {"sha256": hashlib.sha256(content).hexdigest(), "mode": mode, "uid": 0}


def _host_info(given, work):
    host = _read(given["path"])
    co_located = given["co_located"] or {}
    names = [given["service"], *given["services"], *([co_located["service"]] if co_located else [])]
    units = {name: {**_unit(name), **host["services"].get(name, {})} for name in names}
    own = units.pop(given["service"])
    # Files of other modules really exist.
    files = {path: _file("") for path in given["files"] if os.path.isfile(path)}
    about = {"service": own, "services": units, "files": {**files, **host["files"]}, "weights": host["weights"]}
    about["entries"] = os.listdir(given["path"]) if os.path.isdir(given["path"]) else []
    about["bind"] = {"address": given["host"] or host["address"], "why_not": ""}
    about["port"] = _port(given["port"], own)
    if co_located:
        theirs = units.pop(co_located["service"])
        about["co_located"] = {"service": theirs, "port": _port(co_located["port"], theirs)}
    machine = {**given["accelerator"], "root": given["path"].replace("/hosts/", "/machines/")}
    of_environment = work.__globals__["accelerators"].of_environment
    about["accelerator"] = of_environment(machine, check_mode=given["check_mode"])[1]
    if given["network"]:
        resolved = {peer["name"]: peer["address"] for peer in given["network"]["peers"]}
        about["network"] = {"resolved": resolved, "problems": {}}
    if given["firewall"]:
        differs = not os.path.exists(_firewall_mark(given["path"].rpartition("/hosts/")[0], given["firewall"]))
        about["firewall"] = {"differs": differs, "plan": [], "refused": ""}
    return {**host["found"], **about}


def _port(number, unit):
    return {"number": number, "listening": unit["installed"], "ours": unit["installed"], "by": "emulated"}


def _firewall_mark(folder, given):
    """The file that a firewall with these options leaves. Its module knows no directory of the host; peers come as names or addresses."""
    known = json.dumps([given["state"], given["api_port"], given["api_networks"], given["cluster_ports"]])
    return os.path.join(folder, f"firewall-{hashlib.sha256(known.encode()).hexdigest()[:12]}")


def _firewall(given, work):
    with open(_firewall_mark(os.path.dirname(given["remote_tmp"]), given), "w", encoding="utf-8"):
        return _changed("firewall")


def _unit(name):
    timer = f"{UNITS}/{name}.timer" if name.endswith("-reconcile") else ""
    about = {
        "manager": "systemd",
        "scope": "system",
        "path": f"{UNITS}/{name}.service",
        "timer_path": timer,
        "refusal": "",
    }
    off = {"installed": False, "active": "stopped", "enabled": False, "pid": 0, "config": "", "release": ""}
    return {**about, **off, "commands": {word: f"systemctl {word} {name}" for word in ("stop", "start", "log")}}


def _python(given, work):
    return {"python": given["python"], "python_source": given["python_source"]}


def _release(given, work):
    found = _read(given["path"])["found"]
    made = {"releases": sorted({*found["releases"], given["id"]})}
    if given["activate"]:
        # Steps call programs with it.
        python = os.path.join(given["path"], "current", "bin", "python")
        os.makedirs(os.path.dirname(python), exist_ok=True)
        with open(python, "w", encoding="utf-8") as file:
            file.write("#!/bin/sh\n")
        os.chmod(python, 0o755)
        made.update(current=given["id"], previous=given["previous"] or found["current"])
    return {**_note(given["path"], found=made), "release": {}}


def _service(given, work):
    if given["state"] not in ("started", "restarted"):
        return _note(given["base"], services={given["name"]: {"installed": True, "active": "stopped"}})
    unit = _unit(given["name"])
    files = {unit["path"]: _file(given["unit"]), unit["timer_path"]: _file(given["timer"] or "")}
    files.update({each["path"]: _file(each["content"], each["mode"]) for each in given["files"]})
    state = {"installed": True, "active": "running", "enabled": True, "pid": 1, "config": given["config"]}
    state["release"] = _read(given["base"])["found"]["current"]
    return {**_note(given["base"], services={given["name"]: state}, files=files), "service": unit}


def _bootstrap(given, work):
    return _note(given["home"].rpartition("/")[0], found={"auth_users": 2})


def _reconciler(given, work):
    program = work.__globals__["program"].reconciler(given["path"])
    return _note(given["path"], files={f"{given['path']}/tools/modelops-reconcile": _file(program, "0755")})


def _weights(given, work):
    if not given["base"]:
        return {"weights": {}}
    source = work.__globals__["Source"]
    names = [source.of(each).name for each in given["sources"]]
    found = {name: {"path": "/weights", "directory": "/weights"} for name in names}
    told = _note(given["base"], weights=found)
    return {**told, "weights": _read(given["base"])["weights"]}


def _bundle(given, work):
    """A bundle for these hosts, of one wheel."""
    of, wheel = work.__globals__, "wheels/emulated.whl"
    of["make_directory"](os.path.join(given["path"], "wheels"))
    with open(os.path.join(given["path"], wheel), "w", encoding="utf-8") as file:
        file.write("emulated")
    files = {wheel: of["bundle"].about(given["path"], wheel)}
    about = {"declared": {}, "lock": wheel, "wheels": [wheel], "tools": [], "packages": {}}
    made = {
        "format": 1,
        "weights": {name: {"files": []} for name in given["weights"]},
        "dify": [],
        "collection": "",
        "files": files,
    }
    made["environments"] = [{**one, **about} for one in of["merged"](given["environments"])]
    of["write_file"](os.path.join(given["path"], "SHA256SUMS"), of["bundle"].sums(files), 0o644)
    of["write_file"](os.path.join(given["path"], "manifest.json"), json.dumps(made), 0o644)
    return {"changed": True, "plan": ["+ emulated"], "files": 1, "bytes": 8}


def _network(given, work):
    resolved = {peer["name"]: peer["address"] for peer in given["peers"]}
    about = {"address": resolved[given["name"]], "resolved": resolved, "problems": []}
    return {**about, "now": time.time(), "seconds": 0.0, "time_synchronised": True}


def _models(given, work):
    rows = []
    for model in given["models"]:
        ready = {"ready": model["replicas"], "wanted": model["replicas"]}
        abilities = (model["definition"] or {}).get("abilities") or ["chat"]
        about = {"abilities": abilities, "tags": model["tags"] or [], "dify": {}, "replicas": ready}
        about["proof"] = {"ok": True, "detail": "emulated", "latency_ms": 1}
        rows.append({"uid": model["uid"], "type": model["type"], "declared": "present", "state": "ready", **about})
    return {"version": "4.1.0", "pending": False, "plan": [], "progress": [], "requests": {}, "models": rows}


def _serve(given, work):
    about = {
        "auth": "database",
        "claimed": True,
        "needs_setup": False,
        "client_keys": [],
        "definitions": [],
        "diff": [],
    }
    return {**about, **_models(given, work)}


def _proof(given, work):
    os.makedirs(os.path.dirname(given["record"]), exist_ok=True)
    with open(given["record"], "w", encoding="utf-8") as file:
        json.dump({"proven": given["proves"]}, file)
    return {"devices": []}


def _dify_workspaces(given, work):
    """Each workspace has what it is to have."""
    of = work.__globals__
    rows = []
    for call in of["calls"](given["targets"]):
        target = given["targets"][call["key"]]
        wanted = of["registrations"](given["clusters"], target, not_ready=False, complete=given["complete"])
        about = {"state": "present", "action": "none", "why": ""}
        models = [{"name": model["name"], "type": model["type"], **about} for model in wanted["models"]]
        plugin = {"id": "langgenius/xinference", "state": "present"}
        done = {
            "plugin": {"plugin": plugin, "action": "none"},
            "models": {"models": models},
            "defaults": {"defaults": []},
        }
        done = {step: result if call[step] else {"skipped": True} for step, result in done.items()}
        rows.append({"target": target["name"], "workspace": call["workspace"], **done})
    return {"proofs": [], "workspaces": rows}


#: These work on files below the host's directory, or ask a server that is there.
REAL = ("accelerator_info", "accelerator_record", "xinference_capture_info", "xinference_directory")
ANSWERS = {
    "xinference_host_info": _host_info,
    "xinference_network_info": _network,
    "xinference_firewall": _firewall,
    "accelerator_proof": _proof,
    "xinference_python_info": _python,
    "xinference_release": _release,
    "xinference_weights": _weights,
    "xinference_bundle": _bundle,
    "xinference_bootstrap": _bootstrap,
    "xinference_service": _service,
    "xinference_reconciler": _reconciler,
    "xinference_models": _models,
    "xinference_serve": _serve,
    "xinference_probe": lambda given, work: {"ok": True, "models": [{"uid": uid, "ok": True} for uid in given["uids"]]},
    "dify_workspaces": _dify_workspaces,
}


def _called(module, call, calls):
    with open(calls, "a", encoding="utf-8") as file:
        file.write(f"{call}\n")
    if os.path.exists(f"{calls}.fails"):
        fails = _read(calls, "fails")
        if fails and all(words in call for words in fails):
            os.unlink(f"{calls}.fails")
            module.fail_json(msg="emulated failure")


def run(module, work):
    call = json.dumps([module._name.rpartition(".")[2], module.params])
    if "EMULATED_CALLS" in os.environ:
        _called(module, call, os.environ["EMULATED_CALLS"])
    if module._name.endswith(REAL):
        module.exit_json(**work(module))
    answer = ANSWERS.get(module._name.rpartition(".")[2], lambda given, work: {})
    module.exit_json(
        **{
            "changed": False,
            "plan": [],
            **answer({**module.params, "check_mode": module.check_mode, "remote_tmp": module._remote_tmp}, work),
        }
    )
