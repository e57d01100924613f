# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The firewall: rules and each manager's text by tables, the module against programs that behave like the real ones."""

from __future__ import annotations

import copy
import json
import os
import stat
import sys
import xml.etree.ElementTree

import pytest

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._host.firewall import (
    choice,
    exposure,
    firewalld,
    manager,
    nftables,
    port_range,
    rules,
    ufw,
)
from ansible_collections.modelops.inference.plugins.module_utils._host.firewall.rules import Accept, Rules

EPHEMERAL = (32768, 60999)
PEERS = ("10.1.0.7", "10.1.0.0/30")
CLIENTS = ("10.2.0.0/16", "10.3.0.1")
AMONG = ((9997, 9997), (9999, 9999), EPHEMERAL)
RULES = Rules((Accept(("10.1.0.0/30", "10.1.0.7"), AMONG), Accept(CLIENTS, ((9997, 9997),))), AMONG)


def desired(peers=PEERS, cluster=("9999", "ephemeral"), api_port=9997, api_networks=CLIENTS, except_ports=()):
    return rules.desired(peers, rules.parse_ports(cluster, EPHEMERAL), api_port, api_networks, except_ports)


# Rules


def test_peers_reach_all_and_clients_the_api():
    assert desired() == RULES
    assert RULES.lines == [
        "accept TCP 9997, 9999, 32768-60999 from 10.1.0.0/30, 10.1.0.7",
        "accept TCP 9997 from 10.2.0.0/16, 10.3.0.1",
        "drop TCP 9997, 9999, 32768-60999 from others",
    ]


@pytest.mark.parametrize(
    ("options", "accepts", "drops"),
    [
        # Nobody is not anybody.
        ({"peers": [], "api_networks": []}, [], AMONG),
        ({"peers": [], "cluster": [], "api_networks": []}, [], ((9997, 9997),)),
        ({"api_port": None}, [(PEERS[::-1], AMONG[1:])], AMONG[1:]),
        # Everybody reaches the API, so nothing of it is dropped.
        ({"api_networks": ["10.2.0.0/16", "0.0.0.0/0"]}, [(PEERS[::-1], AMONG), ([], AMONG[:1])], AMONG[1:]),
        # Other listeners stay unchanged.
        (
            {"cluster": ["40000-40010"], "api_port": None, "except_ports": [40000, 40005, 22]},
            [(PEERS[::-1], ((40001, 40004), (40006, 40010)))],
            ((40001, 40004), (40006, 40010)),
        ),
        # An API among the cluster's ports is reached by its clients, too.
        (
            {"cluster": ["9990-9999", "10000"]},
            [(PEERS[::-1], ((9990, 10000),)), (CLIENTS, ((9997, 9997),))],
            ((9990, 10000),),
        ),
    ],
)
def test_rules(options, accepts, drops):
    assert desired(**options) == Rules(tuple(Accept(tuple(hosts), ports) for hosts, ports in accepts), drops)


def test_sources_are_joined_so_that_their_order_does_not_matter():
    assert rules.sources("peers", ["10.1.0.1", "10.1.0.9", "10.1.0.0", "10.1.0.1"]) == ("10.1.0.0/31", "10.1.0.9")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"peers": ["0.0.0.0/0"]}, "require no password"),
        ({"peers": ["0.0.0.0/1", "128.0.0.0/1"]}, "require no password"),
        ({"peers": ["fd00::1"]}, "fd00::1 is IPv6"),
        ({"peers": ["worker1"]}, "worker1 is not an IPv4 address"),
        ({"api_networks": ["10.1.0.5/24"]}, "api_networks: 10.1.0.5/24"),
        ({"cluster": ["http"]}, "http must be a port"),
        ({"cluster": ["9-5"]}, "9 to 5"),
        ({"cluster": ["70000"]}, "70000"),
    ],
)
def test_what_cannot_be_is_refused(options, reason):
    with pytest.raises(ModelopsError, match=reason):
        desired(**options)


# nftables. What the kernel answers, of nft 1.0.6.


def rule(table, expr, comment=None, chain="input"):
    comments = {"comment": comment} if comment else {}
    return {"rule": {"family": "inet", "table": table, "chain": chain, "handle": 2, **comments, "expr": expr}}


