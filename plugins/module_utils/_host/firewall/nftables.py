# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""nftables."""

from __future__ import annotations

import functools
import ipaddress
import json
import os
import re
import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._host.firewall.manager import (
    OURS,
    Firewall,
    find_program,
)
from ansible_collections.modelops.inference.plugins.module_utils._host.firewall.rules import (
    Accept,
    Range,
    Rules,
    merged,
    ports_text,
    sources,
)
from ansible_collections.modelops.inference.plugins.module_utils._host.service import service, systemd_service
from ansible_collections.modelops.inference.plugins.module_utils._host.system.shell import read_file, run
from ansible_collections.modelops.inference.plugins.module_utils._plan import Plan


class Nftables(Firewall):
    """A table of our own, replaced in one transaction.

    A service of our own loads it at boot. ``nftables.service``, where it is used, flushes all tables whenever it starts or
    reloads; a drop-in makes it load ours after that. Its own file belongs to somebody else.
    """

    kind = "nftables"
    advice = "its program nft is not installed. Install the package nftables"
    directory = "/etc/nftables.d"

    def __init__(self, name: str):
        super().__init__(name)
        self.table = table_name(name)
        self.path = f"{self.directory}/{self.tag}.nft"
        self._service = systemd_service.Systemd(f"modelops-firewall-{name}", "system")
        self._drop_in = f"/etc/systemd/system/nftables.service.d/{self.tag}.conf"
        self._systemd = service.detect() == ("systemd", "system")

    @staticmethod
    def usable() -> bool:
        return find_program("nft") is not None

    def known(self) -> bool:
        return os.path.exists(self.path) or os.path.exists(self._service.path)

    def plan(self, rules: Rules | None) -> Plan:
        plan = Plan(self.kind)
        nft = find_program("nft") or "nft"
        try:
            ruleset = json.loads(
                run([nft, "-j", "list", "ruleset"], "nft -j list ruleset (it needs root: become: true)")
            )
        except ValueError:
            raise ModelopsError(
                "nft cannot write JSON here (it was built without). Install the distribution's nftables."
            )
        live = read(ruleset, self.table)
        if rules is None:
            self._file(plan, self._drop_in, None)
            if self._systemd and os.path.exists(self._service.path):
                plan.add("remove", "remove service", self._service.name, data=self._service.remove)
            self._file(plan, self.path, None)
            if live is not None:
                # Created first, because the service may have deleted it already.
                text = f"table inet {self.table}\ndelete table inet {self.table}\n"
                delete = functools.partial(run, [nft, "-f", "-"], f"nft delete table inet {self.table}", stdin=text)
                plan.add("remove", "delete table", f"inet {self.table}", data=delete)
            return plan
        closed = closed_chains(ruleset, self.table, self.tag)
        if closed:
            lines = "\n".join(f"  {line}" for line in accept_lines(rules, self.tag))
            raise ModelopsError(
                f"nftables: {', '.join(closed)} drops all that it does not accept, and no other table can undo that. Add "
                f"these rules there and in its source file, before the rule that drops:\n{lines}\n"
                f"The comment {self.tag} marks them as done."
            )
        text = file_text(self.table, self.tag, rules)
        if read_file(self.path) != text:
            run([nft, "-c", "-f", "-"], f"nftables refuses the rules of {self.tag}; nothing was changed", stdin=text)
        self._file(plan, self.path, text)
        active = not self._systemd or self._boot(plan, nft)
        if plan or live != rules or not active:
            load = ["systemctl", "reload-or-restart", f"{self._service.name}.service"]
            self._run(plan, load if self._systemd else [nft, "-f", self.path])
        if plan and not self._systemd:
            self.warnings.append(
                f"Without systemd nothing loads {self.path} after a reboot: run `nft -f {self.path}` then."
            )
        return plan

    def _boot(self, plan: Plan, nft: str) -> bool:
        """Plans what loads the table at boot; True where the service is active already."""
        planned = len(plan.changes)
        words = dict(ours=OURS, name=self.name, nft=nft, path=self.path, table=self.table)
        self._file(plan, self._drop_in, DROP_IN.format(**words))
        unit = UNIT.format(**words)
        before = read_file(self._service.path)
        # systemd reads the drop-in, too, when the service is installed.
        if len(plan.changes) > planned or before != unit:
            self.texts[self._service.path] = (before or "", unit)
            sign = "add" if before is None else "change"
            install = functools.partial(self._service.install, unit)
            plan.add(sign, "install service", self._service.name, data=install)
        state = self._service.state()
        if not state.enabled:
            plan.add("change", "enable", self._service.name, data=self._service.enable)
        return state.active == "running"


UNIT = """\
# {ours}
[Unit]
Description=Firewall of the Xinference cluster {name}
DefaultDependencies=no
After=local-fs.target nftables.service
Before=network-pre.target shutdown.target
Wants=network-pre.target
Conflicts=shutdown.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart={nft} -f {path}
ExecReload={nft} -f {path}
ExecStop=-{nft} delete table inet {table}

[Install]
WantedBy=sysinit.target
"""

