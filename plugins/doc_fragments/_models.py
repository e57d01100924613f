# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    # The declared models.
    DOCUMENTATION = r"""
options:
  models:
    description: Models that the server must serve or must not serve.
    type: list
    elements: dict
    required: true
    suboptions:
      uid:
        description:
          - Model UID by which clients call the model. It has 1 to 100 visible characters, without C(/), C(?), C(#), C(%) and backslash. It
            must not end in C(-rep) and a number.
        type: str
        required: true
      name:
        description: Name of a model that Xinference knows or that O(models[].definition) defines. The default is the UID.
        type: str
      type:
        description:
          - Type of the model.
          - A Whisper model (V(audio)) requires the program ffmpeg on its host.
        type: str
        choices: [LLM, embedding, rerank, image, audio, video, flexible]
        default: LLM
      engine:
        description:
          - Inference engine, such as V(vLLM), V(llama.cpp), V(Transformers) or V(sentence_transformers). The name is case-insensitive.
          - An LLM requires an engine.
        type: str
      format:
        description:
          - Model format, such as V(pytorch), V(ggufv2), V(awq), V(gptq) or V(mlx).
          - For a custom model, the default is V(ggufv2) if O(models[].path) ends in C(.gguf), otherwise V(pytorch).
        type: str
      size:
        description:
          - Size in billions of parameters, such as V(7), V('1.7') or V('0_27').
          - Quote a number with an underscore, because YAML reads C(1_7) as 17.
        type: str
      quantization:
        description: Quantization, such as V(Q4_K_M), V(Int4) or V(none).
        type: str
      replicas:
        description: Number of replicas.
        type: int
        default: 1
      gpus_per_replica:
        description: Number of GPUs for each replica, or V(auto), or V(none) to run on the CPU. If unset, the server decides.
        type: str
      gpu_indices:
        description:
          - Indices of the GPUs to use. The replicas share them evenly. The server does not report them, so the module compares them with
            the stored launch request (O(remember)).
        type: list
        elements: int
      worker:
        description:
          - Address (IP address, or IP address and port) of the worker on which the model runs. A server in local mode ignores this option.
          - The machine that runs the module resolves a name that replaces the IP address.
          - With this option, the module does not look for O(models[].path) on the machine on which it runs.
        type: str
      n_worker:
        description: Number of workers that share one replica. The module compares it in the same way as O(models[].gpu_indices).
        type: int
      path:
        description:
          - Absolute path of the weights on the machine that serves them, either a directory, or a file for format V(ggufv2).
          - The module checks that the path exists on the machine on which it runs.
        type: str
      definition:
        description:
          - Definition of a custom model. The module registers it before it launches the model.
          - The module compares only the keys that are set with the registered definition. A definition that differs replaces the registered
            one if no model runs from it, or with O(replace=true).
          - The definition stays registered when the model is terminated.
          - All types except V(video) support a definition.
        type: dict
        suboptions:
          abilities:
            description: Abilities of the model. An LLM has V(chat), V(generate), V(tools) and so on. The default for an LLM is V([chat]).
            type: list
            elements: str
          chat_template:
            description: Chat template as Jinja text. The default is the template of O(models[].definition.family).
            type: str
          context_length:
            description: Context length in tokens.
            type: int
          description:
            description: Free-text description.
            type: str
          dimensions:
            description: Vector length of an embedding model, which requires it. The proof checks it.
            type: int
          extra:
            description: Additional keys of Xinference's own definition, such as C(controlnet) of an image model.
            type: dict
          family:
            description:
              - Name of the built-in model from which this model derives. An LLM, an image model and an audio model require it. An LLM gets
                its chat template from this family.
              - If the family has the ability V(vision), the server adds this ability to the LLM, even if the weights do not support it.
                Therefore use a text family for a text model, such as V(gemma-3-1b-it) instead of V(gemma-3-it).
            type: str
          file:
            description:
              - Name of the GGUF file in the repository O(models[].definition.hub_id). Format V(ggufv2) requires it with that option.
            type: str
          hub:
            description: Hub of O(models[].definition.hub_id), such as V(huggingface) or V(modelscope).
            type: str
          hub_id:
            description: Repository of the weights on the hub, if the weights are not in O(models[].path).
            type: str
          languages:
            description: Languages of the model. The default is V([en]).
            type: list
            elements: str
          launcher:
            description:
              - Python name of the launcher of a flexible model, such as C(xinference.model.flexible.launchers.transformers). A flexible
                model requires it.
            type: str
          launcher_args:
            description: Arguments of the launcher.
            type: dict
          max_tokens:
            description: Maximum input length in tokens of an embedding or rerank model. An embedding model requires it.
            type: int
          reasoning_end_tag:
            description: Text that ends the reasoning of an LLM. It takes effect only if C(chat_template) is set to a text.
            type: str
          reasoning_start_tag:
            description: Text that starts the reasoning of an LLM. It takes effect only if C(chat_template) is set to a text.
            type: str
          revision:
            description: Revision of the weights on the hub.
            type: str
          stop:
            description: Texts that end an answer of an LLM. They take effect only if C(chat_template) is set to a text.
            type: list
            elements: str
          stop_token_ids:
            description: Token IDs that end an answer of an LLM. They take effect only if C(chat_template) is set to a text.
            type: list
            elements: int
          tool_parser:
            description: Parser of the tool calls of an LLM.
            type: str
          virtual_env:
            description:
              - Python environment that the server creates for the model, if it creates one.
              - Do not put credentials into this dictionary, because the server shows a definition to everyone who may list its models.
            type: dict
            suboptions:
              packages:
                description: Packages to install, in pip's syntax.
                type: list
                elements: str
                required: true
              inherit_pip_config:
                description: Whether unset values come from pip's configuration on the worker. The server's own default is true.
                type: bool
              index_url:
                description: URL of a package index that replaces PyPI.
                type: str
              extra_index_urls:
                description: URLs of additional indexes. Xinference 1.x accepts one.
                type: list
                elements: str
              find_links:
                description: Directories or pages that contain wheels. Xinference 1.x accepts one.
                type: list
                elements: str
              trusted_hosts:
                description: Hosts whose certificates are not verified. Xinference 1.x accepts one.
                type: list
                elements: str
              index_strategy:
                description: Strategy by which uv selects an index, such as V(unsafe-best-match). It requires Xinference 2.x or later.
                type: str
              no_build_isolation:
                description: Whether packages are built without an isolated build environment.
                type: bool
      virtual_env:
        description:
          - Whether the model gets a separate Python environment, into which the server installs packages at launch.
          - The default is V(false) with O(models[].path). Otherwise the server decides, and Xinference 2.x and later creates an
            environment.
        type: bool
      virtual_env_packages:
        description: Packages to install into that environment.
        type: list
        elements: str
      virtual_env_find_links:
        description: Directories or URLs that contain these packages. It requires Xinference 4.x or later.
        type: list
        elements: str
      context_length:
        description:
          - Maximum number of input and output tokens of one request to an LLM. The module translates it to the engine's own key, such as
            C(max_model_len) of vLLM or C(n_ctx) of llama.cpp. If unset, the engine decides.
        type: int
      gpu_memory:
        description: Memory that each card of a replica provides for the model, such as V(6 GiB), or a share of the card, such as V(40%).
        type: str
      check_placement:
        description:
          - Whether a failed placement check blocks the launch. V(false) launches a model for which the placement finds no room or no
            suitable card, and warns with the reason.
          - Use V(false) if the check is wrong, for example for weights that the publisher stores in a smaller type.
        type: bool
        default: true
      draft_model:
        description:
          - Draft model for the speculative decoding of an LLM. It requires Xinference 3.1 or later. An empty dictionary selects the draft
            model that the server knows for this model.
        type: dict
        suboptions:
          path:
            description: Absolute path of the draft model's weights on the machine that serves the model.
            type: str
          quantization:
            description: Quantization of the draft model that the server fetches.
            type: str
          tokens:
            description: Number of tokens that the draft model proposes at a time.
            type: int
      envs:
        description:
          - Environment variables of the model's process. Their values do not appear in results, in Ansible's log, or in the displayed lines
            of the server's log. The server writes them to its own log, which its user and root can read, and with systemd to the journal.
        type: dict
      download_hub:
        description:
          - Hub from which the server fetches a built-in model, one of V(huggingface), V(modelscope), V(openmind_hub) and V(csghub).
        type: str
      lora:
        description: LoRA adapters of the model.
        type: list
        elements: dict
        suboptions:
          name:
            description: Name by which a request selects the adapter.
            type: str
            required: true
          path:
            description: Path of the adapter on the machine that serves the model.
            type: str
            required: true
          scale:
            description: Weight of the adapter.
            type: float
            default: 1.0
      request_limits:
        description: Maximum number of concurrent requests to the model.
        type: int
      thinking:
        description: Whether an LLM with a thinking mode uses it.
        type: bool
      engine_options:
        description:
          - Additional keys of the launch request that the server passes to the engine, such as C(n_ctx) or C(gpu_memory_utilization).
          - The server silently accepts misspelled keys. Therefore the module rejects keys with a dash and keys that the engine does not
            support. It reads the options of vLLM, SGLang and llama.cpp from the engine that is installed with the server. If a virtual
            environment provides the engine, the module detects only likely misspellings of common options.
          - The server does not report these keys, so the module compares them with the stored launch request (O(remember)).
        type: dict
      priority:
        description: Launch priority. Models with a lower number are launched first.
        type: int
        default: 100
      autostart:
        description:
          - Whether the server's own autostart (Xinference 2.x and later) restarts the model with the server. V(true) adds an entry after
            the model runs as declared. V(false) removes an existing entry.
          - The module uses autostart only on a standalone server, not in a cluster (O(cluster)).
          - The reconciler launches models without an entry.
        type: bool
        default: true
      launch_timeout:
        description: Maximum time in seconds for the model's launch. The default is O(launch_timeout).
        type: int
      state:
        description: Whether the server serves the model. V(present) serves it, and V(absent) terminates it.
        type: str
        choices: [present, absent]
        default: present
      tags:
        description: Names by which other options select models. The module returns them and does not send them.
        type: list
        elements: str
      source:
        description:
          - Source of the weights, if O(weights) contains their path and O(models[].path) is unset. Set one of C(package), C(url) and
            C(file), as in O(modelops.inference.xinference_weights#module:sources).
          - In check mode, the module assumes that missing weights exist.
        type: dict
        suboptions:
          package:
            description: Package of the index that contains the weights, as C(name) or C(name==version).
            type: str
          url:
            description: URL of an archive or a file. It requires O(models[].source.checksum).
            type: str
          file:
            description: Path of an archive, a file or a directory on the controller.
            type: str
          checksum:
            description: Checksum of the archive or file, such as C(sha256:) followed by hexadecimal digits.
            type: str
          headers:
            description: HTTP headers of the requests to the URL's server. They are not part of the source's identity.
            type: dict
          archive:
            description: Format of the archive. The default depends on the file's suffix.
            type: str
            choices: [tar, zip, none]
          name:
            description: Prefix of the name of the weights' directory.
            type: str
          member:
            description: Path of the model's files inside the weights. The default is the only C(.gguf) file, otherwise the directory.
            type: str
      dify:
        description:
          - Settings of the model for the role C(dify). The module returns them and does not send them. If unset, the role uses its
            defaults.
        type: dict
        suboptions:
          name:
            description: Name of the model in Dify. The default is the UID.
            type: str
          type:
            description: Type of the model in Dify. The default follows from O(models[].type) and the model's abilities.
            type: str
            choices: [llm, text-embedding, rerank, speech2text, tts]
          server_url:
            description: URL of Xinference as Dify's containers reach it for this model, with scheme and port, without C(/v1).
            type: str
          invoke_timeout:
            description: Time in seconds that Dify waits for an answer of the model.
            type: int
          max_retries:
            description: Number of times that Dify repeats a failed invocation.
            type: int
          credential_name:
            description: Name of the model's credential in Dify, at most 30 characters.
            type: str
          enabled:
            description: Whether the model is enabled in Dify. If unset, users of Dify decide.
            type: bool
          state:
            description:
              - State of the model in Dify. V(present_with_defaults) registers a missing model and does not change a registered one, so that
                users can edit it.
              - V(absent) removes the model from Dify. A model with O(models[].state=absent) is also absent in Dify. The default is present.
            type: str
            choices: [present, present_with_defaults, absent]
"""
