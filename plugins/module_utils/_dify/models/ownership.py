# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The owner of a Dify's models, derived from Dify's answers. Pure. Private to the collection."""

from __future__ import annotations

import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._dify.api.releases import DifyRelease
from ansible_collections.modelops.inference.plugins.module_utils._dify.models.declared_models import MASK, ActualModel


def owns(prefix: str, name: str) -> bool:
    """Whether a credential's name is the site's: the prefix itself, or the prefix, a space, and anything."""
    return name == prefix or name.startswith(f"{prefix} ")


def owned(actual: ActualModel, release: DifyRelease, prefix: str, server_urls: t.Collection[str]) -> bool:
    """Whether a model that nobody declared is the collection's, so that it may be pruned.

    From 1.8 on by its credentials: where one has another name, a person has made the model theirs. Before, by its server
    URL, which a masked one does not tell: two hosts with the same port look the same.

    :param prefix: of the names of our credentials.
    :param server_urls: those that only we register.
    """
    if release.named_credentials:
        return bool(actual.available) and all(owns(prefix, name) for _id, name in actual.available)
    return at_one_of(actual, server_urls)


def at_one_of(actual: ActualModel, server_urls: t.Collection[str]) -> bool:
    """Whether a model's server URL is one of these."""
    return str((actual.stored or {}).get("server_url", "")).rstrip("/") in {url.rstrip("/") for url in server_urls}


def hides_owner(actual: ActualModel, release: DifyRelease) -> bool:
    """Whether nothing that Dify shows of a model tells who registered it."""
    return not release.named_credentials and MASK in str((actual.stored or {}).get("server_url"))
