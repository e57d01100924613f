# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""firewalld."""

from __future__ import annotations

import hashlib
import os
import re
import typing as t
from xml.sax import saxutils

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._host.firewall.manager import (
    OURS,
    Firewall,
    ask,
    find_program,
)
from ansible_collections.modelops.inference.plugins.module_utils._host.firewall.rules import Rules, ports_text
from ansible_collections.modelops.inference.plugins.module_utils._host.system.shell import CommandFailed, run
from ansible_collections.modelops.inference.plugins.module_utils._plan import Plan


class Firewalld(Firewall):
    """A policy of our own (firewalld 0.9 and later) for what comes to this host, and an ipset for each list of sources.

    A policy works beside the zones, whichever an interface is in; a zone of our own would take all traffic of the peers.
    It can only be made in the permanent configuration and a reload.
    """

    kind = "firewalld"
    advice = "it is not running. Start it: systemctl enable --now firewalld"
    directory = "/etc/firewalld"

    def __init__(self, name: str):
        super().__init__(name)
        self.policy = policy_name(name)
        self.path = f"{self.directory}/policies/{self.policy}.xml"

    @staticmethod
    def usable() -> bool:
        program = find_program("firewall-cmd")
        try:
            return program is not None and bool(run([program, "--state"], "", env={"LC_ALL": "C"}, timeout=20))
        except CommandFailed as exc:
            # Who is not root may learn no more than that it runs.
            return "Authorization failed" in exc.output

    def known(self) -> bool:
        return os.path.exists(self.path)

    def plan(self, rules: Rules | None) -> Plan:
        plan = Plan(self.kind)
        files = file_texts(self.policy, self.name, rules) if rules else {}
        ours = [f"policies/{self.policy}.xml", f"ipsets/{self.policy}-0.xml", f"ipsets/{self.policy}-1.xml"]
        # The policy after what it names when both come, before it when both go.
        for path in dict.fromkeys([*files, *ours]):
            self._file(plan, f"{self.directory}/{path}", files.get(path))
        if not self.usable():
            return plan
        command = find_program("firewall-cmd") or "firewall-cmd"
        if rules and ask([command, "--get-policies"]) is None:
            raise ModelopsError(
                "firewalld's policies cannot be read: it is older than 0.9, or this is not root (become: true)."
            )
        if plan or (rules and self._stale(command, files)):
            different = self._runtime_only(command)
            if different:
                raise ModelopsError(
                    "firewalld runs with rules that are not permanent, and the reload that a policy needs would lose them "
                    f"(firewall-cmd {different} differs from its --permanent). Keep them (firewall-cmd "
                    "--runtime-to-permanent) or drop them (firewall-cmd --reload), then run this again."
                )
            self._run(plan, [command, "--check-config"])
            self._run(plan, [command, "--reload"])
        return plan

    def _stale(self, command: str, files: t.Mapping[str, str]) -> bool:
        """Whether what runs differs from the files."""
        names = [os.path.basename(path)[: -len(".xml")] for path in files]
        asked = [
            [f"--policy={name}", "--list-rich-rules"] if name == self.policy else [f"--ipset={name}", "--get-entries"]
            for name in names
        ]
        return any(ask([command, *words]) != ask([command, "--permanent", *words]) for words in asked)

    def _runtime_only(self, command: str) -> str:
        """The listing in which others' rules that run differ from those that are permanent; "" where none does."""
        ipsets = (ask([command, "--get-ipsets"]) or "").split()
        for words in (
            ["--list-all-zones"],
            ["--list-all-policies"],
            ["--direct", "--get-all-rules"],
            *([f"--ipset={name}", "--get-entries"] for name in ipsets if not name.startswith(self.policy)),
        ):
            now, later = (ask([command, *more, *words]) or "" for more in ([], ["--permanent"]))
            if listing(now, self.policy) != listing(later, self.policy):
                return " ".join(words)
        return ""

    def _undone(self) -> None:
        command = find_program("firewall-cmd")
        if command:
            ask([command, "--reload"])


def policy_name(name: str) -> str:
    """firewalld takes 18 characters: a longer name becomes a digest. Pure."""
    return f"modelops-{name if len(name) <= 9 else hashlib.sha256(name.encode()).hexdigest()[:9]}"


def listing(text: str, ours: str) -> list[str]:
    """A listing without our part, and without what differs between runtime and permanent configuration by itself. Pure."""
    parts = [part for part in text.split("\n\n") if part.split()[:1] != [ours]]
    lines = [re.sub(r" \([a-z, ]*\)$", "", line.rstrip()) for part in parts for line in part.splitlines()]
    # NetworkManager puts interfaces into zones at runtime, and again after a reload.
    return [line for line in lines if line and not line.strip().startswith("interfaces:")]


def file_texts(policy: str, name: str, rules: Rules) -> dict[str, str]:
    """Text of each file, by its path below /etc/firewalld; the policy last. Pure. firewalld.policy(5), firewalld.ipset(5)."""
    head = '<?xml version="1.0" encoding="utf-8"?>\n'
    about = f"  <short>Xinference cluster {saxutils.escape(name)}</short>\n  <description>{OURS}</description>\n"
    files: dict[str, str] = {}
    rows: list[str] = []

    def port(low: int, high: int) -> str:
        return f'<port port="{ports_text([(low, high)])}" protocol="tcp"/>'

    for number, row in enumerate(rules.accepts):
        source = ""
        if row.sources:
            entries = "".join(f"  <entry>{item}</entry>\n" for item in row.sources)
            files[f"ipsets/{policy}-{number}.xml"] = f'{head}<ipset type="hash:net">\n{about}{entries}</ipset>\n'
            source = f'<source ipset="{policy}-{number}"/>'
        rows += [f'  <rule priority="-2" family="ipv4">{source}{port(*item)}<accept/></rule>\n' for item in row.ports]
    rows += [f'  <rule priority="-1">{port(*item)}<drop/></rule>\n' for item in rules.drops]
    files[f"policies/{policy}.xml"] = (
        f'{head}<policy priority="-100" target="CONTINUE">\n{about}'
        '  <ingress-zone name="ANY"/>\n  <egress-zone name="HOST"/>\n'
        f"{''.join(rows)}</policy>\n"
    )
    return files
