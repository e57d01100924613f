# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._xinference.launching import ffmpeg

DOCUMENTATION = r"""
name: without_ffmpeg
short_description: Why a host without ffmpeg cannot serve some models
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Whisper models decode every sound by the program C(ffmpeg). Without it they load, and each transcription fails.
positional: _input, host, search_path
options:
  _input:
    description: The models, as C(xinference_models) declares them.
    type: list
    elements: dict
    required: true
  host:
    description: Name of the host in the inventory. A model whose C(worker) is another one is left out.
    type: str
    required: true
  search_path:
    description: Where the server of this host looks for programs.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: What this host lacks
  ansible.builtin.debug:
    msg: "{{ xinference_models | modelops.inference.without_ffmpeg(inventory_hostname, '/usr/bin:/bin') }}"
"""

RETURN = r"""
_value:
  description: A text with the models and the remedy; empty where no model needs it.
  type: str
  sample: "hear needs ffmpeg, with which Xinference decodes every sound, WAV too, and this host has none in /usr/bin:/bin. Install it on
    the host of the model (on Debian and Ubuntu: apt-get install ffmpeg). Elsewhere, add its directory to PATH in xinference_environment."
"""


def without_ffmpeg(declared: t.Iterable[t.Mapping[str, t.Any]], host: str, search_path: str) -> str:
    return ffmpeg.refusal(declared, host, search_path)


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"without_ffmpeg": without_ffmpeg}