def match(field, right, protocol="tcp"):
    return {"match": {"op": "==", "left": {"payload": {"protocol": protocol, "field": field}}, "right": right}}


def chain(table, policy="accept", hook="input"):
    names = {"family": "inet", "table": table, "name": hook, "handle": 1}
    return {"chain": {**names, "type": "filter", "hook": hook, "prio": 0, "policy": policy}}


PORTS = {"set": [9997, 9999, {"range": [32768, 60999]}]}
FLAGS = {"&": [{"payload": {"protocol": "tcp", "field": "flags"}}, ["fin", "syn", "rst", "ack"]]}
LIVE = [
    {"table": {"family": "inet", "name": "modelops_b", "handle": 7}},
    chain("modelops_b"),
    rule(
        "modelops_b", [{"match": {"op": "==", "left": {"meta": {"key": "iifname"}}, "right": "lo"}}, {"accept": None}]
    ),
    rule(
        "modelops_b",
        [
            match("saddr", {"set": [{"range": ["10.1.0.0", "10.1.0.3"]}, "10.1.0.7"]}, "ip"),
            match("dport", PORTS),
            {"accept": None},
        ],
        "modelops-b",
    ),
    rule(
        "modelops_b",
        [
            match("saddr", {"set": [{"prefix": {"addr": "10.2.0.0", "len": 16}}, "10.3.0.1"]}, "ip"),
            match("dport", 9997),
            {"accept": None},
        ],
        "modelops-b",
    ),
    rule(
        "modelops_b",
        [{"match": {"op": "==", "left": FLAGS, "right": "syn"}}, match("dport", PORTS), {"drop": None}],
        "modelops-b",
    ),
]


def ruleset(*items):
    return {"nftables": [{"metainfo": {"version": "1.0.6"}}, *items]}


def test_nft_text():
    assert nftables.file_text("modelops_b", "modelops-b", RULES).splitlines()[2:] == [
        "table inet modelops_b",
        "delete table inet modelops_b",
        "table inet modelops_b {",
        "\tchain input {",
        "\t\ttype filter hook input priority 0",
        '\t\tiifname "lo" accept',
        '\t\tip saddr { 10.1.0.0/30, 10.1.0.7 } tcp dport { 9997, 9999, 32768-60999 } accept comment "modelops-b"',
        '\t\tip saddr { 10.2.0.0/16, 10.3.0.1 } tcp dport { 9997 } accept comment "modelops-b"',
        '\t\ttcp flags & (fin | syn | rst | ack) == syn tcp dport { 9997, 9999, 32768-60999 } drop comment "modelops-b"',
        "\t}",
        "}",
    ]


def test_what_the_kernel_has_is_read_back():
    assert nftables.read(ruleset(*LIVE), "modelops_b") == RULES
    assert nftables.read(ruleset(*LIVE), "modelops_c") is None


@pytest.mark.parametrize("gone", range(1, len(LIVE)))
def test_whatever_is_missing_in_the_kernel_differs(gone):
    assert nftables.read(ruleset(*LIVE[:gone], *LIVE[gone + 1 :]), "modelops_b") != RULES


@pytest.mark.parametrize(
    ("items", "closed"),
    [
        ([chain("filter")], []),
        ([chain("filter", "drop", hook="forward")], []),
        ([chain("filter", "drop")], ["inet filter input"]),
        ([chain("filter"), rule("filter", [{"counter": {}}, {"drop": None}])], ["inet filter input"]),
        ([chain("filter"), rule("filter", [match("dport", 25), {"drop": None}])], []),
        ([chain("filter"), rule("filter", [{"reject": {"type": "icmpx"}}])], ["inet filter input"]),
        ([chain("filter", "drop"), rule("filter", [match("dport", 9997), {"accept": None}], "modelops-b")], []),
        ([chain("filter", "drop"), rule("filter", [{"accept": None}], "modelops-berlin")], ["inet filter input"]),
        (LIVE, []),
    ],
)
def test_a_chain_of_others_that_drops_is_found(items, closed):
    assert nftables.closed_chains(ruleset(*items), "modelops_b", "modelops-b") == closed


# firewalld


