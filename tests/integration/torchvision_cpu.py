# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A stand-in for the CPU build of torchvision, for indexes that hold only its CUDA build.

Xinference before 3.0 imports torchvision when it starts, and the CUDA build does not import beside a CPU torch. Hosts
get the CPU build from PyTorch's index or a mirror; here its Python code is packed again without the compiled operators,
which neither Xinference nor the demo models call.

    python torchvision_cpu.py UV ENVIRONMENT DIRECTORY

puts the wheel that fits the torch of ENVIRONMENT into DIRECTORY.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

# Symbols that the package expects of its compiled part on import.
OPERATORS = """
import torch as _torch
_library = _torch.library.Library("torchvision", "DEF")
for _name in ("nms", "qnms"):
    _library.define(_name + "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
"""


def main(uv: str, environment: str, directory: str) -> None:
    python = f"{environment}/bin/python"
    asked = [python, "-c", "from importlib.metadata import version; print(version('torch'))"]
    torch = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    with tempfile.TemporaryDirectory() as work:
        source, unpacked = Path(work, "in"), Path(work, "unpacked")
        source.write_text(f"torchvision\ntorch=={torch}\n")
        compiled = subprocess.run(
            [uv, "pip", "compile", "-q", "--no-header", "--no-annotate", "--python", python, source],
            capture_output=True,
            text=True,
            check=True,
        )
        pin = next(line for line in compiled.stdout.splitlines() if line.startswith("torchvision=="))
        # Copies: what is changed below must not be uv's cache.
        flags = ["-q", "--no-deps", "--link-mode", "copy", "--target", unpacked, "--python", python]
        subprocess.run([uv, "pip", "install", *flags, pin], check=True)
        version = pin.partition("==")[2]
        (unpacked / "torchvision" / "extension.py").open("a").write(OPERATORS)
        info = unpacked / f"torchvision-{version}+cpu.dist-info"
        (unpacked / f"torchvision-{version}.dist-info").rename(info)
        metadata = (info / "METADATA").read_text().replace(f"\nVersion: {version}\n", f"\nVersion: {version}+cpu\n")
        (info / "METADATA").write_text(metadata)
        (info / "WHEEL").write_text("Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        files = [
            path.relative_to(unpacked)
            for name in ("torchvision", info.name)
            for path in (unpacked / name).rglob("*")
            if path.is_file() and path.suffix not in (".so", ".pyc") and path.name != "RECORD"
        ]
        Path(directory).mkdir(parents=True, exist_ok=True)
        wheel = Path(directory, f"torchvision-{version}+cpu-py3-none-any.whl")
        with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in files:
                archive.write(unpacked / path, path)
            archive.writestr(f"{info.name}/RECORD", "".join(f"{path},,\n" for path in [*files, f"{info.name}/RECORD"]))


if __name__ == "__main__":
    main(*sys.argv[1:])
