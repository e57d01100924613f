# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Contents of the documents: code blocks of pages, heads of playbooks, and their commands."""

from __future__ import annotations

import re
import textwrap
import typing as t
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PATTERNS = ("*.md", "docs/**/*.md", "roles/*/README.md", ".github/*.md")
#: Inline code is a command where it begins with one of these and goes on.
PROGRAMS = ("bin/site", "bin/test", "ansible", "ansible-doc", "ansible-galaxy", "ansible-playbook", "ansible-vault")
#: Within an item of a list a block is indented.
FENCED = re.compile(r"^( *)```(\S*)\n(.*?)^\1```", re.MULTILINE | re.DOTALL)


class Command(t.NamedTuple):
    page: str
    line: int
    text: str


class Block(t.NamedTuple):
    page: str
    line: int
    language: str
    text: str

    def commands(self) -> list[Command]:
        """Those of a console block: lines after "$ ", each with what it continues on, without comments."""
        found = []
        for match in re.finditer(r"^\$ ((?:.*\\\n)*.*)$", self.text, re.MULTILINE):
            found.append(Command(self.page, self.line + self.text[: match.start()].count("\n"), uncommented(match[1])))
        return found


def uncommented(text: str) -> str:
    return re.sub(r"\s+# .*$", "", text, flags=re.MULTILINE).strip()


def pages() -> list[Path]:
    return sorted(path for pattern in PATTERNS for path in ROOT.glob(pattern))


def playbooks() -> list[Path]:
    return sorted(path for path in ROOT.glob("playbooks/*.yml") if not path.name.endswith(".meta.yml"))


def blocks(path: Path) -> list[Block]:
    """The code blocks of a page."""
    text, page = path.read_text(), str(path.relative_to(ROOT))
    return [
        Block(page, text[: match.start(3)].count("\n") + 1, match[2], textwrap.dedent(match[3]))
        for match in FENCED.finditer(text)
    ]


def inline(path: Path) -> list[Command]:
    """Commands within the sentences of a page; of those with a <placeholder> any word is an example."""
    text, page = path.read_text(), str(path.relative_to(ROOT))
    prose = FENCED.sub(lambda match: "\n" * match[0].count("\n"), text)
    found = re.finditer(rf"`((?:{'|'.join(map(re.escape, PROGRAMS))}) [^`]+)`", prose)
    return [Command(page, prose[: match.start()].count("\n") + 1, " ".join(match[1].split())) for match in found]


def head(path: Path) -> list[Command]:
    """The commands in the comment at the head of a playbook. "..." is the last whole one."""
    before, found = "", []
    lines = path.read_text().partition("\n- ")[0]
    for match in re.finditer(r"^#   ((?:ansible-playbook|\.\.\.) (?:.*\\\n)*.*)$", lines, re.MULTILINE):
        text = uncommented(re.sub(r"^#", "", match[1], flags=re.MULTILINE))
        if text.startswith("..."):
            text = before + text.removeprefix("...")
        else:
            before = text
        found.append(Command(str(path.relative_to(ROOT)), lines[: match.start()].count("\n") + 1, text))
    return found
