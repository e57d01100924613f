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
  - From Dify 1.0 on Xinference is a plugin, which every workspace installs for itself. The module sees to it, from Dify's
    marketplace or from a file, and waits until it is installed.
  - Before Dify 1.0 the provider is built in. There O(state=present) and O(state=latest) change nothing and say so, and
    O(state=absent) is refused.
  - Dify never upgrades a plugin by installing another version, so the module asks for the upgrade. It is done in place
    where the old and the new version come from the marketplace. Otherwise the plugin is removed and installed anew, as
    Dify's own console does it; for that time its models are not there, and afterwards they are back with their
    credentials. If the new version cannot be installed, the old one is installed again.
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
      - Where O(workspace) is another than the account's current one, check mode does not switch to it, compares nothing,
        warns, and says so in RV(not_compared).
options:
  plugin:
    description: ID of the plugin, its author and name.
    type: str
    default: langgenius/xinference
  state:
    description:
      - V(present) installs the plugin where it is missing, and with O(version), O(identifier) or O(package) changes it to
        that version, be it newer or older.
      - V(latest) also upgrades it to what the marketplace has (Dify 1.4 and later), and leaves a newer one.
      - V(absent) removes it. Its models and their credentials stay in Dify's database and come back with the plugin.
    type: str
    choices: [present, latest, absent]
    default: present
  version:
    description:
      - Exact version. Dify can only tell how to install the marketplace's latest one; for any other that is not
        installed already give O(identifier) or O(package).
    type: str
  identifier:
    description:
      - The plugin's identifier in the marketplace, V(author/name:version@digest) with a digest of 64 hexadecimal digits.
    type: str
  package:
    description:
      - A C(.difypkg) file on the machine that runs the module, to install it without the marketplace.
      - It is compared with what is installed by its contents, and only sent where that differs.
      - The daemon installs the Python packages that the plugin needs from a package index, also for a file. Where it
        reaches none, the file must have them inside, or C(PIP_MIRROR_URL) of the container C(plugin_daemon) names one.
    type: path
  timeout:
    description: Seconds to wait for an installation, which goes on by itself after that.
    type: float
    default: 600
notes:
  - O(version), O(identifier) and O(package) exclude each other, and are for O(state=present).
  - A run that changes nothing sends 4 requests without O(session_file), one more for the latest version.
seealso:
  - module: modelops.inference.dify_models
  - module: modelops.inference.dify_info
"""

EXAMPLES = r"""
- name: Have the Xinference plugin, of whatever version
  modelops.inference.dify_plugin:
    url: https://dify.example.com
    email: ops@example.com
    password: "{{ vault_dify_password }}"
    workspace: Research
  delegate_to: localhost

- name: Install it where Dify has no way to the marketplace
  modelops.inference.dify_plugin:
    url: https://dify.example.com
    email: ops@example.com
    password: "{{ vault_dify_password }}"
    package: files/langgenius-xinference_0.0.15.difypkg
  delegate_to: localhost

- name: Upgrade it
  modelops.inference.dify_plugin:
    url: https://dify.example.com
    email: ops@example.com
    password: "{{ vault_dify_password }}"
    state: latest
  delegate_to: localhost
"""

RETURN = r"""
version:
  description: Dify's version.
  returned: when the workspace was read
  type: str
  sample: 1.12.1
workspace:
  description: The workspace worked in.
  returned: when the workspace was read
  type: dict
  contains:
    id:
      description: Its ID, a UUID.
      type: str
      sample: 5a0c8f1e-1b54-4f7e-9d43-9f4f0a3f4b11
    name:
      description: Its name.
      type: str
      sample: Research
action:
  description:
    - What was done, or in check mode would be done, V(none), V(install), V(upgrade) (in place), V(replace) (removed and
      installed anew) or V(remove).
    - V(unknown) where check mode could not compare.
  returned: when the workspace was read
  type: str
  sample: upgrade
plugin:
  description: The plugin as it is at the end (in check mode, now).
  returned: when the workspace was read
  type: dict
  contains:
    id:
      description: As given.
      type: str
      sample: langgenius/xinference
    state:
      description: >-
        V(installed), V(absent), V(built_in) before Dify 1.0, or V(unknown) where check mode could not compare.
      type: str
      sample: installed
    version:
      description: Its version. Only there where it is installed.
      type: str
      sample: 0.0.15
    identifier:
      description: Its identifier. Only there where it is installed.
      type: str
      sample: "langgenius/xinference:0.0.15@af77a6d6bd0712a9b4c3def73219bbc88b18782b863ae410b1f27bea62214a64"
    source:
      description: Where it came from, such as V(marketplace) or V(package). Only there where it is installed.
      type: str
      sample: marketplace
plan:
  description: One line for each change.
  returned: when the workspace was read
  type: list
  elements: str
  sample: ["~ upgrade plugin langgenius/xinference (version 0.0.9 -> 0.0.15)"]
not_compared:
  description: Why nothing was compared. Only there in check mode, with another workspace than the current one.
  returned: check mode
  type: str
requests:
  description: Number of requests sent, by verb.
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
