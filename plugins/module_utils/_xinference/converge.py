# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One run over the declared models: read, plan, apply, prove, report. Private to the collection.

Where nothing differs it sends, whatever the number of models: GET /status, GET /v1/cluster/auth, POST /token where
there is authentication, GET /v1/cluster/version, GET /v1/models, GET /v1/models/instances; up to three requests for
each type with custom models; and one for each model that is proven.
"""

from __future__ import annotations

import typing as t
from collections import Counter
from dataclasses import dataclass

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._xinference import launch, models, progress, proof
from ansible_collections.modelops.inference.plugins.module_utils._xinference.client import Client


@dataclass(frozen=True)
class Settings:
    """How a run behaves; the options of the module of the same names."""

    replace: bool = False
    launch_timeout: float = 1800
    ready_timeout: float = 300
    prove: str = "always"
    prove_timeout: float = 60
    wait: float | None = None


def converge(
    client: Client, wanted: t.Sequence[models.Model], settings: Settings, resume: dict[str, t.Any] | None = None
) -> dict[str, t.Any]:
    """Makes the server serve `wanted`; returns the module's result.

    :param resume: what an earlier execution of the same run returned under that name.
    :raises ModelopsError: with the table of what happened, after everything that could be done was done.
    """
    client.wait_ready(settings.ready_timeout)
    client.login()
    version = client.version
    if resume:
        work = launch.Work.resumed(client, wanted, resume["outcomes"])
        result, decisions, actual = resume["result"], [], models.Actual({}, {})
        client.session.counts.update(Counter(result["requests"]))
    else:
        actual = models.read(client, wanted)
        decisions = models.decide(wanted, actual, settings.replace)
        models.check_offers(client, decisions, actual)
        plan = models.plan_of(decisions, f"models on {client.endpoint}")
        result = {"version": version, "pending": False, **plan.result()}
        work = launch.Work(client, wanted, launch.begin(decisions, settings.launch_timeout))
        if client.session.check_mode:
            return {**result, **_report(client, wanted, work, actual, {})}
    try:
        if not resume:
            work.prepare(decisions, actual)
        if not work.run(settings.wait):
            result.update(pending=True, requests=dict(client.session.counts))
            return {**result, "progress": work.lines, "resume": {"outcomes": work.written(), "result": result}}
        result["pending"] = False
        if result["changed"] or any(o.action == "adopted" for o in work.outcomes):
            actual = models.read(client, wanted)
            _notice_differences(work, wanted, actual)
    except ModelopsError as exc:
        # What was done until here is told, too.
        text = "\n".join([*_failures(work), str(exc)])
        raise ModelopsError(
            client.explain(text), **{**result, **_report(client, wanted, work, models.Actual({}, {}), {})}
        ) from exc
    proofs = _prove(client, wanted, work, actual, settings)
    result.update(_report(client, wanted, work, actual, proofs))
    _raise_failures(client, work, proofs, result)
    return result


def _notice_differences(work: launch.Work, wanted: t.Sequence[models.Model], actual: models.Actual) -> None:
    """A model that was loading when the run came can be compared only now."""
    for model, outcome in zip(wanted, work.outcomes):
        if outcome.action == "adopted" and outcome.phase == launch.READY:
            fields = models.running_differences(model, actual)
            if fields:
                outcome.phase, outcome.differs = launch.DIFFERS, [str(f) for f in fields]


def _prove(
    client: Client,
    wanted: t.Sequence[models.Model],
    work: launch.Work,
    actual: models.Actual,
    settings: Settings,
) -> dict[str, proof.Proof]:
    if settings.prove == "never":
        return {}
    proofs = {}
    for model, outcome in zip(wanted, work.outcomes):
        serves = model.present and outcome.phase in (launch.READY, launch.DIFFERS)
        if not serves or (settings.prove == "changed" and outcome.action == "none"):
            continue
        dimensions = (model.options["definition"] or {}).get("dimensions")
        proofs[model.uid] = proof.prove(
            client, model.uid, model.type, _abilities(model.uid, actual), dimensions, settings.prove_timeout
        )
    return proofs


def _abilities(uid: str, actual: models.Actual) -> list[str]:
    row, instance = actual.models.get(uid) or {}, actual.instances.get(uid) or {}
    return row.get("model_ability") or instance.get("model_ability") or []


def _report(
    client: Client,
    wanted: t.Sequence[models.Model],
    work: launch.Work,
    actual: models.Actual,
    proofs: t.Mapping[str, proof.Proof],
) -> dict[str, t.Any]:
    rows = [_row(m, o, actual, proofs.get(m.uid)) for m, o in zip(wanted, work.outcomes)]
    return {"progress": work.lines, "models": rows, "requests": dict(client.session.counts)}


def _row(
    model: models.Model, outcome: launch.Outcome, actual: models.Actual, proven: proof.Proof | None
) -> dict[str, t.Any]:
    running, instance = actual.models.get(model.uid) or {}, actual.instances.get(model.uid) or {}
    replicas = instance.get("replica_statuses") or []
    # In check mode nothing was launched: then what is on the server is the truth.
    state = actual.state(model.uid) if outcome.phase == launch.QUEUED else outcome.phase
    there = state in (launch.READY, launch.DIFFERS, launch.LOADING)
    return {
        "uid": model.uid,
        "name": running.get("model_name") or model.name,
        "type": model.type,
        "declared": model.options["state"],
        "state": state,
        "action": outcome.action,
        "replicas": {
            "wanted": model.options["replicas"] if model.present else 0,
            "ready": sum(1 for replica in replicas if replica.get("status") == "READY") if there else 0,
        },
        "workers": progress.workers(instance) if there else [],
        "abilities": _abilities(model.uid, actual),
        "engine": running.get("model_engine") or model.options["engine"],
        "format": running.get("model_format") or model.options["format"],
        "size": _text(running.get("model_size_in_billions") or model.options["size"]),
        "quantization": running.get("quantization") or model.options["quantization"],
        "context_length": running.get("context_length"),
        "dimensions": running.get("dimensions"),
        "differs": outcome.differs or [],
        "error": outcome.error,
        "proof": proven.result() if proven else None,
        "seconds": outcome.seconds,
        "tags": model.options["tags"] or [],
        "dify": models.given(model.options["dify"]),
    }


def _text(value: t.Any) -> str | None:
    return None if value is None else str(value)


def _failures(work: launch.Work) -> list[str]:
    return [f"{o.uid}: {o.error}" for o in work.outcomes if o.phase == launch.FAILED]


def _raise_failures(
    client: Client, work: launch.Work, proofs: t.Mapping[str, proof.Proof], result: dict[str, t.Any]
) -> None:
    failed = _failures(work)
    unproven = proof.failures(list(proofs.values()))
    if failed or unproven:
        bad = {o.uid for o in work.outcomes if o.phase == launch.FAILED} | {p.uid for p in proofs.values() if not p.ok}
        raise ModelopsError(
            client.explain(
                f"{len(bad)} of {len(work.outcomes)} models on {client.endpoint} failed, the others are as declared:\n"
                + "\n".join(failed + unproven)
            ),
            **result,
        )


def warnings(result: t.Mapping[str, t.Any]) -> list[str]:
    """One warning for each model that runs otherwise than declared and was left alone."""
    return [
        f"{row['uid']} differs and was not replaced (replace: true would): {', '.join(row['differs'])}"
        for row in result.get("models") or []
        if row["differs"]
    ]
