# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which Python an environment is made with, by what the host has and what there are packages for."""

from __future__ import annotations

import json
import os
import sys

import pytest

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._host.release import interpreters, resolution, uv_tools
from ansible_collections.modelops.inference.plugins.module_utils._host.release.index import IndexSettings
from ansible_collections.modelops.inference.plugins.module_utils._host.release.interpreters import (
    Interpreter,
    InterpreterChoice,
)
from ansible_collections.modelops.inference.plugins.module_utils._host.system.shell import CommandFailed

RANGE = ">=3.10,<3.14"
ALL = ("3.9", "3.10", "3.11", "3.12", "3.13", "3.14")


def own(*versions):
    return [Interpreter(f"/usr/bin/python{version}", version) for version in versions]


@pytest.mark.parametrize(
    ("request_", "taken"),
    [
        (RANGE, ("3.10", "3.11", "3.12", "3.13")),
        (">=3.10, <3.13", ("3.10", "3.11", "3.12")),
        (">3.11", ("3.12", "3.13", "3.14")),
        ("<=3.10", ("3.9", "3.10")),
        ("3.11", ("3.11",)),
        ("==3.11.*", ("3.11",)),
        ("3.11.4", ("3.11",)),
        ("~=3.12", ("3.12", "3.13", "3.14")),
        ("~=3.12.1", ("3.12",)),
        (">=3.10,!=3.12.*,<3.14", ("3.10", "3.11", "3.13")),
        (">=3.10,!=3.12.1", ("3.10", "3.11", "3.12", "3.13", "3.14")),
        ("<3.13.5", ("3.9", "3.10", "3.11", "3.12", "3.13")),
        ("<3.13.0", ("3.9", "3.10", "3.11", "3.12")),
        (">=3.13.2", ("3.13", "3.14")),
        ("3", ALL),
        ("pypy3.10", ()),
        ("/usr/bin/python3", ()),
    ],
)
def test_a_request_takes_pythons(request_, taken):
    assert tuple(version for version in ALL if interpreters.accepts(request_, version)) == taken


LACKS = "no build of torch exists for this host's Python 3.13"


@pytest.mark.parametrize(
    ("request_", "source", "has", "served", "choice"),
    [
        # Debian 12, Debian 13, and Debian 13 with a mirror that has PyTorch for 3.11 only.
        (RANGE, "auto", ["3.11"], ALL, InterpreterChoice("/usr/bin/python3.11")),
        (RANGE, "auto", ["3.13"], ALL, InterpreterChoice("/usr/bin/python3.13")),
        (RANGE, "auto", ["3.13"], ["3.11"], InterpreterChoice("3.11", True, LACKS)),
        (RANGE, "auto", ["3.13"], ["3.10", "3.11", "3.12"], InterpreterChoice("3.12", True, LACKS)),
        # Another one of the host's, before one is fetched.
        (RANGE, "auto", ["3.13", "3.11"], ["3.11", "3.12"], InterpreterChoice("/usr/bin/python3.11")),
        (RANGE, "host", ["3.13", "3.11"], ["3.11"], InterpreterChoice("/usr/bin/python3.11")),
        (RANGE, "host", ["3.13"], ["3.11"], None),
        # The host's is too old, or too new.
        (RANGE, "auto", [], ALL, InterpreterChoice("3.12", True, f"this host has no Python {RANGE}")),
        (RANGE, "host", [], ALL, None),
        (RANGE, "uv", ["3.11"], ALL, InterpreterChoice("3.12", True)),
        ("3.11", "uv", ["3.11"], ALL, InterpreterChoice("3.11", True)),
        ("==3.11.4", "uv", ["3.11"], ALL, InterpreterChoice("3.11.4", True)),
        ("3.11", "auto", ["3.11"], ["3.12"], None),
        # A path is what is meant.
        ("/usr/bin/python3.13", "auto", ["3.13"], ["3.11"], None),
        ("/usr/bin/python3.13", "uv", ["3.13"], ALL, InterpreterChoice("/usr/bin/python3.13")),
        (RANGE, "auto", ["3.13"], [], None),
        ("pypy3.10", "uv", [], ALL, None),
    ],
)
def test_the_packages_decide_which_python_it_is(request_, source, has, served, choice):
    assert interpreters.choose(request_, source, own(*has), served.__contains__) == choice


NONE = ModelopsError("no build cpu of torch for Python 3.13.")


