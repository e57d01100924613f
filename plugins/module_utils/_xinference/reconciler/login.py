# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The reconciler's login, which never tries a refused password again. Private to the collection."""

from __future__ import annotations

import time
import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._session import Answer
from ansible_collections.modelops.inference.plugins.module_utils._xinference.api.access import NEXT
from ansible_collections.modelops.inference.plugins.module_utils._xinference.api.client import Client
from ansible_collections.modelops.inference.plugins.module_utils._xinference.reconciler.options import Options
from ansible_collections.modelops.inference.plugins.module_utils._xinference.reconciler.state import (
    ReconcilerState,
    file_identity,
    save_state,
)

# Seconds for which Xinference bans an address after ten failed logins.
_BAN = 3600.0


class LoginRefused(ModelopsError):
    """The server does not take the password, which is not tried again."""


class Login:
    """:param state: where a refusal is kept for the next turn."""

    def __init__(self, client: Client, options: Options, state: ReconcilerState):
        self.client, self.options, self.state = client, options, state
        self._known_by: str | None = None  # which password files there were at the login

    def enter(self) -> None:
        """Logs in once with the same password files: after a refusal only when they change, after a ban in an hour.

        :raises LoginRefused: the server takes no password that is there.
        """
        client, path = self.client, self.options.password_file
        which = f"{file_identity(path)} {file_identity(path + NEXT)}".strip()
        if which == self._known_by:
            return
        if client.needs_auth():
            refused = self.state.refused
            if refused and refused["file"] == which and (refused["until"] or time.time() + 1) > time.time():
                raise LoginRefused(refused["why"])
            answer = self._try_files(which)
            self.state.refused = None
            if answer.status != 200:
                self.state.refused = self._refusal(which, answer)
            save_state(self.options, self.state)
            if self.state.refused:
                raise LoginRefused(self.state.refused["why"])
        self._known_by = which

    def _try_files(self, which: str) -> Answer:
        """One attempt; and where a rotation broke off before the file had the new password, one with that, first or second."""
        path = self.options.password_file
        files = [path, path + NEXT] if file_identity(path + NEXT) else [path]
        if self.state.by_next == which:
            files.reverse()
        answer = self._attempt(files[0])
        if answer.status == 401 and len(files) > 1:
            files.reverse()
            answer = self._attempt(files[0])
        self.state.by_next = which if answer.status == 200 and files[0] != path else ""
        return answer

    def _attempt(self, path: str) -> Answer:
        self.client.use_password(None, path)
        try:
            self.client.check_password()
        except ModelopsError as exc:
            raise LoginRefused(str(exc)) from exc
        return self.client.take_token()

    def _refusal(self, which: str, answer: Answer) -> dict[str, t.Any]:
        client, path = self.client, self.options.password_file
        banned = answer.status == 429
        why = (
            f"{client.endpoint} refused the password of {client.username!r} in {path} ({answer.status}: {answer.detail}). "
            + (
                "Too many logins failed; the next attempt is in an hour."
                if banned
                else "It retries only when that file changes. Remove the file and run site.yml, which creates a new one."
            )
        )
        return {"file": which, "until": time.time() + _BAN if banned else None, "why": why}
