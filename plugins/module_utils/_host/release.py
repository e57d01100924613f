# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Python environments on a host: built by uv, complete or not there, compared without an index. Private.

A release is a directory ``releases/<version>-<hash>`` with an environment in it. It is built in a hidden directory
beside it and renamed when it has proven to import, so that a build that broke off never serves.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import secrets
import shutil
import sys
import tempfile
import typing as t
import zipfile
from urllib.parse import unquote

from ansible_collections.modelops.inference.plugins.module_utils import _locks as locks
from ansible_collections.modelops.inference.plugins.module_utils._directory import make_directory
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._host import denied
from ansible_collections.modelops.inference.plugins.module_utils._host.environments import (
    LOCK,
    RECORD,
    installed,
    lock_text,
)
from ansible_collections.modelops.inference.plugins.module_utils._host.index import IndexSettings
from ansible_collections.modelops.inference.plugins.module_utils._host.shell import (
    CommandFailed,
    read_file,
    run,
    write_file,
)

TOOLS = "tools"
# Seconds for which a run waits for another one that makes an environment or fetches weights on the host.
_BUILD = 1800.0

# Today's releases of these break old Xinference releases, which name no upper bound of their own: fastapi 0.137 answers
# 500 to everything (bounded by Xinference since 2.11), and transformers 5 breaks embeddings beside the peft<=0.17.1 that
# releases up to 3.0 ask for. Measured on 1.17.1 and 2.12.0; of 2.0, 2.11, 3.0, 3.1 and 3.2 the metadata was read.
BOUNDS = (((3, 1), ("fastapi<0.137", "transformers<5")),)
# Requirements whose packages are built for CUDA and would bring it with them.
CUDA_ONLY = ("vllm", "sglang", "mlx", "mlx-lm", "flashinfer-python", "xformers")
# Engines whose wheels the index gives for CUDA 13 only from this release on: a build of torch for CUDA 12 (drivers 525 to 579)
# cannot load them. vLLM 0.19 asks for torch 2.10 and NVIDIA's packages for CUDA 12, 0.20 for torch 2.11 and those for CUDA 13.
LAST_FOR_CUDA_12 = {"vllm": "vllm<0.20"}
# What a build of torch for one kind of device exists for beside torch itself. timm needs torchvision.
TORCH_FAMILY = {"torchvision": ("torchvision", "timm")}
_COMPILE = ("pip", "compile", "--quiet", "--no-header", "--no-annotate")
# uv's words where indexes answer and have nothing that fits.
_NOTHING = "No solution found"
# As setuptools and Meson say it, and a compiler without Python's headers.
_NO_COMPILER = re.compile(
    r"No such file or directory: '[^']*(gcc|g\+\+|cc|c\+\+|clang)'|command '[^']*' failed: No such file|Python\.h: No such file|"
    r"Unknown compiler"
)
_INSTALL_COMPILER = (
    "The index has that package as source only, and this host has no compiler for it. Install one (Debian and Ubuntu: apt-get install "
    "g++ python3-dev; RHEL: dnf install gcc-c++ python3-devel), or leave out what needs it (xinference_extras, xinference_packages)."
)


def for_cuda(build: str, lines: t.Iterable[str]) -> list[str]:
    """Constraints of engines beside a build of torch; none where a line names a build of the engine for that CUDA by itself.

    :param lines: requirements and constraints, such as ``vllm==0.33.0+cu129`` of an index of one's own.
    """
    if not re.fullmatch(r"cu1[12]\d", build):
        return []
    # In a wheel's URL the + may be written as %2B.
    own = [line.replace(" ", "").lower() for line in map(unquote, lines) if re.search(r"\+cu1[12]", line)]
    return [bound for name, bound in LAST_FOR_CUDA_12.items() if not any(re.match(rf"{name}\W", line) for line in own)]


def model_environments(build: str, lines: t.Iterable[str], added: t.Iterable[t.Any] = ()) -> str:
    """A uv.toml for the service's directory, by which uv holds the same bounds where Xinference installs packages for a model.

    uv ignores UV_CONSTRAINT where it is given --constraint, as Xinference does in its first step (xoscar/virtualenv/uv.py), and
    UV_CONFIG_FILE would hide the host's own configuration, with which a uv.toml in the working directory is merged.

    :param build: the build of torch.  :param lines: requirements that may name a build by themselves, see `for_cuda`.
    :param added: what is denied beside the table.
    """
    bounds = [*for_cuda(build, lines), *denied.constraints(added).splitlines()]
    listed = "".join(f"  {json.dumps(line)},\n" for line in bounds)
    return f"# Managed by modelops.inference\nconstraint-dependencies = [\n{listed}]\n"


