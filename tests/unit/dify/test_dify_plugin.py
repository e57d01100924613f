# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""dify_plugin: its plan, and the module through main() against every recorded release of Dify."""

from __future__ import annotations

import dataclasses
import hashlib
import zipfile

import pytest
from servers.dify import PROFILES, DifyServer, Fault
from servers.dify.server import EMAIL, PASSWORD

from ansible_collections.modelops.inference.plugins.module_utils._dify.plugin import plugin_plan, workspace_plugin
from ansible_collections.modelops.inference.plugins.module_utils._dify.plugin.package import package_of
from ansible_collections.modelops.inference.plugins.module_utils._dify.plugin.plugin_plan import (
    XINFERENCE,
    DeclaredPlugin,
    InstalledPlugin,
    InstallTarget,
    NotPossible,
    PluginOperation,
)
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError

NAME = XINFERENCE
OLD, NEW = "0.0.9", "0.0.15"
MANIFEST = "version: {version}\ntype: plugin\nauthor: langgenius\nname: xinference\nplugins:\n  version: nested\n"
WITH_PLUGINS = [version for version, profile in PROFILES.items() if profile.plugins]


@pytest.fixture(autouse=True)
def hurry(monkeypatch):
    monkeypatch.setattr(workspace_plugin, "POLL", 0.01)


@pytest.fixture(params=WITH_PLUGINS)
def dify(request):
    """A Dify without the plugin, whose marketplace tells the latest version."""
    with DifyServer(request.param) as server:
        server.workspace.plugin = None
        server.state.packages.tells_latest = True
        yield server


@pytest.fixture
def newest():
    with DifyServer("1.16.0-rc1") as server:
        server.workspace.plugin = None
        server.state.packages.tells_latest = True
        yield server


@pytest.fixture
def dify_plugin(of_dify):
    """``dify_plugin(server, check=False, **options)`` -> Result of the module."""

    def run(server, *, check=False, **options):
        return of_dify("dify_plugin", server, {"timeout": 5, **options}, check=check)

    return run


@pytest.fixture
def package(tmp_path):
    """``package(version, signed=True)`` -> path of a package file."""

    def make(version=OLD, *, signed=True, manifest=MANIFEST, size=100):
        path = tmp_path / f"xinference-{version}.difypkg"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("provider/xinference.yaml", "x" * size)
            archive.writestr("manifest.yaml", manifest.format(version=version))
            archive.mkdir("empty") if hasattr(archive, "mkdir") else archive.writestr("empty/", "")
            archive.comment = b'{"signature": "s", "time": 1}' if signed else b""
        return str(path)

    return make


def identifier(server, version):
    return server.state.packages.by_version(version)


def refused(result, *words):
    assert result.failed and not result.changed
    for word in words:
        assert word in result["msg"], result["msg"]


def replace_route(server, path, handler):
    """Has ``handler`` answer what ends with ``path``."""
    server.app.routes = [
        (verb, pattern, handler if pattern.pattern.endswith(path) else usual)
        for verb, pattern, usual in server.app.routes
    ]


# --- the plan ------------------------------------------------------------------------------------------------------

DIGEST = "a" * 64
LATEST = InstallTarget(NEW, f"{NAME}:{NEW}@{DIGEST}")
AT_OLD = InstalledPlugin("1", OLD, f"{NAME}:{OLD}@{DIGEST}", "marketplace")
AT_NEW = InstalledPlugin("1", NEW, LATEST.identifier, "marketplace")


@pytest.mark.parametrize(
    ("wanted", "installed", "kind"),
    [
        (DeclaredPlugin(NAME, "present"), None, "install"),
        (DeclaredPlugin(NAME, "present"), AT_OLD, None),
        (DeclaredPlugin(NAME, "present", version=OLD), AT_OLD, None),
        (DeclaredPlugin(NAME, "present", version=NEW), AT_OLD, "upgrade"),
        (DeclaredPlugin(NAME, "present", identifier=LATEST.identifier), AT_OLD, "upgrade"),
        (DeclaredPlugin(NAME, "present", identifier=LATEST.identifier), AT_NEW, None),
        (DeclaredPlugin(NAME, "present", identifier=AT_OLD.identifier), AT_NEW, "upgrade"),
        (DeclaredPlugin(NAME, "latest"), AT_NEW, None),
        (DeclaredPlugin(NAME, "latest"), AT_OLD, "upgrade"),
        (DeclaredPlugin(NAME, "latest"), dataclasses.replace(AT_OLD, source="package"), "replace"),
        (DeclaredPlugin(NAME, "latest"), dataclasses.replace(AT_NEW, version="0.10.0", identifier="x"), None),
        (
            DeclaredPlugin(NAME, "latest"),
            dataclasses.replace(AT_NEW, identifier="rebuilt", source="package"),
            "replace",
        ),
        (DeclaredPlugin(NAME, "latest"), None, "install"),
        (DeclaredPlugin(NAME, "absent"), AT_OLD, "remove"),
        (DeclaredPlugin(NAME, "absent"), None, None),
    ],
)
def test_step(wanted, installed, kind):
    step = plugin_plan.decide(wanted, installed, LATEST)
    assert (step.kind if step else None) == kind


