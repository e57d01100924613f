# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether engine_options are options of the engine. Private to the collection. Only `installed` reads anything.

Xinference hands on every key that it does not know. Of one that llama.cpp does not have it only logs "Failed to set the param", and the
model is ready without it (read in 4.1.0, model/llm/llama_cpp/core.py).
"""

from __future__ import annotations

import ast
import contextlib
import difflib
import importlib.util
import json
import os
import sys
import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._host.system import shell
from ansible_collections.modelops.inference.plugins.module_utils._xinference.declaration import model_plan, models
from ansible_collections.modelops.inference.plugins.module_utils._xinference.needs import engines

# Options that Xinference consumes before the engine sees them (*ModelConfig and load() of each engine in model/llm, 4.1.0).
_XINFERENCE = frozenset(
    "reasoning_content enable_thinking multimodal_projector draft_model_path num_speculative_tokens n_threads use_mmap use_mlock "
    "n_gqa model_quantization quantization_config rope_scaling min_pixels max_pixels trust_remote_code enable_weight_cache "
    "enable_xavier xavier_cache_backend xavier_cache_bytes xavier_gpu_cache_bytes vllm_transfer_backend_type "
    "xinference_vllm_executor_backend launch_timeout device".split()
)
# The usual options of engines, by their documentation and Xinference's: they stand in for an engine that is not in the server's own
# environment, because a model's virtual environment brings it.
USUAL: dict[str, frozenset[str]] = {
    "llama.cpp": frozenset(
        "n_ctx n_batch n_ubatch n_parallel n_gpu_layers n_keep n_predict n_threads main_gpu split_mode tensor_split flash_attn "
        "flash_attn_type cache_type_k cache_type_v rope_freq_base rope_freq_scale yarn_ext_factor yarn_orig_ctx cont_batching "
        "no_kv_offload kv_unified swa_full ctx_shift warmup pooling_type embedding".split()
    ),
    "vllm": frozenset(
        "gpu_memory_utilization max_model_len max_num_seqs max_num_batched_tokens max_num_partial_prefills tensor_parallel_size "
        "pipeline_parallel_size data_parallel_size enable_expert_parallel dtype quantization kv_cache_dtype block_size swap_space "
        "cpu_offload_gb enforce_eager enable_prefix_caching enable_chunked_prefill limit_mm_per_prompt mm_processor_kwargs "
        "tokenizer_mode load_format distributed_executor_backend speculative_config compilation_config hf_overrides rope_theta "
        "guided_decoding_backend structured_outputs_config scheduling_policy enable_lora max_loras max_lora_rank max_logprobs "
        "disable_custom_all_reduce disable_log_stats served_model_name".split()
    ),
    "sglang": frozenset(
        "mem_fraction_static context_length max_running_requests max_total_tokens max_prefill_tokens chunked_prefill_size tp_size "
        "dp_size pp_size ep_size dtype quantization kv_cache_dtype attention_backend sampling_backend disable_cuda_graph "
        "cuda_graph_max_bs disable_radix_cache schedule_policy log_level tokenizer_mode speculative_algorithm "
        "limit_mm_data_per_request skip_server_warmup enable_torch_compile".split()
    ),
    "transformers": frozenset(
        "torch_dtype context_length max_num_seqs enable_flash_attn enable_tensorizer revision num_gpus max_gpu_memory "
        "downsample_mode max_slice_nums load_in_4bit load_in_8bit".split()
    ),
}
# Engine -> file of its package, and the dataclasses there whose fields are its options.
_SOURCES = {
    "vllm": ("vllm", "engine/arg_utils.py", ("EngineArgs", "AsyncEngineArgs")),
    "sglang": ("sglang", "srt/server_args.py", ("ServerArgs",)),
}
# llama.cpp's binding is compiled, so it must be asked, in a process of its own, which it may take with it.
_ASK_LLAMA_CPP = (
    "import json, xllamacpp; print(json.dumps([n for n in dir(xllamacpp.CommonParams) if not n.startswith('_')]))"
)
# How alike a misspelled option and the meant one are, where all options are known.
_ALIKE = 0.8
# Shorter names are too close to each other to tell a slip from another option.
_SHORTEST = 5


def problems(engine: str, given: t.Mapping[str, t.Any], known: t.Collection[str]) -> list[str]:
    """The keys that the engine does not have, or that are one slip away from one that it has. Pure.

    :param known: all options of the installed engine; empty where it is not installed here.
    """
    found = []
    for key in given:
        option = str(key).partition(".")[0]  # llama.cpp has options inside of others: sampling.temp
        if option in known or option in _XINFERENCE or (not known and option in USUAL.get(engine, ())):
            continue
        near = _nearest(option, known) if known else _one_slip(option, USUAL.get(engine, frozenset()))
        # The other engines refuse an unknown option themselves, or are given options by a plugin of theirs.
        if not near and not (known and engine == "llama.cpp"):
            continue
        where = f"the installed {engine}" if known else engine
        meant = f"write {near}" if near else "remove it"
        found.append(f"engine_options: {where} has no option {option!r}, but the server accepts it silently: {meant}")
    return found


def _nearest(option: str, known: t.Collection[str]) -> str:
    return next(iter(difflib.get_close_matches(option.lower(), sorted(known), n=1, cutoff=_ALIKE)), "")


def _one_slip(option: str, usual: t.Collection[str]) -> str:
    names = {**{name.replace("_", ""): name for name in usual}, **{name: name for name in usual}}
    written = option.lower()
    alike = names.get(written) or names.get(written.replace("_", ""))
    return alike or next(
        (
            name
            for name in sorted(usual)
            if len(name) >= _SHORTEST and len(written) >= _SHORTEST and _close(written, name)
        ),
        "",
    )


def _close(left: str, right: str) -> bool:
    """Whether one letter more, less or otherwise, or two that changed places, make one of the other."""
    start = len(os.path.commonprefix([left, right]))
    a, b = left[start:], right[start:]
    return a[1:] == b or a == b[1:] or a[1:] == b[1:] or (a[:2] == b[:2][::-1] and a[2:] == b[2:])


def installed(engine: str) -> frozenset[str]:
    """All options of the engine in this environment, the server's; empty where it is not there or cannot be asked."""
    with contextlib.suppress(ImportError, OSError, ValueError, ModelopsError):
        if engine == "llama.cpp" and importlib.util.find_spec("xllamacpp"):
            return frozenset(
                json.loads(shell.run([sys.executable, "-c", _ASK_LLAMA_CPP], "options of llama.cpp", timeout=60))
            )
        if engine in _SOURCES:
            package, path, classes = _SOURCES[engine]
            found = importlib.util.find_spec(package)  # does not import it, which takes seconds
            if found and found.origin:
                with open(os.path.join(os.path.dirname(found.origin), path), encoding="utf-8") as file:
                    return fields(file.read(), classes)
    return frozenset()


