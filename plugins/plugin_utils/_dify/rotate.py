# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Gives each workspace of each Dify the new keys of the clusters of the play. Private to the collection."""

from __future__ import annotations

import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._dify.runs.rotation import holders
from ansible_collections.modelops.inference.plugins.plugin_utils._dify import keys
from ansible_collections.modelops.inference.plugins.plugin_utils._dify.accounts import by_call
from ansible_collections.modelops.inference.plugins.plugin_utils._dify.task import Task, native

# The result of the step key_begun on each host whose key is replaced: cluster, old, api_key_file.
ROTATED = "xinference_key_result"


def new_key(task: Task) -> dict[str, t.Any]:
    """On the host of each cluster: keeps its new key for the step ``rotate``. In check mode there is none."""
    rotated = task.get(ROTATED) or {}
    if "old" in rotated and not task.check:
        keys.keep(task.host, keys.fetch(task.action, rotated["api_key_file"]))
    return {"changed": False}


def rotate(task: Task) -> dict[str, t.Any]:
    """Replaces the keys. A Dify that fails does not fail the task: by ``holders`` the playbook decides about the old keys."""
    targets = task.targets()
    rotated = {host: native(value) for host, value in task.play.having(ROTATED).items() if "old" in value}
    clusters = [
        {"cluster": found["cluster"], "old": found["old"], "api_key": keys.read(host)}
        for host, found in rotated.items()
    ]
    answers, told = task.in_workspaces("replace_keys", targets, clusters)
    results = by_call(targets, answers, ("keys",))["keys"]
    found = {host: holders(results, about["cluster"]) for host, about in rotated.items()}
    return {
        **told,
        "holders": {host: refusal(host, rotated[host]["cluster"], said) for host, said in found.items() if said},
    }


def refusal(host: str, cluster: str, said: t.Iterable[str]) -> str:
    """Why the old key of a host's cluster is not revoked."""
    return (
        f"{host}: the old key of cluster {cluster} stays valid beside the new one: {' | '.join(said)} Correct this, or remove an obsolete "
        "Dify from dify_targets, and continue with ansible-playbook modelops.inference.rotate -e rotate=client_key."
    )
