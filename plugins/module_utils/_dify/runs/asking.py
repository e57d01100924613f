# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Asks Xinference for its served models, from here and from a Dify's network: the questions of ``proof``. Private to the collection."""

from __future__ import annotations

import json
import subprocess
import typing as t

from ansible_collections.modelops.inference.plugins.module_utils import _connection
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._xinference.api.client import Client

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

# Which models does Xinference list at this address? Runs in Dify's containers, which have no more than Python.
PROGRAM = r"""
import base64
import json
import urllib.error
import urllib.parse
import urllib.request

asked = json.loads(%s)
# A user in the URL goes before the key, as it does in Dify.
parts = urllib.parse.urlsplit(asked["url"])
user, _at, host = parts.netloc.rpartition("@")
request = urllib.request.Request(parts._replace(netloc=host).geturl() + "/v1/models")
if user:
    given = base64.b64encode(urllib.parse.unquote(user).encode()).decode()
    request.add_header("Authorization", "Basic " + given)
elif asked["key"]:
    request.add_header("Authorization", "Bearer " + asked["key"].strip())
try:
    with urllib.request.build_opener().open(request, timeout=15) as answer:
        told = {"served": [model["id"] for model in json.load(answer)["data"]]}
except urllib.error.HTTPError as exc:
    told = {"error": "it answers %%d to GET /v1/models" %% exc.code}
except ValueError:
    # Python's error repeats a header that cannot be sent.
    told = {"error": "the key or the login in server_url has a character that cannot be sent, or the answer is not a list of models"}
except Exception as exc:
    told = {"error": "%%s: %%s" %% (type(exc).__name__, exc)}
print(json.dumps(told))
"""

Question = t.Mapping[str, t.Any]
ProbeResult = dict[str, t.Any]


def from_this_machine(module: AnsibleModule, question: Question, key: str) -> ProbeResult:
    """The models seen from here: a row for each UID, or why there is none (``msg``)."""
    try:
        client = Client(_connection.session(module, question["url"], _connection.HTTP_DEFAULTS), "admin", None)
        if key:
            client.use_key(key)
        else:
            client.login()
        running = client.models()
    except ModelopsError as exc:
        return {"_question": question, "msg": str(exc)}
    missing = f"does not run; running models: {', '.join(sorted(running)) or 'none'}"
    rows = [
        {"uid": uid, "ok": uid in running, "detail": "is listed" if uid in running else missing}
        for uid in question["uids"]
    ]
    return {"_question": question, "models": rows}


def from_dify(question: Question, key: str) -> ProbeResult:
    """The output of a program that runs in Dify's network. The key is in its standard input, in no argument."""
    asked = json.dumps(json.dumps({"url": question["url"], "key": key}))
    try:
        done = subprocess.run(  # pylint: disable=ansible-bad-function
            question["argv"], input=PROGRAM % asked, capture_output=True, text=True, check=False
        )
    except (OSError, ValueError) as exc:
        return {"_question": question, "msg": str(exc)}
    return {"_question": question, "stdout": done.stdout, "stderr": done.stderr}
