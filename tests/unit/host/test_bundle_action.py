# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The action plugin: a bundle on the controller is compared first, then sent in pieces."""

from __future__ import annotations

import os
import shutil
import types

import pytest
from ansible.errors import AnsibleActionFail, AnsibleError
from test_bundle import DECLARED, made  # noqa: F401  # pylint: disable=unused-import

from ansible_collections.modelops.inference.plugins.action import xinference_bundle_files as action
from ansible_collections.modelops.inference.plugins.module_utils._host.bundle import bundle
from ansible_collections.modelops.inference.plugins.plugin_utils import _pieces, _progress


@pytest.fixture
def play(run_module, monkeypatch, tmp_path, made):  # noqa: F811
    """``play()`` -> result of the plugin; module and transfer happen in this process."""
    monkeypatch.setattr(_pieces, "PIECE", 30_000)
    monkeypatch.setattr(_progress.display, "display", lambda *_args, **_kwargs: None)
    monkeypatch.setattr(action.ActionBase, "run", lambda self, tmp=None, task_vars=None: {})
    (tmp_path / "remote").mkdir()

    def run(check=False, fail_after=None, **more):
        plugin = action.ActionModule.__new__(action.ActionModule)
        args = dict(bundle=str(made), path=str(tmp_path / "host"), release="4.1.0-x", declared=DECLARED, **more)
        plugin._task = types.SimpleNamespace(args=args, no_log=False, get_name=lambda: "Send the bundle")
        plugin._connection = types.SimpleNamespace(
            _shell=types.SimpleNamespace(tmpdir=str(tmp_path / "remote"), join_path=os.path.join)
        )
        run.sent = []

        def transfer(local, remote):
            run.sent.append(os.path.getsize(local))
            if fail_after is not None and len(run.sent) > fail_after:
                raise AnsibleError("connection lost")
            shutil.copy(local, remote)

        plugin._transfer_file = transfer
        plugin._fixup_perms2 = lambda paths: None
        plugin._execute_module = lambda module_name, module_args, task_vars: dict(
            run_module("xinference_bundle_files", module_args, check=check)
        )
        return plugin.run()

    return run


@pytest.mark.each_core("xinference_bundle_files")
def test_what_a_host_lacks_is_sent_and_a_second_run_sends_nothing(play, made, tmp_path):  # noqa: F811
    manifest = bundle.load(str(made))
    result = play(sources=[{"package": "tiny-gguf"}])
    assert result["changed"]
    assert bundle.wrong(str(tmp_path / "host"), {p: manifest["files"][p] for p in result["lacking"]}) == {}
    assert len(play.sent) > 1 and max(play.sent) <= 30_000
    again = play(sources=[{"package": "tiny-gguf"}])
    assert not again["changed"] and play.sent == []


def test_a_broken_run_goes_on(play, tmp_path):
    with pytest.raises(AnsibleError, match="connection lost"):
        play(fail_after=1)
    first = play.sent[0]
    play()
    assert not any(name.endswith(".part") for name in os.listdir(tmp_path / "host" / "wheels"))
    total = sum(
        os.path.getsize(os.path.join(place, name)) for place, _f, names in os.walk(tmp_path / "host") for name in names
    )
    assert sum(play.sent) == total - first


@pytest.mark.parametrize("check", [False, True])
def test_what_is_missing_or_altered_is_named_and_nothing_is_sent(play, made, tmp_path, check):  # noqa: F811
    (made / "wheels/a.whl").unlink()
    (made / "locks/x.txt").write_text("b==1\n")
    with pytest.raises(AnsibleActionFail, match="locks/x.txt is altered\n  wheels/a.whl is missing"):
        play(check=check)
    assert play.sent == []
    assert not (tmp_path / "host").exists()


def test_a_file_altered_on_the_host_comes_again(play, made, tmp_path):  # noqa: F811
    play()
    (tmp_path / "host/wheels/b.whl").write_text("x")
    result = play()
    assert result["lacking"] == ["wheels/b.whl"]
    assert play.sent == [os.path.getsize(made / "wheels/b.whl")]


def test_a_directory_that_is_no_bundle_is_refused(play, made):  # noqa: F811
    (made / "manifest.json").unlink()
    with pytest.raises(AnsibleActionFail, match="is not a bundle"):
        play()
