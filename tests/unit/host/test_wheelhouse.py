# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Packages that uv resolved become wheels in a directory and a lock with hashes."""

from __future__ import annotations

import hashlib
import json
import os
import sys

import pytest

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._host.bundle import wheelhouse
from ansible_collections.modelops.inference.plugins.module_utils._host.release.index import IndexSettings

A = b"wheel of a"
SHA_A = hashlib.sha256(A).hexdigest()


def wheel(name, sha256="0", url="https://index.example.com/files/"):
    return {"url": url + name, "hashes": {"sha256": sha256}}


def package(name, *wheels, version="1.0", **more):
    return {"name": name, "version": version, "wheels": [wheel(each) for each in wheels], **more}


@pytest.mark.parametrize(
    "names, best",
    [
        (["a-1-py3-none-any.whl", "a-1-cp311-cp311-manylinux_2_28_x86_64.whl"], 1),
        (["a-1-cp311-cp311-manylinux_2_28_x86_64.whl", "a-1-cp39-abi3-manylinux_2_28_x86_64.whl"], 0),
        (["a-1-cp39-abi3-manylinux_2_28_x86_64.whl", "a-1-cp311-abi3-manylinux_2_28_x86_64.whl"], 1),
        (
            [
                "a-1-cp311-cp311-manylinux_2_28_x86_64.whl",
                "a-1-cp311-cp311-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
            ],
            0,
        ),
    ],
)
def test_of_several_wheels_the_most_particular_is_taken(names, best):
    for order in (names, names[::-1]):
        (found,) = wheelhouse.distributions({"packages": [package("A_b", *order)]})
        assert (found.name, found.wheel.name) == ("a-b", names[best])


def test_a_source_only_distribution_has_no_wheel():
    (found,) = wheelhouse.distributions({"packages": [package("a", sdist=wheel("a-1.0.tar.gz"))]})
    assert found.wheel is None and found.sdist.name == "a-1.0.tar.gz"


@pytest.mark.parametrize(
    "source", [{"vcs": {"url": "https://git.example.com/mine"}}, {"version": "1", "archive": wheel("mine-1.tar.gz")}]
)
def test_what_comes_from_no_index_is_refused(source):
    with pytest.raises(ModelopsError, match="mine does not come from a package index"):
        wheelhouse.distributions({"packages": [{"name": "mine", **source}]})


@pytest.mark.parametrize("place", [{"url": "https://wheels.example.com/cu132/"}, {"path": "/srv/wheels/"}])
def test_a_wheel_that_a_requirement_names_by_its_url_is_carried(place):
    """As of a build of llama.cpp for GPUs, which has the version of the one for the CPU."""
    ((kind, start),) = place.items()
    name = "xllamacpp-2026.10-cp310-abi3-manylinux_2_35_x86_64.whl"
    archive = {kind: start + name, "hashes": {"sha256": "1"}}
    (found,) = wheelhouse.distributions({"packages": [{"name": "xllamacpp", "version": "2026.10", "archive": archive}]})
    assert (found.version, found.wheel, found.sdist) == ("2026.10", wheelhouse.IndexFile(name, start + name, "1"), None)


def test_name_of_a_file_comes_from_its_url_without_quoting():
    url = "https://index.example.com/torch-2.13.0%2Bcpu-cp311-cp311-linux_x86_64.whl"
    assert wheelhouse.IndexFile.of({"url": url}).name == "torch-2.13.0+cpu-cp311-cp311-linux_x86_64.whl"


def test_lock_is_a_requirements_file_with_hashes():
    assert (
        wheelhouse.lock_lines({"b": ("2", "22"), "a": ("1", "11")}) == "a==1 --hash=sha256:11\nb==2 --hash=sha256:22\n"
    )


class FakeTools:
    """uv as far as a wheelhouse asks it: resolves to a text, and builds a wheel of a name."""

    pip = (sys.executable,)

    def __init__(self, lock="", built="a-1.0-py3-none-any.whl"):
        self.lock, self.built, self.calls = lock, built, []

    def call(self, settings, words, what, **kwargs):
        self.calls.append(" ".join(words[:2]))
        if words[0] == "build":
            place = words[words.index("--out-dir") + 1]
            os.makedirs(place)
            with open(os.path.join(place, self.built), "wb") as file:
                file.write(A)
            return ""
        return self.lock


@pytest.fixture
def house(tmp_path):
    def make(tools=None, **settings):
        return wheelhouse.Wheelhouse(
            str(tmp_path / "bundle"), str(tmp_path / "work"), tools or FakeTools(), IndexSettings(**settings)
        )

    return make


