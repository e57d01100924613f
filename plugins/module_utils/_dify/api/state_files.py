# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files that keep a login at Dify for the play's other tasks, and the account's workspace for the next play.
Private to the collection."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
import time
import typing as t
from dataclasses import asdict

from ansible_collections.modelops.inference.plugins.module_utils import _locks as locks
from ansible_collections.modelops.inference.plugins.module_utils._dify.api.tokens import Tokens
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError

# How long kept tokens are used, in seconds. Dify's live 60 minutes unless ACCESS_TOKEN_EXPIRE_MINUTES says otherwise.
LIFE = 50 * 60

# How long a kept refusal keeps others from trying the same password, in seconds: about as long as a play takes.
REFUSED_FOR = 10 * 60


_File = t.TypeVar("_File", bound="StateFile")


class StateFile:
    """JSON in a file that one process at a time has open; a context manager. What is in it and cannot be used counts as nothing.

    :param path: None keeps nothing.
    :param key: the Dify and the account.
    """

    option = ""
    mode = 0o600
    #: Whether nobody else may own it, what nobody else may have of it, and that in words.
    own = True
    refused = 0o077
    fit = ""

    def __init__(self, path: str | None, key: str):
        self.path = path
        self.key = key
        self._file: t.TextIO | None = None

    def __enter__(self: _File) -> _File:
        if self.path:
            self._open(self.path, os.O_RDWR | os.O_CREAT)
        return self

    def __exit__(self, *exc: object) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    @contextlib.contextmanager
    def reading(self: _File) -> t.Iterator[_File]:
        """The same where nothing is written: a file that is not there is empty, and stays away."""
        if self.path and os.path.lexists(self.path):
            self._open(self.path, os.O_RDONLY)
        try:
            yield self
        finally:
            self.__exit__()

    def _open(self, path: str, flags: int) -> None:
        try:
            handle = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, self.mode)
        except OSError as exc:
            raise ModelopsError(f"{self.option}: {path} cannot be opened ({exc.strerror})") from exc
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode) or found.st_mode & self.refused or self.own and found.st_uid != os.geteuid():
            os.close(handle)
            raise ModelopsError(f"{self.option}: {path} {self.fit}. Remove it, or give another path.")
        self._file = os.fdopen(handle, "r+" if flags & os.O_RDWR else "r", encoding="utf-8")
        try:
            locks.take(handle, path, shared=not flags & os.O_RDWR)
        except locks.Held:
            self._file.close()
            raise

    def _put(self, entry: dict[str, t.Any], key: str = "") -> None:
        if self._file is None:
            return
        text = json.dumps({**self._all(), key or self.key: entry})
        self._file.seek(0)
        self._file.truncate()
        self._file.write(text)
        self._file.flush()

    def _all(self) -> dict[str, t.Any]:
        if self._file is None:
            return {}
        self._file.seek(0)
        try:
            found = json.load(self._file)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    def _entry(self, key: str) -> dict[str, t.Any]:
        found = self._all().get(key)
        return found if isinstance(found, dict) else {}


class SessionFile(StateFile):
    """Keeps tokens by Dify and account. While one task has it open, every other one waits: so only one logs in."""

    option = "session_file"
    fit = "must be a file that only the user running the module may read and write, because it stores a login"

    def read(self) -> Tokens | None:
        """The kept tokens; None where none can be used."""
        try:
            kept = self._all()[self.key]
            tokens = Tokens(dict(kept["headers"]), str(kept["refresh_token"]))
            return tokens if 0 <= time.time() - kept["since"] < LIFE else None
        except (KeyError, TypeError, ValueError):
            return None

    def write(self, tokens: Tokens) -> None:
        """Keeps tokens in place of those before."""
        self._put({**asdict(tokens), "since": time.time()})

    def refusal(self, password: str) -> str:
        """Why another task's try of this very password was refused; "" where none was.

        That is: none was made in the last REFUSED_FOR seconds, or with another password.
        """
        kept = self._entry(self.key)
        if not kept.get("refused") or kept.get("password") != self._digest(password):
            return ""
        try:
            age = time.time() - kept["since"]
        except (KeyError, TypeError):
            return ""
        if not 0 <= age < REFUSED_FOR:
            return ""
        return (
            f"{kept['refused']} That was {age:.0f} s ago, as session_file {self.path} tells, and is not tried again within "
            f"{REFUSED_FOR // 60} minutes; to try earlier, remove the file."
        )

    def refuse(self, password: str, said: str) -> None:
        """Keeps a refusal, so that the play's other tasks do not lock the account by trying again."""
        if self._file is not None:
            self._put({"refused": said, "password": self._digest(password), "since": time.time()})

    def _digest(self, password: str) -> str:
        return hashlib.pbkdf2_hmac("sha256", password.encode(), self.key.encode(), 200_000).hex()


class WorkspaceFile(StateFile):
    """Keeps, without a secret, where an account belongs: while it is switched, and where no workspace is named. Outlives a play."""

    option = "workspace_file"
    mode = 0o644
    own = False
    refused = 0o002
    fit = "must not be writable by everybody, because it names the workspace that an account was switched to"

    def leave(self, home: dict[str, str], there: str) -> None:
        """Keeps to which workspace the account belongs while it is switched to another one; {} and "" forget it.

        :param home: its ID and name.
        :param there: the ID of the other one.
        """
        pid = os.getpid()
        self._put({"home": home, "there": there, "pid": pid, "begun": _begun(pid)} if there else {}, self._left)

    def left(self) -> tuple[dict[str, str], str]:
        """The workspaces kept by ``leave``; none while the process that left it still works there."""
        kept = self._entry(self._left)
        home = kept.get("home")
        if not isinstance(home, dict) or not {"id", "name"} <= set(home) or _works(kept.get("pid"), kept.get("begun")):
            return {}, ""
        return {"id": str(home["id"]), "name": str(home["name"])}, str(kept.get("there"))

    def remember(self, name: str, workspace: str) -> None:
        """Keeps which workspace is meant where none is named.

        :param name: as it was given.  :param workspace: its ID.
        """
        self._put({"name": name, "id": workspace}, self._meant)

    def remembered(self) -> tuple[str, str]:
        """Name and ID kept by ``remember``; two times "" where none were."""
        kept = self._entry(self._meant)
        return (str(kept["name"]), str(kept["id"])) if {"name", "id"} <= set(kept) else ("", "")

    @property
    def _left(self) -> str:
        return f"{self.key} workspace"

    @property
    def _meant(self) -> str:
        return f"{self.key} default workspace"


def _works(pid: t.Any, begun: t.Any) -> bool:
    """Whether another process still runs. Its number alone does not tell: in a container a later run may have the same."""
    if not isinstance(pid, int) or pid <= 0 or pid == os.getpid():
        return False
    now = _begun(pid)
    if now and begun:
        return bool(now == begun)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True


def _begun(pid: int) -> str:
    """The start time of a process in the system's count; "" if unknown."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
