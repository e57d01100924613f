# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Typed proof that a model serves: it is asked what it is for. Private to the collection."""

from __future__ import annotations

import time
import typing as t
from dataclasses import asdict, dataclass
from urllib.parse import quote

from ansible_collections.modelops.inference.plugins.module_utils._session import Answer, Unreachable
from ansible_collections.modelops.inference.plugins.module_utils._xinference import releases
from ansible_collections.modelops.inference.plugins.module_utils._xinference.client import Client

# Seconds between two tries while the server does not see a new model yet.
_PAUSE = 1.0
# The relevant document is neither first nor last, so that keeping the order given proves nothing.
_QUERY = "What is the capital of France?"
_DOCUMENTS = ["Bread is baked from flour and water.", "The capital of France is Paris.", "The sea is salty."]
_RELEVANT = 1


@dataclass
class Proof:
    """What a model answered.

    :param kind: chat, completion, embedding, rerank, or describe for the types that cannot be asked cheaply; None for a
        model that was not asked, because it does not run.
    :param latency_ms: of the request that was answered, without the wait before it.
    """

    uid: str
    kind: str | None
    ok: bool
    latency_ms: int | None
    detail: str

    def result(self) -> dict[str, t.Any]:
        """As the modules return it, without the UID."""
        return {key: value for key, value in asdict(self).items() if key != "uid"}


def kind_of(model_type: str, abilities: t.Collection[str]) -> str:
    if model_type == "LLM":
        return "chat" if "chat" in abilities else "completion"
    return {"embedding": "embedding", "rerank": "rerank"}.get(model_type, "describe")


def prove(
    client: Client, uid: str, model_type: str, abilities: t.Collection[str], dimensions: int | None, timeout: float
) -> Proof:
    """Asks one model, and waits up to `timeout` seconds for an answer.

    :param dimensions: length that an embedding has to have; None accepts any.
    """
    kind = kind_of(model_type, abilities)
    path, body = _request(kind, uid)
    end = time.monotonic() + timeout
    while True:
        started = time.monotonic()
        left = max(1.0, end - started)
        try:
            answer = client.request(
                "GET" if body is None else "POST", path, json=body, expect=(), reads=True, timeout=left
            )
        except Unreachable as exc:
            return Proof(uid, kind, False, None, str(exc))
        latency = round((time.monotonic() - started) * 1000)
        if answer.status == 200:
            problem, detail = _judge(kind, answer, dimensions)
            return Proof(uid, kind, not problem, latency, problem or detail)
        if not releases.not_yet_visible(answer) or time.monotonic() + _PAUSE >= end:
            return Proof(uid, kind, False, latency, client.session.redact(f"{answer.status}: {answer.detail}"))
        time.sleep(_PAUSE)


def _request(kind: str, uid: str) -> tuple[str, dict[str, t.Any] | None]:
    if kind == "chat":
        return "/v1/chat/completions", {
            "model": uid,
            "messages": [{"role": "user", "content": "Say hello."}],
            "max_tokens": 8,
        }
    if kind == "completion":
        return "/v1/completions", {"model": uid, "prompt": "Hello", "max_tokens": 8}
    if kind == "embedding":
        return "/v1/embeddings", {"model": uid, "input": ["Hello"]}
    if kind == "rerank":
        return "/v1/rerank", {"model": uid, "query": _QUERY, "documents": _DOCUMENTS}
    return f"/v1/models/{quote(uid, safe='')}", None


def _judge(kind: str, answer: Answer, dimensions: int | None) -> tuple[str, str]:
    """(what is wrong with the answer, what it says); one of them is empty."""
    try:
        return _JUDGES[kind](answer.json, dimensions)
    except (KeyError, IndexError, TypeError) as exc:
        return f"the answer has not the shape of a {kind} answer ({type(exc).__name__}: {exc})", ""


def _text(body: t.Any, _dimensions: int | None) -> tuple[str, str]:
    choice = body["choices"][0]
    message = choice.get("message") or {}
    text = choice.get("text") or message.get("content") or message.get("reasoning_content") or ""
    tokens = (body.get("usage") or {}).get("completion_tokens")
    if not text.strip() and not tokens:
        return "the answer is empty", ""
    return "", f"answered {tokens if tokens is not None else len(text.split())} tokens"


def _embedding(body: t.Any, dimensions: int | None) -> tuple[str, str]:
    length = len(body["data"][0]["embedding"])
    if not length or (dimensions and length != dimensions):
        return f"the vector has {length} dimensions, not {dimensions}", ""
    return "", f"{length} dimensions"


def _rerank(body: t.Any, _dimensions: int | None) -> tuple[str, str]:
    results = body["results"]
    scores = [row["relevance_score"] for row in results]
    if len(results) != len(_DOCUMENTS) or scores != sorted(scores, reverse=True):
        return f"{len(results)} of {len(_DOCUMENTS)} documents came back, or out of order: {scores}", ""
    if results[0]["index"] != _RELEVANT:
        return f"the relevant document is not first: order {[row['index'] for row in results]}", ""
    return "", "the relevant document is first"


def _describe(body: t.Any, _dimensions: int | None) -> tuple[str, str]:
    return "", f"described as {body['model_type']} {body['model_name']}"


_JUDGES = {"chat": _text, "completion": _text, "embedding": _embedding, "rerank": _rerank, "describe": _describe}


def failures(proofs: t.Sequence[Proof]) -> list[str]:
    """One line for each model that does not serve."""
    return [f"{p.uid}: {p.kind + ' proof failed: ' if p.kind else ''}{p.detail}" for p in proofs if not p.ok]
