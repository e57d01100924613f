# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which part of the plugins may import which: imports go down only (docs/architecture.md)."""

import ast
import collections
from pathlib import Path

import pytest

PLUGINS = Path(__file__).resolve().parents[3] / "plugins"
PREFIX = "ansible_collections.modelops.inference.plugins."
# Rooms: each imports only those before it in its list. One that is added stands here, too.
ROOMS = {
    "_host": ["system", "release", "weights", "bundle", "service", "firewall"],
    "_xinference": [
        "api",
        "users",
        "declaration",
        "needs",
        "catalog",
        "placement",
        "launching",
        "draining",
        "reconciler",
        "runs",
    ],
}
# The first may not import the second.
FORBIDDEN = [
    ("module_utils", "plugin_utils"),
    ("module_utils", "modules"),
    ("module_utils", "action"),
    ("module_utils", "filter"),
    ("modules", "plugin_utils"),
    ("modules", "action"),
    ("modules", "filter"),
    ("module_utils._host", "module_utils._xinference"),
    ("module_utils._host", "module_utils._dify"),
    ("module_utils._accelerator", "module_utils._xinference"),
    ("module_utils._accelerator", "module_utils._dify"),
    ("module_utils._xinference", "module_utils._dify"),
]
# Lines of a room, and of a file.
ROOM_LINES, FILE_LINES = 2500, 450
# Files that are larger still. They may only get smaller.
LARGER = {"_dify/models.py": 646, "_dify/session.py": 636, "_dify/plugins.py": 507}


def imported(source):
    """Dotted names below plugins/ that a source imports, those of a package's modules included."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PREFIX):
            module = node.module[len(PREFIX) :]
            yield from (f"{module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (a.name[len(PREFIX) :] for a in node.names if a.name.startswith(PREFIX))


def sources(part=""):
    return sorted((PLUGINS / part.replace(".", "/")).rglob("*.py"))


def below(part, name):
    return name == part or name.startswith(f"{part}.")


def climbs(house, room, name):
    """Whether a file of a room that imports this name imports a later room of the house."""
    parts = name.split(".")
    if parts[:2] != ["module_utils", house]:
        return False
    return ROOMS[house].index(parts[2]) > ROOMS[house].index(room)


@pytest.mark.parametrize("importer, other", FORBIDDEN)
def test_nothing_is_imported_against_the_direction(importer, other):
    wrong = [
        f"{path.relative_to(PLUGINS)} imports {name}"
        for path in sources(importer)
        for name in imported(path.read_text())
        if below(other, name)
    ]
    assert wrong == []


@pytest.mark.parametrize("house", ROOMS)
def test_rooms_import_only_those_before_them(house):
    there = {path.parent.name for path in sources(f"module_utils.{house}")} - {house}
    assert there == set(ROOMS[house])
    wrong = [
        f"{room}/{path.name} imports {name}"
        for room in ROOMS[house]
        for path in sources(f"module_utils.{house}.{room}")
        for name in imported(path.read_text())
        if climbs(house, room, name)
    ]
    assert wrong == []


def test_an_import_that_goes_up_is_found():
    [upward] = imported(f"from {PREFIX}module_utils._xinference.launching import launch")
    assert climbs("_xinference", "api", upward) and not climbs("_xinference", "draining", upward)
    assert below("module_utils._xinference", upward) and not below("module_utils._x", upward)


def test_files_stay_small():
    lines = {f"{path.parent.name}/{path.name}": len(path.read_text().splitlines()) for path in sources()}
    large = {name: count for name, count in lines.items() if count > LARGER.get(name, FILE_LINES)}
    assert large == {}, "divide these by subject"


def test_rooms_of_xinference_stay_small():
    rooms = collections.Counter()
    for path in sources("module_utils._xinference"):
        rooms[path.parent.name] += len(path.read_text().splitlines())
    assert {room: lines for room, lines in rooms.items() if lines > ROOM_LINES} == {}