def test_firewalld_files():
    files = firewalld.file_texts("modelops-b", "b", RULES)
    assert list(files) == ["ipsets/modelops-b-0.xml", "ipsets/modelops-b-1.xml", "policies/modelops-b.xml"]
    roots = {path: xml.etree.ElementTree.fromstring(text.encode()) for path, text in files.items()}
    entries = [entry.text for entry in roots["ipsets/modelops-b-0.xml"].iter("entry")]
    assert entries == ["10.1.0.0/30", "10.1.0.7"]
    policy = roots["policies/modelops-b.xml"]
    assert policy.attrib == {"priority": "-100", "target": "CONTINUE"}
    rows = [
        (
            item.get("priority"),
            *(
                item.find(tag).get(key) if item.find(tag) is not None else ""
                for tag, key in (("source", "ipset"), ("port", "port"))
            ),
            "accept" if item.find("accept") is not None else "drop",
        )
        for item in policy.iter("rule")
    ]
    assert rows == [
        *[("-2", "modelops-b-0", port, "accept") for port in ("9997", "9999", "32768-60999")],
        ("-2", "modelops-b-1", "9997", "accept"),
        *[("-1", "", port, "drop") for port in ("9997", "9999", "32768-60999")],
    ]


def test_a_name_that_is_too_long_for_firewalld_is_a_digest():
    assert firewalld.policy_name("berlin") == "modelops-berlin"
    names = {firewalld.policy_name(f"production-{number}") for number in range(20)}
    assert len(names) == 20 and {len(name) for name in names} == {18}


def test_what_differs_between_runtime_and_permanent_by_itself_does_not_count():
    permanent = "public\n  target: default\n  interfaces: \n  ports: \n\nmodelops-b\n  target: CONTINUE\n"
    runtime = "public (default, active)\n  target: default\n  interfaces: eth0\n  ports: \n"
    assert firewalld.listing(permanent, "modelops-b") == firewalld.listing(runtime, "modelops-b")
    opened = runtime.replace("ports: ", "ports: 5555/tcp")
    assert firewalld.listing(permanent, "modelops-b") != firewalld.listing(opened, "modelops-b")


FIREWALL_CMD = """#!/bin/sh
echo "{says}" >&2
{end}
"""


@pytest.mark.parametrize(
    ("says", "end", "kind"),
    [
        ("", "echo running", "firewalld"),
        ("Authorization failed.", "exit 253", "firewalld"),
        ("not running", "exit 252", "nftables"),
        ("Error: DBUS_ERROR: Failed to connect to socket", "exit 36", "nftables"),
    ],
)
def test_whether_firewalld_runs_is_seen_without_root(host, tmp_path, says, end, kind):
    host("nft", NFT)
    host("firewall-cmd", FIREWALL_CMD.replace("{says}", says).replace("{end}", end))
    assert choice.detect() == kind


# ufw

ADDED = """\
Added user rules (see 'ufw status' for running firewall):
ufw allow from 10.1.0.0/30 to any port 9997,9999,32768:60999 proto tcp comment 'modelops-b'
ufw allow from 10.1.0.7 to any port 9997,9999,32768:60999 proto tcp comment 'modelops-b'
ufw deny 9997,9999,32768:60999/tcp comment 'modelops-b'
ufw allow 22/tcp
ufw limit OpenSSH comment 'it is ours'
ufw allow from fd00::/8 to any port 9997 proto tcp
"""


def test_what_ufw_has_is_read_back():
    rows = ufw.parse_rows(ADDED)
    assert [row.key for row in rows[:4]] == [
        ("allow", "10.1.0.0/30", "9997,9999,32768:60999"),
        ("allow", "10.1.0.7", "9997,9999,32768:60999"),
        ("deny", "0.0.0.0/0", "9997,9999,32768:60999"),
        ("allow", "0.0.0.0/0", "22"),
    ]
    assert [row.comment for row in rows] == ["modelops-b"] * 3 + ["", "it is ours"]
    assert [row.key for row in ufw.wanted_rows(desired(api_networks=[]), "modelops-b")] == [row.key for row in rows[:3]]


