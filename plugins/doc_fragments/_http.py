# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    # The options of module_utils/_connection.py: HTTP_OPTIONS.
    DOCUMENTATION = r"""
options:
  ca_path:
    description: Certificate bundle (PEM) that the server's certificate is checked against, instead of the system's.
    type: path
  validate_certs:
    description: V(false) accepts any certificate. Give O(ca_path) instead where you can.
    type: bool
    default: true
  proxy:
    description:
      - Proxy for the requests of this module, with its scheme.
      - An empty string uses none, even where the environment names one. Unset leaves it to the environment, but
        requests to this host itself use none.
    type: str
  connect_timeout:
    description: Seconds to wait for a connection.
    type: float
    default: 10
  request_timeout:
    description: Seconds to wait for an answer to a single request.
    type: float
    default: 60
requirements:
  - requests (in the Python that runs the module)
"""
