# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Differences between releases: the five recorded ones, and those that were run but not recorded."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Profile:
    version: str
    provider: str = "langgenius/xinference/xinference"
    #: Providers are plugins, to be installed first.
    plugins: bool = True
    #: server_url is a secret in the provider's schema, so that it comes back masked.
    secret_url: bool = False
    #: Named credentials.
    named: bool = True
    #: Cookies and CSRF token instead of a Bearer.
    cookies: bool = False
    base64_password: bool = False
    #: "plain": {code, message, params}; "errors": {errors, message}; "pydantic": {code, message, status}.
    param_errors: str = "errors"
    #: Errors of setup, init and version: {"error": {type, message, status}}.
    wrapped_setup_errors: bool = False
    #: 500 bodies carry "status".
    status_in_500: bool = True
    #: A plugin's own exception: "text" (400, its text), "500", or "invoke" (400, PluginInvokeError).
    plugin_exceptions: str = "500"
    wrong_password: tuple[int, str] = (401, "authentication_failed")
    #: An unknown e-mail is told apart from a wrong password.
    tells_unknown_email: bool = False
    email_case: bool = True
    workspace_verb: str = "GET"
    logout_verb: str = "POST"
    #: "yes", or "csrf" where the key is recognised and then refused for want of a CSRF token.
    admin_key: str = "yes"
    #: POST with form data: 415, or 400 as a missing parameter.
    form_is_415: bool = False
    #: After a switch the model goes on showing the values of the credential before.
    stale_after_switch: bool = False
    #: Removing the active credential leaves the model in the list.
    zombies: bool = False
    #: The provider list shows each model's credentials, secrets in clear.
    credentials_in_list: bool = False
    #: The provider list and a model's credentials are given newest first.
    newest_first_in_list: bool = False
    #: The provider's short name is accepted in default-model.
    short_default: bool = False
    #: The short name of a legacy model type is accepted.
    legacy_types: bool = False
    #: A plugin task's answer has "task", its plugins "source", and a plugin "meta" is filled.
    rich_tasks: bool = False
    #: Models carry has_invalid_load_balancing_configs.
    balancing_flag: bool = True
    icon_large: bool = True
    #: Plugins may be data sources.
    datasources: bool = False
    #: plugin/preferences/* exists.
    preferences: bool = True
    daemon_errors_bare: bool = False
    #: plugin/list/latest-versions exists (from about 1.4 on).
    latest_versions: bool = True
    #: plugin/list tells how many there are.
    list_total: bool = True
    #: Without its plugin daemon Dify answers 500 without a word to whatever needs it; else 400 with the daemon's address.
    silent_daemon: bool = False
    #: A number in the place of a string of a model's credentials is a 500.
    numbers_break: bool = False


PROFILES = {
    profile.version: profile
    for profile in (
        Profile(
            "0.15.3",
            provider="xinference",
            plugins=False,
            secret_url=True,
            named=False,
            param_errors="plain",
            status_in_500=False,
            plugin_exceptions="text",
            wrong_password=(400, "email_or_password_mismatch"),
            tells_unknown_email=True,
            logout_verb="GET",
            form_is_415=True,
            short_default=True,
            balancing_flag=False,
            preferences=False,
        ),
        Profile(
            "1.7.2",
            named=False,
            param_errors="plain",
            status_in_500=False,
            wrong_password=(400, "email_or_password_mismatch"),
            tells_unknown_email=True,
            logout_verb="GET",
            form_is_415=True,
            balancing_flag=False,
        ),
        Profile(
            "1.8.1",
            tells_unknown_email=True,
            logout_verb="GET",
            stale_after_switch=True,
            zombies=True,
            credentials_in_list=True,
        ),
        Profile(
            "1.9.2",
            cookies=True,
            admin_key="csrf",
            datasources=True,
            zombies=True,
            credentials_in_list=True,
            short_default=True,
        ),
        Profile(
            "1.16.0-rc1",
            cookies=True,
            base64_password=True,
            param_errors="pydantic",
            wrapped_setup_errors=True,
            plugin_exceptions="invoke",
            email_case=False,
            workspace_verb="POST",
            form_is_415=True,
            newest_first_in_list=True,
            short_default=True,
            legacy_types=True,
            rich_tasks=True,
            icon_large=False,
            datasources=True,
            preferences=False,
            daemon_errors_bare=True,
            numbers_break=True,
        ),
    )
}

_OF_1_12 = replace(
    PROFILES["1.9.2"],
    version="1.12.1",
    base64_password=True,
    param_errors="pydantic",
    wrapped_setup_errors=True,
    plugin_exceptions="invoke",
    email_case=False,
    workspace_verb="POST",
    admin_key="yes",
    credentials_in_list=False,
)

# Releases that were run and are not recorded: what is known to differ from a recorded one. Of each it is written down what it
# answers where things go wrong; tests/contract/test_dify_answers.py holds the server to that.
UNRECORDED = {
    profile.version: profile
    for profile in (
        replace(
            PROFILES["1.7.2"],
            version="1.0.1",
            secret_url=True,
            latest_versions=False,
            list_total=False,
            silent_daemon=True,
        ),
        replace(PROFILES["1.7.2"], version="1.4.3"),
        replace(
            PROFILES["1.9.2"],
            version="1.10.1",
            plugin_exceptions="invoke",
            workspace_verb="POST",
            credentials_in_list=False,
        ),
        _OF_1_12,
        replace(_OF_1_12, version="1.15.0", preferences=False),
    )
}
