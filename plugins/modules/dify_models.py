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
    keeps its ID and name; a credential is only added where there is none. Credentials that others added stay.
  - Before it stores a model Dify tries it, from its container C(plugin_daemon) (C(api) before 1.0); embedding, rerank,
    speech2text and tts models are really invoked. It remembers for five minutes, by model UID alone, that one worked,
    so its consent is no proof of O(models[].server_url); M(modelops.inference.xinference_probe) gives one.
  - One model that fails does not keep the others from being registered. The module then fails at the end, and
    RV(models) tells what happened to each.
extends_documentation_fragment:
  - modelops.inference._attributes
  - modelops.inference._attributes.actiongroup_dify
  - modelops.inference._dify
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
    description: The models. Others that the workspace has are left alone.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name under which Dify shows the model.
        type: str
        required: true
      type:
        description: Type of the model in Dify. It has no types for image and video models.
        type: str
        required: true
        choices: [llm, text-embedding, rerank, speech2text, tts]
      server_url:
        description:
          - Xinference's address as Dify's containers reach it, with scheme and port and without C(/v1).
          - Required with O(models[].state=present).
        type: str
      model_uid:
        description:
          - UID of the model in Xinference. Dify's plugin refuses a slash, a question mark and a number sign in it.
          - Required with O(models[].state=present).
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
          - Dify refuses a second credential of the same name for a model, so that two runs at a time cannot make two.
        type: str
        default: modelops.inference
      state:
        description: >-
          V(absent) removes the model and then every credential that Dify keeps for it.
        type: str
        choices: [present, absent]
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
  allow_loopback:
    description:
      - V(true) accepts a loopback address as O(models[].server_url). Right only where Dify runs on Xinference's machine
        outside containers; in a container the address means the container.
    type: bool
    default: false
notes:
  - A run that changes nothing sends 4 requests and one per model, one more where O(workspace) is set to a name, and
    three more where it is not the account's current one. A changed model costs two to three more, all together one more.
  - A change of O(workspace) switches the account's current workspace in Dify, for people logged in with it too, and
    switches it back at the end, also after a failure. Use an account of its own for automation.
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
  description: What became of each model, in the order of O(models).
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
        - What was done, or in check mode would be done, V(none), V(register), V(update) or V(remove).
        - V(unknown) where check mode could not compare.
      type: str
      sample: register
    state:
      description:
        - As Dify lists the model at the end (in check mode, now), such as V(active), V(disabled) or V(no-configure).
        - V(absent) where it does not list it, V(unknown) where check mode could not compare.
      type: str
      sample: active
    credential_id:
      description: ID of the active credential; none before Dify 1.8.
      type: str
      sample: 0197c1a4-6f6b-7a52-9a3e-3f1f0c9c8a77
    credential_name:
      description: Its name; none before Dify 1.8.
      type: str
      sample: modelops.inference
    error:
      description: Why it failed, with what to do. Only there where it did.
      type: str
plan:
  description: One line for each change.
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

import typing as t
from dataclasses import replace

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.modelops.inference.plugins.module_utils import _connection, _module
from ansible_collections.modelops.inference.plugins.module_utils._dify import models as dify_models
from ansible_collections.modelops.inference.plugins.module_utils._dify.session import DifySession
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError

ACTIONS = {"create": "register", "attach": "register", "update": "update", "remove": "remove"}


def wanted_of(item: dict[str, t.Any]) -> dify_models.Wanted:
    """A model of the module's options."""
    present = item["state"] == "present"
    what = f"model '{item['name']}' ({item['type']}): api_key_file"
    return dify_models.Wanted(
        name=item["name"],
        type=item["type"],
        server_url=(item["server_url"] or "").strip().rstrip("/"),
        model_uid=item["model_uid"] or "",
        api_key=_connection.secret(item["api_key"], item["api_key_file"], what) if present else None,
        invoke_timeout=str(item["invoke_timeout"]),
        max_retries=str(item["max_retries"]),
        credential_name=item["credential_name"] or "",
        present=present,
    )


def work(module: AnsibleModule) -> dict[str, t.Any]:
    p = module.params
    wanted = [wanted_of(item) for item in p["models"]]
    problems = dify_models.problems(wanted, allow_loopback=p["allow_loopback"])
    if problems:
        raise ModelopsError("Nothing was sent to Dify: " + "; ".join(problems))
    dify = DifySession.open(module)
    dify.http.hide(*(model.api_key for model in wanted))
    with dify.in_workspace(p["workspace"]) as comparable:
        result = compare_and_apply(module, dify, wanted) if comparable else not_compared(module, dify, wanted)
    failed = [item["error"] for item in result["models"] if "error" in item]
    result["requests"] = dict(dify.http.counts)
    if failed:
        raise ModelopsError(f"{len(failed)} of {len(wanted)} models failed. " + " | ".join(failed), **result)
    return result


