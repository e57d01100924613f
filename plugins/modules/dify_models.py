#!/usr/bin/python
# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: dify_models
short_description: Register Xinference models in a Dify workspace
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Ensures that a list of models in one Dify workspace matches the declaration, in one call and with one login.
  - The module supports Dify 0.15 and later. Dify 0.15 has a built-in provider, and 1.0 and later has a plugin. Dify 1.8 introduced named
    credentials, 1.9.2 introduced cookies and a CSRF token, and 1.11.2 introduced an encoded password. It reads the release from the header
    C(X-Version) of an answer that needs no login, and does not probe for features. It uses the API of 0.15 for releases back to 0.4.
  - The module identifies a model by O(models[].name) and O(models[].type). If the model exists, the module updates its active credential,
    which keeps its ID and name. If no credential is active, the module reuses an inactive credential with O(models[].credential_name), or
    with O(models[].server_url) and O(models[].model_uid). That credential keeps its key if no key is declared. Otherwise the module adds a
    credential. Credentials that others added stay unless O(clean_credentials=true). A new key replaces the old one in place, so that the
    model stays available.
  - Two simultaneous runs result in one credential. If a response is lost, the module reads the state before it repeats a request.
  - Dify tests a model from its container C(plugin_daemon) (C(api) before 1.0) before it stores the model. It invokes embedding, rerank,
    speech2text and tts models. Dify caches a successful test for five minutes by model UID only, so its acceptance does not prove
    O(models[].server_url). Use M(modelops.inference.xinference_probe) for a proof.
  - After the module registers, updates or enables models, it reads Dify's active models of their types. A missing model is an error.
    Disabled models are exempt, whether O(models[].enabled) or a user disabled them.
  - A model that fails, or that Dify cannot read, does not block the others. The module then fails at its end, and RV(models), RV(plan) and
    C(diff) contain the results.
  - Directly after a restart, Dify lists too few models. If a declared model exists but is not listed, the module reads the list again until
    O(daemon_timeout) expires. After that it reports an error, or a warning in check mode.
  - Load balancing that a user configured for a model (licensed Dify) stays. Dify before 1.8 stores a credential only if that also disables
    load balancing for the model. The module then enables it again with the previous settings, even if Dify rejected the credential.
extends_documentation_fragment:
  - modelops.inference._attributes
  - modelops.inference._attributes.actiongroup_dify
  - modelops.inference._dify
  - modelops.inference._dify.workspace
  - modelops.inference._http
attributes:
  check_mode:
    details:
      - The current workspace is a state that Dify keeps for the account. If O(workspace) is not the current one, check mode does not switch
        to it and compares nothing. It warns and sets RV(not_compared).
  idempotent:
    description: A second run with the same options changes nothing and reports no change.
    support: partial
    details: Not idempotent with O(update_secret=always).
