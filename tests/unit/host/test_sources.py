# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._host.weights.sources import Source, path_of
from ansible_collections.modelops.inference.plugins.plugin_utils._site.weights import Weights

SHA = "sha256:" + "ab" * 32
URL = "https://models.example.com/dir/House-7b.Q4.gguf"


@pytest.mark.parametrize(
    "options, name, archive",
    [
        ({"package": "My_Model"}, "my-model", ""),
        ({"package": "my-model==1.0"}, "my-model-1.0", ""),
        ({"url": URL, "checksum": SHA}, "house-7b-q4-abababababab", ""),
        ({"url": "https://a/b/m.tar.gz", "checksum": SHA}, "m-abababababab", "tar"),
        ({"url": "https://a/b/m.TGZ?x=1", "checksum": SHA}, "m-abababababab", "tar"),
        ({"url": "https://a/b/m.tar.zst", "checksum": SHA}, "m-abababababab", "tar"),
        ({"url": "https://a/b/m.v1.zip", "checksum": SHA}, "m-v1-abababababab", "zip"),
        ({"url": "https://a/download?id=3", "checksum": SHA, "name": "Gemma 3"}, "gemma-3-abababababab", ""),
        ({"url": "https://a/", "checksum": SHA}, "weights-abababababab", ""),
        ({"file": "files/m.tar", "checksum": SHA}, "m-abababababab", "tar"),
    ],
)
def test_names_tell_the_contents(options, name, archive):
    source = Source.of(options)
    assert (source.name, source.archive) == (name, archive)


def test_the_same_weights_from_elsewhere_are_the_same():
    one = Source.of({"url": URL, "checksum": SHA, "headers": {"Authorization": "a"}})
    two = Source.of(
        {"url": "http://mirror/x/House-7b.Q4.gguf?t=9", "checksum": SHA.upper().replace("SHA", "sha"), "member": "m"}
    )
    assert one.name == two.name
    other = [
        {"url": URL, "checksum": "sha256:" + "cd" * 32},
        {"url": URL, "checksum": f"sha256:{URL}.sha256"},
        {"url": URL, "checksum": SHA, "archive": "zip"},
        {"file": "House-7b.Q4.gguf"},
        {"file": "dir/House-7b.Q4.gguf"},
    ]
    assert len({one.name, *(Source.of(options).name for options in other)}) == 6


def test_what_is_recorded_holds_no_secret():
    source = Source.of(
        {"url": f"{URL}?sig=s3cret", "checksum": f"sha256:{URL}.sum?sig=s3cret", "headers": {"Authorization": "s3cret"}}
    )
    assert source.record == {"url": URL, "checksum": f"sha256:{URL}.sum"} and "s3cret" not in source.label
    assert Source.of({"package": "a==1"}).record == {"package": "a==1"}
    assert Source.of({"file": "a.zip", "checksum": SHA}).record == {"file": "a.zip", "checksum": SHA}


@pytest.mark.parametrize(
    "options, why",
    [
        ({}, "one of package, url and file, not none"),
        ({"pakcage": "a"}, "one of package, url and file, not none"),
        ({"package": "a", "url": URL}, "not package and url"),
        ({"package": "a", "checksum": SHA, "name": "b"}, "that is a package must not have checksum or name"),
        ({"file": "a", "headers": {}}, "that is a file must not have headers"),
        ({"package": "a>=1"}, "'name' or 'name==version'"),
        ({"package": "../a"}, "'name' or 'name==version'"),
        ({"url": URL}, "House-7b.Q4.gguf needs a checksum"),
        ({"url": URL, "checksum": ""}, "needs a checksum"),
        ({"url": URL, "checksum": "md5:" + "a" * 32}, "needs a checksum"),
        ({"url": URL, "checksum": "sha256:abc"}, "not 'sha256:abc'"),
        ({"url": URL, "checksum": "sha256:ftp://a/b"}, "checksum must be an http"),
        ({"file": "a", "checksum": f"sha256:{URL}"}, "needs a checksum"),
        ({"url": "ftp://a/b", "checksum": SHA}, "an http or https URL"),
        ({"url": "file:///etc/passwd", "checksum": SHA}, "an http or https URL"),
        ({"url": "https://u:p4ssword@a/b", "checksum": SHA}, "on a contains a user or a password. Give headers"),
        ({"package": "a", "member": "../b"}, "a path inside the weights"),
        ({"package": "a", "member": "/b"}, "a path inside the weights"),
    ],
)
def test_what_can_mean_no_one_thing_is_refused(options, why):
    with pytest.raises(ModelopsError, match=why) as caught:
        Source.of(options)
    assert "p4ssword" not in str(caught.value)


def test_the_path_that_a_model_uses():
    one = {"directory": "/m/a", "path": "/m/a/x.gguf", "source": {}}
    found = {"a": one, "b": dict(one, several=["x.gguf", "y.gguf"])}
    assert path_of(found, Source.of({"package": "a"})) == "/m/a/x.gguf"
    assert path_of(found, Source.of({"package": "a", "member": "y.gguf"})) == "/m/a/y.gguf"
    assert path_of(found, Source.of({"package": "b", "member": "y.gguf"})) == "/m/a/y.gguf"
    assert path_of(found, Source.of({"package": "c"})) is None
    with pytest.raises(
        ModelopsError, match="several files that a model can use .x.gguf, y.gguf.. Name one as source.member"
    ):
        path_of(found, Source.of({"package": "b"}))


def test_what_a_role_asks_before_it_runs_anything():
    found = {name: {"directory": f"/m/{name}", "path": f"/m/{name}"} for name in ("a", "b", "c", "d", "e", "house")}
    models = [
        {"uid": "1", "source": {"package": "a"}},
        {"uid": "2", "source": {"package": "new"}},
        {"uid": "3", "source": {"package": "new"}},
        {"uid": "4", "source": {"package": "b"}, "state": "absent"},
        {"uid": "5", "path": "/m/c/model.gguf"},
        {"uid": "6", "lora": [{"name": "l", "path": "/m/d"}]},
        {"uid": "7", "path": "/m/hou"},
    ]
    weights = Weights.of(models, found)
    assert weights.lacking == {"new": {"package": "new"}} and weights.unused == ("b", "e", "house")
    assert len(weights.sources) == 3 and weights.paths == ("/m/c/model.gguf", "/m/d", "/m/hou")
    with pytest.raises(ModelopsError, match="^model '1': weights: https://.* needs a checksum"):
        Weights.of([{"uid": "1", "source": {"url": URL}}], {})