def distribution(tmp_path, name="a-1.0-py3-none-any.whl", sha256=SHA_A, source=False):
    (tmp_path / name).write_bytes(A)
    file = wheelhouse.IndexFile(name, (tmp_path / name).as_uri(), sha256)
    return wheelhouse.Distribution("a", "1.0", None if source else file, file if source else None)


def test_a_wheel_is_gathered_once_and_mended_where_it_was_altered(house, tmp_path):
    place = tmp_path / "bundle/wheels/a-1.0-py3-none-any.whl"
    for before, replaced in ((None, set()), (A, set()), (b"altered", {"wheels/a-1.0-py3-none-any.whl"})):
        if before:
            place.write_bytes(before)
        one = house()
        assert one._gather([distribution(tmp_path)]) == ["wheels/a-1.0-py3-none-any.whl"]
        assert place.read_bytes() == A
        assert (one.gathered, one.replaced) == ({"wheels/a-1.0-py3-none-any.whl": SHA_A}, replaced)


def test_a_wheel_that_is_not_what_its_index_says_is_refused(house, tmp_path):
    with pytest.raises(ModelopsError, match="a-1.0-py3-none-any.whl: its sha256 is"):
        house()._gather([distribution(tmp_path, sha256="0" * 64)])
    assert not (tmp_path / "bundle/wheels/a-1.0-py3-none-any.whl").exists()


def test_a_source_is_built_once(house, tmp_path):
    tools = FakeTools()
    for _run in range(2):
        found = house(tools)._gather([distribution(tmp_path, "a-1.0.tar.gz", source=True)])
        assert found == ["wheels/a-1.0-py3-none-any.whl"]
    assert tools.calls == ["build --quiet"]


def test_a_source_that_is_not_pure_python_is_refused_by_name(house, tmp_path):
    tools = FakeTools(built="a-1.0-cp311-cp311-linux_x86_64.whl")
    with pytest.raises(ModelopsError, match="a 1.0 has no wheel for the platform.*remove what needs it"):
        house(tools)._gather([distribution(tmp_path, "a-1.0.tar.gz", source=True)])


def test_what_was_resolved_stays_so(house, tmp_path):
    path = (tmp_path / "a-1.0-py3-none-any.whl").as_uri()
    lock = f'[[packages]]\nname = "a"\nversion = "1.0"\nwheels = [{{ url = "{path}", hashes = {{ sha256 = "{SHA_A}" }} }}]\n'
    for text in (lock, ""):
        tools = FakeTools(text)
        (found,) = house(tools)._resolve(["--python-version", "3.11"], "r-", requirements=["a"], constraints=[])
        assert found.wheel.sha256 == SHA_A
        assert tools.calls == (["pip compile"] if text else [])
    assert house(FakeTools())._resolve(["--python-version", "3.12"], "r-", requirements=["a"], constraints=[]) == []


def test_a_password_of_an_index_goes_to_its_own_files_only(house):
    one = house(index_url="https://me:s%40fe@index.example.com/simple")
    assert one._address("https://index.example.com/files/a.whl")[1] == {"Authorization": "Basic bWU6c0BmZQ=="}
    assert one._address("https://other.example.com/a.whl")[1] == {}
    assert one._address("https://you:1@other.example.com/a.whl") == (
        "https://other.example.com/a.whl",
        {"Authorization": "Basic eW91OjE="},
    )


def test_the_python_that_hosts_fetch_comes_along_where_uv_looks_for_it(house, tmp_path):
    archive = tmp_path / "mirror/20261110/cpython-3.11.18+20261110-x86_64.tar.gz"
    archive.parent.mkdir(parents=True)
    archive.write_bytes(A)
    declared = {"python": "3.11", "platform": "x86_64-manylinux_2_28"}
    path = "python/20261110/cpython-3.11.18+20261110-x86_64.tar.gz"
    place = tmp_path / "bundle" / path
    tools = FakeTools(json.dumps([{"url": archive.as_uri().replace("+", "%2B")}]))
    for before, replaced in ((None, set()), (A, set()), (b"altered", {path})):
        if before:
            place.write_bytes(before)
        one = house(tools)
        assert one.interpreter(declared) == path
        assert place.read_bytes() == A and (one.gathered, one.replaced) == ({path: SHA_A}, replaced)
    with pytest.raises(
        ModelopsError, match="uv has no Python 3.11 for x86_64-manylinux_2_28.*xinference_bundle_python"
    ):
        house(FakeTools("[]")).interpreter(declared)
