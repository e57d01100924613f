# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The service of a host's part: its files as they must be, and how the host differs. Pure. Private to the collection."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import typing as t
from dataclasses import dataclass

from ansible_collections.modelops.inference.plugins.module_utils._host.release.constraints import model_environments
from ansible_collections.modelops.inference.plugins.module_utils._host.system.shell import INHERITED
from ansible_collections.modelops.inference.plugins.plugin_utils._site.host import LOCAL, SUPERVISOR, WORKER, Host
from ansible_collections.modelops.inference.plugins.plugin_utils._site.release import HostRelease
from ansible_collections.modelops.inference.plugins.plugin_utils._site.templates import confinement, for_manager, render

# Variables by which the hubs' own clients are told of a mirror and a token.
_HUBS = {
    "huggingface": {"endpoint": "HF_ENDPOINT", "token": "HF_TOKEN"},
    "modelscope": {"endpoint": "MODELSCOPE_ENDPOINT", "token": "MODELSCOPE_API_TOKEN"},
    "csghub": {"endpoint": "XINFERENCE_CSG_ENDPOINT", "token": "XINFERENCE_CSG_TOKEN"},
}


@dataclass(frozen=True)
class ServiceFile:
    """
    :param owner: its user; None for the one who writes it.
    """

    path: str
    mode: str
    owner: str | None
    content: str


@dataclass(frozen=True)
class Service:
    """
    :param unit: text of the manager's own file.
    :param files: the others, of which the last one bounds the packages that Xinference installs for a model. It is read at each
        installation, so a change of it restarts nothing.
    :param config: digest of everything that a running process must be started with.
    :param differences: why the service must be changed, as clauses; empty where it is as declared.
    :param bounds_differ: whether the file of the bounds is another one.
    """

    unit: str
    files: tuple[ServiceFile, ...]
    config: str
    differences: tuple[str, ...]
    bounds_differ: bool

    @property
    def differs(self) -> bool:
        return bool(self.differences) or self.bounds_differ

    @classmethod
    def of(cls, host: Host, release: HostRelease) -> Service:
        unit, script, text = _unit(host), _script(host), environment(host)
        config = _sha256(json.dumps([unit, script, text, release.id, release.built]))[:12]
        # systemd reads it as root; under supervisord the service itself does.
        owner = None if host.systemd else host.user or None
        # With it a reading sees what a running process was started with.
        files = [ServiceFile(host.etc("env"), "0600", owner, f'{text}MODELOPS_CONFIG="{config}"\n')]
        if script:
            files.append(ServiceFile(host.etc("sh"), "0755", None, script))
        bounds = ServiceFile(host.uv_config, "0644", None, _bounds(host, release))
        found = tuple(_differences(host, release, config, unit, files))
        return cls(unit, (*files, bounds), config, found, _differs(host, bounds))


def _differences(
    host: Host, release: HostRelease, config: str, unit: str, files: t.Sequence[ServiceFile]
) -> t.Iterator[str]:
    service, there = host.found["service"], host.found["files"]
    if service["active"] != "running":
        yield f"it is {service['active']}"
    if not service["enabled"]:
        yield "it does not start with the host"
    if not release.current:
        yield f"it must run release {release.id}"
    if service["config"] != config:
        yield (
            "its process runs with an old configuration"
            if service["active"] == "running"
            else "its configuration is new"
        )
    if there.get(service["path"], {}).get("sha256") != _sha256(unit):
        yield f"{service['path']} differs"
    for file in files:
        if _differs(host, file):
            yield f"{file.path} differs"


def _differs(host: Host, file: ServiceFile) -> bool:
    there = host.found["files"].get(file.path, {})
    owner = host.found["user"]["id"] if file.owner else there.get("uid")
    return (there.get("mode"), there.get("sha256"), there.get("uid")) != (file.mode, _sha256(file.content), owner)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _bounds(host: Host, release: HostRelease) -> str:
    packages = [package for model in host.served for package in model.get("virtual_env_packages") or []]
    lines = [*release.made_from["packages"], *release.made_from["constraints"], *packages]
    return model_environments(release.torch, lines, host.value("xinference_denied_packages"))


# --- files ---------------------------------------------------------------------------------------------------------------


def environment(host: Host) -> str:
    """File of the service's environment, without the digest of the configuration."""
    lines = (f'{name}="{_escaped(value)}"\n' for name, value in _variables(host).items())
    return "# Managed by modelops.inference\n" + "".join(lines)


def _escaped(value: t.Any) -> str:
    """A value within double quotes, of which systemd and a shell take some signs for more than they are."""
    return re.sub(r'([\\"$`])', r"\\\1", str(value))


