# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One host gives its weights to another: two directories, a real process between them, on loopback."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import attacker
import pytest

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._host.weights import download, seed, weights

SHARD = random.Random(3).randbytes(2_000_000)
MODULE = "ansible_collections.modelops.inference.plugins.module_utils._host.weights.seed"


def wait_for(condition, seconds=10):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.05)


def listens(url):
    host, colon, port = url.rpartition("//")[2].partition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


@pytest.fixture
def give(tmp_path):
    """``give(names)`` -> what a peer needs. Started in a process of its own, as Ansible runs a module."""
    near = tmp_path / "seed"

    def start(names, address="127.0.0.1", port=0, **constants):
        token = secrets.token_hex()
        code = f"import json, sys; from {MODULE.rpartition('.')[0]} import seed; "
        code += "".join(f"seed.{name} = {value!r}; " for name, value in constants.items())
        code += "print(json.dumps(seed.start(*json.loads(sys.argv[1]))))"
        # The pipes end when the module ends: what it leaves behind must not hold them.
        done = subprocess.run(
            [sys.executable, "-c", code, json.dumps([str(near), names, address, port, token])],
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        )
        return dict(json.loads(done.stdout), token=token)

    yield start
    seed.stop(str(near))


@pytest.fixture
def near(tmp_path):
    """The first host: a model of several files, one of them empty, one with a name that a URL has to escape."""
    near = tmp_path / "seed"
    draft = weights.Workplace(str(near), "house-1")
    os.makedirs(os.path.join(draft.tree, "deep er"))
    for name, data in {"config.json": b"{}", "empty": b"", "deep er/w#1.bin": SHARD, "z.bin": SHARD[::-1]}.items():
        with open(os.path.join(draft.tree, name), "wb") as file:
            file.write(data)
    draft.finish(draft.tree, {"package": "house==1"})
    (near / "secret").write_text("not to be given")
    return near


