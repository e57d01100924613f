# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Templates of the inventory that no run can render, by Ansible's errors: a name that nobody defines, a syntax error, a filter that is
not installed. Private to the collection.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.modelops.inference.plugins.plugin_utils._site import origins

# Of the collection and of Ansible: they may be there later.
_LATER = re.compile(r"(_?_?(xinference|models|accelerator|dify|capture|ansible)_|hostvars$|accelerator$)")
# Messages of ansible-core 2.18 to 2.21 about a name, an attribute, `lookup('vars')` and the filter `mandatory`.
_NAME = re.compile(
    r"'(\w+)' is undefined|has no attribute '([^']+)'|No variable (?:named '|found with this name: )(\w+)|Mandatory variable '(\w+)'"
)
# And about a filter, a test or a lookup; and about a template that is none.
_PLUGIN = re.compile(
    r"No (?:filter|test) named '([^']+)'|Could not load \"([^\"]+)\"|"
    r"lookup plugin '([^']+)' was not found|lookup plugin \(([^)]+)\) not found"
)
_SYNTAX = re.compile("Syntax error in template|template error while templating string")
_HOST = re.compile(r"hostvars\['([^']+)'\]")


def sentence(error: str, where: str, value: str, given: t.Mapping[str, t.Any]) -> str:
    """The name that is not defined; empty where it may be defined later, or where Ansible says something else.

    :param where: the variable.
    :param value: its template, or the one in it.
    :param given: the variables of the host.
    """
    place = origins.place(value)
    its = f"{where}: its template{f' ({place})' if place else ''} needs"
    host = _HOST.search(error)
    if host:
        return f"{its} the host '{host[1]}', which the inventory lacks. Add it, or correct the name."
    found = _NAME.search(error)
    name = next(filter(None, found.groups()), "") if found else ""
    if not name or _LATER.match(name):
        return ""
    if "HostVarsVars" in error:
        return f"{its} '{name}' of another host that does not define it. Define it there, or correct the name."
    return f"{its} '{name}'{_through(name, value, given)}, which is undefined. Define it, or correct the name."


def unreadable(error: str, where: str, value: str) -> str:
    """The refusal of a broken template or a missing plugin; empty for other errors.

    :param where: the variable.
    :param value: its template, or the one in it.
    """
    place = origins.place(value)
    its = f"{where}: its template{f' ({place})' if place else ''}"
    found = _PLUGIN.search(error)
    if found:
        name = next(filter(None, found.groups()))
        return f"{its} uses '{name}', which is not an installed plugin. Correct the name, or install its collection."
    # Ansible's own words may hold a part of the template.
    return (
        f"{its} has a syntax error, or uses a template with one. Correct its braces, quotes and words."
        if _SYNTAX.search(error)
        else ""
    )


def _through(name: str, value: str, given: t.Mapping[str, t.Any]) -> str:
    """The variable whose template names it, where a template needs it by way of that one."""
    word = re.compile(rf"\{{[{{%].*\b{re.escape(name)}\b", re.DOTALL)
    if word.search(value):
        return ""
    for other, text in given.items():
        if isinstance(text, str) and word.search(text):
            place = origins.place(text)
            return f" in {other}{f' ({place})' if place else ''}"
    return ""