@pytest.mark.parametrize(
    ("request_", "source", "has", "served", "why", "told", "not_told"),
    [
        (RANGE, "host", [], ALL, {}, "no Python >=3.10.* was found on this host. Install one.*_source: auto", "torch"),
        (RANGE, "host", ["3.13"], ["3.11"], {"3.13": NONE}, "Or use Python 3.11, .*install one.*_source: auto", "3.12"),
        ("/p", "auto", ["3.13"], ["3.11", "3.10"], {"3.13": NONE}, "Or use Python 3.10 or 3.11,.*its path", "_source"),
        (RANGE, "auto", ["3.13"], [], dict.fromkeys(ALL, NONE), "no build cpu of torch for Python 3.13.$", "Or use"),
        (
            RANGE, "auto", ["3.13"], [],
            {**dict.fromkeys(ALL, NONE), "3.11": resolution.Incomplete("torchvision is missing.")}, "^torchvision", "no build"
        ),
        ("pypy3.10", "uv", [], ALL, {}, "pypy3.10 is neither", "torch"),
    ],
)  # fmt: skip
def test_a_refusal_says_what_to_do(request_, source, has, served, why, told, not_told):
    with pytest.raises(ModelopsError, match=told) as refused:
        raise ModelopsError(interpreters.refusal(request_, source, own(*has), served.__contains__, why))
    assert not_told not in str(refused.value)


class Uv:
    """uv on a host: its Pythons (path and version, those of PATH's order first), and for which of them there is torch."""

    def __init__(self, pythons, torch=(), mirror=True, release=""):
        self.pythons, self.torch, self.mirror, self.fetched, self.asked = pythons, torch, mirror, [], []
        self.release = release
        self.pip = ["/tools/bin/python", "-m", "pip"]

    def call(self, settings, words, what, env=None, **kwargs):
        self.asked.append(words)
        if words[:2] == ["python", "list"]:
            rows = sorted(self.pythons, key=lambda row: row[1], reverse=True)
            names = ("path", "version", "implementation")
            return json.dumps([dict(zip(names, (*row, "cpython"))) for row in rows])
        if words[:2] == ["python", "find"] and "--managed-python" not in words:
            return f"{self.pythons[0][0]}\n"
        if words[0] == "python":
            return self.managed(words, env)
        if words[-1].endswith("release.txt"):
            if self.release:
                raise CommandFailed(what, self.release)
            return "xinference==4.1.0"
        version = words[words.index("--python-version") + 1]
        if "--torch-backend" in words:
            raise CommandFailed(what, "dns error")
        if version not in self.torch:
            raise CommandFailed(what, "No solution found when resolving dependencies")
        return "torch==2.13.0+cpu"

    def managed(self, words, env):
        version = words[-1]
        if words[1] == "find" and version in self.fetched:
            return f"{env['UV_PYTHON_INSTALL_DIR']}/cpython-{version}/bin/python\n"
        if words[1] == "find" or not self.mirror:
            raise CommandFailed("x", "error: Failed to install\n  cause: dns error")
        assert env["UV_PYTHON_DOWNLOADS"] == "automatic"
        self.fetched.append(version)
        return ""


DECLARED = {"version": "4.1.0", "extras": [], "packages": [], "constraints": [], "torch": "cpu"}


def pick(tmp_path, uv, request=RANGE, source="auto", declared=()):
    """:param declared: as Packages takes it, of which None means something."""
    packages = interpreters.Packages(uv, IndexSettings(), DECLARED if declared == () else declared, str(tmp_path))
    return interpreters.pick(uv, IndexSettings(), request, source, packages)


def test_the_first_python_of_the_host_is_taken_where_there_is_torch_for_it(tmp_path):
    uv = Uv([("/usr/bin/python3", "3.11.2"), ("/opt/python3.13", "3.13.1")], ALL)
    assert pick(tmp_path, uv) == InterpreterChoice("/usr/bin/python3")
    # Versions from the index or from a bundle's lock are not requested.
    for declared in ({**DECLARED, "torch": "default"}, None):
        other = Uv([("/usr/bin/python3", "3.14.0")])
        assert pick(tmp_path, other, declared=declared) == InterpreterChoice("/usr/bin/python3")
        assert not [words for words in other.asked if words[0] == "pip"]


def test_a_python_is_fetched_once_where_there_is_no_torch_for_the_hosts(tmp_path):
    uv = Uv([("/usr/bin/python3", "3.13.5")], ["3.11"])
    choice = pick(tmp_path, uv)
    directory = interpreters.directory_of(str(tmp_path))
    for _run in range(2):
        path = interpreters.path_of(uv, IndexSettings(), choice, directory)
        assert path == f"{tmp_path}/python/cpython-3.11/bin/python"
    assert uv.fetched == ["3.11"] and os.path.isdir(directory)
    # PyTorch's own index, which does not answer, was asked once for all.
    assert len([words for words in uv.asked if "--torch-backend" in words]) == 1


def test_a_python_that_cannot_be_fetched_is_said_with_what_to_do(tmp_path):
    uv = Uv([("/usr/bin/python3", "3.13.5")], ["3.11"], mirror=False)
    with pytest.raises(ModelopsError) as failed:
        interpreters.path_of(uv, IndexSettings(), pick(tmp_path, uv), str(tmp_path / "python"))
    for words in (
        "Python 3.11",
        "this host's Python 3.13",
        "dns error",
        "xinference_python to its path,",
        "python_mirror",
    ):
        assert words in str(failed.value)


def test_no_torch_for_any_python_is_refused_for_the_hosts(tmp_path):
    with pytest.raises(ModelopsError, match=r"for Python 3\.13 exists.*torch-\*\+cpu-cp313-\*\.whl"):
        pick(tmp_path, Uv([("/usr/bin/python3", "3.13.5")]))