@pytest.fixture
def take(tmp_path, run_module, monkeypatch):
    """The other host: runs the module with what the seed returned."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")

    def run(given, **more):
        return run_module(
            "xinference_weights",
            dict(path=str(tmp_path / "peer"), sources=[{"package": "house==1"}], seed=given, **more),
        )

    return run


def same(near, tmp_path):
    def content(directory):
        return {
            os.path.relpath(os.path.join(place, name), directory): hashlib.sha256(
                open(os.path.join(place, name), "rb").read()
            ).hexdigest()
            for place, _folders, names in os.walk(directory)
            for name in names
            if name != weights.RECORD
        }

    return content(near / "house-1") == content(tmp_path / "peer/house-1")


def test_links_inside_are_given_as_what_they_lead_to(near, give, take, tmp_path):
    (near / "house-1" / "link.bin").symlink_to("deep er/w#1.bin")
    (near / "house-1" / "folder").symlink_to("deep er")
    assert not take(give(["house-1"])).failed
    peer = tmp_path / "peer" / "house-1"
    assert (peer / "link.bin").read_bytes() == SHARD and not (peer / "link.bin").is_symlink()
    assert sorted(os.listdir(peer)) == ["config.json", "deep er", "empty", "link.bin", "source.json", "z.bin"]


@pytest.mark.parametrize("kind", ["link", "through a directory", "pipe"])
def test_what_does_not_belong_to_the_weights_is_refused_before_anything_is_given(near, tmp_path, kind):
    """As an earlier release of this collection may have left it."""
    odd = near / "house-1" / "odd"
    if kind == "pipe":
        os.mkfifo(odd)
    elif kind == "link":
        odd.symlink_to(attacker.secret(tmp_path / "outside"))
    else:
        attacker.secret(near / "house-1-evil")
        odd.symlink_to("../house-1-evil/secret")
    with pytest.raises(
        ModelopsError,
        match="odd is not distributed to other hosts: it (links to a place outside|is not a regular file)[.] Remove",
    ):
        seed.manifest(str(near), ["house-1"])


def test_a_user_who_swaps_what_is_served(near, give, tmp_path):
    outside = attacker.secret(tmp_path / "outside").parent
    (outside / "w#1.bin").write_text(attacker.SECRET)
    given = give(["house-1"])
    attacker.owns(near / "house-1")
    served = set()

    def ask(path):
        request = urllib.request.Request(
            f"{given['url']}/house-1/{path}", headers={"Authorization": f"Bearer {given['token']}"}
        )
        with contextlib.suppress(OSError), urllib.request.urlopen(request, timeout=10) as answer:
            served.add(answer.read())

    with (
        attacker.swaps(near / "house-1/config.json", outside / "secret"),
        attacker.swaps(near / "house-1/deep er", outside),
    ):
        for _number in attacker.times(0.9):
            ask("config.json")
            ask("deep%20er/w%231.bin")
    assert served and served <= {b"{}", SHARD}


def test_a_peer_gets_what_the_seed_has(near, give, take, tmp_path):
    result = take(give(["house-1"]))
    assert not result.failed, result["msg"]
    assert result["plan"] == ["+ fetch house-1"] and same(near, tmp_path)
    assert result["weights"] == {
        "house-1": {
            "source": {"package": "house==1"},
            "path": str(tmp_path / "peer/house-1"),
            "directory": str(tmp_path / "peer/house-1"),
        }
    }
    assert os.listdir(tmp_path / "peer") == ["house-1"]


def test_it_ends_when_it_is_told_so_and_leaves_nothing(near, give):
    given = give(["house-1"])
    assert listens(given["url"]) and os.stat(near / seed.STATE).st_mode & 0o777 == 0o600
    assert seed.stop(str(near))
    wait_for(lambda: not listens(given["url"]))
    assert sorted(os.listdir(near)) == ["house-1", "secret"] and not seed.stop(str(near))


@pytest.mark.parametrize("bound", [{"IDLE": 0.5}, {"LIFETIME": 0.5}])
def test_it_ends_by_itself(near, give, bound):
    given = give(["house-1"], **bound)
    wait_for(lambda: not listens(given["url"]))
    wait_for(lambda: not (near / seed.STATE).exists())


def test_starting_another_ends_the_one_before(near, give):
    one, two = give(["house-1"]), give(["house-1"])
    assert one["token"] != two["token"]
    wait_for(lambda: not listens(one["url"]))
    assert listens(two["url"]) and two["token"] in (near / seed.STATE).read_text()


def test_a_fixed_port_can_be_used_again(near, give):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for _dummy in range(3):
        assert give(["house-1"], port=port)["url"] == f"http://127.0.0.1:{port}"


def test_a_port_that_is_taken_is_named(near):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ModelopsError, match="cannot listen on 127.0.0.1:"):
            seed.start(str(near), ["house-1"], "127.0.0.1", taken.getsockname()[1], "t")


def ask(url, token="", method="GET", **headers):
    request = urllib.request.Request(url, method=method, headers={"Authorization": f"Bearer {token}", **headers})
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as exc:
        return exc.code, exc.read()


def test_only_the_files_of_the_manifest_and_only_with_the_token(near, give):
    given = give(["house-1"])
    file, token = f"{given['url']}/house-1/z.bin", given["token"]
    assert ask(file) == ask(file, "x") == ask(given["url"], "x", "DELETE") == (403, b"")
    assert ask(file, token) == (200, SHARD[::-1])
    assert ask(file, token, Range="bytes=1999990-") == (206, SHARD[::-1][-10:])
    assert ask(file, token, Range="bytes=1999990-", **{"If-Range": '"other"'})[0] == 200
    assert ask(file, token, Range="bytes=2000000-")[0] == 416
    for path in ("/secret", "/house-1/../secret", "/house-1/source.json", "/", "//etc/passwd", "/house-1"):
        assert ask(given["url"] + path, token)[0] == 404
    assert listens(given["url"])


def test_weights_that_are_not_complete_are_not_given(near):
    os.unlink(near / "house-1" / weights.RECORD)
    with pytest.raises(ModelopsError, match="house-1 are not on this host"):
        seed.start(str(near), ["house-1"], "127.0.0.1", 0, "t")


def test_a_peer_that_was_interrupted_goes_on(near, give, take, tmp_path):
    """Slices of no length: each execution takes at least a block of one file."""
    given = give(["house-1"])
    result, seen = take(given, wait=0), []
    while result["pending"]:
        seen += result["progress"]
        if len(seen) == 3:
            # The run that broke off is repeated: another process, another token, another port.
            given = give(["house-1"])
        result = take(given, wait=0, resume=result["resume"])
        assert not result.failed, result["msg"]
    assert same(near, tmp_path) and len(seen) > 3 and seen[-1] == "house-1  verifying"
    assert seen[0].startswith("house-1  copying from 127.0.0.1 0 % (0.0 of 4.0 MB)")


def test_a_seed_that_dies_and_one_that_comes_back(near, give, take, tmp_path, pauses):
    given = give(["house-1"])
    first = take(given, wait=0)
    assert first["pending"]
    seed.stop(str(near))
    wait_for(lambda: not listens(given["url"]))
    dead = take(given)
    assert dead.failed and "refused, 6 times in a row" in dead["msg"] and not (tmp_path / "peer/house-1").exists()
    kept = weights.footprint(str(tmp_path / "peer"), "house-1")
    assert kept > 0 and not take(give(["house-1"])).failed and same(near, tmp_path)


def test_a_seed_that_is_killed_in_the_middle(near, give, take, tmp_path, pauses, monkeypatch):
    """A real SIGKILL of the process that serves, between two blocks of one file."""
    given = give(["house-1"])
    (pid,) = [
        int(process)
        for process in os.listdir("/proc")
        if process.isdigit() and str(near).encode() in read(f"/proc/{process}/cmdline")
    ]
    stream = download.Web._stream

    def killing(self, url, headers, part, name):
        for item in stream(self, url, headers, part, name):
            if name.startswith("z.bin ") and part.total:
                os.kill(pid, signal.SIGKILL)
                monkeypatch.setattr(download.Web, "_stream", stream)
                raise download.ConnectionLost("connection reset")
            yield item

    monkeypatch.setattr(download.Web, "_stream", killing)
    dead = take(given)
    assert dead.failed and "z.bin" in dead["msg"] and "6 times in a row" in dead["msg"]
    assert not take(give(["house-1"])).failed and same(near, tmp_path)


def read(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def test_what_was_changed_on_the_way_is_refused(near, give, take, tmp_path):
    given = give(["house-1"])
    with open(near / "house-1/z.bin", "r+b") as file:
        file.write(b"evil")
    result = take(given)
    assert result.failed and "z.bin: its sha256 is" in result["msg"] and not (tmp_path / "peer/house-1").exists()
    with open(near / "house-1/z.bin", "wb") as file:
        file.write(SHARD[::-1])
    assert not take(give(["house-1"])).failed and same(near, tmp_path)


def test_other_weights_of_the_same_name_begin_anew(near, give, take, tmp_path):
    assert take(give(["house-1"]), wait=0)["pending"]
    with open(near / "house-1/config.json", "wb") as file:
        file.write(b"[]")
    assert not take(give(["house-1"])).failed and same(near, tmp_path)


def test_a_peer_trusts_no_path(give, near, take, tmp_path):
    given = give(["house-1"])
    given["weights"]["house-1"]["files"][0]["path"] = "../evil"
    result = take(given)
    assert result.failed and "names a file outside the weights" in result["msg"]


def test_what_the_seed_does_not_have_comes_from_its_source(near, give, take, tmp_path, run_module):
    result = run_module(
        "xinference_weights",
        dict(path=str(tmp_path / "peer"), sources=[{"package": "house==1"}, {"package": "x"}], seed=give(["house-1"])),
    )
    assert result.failed and "needs the options base" in result["msg"] and result.changed and same(near, tmp_path)


@pytest.mark.each_core("xinference_weights_seed")
def test_the_module(near, run_module, monkeypatch):
    started = {"url": "u", "weights": {}}
    monkeypatch.setattr(seed, "start", lambda *args: calls.append(args) or started)
    calls = []
    args = dict(path=str(near), names=["house-1"], address="127.0.0.1", port=7, token="s3cret-token")
    checked = run_module("xinference_weights_seed", args, check=True)
    assert checked["plan"] == ["+ serve house-1"] and calls == []
    assert checked["seed"] == {"url": "", "weights": {"house-1": {"files": []}}}
    assert run_module("xinference_weights_seed", args)["seed"] == started
    assert calls == [(str(near), ["house-1"], "127.0.0.1", 7, "s3cret-token")]
    ended = run_module("xinference_weights_seed", dict(path=str(near), state="absent"))
    assert not ended.changed and ended["plan"] == []
    assert run_module("xinference_weights_seed", dict(path=str(near))).failed
