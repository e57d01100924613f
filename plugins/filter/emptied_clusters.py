# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.utils.helpers import pct_to_int

DOCUMENTATION = r"""
name: emptied_clusters
short_description: Clusters that a batch of a play takes all workers of
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Says which clusters would have no worker left while a batch of the play is changed. One that has a single worker is none of them.
positional: _input, hosts, batch
options:
  _input:
    description: The clusters, as P(modelops.inference.cluster_members#filter) has them.
    type: dict
    required: true
  hosts:
    description: The workers of the play, in its order.
    type: list
    elements: str
    required: true
  batch:
    description: How many a batch takes, as C(serial) of a play says it, a number or a share of the hosts, such as V(20%).
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Refuse to stop all workers of a cluster
  ansible.builtin.assert:
    that: xinference_clusters | modelops.inference.emptied_clusters(groups.xinference_workers, '20%') | length == 0
"""

RETURN = r"""
_value:
  description: Names of the clusters.
  type: list
  elements: str
  sample: [paris]
"""


def emptied_clusters(clusters: t.Mapping[str, t.Any], hosts: t.Sequence[str], batch: t.Any) -> list[str]:
    size = pct_to_int(str(batch), len(hosts))
    if size <= 0:
        size = max(1, len(hosts))
    batches = [set(hosts[start : start + size]) for start in range(0, len(hosts), size)]
    workers = {name: {row["host"] for row in cluster["workers"]} for name, cluster in clusters.items()}
    return [name for name, all_ in workers.items() if len(all_) > 1 and any(all_ <= taken for taken in batches)]


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"emptied_clusters": emptied_clusters}
