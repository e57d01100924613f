# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The one base of errors that a user is meant to read. Private to the collection."""

from __future__ import annotations

import typing as t


class ModelopsError(Exception):
    """A failure whose text names its subject, the problem and the fix.

    :param result: further keys for the module's result (a table of what happened, say).
    :ivar of_program: whether a program on this machine failed.
    """

    of_program = False

    def __init__(self, message: str, **result: t.Any):
        super().__init__(message)
        self.result = result
