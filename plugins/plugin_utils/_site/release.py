# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Variables of the installed release. Pure. Private to the collection."""

from __future__ import annotations

import re

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._host import denied, interpreters
from ansible_collections.modelops.inference.plugins.plugin_utils._site.settings import Refusals, Settings

_VERSION = re.compile(r"[0-9]+[.][0-9]+([.][0-9]+)?([.]?(post|rc|a|b)[0-9]+)*")
# Ansible takes a text for a list, and these would be taken letter by letter.
_LISTS = ("xinference_extras", "xinference_packages", "xinference_constraints")
# A directory of the host is an index for uv, too.
_INDEX = re.compile(r"(https?|file)://\S|/", re.IGNORECASE)
_PROXY = re.compile(r"(https?|socks[45][ah]?)://\S", re.IGNORECASE)
_TORCH = re.compile(r"auto|cpu|default|cu[0-9]{3}|rocm[0-9]+([.][0-9]+)+")


def refusals(settings: Settings, *, installs: bool) -> Refusals:
    """
    :param installs: whether a release is installed, not only one that is on the host.
    """
    version, torch = settings.get("xinference_version"), settings.get("xinference_torch")
    if isinstance(version, str) and not _VERSION.fullmatch(version):
        yield f"xinference_version must be a version such as 4.1.0 (it is '{version}'). Nothing was changed."
    if isinstance(torch, str) and not _TORCH.fullmatch(torch):
        yield (
            "xinference_torch must be auto, cpu, default, or what PyTorch calls the index of a build, such as cu126 or rocm7.2 (it is "
            f"'{torch}')."
        )
    python = settings.get("xinference_python")
    # Others are a path, or a name that uv knows.
    if isinstance(python, str) and re.fullmatch(r"[0-9.*,<>=!~ ]+", python):
        if not any(interpreters.accepts(python, f"3.{number}") for number in range(9, 100)):
            yield (
                "xinference_python must be a version of Python from 3.9 on, a range such as >=3.10,<3.14, or the path of a Python on the "
                f"host (it is '{python}')."
            )
    yield from _addresses(settings)
    for name in _LISTS:
        if settings.given(name) and isinstance(settings.plain(name), str):
            yield f"{name} is a text, and must be a list, such as [{settings.plain(name)}]."
    if installs:
        yield from _denied(settings)


def _addresses(settings: Settings) -> Refusals:
    """Of xinference_index. They may hold a login, so none is told."""
    index = settings.get("xinference_index") or {}
    for key in ("index_url", "extra_index_urls", "python_mirror", "proxy"):
        values = index.get(key) or []
        begins = _PROXY if key == "proxy" else _INDEX
        for value in values if isinstance(values, list) else [values]:
            if isinstance(value, str) and not begins.match(value):
                meant = "its scheme, such as http://" if key == "proxy" else "https://, http:// or file://"
                yield f"xinference_index, {key} has an address that does not begin with {meant}. Write it out."


def _denied(settings: Settings) -> Refusals:
    version, packages = settings.get("xinference_version"), settings.get("xinference_packages")
    added = settings.get("xinference_denied_packages") or []
    requirements = [f"xinference=={version}"] * isinstance(version, str) + list(packages or [])
    try:
        found = denied.hits(denied.pins(map(str, requirements)), added)
    except ModelopsError as exc:
        yield f"{exc}."
        return
    if found:
        yield f"{denied.told(found)} is not installed. Take another version."
