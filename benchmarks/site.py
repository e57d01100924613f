# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The cost of bin/site on one host: cold, warm, and as a no-op.

    python3 benchmarks/site.py [--port 9996] [--repeat 5]

Makes the clone's .venv anew, installs into a temporary directory with a cache of its own, removes it at the end, and prints
the tables of docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def run(words, env):
    start = time.monotonic()
    subprocess.run(words, check=True, cwd=ROOT, env=env, stdout=subprocess.DEVNULL)
    return time.monotonic() - start


def measured(words, env, folder):
    file = Path(folder, "measure.jsonl")
    file.unlink(missing_ok=True)
    plugins = dict(
        ANSIBLE_CALLBACK_PLUGINS=str(ROOT / "benchmarks" / "callback_plugins"),
        ANSIBLE_CALLBACKS_ENABLED="measure",
        MEASURE_FILE=str(file),
    )
    seconds = run(words, {**env, **plugins})
    return seconds, [json.loads(line) for line in file.read_text().splitlines()]


def phases(lines):
    """Seconds by phase: the host's tasks that take longest by name, everything else together."""
    totals = collections.Counter()
    for line in lines:
        if line["kind"] == "task":
            totals[line["name"] if line["seconds"] > 1 else "everything else"] += line["seconds"]
    return totals


def size(folder):
    return int(subprocess.run(["du", "-sb", folder], check=True, capture_output=True, text=True).stdout.split()[0])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", default="9996", help="port of the server it starts")
    parser.add_argument("--repeat", type=int, default=5, help="how often the no-op run and the ping are timed")
    options = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="modelops-bench-")
    env = dict(os.environ, MODELOPS_DIR=f"{folder}/site")
    site = ["bin/site", "-e", f"xinference_port={options.port}", "-e", f"dify_connection_sheet={folder}/sheet.txt"]
    shutil.rmtree(ROOT / ".venv", ignore_errors=True)
    env["UV_CACHE_DIR"] = f"{folder}/uv"
    controller = run(["bin/site", "--version"], env)
    ping = [".venv/bin/ansible", "-i", "inventories/local", "all", "-m", "ansible.builtin.ping"]
    try:
        cold, cold_lines = measured(site, env, folder)
        pings = [run(ping, env) for turn in range(options.repeat)]
        same = [run(site, env) for turn in range(options.repeat)]
        detail, lines = measured(site, env, folder)
        installed = size(f"{folder}/site/current/")
        total = size(f"{folder}/site")
        run(["bin/site", "playbooks/remove.yml", "-e", "xinference_keep_data=true"], env)
        warm, warm_lines = measured(site, env, folder)
    finally:
        subprocess.run(["bin/site", "playbooks/remove.yml"], cwd=ROOT, env=env, stdout=subprocess.DEVNULL, check=False)
        shutil.rmtree(folder, ignore_errors=True)

    print("| run | seconds |\n|---|---|")
    print(f"| controller environment (.venv) | {controller:.1f} |")
    print(f"| first, nothing there, uv's cache empty | {cold:.1f} |")
    print(f"| again after remove.yml that kept the data | {warm:.1f} |")
    print(f"| no-op, median of {options.repeat} | {statistics.median(same):.2f} |")
    print(f"| `ansible -m ping`, median of {options.repeat} | {statistics.median(pings):.2f} |")
    print(f"\nNo-op run / ping: **{statistics.median(same) / statistics.median(pings):.2f}**\n")
    print("| phase of the first run | seconds |\n|---|---|")
    for name, seconds in phases(cold_lines).most_common():
        print(f"| {name} | {seconds:.1f} |")
    print("\n| module execution of a no-op run | seconds |\n|---|---|")
    for line in lines:
        if line["kind"] == "module":
            print(f"| {line['name']} | {line['seconds']:.2f} |")
    print("\n| API requests of a no-op run | |\n|---|---|")
    for line in lines:
        if line["kind"] == "requests":
            print(f"| {line['name']} | {', '.join(f'{n} {verb}' for verb, n in sorted(line['counts'].items()))} |")
    print(f"\nEnvironment {installed / 1e9:.2f} GB, everything {total / 1e9:.2f} GB on disk.")


if __name__ == "__main__":
    main()
