# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Functions of Xinference's processes that its API does not offer. Private to the collection.

The processes of a cluster call each other by xoscar, which the server's environment has, so a module that uses this runs with that
environment's Python. The calls are private to Xinference (read in 3.5.0, 4.0.1 and 4.1.0), so every failure is a ModelopsError that
the caller can live with.
"""

from __future__ import annotations

import asyncio
import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError

# Seconds that one call may take.
_TIMEOUT = 30


class Actors:
    """Calls to one worker and its supervisor; a context manager, of which a process has one: xoscar keeps its connections.

    :param supervisor: address as ``GET /v1/address`` has it.  :param worker: as ``GET /status`` has it.
    :raises ModelopsError: a call failed.
    """

    def __init__(self, supervisor: str, worker: str):
        self._addresses = {"supervisor": supervisor, "worker": worker}
        # They belong to a loop, so all calls are made on one.
        self._loop = asyncio.new_event_loop()

    def __enter__(self) -> Actors:
        return self

    def __exit__(self, *_exc: object) -> None:
        listening = asyncio.all_tasks(self._loop)
        for task in listening:
            task.cancel()
        if listening:
            self._loop.run_until_complete(asyncio.wait(listening, timeout=_TIMEOUT))
        self._loop.close()

    def held(self) -> list[str]:
        """The replicas whose processes the worker has, whether they get requests or not."""
        return sorted(self._call("worker", "list_models"))

    def take_out(self, replica: str) -> None:
        """Has the supervisor give a replica no more requests; its process goes on, and with it the requests that it has.

        Only of a model with another replica that serves: with its last one the supervisor ends the model, and launches what is in
        its autostart anew.
        """
        self._call("supervisor", "mark_replica_dead", replica)

    def under_way(self, replicas: t.Iterable[str]) -> int:
        """The number of open requests of these replicas of the worker."""
        return sum(self._count(replica) for replica in replicas)

    def _count(self, replica: str) -> int:
        async def ask(xoscar: t.Any, worker: t.Any) -> int:
            model = await worker.get_model(replica)
            # No method tells it before 4.1, and a reference takes no name that begins with an underscore.
            return int(await xoscar.core.ActorRefMethod(model, "__getattribute__")("_serve_count"))

        return t.cast(int, self._run("worker", f"the requests of {replica}", ask))

    def _call(self, uid: str, method: str, *args: t.Any) -> t.Any:
        async def ask(_xoscar: t.Any, actor: t.Any) -> t.Any:
            return await getattr(actor, method)(*args)

        return self._run(uid, method, ask)

    def _run(self, uid: str, what: str, ask: t.Callable[[t.Any, t.Any], t.Awaitable[t.Any]]) -> t.Any:
        address = self._addresses[uid]

        async def run() -> t.Any:
            import xoscar
            import xoscar.core

            async def asked() -> t.Any:
                return await ask(xoscar, await xoscar.actor_ref(address=address, uid=uid))

            # That of asyncio waits on where the other process is stuck (xoscar's pull request 140).
            return await xoscar.wait_for(asked(), _TIMEOUT)

        try:
            return self._loop.run_until_complete(run())
        except Exception as exc:  # whatever another process raised
            raise ModelopsError(f"{uid} {address}: {what}: {type(exc).__name__} {exc}".strip()) from exc
