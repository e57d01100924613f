#!/usr/bin/python
# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: dify_info
short_description: Tell what a Dify workspace has of Xinference
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Tells a Dify's version and ways of authentication, the account's workspaces, and of one workspace the Xinference plugin,
    the provider's models and the default models. All of it with one login; none of it is secret.
  - An account that may only read is enough.
extends_documentation_fragment:
  - modelops.inference._attributes
  - modelops.inference._attributes.info
  - modelops.inference._attributes.actiongroup_dify
  - modelops.inference._dify
  - modelops.inference._dify.workspace
  - modelops.inference._http
attributes:
  check_mode:
    description: Reads what can be read without changing anything.
    support: partial
    details:
      - Check mode does not read the defaults, because Dify chooses and stores one where none is set, and nothing of another
        workspace than the account's current one, because that takes a switch. RV(not_read) says so.
options:
  provider:
    description:
      - The provider whose models are told.
      - Unset takes Xinference's of the release, V(xinference) before 1.0 and V(langgenius/xinference/xinference) from then
        on.
    type: str
  plugin:
    description: ID of the plugin that is told.
    type: str
    default: langgenius/xinference
  credentials:
    description: Also tell of each model what its credential holds, without what is secret. One request for each model.
    type: bool
    default: false
  defaults:
    description:
      - Also tell the default models. One request for each model type.
      - Where a type has no default, Dify takes the question as the order to choose its first active model, and stores it.
    type: bool
    default: false
notes:
  - Sends 6 requests without O(session_file), O(credentials) and O(defaults); one less before Dify 1.0.
  - Where O(workspace) is another than the account's current one, it is switched to and back, for people logged in with the
    account too. Use an account of its own for automation.
seealso:
  - module: modelops.inference.dify_models
  - module: modelops.inference.dify_plugin
  - module: modelops.inference.dify_default_models
"""

EXAMPLES = r"""
- name: Read what a workspace has
  modelops.inference.dify_info:
    url: https://dify.example.com
    email: ops@example.com
    password: "{{ vault_dify_password }}"
    workspace: Research
    credentials: true
  register: research
  delegate_to: localhost

- name: Show the models that cannot be used
  ansible.builtin.debug:
    msg: "{{ research.models | rejectattr('state', 'eq', 'active') }}"
"""

RETURN = r"""
version:
  description: Dify's version.
  returned: success
  type: str
  sample: 1.12.1
auth:
  description: How this release wants to be spoken to.
  returned: success
  type: dict
  contains:
    session:
      description: V(bearer), a token in a header; or V(cookies), with a CSRF token (1.9.2 and later).
      type: str
      sample: cookies
    password:
      description: How the password travels at the login, V(plain) or V(base64) (1.11.2 and later).
      type: str
      sample: base64
    admin_key:
      description: Whether the release accepts an ADMIN_API_KEY, where one is set.
      type: bool
      sample: true
workspaces:
  description: The account's workspaces.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: Its ID, a UUID.
      type: str
      sample: 5a0c8f1e-1b54-4f7e-9d43-9f4f0a3f4b11
    name:
      description: Its name.
      type: str
      sample: Research
    current:
      description: Whether it is the account's current one.
      type: bool
      sample: true
workspace:
  description: The workspace that the rest is about.
  returned: success
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
    role:
      description: The account's role in it, such as V(owner), V(admin) or V(editor); empty where Dify does not tell.
      type: str
      sample: owner
plugin:
  description: The plugin; null where it was not read.
  returned: success
  type: dict
  contains:
    id:
      description: As given.
      type: str
      sample: langgenius/xinference
    state:
      description: V(installed), V(absent), or V(built_in) before Dify 1.0.
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
models:
  description: The provider's models; null where they were not read.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the model in Dify.
      type: str
      sample: qwen3-8b
    type:
      description: Its type.
      type: str
      sample: llm
    state:
      description: As Dify lists it, such as V(active), V(disabled), V(no-configure) or V(credential-removed).
      type: str
      sample: active
    fields:
      description:
        - What its active credential holds, as Dify shows it, without the API key and whatever else Dify hides. Dify before
          1.0, and the plugin up to 0.0.4, hide most of C(server_url), too. A user and a password in it are told as C(***).
      returned: with O(credentials)
      type: dict
      sample: {"server_url": "http://10.1.2.3:9997", "model_uid": "qwen3-8b", "invoke_timeout": "60", "max_retries": "3"}
    has_api_key:
      description: Whether its active credential holds an API key.
      returned: with O(credentials)
      type: bool
      sample: true
    credential_id:
      description: ID of the active credential; null before Dify 1.8.
      returned: with O(credentials)
      type: str
      sample: 0197c1a4-6f6b-7a52-9a3e-3f1f0c9c8a77
    credential_name:
      description: Its name; null before Dify 1.8.
      returned: with O(credentials)
      type: str
      sample: modelops.inference
    credential_names:
      description: Names of all credentials that Dify keeps for the model, the active one too; empty before Dify 1.8.
      returned: with O(credentials)
      type: list
      elements: str
      sample: [modelops.inference]
defaults:
  description: By model type its default model, with C(name) and C(provider), or null where it has none.
  returned: with O(defaults), outside check mode
  type: dict
  sample: {"llm": {"name": "qwen3-8b", "provider": "langgenius/xinference/xinference"}, "tts": null}
not_read:
  description: What was not read, and why. Only there in check mode.
  returned: check mode
  type: str
requests:
  description: Number of requests sent, by verb.
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
