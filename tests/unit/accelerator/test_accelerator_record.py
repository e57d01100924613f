# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The record of what the role installed, and the repositories that it adds or takes out again."""

from __future__ import annotations

import json
import sys

import pytest

from ansible_collections.modelops.inference.plugins.module_utils._accelerator import record
from ansible_collections.modelops.inference.plugins.modules import accelerator_repositories as repositories

PLANNED = {"asked": ["/x"], "parts": [], "users": [], "packages": ["old"], "wanted": [], "held": ["old"], "files": []}


@pytest.mark.parametrize(
    ("there", "more", "expected"),
    [
        ({}, {}, {}),
        ({}, {"before": ["gcc"], "now": ["gcc", "new"]}, {"packages": ["new", "old"]}),
        # An installation that broke off brought nothing.
        ({}, {"before": ["gcc"], "now": ["gcc"]}, {}),
        # Entries of an earlier step of the run stay.
        ({"packages": ["new", "old"]}, {"held": ["new"]}, {"packages": ["new", "old"], "held": ["new"]}),
        ({"users": ["a"]}, {"users": ["b", "a"]}, {"users": ["a", "b"]}),
        ({"parts": ["driver", "firmware"]}, {"parts": ["driver"]}, {"parts": ["driver"]}),
        ({"parts": ["driver"]}, {}, {"parts": ["driver"]}),
        # A proof holds for what was there before.
        ({"proven": {"kind": "cuda"}, "asked": ["/y"]}, {}, {}),
    ],
)
def test_a_record_grows_with_each_step(there, more, expected):
    assert record.extended(PLANNED, there, **more) == {**PLANNED, **expected}


@pytest.mark.each_core("accelerator_record")
def test_a_record_is_written_and_removed(tmp_path, run_module):
    path = tmp_path / "modelops" / "accelerator.json"
    options = {"path": str(path), "planned": PLANNED, "now": ["new"]}
    assert run_module("accelerator_record", options, check=True).changed and not path.exists()
    assert run_module("accelerator_record", options).changed
    assert json.loads(path.read_text())["packages"] == ["new", "old"] and path.stat().st_mode & 0o777 == 0o644
    assert not run_module("accelerator_record", options).changed
    gone = {"path": str(path), "state": "absent"}
    assert run_module("accelerator_record", gone, check=True).changed and path.exists()
    assert run_module("accelerator_record", gone).changed and not path.parent.exists()
    assert not run_module("accelerator_record", gone).changed


def test_packages_that_an_installation_added_are_read_from_the_host(tmp_path, run_module):
    path, packages = tmp_path / "accelerator.json", tmp_path / "packages"
    packages.write_text("gcc\n")
    options = {"path": str(path), "planned": PLANNED, "list": ["cat", str(packages)]}
    listed = run_module("accelerator_record", {**options, "state": "listed"})
    assert listed["installed"] == ["gcc"] and not listed.changed and not path.exists()
    packages.write_text("gcc\nnew\n")
    assert run_module("accelerator_record", {**options, "before": listed["installed"]}).changed
    assert json.loads(path.read_text())["packages"] == ["new", "old"]


def test_a_directory_with_something_else_stays(tmp_path, run_module):
    (tmp_path / "accelerator.json").write_text("{")
    (tmp_path / "other").write_text("")
    assert run_module("accelerator_record", {"path": str(tmp_path / "accelerator.json"), "state": "absent"}).changed
    assert (tmp_path / "other").exists()


# Repositories


@pytest.fixture
def host(tmp_path):
    """``host(program, index program)`` -> options of the module, whose source was there before."""

    def made(check="", index="", **more):
        source, key = tmp_path / "nvidia.sources", tmp_path / "keyrings" / "nvidia.asc"
        source.write_text("before\n")
        told = {"about": "repository nvidia (https://mirror.example/)", "advice": "Check that the host reaches it"}
        run = [sys.executable, "-c"]
        return {
            "host": "gpu01",
            "keys": [{"path": str(key), "content": "a key\n", **told}],
            "sources": [{"path": str(source), "content": "after\n", "index": [*run, index] if index else [], **told}],
            "check": [*run, check] if check else [],
            "about": "the sources with those of nvidia",
            "advice": "Take out the source that contradicts",
            **more,
        }

    return made


FAILS = "import sys; sys.exit('Hit\\nE: Conflicting values set for option Signed-By.\\nmore')"


@pytest.mark.each_core("accelerator_repositories")
def test_repositories_are_added_once(host, tmp_path, run_module):
    counted = f"open({str(tmp_path / 'asked')!r}, 'a').write('x')"
    options = host(check="", index=counted)
    dry = run_module("accelerator_repositories", options, check=True)
    assert dry.changed and dry["diff"][1]["after"] == "after\n" and not (tmp_path / "asked").exists()
    assert (tmp_path / "nvidia.sources").read_text() == "before\n"
    assert run_module("accelerator_repositories", options).changed
    assert (tmp_path / "nvidia.sources").read_text() == "after\n"
    assert (tmp_path / "keyrings" / "nvidia.asc").read_text() == "a key\n"
    assert not run_module("accelerator_repositories", options).changed
    # Another key is a reason to ask again, an unchanged source none.
    options["keys"][0]["content"] = "another key\n"
    assert run_module("accelerator_repositories", options).changed and (tmp_path / "asked").read_text() == "xx"


@pytest.mark.parametrize(
    ("programs", "words"),
    [
        (
            {"check": FAILS},
            "gpu01: the sources with those of nvidia cannot be used: E: Conflicting values set for option Signed-By. Take out the source "
            "that contradicts. The host's sources are as they were.",
        ),
        (
            {"index": "import sys; sys.exit('Error: Failed to download metadata')"},
            "gpu01: repository nvidia (https://mirror.example/) cannot be used: Error: Failed to download metadata. Check that the host "
            "reaches it. The host's sources are as they were.",
        ),
        ({"index": "import sys; sys.exit('first\\nlast words.')"}, "cannot be used: last words. Check"),
    ],
)
def test_a_repository_that_cannot_be_used_leaves_what_was_there(host, tmp_path, run_module, programs, words):
    failed = run_module("accelerator_repositories", host(**programs))
    assert failed.failed and words in failed["msg"]
    assert (tmp_path / "nvidia.sources").read_text() == "before\n"
    assert not (tmp_path / "keyrings" / "nvidia.asc").exists()


def test_a_key_is_fetched_also_where_one_is_there(host, tmp_path, run_module, monkeypatch):
    asked = []

    def fetch(module, url, timeout, force):
        asked.append((url, force))
        return (
            (None, {"status": 404, "msg": "HTTP Error 404: Not Found"})
            if "gone" in url
            else (Answer(), {"status": 200})
        )

    class Answer:
        def read(self):
            return b"a fetched key\n"

    monkeypatch.setattr(repositories, "fetch_url", fetch)
    key = tmp_path / "keyrings" / "nvidia.asc"
    key.parent.mkdir()
    key.write_text("an old key\n")
    told = {"path": str(key), "about": "repository nvidia", "advice": "Name a mirror"}
    assert run_module("accelerator_repositories", host(keys=[{**told, "url": "https://a/key"}])).changed
    assert key.read_text() == "a fetched key\n" and asked == [("https://a/key", True)]
    failed = run_module("accelerator_repositories", host(keys=[{**told, "url": "https://gone/key"}]))
    assert (
        "repository nvidia cannot be used: https://gone/key: HTTP Error 404: Not Found. Name a mirror." in failed["msg"]
    )
    assert key.read_text() == "a fetched key\n"
