# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Difys and their models, as far as one host's variables tell. Private to the collection."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._address import login_problem, server_url, url_problem
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._host.bundle.bundle import plugin_file
from ansible_collections.modelops.inference.plugins.plugin_utils._site import dify_targets, models
from ansible_collections.modelops.inference.plugins.plugin_utils._site.kinds import known
from ansible_collections.modelops.inference.plugins.plugin_utils._site.network import loopback
from ansible_collections.modelops.inference.plugins.plugin_utils._site.settings import Refusals, Settings

LOCALHOST = ("localhost", "127.0.0.1", "::1")
Target = t.Mapping[str, t.Any]


def refusals(settings: Settings, sources: t.Sequence[t.Mapping[str, t.Any]]) -> Refusals:
    """
    :param sources: what this host's cluster declares, as far as that is right.
    """
    targets = [target for target in settings.get("dify_targets") or () if isinstance(target, dict) and known(target)]
    here, bundled = settings.get("dify_run_on") == "localhost", settings.get("xinference_bundle_on_host") is False
    bundle = settings.get("xinference_bundle") if here and bundled else ""
    for sentence in wrong(sources, targets, here, bundle or ""):
        yield f"dify_targets: {sentence}"
    for target in targets:
        yield from (f"dify_targets: {target['name']}: {sentence}" for sentence in _logins(target))
    yield from _hosts(settings)
    url = settings.get("dify_capture_url")
    problem = url_problem(url) or login_problem(url) if isinstance(url, str) and url else ""
    if problem:
        yield f"dify_capture_url {problem}."


def _logins(target: Target) -> t.Iterator[str]:
    """Addresses of Xinference with a login, which every member of a workspace sees in Dify, and which takes the place of the key."""
    urls = {"server_url": target.get("server_url")}
    urls.update({f"server_urls of {cluster}": url for cluster, url in (target.get("server_urls") or {}).items()})
    for uid, given in (target.get("overrides") or {}).items():
        urls[f"overrides of {uid}: server_url"] = given.get("server_url") if isinstance(given, dict) else None
    for where, url in urls.items():
        problem = login_problem(url) if isinstance(url, str) else ""
        if problem:
            yield f"{where} {problem}."


def _hosts(settings: Settings) -> Refusals:
    host, known = settings.get("dify_run_on"), settings.inventory.members
    if host == "" or host not in (None, *LOCALHOST) and known and not any(host in hosts for hosts in known.values()):
        yield f"dify_run_on is '{host}', which is not a host of the inventory. Name a host, or localhost."
    for name in settings.get("dify_cluster_hosts") or () if settings.given("dify_cluster_hosts") else ():
        if isinstance(name, str) and known and not any(name in hosts for hosts in known.values()):
            yield f"dify_cluster_hosts has '{name}', which is not in the inventory. Name hosts, or the hosts of a group by groups['NAME']."


def wrong(
    sources: t.Sequence[t.Mapping[str, t.Any]], targets: t.Sequence[Target], from_here: bool, bundle: str
) -> list[str]:
    """Refusals of the registration of the clusters' declared models, as sentences.

    :param from_here: whether this machine speaks to Dify, so that a plugin's file must be here.
    :param bundle: directory of a bundle, which plugins' files are taken from.
    """
    found = dify_targets.refusals(sources, targets)
    for target in targets if from_here else ():
        package = (target.get("plugin") or {}).get("package") or ""
        try:
            package = os.path.expanduser(plugin_file(bundle, package) if bundle and package else package)
        except ModelopsError as exc:
            found.append(f"{target['name']}: {exc}")
            continue
        # A relative one is the module's business, which knows the play's directory.
        if os.path.isabs(package) and not os.access(package, os.R_OK):
            found.append(f"{target['name']}: plugin.package {package} cannot be read on this machine.")
    return found


def source(settings: Settings, names: t.Sequence[str]) -> dict[str, t.Any] | None:
    """The declared models of this host's cluster, where they are valid: the variable ``xinference_declared``.

    :param names: by which the host is known.
    """
    given, host, port = (settings.get(name) for name in ("xinference_models", "xinference_host", "xinference_port"))
    if settings.inventory.parts == ["worker"] or None in (given, host, port) or not known(given):
        return None
    try:
        rows = models.declared(given)
    except ModelopsError:
        return None
    cluster = str(settings.get("xinference_cluster"))
    return {"cluster": cluster, "loopback": loopback(host), "url": server_url(host, port, names), "models": rows}