def test_a_version_that_nobody_tells_how_to_install():
    with pytest.raises(NotPossible, match="identifier"):
        plugin_plan.decide(DeclaredPlugin(NAME, "present", version="0.0.3"), AT_OLD, LATEST)
    with pytest.raises(NotPossible, match="cannot reach its marketplace"):
        plugin_plan.decide(DeclaredPlugin(NAME, "latest"), AT_OLD, None)


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (DeclaredPlugin(NAME, "present", version=OLD, identifier=AT_OLD.identifier), "cannot be given together"),
        (DeclaredPlugin(NAME, "latest", version=OLD), "version is for state=present"),
        (DeclaredPlugin(NAME, "absent", identifier=AT_OLD.identifier), "identifier is for state=present"),
        (DeclaredPlugin(NAME, "present", identifier="langgenius/xinference:0.0.9"), "not of the form"),
        (DeclaredPlugin(NAME, "present", identifier=f"other/xinference:0.0.9@{DIGEST}"), "another plugin"),
    ],
)
def test_wrong_wishes(wanted, words):
    assert any(words in problem for problem in plugin_plan.problems(wanted))


def test_plan_lines():
    upgrade = plugin_plan.plan(DeclaredPlugin(NAME, "latest"), PluginOperation("upgrade", LATEST, AT_OLD))
    assert upgrade.lines == [f"~ upgrade plugin {NAME} (version 0.0.9 -> 0.0.15)"]
    install = plugin_plan.plan(DeclaredPlugin(NAME, "latest"), PluginOperation("install", LATEST))
    assert install.lines == [f"+ install plugin {NAME} (0.0.15)"]
    same = dataclasses.replace(LATEST, identifier=f"{NAME}:{NEW}@{'b' * 64}")
    assert (
        "identifier"
        in plugin_plan.plan(DeclaredPlugin(NAME, "latest"), PluginOperation("replace", same, AT_NEW)).lines[0]
    )


# --- the package file ----------------------------------------------------------------------------------------------


def test_package_is_known_by_its_contents(package):
    found = package_of(package())
    assert (found.plugin, found.version) == (NAME, OLD)
    names = ["manifest.yaml", "provider/xinference.yaml"]
    with zipfile.ZipFile(found.path) as archive:
        pairs = b"".join(
            hashlib.sha256(name.encode()).digest() + hashlib.sha256(archive.read(name)).digest() for name in names
        )
    with open(found.path, "rb") as file:
        assert found.digests == (hashlib.sha256(pairs).hexdigest(), hashlib.sha256(file.read()).hexdigest())


@pytest.mark.parametrize(
    ("manifest", "plugin", "version"),
    [
        ("version: '0.0.9'\nauthor: \"langgenius\"\nname: xinference # the name\n", NAME, "0.0.9"),
        ("name: own\r\nversion: 1.2.3-beta\r\n", "own", "1.2.3-beta"),
    ],
)
def test_manifest_spellings(package, manifest, plugin, version):
    found = package_of(package(manifest=manifest))
    assert (found.plugin, found.version) == (plugin, version)


def test_files_that_are_no_package(package, tmp_path):
    with pytest.raises(ModelopsError, match="cannot be read"):
        package_of(str(tmp_path / "none"))
    (tmp_path / "text").write_text("text")
    with pytest.raises(ModelopsError, match="not a Dify plugin package"):
        package_of(str(tmp_path / "text"))
    with pytest.raises(ModelopsError, match="without a name"):
        package_of(package(manifest="author: x\n"))
    with zipfile.ZipFile(tmp_path / "empty.zip", "w") as archive:
        archive.writestr("readme", "")
    with pytest.raises(ModelopsError, match="manifest"):
        package_of(str(tmp_path / "empty.zip"))


# --- from the marketplace ------------------------------------------------------------------------------------------


