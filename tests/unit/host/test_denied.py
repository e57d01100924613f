# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Releases that are known to be malicious: none is resolved, gathered or installed, and one that is there is named."""

from __future__ import annotations

import json
import os
import stat
import sys

import pytest
import yaml

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._host.bundle import bundle, wheelhouse
from ansible_collections.modelops.inference.plugins.module_utils._host.release import (
    denied,
    environments,
    release,
    resolution,
    uv_tools,
)
from ansible_collections.modelops.inference.plugins.module_utils._host.release.index import IndexSettings

TROJANED = {
    "xinference": ["2.6.0", "2.6.1", "2.6.2"],
    "litellm": ["1.82.7", "1.82.8"],
    "lightning": ["2.6.2", "2.6.3"],
    "mistralai": ["2.4.6"],
}
BAD = [(name, version) for name, versions in TROJANED.items() for version in versions]


@pytest.mark.parametrize("name, version", BAD)
def test_each_of_them_is_denied_with_its_source(name, version):
    (found,) = denied.hits([("numpy", "2.4.6"), (name, version)])
    assert (found.name, found.version) == (name, version) and found.source.startswith("https://github.com/")
    assert f"{name}!={version}\n" in denied.constraints()


@pytest.mark.parametrize(
    "name, version", [("LiteLLM", "1.82.7"), ("litellm", "v1.82.7"), ("litellm", "1.82.7.0"), ("litellm", "1.82.7+x")]
)
def test_however_it_is_written(name, version):
    assert denied.hits([(name, version)])


@pytest.mark.parametrize(
    "name, version",
    [("litellm", "1.82.6"), ("litellm", "1.82.70"), ("xinference", "2.5.0"), ("pytorch-lightning", "2.6.2")],
)
def test_others_are_not(name, version):
    assert denied.hits([(name, version)]) == []


def test_the_inventory_adds_to_the_table():
    added = ["Torch_Vision == 9.9", "evil"]
    found = denied.hits([("torch-vision", "9.9"), ("evil", "1"), ("torch-vision", "9.8")], added)
    assert [str(each) for each in found] == ["torch-vision 9.9", "evil 1"]
    assert denied.told(found[:1]) == "torch-vision 9.9 (denied by xinference_denied_packages)"
    assert denied.constraints(added).endswith("torch-vision!=9.9\nevil<0.dev0\n")


@pytest.mark.parametrize("entry", ["evil>=1", "==1", "", "a b", {"name": "evil"}])
def test_an_entry_that_cannot_be_read_is_refused(entry):
    with pytest.raises(ModelopsError, match="xinference_denied_packages: .* is neither 'name==version' nor 'name'"):
        denied.table([entry])


def test_versions_that_requirements_and_lock_files_name():
    lines = [
        "xinference[all,vllm]==2.6.1",
        "litellm == 1.82.7 ; python_version > '3'",
        "lightning==2.6.2 --hash=sha256:00",
        "mistralai===2.4.6 \\",
        "# litellm==1.82.8",
        "numpy>=2",
    ]
    assert denied.pins(lines) == [
        ("xinference", "2.6.1"),
        ("litellm", "1.82.7"),
        ("lightning", "2.6.2"),
        ("mistralai", "2.4.6"),
    ]


# --- installing ------------------------------------------------------------------------------------------------------


@pytest.fixture
def tools(tmp_path):
    """``tools(answer)`` -> uv that notes its words and constraints, and prints the answer."""

    def make(answer=""):
        made = uv_tools.Tools(str(tmp_path), "uv==1", str(tmp_path / "cache"))
        os.makedirs(tmp_path / "tools" / "bin")
        uv = tmp_path / "tools" / "bin" / "uv"
        (tmp_path / "answer").write_text(answer)
        uv.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/called\ncat {tmp_path}/answer\n')
        uv.chmod(0o755)
        return made

    return make


def test_no_installer_chooses_one(tools, tmp_path):
    settings = IndexSettings(denied=["evil"])
    made = tools()
    for words in (
        ["pip", "compile", "x"],
        ["pip", "install", "x"],
        ["venv", "x"],
        ["pip", "install", "--require-hashes"],
    ):
        made.call(settings, words, "")
    refused = tmp_path / "tools" / "denied.txt"
    assert "litellm!=1.82.7\n" in refused.read_text() and "evil<0.dev0\n" in refused.read_text()
    assert stat.S_IMODE(refused.stat().st_mode) == 0o644
    lines = (tmp_path / "called").read_text().splitlines()
    assert [f"--constraints {refused}" in line for line in lines] == [True, True, False, False]


def resolver(tools, tmp_path, **settings):
    return resolution.Resolver(tools, IndexSettings(**settings), ["--python", "python3"], str(tmp_path))


def test_one_that_is_asked_for_is_refused_before_the_index_is(tools, tmp_path):
    with pytest.raises(ModelopsError, match="the requested packages has xinference 2.6.1 .*issues/4828"):
        resolver(tools(), tmp_path).resolve(["xinference[all]==2.6.1"], [])
    assert not (tmp_path / "called").exists()


def test_one_that_the_index_gives_all_the_same_is_refused(tools, tmp_path):
    made = resolver(tools("numpy==2.4.6\nlitellm==1.82.7\n"), tmp_path)
    with pytest.raises(ModelopsError, match="what xinference needs has litellm 1.82.7 .*issues/24518"):
        made.resolve(["xinference"], [])
    made = resolver(made.tools, tmp_path, denied=["numpy==2.4.6"])
    (tmp_path / "answer").write_text("numpy==2.4.6\n")
    with pytest.raises(ModelopsError, match="numpy 2.4.6 .denied by xinference_denied_packages"):
        made.resolve(["xinference"], [])


