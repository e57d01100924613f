# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    # The option of module_utils/_host/release/index.py: INDEX_OPTIONS.
    DOCUMENTATION = r"""
options:
  index:
    description: Where packages come from. What is not given is taken from pip's configuration on the host.
    type: dict
    default: {}
    suboptions:
      index_url:
        description: Package index instead of PyPI.
        type: str
      extra_index_urls:
        description: Further indexes.
        type: list
        elements: str
      find_links:
        description: Directories or pages with wheels.
        type: list
        elements: str
      constraints:
        description: Constraints for everything that is installed on this host.
        type: list
        elements: str
      ca_path:
        description: Certificate bundle (PEM).
        type: path
      proxy:
        description: Proxy, with its scheme.
        type: str
      no_proxy:
        description: Hosts reached without the proxy, separated by commas.
        type: str
      trusted_hosts:
        description: Hosts whose certificate is not checked.
        type: list
        elements: str
      timeout:
        description: Seconds to wait for an answer of the index.
        type: int
      no_index:
        description: Take packages from O(index.find_links) only.
        type: bool
      python_mirror:
        description:
          - Where uv fetches a Python from, a URL or the path of a directory on this host, with the files and folders of the releases
            of python-build-standalone. Unset is uv's own place, or what uv's configuration on the host names.
        type: str
      denied:
        description:
          - Packages that are not installed, V(name==version), or V(name) for every version. Releases that are known to be malicious never
            are.
        type: list
        elements: str
"""
