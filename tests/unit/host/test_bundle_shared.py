# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hosts that have a network, and one bundle: the index is asked by whoever makes the bundle, and by no host."""

from __future__ import annotations

import base64
import ensurepip
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ansible_collections.modelops.inference.plugins.module_utils._host.bundle.wheelhouse import Wheelhouse
from ansible_collections.modelops.inference.plugins.module_utils._host.release import release, uv_tools

UV = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
HERE = ".".join(platform.python_version_tuple()[:2])
PLATFORM = f"{platform.machine()}-manylinux_2_17"
DECLARED = {"version": "4.1.0", "extras": [], "packages": [], "constraints": [], "torch": "default"}


def wheel(directory, name, version, files, requires="", tag="py3-none-any"):
    """A wheel of these files (content by path)."""
    info = f"{name}-{version}.dist-info"
    needs = f"Requires-Dist: {requires}\n" if requires else ""
    files = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}".encode(),
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: {tag}\n".encode(),
    }
    rows = []
    with zipfile.ZipFile(directory / f"{name}-{version}-{tag}.whl", "w") as archive:
        for path, content in files.items():
            about = zipfile.ZipInfo(path)
            about.external_attr = 0o100755 << 16  # pip wants a regular file to make a program of it
            archive.writestr(about, content)
            sha256 = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
            rows.append(f"{path},sha256={sha256},{len(content)}\n")
        archive.writestr(f"{info}/RECORD", "".join(rows) + f"{info}/RECORD,,\n")


@pytest.fixture
def index(tmp_path):
    """A package index (PEP 503, PEP 658) of all that a host is made of; notes the path of every request."""
    assert UV, "uv is among the requirements of the tests"
    version = subprocess.run([UV, "--version"], check=True, capture_output=True, text=True).stdout.split()[1]
    files = tmp_path / "files"
    files.mkdir()
    program = {f"uv-{version}.data/scripts/uv": Path(UV).read_bytes()}
    wheel(files, "uv", version, program, tag=f"py3-none-manylinux_2_17_{platform.machine()}")
    wheel(files, "torch", "2.13.0", {"torch/__init__.py": b""})
    wheel(files, "xinference", "4.1.0", {"xinference/__init__.py": b""}, requires="torch")
    for path in (Path(ensurepip.__file__).parent / "_bundled").glob("pip-*.whl"):
        shutil.copy(path, files)
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            room, name = self.path.strip("/").split("/")
            content = self.page(name) if room == "simple" else self.file(name)
            self.send_response(200)
            self.send_header("Content-Type", "text/html" if room == "simple" else "application/octet-stream")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def page(self, name):
            rows = []
            for path in files.glob(f"{name}-*.whl"):
                sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
                rows.append(f'<a href="/files/{path.name}#sha256={sha256}" data-core-metadata="true">{path.name}</a>')
            return "\n".join(["<!DOCTYPE html><html><body>", *rows, "</body></html>"]).encode()

        def file(self, name):
            if not name.endswith(".metadata"):
                return (files / name).read_bytes()
            with zipfile.ZipFile(files / name[: -len(".metadata")]) as archive:
                return archive.read(next(path for path in archive.namelist() if path.endswith(".dist-info/METADATA")))

        def log_message(self, *_args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.asked, server.uv = asked, f"uv=={version}"
    server.url = f"http://127.0.0.1:{server.server_address[1]}/simple"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def host(tmp_path, index):
    """``host(name, settings, lock)`` builds the release on a host, which has a directory and a cache of its own."""

    def build(name, settings, lock=None):
        tools = uv_tools.Tools(str(tmp_path / name), index.uv, str(tmp_path / name / "cache"))
        found = tools.make(settings)
        directory = tmp_path / name / "releases" / "r"
        directory.parent.mkdir(parents=True, exist_ok=True)
        builder = release.Builder(tools, found, str(directory), sys.executable)
        return builder.build(
            **release.ingredients(DECLARED), proof=["torch", "xinference"], facts={}, lock=lock and str(lock)
        )

    return build


def test_many_hosts_ask_the_index_once(tmp_path, index, host, monkeypatch):
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name.startswith(("PIP_", "UV_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    directory, work = tmp_path / "bundle", tmp_path / "bundle.work"
    tools = uv_tools.Tools(str(work), index.uv, str(work / "cache"))
    settings = tools.make({"index_url": index.url})
    index.asked.clear()  # the controller's own uv
    house = Wheelhouse(str(directory), str(work), tools, settings)
    declared = {**DECLARED, "id": "r", "range": ">=3.9", "python": HERE, "platform": PLATFORM, "weights": []}
    entry = house.environment(declared, [index.uv, "pip"])
    fetched = sorted(path for path in index.asked if path.endswith(".whl"))
    assert fetched == sorted(f"/files/{os.path.basename(path)}" for path in [*entry["wheels"], *entry["tools"]])

    index.asked.clear()
    of_bundle = {"find_links": [str(directory / "wheels")], "no_index": True}
    for name in ("gpu01", "gpu02"):
        assert host(name, of_bundle, directory / entry["lock"])["packages"] == 2
    assert index.asked == []
