# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""This machine's pip settings for others to use: uv, which does not read them, and test hosts.

    python _pip_settings.py uv      shell lines that export uv's variables; one that is set already stays
    python _pip_settings.py host    {"pip_conf": text of an equal pip.conf, "paths": what it names of this machine's disk}

Run by an interpreter that has pip, with the collection on PYTHONPATH.
"""

from __future__ import annotations

import json
import os
import shlex
import sys

from ansible_collections.modelops.inference.plugins.module_utils._host.index import IndexSettings


def uv(settings: IndexSettings) -> str:
    variables = settings.environment().items()
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in variables if name not in os.environ)


def host(settings: IndexSettings) -> str:
    variables = settings.pip_environment().items()
    options = [f"{name[4:].lower().replace('_', '-')} = {value}" for name, value in variables if name[:4] == "PIP_"]
    words = [word.removeprefix("file://").rstrip("/") for _name, value in variables for word in value.split()]
    # An index's pages, in .../simple, link to files beside it.
    paths = {os.path.dirname(word) if os.path.basename(word) == "simple" else word for word in words}
    return json.dumps(
        {
            "pip_conf": "\n".join(["[global]", *options, ""]),
            "paths": sorted(path for path in paths if path.startswith("/") and os.path.exists(path)),
        }
    )


if __name__ == "__main__":
    answers = {"uv": uv, "host": host}
    if len(sys.argv) != 2 or sys.argv[1] not in answers:
        sys.exit(__doc__)
    print(answers[sys.argv[1]](IndexSettings.of_host({}, [sys.executable, "-m", "pip"])))
