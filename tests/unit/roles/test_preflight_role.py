# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Refusals of the roles and their words, run by ansible-playbook."""

from __future__ import annotations

import json
import re
from pathlib import Path

import emulated
import pytest
from ansible import release

# Ansible tells where each text of the inventory stands since ansible-core 2.19, before that of texts in YAML.
WHERE_A_TEXT_STANDS = tuple(map(int, release.__version__.split(".")[:2])) >= (2, 19)
PLAYBOOKS = Path(__file__).parent / "playbooks"


@pytest.fixture
def play(tmp_path):
    """``play(playbook, host={...}, ...)`` -> Said of one run, with variables for each host."""

    def run(playbook, *, groups=None, **hosts):
        children = {group: {"hosts": dict.fromkeys(members, {})} for group, members in (groups or {}).items()}
        inventory = {"all": {"hosts": hosts, "children": children, "vars": {"ansible_connection": "local"}}}
        (tmp_path / "hosts.json").write_text(json.dumps(inventory))
        done = emulated.play("-i", tmp_path / "hosts.json", PLAYBOOKS / playbook)
        return Said(done.stdout + done.stderr, hosts)

    return run


class Said:
    """The output of a run on one line, and the failed hosts."""

    def __init__(self, output, hosts):
        self.output = " ".join(output.split())
        self.failed = {*re.findall(r"(\S+) : ok=\d+ changed=\d+ unreachable=0 failed=1 ", self.output)}
        assert self.output.count(" unreachable=0 ") == len(hosts), output


def test_words_that_mean_nothing_are_refused_all_at_once_without_a_dump_of_all_variables(play):
    said = play(
        "models_preflight.yml",
        replace={"models_replace": "banana"},
        prove={"models_prove": "banana"},
        both={"models_replace": "banana", "models_prove": "pear"},
        **{
            f"right{number}": {"models_replace": word}
            for number, word in enumerate(["false", "true", "surge", True, False])
        },
    )
    assert said.failed == {"replace", "prove", "both"}, said.output
    assert "replace: models_replace must be false or true or surge (it is 'banana')." in said.output
    assert "prove: models_prove must be never or changed or always (it is 'banana')." in said.output
    assert (
        "both: models_replace must be false or true or surge (it is 'banana'). "
        "both: models_prove must be never or changed or always (it is 'pear')."
    ) in said.output.replace("\\n", " ")
    assert "argument_spec_data" not in said.output and "models_reconcile_attempts" not in said.output
    assert "(item=" not in said.output


@pytest.mark.each_core("validate_variables")
def test_values_of_another_type_are_told_in_a_line_each_before_the_argument_spec(play, tmp_path):
    wrong = dict(
        xinference_port="{{ my_port }}",
        my_port="http",
        xinference_firewall="maybe",
        xinference_models={},
        xinference_users=[{"name": "ann", "state": "{{ 'go' ~ 'ne' }}", "password": "{{ secret }}"}],
        secret="Orange-7-Kettle",
    )
    # Templates of what nobody knows yet are left to the role.
    later = dict(
        xinference_port="{{ xinference_found.port }}",
        xinference_firewall="{{ 1 / 0 }}",
        xinference_users=[
            {"name": "ann", "permissions": "{{ xinference_found.permissions }}", "password": "{{ xinference_served }}"}
        ],
        xinference_worker_port="{{ 9000 + 998 }}",
    )
    # A name of the inventory that is nowhere never will be.
    nowhere = dict(
        xinference_port="{{ nowhere.port }}",
        xinference_users=[{"name": "ann", "password": "{{ vault_ann }}"}],
        xinference_extras=["{{ other }}"],
        other="{{ site.extra }}",
        site={},
        xinference_host="{{ hostvars['later'].my_own }}",
        xinference_metrics_host="{{ hostvars['gone'].my_own }}",
        xinference_metrics_port="{{ hostvars['wrong'].my_theirs }}",
        xinference_admin_user="{{ vault_user | mandatory }}",
    )
    wrong["my_theirs"] = "{{ vault_of_wrong }}"
    broken = dict(xinference_port="{{ 9997 | nowhere }}", xinference_host="{{ '10.1.2.3' if }}")
    # YAML reads both as other numbers.
    (tmp_path / "host_vars").mkdir()
    written = "xinference_version: 4.10\nxinference_models:\n- {uid: m, engine: vLLM, size: 0_6}\n"
    (tmp_path / "host_vars" / "numbers.yml").write_text(written)
    said = play("names.yml", wrong=wrong, later=later, nowhere=nowhere, broken=broken, numbers={})
    assert said.failed == {"wrong", "nowhere", "broken", "numbers"}, said.output
    assert re.search(
        r"broken \(cluster broken\): xinference_port: its template.* uses 'nowhere', which is not an installed plugin",
        said.output,
    )
    assert re.search(r"broken \(cluster broken\): xinference_host: its template.* has a syntax error", said.output)
    assert f"xinference_version 4.10 ({tmp_path}/host_vars/numbers.yml:1) is the number 4.1 in YAML." in said.output
    assert f"m: size 0_6 ({tmp_path}/host_vars/numbers.yml:3) is the number 6 in YAML." in said.output
    for line in (
        "nowhere (cluster nowhere): xinference_port: its template{} needs 'nowhere', which is undefined.",
        "nowhere (cluster nowhere): xinference_users: its template{} needs 'vault_ann', which is undefined.",
        "nowhere (cluster nowhere): xinference_extras: its template{} needs 'extra' in other{}, which is undefined.",
        "nowhere (cluster nowhere): xinference_host: its template{} needs 'my_own' of another host that does not define it.",
        "nowhere (cluster nowhere): xinference_metrics_host: its template{} needs the host 'gone', which the inventory lacks.",
        "nowhere (cluster nowhere): xinference_metrics_port: its template{} needs 'vault_of_wrong', which is undefined.",
        "nowhere (cluster nowhere): xinference_admin_user: its template{} needs 'vault_user', which is undefined.",
    ):
        told = re.search(r"( \(\S+hosts\.json\S*\))?".join(map(re.escape, line.split("{}"))), said.output)
        assert told and (told[1] or not WHERE_A_TEXT_STANDS), said.output
    assert "argument_spec_data" not in said.output and "Orange-7-Kettle" not in said.output
    for line in (
        "wrong (cluster wrong): xinference_port must be a whole number in digits, not 'http' (the default is 9997).",
        "wrong (cluster wrong): xinference_firewall must be true or false, not 'maybe' (the default is false).",
        "wrong (cluster wrong): xinference_models must be a list, not a mapping: write a list, such as [a, b].",
        "wrong (cluster wrong): xinference_users, ann, state is 'gone', not one of present, absent.",
    ):
        assert line in said.output


