# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""apt's sources as hosts have them, and which of them is the distribution's archive."""

from __future__ import annotations

import pytest

from ansible_collections.modelops.inference.plugins.module_utils._accelerator import apt_sources
from ansible_collections.modelops.inference.plugins.module_utils._accelerator.apt_sources import AptSource
from ansible_collections.modelops.inference.plugins.module_utils._accelerator.host import HostAccess

MIRROR = "http://mirror.example.com/debian"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f"deb {MIRROR} bookworm main", [AptSource(MIRROR, ("bookworm",), ("main",))]),
        (f"  deb\t{MIRROR}  bookworm main contrib # ours", [AptSource(MIRROR, ("bookworm",), ("main", "contrib"))]),
        (
            f"deb [arch=amd64,arm64 signed-by={KEYRING} trusted=yes] {MIRROR} bookworm main",
            [AptSource(MIRROR, ("bookworm",), ("main",), KEYRING)],
        ),
        (f"deb [ Signed-By={KEYRING} ] {MIRROR} ./", [AptSource(MIRROR, ("./",), (), KEYRING)]),
        (f"deb-src {MIRROR} bookworm main\n#deb {MIRROR} bookworm main\n\ndeb {MIRROR}", []),
        ("", []),
    ],
)
def test_one_line_format(text, found):
    assert apt_sources.lines(text) == found


KEY = "\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mDMEY865UxYJKwYBBAHaRw8BAQdA\n -----END PGP PUBLIC KEY BLOCK-----"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            f"Types: deb deb-src\nURIs: {MIRROR} http://other.example.com/debian\nSuites: bookworm bookworm-updates\n"
            f"Components: main\nSigned-By: {KEYRING}\n",
            [
                AptSource(url, ("bookworm", "bookworm-updates"), ("main",), KEYRING)
                for url in (MIRROR, "http://other.example.com/debian")
            ],
        ),
        (
            f"# Ours\ntypes: deb\n# Once http://old.example.com\nuris:\n {MIRROR}\nsuites: bookworm\ncomponents:\n main\n contrib\n",
            [AptSource(MIRROR, ("bookworm",), ("main", "contrib"))],
        ),
        (
            f"Types: deb\nURIs: {MIRROR}\nSuites: bookworm\nComponents: main\nSigned-By:{KEY}\n",
            [AptSource(MIRROR, ("bookworm",), ("main",), KEY)],
        ),
        (f"Enabled: no\nTypes: deb\nURIs: {MIRROR}\nSuites: bookworm\nComponents: main\n", []),
        (f"Types: deb-src\nURIs: {MIRROR}\nSuites: bookworm\nComponents: main\n", []),
        (
            f"\n\nTypes: deb\nURIs: {MIRROR}\nSuites: /\n\n\nTypes: deb\nURIs: {MIRROR}-security\nSuites: /\n\n",
            [AptSource(MIRROR, ("/",)), AptSource(f"{MIRROR}-security", ("/",))],
        ),
        ("", []),
    ],
)
def test_fields(text, found):
    assert apt_sources.deb822(text) == found


def test_all_files_of_a_host_without_the_roles_own(tmp_path):
    files = {
        "sources.list": f"deb {MIRROR}/ bookworm main\n",
        "sources.list.d/vendor.list": "deb https://vendor.example.com/deb/$(ARCH) /\n",
        "sources.list.d/other.sources": "Types: deb\nURIs: https://other.example.com/x/\nSuites: /\n",
        "sources.list.d/modelops-debian.sources": f"Types: deb\nURIs: {MIRROR}\nSuites: bookworm\nComponents: contrib\n",
        "sources.list.d/debian.sources.dpkg-old": f"Types: deb\nURIs: {MIRROR}\nSuites: bookworm\n",
    }
    for path, text in files.items():
        place = tmp_path / "etc/apt" / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    urls = [source.url for source in apt_sources.sources(HostAccess(str(tmp_path)), "aarch64")]
    assert urls == [MIRROR, "https://vendor.example.com/deb/arm64", "https://other.example.com/x"]
    assert apt_sources.sources(HostAccess(str(tmp_path / "none")), "x86_64") == []


THEIRS = AptSource("https://vendor.example.com", ("bookworm",), ("main",), "/etc/apt/keyrings/vendor.gpg")
OWN = AptSource(MIRROR, ("bookworm",), ("main",))


@pytest.mark.parametrize(
    ("found", "url", "suites"),
    [
        ([OWN], MIRROR, ["bookworm"]),
        ([OWN, AptSource(MIRROR, ("bookworm-updates",), ("main",))], MIRROR, ["bookworm", "bookworm-updates"]),
        ([AptSource(f"{MIRROR}-security", ("bookworm-security",), ("main",)), OWN], MIRROR, ["bookworm"]),
        # Of another builder, whose suites have the same names.
        ([THEIRS, OWN], MIRROR, ["bookworm"]),
        ([THEIRS, AptSource(MIRROR, ("bookworm", "bookworm-updates"), ("main",), "/k.gpg")], MIRROR, ["bookworm", "bookworm-updates"]),
        ([AptSource(MIRROR, ("trixie",), ("main",)), AptSource(MIRROR, ("bookworm",), ("contrib",))], "", ["bookworm", "bookworm-updates"]),
        ([], "", ["bookworm", "bookworm-updates"]),
    ],
)  # fmt: skip
def test_the_archive(found, url, suites):
    assert apt_sources.archive(found, "bookworm") == {"url": url, "suites": suites}


def test_a_distribution_without_a_name_has_no_archive():
    assert apt_sources.archive([OWN], "") == {"url": "", "suites": []}
