# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Variables of a host, validated for roles, as the result of a task. For action plugins. Private to the collection."""

from __future__ import annotations

import typing as t

from ansible_collections.modelops.inference.plugins.module_utils import _secrets
from ansible_collections.modelops.inference.plugins.plugin_utils._site import dify
from ansible_collections.modelops.inference.plugins.plugin_utils._site.needs import PlaybookNeeds
from ansible_collections.modelops.inference.plugins.plugin_utils._site.refusals import in_one_line, refusals
from ansible_collections.modelops.inference.plugins.plugin_utils._site.settings import SPECS, Settings
from ansible_collections.modelops.inference.plugins.plugin_utils._variables import Variables


def validated(variables: Variables, needs: PlaybookNeeds) -> dict[str, t.Any]:
    """A failure with a line for each mistake; or, where role models is judged, ``declared``, what the cluster declares,
    and ``models``, a row for each model of it.

    :param needs: variables that are validated.
    """
    settings = variables.settings()
    if settings.get("xinference_state") == "absent":
        # A host is removed whatever its inventory would install.
        needs = needs._replace(installs=False, users=False)
    names = [settings.inventory.address or settings.inventory.host, ""]
    wrong = refusals(settings, variables.given, needs, names=names)
    wrong = [each for name in needs.names(SPECS.roles) for each in variables.undefined.get(name, ())] + wrong
    if wrong:
        who = _who(settings, needs)
        lines = [*(f"{who}: {each}" for each in wrong), "Correct the inventory, or the extra variables."]
        return {"failed": True, "msg": _secrets.redacted("\n".join(lines))}
    source = dify.source(settings, names) if "models" in needs.roles else None
    return {"changed": False, "models": source["models"] if source else [], "declared": source}


def _who(settings: Settings, needs: PlaybookNeeds) -> str:
    host, name = settings.inventory.host, "xinference_cluster"
    cluster = (
        settings.plain(name) if settings.has(name) else settings.get(name) if "xinference" in needs.roles else None
    )
    return in_one_line(f"{host} (cluster {cluster})" if isinstance(cluster, (str, int)) else host)
