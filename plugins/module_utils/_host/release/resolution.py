# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The packages and versions of an environment, resolved from an index. Private to the collection."""

from __future__ import annotations

import dataclasses
import os
import re
import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._host.release import denied
from ansible_collections.modelops.inference.plugins.module_utils._host.release.constraints import (
    CUDA_ONLY,
    TORCH_FAMILY,
    for_cuda,
)
from ansible_collections.modelops.inference.plugins.module_utils._host.release.index import IndexSettings
from ansible_collections.modelops.inference.plugins.module_utils._host.release.uv_tools import Tools
from ansible_collections.modelops.inference.plugins.module_utils._host.system.shell import CommandFailed, write_file

COMPILE = ("pip", "compile", "--quiet", "--no-header", "--no-annotate")
# uv's words where indexes answer and have nothing that fits.
NOTHING = "No solution found"


class Incomplete(ModelopsError):
    """A build of torch exists, but a package that it requires does not."""


class Resolver:
    """Resolves the packages of an environment.

    :param target: what it is for, in uv's words: ("--python", an interpreter), and ("--python-version", "3.11",
        "--python-platform", "x86_64-manylinux_2_28") where that is another machine's.
    :param work: directory for the files that uv reads.
    """

    def __init__(self, tools: Tools, settings: IndexSettings, target: t.Sequence[str], work: str):
        self.tools = tools
        self.settings = settings
        self.target = target
        self.work = work
        # Unreachable indexes are not asked again for each Python; `_silent` is the error of PyTorch's own.
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
        """The output of uv, and the flags by which it finds the same again.

        :param torch: which build of torch: what the index gives ("default"), or one of PyTorch's ("cpu", "cu126", "rocm7.2").
            Without CUDA what only runs with it is left out.
        :param needs: packages of torch's family that must not be left out beside such a build.
        :param left_out: names of distributions that are there already.
        :param words: further options of uv.
        """
        denied.refuse(denied.pins(requirements), self.settings.denied, "the requested packages")
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
            [*COMPILE, *arguments, *words, wanted],
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
                f"{what} does not start without {missing[0]}, and no build {build} of it exists beside {pins[0]}: "
                f"neither find_links nor the indexes have one, and PyTorch's own index does not return one ({why}). Put the "
                f"wheel {wheel} into xinference_index.find_links, or install release 3.0 or later."
            )
        version = self._python()
        raise ModelopsError(
            f"no build {build} of torch, which this host needs,{f' for Python {version}' if version else ''} exists: neither "
            f"find_links nor the indexes have one, and PyTorch's own index does not return one ({why}). Put a wheel "
            f"torch-*+{build}-{self._tag()}*.whl into xinference_index.find_links, or accept the build of the index, "
            "on Linux gigabytes of CUDA, with xinference_torch: default."
        )

    def _at_hand(self, build: str) -> tuple[list[str], list[str]]:
        """The pin of a build that find-links or the indexes hold, and overrides for what is left out beside it."""
        query = self._write("torch.txt", ["torch"])
        base = [*COMPILE, "--no-deps", *self.target]
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
        words = [*COMPILE, "--no-deps", *self.target, "--torch-backend", build, self._write("torch.txt", names)]
        try:
            self.tools.call(self.settings, words, "querying PyTorch's index", timeout=120)
        except CommandFailed as exc:
            lines = exc.output.splitlines()
            why = lines[-1].strip() if lines else str(exc)
            self._silent = "" if NOTHING in exc.output else why
            return why
        return ""

    def _paired(self, pin: str, name: str) -> str:
        """The release of a package of torch's family that the indexes have beside torch; empty where they have none."""
        found = self._answer(self.settings, [*COMPILE, *self.target, self._write("pair.txt", [pin, name])])
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
            return self.tools.call(settings, words, "resolving torch").strip()
        except CommandFailed as exc:
            self._deaf = self._deaf or not (settings.no_index or NOTHING in exc.output)
            return ""

    def _refuse_cuda(self, resolved: str) -> None:
        words = resolved.replace('"', " ").split()
        heavy = [word for word in words if re.match(r"(nvidia-(cu|nccl|cudnn|nvjitlink)|cuda-|cupy)", word)]
        if heavy:
            raise ModelopsError(
                f"this host's torch has no CUDA, but the chosen packages install it ({', '.join(heavy[:5])}). "
                "Choose fewer xinference_extras, or accept it with xinference_torch: default."
            )

    def _write(self, name: str, lines: t.Iterable[str]) -> str:
        path = os.path.join(self.work, name)
        write_file(path, "".join(f"{line}\n" for line in lines), 0o644)
        return path
