# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The visible part of a server's log: no key, no token, no variable of a model."""

from __future__ import annotations

import json

import pytest

from ansible_collections.modelops.inference.plugins.module_utils import _log

ENVS = {"HF_TOKEN": "hf_Orange7Kettle", "HARMLESS": "Orange too"}


@pytest.mark.parametrize(
    "line",
    [
        f"Enter launch_builtin_model, kwargs: model_uid=m,envs={ENVS},replica=1",
        f"body: {json.dumps({'model_uid': 'm', 'envs': ENVS, 'replica': 1})}",
        f"body: {json.dumps(json.dumps({'envs': ENVS, 'replica': 1}))}",
        "spawn with HF_TOKEN=hf_Orange7Kettle and replica=1",
        "'MODELSCOPE_API_TOKEN': 'Orange7Kettle', replica=1",
        '"AWS_SECRET_ACCESS_KEY": "Orange7Kettle", replica=1',
        "login(password='Orange 7 Kettle', replica=1)",
        "api_key: Orange7Kettle; replica=1",
        "Authorization: Bearer Orange7Kettle replica=1",
        "Setup token: Orange7Kettle replica=1",
        "http://me:Orange7Kettle@proxy:3128 replica=1",
    ],
)
def test_secrets_of_a_log_line_are_not_shown(line):
    shown = _log.redacted(line)
    assert "Orange" not in shown and "********" in shown and "replica" in shown


@pytest.mark.parametrize(
    "line",
    [
        "KeyError: 'model_size_in_billions'",
        "max_tokens=512, tokenizer='auto', key_value_heads: 8",
        "RuntimeError: operator torchvision::nms does not exist",
        "num_tokens: 7, eos_token='</s>'",
    ],
)
def test_what_explains_a_failure_stays(line):
    assert _log.redacted(line) == line
