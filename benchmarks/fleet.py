# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The cost of many hosts on the controller: a no-op run of site.yml against `ansible -m ping` of the same hosts, forks 50.

    .venv/bin/python benchmarks/fleet.py [--hosts 50 200] [--clusters 1]

The hosts are emulated (tests/emulated): the connection is local, and a module of the collection is called in Ansible's worker
and answers without doing its work; ping, and the few modules of ansible-core, are sent and executed on this machine. So what is
measured is the controller: variables, templates, forks and results. What is missing is the transfer of modules, the network, and
what a host or a server takes to answer. Prints the table of docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from emulated import Hosts


def inventory(folder, count, clusters):
    """Clusters of one supervisor and workers, of which each has a GPU."""
    hosts = {
        f"host{n:03}": {"ansible_host": f"10.1.{n // 250}.{n % 250 + 1}", "xinference_cluster": f"c{n % clusters}"}
        for n in range(count)
    }
    names = list(hosts)
    model = {"name": "qwen3", "type": "LLM", "engine": "vllm", "format": "pytorch", "size": 8, "quantization": "none"}
    models = [{**model, "uid": f"m{n}", "replicas": 2} for n in range(5)]
    groups = {"xinference_supervisors": names[:clusters], "xinference_workers": names[clusters:]}
    children = {group: {"hosts": dict.fromkeys(members, {})} for group, members in groups.items()}
    file = folder / "hosts.json"
    file.write_text(json.dumps({"all": {"hosts": hosts, "vars": {"xinference_models": models}, "children": children}}))
    return file, names[clusters:]


def memory(pid):
    """Bytes of a process and its descendants, each page counted once."""
    total, todo = 0, [pid]
    while todo:
        one = todo.pop()
        try:
            for line in Path(f"/proc/{one}/smaps_rollup").read_text().splitlines():
                total += int(line.split()[1]) * 1024 if line.startswith("Pss:") else 0
            for task in Path(f"/proc/{one}/task").iterdir():
                todo += map(int, (task / "children").read_text().split())
        except OSError:  # it has ended
            continue
    return total


def measured(hosts, *words):
    """Runs a program of Ansible on the hosts.

    :return: seconds, CPU seconds, peak bytes of it alone and with its workers and modules; and its output.
    """
    start, peak = time.monotonic(), 0
    with tempfile.TemporaryFile("w+") as out:
        program = subprocess.Popen(hosts.command(*words), env=hosts.env, stdout=out, stderr=subprocess.STDOUT)
        while True:
            pid, status, used = os.wait4(program.pid, os.WNOHANG)
            if pid:
                break
            peak = max(peak, memory(program.pid))
            time.sleep(1)
        out.seek(0)
        text = out.read()
    if status:
        raise SystemExit(text)
    return (time.monotonic() - start, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024, peak), text


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hosts", type=int, nargs="+", default=[50, 200])
    parser.add_argument("--clusters", type=int, default=1, help="in how many clusters they are")
    options = parser.parse_args()
    print(f"Load of the machine before: {os.getloadavg()[0]:.1f}, cores: {os.cpu_count()}\n")
    print(
        "| hosts | ping, s | no-op run, s | run / ping | CPU of ping, s | CPU of run, s | ansible-playbook, MiB | all, MiB |"
    )
    print("|---|---|---|---|---|---|---|---|", flush=True)
    for count in options.hosts:
        with tempfile.TemporaryDirectory(prefix="m-") as top:
            folder = Path(top)
            file, workers = inventory(folder, count, options.clusters)
            hosts = Hosts(folder, file, gpus=workers)
            hosts.env["SENT"] = "ansible."
            code, out = hosts.install()
            # The sheets of the clusters, which check mode does not write.
            if not code:
                code, out = hosts.play("playbooks/site.yml", "--limit", "xinference_supervisors")
            if code:
                raise SystemExit(out)
            ping, _said = measured(hosts, "ansible", "all", "-m", "ansible.builtin.ping")
            site, said = measured(hosts, "ansible-playbook", "playbooks/site.yml")
            if re.search(r"changed=[1-9]", said):
                raise SystemExit(said)
            row = [f"{ping[0]:.1f}", f"{site[0]:.1f}", f"{site[0] / ping[0]:.1f}", f"{ping[1]:.1f}", f"{site[1]:.1f}"]
            print("|", " | ".join([str(count), *row, *(f"{size / 2**20:.0f}" for size in site[2:])]), "|", flush=True)
    print(f"\nLoad after: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