@pytest.mark.parametrize(
    ("before", "options", "steps"),
    [
        # An empty ufw: what drops is added last.
        ("", {"peers": ["10.1.0.7"], "cluster": ["9999"]}, [(1, "allow", "10.1.0.7"), (0, "deny", "0.0.0.0/0")]),
        # Others' rules come after ours.
        (
            "ufw allow 22/tcp\n",
            {"peers": ["10.1.0.7"], "cluster": ["9999"]},
            [(1, "allow", "10.1.0.7"), (2, "deny", "0.0.0.0/0")],
        ),
        # One more peer goes to the top; the rest stays.
        (ADDED, {"peers": [*PEERS, "10.1.0.9"]}, [(1, "allow", "10.1.0.9")]),
        (ADDED, {}, []),
        # Other ports: what drops now stands below all that lets in, the old ones too.
        (
            ADDED,
            {"peers": ["10.1.0.7"], "cluster": ["9999"]},
            [(1, "allow", "10.1.0.7"), (4, "deny", "0.0.0.0/0")],
        ),
        ("ufw allow 22/tcp\n", {"peers": [], "cluster": ["9999"]}, [(1, "deny", "0.0.0.0/0")]),
    ],
)
def test_what_ufw_lacks_goes_where_it_works(before, options, steps):
    wanted = ufw.wanted_rows(desired(**{"api_networks": [], **options}), "modelops-b")
    missing = ufw.missing_rows(ufw.parse_rows(before), wanted, "modelops-b")
    assert [(position, row.action, row.source) for position, row in missing] == steps


def test_ufw_takes_fifteen_ports_in_a_rule():
    ranges = tuple((port, port + 1) for port in range(100, 140, 4))
    rows = ufw.wanted_rows(Rules((Accept(("10.1.0.7",), ranges),), ()), "modelops-b")
    assert len(rows) == 2 and all(row.ports.count(":") <= 7 for row in rows)


# The module. Programs that do what the real ones were seen to do; each notes its arguments.

NFT = """#!{python}
import json, os, sys
state = os.path.join(os.path.dirname(__file__), "live.json")
words = sys.argv[1:]
if words == ["-j", "list", "ruleset"]:
    print(open(state).read() if os.path.exists(state) else '{{"nftables": []}}')
elif words[0] == "-c":
    sys.exit("syntax error" if "refused" in sys.stdin.read() else 0)
else:
    text = sys.stdin.read() if words[1] == "-" else open(words[1]).read()
    with open(state, "w") as file:
        json.dump({{"nftables": {live!r} if "chain" in text else []}}, file)
"""

UFW = """#!{python}
import os, shlex, sys
state = os.path.join(os.path.dirname(__file__), "ufw.rules")
rows = open(state).read().splitlines() if os.path.exists(state) else []
words = sys.argv[1:]
if words == ["show", "added"]:
    print("Added user rules (see 'ufw status' for running firewall):")
    print("\\n".join(rows))
    sys.exit()
position = len(rows)
if words[0] == "prepend":
    position, words = 0, words[1:]
elif words[0] == "insert":
    position, words = int(words[1]) - 1, words[2:]
    if position >= len(rows):
        sys.exit("ERROR: Invalid position")
delete = words[0] == "delete"
words = words[1:] if delete else words
action, source, ports, comment = words[0], words[4], words[8], words[10] if len(words) > 10 else ""
row = f"ufw {{action}} from {{source}} to any port {{ports}} proto tcp"
if source == "0.0.0.0/0":
    row = f"ufw {{action}} {{ports}}/tcp"
if delete:
    rows = [item for item in rows if item.partition(" comment")[0] != row]
else:
    rows.insert(position, row + (f" comment {{comment!r}}" if comment else ""))
open(state, "w").write("\\n".join(rows))
"""


