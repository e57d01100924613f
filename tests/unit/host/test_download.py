# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Downloads against a real server on loopback that breaks off, stalls, refuses, redirects and changes."""

from __future__ import annotations

import hashlib
import os
import random
import threading

import pytest
from weights_server import FileServer

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._host.weights import download
from ansible_collections.modelops.inference.plugins.module_utils._host.weights.download import (
    Clock,
    Part,
    SliceEnded,
    Web,
)
from ansible_collections.modelops.inference.plugins.module_utils._host.weights.sources import Source

CONTENT = random.Random(1).randbytes(3_000_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Over(Clock):
    """A slice that is over after each block."""

    over = True


def get(server, tmp_path, *, headers=None, clock=None, web=None):
    """Downloads with a fresh Part, as each execution of the module has it."""
    part = Part(str(tmp_path))
    (web or Web()).download(
        f"{server.url}/m.gguf", headers or {}, part, "m.gguf", clock or Clock(), lambda: str(part.size)
    )
    return part


@pytest.fixture
def model(server):
    server.files["/m.gguf"] = CONTENT
    return server


def content(part):
    with open(part.path, "rb") as file:
        return file.read()


def test_a_file_comes_whole_in_one_request(model, tmp_path):
    part = get(model, tmp_path)
    assert part.complete and content(part) == CONTENT
    assert len(model.requests) == 1 and model.asked("Accept-Encoding") == ["identity"]


def test_a_complete_part_is_not_asked_for_again(model, tmp_path):
    get(model, tmp_path)
    assert get(model, tmp_path).complete and len(model.requests) == 1


def test_what_broke_off_goes_on_where_it_was(model, tmp_path, pauses):
    model.break_after = [1_000_000, 1_500_000]
    assert content(get(model, tmp_path)) == CONTENT
    assert model.asked("Range") == [None, "bytes=1000000-", "bytes=2500000-"]
    assert model.asked("If-Range") == [None, '"1"', '"1"']
    assert pauses == [1, 1], "a mebibyte of progress starts a new row"


def test_another_execution_resumes(model, tmp_path):
    sizes = []
    for _dummy in range(1000):
        try:
            part = get(model, tmp_path, clock=Over())
            break
        except SliceEnded as exc:
            sizes.append(int(exc.line))
    assert content(part) == CONTENT
    assert sizes == sorted(sizes) and len(set(sizes)) == len(sizes) > 1 and sizes[-1] == len(CONTENT)


def test_a_failed_run_keeps_what_came_and_the_next_goes_on(model, tmp_path, pauses):
    model.break_after = [100_000]
    model.statuses = [None] + [503] * 6
    with pytest.raises(
        ModelopsError, match="503 Service Unavailable, 6 times in a row. The downloaded part is kept .3 %"
    ):
        get(model, tmp_path)
    assert pauses == [1, 2, 4, 8, 16]
    assert content(get(model, tmp_path)) == CONTENT and model.asked("Range")[-1] == "bytes=100000-"


def test_a_file_that_changed_meanwhile_begins_anew(model, tmp_path, pauses):
    with pytest.raises(SliceEnded):
        get(model, tmp_path, clock=Over())
    model.etag, model.files["/m.gguf"] = '"2"', CONTENT[::-1]
    assert content(get(model, tmp_path)) == CONTENT[::-1]


def test_a_part_beyond_the_end_begins_anew(model, tmp_path, pauses):
    with pytest.raises(SliceEnded):
        get(model, tmp_path, clock=Over())
    model.files["/m.gguf"] = CONTENT[:10]
    assert content(get(model, tmp_path)) == CONTENT[:10]


def test_another_part_than_asked_for_is_not_appended(model, tmp_path, pauses):
    model.break_after, model.wrong_range = [1000], True
    assert content(get(model, tmp_path)) == CONTENT
    assert model.asked("Range") == [None, "bytes=1000-", None]


def test_the_part_of_another_file_does_not_count(model, tmp_path):
    Part(str(tmp_path)).start("other", "", 5)
    assert content(get(model, tmp_path)) == CONTENT


def test_without_ranges_a_download_is_not_cut_into_slices(model, tmp_path, pauses):
    model.ranges, model.break_after = False, [1000]
    part = Part(str(tmp_path))
    with pytest.raises(SliceEnded):  # complete; only what follows is for the next slice
        Web().download(f"{model.url}/m.gguf", {}, part, "m.gguf", Over(), str)
    assert content(part) == CONTENT and len(model.requests) == 2


def test_without_a_length(model, tmp_path):
    model.length = model.ranges = False
    part = get(model, tmp_path)
    assert part.complete and content(part) == CONTENT and Web().size(f"{model.url}/m.gguf", {}) is None


def test_a_stall_is_an_interruption_however_long_the_rest_takes(model, tmp_path, pauses):
    model.stall, model.break_after = threading.Event(), [2_000_000]
    assert content(get(model, tmp_path, web=Web(timeout=0.5))) == CONTENT
    assert model.asked("Range") == [None, "bytes=2000000-"]


def test_a_stall_is_named(model, tmp_path, pauses):
    model.stall, model.break_after = threading.Event(), [0] * 6
    with pytest.raises(ModelopsError, match="m.gguf: no data arrived for 0 s, 6 times"):
        get(model, tmp_path, web=Web(timeout=0.2))


@pytest.mark.parametrize(
    "status, text", [(404, "404 Not Found. Check the URL"), (401, "source.headers"), (403, "source.headers")]
)
def test_what_no_retry_mends_is_said_at_once(model, tmp_path, status, text):
    model.statuses = [status]
    with pytest.raises(ModelopsError, match=text):
        get(model, tmp_path)
    assert len(model.requests) == 1


def test_nobody_there(tmp_path, pauses):
    with pytest.raises(ModelopsError, match="refused, 6 times in a row"):
        Web().download("http://127.0.0.1:9/x?token=s3cret", {}, Part(str(tmp_path)), "x", Clock(), str)


def test_a_query_is_not_repeated_in_a_message(model, tmp_path):
    with pytest.raises(ModelopsError) as caught:
        Web().download(f"{model.url}/no?token=s3cret", {}, Part(str(tmp_path)), "x", Clock(), str)
    assert "s3cret" not in str(caught.value)


def test_headers_go_to_their_own_server_only(model, tmp_path):
    elsewhere = FileServer()
    try:
        elsewhere.files["/far"] = CONTENT
        model.redirects = {"/m.gguf": "/near", "/near": f"{elsewhere.url}/far"}
        model.need = None
        assert get(model, tmp_path, headers={"Authorization": "Bearer s3cret", "x-token": "s3cret"}).complete
        assert model.asked("Authorization") == ["Bearer s3cret"] * 2
        assert elsewhere.asked("Authorization") == [None] and "s3cret" not in str(elsewhere.requests)
    finally:
        elsewhere.close()


def test_no_redirect_leaves_http(model, tmp_path):
    model.redirects = {"/m.gguf": "ftp://127.0.0.1/etc/passwd"}
    with pytest.raises(ModelopsError, match="neither http nor https"):
        get(model, tmp_path)


def test_a_proxy_is_used_unless_the_host_is_named(model, tmp_path, monkeypatch):
    """The test server answers as a proxy would: it is asked for the whole URL."""
    model.files["http://models.example.invalid/m.gguf"] = CONTENT
    part = Part(str(tmp_path))
    url = "http://models.example.invalid/m.gguf"
    Web(proxy=model.url).download(url, {}, part, "m", Clock(), str)
    assert part.complete
    monkeypatch.setenv("http_proxy", model.url)
    assert Web().size(url, {}) == len(CONTENT)
    monkeypatch.setattr(download, "ATTEMPTS", 1)
    for web in (Web(no_proxy="models.example.invalid"), Web(proxy=""), Web(proxy=model.url, no_proxy=".invalid")):
        with pytest.raises(ModelopsError, match="models.example.invalid"):
            web.size(url, {})
    assert len(model.requests) == 2


def test_a_bundle_that_is_not_there():
    with pytest.raises(ModelopsError, match="/no/such.pem cannot be read"):
        Web(ca_path="/no/such.pem")


def test_a_disk_that_fills_up(model, tmp_path, monkeypatch):
    def full(self, name, validator, total):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Part, "start", full)
    with pytest.raises(ModelopsError, match="cannot be written: No space left on device"):
        get(model, tmp_path)


