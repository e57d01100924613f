# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Python environments on a host: built by uv, complete or not there, compared without an index. Private.

A release is a directory ``releases/<version>-<hash>`` with an environment in it. It is built in a hidden directory
beside it and renamed when it has proven to import, so that a build that broke off never serves.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import shutil
import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._directory import make_directory
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._host.release import denied
from ansible_collections.modelops.inference.plugins.module_utils._host.release.constraints import (
    bounds,
    numbers,
)
from ansible_collections.modelops.inference.plugins.module_utils._host.release.environments import (
    LOCK,
    RECORD,
    installed,
    lock_text,
)
from ansible_collections.modelops.inference.plugins.module_utils._host.release.index import IndexSettings
from ansible_collections.modelops.inference.plugins.module_utils._host.release.resolution import NOTHING, Resolver
from ansible_collections.modelops.inference.plugins.module_utils._host.release.uv_tools import Tools
from ansible_collections.modelops.inference.plugins.module_utils._host.system.shell import (
    CommandFailed,
    read_file,
    run,
    write_file,
)

# As setuptools and Meson say it, and a compiler without Python's headers.
_NO_COMPILER = re.compile(
    r"No such file or directory: '[^']*(gcc|g\+\+|cc|c\+\+|clang)'|command '[^']*' failed: No such file|Python\.h: No such file|"
    r"Unknown compiler"
)
_INSTALL_COMPILER = (
    "The index has only the source of that package, and this host has no compiler. Install one (Debian and Ubuntu: apt-get install "
    "g++ python3-dev; RHEL: dnf install gcc-c++ python3-devel), or remove what needs it (xinference_extras, xinference_packages)."
)


def ingredients(declared: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The inputs of a release, as Resolver.resolve takes them.

    :param declared: {"version", "extras", "packages", "constraints", "torch"}, as the inventory has them.
    """
    version, extras = declared["version"], ",".join(declared["extras"])
    return dict(
        requirements=[f"xinference{f'[{extras}]' if extras else ''}=={version}", *declared["packages"]],
        constraints=[*bounds(version), *declared["constraints"]],
        torch=declared["torch"],
        needs=[] if numbers(version) >= (3, 0) else ["torchvision"],
    )


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
        :param user: who must be able to import them, where that is another user.
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
            self._prove(proof, user)
            shutil.rmtree(work)
            made = self._record(facts)
            self._put_in_place()
            return made

    def _prove(self, modules: t.Sequence[str], user: str | None) -> None:
        """Fails where a module does not import, for the user that runs it."""
        try:
            run(
                [self.python, "-c", f"import {', '.join(modules)}"] if modules else [self.python, "-V"],
                "import",
                clean=True,
                env={"PYTHONDONTWRITEBYTECODE": "1", **({"HOME": "/nonexistent"} if user else {})},
                timeout=600,
                user=user,
            )
        except CommandFailed as exc:
            raise ModelopsError(
                f"the new environment {self.target} does not work{f' for the user {user}' if user else ''} and was "
                f"not activated; its Python is {os.path.realpath(self.python)}. If that is the cause, name another one as "
                f"xinference_python. {exc.output}"
            ) from exc

    def _record(self, facts: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        """Writes the lock and the record of the environment. Returns the record."""
        packages = installed(self.directory)
        write_file(os.path.join(self.directory, LOCK), lock_text(packages), 0o644)
        python_version = run([self.python, "-c", "import platform; print(platform.python_version())"], "python").strip()
        made = dict(facts, python=python_version, torch=packages.get("torch", ""), packages=len(packages))
        # Another build of the same release is another environment to whoever runs with it.
        made["built"] = secrets.token_hex(6)
        write_file(os.path.join(self.directory, RECORD), json.dumps(made, indent=1, sort_keys=True) + "\n", 0o644)
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
                if last or NOTHING not in exc.output:
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
        """Removes the leftovers of interrupted builds before, and those of this one after."""
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
                "Install one (Debian and Ubuntu: apt-get install python3), or set xinference_python to its path."
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
