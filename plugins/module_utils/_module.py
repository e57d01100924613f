# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The frame of every module: run the work, turn its errors into messages. Private to the collection."""

from __future__ import annotations

import difflib
import os
import traceback
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.modelops.inference.plugins.module_utils import _disk, _secrets
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError

AnyModule = t.TypeVar("AnyModule", bound=AnsibleModule)


class Module(AnsibleModule):
    """An AnsibleModule that, for a misspelled option at any depth, names the nearest known one."""

    def fail_json(self, msg: str, **kwargs: t.Any) -> t.NoReturn:
        hints = misspelled(self.argument_spec, self.params) if msg.startswith("Unsupported parameters") else []
        super().fail_json(msg="\n".join(hints) or msg, **kwargs)


# Keys of Xinference's launch request that people know by heart -> our option.
_ELSEWHERE = {
    "n_gpu": "gpus_per_replica",
    "gpu_idx": "gpu_indices",
    "replica": "replicas",
    "worker_ip": "worker",
    "model_path": "path",
    "model_size_in_billions": "size",
    "peft_model_config": "lora",
    "enable_thinking": "thinking",
}


def misspelled(spec: t.Mapping[str, t.Any], params: t.Any, path: str = "") -> list[str]:
    """One line for each option that is not in the argument spec.

    :param path: where the options are, such as "sources[0]"; "" for those of the module.
    """
    if not isinstance(params, dict):
        return []
    found = []
    for name, value in params.items():
        if str(name).startswith("_ansible_"):
            continue
        if name not in spec:
            close = [_ELSEWHERE[name]] if _ELSEWHERE.get(name) in spec else []
            close = close or difflib.get_close_matches(str(name), list(spec), n=1, cutoff=0.5)
            hint = f"nearest: {close[0]}" if close else f"there are {', '.join(sorted(spec))}"
            found.append(f"{path}{': ' if path else ''}no option '{name}'; {hint}")
        elif spec[name].get("options"):
            items = value if isinstance(value, list) else [value]
            for index, item in enumerate(items):
                where = f"{path}{'.' if path else ''}{name}" + (f"[{index}]" if isinstance(value, list) else "")
                # A model is known by its UID, wherever it stands in the list.
                if name == "models" and isinstance(item, dict) and item.get("uid"):
                    where = f"model '{item['uid']}'"
                found += misspelled(spec[name]["options"], item, where)
    return found


def run(module: AnyModule, work: t.Callable[[AnyModule], dict[str, t.Any]]) -> t.NoReturn:
    """Calls ``work`` and exits with its result; a ModelopsError becomes a message, anything else a traceback.

    Here every text leaves a module, so here the secrets that are known are taken out of it.
    """
    _secrets.forget()
    _secrets.hide(*module.no_log_values)
    # By it goes what the programs make that a module starts, such as an environment of Python: the user who connects may have any.
    umask = os.umask(0o022)
    warn = module.warn
    module.warn = lambda warning, **kwargs: warn(_secrets.redacted(warning), **kwargs)  # type: ignore[method-assign]
    try:
        _secrets.put_right(module.argument_spec, module.params)
        result = work(module)
    except ModelopsError as exc:
        text = str(exc) + _disk.advice(str(exc), _places(module), here=exc.of_program)
        module.fail_json(msg=_secrets.redacted(text), **_secrets.cleaned(exc.result))
    except OSError as exc:
        if exc.errno not in _disk.TROUBLE:
            _unexpected(module, exc)
        text = f"{exc.filename or 'a file'} cannot be written: {exc.strerror}."
        module.fail_json(msg=_secrets.redacted(text + _disk.advice(text, _places(module), here=True)))
    except Exception as exc:
        _unexpected(module, exc)
    finally:
        os.umask(umask)
    module.exit_json(**_secrets.cleaned(result))


def _unexpected(module: AnsibleModule, exc: Exception) -> t.NoReturn:
    module.fail_json(
        msg=_secrets.redacted(f"An error that modelops.inference did not expect: {type(exc).__name__}: {exc}"),
        exception=_secrets.redacted(traceback.format_exc()),
    )


def _places(module: AnsibleModule) -> list[str]:
    """Directories that a module is about."""
    return [
        str(module.params[name]) for name in ("base", "path", "home", "remember", "work") if module.params.get(name)
    ]
