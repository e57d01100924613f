# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes a wheel that breaks Xinference 4.1 where it is installed beside it: broken_wheel.py DIRECTORY

The variable BROKEN of the process says how; the release that is returned to has it, too. start: neither supervisor nor worker
starts, though Xinference imports. serve: everything starts, models load, and each request for an answer fails.
"""

from __future__ import annotations

import os
import sys
import zipfile

BROKEN = """
import importlib.metadata
import importlib.util
import os
import sys

how = os.environ.get("BROKEN")
if how and not importlib.metadata.version("xinference").startswith("4.1."):
    how = None

async def broken(self, *args, **kwargs):
    raise RuntimeError("broken on purpose")

class Finder:
    def find_spec(self, name, path=None, target=None):
        if how == "start" and name in ("xinference.core.supervisor", "xinference.core.worker"):
            raise ImportError(f"{name} is broken on purpose")
        if how != "serve" or name != "xinference.core.model":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        execute = spec.loader.exec_module

        def exec_module(module):
            execute(module)
            module.ModelActor.chat = module.ModelActor.create_embedding = broken

        spec.loader.exec_module = exec_module
        return spec

sys.meta_path.insert(0, Finder())
"""


def main(directory: str) -> None:
    files = {
        "broken.py": BROKEN,
        # Python runs it at each start.
        "broken.pth": "import broken\n",
        "broken-1.dist-info/METADATA": "Metadata-Version: 2.1\nName: broken\nVersion: 1\n",
        "broken-1.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: by hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},,\n" for path in [*files, "broken-1.dist-info/RECORD"])
    with zipfile.ZipFile(os.path.join(directory, "broken-1-py3-none-any.whl"), "w") as archive:
        for path, text in {**files, "broken-1.dist-info/RECORD": record}.items():
            archive.writestr(path, text)


if __name__ == "__main__":
    main(sys.argv[1])
