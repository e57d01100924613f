# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files of the controller go to a host in pieces, by Ansible's own connection. Private to the collection.

So they can be of any size, need no second copy on the controller, and go on where a broken run ended.
"""

from __future__ import annotations

import hashlib
import tempfile
import typing as t

from ansible import constants as C
from ansible.errors import AnsibleActionFail

# Bytes of one piece; each costs a module execution, and lies in the temporary directories of both machines.
PIECE = 1 << 27


class Pieces:
    """A part of an action plugin."""

    _connection: t.Any
    _make_tmp_path: t.Callable[..., str]
    _transfer_file: t.Callable[[str, str], str]
    _fixup_perms2: t.Callable[..., t.Any]

    def _send(self, files: t.Sequence[tuple[str, int]], offset: int) -> dict[str, str]:
        """Sends the piece at an offset of files that follow one another.

        :param files: path and bytes of each.
        :returns: {"path": on the host, "sha256"}.
        """
        tmp = self._connection._shell.tmpdir or self._make_tmp_path()
        remote = self._connection._shell.join_path(tmp, "piece")
        with tempfile.NamedTemporaryFile(dir=C.DEFAULT_LOCAL_TMP) as piece:  # type: ignore[attr-defined] # set at run time
            sha256 = cut(files, offset, piece)
            self._transfer_file(piece.name, remote)
        self._fixup_perms2((tmp, remote))
        return {"path": remote, "sha256": sha256}


def cut(files: t.Sequence[tuple[str, int]], offset: int, piece: t.IO[bytes]) -> str:
    """Writes the piece at an offset; returns its SHA-256."""
    digest = hashlib.sha256()
    room = PIECE
    for path, size in files:
        if offset < size and room:
            with open(path, "rb") as source:
                source.seek(offset)
                left = min(size - offset, room)
                room -= left
                while left:
                    block = source.read(min(left, 1 << 20))
                    if not block:
                        raise AnsibleActionFail(f"{path} on the controller shrank during the transfer. Run this again.")
                    digest.update(block)
                    piece.write(block)
                    left -= len(block)
        offset = max(0, offset - size)
    piece.flush()
    return digest.hexdigest()
