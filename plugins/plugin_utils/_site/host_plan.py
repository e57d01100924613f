# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The steps that a part of a host needs, and why. Pure. Private to the collection."""

from __future__ import annotations

import dataclasses
import typing as t
from dataclasses import dataclass

from ansible_collections.modelops.inference.plugins.plugin_utils._site import host_refusals, removal
from ansible_collections.modelops.inference.plugins.plugin_utils._site.host import SUPERVISOR, WORKER, Host
from ansible_collections.modelops.inference.plugins.plugin_utils._site.network import loopback
from ansible_collections.modelops.inference.plugins.plugin_utils._site.release import HostRelease
from ansible_collections.modelops.inference.plugins.plugin_utils._site.rotation import Rotation
from ansible_collections.modelops.inference.plugins.plugin_utils._site.service import Service
from ansible_collections.modelops.inference.plugins.plugin_utils._site.weights import Weights, given_by


@dataclass(frozen=True)
class HostPlan:
    """
    :param steps: in this order, each with its reason; empty where nothing differs.
    :param refusals: why nothing may be done, as sentences.
    :param notes: shown to the person who runs the playbook.
    """

    host: Host
    release: HostRelease
    service: Service
    weights: Weights
    steps: dict[str, str]
    refusals: tuple[str, ...]
    notes: tuple[str, ...]

    @classmethod
    def of(cls, host: Host) -> HostPlan:
        """
        :param host: that was read.
        :raises ModelopsError: a variable cannot be meant.
        """
        release = HostRelease.of(host)
        service = Service.of(host, release)
        installs = host.request.installs and not host.removed
        weights = Weights.of(host.declared, host.found["weights"]) if installs else Weights((), (), {}, ())
        if host.removed and host.request.step == "site":
            refused = tuple(filter(None, removal.refusals(host)))
            return cls(host, release, service, weights, dict(removal.steps(host)), refused, tuple(removal.notes(host)))
        steps = dict(_steps(host, release, service, weights)) if installs else {}
        refusals = tuple(each for each in _refusals(host, release, service, steps) if each)
        return cls(host, release, service, weights, steps, refusals, tuple(_notes(host, release, steps)))

    @property
    def new_interpreter(self) -> str:
        """The interpreter of the wanted release, which becomes current only when it is complete."""
        return f"{self.host.directory}/releases/{self.release.id}/bin/python"

    @property
    def gpus(self) -> list[dict[str, t.Any]]:
        """Cards of this host with llama.cpp's devices, from the installed release."""
        return _gpus(self.host, self.release)

    @property
    def worker(self) -> dict[str, t.Any]:
        """The worker's data for role models; empty for another part, and for a drained or removed worker."""
        host, address = self.host, f"{self.host.bind}:{self.host.listens}"
        if host.part != WORKER or host.drained or host.removed:
            return {}
        return {"host": host.name, "address": address, "gpus": [{**card, "worker": address} for card in self.gpus]}

    @property
    def starts(self) -> bool:
        """Whether the service starts or restarts."""
        return self.service.differs and not self.host.drained

    @property
    def data(self) -> dict[str, t.Any]:
        """The plan for tasks and other roles. It holds no secret, and no text of a file."""
        host = self.host
        return {
            "host": host.name,
            "part": host.part,
            "parts": host.parts,
            "distributed": host.distributed,
            "cluster": host.cluster,
            "step": host.request.step,
            "bind": host.bind,
            "listens": host.listens,
            "endpoint": host.endpoint,
            "loopback": loopback(str(host.value("xinference_host"))),
            "members": host.members,
            "api": _api(host),
            "secrets": host.secrets,
            "interpreter": host.interpreter,
            "authentication": host.authentication,
            "auth_unreadable": host.auth_unreadable,
            "claimed": host.claimed,
            "drained": host.drained,
            "upgrading": host.upgrading,
            "release": {**dataclasses.asdict(self.release), "on_host": bool(host.request.release)},
            "weights": {
                "names": list(self.weights.lacking),
                "unused": self.weights.unused,
                "seed": given_by(host, self.weights),
            },
            "gpus": self.gpus,
            "gpu_sharing": _gpu_sharing(host),
            "service": {
                "systemd": host.systemd,
                "path": host.found["service"]["path"],
                "config": self.service.config,
                "files": [file.path for file in self.service.files],
                "differs": self.starts,
                "restarts": bool(self.service.differences),
            },
            "directories_differ": _directories(host) != "",
            "denied": host_refusals.denied(host),
            "accelerator": _accelerator(host),
            "built": dict(host.request.built),
            "rotation": Rotation.of(host.settings).data,
            "worker": self.worker,
            "steps": self.steps,
            "refusals": self.refusals,
        }


def _api(host: Host) -> dict[str, t.Any]:
    """The host whose Python asks the API of the cluster."""
    directory, home = host.api.value("xinference_dir"), host.api.value("xinference_home")
    return {"host": host.api_host, "directory": directory, "log": f"{home}/logs/xinference.log"}


