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
      - How the module changes a model that runs with launch-time fields that differ from the declaration.
      - V(false) does not change the model. A warning lists the differences.
      - V(true) replaces the model. With Xinference 3.2 and later, the module replaces several replicas one by one, so that the model always
        answers. The model must differ only in O(models[].definition) (with path, format, size and quantization of a custom model), in its
        worker or in its GPUs. Any other model is terminated and launched again. If that launch fails, the module launches the previous
        model again.
      - V(surge) starts each new replica before it ends an old one, which requires memory for one more replica. The module refuses V(surge)
        if other fields differ, because Xinference starts all replicas of a model with the same launch options.
      - The module compares name, type, engine (all types with Xinference 3.x and later), format, size, quantization, replicas, worker and
        definition with the server's report. It compares all other fields with the launch request that O(remember) stores.
      - With Xinference 3.2 and later, the module changes the number of replicas in place, regardless of this option.
    type: str
    choices: ["false", "true", surge]
    default: "false"
  prune:
    description:
      - Whether to terminate models that this collection launched and that are no longer in O(models). It requires O(remember).
      - The module never changes models that others launched.
    type: bool
    default: false
  remember:
    description:
      - Path of a file, on the machine that runs the module, in which the module stores its launch requests. The directory must exist. The
        file belongs to the owner of the directory and has mode 0600, because it contains environment variables of models.
      - The reconciler reads from it which models to launch. O(prune) reads from it which models this collection launched. The module reads
        from it the fields that the server does not report.
    type: path
  workers:
    description:
      - Addresses (host:port) of the workers that must be registered before the module places models. The module waits for them up to
        O(ready_timeout). With workers, the module assumes that the weights are on the workers and does not look for paths on the machine on
        which it runs.
    type: list
    elements: str
    default: []
  new_workers:
    description:
      - Addresses (host:port) of workers that were started since the last run. If custom models are declared, the module registers their
        definitions again, because Xinference does not send definitions to a worker that joins or was disconnected. This does not affect
        running models.
    type: list
    elements: str
    default: []
  cluster:
    description:
      - Whether the server is the supervisor of a cluster. The default is V(true) if O(workers) is not empty.
      - The module does not use the server's own autostart in a cluster, because it causes duplicate launches. When a supervisor of 4.1.0
        restarts, autostart launches its models again although the reconnected workers still run them. The supervisor then loses track of
        the older replicas. Therefore the module writes no entries and removes the entries of models that this collection launched. The
        reconciler launches missing models. The module keeps entries of models that others launched.
      - The module registers a definition again on a worker that was absent at its registration (according to O(remember)), as for a worker
        in O(new_workers).
    type: bool
  devices:
    description:
      - GPUs of the workers. The module checks the placement of the models on them before anything changes. For workers without an entry,
        the module uses the server's report, which contains the number of cards and the sum of their memory.
      - M(modelops.inference.xinference_host_info) returns C(gpus) in this format.
    type: list
    elements: dict
    default: []
    suboptions:
      worker:
        description: Address of the worker. The default is the machine that runs the module.
        type: str
      vendor:
        description: Vendor of the card.
        type: str
      index:
        description: Index of the card.
        type: int
        required: true
      name:
        description: Name of the card.
        type: str
      memory_bytes:
        description: Memory of the card in bytes.
        type: int
      free_bytes:
        description: Free memory of the card in bytes.
        type: int
      driver:
        description: Version of the card's driver.
        type: str
      compute_capability:
        description: Compute capability of an NVIDIA card.
        type: str
      llama_cpp:
        description:
          - Build of llama.cpp on the worker, as in RV(modelops.inference.xinference_release#module:release). If the build supports only the
            CPU, the module places a model on the CPU and warns. It rejects a model that specifies GPUs.
        type: dict
        suboptions:
          build:
            description:
              - Device of the build, one of V(cpu), V(cuda), V(rocm) and V(vulkan), or empty if llama.cpp is not installed. Unset means
                unknown.
            type: str
          index:
            description:
              - Index from which Xinference installs a build for GPUs into the virtual environment of a model. Empty if there is no such
                index.
            type: str
          virtual_env:
            description: Whether a model gets a virtual environment by default.
            type: bool
  downloads:
    description:
      - Directory, on the machine that runs the module, into which the server downloads models. The module compares its free space with the
        size of the download if the size is known.
    type: path
  gpu_sharing:
    description: Whether the workers allow several models on one GPU (C(XINFERENCE_ALLOW_MULTI_REPLICA_PER_GPU)).
    type: bool
    default: true
  parallel:
    description:
      - Number of models that each worker launches at the same time. The minimum is 1. The server's own limit is
        C(XINFERENCE_MAX_CONCURRENT_LAUNCHES).
    type: int
    default: 5
  launch_timeout:
    description: Maximum time in seconds for the launch of a model, including the download. After that time the module cancels the launch.
    type: int
    default: 1800
  ready_timeout:
    description: Time in seconds to wait until the server answers, and until a worker registers with it.
    type: int
    default: 300
  prove:
    description:
      - Models to prove with a typed request. V(always) proves all models with state present, V(changed) proves the models that this run
        launched, and V(never) proves none.
      - In check mode the module sends no such requests.
    type: str
    choices: [never, changed, always]
    default: always
  prove_timeout:
    description: Maximum time in seconds for a model to answer. The limit for models that generate images or speech is five times as long.
    type: int
    default: 60
  log_path:
    description:
      - Path of the server's log file on the machine that runs the module. If the server does not answer or a launch fails, the error
        includes its last lines. The module hides tokens and keys in them.
      - If the server reports no reason for a failure, the error names this file and the worker whose host contains it.
    type: path
  wait:
    description:
      - Time in seconds to wait for launches before the module returns with RV(pending=true). V(0) only starts the launches.
      - If unset, the module waits until all launches end. It waits in slices so that Ansible can show the progress.
      - A later run waits for models that are still loading.
    type: int
"""
