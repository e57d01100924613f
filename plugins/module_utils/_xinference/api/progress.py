# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The progress lines while models load: one line per change of state. Pure. Private to the collection."""

from __future__ import annotations

import typing as t


def loading(uid: str, instance: t.Mapping[str, t.Any], progress: t.Mapping[str, t.Any], pace: str = "") -> str:
    """The line of a model that is on its way, from its instance and the answer of ``/progress``.

    :param pace: of its download.
    """
    stage = progress.get("stage")
    if stage == "downloading":
        done, total = downloaded(progress)
        percent = f" {100 * done // total} % ({done / 1e9:.1f} of {total / 1e9:.1f} GB){pace}" if total else ""
        return f"{uid}  downloading{percent}"
    if stage in ("installing_dependencies", "waiting_for_dependencies"):
        return f"{uid}  installing packages{_installed(progress)}"
    places = hosts(instance)
    return f"{uid}  loading on {', '.join(places)}" if places else f"{uid}  starting"


def stage(line: str) -> str:
    """The line without its figures: two lines of one stage are no change of state."""
    return line.partition(" %")[0].rstrip("0123456789")


def hosts(instance: t.Mapping[str, t.Any]) -> list[str]:
    """The hosts of a model's replicas, without ports."""
    return sorted({address.rsplit(":", 1)[0] for address in workers(instance)})


def workers(instance: t.Mapping[str, t.Any]) -> list[str]:
    """The addresses (host:port) of the workers that hold a model's replicas."""
    replicas = instance.get("replica_statuses") or []
    return sorted({replica["worker_address"] for replica in replicas if replica.get("worker_address")})


def reason(instance: t.Mapping[str, t.Any]) -> str:
    """Why a launch failed, in the server's words; "" where it says nothing."""
    texts = [r.get("error_message") for r in instance.get("replica_statuses") or []]
    return "; ".join(dict.fromkeys(text.strip() for text in texts if text))


def complete(instance: t.Mapping[str, t.Any]) -> bool:
    """Whether no replica of an instance still loads.

    The instance is READY with its first replica; until the others are, requests that are given to them are answered 503.
    """
    rows = instance.get("replica_statuses") or []
    return not any(row.get("status") in ("CREATING", "LOADING") for row in rows)


def restarts_by_itself(instance: t.Mapping[str, t.Any]) -> bool:
    """Whether an instance in ERROR is one whose process died, and which its worker makes anew by itself.

    One replica is TERMINATING then, without a reason, for as long as a load takes (seen on 4.1.0). Ending the model meanwhile
    leaves half of it behind: the server answers 400, ends the other replicas, and goes on with this one.
    """
    rows = instance.get("replica_statuses") or []
    return any(row.get("status") == "TERMINATING" for row in rows) and not reason(instance)


def duration(seconds: float) -> str:
    """12 s, or 3 min 12 s."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def downloaded(progress: t.Mapping[str, t.Any]) -> tuple[int, int]:
    """Bytes that came, and all, over the files of which the server knows the size."""
    files = [f for f in progress.get("download_files") or [] if f.get("total_bytes")]
    return sum(f.get("downloaded_bytes") or 0 for f in files), sum(f["total_bytes"] for f in files)


def _installed(progress: t.Mapping[str, t.Any]) -> str:
    for replica in progress.get("replicas") or []:
        if replica.get("dependency_install_total"):
            return f" {replica.get('dependency_install_completed') or 0} of {replica['dependency_install_total']}"
    return ""


def table(rows: t.Sequence[t.Sequence[t.Any]]) -> list[str]:
    """Rows of cells as lines with aligned columns; the first row is the head."""
    widths = [max(len(str(row[column])) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(str(cell).ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
