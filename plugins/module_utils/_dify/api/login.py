# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One account's login at one Dify, kept for the play's other tasks and renewed where it expired. Private to the collection."""

from __future__ import annotations

import base64

from ansible_collections.modelops.inference.plugins.module_utils import _secrets
from ansible_collections.modelops.inference.plugins.module_utils._dify.api import errors
from ansible_collections.modelops.inference.plugins.module_utils._dify.api.paths import API
from ansible_collections.modelops.inference.plugins.module_utils._dify.api.releases import DifyRelease
from ansible_collections.modelops.inference.plugins.module_utils._dify.api.state_files import SessionFile
from ansible_collections.modelops.inference.plugins.module_utils._dify.api.tokens import Tokens, from_body, from_cookies
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._session import Answer, Session, Unreachable


class AccountLogin:
    """A login; each request of the HTTP session is then one of the account's.

    :param http: a session whose base URL is Dify's address, without /console/api.
    :param session_file: keeps the tokens for other tasks; None keeps nothing.
    """

    def __init__(self, http: Session, release: DifyRelease, email: str, password: str, session_file: str | None):
        self._http, self._url, self._release = http, http.base_url, release
        self._email, self._password = email, password
        self.account = f"{self._url} {email}"
        self._session_file = SessionFile(session_file, self.account)
        self._tokens: Tokens | None = None
        # Whether a 401 may mean that the tokens expired: not where they were never accepted, nor just after new ones.
        self._renewable = False

    def start(self) -> None:
        """Takes the login that another task left in the session file, or logs in and leaves it there."""
        with self._session_file as file:
            tokens = file.read()
            self._renewable = tokens is not None
            if tokens is None:
                tokens = self._log_in()
                file.write(tokens)
        self._use(tokens)

    def accepted(self) -> None:
        """After an answer that accepts the tokens."""
        self._renewable = True

    def renew(self) -> bool:
        """After a 401: takes the login that another task renewed meanwhile, else refreshes it, else logs in once.

        :returns: False where the login was not accepted even when it was new.
        """
        if not self._renewable:
            return False
        self._renewable = False
        with self._session_file as file:
            tokens = file.read()
            if tokens is None or tokens == self._tokens:
                tokens = self._refreshed() or self._log_in()
                file.write(tokens)
        self._use(tokens)
        return True

    def _use(self, tokens: Tokens) -> None:
        _secrets.hide(*tokens.secrets)
        for name in self._tokens.headers if self._tokens else ():  # other ones where Dify was upgraded meanwhile
            del self._http.headers[name]
        self._http.headers.update(tokens.headers)
        self._tokens = tokens

    def _tokens_of(self, answer: Answer) -> Tokens | None:
        return from_cookies(answer) if self._release.cookies else from_body(answer)

    def _refreshed(self) -> Tokens | None:
        """New tokens for those in use; None where Dify refuses."""
        if self._tokens is None:
            return None
        body = {"refresh_token": self._tokens.refresh_token} if self._tokens.refresh_token else None
        answer = self._http.post(
            f"{API}/refresh-token", json=body, expect=(), reads=True, what=f"Dify {self._url}: refresh the login"
        )
        return self._tokens_of(answer) if errors.refusal(answer) is None else None

    def _log_in(self) -> Tokens:
        """Logs in: exactly one attempt, because the seventh after six failures is refused for a day. It makes none where
        another task of the play was refused, or did not get its answer."""
        said = self._session_file.refusal(self._password)
        if said:
            raise ModelopsError(said)
        sent = self._password
        if self._release.encoded_password:
            sent = base64.b64encode(sent.encode()).decode()
        _secrets.hide(self._password, sent)
        try:
            answer = self._http.post(
                f"{API}/login",
                json={"email": self._email, "password": sent, "language": "en-US", "remember_me": True},
                expect=(),
                reads=True,
                what=f"Dify {self._url}: log in as {self._email}",
            )
        except Unreachable as exc:
            if not exc.sent:
                raise
            said = _secrets.redacted(
                f"{exc}. The answer to the login was lost, and it may have been counted as a failure: it is not repeated, "
                "because six failures lock the account for a day. Run this again when Dify answers."
            )
            self._session_file.refuse(self._password, said)
            raise ModelopsError(said) from exc
        if errors.refusal(answer) is not None:
            said = _secrets.redacted(self._refusal(answer))
            self._session_file.refuse(self._password, said)
            raise errors.DifyError(said, errors.failure(answer))
        tokens = self._tokens_of(answer)
        if tokens is None:
            lacks = (
                "its cookies. Check whether a proxy before it removes Set-Cookie."
                if self._release.cookies
                else "a token."
            )
            raise ModelopsError(
                f"Dify {self._url} ({self._release.version}) took the login of {self._email} and answered without {lacks}"
            )
        return tokens

    def _refusal(self, answer: Answer) -> str:
        """Why Dify does not log the account in, and how to mend it."""
        found = errors.failure(answer)
        who = f"Dify {self._url} ({self._release.version}): log in as {self._email}"
        once = "This one attempt was made and is not repeated; six failures lock the account for a day."
        if answer.status == 429 and found.code != "not_json":
            return (
                f"{who}: the account is locked after six failed logins, also for the right password, for 24 hours "
                "(LOGIN_LOCKOUT_DURATION). Wait, or delete the key login_error_rate_limit:<e-mail> in Dify's Redis. "
                "Nothing else was tried."
            )
        if found.code == "not_init_validated":
            return errors.not_initialised(self._url)
        if found.code == "not_setup":
            return (
                f"{who}: Dify has not been set up. Open {self._url}/install, create the administrator, then run again."
            )
        if found.code == "fail":
            return f"{who}: the password is correct, but the account cannot work: {found.text}. Add it to a workspace."
        if found.code == "account_not_found":
            return f"{who}: there is no such account (before 1.11.4 the e-mail's case counts). {once}"
        if found.code in ("authentication_failed", "email_or_password_mismatch", "unauthorized"):
            return f"{who}: the e-mail (its case counts before 1.11.4) or the password is wrong. {once}"
        return f"{who}: {found}. {errors.advice(found, self._release) if found.code == 'not_json' else once}"
