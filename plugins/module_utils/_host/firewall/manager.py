# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The interface of all firewalls, and the application of planned changes."""

from __future__ import annotations

import functools
import os
import shlex
import shutil
import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._directory import make_directory
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._host.firewall.rules import Rules
from ansible_collections.modelops.inference.plugins.module_utils._host.system.shell import (
    CommandFailed,
    read_file,
    run,
    write_file,
)
from ansible_collections.modelops.inference.plugins.module_utils._plan import Plan

OURS = "Managed by modelops.inference"
# Not every user's PATH has them.
PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin"])


class Steps:
    """Planned changes, the data of each being the function that does it."""

    def __init__(self, name: str):
        self.name = name
        #: Texts that differ, for the diff: what -> (before, after).
        self.texts: dict[str, tuple[str, str]] = {}
        self._replaced: list[tuple[str, str | None]] = []

    def apply(self, plan: Plan) -> None:
        """Applies the plan; after a failure it restores the files."""
        try:
            for change in plan:
                change.data()
        except ModelopsError:
            for path, before in reversed(self._replaced):
                put(path, before)
            self._undone()
            raise

    def _undone(self) -> None:
        """Reloads the firewall after files were restored."""

    def _file(self, plan: Plan, path: str, text: str | None) -> None:
        """Plans that a file has this text; None removes it."""
        before = read_file(path)
        if before == text:
            return
        self.texts[path] = (before or "", text or "")
        sign = "add" if before is None else "remove" if text is None else "change"
        verb = "remove file" if text is None else "write file"
        plan.add(sign, verb, path, data=functools.partial(self._replace, path, before, text))

    def _replace(self, path: str, before: str | None, text: str | None) -> None:
        self._replaced.append((path, before))
        put(path, text)

    def _run(self, plan: Plan, argv: t.Sequence[str], sign: str = "change") -> None:
        """Plans a command."""
        plan.add(sign, "run", shlex.join(argv), data=functools.partial(run, argv, shlex.join(argv)))


class Firewall(Steps):
    """The interface of all firewalls.

    :param name: of the cluster; everything of ours is known by it.
    """

    kind = ""
    #: Advice if it was requested but cannot be used.
    advice = ""

    def __init__(self, name: str):
        super().__init__(name)
        self.tag = f"modelops-{name}"
        #: Settings that work now but need a person to make them permanent.
        self.warnings: list[str] = []

    @staticmethod
    def usable() -> bool:
        """Whether this firewall is active on the host. Needs no root."""
        raise NotImplementedError

    def known(self) -> bool:
        """Whether it has rules of this collection, or may have."""
        raise NotImplementedError

    def plan(self, rules: Rules | None) -> Plan:
        """The differences; None means no rules of this collection.

        :raises ModelopsError: it cannot work beside what is there.
        """
        raise NotImplementedError


def put(path: str, text: str | None) -> None:
    try:
        if text is None:
            if os.path.exists(path):
                os.unlink(path)
        else:
            make_directory(os.path.dirname(path))
            write_file(path, text, 0o644)
    except OSError as exc:
        raise ModelopsError(f"{path} cannot be changed: {exc.strerror}. Run as root (become: true).") from exc


def find_program(name: str) -> str | None:
    return shutil.which(name, path=PATH)


def ask(argv: t.Sequence[str]) -> str | None:
    """A command's output; None after a failure."""
    try:
        return run(argv, shlex.join(argv), timeout=60)
    except CommandFailed:
        return None
