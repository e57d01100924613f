# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The table of releases: which rules a version follows."""

from __future__ import annotations

import pytest

from ansible_collections.modelops.inference.plugins.module_utils._dify.api.releases import rules_of
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError

LONG = "langgenius/xinference/xinference"


@pytest.mark.parametrize(
    ("version", "provider", "named", "cookies", "encoded", "verb", "silent"),
    [
        ("0.4.0", "xinference", False, False, False, "GET", False),
        ("0.15.3", "xinference", False, False, False, "GET", False),
        ("0.15.8", "xinference", False, False, False, "GET", False),
        ("1.0.0-beta.1", LONG, False, False, False, "GET", True),
        ("1.0.0", LONG, False, False, False, "GET", True),
        ("1.7.2", LONG, False, False, False, "GET", True),
        ("1.8.0", LONG, True, False, False, "GET", True),
        ("1.9.1", LONG, True, False, False, "GET", True),
        ("1.9.2", LONG, True, True, False, "GET", True),
        ("1.10.0", LONG, True, True, False, "GET", False),
        ("1.10.1-fix.1", LONG, True, True, False, "POST", False),
        ("1.11.1", LONG, True, True, False, "POST", False),
        ("1.11.2", LONG, True, True, True, "POST", False),
        ("1.16.0-rc1", LONG, True, True, True, "POST", False),
        ("1.16", LONG, True, True, True, "POST", False),
        ("v1.12.1", LONG, True, True, True, "POST", False),
        ("7.0.0", LONG, True, True, True, "POST", False),
    ],
)
def test_rules_of_a_version(version, provider, named, cookies, encoded, verb, silent):
    release = rules_of(version)
    assert release.version == version
    assert release.provider == provider
    assert release.plugins == (provider == LONG)
    assert release.named_credentials == named
    assert release.cookies == cookies
    assert release.encoded_password == encoded
    assert release.workspace_verb == verb
    assert release.silent_plugin_errors == silent
    assert release.validator == ("plugin_daemon" if release.plugins else "api")


@pytest.mark.parametrize(
    ("version", "usable"),
    [("0.15.3", True), ("1.9.1", True), ("1.9.2", False), ("1.10.1-fix.1", False), ("1.11.0", True), ("1.16.0", True)],
)
def test_where_an_admin_key_works(version, usable):
    assert rules_of(version).admin_key is usable


@pytest.mark.parametrize(("version", "told"), [("0.15.3", False), ("1.3.1", False), ("1.4.0", True), ("1.16.0", True)])
def test_where_dify_tells_the_latest_version_of_a_plugin(version, told):
    assert rules_of(version).latest_plugins is told


@pytest.mark.parametrize("version", ["", "main", "nightly-1.9.2", "1", "1.9.2.3"])
def test_what_is_no_version_is_refused(version):
    with pytest.raises(ModelopsError, match="not a version number"):
        rules_of(version)


@pytest.mark.parametrize("version", ["2.0.0-beta.1", "v2.0.0-beta.2"])
def test_a_preview_with_a_number_that_misleads_is_refused(version):
    """It was before 1.9.2, whose login it does not have."""
    with pytest.raises(ModelopsError, match=r"published as 1\.9\.0"):
        rules_of(version)


def test_too_old_is_refused():
    with pytest.raises(ModelopsError, match=r"0\.3\.34 is too old"):
        rules_of("0.3.34")
