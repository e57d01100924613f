# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Directories of a host. Pure. Private to the collection."""

from __future__ import annotations

import posixpath
import re
import typing as t

from ansible_collections.modelops.inference.plugins.plugin_utils._site.settings import Refusals, Settings

OWN = ("xinference_dir", "xinference_home", "xinference_models_dir")
# Characters that a unit, a shell or supervisord's configuration interprets.
_SPECIAL = re.compile(r"[%$\"'`\\;:&|<>(){}\[\]*?!#\x00-\x1f\x7f]")
_EXAMPLES = {
    "xinference_dir": "/opt/xinference",
    "xinference_home": "/data/home",
    "xinference_models_dir": "/data/models",
    "xinference_cache_dir": "/var/cache/uv",
}
# Parts of xinference_dir that have one purpose.
_TAKEN = ("secrets", "releases", "current", "tools", "etc", "bundle", "supervisor", "reconciler", "python")
# Of a path, so that what is below still has a name of its own.
_LONGEST = 255
# Directories that a system has and others use.
_SYSTEM = {
    *(
        "/",
        "/bin",
        "/boot",
        "/dev",
        "/etc",
        "/home",
        "/lib",
        "/lib64",
        "/media",
        "/mnt",
        "/opt",
        "/proc",
        "/root",
        "/run",
        "/sbin",
    ),
    *(
        "/srv",
        "/sys",
        "/tmp",
        "/usr",
        "/usr/bin",
        "/usr/lib",
        "/usr/lib64",
        "/usr/local",
        "/usr/sbin",
        "/usr/share",
        "/var",
    ),
    *("/var/cache", "/var/lib", "/var/log", "/var/run", "/var/spool", "/var/tmp"),
}
_SYSTEM_TREES = (
    "/bin",
    "/boot",
    "/dev",
    "/etc",
    "/lib",
    "/lib64",
    "/proc",
    "/sbin",
    "/sys",
    "/usr/bin",
    "/usr/lib",
    "/usr/sbin",
)


def refusals(settings: Settings) -> Refusals:
    found = {name: settings.get(name) for name in (*OWN, "xinference_cache_dir")}
    paths = {name: value for name, value in found.items() if isinstance(value, str)}
    yield from _three({name: paths[name] for name in OWN if name in paths})
    wrong = {name: sentence for name, value in paths.items() for sentence in _one(name, value)}
    # A mistake in xinference_dir repeats in every directory below it.
    yield from (sentence for name, sentence in wrong.items() if name == "xinference_dir" or settings.given(name))
    normal = {name: _normal(value) for name, value in paths.items() if name not in wrong and value.startswith("/")}
    yield from _contained(normal)
    for name in ("xinference_bundle", "models_reconcile_metrics_dir", "accelerator_python"):
        value = settings.get(name)
        if isinstance(value, str) and value and _SPECIAL.search(value):
            yield f"{name} must not have {_specials(value)} in its path (it is '{value}'). Choose another path."
    for name in ("xinference_bundle_work", "capture_dest"):
        if settings.get(name) == "":
            yield f"{name} is empty. Name a path, or remove it."
    metrics = settings.get("models_reconcile_metrics_dir")
    if isinstance(metrics, str) and metrics and (not metrics.startswith("/") or re.search(r"\s|/[.][.](/|$)", metrics)):
        yield (
            "models_reconcile_metrics_dir must be an absolute path without spaces and '..', such as /var/lib/node_exporter (it is "
            f"{_quoted(metrics)})."
        )
    bundle = settings.get("xinference_bundle")
    if settings.get("xinference_bundle_on_host") and isinstance(bundle, str) and bundle and not bundle.startswith("/"):
        yield f"xinference_bundle must be an absolute path on the host, because xinference_bundle_on_host is true (it is '{bundle}')."


def _three(paths: t.Mapping[str, str]) -> Refusals:
    """Refusals of the directories that this collection replaces and removes."""
    told = ", ".join(paths.values())
    if any(not re.fullmatch(r"/[^/]+/.*[^/]", value, re.DOTALL) for value in paths.values()):
        yield (
            "xinference_dir, xinference_home and xinference_models_dir must be dedicated directories, such as /opt/xinference: "
            f"absolute paths below a first directory, without ~ and without a slash at the end (they are {told})."
        )
    # Programs of an environment name their interpreter in their first line, which ends at a blank.
    if any(re.search(r"\s", value) for value in paths.values()):
        yield (
            "xinference_dir, xinference_home and xinference_models_dir must have no space in their paths "
            f"(they are {', '.join(map(_quoted, paths.values()))}). Choose others; inventories/local takes xinference_dir from "
            "MODELOPS_DIR."
        )


def _one(name: str, value: str) -> Refusals:
    normal = _normal(value)
    if name not in OWN and (not value.startswith("/") or re.search(r"\s", value)):
        yield f"{name} must be an absolute path without spaces, such as /var/cache/uv (it is {_quoted(value)})."
    elif _SPECIAL.search(value):
        yield f"{name} must not have {_specials(value)} in its path, because units and shells interpret it (it is {_quoted(value)})."
    elif len(value.encode("utf-8", "surrogatepass")) > _LONGEST:
        yield f"{name} must be at most {_LONGEST} bytes long (it is {len(value)} characters, and begins with '{value[:40]}')."
    elif ".." in value.split("/"):
        yield f"{name} must have no '..' in its path (it is '{value}'). Write the resolved path."
    elif normal in _SYSTEM or any(_inside(normal, tree) for tree in _SYSTEM_TREES):
        yield f"{name} is {value}, which belongs to the system. Name a dedicated directory, such as {_EXAMPLES[name]}."


def _contained(paths: t.Mapping[str, str]) -> Refusals:
    """Refuses nested directories: removal or replacement of one would also hit the other."""
    top = paths.get("xinference_dir")
    others = {name: value for name, value in paths.items() if name != "xinference_dir"}
    for name, value in others.items() if top is not None else ():
        taken = [part for part in _TAKEN if _inside(value, f"{top}/{part}")]
        if value == top:
            yield f"{name} is xinference_dir itself ({value}). Remove it, or name a dedicated directory, such as {_EXAMPLES[name]}."
        elif _inside(str(top), value):
            yield f"{name} ({value}) contains xinference_dir ({top}). Name a dedicated directory, such as {_EXAMPLES[name]}."
        elif taken:
            yield f"{name} ({value}) is in {taken[0]} of xinference_dir. Name a dedicated directory, such as {_EXAMPLES[name]}."
    names = list(others)
    for at, name in enumerate(names):
        for other in names[at + 1 :]:
            if paths[name] == paths[other]:
                yield f"{name} and {other} are the same directory ({paths[name]}). Name two directories."
            elif _inside(paths[other], paths[name]) or _inside(paths[name], paths[other]):
                inner, outer = (other, name) if _inside(paths[other], paths[name]) else (name, other)
                yield f"{inner} ({paths[inner]}) is inside {outer} ({paths[outer]}). Name two separate directories."


def _normal(path: str) -> str:
    # Two slashes at the beginning stay two otherwise.
    return posixpath.normpath(re.sub("/+", "/", path))


def _inside(path: str, directory: str) -> bool:
    return path == directory or path.startswith(f"{directory}/")


def _specials(value: str) -> str:
    return " ".join(dict.fromkeys(each if each.isprintable() else repr(each)[1:-1] for each in _SPECIAL.findall(value)))


def _quoted(value: str) -> str:
    return '"' + value.encode("unicode_escape").decode() + '"' if not value.isprintable() else f'"{value}"'