options:
  provider:
    description:
      - ID of the provider in Dify.
      - The default depends on the release, V(xinference) before 1.0 and V(langgenius/xinference/xinference) since 1.0.
    type: str
  models:
    description: Models to register or remove. The module does not change other models of the workspace unless O(prune=true).
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the model in Dify.
        type: str
        required: true
      type:
        description:
          - Type of the model in Dify or in Xinference. V(LLM) becomes V(llm), and V(embedding) becomes V(text-embedding). V(audio) becomes
            V(speech2text) or V(tts), depending on O(models[].abilities).
          - Dify has no type for V(image), V(video) and V(flexible) models, nor for audio models without one of those abilities. The module
            skips such models and reports them in RV(models).
        type: str
        required: true
        choices: [llm, text-embedding, rerank, speech2text, tts, LLM, embedding, audio, image, video, flexible]
      abilities:
        description:
          - Abilities that Xinference reports for a model of type V(audio), C(audio2text) (V(speech2text)) or C(text2audio) (V(tts)).
        type: list
        elements: str
        default: []
      server_url:
        description:
          - URL of Xinference as Dify's containers reach it, with scheme and port and without C(/v1).
          - Required if the model must be present.
        type: str
      model_uid:
        description:
          - UID of the model in Xinference. Dify's plugin rejects a UID with a slash, a question mark or a number sign.
          - Required if the model must be present.
        type: str
      api_key:
        description:
          - API key for Xinference. If unset, the key in Dify stays.
          - Dify 0.15 requires a key for V(tts) models even if Xinference does not. Any value is valid.
        type: str
      api_key_file:
        description: Path of a file with the key, on the machine that runs the module. The module uses it if O(models[].api_key) is unset.
        type: path
      invoke_timeout:
        description: Time in seconds that Dify waits for an answer of the model.
        type: int
        default: 60
      max_retries:
        description: Number of times that Dify repeats a failed invocation.
        type: int
        default: 3
      credential_name:
        description:
          - Name of a credential that the module adds, at most 30 characters. An existing credential keeps its name. It requires Dify 1.8 or
            later.
          - O(prune) recognizes the credential as this site's only if the name is O(prune_prefix), or starts with O(prune_prefix) and a
            space.
        type: str
        default: modelops.inference
      context_length:
        description:
          - Context length in tokens of a model of type V(llm), as Xinference serves it now. Dify reads the value when it saves a model, and
            keeps it if Xinference later launches the model with another one.
          - If Dify has another value, the module saves the model again. If unset, the module does not compare the value.
          - Dify's plugin caches the abilities of a model UID for five minutes, so Dify may store the old value again. The module then
            warns, and a later run corrects the value.
        type: int
      enabled:
        description:
          - Whether the model is enabled in Dify. If unset, users of Dify decide.
          - Dify remembers a disabled model after its removal. The module enables a model that it registers again, unless this option is
            V(false).
        type: bool
      state:
        description:
          - State of the model in Dify. V(absent) removes the model, and then every credential that Dify keeps for it.
          - V(present_with_defaults) registers a missing model. It does not change a registered model.
          - V(ignored) does not change the model and exempts it from O(prune=true).
          - V(pending) marks a model that should be registered but that Xinference does not serve now. The module does not change it.
            O(prune=true) then removes nothing from the workspace, because an older name of the model may still be in use.
        type: str
        choices: [present, present_with_defaults, absent, ignored, pending]
        default: present
  update_secret:
    description:
      - When the module sends the key of an existing model. Dify shows the first six and last two characters of a stored key, and no
        characters of a key with up to eight.
      - V(when_changed) sends the key if the visible characters differ. It does not detect a new key that differs only in the hidden
        characters.
      - Dify before 1.0, and its Xinference plugin up to 0.0.4, hide O(models[].server_url) in the same way. There, another host with the
        same port can look identical.
      - V(always) sends all hidden values in every run. Each run then reports a change.
      - V(on_create) never sends the key again.
    type: str
    choices: [on_create, always, when_changed]
    default: when_changed
  clean_credentials:
    description:
      - Whether to remove all but the active credential of each declared model, including credentials that others added (Dify 1.8 and
        later). Repeated registration of the same model leaves such credentials. Credentials that Dify's load balancing uses stay.
      - It does not apply to models with O(models[].state=present_with_defaults).
    type: bool
    default: false
  prune:
    description:
      - Whether to remove models of the provider that this collection registered and that are not in O(models).
      - The module removes them at its end. If a model failed, is V(pending) (O(models[].state)) or cannot be read, the module removes none.
        If O(models) contains the C(model_uid) of such a model under another name, the model stays until the new name is registered and
        active. A warning and RV(models[].why) list the models that stay.
      - In Dify 1.8 and later, the module removes models if all their credentials are named O(prune_prefix), or O(prune_prefix) followed by
        a space and a suffix. A model to which a user added a credential stays.
      - Dify's upgrade to 1.8 renames existing credentials (C(API_KEY1)), so their owner is unknown. The module does not remove an
        undeclared model with such credentials if its server URL is in O(models) or O(prune_server_urls). A warning names the model.
      - Dify before 1.8 has no credential names. There, the module removes models whose server URL is in O(models) or in
        O(prune_server_urls). Dify 0.x and its Xinference plugin up to 0.0.4 show only the ends of a server URL, so the module removes
        nothing there.
    type: bool
    default: false
  prune_prefix:
    description:
      - Name of this site's credentials, or the part before a space in their names. V(site) matches V(site) and V(site a), but not
        V(site-a). If two sites register models in one workspace, each needs a different value here and in O(models[].credential_name).
      - It must not be empty with O(prune=true).
    type: str
    default: modelops.inference
  prune_server_urls:
    description: Server URLs that only this site registers. O(prune=true) uses them before Dify 1.8, and for its warning in later releases.
    type: list
    elements: str
    default: []
  allow_loopback:
    description:
      - Whether to accept a loopback address as O(models[].server_url). This is valid only if Dify runs on Xinference's machine outside
        containers. Inside a container, a loopback address refers to the container.
    type: bool
    default: false
notes:
  - A run that changes nothing sends 4 requests and one for each model that is not ignored (54 for 50 models), because no release lists
    credentials without returning their keys. A login in O(session_file) or O(admin_key) saves one request. A name as O(workspace) costs one
    more request, and a workspace other than the account's current one costs three more. A changed model costs two to three more requests.
    All changed models together cost two more and one for each of their types. Each model that O(prune) removes costs one more. A model
    without an active credential costs one for each inactive credential, and O(prune) costs one for each undeclared model.
  - A change in O(workspace) switches the account's current workspace in Dify. This also affects people who are logged in with the account.
    The module switches it back at its end, even after a failure, SIGINT or SIGTERM. Before each change in a switched workspace, the module
    checks the account's current workspace with one more request. It fails if another run or a person switched it. A killed run leaves the
    account switched. The next run with the same O(workspace_file) restores it. Use a dedicated account for automation.