@pytest.fixture
def host(monkeypatch, tmp_path):
    """A host without systemd, its files below tmp_path, with the programs that ``host(...)`` installs."""

    def install(name, text):
        path = tmp_path / name
        path.write_text(text.format(python=sys.executable, live=copy.deepcopy(LIVE)))
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    monkeypatch.setattr(manager, "PATH", str(tmp_path))
    monkeypatch.setattr(nftables.service, "detect", lambda: ("supervisord", "system"))
    monkeypatch.setattr(exposure, "listeners", lambda ranges: {})
    monkeypatch.setattr(exposure, "ssh_port", lambda: 22)
    monkeypatch.setattr(port_range, "EPHEMERAL_RANGE", str(tmp_path / "range"))
    monkeypatch.setattr(
        port_range, "ephemeral_range", lambda: tuple(map(int, (tmp_path / "range").read_text().split()))
    )
    (tmp_path / "range").write_text("32768\t60999\n")
    (tmp_path / "ufw.conf").write_text("# on at boot\nENABLED=yes\n")
    monkeypatch.setattr(ufw.Ufw, "configuration", str(tmp_path / "ufw.conf"))
    for kind in (nftables.Nftables, firewalld.Firewalld, port_range.PortRange):
        monkeypatch.setattr(kind, "directory", str(tmp_path / kind.directory.lstrip("/")))
    return install


OPTIONS = {
    "name": "b",
    "peers": PEERS,
    "cluster_ports": ["9999", "ephemeral"],
    "api_port": 9997,
    "api_networks": CLIENTS,
}
ABSENT = {"name": "b", "state": "absent"}


@pytest.mark.each_core("xinference_firewall")
def test_nftables_from_nothing_to_nothing(run_module, host, tmp_path):
    host("nft", NFT)
    file = tmp_path / "etc/nftables.d/modelops-b.nft"
    dry = run_module("xinference_firewall", OPTIONS, check=True)
    assert dry.changed and not file.exists() and not (tmp_path / "live.json").exists()
    assert dry["diff"][1]["after"] == nftables.file_text("modelops_b", "modelops-b", RULES)
    done = run_module("xinference_firewall", OPTIONS)
    assert done["plan"] == dry["plan"] == [f"+ write file {file}", f"~ run {tmp_path}/nft -f {file}"]
    assert done["manager"] == "nftables" and done["rules"] == RULES.lines and done["ephemeral_range"] == [*EPHEMERAL]
    assert file.read_text() == dry["diff"][1]["after"] and "nft -f" in str(done["warnings"][0])
    again = run_module("xinference_firewall", dict(OPTIONS, peers=PEERS[::-1]))
    assert not again.changed and again["plan"] == [] and not again.get("warnings")
    # Somebody flushed the rules.
    (tmp_path / "live.json").unlink()
    assert run_module("xinference_firewall", OPTIONS)["plan"] == [f"~ run {tmp_path}/nft -f {file}"]
    gone = run_module("xinference_firewall", ABSENT)
    assert gone["plan"] == [f"- remove file {file}", "- delete table inet modelops_b"] and not file.exists()
    assert not run_module("xinference_firewall", ABSENT).changed


def test_a_chain_that_drops_is_named_before_anything_changes(run_module, host, tmp_path):
    host("nft", NFT)
    (tmp_path / "live.json").write_text(json.dumps(ruleset(chain("filter", "drop"))))
    result = run_module("xinference_firewall", OPTIONS)
    assert result.failed and "inet filter input drops" in result["msg"] and not (tmp_path / "etc").exists()
    for line in nftables.accept_lines(RULES, "modelops-b"):
        assert line in result["msg"]


def test_rules_that_nft_refuses_are_not_written(run_module, host, tmp_path):
    host("nft", NFT)
    result = run_module("xinference_firewall", dict(OPTIONS, name="refused"))
    assert result.failed and "syntax error" in result["msg"] and not (tmp_path / "etc").exists()


def test_a_file_is_put_back_where_loading_it_fails(run_module, host, tmp_path):
    host("nft", NFT.replace("    text = sys", "    sys.exit('no room')\n    text = sys"))
    file = tmp_path / "etc/nftables.d/modelops-b.nft"
    file.parent.mkdir(parents=True)
    file.write_text("what was there")
    result = run_module("xinference_firewall", OPTIONS)
    assert result.failed and "no room" in result["msg"] and file.read_text() == "what was there"


