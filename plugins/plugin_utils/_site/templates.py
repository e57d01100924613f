# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The roles' files of services, rendered with plain values. Private to the collection.

What loads this module does so once, and Ansible's workers, one a host, find the templates compiled.
"""

from __future__ import annotations

import os
import re
import typing as t

import jinja2

from ansible_collections.modelops.inference.plugins.plugin_utils._site.settings import ROLES


def _environment(role: str) -> jinja2.Environment:
    # The files are read by programs, not by browsers.
    return jinja2.Environment(  # noqa: S701
        loader=jinja2.FileSystemLoader(os.path.join(ROLES, role, "templates")),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,
    )


_TEMPLATES = {
    (role, name): environment.get_template(name)
    for role in ("xinference", "models")
    for environment in [_environment(role)]
    for name in environment.list_templates()
}


def render(role: str, name: str, values: t.Mapping[str, t.Any]) -> str:
    return _TEMPLATES[role, name].render(values)


def for_manager(text: str) -> str:
    """A text in which systemd and supervisord replace nothing."""
    return text.replace("%", "%%")


def confinement(paths: t.Sequence[str], resolved: t.Mapping[str, str]) -> dict[str, str]:
    """How systemd hides /home and /tmp from a service that reads these paths.

    :param resolved: targets of links, by which systemd confines.
    """
    read = [*paths, *(target for path, target in resolved.items() if path in paths)]
    return {
        "home": "read-only" if any(re.match("/(home|root)/", path) for path in read) else "yes",
        "tmp": "no" if any(re.match("/(var/)?tmp/", path) for path in read) else "yes",
    }
