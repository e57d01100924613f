# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The summary at the end of a run: changes, serving models and their addresses. Pure. Private to the collection."""

from __future__ import annotations

import collections
import shlex
import typing as t

from ansible_collections.modelops.inference.plugins.plugin_utils._site.cards import different_cards

# Registered results whose plans tell what was done on a host, in the order of the run.
RESULTS = (
    "xinference_bundle_result",
    "xinference_release_result",
    "xinference_weights_fetched",
    "xinference_weights_received",
    "xinference_administrator_result",
    "xinference_activate_result",
    "xinference_service_result",
    "xinference_served",
    "dify_cluster_result",
)
# More servers than these are not told one by one.
_FEW = 5

Variables = t.Mapping[str, t.Any]
Hosts = t.Mapping[str, Variables]


def summary(
    servers: Hosts, computing: Hosts, *, check: bool, undo: str, plans: bool = True, every: bool = False
) -> list[str]:
    """The lines of the text.

    :param servers: variables of the standalone servers and supervisors of the run, by host.
    :param computing: the same of standalone servers and workers, in this run or not.
    :param check: whether this was check mode.
    :param undo: command that removes everything.
    :param plans: whether to tell what was done, which --diff has told.
    :param every: whether to show connection sheets that did not change, and commands for a server that is not there.
    """
    lines = _done({**computing, **servers}, check) if plans else []
    lines += _table(_MODELS, [row for known in servers.values() for row in _models(known)], 36)
    lines += _table(_DIFYS, list(_difys(servers.values())), 48)
    lines += _accelerators({host: known for host, known in computing.items() if _plan(known)})
    if len(servers) > _FEW:
        lines.append(f"Xinference runs on {len(servers)} hosts; --limit HOST shows the address and the service of one.")
    else:
        # In check mode there is no new one, and an old one stays as it is.
        shown = {
            host: _sheet(host, known) for host, known in servers.items() if every or _new_sheet(known) and not check
        }
        lines += [line for sheet in shown.values() for line in sheet]
        for host, known in servers.items():
            if (known.get("xinference_served") or {}).get("version"):
                lines += _server(host, known, commands=every or not check)
                lines += [] if shown.get(host) or check else _sheet_file(host, known)
    return [*lines, _field("undo", f"{undo}, with the same inventory and variables")]


def undo_command(playbooks: str, bin_site: bool, directory: str = "") -> str:
    """The command that removes everything.

    :param playbooks: directory of the playbook that runs.
    :param bin_site: whether it was started by bin/site.
    :param directory: MODELOPS_DIR, by which inventories/local finds the installation; empty where it is not set.
    """
    before = f"MODELOPS_DIR={shlex.quote(directory)} " if directory else ""
    if bin_site:
        return f"{before}bin/site playbooks/remove.yml"
    # Of an installed collection a playbook has a name.
    installed = "/ansible_collections/" in playbooks
    return f"{before}ansible-playbook {'modelops.inference.remove' if installed else f'{playbooks}/remove.yml'}"


def _field(name: str, text: str) -> str:
    return f"  {name:<18} {text}"


def _done(hosts: Hosts, check: bool) -> list[str]:
    """The changes of each host; equal ones once for all hosts."""
    alike: dict[tuple[str, ...], list[str]] = {}
    for host, known in hosts.items():
        plans = [line for name in RESULTS for line in (known.get(name) or {}).get("plan") or []]
        alike.setdefault(tuple(dict.fromkeys(plans)), []).append(host)
    lines = []
    for plan, names in alike.items():
        if plan:
            head = f"{'Would be done' if check else 'Done'} on {', '.join(names)}"
            lines += [head, *(f"  {line}" for line in plan), ""]
    return lines


def _table(head: list[str], rows: list[list[str]], widest: int) -> list[str]:
    """:param widest: of a column, but for texts that are longer."""
    if not rows:
        return []
    table = [head, *rows]
    widths = [min(widest, max(map(len, column)) + 2) for column in zip(*table)]
    return ["".join(f"{text:<{width}}" for text, width in zip(row, widths)).rstrip() for row in table] + [""]


_MODELS = ["cluster", "model UID", "type", "state", "replicas", "proof"]


def _models(known: Variables) -> t.Iterator[list[str]]:
    served = known.get("xinference_served") or {}
    for model in served.get("models") or []:
        proof, replicas = model.get("proof") or {}, model.get("replicas") or {}
        text = proof.get("detail") or ""
        if proof.get("ok"):
            text = f"{text}, {proof['latency_ms']} ms"
        count = f"{replicas.get('ready', 0)}/{replicas.get('wanted', 0)}" if replicas else ""
        # Check mode cannot ask a server that it would have had to install or start, and on which no model runs.
        state = model["state"]
        if state == "unknown":
            state = "absent" if model.get("declared") == "absent" else "to launch"
        yield [str(served["cluster"]), model["uid"], model["type"], state, count, text]


