# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Examples of the Dify tests: two Xinferences, the recorded releases, a model."""

from __future__ import annotations

from servers.dify import PROFILES

XINFERENCE = "http://127.0.0.1:19997"  # the test server's backend answers for it; nobody listens there
LOCKED_XINFERENCE = "http://127.0.0.1:19998"
KEY = "sk-xinf"

PROFILES_IN_ORDER = list(PROFILES)
NAMED = [version for version, profile in PROFILES.items() if profile.named]


def model(**changed):
    return {
        "name": "my-llm",
        "type": "llm",
        "server_url": XINFERENCE,
        "model_uid": "qwen2.5-instruct",
        **changed,
    }


EMBEDDING = model(name="bge-m3", type="text-embedding", model_uid="bge-m3")

# dify_models in a process of its own: ``[sys.executable, "-c", RUN, arguments]``.
RUN = """
import json, sys
from ansible.module_utils import basic
basic._ANSIBLE_ARGS = sys.argv[1].encode()
basic._ANSIBLE_PROFILE = "legacy"
from ansible_collections.modelops.inference.plugins.modules import dify_models
dify_models.main()
"""
