# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

# The options of module_utils/_accelerator/reading.py: OPTIONS.


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  accelerator:
    description: The accelerator to compute with. V(auto) takes what is there, and V(none) the CPU, whatever is there.
    type: str
    choices: [auto, nvidia, amd, ascend, none]
    default: auto
  branch:
    description:
      - Branch (V(580)) or exact version (V(580.95.05)) of NVIDIA's driver, in quotes.
      - Empty keeps a driver that a build of PyTorch runs with, and otherwise takes the long-term branch that cards and CUDA need.
    type: str
    default: ""
  kernel_modules:
    description: NVIDIA's open or proprietary kernel modules. V(auto) goes by the generation of the cards.
    type: str
    choices: [auto, open, proprietary]
    default: auto
  modules_from:
    description: Whether the kernel module is compiled on the host, or comes compiled from the repository.
    type: str
    choices: [dkms, precompiled]
    default: dkms
  cuda:
    description:
      - CUDA major of the build of PyTorch, such as V(13).
      - V(0) takes the newest that cards, and a driver that may not be changed, can run.
    type: int
    default: 0
  torch:
    description:
      - The build of PyTorch that is installed whatever the plan says, as PyTorch calls it, such as V(cu126), V(cpu) or V(default).
      - It asks no more of a driver than it needs. V(auto) follows the plan.
    type: str
    default: auto
  manage:
    description: Whether a driver may be installed or changed. Otherwise the plan says whether what is there will do.
    type: bool
    default: true
  source:
    description:
      - Where NVIDIA's driver comes from. V(distribution) takes the newest that the distribution has, and a build of PyTorch
        that runs with it; V(vendor) is NVIDIA's repository.
      - V(auto) takes the distribution's where it has the branch that is wanted.
    type: str
    choices: [auto, distribution, vendor]
    default: auto
  container_is_host:
    description: Plans in a container as on a host, for tests of the packages. A container's driver is its host's.
    type: bool
    default: false
  container_toolkit:
    description: Whether nvidia-container-toolkit is wanted.
    type: bool
    default: false
  hold:
    description: Whether the driver's packages are held at their version.
    type: bool
    default: true
  ascend_files:
    description: Which of Huawei's files are at hand.
    type: list
    elements: str
    choices: [driver, firmware, cann]
    default: []
  record:
    description: File of the role's record where the connection is not by root, who has C(/var/lib/modelops/accelerator.json).
    type: path
    default: ""
  root:
    description: Directory that is read in place of C(/), such as a mounted image. Then no program is started.
    type: path
    default: /
  role:
    description: For the role accelerator alone, which declares here what it does beside the plan. C(role) is then returned.
    type: dict
    suboptions:
      host:
        description: Name of the host in the inventory, for messages.
        type: str
        required: true
      groups:
        description: Its groups in the inventory.
        type: list
        elements: str
        default: []
      state:
        description: Whether the driver is installed, or what the role installed is removed.
        type: str
        choices: [present, absent]
        default: present
      kernel:
        description: Whether the host's kernel is asked for anything. Tests in a container say no.
        type: bool
        default: true
      etc:
        description: Directory that is written in place of C(/etc), for tests.
        type: path
        default: /etc
      repositories:
        description: Mirrors, by the name of the repository with C(url) and C(key).
        type: dict
        default: {}
      packages:
        description: By vendor, what a driver's installation installs in place of the packages that the role knows, for tests.
        type: dict
        default: {}
      ascend_files:
        description: Huawei's installers on the controller, each with C(part) and C(path).
        type: list
        elements: dict
        default: []
      huge_pages:
        description: Number of huge pages of 2 MiB. V(0) leaves them as they are.
        type: int
        default: 0
      governor:
        description: Governor of the CPU's frequency. Empty leaves it as it is.
        type: str
        default: ""
      reboot_ok:
        description: Whether the host may be started again.
        type: bool
        default: false
      controller:
        description: C(/proc/sys/kernel/random/boot_id) of the controller, whose kernel is never started again.
        type: str
        default: ""
      service:
        description: Name of Xinference's service. Empty for none.
        type: str
        default: ""
      user:
        description: User that Xinference's service runs as. Empty for the one who connects.
        type: str
        default: ""
      directory:
        description: C(xinference_dir) of the host.
        type: path
        default: /opt/xinference
      server_stops:
        description: Whether Xinference is stopped before the driver is removed, so that its processes are in nobody's way.
        type: bool
        default: false
      after:
        description: Event in the same run that this reading follows, a change or a restart of the host. C(role) tells the failures.
        type: str
        choices: ["", changed, restarted]
        default: ""
      carried:
        description: Reasons for a restart that a former reading of the same run returned.
        type: list
        elements: str
        default: []
      commands:
        description: Results of the commands that load the kernel module.
        type: list
        elements: dict
        default: []
"""
    # The same below an option of a module that reads a whole host.
    SUBOPTIONS = r"""
