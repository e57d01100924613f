#!/usr/bin/python
# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: accelerator_info
short_description: Read a host's accelerators in one call, and plan what their driver needs
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Finds cards of NVIDIA, AMD and Huawei (Ascend) from sysfs, without any vendor's tool; reads kernel module, libraries, device
    nodes, Secure Boot, kernel headers, packages, the kernel's log, and who uses the cards; and asks C(nvidia-smi), C(amd-smi)
    (or C(rocm-smi)) and C(npu-smi), where a driver of theirs runs.
  - Decides from these facts alone what must be done, or why it can't be, and which build of PyTorch follows.
  - Changes nothing. Run it as root, otherwise processes of other users, firmware variables and parts of the kernel's log stay
    unseen.
extends_documentation_fragment:
  - modelops.inference._attributes
  - modelops.inference._attributes.info
  - modelops.inference._accelerator
"""

EXAMPLES = r"""
- name: What is there, and what would be done
  modelops.inference.accelerator_info:
  register: accelerator

- name: The plan, a line for each thing
  ansible.builtin.debug:
    msg: "{{ accelerator.plan.lines }}"

- name: Does the driver run PyTorch's builds for CUDA 12
  modelops.inference.accelerator_info:
    accelerator: nvidia
    cuda: 12
    manage: false
