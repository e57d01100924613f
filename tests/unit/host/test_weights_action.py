# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The action plugin: progress on the screen, and what lies on the controller in pieces."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import types

import pytest
from ansible.errors import AnsibleActionFail, AnsibleError

from ansible_collections.modelops.inference.plugins.action import xinference_weights as action
from ansible_collections.modelops.inference.plugins.plugin_utils import _pieces, _progress

DATA = random.Random(4).randbytes(2_500_000)
SHA = "sha256:" + hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def screen(monkeypatch):
    lines = []
    monkeypatch.setattr(_progress.display, "display", lambda line, *_args, **_kwargs: lines.append(line))
    return lines


@pytest.fixture
def play(run_module, monkeypatch, tmp_path):
    """``play([source, ...])`` -> result of the plugin; module and transfer happen in this process."""
    monkeypatch.setattr(_pieces, "PIECE", 400_000)
    monkeypatch.setattr(action.ActionBase, "run", lambda self, tmp=None, task_vars=None: {})
    (tmp_path / "files").mkdir()
    (tmp_path / "remote").mkdir()

    def run(sources, check=False, async_val=0, fail_after=None, **args):
        plugin = action.ActionModule.__new__(action.ActionModule)
        args = {"path": str(tmp_path / "m"), "sources": sources, **args}
        plugin._task = types.SimpleNamespace(
            args=args, async_val=async_val, no_log=False, get_name=lambda: "Fetch weights"
        )
        plugin._connection = types.SimpleNamespace(
            _shell=types.SimpleNamespace(tmpdir=str(tmp_path / "remote"), join_path=os.path.join)
        )
        run.sent = []

        def find(folder, name):
            path = tmp_path / folder / name
            if not path.exists():
                raise AnsibleError("not found")
            return str(path)

        def transfer(local, remote):
            run.sent.append(os.path.getsize(local))
            if fail_after is not None and len(run.sent) > fail_after:
                raise AnsibleError("connection lost")
            shutil.copy(local, remote)

        def execute(module_name, module_args, task_vars):
            run.executions += 1
            return dict(run_module(module_name.rsplit(".", 1)[1], module_args, check=check))

        run.executions = 0
        plugin._find_needle, plugin._transfer_file, plugin._execute_module = find, transfer, execute
        plugin._fixup_perms2 = lambda paths: None
        return plugin.run(task_vars={})

    return run


def test_a_download_is_seen(play, screen, server, monkeypatch):
    monkeypatch.setattr(action, "SLICE", 0)
    server.files["/m.gguf"] = DATA
    result = play([{"url": f"{server.url}/m.gguf", "checksum": SHA}])
    assert not result["failed"] and result["changed"] and not result["pending"]
    name = f"m-{SHA[7:19]}"
    # A line for each change of state, not for each execution.
    assert screen[0].startswith(f"  {name}  downloading ") and " of 2.5 MB)" in screen[0]
    assert screen[1:] == [f"  {name}  verifying", f"  {name}  fetched, 2.5 MB"]
    assert [line.strip() for line in screen] == [result["progress"][0], *result["progress"][-2:]]
    assert play.executions == len(result["progress"]) > 3
    assert result["plan"] == [f"+ fetch {name}"]


def test_a_run_that_changes_nothing_is_one_execution(play, screen, server):
    server.files["/m.gguf"] = DATA
    source = {"url": f"{server.url}/m.gguf", "checksum": SHA}
    play([source])
    screen.clear()
    assert not play([source])["changed"] and play.executions == 1 and screen == []


@pytest.mark.each_core("xinference_weights")
def test_a_file_of_the_controller(play, tmp_path, screen):
    (tmp_path / "files/tiny.gguf").write_bytes(DATA)
    result = play([{"file": "tiny.gguf", "checksum": SHA}])
    assert not result["failed"], result["msg"]
    (found,) = result["weights"].values()
    with open(found["path"], "rb") as file:
        assert file.read() == DATA
    assert found["path"].endswith(f"tiny-{SHA[7:19]}/tiny.gguf")
    assert play.sent == [400_000] * 6 + [100_000] and play.executions == 8
    assert [line.split("  ")[2][:27] for line in screen] == ["copying from the controller", "fetched, 2.5 MB"]


def test_a_directory_of_the_controller(play, tmp_path, screen):
    """Its files follow one another, so many small ones are one piece, and a large one several."""
    content = {"config.json": b"{}", "deep/w.bin": DATA, "empty": b"", "tokens.txt": b"t" * 300_000}
    for name, data in content.items():
        (tmp_path / "files/house" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "files/house" / name).write_bytes(data)
    result = play([{"file": "house"}])
    assert not result["failed"], result["msg"]
    (found,) = result["weights"].values()
    assert found["path"] == found["directory"] and found["source"] == {"file": "house"}
    for name, data in content.items():
        with open(os.path.join(found["path"], name), "rb") as file:
            assert file.read() == data, name
    assert sum(play.sent) == sum(map(len, content.values())) and max(play.sent) == 400_000


def test_a_connection_that_broke_off_goes_on(play, tmp_path, screen):
    (tmp_path / "files/tiny.gguf").write_bytes(DATA)
    source = {"file": "tiny.gguf", "checksum": SHA}
    with pytest.raises(AnsibleError, match="connection lost"):
        play([source], fail_after=3)
    assert not play([source])["failed"] and play.sent == [400_000] * 3 + [100_000]


def test_a_file_that_changed_meanwhile_begins_anew(play, tmp_path, screen):
    (tmp_path / "files/tiny.gguf").write_bytes(DATA)
    with pytest.raises(AnsibleError, match="connection lost"):
        play([{"file": "tiny.gguf"}], fail_after=3)
    (tmp_path / "files/tiny.gguf").write_bytes(DATA[::-1])
    result = play([{"file": "tiny.gguf"}])
    (found,) = result["weights"].values()
    with open(found["path"], "rb") as file:
        assert file.read() == DATA[::-1]
    assert sum(play.sent) == len(DATA)


def test_a_wrong_checksum(play, tmp_path, screen):
    (tmp_path / "files/tiny.gguf").write_bytes(DATA)
    result = play([{"file": "tiny.gguf", "checksum": "sha256:" + "0" * 64}])
    assert result["failed"] and "0" * 64 in result["msg"] and SHA[7:] in result["msg"]


def test_a_file_that_is_not_there(play, screen):
    result = play([{"file": "no.gguf"}])
    assert result["failed"] and "the controller has no file no.gguf" in result["msg"] and play.executions == 1


def test_check_mode_sends_nothing(play, tmp_path, screen):
    (tmp_path / "files/tiny.gguf").write_bytes(DATA)
    result = play([{"file": "tiny.gguf", "checksum": SHA}], check=True)
    assert result["changed"] and play.sent == [] and play.executions == 1 and not (tmp_path / "m").exists()


def test_async_is_refused(play):
    with pytest.raises(AnsibleActionFail, match="does not support async"):
        play([], async_val=60)
