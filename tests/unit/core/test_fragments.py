# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options that stand in a documentation fragment twice, because Ansible reads no fragment that is computed."""

import pytest
import yaml

from ansible_collections.modelops.inference.plugins.doc_fragments import _accelerator, _firewall


@pytest.mark.parametrize("name, fragment", [("accelerator", _accelerator), ("firewall", _firewall)])
def test_options_of_the_module_and_below_the_reading_are_the_same(name, fragment):
    alone, below = (
        yaml.safe_load(text)["options"]
        for text in (fragment.ModuleDocFragment.DOCUMENTATION, fragment.ModuleDocFragment.SUBOPTIONS)
    )
    assert below[name]["suboptions"] == alone
