# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every failure that is known of Dify's login, workspaces and models, by name: each has its own message.

The plugin's and the defaults' are in the tests of their modules; what a run recovers from is in test_session.
"""

from __future__ import annotations

import datetime
import json
import typing as t
from dataclasses import dataclass, field, replace
from types import SimpleNamespace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from dify_examples import LOCKED_XINFERENCE, PROFILES_IN_ORDER, model
from servers.dify import PROFILES, DifyServer, Fault
from servers.dify.server import EMAIL, PASSWORD

from ansible_collections.modelops.inference.plugins.module_utils._dify.api.errors import Failure, advice, failure
from ansible_collections.modelops.inference.plugins.module_utils._dify.api.releases import rules_of

ALL = tuple(PROFILES_IN_ORDER)
PLUGINS = tuple(version for version in ALL if PROFILES[version].plugins)
NAMED = tuple(version for version in ALL if PROFILES[version].named)
COOKIES = tuple(version for version in ALL if PROFILES[version].cookies)
SILENT = tuple(version for version in PLUGINS if PROFILES[version].plugin_exceptions == "500")
TELLING = tuple(version for version in ALL if version not in SILENT)

Prepare = t.Callable[[DifyServer], object]


@dataclass
class Failing:
    """A failure, its place, and its message.

    :param says: parts of the message; the first is of this failure alone.
    :param sent: how many requests Dify gets at most.
    """

    says: tuple[str, ...]
    versions: tuple[str, ...] = ALL
    prepare: Prepare = lambda server: None
    model: dict[str, t.Any] = field(default_factory=dict)
    options: dict[str, t.Any] = field(default_factory=dict)
    fresh: bool = False
    sent: int = 99


def faults(*found: Fault) -> Prepare:
    return lambda server: server.faults.extend(replace(fault) for fault in found)


def state(**values: t.Any) -> Prepare:
    return lambda server: [setattr(server.state, name, value) for name, value in values.items()]


def role(name: str) -> Prepare:
    return lambda server: server.state.add_account("ed@example.com", PASSWORD, name)


UUID = "00000000-0000-0000-0000-000000000000"
ADMIN = {"email": None, "password": None, "admin_key": "adminkey-123", "workspace": UUID}
REGISTER = r"/models(/credentials)?$"
TAKEN = "Model credential with name 'modelops.inference' already exists for my-llm."
DEAD = "http://10.255.0.1:9997"

FAILURES: dict[str, Failing] = {
    # --- the address
    "another server answers": Failing(("This is not Dify's API",), prepare=faults(Fault("no_version")), sent=1),
    "a page of a proxy at the start": Failing(
        ("This is not Dify's API", "HTML page"), prepare=faults(Fault("html", status=200)), sent=1
    ),
    "a page of a proxy later on": Failing(
        ("A reverse proxy answered instead of Dify", "reverse proxy", "HTML page"),
        prepare=faults(Fault("html", path="/models$", status=503)),
    ),
    "a redirect to https": Failing(
        ("redirects to https://dify.example.com", "Set url to that address"),
        prepare=faults(Fault("redirect", status=301, location="https://dify.example.com/console/api/setup")),
        sent=1,
    ),
    "a redirect later on": Failing(
        ("a redirect to https://sso.example.com", "reverse proxy"),
        prepare=faults(Fault("redirect", path="/models$", status=302, location="https://sso.example.com")),
    ),
    "a proxy gives up waiting while Dify tries the model": Failing(
        ("timed out (nginx", "proxy_read_timeout", "nothing is added twice"),
        prepare=faults(Fault("html", "POST", REGISTER, status=504)),
    ),
    # --- setup
    "not set up": Failing(("has not been set up", "/install"), fresh=True, sent=2),
    "INIT_PASSWORD is waited for": Failing(
        ("waits for its INIT_PASSWORD", "/init"), prepare=state(init_password="secret"), fresh=True, sent=2
    ),
    # --- the login
    "wrong password": Failing(
        ("the password is wrong", "is not repeated", "six failures"), options={"password": "Wrong1234567"}, sent=2
    ),
    "unknown e-mail": Failing(("case counts",), options={"email": "nobody@example.com"}, sent=2),
    "e-mail in another case": Failing(
        ("case counts", "1.11.4"),
        versions=tuple(version for version in ALL if PROFILES[version].email_case),
        options={"email": EMAIL.upper()},
        sent=2,
    ),
    "locked account": Failing(
        ("is locked after six failed logins", "24 hours", "login_error_rate_limit", "Nothing else was tried"),
        prepare=lambda server: setattr(server.state.accounts[EMAIL], "failures", 6),
        sent=2,
    ),
    "200 with result fail at the login": Failing(
        ("the password is correct, but the account cannot work", "Add it to a workspace"),
        prepare=lambda server: server.state.add_account("lonely@example.com", PASSWORD),
        options={"email": "lonely@example.com"},
        sent=2,
    ),
    "200 with result fail later on": Failing(
        ("something is in the way (200 fail)",), prepare=faults(Fault("fail", path="/models$"))
    ),
    "a proxy drops the cookies of the login": Failing(
        ("removes Set-Cookie",), versions=COOKIES, prepare=faults(Fault("no_set_cookie", times=9)), sent=2
    ),
    "a proxy drops the cookies of requests": Failing(
        ("drops cookies or headers",), versions=COOKIES, prepare=faults(Fault("no_cookie", times=99)), sent=3
    ),
    "a proxy drops the CSRF token": Failing(
        ("drops the cookies or the header X-CSRF-Token",),
        versions=COOKIES,
        prepare=faults(Fault("no_csrf", times=99)),
        sent=3,
    ),
    "the answer to the login is lost": Failing(
        ("log in as admin@example.com", "cannot be reached"),
        prepare=faults(Fault("reset_after", "POST", "/login$")),
        sent=2,
    ),
    # --- the admin key
    "admin key on 1.9.2 to 1.10": Failing(
        ("does not accept an ADMIN_API_KEY", "1.11"), versions=("1.9.2",), options=ADMIN, sent=1
    ),
    "admin key with the name of a workspace": Failing(
        ("is not an ID",), options={**ADMIN, "workspace": "Research"}, sent=0
    ),
    "admin key of another Dify, or its workspace": Failing(
        ("does not accept the admin_key", "ADMIN_API_KEY_ENABLE=true"),
        versions=tuple(version for version in ALL if PROFILES[version].admin_key == "yes"),
        options=ADMIN,
        sent=2,
    ),
    # --- roles and workspaces
    "editor": Failing(
        ("the account is editor of the workspace", "owner or admin"),
        prepare=role("editor"),
        options={"email": "ed@example.com"},
        sent=3,
    ),
    "dataset operator": Failing(
        ("the account is dataset_operator of the workspace", "owner or admin"),
        prepare=role("dataset_operator"),
        options={"email": "ed@example.com"},
        sent=3,
    ),
    "a role that Dify alone knows": Failing(
        ("must be owner or admin of the workspace; it is auditor",),
        prepare=role("auditor"),
        options={"email": "ed@example.com"},
    ),
    "no such workspace": Failing(
        ("is in no workspace 'Nowhere'", "admin's Workspace"), options={"workspace": "Nowhere"}, sent=4
    ),
    # --- the plugin and its daemon
    "plugin daemon is down": Failing(
        ("daemon_timeout is 0 s", "plugin_daemon", "Failed to request plugin daemon"),
        versions=PLUGINS,
        prepare=state(daemon_up=False),
    ),
    "plugin is not installed": Failing(
        ("has no Xinference provider langgenius/xinference/xinference", "Marketplace", "does not exist"),
        versions=PLUGINS,
        prepare=lambda server: setattr(server.workspace, "plugin", None),
    ),
    "plugin does not run": Failing(
        ("has not started the plugin", "no proper instance"),
        versions=PLUGINS,
        prepare=faults(Fault("refused", "POST", REGISTER, times=9, message="no proper instance for x")),
    ),
    # --- somebody else is faster, again and again
    "credential's name is taken": Failing(
        ("Somebody else made a credential of that name",),
        versions=NAMED,
        prepare=faults(Fault("refused", "POST", REGISTER, times=9, message=TAKEN)),
    ),
    "credential is gone": Failing(
        ("Somebody else removed the credential",),
        versions=NAMED,
        prepare=faults(Fault("refused", "POST", REGISTER, times=9, message="Credential record not found.")),
    ),
    "credential is active already": Failing(
        ("Somebody else made the credential the active one",),
        versions=NAMED,
        prepare=faults(Fault("refused", "POST", REGISTER, times=9, message="Can't add same credential")),
    ),
    # --- refused before anything is sent
    "UID with a slash": Failing(("has a character that Dify's plugin refuses",), model={"model_uid": "a/b"}, sent=0),
    "server URL with /v1": Failing(("ends in /v1",), model={"server_url": f"{DEAD}/v1"}, sent=0),
    "loopback address": Failing(
        ("is a loopback address", "plugin_daemon"),
        model={"server_url": "http://127.0.0.1:9997"},
        options={"allow_loopback": False},
        sent=0,
    ),
    "name of a credential is too long": Failing(("30 characters",), model={"credential_name": "n" * 31}, sent=0),
    # --- Dify tries the model
    "Xinference is out of reach": Failing(
        (f"Dify cannot reach Xinference at {DEAD}", "--host 0.0.0.0", "Connection refused"), model={"server_url": DEAD}
    ),
    "Xinference does not serve the UID": Failing(
        ("does not serve the model UID 'nosuch'", "Launch it"), model={"model_uid": "nosuch"}
    ),
    "Xinference wants a key": Failing(
        ("requires an API key, or refuses the given one",), model={"server_url": LOCKED_XINFERENCE}
    ),
    "embedding model as llm": Failing(("with another type than llm",), versions=TELLING, model={"model_uid": "bge-m3"}),
    "500 without a text on 1.0 to 1.9": Failing(
        ("gives no reason for the plugin's failure", "docker compose logs plugin_daemon api"),
        versions=SILENT,
        model={"model_uid": "bge-m3"},
    ),
    "the plugin daemon gives up on Xinference": Failing(
        ("gave up on the plugin", "PLUGIN_MAX_EXECUTION_TIMEOUT", "'qwen2.5-instruct' still loads"),
        versions=PLUGINS,
        prepare=faults(
            Fault("refused", "POST", REGISTER, times=9, message="PluginDaemonInternalServerError: killed by timeout")
        ),
    ),
    "llm as rerank": Failing(("with another type than rerank", "check model type"), model={"type": "rerank"}),
    "llm as speech2text": Failing(("with another type than speech2text",), model={"type": "speech2text"}),
    "tts without a key on 0.x": Failing(
        ("requires an API key for tts", "any value"),
        versions=("0.15.3",),
        model={"type": "tts", "model_uid": "CosyVoice-300M-SFT"},
    ),
    "registered and not offered": Failing(
        ("does not offer it among the active llm models", "no-configure", "Model Provider"),
        prepare=faults(Fault("inactive", "POST", REGISTER)),
    ),
    "500 of Dify itself": Failing(
        ("log", "Internal Server Error"), prepare=faults(Fault("status", "POST", REGISTER, times=9))
    ),
}

# Those that Dify has stored a model, or begun to, nevertheless.
STORED = ("registered and not offered", "500 of Dify itself")

RUNS = [(name, version) for name, failing in FAILURES.items() for version in failing.versions]


@pytest.mark.parametrize(("name", "version"), RUNS, ids=[f"{name} ({version})" for name, version in RUNS])
def test_every_failure_says_what_it_is(dify_models, name, version):
    failing = FAILURES[name]
    with DifyServer(version, fresh=failing.fresh) as server:
        server.state.admin_key = "adminkey-of-this-one"
        failing.prepare(server)
        result = dify_models(server, [model(**failing.model)], **failing.options)
        assert result.failed
        for words in failing.says:
            assert words in result["msg"]
        if failing.sent:
            assert server.url in result["msg"]
        assert len(server.log) <= failing.sent
        if not failing.fresh:
            assert len(server.sent("POST", "/login")) <= 1
            assert not server.workspace.models.get(("my-llm", "llm")) or name in STORED
        for secret in (PASSWORD, "Wrong1234567", "adminkey", *server.state.tokens, *server.state.refresh_tokens):
            assert secret not in result["msg"].replace("admin_key", "")


def test_self_signed_certificate(dify_models, tmp_path):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.timezone.utc)
    names = x509.SubjectAlternativeName([x509.DNSName("localhost")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - datetime.timedelta(1)).not_valid_after(now + datetime.timedelta(1))
    certificate = builder.add_extension(names, critical=False).sign(key, hashes.SHA256())
    pem = tmp_path / "certificate.pem"
    pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    file = tmp_path / "both.pem"
    private = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file.write_bytes(key.private_bytes(*private) + pem.read_bytes())
    with DifyServer("1.16.0-rc1", certificate=str(file)) as server:
        url = server.url.replace("127.0.0.1", "localhost")
        result = dify_models(server, [model()], url=url)
        assert result.failed and server.log == []
        for words in (url, "self-signed", "as ca_path", "validate_certs: false"):
            assert words in result["msg"].replace("self signed", "self-signed")
        assert dify_models(server, [model()], url=url, ca_path=str(pem)).changed
        assert not dify_models(server, [model()], url=url, validate_certs=False).failed


def test_workspace_that_the_account_left(dify, dify_models):
    """Between the list and the switch: 403 account_not_link_tenant."""
    left = dify.state.add_workspace("Research", admin="owner")
    listed = dify.app.answer

    def answer(request):
        if request.path.endswith("/switch"):
            dify.state.accounts[EMAIL].roles.pop(left.id, None)
        return listed(request)

    dify.app.answer = answer
    result = dify_models(dify, [model()], workspace="Research")
    assert result.failed and "switch to the workspace 'Research'" in result["msg"]
    assert "no longer in this workspace" in result["msg"]


def test_429_of_a_proxy_is_no_lockout(newest, dify_models):
    newest.faults = [Fault("html", path="/login$", status=429)]
    result = dify_models(newest, [model()])
    assert result.failed and "reverse proxy" in result["msg"] and "locked" not in result["msg"]


# --- the shapes of errors ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "body", "code", "text"),
    [
        (400, {"code": "invalid_param", "message": "what", "params": "field"}, "invalid_param", "what"),
        (
            400,
            {"errors": {"name": "too long"}, "message": "Input payload validation failed"},
            "invalid_param",
            "name: too long",
        ),
        (400, {"code": "invalid_param", "message": "1 error", "status": 400}, "invalid_param", "1 error"),
        (
            403,
            {"error": {"type": "authorization_error", "message": "Forbidden", "status": 403}},
            "authorization_error",
            "Forbidden",
        ),
        (500, {"message": "Internal Server Error", "code": "unknown"}, "unknown", "Internal Server Error"),
        (200, {"result": "fail", "data": "no workspace"}, "fail", "no workspace"),
        (401, {"result": "fail", "message": "No refresh token provided"}, "fail", "No refresh token provided"),
        (400, {"code": "plugin_error", "message": "bad package"}, "plugin_error", "bad package"),
        (
            400,
            {
                "code": "invalid_param",
                "message": 'req_id: 3a7b PluginInvokeError: {"error_type":"ValueError","message":"in its own words"}',
            },
            "invalid_param",
            "in its own words",
        ),
        (400, {"code": "x", "message": "req_id: 3a7b PluginInvokeError: {cut"}, "x", "PluginInvokeError: {cut"),
        (502, None, "not_json", "the answer is an HTML page"),
    ],
)
def test_shapes(status, body, code, text):
    answer = SimpleNamespace(
        status=status, json=body, text="<html>" if body is None else json.dumps(body), headers={}, detail="no text"
    )
    found = failure(answer)
    assert (found.status, found.code, found.text) == (status, code, text)


@pytest.mark.parametrize(
    ("version", "status", "code", "text"),
    [
        ("1.4.3", 500, "unknown", "Internal Server Error"),
        ("1.12.1", 400, "invalid_param", "__str__ returned non-string (type RuntimeError)"),
    ],
)
def test_a_plugin_that_fails_without_a_reason_was_most_often_refused_its_key(version, status, code, text):
    told = advice(
        Failure(status, code, text),
        rules_of(version),
        server_url="http://10.1.2.3:9997",
        model_uid="bge-m3",
        type="text-embedding",
    )
    assert "refuses the api_key" in told and "/v1" not in told
