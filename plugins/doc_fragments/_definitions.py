# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    # Definitions of custom models.
    DOCUMENTATION = r"""
options:
  definitions:
    description: Definitions of custom models that the server must have or must not have. The module does not change other definitions.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the model. It must differ from the names of built-in models of the same type.
        type: str
        required: true
      type:
        description: Type of the model. Xinference does not accept definitions of video models.
        type: str
        choices: [LLM, embedding, rerank, image, audio, flexible]
        default: LLM
      path:
        description:
          - Absolute path of the weights on the machines that serve them, either a directory, or a file for format V(ggufv2). The server
            rejects a path that does not exist.
        type: str
      format:
        description:
          - Format of an LLM, embedding or rerank model, such as V(pytorch), V(ggufv2), V(awq), V(gptq) or V(mlx). The default is V(ggufv2)
            if O(definitions[].path) ends in C(.gguf), otherwise V(pytorch).
        type: str
      size:
        description:
          - Size in billions of parameters, such as V(7), V('1.7') or V('0_27'). An LLM requires it.
          - Quote a number with an underscore, because YAML reads C(1_7) as 17.
        type: str
      quantization:
        description:
          - Quantization, such as V(Q4_K_M), V(Int4) or V(none). Format V(ggufv2) requires it. For other formats the default is V(none).
        type: str
      specs:
        description:
          - Variants of an LLM, embedding or rerank model that has several formats, sizes or quantizations. The list must be complete. Each
            item sets its own O(definitions[].path), O(definitions[].format), O(definitions[].size) and O(definitions[].quantization).
        type: list
        elements: dict
        suboptions:
          path:
            description: Path of the weights, as in O(definitions[].path).
            type: str
          format:
            description: Format of the variant, as in O(definitions[].format).
            type: str
          size:
            description: Size of the variant, as in O(definitions[].size).
            type: str
          quantization:
            description: Quantization of the variant, as in O(definitions[].quantization).
            type: str
          hub:
            description: Hub of the weights, as in O(definitions[].definition.hub).
            type: str
          hub_id:
            description: Repository on the hub, as in O(definitions[].definition.hub_id).
            type: str
          revision:
            description: Revision of the weights, as in O(definitions[].definition.revision).
            type: str
          file:
            description: Name of the GGUF file, as in O(definitions[].definition.file).
            type: str
      definition:
        description: Properties of the model, as in O(modelops.inference.xinference_models#module:models[].definition).
        type: dict
        default: {}
        suboptions:
          abilities:
            description: Abilities of the model. An LLM has V(chat), V(generate), V(tools) and so on. The default for an LLM is V([chat]).
            type: list
            elements: str
          chat_template:
            description: Chat template as Jinja text. The default is the template of O(definitions[].definition.family).
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
              - Name of the GGUF file in the repository O(definitions[].definition.hub_id). Format V(ggufv2) requires it with that option.
            type: str
          hub:
            description: Hub of O(definitions[].definition.hub_id), such as V(huggingface) or V(modelscope).
            type: str
          hub_id:
            description: Repository of the weights on the hub, if the weights are not in O(definitions[].path).
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
      worker:
        description:
          - Address (IP address, or IP address and port) of the only worker that receives the definition. If unset, all workers receive it.
          - A server in local mode ignores this option. The module cannot compare it.
        type: str
      state:
        description:
          - Whether the model is registered. V(present) registers it, and V(absent) unregisters it. Neither affects a running model.
        type: str
        choices: [present, absent]
        default: present
"""
