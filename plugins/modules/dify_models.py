#!/usr/bin/python
# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: dify_models
short_description: Register Xinference models with a Dify workspace
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Makes a list of models of one Dify workspace what is declared, in one call and with one login.
  - Works with Dify 0.15 (built-in provider), 1.0 to 1.7 (plugin), 1.8 and later (named credentials), 1.9.2 and later
    (cookies and CSRF token) and 1.11.2 and later (encoded password). The release is read from the header
    C(X-Version) of an answer that needs no login; nothing is tried out. Older ones back to 0.4 are spoken to as 0.15.
  - A model is known by O(models[].name) and O(models[].type). Where it exists, its active credential is updated and
    keeps its ID and name. Where none is active, one that was left over is taken if it has O(models[].credential_name), or
    O(models[].server_url) and O(models[].model_uid); its key stays where none is given. Else one is added. Credentials that
    others added stay, unless O(clean_credentials=true). A new key replaces the old one in place, so that the model is never missing.
  - Two runs at the same time end with one credential. An answer that got lost is read back before anything is repeated.
  - Before it stores a model Dify tries it, from its container C(plugin_daemon) (C(api) before 1.0); embedding, rerank,
    speech2text and tts models are really invoked. It remembers for five minutes, by model UID alone, that one worked,
    so its consent is no proof of O(models[].server_url); M(modelops.inference.xinference_probe) gives one.
  - Where it registered, updated or enabled models, it asks Dify at the end for the active models of their types, and one of
    them that is not there fails. A model that is disabled, by O(models[].enabled) or by people where that is unset, is not to
    be there.
  - One model that fails, or that Dify cannot read, does not keep the others from being registered. The module then fails at
    the end, and RV(models), RV(plan) and C(diff) tell what happened.
  - Just after a restart Dify lists too few models. Where it has a declared one and does not list it, the list is read again
    until O(daemon_timeout) is over; then it is an error, and in check mode a warning.
  - Load balancing that somebody set up for a model (licensed Dify) stays. Dify before 1.8 stores a credential only where it
    switches that off, for this model; the module switches it on again as it was, also where Dify refused the credential.
extends_documentation_fragment:
  - modelops.inference._attributes
  - modelops.inference._attributes.actiongroup_dify
  - modelops.inference._dify
  - modelops.inference._dify.workspace
  - modelops.inference._http
attributes:
  check_mode:
    details:
      - Which workspace is current is state that Dify keeps for the account. Where O(workspace) is another than the
        current one, check mode does not switch to it, compares nothing, warns, and says so in RV(not_compared).
  idempotent:
    description: A second run with the same options changes nothing and says so.
    support: partial
    details:
      - Not with O(update_secret=always).
options:
  provider:
    description:
      - The provider's ID in Dify.
      - Unset takes the one of the release, V(xinference) before 1.0 and V(langgenius/xinference/xinference) from then on.
    type: str
  models:
    description: The models. Others that the workspace has are left alone, unless O(prune=true).
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name under which Dify shows the model.
        type: str
        required: true
      type:
        description:
          - Type of the model in Dify, or in Xinference. V(LLM) becomes V(llm), V(embedding) V(text-embedding), and V(audio)
            by O(models[].abilities) V(speech2text) or V(tts).
          - Dify has no type for V(image), V(video) and V(flexible) models, nor for audio models without one of those
            abilities. They are skipped, and RV(models) says so.
        type: str
        required: true
        choices: [llm, text-embedding, rerank, speech2text, tts, LLM, embedding, audio, image, video, flexible]
      abilities:
        description:
          - What Xinference says that a model of type V(audio) can do, C(audio2text) (V(speech2text)) or C(text2audio)
            (V(tts)).
        type: list
        elements: str
        default: []
      server_url:
        description:
          - Xinference's address as Dify's containers reach it, with scheme and port and without C(/v1).
          - Required where the model must be present.
        type: str
      model_uid:
        description:
          - UID of the model in Xinference. Dify's plugin refuses a slash, a question mark and a number sign in it.
          - Required where the model must be present.
        type: str
      api_key:
        description:
          - Key that Xinference wants. Unset leaves what Dify has.
          - Dify 0.15 wants one for V(tts) models even where Xinference does not; any value does.
        type: str
      api_key_file:
        description: File that holds the key, on the machine that runs the module. Used where O(models[].api_key) is unset.
        type: path
      invoke_timeout:
        description: Seconds that Dify waits for the model.
        type: int
        default: 60
      max_retries:
        description: How often Dify repeats a failed invocation.
        type: int
        default: 3
      credential_name:
        description:
          - Name of a credential that the module adds, at most 30 characters. An existing one keeps its own. From Dify 1.8 on.
          - For O(prune) to know it as this site's it is O(prune_prefix), or begins with that and a space.
        type: str
        default: modelops.inference
      context_length:
        description:
          - Tokens that a model of type V(llm) takes in one go, as Xinference serves it now. Dify learns it when a model is
            saved, and keeps it when Xinference launches the model with another one.
          - Where Dify has another one, the model is saved again. Unset does not compare it.
          - Dify's plugin remembers for five minutes what a model UID can do, so that it may store the old value once more.
            The module then warns; a run after that puts it right.
        type: int
      enabled:
        description:
          - V(false) disables the model in Dify, V(true) enables it. Unset leaves that to people.
          - Dify remembers that a model was disabled when it is removed. One that is registered anew is enabled, unless this
            is V(false).
        type: bool
      state:
        description:
          - V(absent) removes the model and then every credential that Dify keeps for it.
          - V(present_with_defaults) registers the model where it is missing. One that is there is left as it is, whatever
            people have set.
          - V(ignored) does nothing with the model, and keeps O(prune=true) from removing it.
          - V(pending) is of a model that must be registered and cannot be now, because Xinference does not serve it. Nothing is
            done with it, and O(prune=true) removes nothing from the workspace, as an older name of the model may be all that
            people have.
        type: str
        choices: [present, present_with_defaults, absent, ignored, pending]
        default: present
  update_secret:
    description:
      - When the key of an existing model is sent. Dify shows of a stored key its first six and last two characters, and
        nothing of one with up to eight.
      - V(when_changed) sends it where what Dify shows differs. A new key that differs only in between is not noticed.
      - Dify before 1.0, and its Xinference plugin up to 0.0.4, hide O(models[].server_url) in the same way, so that
        another host with the same port looks the same there.
      - V(always) sends what is hidden in every run, which then reports a change.
      - V(on_create) never sends it again.
    type: str
    choices: [on_create, always, when_changed]
    default: when_changed
  clean_credentials:
    description:
      - V(true) removes the credentials of a declared model, from Dify 1.8 on, that are not its active one, whoever added
        them. Runs that post the same model again and again leave such. Those that its load balancing uses stay.
      - Not of models with O(models[].state=present_with_defaults).
    type: bool
    default: false
  prune:
    description:
      - V(true) removes models of the provider that are not in O(models) and that this collection has registered.
      - They go at the end. Where a model failed, is V(pending) (O(models[].state)) or cannot be read, none goes, so that people
        keep what they have. One whose C(model_uid) is in O(models) under another name stays until that one is registered and
        active. A warning and RV(models[].why) tell what stays.
      - From Dify 1.8 on these are the models all of whose credentials are named O(prune_prefix), or O(prune_prefix) with a
        space and more behind it. One to which a person added a credential stays.
      - Dify's upgrade to 1.8 gives the credentials that are there names of its own (C(API_KEY1)). By those nobody knows
        whose they are. A model that is not in O(models) and has a server URL of O(models) or O(prune_server_urls) is then
        not removed, and named in a warning.
      - Before 1.8 a credential has no name. Then it is the models with a server URL that is in O(models) or in
        O(prune_server_urls). Dify 0.x and its Xinference plugin up to 0.0.4 show only the ends of a server URL; there
        nothing is pruned.
    type: bool
    default: false
  prune_prefix:
    description:
      - Name of this site's credentials, or what stands before a space in their names. V(site) is V(site) and V(site a), and
        not V(site-a). Two sites that register with one workspace need different ones here and in
        O(models[].credential_name).
      - With O(prune=true) it may not be empty.
    type: str
    default: modelops.inference
  prune_server_urls:
    description:
      - Server URLs that nobody but this site registers. For O(prune=true) before Dify 1.8, and from then on for its
        warning.
    type: list
    elements: str
    default: []
  allow_loopback:
    description:
      - V(true) accepts a loopback address as O(models[].server_url). Right only where Dify runs on Xinference's machine
        outside containers; in a container the address means the container.
    type: bool
    default: false
