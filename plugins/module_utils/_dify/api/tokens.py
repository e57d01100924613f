# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The tokens that a login at Dify gives and each request sends. Private to the collection."""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.modelops.inference.plugins.module_utils._session import Answer


@dataclass(frozen=True)
class Tokens:
    """The headers that authenticate a request.

    :param headers: of every request: a Bearer token, or cookies and the CSRF token.
    :param refresh_token: for the body of a refresh; "" where it is one of the cookies.
    """

    headers: dict[str, str]
    refresh_token: str = ""

    @property
    def secrets(self) -> list[str]:
        """All secret values."""
        cookies = [part.split("=", 1)[-1] for part in self.headers.get("Cookie", "").split("; ")]
        bearer = self.headers.get("Authorization", "").replace("Bearer ", "", 1)
        return [*cookies, bearer, self.headers.get("X-CSRF-Token", ""), self.refresh_token]


def from_body(answer: Answer) -> Tokens | None:
    """Before 1.9.2 Dify answers with a token for a Bearer header."""
    data = answer.json.get("data")
    token = data.get("access_token") if isinstance(data, dict) else data  # a string before 0.9.2
    refresh = data.get("refresh_token") if isinstance(data, dict) else None
    return Tokens({"Authorization": f"Bearer {token}"}, refresh or "") if token else None


def from_cookies(answer: Answer) -> Tokens | None:
    """From 1.9.2 on it sets cookies; the CSRF token of one goes into a header, too.

    They are returned by hand and as Dify named them (with __Host- before it behind https): a cookie jar would drop
    them where Dify marks them Secure and is reached over plain HTTP.
    """
    cookies = dict(line.split(";", 1)[0].split("=", 1) for line in answer.set_cookies if "=" in line)
    csrf = next((value for name, value in cookies.items() if name.endswith("csrf_token")), None)
    if csrf is None or not any(name.endswith("access_token") for name in cookies):
        return None
    sent = "; ".join(f"{name}={value}" for name, value in cookies.items())
    return Tokens({"Cookie": sent, "X-CSRF-Token": csrf})
