# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The reconciler as one executable file (a zipapp) for where there is no Ansible.

The file holds its module util and those that it imports, as they are here: on the controller that is the collection, on a
host the payload of the module that runs. So both say the same digest. Private to the collection.
"""

from __future__ import annotations

import importlib.util
import io
import os
import re
import typing as t
import zipfile

from ansible_collections.modelops.inference.plugins.module_utils._xinference.reconciler import reconcile

# An import from this collection, in one line or between brackets. A syntax tree of each source takes five times as long as all the rest.
_IMPORT = re.compile(r"^ *from (ansible_collections\.modelops\.inference[\w.]*) import (\([^)]*\)|.*)$", re.MULTILINE)
_MAIN = "import sys\n\nfrom {name} import main\n\nsys.exit(main())\n"


def reconciler(base: str) -> bytes:
    """The program of the installation in the directory ``base``."""
    return archive(reconcile.__name__, os.path.join(base, "current", "bin", "python"))


def archive(name: str, interpreter: str) -> bytes:
    """The program, the same bytes for the same sources.

    :param name: dotted name of the util, whose ``main()`` returns the exit status.
    :param interpreter: path of the Python that runs it.
    """
    sources = _closure(name)
    files = {"__main__.py": _MAIN.format(name=name)}
    for module, source in sources.items():
        parts = module.split(".")
        files["/".join(parts) + ".py"] = source
        for depth in range(1, len(parts)):
            files.setdefault("/".join(parts[:depth]) + "/__init__.py", "")
    made = io.BytesIO()
    made.write(f"#!{interpreter}\n".encode())
    # Stored, with a time of its own: compression differs by the version of zlib.
    with zipfile.ZipFile(made, "a", zipfile.ZIP_STORED) as file:
        for path in sorted(files):
            file.writestr(zipfile.ZipInfo(path, (1980, 1, 1, 0, 0, 0)), files[path])
    return made.getvalue()


def _closure(name: str) -> dict[str, str]:
    """The util and what it imports of this collection, by dotted name; packages are empty and left out."""
    found: dict[str, str] = {}
    waiting = [name]
    while waiting:
        module = waiting.pop()
        source = _source(module)
        if module in found or source is None:
            continue
        found[module] = source
        for parent, names in _IMPORT.findall(source):
            # `from package import util` names a module where `from util import name` names none.
            waiting += [f"{parent}.{name}" for name in re.findall(r"\w+", names)] + [parent]
    return found


def _source(module: str) -> str | None:
    """The text of a module; None for a package, and for a name that is no module."""
    try:
        spec = importlib.util.find_spec(module)
    except ModuleNotFoundError:  # its parent is a module and no package
        return None
    if spec is None or spec.loader is None or spec.submodule_search_locations is not None:
        return None
    source: str | bytes | None = t.cast("t.Any", spec.loader).get_source(module)
    return source.decode() if isinstance(source, bytes) else source  # Ansible's loader of collections returns bytes
