# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Recorded differences between the releases that the test server plays."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Profile:
    """One release.

    :param auth: the kind of authentication it has: "legacy" (a file) or "database".
    :param auth_default: whether that is on without being asked for.
    :param replica_name: how a replica of a model is called.
    :param loading_status: status of a description while the model loads.
    :param missing_status: status of inference with an unknown UID; 404 is remembered for a while.
    :param progress_details: whether progress names stages and files.
    :param reports_engine: whether the description of a model that is no LLM names engine, format and ability.
    :param cache_details: whether the list of caches names type, engine and size.
    :param replica_fields: further fields of a replica in the list of instances.
    :param bad_engine: text for an engine that cannot run the model.
    :param cancelled_status: state of an instance whose launch was cancelled.
    :param metadata: whether the catalogue tells the shape of a model.
    """

    version: str
    auth: str
    auth_default: bool
    autostart: bool
    add_replica: bool
    replica_name: str
    loading_status: int
    missing_status: int
    progress_details: bool
    reports_engine: bool
    bad_uid: str
    bad_engine: str
    cache_details: bool = False
    version_fields: tuple[str, ...] = ()
    replica_fields: dict[str, t.Any] = field(default_factory=dict)
    setup_token: bool = False
    metadata: bool = False

    def replica(self, uid: str, number: int) -> str:
        return self.replica_name.format(uid=uid, number=number)


_OLD = dict(
    auth="legacy",
    auth_default=False,
    add_replica=False,
    replica_name="{uid}-{number}",
    progress_details=False,
    reports_engine=False,
    bad_uid="The model UID is invalid. Please specify the model UID by 0 < length <= 100.",
    version_fields=("date", "dirty", "error"),
)

PROFILES = {
    "1.17.1": Profile(
        **_OLD,
        version="1.17.1",
        autostart=False,
        loading_status=400,
        missing_status=400,
        bad_engine="Model {name} cannot be run on engine {engine}.",
    ),
    "2.12.0": Profile(
        **_OLD,
        version="2.12.0",
        autostart=True,
        loading_status=503,
        missing_status=404,
        bad_engine="Engine {engine} is not listed in virtualenv packages for model {name}.",
        replica_fields={"model_state": "ready"},
    ),
    "4.1.0": Profile(
        version="4.1.0",
        auth="database",
        auth_default=True,
        autostart=True,
        add_replica=True,
        replica_name="{uid}-rep{number}",
        loading_status=503,
        missing_status=404,
        progress_details=True,
        reports_engine=True,
        bad_uid="The model UID is invalid. Please specify the model UID by 0 < length <= 100, not ending with the "
        "reserved replica suffix '-rep<number>'.",
        bad_engine="Engine {engine} is not listed in virtualenv packages for model {name}.",
        replica_fields={"model_state": "ready", "replica_uid": None, "gpu_idx": None},
        setup_token=True,
        metadata=True,
        cache_details=True,
    ),
}
