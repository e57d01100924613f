# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The part of a cluster that xoscar reaches: calls between Xinference's processes that the collection uses (4.1.0)."""

from __future__ import annotations

import asyncio
import typing as t
from types import ModuleType

if t.TYPE_CHECKING:
    from .server import XinferenceServer


class Reference:
    """Of an actor: every name without an underscore is a call of it."""

    def __init__(self, actor: t.Any):
        self.actor = actor

    def __getattr__(self, name: str) -> t.Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return Method(self, name)


class Method:
    """xoscar.core.ActorRefMethod: any name."""

    def __init__(self, reference: Reference, name: str):
        self.actor, self.name = reference.actor, name

    async def __call__(self, *args: t.Any) -> t.Any:
        return getattr(self.actor, self.name)(*args)


class Supervisor:
    def __init__(self, server: XinferenceServer):
        self._server = server

    def mark_replica_dead(self, replica: str) -> None:
        with self._server.lock:
            self._server.models.take_out(replica)


class Worker:
    def __init__(self, server: XinferenceServer, address: str):
        self._server, self._address = server, address

    def list_models(self) -> dict[str, t.Any]:
        with self._server.lock:
            return {replica: {} for replica in self._server.models.held_by(self._address)}

    def get_model(self, replica: str) -> Reference:
        if replica not in self.list_models():
            raise ValueError(f"Model not found, uid: {replica}")
        return Reference(Replica(self._server, replica))


class Replica:
    def __init__(self, server: XinferenceServer, replica: str):
        self._server, self._replica = server, replica

    @property
    def _serve_count(self) -> int:
        with self._server.lock:
            return self._server.models.under_way(self._replica)


def package(server: XinferenceServer) -> dict[str, ModuleType]:
    """Modules by name, for sys.modules: xoscar in the environment of this server."""

    async def actor_ref(*, address: str, uid: str) -> Reference:
        if uid == "supervisor":
            return Reference(Supervisor(server))
        if address not in server.models.workers:
            raise ConnectionRefusedError(f"[Errno 111] Connection refused: {address}")
        return Reference(Worker(server, address))

    xoscar, core = ModuleType("xoscar"), ModuleType("xoscar.core")
    vars(core).update(ActorRefMethod=Method)
    vars(xoscar).update(actor_ref=actor_ref, wait_for=asyncio.wait_for, core=core)
    return {"xoscar": xoscar, "xoscar.core": core}
