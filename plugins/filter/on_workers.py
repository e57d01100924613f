# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

DOCUMENTATION = r"""
name: on_workers
short_description: Models with the addresses of their workers in the place of hosts' names
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - An inventory names the worker of a model like any host; Xinference knows it by its address. What is no name of a worker's host
    is left as it is.
positional: _input, workers
options:
  _input:
    description: The models, as O(modelops.inference.xinference_models#module:models) takes them.
    type: list
    elements: dict
    required: true
  workers:
    description: The address and port of each worker by its host's name.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: On the second GPU host
  ansible.builtin.debug:
    msg: "{{ [{'uid': 'bge-m3', 'worker': 'gpu02'}] | modelops.inference.on_workers({'gpu02': '10.1.2.4:9998'}) }}"
"""

RETURN = r"""
_value:
  description: The same models.
  type: list
  elements: dict
  sample: [{uid: bge-m3, worker: "10.1.2.4:9998"}]
"""


def on_workers(models: t.Iterable[t.Mapping[str, t.Any]], workers: t.Mapping[str, str]) -> list[dict[str, t.Any]]:
    return [
        {**model, "worker": workers.get(model["worker"], model["worker"])} if model.get("worker") else dict(model)
        for model in models
    ]


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"on_workers": on_workers}
