# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Clusters whose workers have different cards. Pure. Private to the collection."""

from __future__ import annotations

import collections
import typing as t


def different_cards(clusters: t.Mapping[str, t.Any], found: t.Mapping[str, t.Any]) -> list[str]:
    """A sentence for each cluster whose workers do not all have the same kind of card; the number of cards may differ.

    :param clusters: by name, as cluster_members has them.
    :param found: by host, what accelerator_info returned; a worker that is not among them is left out.
    """
    sentences = []
    for name, cluster in clusters.items():
        cards = {row["host"]: _cards(found[row["host"]]) for row in cluster["workers"] if row["host"] in found}
        if len({frozenset(kinds) for kinds in cards.values()}) > 1:
            each = "; ".join(f"{host}: {_text(kinds)}" for host, kinds in cards.items())
            sentences.append(
                f"cluster {name} has different cards ({each}). A model is placed where its memory fits; a model that needs a certain card "
                "must name its worker, and replicas of one model may differ in speed"
            )
    return sentences


def _cards(found: t.Mapping[str, t.Any]) -> collections.Counter[str]:
    """The number of the host's cards of each kind."""
    used = found["plan"]["accelerator"]
    cards = (card for card in found["facts"]["cards"] if card["vendor"] == used and card["computes"])
    return collections.Counter(card["name"] or f"{card['vendor']} {card['id']}" for card in cards)


def _text(kinds: collections.Counter[str]) -> str:
    return ", ".join(f"{count} x {kind}" for kind, count in kinds.items()) or "none"