@pytest.mark.each_core("dify_plugin")
def test_present_upgrade_absent(dify, dify_plugin):
    check = dify_plugin(dify, check=True)
    result = dify_plugin(dify)
    assert not result.failed, result["msg"]
    assert check.changed and check["plan"] == result["plan"] == [f"+ install plugin {NAME} (0.0.15)"]
    assert check["diff"] == result["diff"]
    assert check["plugin"] == {"id": NAME, "state": "absent"}
    assert result["action"] == check["action"] == "install"
    assert result["plugin"] == {
        "id": NAME,
        "state": "installed",
        "version": NEW,
        "identifier": identifier(dify, NEW),
        "source": "marketplace",
    }
    assert result["version"] == dify.profile.version and result["workspace"]["id"] == dify.workspace.id

    for options in ({}, {"state": "latest"}, {"version": NEW}, {"identifier": identifier(dify, NEW)}):
        again = dify_plugin(dify, **options)
        assert not again.failed and not again.changed and again["action"] == "none" and again["plan"] == []
    assert dify_plugin(dify)["requests"] == again["requests"]
    assert sum(again["requests"].values()) == 4 == len(dify.log)

    older = dify_plugin(dify, identifier=identifier(dify, OLD))
    assert older.changed and older["action"] == "upgrade" and dify.workspace.plugin.version == OLD
    assert not dify_plugin(dify).changed
    check = dify_plugin(dify, state="latest", check=True)
    assert check["plan"] == [f"~ upgrade plugin {NAME} (version 0.0.9 -> 0.0.15)"]
    assert check["plugin"]["version"] == OLD
    assert dify_plugin(dify, state="latest")["plan"] == check["plan"]
    assert dify.workspace.plugin.version == NEW
    assert dify.sent("POST", "/uninstall") == []

    assert dify_plugin(dify, state="absent", check=True)["plan"] == [f"- remove plugin {NAME}"]
    gone = dify_plugin(dify, state="absent")
    assert gone.changed and gone["plugin"] == {"id": NAME, "state": "absent"} and dify.workspace.plugin is None
    assert not dify_plugin(dify, state="absent").changed


def test_before_plugins(dify_plugin):
    with DifyServer("0.15.3") as server:
        for state in ("present", "latest"):
            result = dify_plugin(server, state=state)
            assert not result.failed and not result.changed
            assert result["plugin"] == {"id": NAME, "state": "built_in"}
        refused(dify_plugin(server, state="absent"), "built in")


def test_dify_that_cannot_tell_the_latest(dify_plugin, monkeypatch):
    old = dataclasses.replace(PROFILES["1.7.2"], version="1.2.0", latest_versions=False)
    monkeypatch.setitem(PROFILES, "1.2.0", old)
    with DifyServer("1.2.0") as server:
        assert not dify_plugin(server).changed
        refused(dify_plugin(server, state="latest"), "1.2.0 cannot tell", "identifier")
        server.workspace.plugin = None
        refused(dify_plugin(server, check=True), "1.2.0 cannot tell")
        assert dify_plugin(server, identifier=identifier(server, OLD)).changed
        assert server.workspace.plugin.version == OLD


def test_marketplace_out_of_reach(dify, dify_plugin):
    dify.state.packages.online = False
    refused(dify_plugin(dify), "cannot reach its marketplace", "package")
    refused(dify_plugin(dify, identifier=identifier(dify, NEW)), "cannot reach the marketplace", "package")
    assert dify.workspace.plugin is None


def test_unknown_identifier(dify, dify_plugin):
    result = dify_plugin(dify, identifier=f"{NAME}:9.9.9@{'0' * 64}")
    refused(result, f"no {NAME} of this identifier")


def test_marketplace_is_off(dify, dify_plugin):
    dify.state.packages.enabled = False
    refused(dify_plugin(dify, check=True), "has no marketplace", "package")


def test_nobody_may_install(dify, dify_plugin):
    dify.state.packages.scope = "none"
    refused(dify_plugin(dify, check=True), "allows nobody to install")
    dify.state.packages.scope = "all"
    dify.state.packages.permission = "noone"
    refused(dify_plugin(dify), "the account is not allowed", "permissions")


@pytest.mark.parametrize("permission", ["everyone", "admins"])
def test_editor(dify, dify_plugin, permission):
    """Who may install plugins is a setting of the workspace, and Dify's to judge."""
    dify.state.add_account("ed@example.com", PASSWORD, "editor")
    dify.state.packages.permission = permission
    dify.workspace.plugin = None
    options = {"email": "ed@example.com", "identifier": dify.state.packages.latest}
    assert dify_plugin(dify, check=True, **options).changed
    if permission == "everyone":
        result = dify_plugin(dify, **options)
        assert not result.failed and result.changed, result["msg"]
    else:
        refused(dify_plugin(dify, **options), "the account is not allowed", "permissions")


