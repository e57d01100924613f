# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

# The options of module_utils/_accelerator/reading.py: OPTIONS.


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  accelerator:
    description: Accelerator on which the host computes. V(auto) uses the available cards. V(none) uses the CPU and ignores all cards.
    type: str
    choices: [auto, nvidia, amd, ascend, none]
    default: auto
  branch:
    description:
      - Branch (V(580)) or exact version (V(580.95.05)) of NVIDIA's driver. Quote the value.
      - If empty, an installed driver that a PyTorch build supports stays. Otherwise the plan selects the long-term branch that the cards
        and CUDA need.
    type: str
    default: ""
  kernel_modules:
    description: Flavor of NVIDIA's kernel modules, either open or proprietary. V(auto) selects it by the generation of the cards.
    type: str
    choices: [auto, open, proprietary]
    default: auto
  modules_from:
    description: Whether the kernel module is compiled on the host or installed as a compiled package from the repository.
    type: str
    choices: [dkms, precompiled]
    default: dkms
  cuda:
    description:
      - Major version of CUDA for the PyTorch build, such as V(13).
      - V(0) selects the newest version that the cards support. If the driver must not change, it must also support that version.
    type: int
    default: 0
  torch:
    description:
      - PyTorch build to install regardless of the plan, by PyTorch's name, such as V(cu126), V(cpu) or V(default).
      - The driver must only meet the requirement of this build. V(auto) follows the plan.
    type: str
    default: auto
  manage:
    description:
      - Whether the plan may install or change a driver. If V(false), the plan only reports whether the installed driver is suitable.
    type: bool
    default: true
  source:
    description:
      - Source of NVIDIA's driver. V(distribution) selects the newest branch of the distribution, with a PyTorch build that runs on it.
        V(vendor) selects NVIDIA's repository.
      - V(auto) selects the distribution if it has the requested branch.
    type: str
    choices: [auto, distribution, vendor]
    default: auto
  container_is_host:
    description: Whether to plan in a container as on a host, for tests of the packages. A container normally uses its host's driver.
    type: bool
    default: false
  container_toolkit:
    description: Whether nvidia-container-toolkit is required.
    type: bool
    default: false
  hold:
    description: Whether the driver's packages are held at their version.
    type: bool
    default: true
  ascend_files:
    description: Parts for which Huawei's installers are available.
    type: list
    elements: str
    choices: [driver, firmware, cann]
    default: []
  record:
    description: Path of the role's record if the connecting user is not root. Root uses C(/var/lib/modelops/accelerator.json).
    type: path
    default: ""
  root:
    description: Directory to read in place of C(/), such as a mounted image. With this option the module starts no program.
    type: path
    default: /
  role:
    description:
      - Variables of the role accelerator that extend the plan. The module then also returns C(role). Only the role uses this option.
    type: dict
    suboptions:
      host:
        description: Name of the host in the inventory, for messages.
        type: str
        required: true
      groups:
        description: Inventory groups of the host.
        type: list
        elements: str
        default: []
      state:
        description: Whether the driver is installed. V(absent) removes the parts that the role installed.
        type: str
        choices: [present, absent]
        default: present
      kernel:
        description: Whether the module may change the host's kernel. Tests in a container set V(false).
        type: bool
        default: true
      etc:
        description: Directory to write in place of C(/etc), for tests.
        type: path
        default: /etc
      repositories:
        description: Mirrors by name of the repository, each with C(url) and C(key).
        type: dict
        default: {}
      packages:
        description: Packages by vendor that replace the role's own list of driver packages, for tests.
        type: dict
        default: {}
      ascend_files:
        description: Huawei's installers on the controller, each with C(part) and C(path).
        type: list
        elements: dict
        default: []
      huge_pages:
        description: Number of huge pages of 2 MiB to reserve. V(0) leaves the setting unchanged.
        type: int
        default: 0
      governor:
        description: CPU frequency governor. Empty leaves the setting unchanged.
        type: str
        default: ""
      reboot_ok:
        description: Whether the role may restart the host.
        type: bool
        default: false
      controller:
        description: Content of C(/proc/sys/kernel/random/boot_id) on the controller. The role never restarts this kernel.
        type: str
        default: ""
      service:
        description: Name of Xinference's service. Empty if no service exists.
        type: str
        default: ""
      user:
        description: User that runs Xinference's service. Empty uses the connecting user.
        type: str
        default: ""
      directory:
        description: Value of C(xinference_dir) of the host.
        type: path
        default: /opt/xinference
      server_stops:
        description: Whether Xinference is stopped before the driver is removed, so that its processes do not block the removal.
        type: bool
        default: false
      after:
        description:
          - Event of the same run after which the module reads the host again, either a change or a restart. C(role) contains its failures.
        type: str
        choices: ["", changed, restarted]
        default: ""
      carried:
        description: Reasons for a restart that an earlier reading of the same run returned.
        type: list
        elements: str
        default: []
      commands:
        description: Results of the commands that load the kernel module.
        type: list
        elements: dict
        default: []
"""
    # The same options as suboptions of a module that reads a whole host.
    SUBOPTIONS = r"""
