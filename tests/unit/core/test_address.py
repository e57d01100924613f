# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where a server is, as others see it: pure."""

from __future__ import annotations

import pytest

from ansible_collections.modelops.inference.plugins.module_utils._address import server_url


@pytest.mark.parametrize(
    ("bind", "names", "expected"),
    [
        ("10.1.2.3", ["gpu01", "10.9.9.9"], "http://10.1.2.3:9997"),
        ("127.0.0.1", ["gpu01", "10.9.9.9"], "http://127.0.0.1:9997"),
        ("xinference.example.com", ["gpu01", ""], "http://xinference.example.com:9997"),
        ("0.0.0.0", ["gpu01", "10.9.9.9"], "http://gpu01:9997"),
        ("0.0.0.0", ["localhost", "10.9.9.9"], "http://10.9.9.9:9997"),
        ("::", ["127.0.1.1", "10.9.9.9"], "http://10.9.9.9:9997"),
        ("0.0.0.0", ["::1", "fd00::1"], "http://[fd00::1]:9997"),
        ("0.0.0.0", ["localhost", ""], "http://localhost:9997"),
        ("0.0.0.0", ["", ""], "http://localhost:9997"),
        ("fd00::1", ["gpu01"], "http://[fd00::1]:9997"),
        ("[fd00::1]", ["gpu01"], "http://[fd00::1]:9997"),
    ],
)
def test_url_of_a_server(bind, names, expected):
    assert server_url(bind, 9997, names) == expected
