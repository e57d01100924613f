#!/usr/bin/python
# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: dify_plugin
short_description: Install, upgrade or remove the Xinference plugin of a Dify workspace
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - In Dify 1.0 and later, Xinference is a plugin that each workspace installs separately. The module installs it from Dify's marketplace or
    from a file, and waits for the installation.
  - Before Dify 1.0 the provider is built in. There, O(state=present) and O(state=latest) report this and change nothing, and
    O(state=absent) is rejected.
  - Dify does not upgrade a plugin when another version is installed, so the module requests an upgrade. If both versions come from the
    marketplace, Dify upgrades the plugin in place. Otherwise the module removes the plugin and installs it again, as Dify's own console
    does. The models are unavailable during that time and return with their credentials afterwards. If the installation of the new version
    fails, the module installs the old version again.
extends_documentation_fragment:
  - modelops.inference._attributes
  - modelops.inference._attributes.idempotent
  - modelops.inference._attributes.actiongroup_dify
  - modelops.inference._dify
  - modelops.inference._dify.workspace
  - modelops.inference._http
attributes:
  check_mode:
    details:
      - If O(workspace) is not the account's current workspace, check mode does not switch to it and compares nothing. It warns and sets
        RV(not_compared).
options:
  plugin:
    description: ID of the plugin, which consists of its author and name.
    type: str
    default: langgenius/xinference
  state:
    description:
      - State of the plugin. V(present) installs a missing plugin. With O(version), O(identifier) or O(package), it also upgrades or
        downgrades the plugin to that version.
      - V(latest) also upgrades the plugin to the latest version in the marketplace (Dify 1.4 and later). It keeps a newer version.
      - V(absent) removes the plugin. Dify's database keeps its models and their credentials, which return when the plugin is reinstalled.
    type: str
    choices: [present, latest, absent]
    default: present
  version:
    description:
      - Exact version of the plugin. Dify can look up only the marketplace's latest version. For any other version that is not yet
        installed, set O(identifier) or O(package).
    type: str
  identifier:
    description: Identifier of the plugin in the marketplace, V(author/name:version@digest) with a digest of 64 hexadecimal digits.
    type: str
  package:
    description:
      - Path of a C(.difypkg) file on the machine that runs the module, for an installation without the marketplace.
      - The module compares the contents of the file with the installed plugin and sends the file only if they differ.
      - The plugin daemon installs the plugin's Python packages from a package index, even if the plugin comes from a file. If it cannot
        reach an index, the file must contain the packages, or C(PIP_MIRROR_URL) of the container C(plugin_daemon) must point to a mirror.
    type: path
  timeout:
    description: Time in seconds to wait for an installation. The installation continues after that time.
    type: float
    default: 600
notes:
  - O(version), O(identifier) and O(package) are mutually exclusive. They require O(state=present).
  - A run that changes nothing sends 4 requests without O(session_file), and one more for the latest version.
seealso:
  - module: modelops.inference.dify_models
  - module: modelops.inference.dify_info
"""

EXAMPLES = r"""
- name: Install the Xinference plugin in any version
  modelops.inference.dify_plugin:
    url: https://dify.example.com
    email: ops@example.com
    password: "{{ vault_dify_password }}"
    workspace: Research
  delegate_to: localhost

- name: Install the plugin in a Dify that cannot reach the marketplace
  modelops.inference.dify_plugin:
    url: https://dify.example.com
    email: ops@example.com
    password: "{{ vault_dify_password }}"
    package: files/langgenius-xinference_0.0.15.difypkg
  delegate_to: localhost

- name: Upgrade the plugin
  modelops.inference.dify_plugin:
    url: https://dify.example.com
    email: ops@example.com
    password: "{{ vault_dify_password }}"
    state: latest
  delegate_to: localhost
"""

RETURN = r"""
version:
  description: Version of Dify.
  returned: when the workspace was read
  type: str
  sample: 1.12.1
workspace:
  description: Workspace that the module used.
  returned: when the workspace was read
  type: dict
  contains:
    id:
      description: ID of the workspace, a UUID.
      type: str
      sample: 5a0c8f1e-1b54-4f7e-9d43-9f4f0a3f4b11
    name:
      description: Name of the card.
      type: str
      sample: Research
action:
  description:
    - Change that the module made, or would make in check mode, either V(none), V(install), V(upgrade) (in place), V(replace) (removed and
      installed again) or V(remove).
    - V(unknown) if check mode could not compare the plugin.
  returned: when the workspace was read
  type: str
  sample: upgrade
plugin:
  description: Plugin at the end of the module (in check mode, the current state).
  returned: when the workspace was read
  type: dict
  contains:
    id:
      description: ID of the plugin as given.
      type: str
      sample: langgenius/xinference
    state:
      description: V(installed), V(absent), V(built_in) before Dify 1.0, or V(unknown) if check mode could not compare the plugin.
      type: str
      sample: installed
    version:
      description: Version of the plugin. Returned only if it is installed.
      type: str
      sample: 0.0.15
    identifier:
      description: Identifier of the plugin. Returned only if it is installed.
      type: str
      sample: "langgenius/xinference:0.0.15@af77a6d6bd0712a9b4c3def73219bbc88b18782b863ae410b1f27bea62214a64"
    source:
      description: Source of the plugin, such as V(marketplace) or V(package). Returned only if it is installed.
      type: str
      sample: marketplace
plan:
  description: One line for each change.
  returned: when the workspace was read
  type: list
  elements: str
  sample: ["~ upgrade plugin langgenius/xinference (version 0.0.9 -> 0.0.15)"]
not_compared:
  description: Reason why nothing was compared. Returned only in check mode with a workspace that is not the current one.
  returned: check mode
  type: str
requests:
  description: Number of requests by HTTP method.
  returned: when the workspace was read
  type: dict
  sample: {"GET": 2, "POST": 2}
"""

from ansible_collections.modelops.inference.plugins.module_utils import _connection, _module
from ansible_collections.modelops.inference.plugins.module_utils._dify.runs import workspace_step
from ansible_collections.modelops.inference.plugins.module_utils._dify.runs.plugin_step import PluginStep


def main() -> None:
    module = _module.Module(
        argument_spec={**PluginStep.OPTIONS, **_connection.DIFY_OPTIONS},
        supports_check_mode=True,
        **_connection.DIFY_RULES,
    )
    _module.run(module, lambda module: workspace_step.run(module, PluginStep))


if __name__ == "__main__":
    main()
