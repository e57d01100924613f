# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from test_bundle_shared import UV, wheel

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._host.release import (
    constraints,
    environments,
    index,
    release,
    resolution,
    uv_tools,
)
from ansible_collections.modelops.inference.plugins.module_utils._host.release.index import IndexSettings
from ansible_collections.modelops.inference.plugins.module_utils._host.system.shell import CommandFailed
from ansible_collections.modelops.inference.plugins.modules import xinference_release


def environment(path, packages, complete=True):
    site = path / "lib" / "python3.11" / "site-packages"
    site.mkdir(parents=True)
    for name, version in packages.items():
        (site / f"{name}-{version}.dist-info").mkdir()
    (path / "lock.txt").write_text(environments.lock_text(environments.installed(str(path))))
    if complete:
        (path / "release.json").write_text(json.dumps({"id": path.name}))
    return str(path)


def test_installed_reads_names_and_versions(tmp_path):
    path = environment(tmp_path / "r", {"Foo_Bar": "1.0", "torch": "2.13.0+cpu"})
    assert environments.installed(path) == {"foo-bar": "1.0", "torch": "2.13.0+cpu"}


def test_lock_names_every_difference(tmp_path):
    path = environment(tmp_path / "r", {"a": "1", "b": "1"})
    assert environments.lock_drift(path) == []
    site = os.path.join(path, "lib", "python3.11", "site-packages")
    os.rename(f"{site}/a-1.dist-info", f"{site}/a-2.dist-info")
    os.rmdir(f"{site}/b-1.dist-info")
    os.mkdir(f"{site}/c-3.dist-info")
    assert environments.lock_drift(path) == ["b 1 is gone", "c 3 was added", "a is 2, was 1"]


def test_a_lost_lock_is_drift(tmp_path):
    path = environment(tmp_path / "r", {"a": "1"})
    os.unlink(f"{path}/lock.txt")
    assert environments.lock_drift(path) == ["lock.txt is missing"]


@pytest.mark.parametrize(
    "version, expected",
    [
        ("1.17.1", ["fastapi<0.137", "transformers<5"]),
        ("1.7.1.post1", ["fastapi<0.137", "transformers<5"]),
        ("2.12.0", ["fastapi<0.137", "transformers<5"]),
        ("3.0.0", ["fastapi<0.137", "transformers<5"]),
        ("3.1.0", []),
        ("4.1.0", []),
        ("10.0", []),
    ],
)
def test_old_releases_get_the_bounds_they_need(version, expected):
    assert constraints.bounds(version) == expected


def test_plan_builds_what_is_missing_and_activates():
    plan = xinference_release.make_plan("4.1.0-x", False, [], None, [], True)
    assert plan.lines == ["+ build release 4.1.0-x", "~ activate current (release none -> 4.1.0-x)"]


def test_plan_does_nothing_when_all_is_there():
    assert not xinference_release.make_plan("4.1.0-x", True, [], "4.1.0-x", [], True)


def test_plan_rebuilds_a_release_that_differs_from_its_lock():
    plan = xinference_release.make_plan("4.1.0-x", True, ["a is 2, was 1"], "4.1.0-x", [], True)
    assert plan.lines == ["~ build release 4.1.0-x (a is 2, was 1)"]


@pytest.mark.parametrize("text", ["", "{", "[]", "{}"])
def test_a_record_that_cannot_be_read_is_why_a_release_is_built_anew(tmp_path, run_module, text):
    path = environment(tmp_path / "releases" / "4.1.0-x", {"a": "1"})
    (tmp_path / "current").symlink_to("releases/4.1.0-x")
    assert environments.drift(path) == []
    (tmp_path / "releases" / "4.1.0-x" / "release.json").write_text(text)
    assert environments.drift(path) == ["release.json cannot be read"]
    result = run_module("xinference_release", module_args(tmp_path), check=True)
    assert result["plan"] == ["~ build release 4.1.0-x (release.json cannot be read)"]


def test_plan_can_build_beside_what_serves():
    plan = xinference_release.make_plan("4.1.0-x", False, [], "4.0.0-y", ["3.0.0-z"], False)
    assert plan.lines == ["+ build release 4.1.0-x", "- remove release 3.0.0-z"]


def module_args(path, **more):
    return dict(path=str(path), id="4.1.0-x", version="4.1.0", torch="cpu", uv="uv==1", cache=str(path / "c"), **more)


