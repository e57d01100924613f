# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The server adds vision to a custom LLM by the name of its family. A text model that names such a family is told."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from servers.xinference.catalogue import VISION_FAMILIES

INVENTORIES = Path(__file__).resolve().parents[3] / "inventories"


def definition(family, abilities):
    return {"family": family, "context_length": 2048, "abilities": abilities}


def test_a_text_model_that_the_server_turns_into_a_vision_model_is_warned_of_once(apply, xinference, llm, warned):
    text = llm(definition=definition("gemma-3-it", ["chat"]))
    apply(xinference, [text])
    assert any(
        "the server adds the ability vision because of definition.family 'gemma-3-it'" in line for line in warned
    )
    warned.clear()
    apply(xinference, [text])
    assert not any("vision" in line for line in warned)


@pytest.mark.parametrize(("family", "abilities"), [("gemma-3-1b-it", ["chat"]), ("gemma-3-it", ["chat", "vision"])])
def test_nothing_is_said_where_the_family_is_as_declared(apply, xinference, llm, warned, family, abilities):
    apply(xinference, [llm(definition=definition(family, abilities))])
    assert not any("vision" in line for line in warned)


def definitions(found):
    """Every definition in what a file of variables holds."""
    if isinstance(found, dict):
        if isinstance(found.get("definition"), dict):
            yield found["definition"]
        for value in found.values():
            yield from definitions(value)
    elif isinstance(found, list):
        for value in found:
            yield from definitions(value)


def test_no_inventory_gives_a_text_model_a_family_that_sees():
    found = [
        definition
        for path in sorted(INVENTORIES.rglob("*.yml"))
        for document in yaml.safe_load_all(path.read_text())
        for definition in definitions(document)
    ]
    assert found
    wrong = [
        each
        for each in found
        if each.get("family") in VISION_FAMILIES and "vision" not in each.get("abilities", ["chat"])
    ]
    assert not wrong
