# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""No secret leaves a module, in whatever form a text has it; and what is given as one is put right or refused at the door."""

from __future__ import annotations

import base64
import http.client
import json
import types
import urllib.parse

import pytest
import requests
from ansible.errors import AnsibleError
from ansible.module_utils.basic import AnsibleModule

from ansible_collections.modelops.inference.plugins.module_utils import _connection, _module, _secrets
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._host.weights.sources import Source
from ansible_collections.modelops.inference.plugins.module_utils._session import Session
from ansible_collections.modelops.inference.plugins.module_utils._xinference.users import secret_files
from ansible_collections.modelops.inference.plugins.modules import xinference_bootstrap
from ansible_collections.modelops.inference.plugins.plugin_utils._dify import keys
from ansible_collections.modelops.inference.plugins.plugin_utils._site import dify_targets

# Each has something that another form writes otherwise.
SECRETS = ["Orange-7-Kettle/+=", "Räksmörgås \"quoted\" 'too' \\ <&>", "sk-0123456789abcdef\n", "pass word%41\tß€"]


@pytest.fixture(autouse=True)
def nothing_known():
    _secrets.forget()
    yield
    _secrets.forget()


def as_header(secret):
    """The verdict of http.client."""
    connection = http.client.HTTPConnection("127.0.0.1", 9)
    connection.putrequest("GET", "/", skip_host=True)
    with pytest.raises(ValueError) as caught:
        connection.putheader("Authorization", f"Bearer {secret}\n")
    return str(caught.value)


FORMS = {
    "plain": str,
    "stripped": str.strip,
    "repr": repr,
    "repr of bytes": lambda secret: repr(secret.encode()),
    "repr of a repr": lambda secret: repr(repr(secret)),
    "JSON": json.dumps,
    "JSON in Unicode": lambda secret: json.dumps(secret, ensure_ascii=False),
    "JSON in JSON": lambda secret: json.dumps(json.dumps({"key": secret})),
    "percent": lambda secret: urllib.parse.quote(secret, safe=""),
    "percent, as a path": urllib.parse.quote,
    "percent, lower case": lambda secret: (
        urllib.parse.quote(secret, safe="").lower() if secret.islower() else urllib.parse.quote(secret, safe="")
    ),
    "a form": urllib.parse.quote_plus,
    "requests": lambda secret: requests.Request("GET", "http://h/", params={"k": secret}).prepare().url,
    "base64": lambda secret: base64.b64encode(secret.encode()).decode(),
    "base64 in a login": lambda secret: base64.b64encode(b"me:" + secret.encode() + b"!").decode(),
    "base64 for URLs": lambda secret: base64.urlsafe_b64encode(b"you:" + secret.encode()).decode(),
}


def traces(secret):
    """Parts of a secret long enough to be of use, as they could be left in a text."""
    words = secret.strip()
    encoded = base64.b64encode(words.encode()).decode().rstrip("=")
    return [words[at : at + 6] for at in range(0, len(words) - 6)] + [encoded[at : at + 8] for at in range(0, 12, 4)]


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("form", FORMS)
def test_a_secret_is_found_in_every_form(secret, form):
    text = f"it said {FORMS[form](secret)} to that"
    _secrets.hide(secret)
    left = _secrets.redacted(text)
    assert _secrets.HIDDEN in left and not [part for part in traces(secret) if part in left], left


def test_a_header_that_cannot_be_sent_is_not_in_the_error():
    _secrets.hide("sk-0123456789abcdef")
    assert "sk-0123456789" in as_header("sk-0123456789abcdef")
    assert "0123456789" not in _secrets.redacted(as_header("sk-0123456789abcdef"))


def test_short_values_hide_nothing_else():
    _secrets.hide("0", "abc", "", None)
    text = "abc 0 of 10"
    assert _secrets.redacted(text) == text


def test_a_result_is_cleaned_at_every_depth():
    _secrets.hide("Orange-7-Kettle")
    result = {"rows": [{"why": "it was Orange-7-Kettle", "n": 7}, ("Orange%2D7", None)], "ok": True}
    assert _secrets.cleaned(result) == {
        "rows": [{"why": f"it was {_secrets.HIDDEN}", "n": 7}, ["Orange%2D7", None]],
        "ok": True,
    }
    untouched = {"rows": [1, "x"]}
    assert _secrets.cleaned(untouched) is untouched


