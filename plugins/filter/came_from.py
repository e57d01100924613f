# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

DOCUMENTATION = r"""
name: came_from
short_description: The release that each host of a cluster goes back to
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - A host whose release is the one that another host of its cluster came from is there already, such as one that an upgrade has not come
    to. Any other host goes back to the release that it came from itself.
  - Fails where that would leave a cluster with different versions.
options:
  _input:
    description: Of each host its name (C(host)), its C(cluster), its C(current) release and the C(previous) one, empty where it has none.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Which release that is
  ansible.builtin.set_fact:
    release: "{{ (links | modelops.inference.came_from)[inventory_hostname] }}"
  vars:
    links:
      - {host: gpu02, cluster: paris, current: 4.1.0-aaaaaaaaaaaa, previous: 4.0.1-bbbbbbbbbbbb}
      - {host: gpu03, cluster: paris, current: 4.0.1-bbbbbbbbbbbb, previous: 3.5.0-cccccccccccc}
"""

RETURN = r"""
_value:
  description: Release by name of the host; empty where nobody knows.
  type: dict
  sample: {gpu02: 4.0.1-bbbbbbbbbbbb, gpu03: 4.0.1-bbbbbbbbbbbb}
"""


def came_from(links: t.Sequence[t.Mapping[str, str]]) -> dict[str, str]:
    before: dict[str, set[str]] = {}
    for link in links:
        before.setdefault(link["cluster"], set()).add(link["previous"])
    targets = {
        link["host"]: link["current"] if link["current"] in before[link["cluster"]] else link["previous"]
        for link in links
    }
    for cluster in before:
        mine = {link["host"]: targets[link["host"]] for link in links if link["cluster"] == cluster}
        # Hosts with a GPU and without have different releases of one version.
        if len({release.rpartition("-")[0] for release in mine.values() if release}) > 1:
            said = ", ".join(f"{host} from {release or 'none'}" for host, release in sorted(mine.items()))
            raise AnsibleFilterError(
                f"cluster '{cluster}': its hosts came from different releases ({said}). Name the version to return to with "
                "-e xinference_rollback_to=... Nothing was changed."
            )
    return targets


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"came_from": came_from}