def _new_sheet(known: Variables) -> bool:
    return any((known.get(name) or {}).get("changed") for name in ("dify_result", "dify_cluster_result"))


def _sheet_file(host: str, known: Variables) -> list[str]:
    # Where the run registered every model, there is nothing to enter.
    if ((known.get("dify_result") or {}).get("to_enter") or {}).get(host) == []:
        return []
    path = (known.get("dify_cluster_result") or {}).get("sheet")
    return [_field("enter in Dify", f"as {path} says")] if path else []


def _sheet(host: str, known: Variables) -> list[str]:
    """The connection sheet of a host's cluster, as the role dify has written it with targets or without."""
    to_enter = (known.get("dify_result") or {}).get("to_enter") or {}
    if host in to_enter:
        return [*to_enter[host], ""] if to_enter[host] else []
    for name in ("dify_result", "dify_cluster_result"):
        lines = ((known.get(name) or {}).get("sheets") or {}).get(host)
        if lines:
            return [*lines, ""]
    return []


_DIFYS = ["Dify", "workspace", "model", "type", "state", "done"]


def _difys(servers: t.Iterable[Variables]) -> t.Iterator[list[str]]:
    told: list[Variables] = []
    for row in [row for known in servers for row in (known.get("dify_result") or {}).get("rows") or []]:
        # Hosts of one run tell of the same Difys.
        if row in told:
            continue
        told.append(row)
        done = ": ".join(text for text in (row["action"], row["why"]) if text not in ("", "none", None))
        cells = [
            row["dify"],
            row.get("workspace") or "",
            row["model"],
            row["type"],
            row["state"],
            done or row["action"],
        ]
        yield [str(text) for text in cells]


def _accelerator(known: Variables) -> Variables:
    """The last reading of the accelerators: that of the role, or that of the whole host."""
    return known.get("accelerator_found") or (known.get("xinference_found") or {}).get("accelerator") or {}


def _plan(known: Variables) -> Variables:
    return _accelerator(known).get("plan") or {}


def _accelerators(computing: Hosts) -> list[str]:
    """Lines about cards and drivers.

    :param computing: hosts whose accelerators are known.
    """
    lines = []
    for host, known in computing.items():
        lines += [f"{host}: {warning['text']}" for warning in _plan(known).get("warnings") or []]
        restart = (_accelerator(known).get("role") or {}).get("restart") or {}
        lines += [str(restart["left"])] if restart.get("required") else []
    clusters: Variables = next((known["xinference_clusters"] for known in computing.values()), {})
    lines += different_cards(clusters, {host: _accelerator(known) for host, known in computing.items()})
    return ["Accelerators", *(f"  {line}" for line in lines), ""] if lines else []


def _server(host: str, known: Variables, *, commands: bool) -> list[str]:
    """The addresses and paths of a server.

    :param commands: whether to tell those that need a server that is there.
    """
    served, found = known["xinference_served"], known["xinference_found"]
    service = found["service"]
    lines = [
        f"{host}: Xinference {served['version']} on {served['url']}, under {service['manager']}",
        _field("everything is in", served["directory"]),
        *_computes_with(known),
    ]
    if served["admin_user"]:
        since = {name: f", since {day}" for name, day in (found.get("secrets_since") or {}).items()}
        of_inventory = served["admin_password"] == "the inventory"
        made = "" if of_inventory else since.get("admin_password", "")
        lines += [
            _field("administrator", f"{served['admin_user']}, password in {served['admin_password']}{made}"),
            _field("key for clients", f"in {served['api_key_file']}{since.get('client_key', '')}"),
        ]
    lines += [_field(word, service["commands"][word]) for word in ("stop", "start", "log") if commands]
    if served.get("reconciler") and commands:
        lines.append(_field("missing models", f"{served['reconciler']} status (or pause, resume)"))
    return lines


def _computes_with(known: Variables) -> list[str]:
    plan = _plan(known)
    torch = plan.get("torch")
    if not torch:
        return []
    if torch["kind"] == "cpu":
        why = plan["reason"] if plan["accelerator"] == "none" else torch["reason"]
        return [_field("computes with", f"its CPU ({why})")]
    cards = [card["name"] or "" for card in _accelerator(known)["facts"]["cards"] if card["computes"]]
    counts = sorted(collections.Counter(cards).items())
    each = [f"{count} x {name or 'a card does not answer'}" for name, count in counts]
    return [_field("computes with", ", ".join([*each, f"PyTorch {torch['reason']}"]))]
