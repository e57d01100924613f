# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import collections
import typing as t

DOCUMENTATION = r"""
name: different_cards
short_description: Clusters whose workers have different cards
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Says of each cluster whose workers do not all have the same kind of card what each has. How many there are may differ.
  - A worker that is not known, because it was not in this run, is left out.
positional: _input, found
options:
  _input:
    description: The clusters, as P(modelops.inference.cluster_members#filter) has them.
    type: dict
    required: true
  found:
    description: By host, what M(modelops.inference.accelerator_info) returned.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Where the cards differ
  ansible.builtin.debug:
    msg: "{{ xinference_clusters | modelops.inference.different_cards({'gpu01': one, 'gpu02': other}) }}"
"""

RETURN = r"""
_value:
  description: A sentence for each such cluster.
  type: list
  elements: str
  sample: ["cluster paris has different cards (gpu01: 8 x NVIDIA H100 80GB HBM3; gpu02: 4 x NVIDIA L40S). ..."]
"""


def different_cards(clusters: t.Mapping[str, t.Any], found: t.Mapping[str, t.Any]) -> list[str]:
    sentences = []
    for name, cluster in clusters.items():
        cards = {row["host"]: _cards(found[row["host"]]) for row in cluster["workers"] if row["host"] in found}
        if len({frozenset(kinds) for kinds in cards.values()}) > 1:
            each = "; ".join(f"{host}: {_text(kinds)}" for host, kinds in cards.items())
            sentences.append(
                f"cluster {name} has different cards ({each}). A model goes where its memory fits; one that has to have a certain card "
                "names its worker, and replicas of one model may differ in speed"
            )
    return sentences


def _cards(found: t.Mapping[str, t.Any]) -> collections.Counter[str]:
    """How many of each kind the host computes with."""
    used = found["plan"]["accelerator"]
    cards = (card for card in found["facts"]["cards"] if card["vendor"] == used and card["computes"])
    return collections.Counter(card["name"] or f"{card['vendor']} {card['id']}" for card in cards)


def _text(kinds: collections.Counter[str]) -> str:
    return ", ".join(f"{count} x {kind}" for kind, count in kinds.items()) or "none"


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"different_cards": different_cards}
