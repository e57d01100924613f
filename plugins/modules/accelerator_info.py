#!/usr/bin/python
# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: accelerator_info
short_description: Read the accelerators of a host and plan their driver
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Detects cards of NVIDIA, AMD and Huawei (Ascend) through sysfs, without vendor tools. Reads the kernel module, libraries, device nodes,
    Secure Boot, kernel headers, packages, the kernel log and the processes that use the cards. If a vendor's driver runs, the module also
    calls C(nvidia-smi), C(amd-smi) (or C(rocm-smi)) or C(npu-smi).
  - Plans from these facts alone the required steps, or the reasons that prevent them, and the matching PyTorch build.
  - Changes nothing. Run it as root. Other users cannot read all processes, firmware variables and parts of the kernel log.
extends_documentation_fragment:
  - modelops.inference._attributes
  - modelops.inference._attributes.info
  - modelops.inference._accelerator
"""

EXAMPLES = r"""
- name: Read the facts and the plan
  modelops.inference.accelerator_info:
  register: accelerator

- name: Show the plan, one line for each item
  ansible.builtin.debug:
    msg: "{{ accelerator.plan.lines }}"

- name: Check that the driver runs PyTorch builds for CUDA 12
  modelops.inference.accelerator_info:
    accelerator: nvidia
    cuda: 12
    manage: false
