# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Misspelled names of variables. Pure. Private to the collection."""

from __future__ import annotations

import difflib
import typing as t

CUTOFF = 0.85
# A shorter name is close to too many others.
_SHORTEST = 8
# Registered results and facts of the collection whose names are close to its variables.
_OWN = (
    "xinference_clusters",
    "xinference_network_found",
    "xinference_python_found",
    "xinference_served",
    "xinference_weights_fetched",
    "xinference_weights_given",
    "xinference_weights_received",
    "xinference_worker",
)


class Names:
    """The known names, and what is one slip away from each of them.

    :param known: the variables of the roles; the parts before their first ``_`` are the prefixes under which names are looked at closer.
    """

    def __init__(self, known: t.Collection[str]):
        self.known = frozenset(known)
        self._prefixes = tuple({f"{name.split('_')[0]}_" for name in known})
        self._slips: dict[str, str] = {}
        for name in sorted(known):
            if len(name) >= _SHORTEST:
                for slip in _slips(name):
                    self._slips.setdefault(slip, name)

    def meant(self, name: str) -> str:
        """The known name that is meant by one that is close to it and not it; else empty."""
        # With a _ at its beginning it is a role's own.
        if name in self.known or name in _OWN or name.startswith(("ansible_", "_")):
            return ""
        if len(name) >= _SHORTEST - 1:
            slip = next((slip for slip in _slips(name.lower()) if slip in self._slips), "")
            if slip:
                return self._slips[slip]
        if not name.startswith(self._prefixes):
            return ""
        close = difflib.get_close_matches(name, self.known, n=1, cutoff=CUTOFF)
        # A longer name with a known one inside is a name of its own: xinference_version_of_staging.
        return close[0] if close and close[0] not in name else ""


def misspelled(names: t.Iterable[str], known: t.Collection[str] | Names) -> dict[str, str]:
    """Each name that is not known but close to a known one, with that one."""
    about = known if isinstance(known, Names) else Names(known)
    found = {name: about.meant(name) for name in names}
    return {name: near for name, near in found.items() if near}


def _slips(name: str) -> list[str]:
    """The name, and it without each of its letters: two names that differ by one letter more, less, other or swapped share one."""
    return [name, *(name[:at] + name[at + 1 :] for at in range(len(name)))]