def test_daemon_is_down(dify, dify_plugin):
    dify.state.daemon_up = False
    refused(dify_plugin(dify), "plugin_daemon")


# --- the installation ----------------------------------------------------------------------------------------------


def test_failed_installation(dify, dify_plugin):
    dify.state.task_fate, dify.state.task_message = "failed", "failed to install dependencies: exit status 1"
    refused(dify_plugin(dify), "exit status 1", "PIP_MIRROR_URL", "workspace 'admin's Workspace'")
    dify.state.task_message = "cannot launch"
    refused(dify_plugin(dify), "cannot launch", "log")


def test_endless_installation(dify, dify_plugin):
    dify.state.task_fate = "stuck"
    refused(dify_plugin(dify, timeout=0.1), "not done after 0.1 s", "running", "timeout")


def test_task_that_somebody_cleared_away(dify, dify_plugin):
    dify.state.task_fate = "cleared"
    result = dify_plugin(dify)
    assert not result.failed, result["msg"]
    assert result.changed and result["plugin"]["version"] == NEW


def test_task_that_vanished_without_an_installation(dify, dify_plugin):
    dify.state.task_fate = "lost"
    refused(dify_plugin(dify, timeout=0.1), "not done after 0.1 s")


def test_lost_answers(dify, dify_plugin):
    dify.faults = [Fault("reset_after", "POST", "/install/marketplace$")]
    assert dify_plugin(dify)["plugin"]["version"] == NEW
    assert len(dify.sent("POST", "/install/marketplace")) == 1
    dify.faults = [Fault("reset_after", "POST", "/uninstall$")]
    assert dify_plugin(dify, state="absent").changed and dify.workspace.plugin is None


def test_failed_upgrade_leaves_what_was_there(dify, dify_plugin):
    dify_plugin(dify, identifier=identifier(dify, OLD))
    dify.state.task_fate, dify.state.task_message = "failed", "cannot launch"
    refused(dify_plugin(dify, state="latest"), "cannot launch")
    assert dify.workspace.plugin.version == OLD


# --- from a file ---------------------------------------------------------------------------------------------------


def test_from_a_file(dify, dify_plugin, package):
    dify.state.packages.online = False
    dify.state.packages.signed_only = True
    path = package(OLD)
    check = dify_plugin(dify, package=path, check=True)
    result = dify_plugin(dify, package=path)
    assert not result.failed, result["msg"]
    assert check["plan"] == result["plan"] == [f"+ install plugin {NAME} (0.0.9)"]
    assert result["plugin"]["source"] == "package"
    assert result["plugin"]["identifier"] == package_of(path).identifiers[0]
    again = dify_plugin(dify, package=path)
    assert not again.changed and dify.sent("POST", "/upload/pkg") == []

    newer = package("0.0.20")
    dify.workspace.models.update(kept="kept")
    check = dify_plugin(dify, package=newer, check=True)
    result = dify_plugin(dify, package=newer)
    assert not result.failed, result["msg"]
    assert check["plan"] == result["plan"] == [f"~ replace plugin {NAME} (version 0.0.9 -> 0.0.20)"]
    assert dify.workspace.plugin.version == "0.0.20" and dify.workspace.models == {"kept": "kept"}
    assert len(dify.sent("POST", "/uninstall")) == 1
    assert not dify_plugin(dify, package=newer).changed


def test_daemon_that_names_a_package_by_the_file(newest, dify_plugin, package):
    """Whether it digests the contents or the file is the daemon's own matter."""
    path = package(OLD)
    dify_plugin(newest, package=path)
    newest.workspace.plugin.identifier = package_of(path).identifiers[1]
    assert not dify_plugin(newest, package=path).changed


def test_daemon_with_names_of_its_own(newest, dify_plugin, package):
    """The answer to the upload decides."""
    path = package(OLD)
    dify_plugin(newest, package=path)
    newest.workspace.plugin.identifier = own = f"{NAME}:{OLD}@{DIGEST}"
    upload = newest.app.plugin_upload

    def renamed(request):
        reply = upload(request)
        reply.body["unique_identifier"] = own
        return reply

    replace_route(newest, "/upload/pkg", renamed)
    result = dify_plugin(newest, package=path)
    assert not result.failed and not result.changed and result["action"] == "none"
    assert newest.sent("POST", "/uninstall") == []