seealso:
  - module: modelops.inference.xinference_models
  - module: modelops.inference.xinference_probe
"""

EXAMPLES = r"""
- name: Register a chat model and an embedding model
  modelops.inference.dify_models:
    url: https://dify.example.com
    email: ops@example.com
    password: "{{ vault_dify_password }}"
    workspace: Research
    models:
      - name: qwen3-8b
        type: llm
        server_url: http://10.1.2.3:9997
        model_uid: qwen3-8b
        api_key: "{{ vault_xinference_client_key }}"
      - name: bge-m3
        type: text-embedding
        server_url: http://10.1.2.3:9997
        model_uid: bge-m3
        api_key: "{{ vault_xinference_client_key }}"
  delegate_to: localhost

- name: Register exactly the declared models of this site and remove other credentials
  modelops.inference.dify_models:
    url: https://dify.example.com
    admin_key: "{{ vault_dify_admin_key }}"
    workspace: 5a0c8f1e-1b54-4f7e-9d43-9f4f0a3f4b11
    prune: true
    clean_credentials: true
    models:
      - name: qwen3-8b
        type: LLM
        server_url: http://10.1.2.3:9997
        model_uid: qwen3-8b
        context_length: 32768
        enabled: true
  delegate_to: localhost

- name: Remove a model and its credentials
  modelops.inference.dify_models:
    url: https://dify.example.com
    email: ops@example.com
    password: "{{ vault_dify_password }}"
    models:
      - name: old-model
        type: llm
        state: absent
  delegate_to: localhost
"""

RETURN = r"""
version:
  description: Version of Dify.
  returned: when the models were read
  type: str
  sample: 1.12.1
workspace:
  description: Workspace that the module used.
  returned: when the models were read
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
models:
  description: Result for each model, in the order of O(models), followed by the models that O(prune) found.
  returned: when the models were read
  type: list
  elements: dict
  contains:
    name:
      description: Name as declared.
      type: str
      sample: qwen3-8b
    type:
      description: Name as declared.
      type: str
      sample: llm
    action:
      description:
        - Change that the module made, or would make in check mode, either V(none), V(register), V(update) or V(remove). With C(error), the
          change that failed.
        - V(unknown) if check mode could not compare the model or the model could not be read. V(skip) if Dify has no type for the model.
      type: str
      sample: register
    state:
      description:
        - State in which Dify lists the model at the end of the module (in check mode, the current state), such as V(active), V(disabled) or
          V(no-configure).
        - V(absent) if the model does not exist. V(unknown) if the model exists but is not listed, or if check mode could not compare it.
          V(skipped) for a skipped model.
      type: str
      sample: active
    credential_id:
      description: ID of the active credential. Absent before Dify 1.8 and for an ignored model.
      type: str
      sample: 0197c1a4-6f6b-7a52-9a3e-3f1f0c9c8a77
    credential_name:
      description: Name of the active credential. Absent before Dify 1.8.
      type: str
      sample: modelops.inference
    why:
      description: Reason why the module skipped or did not prune the model. Returned only in these cases.
      type: str
      sample: Dify has no type for image models
    error:
      description: Reason of the failure and its remedy. Returned only on failure.
      type: str
plan:
  description: One line for each change. Outside check mode, the changes that were made, even if the module fails.
  returned: when the models were read
  type: list
  elements: str
  sample: ["+ register llm qwen3-8b"]
not_compared:
  description: Reason why nothing was compared. Returned only in check mode with a workspace that is not the current one.
  returned: check mode
  type: str
requests:
  description: Number of requests by HTTP method.
  returned: when the models were read
  type: dict
  sample: {"GET": 4, "POST": 2}
"""

from ansible_collections.modelops.inference.plugins.module_utils import _connection, _module
from ansible_collections.modelops.inference.plugins.module_utils._dify.runs import workspace_step
from ansible_collections.modelops.inference.plugins.module_utils._dify.runs.models_step import ModelsStep


def main() -> None:
    module = _module.Module(
        argument_spec={**ModelsStep.OPTIONS, **_connection.DIFY_OPTIONS},
        supports_check_mode=True,
        **_connection.DIFY_RULES,
    )
    _module.run(module, lambda module: workspace_step.run(module, ModelsStep))


if __name__ == "__main__":
    main()
