# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether the llama.cpp of an environment computes on GPUs, by its files."""

from __future__ import annotations

import struct

import pytest

from ansible_collections.modelops.inference.plugins.module_utils._host.system import llama_cpp

# As xinference 4.1.0 has it, with other addresses.
MANAGER = """
XLLAMACPP_CUDA_INDEX_URLS: Dict[str, str] = {
    "cu132": "https://wheels.example.org/cu132",
    "cu128": "https://wheels.example.org/cu128",
}
"""


def library(sections, needed):
    """An ELF file with sections of these names, that needs these libraries."""
    strings = b"\0" + b"".join(name.encode() + b"\0" for name in (*sections, *needed))

    def at(name):
        return strings.index(b"\0" + name.encode() + b"\0") + 1

    dynamic = b"".join(struct.pack("<qQ", 1, at(name)) for name in needed) + struct.pack("<qQ", 0, 0)
    entries = [(0, 0, 0, 0, 0), (0, 3, 64, len(strings), 0), (0, 6, 64 + len(strings), len(dynamic), 1)]
    entries += [(at(name), 1, 64, 0, 0) for name in sections]
    table = b"".join(struct.pack("<IIQQQQIIQQ", n, kind, 0, 0, o, s, to, 0, 0, 0) for n, kind, o, s, to in entries)
    head = b"\x7fELF\x02\x01" + bytes(34) + struct.pack("<Q", 64 + len(strings) + len(dynamic)) + bytes(10)
    return head + struct.pack("<HHH", 64, len(entries), 1) + strings + dynamic + table


@pytest.fixture
def environment(tmp_path):
    """``environment(library, torch, manager)`` -> the directory of one with these files."""

    def make(library=None, torch="13.0", manager=MANAGER):
        files = {
            "torch/version.py": f"cuda: Optional[str] = {torch!r}\n",
            "xinference/core/virtual_env_manager.py": manager,
        }
        for name, text in {**files, "xllamacpp/xllamacpp.abi3.so": library}.items():
            if text is not None:
                path = tmp_path / "lib/python3.11/site-packages" / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(tmp_path)

    return make


@pytest.mark.parametrize(
    ("sections", "needed", "build"),
    [
        ([".text"], ["libm.so.6", "libgomp.so.1", "libc.so.6"], "cpu"),
        ([".text"], ["libm.so.6", "libcuda.so.1"], "cuda"),
        ([".text", ".nv_fatbin"], ["libm.so.6"], "cuda"),
        ([".hip_fatbin"], ["libm.so.6"], "rocm"),
        ([".text"], ["libamdhip64.so.7"], "rocm"),
        ([".text"], ["libvulkan.so.1"], "vulkan"),
    ],
)
def test_a_build_is_known_by_what_it_is_linked_with(sections, needed, build, environment):
    assert llama_cpp.describe(environment(library(sections, needed)))["build"] == build


def test_libraries_that_came_with_the_wheel_tell_it_too(environment, tmp_path):
    place = environment(library([".text"], ["libc.so.6"]))
    (tmp_path / "lib/python3.11/site-packages/xllamacpp.libs").mkdir()
    (tmp_path / "lib/python3.11/site-packages/xllamacpp.libs/libcudart-0a1b.so.13").touch()
    assert llama_cpp.describe(place)["build"] == "cuda"


def test_where_there_is_no_llama_cpp_there_is_no_build(environment, tmp_path):
    assert llama_cpp.describe(environment())["build"] == ""
    assert llama_cpp.describe(str(tmp_path / "nowhere")) == {}


@pytest.mark.parametrize(
    "text", [b"", b"MZ", b"\x7fELF\x02\x01", library([".text"], [])[:-64], library([".text"], [])[:90]]
)
def test_of_a_library_that_cannot_be_read_nothing_is_said(text, environment):
    assert llama_cpp.describe(environment(text)) == {}


@pytest.mark.parametrize(
    ("cuda", "name"),
    [
        ("13.0", "cu132"),
        ("13.2", "cu132"),
        ("12.9", "cu128"),
        ("12.8", "cu128"),
        ("12.6", ""),
        ("11.8", ""),
        (None, ""),
    ],
)
def test_xinference_has_builds_for_some_releases_of_cuda(cuda, name, environment):
    """By its get_xllamacpp_cuda_index_url (4.1.0)."""
    found = llama_cpp.describe(environment(torch=cuda))["index"]
    assert found == (f"https://wheels.example.org/{name}" if name else "")


def test_an_older_xinference_has_none(environment):
    assert llama_cpp.describe(environment(manager="import json\n"))["index"] == ""


@pytest.mark.parametrize("written", ['{"cu132": f"https://{HOST}/cu132"}', "{[]: 1}", "{1, 2}"])
def test_of_a_xinference_that_writes_it_otherwise_nothing_is_said(written, environment):
    assert llama_cpp.describe(environment(manager=f"XLLAMACPP_CUDA_INDEX_URLS = {written}\n")) == {}