# --- a module --------------------------------------------------------------------------------------------------------


def module(capsys, monkeypatch, work, **params):
    spec = dict(
        key=dict(type="str", no_log=True),
        password=dict(type="str", no_log=True),
        content=dict(type="str", no_log=True),
        models=dict(type="list", elements="dict", options=dict(api_key=dict(type="str", no_log=True))),
    )
    monkeypatch.setattr(
        "ansible.module_utils.basic._ANSIBLE_ARGS", json.dumps({"ANSIBLE_MODULE_ARGS": params}).encode()
    )
    monkeypatch.setattr("ansible.module_utils.basic._ANSIBLE_PROFILE", "legacy", raising=False)
    with pytest.raises(SystemExit):
        _module.run(AnsibleModule(argument_spec=spec), work)
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    # By it a module tells Ansible which values are secrets; nobody else sees it.
    result.pop("_ansible_new_secrets", None)
    return json.dumps(result, ensure_ascii=False)


SECRET = "Orange-7-Kettle"


def unexpected(found):
    raise ValueError(f"Invalid header value b'Bearer {SECRET}\\n'")


def refused(found):
    raise ModelopsError(repr(SECRET), rows=[{"why": urllib.parse.quote(f"{SECRET}/")}])


def warned(found):
    found.warn(f"seen {SECRET!r}")
    return {"said": base64.b64encode(f"user:{SECRET}".encode()).decode()}


@pytest.mark.parametrize("work", [unexpected, refused, warned])
def test_nothing_that_leaves_a_module_has_a_secret_in_it(capsys, monkeypatch, work):
    out = module(capsys, monkeypatch, work, key=f"{SECRET}\n")
    assert "Orange" not in out and "T3Jhbmdl" not in out and _secrets.HIDDEN in out


def test_what_comes_to_be_known_later_is_hidden_too(capsys, monkeypatch):
    def work(found):
        _secrets.hide("a-token-of-the-login")
        raise ModelopsError("the server said a-token-of-the-login")

    assert "a-token" not in module(capsys, monkeypatch, work)


def test_line_breaks_at_the_end_are_taken_off_at_the_door(capsys, monkeypatch):
    seen = {}

    def work(found):
        seen.update(found.params)
        return {}

    given = dict(key=" sk-1234\n", password="ünd so \r\n", content="a\nb\n", models=[{"api_key": "xf-5678\n"}])
    module(capsys, monkeypatch, work, **given)
    assert seen == dict(key="sk-1234", password="ünd so ", content="a\nb\n", models=[{"api_key": "xf-5678"}])


@pytest.mark.parametrize(
    "value, why", [("sk-12\n34", "line break"), ("sk-12ü34", "character 6"), ("sk-\x0712", "character 4")]
)
def test_a_key_that_no_header_carries_is_refused_by_its_name(capsys, monkeypatch, value, why):
    out = json.loads(module(capsys, monkeypatch, lambda found: {}, models=[{}, {"api_key": value}]))
    assert out["failed"] and out["msg"].startswith("models[1].api_key cannot be sent") and why in out["msg"]
    assert "sk-" not in json.dumps(out)


def test_ansible_is_told_where_it_asks(monkeypatch):
    told = set()
    monkeypatch.setattr(_secrets, "register_secrets", told.update)
    _secrets.hide("Orange-7-Kettle/")
    assert {"Orange-7-Kettle/", "Orange-7-Kettle%2F"} <= told


# --- headers and addresses -------------------------------------------------------------------------------------------


def source(headers):
    return Source.of({"url": "https://h.example/w.gguf", "checksum": f"sha256:{'0' * 64}", "headers": headers})


def test_headers_of_weights_are_put_right():
    assert source({"Authorization": "Bearer abc\n", "X-Number": 7}).headers == {
        "Authorization": "Bearer abc",
        "X-Number": "7",
    }


