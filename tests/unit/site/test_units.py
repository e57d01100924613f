# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A % begins something else in a unit and in supervisord's configuration, so none gets there as it is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from test_refusals import refused

TEMPLATES = Path(__file__).resolve().parents[3] / "roles"
#: What the roles find out themselves: parts, paths below refused ones, and names of the host's groups.
FOUND = {"_xinference_part", "_xinference_groups", "_xinference_loopback", "xinference_found"}
# Those of role xinference get their values from _site/service.py, see test_service.py.
UNITS = [
    path for kind in ("service", "timer", "conf") for path in sorted(TEMPLATES.glob(f"models/templates/*.{kind}.j2"))
]


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_no_value_puts_a_percent_into_a_unit(path):
    text = re.sub(r"{% filter replace\('%', '%%'\) %}.*?{% endfilter %}", "", path.read_text(), flags=re.DOTALL)
    assert "{% include" not in text
    written = [each for each in re.findall(r"{{(.*?)}}", text, re.DOTALL) if "replace('%', '%%')" not in each]
    names = {name for each in written for name in re.findall(r"\b_?(?:xinference|models|accelerator|dify)_\w+", each)}
    assert names - FOUND
    for name in names - FOUND:
        assert refused({name: "/a%b"}) and refused({name: "a%b"}), name


@pytest.mark.parametrize("name, value", [("xinference_cluster", "a%b"), ("xinference_metrics_host", "fe80::1%eth0")])
def test_what_may_have_one_is_escaped(name, value):
    assert refused({name: value}) == []