def numbers(version: str) -> tuple[int, ...]:
    """The first two numbers of a version, to compare it by."""
    return tuple(int(part) for part in re.findall(r"\d+", version)[:2])


def bounds(version: str) -> list[str]:
    """Constraints that a release of Xinference needs today."""
    for below, lines in BOUNDS:
        if numbers(version) < below:
            return list(lines)
    return []


def ingredients(declared: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """What a release is resolved from, as Resolver.resolve takes it.

    :param declared: {"version", "extras", "packages", "constraints", "torch"}, as the inventory has them.
    """
    version, extras = declared["version"], ",".join(declared["extras"])
    return dict(
        requirements=[f"xinference{f'[{extras}]' if extras else ''}=={version}", *declared["packages"]],
        constraints=[*bounds(version), *declared["constraints"]],
        torch=declared["torch"],
        needs=[] if numbers(version) >= (3, 0) else ["torchvision"],
    )


@contextlib.contextmanager
def one_at_a_time(base: str) -> t.Iterator[None]:
    """Holds a lock on an installation, so that a run waits for what a run that broke off still does on the host.

    :raises locks.Held: it still does it after as long as an environment takes to build.
    """
    make_directory(base)
    directory = os.open(base, os.O_RDONLY)
    try:
        locks.take(directory, base, _BUILD)
        yield
    finally:
        os.close(directory)


class Tools:
    """uv in an environment of its own, made with the host's python3 and pip."""

    def __init__(self, base: str, requirement: str, cache: str):
        self.base = base
        self.directory = os.path.join(base, TOOLS)
        self.requirement = requirement
        self.cache = cache
        self.uv = os.path.join(self.directory, "bin", "uv")
        self.pip = [os.path.join(self.directory, "bin", "python"), "-m", "pip"]

    @property
    def ready(self) -> bool:
        name, equals, version = self.requirement.partition("==")
        return os.path.exists(self.uv) and installed(self.directory).get(name) == version

    def make(self, given: t.Mapping[str, t.Any]) -> IndexSettings:
        """Makes them where they are missing, and returns where packages come from. Old ones stay until the new ones are complete."""
        if not self.ready:
            make_directory(self.base)
            with tempfile.TemporaryDirectory(prefix=f".{TOOLS}-", dir=self.base) as place:
                draft = Tools(place, self.requirement, self.cache)
                draft._fill(given)
                draft._take_the_place_of(self.directory, os.path.join(place, "old"))
        return IndexSettings.of_host(given, self.pip)

    def _fill(self, given: t.Mapping[str, t.Any]) -> None:
        wheel = self._wheel(given)
        if wheel:
            return self._make_of(wheel, IndexSettings(find_links=list(given["find_links"]), no_index=True))
        try:
            run([sys.executable, "-m", "venv", self.directory], f"making {self.directory}", timeout=300)
        except CommandFailed as exc:
            raise ModelopsError(
                f"{sys.executable} cannot make a virtual environment: {exc.output}\n"
                "On Debian and Ubuntu: apt-get install python3-venv"
            ) from exc
        run(
            [*self.pip, "install", "--quiet", "--no-cache-dir", "--disable-pip-version-check", self.requirement],
            f"installing {self.requirement} with pip. Does the host reach its package index? (xinference_index)",
            env=IndexSettings.of_host(given, self.pip).pip_environment(),
            timeout=900,
        )

    def _take_the_place_of(self, directory: str, old: str) -> None:
        """Programs of ours that lie beside uv go on: the reconciler runs while this does."""
        if os.path.isdir(directory):
            for name in os.listdir(directory):
                source, target = os.path.join(directory, name), os.path.join(self.directory, name)
                if os.path.isfile(source) and not os.path.lexists(target):
                    shutil.copy2(source, target)
        if os.path.lexists(directory):
            os.rename(directory, old)
        os.rename(self.directory, directory)

    def _wheel(self, given: t.Mapping[str, t.Any]) -> str:
        """uv's own wheel, where packages come from directories only (a bundle)."""
        prefix = self.requirement.replace("==", "-") + "-"
        found = [
            os.path.join(place, name)
            for place in (given.get("find_links") or [] if given.get("no_index") else [])
            for name in (os.listdir(place) if os.path.isdir(place) else [])
            if name.startswith(prefix) and name.endswith(".whl")
        ]
        return found[0] if found else ""

    def _make_of(self, wheel: str, settings: IndexSettings) -> None:
        """uv installs itself, and pip beside it: so neither venv nor pip has to be on the host."""
        with tempfile.TemporaryDirectory(dir=self.base) as place:
            uv = os.path.join(place, "uv")
            with zipfile.ZipFile(wheel) as archive:
                member = next((name for name in archive.namelist() if name.endswith(".data/scripts/uv")), None)
                if member is None:
                    raise ModelopsError(f"{wheel} has no program uv")
                write_file(uv, archive.read(member), 0o755)
            env = {"UV_CACHE_DIR": self.cache, "UV_NO_PROGRESS": "1", "UV_PYTHON_DOWNLOADS": "never"}
            env.update(settings.environment())
            words = [
                ["venv", "--quiet", "--python", sys.executable, self.directory],
                ["pip", "install", "--quiet", "--python", self.pip[0], "--no-index", self.requirement, "pip"],
            ]
            for line in words:
                run([uv, *line], f"installing {self.requirement} from {wheel}", env=env, timeout=300)

    def call(
        self,
        settings: IndexSettings,
        words: t.Sequence[str],
        what: str,
        env: t.Mapping[str, str] | None = None,
        **kwargs: t.Any,
    ) -> str:
        """What uv prints.

        :param env: variables of its own for this call.
        """
        known = {"UV_CACHE_DIR": self.cache, "UV_NO_PROGRESS": "1", "UV_PYTHON_DOWNLOADS": "never"}
        flags = ["--no-index"] if settings.no_index and words[0] == "pip" else []
        # With hashes every line would have to be a pin: what has them is compared before.
        if words[0] == "pip" and "--require-hashes" not in words:
            refused = os.path.join(self.directory, "denied.txt")
            write_file(refused, denied.constraints(settings.denied), 0o644)
            flags += ["--constraints", refused]
        merged = {**known, **settings.environment(), **(env or {})}
        return run([self.uv, *words, *flags], what, env=merged, **kwargs)


class Incomplete(ModelopsError):
    """A build of torch is at hand, and a package that must come beside it is not."""


class Resolver:
    """Finds out what an environment is made of.

    :param target: what it is for, in uv's words: ("--python", an interpreter), and ("--python-version", "3.11",
        "--python-platform", "x86_64-manylinux_2_28") where that is another machine's.
    :param work: directory for the files that uv reads.
    """

    def __init__(self, tools: Tools, settings: IndexSettings, target: t.Sequence[str], work: str):
        self.tools = tools
        self.settings = settings
        self.target = target
        self.work = work
        # What cannot be reached is not asked for each Python: the indexes, and why PyTorch's own.
        self._deaf = False
        self._silent = ""

    def resolve(
        self,
        requirements: t.Sequence[str],
        constraints: t.Sequence[str],
        torch: str = "default",
        needs: t.Sequence[str] = (),
        left_out: t.Sequence[str] = (),
        words: t.Sequence[str] = (),
    ) -> tuple[str, list[str]]:
        """What uv prints, and the flags by which it finds the same again.

        :param torch: which build of torch: what the index gives ("default"), or one of PyTorch's ("cpu", "cu126", "rocm7.2").
            Without CUDA what only runs with it is left out.
        :param needs: packages of torch's family that must not be left out beside such a build.
        :param left_out: names of distributions that are there already.
        :param words: further options of uv.
        """
        denied.refuse(denied.pins(requirements), self.settings.denied, "what is asked for")
        overrides = [f"{name} ; sys_platform == 'never'" for name in left_out]
        flags: list[str] = []
        pins: list[str] = []
        cuda = torch == "default" or torch.startswith("cu")
        if torch != "default":
            pins, dropped, flags = self.build_of_torch(torch, needs, requirements[0])
            overrides += [*dropped, *(f"{name} ; sys_platform == 'never'" for name in CUDA_ONLY if not cuda)]
        lines = [line for line in [*constraints, *self.settings.constraints] if not line.startswith("-c ")]
        lines += for_cuda(torch, [*requirements, *lines])
        files = [line[3:] for line in self.settings.constraints if line.startswith("-c ")]
        files += [self._write("constraints.txt", lines)]
        arguments = [*flags, *self.target]
        for path in files:
            arguments += ["--constraints", path]
        arguments += ["--overrides", self._write("overrides.txt", overrides)]
        wanted = self._write("requirements.txt", [*requirements, *pins])
        resolved = self.tools.call(
            self.settings,
            [*_COMPILE, *arguments, *words, wanted],
            f"resolving {', '.join(requirements)} (packages come from xinference_index, or where pip on this host looks)",
            timeout=1800,
        )
        denied.refuse(denied.pins(resolved.splitlines()), self.settings.denied, f"what {requirements[0]} needs")
        if not cuda:
            self._refuse_cuda(resolved)
        return resolved, flags

    def build_of_torch(
        self, build: str, needs: t.Sequence[str] = (), what: str = "it"
    ) -> tuple[list[str], list[str], list[str]]:
        """Where one of PyTorch's builds comes from: requirements to pin, overrides, and flags for uv.

        Asked in turn: the given find-links, the given indexes, PyTorch's own index (which uv knows). A PyPI
        torchvision beside another build of torch does not import, so where none is at hand it is left out, with what
        needs it.

        :param needs: packages of torch's family that must not be left out.
        :param what: the requirement that needs them.
        :raises ModelopsError: there is none, with what to do.
        """
        pins, left_out = self._at_hand(build)
        missing = [name for name in needs if any(line.startswith(f"{name} ;") for line in left_out)]
        if pins and not missing:
            return pins, left_out, []
        paired = self._paired(pins[0], missing[0]) if pins and missing else ""
        if f"+{build}" in paired:
            return pins, [], []
        why = self._pytorch(build, ["torch", *needs])
        if not why:
            return [], [], ["--torch-backend", build]
        if pins and missing:
            wheel = f"{missing[0]}-{paired.partition('+')[0] or '*'}+{build}-{self._tag()}*.whl"
            raise Incomplete(
                f"{what} does not start without {missing[0]}, and no build {build} of it is at hand beside {pins[0]}: "
                f"neither find_links nor the indexes hold one, and PyTorch's own index does not answer with one ({why}). Put the "
                f"wheel {wheel} where xinference_index.find_links points, or take a release of 3.0 or later."
            )
        version = self._python()
        raise ModelopsError(
            f"no build {build} of torch, which is this host's,{f' for Python {version}' if version else ''} is at hand: neither "
            f"find_links nor the indexes hold one, and PyTorch's own index does not answer with one ({why}). Put a wheel "
            f"torch-*+{build}-{self._tag()}*.whl where xinference_index.find_links points, or take what the index gives, "
            "on Linux gigabytes of CUDA, with xinference_torch: default."
        )

    def _at_hand(self, build: str) -> tuple[list[str], list[str]]:
        """The pin of a build that find-links or the indexes hold, and overrides for what is left out beside it."""
        query = self._write("torch.txt", ["torch"])
        base = [*_COMPILE, "--no-deps", *self.target]
        if self.settings.find_links:
            wheels = dataclasses.replace(self.settings, no_index=True)
            pin = self._answer(wheels, [*base, query])
            if f"+{build}" in pin:
                left_out: list[str] = []
                for name, family in TORCH_FAMILY.items():
                    if f"+{build}" not in self._answer(wheels, [*base, self._write("member.txt", [name])]):
                        left_out += [f"{member} ; sys_platform == 'never'" for member in family]
                return [pin], left_out
        pin = self._answer(self.settings, [*base, query])
        return ([pin] if f"+{build}" in pin else []), []

    def _pytorch(self, build: str, names: t.Sequence[str]) -> str:
        """Why PyTorch's own index does not give a build; empty where it does."""
        if self._silent:
            return self._silent
        words = [*_COMPILE, "--no-deps", *self.target, "--torch-backend", build, self._write("torch.txt", names)]
        try:
            self.tools.call(self.settings, words, "asking PyTorch's index", timeout=120)
        except CommandFailed as exc:
            lines = exc.output.splitlines()
            why = lines[-1].strip() if lines else str(exc)
            self._silent = "" if _NOTHING in exc.output else why
            return why
        return ""

    def _paired(self, pin: str, name: str) -> str:
        """The release of a package of torch's family that the indexes have beside torch; empty where they have none."""
        found = self._answer(self.settings, [*_COMPILE, *self.target, self._write("pair.txt", [pin, name])])
        return next((line.partition("==")[2] for line in found.splitlines() if line.startswith(f"{name}==")), "")

    def _python(self) -> str:
        """The Python that it is for, "3.11"; empty where only its path is known."""
        words = list(self.target)
        return words[words.index("--python-version") + 1] if "--python-version" in words else ""

    def _tag(self) -> str:
        """How the name of a wheel for this Python goes on after its version, as far as that is known."""
        version = self._python().split(".")
        return f"cp{version[0]}{version[1]}-" if len(version) > 1 else ""

    def _answer(self, settings: IndexSettings, words: t.Sequence[str]) -> str:
        """The line that uv resolves to; nothing where it finds nothing."""
        if self._deaf and not settings.no_index:
            return ""
        try:
            return self.tools.call(settings, words, "asking for torch").strip()
        except CommandFailed as exc:
            self._deaf = self._deaf or not (settings.no_index or _NOTHING in exc.output)
            return ""

    def _refuse_cuda(self, resolved: str) -> None:
        words = resolved.replace('"', " ").split()
        heavy = [word for word in words if re.match(r"(nvidia-(cu|nccl|cudnn|nvjitlink)|cuda-|cupy)", word)]
        if heavy:
            raise ModelopsError(
                f"this host's torch has no CUDA, but the chosen packages bring it ({', '.join(heavy[:5])}). "
                "Choose fewer xinference_extras, or accept it with xinference_torch: default."
            )

    def _write(self, name: str, lines: t.Iterable[str]) -> str:
        path = os.path.join(self.work, name)
        write_file(path, "".join(f"{line}\n" for line in lines), 0o644)
        return path


class Builder:
    """Builds one environment.

    :param version: Python that the packages accept, as uv's ``--python`` takes it (">=3.10,<3.14" or a path).
    """

    def __init__(self, tools: Tools, settings: IndexSettings, directory: str, python: str):
        self.tools = tools
        self.settings = settings
        self.target = directory
        # Built beside its place and moved there whole: what serves now is not touched until the new one works.
        # The name is this process's own: an installer that outlived its run may still write to an older one.
        self.prefix = f".building-{os.path.basename(directory)}."
        self.directory = os.path.join(os.path.dirname(directory), f"{self.prefix}{os.getpid()}")
        self.requested_python = python
        self.python = os.path.join(self.directory, "bin", "python")

    def build(
        self,
        requirements: t.Sequence[str],
        constraints: t.Sequence[str],
        torch: str,
        proof: t.Sequence[str],
        facts: t.Mapping[str, t.Any],
        needs: t.Sequence[str] = (),
        user: str | None = None,
        lock: str | None = None,
        compiled: t.Sequence[str] = (),
    ) -> dict[str, t.Any]:
        """Makes the environment anew and returns its record.

        :param lock: file of all distributions with their hashes, as a bundle has it; None to ask the index.
        :param torch: which build of torch, as Resolver.resolve takes it.
        :param proof: Python modules that must import.
        :param compiled: Python modules that are compiled with all that they import, where they do.
        :param facts: what the record shall say beside what it says anyway.
        :param user: who has to be able to import them, where that is another user.
        :param needs: packages of torch's family that must not be left out.
        """
        with self._workplace():
            self._make_environment()
            work = os.path.join(self.directory, "build")
            make_directory(work)
            what = f"installing {', '.join(requirements)}"
            if lock:
                lines = (read_file(lock) or "").splitlines()
                denied.refuse(denied.pins(lines), self.settings.denied, f"the lock file {lock}")
                self._install(lock, ["--require-hashes"], what)
            else:
                resolver = Resolver(self.tools, self.settings, ["--python", self.python], work)
                self._install_newest(lambda: resolver.resolve(requirements, constraints, torch, needs), work, what)
            self._compile(compiled)
            try:
                run(
                    [self.python, "-c", f"import {', '.join(proof)}"] if proof else [self.python, "-V"],
                    "import",
                    clean=True,
                    env={"PYTHONDONTWRITEBYTECODE": "1", **({"HOME": "/nonexistent"} if user else {})},
                    timeout=600,
                    user=user,
                )
            except CommandFailed as exc:
                raise ModelopsError(
                    f"the new environment {self.target} does not work{f' for the user {user}' if user else ''} and was "
                    f"not put in place; its Python is {os.path.realpath(self.python)}. Name another as xinference_python "
                    f"where that is the reason. {exc.output}"
                ) from exc
            shutil.rmtree(work)
            packages = installed(self.directory)
            write_file(os.path.join(self.directory, LOCK), lock_text(packages), 0o644)
            python_version = run(
                [self.python, "-c", "import platform; print(platform.python_version())"], "python"
            ).strip()
            made = dict(facts, python=python_version, torch=packages.get("torch", ""), packages=len(packages))
            # Another build of the same release is another environment to whoever runs with it.
            made["built"] = secrets.token_hex(6)
            write_file(os.path.join(self.directory, RECORD), json.dumps(made, indent=1, sort_keys=True) + "\n", 0o644)
            self._put_in_place()
            return made

    def _install(self, lock: str, flags: t.Sequence[str], what: str) -> None:
        # --no-deps: the list is complete, and a requirement that an override dropped must not come back.
        words = ["pip", "install", "--quiet", "--no-deps", *flags, "--python", self.python, "-r", lock]
        try:
            self._uv(words, what, timeout=7200)
        except CommandFailed as exc:
            if _NO_COMPILER.search(exc.output):
                raise ModelopsError(f"{exc}\n{_INSTALL_COMPILER}") from exc
            raise

    def _install_newest(self, resolve: t.Callable[[], tuple[str, list[str]]], work: str, what: str) -> None:
        """Installs what the index has. A mirror's machines may not know of a new release all at once: where the one that is
        asked now denies what another one named, all is resolved once more."""
        lock = os.path.join(work, "resolved.txt")
        for last in (False, True):
            resolved, flags = resolve()
            write_file(lock, resolved, 0o644)
            try:
                return self._install(lock, flags, what)
            except CommandFailed as exc:
                if last or _NOTHING not in exc.output:
                    raise

    def _compile(self, modules: t.Sequence[str]) -> None:
        """Leaves bytecode of what a start imports: the service may not write it, and would compile it at every start."""
        # Xinference makes its directories when it is imported.
        env = {"PYTHONDONTWRITEBYTECODE": "", "HOME": os.path.join(self.directory, "build")}
        for module in modules:
            with contextlib.suppress(CommandFailed):
                run([self.python, "-c", f"import {module}"], "compiling", clean=True, env=env, timeout=600)

    @contextlib.contextmanager
    def _workplace(self) -> t.Iterator[None]:
        """What broken-off builds left is removed before, and what this one leaves after."""
        parent = os.path.dirname(self.directory)
        for name in os.listdir(parent):
            if name.startswith(self.prefix):
                shutil.rmtree(os.path.join(parent, name), ignore_errors=True)
        try:
            yield
        finally:
            shutil.rmtree(self.directory, ignore_errors=True)

    def _put_in_place(self) -> None:
        old = f"{self.directory}.old"
        shutil.rmtree(old, ignore_errors=True)
        if os.path.lexists(self.target):
            os.rename(self.target, old)
        os.rename(self.directory, self.target)
        shutil.rmtree(old, ignore_errors=True)

    def _make_environment(self) -> None:
        try:
            self._uv(
                ["venv", "--quiet", "--relocatable", "--python", self.requested_python, self.directory],
                "making an environment",
            )
        except CommandFailed as exc:
            if "No interpreter found" not in exc.output:
                raise
            raise ModelopsError(
                f"no Python {self.requested_python} was found on this host ({exc.output}). "
                "Install one (Debian and Ubuntu: apt-get install python3), or name its path as xinference_python."
            ) from exc

    def _uv(self, words: t.Sequence[str], what: str, **kwargs: t.Any) -> str:
        return self.tools.call(self.settings, words, what, **{"timeout": 1800, **kwargs})


def pointed_at(link: str) -> str | None:
    """Name of the release that ``link`` points at; None where there is no such link."""
    return os.path.basename(os.readlink(link)) if os.path.islink(link) else None


def point(link: str, target: str) -> None:
    """Makes ``link`` point at ``target`` in one step."""
    temporary = f"{link}.new"
    if os.path.lexists(temporary):
        os.unlink(temporary)
    os.symlink(target, temporary)
    os.replace(temporary, link)