def fields(source: str, classes: t.Sequence[str]) -> frozenset[str]:
    """The annotated fields of classes in a Python source. Pure."""
    return frozenset(
        line.target.id
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ClassDef) and node.name in classes
        for line in node.body
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name)
    )


def _has_its_own(model: models.Model) -> bool:
    """Whether another build of the engine than the server's may run the model, so that nobody here knows all of its options."""
    wanted = model.body.get("enable_virtual_env")
    return wanted is True or wanted is not False and engines.names_its_own(model)


def check(decisions: t.Sequence[model_plan.Decision], read: t.Callable[[str], frozenset[str]] = installed) -> None:
    """Refuses launches with options that their engine lacks, before anything changes.

    :raises ModelopsError: naming every such option.
    """
    known: dict[str, frozenset[str]] = {}
    found = []
    for decision in decisions:
        given = decision.model.options["engine_options"]
        if given and decision.action in (model_plan.LAUNCH, model_plan.REPLACE, model_plan.ROLL):
            engine = engines.of(decision.model)
            own = _has_its_own(decision.model)
            if engine not in known and not own:
                known[engine] = read(engine)
            options = frozenset() if own else known[engine]
            found += [f"models: {decision.model.uid}: {each}" for each in problems(engine, given, options)]
    if found:
        raise ModelopsError("\n".join(found))
