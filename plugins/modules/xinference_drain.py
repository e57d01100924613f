#!/usr/bin/python
# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xinference_drain
short_description: Serve elsewhere what a worker of an Xinference cluster serves, before it ends
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - A worker that ends takes its replicas with it. With O(state=drained) each of them gets a successor on another worker first, where
    there is room, whoever launched the model, and the model must answer. The worker itself goes on until its service is stopped.
  - Then, with O(state=leaving), the server gives the worker no more requests for models that serve elsewhere, too, and those that it has
    are answered. With O(state=left), after the service was stopped, the server is waited for to have forgotten the worker, and what is
    left of its replicas is cleared.
  - Refused, before anything is changed, where a model would stop (O(force)) or would not answer for a while (O(gaps)). A model that has
    replicas elsewhere goes on with those, with a warning, where there is no room for more.
  - A worker that comes back (O(state=undrained)) gets the replicas that went with it, and each model that gets one must answer. Where
    nothing comes back to it, one of the models that it had, the one that loads the fastest, is launched there for a moment under a UID of
    its own (C(modelops-try-) and the worker's address), must answer, and is ended; nobody else sees it. What a run that broke off
    left of that is ended by the next one, or by M(modelops.inference.xinference_models) with the same O(remember).
  - What is declared for this worker (O(modelops.inference.xinference_models#module:models[].worker)) is not served elsewhere.
  - Run it on the supervisor's host.
notes:
  - Stop the worker with O(modelops.inference.xinference_service#module:leaves=true). Then the server gives it no more requests before its
    processes end.
  - O(state=leaving) calls the server's processes as they call each other, so it needs the Python of the server's environment
    (C(ansible_python_interpreter)). Before Xinference 3.5 it does nothing.
  - Replicas are added by Xinference 3.2 and later. Before, a model is ended and launched elsewhere, which is a gap of some seconds
    to minutes; Xinference 2.12 and later goes on with replicas that a model has on other workers.
  - Run again after a failure, it goes on with what is left, by the number of replicas that a model had before the first run. So a worker
    that an upgrade (O(returns)) left stopped can be drained for good. What went with it is served elsewhere then, where there is room.
extends_documentation_fragment:
  - modelops.inference._xinference
  - modelops.inference._http
  - modelops.inference._attributes
  - modelops.inference._attributes.idempotent
  - modelops.inference._attributes.actiongroup_xinference
options:
  worker:
    description: Address (IP address and port) of the worker, as C(GET /status) has it.
    type: str
    required: true
  state:
    description:
      - V(drained) serves elsewhere what the worker serves, and has the reconciler leave out what belongs on it.
      - V(leaving) has the server give the worker no more requests, and waits for those that it has, for O(requests_timeout). The service
        must be stopped next. Where it fails that is a warning. Check mode does nothing.
      - V(left) waits until the server no longer has the worker, whose service was stopped, and clears what is left of its replicas.
      - V(undrained), after the worker has joined again, launches the declared models that were stopped for it, adds the replicas that
        went with it of models that run and are not complete, proves that it serves, and lets the reconciler use it. A model that loads is
        waited for before, as none can be added to it; one that does not get ready goes on without them, with a warning. It fails where
        something does not come up or answer there; what was added and does not answer is removed. Of a worker that had nothing it
        sends no request, and of one that never left it only forgets the drain.
    type: str
    choices: [drained, leaving, left, undrained]
    default: drained
  force:
    description: Lets models stop that have no place elsewhere. Implies O(gaps).
    type: bool
    default: false
  gaps:
    description: Lets models be ended and launched elsewhere, where a replica cannot be added.
    type: bool
    default: false
  returns:
    description:
      - Whether the worker comes back soon, as in an upgrade. Then with O(state=drained) a model that has ready replicas on workers that
        stay goes on with those (since Xinference 2.12), and gets back what went with O(state=undrained).
    type: bool
    default: false
  remember:
    description:
      - File in which M(modelops.inference.xinference_models) remembers what it launched, by its option of the same name.
      - Without it only what the server tells of a model is known, and a worker that comes back gets nothing.
    type: path
  devices:
    description: GPUs of the workers, as O(modelops.inference.xinference_models#module:devices) takes them.
    type: list
    elements: dict
    default: []
  gpu_sharing:
    description: Whether several models may share a GPU (C(XINFERENCE_ALLOW_MULTI_REPLICA_PER_GPU) of the server).
    type: bool
    default: true
  launch_timeout:
    description: Seconds that a replica, or a model that is waited for, may take to load, where it declares no time of its own.
    type: int
    default: 1800
  ready_timeout:
    description: Seconds to wait for the server to answer, and with O(state=left) to forget the worker.
    type: int
    default: 300
  prove_timeout:
    description: Seconds that a model may take to answer. One that paints or speaks may take five times as many.
    type: int
    default: 60
  requests_timeout:
    description: Seconds that requests may take to be answered with O(state=leaving). Those that take longer fail as the worker ends.
    type: int
    default: 60
  log_path:
    description:
      - The server's log file on this host, whose last lines end up in errors that it may explain.
      - Where the server gives no reason for a failure, the error names this file, and the worker on whose host it is.
    type: path
"""

EXAMPLES = r"""
- name: Serve elsewhere what gpu03 serves
  modelops.inference.xinference_drain:
    endpoint: http://10.1.2.3:9997
    password_file: /opt/xinference/secrets/admin_password
    worker: 10.1.2.6:9998
    remember: /opt/xinference/reconciler/declared.json

- name: It gets no more requests
  modelops.inference.xinference_drain:
    endpoint: http://10.1.2.3:9997
    password_file: /opt/xinference/secrets/admin_password
    worker: 10.1.2.6:9998
    remember: /opt/xinference/reconciler/declared.json
    state: leaving
  vars:
    ansible_python_interpreter: /opt/xinference/current/bin/python

- name: After its service was stopped
  modelops.inference.xinference_drain:
    endpoint: http://10.1.2.3:9997
    password_file: /opt/xinference/secrets/admin_password
    worker: 10.1.2.6:9998
    remember: /opt/xinference/reconciler/declared.json
    state: left
"""

RETURN = r"""
version:
  description: Release of the server. Empty where it was not asked.
  returned: always
  type: str
  sample: 4.1.0
plan:
  description: One line for each thing that was done, or in check mode would be.
  returned: always
  type: list
  elements: str
  sample: ["+ add replica bge-m3 (on 10.1.2.5:9998)", "- stop qwen3 (it is declared for this worker (worker))"]
progress:
  description: What was done, one line for each replica.
  returned: success
  type: list
  elements: str
  sample: ["bge-m3  another replica on 10.1.2.5:9998 ready after 12 s"]
models:
  description: The models that the worker served, those that lack replicas that an earlier run let go with it, and with
    O(state=undrained) those of which replicas went with it.
  returned: always
  type: list
  elements: dict
  contains:
    uid:
      description: Model UID.
      type: str
    action:
      description: >-
        V(add) (replicas were added elsewhere), V(relaunch) (launched elsewhere, with a gap), V(fewer) (goes on with the replicas that
        it has elsewhere, for good or until the worker is back), V(stop) (ends with the worker) or V(moved) (an earlier run did that,
        and the worker has not left yet).
      type: str
    replicas:
      description: Numbers of its replicas before, on the worker (C(here)) and C(elsewhere).
      type: dict
      sample: {here: 1, elsewhere: 0}
    places:
      description: Addresses of the workers that got a replica.
      type: list
      elements: str
    why:
      description: Why nothing better was possible.
      type: str
requests:
  description: Number of HTTP requests by verb.
  returned: success
  type: dict
  sample: {GET: 9, POST: 2}
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.modelops.inference.plugins.module_utils import _connection, _module
from ansible_collections.modelops.inference.plugins.module_utils._xinference.api.client import Client
from ansible_collections.modelops.inference.plugins.module_utils._xinference.declaration.declared import Store
from ansible_collections.modelops.inference.plugins.module_utils._xinference.draining import drain, leave, undrain
from ansible_collections.modelops.inference.plugins.module_utils._xinference.draining.drain_run import DrainOptions


def work(module: AnsibleModule) -> dict[str, t.Any]:
    p = module.params
    settings = DrainOptions(
        **{
            name: p[name]
            for name in (
                "worker",
                "force",
                "gaps",
                "returns",
                "devices",
                "gpu_sharing",
                "launch_timeout",
                "ready_timeout",
                "prove_timeout",
                "requests_timeout",
            )
        }
    )
    client, store = Client.of(module), Store(p["remember"], writes=not module.check_mode)
    run: dict[str, t.Callable[[Client, DrainOptions, Store], dict[str, t.Any]]] = {
        "drained": lambda *given: drain.Drain(*given).drained(),
        "leaving": lambda *given: leave.Leave(*given).answered(),
        "left": lambda *given: drain.Drain(*given).left(),
        "undrained": lambda *given: undrain.Undrain(*given).undrained(),
    }
    result = run[p["state"]](client, settings, store)
    for warning in result.pop("warnings"):
        module.warn(warning)
    return result


def main() -> None:
    module = _module.Module(
        argument_spec=dict(
            worker=dict(type="str", required=True),
            state=dict(type="str", choices=["drained", "leaving", "left", "undrained"], default="drained"),
            force=dict(type="bool", default=False),
            gaps=dict(type="bool", default=False),
            returns=dict(type="bool", default=False),
            remember=dict(type="path"),
            devices=dict(type="list", elements="dict", default=[]),
            gpu_sharing=dict(type="bool", default=True),
            launch_timeout=dict(type="int", default=1800),
            ready_timeout=dict(type="int", default=300),
            prove_timeout=dict(type="int", default=60),
            requests_timeout=dict(type="int", default=60),
            log_path=dict(type="path"),
            **_connection.XINFERENCE_OPTIONS,
        ),
        supports_check_mode=True,
    )
    _module.run(module, work)


if __name__ == "__main__":
    main()
