# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Running programs on a host. Private to the collection."""

from __future__ import annotations

import io
import os
import pwd
import subprocess
import typing as t

from ansible_collections.modelops.inference.plugins.module_utils import _log as log
from ansible_collections.modelops.inference.plugins.module_utils._directory import Directory, opened
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError

#: Environment variables that pass from Ansible's user to programs that outlive a run or act as the server. With a local
#: connection the others may be anything, such as a secret. The names of libraries and devices come from a container's image.
INHERITED = (
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TZ",
    "TMPDIR",
    "LD_LIBRARY_PATH",
    "CUDA_HOME",
    "NVIDIA_VISIBLE_DEVICES",
    "NVIDIA_DRIVER_CAPABILITIES",
    "ROCM_PATH",
    "ASCEND_HOME_PATH",
)


class CommandFailed(ModelopsError):
    """A program ended with an error, could not be started or took too long.

    :ivar output: the last lines of what it printed.
    """

    of_program = True

    def __init__(self, what: str, output: str):
        # An index or proxy URL may carry its user's password; a program's error text repeats the URL.
        self.output = log.without_userinfo(output)
        super().__init__(f"{what}: {self.output}" if output else what)


def run(
    argv: t.Sequence[str],
    what: str,
    *,
    env: t.Mapping[str, str] | None = None,
    clean: bool = False,
    stdin: str | None = None,
    timeout: float = 120,
    umask: int | None = None,
    user: str | None = None,
    groups: t.Sequence[str] = (),
) -> str:
    """Runs a program and returns its standard output.

    :param what: what is being done, the start of the error text.
    :param env: added to this process's environment.
    :param clean: of this process's environment it has no more than INHERITED.
    :param user: whose rights it runs with, where this process may choose (root).
    :param groups: further groups of that user's process.
    :param stdin: text for its standard input (the way for secrets, which must not stand in argv).
    :raises CommandFailed: it did not end with 0 within ``timeout`` seconds.
    """
    rights: dict[str, t.Any] = {}
    if user is not None:
        rights = dict(user=user, group=pwd.getpwnam(user).pw_gid, extra_groups=list(groups))
    try:
        # AnsibleModule.run_command has neither a time-out nor another user's rights.
        done = subprocess.run(  # pylint: disable=ansible-bad-function
            list(argv),
            env={**(inherited() if clean else os.environ), **(env or {})},
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=timeout,
            check=False,
            preexec_fn=None if umask is None else (lambda: os.umask(umask)),
            **rights,
        )
    except subprocess.TimeoutExpired as exc:
        raise CommandFailed(f"{what}: {argv[0]} did not end within {timeout:.0f} s", "") from exc
    except OSError as exc:
        raise CommandFailed(f"{what}: {argv[0]} cannot be started", exc.strerror or str(exc)) from exc
    if done.returncode:
        raise CommandFailed(what, last_lines(done.stderr or done.stdout))
    return done.stdout


def inherited() -> dict[str, str]:
    """This process's environment as far as INHERITED goes."""
    return {name: os.environ[name] for name in INHERITED if name in os.environ}


def last_lines(text: str, count: int = 15) -> str:
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    return "\n".join(lines[-count:])


def write_file(
    path: str, content: str | bytes, mode: int, owner: tuple[int, int] | None = None, sync: bool = False
) -> None:
    """Replaces a file in one step, so that a reader never sees half of it; mode and owner hold from the first byte.

    The directory may be another user's, see _directory.py.

    :param owner: user and group, set where this process may choose them (root).
    :param sync: it is on the disk before it takes its place.
    """
    with Directory.at(os.path.dirname(path)) as directory:
        directory.write(os.path.basename(path), content, mode, owner, sync)


def read_file(path: str) -> str | None:
    """The text of a regular file; None where there is none, none that can be read, or a link that is not followed there."""
    try:
        with io.TextIOWrapper(opened(path), encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return None