def test_a_lock_file_that_has_one_is_not_installed(tools, tmp_path):
    made = tools()
    lock = tmp_path / "lock.txt"
    lock.write_text(f"litellm==1.82.8 --hash=sha256:{'0' * 64}\n")
    (tmp_path / "releases").mkdir()
    builder = release.Builder(made, IndexSettings(), str(tmp_path / "releases" / "r"), "3")
    builder._make_environment = lambda: os.makedirs(builder.directory)
    with pytest.raises(ModelopsError, match="lock file .* has litellm 1.82.8"):
        builder.build(["xinference==4.1.0"], [], "default", [], {}, lock=str(lock))
    assert not (tmp_path / "called").exists() and os.listdir(tmp_path / "releases") == []


# --- bundles ---------------------------------------------------------------------------------------------------------

LOCK = """
[[packages]]
name = "litellm"
version = "1.82.7"
wheels = [{url = "https://h.example/litellm-1.82.7-py3-none-any.whl", hashes = {sha256 = "00"}}]
"""


def test_a_bundle_gathers_none(tools, tmp_path, monkeypatch):
    made = tools(LOCK)
    monkeypatch.setattr(made, "pip", [sys.executable])
    house = wheelhouse.Wheelhouse(str(tmp_path / "bundle"), str(tmp_path / "work"), made, IndexSettings())
    with pytest.raises(ModelopsError, match="has litellm 1.82.7"):
        house._resolve([], "key-", requirements=["xinference"], constraints=[])


def test_a_bundle_that_has_one_is_not_taken():
    entry = {"tools": [], "lock": "locks/l", "wheels": ["wheels/litellm-1.82.7-py3-none-any.whl"], "packages": {}}
    with pytest.raises(ModelopsError, match="it has litellm 1.82.7"):
        bundle.needed({"weights": {}}, entry, {}, True)
    # A host that has the release takes no wheel of it.
    assert bundle.needed({"weights": {}}, entry, {}, False) == []
    entry["wheels"] = ["wheels/torch-2.9.9+cpu-cp311-cp311-linux_x86_64.whl"]
    with pytest.raises(ModelopsError, match="torch 2.9.9.cpu .denied by"):
        bundle.needed({"weights": {}}, entry, {}, True, ["torch==2.9.9"])


# --- hosts -----------------------------------------------------------------------------------------------------------


def environment(path, packages, lock=True):
    site = path / "lib" / "python3.11" / "site-packages"
    for name, version in packages.items():
        (site / f"{name}-{version}.dist-info").mkdir(parents=True)
    (path / "pyvenv.cfg").touch()
    if lock:
        (path / "lock.txt").write_text(environments.lock_text(packages))
        (path / "release.json").write_text(json.dumps({"id": path.name}))


def test_a_host_that_runs_one_is_named_and_its_release_is_built_anew(tmp_path, run_module):
    environment(tmp_path / "releases" / "4.1.0-a", {"litellm": "1.82.7", "numpy": "2.4.6"})
    environment(tmp_path / "releases" / "4.0.1-b", {"numpy": "2.4.6"})
    environment(tmp_path / "home" / "virtualenv" / "v4" / "qwen" / "vllm" / "3.11", {"mistralai": "2.4.6"}, lock=False)
    (tmp_path / "current").symlink_to("releases/4.1.0-a")
    options = dict(path=str(tmp_path), home=str(tmp_path / "home"), models_dir=str(tmp_path / "m"))
    found = run_module("xinference_host_info", options)
    assert [each["release"] for each in found["denied"]] == ["4.1.0-a", ""]
    assert f"{tmp_path}/releases/4.1.0-a has litellm 1.82.7 (known to be malicious: https" in found["denied"][0]["text"]
    assert "virtualenv/v4/qwen/vllm/3.11 has mistralai 2.4.6" in found["denied"][1]["text"]
    assert len(found["lock_drift"]) == 1 and "litellm 1.82.7 (known" in found["lock_drift"][0]
    found = run_module("xinference_host_info", dict(options, denied=["numpy==2.4.6"]))
    assert [each["release"] for each in found["denied"]] == ["4.0.1-b", "4.1.0-a", ""]
    args = dict(path=str(tmp_path), id="4.1.0-a", version="4.1.0", torch="cpu", uv="uv==1", cache=str(tmp_path / "c"))
    planned = run_module("xinference_release", args, check=True)
    assert planned["plan"][0].startswith("~ build release 4.1.0-a (litellm 1.82.7")


def test_a_clean_host_has_nothing_denied(tmp_path, run_module):
    environment(tmp_path / "releases" / "4.1.0-a", {"numpy": "2.4.6"})
    (tmp_path / "current").symlink_to("releases/4.1.0-a")
    found = run_module("xinference_host_info", dict(path=str(tmp_path), home=str(tmp_path), models_dir=str(tmp_path)))
    assert found["denied"] == [] and found["lock_drift"] == []


def test_the_tables_entries_are_read_as_the_inventorys_are():
    entries = yaml.safe_load(json.dumps([f"{row.name}=={row.version}" for row in denied.TABLE]))
    assert [(row.name, row.version) for row in denied.table(entries)[len(denied.TABLE) :]] == [
        (row.name, row.version) for row in denied.TABLE
    ]
