# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which part of the plugins may import which: imports go down only (docs/architecture.md)."""

import ast
import collections
import functools
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
    "_dify": ["api", "plugin", "models", "targets", "runs"],
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
    ("plugin_utils._site", "plugin_utils._dify"),
    ("module_utils._host", "module_utils._xinference"),
    ("module_utils._host", "module_utils._dify"),
    ("module_utils._accelerator", "module_utils._xinference"),
    ("module_utils._accelerator", "module_utils._dify"),
    ("module_utils._xinference", "module_utils._dify"),
]
# Lines of a room, of a file, and of a function.
ROOM_LINES, FILE_LINES, FUNCTION_LINES = 2500, 450, 60
# Classes that Ansible looks for by these names in every file.
OF_ANSIBLE = {"ActionModule", "FilterModule", "ModuleDocFragment"}


@functools.cache
def text(path):
    return path.read_text()


@functools.cache
def imported(source):
    """Dotted names below plugins/ that a source imports, those of a package's modules included."""
    return list(_imported(source))


def _imported(source):
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
        for name in imported(text(path))
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
        for name in imported(text(path))
        if climbs(house, room, name)
    ]
    assert wrong == []


def test_hosts_get_nothing_that_only_the_controller_uses():
    """It belongs in plugin_utils: what a module does not import is sent to no host."""
    names = {".".join(path.relative_to(PLUGINS).with_suffix("").parts): path for path in sources()}
    reached, waiting = set(), [name for name in names if below("modules", name)]
    while waiting:
        name = waiting.pop()
        if name in reached:
            continue
        reached.add(name)
        for each in imported(text(names[name])):
            waiting += [found for found in (each, each.rpartition(".")[0]) if found in names]
    shared = {name for name in names if below("module_utils", name) and not name.endswith("__init__")}
    assert sorted(shared - reached) == []


def test_shared_files_import_no_room():
    shared = [path for path in sources("module_utils") if path.parent.name == "module_utils"]
    wrong = [
        f"{path.name} imports {name}" for path in shared for name in imported(text(path)) if name.split(".")[1] in ROOMS
    ]
    assert shared and wrong == []


def test_an_import_that_goes_up_is_found():
    [upward] = imported(f"from {PREFIX}module_utils._xinference.launching import launch")
    assert climbs("_xinference", "api", upward) and not climbs("_xinference", "draining", upward)
    assert below("module_utils._xinference", upward) and not below("module_utils._x", upward)


def test_files_stay_small():
    lines = {str(path.relative_to(PLUGINS)): len(text(path).splitlines()) for path in sources()}
    assert {name: count for name, count in lines.items() if count > FILE_LINES} == {}, "divide these by subject"


def test_functions_stay_short():
    lines = {
        f"{path.relative_to(PLUGINS)}: {node.name}": node.end_lineno - node.lineno + 1
        for path in sources()
        for node in ast.walk(ast.parse(text(path)))
        if isinstance(node, ast.FunctionDef)
    }
    assert {name: count for name, count in lines.items() if count > FUNCTION_LINES} == {}, "divide these by task"


@pytest.mark.parametrize("house", ROOMS)
def test_rooms_stay_small(house):
    rooms = collections.Counter()
    for path in sources(f"module_utils.{house}"):
        rooms[path.parent.name] += len(text(path).splitlines())
    assert {room: lines for room, lines in rooms.items() if lines > ROOM_LINES} == {}


def test_each_class_has_a_name_of_its_own():
    """A name means one thing everywhere, so that a reader need not look where it is imported from."""
    files = collections.defaultdict(list)
    for path in sources():
        for node in ast.parse(text(path)).body:
            if isinstance(node, ast.ClassDef) and node.name not in OF_ANSIBLE:
                files[node.name].append(str(path.relative_to(PLUGINS)))
    assert {name: where for name, where in files.items() if len(where) > 1} == {}
