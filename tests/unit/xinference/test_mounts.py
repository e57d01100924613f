# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.modelops.inference.plugins.module_utils._xinference.declaration import mounts

FSTAB = """
# /mnt/comment is no mount point
UUID=1 / ext4 defaults 0 1
nas:/models /mnt/models/ nfs4 ro,nofail 0 0
nas:/big /mnt/models/big nfs4 ro 0 0
nas:/with\\040space /mnt/a\\040b nfs ro 0 0
nas:/there /mnt/there nfs ro 0 0
UUID=2 none swap sw 0 0
"""


@pytest.mark.parametrize(
    "path, found",
    [
        ("/mnt/models/m.gguf", ("/mnt/models", "nas:/models")),
        ("/mnt/models/big/m", ("/mnt/models/big", "nas:/big")),
        ("/mnt/a b/m", ("/mnt/a b", "nas:/with space")),
        ("/mnt/there/m", None),
        ("/mnt/modelsother/m", None),
        ("/srv/m", None),
        ("/mnt/comment/m", None),
    ],
)
def test_what_is_not_mounted_above_a_path(tmp_path, path, found):
    (tmp_path / "fstab").write_text(FSTAB)
    (tmp_path / "mounts").write_text("/dev/sda1 / ext4 rw 0 0\nnas:/there /mnt/there nfs4 ro 0 0\n")
    assert mounts.unmounted(path, str(tmp_path / "fstab"), str(tmp_path / "mounts")) == found


def test_hosts_without_such_files(tmp_path):
    assert mounts.unmounted("/mnt/m", str(tmp_path / "no"), str(tmp_path / "no")) is None


def test_the_hint_says_what_to_do(monkeypatch):
    monkeypatch.setattr(mounts, "unmounted", lambda path: ("/mnt/m", "nas:/m"))
    assert mounts.hint("/mnt/m/x") == ": /mnt/m, where /etc/fstab has nas:/m, is not mounted (mount /mnt/m)"
    monkeypatch.setattr(mounts, "unmounted", lambda path: None)
    assert mounts.hint("/mnt/m/x") == ""
