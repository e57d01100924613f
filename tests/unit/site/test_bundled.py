# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The contents of a bundle and its refusals: pure."""

from __future__ import annotations

import os

import pytest

from ansible_collections.modelops.inference.plugins.plugin_utils._site import bundled
from ansible_collections.modelops.inference.plugins.plugin_utils._site.release import HostRelease

SOURCE = {"url": "https://h/tiny.gguf", "checksum": "sha256:" + "a" * 64, "headers": {"X": "s3cret-token"}}
MODELS = [
    {"uid": "a", "source": SOURCE},
    {"uid": "b", "source": {"package": "all-minilm"}},
    {"uid": "c", "source": {"package": "old"}, "state": "absent"},
    {"uid": "d", "name": "qwen3"},
]
GIVEN = {"xinference_bundle": "/srv/bundle", "xinference_models": MODELS}
SAID = {"xinference_bundle_python": "3.12", "xinference_bundle_platform": "x86_64-manylinux_2_28"}
ASKED = {"system": {"python": "3.11.4", "platform": "aarch64-manylinux_2_36"}}


def refused(host, variables, found=None):
    return list(bundled.refusals(host({**GIVEN, **variables}, found=found, step="bundle")))


@pytest.mark.parametrize(
    ("variables", "python", "platform"),
    [({}, "3.11", "aarch64-manylinux_2_36"), (SAID, "3.12", "x86_64-manylinux_2_28")],
)
def test_a_bundle_is_for_python_and_platform_of_the_host(host, variables, python, platform):
    targets = [{"plugin": {"package": "/p/x.difypkg"}}, {"url": "http://d"}]
    asked = host({**GIVEN, **variables, "dify_targets": targets}, found=ASKED, step="bundle")
    wanted = bundled.BundleNeeds.of(asked)
    assert (wanted.environment["python"], wanted.environment["platform"]) == (python, platform)
    assert wanted.environment["id"] == HostRelease.of(asked).id and wanted.environment["range"] == ">=3.10,<3.14"
    assert wanted.environment["weights"] == ["all-minilm"] and wanted.environment["fetch_python"] is False
    assert wanted.sources == {"tiny-aaaaaaaaaaaa": SOURCE} and wanted.dify == ("/p/x.difypkg",)


def test_all_hosts_are_gathered_for_once(host):
    wanted = [
        bundled.BundleNeeds.of(host({**GIVEN, **each}, found=ASKED, step="bundle"))
        for each in ({}, {}, {"xinference_bundle_python": "3.13", "xinference_models": []})
    ]
    index = {"xinference_index": {"index_url": "https://i/simple"}}
    weights, bundle = bundled.calls(host({**GIVEN, **index}).settings, wanted)
    assert weights.options["path"] == "/srv/bundle/weights" and weights.options["sources"] == [SOURCE]
    assert [each["python"] for each in bundle.options["environments"]] == ["3.11", "3.13"]
    assert bundle.options["weights"] == ["tiny-aaaaaaaaaaaa"] and bundle.options["work"] == "/srv/bundle.work"
    assert bundle.options["index"] == {"index_url": "https://i/simple", "denied": []} == weights.options["index"]
    assert os.path.isfile(os.path.join(bundle.options["collection"], "galaxy.yml"))
    work = bundled.calls(host({**GIVEN, "xinference_bundle_work": "/w"}).settings, wanted)[1].options["work"]
    assert work == "/w"


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"xinference_bundle": ""}, "(it is '')."),
        ({"xinference_bundle": "bundle"}, "(it is 'bundle')."),
        ({"xinference_bundle": "/"}, "(it is '/')."),
        ({"xinference_bundle_on_host": True}, "(it is '/srv/bundle', and xinference_bundle_on_host is true"),
    ],
)
def test_a_bundle_is_a_directory_of_this_machine(host, variables, words):
    (said,) = refused(host, variables, ASKED)
    assert (
        said.startswith("xinference_bundle must be the absolute path of a directory on this machine") and words in said
    )


def test_a_host_that_does_not_answer_is_told_by_its_variables(host):
    away = host({**GIVEN, "xinference_torch": "auto"})
    away.found.clear()
    (said,) = bundled.refusals(away)
    assert said == (
        'the host does not answer, so its requirements are unknown. Set xinference_bundle_python (such as "3.11"), '
        "xinference_bundle_platform (such as x86_64-manylinux_2_28), xinference_torch (cpu, default, or a build such as cu126)."
    )
    told = host({**GIVEN, **SAID, "xinference_torch": "cu126"})
    told.found.clear()
    assert not [*bundled.refusals(told)] and bundled.BundleNeeds.of(told).environment["torch"] == "cu126"


def test_a_host_that_failed_stops_the_others():
    assert bundled.failed([]) == ""
    assert bundled.failed(["a", "b"]).startswith(
        "The bundle was not built, because a, b failed above. Correct this, or exclude them"
    )


@pytest.mark.parametrize(
    ("check", "changed", "text"),
    [
        (False, True, "/b: 3 files, 2 MB"),
        (True, False, "/b: 3 files, 2 MB, unchanged"),
        (True, True, "/b: 3 files, 2 MB; what differs:\n  + gather x\n  - remove y"),
    ],
)
def test_what_is_told_at_the_end(check, changed, text):
    made = {"files": 3, "bytes": 1_600_000, "changed": changed, "plan": ["+ gather x", "- remove y"]}
    assert bundled.told(made, "/b", check=check) == text
