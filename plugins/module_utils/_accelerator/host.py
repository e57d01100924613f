# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The one way to a host: its files below a root directory, and the programs it has. Private to the collection."""

from __future__ import annotations

import dataclasses
import glob
import os
import shutil
import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._host.system import shell


@dataclasses.dataclass(frozen=True)
class ProgramOutput:
    """A program's standard output, or after a failure the end of its output.

    :ivar found: the program is there.
    """

    ok: bool
    text: str
    found: bool = True


Runner = t.Callable[[t.Sequence[str], float], ProgramOutput]


def start(argv: t.Sequence[str], timeout: float) -> ProgramOutput:
    """Runs a program of this host in the C locale, so that its text is the documented one."""
    path = shutil.which(argv[0], path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin:/usr/lib/wsl/lib:/usr/local/sbin")
    if path is None:
        return ProgramOutput(False, "", found=False)
    try:
        return ProgramOutput(True, shell.run([path, *argv[1:]], argv[0], env={"LC_ALL": "C"}, timeout=timeout))
    except shell.CommandFailed as exc:
        return ProgramOutput(False, exc.output or str(exc))


class HostAccess:
    """Access to files of the host; missing and unreadable files are empty, and the caller decides what that means.

    :param root: directory in place of ``/``; then no program is started, unless ``runner`` is given.
    """

    def __init__(self, root: str = "/", runner: Runner | None = None):
        self.root = root.rstrip("/")
        self._runner = runner or (
            start if not self.root else lambda argv, timeout: ProgramOutput(False, "", found=False)
        )

    def run(self, *argv: str, timeout: float = 20) -> ProgramOutput:
        return self._runner(argv, timeout)

    def bytes(self, path: str, limit: int = -1) -> bytes:
        try:
            with open(self.root + path, "rb") as file:
                return file.read(limit)
        except OSError:
            return b""

    def read(self, path: str, limit: int = -1) -> str:
        return self.bytes(path, limit).decode("utf-8", "replace").strip()

    def number(self, path: str) -> int | None:
        """The whole number that a file holds, in decimal or as 0x...; None where there is none."""
        try:
            return int(self.read(path), 0)
        except ValueError:
            return None

    def exists(self, path: str) -> bool:
        """Whether there is something; a link counts where its target is there."""
        target = self.link(path)
        if target:
            return self.exists(os.path.join(os.path.dirname(path), target))
        return os.path.exists(self.root + path)

    def names(self, path: str) -> list[str]:
        try:
            return sorted(os.listdir(self.root + path))
        except OSError:
            return []

    def glob(self, pattern: str) -> list[str]:
        return sorted(path[len(self.root) :] for path in glob.glob(glob.escape(self.root) + pattern))

    def link(self, path: str) -> str:
        """The target of a symbolic link; "" if there is none."""
        try:
            return os.readlink(self.root + path)
        except OSError:
            return ""