def _gpus(host: Host, release: HostRelease) -> list[dict[str, t.Any]]:
    known = (host.request.built, host.found["release"])
    of_release: dict[str, t.Any] = next(
        (each["llama_cpp"] for each in known if each.get("id") == release.id and "llama_cpp" in each), {}
    )
    environment = host.value("xinference_environment")
    virtual = str(environment.get("XINFERENCE_ENABLE_VIRTUAL_ENV", "1")) != "0" and not host.value("xinference_offline")
    return [{**card, "llama_cpp": {**of_release, "virtual_env": virtual}} for card in host.found["gpus"]]


def _accelerator(host: Host) -> str:
    """The file of role accelerator that brings its part of the host about; empty where nothing differs."""
    if host.parts == [SUPERVISOR]:
        return ""
    role = host.found["accelerator"].get("role")
    return "apply" if role is None else "change" if role["tasks"] else ""


def _gpu_sharing(host: Host) -> bool:
    """Whether replicas may share a card, as the supervisor's variables say."""
    given = host.api.value("xinference_environment").get("XINFERENCE_ALLOW_MULTI_REPLICA_PER_GPU", "1")
    return str(given) != "0"


def _directories(host: Host) -> str:
    """Why the directories must be made; empty where they are as declared."""
    found = host.found["directories"]
    if host.found["user"]["id"] < 0:
        return f"user {host.value('xinference_user')} is missing"
    different = [*found["differ"], *found["refused"]]
    return f"{', '.join(found['differ'])} differ" if found["differ"] else "they are refused" if different else ""


def _bundle(host: Host, release: HostRelease, weights: Weights) -> bool:
    """Whether something of a bundle is still to come."""
    supervisor = host.found["service"]["manager"] == "supervisord" and "supervisor" not in host.found["entries"]
    return bool(host.value("xinference_bundle")) and (release.unbuilt or bool(weights.lacking) or supervisor)


def _firewall(host: Host) -> str:
    """Why the firewall must be set; empty where it is as declared."""
    found = host.found.get("firewall", {})
    if not found.get("differs"):
        return ""
    return found["refused"] or "; ".join(found["plan"]) or "its rules differ"


def _steps(host: Host, release: HostRelease, service: Service, weights: Weights) -> t.Iterator[tuple[str, str]]:
    """Steps with their reasons, in their order."""
    bundled, firewall = bool(host.value("xinference_bundle")), _firewall(host)
    differs = service.differs and not host.drained
    if _bundle(host, release, weights):
        yield "bundle", "parts of it are missing"
    if release.unbuilt and not bundled:
        yield "python", f"{release.id} is not built"
    if host.distributed and (differs or firewall):
        yield "network", "the service changes" if differs else "the firewall opens for the cluster's addresses"
    if firewall:
        yield "firewall", firewall
    if _directories(host):
        yield "directories", _directories(host)
    builds = not release.current or bool(release.drift)
    if builds:
        yield "release", "; ".join(release.drift) or f"{host.found['current'] or 'none'} -> {release.id}"
    unused = bool(weights.unused) and bool(host.value("xinference_weights_prune"))
    if weights.lacking or unused:
        yield (
            "weights",
            f"missing: {', '.join(weights.lacking) or 'none'}; unused: {', '.join(weights.unused) or 'none'}",
        )
    if not host.claimed:
        yield "administrator", "the server has no administrator"
    changes = differs or builds or not host.claimed
    if release.replaced and host.part != WORKER and changes:
        yield "backup", f"{release.replaced} is replaced"
    if changes and not host.drained:
        yield "service", "; ".join(service.differences) or _of_others(service, builds)


def _of_others(service: Service, builds: bool) -> str:
    if service.bounds_differ:
        return "the file that constrains the packages of models differs"
    return "its release is repaired" if builds else "its file of users is new"


def _refusals(host: Host, release: HostRelease, service: Service, steps: t.Collection[str]) -> t.Iterator[str]:
    """Refusals for changes only: a host without changes is not judged."""
    step, installs = host.request.step, {"release", "weights", "administrator"}
    # A worker's release was built before its turn came.
    judged = step in ("site", "build") or step == "upgrade" and host.part != WORKER
    differs = service.differs and not host.drained
    if judged and (installs & set(steps) or differs or host.found["directories"]["refused"]):
        yield from host_refusals.of(host, release)


def _notes(host: Host, release: HostRelease, steps: t.Collection[str]) -> t.Iterator[str]:
    if host.request.step == "site" and host.distributed and release.replaced:
        yield (
            f"{host.who} changes from {release.replaced} to {release.id} together with the other hosts of its cluster, and their models "
            "stop during the change. To keep them serving: ansible-playbook modelops.inference.upgrade"
        )
    if host.request.step == "site" and host.drained:
        yield (
            f"{host.name} is drained: it stays stopped and gets no models. To undrain it: ansible-playbook modelops.inference.undrain "
            f"--limit {host.name}"
        )
    if host.request.step in ("site", "build", "upgrade") and host_refusals.denied(host):
        yield f"{host.who}: {host_refusals.denied(host)}"