@pytest.mark.each_core("xinference_release")
def test_module_in_check_mode_changes_nothing(tmp_path, run_module):
    result = run_module("xinference_release", module_args(tmp_path), check=True)
    assert result.changed
    assert os.listdir(tmp_path) == []


@pytest.mark.each_core("xinference_release")
def test_module_keeps_the_newest_releases(tmp_path, run_module):
    for age, name in enumerate(["4.1.0-x", "4.0.0-b", "3.9.0-c", "3.8.0-d"]):
        path = environment(tmp_path / "releases" / name, {"a": "1"})
        os.utime(path, (1000 - age, 1000 - age))
    (tmp_path / "current").symlink_to("releases/4.1.0-x")
    result = run_module("xinference_release", module_args(tmp_path, keep=2))
    assert result["plan"] == ["- remove release 3.9.0-c", "- remove release 3.8.0-d"]
    assert sorted(os.listdir(tmp_path / "releases")) == ["4.0.0-b", "4.1.0-x"]


class FakeTools:
    """Answers uv's calls from a table of (words contained) -> text, or raises."""

    def __init__(self, answers):
        self.answers = answers
        self.calls = []

    def call(self, settings, words, what, **kwargs):
        text = " ".join(words)
        self.calls.append((text, settings.no_index))
        requirement = open(words[-1]).read().strip() if words[-1].endswith(".txt") else ""
        for key, answer in self.answers.items():
            if key == (requirement, settings.no_index) or (isinstance(key, str) and key in text):
                if isinstance(answer, Exception):
                    raise answer
                return answer
        raise CommandFailed(what, "no such package")


def resolver(tmp_path, answers, **settings):
    return resolution.Resolver(FakeTools(answers), IndexSettings(**settings), ["--python", "python3"], str(tmp_path))


def test_cpu_torch_from_find_links_leaves_torchvision_out(tmp_path):
    made = resolver(tmp_path, {("torch", True): "torch==2.13.0+cpu\n"}, find_links=["/srv/wheels"])
    pins, overrides, flags = made.build_of_torch("cpu")
    assert pins == ["torch==2.13.0+cpu"]
    assert overrides == ["torchvision ; sys_platform == 'never'", "timm ; sys_platform == 'never'"]
    assert flags == []


def test_cpu_torchvision_in_find_links_is_used(tmp_path):
    answers = {("torch", True): "torch==2.13.0+cpu", ("torchvision", True): "torchvision==0.28.0+cpu"}
    made = resolver(tmp_path, answers, find_links=["/srv/wheels"])
    assert made.build_of_torch("cpu")[1] == []


def test_cpu_torch_from_a_configured_index(tmp_path):
    made = resolver(tmp_path, {("torch", False): "torch==2.13.0+cpu"})
    assert made.build_of_torch("cpu") == (["torch==2.13.0+cpu"], [], [])


def test_cpu_torch_from_pytorchs_own_index(tmp_path):
    made = resolver(tmp_path, {"--torch-backend cpu": "torch==2.15.0+cpu", ("torch", False): "torch==2.15.0"})
    assert made.build_of_torch("cpu") == ([], [], ["--torch-backend", "cpu"])


def test_no_cpu_torch_anywhere_is_refused_with_what_to_do(tmp_path):
    made = resolver(tmp_path, {"--torch-backend": CommandFailed("x", "dns error"), ("torch", False): "torch==2.15.0"})
    with pytest.raises(ModelopsError, match="no build cpu of torch.*exists.*dns error.*find_links"):
        made.build_of_torch("cpu")


OLD = {"version": "2.12.0", "extras": [], "packages": [], "constraints": [], "torch": "cpu"}
# find_links holds torch alone; the index pairs a torchvision with it.
TORCH_ALONE = {
    ("torch", True): "torch==2.13.0+cpu",
    ("torch==2.13.0+cpu\ntorchvision", False): "torch\ntorchvision==0.28.0",
}


def old_release(tmp_path, answers):
    made = resolver(tmp_path, answers, find_links=["/srv/wheels"])
    made.target = ["--python", "python3", "--python-version", "3.11"]
    return made.resolve(**release.ingredients(OLD))


