# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The differences between Dify's releases: the only place that forks by Dify's version. Private to the collection.

The version is the X-Version header that every answer of Dify carries, also without a login. It is never probed:
from 1.8 on the old endpoint answers 200 and stores nothing, and a password in the wrong encoding counts towards the
lockout. Known by running 0.15.3, 1.0.1, 1.4.3, 1.7.2, 1.8.1, 1.9.2, 1.10.1, 1.12.1, 1.15.0 and 1.16.0-rc1, and from Dify's history.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError


@dataclass(frozen=True)
class DifyRelease:
    """The API differences of one Dify release."""

    version: str
    #: The Xinference provider's name in paths and bodies.
    provider: str
    #: True where providers are plugins, which the plugin daemon runs: validation then happens in its container.
    plugins: bool
    #: True where a model has named credentials with IDs; otherwise one nameless credential that a POST replaces.
    named_credentials: bool
    #: True where the login answers with cookies that every request returns, with the CSRF token; otherwise a Bearer.
    cookies: bool
    #: True where the password travels as base64.
    encoded_password: bool
    #: The verb that reads the account's own workspace.
    workspace_verb: str
    #: True where an ADMIN_API_KEY works; otherwise Dify wants a CSRF token with it, which it gives to nobody.
    admin_key: bool
    #: True where Dify tells which version of a plugin the marketplace has; otherwise an identifier must be known.
    latest_plugins: bool
    #: True where a plugin's own failure is a 500 without a word.
    silent_plugin_errors: bool

    @property
    def validator(self) -> str:
        """The container in which Dify tries a model before it stores it: from there the server URL must work."""
        return "plugin_daemon" if self.plugins else "api"


OLDEST = (0, 4, 0)

# (first release, what it changed), oldest first. A release newer than all of them follows the newest rules.
RULES: tuple[tuple[tuple[int, int, int], dict[str, t.Any]], ...] = (
    (
        OLDEST,
        dict(
            provider="xinference",
            plugins=False,
            named_credentials=False,
            cookies=False,
            encoded_password=False,
            workspace_verb="GET",
            admin_key=True,
            latest_plugins=False,
            silent_plugin_errors=False,
        ),
    ),
    ((1, 0, 0), dict(provider="langgenius/xinference/xinference", plugins=True, silent_plugin_errors=True)),
    ((1, 4, 0), dict(latest_plugins=True)),
    ((1, 8, 0), dict(named_credentials=True)),
    ((1, 9, 2), dict(cookies=True, admin_key=False)),
    ((1, 10, 0), dict(silent_plugin_errors=False)),
    ((1, 10, 1), dict(workspace_verb="POST")),
    ((1, 11, 0), dict(admin_key=True)),
    ((1, 11, 2), dict(encoded_password=True)),
)


def rules_of(version: str) -> DifyRelease:
    """The rules of a version such as "1.9.2", "1.10.1-fix.1" or "1.16.0-rc1"; a pre-release follows its release."""
    match = re.match(r"v?(\d+)\.(\d+)(?:\.(\d+))?(?![\d.])", version.strip())
    if not match:
        raise ModelopsError(
            f"Dify calls itself version '{version}', which is not a version number; its API differs by version, "
            "and a wrong guess would cost a login attempt. Use a released Dify."
        )
    if version.strip().removeprefix("v").startswith("2.0.0-beta"):
        # Previews of what became 1.9.0 (September 2025): older than their number, and without the login of 1.9.2.
        raise ModelopsError(
            f"Dify {version} is a preview that was published as 1.9.0, and its API differs from that release, so that a "
            "login would be refused and counted. Upgrade to 1.9.0 or later."
        )
    number = tuple(int(part or 0) for part in match.groups())
    if number < OLDEST:
        raise ModelopsError(f"Dify {version} is too old: 0.4.0 and later are supported")
    rules: dict[str, t.Any] = {}
    for since, changed in RULES:
        if number >= since:
            rules.update(changed)
    return DifyRelease(version=version.strip(), **rules)