"""

RETURN = r"""
facts:
  description: Facts about the host.
  returned: success
  type: dict
  contains:
    date:
      description: Date of the reading, in UTC.
      type: str
      sample: "2026-11-23"
    vendors:
      description: Vendors of the cards on which this host can compute. An AMD display controller inside a CPU does not count.
      type: list
      elements: str
      sample: [nvidia]
    cards:
      description:
        - All cards, in the bus order within each vendor. In a container, cards that the vendor's tool does not list are omitted.
        - C(vendor), C(address) (PCI), C(id) and C(subsystem) (C(vendor:device)), C(class), C(driver) (the bound driver, such as V(nvidia),
          V(nouveau) or V(vfio-pci)), C(numa_node) (or V(null)), C(virtual_function).
        - C(computes) is false for a card that is only a display controller. C(alive) is false if the card no longer answers on the bus.
          C(answers) is true if the vendor's tool lists the card, and V(null) if there is no tool.
        - C(generation) is the generation of an NVIDIA card (such as V(ampere)), the LLVM target of an AMD card (V(gfx942)) or the chip of
          an Ascend card (V(910B)). C(capability) is the CUDA compute capability.
        - C(index), C(name), C(uuid), C(memory_bytes) and C(free_bytes) are V(null) or empty if no driver reports them.
        - C(fabric) is the link to other cards on the board (V(nvlink5) or V(imex)). C(fabric_state) and C(fabric_status) are the driver's
          report about it.
        - C(mig_capable), and C(mig) with C(enabled), C(pending) and C(instances) (C(index), C(gpu_instance), C(compute_instance),
          C(profile), C(uuid), C(memory_bytes), C(free_bytes)).
        - C(persistence), C(ecc) (V(null) if unsupported), C(uncorrected_errors), C(reset_required), C(healthy), and C(virtual_gpu) (a part
          of a card that a hypervisor divides).
      type: list
      elements: dict
      sample:
        - {vendor: nvidia, kind: gpu, address: "0000:1b:00.0", id: "10de:2330", subsystem: "10de:16c1", class: "0302",
          driver: nvidia, numa_node: 0, virtual_function: false, computes: true, alive: true, answers: true, index: 0,
          name: NVIDIA H100 80GB HBM3, uuid: GPU-8f4c..., memory_bytes: 85520809984, free_bytes: 85014347776,
          capability: "9.0", generation: hopper, fabric: "", fabric_state: Completed, fabric_status: Success, mig_capable: true,
          mig: {enabled: false, pending: false, instances: []}, persistence: true, ecc: true, uncorrected_errors: 0,
          reset_required: false, healthy: true, virtual_gpu: false}
    switches:
      description: NVSwitches, with the bus fields of C(cards).
      type: list
      elements: dict
      sample: []
    nvidia:
      description:
        - NVIDIA's driver. C(loaded) is the version of the running kernel module. C(installed) is the version that the running kernel would
          load. Each has a C(_flavor), either V(open) or V(proprietary). C(library) is the version of the libraries. C(driver) is the
          effective version, including in WSL2. C(cuda) is the newest CUDA version that the driver supports. All are empty without a driver.
        - C(nodes), C(mig_nodes) (a number), C(compat) (version of CUDA's compatibility libraries), C(persistence_daemon) and
          C(fabric_manager) (whether they run), C(tool) (whether nvidia-smi answered) and C(tool_error).
      type: dict
      sample: {driver: 580.95.05, loaded: 580.95.05, loaded_flavor: open, installed: 580.95.05, installed_flavor: open,
        library: 580.95.05, cuda: "13.0", nodes: [/dev/nvidia0, /dev/nvidiactl, /dev/nvidia-uvm], mig_nodes: 0, compat: "",
        persistence_daemon: true, fabric_manager: false, tool: true, tool_error: ""}
    amd:
      description:
        - AMD's driver. C(loaded) and C(driver) are the version of amdgpu, or V(in-tree) for the kernel's own module. Other keys are
          C(rocm), C(nodes), C(groups), C(tool) and C(tool_error).
      type: dict
      sample: {loaded: 6.14.14, rocm: 7.1.0, nodes: [/dev/kfd, /dev/dri/renderD128], groups: [render, video], tool: true, tool_error: ""}
    ascend:
      description:
        - Ascend's driver. C(driver), C(firmware) and C(cann) are versions, and C(loaded) is the driver's state. Other keys are C(nodes),
          C(tool) and C(tool_error).
      type: dict
      sample: {loaded: true, driver: 24.1.rc3, firmware: 7.5.0.1.129, cann: 8.0.RC3, nodes: [/dev/davinci0], tool: true, tool_error: ""}
    system:
      description:
        - C(distribution) (C(id), C(version), C(name), and C(repository), its name in vendors' repositories), C(architecture), C(kernel),
          and C(headers) of the running kernel. If the headers are missing, C(headers_package) is their package and C(headers_candidate) is
          the version that can be installed. C(headers_candidate) is empty if none exists, and V(null) if the host has no package index.
        - C(boot_id) is the same for all systems that share one kernel. C(root) is true if the module read the host with all privileges.
        - C(container) and C(virtual_machine) (empty if not applicable, V(unknown) if the name is unknown), C(wsl), C(loads_modules),
          C(secure_boot) (V(null) if unreadable), C(signing_keys) (C(path), C(enrolled)), C(lockdown), C(nouveau) (C(loaded), C(kept_off)).
      type: dict
      sample: {distribution: {id: debian, version: "12", name: Debian GNU/Linux 12 (bookworm), repository: debian12},
        architecture: x86_64, kernel: 6.1.0-40-amd64, headers: true, headers_package: "", headers_candidate: "", container: "",
        virtual_machine: "", wsl: false, loads_modules: true, secure_boot: false, signing_keys: [], lockdown: none,
        nouveau: {loaded: false, kept_off: true}}
    cpu:
      description:
        - C(model), C(features) for which llama.cpp has kernels, C(threads), C(cores), C(sockets), C(governor) and C(numa_nodes) (C(id),
          C(cpus), C(memory_bytes)).
      type: dict
      sample: {model: AMD EPYC 9354, features: [avx2, avx512f], threads: 64, cores: 32, sockets: 1, governor: performance,
        numa_nodes: [{id: 0, cpus: 0-63, memory_bytes: 540000000000}]}
    memory:
      description: C(total_bytes), C(available_bytes), C(swap_bytes), C(huge_pages) (C(size_bytes), C(total), C(free)) and
        C(transparent_huge_pages).
      type: dict
      sample: {total_bytes: 540000000000, available_bytes: 530000000000, swap_bytes: 0, transparent_huge_pages: madvise,
        huge_pages: [{size_bytes: 2097152, total: 0, free: 0}]}
    packages:
      description:
        - C(manager) (V(dpkg), V(rpm) or empty), C(installed) (packages of drivers and of their build), C(driver) (the driver packages among
          them, name to version), C(held), C(pinned) (C(names), C(version)), C(broken) (C(name), C(state)), C(interrupted).
      type: dict
      sample: {manager: dpkg, installed: {dkms: "3.0.10-8"}, driver: {}, held: [], pinned: [], broken: [], interrupted: false}
    sources:
      description:
        - Enabled apt sources of the host, without the role's own, with C(url), C(suites), C(components) and C(signed_by) (the field
          Signed-By).
      type: list
      elements: dict
      sample: [{url: "http://mirror.example.com/debian", suites: [bookworm, bookworm-updates], components: [main],
        signed_by: /usr/share/keyrings/debian-archive-keyring.gpg}]
    archive:
      description: Entry of C(sources) for the distribution's archive. If there is none, C(url) is empty.
      type: dict
      sample: {url: "http://mirror.example.com/debian", suites: [bookworm, bookworm-updates]}
    record:
      description:
        - Record of the role accelerator in C(record_path), or empty. The plan reads C(held), the names of packages that the role holds.
          C(asked) contains the directories of the installations that requested packages.
      type: dict
      sample: {held: [nvidia-kernel-open-dkms], asked: [/opt/xinference]}
    record_path:
      description: Path of the file for C(record).
      type: str
      sample: /var/lib/modelops/accelerator.json
    installations:
      description:
        - Directories of this collection's installations on the host, which share the driver. An installation counts if it has a systemd
          unit, runs under supervisord, or is in the record.
      type: list
      elements: str
      sample: [/opt/xinference]
    log:
      description:
        - C(readable), and C(events) of the kernel log since boot (C(vendor), C(kind), C(code), C(address), C(text), C(serious), C(count)).
          Codes caused by an application's own error are not serious.
      type: dict
      sample: {readable: true, events: [{vendor: nvidia, kind: xid, code: 79, address: "0000:1b:00.0",
        text: the GPU fell off the bus, serious: true, count: 1}]}
    processes:
      description:
        - Processes that use a card. C(of_driver) marks services of the driver and its monitoring services.
        - C(unit) is the systemd service of the process or the configuration file of its supervisord. It is empty if neither applies.
      type: list
      elements: dict
      sample: [{pid: 4711, name: python, devices: [nvidia0], of_driver: false, unit: xinference.service}]
plan:
  description: Plan derived from the facts.
  returned: success
  type: dict
  contains:
    accelerator:
      description: Accelerator on which the host computes, either V(nvidia), V(amd), V(ascend), or V(none) for the CPU.
      type: str
      sample: nvidia
    reason:
      description: Reason for this selection.
      type: str
      sample: nvidia is in this host
    mode:
      description:
        - V(none) if no step is needed.
        - V(check) if changes are not allowed and the current state is suitable.
        - V(change) if steps are needed.
        - V(refused) if C(refusals) prevent the steps.
      type: str
      sample: change
    refusals:
      description:
        - Reasons that prevent the plan, each with C(code) and C(text). Empty if nothing prevents it.
        - Codes are V(no_device), V(several_vendors), V(card_unsupported), V(card_too_old_for_cuda), V(card_too_new_for_cuda),
          V(cards_conflict), V(modules_conflict), V(modules), V(passed_through), V(cuda_unknown), V(branch), V(branch_too_old),
          V(branch_too_new), V(no_driver), V(no_nodes), V(driver_too_old), V(driver_too_new), V(mismatch), V(distribution), V(not_offered),
          V(no_headers), V(not_packaged), V(secure_boot), V(in_use), V(held), V(dpkg_interrupted), V(package_broken), V(files_missing).
      type: list
      elements: dict
      sample: [{code: in_use, text: "the driver must change, and cards are in use by python (4711): stop them first"}]
    warnings:
      description: Problems that do not prevent the plan, each with C(code) and C(text).
      type: list
      elements: dict
      sample: [{code: xid, text: "the kernel's log has xid 79 of 0000:1b:00.0: the GPU fell off the bus"}]
    steps:
      description:
        - Planned steps in their order, each with C(name) and C(text). Empty unless C(mode) is V(change).
        - Names are V(headers), V(driver), V(firmware), V(cann), V(reload), V(load), V(nouveau_off), V(fabric_manager), V(persistence),
          V(container_toolkit), V(hold).
      type: list
      elements: dict
      sample: [{name: driver, text: "install NVIDIA's driver branch 580 with open kernel modules"}]
    reboot:
      description: Reason why the host must restart, with or without these steps. Empty if no restart is needed.
      type: list
      elements: str
      sample: [nouveau is loaded]
    driver:
      description:
        - Driver plan, or empty for V(none).
        - C(vendor), C(found) (installed version, or empty), C(change), C(text).
        - C(floor) is the oldest suitable branch, and C(floor_reason) explains it. C(branch) and C(version) are required. An empty
          C(version) means the newest version of the branch.
        - C(kernel_modules) is V(open) or V(proprietary). C(fabric) is V(nvswitch), V(nvlink5), V(imex) or empty.
        - C(source) is the source of the packages, V(distribution) or V(vendor). With C(change), C(repository) is the distribution's name in
          the vendor's repository.
      type: dict
      sample: {vendor: nvidia, found: "", floor: 580, floor_reason: CUDA 13 needs driver 580 or later, branch: 580, version: "",
        kernel_modules: open, change: true, repository: debian12, source: vendor, fabric: "",
        text: "none -> branch 580, open kernel modules (CUDA 13 needs driver 580 or later)"}
    torch:
      description:
        - Matching PyTorch build. C(kind) is V(cuda), V(rocm) or V(cpu). C(cuda) is the major version or 0. C(backend) is PyTorch's index,
          such as V(cu126), V(rocm7.2) or V(cpu), or empty for the default build of the package index. C(reason) explains the selection.
      type: dict
      sample: {kind: cuda, cuda: 13, backend: "", reason: built for CUDA 13}
    groups:
      description:
        - Groups that grant access to the device nodes, in addition to the user's own groups. Only AMD's device nodes belong to such groups.
      type: list
      elements: str
      sample: []
    lines:
      description: Plan as text, one line for each item.
      type: list
      elements: str
      sample: ["accelerator: nvidia (nvidia is in this host)"]
role:
  description: Steps of the role accelerator, as data for its tasks. Private to the role.
  returned: when O(role) is given
  type: dict
  contains:
    tasks:
      description: Task files in the order of their execution. Empty if nothing differs.
      type: list
      elements: str
      sample: [plan, present, restart]
    refused:
      description: Reason why the role does not change the host. Empty if it may.
      type: str
      sample: ""
    failed:
      description: Failures after a change. Empty if there are none.
      type: str
      sample: ""
    text:
      description: Plan as text for people.
      type: str
      sample: "gpu01\n  accelerator: nvidia (nvidia is in this host)"
    would:
      description: Lines that describe the pending changes, in check mode.
      type: list
      elements: str
      sample: []
    steps:
      description: Data of the pending steps in C(tasks/present.yml), in the order of their execution.
      type: dict
      sample: {pin: {path: /etc/apt/preferences.d/modelops-accelerator, content: "", directory: "", commands: [], record: false}}
    hold:
      description: Packages to hold. Empty if there are none.
      type: dict
      sample: {}
    removal:
      description: Data of the removal with O(role.state=absent).
      type: dict
      sample: {}
    record:
      description: Options of M(modelops.inference.accelerator_record) for RV(facts.record_path).
      type: dict
      sample: {path: /var/lib/modelops/accelerator.json, list: [rpm, -qa], planned: {asked: [/opt/xinference], parts: [], users: [],
        packages: [], wanted: [], held: [], files: []}}
    version_lock:
      description: Configuration file of dnf's versionlock plugin.
      type: str
      sample: /etc/dnf/plugins/versionlock.list
    carried:
      description: Reasons for a restart that still apply after this run.
      type: list
      elements: str
      sample: []
    restart:
      description:
        - Whether the host must restart (C(required), C(reasons), C(left), C(waits)), whether the role may restart it (C(allowed)), and the
          services that the role waits for afterwards (C(awaited)).
      type: dict
      sample: {required: false, reasons: [], left: "", waits: false, allowed: false, awaited: []}
    proof:
      description: Options of M(modelops.inference.accelerator_proof).
      type: dict
      sample: {kind: cuda, devices: 1, used: false, proves: {kind: cuda, driver: 580.95.05, cards: ["0000:1b:00.0"]}}
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.modelops.inference.plugins.module_utils import _module
from ansible_collections.modelops.inference.plugins.module_utils._accelerator import reading


def work(module: AnsibleModule) -> dict[str, t.Any]:
    return {"changed": False, **reading.read(module.params, check_mode=module.check_mode)}


def main() -> None:
    module = AnsibleModule(argument_spec=reading.OPTIONS, supports_check_mode=True)
    _module.run(module, work)


if __name__ == "__main__":
    main()
