# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One part of a host, from its variables and its reading. Pure. Private to the collection."""

from __future__ import annotations

import functools
import re
import typing as t
from dataclasses import dataclass, field

from ansible_collections.modelops.inference.plugins.plugin_utils._site.settings import Inventory, Settings

PARTS = LOCAL, SUPERVISOR, WORKER = ("local", "supervisor", "worker")
# Actions of a play on a host, by which its plan is made. Others refuse nothing.
STEPS = ("site", "build", "upgrade", "rollback", "restart", "return", "undrain", "bundle", "other")


@dataclass(frozen=True)
class Request:
    """A play's request to a part of a host.

    :param step: one of STEPS.
    :param release: one that is on the host and is taken whatever the inventory names; empty for that of the inventory.
    :param built: record of the release that this run built, which the reading does not know; empty where it built none.
    """

    step: str = "site"
    release: str = ""
    built: t.Mapping[str, t.Any] = field(default_factory=dict)

    @classmethod
    def of(cls, plan: t.Mapping[str, t.Any]) -> Request:
        """The request of an earlier plan.

        :param plan: its data.
        """
        release = plan["release"]
        return cls(plan["step"], release["id"] if release["on_host"] else "", plan["built"])

    @property
    def installs(self) -> bool:
        """Whether the play installs a release, not only one that is on the host."""
        return self.step in ("site", "build", "upgrade")


