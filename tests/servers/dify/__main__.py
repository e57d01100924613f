# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs a test Dify until it is ended: ``python -m servers.dify --profile 1.9.2 --port 8080`` (from tests/)."""

from __future__ import annotations

import argparse
import threading

from .profiles import PROFILES
from .server import EMAIL, PASSWORD, DifyServer
from .xinference import Backend


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m servers.dify", description=__doc__)
    parser.add_argument("--profile", choices=sorted(PROFILES), default="1.16.0-rc1")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--workspace", action="append", default=[], help="a further workspace of the owner")
    parser.add_argument("--strict-check", action="store_true", help="answer 599 to whatever changes something")
    args = parser.parse_args()
    backend = Backend({}, live=True, cache_seconds=0)
    server = DifyServer(args.profile, host=args.host, port=args.port, backend=backend, strict_check=args.strict_check)
    for name in args.workspace:
        server.state.add_workspace(name, admin="owner")
    with server:
        print(f"Dify {args.profile} on {server.url}: {EMAIL} / {PASSWORD}", flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
