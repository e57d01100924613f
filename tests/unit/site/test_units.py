# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A % begins something else in a unit and in supervisord's configuration: the templates' values are escaped."""

from __future__ import annotations

import pytest
from test_refusals import refused


@pytest.mark.parametrize("name, value", [("xinference_cluster", "a%b"), ("xinference_metrics_host", "fe80::1%eth0")])
def test_what_may_have_one_is_escaped(name, value):
    assert refused({name: value}) == []
