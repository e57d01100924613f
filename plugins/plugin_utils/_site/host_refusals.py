# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Refusals of a plan that its host cannot carry. Pure. Private to the collection."""

from __future__ import annotations

import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._xinference.launching import ffmpeg
from ansible_collections.modelops.inference.plugins.plugin_utils._site.host import SUPERVISOR, WORKER, Host
from ansible_collections.modelops.inference.plugins.plugin_utils._site.release import HostRelease

_GIB = 1 << 30


def of(host: Host, release: HostRelease) -> t.Iterator[str]:
    """Sentences, each with the remedy."""
    yield from _system(host)
    yield from _disk(host, release)
    yield from _port(host)
    yield " ".join(
        filter(None, (each["refusal"] for each in [host.found["service"], *host.found["services"].values()]))
    )
    if host.distributed and host.found["bind"]["why_not"]:
        yield f"{host.found['bind']['why_not']} Set xinference_host to an address of this host that the cluster's hosts reach."
    yield from _rights(host)
    yield from _cards(host)
    if not host.found["ffmpeg"] and host.part != SUPERVISOR:
        yield ffmpeg.refusal(host.served, host.name, host.search_path)
    yield " ".join(host.found["directories"]["refused"])
    # Another administrator for it would need a server that is stopped, and lose the users that are there.
    yield host.auth_unreadable


def _system(host: Host) -> t.Iterator[str]:
    system = host.found["system"]
    if system["kernel"] != "Linux" or system["architecture"] not in ("x86_64", "aarch64"):
        yield f"{system['name']} on {system['architecture']} is not supported. Use Linux on x86_64 or aarch64."


def _disk(host: Host, release: HostRelease) -> t.Iterator[str]:
    disk = host.found["disk"]
    # Measured: 1.7 GB for a small CPU set, 4.5 GB for all of it on a CPU, 6 GB with CUDA torch alone; and room for the next release
    # beside this one.
    usual = 16 if release.torch != "cpu" else 10 if "all" in host.value("xinference_extras") else 4
    needed = float(host.value("xinference_free_gib") or usual) * _GIB
    if release.unbuilt and not release.current and disk["free_bytes"] < needed:
        yield (
            f"{disk['path']} has {disk['free_bytes'] / _GIB:.1f} GiB free, the installation needs {needed / _GIB:.1f} GiB. Free space, set "
            "xinference_dir to a larger disk, or lower xinference_free_gib."
        )


def _port(host: Host) -> t.Iterator[str]:
    port = host.found["port"]
    if not port["listening"] or port["ours"]:
        return
    foreign = (
        " It may be an Xinference that this collection did not install: save its models first (ansible-playbook "
        f"modelops.inference.capture -e capture_endpoint=http://127.0.0.1:{host.listens})."
        if "xinference" in port["by"]
        else ""
    )
    name = "xinference_worker_port" if host.part == WORKER else "xinference_port"
    yield f"port {host.listens} is in use by {port['by']}.{foreign} Stop it, or set {name}."


def _rights(host: Host) -> t.Iterator[str]:
    system, disk, user = host.found["system"], host.found["disk"], host.value("xinference_user")
    if not host.root and user and user != system["user"]:
        yield (
            f"running the service as {user} needs root, but the connection user is {system['user']}. Set become: true, or "
            'xinference_user: "" to run it as the connecting user.'
        )
    if disk["writable"]:
        return
    if host.root:
        yield (
            f"root may not write to {disk['path']}, where xinference_dir ({host.directory}) is: its file system is mounted read-only or "
            "refuses writes of root. Find the cause (dmesg), mount it writable (mount -o remount,rw), or set xinference_dir to another one."
        )
    else:
        yield (
            f"{system['user']} may not write to {disk['path']}, where xinference_dir ({host.directory}) must be created. Set become: true, "
            "or xinference_dir to a directory of that user."
        )


def _cards(host: Host) -> t.Iterator[str]:
    accelerator = host.found["accelerator"]
    if host.value("xinference_torch") == "auto" and accelerator["refusals"]:
        yield (
            f"its build of PyTorch is unknown: {'; '.join(accelerator['refusals'])}. Or set xinference_torch to the build."
        )
    # A worker that is named is another host.
    declared = [each for each in host.declared if each.get("gpu_memory") and "worker" not in each]
    uids = [str(each.get("uid")) for each in declared if each.get("state") != "absent"]
    if uids and accelerator["accelerator"] == "none" and host.part != SUPERVISOR:
        yield (
            f"gpu_memory needs a GPU, but this host has none to use, and {'model' if len(uids) == 1 else 'models'} {', '.join(uids)} would "
            "run on the CPU. Remove their gpu_memory, or declare them for a host with a GPU."
        )


def denied(host: Host) -> str:
    """Packages of the host that are known to be malicious, and the remedy; empty where there are none."""
    found = " ".join(each["text"] for each in host.found["denied"])
    return found and (
        f"{found} Treat all secrets that this host can read (keys, tokens, passwords, SSH keys) as stolen, and change them. The wanted "
        "release is rebuilt without it; remove other environments by hand."
    )
