# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A real Xinference for the tests: started on a free port of loopback, with a home of its own.

XINFERENCE_ENVS names the directory with an environment for each release of RELEASES, as environment.yml makes them:
xinference[llama-cpp], sentence-transformers and the two packages with the weights of the demo models.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest
import requests
from servers.repeated import repeated

#: The release that every path is tested on, and the older ones that are known to differ.
TESTED, OLD = "4.1.0", ("2.12.0", "1.17.1")
PASSWORD = "integration-pass-1"


def environment(version: str) -> Path:
    """The directory of the programs of a release."""
    programs = Path(os.environ.get("XINFERENCE_ENVS", "")) / version / "bin"
    if not (programs / "xinference-local").exists():
        pytest.fail(
            f"XINFERENCE_ENVS has to name a directory with an environment {version}, as bin/test integration does"
        )
    return programs


class Server:
    """One server in local mode; it can be stopped, killed and started again with the same home and port."""

    def __init__(self, version: str, directory: Path):
        self.version = version
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.directory = directory
        self.home = directory / "home"
        self.log = str(directory / "server.log")
        self.key_file = directory / "client_key"
        self.process: subprocess.Popen | None = None

    def start(self) -> None:
        env = {k: v for k, v in os.environ.items() if not k.startswith("XINFERENCE_")}
        env.update(XINFERENCE_HOME=str(self.home), HF_HUB_OFFLINE="1", XINFERENCE_MODEL_SRC="huggingface")
        # How long a cancel waits for the end of a load.
        env.update(XINFERENCE_CANCEL_LAUNCH_TIMEOUT="10")
        # A process of a model is given up after 60 s otherwise, which a machine that runs other tests may need.
        env.update(XINFERENCE_SUBPOOL_LAUNCH_TIMEOUT="300")
        # More threads than idle cores wait for each other.
        env.update(OMP_NUM_THREADS="1")
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [environment(self.version) / "xinference-local", "-H", "127.0.0.1", "-p", str(self.port)],
                stdout=log,
                stderr=log,
                env=env,
                cwd=self.directory,
                start_new_session=True,
            )

    def stop(self) -> None:
        # The whole session: a server that is killed would leave its model processes behind.
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(20)
        self.kill()

    def kill(self) -> None:
        """Ends all its processes at once, as a crash of the host would."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(20)
        self.process = None

    @property
    def headers(self) -> dict[str, str]:
        """Of a client with the key that xinference_admin made; empty where there is none."""
        return {"Authorization": f"Bearer {self.key_file.read_text().strip()}"} if self.key_file.exists() else {}

    def asked(self, uid: str, pause: float = 0.2):
        """Asks an embedding model all the time; as its context the list of answers, (seconds since the start, status)."""
        begun = time.monotonic()

        def ask():
            try:
                body = {"model": uid, "input": "Is anybody there?"}
                url = f"{self.url}/v1/embeddings"
                answer = requests.post(url, json=body, headers=self.headers, timeout=30).status_code
            except requests.RequestException as exc:
                answer = type(exc).__name__
            return round(time.monotonic() - begun, 1), answer

        return repeated(ask, pause)

    def model_processes(self) -> dict[str, int]:
        """Process id of each replica, by the name that it runs under, such as minilm-rep0."""
        listed = subprocess.run(["ps", "-eo", "pid,pgid,args"], capture_output=True, text=True, check=True).stdout
        rows = [line.split(maxsplit=2) for line in listed.splitlines()[1:]]
        return {
            arguments.partition("Model: ")[2]: int(pid)
            for pid, group, arguments in rows
            if group == str(self.process.pid) and arguments.startswith("Model: ")
        }

    def wait(self, seconds: float = 300) -> None:
        """Waits until it answers and has a worker."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with contextlib.suppress(requests.RequestException):
                if requests.get(f"{self.url}/status", timeout=5).json()["workers"]:
                    return
            time.sleep(0.5)
        pytest.fail(f"{self.url} was not ready after {seconds:.0f} s: {self.log}")


def row(result, uid):
    """The row of one model in a result of xinference_models."""
    return next(model for model in result["models"] if model["uid"] == uid)