def test_weights_through_a_firewall_of_another_cluster_need_a_port(play):
    head = {"xinference_firewall": True, "xinference_api_networks": ["10.0.0.0/8"], "xinference_weights_seed": "head"}
    hosts = {"head": head, "gpu": head, "edge": {"xinference_weights_seed": "head"}}
    groups = {"xinference_supervisors": ["head"], "xinference_workers": ["gpu"], "xinference_local": ["edge"]}
    said = play("preflight_cluster.yml", groups=groups, **hosts)
    assert said.failed == {"edge"} and (
        "edge (cluster edge): its weights come from head, whose firewall (xinference_firewall) opens a random port only for its own"
        in said.output
    ), said.output
    hosts["head"] = {**head, "xinference_weights_port": 20001}
    assert not play("preflight_cluster.yml", groups=groups, **hosts).failed


def test_names_that_cannot_be_are_refused(play):
    """One name for the services of both parts of a host; a cluster whose name is no name of a file."""
    hosts = {
        "both": {"xinference_service": "xinf"},
        "right": {"xinference_cluster": "right"},
        "slash": {"xinference_cluster": "berlin/../x"},
        "number": {"xinference_cluster": 7},
        "blank": {"xinference_cluster": "blank", "xinference_dir": "/opt/my xinference"},
        "in_home": {"xinference_cluster": "in_home", "xinference_home": "/srv/a b/home"},
    }
    said = play(
        "preflight_cluster.yml", groups=dict.fromkeys(("xinference_supervisors", "xinference_workers"), hosts), **hosts
    )
    assert said.failed == {"both", "slash", "blank", "in_home"}, said.output
    assert said.output.count("must have no space in their paths") >= 2 and "/opt/my xinference" in said.output
    assert "both (cluster default): xinference_service is xinf, but this host is supervisor and worker" in said.output
    assert "slash (cluster berlin/../x): xinference_cluster must be a name without spaces, '/'" in said.output


def test_the_site_refuses_before_anything_is_asked_or_changed(play, tmp_path):
    """Of every host at once, a value of each subject; and the targets of each host, not only those of the first."""
    target = {"name": "office", "url": "http://dify", "email": "a", "password": "Orange-7-Kettle"}
    top = {"xinference_dir": str(tmp_path / "there")}
    wrong = {
        "environment": ({"xinference_environment": {"A$(touch /x)": "1"}}, "is not a name of"),
        "service": ({"xinference_service": "../../x"}, "xinference_service must be a name of a service"),
        "home": ({"xinference_home": "{{ xinference_dir }}"}, "xinference_home is xinference_dir itself"),
        "port": ({"xinference_metrics_port": 70000}, "xinference_metrics_port must be between 1 and 65535"),
        "parallel": ({"models_parallel": 0}, "models_parallel must be at least 1"),
        "uid": ({"xinference_models": [{"uid": ".", "engine": "vLLM"}]}, "UID '.' is a directory"),
        "password": (
            {"xinference_admin_password": 12345678},
            "xinference_admin_password must be one text, not a number",
        ),
        "letter": ({"xinference_hosts": "x"}, "did you mean xinference_host?"),
        "target": (
            {"xinference_host": "10.1.2.3", "dify_targets": [{**target, "server_url": "http://lan/v1"}]},
            "office: server_url 'http://lan/v1' ends in /v1",
        ),
    }
    hosts = {name: {**top, **variables} for name, (variables, _words) in wrong.items()}
    said = play(PLAYBOOKS.parents[3] / "playbooks" / "site.yml", groups={"xinference_local": hosts}, **hosts)
    assert said.failed == set(wrong), said.output
    for name, (_variables, words) in wrong.items():
        assert re.search(rf"{name} \(cluster {name}\): [^:]*(: )?[^:]*{re.escape(words)}", said.output), (
            name,
            said.output,
        )
    assert not re.search(r"changed=[1-9]", said.output) and not (tmp_path / "there").exists()
    assert "Orange-7-Kettle" not in said.output
