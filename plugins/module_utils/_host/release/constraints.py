# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bounds of packages that a release of Xinference needs and does not name. Private to the collection. Pure."""

from __future__ import annotations

import json
import re
import typing as t
from urllib.parse import unquote

from ansible_collections.modelops.inference.plugins.module_utils._host.release import denied

# Today's releases of these break old Xinference releases, which name no upper bound of their own: fastapi 0.137 answers
# 500 to everything (bounded by Xinference since 2.11), and transformers 5 breaks embeddings beside the peft<=0.17.1 that
# releases up to 3.0 ask for. Measured on 1.17.1 and 2.12.0; of 2.0, 2.11, 3.0, 3.1 and 3.2 the metadata was read.
BOUNDS = (((3, 1), ("fastapi<0.137", "transformers<5")),)
# Requirements whose packages are built for CUDA and would bring it with them.
CUDA_ONLY = ("vllm", "sglang", "mlx", "mlx-lm", "flashinfer-python", "xformers")
# Engines whose wheels the index gives for CUDA 13 only from this release on: a build of torch for CUDA 12 (drivers 525 to 579)
# cannot load them. vLLM 0.19 asks for torch 2.10 and NVIDIA's packages for CUDA 12, 0.20 for torch 2.11 and those for CUDA 13.
LAST_FOR_CUDA_12 = {"vllm": "vllm<0.20"}
# Packages beside torch that have builds for one kind of device. timm needs torchvision.
TORCH_FAMILY = {"torchvision": ("torchvision", "timm")}


def for_cuda(build: str, lines: t.Iterable[str]) -> list[str]:
    """Constraints of engines beside a build of torch; none where a line names a build of the engine for that CUDA by itself.

    :param lines: requirements and constraints, such as ``vllm==0.33.0+cu129`` of an index of one's own.
    """
    if not re.fullmatch(r"cu1[12]\d", build):
        return []
    # In a wheel's URL the + may be written as %2B.
    own = [line.replace(" ", "").lower() for line in map(unquote, lines) if re.search(r"\+cu1[12]", line)]
    return [bound for name, bound in LAST_FOR_CUDA_12.items() if not any(re.match(rf"{name}\W", line) for line in own)]


def model_environments(build: str, lines: t.Iterable[str], added: t.Iterable[t.Any] = ()) -> str:
    """A uv.toml for the service's directory, by which uv holds the same bounds where Xinference installs packages for a model.

    uv ignores UV_CONSTRAINT where it is given --constraint, as Xinference does in its first step (xoscar/virtualenv/uv.py), and
    UV_CONFIG_FILE would hide the host's own configuration, with which a uv.toml in the working directory is merged.

    :param build: the build of torch.  :param lines: requirements that may name a build by themselves, see `for_cuda`.
    :param added: what is denied beside the table.
    """
    bounds = [*for_cuda(build, lines), *denied.constraints(added).splitlines()]
    listed = "".join(f"  {json.dumps(line)},\n" for line in bounds)
    return f"# Managed by modelops.inference\nconstraint-dependencies = [\n{listed}]\n"


def numbers(version: str) -> tuple[int, ...]:
    """The first two numbers of a version, to compare it by."""
    return tuple(int(part) for part in re.findall(r"\d+", version)[:2])


def bounds(version: str) -> list[str]:
    """Constraints that a release of Xinference needs today."""
    for below, lines in BOUNDS:
        if numbers(version) < below:
            return list(lines)
    return []
