# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The pages that people read: links lead somewhere, and lists of modules and playbooks are complete."""

from __future__ import annotations

import re
from pathlib import Path

import documented
import pytest

ROOT = Path(__file__).resolve().parents[3]
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "roles/*/README.md", ".github/*.md")
    for path in ROOT.glob(pattern)
    if "docsite" not in path.parts
)
LINK = re.compile(r"\[[^\]]*\]\((?!https?://)([^)#\s]*)(?:#([^)\s]+))?\)")


def prose(path):
    """A page without its code blocks."""
    return documented.FENCED.sub("", path.read_text())


def anchors(path):
    """The anchors of a page's headings, as code hosts make them."""
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")
        for heading in re.findall(r"^#+ (.+)$", prose(path), flags=re.MULTILINE)
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_a_page_and_its_heading(page):
    for target, anchor in LINK.findall(prose(page)):
        there = (page.parent / target).resolve() if target else page
        assert there.exists(), f"{page.name} links to {target}, which is not there"
        assert not anchor or anchor in anchors(there), f"{page.name} links to {target}#{anchor}, which is no heading"


def test_the_readme_stays_short():
    assert len((ROOT / "README.md").read_text().splitlines()) < 150


def test_the_readme_has_the_sections_that_certification_asks_for():
    wanted = """Description, Quick start, Your own hosts, Requirements, Installation, Use cases, Testing, Contributing, Support,
        Release notes, Related information, License"""
    found = [re.findall(r"^## (.+)$", prose(ROOT / name), re.MULTILINE) for name in ("README.md", "README.zh.md")]
    assert found[0] == [name.strip() for name in wanted.split(",")]
    assert len(found[1]) == len(found[0])


HOW_TO = (
    "adopt accelerators bundle day2 dify fleet models modules secrets security shared-card tutorial upgrade".split()
)


@pytest.mark.parametrize("name", HOW_TO)
def test_a_how_to_page_has_the_form_of_the_others(name):
    """Who it is for, what it needs, tasks, how to verify, where errors are explained, and what comes next."""
    text = (ROOT / f"docs/{name}.md").read_text()
    heads = re.findall(r"^## (.+)$", prose(ROOT / f"docs/{name}.md"), flags=re.MULTILINE)
    assert re.match(r"# .+\nFor ", text)
    assert heads[0] == "Prerequisites" and heads[-3:] == ["Verify", "If it fails", "Next"]
    assert "troubleshooting.md" in text


# variables.md is made from the argument specs, whose descriptions are one cell each.
WIDE = ["variables.md"]


@pytest.mark.parametrize("page", [page for page in PAGES if page.name not in WIDE], ids=lambda path: path.stem)
def test_lines_are_short_enough_to_read(page):
    assert not [line for line in page.read_text().splitlines() if len(line) > 140]


def test_every_page_is_linked():
    linked = {
        (page.parent / target).resolve() for page in PAGES for target, _anchor in LINK.findall(prose(page)) if target
    }
    assert not [path.name for path in PAGES if path.relative_to(ROOT).parts[0] == "docs" and path not in linked]


def test_the_list_of_modules_is_complete():
    listed = set(re.findall(r"`(\w+)`", (ROOT / "docs/modules.md").read_text()))
    assert not {path.stem for path in ROOT.glob("plugins/modules/[!_]*.py")} - listed


def test_every_playbook_is_described():
    text = "".join(page.read_text() for page in PAGES)
    playbooks = [path.stem for path in ROOT.glob("playbooks/*.yml") if path.suffixes == [".yml"]]
    assert not [name for name in playbooks if not re.search(rf"\b{name}\b", text)]


def commands(path):
    """Code blocks of a page without their comments."""
    return [
        (block.language, re.sub(r"[ \t]*#.*$", "", block.text, flags=re.MULTILINE)) for block in documented.blocks(path)
    ]


def test_the_chinese_readme_has_the_same_commands():
    assert commands(ROOT / "README.zh.md") == commands(ROOT / "README.md")


def test_every_symptom_has_a_message_a_cause_and_a_fix():
    page = (ROOT / "docs/troubleshooting.md").read_text()
    for symptom in re.split(r"^### ", page, flags=re.MULTILINE)[1:]:
        title, _newline, text = symptom.partition("\n")
        assert re.findall(r"^- \*\*(\w+):\*\*", text, re.MULTILINE) == ["Message", "Cause", "Fix"], title


def test_messages_of_troubleshooting_are_those_of_the_collection():
    """Each quoted message, piece by piece between its "…", stands in a literal of the plugins."""
    code = "".join(path.read_text() for path in sorted((ROOT / "plugins").rglob("*.py")))
    code = re.sub(r"\"\s*\n\s*f?\"", "", code)
    page = (ROOT / "docs/troubleshooting.md").read_text()
    rows = re.findall(r"^### (.+)\n- \*\*Message:\*\* `([^`]+)`$", page, re.MULTILINE)
    assert len(rows) > 25
    lost = {symptom: piece for symptom, message in rows for piece in message.split("…") if piece.strip() not in code}
    assert not lost