def test_ufw_from_nothing_to_nothing(run_module, host, tmp_path):
    host("ufw", UFW)
    rows = tmp_path / "ufw.rules"
    rows.write_text("ufw allow 22/tcp")
    dry = run_module("xinference_firewall", OPTIONS, check=True)
    assert dry.changed and rows.read_text() == "ufw allow 22/tcp"
    done = run_module("xinference_firewall", OPTIONS)
    assert done["plan"] == dry["plan"] and done["manager"] == "ufw"
    found = ufw.parse_rows(rows.read_text())
    assert [row.action for row in found] == ["allow"] * 4 + ["deny", "allow"] and found[-1].ports == "22"
    assert not run_module("xinference_firewall", OPTIONS).changed
    changed = run_module("xinference_firewall", dict(OPTIONS, peers=["10.1.0.7", "10.1.0.9"]))
    assert [line.split()[0] for line in changed["plan"]] == ["+", "-"]
    gone = run_module("xinference_firewall", ABSENT)
    assert gone.changed and rows.read_text() == "ufw allow 22/tcp"
    assert not run_module("xinference_firewall", ABSENT).changed


def test_a_rule_of_ufw_that_somebody_else_made_is_not_taken(run_module, host, tmp_path):
    host("ufw", UFW)
    (tmp_path / "ufw.rules").write_text("ufw allow from 10.3.0.1 to any port 9997 proto tcp")
    result = run_module("xinference_firewall", OPTIONS)
    assert result.failed and "`ufw allow from 10.3.0.1 to any port 9997 proto tcp` already" in result["msg"]


def test_rules_in_a_firewall_that_is_no_longer_in_charge_go(run_module, host, tmp_path):
    host("nft", NFT)
    run_module("xinference_firewall", OPTIONS)
    host("ufw", UFW)
    result = run_module("xinference_firewall", OPTIONS)
    assert result["manager"] == "ufw" and result["plan"][-1] == "- delete table inet modelops_b"
    assert not (tmp_path / "etc/nftables.d/modelops-b.nft").exists()


def test_where_there_is_no_firewall(run_module, host):
    result = run_module("xinference_firewall", OPTIONS)
    assert result.failed and "Install the package nftables" in result["msg"]
    absent = run_module("xinference_firewall", ABSENT)
    assert not absent.failed and not absent.changed and absent["manager"] == "none"
    asked = run_module("xinference_firewall", dict(OPTIONS, manager="firewalld"))
    assert asked.failed and "systemctl enable --now firewalld" in asked["msg"]


def test_an_ufw_that_is_not_active_is_not_taken(run_module, host, tmp_path):
    host("ufw", UFW)
    host("nft", NFT)
    (tmp_path / "ufw.conf").write_text("ENABLED=no\n")
    assert run_module("xinference_firewall", OPTIONS, check=True)["manager"] == "nftables"


def test_ssh_is_not_locked_out(run_module, host, monkeypatch):
    host("nft", NFT)
    monkeypatch.setattr(exposure, "ssh_port", lambda: 50022)
    result = run_module("xinference_firewall", OPTIONS, check=True)
    assert result.failed and "50022" in result["msg"] and "except_ports" in result["msg"]
    assert not run_module("xinference_firewall", dict(OPTIONS, except_ports=[50022]), check=True).failed


def test_the_port_of_ssh_is_found(monkeypatch):
    monkeypatch.setattr(exposure.probe, "environment_of", lambda pid, name: "" if pid == os.getpid() else "a 1 b 2222")
    assert exposure.ssh_port() == 2222
    monkeypatch.setattr(exposure.probe, "environment_of", lambda pid, name: "")
    assert exposure.ssh_port() == 0


def test_others_that_listen_are_named_once(run_module, host, monkeypatch):
    host("nft", NFT)
    monkeypatch.setattr(exposure, "listeners", lambda ranges: {33060: "process 7 (mysqld)"})
    first = run_module("xinference_firewall", OPTIONS)
    assert any("33060 (process 7 (mysqld))" in str(warning) for warning in first["warnings"])
    assert not run_module("xinference_firewall", OPTIONS).get("warnings")


