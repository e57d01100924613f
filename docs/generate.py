# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes what is derived from something else; with --check says what is stale and exits 1.

* docs/variables.md: every variable of every role, from the roles' argument_specs
* playbooks/NAME.meta.yml: the argument specs of the variables that the head of a playbook names. No play asks for them
  (validate_argspec), because ansible-core before 2.20 refuses that keyword.
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
        lines += ["", f"## Role `{role}`", "", "| variable | type | default | what it is |", "|---|---|---|---|"]
        for name, option in rows(options_of(role)):
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


class Indented(yaml.SafeDumper):
    """Lists are indented, as yamllint wants them."""

    def increase_indent(self, flow=False, indentless=False):
        return super().increase_indent(flow, False)


def specs_of_playbook(playbook: Path) -> str:
    known = {name: option for role in ROLES for name, option in options_of(role).items()}
    head = head_of(playbook)
    for other in re.findall(r"those of (\w+)[.]yml", head):
        head += head_of(playbook.with_stem(other))
    sentence = re.split(r"[.:;](?= |\n|$)", re.sub(r"\n#? ?", " ", head.removeprefix("# ")))[0]
    # Lines of variables begin with a name; "or" names another one.
    named = re.findall(r"^# +(?:-e )?([a-z_]+)", head, re.MULTILINE)
    named += re.findall(r"^# +[a-z_]+ +or ([a-z_]+)", head, re.MULTILINE)
    options = {name: known[name] for name in named if name in known}
    spec = {"argument_specs": {playbook.stem: {"short_description": sentence, "options": options}}}
    return (
        f"---\n# Made by docs/generate.py from the head of {playbook.name} and the roles' argument_specs.\n"
        + yaml.dump(spec, Dumper=Indented, sort_keys=False, width=110)
    )


def head_of(playbook: Path) -> str:
    return re.match(r"---\n((?:#.*\n)+)", playbook.read_text())[1]


def options_of(role: str) -> dict:
    specs = yaml.safe_load((ROOT / "roles" / role / "meta/argument_specs.yml").read_text())
    return specs["argument_specs"]["main"]["options"]


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
    made = {"docs/variables.md": variables_table()}
    for playbook in sorted((ROOT / "playbooks").glob("*.yml")):
        if playbook.suffixes == [".yml"]:
            made[f"playbooks/{playbook.stem}.meta.yml"] = specs_of_playbook(playbook)
    for path, text in made.items():
        file = ROOT / path
        if not file.exists() or file.read_text() != text:
            stale.append(path)
            if "--check" not in sys.argv:
                file.write_text(text)
    for path in stale:
        print(f"{path}: {'is stale, run docs/generate.py' if '--check' in sys.argv else 'written'}")
    return 1 if stale and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
