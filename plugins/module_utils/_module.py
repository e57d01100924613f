# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The frame of every module: run the work, turn its errors into messages. Private to the collection."""

from __future__ import annotations

import sys
import traceback
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError


def run(module: AnsibleModule, work: t.Callable[[AnsibleModule], dict[str, t.Any]]) -> t.NoReturn:
    """Calls ``work`` and exits with its result; a ModelopsError becomes a message, anything else a traceback."""
    try:
        result = work(module)
    except ModelopsError as exc:
        module.fail_json(msg=str(exc), **exc.result)
    except Exception as exc:
        module.fail_json(
            msg=f"An error that modelops.inference did not expect: {type(exc).__name__}: {exc}",
            exception=traceback.format_exc(),
        )
    module.exit_json(**result)


def need_requests(module: AnsibleModule, import_error: BaseException | None) -> None:
    """Fails with what to do where the interpreter has no requests."""
    if import_error is not None:
        module.fail_json(
            msg=f"The Python interpreter {sys.executable} has no 'requests' ({import_error}). "
            "On the controller: pip install requests. On a host: run the module with the Xinference environment, "
            "ansible_python_interpreter: <xinference_dir>/current/bin/python."
        )
