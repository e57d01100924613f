# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The firewall that a host's variables ask for: pure."""

from __future__ import annotations

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.modelops.inference.plugins.module_utils._host.firewall.options import OPTIONS
from ansible_collections.modelops.inference.plugins.plugin_utils._site.firewall import options
from ansible_collections.modelops.inference.plugins.plugin_utils._site.settings import Inventory, Settings

WORKER = Inventory("w", ["xinference_workers"])


@pytest.mark.parametrize(
    ("variables", "name", "expected"),
    [
        ({}, "name", "inference"),
        ({"xinference_cluster": "two"}, "name", "inference"),
        ({}, "peers", ["10.1.0.1"]),
        ({"xinference_state": "absent"}, "peers", []),
        ({"xinference_state": "absent"}, "state", "absent"),
        ({}, "cluster_ports", ["9999", "9998", "ephemeral"]),
        ({"xinference_worker_port": "30009"}, "cluster_ports", ["9999", "30009", "ephemeral"]),
        ({"xinference_port": 9000}, "api_port", 9000),
        ({"xinference_api_networks": ["10.2.0.0/16"]}, "api_networks", ["10.2.0.0/16"]),
        ({"xinference_firewall_except_ports": [8080]}, "except_ports", [8080]),
        ({"xinference_weights_seed": "w", "xinference_weights_port": 8081}, "except_ports", [8081]),
        # Another host gives them, or by a random port.
        ({"xinference_weights_seed": "s", "xinference_weights_port": 8081}, "except_ports", []),
        ({"xinference_weights_seed": "w"}, "except_ports", []),
        ({}, "port_range", None),
        ({"xinference_port_range": [40000, 44999]}, "port_range", [40000, 44999]),
    ],
)
def test_a_variable_is_an_option_of_the_firewall(variables, name, expected):
    asked = options(Settings(variables, WORKER), ["10.1.0.1"])
    assert asked[name] == expected
    assert ArgumentSpecValidator(OPTIONS).validate(asked).error_messages == []
