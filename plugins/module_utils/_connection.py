# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The connection options of the API modules and the session made from them. Private to the collection."""

from __future__ import annotations

import os
import socket
import ssl
import sys
import typing as t
from urllib.parse import urlsplit
from urllib.request import getproxies

from ansible_collections.modelops.inference.plugins.module_utils import _secrets, _session
from ansible_collections.modelops.inference.plugins.module_utils._directory import opened
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError

if t.TYPE_CHECKING:  # the reconciler runs this file where there is no Ansible
    from ansible.module_utils.basic import AnsibleModule

HTTP_OPTIONS: dict[str, t.Any] = dict(
    ca_path=dict(type="path"),
    validate_certs=dict(type="bool", default=True),
    proxy=dict(type="str"),
    connect_timeout=dict(type="float", default=10),
    request_timeout=dict(type="float", default=60),
)

# For a server of which the module's options tell nothing.
HTTP_DEFAULTS: dict[str, t.Any] = {name: option.get("default") for name, option in HTTP_OPTIONS.items()}

XINFERENCE_OPTIONS: dict[str, t.Any] = dict(
    endpoint=dict(type="str", default="http://127.0.0.1:9997"),
    username=dict(type="str", default="admin"),
    password=dict(type="str", no_log=True),
    password_file=dict(type="path", no_log=False),
    **HTTP_OPTIONS,
)

# A Dify and an account.
DIFY_ACCOUNT: dict[str, t.Any] = dict(
    url=dict(type="str", required=True),
    email=dict(type="str"),
    password=dict(type="str", no_log=True),
    admin_key=dict(type="str", no_log=True),
    workspace_file=dict(type="path"),
    daemon_timeout=dict(type="float", default=60),
    **HTTP_OPTIONS,
)

# AnsibleModule's checks of it.
ACCOUNT_RULES: dict[str, t.Any] = dict(
    required_together=[("email", "password")],
    required_one_of=[("email", "admin_key")],
    mutually_exclusive=[("email", "admin_key")],
)

# An account and one of its workspaces.
DIFY_OPTIONS: dict[str, t.Any] = dict(
    workspace=dict(type="str"),
    default_workspace=dict(type="str"),
    session_file=dict(type="path", no_log=False),
    **DIFY_ACCOUNT,
)

DIFY_RULES: dict[str, t.Any] = dict(
    required_together=[("email", "password")],
    required_one_of=[("email", "admin_key")],
    mutually_exclusive=[("email", "admin_key"), ("default_workspace", "admin_key")],
    required_by={"admin_key": ("workspace",)},
)


def session(module: AnsibleModule, base_url: str, options: t.Mapping[str, t.Any] | None = None) -> _session.Session:
    """A session with ``base_url`` by HTTP options, the module's where none are given; refuses mutating requests in check mode."""
    p = module.params if options is None else options
    if _session.REQUESTS_IMPORT_ERROR is not None:
        raise ModelopsError(
            f"The Python interpreter {sys.executable} has no 'requests' ({_session.REQUESTS_IMPORT_ERROR}). "
            "On the controller: pip install requests. On a host: run the module with the Xinference environment, "
            "ansible_python_interpreter: <xinference_dir>/current/bin/python (for a server that was installed by hand, its own; "
            "for the playbook capture -e capture_python=...)."
        )
    if p["ca_path"]:
        _refuse_other_than_certificates(p["ca_path"])
    return _session.Session(
        base_url,
        check_mode=module.check_mode,
        ca_path=p["ca_path"],
        validate_certs=p["validate_certs"],
        proxy="" if p["proxy"] is None and on_this_host(base_url) else p["proxy"],
        connect_timeout=p["connect_timeout"],
        timeout=p["request_timeout"],
    )


def _refuse_other_than_certificates(path: str) -> None:
    if not os.path.isfile(path):
        raise ModelopsError(f"ca_path: {path} is not a file")
    # One that holds none would be told as a fault of the connection.
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except ssl.SSLError:
        pass
    except OSError as exc:
        raise ModelopsError(f"ca_path: {path} cannot be read ({exc.strerror})") from exc
    else:
        return
    raise ModelopsError(
        f"ca_path: {path} has no certificate in PEM format (-----BEGIN CERTIFICATE-----). Name a file that has one."
    )


def on_this_host(url: str) -> bool:
    """Whether a URL's host is this one, which a proxy of the environment (http_proxy) would look for on its own host.

    Asked only where the environment names a proxy: behind one, other names may not resolve here.
    """
    host = urlsplit(url).hostname
    if not host or not getproxies():
        return False
    try:
        found = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)
        for family, kind, _protocol, _name, address in found:
            # Only a host's own address can be bound.
            with socket.socket(family, kind) as own:
                own.bind(address)
    except (OSError, UnicodeError):
        return False
    return True


def secret(value: str | None, path: str | None, what: str) -> str | None:
    """A secret given as a value or in a file; the value wins. The file's last line break does not count."""
    if value or not path:
        return value
    try:
        with opened(path) as file:
            found = _secrets.decoded(file.read(), f"{what}: {path}").rstrip("\r\n")
        _secrets.hide(found)
        return found
    except OSError as exc:
        raise ModelopsError(f"{what}: {path} cannot be read ({exc.strerror})") from exc
