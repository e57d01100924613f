# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The removal of an installation, except files that belong to others. Pure. Private to the collection.

Everything goes with the last part of a host. A worker that leaves its supervisor's host takes only its service and files.
"""

from __future__ import annotations

import posixpath
import typing as t

from ansible_collections.modelops.inference.plugins.plugin_utils._site.host import WORKER, Host

# Entries of xinference_dir that a new installation makes again.
_INSTALLED = (
    "current",
    "previous",
    "releases",
    "backups",
    "tools",
    "python",
    "supervisor",
    "etc",
    "cache",
    "bundle",
    "reconciler",
)
# Those that it does not, beside the server's data and the weights.
_KEPT = ("secrets", "connection-sheet.txt")
# Files of one part below etc/.
_OF_PART = ("env", "sh", "drained", "upgrading")


def leaves_supervisor(host: Host) -> bool:
    """Whether only the worker of a supervisor's host is removed."""
    return host.part == WORKER and len(host.parts) > 1


def services(host: Host) -> list[str]:
    """Services beside the part's own that are removed with it."""
    if host.part == WORKER:
        return []
    # The first part of a host is removed with all of them.
    workers = ["xinference-worker"] if len(host.parts) > 1 and host.removed else []
    return [f"{host.service}-reconcile", *workers]


def installed_services(host: Host) -> list[str]:
    """Services that are on the host, in the order in which they stop: the reconciler would start models again."""
    found, files = {host.service: host.found["service"], **host.found["services"]}, host.found["files"]

    def there(about: t.Mapping[str, t.Any]) -> bool:
        return bool(about.get("installed")) or about.get("path") in files or about.get("timer_path") in files

    return [name for name in sorted(found, key=_stops) if there(found[name])]


def _stops(name: str) -> int:
    return 0 if name.endswith("-reconcile") else 1


def paths(host: Host) -> list[str]:
    """Files and directories that go, the directory of the installation last."""
    if leaves_supervisor(host):
        return [path for path in map(host.etc, _OF_PART) if path in host.found["files"]]
    top, keeps_data = host.directory, bool(host.value("xinference_keep_data"))
    names = _INSTALLED if keeps_data else (*_INSTALLED, *_KEPT)
    found = [f"{top}/{name}" for name in names if name in host.found["entries"]]
    if keeps_data:
        return found
    found += [host.home] if _exists(host, host.home) else []
    found += _weights(host)
    return found + ([top] if _exists(host, top) and not staying(host) else [])


def _weights(host: Host) -> list[str]:
    """The directory of weights, or this collection's entries in it if it has others."""
    directory, kept = host.models_dir, bool(host.value("xinference_keep_models"))
    if kept or not _exists(host, directory):
        return []
    entries = host.found["models_entries"]
    return [f"{directory}/{name}" for name in entries["own"]] if entries["foreign"] else [directory]


def staying(host: Host) -> list[str]:
    """Paths in the directory of the installation that stay, so that it stays, too."""
    top, models = host.directory, host.models_dir
    # Another entry of such a name is not what the variables name.
    own = {*_INSTALLED, *_KEPT, *(posixpath.basename(path) for path in (host.home, models) if _holds(path) == top)}
    stays = [f"{top}/{name}" for name in host.found["entries"] if name not in own]
    if models.startswith(f"{top}/") and _exists(host, models):
        stays += [models] if host.value("xinference_keep_models") else foreign_weights(host)
    return list(dict.fromkeys(stays))


def foreign_weights(host: Host) -> list[str]:
    """Paths in the directory of weights that this collection did not put there."""
    return [f"{host.models_dir}/{name}" for name in host.found["models_entries"]["foreign"]]


def _exists(host: Host, path: str) -> bool:
    found = host.found
    return path in found["files"] or (_holds(path) == host.directory and posixpath.basename(path) in found["entries"])


def _holds(path: str) -> str:
    return posixpath.dirname(path)


def removes_user(host: Host) -> bool:
    """Whether the service's user goes: one that this collection made, and whose data go, too."""
    made = bool(host.found["user"]["made_here"])
    return made and not host.value("xinference_keep_data") and not leaves_supervisor(host)


def steps(host: Host) -> t.Iterator[tuple[str, str]]:
    """Steps with their reasons, in their order; none where nothing is left."""
    running, gone = installed_services(host), paths(host)
    if running:
        yield "remove_services", f"{', '.join(running)} {'is' if len(running) == 1 else 'are'} installed"
    firewall = host.found.get("firewall", {})
    if firewall.get("differs"):
        yield "firewall", firewall["refused"] or "; ".join(firewall["plan"]) or "it has rules"
    if gone:
        yield "remove_directories", ", ".join(gone)
    if removes_user(host):
        yield "remove_user", f"user {host.value('xinference_user')} was made by this collection"


def refusals(host: Host) -> t.Iterator[str]:
    """Services of such a name that somebody else wrote."""
    found = {**host.found["services"], host.service: host.found["service"]}
    yield from (found[name]["refusal"] for name in installed_services(host))


def notes(host: Host) -> t.Iterator[str]:
    """Notes about files that stay although nobody asked to keep them."""
    if leaves_supervisor(host) or host.value("xinference_keep_data"):
        return
    kept = [host.models_dir] if host.value("xinference_keep_models") else []
    foreign = [] if kept or not _exists(host, host.models_dir) else foreign_weights(host)
    others = [path for path in dict.fromkeys([*staying(host), *foreign]) if path not in kept]
    if others:
        yield (
            f"{host.who}: {', '.join(others)} {'stays' if len(others) == 1 else 'stay'}, because this collection did not create "
            f"{'it' if len(others) == 1 else 'them'}. Remove by hand what nobody needs."
        )
