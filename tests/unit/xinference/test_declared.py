# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The file of what is declared, as programs of different releases of the collection read it."""

from __future__ import annotations

import json

import pytest

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._xinference.declared import Declared, Store


def test_what_a_later_release_added_is_left_out(tmp_path):
    store = Store(str(tmp_path / "declared.json"))
    store.save(Declared(told={"LLM tiny": ["127.0.0.2:9998"]}))
    content = json.loads((tmp_path / "declared.json").read_text())
    (tmp_path / "declared.json").write_text(json.dumps({**content, "later": 1}))
    assert store.load() == Declared(told={"LLM tiny": ["127.0.0.2:9998"]})


def test_another_format_is_refused(tmp_path):
    (tmp_path / "declared.json").write_text('{"format": 2}')
    with pytest.raises(ModelopsError, match="another release"):
        Store(str(tmp_path / "declared.json")).load()
