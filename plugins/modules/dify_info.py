#!/usr/bin/python
# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: dify_info
short_description: Read the Xinference models of a Dify workspace
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Returns Dify's version and authentication methods and the account's workspaces. For one workspace, it returns the Xinference plugin, the
    provider's models and the default models. The module logs in once and returns no secrets.
  - An account with read access is sufficient.
extends_documentation_fragment:
  - modelops.inference._attributes
  - modelops.inference._attributes.info
  - modelops.inference._attributes.actiongroup_dify
  - modelops.inference._dify
  - modelops.inference._dify.workspace
  - modelops.inference._http
attributes:
  check_mode:
    description: Reads all data that is readable without a change.
    support: partial
    details:
      - Check mode does not read the default models, because Dify selects and stores an unset default when it is read. Check mode reads only
        the account's current workspace, because another workspace requires a switch. RV(not_read) lists the omitted data.
options:
  provider:
    description:
      - Provider whose models the module returns.
      - The default is Xinference's provider in the Dify release, V(xinference) before 1.0 and V(langgenius/xinference/xinference) since
        1.0.
    type: str
  plugin:
    description: ID of the plugin that the module returns.
    type: str
    default: langgenius/xinference
  credentials:
    description: Whether to return the fields of each model's credential, without secrets. This requires one request for each model.
    type: bool
    default: false
  defaults:
    description:
      - Whether to return the default models. This requires one request for each model type.
      - If a type has no default, Dify selects its first active model on this request and stores it.
    type: bool
    default: false
notes:
  - The module sends 6 requests without O(session_file), O(credentials) and O(defaults), and one less before Dify 1.0.
  - If O(workspace) is not the account's current workspace, the module switches the account to it and back. This also affects people who are
    logged in with the account. Use a dedicated account for automation.
seealso:
  - module: modelops.inference.dify_models
  - module: modelops.inference.dify_plugin
  - module: modelops.inference.dify_default_models
"""

EXAMPLES = r"""
- name: Read the models of a workspace
  modelops.inference.dify_info:
    url: https://dify.example.com
    email: ops@example.com
    password: "{{ vault_dify_password }}"
    workspace: Research
    credentials: true
  register: research
  delegate_to: localhost

- name: Show the unusable models
  ansible.builtin.debug:
    msg: "{{ research.models | rejectattr('state', 'eq', 'active') }}"
"""

RETURN = r"""
version:
  description: Version of Dify.
  returned: success
  type: str
  sample: 1.12.1
auth:
  description: Authentication methods of this release.
  returned: success
  type: dict
  contains:
    session:
      description: V(bearer), a token in a header, or V(cookies), with a CSRF token (1.9.2 and later).
      type: str
      sample: cookies
    password:
      description: Encoding of the password at login, V(plain) or V(base64) (1.11.2 and later).
      type: str
      sample: base64
    admin_key:
      description: Whether the release accepts an ADMIN_API_KEY if one is set.
      type: bool
      sample: true
workspaces:
  description: Workspaces of the account.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: ID of the workspace, a UUID.
      type: str
      sample: 5a0c8f1e-1b54-4f7e-9d43-9f4f0a3f4b11
    name:
      description: Name of the card.
      type: str
      sample: Research
    current:
      description: Whether this is the account's current workspace.
      type: bool
      sample: true
workspace:
  description: Workspace to which the other values belong.
  returned: success
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
    role:
      description: Role of the account in the workspace, such as V(owner), V(admin) or V(editor). Empty if Dify does not report it.
      type: str
      sample: owner
plugin:
  description: Plugin, or null if it was not read.
  returned: success
  type: dict
  contains:
    id:
      description: ID of the plugin as given.
      type: str
      sample: langgenius/xinference
    state:
      description: V(installed), V(absent), or V(built_in) before Dify 1.0.
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
models:
  description: Models of the provider, or null if they were not read.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the model in Dify.
      type: str
      sample: qwen3-8b
    type:
      description: Type of the model.
      type: str
      sample: llm
    state:
      description: State as Dify lists it, such as V(active), V(disabled), V(no-configure) or V(credential-removed).
      type: str
      sample: active
    fields:
      description:
        - Fields of the active credential as Dify shows them, without the API key and other hidden values. Dify before 1.0, and the plugin
          up to 0.0.4, also hide most of C(server_url). A user and a password in the URL are replaced by C(***).
      returned: with O(credentials)
      type: dict
      sample: {"server_url": "http://10.1.2.3:9997", "model_uid": "qwen3-8b", "invoke_timeout": "60", "max_retries": "3"}
    has_api_key:
      description: Whether the active credential contains an API key.
      returned: with O(credentials)
      type: bool
      sample: true
    credential_id:
      description: ID of the active credential. Null before Dify 1.8.
      returned: with O(credentials)
      type: str
      sample: 0197c1a4-6f6b-7a52-9a3e-3f1f0c9c8a77
    credential_name:
      description: Name of the active credential. Null before Dify 1.8.
      returned: with O(credentials)
      type: str
      sample: modelops.inference
    credential_names:
      description: Names of all credentials that Dify keeps for the model, including the active one. Empty before Dify 1.8.
      returned: with O(credentials)
      type: list
      elements: str
      sample: [modelops.inference]
defaults:
  description: Default model by model type, with C(name) and C(provider), or null if the type has no default.
  returned: with O(defaults), outside check mode
  type: dict
  sample: {"llm": {"name": "qwen3-8b", "provider": "langgenius/xinference/xinference"}, "tts": null}
not_read:
  description: Data that was not read, with the reason. Returned only in check mode.
  returned: check mode
  type: str
requests:
  description: Number of requests by HTTP method.
  returned: success
  type: dict
  sample: {"GET": 4, "POST": 2}
"""

from ansible_collections.modelops.inference.plugins.module_utils import _connection, _module
from ansible_collections.modelops.inference.plugins.module_utils._dify.runs import workspace_step
from ansible_collections.modelops.inference.plugins.module_utils._dify.runs.info_step import InfoStep


def main() -> None:
    module = _module.Module(
        argument_spec={**InfoStep.OPTIONS, **_connection.DIFY_OPTIONS},
        supports_check_mode=True,
        **_connection.DIFY_RULES,
    )
    _module.run(module, lambda module: workspace_step.run(module, InfoStep))


if __name__ == "__main__":
    main()