def test_a_release_before_3_0_names_the_torchvision_that_it_lacks(tmp_path):
    with pytest.raises(resolution.Incomplete) as refused:
        old_release(tmp_path, {**TORCH_ALONE, "--torch-backend": CommandFailed("x", "dns error")})
    for words in (
        "xinference==2.12.0",
        "torch==2.13.0+cpu",
        "dns error",
        "torchvision-0.28.0+cpu-cp311-*.whl",
        "3.0 or later",
    ):
        assert words in str(refused.value)


@pytest.mark.parametrize(
    ("answers", "flags", "pins"),
    [
        # PyTorch's own index has both, and another index the one that is missing.
        ({**TORCH_ALONE, "": "found"}, ["--torch-backend", "cpu"], []),
        (
            {**TORCH_ALONE, ("torch==2.13.0+cpu\ntorchvision", False): "torchvision==0.28.0+cpu", "overrides": "found"},
            [],
            ["torch==2.13.0+cpu"],
        ),
    ],
)
def test_a_release_before_3_0_gets_the_torchvision_of_the_next_index(tmp_path, answers, flags, pins):
    assert old_release(tmp_path, answers) == ("found", flags)
    assert "torchvision" not in (tmp_path / "overrides.txt").read_text()
    assert (tmp_path / "requirements.txt").read_text().splitlines() == ["xinference==2.12.0", *pins]


@pytest.mark.parametrize(
    ("build", "flags", "left_out"),
    [
        ("default", [], []),
        ("cu126", ["--torch-backend", "cu126"], []),
        ("rocm7.2", ["--torch-backend", "rocm7.2"], ["vllm ; sys_platform == 'never'"]),
        ("cpu", ["--torch-backend", "cpu"], ["vllm ; sys_platform == 'never'"]),
    ],
)
def test_each_build_of_torch_is_resolved_in_its_own_way(build, flags, left_out, tmp_path):
    made = resolver(tmp_path, {"--torch-backend": "torch==2.15.0\n", ("torch", False): "torch==2.15.0", "": "found\n"})
    declared = {"version": "4.1.0", "extras": [], "packages": [], "constraints": [], "torch": build}
    assert made.resolve(**release.ingredients(declared))[1] == flags
    assert [line for line in (tmp_path / "overrides.txt").read_text().splitlines() if "vllm" in line] == left_out


@pytest.mark.parametrize(
    ("build", "line", "bound"),
    [
        ("cu126", "vllm", ["vllm<0.20"]),
        ("cu126", "vllm==0.33.0", ["vllm<0.20"]),  # which uv then refuses before anything is installed
        ("cu129", "vllm == 0.33.0+cu129", []),
        ("cu129", "vllm @ https://wheels.example.org/vllm-0.33.0%2Bcu129-cp38-abi3-linux_x86_64.whl", []),
        ("cu130", "vllm", []),
        ("default", "vllm", []),
    ],
)
def test_a_torch_for_cuda_12_gets_the_last_vllm_for_it(build, line, bound, tmp_path):
    made = resolver(tmp_path, {"--torch-backend": "torch==2.10.0\n", ("torch", False): "torch==2.15.0", "": "found\n"})
    made.resolve(["xinference[vllm]==4.1.0", line], ["numpy<3"], build)
    assert (tmp_path / "constraints.txt").read_text().splitlines() == ["numpy<3", *bound]


@pytest.mark.parametrize(
    ("build", "line", "bound"),
    [("cu126", "vllm>=0.11", True), ("cu126", "vllm==0.33.0+cu129", False), ("cu130", "vllm>=0.11", False)],
)
def test_packages_of_a_model_have_the_bounds_of_the_release(build, line, bound):
    text = constraints.model_environments(build, [line], ["evil", "bad==1"])
    assert ('"vllm<0.20"' in text) is bound
    assert all(f'  "{one}",\n' in text for one in ("evil<0.dev0", "bad!=1", "litellm!=1.82.7"))


