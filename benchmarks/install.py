# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The same set of packages installed by uv and by pip, in the same run, cold and warm.

    PYTHONPATH=.venv/collections .venv/bin/python benchmarks/install.py [--python python3.11]

The set is the lock of a release: every package at its version, without dependencies, so that both do the same work.
It takes the lock of the release that MODELOPS_DIR (default ~/.local/share/modelops-inference) serves.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from ansible_collections.modelops.inference.plugins.module_utils._host.release.index import IndexSettings


def timed(words, env):
    start = time.monotonic()
    subprocess.run(words, check=True, env=env, capture_output=True)
    return time.monotonic() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    base = Path(os.environ.get("MODELOPS_DIR") or Path.home() / ".local/share/modelops-inference")
    parser.add_argument("--python", default=str((base / "current/bin/python").resolve()))
    options = parser.parse_args()
    lock = base / "current/lock.txt"
    uv = base / "tools/bin/uv"
    folder = Path(tempfile.mkdtemp(prefix="modelops-install-"))
    settings = IndexSettings.of_host({}, [str(base / "tools/bin/python"), "-m", "pip"])
    env = dict(
        os.environ,
        UV_CACHE_DIR=str(folder / "uv"),
        PIP_CACHE_DIR=str(folder / "pip"),
        PIP_DISABLE_PIP_VERSION_CHECK="1",
        **settings.environment(),
    )
    rows = []
    try:
        for cache in ("cold", "warm"):
            target = folder / f"uv-{cache}"
            timed([uv, "venv", "-q", "--python", options.python, target], env)
            by_uv = timed([uv, "pip", "install", "-q", "--no-deps", "--python", target / "bin/python", "-r", lock], env)
            target = folder / f"pip-{cache}"
            timed([options.python, "-m", "venv", target], env)
            by_pip = timed([target / "bin/python", "-m", "pip", "install", "-q", "--no-deps", "-r", lock], env)
            rows.append((cache, by_uv, by_pip))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{sum(1 for line in lock.open())} packages\n\n| cache | uv, s | pip, s | pip / uv |\n|---|---|---|---|")
    for cache, by_uv, by_pip in rows:
        print(f"| {cache} | {by_uv:.1f} | {by_pip:.1f} | {by_pip / by_uv:.1f} |")


if __name__ == "__main__":
    main()
