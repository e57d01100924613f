# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    # The option of module_utils/_host/release/index.py: INDEX_OPTIONS.
    DOCUMENTATION = r"""
options:
  index:
    description: Sources of packages. Unset values come from pip's configuration on the host.
    type: dict
    default: {}
    suboptions:
      index_url:
        description: URL of a package index that replaces PyPI.
        type: str
      extra_index_urls:
        description: URLs of additional indexes.
        type: list
        elements: str
      find_links:
        description: Directories or pages that contain wheels.
        type: list
        elements: str
      constraints:
        description: Constraints for all packages that are installed on this host.
        type: list
        elements: str
      ca_path:
        description: Path of a certificate bundle (PEM).
        type: path
      proxy:
        description: URL of the proxy, with its scheme.
        type: str
      no_proxy:
        description: Comma-separated list of hosts to reach without the proxy.
        type: str
      trusted_hosts:
        description: Hosts whose certificates are not verified.
        type: list
        elements: str
      timeout:
        description: Time in seconds to wait for an answer of the index.
        type: int
      no_index:
        description: Whether to install packages from O(index.find_links) only.
        type: bool
      python_mirror:
        description:
          - URL, or path of a directory on this host, from which uv fetches a Python. It must contain the folders and files of
            python-build-standalone's releases. The default is uv's own source, or the source in uv's configuration on the host.
        type: str
      denied:
        description:
          - Packages that are never installed. V(name==version) denies one version, and V(name) denies all versions. Releases that are known
            to be malicious are always denied.
        type: list
        elements: str
"""
