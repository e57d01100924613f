# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes what is derived from something else; with --check says what is stale and exits 1.

* docs/variables.md: every variable of every role, from the roles' argument_specs
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
ROLES = ("accelerator", "xinference", "models", "dify")


def variables_table() -> str:
    lines = [
        "# Variables",
        "",
        "Made by docs/generate.py from the roles' argument_specs, where each has its full text (`ansible-doc -t role`).",
    ]
    for role in ROLES:
        specs = yaml.safe_load((ROOT / "roles" / role / "meta/argument_specs.yml").read_text())["argument_specs"]
        lines += ["", f"## Role `{role}`", "", "| variable | type | default | what it is |", "|---|---|---|---|"]
        for name, option in rows(specs["main"]["options"]):
            text = option.get("description", "")
            text = (text[0] if isinstance(text, list) else text).replace("|", "\\|").replace("\n", " ")
            text = plain(text)
            kind = option.get("type", "str") + (f" of {option['elements']}" if "elements" in option else "")
            if "choices" in option:
                kind += ": " + ", ".join(f"`{choice}`" for choice in option["choices"] if choice != "")
            default = "required" if option.get("required") else ""
            if "default" in option:
                told = plain(str(option["default"]))
                # A computed default is told in words, with markup of their own.
                default = told if told != str(option["default"]) else f"`{told}`"
            lines.append(f"| `{name}` | {kind} | {default} | {text} |")
    return "\n".join(lines) + "\n"


def plain(text: str) -> str:
    """Ansible's markup as Markdown's."""
    return re.sub(r"\b(?:[CVOM]|RV)\((?:ignore:)?([^)]*)\)", r"`\1`", text)


def rows(options: dict, prefix: str = ""):
    for name, option in options.items():
        yield prefix + name, option
        nested = option.get("options")
        if nested:
            yield from rows(nested, f"{prefix}{name}[]." if option.get("type") == "list" else f"{prefix}{name}.")


def main() -> int:
    stale = []
    for path, make in (("docs/variables.md", variables_table),):
        file, text = ROOT / path, make()
        if not file.exists() or file.read_text() != text:
            stale.append(path)
            if "--check" not in sys.argv:
                file.write_text(text)
    for path in stale:
        print(f"{path}: {'is stale, run docs/generate.py' if '--check' in sys.argv else 'written'}")
    return 1 if stale and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
