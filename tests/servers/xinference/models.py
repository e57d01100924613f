# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The state of the test server: registrations, models and their loading. Every method is called under one lock."""

from __future__ import annotations

import re
import time
import typing as t
from dataclasses import dataclass, field

from . import catalogue
from .behaviour import Behaviour
from .profiles import Profile

TYPES = tuple(catalogue.ENGINES)
# XINFERENCE_HOME of every worker.
HOME = "/srv/xinference/home"


class Refused(Exception):
    """An answer of the supervisor that is no success."""

    def __init__(self, status: int, text: str, *, plain: bool = False):
        super().__init__(text)
        self.status, self.text, self.plain = status, text, plain


@dataclass
class Model:
    """One launch.

    :param known: whether the supervisor knows the UID; a failed launch stays listed without being known.
    :param back: when a process that was killed is made anew; the supervisor may forget the model instead (``lost``).
    :param places: worker of each replica that is not on ``worker``.
    :param gone: replicas whose worker left; they stay listed as TERMINATED until they are deleted, or their number is given again.
    :param labelled: replicas that were added: the server gives each of them a name, which no two that are listed may have.
    :param adding: replicas that are being added, and until when they load; they get no requests, and do not count.
    :param asked: how many requests for inference there were; replicas take them in turn.
    :param taken_out: replicas that get no more requests and are not listed; their processes go on.
    :param under_way: the requests of each replica that are not answered yet: until when.
    """

    body: dict[str, t.Any]
    behaviour: Behaviour
    launched: float
    worker: str
    known: bool = True
    error: str | None = None
    cancelled: bool = False
    back: float = 0
    lost: bool = False
    extra_replicas: int = 0
    removed_replicas: set[int] = field(default_factory=set)
    places: dict[int, str] = field(default_factory=dict)
    gone: set[int] = field(default_factory=set)
    labelled: set[int] = field(default_factory=set)
    adding: dict[int, float] = field(default_factory=dict)
    asked: int = 0
    taken_out: set[int] = field(default_factory=set)
    under_way: dict[int, list[float]] = field(default_factory=dict)

    @property
    def uid(self) -> str:
        return self.body["model_uid"]

    @property
    def replicas(self) -> list[int]:
        total = self.body.get("replica", 1) + self.extra_replicas
        others = {*self.removed_replicas, *self.gone, *self.adding, *self.taken_out}
        return [number for number in range(total) if number not in others]

    def worker_of(self, number: int) -> str:
        return self.places.get(number, self.worker)

    @property
    def dead(self) -> bool:
        return time.time() < self.back

    @property
    def status(self) -> str:
        if self.dead:
            return "ERROR"
        if self.error is not None or self.cancelled:
            return "ERROR"
        fails = self.behaviour.hangs or self.behaviour.error
        if not fails and time.time() >= self.launched + self.behaviour.seconds:
            return "READY"
        return "CREATING"


