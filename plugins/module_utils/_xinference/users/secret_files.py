# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files that hold one secret, such as a password or a key. Private to the collection."""

from __future__ import annotations

import os
import stat

from ansible_collections.modelops.inference.plugins.module_utils import _log as log
from ansible_collections.modelops.inference.plugins.module_utils import _secrets
from ansible_collections.modelops.inference.plugins.module_utils._directory import Directory, Refused
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError

FILE_MODE = 0o600


def find_token(given: str | None, path: str | None) -> str | None:
    return given or (log.setup_token(path) if path else None)


def _read(what: str, path: str) -> tuple[str | None, int]:
    """Text and mode of a file that holds a secret; None where there is none.

    Its directory may be the service's, whose user could have another file of root's sent to the server by a link to it.
    """
    try:
        with Directory.at(os.path.dirname(path)) as directory:
            owner = directory.owner[0]
            # Another user could have moved a file of root's here, or linked it.
            owners = (0, os.geteuid(), owner) if directory.safe else (owner,)
            with directory.open(os.path.basename(path), owners) as file:
                text = _secrets.decoded(file.read(), f"{what}: {path}").strip()
                return text, stat.S_IMODE(os.fstat(file.fileno()).st_mode)
    except FileNotFoundError:
        return None, 0
    except Refused as exc:
        raise ModelopsError(
            f"{what}: {path} is not read: {exc.strerror}. It must be a regular file of its directory's owner. Remove it, "
            "or give it to that user."
        ) from exc
    except OSError as exc:
        raise ModelopsError(f"{what}: {path} cannot be read ({exc.strerror})") from exc


def read_secret(what: str, path: str) -> str | None:
    """The secret that a file holds; None where there is none."""
    return _read(what, path)[0]


def write(what: str, path: str, value: str) -> None:
    """Replaces a file in one step; readable by its owner only from the first byte on.

    It keeps its owner. A new one of root belongs to whoever owns the directory.
    """
    try:
        with Directory.at(os.path.dirname(path)) as directory:
            name = os.path.basename(path)
            about = directory.stat(name)
            owner = (about.st_uid, about.st_gid) if about else directory.owner
            directory.write(name, value + "\n", FILE_MODE, owner)
    except OSError as exc:
        raise ModelopsError(f"{what}: {path} cannot be written ({exc.strerror})") from exc
