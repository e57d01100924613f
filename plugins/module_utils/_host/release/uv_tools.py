# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""uv in an environment of its own, and one build at a time. Private to the collection."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
import typing as t
import zipfile

from ansible_collections.modelops.inference.plugins.module_utils import _locks as locks
from ansible_collections.modelops.inference.plugins.module_utils._directory import make_directory
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._host.release import denied
from ansible_collections.modelops.inference.plugins.module_utils._host.release.environments import installed
from ansible_collections.modelops.inference.plugins.module_utils._host.release.index import IndexSettings
from ansible_collections.modelops.inference.plugins.module_utils._host.system.shell import (
    CommandFailed,
    run,
    write_file,
)
from ansible_collections.modelops.inference.plugins.module_utils._log import without_userinfo

TOOLS = "tools"
# Seconds for which a run waits for another one that makes an environment or fetches weights on the host.
_BUILD = 1800.0


@contextlib.contextmanager
def one_at_a_time(base: str) -> t.Iterator[None]:
    """Holds a lock on an installation, so that a run waits for what a run that broke off still does on the host.

    :raises locks.Held: it still does it after as long as an environment takes to build.
    """
    make_directory(base)
    directory = os.open(base, os.O_RDONLY)
    try:
        locks.take(directory, base, _BUILD)
        yield
    finally:
        os.close(directory)


class Tools:
    """uv in an environment of its own, made with the host's python3 and pip."""

    def __init__(self, base: str, requirement: str, cache: str):
        self.base = base
        self.directory = os.path.join(base, TOOLS)
        self.requirement = requirement
        self.cache = cache
        self.uv = os.path.join(self.directory, "bin", "uv")
        self.pip = [os.path.join(self.directory, "bin", "python"), "-m", "pip"]

    @property
    def ready(self) -> bool:
        name, equals, version = self.requirement.partition("==")
        return os.path.exists(self.uv) and installed(self.directory).get(name) == version

    def make(self, given: t.Mapping[str, t.Any]) -> IndexSettings:
        """Makes them where they are missing, and returns where packages come from. Old ones stay until the new ones are complete."""
        if not self.ready:
            make_directory(self.base)
            with tempfile.TemporaryDirectory(prefix=f".{TOOLS}-", dir=self.base) as place:
                draft = Tools(place, self.requirement, self.cache)
                draft._fill(given)
                draft._take_the_place_of(self.directory, os.path.join(place, "old"))
        return IndexSettings.of_host(given, self.pip)

    def _fill(self, given: t.Mapping[str, t.Any]) -> None:
        wheel = self._wheel(given)
        if wheel:
            return self._make_of(wheel, IndexSettings(find_links=list(given["find_links"]), no_index=True))
        try:
            run([sys.executable, "-m", "venv", self.directory], f"making {self.directory}", timeout=300)
        except CommandFailed as exc:
            raise ModelopsError(
                f"{sys.executable} cannot make a virtual environment: {exc.output}\n"
                "On Debian and Ubuntu: apt-get install python3-venv"
            ) from exc
        settings = IndexSettings.of_host(given, self.pip)
        index = without_userinfo(settings.index_url or "its package index")
        run(
            [*self.pip, "install", "--quiet", "--no-cache-dir", "--disable-pip-version-check", self.requirement],
            f"installing {self.requirement} with pip. Check that the host reaches {index} (xinference_index)",
            env=settings.pip_environment(),
            timeout=900,
        )

    def _take_the_place_of(self, directory: str, old: str) -> None:
        """Programs of ours that lie beside uv go on: the reconciler runs while this does."""
        if os.path.isdir(directory):
            for name in os.listdir(directory):
                source, target = os.path.join(directory, name), os.path.join(self.directory, name)
                if os.path.isfile(source) and not os.path.lexists(target):
                    shutil.copy2(source, target)
        if os.path.lexists(directory):
            os.rename(directory, old)
        os.rename(self.directory, directory)

    def _wheel(self, given: t.Mapping[str, t.Any]) -> str:
        """uv's own wheel, where packages come from directories only (a bundle)."""
        prefix = self.requirement.replace("==", "-") + "-"
        found = [
            os.path.join(place, name)
            for place in (given.get("find_links") or [] if given.get("no_index") else [])
            for name in (os.listdir(place) if os.path.isdir(place) else [])
            if name.startswith(prefix) and name.endswith(".whl")
        ]
        return found[0] if found else ""

    def _make_of(self, wheel: str, settings: IndexSettings) -> None:
        """uv installs itself, and pip beside it: so the host needs neither venv nor pip."""
        with tempfile.TemporaryDirectory(dir=self.base) as place:
            uv = os.path.join(place, "uv")
            with zipfile.ZipFile(wheel) as archive:
                member = next((name for name in archive.namelist() if name.endswith(".data/scripts/uv")), None)
                if member is None:
                    raise ModelopsError(f"{wheel} has no program uv")
                write_file(uv, archive.read(member), 0o755)
            env = {"UV_CACHE_DIR": self.cache, "UV_NO_PROGRESS": "1", "UV_PYTHON_DOWNLOADS": "never"}
            env.update(settings.environment())
            words = [
                ["venv", "--quiet", "--python", sys.executable, self.directory],
                ["pip", "install", "--quiet", "--python", self.pip[0], "--no-index", self.requirement, "pip"],
            ]
            for line in words:
                run([uv, *line], f"installing {self.requirement} from {wheel}", env=env, timeout=300)

    def call(
        self,
        settings: IndexSettings,
        words: t.Sequence[str],
        what: str,
        env: t.Mapping[str, str] | None = None,
        **kwargs: t.Any,
    ) -> str:
        """The output of uv.

        :param env: variables of its own for this call.
        """
        known = {"UV_CACHE_DIR": self.cache, "UV_NO_PROGRESS": "1", "UV_PYTHON_DOWNLOADS": "never"}
        flags = ["--no-index"] if settings.no_index and words[0] == "pip" else []
        # With hashes every line must be a pin: what has them is compared before.
        if words[0] == "pip" and "--require-hashes" not in words:
            refused = os.path.join(self.directory, "denied.txt")
            write_file(refused, denied.constraints(settings.denied), 0o644)
            flags += ["--constraints", refused]
        merged = {**known, **settings.environment(), **(env or {})}
        return run([self.uv, *words, *flags], what, env=merged, **kwargs)
