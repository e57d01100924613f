# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The package index settings of a host, in uv's words. Private to the collection.

uv reads neither pip's configuration nor PIP_* variables, and a fleet's mirror is usually configured there. So what the
role was given wins, and what it was not given is asked of pip (`pip config list` merges all its files and variables).
"""

from __future__ import annotations

import ast
import dataclasses
import re
import typing as t
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.modelops.inference.plugins.module_utils._host.system.shell import run

INDEX_OPTIONS: dict[str, t.Any] = dict(
    type="dict",
    default={},
    options=dict(
        index_url=dict(type="str"),
        extra_index_urls=dict(type="list", elements="str"),
        find_links=dict(type="list", elements="str"),
        constraints=dict(type="list", elements="str"),
        ca_path=dict(type="path"),
        proxy=dict(type="str"),
        no_proxy=dict(type="str"),
        trusted_hosts=dict(type="list", elements="str"),
        timeout=dict(type="int"),
        no_index=dict(type="bool"),
        python_mirror=dict(type="str"),
        denied=dict(type="list", elements="str"),
    ),
)


def normal(package: str) -> str:
    """The name of a package as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", package).lower()


@dataclass
class IndexSettings:
    """The sources of packages.

    :ivar index_url: the index instead of PyPI.
    :ivar extra_index_urls: further indexes.
    :ivar find_links: directories or pages with wheels.
    :ivar constraints: lines such as ``fastapi<0.137``.
    :ivar ca_path: certificate bundle (PEM).
    :ivar timeout: seconds for one answer of an index.
    :ivar no_index: take packages from ``find_links`` only.
    :ivar python_mirror: URL, or directory on this host, of the Pythons that uv fetches.
    :ivar denied: what is not installed, beside what is known to be malicious; see denied.py.
    """

    index_url: str | None = None
    extra_index_urls: list[str] = field(default_factory=list)
    find_links: list[str] = field(default_factory=list)
    constraints: list[str] = field(default_factory=list)
    ca_path: str | None = None
    proxy: str | None = None
    no_proxy: str | None = None
    trusted_hosts: list[str] = field(default_factory=list)
    timeout: int | None = None
    no_index: bool = False
    python_mirror: str | None = None
    denied: list[str] = field(default_factory=list)

    @classmethod
    def of_host(cls, given: t.Mapping[str, t.Any], pip: t.Sequence[str]) -> IndexSettings:
        """The given options, completed from pip's own configuration.

        :param pip: the command that runs pip on this host.
        """
        own = parse_pip_config(run([*pip, "config", "list"], "reading pip's configuration"))
        merged = {**dataclasses.asdict(own), **{key: value for key, value in given.items() if value is not None}}
        return cls(**merged)

    def environment(self) -> dict[str, str]:
        """uv's variables. Not options: an index URL may carry a password, and argv is public."""
        env: dict[str, str] = {}
        if not self.no_index:
            if self.index_url:
                env["UV_DEFAULT_INDEX"] = self.index_url
            if self.extra_index_urls:
                env["UV_INDEX"] = " ".join(self.extra_index_urls)
                # pip takes the best version of all indexes; uv would stop at the first that knows the name.
                env["UV_INDEX_STRATEGY"] = "unsafe-best-match"
        if self.find_links:
            env["UV_FIND_LINKS"] = ",".join(self.find_links)
        if self.trusted_hosts:
            env["UV_INSECURE_HOST"] = " ".join(self.trusted_hosts)
        if self.python_mirror:
            # uv takes nothing but URLs here.
            path = self.python_mirror.startswith("/")
            env["UV_PYTHON_INSTALL_MIRROR"] = Path(self.python_mirror).as_uri() if path else self.python_mirror
        if self.timeout:
            env["UV_HTTP_TIMEOUT"] = str(self.timeout)
        return {**env, **self._transport()}

    def pip_environment(self) -> dict[str, str]:
        """pip's variables, for the one package that it installs: uv."""
        env: dict[str, str] = {}
        if self.no_index:
            env["PIP_NO_INDEX"] = "1"
        else:
            if self.index_url:
                env["PIP_INDEX_URL"] = self.index_url
            if self.extra_index_urls:
                env["PIP_EXTRA_INDEX_URL"] = " ".join(self.extra_index_urls)
        if self.find_links:
            env["PIP_FIND_LINKS"] = " ".join(self.find_links)
        if self.trusted_hosts:
            env["PIP_TRUSTED_HOST"] = " ".join(self.trusted_hosts)
        if self.ca_path:
            env["PIP_CERT"] = self.ca_path
        return {**env, **self._transport()}

    def _transport(self) -> dict[str, str]:
        env: dict[str, str] = {}
        if self.ca_path:
            env["SSL_CERT_FILE"] = self.ca_path
        if self.proxy:
            env.update(HTTP_PROXY=self.proxy, HTTPS_PROXY=self.proxy, ALL_PROXY=self.proxy)
        if self.no_proxy:
            env["NO_PROXY"] = self.no_proxy
        return env


def parse_pip_config(text: str) -> IndexSettings:
    """Reads ``pip config list``: lines such as ``global.index-url='https://...'``.

    Where an option stands in several sections, the variable (``:env:``) wins over pip install's own section, and that
    over the general one. pip prints them sorted by name, not by rank.
    """
    values: dict[str, str] = {}
    rank = {"global": 0, "install": 1, ":env:": 2}
    known = [line.partition("=") for line in text.splitlines()]
    known.sort(key=lambda parts: rank.get(parts[0].strip().rpartition(".")[0], -1))
    for name, equals, raw in known:
        section, dot, option = name.strip().rpartition(".")
        if not equals or section not in rank:
            continue
        try:
            value = ast.literal_eval(raw.strip())
        except (ValueError, SyntaxError):
            value = raw.strip().strip("'\"")
        values[option] = str(value)
    words = {key: value.split() for key, value in values.items()}
    return IndexSettings(
        index_url=values.get("index-url"),
        extra_index_urls=words.get("extra-index-url", []),
        find_links=words.get("find-links", []),
        constraints=[f"-c {path}" for path in words.get("constraint", [])],
        ca_path=values.get("cert"),
        proxy=values.get("proxy"),
        trusted_hosts=words.get("trusted-host", []),
        timeout=int(values["default-timeout"])
        if values.get("default-timeout", "").isdigit()
        else (int(values["timeout"]) if values.get("timeout", "").isdigit() else None),
        no_index=values.get("no-index", "").lower() in ("1", "true", "yes"),
    )
