# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Xinference's API as this collection uses it, one method a call. Private to the collection."""

from __future__ import annotations

import json
import typing as t
from urllib.parse import quote

from ansible_collections.modelops.inference.plugins.module_utils import _connection
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._session import Answer, Session
from ansible_collections.modelops.inference.plugins.module_utils._xinference.api import releases
from ansible_collections.modelops.inference.plugins.module_utils._xinference.api.access import Access

if t.TYPE_CHECKING:  # the reconciler runs this file where there is no Ansible
    from ansible.module_utils.basic import AnsibleModule

# Begins the UID of a model that tries a worker which has come back, and that nobody but the drain sees (undrain.py).
TRY = "modelops-try-"


class Client(Access):
    """The calls of one server."""

    def __init__(
        self,
        session: Session,
        username: str,
        password: str | None,
        password_file: str | None = None,
        log_path: str | None = None,
    ):
        super().__init__(session, username, password, password_file, log_path)
        #: Whether models that try a worker are among the models that are told.
        self.sees_tries = False
        #: UIDs of models that try a worker; known after instances().
        self.tries: list[str] = []

    @classmethod
    def of(cls, module: AnsibleModule) -> Client:
        """A client by the module's connection options; sends nothing yet."""
        p = module.params
        session = _connection.session(module, p["endpoint"])
        return cls(session, p["username"], p["password"], p["password_file"], p.get("log_path"))

    def models(self) -> dict[str, dict[str, t.Any]]:
        """The running models by UID, as ``GET /v1/models`` tells them; those that load are not among them."""
        return self._visible({row["id"]: row for row in self.get("/v1/models").json["data"]})

    def instances(self) -> dict[str, dict[str, t.Any]]:
        """Every model by UID with its state: the one source of it in all releases. Failed launches stay listed."""
        rows = {row["model_uid"]: row for row in self.get("/v1/models/instances").json}
        self.tries = [uid for uid in rows if uid.startswith(TRY)]
        return self._visible(rows)

    def _visible(self, rows: dict[str, dict[str, t.Any]]) -> dict[str, dict[str, t.Any]]:
        return {uid: row for uid, row in rows.items() if self.sees_tries or not uid.startswith(TRY)}

    def presence(self, uid: str) -> str:
        """releases.UNKNOWN, LOADING or RUNNING."""
        return releases.presence(self.get(_model(uid), expect=()), uid)

    def launch(self, body: t.Mapping[str, t.Any]) -> None:
        """Starts a launch and does not wait for it."""
        self.post(
            "/v1/models", params={"wait_ready": "false"}, json=body, what=f"launch {body['model_uid']!r}", timeout=120
        )

    def terminate(self, uid: str) -> Answer:
        """400 is a model that the server does not know, or one that still loads."""
        return self.request("DELETE", _model(uid), expect=(200, 400), what=f"terminate {uid!r}", timeout=180)

    def cancel(self, uid: str, timeout: float) -> Answer:
        """Cancels a launch; answers only when the load has really ended."""
        return self.post(_model(uid) + "/cancel", expect=(), what=f"cancel the launch of {uid!r}", timeout=timeout)

    def add_replica(self, uid: str, config: t.Mapping[str, t.Any], timeout: float) -> None:
        """Starts another replica of a running model; answers when it is ready.

        :param config: empty, or ``replica_config`` with the place of the new one.
        """
        self.post(_model(uid) + "/replicas", json=config, what=f"add a replica of {uid!r}", timeout=timeout)

    def remove_replica(self, uid: str, number: int) -> None:
        self.request(
            "DELETE", f"{_model(uid)}/replicas/{number}", what=f"remove replica {number} of {uid!r}", timeout=180
        )

    def progress(self, uid: str) -> dict[str, t.Any]:
        answer = self.get(_model(uid) + "/progress", expect=())
        return answer.json if answer.status == 200 and isinstance(answer.json, dict) else {}

    def engines(self, model_type: str, name: str) -> dict[str, t.Any] | None:
        """Engine -> list of what it can run of this model, or the reason why it cannot; None for an unknown model."""
        answer = self.get(releases.engines_path(model_type, quote(name, safe="")), expect=())
        return answer.json if answer.status == 200 else None

    def autostart(self) -> dict[str, dict[str, t.Any]] | None:
        """The autostart entries of the server by UID, secrets as ``******``; None where it has no autostart."""
        answer = self.get("/v1/autostart/models", expect=(200, 404))
        if answer.status == 404:  # before 2.x
            return None
        return {row["launch"]["model_uid"]: row for row in answer.json["models"]}

    def put_autostart(self, entry: t.Mapping[str, t.Any]) -> None:
        """Adds an entry or replaces it. The server launches it at once where the model does not run."""
        self.post("/v1/autostart/models", json=entry, what=f"add {entry['launch']['model_uid']!r} to the autostart")

    def drop_autostart(self, uid: str) -> None:
        path = f"/v1/autostart/models/{quote(uid, safe='')}"
        self.request("DELETE", path, what=f"remove {uid!r} from the autostart")

    def launch_history(self) -> dict[str, dict[str, t.Any]]:
        """UID -> what the web interface launched last under it; empty where it has no such list (1.x)."""
        answer = self.get("/v1/launch_history", expect=())
        rows = answer.json if answer.status == 200 else []
        return {row["model_uid"] or row["model_name"]: {"model_name": row["model_name"], **row["data"]} for row in rows}

    def registrations(self, model_type: str, detailed: bool = False) -> list[dict[str, t.Any]]:
        """All registered models of a type: name and is_builtin; detailed has the definitions, and takes a second."""
        return self.get(f"/v1/model_registrations/{model_type}", params={"detailed": "true"} if detailed else None).json

    def registration(self, model_type: str, name: str) -> dict[str, t.Any] | None:
        """One definition; None where there is none of this name."""
        answer = self.get(_registration(model_type, name), expect=(200, 400))
        return answer.json if answer.status == 200 else None

    def register(self, model_type: str, body: t.Mapping[str, t.Any], worker: str | None = None) -> None:
        """:param worker: address of the only worker that learns it; None tells all of them."""
        # The definition travels as text within JSON; persist is mandatory, and without it a restart would forget.
        self.post(
            f"/v1/model_registrations/{model_type}",
            json={"model": json.dumps(body), "persist": True, **({"worker_ip": worker} if worker else {})},
            what=f"register the definition of {body['model_name']!r}",
        )

    def register_again(self, model_type: str, registered: t.Mapping[str, t.Any], worker: str | None = None) -> None:
        """Registers a definition again, from the answer of `registration`."""
        self.register(model_type, {key: value for key, value in registered.items() if key != "is_builtin"}, worker)

    def unregister(self, model_type: str, name: str) -> None:
        """Removes a definition, and looks: the server answers 200 for a name that it does not know, too."""
        self.request("DELETE", _registration(model_type, name), what=f"unregister {name!r}")
        if self.registration(model_type, name) is not None:
            raise ModelopsError(f"{self.endpoint} reported that it unregistered {name!r}, but still has it")

    def cached(self, worker: str | None = None) -> list[dict[str, t.Any]]:
        """The caches of the workers, a row for each version of a model and worker."""
        return self.get("/v1/cache/models", params={"worker_ip": worker} if worker else None).json["list"]

    def remove_cached(self, version: str, worker: str) -> bool:
        """Deletes the files of one version on one worker; False where the server could not."""
        answer = self.request(
            "DELETE",
            "/v1/cache/models",
            params={"model_version": version, "worker_ip": worker},
            what=f"delete the cache of {version!r}",
            timeout=600,
        )
        return bool(answer.json["result"])


def _model(uid: str) -> str:
    return f"/v1/models/{quote(uid, safe='')}"


def _registration(model_type: str, name: str) -> str:
    return f"/v1/model_registrations/{model_type}/{quote(name, safe='')}"
