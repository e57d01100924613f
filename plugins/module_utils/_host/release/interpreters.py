# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The Python of an environment: one of the host's, or one that uv downloads. Private to the collection.

The packages decide. PyTorch has wheels for a few releases of Python, and a mirror often for one of them.
"""

from __future__ import annotations

import json
import os
import re
import typing as t
from dataclasses import dataclass

from ansible_collections.modelops.inference.plugins.module_utils._directory import make_directory
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._host.release.index import INDEX_OPTIONS, IndexSettings
from ansible_collections.modelops.inference.plugins.module_utils._host.release.release import ingredients
from ansible_collections.modelops.inference.plugins.module_utils._host.release.resolution import (
    COMPILE,
    NOTHING,
    Incomplete,
    Resolver,
)
from ansible_collections.modelops.inference.plugins.module_utils._host.release.uv_tools import Tools
from ansible_collections.modelops.inference.plugins.module_utils._host.system.shell import (
    CommandFailed,
    run,
    write_file,
)

# Of the modules that find the Python of an environment, where packages come from and which are wanted.
OPTIONS: dict[str, t.Any] = dict(
    path=dict(type="path", required=True),
    version=dict(type="str", required=True),
    extras=dict(type="list", elements="str", default=[]),
    packages=dict(type="list", elements="str", default=[]),
    constraints=dict(type="list", elements="str", default=[]),
    python=dict(type="str", default=">=3.10,<3.14"),
    python_source=dict(type="str", choices=["auto", "host", "uv"], default="auto"),
    index=INDEX_OPTIONS,
    uv=dict(type="str", required=True),
    cache=dict(type="path", required=True),
)
# Those that uv fetches, best first. 3.13 is behind: Xinference's set 'all' has a package there that must be compiled (editdistance).
FETCHED = ("3.12", "3.11", "3.10", "3.13", "3.14", "3.9")
_VERSION = "import platform; print(platform.python_version())"


@dataclass(frozen=True)
class Interpreter:
    """A Python of the host.

    :ivar version: its first two numbers, "3.11".
    """

    path: str
    version: str


@dataclass(frozen=True)
class InterpreterChoice:
    """
    :ivar python: path of a Python of the host, or the version of one that uv fetches.
    :ivar because: why none of the host's is taken; empty where none may be.
    """

    python: str
    fetched: bool = False
    because: str = ""


def minor(version: str) -> str:
    """The first two numbers of a Python's version. Pure."""
    return ".".join(version.split(".")[:2])


def accepts(request: str, version: str) -> bool:
    """Whether a range such as ">=3.10,<3.14", or a version such as "3.11", may take a Python, by two numbers of it. Pure."""
    have = _numbers(version)
    for part in request.replace(" ", "").split(","):
        found = re.fullmatch(r"(>=|<=|==|!=|~=|>|<|)(\d+)(?:\.(\d+))?(?:\.(\d+|\*))?", part)
        if not found:
            return False
        operator, patch = found[1], found[4]
        # "3" is any release of 3.
        want = (int(found[2]), int(found[3])) if found[3] else (int(found[2]),)
        same = have[: len(want)] == want
        exact = patch not in (None, "*", "0")
        fits = {
            ">=": have >= want,
            "<=": have <= want or same,
            "<": have < want or (same and exact),
            ">": (have > want and not same) or (same and exact),
            "!=": not same or exact,
            "~=": have >= want and have[0] == want[0] and (patch is None or same),
        }
        if not fits.get(operator, same):
            return False
    return True


def fetchable(request: str) -> dict[str, str]:
    """Pythons that uv may fetch for a request, best first, and how uv is asked for each. Pure."""
    exact = re.fullmatch(r"(?:==)?(\d+\.\d+(?:\.\d+)?)", request.replace(" ", ""))
    return {version: exact[1] if exact else version for version in FETCHED if accepts(request, version)}


def choose(
    request: str, source: str, own: t.Sequence[Interpreter], served: t.Callable[[str], bool]
) -> InterpreterChoice | None:
    """The Python that an environment is made with; None where none will do. Pure.

    :param request: xinference_python, a range, a version or a path.
    :param source: xinference_python_source.
    :param own: the host's Pythons that the request takes, in uv's order.
    :param served: whether the environment's packages exist for a Python, such as "3.11".
    """
    path = request.startswith("/")
    for one in own if path or source != "uv" else ():
        if served(one.version):
            return InterpreterChoice(one.path)
    if not path and source != "host":
        versions = sorted({one.version for one in own}, key=_numbers)
        lacks = f"no build of torch exists for this host's Python {' and '.join(versions)}"
        because = "" if source == "uv" else lacks if own else f"this host has no Python {request}"
        for version, asked in fetchable(request).items():
            if served(version):
                return InterpreterChoice(asked, fetched=True, because=because)
    return None


def refusal(
    request: str,
    source: str,
    own: t.Sequence[Interpreter],
    served: t.Callable[[str], bool],
    why: t.Mapping[str, ModelopsError],
) -> str:
    """The refusal if no Python fits an environment. Pure.

    :param why: for each Python that was asked for, why there is nothing for it.
    """
    path = request.startswith("/")
    if not own and (path or source == "host"):
        return (
            f"no Python {request} was found on this host. Install one (Debian and Ubuntu: apt-get install python3), "
            "set xinference_python to its path, or let uv download one (xinference_python_source: auto)."
        )
    if not why:
        return f"xinference_python {request} is neither the path of a Python nor a version or a range that uv can download."
    # Where torch itself is at hand least is missing.
    nearest = next((exc for exc in why.values() if isinstance(exc, Incomplete)), next(iter(why.values())))
    others = sorted((version for version in FETCHED if version not in why and served(version)), key=_numbers)
    if not others:
        return str(nearest)
    fetch = "" if path or source != "host" else ", or let uv download one (xinference_python_source: auto)"
    return (
        f"{nearest} Or use Python {' or '.join(others)}, for which a build exists: install one and set "
        f"xinference_python to its path{fetch}."
    )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