@dataclass(frozen=True)
class Host:
    """
    :param settings: variables of the host, for the part.
    :param found: what M(xinference_host_info) read; empty before that.
    :param clusters: members by name, as clusters.members has them.
    :param others: gives the settings of another host.
    """

    settings: Settings
    found: t.Mapping[str, t.Any]
    clusters: t.Mapping[str, t.Any] = field(default_factory=dict)
    request: Request = Request()
    others: t.Callable[[str], Settings] = lambda host: Settings({}, Inventory(host))

    def value(self, name: str) -> t.Any:
        return self.settings.value(name)

    @property
    def name(self) -> str:
        return self.settings.inventory.host

    @property
    def part(self) -> str:
        return self.settings.part

    @property
    def parts(self) -> list[str]:
        return self.settings.inventory.parts

    @property
    def distributed(self) -> bool:
        return self.settings.inventory.distributed

    @property
    def cluster(self) -> str:
        return str(self.value("xinference_cluster"))

    @property
    def who(self) -> str:
        """The beginning of a message."""
        return f"{self.name} (cluster {self.cluster})"

    @property
    def members(self) -> t.Mapping[str, t.Any]:
        return self.clusters[self.cluster] if self.distributed else {}

    @property
    def directory(self) -> str:
        return str(self.value("xinference_dir"))

    @property
    def home(self) -> str:
        return str(self.value("xinference_home"))

    @property
    def models_dir(self) -> str:
        return str(self.value("xinference_models_dir"))

    @property
    def removed(self) -> bool:
        """Whether the host must have nothing of the collection."""
        return bool(self.value("xinference_state") == "absent")

    @property
    def secrets(self) -> str:
        return f"{self.directory}/secrets"

    @property
    def service(self) -> str:
        return str(self.value("xinference_service"))

    def etc(self, ending: str) -> str:
        """A file of this part below etc/."""
        return f"{self.directory}/etc/{self.service}.{ending}"

    @property
    def root(self) -> bool:
        return bool(self.found["system"]["root"])

    @property
    def systemd(self) -> bool:
        return bool(self.found["service"]["manager"] == "systemd")

    @property
    def user(self) -> str:
        """User of the service where root changes to him; empty where the service runs as who connects."""
        return str(self.value("xinference_user")) if self.root else ""

    # --- addresses ---

    @property
    def bind(self) -> str:
        """Address that this part listens on and tells the others."""
        return str(self.found["bind"]["address"] if self.distributed else self.value("xinference_host"))

    @property
    def listens(self) -> int:
        return int(self.value("xinference_worker_port" if self.part == WORKER else "xinference_port"))

    @property
    def waits_for(self) -> int:
        """Port that must answer when the service was started. A worker's is open when its supervisor answers, which may be later."""
        return 0 if self.part == WORKER else self.listens

    @property
    def endpoint(self) -> str:
        """The URL of the server for a client on this host; for a worker, its supervisor's. The host's own name may be loopback."""
        if self.part == WORKER and self.members["supervisor"]["host"] != self.name:
            return f"http://{self.members['supervisor']['address']}:{self.members['supervisor']['port']}"
        return f"http://{'127.0.0.1' if self.bind == '0.0.0.0' else self.bind}:{self.value('xinference_port')}"

    @property
    def api_host(self) -> str:
        """Host whose Python asks the API of this host's cluster."""
        return str(self.members["supervisor"]["host"]) if self.distributed else self.name

    @functools.cached_property
    def api(self) -> Settings:
        """Settings of the host that answers for the cluster, also in a worker's task, whose own settings may differ."""
        return self.settings if self.api_host == self.name else self.others(self.api_host)

    # --- files that say how a part is ---

    @property
    def drained(self) -> bool:
        """A worker that is drained stays stopped until it is undrained. Check mode of that leaves the file."""
        return (
            self.part == WORKER
            and self.request.step != "undrain"
            and self.etc("drained") in self.found.get("files", {})
        )

    @property
    def upgrading(self) -> bool:
        """The release of this part is being replaced, by a run that goes on or broke off."""
        return self.etc("upgrading") in self.found.get("files", {})

    # --- authentication ---

    @property
    def version(self) -> str:
        """The version of the wanted release."""
        return re.sub(r"-[^-]*$", "", self.request.release) or str(self.value("xinference_version"))

    @property
    def authentication(self) -> str:
        return self.settings.authentication_of(self.version)

    @property
    def auth_config(self) -> str:
        """The file of users, if authentication is a file."""
        return self.etc("auth.json")

    @property
    def reconciler_password(self) -> str:
        return f"{self.directory}/reconciler/password"

    @property
    def reconciles(self) -> bool:
        # The variable is role models', which may not be in the play.
        return self.settings.has("models_reconcile") and bool(self.value("models_reconcile"))

    @property
    def claimed(self) -> bool:
        """Whether the server has an administrator, or needs none."""
        files = self.found["files"]
        if self.part == WORKER or self.authentication == "none":
            return True
        if self.authentication == "database":
            return bool(self.found["auth_users"] > 0)
        return self.auth_config in files and (self.reconciler_password in files or not self.reconciles)

    @property
    def auth_unreadable(self) -> str:
        """The problem of unreadable users and its fix; empty for none."""
        asked = self.authentication == "database" and self.part != WORKER
        return str(self.found["auth_unreadable"]) if asked else ""

    # --- places ---

    @property
    def interpreter(self) -> str:
        """Python of the release that runs."""
        return f"{self.directory}/current/bin/python"

    @property
    def reconciler(self) -> str:
        """Program of role models."""
        return f"{self.directory}/tools/modelops-reconcile"

    @property
    def uv_config(self) -> str:
        """The file that uv reads where Xinference installs packages for a model, in its working directory."""
        return f"{self.home}/uv.toml"

    @property
    def log(self) -> str:
        return f"{self.home}/logs/xinference.log"

    @property
    def search_path(self) -> str:
        """The server's search path for programs."""
        given = self.value("xinference_environment").get("PATH")
        system = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        return f"{self.directory}/current/bin:{system}" if given is None else str(given)

    @property
    def known_as(self) -> str:
        """Address or name by which other hosts call this one."""
        return self.settings.inventory.address or self.name

    # --- models ---

    @property
    def declared(self) -> list[t.Mapping[str, t.Any]]:
        """Models of this host's own variables."""
        return self._models(self.settings)

    @property
    def served(self) -> list[t.Mapping[str, t.Any]]:
        """Models of its cluster."""
        return self._models(self.api)

    def _models(self, settings: Settings) -> list[t.Mapping[str, t.Any]]:
        """The models; without an installation an invalid list counts as empty."""
        if self.request.installs:
            return list(settings.value("xinference_models") or [])
        return [each for each in settings.get("xinference_models") or [] if isinstance(each, dict)]
