# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Directories of a service that ran as another user, by the options that a plan gives their module."""

from __future__ import annotations

import grp
import os
import pwd
import stat

import pytest

from ansible_collections.modelops.inference.plugins.plugin_utils._site.host_plan import HostPlan
from ansible_collections.modelops.inference.plugins.plugin_utils._site.steps import Run, calls


@pytest.fixture
def prepare(host, run_module, tmp_path):
    """``prepare(name, paths)``: the directories of a host are made, of which the reading found these to differ.

    The service's user is who runs this.
    """

    def run(name, paths):
        top = tmp_path / name
        variables = {
            "xinference_dir": str(top / "xinference"),
            "xinference_home": str(top / "home"),
            "xinference_models_dir": str(top / "models"),
            "xinference_user": pwd.getpwuid(os.geteuid()).pw_name,
            "xinference_group": grp.getgrgid(os.getegid()).gr_name,
        }
        plan = HostPlan.of(host(variables, found={"directories": {"differ": paths}}))
        for call in calls("directories", plan, Run(), {}):
            assert not run_module(call.module, call.options).failed
        return "directories" in plan.steps

    return run


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_directories_get_their_modes_and_what_is_in_them_keeps_its_own(prepare, tmp_path):
    top, outside = tmp_path / "moved", tmp_path / "outside"
    secrets = top / "xinference" / "reconciler"
    secrets.mkdir(parents=True)
    outside.mkdir()
    for path in (secrets / "password", outside / "file"):
        path.write_text("x")
        path.chmod(0o600)
    (secrets / "link").symlink_to(outside)
    # A directory on another disk.
    (tmp_path / "disk").mkdir()
    (top / "home").symlink_to(tmp_path / "disk")
    (top / "home" / "logs").mkdir(mode=0o700)
    outside.chmod(0o700)
    old = os.umask(0o077)
    try:
        assert prepare("moved", [str(top / "home")])
        assert not prepare("same", [])
    finally:
        os.umask(old)
    assert (mode(secrets / "password"), mode(outside), mode(outside / "file")) == (0o600, 0o700, 0o600)
    assert (mode(secrets), mode(tmp_path / "disk"), mode(tmp_path / "disk" / "logs")) == (0o755, 0o750, 0o700)
    for host in ("moved", "same"):
        made = [tmp_path / host / "xinference" / name for name in ("", "etc", "releases", "tools")]
        assert {mode(path) for path in made} == {0o755}