options:
  accelerator:
    description:
      - Options that determine the cards on which the host computes, see RV(accelerator). They are the options of
        M(modelops.inference.accelerator_info).
    type: dict
    default: {}
    suboptions:
      accelerator:
        description: Accelerator on which the host computes. V(auto) uses the available cards. V(none) uses the CPU and ignores all cards.
        type: str
        choices: [auto, nvidia, amd, ascend, none]
        default: auto
      branch:
        description:
          - Branch (V(580)) or exact version (V(580.95.05)) of NVIDIA's driver. Quote the value.
          - If empty, an installed driver that a PyTorch build supports stays. Otherwise the plan selects the long-term branch that the
            cards and CUDA need.
        type: str
        default: ""
      kernel_modules:
        description: Flavor of NVIDIA's kernel modules, either open or proprietary. V(auto) selects it by the generation of the cards.
        type: str
        choices: [auto, open, proprietary]
        default: auto
      modules_from:
        description: Whether the kernel module is compiled on the host or installed as a compiled package from the repository.
        type: str
        choices: [dkms, precompiled]
        default: dkms
      cuda:
        description:
          - Major version of CUDA for the PyTorch build, such as V(13).
          - V(0) selects the newest version that the cards support. If the driver must not change, it must also support that version.
        type: int
        default: 0
      torch:
        description:
          - PyTorch build to install regardless of the plan, by PyTorch's name, such as V(cu126), V(cpu) or V(default).
          - The driver must only meet the requirement of this build. V(auto) follows the plan.
        type: str
        default: auto
      manage:
        description:
          - Whether the plan may install or change a driver. If V(false), the plan only reports whether the installed driver is suitable.
        type: bool
        default: true
      source:
        description:
          - Source of NVIDIA's driver. V(distribution) selects the newest branch of the distribution, with a PyTorch build that runs on it.
            V(vendor) selects NVIDIA's repository.
          - V(auto) selects the distribution if it has the requested branch.
        type: str
        choices: [auto, distribution, vendor]
        default: auto
      container_is_host:
        description: Whether to plan in a container as on a host, for tests of the packages. A container normally uses its host's driver.
        type: bool
        default: false
      container_toolkit:
        description: Whether nvidia-container-toolkit is required.
        type: bool
        default: false
      hold:
        description: Whether the driver's packages are held at their version.
        type: bool
        default: true
      ascend_files:
        description: Parts for which Huawei's installers are available.
        type: list
        elements: str
        choices: [driver, firmware, cann]
        default: []
      record:
        description: Path of the role's record if the connecting user is not root. Root uses C(/var/lib/modelops/accelerator.json).
        type: path
        default: ""
      root:
        description: Directory to read in place of C(/), such as a mounted image. With this option the module starts no program.
        type: path
        default: /
      role:
        description:
          - Variables of the role accelerator that extend the plan. The module then also returns C(role). Only the role uses this option.
        type: dict
        suboptions:
          host:
            description: Name of the host in the inventory, for messages.
            type: str
            required: true
          groups:
            description: Inventory groups of the host.
            type: list
            elements: str
            default: []
          state:
            description: Whether the driver is installed. V(absent) removes the parts that the role installed.
            type: str
            choices: [present, absent]
            default: present
          kernel:
            description: Whether the module may change the host's kernel. Tests in a container set V(false).
            type: bool
            default: true
          etc:
            description: Directory to write in place of C(/etc), for tests.
            type: path
            default: /etc
          repositories:
            description: Mirrors by name of the repository, each with C(url) and C(key).
            type: dict
            default: {}
          packages:
            description: Packages by vendor that replace the role's own list of driver packages, for tests.
            type: dict
            default: {}
          ascend_files:
            description: Huawei's installers on the controller, each with C(part) and C(path).
            type: list
            elements: dict
            default: []
          huge_pages:
            description: Number of huge pages of 2 MiB to reserve. V(0) leaves the setting unchanged.
            type: int
            default: 0
          governor:
            description: CPU frequency governor. Empty leaves the setting unchanged.
            type: str
            default: ""
          reboot_ok:
            description: Whether the role may restart the host.
            type: bool
            default: false
          controller:
            description: Content of C(/proc/sys/kernel/random/boot_id) on the controller. The role never restarts this kernel.
            type: str
            default: ""
          service:
            description: Name of Xinference's service. Empty if no service exists.
            type: str
            default: ""
          user:
            description: User that runs Xinference's service. Empty uses the connecting user.
            type: str
            default: ""
          directory:
            description: Value of C(xinference_dir) of the host.
            type: path
            default: /opt/xinference
          server_stops:
            description: Whether Xinference is stopped before the driver is removed, so that its processes do not block the removal.
            type: bool
            default: false
          after:
            description:
              - Event of the same run after which the module reads the host again, either a change or a restart. C(role) contains its
                failures.
            type: str
            choices: ["", changed, restarted]
            default: ""
          carried:
            description: Reasons for a restart that an earlier reading of the same run returned.
            type: list
            elements: str
            default: []
          commands:
            description: Results of the commands that load the kernel module.
            type: list
            elements: dict
            default: []
"""
