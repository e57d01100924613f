# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A user in whose directory root works, and who swaps what is there for links all the time."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

UID = 54321
SECRET = "only root reads this"

# Each of both stands for a moment, whole: an os.replace() is one step.
_FILES = """
import os, sys
path, target, scratch, content, uid = sys.argv[1:]
draft = os.path.join(scratch, "draft")
while True:
    os.symlink(target, draft)
    os.replace(draft, path)
    if "started" not in globals():
        started = not print(flush=True)
    with open(draft, "w") as file:
        file.write(content)
    if os.geteuid() == 0:
        os.chown(draft, int(uid), int(uid))
    os.replace(draft, path)
"""
_DIRECTORIES = """
import os, sys
path, target, scratch = sys.argv[1:4]
aside, draft = os.path.join(scratch, "aside"), os.path.join(scratch, "draft")
while True:
    for step in (os.rename, path, aside), (os.symlink, target, path), (os.unlink, path), (os.rename, aside, path):
        try:
            step[0](*step[1:])
        except OSError:  # what is attacked removes it
            pass
    if "started" not in globals():
        started = not print(flush=True)
"""


def owns(directory: Path) -> None:
    """Makes a directory, and all that is in it, this user's; where that takes root, a directory that everybody may change."""
    for place, _folders, names in os.walk(directory):
        if os.geteuid() == 0:
            for path in (place, *(os.path.join(place, name) for name in names)):
                os.chown(path, UID, UID, follow_symlinks=False)
        else:
            os.chmod(place, 0o777)


def secret(directory: Path) -> Path:
    """A file that this user cannot read."""
    directory.mkdir(exist_ok=True)
    path = directory / "secret"
    path.write_text(SECRET)
    path.chmod(0o600)
    return path


@contextlib.contextmanager
def swaps(path: Path, target: Path, content: str = "{}"):
    """As long as the block runs, a file is swapped for a link and back, or a directory where one is there."""
    script = _DIRECTORIES if path.is_dir() else _FILES
    with tempfile.TemporaryDirectory(dir=path.parent.parent, prefix=".scratch-") as scratch:
        words = [sys.executable, "-c", script, str(path), str(target), scratch, content, str(UID)]
        with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
            process.stdout.readline()
            try:
                yield
            finally:
                process.terminate()
                process.wait()
                with contextlib.suppress(OSError):
                    os.rename(os.path.join(scratch, "aside"), path)


def times(seconds: float = 1.0, most: int = 10_000):
    """Counts, until the time is over."""
    end = time.monotonic() + seconds
    for number in range(most):
        if time.monotonic() > end:
            return
        yield number
