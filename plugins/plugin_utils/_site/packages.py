# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Validation of an environment's sources: packages, indexes and Python. Pure. Private to the collection."""

from __future__ import annotations

import difflib
import re
import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._address import PROXIES, address_problem, host_problem
from ansible_collections.modelops.inference.plugins.module_utils._host.release import interpreters
from ansible_collections.modelops.inference.plugins.plugin_utils._site.settings import Refusals, Settings

_EXTRA = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
# Of all releases from 1.17.1 to 4.1.0, by their own metadata (Provides-Extra).
_EXTRAS = (
    "all", "anthropic", "audio", "benchmark", "dev", "doc", "embedding", "guard", "image", "intel", "llama-cpp", "mlx",
    "musa", "otel", "rerank", "router", "sdapi", "sglang", "transformers", "transformers-quantization", "trt-llm",
    "video", "virtualenv", "vllm", "xavier-lmcache",
)  # fmt: skip
_EXTRAS_UNTIL = (4, 1)
# Sources that pip accepts instead of a name: a wheel or a directory, a URL, one of a version control system.
_PLACE = re.compile(r"([a-z0-9+]+://\S+|[.]{0,2}/\S+|\S+[.]whl)", re.IGNORECASE)
# One that is no range of versions: a build of a version, a name that uv knows, or a path.
_PYTHON = re.compile(r"3([.][0-9]+){1,2}(t|d|(a|b|rc)[0-9]+)|[A-Za-z][A-Za-z0-9.@+_-]*|/[A-Za-z0-9._@+/-]+")
_BUNDLE_PYTHON = re.compile(r"(3[.](9|[1-9][0-9])([.][0-9]+)?t?)?")
_PLATFORM = re.compile(r"([a-z0-9_]+-(manylinux_[0-9]+_[0-9]+|manylinux2014|unknown-linux-gnu))?")


def refusals(settings: Settings) -> Refusals:
    yield from _requirements(settings)
    yield from _pythons(settings)
    yield from _index(settings)


def _requirements(settings: Settings) -> Refusals:
    for extra in settings.get("xinference_extras") or ():
        if isinstance(extra, str) and not _EXTRA.fullmatch(extra):
            yield f"xinference_extras has {extra!r}, which is not a name of an extra. Write one such as vllm, without brackets and version."
        elif isinstance(extra, str):
            yield from _unknown_extra(extra, str(settings.get("xinference_version")))
    index = settings.get("xinference_index") or {}
    for where, given, named in (
        ("xinference_packages", settings.get("xinference_packages"), False),
        ("xinference_constraints", settings.get("xinference_constraints"), True),
        ("xinference_index, constraints", index.get("constraints"), True),
    ):
        for line in given if isinstance(given, list) else ():
            if isinstance(line, str) and not (_requirement(line) or not named and _PLACE.fullmatch(line.strip())):
                yield f"{where} has {line!r}, which is not a requirement. Write one such as vllm==0.11.0."


def _unknown_extra(extra: str, version: str) -> Refusals:
    """An extra that no release so far has, which uv would leave out in silence. Of a newer release nobody knows here."""
    numbers = re.match(r"([0-9]+)[.]([0-9]+)", version)
    name = re.sub("[-_.]+", "-", extra).lower()
    if name in _EXTRAS or not numbers or (int(numbers[1]), int(numbers[2])) > _EXTRAS_UNTIL:
        return
    near = difflib.get_close_matches(name, _EXTRAS, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(_EXTRAS)}."
    yield f"xinference_extras has {extra!r}, which Xinference {version} does not have; {hint}"


def _requirement(line: str) -> bool:
    # ansible-core requires it; a Python that only imports this module may lack it.
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        Requirement(line)
    except InvalidRequirement:
        return False
    return True


def _pythons(settings: Settings) -> Refusals:
    python = settings.get("xinference_python")
    if isinstance(python, str):
        if not _PYTHON.fullmatch(python) and not any(
            interpreters.accepts(python, f"3.{number}") for number in range(9, 100)
        ):
            yield (
                "xinference_python must be a version of Python from 3.9 on, a range such as >=3.10,<3.14, or the path of a Python on the "
                f"host (it is '{python}')."
            )
    python, platform = settings.get("xinference_bundle_python"), settings.get("xinference_bundle_platform")
    if isinstance(python, str) and not _BUNDLE_PYTHON.fullmatch(python):
        yield f"xinference_bundle_python must be a version of Python from 3.9 on, such as 3.11 (it is '{python}')."
    if isinstance(platform, str) and not _PLATFORM.fullmatch(platform):
        yield f"xinference_bundle_platform must be architecture and glibc, such as x86_64-manylinux_2_28 (it is '{platform}')."


def _index(settings: Settings) -> Refusals:
    """Refusals of xinference_index, without its addresses, which may contain a login."""
    index = settings.get("xinference_index") or {}
    for key in ("index_url", "extra_index_urls", "find_links", "python_mirror", "proxy"):
        for value in _texts(index.get(key)):
            problem = _proxy_problem(value) if key == "proxy" else _place_problem(value)
            if problem:
                yield f"xinference_index, {key} has an address that {problem}."
    for host in _texts(index.get("trusted_hosts")):
        name = re.sub(r":[0-9]{1,5}$", "", host)
        if host != "*" and not re.fullmatch(r"\[[0-9a-fA-F:.]+\]", name) and host_problem(name):
            yield f"xinference_index, trusted_hosts has {host!r}, which is not a host. Write its name without scheme and path."
    certificates = index.get("ca_path")
    if isinstance(certificates, str) and certificates and not re.match(r"/|~", certificates):
        yield f"xinference_index, ca_path must be an absolute path on the host (it is '{certificates}')."


def _texts(value: t.Any) -> list[str]:
    return [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, str)]


def _place_problem(value: str) -> str:
    """A directory of the host is an index for uv, too."""
    if re.match("/(?!/)|file:///", value, re.IGNORECASE):
        return "contains a space. Write it as %20" if re.search(r"\s", value) else ""
    if not re.match("(https?|file)://", value, re.IGNORECASE):
        return "does not begin with https://, http://, file:// or /. Write the full address"
    return address_problem(value)


def _proxy_problem(value: str) -> str:
    if not re.match(r"(https?|socks[45][ah]?)://", value, re.IGNORECASE):
        return "does not begin with its scheme, such as http://. Write the full address"
    return address_problem(value, PROXIES, "http://proxy.example:3128")