def _variables(host: Host) -> dict[str, t.Any]:
    found = {"XINFERENCE_HOME": host.home, "HOME": host.home, "PATH": host.search_path}
    if host.authentication == "none" and int(host.version.partition(".")[0]) >= 3:
        found["XINFERENCE_AUTH_ADVANCED"] = "0"
    # As long as the run waits, the server waits for its own parts: by itself 25 s at its start, looking every 5 s, and 60 s for the
    # process of a model. The threshold of a supervisor also says when a dead worker is given up, so it stays there.
    timeout = int(host.value("xinference_start_timeout"))
    found["XINFERENCE_SUBPOOL_LAUNCH_TIMEOUT"] = str(max(60, timeout))
    if host.part == LOCAL:
        found["XINFERENCE_HEALTH_CHECK_FAILURE_THRESHOLD"] = str(max(5, (timeout + 4) // 5))
    return {**found, **_offline(host), **_hub(host), **host.value("xinference_environment")}


def _offline(host: Host) -> dict[str, str]:
    """A server that has no network neither looks for a hub nor installs engines at a launch: they are in its environment."""
    if not host.value("xinference_offline"):
        return {}
    found = {"XINFERENCE_ENABLE_VIRTUAL_ENV": "0", "UV_OFFLINE": "1", "XINFERENCE_MODEL_SRC": "huggingface"}
    return found if host.value("xinference_hub") else {**found, "HF_HUB_OFFLINE": "1"}


def _hub(host: Host) -> dict[str, str]:
    hub = host.value("xinference_hub")
    if not hub:
        return {}
    given = {"XINFERENCE_MODEL_SRC": hub["source"]}
    given.update((variable, hub.get(name) or "") for name, variable in _HUBS[hub["source"]].items())
    return {name: value for name, value in given.items() if value}


def command(host: Host) -> str:
    """The server's command line."""
    value = host.value
    words = [f"{host.directory}/current/bin/xinference-{host.part}", "--log-level", value("xinference_log_level")]
    words += ["--host", host.bind]
    if host.part == WORKER:
        words += ["--endpoint", host.endpoint, "--worker-port", value("xinference_worker_port")]
    else:
        words += ["--port", value("xinference_port")]
    if host.part == SUPERVISOR:
        words += ["--supervisor-port", value("xinference_supervisor_port")]
    elif value("xinference_metrics_host"):
        words += ["--metrics-exporter-host", value("xinference_metrics_host")]
    if host.part != SUPERVISOR and value("xinference_metrics_port"):
        words += ["--metrics-exporter-port", value("xinference_metrics_port")]
    if host.authentication == "file" and host.part != WORKER:
        words += ["--auth-config", host.auth_config]
    return " ".join(map(str, words))


def _unit(host: Host) -> str:
    if not host.systemd:
        return render("xinference", "supervisord.conf.j2", _values_for_manager(_supervisord(host)))
    system, value = host.found["service"]["scope"] == "system", host.value
    user = value("xinference_user") if system else ""
    hardening = bool(value("xinference_hardening")) and system
    script = host.etc("sh")
    values = {
        "cluster": host.cluster,
        "command": f"/bin/sh {script}" if host.part == WORKER else command(host),
        "environment": host.etc("env"),
        "group": value("xinference_group"),
        "groups": " ".join(groups(host)) if user else "",
        "hardening": _confined(host) if hardening else {},
        "home": host.home,
        "limit_nofile": value("xinference_limit_nofile"),
        "log": host.log,
        "memory_max": value("xinference_memory_max"),
        "part": host.part,
        "service": host.service,
        "start_interval": min(300, 4 * int(value("xinference_start_timeout"))),
        "start_timeout": value("xinference_start_timeout"),
        "stop_timeout": value("xinference_stop_timeout"),
        "target": "multi-user.target" if system else "default.target",
        "user": user,
    }
    return render("xinference", "systemd.service.j2", _values_for_manager(values))


def _supervisord(host: Host) -> dict[str, t.Any]:
    return {
        "home": host.home,
        "log": f"{host.directory}/supervisor/{host.service}.log",
        "part": host.part,
        "script": shlex.quote(host.etc("sh")),
        "service": host.service,
        "stop_timeout": host.value("xinference_stop_timeout"),
        # It knows no groups beside the user's own, so where there are some the script changes the user.
        "user": "" if groups(host) else host.user,
    }


def _confined(host: Host) -> dict[str, str]:
    paths = [host.directory, host.home, host.value("xinference_models_dir")]
    paths += [str(model.get("path") or "") for model in host.declared]
    return confinement(paths, host.found["resolved"])


def _values_for_manager(values: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Values of which systemd and supervisord replace nothing."""
    return {name: for_manager(value) if isinstance(value, str) else value for name, value in values.items()}


def groups(host: Host) -> list[str]:
    """Groups that own the cards' device nodes."""
    return list(host.found["accelerator"]["groups"])


def _script(host: Host) -> str:
    """The start script, used without systemd and for a worker that waits for its supervisor."""
    if host.systemd and host.part != WORKER:
        return ""
    own = "" if host.part == LOCAL else f"-{host.part}"
    return render(
        "xinference",
        "start.sh.j2",
        {
            "command": command(host),
            "endpoint": host.endpoint,
            "environment": shlex.quote(host.etc("env")),
            "group": host.value("xinference_group"),
            "groups": ",".join(groups(host)) if host.user else "",
            "home": shlex.quote(host.home),
            "inherited": INHERITED,
            "limit_nofile": host.value("xinference_limit_nofile"),
            "part": host.part,
            "process_group": shlex.quote(f"{host.home}/.process-group{own}"),
            "python": f"{shlex.quote(host.directory)}/current/bin/python",
            "systemd": host.systemd,
            "user": host.user,
        },
    )
