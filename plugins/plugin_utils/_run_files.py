# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Secrets of a run, from the task of one host to that of another.

They are in no variable, which a cache of facts might keep and any task could show, but in files of this run's own directory on the
controller, which Ansible removes at its end. For action plugins. Private to the collection.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets

from ansible import constants as C

from ansible_collections.modelops.inference.plugins.module_utils import _directory, _secrets


def keep(kind: str, name: str, secret: str) -> None:
    """Keeps a secret for this run.

    :param kind: of the secret.  :param name: such as the name of a host.
    """
    path = _path(kind, name)
    _directory.make_directory(os.path.dirname(path), 0o700)
    with open(
        os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "w", encoding="utf-8"
    ) as file:
        file.write(secret)


def read(kind: str, name: str) -> str:
    """A secret that was kept; "" where none was."""
    with contextlib.suppress(FileNotFoundError), open(_path(kind, name), encoding="utf-8") as file:
        found = file.read()
        _secrets.hide(found)
        return found
    return ""


def random(name: str) -> str:
    """A random text that all hosts of this run have by its name. It is made by the one that asks first, before others ask."""
    found = read("random", name)
    if not found:
        found = secrets.token_urlsafe(30)
        _secrets.hide(found)
        keep("random", name, found)
    return found


def _path(kind: str, name: str) -> str:
    directory: str = C.DEFAULT_LOCAL_TMP  # type: ignore[attr-defined] # set at run time
    return os.path.join(directory, f"modelops-{kind}", hashlib.sha256(name.encode()).hexdigest())
