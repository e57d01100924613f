# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options that an engine does not have are refused, because the server starts the model without them and says nothing."""

from __future__ import annotations

import sys
import types

import pytest

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._xinference.declaration import model_plan
from ansible_collections.modelops.inference.plugins.module_utils._xinference.launching import engine_options

LLAMA = frozenset({"n_ctx", "n_batch", "n_ubatch", "n_gpu_layers", "flash_attn_type", "sampling", "api_keys"})


@pytest.mark.parametrize(
    ("engine", "key", "known", "write"),
    [
        ("llama.cpp", "n_ctxx", (), "write n_ctx"),
        ("llama.cpp", "nctx", (), "write n_ctx"),
        ("llama.cpp", "n_cxt", (), "write n_ctx"),
        ("llama.cpp", "N_CTX", (), "write n_ctx"),
        ("vllm", "gpu_memory_utilisation", (), "write gpu_memory_utilization"),
        ("vllm", "max_model_length", ("max_model_len", "seed"), "write max_model_len"),
        ("sglang", "mem_fraction_statik", (), "write mem_fraction_static"),
        ("transformers", "torch_dtyp", (), "write torch_dtype"),
        ("llama.cpp", "n_ctxx", LLAMA, "write n_ctx"),
        ("llama.cpp", "flash_attn", LLAMA, "write flash_attn_type"),
        ("llama.cpp", "gpu_memory_utilization", LLAMA, "remove it"),
        ("llama.cpp", "samplings.temp", LLAMA, "write sampling"),
    ],
)
def test_an_option_that_the_engine_does_not_have_is_refused(engine, key, known, write):
    [problem] = engine_options.problems(engine, {key: 1}, known)
    assert problem.endswith(f"but the server accepts it silently: {write}")
    assert ("installed" in problem) == bool(known)


@pytest.mark.parametrize(
    ("engine", "key", "known"),
    [
        ("llama.cpp", "n_ctx", ()),
        ("llama.cpp", "n_ubatch", LLAMA),
        ("llama.cpp", "sampling.temp", LLAMA),
        ("llama.cpp", "reasoning_content", LLAMA),
        ("llama.cpp", "multimodal_projector", LLAMA),
        ("llama.cpp", "of_a_later_release", ()),
        ("vllm", "max_num_seqs", ()),
        ("vllm", "seed", ()),
        ("vllm", "of_a_plugin", ("max_model_len", "seed")),
        ("sglang", "tp_size", ()),
        ("flag", "anything", ()),
        ("", "anything", ()),
    ],
)
def test_others_are_the_engines_business(engine, key, known):
    assert engine_options.problems(engine, {key: 1}, known) == []


@pytest.mark.parametrize("engine", engine_options.USUAL)
def test_no_usual_option_is_taken_for_a_slip(engine):
    usual = engine_options.USUAL[engine]
    assert engine_options.problems(engine, dict.fromkeys(usual), ()) == []
    assert engine_options.problems(engine, dict.fromkeys(engine_options._XINFERENCE), ()) == []


def test_the_options_are_read_from_the_installed_engine(tmp_path, monkeypatch):
    """Without an import: vLLM takes seconds, and llama.cpp's binding is asked in another process."""
    for package, path, text in [
        (
            "vllm",
            "engine/arg_utils.py",
            "class EngineArgs:\n    seed: int = 0\nclass AsyncEngineArgs(EngineArgs):\n    log: bool\n",
        ),
        (
            "sglang",
            "srt/server_args.py",
            "class Other:\n    no: int\nclass ServerArgs:\n    tp_size: int = 1\n    x = 2\n",
        ),
        ("xllamacpp", "__init__.py", "class CommonParams:\n    n_ctx = n_batch = 1\n    _hidden = 1\n"),
    ]:
        file = tmp_path / package / path
        file.parent.mkdir(parents=True)
        (tmp_path / package / "__init__.py").write_text("raise SystemExit('imported')")
        file.write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert engine_options.installed("vllm") == {"seed", "log"}
    assert engine_options.installed("sglang") == {"tp_size"}
    assert engine_options.installed("llama.cpp") == {"n_ctx", "n_batch"}
    assert engine_options.installed("transformers") == frozenset()
    assert "xllamacpp" not in sys.modules
    (tmp_path / "xllamacpp" / "__init__.py").write_text("raise OSError('libcuda.so.1')")
    assert engine_options.installed("llama.cpp") == frozenset()


def test_a_run_refuses_it_before_anything_changes(apply, xinference, llm):
    result = apply(xinference, [llm(engine_options={"n_ctxx": 2048})])
    assert result.failed and not xinference.models.models
    assert result["msg"] == (
        "models: tiny: engine_options: llama.cpp has no option 'n_ctxx', but the server accepts it silently: write n_ctx"
    )


def decided(**options):
    given = {"engine": "llama.cpp", "engine_options": {"of_a_later_release": 1}, **options}
    body = {} if "virtual_env" not in options else {"enable_virtual_env": options["virtual_env"]}
    model = types.SimpleNamespace(uid="m", type="LLM", options=given, body=body)
    return types.SimpleNamespace(model=model, action=model_plan.LAUNCH)


OWN = [
    {"virtual_env": True},
    {"virtual_env_packages": ["xllamacpp==0.3.0"]},
    {"virtual_env_find_links": ["/srv/wheels"]},
    {"definition": {"virtual_env": {"packages": ["xllamacpp"]}}},
]


@pytest.mark.parametrize("options", OWN, ids=str)
def test_an_engine_of_the_models_own_environment_is_not_judged_by_the_servers(options):
    engine_options.check([decided(**options)], read=lambda engine: LLAMA)
    with pytest.raises(ModelopsError, match="llama.cpp has no option 'n_ctxx'"):
        engine_options.check([decided(**options, engine_options={"n_ctxx": 1})], read=lambda engine: LLAMA)


@pytest.mark.parametrize(
    "options", [{}, {"virtual_env_packages": ["numpy"]}, {**OWN[1], "virtual_env": False}], ids=str
)
def test_the_servers_own_engine_is_judged_by_what_is_installed(options):
    with pytest.raises(ModelopsError, match="the installed llama.cpp has no option 'of_a_later_release'"):
        engine_options.check([decided(**options)], read=lambda engine: LLAMA)
