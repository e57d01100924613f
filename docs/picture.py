# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Renders what a command prints in a terminal as a picture, by rich (requirements/test.txt has it).

    ANSIBLE_FORCE_COLOR=1 bin/site >screen
    tail -n 39 screen | .venvs/test/bin/python docs/picture.py bin/site docs/images/quickstart.svg

Its home directory stands as ~.
"""

from __future__ import annotations

import io
import os
import re
import sys
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

WIDTH = 132
# The reader's own font: the template would fetch one from a server.
TEMPLATE = re.sub(r"@font-face {{.*?}}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)


def picture(command: str, screen: str) -> str:
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="standard")
    console.print(Text.from_ansi(f"\x1b[1m$ {command}\x1b[0m\n{screen}", no_wrap=True, overflow="ellipsis"))
    return console.export_svg(title=command, code_format=TEMPLATE, unique_id="terminal")


def main() -> None:
    command, path = sys.argv[1:]
    Path(path).write_text(picture(command, sys.stdin.read().replace(os.path.expanduser("~"), "~")))


if __name__ == "__main__":
    main()