notes:
  - A run that changes nothing sends 4 requests and one per model that is not ignored (54 for 50 models), as no release lists credentials
    without telling their keys. With a login in O(session_file) it is one less, and with O(admin_key). A name as O(workspace)
    costs one more, another workspace than the account's current one three. A changed model costs two to three more, all
    together two more and one for each of their types, and those that O(prune) removes one more. A model without an active
    credential costs one for each that is left over, and O(prune) one for each model that is not declared.
  - A change of O(workspace) switches the account's current workspace in Dify, for people logged in with it too, and
    switches it back at the end, also after a failure, SIGINT and SIGTERM. Before each change the module then looks whether the account
    is still there, and fails where another run or a person switched it (one more request a change). A run that was killed leaves it
    switched; the next one with the same O(workspace_file) puts it back. Use an account of its own for automation.
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

- name: Have exactly the declared models of this site, without the credentials that others piled up
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
  description: Dify's version.
  returned: when the models were read
  type: str
  sample: 1.12.1
workspace:
  description: The workspace worked in.
  returned: when the models were read
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
models:
  description: What became of each model, in the order of O(models); then those that O(prune) found.
  returned: when the models were read
  type: list
  elements: dict
  contains:
    name:
      description: As declared.
      type: str
      sample: qwen3-8b
    type:
      description: As declared.
      type: str
      sample: llm
    action:
      description:
        - What was done, or in check mode would be done, V(none), V(register), V(update) or V(remove). With C(error) what was
          tried.
        - V(unknown) where check mode could not compare or the model could not be read, V(skip) for a model that Dify has
          no type for.
      type: str
      sample: register
    state:
      description:
        - As Dify lists the model at the end (in check mode, now), such as V(active), V(disabled) or V(no-configure).
        - V(absent) where it does not have it, V(unknown) where it has it and does not list it, or where check mode could
          not compare, V(skipped) of a skipped one.
      type: str
      sample: active
    credential_id:
      description: ID of the active credential; none before Dify 1.8, nor of an ignored model.
      type: str
      sample: 0197c1a4-6f6b-7a52-9a3e-3f1f0c9c8a77
    credential_name:
      description: Its name; none before Dify 1.8.
      type: str
      sample: modelops.inference
    why:
      description: Why it was skipped, or not pruned. Only there where it was.
      type: str
      sample: Dify has no type for image models
    error:
      description: Why it failed, with what to do. Only there where it did.
      type: str
plan:
  description: One line for each change. Outside check mode those that were made, also where the module fails.
  returned: when the models were read
  type: list
  elements: str
  sample: ["+ register llm qwen3-8b"]
not_compared:
  description: Why nothing was compared. Only there in check mode, with another workspace than the current one.
  returned: check mode
  type: str
requests:
  description: Number of requests sent, by verb.
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