"""

RETURN = r"""
facts:
  description: What is there.
  returned: success
  type: dict
  contains:
    date:
      description: Day of the reading, UTC.
      type: str
      sample: "2026-11-23"
    vendors:
      description: Vendors that this host can compute with. A display controller of AMD's inside a CPU does not count.
      type: list
      elements: str
      sample: [nvidia]
    cards:
      description:
        - Every card, in the order of the bus within its vendor; in a container without those that its vendor's tool does not
          list.
        - C(vendor), C(address) (PCI), C(id) and C(subsystem) (C(vendor:device)), C(class), C(driver) (bound to it, such as
          V(nvidia), V(nouveau) or V(vfio-pci)), C(numa_node) (or V(null)), C(virtual_function).
        - C(computes) is false for a mere display controller. C(alive) is false where the bus gets no answer any more. C(answers)
          says whether the vendor's tool lists it, V(null) where there is no tool to ask.
        - C(generation) is that of NVIDIA's cards (such as V(ampere)), the LLVM target of AMD's (V(gfx942)) and the chip of
          Ascend's (V(910B)). C(capability) is the CUDA compute capability.
        - C(index), C(name), C(uuid), C(memory_bytes) and C(free_bytes) are V(null) or empty where no driver tells.
        - C(fabric) is what links it to others on its board (V(nvlink5) or V(imex)), C(fabric_state) and C(fabric_status)
          what the driver says of it.
        - C(mig_capable), and C(mig) with C(enabled), C(pending) and C(instances) (C(index), C(gpu_instance), C(compute_instance),
          C(profile), C(uuid), C(memory_bytes), C(free_bytes)).
        - C(persistence), C(ecc) (V(null) where it cannot), C(uncorrected_errors), C(reset_required), C(healthy), and C(virtual_gpu)
          (a part of a card, divided by its hypervisor).
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
      description: NVSwitches, with the fields of the bus as of C(cards).
      type: list
      elements: dict
      sample: []
    nvidia:
      description:
        - NVIDIA's driver. C(loaded) and C(installed) are versions of the kernel module that runs and of the one that the
          running kernel would load, each with its C(_flavor) V(open) or V(proprietary); C(library) that of the libraries;
          C(driver) the one that counts, also in WSL2; C(cuda) the newest CUDA that it runs; all empty where there is none.
        - C(nodes), C(mig_nodes) (a number), C(compat) (version of CUDA's compatibility libraries), C(persistence_daemon) and
          C(fabric_manager) (running), C(tool) (nvidia-smi answered) and C(tool_error).
      type: dict
      sample: {driver: 580.95.05, loaded: 580.95.05, loaded_flavor: open, installed: 580.95.05, installed_flavor: open,
        library: 580.95.05, cuda: "13.0", nodes: [/dev/nvidia0, /dev/nvidiactl, /dev/nvidia-uvm], mig_nodes: 0, compat: "",
        persistence_daemon: true, fabric_manager: false, tool: true, tool_error: ""}
    amd:
      description: C(loaded) is the version of amdgpu, V(in-tree) for the kernel's own, and C(driver) the same; C(rocm), C(nodes),
        C(groups), C(tool), C(tool_error).
      type: dict
      sample: {loaded: 6.14.14, rocm: 7.1.0, nodes: [/dev/kfd, /dev/dri/renderD128], groups: [render, video], tool: true, tool_error: ""}
    ascend:
      description: Versions of C(driver), C(firmware) and C(cann), whether the driver is C(loaded), C(nodes), C(tool), C(tool_error).
      type: dict
      sample: {loaded: true, driver: 24.1.rc3, firmware: 7.5.0.1.129, cann: 8.0.RC3, nodes: [/dev/davinci0], tool: true, tool_error: ""}
    system:
      description:
        - C(distribution) (C(id), C(version), C(name), and C(repository), what vendors' repositories call it), C(architecture),
          C(kernel), C(headers) of the running kernel, and where they are missing C(headers_package) and C(headers_candidate)
          (the version that can be installed, empty for none, V(null) where no index of packages is here to say it).
        - C(boot_id) is the same for all that run on one kernel; C(root) says whether this was read with all rights.
        - C(container) and C(virtual_machine) (empty for none, V(unknown) without its name), C(wsl), C(loads_modules), C(secure_boot)
          (V(null) where it cannot be read), C(signing_keys) (C(path), C(enrolled)), C(lockdown), C(nouveau) (C(loaded), C(kept_off)).
      type: dict
      sample: {distribution: {id: debian, version: "12", name: Debian GNU/Linux 12 (bookworm), repository: debian12},
        architecture: x86_64, kernel: 6.1.0-40-amd64, headers: true, headers_package: "", headers_candidate: "", container: "",
        virtual_machine: "", wsl: false, loads_modules: true, secure_boot: false, signing_keys: [], lockdown: none,
        nouveau: {loaded: false, kept_off: true}}
    cpu:
      description: C(model), C(features) that llama.cpp has kernels for, C(threads), C(cores), C(sockets), C(governor) and
        C(numa_nodes) (C(id), C(cpus), C(memory_bytes)).
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
      description: C(manager) (V(dpkg), V(rpm) or empty), C(installed) that belong to drivers or to building them and of these
        C(driver) (name to version), C(held), C(pinned) (C(names), C(version)), C(broken) (C(name), C(state)), C(interrupted).
      type: dict
      sample: {manager: dpkg, installed: {dkms: "3.0.10-8"}, driver: {}, held: [], pinned: [], broken: [], interrupted: false}
    sources:
      description: apt's sources of the host that are enabled, without those of the role, with C(url), C(suites), C(components) and
        C(signed_by) as their field Signed-By has it.
      type: list
      elements: dict
      sample: [{url: "http://mirror.example.com/debian", suites: [bookworm, bookworm-updates], components: [main],
        signed_by: /usr/share/keyrings/debian-archive-keyring.gpg}]
    archive:
      description: The one of C(sources) that is the distribution's archive; C(url) is empty where there is none.
      type: dict
      sample: {url: "http://mirror.example.com/debian", suites: [bookworm, bookworm-updates]}
    record:
      description: What the role accelerator left in C(record_path); of it the plan reads C(held), names
        of packages whose hold is the role's own. C(asked) are directories of the installations for which something was
        installed. Empty where there is none.
      type: dict
      sample: {held: [nvidia-kernel-open-dkms], asked: [/opt/xinference]}
    record_path:
      description: The file of C(record).
      type: str
      sample: /var/lib/modelops/accelerator.json
    installations:
      description:
        - Directories of the installations of this collection on the host, which share its driver; those that have a unit of systemd,
          that run under supervisord, or that the record names.
      type: list
      elements: str
      sample: [/opt/xinference]
    log:
      description: C(readable), and C(events) of the kernel's log since its start (C(vendor), C(kind), C(code), C(address), C(text),
        C(serious), C(count)). Codes that an application's own error causes are not serious.
      type: dict
      sample: {readable: true, events: [{vendor: nvidia, kind: xid, code: 79, address: "0000:1b:00.0",
        text: the GPU fell off the bus, serious: true, count: 1}]}
    processes:
      description:
        - Processes that have a card open; C(of_driver) marks services of the driver itself and those that watch it.
        - C(unit) is what keeps a process running, its service of systemd or the configuration file of its supervisord; empty for neither.
      type: list
      elements: dict
      sample: [{pid: 4711, name: python, devices: [nvidia0], of_driver: false, unit: xinference.service}]
plan:
  description: What follows.
  returned: success
  type: dict
  contains:
    accelerator:
      description: V(nvidia), V(amd), V(ascend), or V(none) for the CPU.
      type: str
      sample: nvidia
    reason:
      description: Why this one.
      type: str
      sample: nvidia is in this host
    mode:
      description: V(none) where there is nothing to do, V(check) where things may only be looked at and will do, V(change), and
        V(refused) where nothing is done, for the reasons in C(refusals).
      type: str
      sample: change
    refusals:
      description:
        - Why it can't be done; empty where it can. C(code) and C(text).
        - "Codes: V(no_device), V(several_vendors), V(card_unsupported), V(card_too_old_for_cuda), V(card_too_new_for_cuda),
          V(cards_conflict), V(modules_conflict), V(modules), V(passed_through), V(cuda_unknown), V(branch), V(branch_too_old),
          V(branch_too_new), V(no_driver), V(no_nodes), V(driver_too_old), V(driver_too_new), V(mismatch), V(distribution),
          V(not_offered), V(no_headers), V(not_packaged), V(secure_boot), V(in_use), V(held), V(dpkg_interrupted), V(package_broken),
          V(files_missing)."
      type: list
      elements: dict
      sample: [{code: in_use, text: "the driver must change, and cards are in use by python (4711): stop these first"}]
    warnings:
      description: What is wrong but in nobody's way, with C(code) and C(text).
      type: list
      elements: dict
      sample: [{code: xid, text: "the kernel's log has xid 79 of 0000:1b:00.0: the GPU fell off the bus"}]
    steps:
      description:
        - What would be done, in this order; nothing where C(mode) is not V(change). C(name) and C(text).
        - "Names: V(headers), V(driver), V(firmware), V(cann), V(reload), V(load), V(nouveau_off), V(fabric_manager),
          V(persistence), V(container_toolkit), V(hold)."
      type: list
      elements: dict
      sample: [{name: driver, text: "install NVIDIA's driver branch 580 with open kernel modules"}]
    reboot:
      description: Why the host must start again, after these steps or without any; empty where it need not.
      type: list
      elements: str
      sample: [nouveau is loaded]
    driver:
      description:
        - Empty for V(none). C(vendor), C(found) (its version, empty for none), C(floor) (oldest branch that will do) and
          C(floor_reason), C(branch) and C(version) (empty for the newest of the branch) that the host needs, C(kernel_modules)
          V(open) or V(proprietary), C(change), C(repository) (distribution in the vendor's repository, where C(change)),
          C(source) V(distribution) or V(vendor) (where packages come), and C(fabric) V(nvswitch), V(nvlink5), V(imex) or empty; C(text).
      type: dict
      sample: {vendor: nvidia, found: "", floor: 580, floor_reason: CUDA 13 needs driver 580 or later, branch: 580, version: "",
        kernel_modules: open, change: true, repository: debian12, source: vendor, fabric: "",
        text: "none -> branch 580, open kernel modules (CUDA 13 needs driver 580 or later)"}
    torch:
      description: The build of PyTorch that follows. C(kind) V(cuda), V(rocm) or V(cpu), C(cuda) (major or 0), C(backend)
        (PyTorch's index, such as V(cu126), V(rocm7.2), V(cpu); empty for what the package index gives out by itself), C(reason).
      type: dict
      sample: {kind: cuda, cuda: 13, backend: "", reason: built for CUDA 13}
    groups:
      description: Groups that a program needs to reach the device nodes, beside its user's own; only AMD's belong to any.
      type: list
      elements: str
      sample: []
    lines:
      description: The plan as text, a line for each thing.
      type: list
      elements: str
      sample: ["accelerator: nvidia (nvidia is in this host)"]
role:
  description: Steps of the role accelerator, as data for its tasks. Private to the role.
  returned: when O(role) is given
  type: dict
  contains:
    tasks:
      description: Files of tasks in the order of their execution; empty where nothing differs.
      type: list
      elements: str
      sample: [plan, present, restart]
    refused:
      description: Why the host is left as it is; empty where it is not.
      type: str
      sample: ""
    failed:
      description: Failures after a change; empty where there are none.
      type: str
      sample: ""
    text:
      description: The plan for a person.
      type: str
      sample: "gpu01\n  accelerator: nvidia (nvidia is in this host)"
    would:
      description: In check mode, a line for each thing that would be done.
      type: list
      elements: str
      sample: []
    steps:
      description: Data of the steps in C(tasks/present.yml) that have something to do, in the order of their execution.
      type: dict
      sample: {pin: {path: /etc/apt/preferences.d/modelops-accelerator, content: "", directory: "", commands: [], record: false}}
    hold:
      description: Which packages are held; empty where none are.
      type: dict
      sample: {}
    removal:
      description: Data of the removal, where O(role.state=absent).
      type: dict
      sample: {}
    record:
      description: Options of M(modelops.inference.accelerator_record) for RV(facts.record_path).
      type: dict
      sample: {path: /var/lib/modelops/accelerator.json, list: [rpm, -qa], planned: {asked: [/opt/xinference], parts: [], users: [],
        packages: [], wanted: [], held: [], files: []}}
    version_lock:
      description: File of dnf's plugin that locks versions.
      type: str
      sample: /etc/dnf/plugins/versionlock.list
    carried:
      description: Reasons for a restart that hold after this run, too.
      type: list
      elements: str
      sample: []
    restart:
      description: Whether the host must start again (C(required), C(reasons), C(left), C(waits)), may be (C(allowed)), and which
        services are C(awaited) after it.
      type: dict
      sample: {required: false, reasons: [], left: "", waits: false, allowed: false, awaited: []}
    proof:
      description: Arguments of M(modelops.inference.accelerator_proof).
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
