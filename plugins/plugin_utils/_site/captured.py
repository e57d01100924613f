# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook capture: its questions to a server, its file and its refusals. Pure. Private to the collection."""

from __future__ import annotations

import os
import typing as t

Variables = t.Callable[[str], t.Any]

# Variables of the playbook that are options of xinference_capture_info.
_GIVEN = ("username", "password", "password_file", "ca_path", "home")


class Place(t.NamedTuple):
    """The file that is written.

    :param hidden: files of the host's variables that Ansible would not read any more beside the file's directory.
    """

    path: str
    hidden: t.Sequence[str] = ()


def options(get: Variables) -> dict[str, t.Any]:
    """Options of xinference_capture_info: of a server that this collection installed by its plan, of any other by ``capture_*``.

    :param get: gives a variable, None where there is none.
    """
    endpoint = get("capture_endpoint")
    if endpoint:
        found = {"endpoint": endpoint, "username": "admin"}
    else:
        plan = get("xinference_found")["plan"]
        password = get("xinference_admin_password")
        found = {
            "endpoint": plan["endpoint"],
            "username": get("xinference_admin_user"),
            "password": password,
            "password_file": None if password else f"{plan['secrets']}/admin_password",
            "home": get("xinference_home"),
            "remember": f"{get('xinference_dir')}/reconciler/declared.json",
        }
    given = {name: get(f"capture_{name}") for name in _GIVEN}
    found.update({name: value for name, value in given.items() if value})
    return {name: value for name, value in found.items() if value}


def interpreter(get: Variables, controller: str) -> str:
    """Python of the host that has the module's libraries; empty for the one that Ansible takes.

    :param controller: that of this process.
    """
    given = get("capture_python")
    if given:
        return str(given)
    if not get("capture_endpoint"):
        return str(get("xinference_found")["plan"]["interpreter"])
    return controller if get("ansible_connection") == "local" else ""


def place(dest: str | None, inventory: str, host: str, listed: t.Callable[[str], t.Sequence[str]]) -> Place:
    """
    :param dest: the variable ``capture_dest``.  :param inventory: directory of the inventory.
    :param listed: gives the files of a directory.
    """
    if dest:
        return Place(dest)
    directory = os.path.join(inventory, "host_vars")
    beside = [os.path.join(directory, name) for name in listed(directory) if name.startswith(f"{host}.")]
    return Place(os.path.join(directory, host, "xinference_models.yml"), beside)


def refusal(found: t.Mapping[str, t.Any], where: Place, there: str, host: str, url: str, *, replace: bool) -> str:
    """Why nothing is written; "" where it is.

    :param found: the result of xinference_capture_info.  :param there: what the file holds.
    :param replace: the variable ``capture_replace``.
    """
    unsettled, same = found["unsettled"], there in ("", found["text"])
    # A model that loads is ready soon; one that failed would be lost from a file that has it.
    if unsettled and not ("loading" not in unsettled.values() and same):
        told = ", ".join(f"{uid} ({state})" for uid, state in unsettled.items())
        return (
            f"{host}: {url} has models that do not run ({told}), so {where.path} was not written. Wait until they run, or "
            "remove them (state: absent), then run this again. If none loads, a new file (capture_dest) is written without them."
        )
    if not same and not replace:
        return (
            f"{where.path} exists and differs from the running models. Compare:  --check --diff -e capture_replace=true. Then "
            "name another file (capture_dest), or overwrite it with -e capture_replace=true."
        )
    if where.hidden:
        return (
            f"The variables of {host} are in {where.hidden[0]}, which Ansible no longer reads when there is a directory of that name. "
            "Move it into that directory, or name another file with capture_dest."
        )
    return ""


def left_to_do(found: t.Mapping[str, t.Any], path: str, url: str) -> list[str]:
    """Text for the person at the end."""
    defines = [f"Define {name}: {what}." for name, what in found["variables"].items()]
    notes = [f"{uid}: {' '.join(said)}" for uid, said in found["notes"].items()]
    return [f"{len(found['models'])} models of {url} are in {path}.", *defines, *notes]