def test_a_path_is_asked_which_python_it_is(tmp_path):
    here = ".".join(map(str, sys.version_info[:2]))
    assert pick(tmp_path, Uv([], [here]), sys.executable) == InterpreterChoice(sys.executable)
    with pytest.raises(ModelopsError, match="xinference_python is /nowhere/python3, which does not run"):
        pick(tmp_path, Uv([], ALL), "/nowhere/python3")


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("/srv/our python", "file:///srv/our%20python"),
        ("https://mirror.example/python", "https://mirror.example/python"),
    ],
)
def test_uvs_pythons_come_from_a_mirror(given, url):
    assert IndexSettings(python_mirror=given).environment()["UV_PYTHON_INSTALL_MIRROR"] == url
    assert "UV_PYTHON_INSTALL_MIRROR" not in IndexSettings().environment()


def asked(tmp_path, **more):
    places = {"path": str(tmp_path / "opt"), "cache": str(tmp_path / "opt" / "cache")}
    return dict(places, version="4.1.0", torch="cpu", uv="uv==1", **more)


@pytest.fixture
def host(monkeypatch):
    """``host(uv)`` has the module find that uv, which it made where uv.directory is then."""

    def use(uv, runs="true"):
        def tools(base, requirement, cache):
            uv.directory, uv.ready, uv.uv = base, os.path.exists(f"{base}/tools"), runs
            return uv

        uv.make = lambda index: IndexSettings(**{name: value for name, value in index.items() if value is not None})
        monkeypatch.setattr(uv_tools, "Tools", tools)
        return uv

    return use


@pytest.mark.each_core("xinference_python_info")
def test_the_module_finds_a_python_before_anything_is_changed(tmp_path, run_module, host):
    uv = host(Uv([("/usr/bin/python3", "3.13.5")], ["3.11"]))
    found = run_module("xinference_python_info", asked(tmp_path))
    assert (found["python"], found["python_source"], found.changed) == ("3.11", "uv", False)
    # That it can be fetched is proven, and not in place.
    assert uv.fetched == ["3.11"] and not uv.directory.startswith(str(tmp_path))
    refused = run_module("xinference_python_info", asked(tmp_path, python_source="host"))
    assert refused["failed"] and "Or use Python 3.11" in refused["msg"]
    host(Uv([("/usr/bin/python3", "3.13.5")], ["3.11"], mirror=False))
    assert "uv cannot download it" in run_module("xinference_python_info", asked(tmp_path))["msg"]
    assert os.listdir(tmp_path) == []


def test_the_module_does_not_know_the_python_where_it_cannot_ask(tmp_path, run_module, host):
    unknown = {"python": RANGE, "python_source": "auto"}
    # Check mode makes no tools; and no program runs from a directory that is mounted noexec.
    for runs, check in (("true", True), ("/nowhere/uv", False)):
        host(Uv([("/usr/bin/python3", "3.13.5")], ["3.11"]), runs)
        found = run_module("xinference_python_info", asked(tmp_path), check=check)
        assert {name: found[name] for name in unknown} == unknown
    # Where they are in place it asks, and fetches nothing.
    (tmp_path / "opt" / "tools").mkdir(parents=True)
    uv = host(Uv([("/usr/bin/python3", "3.13.5")], ["3.11"]))
    assert run_module("xinference_python_info", asked(tmp_path), check=True)["python"] == "3.11"
    assert uv.fetched == []


NO_RELEASE = (
    "error: No solution found when resolving dependencies\n  cause: Because there is no version of xinference==4.1.0"
)


@pytest.mark.parametrize("check", [False, True])
def test_a_release_that_does_not_exist_is_refused_before_anything_is_changed(tmp_path, run_module, host, check):
    (tmp_path / "opt" / "tools").mkdir(parents=True)
    host(Uv([("/usr/bin/python3", "3.13.5")], ["3.11"], release=NO_RELEASE))
    refused = run_module("xinference_python_info", asked(tmp_path), check=check)
    assert refused["failed"] and "has no xinference==4.1.0 for Python 3.11. Correct" in refused["msg"]
    assert "Correct xinference_version" in refused["msg"] and "\n" not in refused["msg"]


def test_only_an_answer_of_the_index_refuses_a_release(tmp_path, run_module, host):
    (tmp_path / "opt" / "tools").mkdir(parents=True)
    host(Uv([("/usr/bin/python3", "3.13.5")], ["3.13"], release="error: dns error"))
    assert not run_module("xinference_python_info", asked(tmp_path), check=True).failed
    # The release itself may be one of these.
    uv = host(Uv([("/usr/bin/python3", "3.13.5")], ["3.13"], release=NO_RELEASE))
    for packages in (["/srv/xinference-4.1.0-py3-none-any.whl"], ["xinference @ https://example.org/x.zip"]):
        assert not run_module("xinference_python_info", asked(tmp_path, packages=packages), check=True).failed
    assert not [words for words in uv.asked if words[-1].endswith("release.txt")]