@pytest.mark.parametrize(
    "headers, why",
    [
        ({"Authorization": None}, "header Authorization has no value (it is null)"),
        ({"Authorization": ["Bearer abc"]}, "header Authorization has no value (it is not text)"),
        (
            {"Authorization": "Bearer a\nb"},
            "header Authorization cannot be sent as an HTTP header: it has a line break",
        ),
        ({"Authorization": "Bearer ü"}, "header Authorization cannot be sent"),
        ({"Authorization": "  \n"}, "it is empty"),
        ({"Bad name:": "abc"}, "a header has an invalid name"),
    ],
)
def test_headers_that_cannot_be_sent_are_refused_without_their_values(headers, why):
    with pytest.raises(ModelopsError) as caught:
        source(headers)
    assert (
        why in str(caught.value)
        and "https://h.example/w.gguf" in str(caught.value)
        and "Bearer" not in str(caught.value)
    )


def test_a_session_sends_no_header_that_it_would_have_to_repeat_in_an_error():
    session = Session("http://127.0.0.1:9")
    session.headers["Authorization"] = "Bearer Orange\n7"
    with pytest.raises(ModelopsError) as caught:
        session.get("/status", what="look")
    assert "look at http://127.0.0.1:9: header Authorization cannot be sent" in str(caught.value)
    assert "Orange" not in str(caught.value)


@pytest.mark.parametrize("login", ["me:Orange-7@", "me:Or/ange@7@", "token@"])
@pytest.mark.parametrize("scheme", ["https://", ""])
def test_an_address_with_a_login_is_refused_without_showing_it(scheme, login):
    with pytest.raises(ModelopsError) as caught:
        Session(f"{scheme}{login}dify.example.com/sub")
    assert "@dify.example.com/sub' contains a login" in str(caught.value)
    assert not any(part in str(caught.value) for part in ("me:", "ange", "token"))
    target = {"name": "office", "url": f"{scheme}{login}dify.example.com", "email": "a@b", "password": "p"}
    said = dify_targets.refusals([], [target])
    assert said[0].startswith("office: url contains a login") and "ange" not in str(said)


def test_the_login_of_a_proxy_is_hidden():
    Session("http://127.0.0.1:9", proxy="http://me:Or%40nge-7@127.0.0.1:9", retries=0)
    for text in ("http://me:Or%40nge-7@proxy", "Or@nge-7", base64.b64encode(b"me:Or@nge-7").decode()):
        assert "nge-7" not in _secrets.redacted(text) and "T3JAbmdl" not in _secrets.redacted(text)


def fetched(path):
    """As Ansible decodes what a connection read."""
    text = path.read_bytes().decode("utf-8", "surrogateescape")
    answer = {"rc": 0, "stdout": f"{keys.BEGIN}\n{text}\n{keys.END}\n"}
    connection = types.SimpleNamespace(_play_context=types.SimpleNamespace(no_log=False))
    action = types.SimpleNamespace(_connection=connection, _low_level_execute_command=lambda *args, **more: answer)
    return keys.fetch(action, str(path))


@pytest.mark.parametrize(
    "read",
    [
        lambda path: _connection.secret(None, str(path), "password_file"),
        lambda path: secret_files.read_secret("users", str(path)),
        lambda path: xinference_bootstrap._look(
            {
                **dict.fromkeys(["auth_config", "reconciler_password"]),
                "secrets": str(path.parent),
                "home": str(path.parent),
            }
        ),
        fetched,
    ],
    ids=["password file", "key or password of a user", "bootstrap", "key for Dify"],
)
@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_a_secret_that_is_not_utf_8_is_told_by_its_file_alone(tmp_path, read, encoding):
    path = tmp_path / "client_key"
    path.write_bytes("Räksmörgås".encode(encoding))
    with pytest.raises((ModelopsError, AnsibleError)) as caught:
        read(path)
    assert f"{path} is not UTF-8. Save it as UTF-8 text" in str(caught.value)
    chain = [caught.value, caught.value.__context__, caught.value.__cause__]
    assert not any(isinstance(each, UnicodeError) for each in chain) and "smörg" not in repr(chain)


def test_a_file_without_a_certificate_is_named(tmp_path):
    path = tmp_path / "ca.pem"
    path.write_bytes("Räksmörgås".encode("utf-16"))
    options = dict(ca_path=str(path), validate_certs=True, proxy=None, connect_timeout=1, request_timeout=1)
    module = types.SimpleNamespace(params=options, check_mode=False)
    with pytest.raises(ModelopsError, match="ca.pem has no certificate in PEM format .*Name a file that has one"):
        _connection.session(module, "https://server")