@pytest.mark.parametrize("words", [["--constraint", "pins.txt"], ["--no-deps", "--no-build-isolation"]])
def test_uv_keeps_the_bounds_of_its_working_directory_whatever_xinference_gives_it(words, tmp_path):
    """With --constraint, which hides UV_CONSTRAINT, it resolves; with --no-deps it installs (xoscar/virtualenv/uv.py)."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    for name, version in (("vllm", "0.19.1"), ("vllm", "0.33.0"), ("litellm", "1.82.6"), ("litellm", "1.82.7")):
        wheel(wheels, name, version, {f"{name}.py": b""})
    (tmp_path / "uv.toml").write_text(constraints.model_environments("cu126", ["vllm"]))
    (tmp_path / "pins.txt").write_text("numpy<9\n")
    line = [UV, "pip", "install", "--python", sys.executable, "--target", "there", "--no-index", "-f", wheels]
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "UV_CACHE_DIR": str(tmp_path / "cache")}

    def install(*wanted):
        done = subprocess.run(
            [*line, *words, *wanted], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
        )
        return done.returncode, done.stderr

    assert install("vllm>=0.11.2", "litellm")[0] == 0
    assert {"vllm-0.19.1.dist-info", "litellm-1.82.6.dist-info"} <= set(os.listdir(tmp_path / "there"))
    code, said = install("litellm==1.82.7")
    assert code and "No solution found" in said, said


def test_cuda_is_refused_beside_a_torch_for_rocm_and_taken_with_one_for_cuda(tmp_path):
    answers = {"--torch-backend": "nvidia-cublas-cu12==12\n", ("torch", False): "torch==2.15.0"}
    made = resolver(tmp_path, answers)
    assert "cublas" in made.resolve(["xinference"], [], "cu126")[0]
    with pytest.raises(ModelopsError, match="torch has no CUDA.*nvidia-cublas-cu12"):
        made.resolve(["xinference"], [], "rocm7.2")


def test_another_build_of_torch_comes_from_a_configured_index(tmp_path):
    made = resolver(tmp_path, {("torch", False): "torch==2.13.0+cu126"})
    assert made.build_of_torch("cu126") == (["torch==2.13.0+cu126"], [], [])
    other = resolver(
        tmp_path, {"--torch-backend": CommandFailed("x", "dns error"), ("torch", False): "torch==2.13.0+cu126"}
    )
    with pytest.raises(ModelopsError, match="no build rocm7.2 of torch"):
        other.build_of_torch("rocm7.2")


def test_cuda_packages_are_refused_on_a_cpu_host(tmp_path):
    made = resolver(tmp_path, {})
    made._refuse_cuda("torch==2.13.0+cpu\nnvidia-ml-py==13.1\n")
    with pytest.raises(ModelopsError, match="nvidia-cublas==13"):
        made._refuse_cuda("torch==2.15.0\nnvidia-cublas==13\n")


def test_a_build_that_breaks_off_leaves_the_old_release_and_no_trace(tmp_path):
    target = tmp_path / "releases" / "r"
    environment(target, {"a": "1"})
    made = release.Builder(
        FakeTools({"venv": CommandFailed("venv", "error: No interpreter found for Python 3")}),
        IndexSettings(),
        str(target),
        "3",
    )
    with pytest.raises(ModelopsError, match="no Python 3 was found"):
        made.build(["a"], [], "default", [], {})
    assert os.listdir(tmp_path / "releases") == ["r"]
    assert environments.installed(str(target)) == {"a": "1"}


DENIED = "No solution found when resolving dependencies: there is no version of a==2"


@pytest.mark.parametrize(
    "answers, installed",
    [
        ([DENIED, ""], ["a==2", "a==1"]),
        ([DENIED, DENIED], ["a==2", "a==1"]),
        (["no space left on device"], ["a==2"]),
    ],
    ids=["another machine answered", "twice", "another fault"],
)
def test_a_mirror_that_denies_what_it_named_is_asked_once_more(tmp_path, answers, installed):
    resolved, left, lists = iter(["a==2", "a==1"]), iter(answers), []

    class Mirror:
        def call(self, settings, words, what, **kwargs):
            if "compile" in words:
                return next(resolved)
            if "install" in words:
                lists.append(open(words[-1]).read())
                answer = next(left)
                if answer:
                    raise CommandFailed(what, answer)
            elif "venv" in words:
                os.makedirs(words[-1])

    target = tmp_path / "releases" / "r"
    target.parent.mkdir()
    made = release.Builder(Mirror(), IndexSettings(), str(target), "3")
    with pytest.raises(ModelopsError) as failed:  # without a Python in it no environment works
        made.build(["a"], [], "default", [], {})
    assert lists == installed
    assert str(failed.value).startswith("installing a: " if answers[-1] else "the new environment")


@pytest.mark.parametrize(
    "said, advised",
    [
        # uv 0.13.9 with cdifflib 1.2.9 and pyworld 0.3.5 on a Debian 12 without g++.
        ("error: [Errno 2] No such file or directory: 'x86_64-linux-gnu-gcc'\n\nhint: Build failures usually", True),
        ("error: [Errno 2] No such file or directory: 'x86_64-linux-gnu-g++'\n\nhint: Build failures usually", True),
        ("fatal error: Python.h: No such file or directory", True),
        ("error: [Errno 2] No such file or directory: 'README.md'", False),
    ],
)
def test_a_package_that_nothing_can_compile_names_what_to_install(tmp_path, said, advised):
    target = tmp_path / "releases" / "r"
    target.parent.mkdir()
    tools = FakeTools({"venv": "", "compile": "a==1", "install": CommandFailed("installing a", said)})
    with pytest.raises(ModelopsError) as failed:
        release.Builder(tools, IndexSettings(), str(target), "3").build(["a"], [], "default", [], {})
    assert said in str(failed.value)
    assert ("apt-get install g++ python3-dev" in str(failed.value)) is advised


def test_link_is_replaced_in_one_step(tmp_path):
    link = tmp_path / "current"
    release.point(str(link), "releases/a")
    release.point(str(link), "releases/b")
    assert os.readlink(link) == "releases/b"
    assert os.listdir(tmp_path) == ["current"]


def test_the_previous_release_is_the_last_to_go(tmp_path):
    for age, name in enumerate(["new", "current", "b", "a", "previous"]):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (1000 - age, 1000 - age))
    assert xinference_release._surplus(str(tmp_path), ["new", "current", "previous"], 3) == ["b", "a"]
    assert xinference_release._surplus(str(tmp_path), ["new", "current", None], 4) == ["previous"]
    assert xinference_release._surplus(str(tmp_path), ["new", "current", "previous"], 2) == ["previous", "b", "a"]


@pytest.fixture
def old_tools(tmp_path):
    """Tools of another uv, with the reconciler beside them."""
    environment(tmp_path / "tools", {"uv": "1"})
    (tmp_path / "tools" / "bin").mkdir()
    (tmp_path / "tools" / "bin" / "uv").write_text("old")
    program = tmp_path / "tools" / "modelops-reconcile"
    program.write_text("reconciles")
    program.chmod(0o755)
    return tmp_path / "tools"


@pytest.mark.parametrize("broken", ["making", "reading pip", "installing uv==2"])
def test_tools_whose_replacement_does_not_come_stay(tmp_path, old_tools, monkeypatch, broken):
    def run(argv, what, **kwargs):
        if what.startswith(broken):
            raise CommandFailed(what, "broken off")
        return ""

    monkeypatch.setattr(uv_tools, "run", run)
    monkeypatch.setattr(index, "run", run)
    before = sorted(old_tools.rglob("*"))
    with pytest.raises(ModelopsError, match="broken off"):
        uv_tools.Tools(str(tmp_path), "uv==2", str(tmp_path / "cache")).make({})
    assert sorted(old_tools.rglob("*")) == before and os.listdir(tmp_path) == ["tools"]


def test_new_tools_take_the_place_of_the_old_ones_and_keep_the_reconciler(tmp_path, old_tools, monkeypatch):
    def fill(self, given):
        environment(tmp_path / self.directory, {"uv": "2"})
        os.mkdir(f"{self.directory}/bin")
        (tmp_path / self.uv).write_text("new")

    monkeypatch.setattr(uv_tools.Tools, "_fill", fill)
    monkeypatch.setattr(uv_tools.IndexSettings, "of_host", lambda given, pip: pip)
    tools = uv_tools.Tools(str(tmp_path), "uv==2", str(tmp_path / "cache"))
    assert tools.make({}) == [str(old_tools / "bin" / "python"), "-m", "pip"]
    assert tools.ready and (old_tools / "bin" / "uv").read_text() == "new"
    program = old_tools / "modelops-reconcile"
    assert (program.read_text(), program.stat().st_mode & 0o777) == ("reconciles", 0o755)
    assert os.listdir(tmp_path) == ["tools"]


def test_check_mode_that_does_not_build_names_no_build(run_module, tmp_path):
    given = {"path": str(tmp_path), "id": "4.1.0-x", "version": "4.1.0", "uv": "uv==1", "cache": str(tmp_path / "c")}
    result = run_module("xinference_release", {**given, "build": False}, check=True)
    assert result["plan"] == ["~ activate current (release none -> 4.1.0-x)"]
