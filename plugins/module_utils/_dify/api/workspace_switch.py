# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The workspaces of an account: the switch to one, the work there and the way back. Private to the collection.

Which one is current is kept by Dify for the account, not for a login: the switch moves a person who is logged in with the
account, too.
"""

from __future__ import annotations

import contextlib
import signal
import threading
import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._dify.api.errors import DifyError
from ansible_collections.modelops.inference.plugins.module_utils._dify.api.paths import API
from ansible_collections.modelops.inference.plugins.module_utils._dify.api.session import DifySession, Workspace
from ansible_collections.modelops.inference.plugins.module_utils._dify.api.state_files import WorkspaceFile
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._session import READ_VERBS

# Roles that may read a workspace and not change its models.
_MAY_NOT = ("editor", "normal", "dataset_operator")


class Stopped(BaseException):
    """The module got SIGTERM. No error, so that nothing goes on with the next model."""


class Interrupted(ModelopsError):
    """The module got SIGTERM, and the account is back in its workspace. Nothing goes on with the next workspace."""


class Moved(ModelopsError):
    """Somebody switched the account to another workspace meanwhile, so that what was read and done may be of that one."""


class WorkspaceSwitch:
    """
    :param path: a file that keeps where the account belongs while it is switched, and which workspace an unset one means;
        None keeps nothing. An admin key works in one workspace and needs none.
    :param default: the workspace that an unset one means, by name or ID; None takes the one of the file, and without that
        the current one.
    """

    def __init__(self, dify: DifySession, path: str | None = None, default: str | None = None):
        self.dify = dify
        self._workspace_file = WorkspaceFile(path if dify.account else None, dify.account)
        self._default = default or ""

    @contextlib.contextmanager
    def in_workspace(self, wanted: str | None, *, to_change: bool = True) -> t.Iterator[bool]:
        """Works in a workspace (``entered``), once (``staying``)."""
        with contextlib.ExitStack() as stack:
            comparable = stack.enter_context(self.entered(wanted))
            stack.enter_context(self.staying(comparable, to_change))
            yield comparable

    @contextlib.contextmanager
    def entered(self, wanted: str | None) -> t.Iterator[bool]:
        """Enters a workspace, by name or ID; None takes the one that is kept for that, else the current one.

        The account is switched back at the end, also after a failure.

        :returns: (as the context) False where check mode may not switch, so that nothing can be compared.
        """
        self.dify.workspace = home = self._home()
        target = self._target(wanted or "", home)
        if target.id == home.id:
            yield True
            return
        if self.dify.http.check_mode:
            self.dify.workspace = target
            yield False
            return
        with _terminable():
            self._note(home, target)
            try:
                self.dify.workspace = self._switch(target)
                self.dify.before_change = self._verify_workspace
                yield True
            except BaseException as exc:
                self._back(home, exc)
                if isinstance(exc, Stopped):
                    raise Interrupted(
                        f"{self.dify.where()}: {exc}. The account is back in the workspace '{home.name}'. Run this again."
                    ) from exc
                raise
            self._back(home, None)

    def _home(self) -> Workspace:
        """The account's workspace. Where a run that was stopped left it in another one, and it is there still, it is put back
        first, except in check mode."""
        home = self.dify.own_workspace()
        with self._workspace_file.reading() as kept:
            left, there = kept.left()
        if there != home.id:
            if there:
                self._note(home, None)  # somebody moved it since
            return home
        if self.dify.http.check_mode:
            raise ModelopsError(
                f"Dify {self.dify.url}: a run that was stopped left the account in the workspace '{home.name}', and check mode does "
                "not switch it back. Run this without check mode, or switch it in Dify."
            )
        with contextlib.suppress(DifyError):  # it is not the account's any more
            home = self._switch(Workspace(left["id"], left["name"]))
        self._note(home, None)
        return home

    def _target(self, wanted: str, home: Workspace) -> Workspace:
        """The workspace to work in. Where none is named it is the kept one, by its ID, however it is called by now."""
        if not self.dify.account:
            return home
        if wanted:
            return self._find(wanted, home)
        with self._workspace_file.reading() as kept:
            name, known = kept.remembered()
        if known and self._default in ("", name, known):
            return self._find(
                known,
                home,
                f". {self._workspace_file.path} remembers this ID for '{name}'; give another default_workspace, or remove the file",
            )
        if not self._default:
            return home
        found = self._find(self._default, home)
        if not self.dify.http.check_mode:
            with self._workspace_file as kept:
                kept.remember(self._default, found.id)
        return found

    def _note(self, home: Workspace, target: Workspace | None) -> None:
        """Leaves in the file where the account belongs while it is switched, for a run after one that was killed."""
        with self._workspace_file as kept:
            kept.leave({"id": home.id, "name": home.name} if target else {}, target.id if target else "")

    @contextlib.contextmanager
    def staying(self, comparable: bool, to_change: bool = True) -> t.Iterator[bool]:
        """Work in the workspace that was entered; where it changed something, nobody may have switched the account meanwhile.

        :param comparable: as ``entered`` told it.  :param to_change: refuse roles that may only read.
        :raises ModelopsError: the role may not, or somebody switched.
        """
        if not comparable:
            yield False
            return
        space = self.dify.workspace
        if to_change and space.role in _MAY_NOT:
            raise ModelopsError(
                f"Dify {self.dify.url}: the account is {space.role} of the workspace '{space.name}', and must be owner or "
                "admin to change its models"
            )
        before = self._changes()
        yield True
        if self._changes() != before and self.dify.account:
            self._verify_workspace()

    def _verify_workspace(self) -> None:
        """:raises Moved: the account is in another workspace."""
        now = self.dify.own_workspace()
        if now.id != self.dify.workspace.id:
            raise Moved(
                f"{self.dify.where()}: meanwhile another run or a person switched the account to the workspace '{now.name}', so "
                "that changes may have gone there. Check both, and run this again with a dedicated account or with "
                "an admin_key."
            )

    def _changes(self) -> int:
        return sum(count for verb, count in self.dify.http.counts.items() if verb not in READ_VERBS)

    def _find(self, wanted: str, home: Workspace, hint: str = "") -> Workspace:
        if wanted == home.id:
            return home
        known = [Workspace(item["id"], item["name"]) for item in self.dify.workspaces()]
        found = [space for space in known if space.id == wanted] or [space for space in known if space.name == wanted]
        if len(found) > 1:
            raise ModelopsError(
                f"Dify {self.dify.url}: {len(found)} workspaces are named '{wanted}'. Give the ID of one: "
                + ", ".join(space.id for space in found)
            )
        if not found:
            raise ModelopsError(
                f"Dify {self.dify.url}: the account is in no workspace '{wanted}'. It is in: "
                + ", ".join(f"'{space.name}' ({space.id})" for space in known)
                + hint
            )
        return home if found[0].id == home.id else found[0]

    def _switch(self, target: Workspace) -> Workspace:
        answer = self.dify.call(
            "POST",
            f"{API}/workspaces/switch",
            f"switch to the workspace '{target.name}'",
            json={"tenant_id": target.id},
        )
        return Workspace(target.id, target.name, (answer.json.get("new_tenant") or {}).get("role") or "")

    def _back(self, home: Workspace, reason: BaseException | None) -> None:
        self.dify.before_change = None
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the way back is not broken off
        try:
            self._switch(home)
        except ModelopsError as exc:
            result = reason.result if isinstance(reason, ModelopsError) else {}
            first = f"{str(reason).rstrip('.')}. After that: " if reason is not None else ""
            kept = (
                f" The next run with {self._workspace_file.path} puts it back, too."
                if self._workspace_file.path
                else ""
            )
            raise ModelopsError(
                f"{first}the account's current workspace could not be set back to '{home.name}': "
                f"{str(exc).rstrip('.')}. Switch it in Dify.{kept}",
                **result,
            ) from exc
        self._note(home, None)


@contextlib.contextmanager
def _terminable() -> t.Iterator[None]:
    """Makes of SIGTERM an exception, as Python does of SIGINT, so that what was begun is taken back."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only that one gets signals
        return

    def stop(_number: int, _frame: object) -> None:
        raise Stopped("stopped by SIGTERM")

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