def test_the_range_is_bounded_where_asked_and_given_back(run_module, host, tmp_path):
    host("nft", NFT)
    kernel, file = tmp_path / "range", tmp_path / "etc/sysctl.d/90-modelops-b.conf"
    bounded = dict(OPTIONS, port_range=[40000, 44999])
    dry = run_module("xinference_firewall", bounded, check=True)
    assert dry.changed and kernel.read_text() == "32768\t60999\n" and not file.exists()
    done = run_module("xinference_firewall", bounded)
    assert "~ set net.ipv4.ip_local_port_range (ports 32768-60999 -> 40000-44999)" in done["plan"]
    assert kernel.read_text() == "40000 44999\n" and done["ephemeral_range"] == [40000, 44999]
    assert "40000-44999 from others" in done["rules"][-1]
    assert file.read_text().splitlines()[1:] == ["# Before: 32768 60999", "net.ipv4.ip_local_port_range = 40000 44999"]
    run_module("xinference_firewall", dict(OPTIONS, port_range=[41000, 44999]))
    assert "# Before: 32768 60999" in file.read_text()
    back = run_module("xinference_firewall", OPTIONS)
    assert kernel.read_text() == "32768 60999\n" and not file.exists() and back["ephemeral_range"] == [*EPHEMERAL]


@pytest.mark.parametrize("ports", [[40000], [500, 40000], [50000, 40000], [40000, 70000]])
def test_a_range_that_is_none_is_refused(run_module, host, ports):
    result = run_module("xinference_firewall", dict(OPTIONS, port_range=ports))
    assert result.failed and "port_range" in result["msg"]


@pytest.mark.parametrize("name", ["", "a b", "-x", "a'; rm", "x" * 60])
def test_a_name_that_cannot_be_is_refused(run_module, host, name):
    result = run_module("xinference_firewall", dict(OPTIONS, name=name))
    assert result.failed and "name:" in result["msg"]


# A host that is read, and nothing is changed.


def read(run_module, tmp_path, firewall, **options):
    place = str(tmp_path / "x")
    given = dict(path=place, home=f"{place}/home", models_dir=f"{place}/models", firewall=firewall, **options)
    return run_module("xinference_host_info", given)["firewall"]


def test_a_reading_tells_whether_the_firewall_differs(run_module, host, tmp_path):
    host("nft", NFT)
    file = tmp_path / "etc/nftables.d/modelops-b.nft"
    found = read(run_module, tmp_path, OPTIONS)
    assert found["differs"] and found["plan"] == run_module("xinference_firewall", OPTIONS, check=True)["plan"]
    assert not file.exists() and not (tmp_path / "live.json").exists()
    run_module("xinference_firewall", OPTIONS)
    assert read(run_module, tmp_path, OPTIONS) == {"differs": False, "plan": [], "refused": ""}
    assert read(run_module, tmp_path, ABSENT)["plan"] == [f"- remove file {file}", "- delete table inet modelops_b"]
    assert file.exists()


def test_a_reading_lets_in_peers_by_the_addresses_of_their_names(run_module, host, tmp_path):
    host("nft", NFT)
    run_module("xinference_firewall", dict(OPTIONS, peers=["10.1.0.7", "10.1.0.8"]))
    names = dict.fromkeys(["w7", "w8", "w9"], "")
    network = {
        "name": "w8",
        "peers": [
            {"name": "w7", "address": "10.1.0.7"},
            # Its own name is loopback on the host, which is known by where it binds.
            {"name": "w8", "address": "localhost"},
            {"name": "w9", "address": "127.0.1.1"},
        ],
    }
    (tmp_path / "live.json").write_text(json.dumps({"nftables": []}))
    own = run_module("xinference_network_info", {"name": "w8"})["address"]
    found = read(run_module, tmp_path, dict(OPTIONS, peers=[*names]), network=network, host=own)
    plan = run_module("xinference_firewall", dict(OPTIONS, peers=["10.1.0.7", own]), check=True)["plan"]
    assert found == {"differs": True, "plan": plan, "refused": ""}


def test_a_reading_tells_why_the_firewall_cannot_be_so(run_module, host, tmp_path):
    found = read(run_module, tmp_path, OPTIONS)
    assert found["differs"] and found["plan"] == [] and "Install the package nftables" in found["refused"]
    place = str(tmp_path)
    missing = run_module("xinference_host_info", dict(path=place, home=place, models_dir=place, firewall={"name": "b"}))
    assert missing.failed and "peers" in missing["msg"]
