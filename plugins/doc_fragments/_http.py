# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    # The options of module_utils/_connection.py: HTTP_OPTIONS.
    DOCUMENTATION = r"""
options:
  ca_path:
    description: Path of a certificate bundle (PEM) that verifies the server's certificate. It replaces the system's bundle.
    type: path
  validate_certs:
    description: Whether to verify the server's certificate. Prefer O(ca_path) to V(false).
    type: bool
    default: true
  proxy:
    description:
      - URL of the proxy for the module's requests, with its scheme.
      - An empty string disables the proxy, even if the environment sets one. If unset, the environment decides, but requests to this host
        never use a proxy.
    type: str
  connect_timeout:
    description: Time in seconds to wait for a connection.
    type: float
    default: 10
  request_timeout:
    description: Time in seconds to wait for an answer to one request.
    type: float
    default: 60
requirements:
  - requests (in the Python that runs the module)
"""
