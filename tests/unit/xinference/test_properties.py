# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Properties of any list of models: a run reaches the declaration, and a second run is a no-op."""

from __future__ import annotations

import contextlib
import tempfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from servers.xinference import PROFILES, XinferenceServer

UIDS = ["a", "b.c", "d-1", "e_2"]
DEFINED = ["house", "yard"]


@st.composite
def models(draw):
    """One model, of those that the test server has or that are defined."""
    model = {
        "uid": draw(st.sampled_from(UIDS)),
        "state": draw(st.sampled_from(["present", "present", "present", "absent"])),
        "replicas": draw(st.integers(1, 3)),
        "priority": draw(st.integers(0, 3)),
        "autostart": draw(st.booleans()),
    }
    kind = draw(st.sampled_from(["LLM", "embedding", "custom"]))
    if kind == "LLM":
        model.update(name="qwen3", engine="vLLM", format="pytorch", quantization="none")
        model["size"] = draw(st.sampled_from(["0.6", "0_6"]))
        model["context_length"] = draw(st.sampled_from([None, 4096, 8192]))
        model["engine_options"] = draw(st.dictionaries(st.sampled_from(["max_num_seqs", "seed"]), st.integers(1, 3)))
    elif kind == "embedding":
        model.update(name="bge-m3", type="embedding")
        # A secret as long as real ones: Ansible masks it wherever it occurs.
        secret = st.text("xyz", min_size=12, max_size=16)
        model["envs"] = draw(
            st.fixed_dictionaries({}, optional={"HF_TOKEN": secret, "CUDA_VISIBLE_DEVICES": st.just("0")})
        )
    else:
        # Two UIDs may be served from one definition, which is then the same.
        model.update(name=draw(st.sampled_from(DEFINED)), type="embedding", path="/")
        model["definition"] = {"dimensions": 8 * len(model["name"]), "max_tokens": 64}
    return {key: value for key, value in model.items() if value is not None}


lists = st.lists(models(), max_size=4, unique_by=lambda model: model["uid"])
# A run is some requests over loopback; what is drawn is small enough to be shown whole.
few = settings(max_examples=15, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))


@contextlib.contextmanager
def serve(version):
    """A server on which models load at once, with a card for every replica, and a file to remember launches in."""
    cards = {"127.0.0.1:51954": [80] * 40}
    with tempfile.TemporaryDirectory() as directory, XinferenceServer(version, cards=cards) as server:
        server.models.default.seconds = 0.0
        yield server, f"{directory}/declared.json"


def ready(result):
    return {m["uid"]: m["replicas"]["ready"] for m in result["models"] if m["state"] == "ready"}


def present(declared):
    return {m["uid"]: m["replicas"] for m in declared if m["state"] == "present"}


@pytest.mark.parametrize("version", list(PROFILES))
@few
@given(declared=lists)
def test_a_second_run_of_any_list_changes_nothing(apply, version, declared):
    with serve(version) as (server, memory):
        first = apply(server, declared, remember=memory)
        assert not first.failed, first["msg"]
        assert ready(first) == present(declared)
        server.strict_check = True
        again = apply(server, declared, remember=memory)
        assert not again.failed and not again["changed"], again["plan"]
        assert server.violations == []


@pytest.mark.parametrize("version", list(PROFILES))
@few
@given(before=lists, after=lists)
def test_from_any_list_to_any_other(apply, version, before, after):
    with serve(version) as (server, memory):
        server.serve("by-hand", model_name="bge-m3", model_type="embedding")
        apply(server, before, remember=memory)
        options = {"remember": memory, "prune": True, "replace": True}
        server.strict_check = True
        predicted = apply(server, after, check=True, **options)
        assert server.violations == []
        server.strict_check = False
        done = apply(server, after, **options)
        assert not done.failed, done["msg"]
        assert (predicted["plan"], predicted["diff"]) == (done["plan"], done["diff"])
        assert set(server.models.models) == {"by-hand", *present(after)}
        again = apply(server, after, **options)
        assert not again["changed"], again["plan"]
        assert ready(again) == present(after)