class Packages:
    """The Pythons that have the build of torch, each queried once.

    :param declared: what a release is made from, as release.ingredients takes it; None asks nothing.
    :param work: directory for the files that uv reads.
    :ivar why: for each Python that was asked for in vain, the reason.
    """

    def __init__(self, tools: Tools, settings: IndexSettings, declared: t.Mapping[str, t.Any] | None, work: str):
        self.why: dict[str, ModelopsError] = {}
        self._served: set[str] = set()
        self._resolver = Resolver(tools, settings, [], work)
        self._python = tools.pip[0]
        self._made_of = ingredients(declared) if declared and declared["torch"] != "default" else None

    def served(self, version: str) -> bool:
        if self._made_of is None:
            return True
        if version not in self._served and version not in self.why:
            made_of = self._made_of
            self._resolver.target = ["--python", self._python, "--python-version", version]
            try:
                self._resolver.build_of_torch(made_of["torch"], made_of["needs"], made_of["requirements"][0])
                self._served.add(version)
            except ModelopsError as exc:
                self.why[version] = exc
        return version in self._served


def of_host(tools: Tools, settings: IndexSettings, request: str) -> list[Interpreter]:
    """The host's Pythons that a request takes, in uv's order."""
    if request.startswith("/"):
        try:
            return [Interpreter(request, minor(run([request, "-c", _VERSION], request).strip()))]
        except CommandFailed as exc:
            raise ModelopsError(
                f"xinference_python is {request}, which does not run as a Python on this host ({exc.output or exc}). Name another one."
            ) from exc
    what = f"looking for a Python {request} (xinference_python)"
    words = ["python", "list", "--only-installed", "--no-managed-python", "--output-format", "json", request]
    rows = [row for row in json.loads(tools.call(settings, words, what)) if row["implementation"] == "cpython"]
    if not rows:
        return []
    # The list begins with the newest. uv takes the first one on PATH, which is the distribution's own.
    find = ["python", "find", "--system", "--no-managed-python", "--no-project", request]
    first = tools.call(settings, find, what).strip()
    rows.sort(key=lambda row: row["path"] != first)
    return [Interpreter(row["path"], minor(row["version"])) for row in rows]


def pick(tools: Tools, settings: IndexSettings, request: str, source: str, packages: Packages) -> InterpreterChoice:
    """The Python that an environment is made with.

    :raises ModelopsError: there is none, with what to do.
    """
    own = of_host(tools, settings, request)
    choice = choose(request, source, own, packages.served)
    if choice is None:
        raise ModelopsError(refusal(request, source, own, packages.served, packages.why))
    return choice


def refuse_unknown(
    tools: Tools, settings: IndexSettings, declared: t.Mapping[str, t.Any], choice: InterpreterChoice, work: str
) -> None:
    """Refuses a release that the indexes do not have, by one question. An index that does not answer refuses nothing.

    Unknown extras pass: uv reads them where it resolves everything.

    :raises ModelopsError: in uv's words.
    """
    requirements = ingredients(declared)["requirements"]
    # A wheel or a directory may be the release itself, and uv would have to fetch it.
    if any(re.search(r"[/@]|[.]whl$", line) for line in requirements[1:]):
        return
    path = os.path.join(work, "release.txt")
    write_file(path, f"{requirements[0]}\n", 0o644)
    python = (
        ["--python", tools.pip[0], "--python-version", choice.python] if choice.fetched else ["--python", choice.python]
    )
    try:
        tools.call(settings, [*COMPILE, "--no-deps", *python, path], f"asking for {requirements[0]}")
    except CommandFailed as exc:
        if NOTHING not in exc.output:
            return
        raise ModelopsError(
            f"The index has no {requirements[0]} for Python {choice.python}. Correct xinference_version, or take an index that has it "
            "(xinference_index): a mirror may lack the newest release.",
            uv=" ".join(exc.output.split()),
        ) from exc


def path_of(tools: Tools, settings: IndexSettings, choice: InterpreterChoice, directory: str) -> str:
    """Path of the chosen Python, which uv fetches where it is not there.

    :param directory: where uv's Pythons are.
    """
    if not choice.fetched:
        return choice.python
    env = {"UV_PYTHON_INSTALL_DIR": directory}
    words = ["python", "find", "--managed-python", "--no-project", choice.python]
    try:
        return tools.call(settings, words, "looking for uv's Python", env=env).strip()
    except CommandFailed:
        pass
    make_directory(directory)
    try:
        fetching = {**env, "UV_PYTHON_DOWNLOADS": "automatic"}
        install = ["python", "install", "--no-bin", choice.python]
        tools.call(settings, install, "downloading a Python", env=fetching, timeout=1800)
    except CommandFailed as exc:
        told = exc.output.splitlines()
        because = f", because {choice.because}" if choice.because else ""
        raise ModelopsError(
            f"the environment needs Python {choice.python}{because}, and uv cannot download it ({told[-1].strip() if told else exc}). "
            f"Install Python {choice.python} and set xinference_python to its path, or set uv's source of Pythons "
            "(xinference_index.python_mirror, a URL or a directory on the host)."
        ) from exc
    return tools.call(settings, words, "looking for uv's Python", env=env).strip()


def directory_of(base: str) -> str:
    """The directory of an installation's uv Pythons."""
    return os.path.join(base, "python")
