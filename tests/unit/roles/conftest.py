# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import sys

import pytest


@pytest.fixture
def installed(tmp_path):
    """``installed(2)`` -> variables of a host 127.0.0.2 whose directory looks installed: this Python, and no service."""

    def host(number: int) -> dict:
        directory = tmp_path / f"host{number}"
        (directory / "current" / "bin").mkdir(parents=True)
        # A link to a virtual environment's Python would not find that environment.
        python = directory / "current" / "bin" / "python"
        python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
        python.chmod(0o755)
        for name in ("etc", "reconciler", "home"):
            (directory / name).mkdir()
        return {"xinference_host": f"127.0.0.{number}", "xinference_dir": str(directory)}

    return host
