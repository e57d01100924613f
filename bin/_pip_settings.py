# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""pip's settings, so that whatever else installs packages reaches the same mirrors.

    python _pip_settings.py uv      shell lines that export them as uv's variables (uv does not read pip's configuration)
    python _pip_settings.py json    {"conf": text of an equal pip.conf, "paths": local files and directories it names}

Needs an interpreter with pip: pip itself merges its files and PIP_* variables (`pip config list`).
"""

from __future__ import annotations

import ast
import json
import os
import shlex
import subprocess
import sys

# pip's option: (uv's variable, separator of a list)
UV = {
    "index-url": ("UV_DEFAULT_INDEX", " "),
    "extra-index-url": ("UV_INDEX", " "),
    "find-links": ("UV_FIND_LINKS", ","),
    "no-index": ("UV_NO_INDEX", " "),
    "constraint": ("UV_CONSTRAINT", " "),
    "trusted-host": ("UV_INSECURE_HOST", " "),
    "timeout": ("UV_HTTP_TIMEOUT", " "),
    "cert": ("SSL_CERT_FILE", " "),
    "client-cert": ("SSL_CLIENT_CERT", " "),
    "proxy": ("ALL_PROXY", " "),
}
# Of two values for one option pip takes the later: files first, then what is for `install` only, then the environment.
SECTIONS = ("global", "install", ":env:")


def pip_settings() -> dict[str, str]:
    """Option name to value, as `pip install` would see them."""
    listing = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], check=True, capture_output=True, text=True
    ).stdout
    found: dict[str, dict[str, str]] = {section: {} for section in SECTIONS}
    for line in listing.splitlines():
        key, _sep, value = line.partition("=")
        section, _sep, option = key.rpartition(".")
        option = {"default-timeout": "timeout"}.get(option, option)
        if section in found and option in UV:
            found[section][option] = " ".join(str(ast.literal_eval(value)).split())
    return {option: value for section in SECTIONS for option, value in found[section].items()}


def uv_exports(settings: dict[str, str]) -> str:
    """A variable that is already set wins."""
    values = {UV[option][0]: UV[option][1].join(value.split()) for option, value in settings.items()}
    # pip takes the best version of all indexes; uv by default stops at the first index that has the package.
    values["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    return "\n".join(f"export {k}={shlex.quote(v)}" for k, v in values.items() if k not in os.environ)


def local_paths(settings: dict[str, str]) -> list[str]:
    """Local files and directories named in the settings: a host needs them at the same place."""
    words = [word.removeprefix("file://").rstrip("/") for value in settings.values() for word in value.split()]
    # An index's pages, in .../simple, link to files beside it.
    paths = {os.path.dirname(word) if os.path.basename(word) == "simple" else word for word in words}
    return sorted(path for path in paths if path.startswith("/") and os.path.exists(path))


if __name__ == "__main__":
    current = pip_settings()
    if sys.argv[1:] == ["uv"]:
        print(uv_exports(current))
    elif sys.argv[1:] == ["json"]:
        conf = "[global]\n" + "".join(f"{option} = {value}\n" for option, value in current.items())
        print(json.dumps({"conf": conf, "paths": local_paths(current)}))
    else:
        sys.exit(__doc__)