DROP_IN = """\
# {ours}
[Service]
ExecStartPost=-{nft} -f {path}
ExecReload=-{nft} -f {path}
"""


def table_name(name: str) -> str:
    return "modelops_" + re.sub(r"[^A-Za-z0-9_]", "_", name)


def accept_lines(rules: Rules, tag: str) -> list[str]:
    """The rules that let in, as nft reads them. Pure."""
    return [
        f"{'ip saddr { ' + ', '.join(row.sources) + ' } ' if row.sources else ''}"
        f'tcp dport {{ {ports_text(row.ports)} }} accept comment "{tag}"'
        for row in rules.accepts
    ]


def file_text(table: str, tag: str, rules: Rules) -> str:
    """The file that replaces the table in one transaction. Pure."""
    lines = accept_lines(rules, tag)
    if rules.drops:
        # Only what opens a connection: no answer to a connection of this host is ever dropped.
        opens = "tcp flags & (fin | syn | rst | ack) == syn"
        lines.append(f'{opens} tcp dport {{ {ports_text(rules.drops)} }} drop comment "{tag}"')
    body = "".join(f"\t\t{line}\n" for line in lines)
    return (
        f"# {OURS}\n"
        "# Created first, because deleting a table that is not there is an error.\n"
        f"table inet {table}\n"
        f"delete table inet {table}\n"
        f"table inet {table} {{\n"
        "\tchain input {\n"
        "\t\ttype filter hook input priority 0\n"
        '\t\tiifname "lo" accept\n'
        f"{body}"
        "\t}\n"
        "}\n"
    )


def read(ruleset: t.Mapping[str, t.Any], table: str) -> Rules | None:
    """The rules in a table as the kernel has it, from ``nft -j list ruleset``. Pure.

    :returns: None where the table is not there. What is not a rule of ours makes them differ from any wanted ones.
    """
    items = ruleset["nftables"]
    if not any(_is(item, "table", "name", table) for item in items):
        return None
    accepts: list[Accept] = []
    drops: list[Range] = []
    loopback = hooked = False
    for item in items:
        chain = item.get("chain")
        if _is(item, "chain", "table", table) and chain.get("hook") == "input" and chain.get("policy") == "accept":
            hooked = True
        if not _is(item, "rule", "table", table):
            continue
        found: dict[str, t.Any] = {}
        for part in item["rule"]["expr"]:
            if "match" in part:
                left = part["match"]["left"]
                key = left.get("payload", left.get("meta", {}))
                found[key.get("field", key.get("key", "flags"))] = part["match"]["right"]
            else:
                found.update(dict.fromkeys(part, True))
        ports = merged(_range(value) for value in _set(found.get("dport", [])))
        if "accept" in found and "iifname" in found:
            loopback = True
        elif "accept" in found:
            among = [text for value in _set(found.get("saddr", [])) for text in _sources(value)]
            accepts.append(Accept(tuple(among), ports))
        elif "drop" in found:
            drops += ports
    if not (hooked and loopback):
        accepts = []
    return Rules(tuple(Accept(sources("nft", row.sources), row.ports) for row in accepts), merged(drops))


def _is(item: t.Mapping[str, t.Any], kind: str, key: str, name: str) -> bool:
    return kind in item and item[kind]["family"] == "inet" and item[kind][key] == name


def _set(value: t.Any) -> list[t.Any]:
    if isinstance(value, dict) and "set" in value:
        value = value["set"]
    return value if isinstance(value, list) else [value]


def _range(value: t.Any) -> Range:
    low, high = value["range"] if isinstance(value, dict) else (value, value)
    return int(low), int(high)


def _sources(value: t.Any) -> list[str]:
    if not isinstance(value, dict):
        return [str(value)]
    if "range" in value:  # what it makes of neighbours
        first, last = map(ipaddress.IPv4Address, value["range"])
        return [str(network) for network in ipaddress.summarize_address_range(first, last)]
    return [f"{value['prefix']['addr']}/{value['prefix']['len']}"]


def closed_chains(ruleset: t.Mapping[str, t.Any], table: str, tag: str) -> list[str]:
    """Chains of others that drop whatever they do not accept, and have no rule with our comment. Pure."""
    closed: dict[tuple[str, str, str], bool] = {}
    for item in ruleset["nftables"]:
        chain, rule = item.get("chain", {}), item.get("rule", {})
        if chain.get("hook") == "input" and chain["family"] in ("inet", "ip") and chain["table"] != table:
            closed[chain["family"], chain["table"], chain["name"]] = chain.get("policy") == "drop"
    opened = set()
    for item in ruleset["nftables"]:
        rule = item.get("rule", {})
        key = rule.get("family", ""), rule.get("table", ""), rule.get("chain", "")
        if key in closed:
            verdicts = {word for part in rule["expr"] for word in part} - {"counter", "log"}
            if verdicts in ({"drop"}, {"reject"}):
                closed[key] = True
            if tag in rule.get("comment", "").split():
                opened.add(key)
    return [" ".join(key) for key, is_closed in closed.items() if is_closed and key not in opened]