def test_old_plugin_is_back_after_a_failed_replacement(dify, dify_plugin, package):
    first = package(OLD)
    dify_plugin(dify, package=first)
    newer = package("0.0.20")
    install = dify.app._start

    def only_the_old_one(space, wanted, source):
        dify.state.task_fate = "done" if ":0.0.9@" in wanted else "failed"
        return install(space, wanted, source)

    dify.app._start = only_the_old_one
    dify.state.task_message = "cannot launch"
    refused(dify_plugin(dify, package=newer), "cannot launch", "back at 0.0.9")
    assert dify.workspace.plugin.version == OLD and dify.workspace.plugin.source == "package"
    dify.app._start = install
    dify.state.task_fate = "done"
    replace_route(dify, "/install/pkg", self_fail(dify))
    result = dify_plugin(dify, package=newer)
    assert result.failed and result.changed and "could not be installed again" in result["msg"]


def test_replacement_that_takes_too_long_is_left_to_end(newest, dify_plugin, package):
    dify_plugin(newest, package=package(OLD))
    newest.state.task_fate = "stuck"
    result = dify_plugin(newest, package=package("0.0.20"), timeout=0.1)
    assert result.failed and result.changed and "goes on by itself" in result["msg"]
    assert len(newest.sent("POST", "/install/pkg")) == 1


def self_fail(server):
    def fails(request):
        raise server.app.internal_error()

    return fails


def test_refusals_of_a_file(dify, dify_plugin, package):
    dify.state.packages.signed_only = True
    refused(dify_plugin(dify, package=package(signed=False)), "bad signature", "FORCE_VERIFYING_SIGNATURE")
    dify.state.packages.marketplace_only = True
    refused(dify_plugin(dify, package=package(), check=True), "marketplace only")
    dify.state.packages.marketplace_only = False
    dify.state.packages.limit = 200
    path = package(size=300)
    refused(dify_plugin(dify, package=path, check=True), "at most 200", "PLUGIN_MAX_PACKAGE_SIZE")
    assert dify.sent("POST", "/upload/pkg") == []
    dify.state.packages.limit = 10**6
    dify.faults = [Fault("html", "POST", "/upload/pkg$", status=413)]
    refused(dify_plugin(dify, package=path), "413", "client_max_body_size")
    dify.state.packages.daemon_fits = False
    refused(dify_plugin(dify, package=path), "versions that belong together")
    dify.faults = [Fault("status", "POST", "/install/pkg$")]
    refused(dify_plugin(dify, package=path), "gives no reason")
    assert dify.workspace.plugin is None


def test_size_that_only_dify_knows(newest, dify_plugin, package):
    features = newest.app.system_features

    def without_a_limit(request):
        reply = features(request)
        del reply.body["max_plugin_package_size"]
        return reply

    replace_route(newest, "features", without_a_limit)
    newest.state.packages.limit = 10
    refused(dify_plugin(newest, package=package()), "maximum allowed size", "PLUGIN_MAX_PACKAGE_SIZE")


def test_file_of_another_plugin(newest, dify_plugin, package):
    path = package(manifest="name: other\nauthor: me\nversion: {version}\n")
    refused(dify_plugin(newest, package=path), "'me/other'", "say so in plugin")
    assert newest.log == []


# --- the workspace -------------------------------------------------------------------------------------------------


def test_other_workspace(dify, dify_plugin):
    other = dify.state.add_workspace("Research", plugin=False, admin="owner")
    check = dify_plugin(dify, workspace="Research", check=True)
    assert not check.changed and check["action"] == "unknown" and "not the account's current" in check["not_compared"]
    home = dify.state.accounts[EMAIL].current
    assert dify_plugin(dify, workspace="Research").changed
    assert other.plugin.version == NEW and dify.workspace.plugin is None
    assert dify.state.accounts[EMAIL].current == home


def test_the_plugin_is_found_among_many(newest, dify_plugin):
    """From 1.4.1 on the list comes in pages."""
    dify_plugin(newest)
    mine = newest.app.plugin_list

    def paged(request):
        reply = mine(request)
        page = int(request.query["page"])
        plugins_ = [{"plugin_id": f"other/{n}"} for n in range(150)] + reply.body["plugins"]
        reply.body = {"plugins": plugins_[(page - 1) * 100 : page * 100], "total": len(plugins_)}
        return reply

    replace_route(newest, "/list", paged)
    assert not dify_plugin(newest).changed
    assert dify_plugin(newest, plugin="other/none", state="absent")["action"] == "none"