# -- checksums -------------------------------------------------------------------------------------------------------


def source(server, checksum, **more):
    return Source.of({"url": f"{server.url}/m.gguf", "checksum": checksum, **more})


def test_a_wrong_checksum_deletes_what_came_and_names_both(model, tmp_path):
    part = get(model, tmp_path)
    with pytest.raises(ModelopsError) as caught:
        download.verify(part, "sha256", "0" * 64, "m.gguf")
    assert SHA256 in str(caught.value) and "0" * 64 in str(caught.value)
    assert os.listdir(tmp_path) == [] and not part.complete
    download.verify(get(model, tmp_path), "sha256", SHA256, "m.gguf")


@pytest.mark.parametrize(
    "text",
    [
        f"{SHA256}  m.gguf\n{'0' * 64}  other.gguf\n",
        f"# made by hand\n{SHA256.upper()} *dir/m.gguf\n",
        f"{SHA256}\n",
    ],
)
def test_files_of_checksums(model, text):
    model.files["/SHA256SUMS"] = text.encode()
    found = download.expected(source(model, f"sha256:{model.url}/SHA256SUMS", headers={"X-Token": "t"}), Web())
    assert found == ("sha256", SHA256) and model.asked("X-Token") == ["t"]


@pytest.mark.parametrize("text", ["", "<html>", f"{'0' * 64}  other.gguf", f"{'0' * 64}\n{'1' * 64}\n"])
def test_files_without_the_checksum(model, text):
    model.files["/SHA256SUMS"] = text.encode()
    with pytest.raises(ModelopsError, match="SHA256SUMS has no single sha256 for m.gguf"):
        download.expected(source(model, f"sha256:{model.url}/SHA256SUMS"), Web())


def test_a_token_for_the_weights_is_not_told_to_where_the_checksums_are(model):
    elsewhere = FileServer()
    try:
        elsewhere.files["/sums"] = SHA256.encode()
        found = download.expected(source(model, f"sha256:{elsewhere.url}/sums", headers={"X-Token": "s3cret"}), Web())
        assert found[1] == SHA256 and elsewhere.asked("X-Token") == [None]
    finally:
        elsewhere.close()


@pytest.mark.parametrize(
    "done, total, text",
    [
        (6_900_000_000, 16_400_000_000, "42 % (6.9 of 16.4 GB)"),
        (1_000_000, 3_000_000, "33 % (1.0 of 3.0 MB)"),
        (5_000_000, None, "5.0 MB"),
    ],
)
def test_amounts(done, total, text):
    assert download.amount(done, total) == text
