# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keys of clusters, from the task that reads one on its host to the task that speaks to Dify. Private to the collection."""

from __future__ import annotations

import shlex
import typing as t

from ansible_collections.modelops.inference.plugins.module_utils import _secrets
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.plugin_utils import _run_files

# Around the file's content: a shell may say something of its own.
BEGIN, END = "modelops-key-begins", "modelops-key-ends"


def fetch(action: t.Any, path: str) -> str:
    """Reads the key in a file on the host of a task, by its connection.

    :param action: the action plugin.
    :raises ModelopsError: there is no such file, or it cannot be read.
    """
    command = f"echo {BEGIN} && cat {shlex.quote(path)} && echo {END}"
    context = action._connection._play_context
    shown, context.no_log = context.no_log, True  # else a connection shows what it got, with -vvv
    try:
        done = action._low_level_execute_command(command, encoding_errors="surrogate_then_replace")
    finally:
        context.no_log = shown
    if done["rc"] != 0 or BEGIN not in done["stdout"]:
        raise ModelopsError(f"the client key in {path} cannot be read ({_last(done.get('stderr'))}).")
    text = str(done["stdout"]).partition(BEGIN)[2].partition(END)[0].strip()
    # Ansible writes bytes that are no text as surrogates.
    key = _secrets.decoded(text.encode("utf-8", "surrogateescape"), f"key: {path}")
    _secrets.hide(key)
    return key


def _last(text: t.Any) -> str:
    return (str(text or "").strip().splitlines() or ["no reason given"])[-1]


def keep(host: str, key: str) -> None:
    """Keeps the key of a host's cluster for this run."""
    _run_files.keep("keys", host, key)


def read(host: str) -> str:
    """The key of a host's cluster; "" where none was kept."""
    return _run_files.read("keys", host)
