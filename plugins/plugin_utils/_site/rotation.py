# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook rotate: which secrets it replaces, and its refusals. Pure. Private to the collection."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.modelops.inference.plugins.plugin_utils._site.settings import Refusals, Settings

# In this order: with the administrator's password the others are replaced, and only the key waits for clients.
SECRETS = ADMIN_PASSWORD, RECONCILER, CLIENT_KEY = ("admin_password", "reconciler", "client_key")
# Seconds between the last answer of a Dify and the end of the old key.
WAIT = 60


@dataclass(frozen=True)
class Rotation:
    """
    :param secrets: that are replaced, in their order.
    :param revokes: whether the old key for clients ends.
    :param wait: seconds before that, for requests of Dify that began with it.
    """

    secrets: tuple[str, ...]
    revokes: bool
    wait: int

    @classmethod
    def of(cls, settings: Settings) -> Rotation:
        """
        :param settings: of which nothing is refused.
        """
        named, revokes, wait = (settings.get(name) for name in ("rotate", "rotate_revoke", "rotate_wait"))
        secrets = tuple(each for each in SECRETS if each in (named or ()))
        ends = CLIENT_KEY in secrets and revokes is not False
        waits = ends and bool(settings.get("dify_targets"))
        return cls(secrets, ends, (WAIT if wait is None else int(wait)) if waits else 0)

    @property
    def data(self) -> dict[str, t.Any]:
        return {"secrets": list(self.secrets), "wait": self.wait}


def refusals(settings: Settings) -> Refusals:
    """Refusals of a rotation, beyond those of the variables."""
    named = settings.get("rotate")
    if not named and (not settings.given("rotate") or isinstance(named, list)):
        yield (
            "rotate names no secret. Set it to client_key, admin_password, reconciler or several of them, such as "
            "-e rotate=client_key,admin_password. Nothing was changed."
        )
    if settings.get("xinference_auth") is False:
        yield (
            "xinference_auth is false, so the server has no users, no keys and no secret to replace. Leave the host out (--limit). Nothing "
            "was changed."
        )
    if CLIENT_KEY in (named or ()) and settings.get("xinference_client_key"):
        yield (
            "xinference_client_key sets the text of the key, which cannot be chosen on a running server, and the next run of site.yml "
            "would refuse the new key. Remove it from the inventory: the server keeps its key, and the new key is stored in "
            f"{settings.get('xinference_dir')}/secrets/client_key. Nothing was changed."
        )
