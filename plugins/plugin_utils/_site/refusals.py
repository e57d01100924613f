# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Everything that a host's variables are refused for, before a host is touched. Private to the collection."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.modelops.inference.plugins.module_utils import _log
from ansible_collections.modelops.inference.plugins.plugin_utils._site import (
    accelerator,
    amounts,
    clusters,
    dify,
    environment,
    models,
    network,
    paths,
    release,
    users,
    written,
)
from ansible_collections.modelops.inference.plugins.plugin_utils._site.names import Names, misspelled
from ansible_collections.modelops.inference.plugins.plugin_utils._site.needs import PlaybookNeeds
from ansible_collections.modelops.inference.plugins.plugin_utils._site.settings import SPECS, Settings

NAMES = Names(SPECS.options)


def refusals(
    settings: Settings, given: t.Iterable[str], needs: PlaybookNeeds, *, names: t.Sequence[str] = ()
) -> list[str]:
    """Refusals, each as a sentence with the variable and the remedy.

    :param given: the names of the host's variables.
    :param needs: of the playbook.
    :param names: by which the host is known.
    """
    judged, roles = needs.names(SPECS.roles), needs.roles
    found = [
        f"{name} is not a variable of this collection: did you mean {near}?"
        for name, near in misspelled(sorted(given), NAMES).items()
        if near in judged
    ]
    # A fact of the collection, of a name that a person may have meant the other for.
    if settings.has("xinference_clusters") and not isinstance(settings.raw("xinference_clusters"), t.Mapping):
        found.append("xinference_clusters is a fact that this collection sets: did you mean xinference_cluster?")
    for name in sorted(judged):
        if settings.given(name):
            found += settings.mistakes(name)
    found += written.refusals(settings, judged, NAMES)
    found += amounts.refusals(settings, judged)
    if "accelerator" in roles:
        found += accelerator.refusals(settings)
    if "xinference" in roles:
        found += release.refusals(settings, installs=needs.installs)
        for subject in (paths, network, environment):
            found += subject.refusals(settings)
        # A host that has such a server can be drained and removed.
        if needs.installs or "models" in roles:
            found += network.unauthenticated(settings)
        found += users.refusals(settings, needs.users)
        if needs.installs:
            found += clusters.refusals(settings)
    if "models" in roles:
        found += models.refusals(settings)
    if "dify" in roles:
        source = dify.source(settings, names) if "models" in roles else None
        found += dify.refusals(settings, [source] if source else [])
    if needs.own:
        found += needs.own(settings)
    return list(dict.fromkeys(map(in_one_line, found)))


def in_one_line(sentence: str) -> str:
    """A sentence whose values may hold anything, cut where one is very long."""
    sentence = re.sub(r"\S{300,}", lambda found: f"{found[0][:100]}...", _log.without_logins(sentence))
    return re.sub(r"[\x00-\x1f\x7f\x85\u2028\u2029]", lambda found: ascii(found[0])[1:-1], sentence)
