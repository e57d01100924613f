# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Makes recordings/xinference/<version>.jsonl from a tree of recordings <version>/<group>/<name>.json.

    python tests/contract/compact_xinference.py TREE

One line is one request with its answer, in the order in which test_xinference_server.py replays them. Long lists and
texts are cut, because only their shape is compared.
"""

from __future__ import annotations

import json
import sys
import typing as t
from pathlib import Path

RECORDINGS = Path(__file__).parent / "recordings" / "xinference"
KEPT_ITEMS, KEPT_TEXT = 3, 300

# "server:" starts a new server; what follows are names of recordings of one group.
BASE = """
cluster_auth status cluster_version cluster_devices models_empty instances_empty autostart describe_unknown
terminate_unknown cancel_unknown progress_unknown replicas_unknown events_unknown launch_empty launch_no_engine
launch_replica0 launch_bad_uid launch_bad_engine launch_unknown_model launch_unknown_embedding launch_bad_type
launch_malformed chat_unknown embed_unknown embed_malformed chat_malformed reg_get_unknown reg_badtype
engines_unknown engines_llm_unknown engines_emb engines_embedding_bge engines_llm engines_llm_plain engines_llm_gemma
cache_models launch_history
"""
MODELS = """
reg_missing_persist reg_embedding_missing_persist reg_embedding_not_json reg_embedding_bad_model reg_bad_name
reg_builtin_name reg_missing_path reg_embedding reg_embedding_dup reg_get_embedding reg_llm reg_get_llm
engines_custom engines_custom_emb engines_custom_llm
launch_embedding launch_dup launch_embedding_dup launch_llm list instances describe_emb describe_llm replicas progress
embeddings chat completion cache_models cache_models2 add_replica terminate_unknown launch_async async_describe_00 async_dup_while_loading
async_instances async_progress_00 async_embed_while_loading launch_bad_path launch_gpu_idx
unregister_unknown unregister_builtin unregister_in_use
terminate_async terminate_again
"""
AUTH_BEFORE = "cluster_auth status models_noauth models_badtoken token_before_setup launch_noauth"
AUTH = """
setup_status_before setup_bad_token setup_short_password setup setup_again setup_status_after login_wrong login_form
login version models key_create_noname key_create key_create_dup keys key_reveal user_create user_create_dup users
login_viewer viewer_models viewer_version_403 viewer_launch_403 apikey_models apikey_version apikey_launch
apikey_describe_unknown apikey_chat_unknown refresh refresh_bad
"""
LEGACY = """
cluster_auth status models_noauth version_noauth models_badtoken login_wrong login jwt_models jwt_version
apikey_admin_models apikey_admin_version apikey_viewer_models apikey_viewer_launch apikey_viewer_describe_unknown
"""

SCENARIOS: dict[str, list[tuple[str, str, str]]] = {
    "1.17.1": [("plain", "models", BASE), ("plain", "models", MODELS)],
    "2.12.0": [("plain", "models", BASE), ("plain", "models", MODELS), ("legacy", "auth_legacy_config", LEGACY)],
    "4.1.0": [
        ("plain", "base", BASE),
        ("plain", "models", MODELS),
        ("unclaimed", "auth_before_setup", AUTH_BEFORE),
        ("same", "auth", AUTH),
    ],
}


def cut(value: t.Any) -> t.Any:
    if isinstance(value, dict):
        return {key: cut(item) for key, item in value.items()}
    if isinstance(value, list):
        return [cut(item) for item in value[:KEPT_ITEMS]]
    if isinstance(value, str):
        return value[:KEPT_TEXT]
    return value


def compact(source: dict[str, t.Any]) -> dict[str, t.Any] | None:
    request, response = source["request"], source["response"]
    if "status" not in response:  # the connection broke while recording
        return None
    body = next((request[key] for key in ("json", "data", "form") if request.get(key) is not None), None)
    return {
        "method": request["method"],
        "path": request["path"],
        "authorization": (request.get("headers") or {}).get("Authorization"),
        "body": body,
        "status": response["status"],
        "answer": cut(response["json"] if "json" in response else response.get("text")),
    }


def main(tree: Path) -> None:
    for version, parts in SCENARIOS.items():
        lines = []
        for server, group, names in parts:
            lines.append(json.dumps({"server": server}))
            for name in names.split():
                path = tree / version / group / f"{name}.json"
                row = compact(json.loads(path.read_text())) if path.exists() else None
                if row:
                    lines.append(json.dumps({"name": f"{group}/{name}", **row}, separators=(",", ":")))
        (RECORDINGS / f"{version}.jsonl").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
