# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One run over the declared definitions of custom models. Private to the collection."""

from __future__ import annotations

import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._xinference.api.client import Client
from ansible_collections.modelops.inference.plugins.module_utils._xinference.declaration import (
    definitions,
    registration,
)
from ansible_collections.modelops.inference.plugins.module_utils._xinference.declaration.declared import Record, Store

_FORM = dict(
    path=dict(type="str"),
    format=dict(type="str"),
    size=dict(type="str"),
    quantization=dict(type="str"),
)

DEFINITIONS: dict[str, t.Any] = dict(
    type="list",
    elements="dict",
    required=True,
    options=dict(
        name=dict(type="str", required=True),
        type=dict(type="str", choices=list(registration.TYPES), default="LLM"),
        **_FORM,
        specs=dict(
            type="list",
            elements="dict",
            options=dict(
                **_FORM,
                **{name: registration.OPTIONS[name] for name in ("hub", "hub_id", "revision", "file")},
            ),
        ),
        definition=dict(type="dict", default={}, options=registration.OPTIONS),
        worker=dict(type="str"),
        state=dict(type="str", choices=["present", "absent"], default="present"),
    ),
)


def run(client: Client, p: t.Mapping[str, t.Any], warn: t.Callable[[str], None]) -> dict[str, t.Any]:
    """The module's result.

    :param p: definitions, replace, new_workers, remember and ready_timeout.
    """
    entries = definitions.desired(p["definitions"])
    client.wait_ready(p["ready_timeout"])
    client.ensure_login()
    definitions.look(client, entries)
    check = client.session.check_mode
    store = Store(p["remember"], writes=not check)
    with store.lock():
        record = Record(store)
        lacking = {e.key: sorted({*p["new_workers"], *record.untold(e.key, client.workers)}) for e in entries}
        definitions.decide(entries, p["replace"], lacking)
        result = definitions.plan_of(entries, f"definitions on {client.endpoint}").result()
        if not check:
            definitions.apply(client, entries, record)
    result.update(definitions=[_row(entry) for entry in entries], requests=dict(client.session.counts))
    for entry in entries:
        if entry.differs:
            warn(
                f"The definition of {entry.key[1]} differs and was left unchanged, because {', '.join(entry.users)} runs from "
                f"it (replace: true would change it): {', '.join(entry.differs)}"
            )
    failed = [f"{entry.key[1]}: {entry.error}" for entry in entries if entry.error]
    if failed:
        raise ModelopsError(
            f"{len(failed)} of {len(entries)} definitions on {client.endpoint} failed; the others are as declared:\n"
            + "\n".join(failed),
            **result,
        )
    return result


def _row(entry: definitions.DefinitionStep) -> dict[str, t.Any]:
    return {
        "name": entry.options["name"],
        "type": entry.options["type"],
        "declared": entry.options["state"],
        "action": definitions.NONE if entry.error else entry.action,
        "used_by": entry.users,
        "differs": entry.differs,
        "error": entry.error,
    }
