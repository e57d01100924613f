# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The devices of an environment's llama.cpp, derived from its files. Private to the collection.

A package index has xllamacpp for the CPU only, and builds for GPUs have the same version. Xinference takes those from an index of
xllamacpp's own, but only into a model's virtual environment, and only for some releases of CUDA (core/virtual_env_manager.py).
"""

from __future__ import annotations

import ast
import contextlib
import glob
import os
import re
import struct
import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._host.system.shell import read_file

#: Prefixes of a library's sections, or of its dependencies, for each kind of device.
_MARKS = {
    "cuda": (".nv_fatbin", "libcuda.", "libcudart", "libcublas", "libggml-cuda"),
    "rocm": (".hip_fatbin", "libamdhip", "libhipblas", "librocblas", "libggml-hip"),
    "vulkan": ("libvulkan", "libggml-vulkan"),
}
_NEEDED, _DYNAMIC = 1, 6
_SECTION = struct.Struct("<IIQQQQIIQQ")


def describe(environment: str) -> dict[str, str]:
    """Its build of llama.cpp, and where Xinference takes one for this environment's CUDA from. Empty where nobody knows.

    :returns: {"build": "cpu", "cuda", "rocm", "vulkan", or "" where there is no llama.cpp; "index": "" where Xinference knows none}.
    """
    places = glob.glob(os.path.join(glob.escape(environment), "lib", "python*", "site-packages"))
    if not places:
        return {}
    # Of Xinference's source no release is bound to look as this one's.
    with contextlib.suppress(OSError, struct.error, ValueError, IndexError, SyntaxError, TypeError, AttributeError):
        manager = read_file(os.path.join(places[0], "xinference", "core", "virtual_env_manager.py")) or ""
        cuda = cuda_of(read_file(os.path.join(places[0], "torch", "version.py")) or "")
        return {"build": _build(places[0]), "index": index_for(manager, cuda)}
    return {}


def cuda_of(text: str) -> str:
    """Release of CUDA that a PyTorch was built for, by its version.py; "" where there is none."""
    match = re.search(r"^cuda\b[^=]*=\s*'([\d.]+)'", text, re.M)
    return match.group(1) if match else ""


def index_for(manager: str, cuda: str) -> str:
    """The index that Xinference takes xllamacpp for GPUs from, by its source and as its get_xllamacpp_cuda_index_url chooses.

    :param cuda: of this environment's PyTorch, such as 13.0.
    """
    found = re.search(r"^XLLAMACPP_CUDA_INDEX_URLS\b[^=]*=\s*(\{[^}]*\})", manager, re.M)
    wanted = [int(part) for part in re.findall(r"\d+", cuda)[:2]]
    if not found or not wanted:
        return ""
    best, chosen = -1, ""
    for name, url in ast.literal_eval(found.group(1)).items():
        digits = re.fullmatch(r"cu(\d\d)(\d)", name)
        minor = int(digits.group(2)) if digits and int(digits.group(1)) == wanted[0] else -1
        # Of CUDA 13 it takes the one build for every minor release.
        if best < minor and (wanted[0] >= 13 or minor <= (wanted + [0])[1]):
            best, chosen = minor, str(url)
    return chosen


def _build(site_packages: str) -> str:
    package = glob.escape(os.path.join(site_packages, "xllamacpp"))
    libraries = glob.glob(f"{package}/**/*.so*", recursive=True)
    if not libraries:
        return ""
    told = [os.path.basename(path) for path in glob.glob(f"{package}.libs/*")]
    for path in libraries:
        told += [os.path.basename(path), *marks(path)]
    return next((kind for kind, starts in _MARKS.items() if any(name.startswith(starts) for name in told)), "cpu")


def marks(path: str) -> list[str]:
    """Names of the sections of an ELF file, and of the libraries that it needs.

    :raises ValueError, struct.error, IndexError, OSError: it is none of 64 bits that can be read.
    """
    with open(path, "rb") as file:
        head = file.read(64)
        if head[:6] != b"\x7fELF\x02\x01":
            raise ValueError(f"{path} is not a 64-bit little-endian ELF file")
        (start,) = struct.unpack_from("<Q", head, 40)
        size, count, names = struct.unpack_from("<HHH", head, 58)
        file.seek(start)
        table = file.read(size * count)
        sections = [_SECTION.unpack_from(table, number * size) for number in range(count)]
        found = [_text(file, sections[names][4] + section[0]) for section in sections]
        for section in sections:
            if section[1] == _DYNAMIC:
                file.seek(section[4])
                entries = struct.iter_unpack("<qQ", file.read(section[5] // 16 * 16))
                at = [value for tag, value in entries if tag == _NEEDED]
                found += [_text(file, sections[section[6]][4] + value) for value in at]
        return found


def _text(file: t.BinaryIO, place: int) -> str:
    file.seek(place)
    return file.read(256).partition(b"\0")[0].decode(errors="replace")