options:
  accelerator:
    description: What decides with which of its cards the host computes, see RV(accelerator). The options of
      M(modelops.inference.accelerator_info).
    type: dict
    default: {}
    suboptions:
      accelerator:
        description: The accelerator to compute with. V(auto) takes what is there, and V(none) the CPU, whatever is there.
        type: str
        choices: [auto, nvidia, amd, ascend, none]
        default: auto
      branch:
        description:
          - Branch (V(580)) or exact version (V(580.95.05)) of NVIDIA's driver, in quotes.
          - Empty keeps a driver that a build of PyTorch runs with, and otherwise takes the long-term branch that cards and CUDA need.
        type: str
        default: ""
      kernel_modules:
        description: NVIDIA's open or proprietary kernel modules. V(auto) goes by the generation of the cards.
        type: str
        choices: [auto, open, proprietary]
        default: auto
      modules_from:
        description: Whether the kernel module is compiled on the host, or comes compiled from the repository.
        type: str
        choices: [dkms, precompiled]
        default: dkms
      cuda:
        description:
          - CUDA major of the build of PyTorch, such as V(13).
          - V(0) takes the newest that cards, and a driver that may not be changed, can run.
        type: int
        default: 0
      torch:
        description:
          - The build of PyTorch that is installed whatever the plan says, as PyTorch calls it, such as V(cu126), V(cpu) or V(default).
          - It asks no more of a driver than it needs. V(auto) follows the plan.
        type: str
        default: auto
      manage:
        description: Whether a driver may be installed or changed. Otherwise the plan says whether what is there will do.
        type: bool
        default: true
      source:
        description:
          - Where NVIDIA's driver comes from. V(distribution) takes the newest that the distribution has, and a build of PyTorch
            that runs with it; V(vendor) is NVIDIA's repository.
          - V(auto) takes the distribution's where it has the branch that is wanted.
        type: str
        choices: [auto, distribution, vendor]
        default: auto
      container_is_host:
        description: Plans in a container as on a host, for tests of the packages. A container's driver is its host's.
        type: bool
        default: false
      container_toolkit:
        description: Whether nvidia-container-toolkit is wanted.
        type: bool
        default: false
      hold:
        description: Whether the driver's packages are held at their version.
        type: bool
        default: true
      ascend_files:
        description: Which of Huawei's files are at hand.
        type: list
        elements: str
        choices: [driver, firmware, cann]
        default: []
      record:
        description: File of the role's record where the connection is not by root, who has C(/var/lib/modelops/accelerator.json).
        type: path
        default: ""
      root:
        description: Directory that is read in place of C(/), such as a mounted image. Then no program is started.
        type: path
        default: /
      role:
        description: For the role accelerator alone, which declares here what it does beside the plan. C(role) is then returned.
        type: dict
        suboptions:
          host:
            description: Name of the host in the inventory, for messages.
            type: str
            required: true
          groups:
            description: Its groups in the inventory.
            type: list
            elements: str
            default: []
          state:
            description: Whether the driver is installed, or what the role installed is removed.
            type: str
            choices: [present, absent]
            default: present
          kernel:
            description: Whether the host's kernel is asked for anything. Tests in a container say no.
            type: bool
            default: true
          etc:
            description: Directory that is written in place of C(/etc), for tests.
            type: path
            default: /etc
          repositories:
            description: Mirrors, by the name of the repository with C(url) and C(key).
            type: dict
            default: {}
          packages:
            description: By vendor, what a driver's installation installs in place of the packages that the role knows, for tests.
            type: dict
            default: {}
          ascend_files:
            description: Huawei's installers on the controller, each with C(part) and C(path).
            type: list
            elements: dict
            default: []
          huge_pages:
            description: Number of huge pages of 2 MiB. V(0) leaves them as they are.
            type: int
            default: 0
          governor:
            description: Governor of the CPU's frequency. Empty leaves it as it is.
            type: str
            default: ""
          reboot_ok:
            description: Whether the host may be started again.
            type: bool
            default: false
          controller:
            description: C(/proc/sys/kernel/random/boot_id) of the controller, whose kernel is never started again.
            type: str
            default: ""
          service:
            description: Name of Xinference's service. Empty for none.
            type: str
            default: ""
          user:
            description: User that Xinference's service runs as. Empty for the one who connects.
            type: str
            default: ""
          directory:
            description: C(xinference_dir) of the host.
            type: path
            default: /opt/xinference
          server_stops:
            description: Whether Xinference is stopped before the driver is removed, so that its processes are in nobody's way.
            type: bool
            default: false
          after:
            description: Event in the same run that this reading follows, a change or a restart of the host. C(role) tells the failures.
            type: str
            choices: ["", changed, restarted]
            default: ""
          carried:
            description: Reasons for a restart that a former reading of the same run returned.
            type: list
            elements: str
            default: []
          commands:
            description: Results of the commands that load the kernel module.
            type: list
            elements: dict
            default: []
"""
