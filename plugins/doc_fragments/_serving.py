# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    # How models are launched, replaced, placed and proven.
    DOCUMENTATION = r"""
options:
  weights:
    description: Weights on the host by name, as M(modelops.inference.xinference_weights) returns them.
    type: dict
    default: {}
  replace:
    description:
      - How to change a model that runs with other launch-time fields than declared.
      - V(false) leaves it alone, and a warning says what differs.
      - V(true) replaces it. Since 3.2 a model with more than one replica that differs only in O(models[].definition) (with path,
        format, size and quantization of a custom model), in its worker or its GPUs is replaced replica by replica, so that it
        answers all the time. Any other is terminated and launched anew. Where that fails, what ran before is launched again.
      - V(surge) starts each new replica before it ends an old one, which takes memory for one more. Refused where something
        else differs, because Xinference gives all replicas of a model the same launch options.
      - Compared are name, type, engine (since 3.x for all types), format, size, quantization, replicas, the worker, and the
        definition, as the server reports them; everything else with what O(remember) holds of the launch.
      - The number of replicas alone is changed in place since 3.2, whatever is given here.
    type: str
    choices: ["false", "true", surge]
    default: "false"
  prune:
    description:
      - Whether models that this collection launched and that are not in O(models) any more are terminated. Needs O(remember).
      - Models that somebody else launched are never touched.
    type: bool
    default: false
  remember:
    description:
      - File on the machine that runs the module in which it keeps what it launched. Its directory must exist; the file belongs
        to the owner of the directory, with mode 0600, because it holds the environment variables of models.
      - By it the reconciler knows what to bring back, O(prune) what is its own, and a run what the server does not report.
    type: path
  workers:
    description:
      - Addresses (host:port) of the workers that must have registered before anything is placed; waited for as long as
        O(ready_timeout). Where there are any, the weights are taken to be on them, and no path is looked for on the machine that
        runs the module.
    type: list
    elements: str
    default: []
  new_workers:
    description:
      - Addresses (host:port) of workers that were started since the last run. Definitions of custom models are registered again where
        there are any, because Xinference tells a worker that joins, or was away, of none. Running models do not notice.
    type: list
    elements: str
    default: []
  cluster:
    description:
      - Whether the server is the supervisor of a cluster. Unset is V(true) where there are O(workers).
      - The server's own autostart is not used in a cluster, where it does harm. A supervisor of 4.1.0 that restarts launches what its
        autostart names anew, although the workers that reconnect still run it, and then knows the older replicas no more. So no entry
        is written, and those of models that this collection launched are removed; the reconciler brings back what is missing. Entries
        of models that somebody else launched are left.
      - A worker that was not there when a definition was registered (by O(remember)) is told of it like one of O(new_workers).
    type: bool
  devices:
    description:
      - GPUs of the workers, against which the models are placed before anything changes. Cards that are not named here are what the
        server says of itself, which is the number and the sum of the memory of a worker's cards.
      - The C(gpus) that M(modelops.inference.xinference_host_info) returns are in this form.
    type: list
    elements: dict
    default: []
    suboptions:
      worker:
        description: Address of the worker. Unset is the machine that runs the module.
        type: str
      vendor:
        description: Maker of the card.
        type: str
      index:
        description: Its index.
        type: int
        required: true
      name:
        description: Its name.
        type: str
      memory_bytes:
        description: Its memory in bytes.
        type: int
      free_bytes:
        description: What is free of it, in bytes.
        type: int
      driver:
        description: Release of its driver.
        type: str
      compute_capability:
        description: Its compute capability, of a card of NVIDIA.
        type: str
      llama_cpp:
        description:
          - The llama.cpp of its worker, as RV(modelops.inference.xinference_release#module:release) has it. A model whose build is for
            the CPU is placed there, with a warning, and refused where it names GPUs.
        type: dict
        suboptions:
          build:
            description: V(cpu), V(cuda), V(rocm), V(vulkan), or empty where there is none. Unset is not known.
            type: str
          index:
            description: Where Xinference takes a build for GPUs from, into the virtual environment of a model. Empty is nowhere.
            type: str
          virtual_env:
            description: Whether a model gets a virtual environment that does not say.
            type: bool
  downloads:
    description:
      - Directory on the machine that runs the module into which the server downloads models. Its free space is compared with
        the size of the download, as far as that is known.
    type: path
  gpu_sharing:
    description: Whether the workers let several models share a GPU (C(XINFERENCE_ALLOW_MULTI_REPLICA_PER_GPU)).
    type: bool
    default: true
  parallel:
    description:
      - How many models are launched at the same time for each worker, at least 1. The server's own limit is its
        C(XINFERENCE_MAX_CONCURRENT_LAUNCHES).
    type: int
    default: 5
  launch_timeout:
    description: Seconds that the launch of a model may take, download included. After that it is cancelled.
    type: int
    default: 1800
  ready_timeout:
    description: Seconds to wait for the server to answer and for a worker to register with it.
    type: int
    default: 300
  prove:
    description:
      - Which models are asked a question to prove that they serve. V(always) every one with state present, V(changed)
        those that this run launched, V(never) none.
      - Not done in check mode.
    type: str
    choices: [never, changed, always]
    default: always
  prove_timeout:
    description: Seconds that a model may take to answer. One that paints or speaks may take five times as many.
    type: int
    default: 60
  log_path:
    description:
      - Log file of the server, on the machine that runs the module. Its last lines are added to the error where the server
        does not answer or a launch fails. Tokens and keys in them are hidden.
      - Where the server gives no reason for a failure, the error names this file, and the worker on whose host it lies.
    type: path
  wait:
    description:
      - Seconds to wait for launches before returning with RV(pending=true). V(0) only starts them.
      - Unset waits for the end, in slices, so that the progress can be shown.
      - A later run waits for what still loads.
    type: int
"""
