# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""bin/site finds the playbook among the arguments of ansible-playbook."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SITE = Path(__file__).parents[3] / "bin/site"
# Says what it was given, in place of ansible-playbook.
SHOW = '#!/bin/sh\necho "quiet=$MODELOPS_QUIET"\nfor word in "$@"; do echo "$word"; done\n'


@pytest.fixture
def site(tmp_path):
    for name in ("bin", ".venv/bin", "playbooks"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("site.yml", "playbooks/remove.yml", "playbooks/rotate.yml", "x.yml"):
        (tmp_path / name).write_text("[]")
    shutil.copy(SITE, tmp_path / "bin/site")
    (tmp_path / "bin/_lib.sh").write_text(f"ROOT={tmp_path}\nVENV={tmp_path}/.venv\nmake_venv() {{ :; }}\n")
    show = tmp_path / ".venv/bin/ansible-playbook"
    show.write_text(SHOW)
    show.chmod(0o755)
    (tmp_path / ".venv/bin/python").symlink_to(sys.executable)

    def run(*words):
        done = subprocess.run(
            ["bash", tmp_path / "bin/site", *words], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        said = done.stdout.replace(f"{tmp_path}/", "").splitlines()
        return done.returncode, said[1:], done.stderr, said[:1] == ["quiet=1"]

    return run


@pytest.mark.parametrize(
    "words",
    [
        "-i x.yml",
        "--inventory x.yml",
        "--inv x.yml --check",
        "--inventory=x.yml",
        "-ix.yml",
        "-e x.yml",
        "-CDe x.yml",
        "--vault-password-file x.yml",
        "--check --diff -v",
        "--become --become-user x.yml",
        "-l gpu07 -t models --skip-tags x.yml",
    ],
)
def test_a_playbook_is_found_at_any_position(site, words):
    words = words.split()
    assert site(*words)[:2] == (0, ["site.yml", *words])
    for given in (["playbooks/remove.yml", *words], [*words, "playbooks/remove.yml"]):
        assert site(*given)[:2] == (0, ["playbooks/remove.yml", *words])


def test_quiet_may_stand_anywhere(site):
    for words in (["-q", "-i", "x"], ["-i", "x", "--quiet"]):
        code, said, _error, quiet = site(*words)
        assert code == 0 and said == ["site.yml", "-i", "x"] and quiet


def test_a_playbook_of_the_collection_has_a_name(site):
    assert site("modelops.inference.remove", "-C")[1] == ["modelops.inference.remove", "-C"]


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("playbooks/sites.yml", "Did you mean site.yml?"),
        ("remove", "Did you mean playbooks/remove.yml?"),
        ("playbooks/rotat.yaml", "Did you mean playbooks/rotate.yml?"),
        ("gpu07", "bin/site --help shows how to name one."),
    ],
)
def test_a_playbook_that_does_not_exist_is_one_line(site, name, advice):
    assert site("-C", name)[:3] == (2, [], f"bin/site: there is no playbook {name}. {advice}\n")
