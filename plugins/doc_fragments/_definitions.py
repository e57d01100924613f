# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    # Definitions of custom models.
    DOCUMENTATION = r"""
options:
  definitions:
    description: The custom models that the server must know, or must not know any more. Others are not touched.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the model. It cannot be that of a built-in model of its type.
        type: str
        required: true
      type:
        description: Type of the model. Xinference does not accept definitions of video models.
        type: str
        choices: [LLM, embedding, rerank, image, audio, flexible]
        default: LLM
      path:
        description:
          - Absolute path of the weights on the machines that serve them. A directory, or the file itself for format
            V(ggufv2). The server refuses a path that it does not find.
        type: str
      format:
        description: Model format, such as V(pytorch), V(ggufv2), V(awq), V(gptq) or V(mlx), of an LLM, embedding or rerank
          model. Unset is V(ggufv2) where O(definitions[].path) ends in C(.gguf), else V(pytorch).
        type: str
      size:
        description:
          - Billions of parameters, such as V(7), V('1.7') or V('0_27'). An LLM needs it.
          - Quote a number with an underscore. YAML reads C(1_7) as 17.
        type: str
      quantization:
        description: Quantization, such as V(Q4_K_M), V(Int4) or V(none). Format V(ggufv2) needs it, otherwise unset is V(none).
        type: str
      specs:
        description:
          - The forms in which an LLM, embedding or rerank model is there, where there are several. Then they are the whole
            list, and O(definitions[].path), O(definitions[].format), O(definitions[].size) and
            O(definitions[].quantization) stand in each of them.
        type: list
        elements: dict
        suboptions:
          path:
            description: As O(definitions[].path).
            type: str
          format:
            description: As O(definitions[].format).
            type: str
          size:
            description: As O(definitions[].size).
            type: str
          quantization:
            description: As O(definitions[].quantization).
            type: str
          hub:
            description: As O(definitions[].definition.hub).
            type: str
          hub_id:
            description: As O(definitions[].definition.hub_id).
            type: str
          revision:
            description: As O(definitions[].definition.revision).
            type: str
          file:
            description: As O(definitions[].definition.file).
            type: str
      definition:
        description: What the model is, as in O(modelops.inference.xinference_models#module:models[].definition).
        type: dict
        default: {}
        suboptions:
          abilities:
            description: What the model can do. Of an LLM V(chat), V(generate), V(tools) and so on; unset is V([chat]).
            type: list
            elements: str
          chat_template:
            description: Jinja text of the chat template. Unset is the one of O(definitions[].definition.family).
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
            description: Name of the GGUF file in the repository O(definitions[].definition.hub_id), which format V(ggufv2) needs there.
            type: str
          hub:
            description: Hub that O(definitions[].definition.hub_id) is on, such as V(huggingface) or V(modelscope).
            type: str
          hub_id:
            description: Repository of the weights on the hub, where O(definitions[].path) does not hold them.
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
      worker:
        description:
          - Address (IP address, or IP address and port) of the only worker that learns the model. Unset tells all of them.
          - A server in local mode ignores it. Cannot be compared.
        type: str
      state:
        description: V(present) registers the model, V(absent) unregisters it. A running model does not notice either.
        type: str
        choices: [present, absent]
        default: present
"""
