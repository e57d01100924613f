# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Operations on one model on the server: end it, or add a replica. Private to the collection."""

from __future__ import annotations

import time
import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._session import TimedOut
from ansible_collections.modelops.inference.plugins.module_utils._xinference.api import releases
from ansible_collections.modelops.inference.plugins.module_utils._xinference.api.client import Client
from ansible_collections.modelops.inference.plugins.module_utils._xinference.declaration import models

# Seconds for a UID to be free: a cancel may have to wait for the end of a load, and then answers only.
_CANCEL_TIMEOUT, _GONE_TIMEOUT = 120.0, 300.0
# Seconds between two looks whether a UID is free.
_PAUSE = 0.5


def remove(client: Client, uid: str) -> None:
    """Terminates a model, or cancels its launch, and looks that its UID is free.

    While a model loads, DELETE answers 400 and the load goes on. A cancel ends it and answers only then; one that
    comes before the worker has begun does nothing, so it is sent again.

    :raises ModelopsError: the UID is still there after a bounded time.
    """
    end = time.monotonic() + _GONE_TIMEOUT
    answer = None
    while True:
        state = client.presence(uid)
        if state == releases.UNKNOWN:
            return
        if time.monotonic() > end:
            told = f": {answer.status}: {answer.detail}" if answer else ""
            raise ModelopsError(
                f"{uid!r} is still on {client.endpoint} {_GONE_TIMEOUT:.0f} s after it was told to end{told}"
            )
        try:
            answer = client.terminate(uid)
            if answer.status != 200 and state == releases.LOADING:
                answer = client.cancel(uid, _CANCEL_TIMEOUT)
        except TimedOut:
            pass  # the server is at it: look again
        time.sleep(_PAUSE)


def next_step(
    ready: t.Sequence[int], broken: t.Sequence[int], old: t.Collection[int], wanted: int, surge: bool
) -> tuple[str, int | None] | None:
    """The next step towards `wanted` replicas of which none is old; None at the end. Pure.

    :param ready: ids of the replicas that serve.  :param broken: ids of those that do not; they end first.
    :param surge: whether one more than wanted may run meanwhile. The last one that serves is never ended.
    """
    if broken:
        return ("remove", min(broken))
    left = sorted(number for number in ready if number in old)
    if not left:
        if len(ready) == wanted:
            return None
        return ("add", None) if len(ready) < wanted else ("remove", max(ready))
    if len(ready) < wanted + surge or len(ready) == 1:
        return ("add", None)
    return ("remove", left[0])


def add_replica(
    client: Client, uid: str, instance: t.Mapping[str, t.Any], place: t.Mapping[str, t.Any], timeout: float
) -> None:
    """Starts another replica of a running model, as `Client.add_replica` does.

    It takes the number after the last one that serves. Where a replica of that number went with its worker and had a name
    (replica_uid), as those have that were added or placed, the server refuses the new one as long as the old one is listed.

    :param instance: of the model, as it is now.
    """
    rows = instance.get("replica_statuses") or []
    number = max((row["replica_id"] for row in rows if row.get("status") == "READY"), default=-1) + 1
    lost = [row for row in rows if row["replica_id"] == number and row.get("status") == "TERMINATED"]
    if any(row.get("replica_uid") for row in lost):
        client.remove_replica(uid, number)
    client.add_replica(uid, place, timeout)


def replica_place(
    model: models.Model, replicas: t.Sequence[t.Mapping[str, t.Any]], workers: t.Sequence[str]
) -> dict[str, t.Any]:
    """Where another replica goes, as ``POST /v1/models/{uid}/replicas`` takes it: empty where nothing is declared. Pure.

    :param replicas: those that are there: it takes the share of gpu_indices that the fewest of them have.
    """
    options = model.options
    worker, indices = options["worker"], options["gpu_indices"]
    if not worker and not indices:
        return {}
    # The server wants the address with its port.
    address = next((a for a in workers if worker in (None, a, a.rsplit(":", 1)[0])), workers[0])
    device: dict[str, t.Any] = {"worker_ip": address}
    if indices:
        size = len(indices) // options["replicas"]
        shares = [indices[start : start + size] for start in range(0, len(indices), size)]
        taken = [row.get("gpu_idx") or [] for row in replicas]
        device["gpu_idx"] = min(shares, key=lambda share: sum(1 for cards in taken if set(cards) & set(share)))
        device["n_gpu"] = size
    return {"replica_config": {"devices": [device]}}
