# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The declaration that this collection keeps on the supervisor's host. Private to the collection.

Xinference forgets its models when it restarts, does not tell the engine options of a running model, and does not know
who launched it. One file holds all three answers: the declared models for the reconciler, the launch requests for
comparing, and the UIDs that prune may touch. It holds the environment variables of models, so it is 0600.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import tempfile
import time
import typing as t
from dataclasses import asdict, dataclass, field, fields

from ansible_collections.modelops.inference.plugins.module_utils import _json
from ansible_collections.modelops.inference.plugins.module_utils import _locks as locks
from ansible_collections.modelops.inference.plugins.module_utils._directory import Directory, opened
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._host.system.shell import write_file

_FORMAT = 1
# Seconds between a launch and the making of its instance, at most: the server makes it before it looks for a place.
_SAME_LAUNCH = 120.0


def digest(value: t.Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


@dataclass
class Declared:
    """The content of the file.

    :param models: the options of each declared model, as the module xinference_models takes them, with the
        paths of their weights filled in.
    :param launched: UID -> {"body": the launch request as declared, "placed": keys that the placement added to it,
        "created": instance_created_ts of what it became, None until it is known, "sent": when it was sent (seconds since
        the epoch), "entry": digest of its entry in the server's autostart}; of every model that this collection launched
        and did not terminate since.
    :param settings: what the reconciler takes over from the last run, such as launch_timeout, and the drained workers.
    :param told: "type name" of a definition -> addresses of the workers that were there when it was registered.
    :param had: address of a drained worker -> {"left": whether the server has forgotten it since, "models": UID -> {"here": how many
        replicas it had there, "of": of how many, "created": instance_created_ts}}. Of a worker that is not drained any more only
        models that have more replicas since than they had.
    :param busy_until: seconds since the epoch until which a run that comes back in slices is at work; None where none is.
    """

    models: list[dict[str, t.Any]] = field(default_factory=list)
    launched: dict[str, dict[str, t.Any]] = field(default_factory=dict)
    settings: dict[str, t.Any] = field(default_factory=dict)
    told: dict[str, list[str]] = field(default_factory=dict)
    had: dict[str, dict[str, t.Any]] = field(default_factory=dict)
    busy_until: float | None = None

    @property
    def busy(self) -> bool:
        return self.busy_until is not None and time.time() < self.busy_until


def _checked(found: Declared) -> Declared:
    """:raises TypeError: a value is of another type than this program writes; :raises KeyError: one is missing."""
    _json.check("models", found.models, list, dict)
    for number, model in enumerate(found.models):
        _json.check(f"models.{number}.uid", model["uid"], str)
    _json.check("launched", found.launched, dict, dict)
    for uid, row in found.launched.items():
        _json.check(f"launched.{uid}.body", row["body"], dict)
        _json.number_or_none(f"launched.{uid}.created", row["created"])
    _json.check("settings", found.settings, dict)
    _json.check("settings.drained", found.settings.get("drained") or {}, dict, dict)
    _json.number_or_none("settings.launch_timeout", found.settings.get("launch_timeout"))
    _json.check("told", found.told, dict, list)
    _json.check("had", found.had, dict, dict)
    _json.number_or_none("busy_until", found.busy_until)
    return found


class Store:
    """The file.

    :param path: None remembers nothing.
    :param writes: False reads only, as check mode does.
    """

    def __init__(self, path: str | None, writes: bool = True):
        self.path = path
        self.writes = writes

    def load(self) -> Declared:
        """:raises ModelopsError: the file cannot be read, or was written by a later release of the collection."""
        if not self.path:
            return Declared()
        try:
            with opened(self.path) as file:
                found = _json.load(file)
            _json.check("its content", found, dict)
            if found.pop("format") != _FORMAT:
                raise ModelopsError(
                    f"{self.path} was written by another release of modelops.inference; remove the file"
                )
            # A later release may have added something that this one, such as a reconciler not yet replaced, can do without.
            known = {each.name for each in fields(Declared)}
            return _checked(Declared(**{name: value for name, value in found.items() if name in known}))
        except FileNotFoundError:
            return Declared()
        except (OSError, ValueError, KeyError, TypeError) as exc:
            why = (
                exc.strerror if isinstance(exc, OSError) else f"{exc} is missing" if isinstance(exc, KeyError) else exc
            )
            raise ModelopsError(f"{self.path} cannot be read: {why}. Remove it; the next run rewrites it.") from exc

    def save(self, declared: Declared) -> None:
        """Replaces the file at once; it belongs to whoever owns the directory."""
        if not self.path or not self.writes:
            return
        text = json.dumps({"format": _FORMAT, **asdict(declared)}, indent=1, sort_keys=True)
        try:
            with Directory.at(os.path.dirname(self.path)) as directory:
                directory.write(os.path.basename(self.path), text, 0o600, directory.owner, sync=True)
        except OSError as exc:
            raise ModelopsError(f"{self.path} cannot be written: {exc.strerror}") from exc

    @contextlib.contextmanager
    def lock(self, timeout: float = locks.WAIT) -> t.Iterator[None]:
        """Holds off others that change the models of this server.

        :param timeout: seconds to wait for somebody else who holds it.
        :raises locks.Held: with who that is.
        """
        if not self.path or not self.writes:
            yield
            return
        path = f"{self.path}.lock"
        try:
            with Directory.at(os.path.dirname(path)) as directory:
                # To read is enough to lock; whoever made it, root or the service's user, the other may open it.
                file = directory.lasting(os.path.basename(path), 0o644)
        except OSError as exc:
            raise ModelopsError(f"{path} cannot be opened: {exc.strerror}") from exc
        with file:
            locks.take(file.fileno(), path, timeout)
            yield


class SlicedRun:
    """The state that a sliced run keeps between two executions.

    In a file of mode 0600: it holds launch requests with their secrets, which Ansible would show and mask.

    :param path: of an earlier execution; None names a new file, beside the store where there is one.
    """

    def __init__(self, store: Store, path: str | None = None):
        self.path = path
        self._directory = os.path.dirname(store.path) if store.path else None

    def load(self) -> dict[str, t.Any]:
        """:raises ModelopsError: there is no such file any more."""
        try:
            folder, name = os.path.split(self.path or "")
            # The directory is the service's, whose user could have another request sent in its place.
            with Directory.at(folder) as directory, directory.open(name, (os.geteuid(),)) as file:
                return _json.check("its content", _json.load(file), dict)
        except (OSError, ValueError, TypeError) as exc:
            raise ModelopsError(f"the run cannot continue: {self.path} cannot be read ({exc}). Run it again.") from exc

    def save(self, state: t.Mapping[str, t.Any]) -> str:
        name = f".modelops-run-{secrets.token_hex(8)}"
        path = self.path or os.path.join(self._directory or tempfile.gettempdir(), name)
        write_file(path, json.dumps(state), 0o600)
        self.path = path
        return path

    def drop(self) -> None:
        if self.path:
            with contextlib.suppress(OSError), Directory.at(os.path.dirname(self.path)) as directory:
                directory.unlink(os.path.basename(self.path))


class Record:
    """The content of the file during a run; what changes is written at once, so that a run that is killed is remembered."""

    def __init__(self, store: Store):
        self._store = store
        self.declared = store.load()
        self._written = asdict(self.declared)

    def declare(
        self, models: t.Sequence[t.Mapping[str, t.Any]], settings: t.Mapping[str, t.Any], kept: t.Container[str] = ()
    ) -> None:
        """Records the newly declared models.

        :param kept: UIDs of models that run otherwise than declared and are left alone: where one is known as it runs,
            that is what is brought back.
        """
        before = {model["uid"]: model for model in self.declared.models}
        self.declared.models = [
            before[model["uid"]] if model["uid"] in kept and model["uid"] in before else dict(model) for model in models
        ]
        self.declared.settings = {**settings, **({"drained": self.drained} if self.drained else {})}
        self.save()

    @property
    def drained(self) -> dict[str, dict[str, int]]:
        """Address (host:port) of each drained worker -> UID -> how many replicas a model has without it; when it has left,
        only those that were stopped for it, with 0."""
        return dict(self.declared.settings.get("drained") or {})

    def waits(self, uid: str, worker: str | None, back: t.Collection[str] = ()) -> str:
        """The drained worker for which a model waits, because it is declared for it or was stopped for it; empty where there is none.

        :param worker: for which it is declared.  :param back: addresses of workers that are there again.
        """
        for address, replicas in self.drained.items():
            host = address.rsplit(":", 1)[0]
            stopped = worker is None and replicas.get(uid) == 0
            if address not in back and (stopped or worker in (address, host)):
                return address
        return ""

    def drain(self, worker: str, replicas: t.Mapping[str, int], had: t.Mapping[str, t.Any], left: bool = False) -> bool:
        """Notes that a worker is drained; returns whether that is news.

        :param had: the models that it had, and :param left: whether it is gone, as `Declared.had` has them.
        """
        news = worker not in self.drained
        self.declared.settings = {**self.declared.settings, "drained": {**self.drained, worker: dict(replicas)}}
        self.declared.had[worker] = {"left": left, "models": dict(had)}
        self.save()
        return news

    def undrain(self, worker: str, grown: t.Mapping[str, t.Any] | None = None) -> None:
        """Forgets it.

        :param grown: what is still to be known of models that it had; None leaves that as it is, for the drain's own end.
        """
        left = self.drained
        left.pop(worker, None)
        self.declared.settings = {**self.declared.settings, "drained": left}
        if grown is not None:
            self.declared.had.pop(worker, None)
        if grown:
            self.declared.had[worker] = {"left": False, "models": dict(grown)}
        self.save()

    def had(self, worker: str) -> dict[str, dict[str, t.Any]]:
        """UID -> {"here", "of", "created"} of the models that a worker had, as `Declared.had` has them."""
        return dict((self.declared.had.get(worker) or {}).get("models") or {})

    def left(self, worker: str) -> bool:
        """Whether a worker was drained, left, and has not been given back what it had."""
        return bool((self.declared.had.get(worker) or {}).get("left"))

    def untold(self, key: tuple[str, str], workers: t.Iterable[str]) -> list[str]:
        """Which of these workers were not there when a definition was registered; none where nobody knows.

        :param key: type and name of the definition.
        """
        told = self.declared.told.get(" ".join(key))
        return [] if told is None else sorted(set(workers) - set(told))

    def tell(self, key: tuple[str, str], workers: t.Sequence[str]) -> None:
        """Notes which workers are there when a definition is registered."""
        self.declared.told[" ".join(key)] = sorted(workers)
        self.save()

    def adopt(self, keys: t.Iterable[tuple[str, str]], workers: t.Sequence[str]) -> None:
        """Treats definitions registered by others as known to the present workers."""
        for key in keys:
            if " ".join(key) not in self.declared.told:
                self.tell(key, workers)

    def model(self, uid: str) -> dict[str, t.Any] | None:
        """The options of a model as it is declared."""
        return next((model for model in self.declared.models if model["uid"] == uid), None)

    def redeclare(self, uid: str, model: t.Mapping[str, t.Any] | None) -> None:
        """Takes back a declaration that came to nothing."""
        others = [known for known in self.declared.models if known["uid"] != uid]
        self.declared.models = others + ([dict(model)] if model else [])
        self.save()

    def launched(self, uid: str, body: t.Mapping[str, t.Any], placed: t.Mapping[str, t.Any]) -> None:
        """Notes a launch before it is sent."""
        entry = (self.declared.launched.get(uid) or {}).get("entry")
        row = {"body": dict(body), "placed": dict(placed), "created": None, "sent": time.time(), "entry": entry}
        self.declared.launched[uid] = row
        self.save()

    def became(self, created: t.Mapping[str, int | None], trusted: t.Container[str] = ()) -> None:
        """Notes which instances the launches became; one that is much older or younger was somebody else's.

        :param created: UID -> instance_created_ts of what runs.
        :param trusted: UIDs that the server's autostart launched anew in our place.
        """
        for uid, known in self.declared.launched.items():
            made = created.get(uid)
            if made is None:
                continue
            ours = known["created"] is None and abs(made - known.get("sent", made)) < _SAME_LAUNCH
            if ours or uid in trusted:
                known["created"] = made
        self.save()

    def entered(self, uid: str, entry: t.Any) -> None:
        """Records the entries of the autostart, because the server hides their values."""
        if uid in self.declared.launched:
            self.declared.launched[uid]["entry"] = digest(entry)
            self.save()

    def forget(self, uid: str) -> None:
        self.declared.launched.pop(uid, None)
        self.save()

    def busy(self, seconds: float | None) -> None:
        """Keeps the reconciler away between two slices of a run; None ends that."""
        self.declared.busy_until = None if seconds is None else time.time() + seconds
        self.save()

    def save(self) -> None:
        now = asdict(self.declared)
        if now != self._written:
            self._store.save(self.declared)
            self._written = now