def compare_and_apply(module: AnsibleModule, dify: DifySession, wanted: list[dify_models.Wanted]) -> dict[str, t.Any]:
    """Reads, plans, and outside check mode applies; a failed model is noted and the next one is tried."""
    policy = module.params["update_secret"]
    models = dify_models.Models(dify, module.params["provider"])
    statuses = models.statuses()
    actual = [models.read(model, statuses.get((model.name, model.type))) for model in wanted]
    plan = dify_models.plan(wanted, actual, dify.release, policy, f"{dify.url} {dify.workspace.name}")
    steps = {change.data.wanted.title: change.data for change in plan}
    errors: dict[str, str] = {}
    if plan and not module.check_mode:
        for index, model in enumerate(wanted):
            if model.title in steps:
                try:
                    actual[index] = models.apply(steps[model.title], policy)
                except ModelopsError as exc:
                    errors[model.title] = str(exc)
        statuses = models.statuses()
        actual = [replace(now, status=statuses.get((model.name, model.type))) for model, now in zip(wanted, actual)]
    for model, now in zip(wanted, actual):
        if model.present and not module.check_mode and model.title not in errors:
            if now.status is None:
                errors[model.title] = (
                    f"Dify {dify.url}, workspace '{dify.workspace.name}': {model.title}: it is registered, and Dify does "
                    "not list it among the provider's models. Is the Xinference plugin in order?"
                )
            elif now.status != "active":
                module.warn(
                    f"Dify {dify.url}, workspace '{dify.workspace.name}' lists {model.title} as {now.status}: "
                    "it is registered, and cannot be used like this"
                )
    rows = [
        row(
            model,
            action=ACTIONS[steps[model.title].kind] if model.title in steps else "none",
            state=now.status or "absent",
            credential_id=now.credential_id,
            credential_name=now.credential_name,
            **({"error": errors[model.title]} if model.title in errors else {}),
        )
        for model, now in zip(wanted, actual)
    ]
    result = dict(plan.result(), **about(dify), models=rows)
    if errors:
        result["changed"] = any(title not in errors for title in steps)
    return result


def not_compared(module: AnsibleModule, dify: DifySession, wanted: list[dify_models.Wanted]) -> dict[str, t.Any]:
    """What check mode can say of a workspace that is not the account's current one: nothing."""
    why = (
        f"Dify {dify.url}: '{dify.workspace.name}' is not the account's current workspace. Reading its models would take "
        "a switch, which is a change of the account that check mode does not make. They were not compared."
    )
    module.warn(why)
    rows = [row(model, action="unknown", state="unknown", credential_id=None, credential_name=None) for model in wanted]
    return dict(changed=False, plan=[], not_compared=why, models=rows, **about(dify))


def row(model: dify_models.Wanted, **outcome: t.Any) -> dict[str, t.Any]:
    return dict(name=model.name, type=model.type, **outcome)


def about(dify: DifySession) -> dict[str, t.Any]:
    return dict(version=dify.release.version, workspace=dict(id=dify.workspace.id, name=dify.workspace.name))


def main() -> None:
    module = _module.Module(
        argument_spec=dict(
            provider=dict(type="str"),
            models=dict(
                type="list",
                elements="dict",
                required=True,
                options=dict(
                    name=dict(type="str", required=True),
                    type=dict(type="str", required=True, choices=list(dify_models.TYPES)),
                    server_url=dict(type="str"),
                    model_uid=dict(type="str"),
                    api_key=dict(type="str", no_log=True),
                    api_key_file=dict(type="path", no_log=False),
                    invoke_timeout=dict(type="int", default=60),
                    max_retries=dict(type="int", default=3),
                    credential_name=dict(type="str", default="modelops.inference"),
                    state=dict(type="str", choices=["present", "absent"], default="present"),
                ),
                required_if=[("state", "present", ("server_url", "model_uid"))],
            ),
            update_secret=dict(
                type="str", choices=["on_create", "always", "when_changed"], default="when_changed", no_log=False
            ),
            allow_loopback=dict(type="bool", default=False),
            **_connection.DIFY_OPTIONS,
        ),
        supports_check_mode=True,
        **_connection.DIFY_RULES,
    )
    _module.run(module, work)


if __name__ == "__main__":
    main()
