# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a Dify has, as dify_targets: pure."""

from __future__ import annotations

from ansible_collections.modelops.inference.plugins.module_utils._dify.capture import capture


def test_urls_with_a_user_in_them_are_secrets():
    fields = {"server_url": "http://ops:hunter2@10.1.2.3:9997", "model_uid": "m"}
    model = {"name": "M", "type": "llm", "state": "active", "fields": fields}
    result = {"_call": {"key": 0}, "workspace": {"id": "1", "name": "Research"}, "models": [model]}
    target = {
        "name": "office",
        "url": "https://u:hunter2@dify.example.com",
        "proxy": "http://u:hunter2@proxy:3128",
        "email": "ops@example.com",
        "password": "hunter2",
        "server_urls": {"one": "http://u:hunter2@one:9997", "two": "http://two:9997"},
        "prove_from": {"command": ["env", "http_proxy=http://u:hunter2@proxy:3128"]},
    }
    found = capture([result], [target], ["m"])
    assert "hunter2" not in str(found)
    (captured,) = found.targets
    assert captured["url"] == "{{ vault_dify_office_url }}" and captured["email"] == "ops@example.com"
    assert captured["server_urls"] == {"one": "{{ vault_dify_office_server_urls_one }}", "two": "http://two:9997"}
    assert captured["overrides"]["m"]["server_url"] == "{{ vault_dify_office_overrides_m_server_url }}"
    assert found.variables["vault_dify_office_overrides_m_server_url"] == "overrides.m.server_url of office"
    assert len(found.variables) == 6
