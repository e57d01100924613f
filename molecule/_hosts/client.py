# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sends requests to both models and counts what fails in each phase.

    client.py URL KEY_FILE DIRECTORY [long]

The file DIRECTORY/phase names the phase; without it the client ends, as it does after LONGEST seconds. DIRECTORY/counts.json has
for each phase and model: how many were answered, how many failed, the longest time without an answer in seconds, and the
first error of each kind. With "long" it also counts, under the name LONG, requests to the first model that take seconds, so
that mostly one of them is under way.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import urllib.error
import urllib.request

LONGEST = 3600
PAUSE = 1.0
TIMEOUT = 20
QUESTIONS = {
    "gemma3-270m": ("chat/completions", {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 2}),
    "minilm": ("embeddings", {"input": "hello"}),
}
LONG = "gemma3-270m long"
LONG_TIMEOUT = 60
LONG_BODY = {"messages": [{"role": "user", "content": "Count from 1 to 1000."}], "max_tokens": 60}
Counts = dict[str, dict[str, dict]]


def ask(url: str, key: str, name: str) -> str:
    """The failure of a request; "" for an answer."""
    uid = name.partition(" ")[0]
    path, body = QUESTIONS[uid]
    body, timeout = (LONG_BODY, LONG_TIMEOUT) if name == LONG else (body, TIMEOUT)
    request = urllib.request.Request(f"{url}/v1/{path}", json.dumps({**body, "model": uid}).encode())
    request.add_header("Content-Type", "application/json")
    request.add_header("Authorization", f"Bearer {key}")
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            json.load(answer)
        return ""
    except urllib.error.HTTPError as exc:
        return f"{exc.code} {exc.read(300).decode(errors='replace')}"
    except (OSError, ValueError) as exc:
        return f"{type(exc).__name__}: {exc}"


def main(url: str, key_file: str, directory: str, *more: str) -> None:
    with open(key_file, encoding="utf-8") as file:
        key = file.read().strip()
    counts: Counts = {}
    lock, end = threading.Lock(), time.monotonic() + LONGEST
    # A proxy of this machine is none for its own containers.
    urllib.request.install_opener(urllib.request.build_opener(urllib.request.ProxyHandler({})))

    def phase() -> str:
        try:
            with open(os.path.join(directory, "phase"), encoding="utf-8") as file:
                return file.read().strip()
        except FileNotFoundError:
            return ""

    def work(name: str) -> None:
        answered = time.monotonic()
        while time.monotonic() < end:
            now = phase()
            if not now:
                return
            problem = ask(url, key, name)
            if problem:
                # It failed at its end: a request may begin before a worker is killed.
                now = phase() or now
            with lock:
                row = counts.setdefault(now, {}).setdefault(
                    name, {"answered": 0, "failed": 0, "longest_gap": 0.0, "errors": {}}
                )
                row["longest_gap"] = max(row["longest_gap"], round(time.monotonic() - answered, 1))
                if problem:
                    row["failed"] += 1
                    row["errors"].setdefault(problem[:24], problem)
                else:
                    row["answered"] += 1
                    answered = time.monotonic()
                with open(os.path.join(directory, ".counts.json"), "w", encoding="utf-8") as file:
                    json.dump(counts, file, indent=1)
                os.replace(file.name, os.path.join(directory, "counts.json"))
            time.sleep(PAUSE)

    threads = [threading.Thread(target=work, args=(name,)) for name in [*QUESTIONS, *[LONG] * (more == ("long",))]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main(*sys.argv[1:])
