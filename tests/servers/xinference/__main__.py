# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs the test server until it is interrupted: ``python -m servers.xinference --profile 2.12.0 --port 9997``."""

from __future__ import annotations

import argparse

from . import PASSWORD, PROFILES, USERNAME, XinferenceServer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split(":", maxsplit=1)[0])
    parser.add_argument("--profile", choices=sorted(PROFILES), default="4.1.0")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument(
        "--auth", action=argparse.BooleanOptionalAction, help="unset is what the release does by itself"
    )
    parser.add_argument("--unclaimed", action="store_true", help="without an administrator")
    parser.add_argument("--strict-check", action="store_true", help="refuse every request that could change something")
    parser.add_argument("--load-seconds", type=float, default=0.1, help="how long every model loads")
    args = parser.parse_args()
    server = XinferenceServer(
        args.profile, auth=args.auth, claimed=not args.unclaimed, strict_check=args.strict_check, port=args.port
    )
    server.models.default.seconds = args.load_seconds
    print(f"Xinference {args.profile} on {server.url}, administrator {USERNAME} with password {PASSWORD}", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
