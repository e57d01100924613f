# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import hashlib
import json
import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._host.constraints import model_environments

DOCUMENTATION = r"""
name: service_wanted
short_description: The files of Xinference's service as they must be, and whether the host has them
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Puts together what M(modelops.inference.xinference_service) is given, and compares it with what a host has, so that a role runs that
    module only where something differs. The texts are handed over once, because Ansible would render a template anew for each question.
positional: _input, found, base
options:
  _input:
    description:
      - C(unit), C(environment) and C(script), texts of files, of which C(script) may be empty; C(release), the identifier of the release
        that the service must run, and C(built), when that was built; C(owner), of the file of the environment, or null.
      - C(models), what bounds the packages that Xinference installs for a model - C(path) of the file, C(torch), the build of PyTorch,
        C(packages) that the inventory names, and C(denied). A change of it restarts nothing.
    type: dict
    required: true
  found:
    description: What M(modelops.inference.xinference_host_info) says of the host.
    type: dict
    required: true
  base:
    description: Path of the files of environment and script, without C(.env) and C(.sh).
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Whether the service has to be changed
  ansible.builtin.debug:
    msg: "{{ (texts | modelops.inference.service_wanted(xinference_found, '/opt/xinference/etc/xinference')).differs }}"
"""

RETURN = r"""
_value:
  description:
    - C(config), a digest of everything that a running process must be started with; C(unit) and C(files) for
      M(modelops.inference.xinference_service); C(differs), whether the host has a service, a process or files other than these;
      C(itself), whether that is so beside the file that bounds the packages of models.
  type: dict
  sample: {config: 0123456789ab, unit: "[Unit]\n", files: [], differs: false, itself: false}
"""


def service_wanted(texts: t.Mapping[str, t.Any], found: t.Mapping[str, t.Any], base: str) -> dict[str, t.Any]:
    made_from = [texts[name] for name in ("unit", "script", "environment", "release", "built")]
    config = _sha256(json.dumps(made_from))[:12]
    # It lets a probe see what a running process was started with.
    environment = f'{texts["environment"]}MODELOPS_CONFIG="{config}"\n'
    files = [{"path": f"{base}.env", "mode": "0600", "owner": texts["owner"], "content": environment}]
    if texts["script"]:
        files.append({"path": f"{base}.sh", "mode": "0755", "owner": None, "content": texts["script"]})
    service, there = found["service"], found["files"]
    itself = (
        service["active"] != "running"
        or not service["enabled"]
        or service["config"] != config
        or found["current"] != texts["release"]
        or there.get(service["path"], {}).get("sha256") != _sha256(texts["unit"])
        or any(_differs(file, there.get(file["path"], {}), found["user"]["id"]) for file in files)
    )
    bounds = _bounds(texts["models"])
    return {
        "config": config,
        "unit": texts["unit"],
        "files": [*files, bounds],
        "itself": itself,
        "differs": itself or _differs(bounds, there.get(bounds["path"], {}), found["user"]["id"]),
    }


def _bounds(models: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The file by which uv bounds what Xinference installs for a model. It is read at each installation."""
    content = model_environments(models["torch"], models["packages"], models["denied"])
    return {"path": models["path"], "mode": "0644", "owner": None, "content": content}


def _differs(file: t.Mapping[str, t.Any], there: t.Mapping[str, t.Any], user: int) -> bool:
    owner = user if file["owner"] else there.get("uid")
    return (there.get("mode"), there.get("sha256"), there.get("uid")) != (file["mode"], _sha256(file["content"]), owner)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"service_wanted": service_wanted}
