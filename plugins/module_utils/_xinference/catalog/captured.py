# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The captured inventory, with names of variables instead of secrets. Private to the collection. Pure."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field

from ansible_collections.modelops.inference.plugins.module_utils import _log as log
from ansible_collections.modelops.inference.plugins.module_utils._xinference.declaration import autostart

# A value that looks like a secret, whatever its name.
_SECRET_VALUE = re.compile(rf"^(hf_|sk-|xf-|ghp_|glpat-|AKIA|eyJ)|{log.USERINFO.pattern}")
# Environment variables whose values may be shown. Of others nobody knows.
_HARMLESS = re.compile(
    r"\w+_VISIBLE_DEVICES|\w+_NUM_THREADS|(CUDA|NCCL|PYTORCH|SGLANG|TORCH|VLLM)_\w+|TOKENIZERS_PARALLELISM"
    r"|HF_(ENDPOINT|HOME|HUB_OFFLINE|HUB_ENABLE_HF_TRANSFER)|TRANSFORMERS_OFFLINE|XINFERENCE_MODEL_SRC"
)


@dataclass
class CapturedModels:
    """The inventory.

    :param definitions: custom models that are not part of one of `models`.
    :param variables: name of a variable to define -> what it holds.
    :param notes: UID, or name of a definition -> what is not told.
    :param unsettled: UID of a model that is not captured -> loading, failed, or missing (declared, or in the autostart).
    """

    models: list[dict[str, t.Any]] = field(default_factory=list)
    definitions: list[dict[str, t.Any]] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)
    notes: dict[str, list[str]] = field(default_factory=dict)
    unsettled: dict[str, str] = field(default_factory=dict)

    def note(self, uid: str, text: str) -> None:
        self.notes.setdefault(uid, []).append(text)


def without_secrets(
    result: CapturedModels, uid: str, name: str, value: t.Any, path: str = "", env: bool = False
) -> t.Any:
    """The value with references in the place of secrets."""
    if isinstance(value, dict):
        return {
            key: without_secrets(result, uid, str(key), item, f"{path}_{key}", env or name == "envs")
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [without_secrets(result, uid, name, item, f"{path}_{index}", env) for index, item in enumerate(value)]
    if (isinstance(value, str) or (env and value is not None)) and _is_secret(name, str(value), env):
        what = f"environment variable {name}" if env else (path.strip("_") or name)
        return as_variable(result, f"vault_xinference_{uid}{path or '_' + name}", f"{what} of {uid}")
    return value


def _is_secret(name: str, value: str, env: bool) -> bool:
    return bool(
        value == autostart.REDACTED
        or (value and log.SECRET_NAME.search(name))
        or _SECRET_VALUE.search(value)
        or (value and env and not _HARMLESS.fullmatch(name))
    )


def as_variable(result: CapturedModels, name: str, what: str) -> str:
    base = name = re.sub(r"[^a-z0-9]+", "_", name.lower())
    number = 1
    while result.variables.get(name, what) != what:  # of another UID that differs by a dot, say
        number += 1
        name = f"{base}_{number}"
    result.variables[name] = what
    return "{{ " + name + " }}"
