# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The reconciler of a server: its program and its service as they must be, and how the host differs. Pure. Private to the collection."""

from __future__ import annotations

import hashlib
import shlex
import typing as t
from dataclasses import dataclass

from ansible_collections.modelops.inference.plugins.module_utils._xinference.reconciler import program
from ansible_collections.modelops.inference.plugins.plugin_utils._site.host import Host
from ansible_collections.modelops.inference.plugins.plugin_utils._site.network import loopback
from ansible_collections.modelops.inference.plugins.plugin_utils._site.templates import confinement, for_manager, render


@dataclass(frozen=True)
class Reconciler:
    """
    :param present: whether the host has one.
    :param service: its name.
    :param unit: text of the manager's own file.
    :param timer: of systemd's timer, None under supervisord.
    :param differences: why it must be changed, as clauses; empty where it is as declared.
    """

    present: bool
    service: str
    unit: str
    timer: str | None
    differences: tuple[str, ...]

    @classmethod
    def of(cls, host: Host) -> Reconciler:
        """
        :param host: that was read, of a part with a server.
        """
        name, unit, timer = f"{host.service}-reconcile", _unit(host), _timer(host)
        found = tuple(_differences(host, name, unit, timer))
        return cls(host.reconciles, name, unit, timer, found)


def _differences(host: Host, name: str, unit: str, timer: str | None) -> t.Iterator[str]:
    there, files = host.found["services"][name], host.found["files"]
    if not host.reconciles:
        if there["installed"] or host.reconciler in files:
            yield "it is no longer declared"
        return
    if there["active"] not in ("running", "starting"):
        yield f"it is {there['active']}"
    if not there["enabled"]:
        yield "it does not start with the host"
    texts = {there["path"]: unit.encode(), **({there["timer_path"]: timer.encode()} if timer is not None else {})}
    texts[host.reconciler] = program.reconciler(host.directory)
    for path, text in texts.items():
        if files.get(path, {}).get("sha256") != hashlib.sha256(text).hexdigest():
            yield f"{path} differs"


def command(host: Host) -> str:
    """The command line of the program, by which it runs once (systemd), or all the time."""
    value, words = host.value, [host.interpreter, host.reconciler, "run" if host.systemd else "loop"]
    words += ["--endpoint", host.endpoint, "--attempts", value("models_reconcile_attempts")]
    words += ["--ready-timeout", value("xinference_start_timeout")]
    words += ["--return-timeout", value("models_reconcile_return_timeout")]
    words += ["--interval", value("models_reconcile_interval")]
    if host.authentication != "none":
        words += ["--password-file", host.reconciler_password]
    if value("models_reconcile_metrics_dir"):
        words += ["--metrics-dir", value("models_reconcile_metrics_dir")]
    return " ".join(map(str, words))


def _unit(host: Host) -> str:
    if not host.systemd:
        home = shlex.quote(host.home)
        line = f"/usr/bin/env -i PATH=/usr/local/bin:/usr/bin:/bin HOME={home} LANG=C.UTF-8 {command(host)}"
        return render(
            "models",
            "reconcile.conf.j2",
            {
                "command": for_manager(line),
                "log": for_manager(f"{host.directory}/supervisor/{host.service}-reconcile.log"),
                "service": host.service,
                "user": host.user,
            },
        )
    system = host.found["service"]["scope"] == "system"
    return render(
        "models",
        "reconcile.service.j2",
        {
            "cluster": for_manager(host.cluster),
            "command": for_manager(command(host)),
            "group": host.value("xinference_group"),
            "hardening": _confined(host) if system and host.value("xinference_hardening") else {},
            "service": host.service,
            "user": host.value("xinference_user") if system else "",
        },
    )


def _timer(host: Host) -> str | None:
    if not host.systemd:
        return None
    interval = host.value("models_reconcile_interval")
    values = {"cluster": for_manager(host.cluster), "interval": interval, "service": host.service}
    return render("models", "reconcile.timer.j2", values)


def _confined(host: Host) -> dict[str, t.Any]:
    metrics = str(host.value("models_reconcile_metrics_dir"))
    return {
        **confinement([host.directory, metrics], host.found["resolved"]),
        "writes": for_manager(" ".join([f"{host.directory}/reconciler", *([metrics] if metrics else [])])),
        "loopback": loopback(str(host.value("xinference_host"))),
    }
