#!/usr/bin/python
# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xinference_drain
short_description: Move the models of a worker of an Xinference cluster before it stops
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - A worker that ends stops its replicas. With O(state=drained), the module first starts a successor of each replica on another worker that
    has room, whoever launched the model. The model must answer. The worker itself continues to run until its service is stopped.
  - Then run the module with O(state=leaving). The server stops routing requests to the worker, including requests for models that also run
    on other workers. Running requests complete. Stop the service, and run the module with O(state=left). It waits until the server
    deregisters the worker, and clears the remaining records of its replicas.
  - The module refuses before it changes anything if a model would stop (O(force)) or would not answer for a while (O(gaps)). If a model has
    replicas elsewhere and there is no room for more, it continues with those replicas, and the module warns.
  - With O(state=undrained), a worker that returns gets back the replicas that it had, and each of these models must answer. If the worker
    gets no replicas back, the module proves it with the model that it had and that loads the fastest. It launches that model on the worker
    under a separate UID (C(modelops-try-) and the worker's address), waits for its answer, and terminates it. Other users do not see the
    model. If a run is interrupted, the next run or M(modelops.inference.xinference_models) with the same O(remember) terminates it.
  - The module does not move models that are declared for this worker (O(modelops.inference.xinference_models#module:models[].worker)).
  - Run the module on the supervisor's host.
notes:
  - Stop the worker with O(modelops.inference.xinference_service#module:leaves=true). The server then stops routing requests to it before
    its processes end.
  - O(state=leaving) uses the internal calls of the server's processes, so it requires the Python of the server's environment
    (C(ansible_python_interpreter)). With Xinference before 3.5 it does nothing.
  - Xinference 3.2 and later can add replicas. Earlier versions end a model and launch it elsewhere, which is a gap of some seconds to
    minutes. Xinference 2.12 and later continues with replicas that a model has on other workers.
  - After a failure, run the module again. It continues with the remaining work, based on the number of replicas before the first run. A
    worker that an upgrade (O(returns)) left stopped can therefore be drained permanently. Its replicas are then started elsewhere if there
    is room.
extends_documentation_fragment:
  - modelops.inference._xinference
  - modelops.inference._http
  - modelops.inference._attributes
  - modelops.inference._attributes.idempotent
  - modelops.inference._attributes.actiongroup_xinference
options:
  worker:
    description: Address (IP address and port) of the worker, as in C(GET /status).
    type: str
    required: true
  state:
    description:
      - Step of the drain. V(drained) moves the worker's replicas to other workers. The reconciler then omits models that belong to this
        worker.
      - V(leaving) stops new requests to the worker and waits for running requests, up to O(requests_timeout). Stop the service next. A
        failure of this step is only a warning. In check mode it does nothing.
      - V(left) waits until the server deregisters the worker, whose service was stopped, and clears the remaining records of its replicas.
      - V(undrained) restores the worker after it has registered again. It launches the declared models that were stopped for it, and adds
        the replicas that it had to running models that lack them. Then it proves that the worker serves, and allows the reconciler to use
        it.
      - For V(undrained), the module first waits for a model that is loading, because no replica can be added to it. If the model does not
        become ready, the module continues without it and warns. It fails if a launch fails or a model does not answer on the worker, and
        removes the replicas that it added and that do not answer. If the worker had no replicas, the module sends it no request. If the
        worker never left, the module only clears the drain.
    type: str
    choices: [drained, leaving, left, undrained]
    default: drained
  force:
    description: Whether to stop models that fit on no other worker. Implies O(gaps).
    type: bool
    default: false
  gaps:
    description: Whether to end a model and launch it elsewhere if no replica can be added.
    type: bool
    default: false
  returns:
    description:
      - Whether the worker returns soon, as in an upgrade. If V(true), with O(state=drained), a model with ready replicas on the remaining
        workers continues with those (Xinference 2.12 and later). O(state=undrained) restores the missing replicas.
    type: bool
    default: false
  remember:
    description:
      - Path of the file in which M(modelops.inference.xinference_models) stores its launch requests (its option C(remember)).
      - Without this file, the module knows only the server's report of a model, and a worker that returns gets no replicas back.
    type: path
  devices:
    description: GPUs of the workers, as in O(modelops.inference.xinference_models#module:devices).
    type: list
    elements: dict
    default: []
  gpu_sharing:
    description: Whether several models may share a GPU (C(XINFERENCE_ALLOW_MULTI_REPLICA_PER_GPU) of the server).
    type: bool
    default: true
  launch_timeout:
    description: Maximum time in seconds for a replica or a model to load, if the model does not declare its own limit.
    type: int
    default: 1800
  ready_timeout:
    description: Time in seconds to wait for the server to answer, and with O(state=left) for the server to deregister the worker.
    type: int
    default: 300
  prove_timeout:
    description: Maximum time in seconds for a model to answer. The limit for models that generate images or speech is five times as long.
    type: int
    default: 60
  requests_timeout:
    description:
      - Maximum time in seconds for running requests to complete with O(state=leaving). Requests that take longer fail when the worker ends.
    type: int
    default: 60
  log_path:
    description:
      - Path of the server's log file on this host. Errors that it may explain include its last lines.
      - If the server reports no reason for a failure, the error names this file and the worker whose host contains it.
    type: path
"""

EXAMPLES = r"""
- name: Move the models of gpu03 to other workers
  modelops.inference.xinference_drain:
    endpoint: http://10.1.2.3:9997
    password_file: /opt/xinference/secrets/admin_password
    worker: 10.1.2.6:9998
    remember: /opt/xinference/reconciler/declared.json

- name: Stop new requests to gpu03
  modelops.inference.xinference_drain:
    endpoint: http://10.1.2.3:9997
    password_file: /opt/xinference/secrets/admin_password
    worker: 10.1.2.6:9998
    remember: /opt/xinference/reconciler/declared.json
    state: leaving
  vars:
    ansible_python_interpreter: /opt/xinference/current/bin/python

- name: Clear the records of gpu03 after its service was stopped
  modelops.inference.xinference_drain:
    endpoint: http://10.1.2.3:9997
    password_file: /opt/xinference/secrets/admin_password
    worker: 10.1.2.6:9998
    remember: /opt/xinference/reconciler/declared.json
    state: left
"""

RETURN = r"""
version:
  description: Release of the server. Empty if the module did not connect to the server.
  returned: always
  type: str
  sample: 4.1.0
plan:
  description: One line for each change that the module made, or would make in check mode.
  returned: always
  type: list
  elements: str
  sample: ["+ add replica bge-m3 (on 10.1.2.5:9998)", "- stop qwen3 (it is declared for this worker (worker))"]
progress:
  description: One line for each replica that was moved.
  returned: success
  type: list
  elements: str
  sample: ["bge-m3  another replica on 10.1.2.5:9998 ready after 12 s"]
models:
  description:
    - Models that the worker served, and models that lack replicas since an earlier run. With O(state=undrained), the models whose replicas
      the worker had.
  returned: always
  type: list
  elements: dict
  contains:
    uid:
      description: Model UID.
      type: str
    action:
      description:
        - V(add) if replicas were added elsewhere.
        - V(relaunch) if the model was launched elsewhere, with a gap.
        - V(fewer) if the model continues with its replicas elsewhere, permanently or until the worker returns.
        - V(stop) if the model ends with the worker.
        - V(moved) if an earlier run moved the model and the worker has not left yet.
      type: str
    replicas:
      description: Number of replicas before the drain, on the worker (C(here)) and C(elsewhere).
      type: dict
      sample: {here: 1, elsewhere: 0}
    places:
      description: Addresses of the workers on which replicas were added.
      type: list
      elements: str
    why:
      description: Reason why no better action was possible.
      type: str
requests:
  description: Number of requests by HTTP method.
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
