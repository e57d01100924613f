# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The variables of one host as the roles have them: read in one place, typed, and with the roles' defaults. Private to the collection.

Values are rendered and checked when something asks for them, so a role is not judged by what only another one needs.
"""

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass, field

from ansible.module_utils.common.yaml import yaml_load

from ansible_collections.modelops.inference.plugins.plugin_utils._site import kinds

ROLES = os.path.join(os.path.dirname(os.path.abspath(__file__)), *[os.pardir] * 3, "roles")
ALL = ("accelerator", "xinference", "models", "dify")
SUPERVISORS, WORKERS = "xinference_supervisors", "xinference_workers"

Refusals = t.Iterator[str]


def read(*parts: str) -> t.Any:
    with open(os.path.join(ROLES, *parts), encoding="utf-8") as file:
        return yaml_load(file)


@dataclass(frozen=True)
class Specs:
    """The roles' options and defaults by variable.

    :param options: of each variable its option.
    :param defaults: of each variable that has one its default, a template where it is computed.
    :param roles: of each variable its role.
    """

    options: dict[str, dict[str, t.Any]]
    defaults: dict[str, t.Any]
    roles: dict[str, str]

    @classmethod
    def of(cls, roles: t.Iterable[str]) -> Specs:
        options: dict[str, dict[str, t.Any]] = {}
        defaults: dict[str, t.Any] = {}
        owner: dict[str, str] = {}
        for role in roles:
            found = read(role, "meta", "argument_specs.yml")["argument_specs"]["main"]["options"]
            options.update(found)
            owner.update(dict.fromkeys(found, role))
            defaults.update(read(role, "defaults", "main.yml"))
        return cls(options, defaults, owner)


# A plugin is loaded once, by Ansible's own process; its workers, one a host, find the files read.
SPECS = Specs.of(ALL)


@dataclass(frozen=True)
class Inventory:
    """The inventory around a host, by which its variables are judged.

    :param host: name of the host.
    :param groups: names of its groups.
    :param members: of each group of the inventory its hosts.
    :param play_hosts: hosts of the play.
    :param variables: gives the variables of another host.
    :param address: how Ansible reaches the host; empty where the inventory does not say.
    """

    host: str
    groups: t.Collection[str] = ()
    members: t.Mapping[str, t.Sequence[str]] = field(default_factory=dict)
    play_hosts: t.Collection[str] = ()
    variables: t.Callable[[str], t.Mapping[str, t.Any]] = lambda host: {}
    address: str = ""

    @property
    def parts(self) -> list[str]:
        """The host's parts by its groups: a standalone server, or a cluster's supervisor, one of its workers, or both."""
        found = ["supervisor"] * (SUPERVISORS in self.groups) + ["worker"] * (WORKERS in self.groups)
        return found or ["local"]

    @property
    def distributed(self) -> bool:
        return self.parts != ["local"]


class Settings:
    """
    :param given: the variables of the host, raw.
    :param render: gives the plain value of a raw one, with ``kinds.UNKNOWN`` in the place of what nobody can tell yet.
    :param part: of the host, which names its service; empty for the first one that its groups give it.
    :param strict: gives the plain value of a raw one, or raises what its template raises.
    """

    def __init__(
        self,
        given: t.Mapping[str, t.Any],
        inventory: Inventory,
        render: t.Callable[[str, t.Any], t.Any] = lambda name, value: value,
        specs: Specs = SPECS,
        part: str = "",
        strict: t.Callable[[str, t.Any], t.Any] = lambda name, value: value,
    ):
        self.inventory, self.specs, self.part = inventory, specs, part or inventory.parts[0]
        self._raw, self._render, self._strict = given, render, strict
        self._plain: dict[str, t.Any] = {}
        self._typed: dict[str, t.Any] = {}
        self._computed: dict[str, t.Callable[[], t.Any]] = {
            "xinference_offline": lambda: self.get("xinference_bundle") not in ("", None),
            "xinference_home": lambda: self._below("home"),
            "xinference_models_dir": lambda: self._below("models"),
            "xinference_cache_dir": lambda: self._below("cache/uv"),
            "xinference_group": lambda: self.get("xinference_user"),
            "xinference_cluster": lambda: "default" if inventory.distributed else inventory.host,
            "xinference_host": lambda: "" if inventory.distributed else "127.0.0.1",
            "xinference_service": self._service,
        }

    def given(self, name: str) -> bool:
        """Whether the inventory says something of a variable, beside the role's default."""
        known, raw = self.specs.defaults, self._raw.get(name)
        # For Python false is 0.
        same = name in known and raw == known[name] and isinstance(raw, bool) == isinstance(known[name], bool)
        return name in self._raw and not same

    def has(self, name: str) -> bool:
        """Whether the play knows a variable, were it by the defaults of its role."""
        return name in self._raw

    def raw(self, name: str) -> t.Any:
        """A given variable as the inventory has it, templates not rendered."""
        return self._raw.get(name)

    def keys(self, name: str) -> list[str]:
        """The name of a given variable as the play has it and as the inventory does, which may tell where it stands."""
        # Before ansible-core 2.19 the play has that of the role's defaults.
        theirs = self.inventory.variables(self.inventory.host)
        return [each for names in (self._raw, theirs) for each in names if each == name]

    def plain(self, name: str) -> t.Any:
        """A given variable as a person wrote it, templates rendered."""
        if name not in self._plain:
            self._plain[name] = self._render(name, self._raw[name])
        return self._plain[name]

    def mistakes(self, name: str) -> list[str]:
        """Type errors of a given variable."""
        return kinds.mistakes(self.plain(name), self.specs.options[name], name, _known)

    def get(self, name: str) -> t.Any:
        """A variable as its option has it, or its default; None where it is wrong, or nobody can tell it."""
        if name not in self._typed:
            self._typed[name] = self._found(name)
        return self._typed[name]

    def value(self, name: str) -> t.Any:
        """A required variable in its option's form; a list or dict with suboptions as written.

        :raises Exception: what its template raises.
        """
        found = self.get(name)
        if not self.given(name):
            return found
        if found is None or not kinds.known(found):
            return self._strict(name, self._raw[name])
        return self.plain(name) if "options" in self.specs.options[name] else found

    def _found(self, name: str) -> t.Any:
        if not self.given(name):
            if name in self._computed:
                return self._computed[name]()
            default = self.specs.defaults.get(name)
            return None if isinstance(default, str) and "{{" in default else default
        value = self.plain(name)
        # Callers skip unknown parts of a list or dict.
        if isinstance(value, kinds.Unknown) or self.mistakes(name):
            return None
        option = self.specs.options[name]
        return kinds.typed(value, option) if kinds.known(value) else value

    def _below(self, name: str) -> str | None:
        directory = self.get("xinference_dir")
        return None if directory is None else f"{directory}/{name}"

    def _service(self) -> str:
        return "xinference" if self.part == "local" else f"xinference-{self.part}"

    @property
    def authentication(self) -> str:
        """The kind of authentication of the inventory's release."""
        return self.authentication_of(self.get("xinference_version"))

    def authentication_of(self, version: t.Any) -> str:
        """The kind of authentication: ``database`` since 3.0, ``file`` before, ``none``, or empty where the version is wrong."""
        if self.get("xinference_auth") is False:
            return "none"
        major = str(version).partition(".")[0]
        return ("database" if int(major) >= 3 else "file") if major.isdigit() else ""


def _known(value: t.Any, option: kinds.Option) -> t.Any:
    if isinstance(value, kinds.Unknown):
        raise kinds.NotKnown()
    return value
