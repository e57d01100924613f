#!/usr/bin/python
# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: accelerator_repositories
short_description: Add package repositories and restore the previous sources on failure
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Writes keys and sources of the package manager, reads all sources together, and updates the index of each changed source. If a source is
    unusable, the module restores all files, because such a source would break every later run of the package manager.
  - Only the role C(accelerator) uses this module.
extends_documentation_fragment:
  - modelops.inference._attributes
  - modelops.inference._attributes.idempotent
options:
  host:
    description: Name of the host in messages.
    type: str
    required: true
  keys:
    description: Keys that sign repositories.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Path of the record.
        type: path
        required: true
      content:
        description: Text of the key.
        type: str
      url:
        description: URL of the key. It replaces C(content).
        type: str
      about:
        description: Name of the repository in messages.
        type: str
        required: true
      advice:
        description: Advice in the error if the key or the repository is unusable.
        type: str
        required: true
  sources:
    description: Sources of the package manager.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Path of the record.
        type: path
        required: true
      content:
        description: Text of the key.
        type: str
        required: true
      index:
        description: Command that updates the index of this repository only.
        type: list
        elements: str
        default: []
      about:
        description: Name of the repository in messages.
        type: str
        required: true
      advice:
        description: Advice in the error if the key or the repository is unusable.
        type: str
        required: true
  check:
    description: Command that reads all sources together. Empty runs no command.
    type: list
    elements: str
    default: []
  about:
    description: Name of all repositories in messages.
    type: str
    default: ""
  advice:
    description: Advice in the error if the repositories contradict each other.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Add a repository
  modelops.inference.accelerator_repositories:
    host: gpu01
    sources:
      - path: /etc/apt/sources.list.d/modelops-nvidia.sources
        content: "Types: deb\\nURIs: https://mirror.example.com/cuda/\\nSuites: /\\n"
        about: repository nvidia
        advice: Check that the host reaches it
"""

RETURN = r""" # """

import os
import re
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.urls import fetch_url

from ansible_collections.modelops.inference.plugins.module_utils import _module
from ansible_collections.modelops.inference.plugins.module_utils._directory import make_directory
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._host.system import shell

Row = t.Mapping[str, t.Any]


def work(module: AnsibleModule) -> dict[str, t.Any]:
    options = module.params
    files, row = [*options["keys"], *options["sources"]], options
    before = {file["path"]: shell.read_file(file["path"]) for file in files}
    texts: dict[str, str] = {}
    try:
        for row in files:
            texts[row["path"]] = row["content"] if row["content"] is not None else _fetched(module, row["url"])
            if not module.check_mode and texts[row["path"]] != before[row["path"]]:
                make_directory(os.path.dirname(row["path"]))
                shell.write_file(row["path"], texts[row["path"]], 0o644)
        changed = [path for path, text in texts.items() if text != before[path]]
        row = options
        if not module.check_mode:
            _run(options["check"])
            for row in options["sources"]:
                if row["path"] in changed or any(key["path"] in changed for key in options["keys"]):
                    _run(row["index"])
    except ModelopsError as exc:
        _put_back(before)
        why = error_line(exc.output if isinstance(exc, shell.CommandFailed) and exc.output else str(exc))
        raise ModelopsError(
            f"{options['host']}: {row['about']} cannot be used: {why}. {row['advice']}. The host's sources are as they were."
        ) from exc
    diff = [
        {"before": before[path] or "", "after": texts[path], "before_header": path, "after_header": path}
        for path in changed
    ]
    return {"changed": bool(changed), "diff": diff}


def error_line(output: str) -> str:
    """The line of a package manager's output that says why. Pure."""
    lines = output.splitlines()
    return next((line for line in lines if re.match(r"[EW]:|Error", line)), lines[-1] if lines else "unknown").strip(
        "."
    )


def _run(argv: t.Sequence[str]) -> None:
    if argv:
        shell.run(argv, argv[0], env={"LC_ALL": "C"}, timeout=600)


def _fetched(module: AnsibleModule, url: str) -> str:
    response, about = fetch_url(module, url, timeout=30, force=True)
    if about["status"] != 200:
        raise ModelopsError(f"{url}: {about['msg']}")
    text: str = response.read().decode("utf-8", "replace")
    return text


def _put_back(before: t.Mapping[str, str | None]) -> None:
    for path, text in before.items():
        if text is not None and text != shell.read_file(path):
            shell.write_file(path, text, 0o644)
        elif text is None and os.path.exists(path):
            os.unlink(path)


def main() -> None:
    row = dict(
        path=dict(type="path", required=True),
        about=dict(type="str", required=True),
        advice=dict(type="str", required=True),
    )
    key = dict(row, content=dict(type="str"), url=dict(type="str"))
    source = dict(row, content=dict(type="str", required=True), index=dict(type="list", elements="str", default=[]))
    module = AnsibleModule(
        argument_spec=dict(
            host=dict(type="str", required=True),
            keys=dict(type="list", elements="dict", default=[], no_log=False, options=key),
            sources=dict(type="list", elements="dict", default=[], options=source),
            check=dict(type="list", elements="str", default=[]),
            about=dict(type="str", default=""),
            advice=dict(type="str", default=""),
        ),
        supports_check_mode=True,
    )
    _module.run(module, work)


if __name__ == "__main__":
    main()