class Models:
    def __init__(self, profile: Profile, workers: t.Sequence[str]):
        self.profile = profile
        self.workers = list(workers)
        #: Worker -> GiB of each of its cards.
        self.cards: dict[str, t.Sequence[float]] = {}
        #: Workers whose replicas answer every request with an error.
        self.broken: set[str] = set()
        #: UID -> worker -> index of a card -> bytes that the model holds of it, as NVIDIA's driver tells.
        self.held: dict[str, dict[str, dict[str, int]]] = {}
        self.models: dict[str, Model] = {}
        self.behaviours: dict[str, Behaviour] = {}
        #: Of every model that has none of its own.
        self.default = Behaviour()
        self.definitions: dict[str, dict[str, dict[str, t.Any]]] = {model_type: {} for model_type in TYPES}
        self.autostart: dict[str, dict[str, t.Any]] = {}
        #: Rows of the workers' caches, and of the launches that the web interface made, as the newest release tells them.
        self.cache: list[dict[str, t.Any]] = []
        self.history: list[dict[str, t.Any]] = []
        #: UIDs that inference asked for in vain, and until when that is remembered.
        self.missing: dict[str, float] = {}
        #: UIDs of launches in the order in which they came.
        self.launches: list[str] = []
        self.most_loading = 0
        #: Requests that failed because their worker ended.
        self.cut = 0

    # -- launches --------------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Lets launches end that end with an error, or that the server forgets."""
        for uid, model in list(self.models.items()):
            due = time.time() >= model.launched + model.behaviour.seconds
            if model.known and due and model.behaviour.error and model.error is None:
                model.error, model.known = model.behaviour.error, False
            elif (model.behaviour.forgets and due) or (model.lost and not model.dead):
                del self.models[uid]

    def launch(self, body: dict[str, t.Any]) -> str:
        if not body.get("model_name"):
            raise Refused(400, "Invalid input. Please specify the `model_name` field.", plain=True)
        body = {"model_type": "LLM", "model_uid": body["model_name"], **body}
        if body["model_type"] == "LLM" and not body.get("model_engine"):
            raise Refused(400, "Invalid input. Please specify the `model_engine` field.", plain=True)
        if body.get("replica", 1) < 1:
            raise Refused(400, "Invalid input. The `replica` field must be at least 1.", plain=True)
        if not self.workers:
            raise Refused(503, "No available worker found")
        uid = body["model_uid"]
        reserved = self.profile.auth == "database" and re.search(r"-rep\d+$", uid)
        if not 0 < len(uid) <= 100 or reserved:
            raise Refused(400, self.profile.bad_uid)
        if uid in self.models and self.models[uid].known:
            raise Refused(400, f"Model is already in the model list, uid: {uid}")
        behaviour = self.behaviours.get(uid, self.default)
        if behaviour.once:
            del self.behaviours[uid]
        model = Model(body, behaviour, time.time(), self._worker(body))
        model.error = self._impossible(body)
        for number, config in enumerate(body.get("replica_config") or []):
            model.places[number] = config["devices"][0]["worker_ip"]
        model.known = model.error is None
        self.models[uid] = model
        self.missing.pop(uid, None)
        self.launches.append(uid)
        self.most_loading = max(self.most_loading, sum(1 for m in self.models.values() if m.status == "CREATING"))
        return uid

    def _worker(self, body: dict[str, t.Any]) -> str:
        wanted = body.get("worker_ip")
        return next((w for w in self.workers if wanted in (w, w.rsplit(":", 1)[0])), self.workers[0])

    def _impossible(self, body: dict[str, t.Any]) -> str | None:
        """Why the launch ends with an error at once."""
        name, model_type = body["model_name"], body["model_type"]
        if model_type not in TYPES:
            return f"Unsupported model type: {model_type}."
        engines = self.engines(model_type, name)
        if engines is None:
            if model_type == "LLM":
                told = {"format": "model_format", "size": "model_size_in_billions", "quantization": "quantization"}
                values = ", ".join(f"{word}: {body.get(key)}" for word, key in told.items())
                return f"Model not found, name: {name}, {values}"
            builtin = list(catalogue.ENGINES[model_type])
            return f"{model_type.capitalize()} model {name} not found, available models: dict_keys({builtin})"
        engine = body.get("model_engine")
        if engine and engine.lower() not in (e.lower() for e in engines):
            return self.profile.bad_engine.format(name=name, engine=engine)
        if str(body.get("model_path", "/srv")).startswith("/no/"):
            return f"Invalid input. `model_path`: {body['model_path']} File or directory does not exist."
        worker = self._worker(body)
        there = list(range(len(self.cards.get(worker, ()))))
        wanted = body.get("gpu_idx") or []
        if not set([wanted] if isinstance(wanted, int) else wanted) <= set(there):
            return (
                f"Worker {worker} cannot use the GPUs with these indexes: {wanted}. "
                f"Worker {worker} can only see these GPUs: {there}."
            )
        return None

    def terminate(self, uid: str) -> None:
        model = self._known(uid)
        if model.dead:
            raise Refused(400, f"{self.profile.replica(uid, 0)} is launching")
        if model.status == "CREATING":
            raise Refused(400, f"Model not found in the model list, uid: {self.profile.replica(uid, 0)}")
        del self.models[uid]

    def cancel(self, uid: str) -> None:
        model = self.models.get(uid)
        if model is None or not model.known:
            raise Refused(500, f"Model {uid} has not been launched yet")
        if time.time() < model.launched + model.behaviour.deaf:
            return
        model.cancelled, model.known = True, False

    def _known(self, uid: str) -> Model:
        model = self.models.get(uid)
        if model is None or not model.known:
            raise Refused(400, f"Model not found in the model list, uid: {uid}")
        return model

    def serving(self, uid: str) -> Model:
        """A model that answers inference, or the refusal."""
        model = self.models.get(uid)
        hidden = (
            model is not None
            and model.status == "READY"
            and time.time() < model.launched + model.behaviour.seconds + model.behaviour.hidden
        )
        remembers = self.profile.missing_status == 404
        if self.missing.get(uid, 0) > time.time() and remembers:
            raise Refused(404, f"Model not found in the model list, uid: {uid} (cached, retry after 10.0s)", plain=True)
        if model is None or not model.known or hidden:
            if not hidden:
                self.missing[uid] = time.time() + 10
            known = [m.uid for m in self.models.values() if m.known and m.uid != uid]
            more = f". Available model uids: {known}" if remembers else ""
            raise Refused(self.profile.missing_status, f"Model not found in the model list, uid: {uid}{more}")
        if model.dead:
            raise Refused(500, f"Model {self.profile.replica(uid, 0)} is in stopping state")
        if model.status != "READY":
            raise Refused(
                503, f"Model is loading, please retry later: Model {uid} is launching, not yet ready for inference"
            )
        turn = self.turn(model)
        if not model.behaviour.answers or model.worker_of(turn) in self.broken:
            raise Refused(500, "The request failed. Check the server logs for details.", plain=True)
        return model

    @staticmethod
    def turn(model: Model) -> int:
        """The replica that gets the next request."""
        number = model.replicas[model.asked % len(model.replicas)]
        model.asked += 1
        return number

    # -- what the processes of a cluster do by themselves ------------------------------------------------------------

    def take_out(self, replica: str) -> None:
        """The supervisor's mark_replica_dead: 4.1.0 ends a model whose last replica that is, and looks into its autostart."""
        for model in list(self.models.values()):
            for number in model.replicas:
                if self.profile.replica(model.uid, number) == replica:
                    model.taken_out.add(number)
            if not model.replicas:
                del self.models[model.uid]

    def held_by(self, worker: str) -> list[str]:
        """The replicas whose processes a worker has."""
        return [
            self.profile.replica(model.uid, number)
            for model in self.models.values()
            for number in sorted({*model.replicas, *model.taken_out})
            if model.worker_of(number) == worker
        ]

    def under_way(self, replica: str) -> int:
        """How many requests a replica has."""
        return sum(
            end > time.time()
            for model in self.models.values()
            for number, ends in model.under_way.items()
            if self.profile.replica(model.uid, number) == replica
            for end in ends
        )

    # -- what is told ----------------------------------------------------------------------------------------------

    def listed(self) -> list[dict[str, t.Any]]:
        return [
            {
                "id": m.uid,
                "object": "model",
                "created": 0,
                "owned_by": "xinference",
                **self._description(m),
                "replica": len(m.replicas),
                **({"gpu_memory": self.held[m.uid]} if m.uid in self.held else {}),
            }
            for m in self.models.values()
            if m.known and m.status == "READY"
        ]

    def described(self, uid: str) -> dict[str, t.Any]:
        model = self._known(uid)
        if model.error is not None:
            raise Refused(400, f"Model {uid} is in stopping state")
        if model.status != "READY":
            if self.profile.loading_status == 400 or model.dead:
                raise Refused(400, f"Model not found in the model list, uid: {self.profile.replica(uid, 0)}")
            raise Refused(
                503, f"Model is loading, please retry later: Model {uid} is launching, not yet ready for inference"
            )
        workers = {"n_worker": 1} if self.profile.reports_engine else {}
        return {**self._description(model), **workers, "replica": len(model.replicas)}

    def _description(self, model: Model) -> dict[str, t.Any]:
        body, model_type = model.body, model.body["model_type"]
        family = self.definitions[model_type].get(body["model_name"], {})
        spec = (family.get("model_specs") or [{}])[0]
        common = {
            "model_type": model_type,
            "address": "127.0.0.1:40000",
            "accelerators": [],
            "model_name": body["model_name"],
        }
        if model_type == "LLM":
            engine = {"strict_system_first": False, "model_engine": body["model_engine"]}
            return {
                **common,
                "model_lang": family.get("model_lang", ["en"]),
                "model_ability": self.abilities(model),
                "model_description": family.get("model_description"),
                "model_format": body.get("model_format") or spec.get("model_format", "pytorch"),
                "model_size_in_billions": body.get("model_size_in_billions") or spec.get("model_size_in_billions", 1),
                "model_family": family.get("model_family", body["model_name"]),
                "quantization": body.get("quantization") or spec.get("quantization", "none"),
                "multimodal_projector": None,
                "model_hub": "huggingface",
                "revision": None,
                "context_length": family.get("context_length", 32768),
                **(engine if self.profile.reports_engine else {}),
            }
        if model_type == "embedding":
            named = {"model_engine": body.get("model_engine") or "sentence_transformers"}
            row: dict[str, t.Any] = {**common, **(named if self.profile.reports_engine else {})}
            if self.profile.version != "1.17.1":
                row["model_format"] = body.get("model_format") or spec.get("model_format", "pytorch")
            row.update(
                dimensions=family.get("dimensions", 1024),
                max_tokens=family.get("max_tokens", 8192),
                language=family.get("language", ["en"]),
            )
            if self.profile.reports_engine:
                row["model_ability"] = self.abilities(model)
            return {**row, "model_hub": "huggingface", "model_revision": None, "quantization": "none"}
        return {**common, "model_ability": self.abilities(model)}

    def abilities(self, model: Model) -> list[str]:
        model_type = model.body["model_type"]
        family = self.definitions[model_type].get(model.body["model_name"], {})
        return family.get("model_ability") or catalogue.ABILITIES.get(model_type) or ["chat"]

    def instances(self, uid: str | None = None) -> list[dict[str, t.Any]]:
        return [self._instance(m) for key, m in sorted(self.models.items()) if uid in (None, key)]

    def _instance(self, model: Model) -> dict[str, t.Any]:
        return {
            "model_name": model.body["model_name"],
            "model_uid": model.uid,
            "model_version": None,
            "model_ability": self.abilities(model) if model.status == "READY" else [],
            "replica": len(model.replicas),
            "status": model.status,
            "instance_created_ts": int(model.launched),
            "n_worker": 1,
            "replica_statuses": [
                self._replica(model, number) for number in sorted({*model.replicas, *model.gone, *model.adding})
            ],
        }

    def _replica(self, model: Model, number: int) -> dict[str, t.Any]:
        state = {"READY": "ready", "ERROR": "error"}.get(model.status, "")
        fields = {**self.profile.replica_fields}
        if "model_state" in fields:
            fields["model_state"] = state
        indices = model.body.get("gpu_idx")
        if "gpu_idx" in fields and isinstance(indices, list):
            each = len(indices) // model.body.get("replica", 1)
            fields["gpu_idx"] = indices[number * each : (number + 1) * each] or None
        row = {
            "replica_id": number,
            "replica_model_uid": self.profile.replica(model.uid, number),
            "worker_address": model.worker_of(number),
            "status": self._replica_status(model, number),
            "created_ts": int(model.launched),
            "error_message": model.error,
        }
        if "replica_uid" in fields and number in model.labelled:
            fields["replica_uid"] = f"{model.uid}-{number}"
        return {**row, **fields}

    @staticmethod
    def _replica_status(model: Model, number: int) -> str:
        if number in model.gone:
            return "TERMINATED"
        if number in model.adding:
            return "CREATING"
        if model.dead:
            return "TERMINATING"
        late = time.time() < model.launched + model.behaviour.seconds + model.behaviour.apart * number
        return "CREATING" if late and model.status == "READY" else model.status

    def replicas(self, uid: str) -> list[dict[str, t.Any]]:
        model = self.models.get(uid)
        if model is None:
            return []
        ready = model.status == "READY"
        place = {"model_address": "127.0.0.1:40000" if ready else None, "accelerators": [] if ready else None}
        rows = [self._replica(model, number) for number in model.replicas]
        for row in rows:
            row.pop("model_state", None)
        return [{**row, **(place if self.profile.progress_details else {})} for row in rows]

    def add_replica(self, uid: str, body: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Another replica: where ``replica_config`` says, else on the worker with the fewest replicas."""
        return self.added(uid, self.begin_replica(uid, body)["replica_id"])

    def begin_replica(self, uid: str, body: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """It loads; ``added`` lets it serve. It takes the number after the last one that serves, also that of a lost one."""
        model = self._known(uid)
        config, behaviour = (body or {}).get("replica_config"), self.behaviours.get(uid, self.default)
        number = max(model.replicas, default=-1) + 1
        if config:
            place = config["devices"][0]["worker_ip"]
            if place not in self.workers and len(self.workers) > 1:
                raise Refused(
                    400,
                    f"replica_config[0].worker_ip '{place}' is not in the cluster. Registered workers: {self.workers}",
                )
        else:
            held = [m.worker_of(one) for m in self.models.values() for one in m.replicas]
            place = min(self.workers, key=lambda worker: (held.count(worker), worker))
        if number in model.labelled & {*model.gone, *model.adding}:
            raise Refused(400, f"Replica uid already exists for model {uid}: {uid}-{number}")
        if self.profile.replica(uid, number) in self.held_by(place):
            raise Refused(500, "")  # an AssertionError of the worker
        if behaviour.full:
            raise Refused(503, "No worker has capacity for 1 GPU(s)")
        model.extra_replicas += number + 1 - (model.body.get("replica", 1) + model.extra_replicas)
        model.removed_replicas.discard(number)
        model.gone.discard(number)
        model.labelled.add(number)
        model.places[number] = place
        model.adding[number] = time.time() + behaviour.added
        return {
            "replica_id": number,
            "replica_model_uid": self.profile.replica(uid, number),
            "worker_address": place,
        }

    def added(self, uid: str, number: int) -> dict[str, t.Any]:
        """A replica that was being added serves, or is listed no more where it does not come up."""
        model, behaviour = self._known(uid), self.behaviours.get(uid, self.default)
        del model.adding[number]
        if behaviour.error:
            model.removed_replicas.add(number)
            raise Refused(500, behaviour.error)
        return {
            "replica_id": number,
            "replica_model_uid": self.profile.replica(uid, number),
            "worker_address": model.places[number],
        }

    def remove_replica(self, uid: str, number: int) -> dict[str, t.Any]:
        model = self._known(uid)
        if number not in {*model.replicas, *model.gone}:
            raise Refused(400, f"Replica not found in the model list, uid: {uid}, replica_id: {number}")
        model.gone.discard(number)
        model.removed_replicas.add(number)
        return {"remaining_replicas": len(model.replicas)}

    def leave(self, worker: str) -> None:
        """A worker unregisters, and ends at once. 1.17 forgets every model that had a replica on it, others those without another one."""
        self.cut += sum(map(self.under_way, self.held_by(worker)))
        self.workers.remove(worker)
        for uid, model in list(self.models.items()):
            lost = {number for number in model.taken_out if model.worker_of(number) == worker}
            model.taken_out -= lost
            model.removed_replicas |= lost
            mine = {number for number in model.replicas if model.worker_of(number) == worker}
            if mine == set(model.replicas) or (mine and self.profile.version == "1.17.1"):
                del self.models[uid]
            else:
                model.gone |= mine

    def progress(self, uid: str) -> dict[str, t.Any]:
        model = self.models.get(uid)
        known = model is not None and model.known
        share = 0.0
        files: list[dict[str, t.Any]] = []
        stage = "pending"
        if model is not None and known:
            passed = time.time() - model.launched
            stage, share = "loading", 1.0 if model.status == "READY" else 0.82
            half = model.behaviour.seconds / 2
            if model.behaviour.download and passed < half:
                done = int(model.behaviour.download * passed / half)
                stage, share = "downloading", 0.8 * passed / half
                files = [
                    {
                        "name": "model.safetensors",
                        "downloaded_bytes": done,
                        "total_bytes": model.behaviour.download,
                        "progress": passed / half,
                        "status": "downloading",
                    }
                ]
        if not self.profile.progress_details:
            return {"progress": share}
        replica = {
            "replica_id": 0,
            "replica_model_uid": self.profile.replica(uid, 0),
            "progress": share,
            "stage": stage,
            "info": "Loading model",
            "updated_at": time.time(),
            "download_files": files,
            "dependency_install_completed": None,
            "dependency_install_total": None,
            "dependency_install_plan": None,
            "dependency_install_status": None,
        }
        return {"progress": share, "stage": stage, "download_files": files, "replicas": [replica] if known else []}

    # -- registrations ---------------------------------------------------------------------------------------------

    def engines(self, model_type: str, name: str) -> dict[str, t.Any] | None:
        custom = self.definitions.get(model_type, {}).get(name)
        if custom:
            return catalogue.custom_engines(custom, model_type)
        return catalogue.ENGINES.get(model_type, {}).get(name)

    def registrations(self, model_type: str, detailed: bool) -> list[dict[str, t.Any]]:
        self._check_type(model_type)
        builtin = [
            {**(catalogue.details(model_type, name) if detailed else {"model_name": name}), "is_builtin": True}
            for name in catalogue.ENGINES[model_type]
        ]
        custom = [
            {**(body if detailed else {"model_name": name}), "is_builtin": False}
            for name, body in self.definitions[model_type].items()
        ]
        return sorted(builtin + custom, key=lambda row: row["model_name"].lower())

    def registration(self, model_type: str, name: str) -> dict[str, t.Any]:
        self._check_type(model_type)
        marks = self.profile.auth == "database"
        if name in self.definitions[model_type]:
            return {**self.definitions[model_type][name], **({"is_builtin": False} if marks else {})}
        if name in catalogue.ENGINES[model_type]:
            family = {"version": 2, "model_name": name, **catalogue.family(name, self.profile.metadata)}
            return {**family, **({"is_builtin": True} if marks else {})}
        raise Refused(400, f"Model {name} not found")

    def register(self, model_type: str, body: dict[str, t.Any], worker: str | None = None) -> None:
        self._check_type(model_type)
        self._check_worker(worker)
        name = body.get("model_name")
        if not name or not re.match(r"^[A-Za-z0-9][A-Za-z0-9_\-.]*$", name):
            raise Refused(400, f"Invalid model name {name}.")
        if name in self.definitions[model_type] or name in catalogue.ENGINES[model_type]:
            raise Refused(400, f"Model {name} already registered")
        missing = [key for key in _NEEDED.get(model_type, ()) if key not in body]
        if missing:
            lines = "\n".join(f"{key}\n  field required (type=value_error.missing)" for key in missing)
            raise Refused(
                400, f"{len(missing)} validation errors for Custom{model_type.capitalize()}ModelFamilyV2\n{lines}"
            )
        for spec in body.get("model_specs") or []:
            if str(spec.get("model_uri") or "").startswith("file:///no/"):
                raise Refused(400, f"Invalid model URI {spec['model_uri']}.")
        self.definitions[model_type][name] = _normalised(model_type, body, self.profile)

    def unregister(self, model_type: str, name: str) -> None:
        """200 for any name, as the real one."""
        self._check_type(model_type)
        self.definitions[model_type].pop(name, None)

    def _check_worker(self, worker: str | None) -> None:
        """A cluster knows its workers by address or host; a local server takes any."""
        known = {name for address in self.workers for name in (address, address.rsplit(":", 1)[0])}
        if worker and len(self.workers) > 1 and worker not in known:
            raise Refused(400, f"Worker ip address {worker} is not in the cluster.")

    # -- downloaded weights ----------------------------------------------------------------------------------------

    def cached(self, worker: str | None) -> list[dict[str, t.Any]]:
        self._check_worker(worker)
        details = {} if self.profile.cache_details else {"model_type": 0, "model_engine": 0, "size_bytes": 0}
        named = {row["model_name"] for row in self.cache}
        running = [m for m in self.models.values() if m.known and m.status == "READY"]
        rows = self.cache + [self._cache_row(m) for m in running if m.body["model_name"] not in named]
        return [
            {key: value for key, value in row.items() if key not in details}
            for row in sorted(rows, key=lambda row: row["model_name"])
            if self._is_on(row, worker)
        ]

    def _cache_row(self, model: Model) -> dict[str, t.Any]:
        """Of a running model; the place in the cache is a link where the definition names a path."""
        name, model_type, told = model.body["model_name"], model.body["model_type"], self._description(model)
        spec = (self.definitions[model_type].get(name, {}).get("model_specs") or [{}])[0]
        llm = [told.get(key) for key in ("model_size_in_billions", "model_format", "quantization")]
        version = {
            "LLM": f"{name}--{llm[0]}B--{llm[1]}--{llm[2]}",
            "embedding": f"{name}--{told.get('max_tokens')}--{told.get('dimensions')}--pytorch--none",
        }.get(model_type, name)
        path = f"{HOME}/cache/v2/{version}"
        return {
            "model_name": name,
            "model_type": model_type,
            "model_engine": [model.body.get("model_engine")],
            **dict.fromkeys(("model_size_in_billions", "model_format", "quantization")),
            **(
                dict(zip(("model_size_in_billions", "model_format", "quantization"), llm))
                if model_type == "LLM"
                else {}
            ),
            "model_version": version,
            "path": path,
            "real_path": (spec.get("model_uri") or path).replace("file://", ""),
            "actor_ip_address": model.worker,
            "size_bytes": 4096,
        }

    def remove_cached(self, version: str, worker: str | None) -> bool:
        """Of several rows of one version the last one goes, as on the real server; an unknown one is a success."""
        self._check_worker(worker)
        found = [row for row in self.cache if row["model_version"] == version and self._is_on(row, worker)]
        if found:
            self.cache.remove(found[-1])
        return True

    def _is_on(self, row: dict[str, t.Any], worker: str | None) -> bool:
        address = row["actor_ip_address"]
        return len(self.workers) == 1 or worker in (None, address, address.rsplit(":", 1)[0])

    def _check_type(self, model_type: str) -> None:
        if model_type not in TYPES:
            raise Refused(400, f"Unsupported model type: {model_type}")


_NEEDED = {
    "LLM": ("model_lang", "model_ability", "model_specs"),
    "embedding": ("dimensions", "max_tokens", "language", "model_specs"),
    "rerank": ("language", "model_specs"),
}


def _normalised(model_type: str, body: dict[str, t.Any], profile: Profile) -> dict[str, t.Any]:
    """A definition as the server stores it: nulls, the family's template, abilities added and dropped."""
    body = {**body, "model_specs": [_spec(model_type, spec) for spec in body.get("model_specs") or []]}
    if model_type == "LLM":
        family = body.get("model_family")
        abilities = list(body["model_ability"])
        if family in catalogue.VISION_FAMILIES and "vision" not in abilities:
            abilities.append("vision")
        body = {"context_length": 2048, "model_description": None, "stop_token_ids": None, "stop": None, **body}
        body["model_ability"] = abilities
        body["chat_template"] = body.get("chat_template") or catalogue.CHAT_TEMPLATE
        return body
    if model_type in ("embedding", "rerank"):
        ability = {"model_ability": []} if profile.auth == "database" else {}
        return {"cache_config": None, "virtualenv": None, **body, **ability}
    return body


def _spec(model_type: str, spec: dict[str, t.Any]) -> dict[str, t.Any]:
    nulls = {"model_id": None, "model_uri": None, "model_revision": None}
    if model_type == "LLM":
        nulls["model_metadata"] = None
    return {"model_hub": "huggingface", **nulls, **spec}
