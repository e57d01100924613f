# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""This machine's pip settings for others to use: uv, which does not read them, and test hosts.

    python _pip_settings.py uv      shell lines that export uv's variables; one that is set already stays
    python _pip_settings.py conf    an equal pip.conf
    python _pip_settings.py paths   the files and directories of this machine that the settings name, one a line

Run by an interpreter that has pip, with the collection on PYTHONPATH.
"""

from __future__ import annotations

import os
import shlex
import sys

from ansible_collections.modelops.inference.plugins.module_utils._host.release.index import IndexSettings


def uv(settings: IndexSettings) -> list[str]:
    variables = settings.environment().items()
    return [f"export {name}={shlex.quote(value)}" for name, value in variables if name not in os.environ]


def conf(settings: IndexSettings) -> list[str]:
    variables = settings.pip_environment().items()
    options = [f"{name[4:].lower().replace('_', '-')} = {value}" for name, value in variables if name[:4] == "PIP_"]
    return ["[global]", *options]


def paths(settings: IndexSettings) -> list[str]:
    values = settings.pip_environment().values()
    words = [word.removeprefix("file://").rstrip("/") for value in values for word in value.split()]
    # An index's pages, in .../simple, link to files beside it.
    local = {os.path.dirname(word) if os.path.basename(word) == "simple" else word for word in words}
    return sorted(path for path in local if path.startswith("/") and os.path.exists(path))


if __name__ == "__main__":
    answers = {"uv": uv, "conf": conf, "paths": paths}
    if len(sys.argv) != 2 or sys.argv[1] not in answers:
        sys.exit(__doc__)
    print("\n".join(answers[sys.argv[1]](IndexSettings.of_host({}, [sys.executable, "-m", "pip"]))))
