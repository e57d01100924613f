# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The command line of modelops-reconcile. Private to the collection."""

from __future__ import annotations

import argparse
import os
import re
import sys
from dataclasses import dataclass

from ansible_collections.modelops.inference.plugins.module_utils._xinference.reconciler import repairs

USERNAME = "reconciler"
STATUSES = """\
exit status of run, and of status for the last turn:
  0  as declared, also where a model runs otherwise and is left alone; or nothing to do (paused, nothing declared, Ansible is at work)
  1  an error that nobody expected
  3  a model is missing and will be launched, or is loading, or has fewer replicas and will get another one
  4  the server does not answer; of status also where the last turn is too long ago
  5  gave up on a model, see status: fix the cause, then resume
  6  the server refuses the login: fix the password file
"""


@dataclass(frozen=True)
class Options:
    """Options of the command line.

    :param release: Xinference's release, which decides how a launch request is written; "" is that of this environment.
    """

    directory: str
    endpoint: str = ""
    release: str = ""
    username: str = USERNAME
    password_file: str = ""
    attempts: int = 5
    ready_timeout: float = 300
    return_timeout: float = repairs.RETURNS
    metrics_dir: str = ""
    interval: float = 60

    def path(self, name: str) -> str:
        return os.path.join(self.directory, name)


def _duration(text: str) -> float:
    match = re.fullmatch(r"(\d+)([smhd]?)", text)
    if not match:
        raise argparse.ArgumentTypeError(f"{text!r} is not a duration such as 90s, 30m, 2h or 1d")
    return int(match.group(1)) * {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}[match.group(2)]


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="modelops-reconcile",
        description="Restores declared models and replicas that are missing from an Xinference server.",
        epilog=STATUSES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    beside = os.path.join(os.path.dirname(os.path.dirname(os.path.realpath(sys.argv[0]))), "reconciler")
    parser.add_argument("--directory", default=beside, help="directory of its files (%(default)s)")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (("run", "one turn"), ("loop", "repeat turns until stopped")):
        command = commands.add_parser(name, help=text, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
        command.add_argument("--endpoint", required=True, help="URL of the server")
        command.add_argument(
            "--release", default="", help="release of the server, if it is not that of this environment"
        )
        command.add_argument("--username", default=USERNAME, help="user of the server")
        command.add_argument("--password-file", default="", help="file with its password, if the server requires one")
        command.add_argument(
            "--attempts", type=int, default=5, help="failed launches of a model after which it gives up"
        )
        command.add_argument("--ready-timeout", type=float, default=300, help="seconds to wait for the server")
        command.add_argument(
            "--return-timeout",
            type=float,
            default=repairs.RETURNS,
            help="seconds to wait for a lost worker before its replicas are restored on another one",
        )
        command.add_argument("--metrics-dir", default="", help="directory of node_exporter's textfile collector")
        command.add_argument("--interval", type=float, default=60, help="seconds between two turns")
    commands.add_parser("status", help="show the result of the last turn")
    command = commands.add_parser("pause", help="launch nothing until resume")
    command.add_argument("--for", dest="seconds", type=_duration, metavar="DURATION", help="such as 30m or 2h")
    command.add_argument("--reason", default="", help="reason to show in the status")
    commands.add_parser("resume", help="end a pause, and retry the models that were given up")
    command = commands.add_parser("hold", help="launch nothing until the next run of Ansible or the end of the time")
    command.add_argument("seconds", type=_duration, metavar="DURATION", help="such as 900, 30m or 2h")
    return parser
