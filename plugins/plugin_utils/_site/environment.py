# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Environment and identity of the service. Pure. Private to the collection."""

from __future__ import annotations

import re

from ansible_collections.modelops.inference.plugins.module_utils._address import PROXIES, address_problem
from ansible_collections.modelops.inference.plugins.plugin_utils._site.kinds import Unknown
from ansible_collections.modelops.inference.plugins.plugin_utils._site.settings import Refusals, Settings

# Names that the role gives values itself: another database, say, would start unclaimed, whatever was bootstrapped.
_TAKEN = re.compile(r"HOME|XINFERENCE_HOME|XINFERENCE_AUTH_(ADVANCED|DB_PATH|ENCRYPTION_KEY)|MODELOPS_CONFIG")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PROXY = re.compile(r"(?i:https?|all)_(?i:proxy)")
# Of a unit, a file and a program of supervisord.
_SERVICE = re.compile(r"(?!.*([.]service|@)$)[A-Za-z0-9_][A-Za-z0-9_.@-]{0,99}")
# One of digits alone is an ID for systemd, and no name for useradd.
_USER = re.compile(r"(?![0-9]+$)[A-Za-z0-9_][A-Za-z0-9_.@-]{0,63}")


def refusals(settings: Settings) -> Refusals:
    yield from _variables(settings)
    yield from _hub(settings)
    yield from _service(settings)


def _variables(settings: Settings) -> Refusals:
    environment = settings.get("xinference_environment") or {}
    for name, value in environment.items():
        # YAML makes true of `yes` and `on`.
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            yield (
                f"xinference_environment has {name!r}, which is not a name of an environment variable (letters, digits and _, not a digit "
                "first). Correct it."
            )
        elif value is None:
            yield f'xinference_environment, {name} is empty (null). Write "" for an empty value, or remove it.'
        elif isinstance(value, (dict, list)):
            yield f"xinference_environment, {name} must be one text, not a {'list' if isinstance(value, list) else 'mapping'}."
    hub = settings.get("xinference_hub") or {}
    broken = [
        f"{variable}, {name}"
        for variable, values in (("xinference_environment", environment), ("xinference_hub", hub))
        for name, value in values.items()
        if not isinstance(value, Unknown) and re.search(r"[\r\n\x00]", str(value))
    ]
    if broken:
        yield f"no value of xinference_environment and xinference_hub may hold a line break ({'; '.join(broken)})."
    for name, value in environment.items():
        problem = _address_problem(str(name), value) if isinstance(value, str) else ""
        if problem:
            yield f"xinference_environment, {name} {problem}."
    taken = [str(name) for name in environment if _TAKEN.fullmatch(str(name))]
    if taken:
        yield (
            f"xinference_environment sets {', '.join(taken)}, which the role sets. Use xinference_home, xinference_auth and the "
            "other variables of the role."
        )


def _address_problem(name: str, value: str) -> str:
    """The problem of a variable with an address, without the address, which may contain a login."""
    if not value or re.search(r"[\r\n\x00]", value):
        return ""
    if name == "HF_ENDPOINT":
        return address_problem(value)
    if not _PROXY.fullmatch(name):
        return ""
    # Most programs take a proxy without its scheme, too.
    return address_problem(value if "://" in value else f"http://{value}", PROXIES, "http://proxy.example:3128")


def _hub(settings: Settings) -> Refusals:
    hub = settings.get("xinference_hub")
    if hub and not hub.get("source"):
        yield "xinference_hub needs source (huggingface, modelscope or csghub), the hub of its other keys."
    endpoint = (hub or {}).get("endpoint")
    if not isinstance(endpoint, str) or not endpoint:
        return
    problem = address_problem(endpoint)
    if not re.match(r"https?://[^/\s]", endpoint):
        yield "xinference_hub, endpoint must begin with http:// or https:// and name a host."
    elif problem:
        yield f"xinference_hub, endpoint {problem}."


def _service(settings: Settings) -> Refusals:
    service, parts = settings.get("xinference_service"), settings.inventory.parts
    if isinstance(service, str):
        if not _SERVICE.fullmatch(service):
            yield (
                "xinference_service must be a name of a service without .service, of letters, digits and _ . @ - "
                f"(it is {service!r}). Unset it is {'xinference' if parts == ['local'] else f'xinference-{parts[0]}'}."
            )
        elif len(parts) > 1 and settings.given("xinference_service"):
            yield (
                f"xinference_service is {service}, but this host is supervisor and worker with one service each. Leave it unset "
                "here."
            )
    for name in ("xinference_user", "xinference_group"):
        value = settings.get(name)
        if isinstance(value, str) and value and not _USER.fullmatch(value):
            kind = name.rpartition("_")[2]
            yield f"{name} must be a name of a {kind}, of letters, digits and _ . @ -, not of digits alone (it is {value!r})."
    cluster = settings.get("xinference_cluster")
    if cluster is not None and not re.fullmatch(r"(?![.]+$)[^\s/@{}\x00-\x1f\x7f]+", str(cluster)):
        yield f"xinference_cluster must be a name without spaces, '/', '@' and braces (it is '{cluster}')."
