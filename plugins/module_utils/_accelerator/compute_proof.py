# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The real computation: the program that an environment's interpreter runs, and what its answer means. Private to the collection."""

from __future__ import annotations

import json
import re
import typing as t

# Single precision differs from double by far less than this; TF32, which PyTorch may choose, by 0.001 of the largest element.
TOLERANCE = 0.01

# Standard output is one JSON object per line, so that what came before a hang is known. The thread ends the process then: no
# Python code of the main one runs while a driver hangs in a call.
PROGRAM = r"""
import json, os, sys, threading, time

kind, seconds, size = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
at = ["the import of torch"]

def say(**row):
    sys.stdout.write(json.dumps(row) + "\n")
    sys.stdout.flush()

def end():
    time.sleep(seconds)
    say(hangs=at[0])
    os._exit(0)

threading.Thread(target=end, daemon=True).start()
try:
    import torch
    if kind == "ascend":
        import torch_npu
    say(torch=torch.__version__, build=getattr(torch.version, "hip", None) or torch.version.cuda or "cpu")
    name = {"cuda": "cuda", "rocm": "cuda", "ascend": "npu", "cpu": "cpu"}[kind]
    api = getattr(torch, name, None)
    at[0] = "the search for devices"
    count = 1 if kind == "cpu" else api.device_count()
    if kind != "cpu" and not count:
        api.init()
    say(count=count)
    torch.manual_seed(1)
    one, other = torch.randn(size, size), torch.randn(size, size)
    want = one.double() @ other.double()
    for index in range(count):
        device = "cpu" if kind == "cpu" else "%s:%d" % (name, index)
        at[0] = device
        started = time.monotonic()
        try:
            got = (one.to(device) @ other.to(device)).cpu().double()
            error = ((got - want).abs().max() / want.abs().max()).item()
            label = "CPU" if kind == "cpu" else api.get_device_name(index)
            say(device=device, name=label, error=error if error == error else None, seconds=round(time.monotonic() - started, 3))
        except Exception as exc:
            say(device=device, failed="%s: %s" % (type(exc).__name__, str(exc).strip().split("\n")[0]))
except Exception as exc:
    say(failed="%s: %s" % (type(exc).__name__, str(exc).strip().split("\n")[0]))
os._exit(0)
"""


# How a device says that others have all of it: its memory, or itself (compute mode Exclusive_Process).
TAKEN = re.compile(r"out of memory|busy or unavailable", re.IGNORECASE)


def judge(text: str, devices: int, used: bool = False) -> dict[str, t.Any]:
    """``torch``, ``build``, ``devices`` (rows), ``problems`` (sentences; none where all is well) and ``taken`` (devices that nothing is
    known of, because other programs have them).

    :param text: standard output of the program.
    :param devices: how many there must be at least.
    :param used: programs have cards open: then one that has no room left is not broken.
    """
    rows = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    said = {key: row[key] for row in rows for key in ("torch", "build", "count") if key in row}
    computed = [row for row in rows if "device" in row]
    problems = [f"PyTorch failed: {row['failed']}" for row in rows if "failed" in row and "device" not in row]
    problems += [f"{row['hangs']} took too long" for row in rows if "hangs" in row]
    if not problems and said.get("count", 0) < devices:
        problems.append(
            f"PyTorch {said.get('torch', '')} (build {said.get('build', '')}) finds {said.get('count', 0)} of {devices} devices"
        )
    taken = [row for row in computed if used and TAKEN.search(row.get("failed", ""))]
    for row in computed:
        if row in taken:
            continue
        if "failed" in row:
            problems.append(f"{row['device']} failed: {row['failed']}")
        elif row["error"] is None or row["error"] > TOLERANCE:
            wrong = "no number" if row["error"] is None else f"off by {row['error']:.2g} of the largest element"
            problems.append(f"{row['device']} ({row['name']}) computes wrongly: the product of two matrices is {wrong}")
    return dict(
        torch=said.get("torch", ""),
        build=said.get("build", ""),
        devices=computed,
        problems=problems,
        taken=[row["device"] for row in taken],
    )
