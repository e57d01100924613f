# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two hosts of different cards in a cluster are named, with what follows from it."""

from __future__ import annotations

import pytest

from ansible_collections.modelops.inference.plugins.filter.different_cards import different_cards

H100, L40S = "NVIDIA H100 80GB HBM3", "NVIDIA L40S"


def host(*names, accelerator="nvidia"):
    cards = [{"vendor": "nvidia", "id": "10de:26b9", "name": name, "computes": True} for name in names]
    console = {"vendor": "amd", "id": "1002:164e", "name": "", "computes": False}
    return {"plan": {"accelerator": accelerator}, "facts": {"cards": [*cards, console]}}


@pytest.mark.parametrize(
    "hosts, expected",
    [
        ([host(H100, H100), host(H100)], None),
        ([host(H100, H100), host(L40S)], "h0: 2 x NVIDIA H100 80GB HBM3; h1: 1 x NVIDIA L40S"),
        (
            [host(H100, L40S), host(H100)],
            "h0: 1 x NVIDIA H100 80GB HBM3, 1 x NVIDIA L40S; h1: 1 x NVIDIA H100 80GB HBM3",
        ),
        # Cards that are not used count as none; without a driver they have no name.
        ([host(""), host(H100, accelerator="none")], "h0: 1 x nvidia 10de:26b9; h1: none"),
        ([host(accelerator="none"), host(accelerator="none")], None),
        ([host(H100)], None),
        ([], None),
    ],
)
def test_a_cluster_with_different_cards_is_named(hosts, expected):
    clusters = {"paris": {"workers": [{"host": f"h{number}"} for number in range(3)]}, "other": {"workers": []}}
    told = different_cards(clusters, {f"h{number}": about for number, about in enumerate(hosts)})
    assert bool(told) is bool(expected)
    if expected:
        assert told[0].startswith(f"cluster paris has different cards ({expected}). ") and "names its worker" in told[0]
