# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Steps in a workspace, one class each: the modules dify_plugin, dify_models, dify_default_models, dify_info and
dify_key take one of them, and dify_workspaces several with one login. Private to the collection.

A step refuses wrong options as it is made, before anything is sent. It fails with a ModelopsError that has what was done until then.
"""

from __future__ import annotations

import typing as t
from dataclasses import asdict, replace

from ansible_collections.modelops.inference.plugins.module_utils import _connection, _plan, _secrets
from ansible_collections.modelops.inference.plugins.module_utils._dify import defaults as dify_defaults
from ansible_collections.modelops.inference.plugins.module_utils._dify import models as dify_models
from ansible_collections.modelops.inference.plugins.module_utils._dify import plugins as dify_plugins
from ansible_collections.modelops.inference.plugins.module_utils._dify import registrations, rotation
from ansible_collections.modelops.inference.plugins.module_utils._dify.converge import Run, Settings
from ansible_collections.modelops.inference.plugins.module_utils._dify.session import DifySession, Moved
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

Options = t.Mapping[str, t.Any]
Result = dict[str, t.Any]

# Xinference's own types, which are mapped to Dify's.
XINFERENCE_TYPES = ("LLM", "embedding", "audio", "image", "video", "flexible")


class Step:
    """One step.

    :param p: its options, as the module of its name documents them.  :param warn: is told what no step fails for.
    """

    OPTIONS: t.ClassVar[dict[str, t.Any]] = {}
    #: Whether an account that may only read is refused.
    to_change = True

    def __init__(self, p: Options, check: bool, warn: t.Callable[[str], None]):
        self.p, self.check, self.warn = p, check, warn
        self._prepare()

    def _prepare(self) -> None:
        """Refuses what is wrong by itself."""

    def run(self, dify: DifySession, within: t.ContextManager[bool]) -> Result:
        """Does the step.

        :param within: the workspace, which tells as its context whether it can be compared.
        """
        raise NotImplementedError


def run(module: AnsibleModule, kind: type[Step]) -> Result:
    """The work of a module that does one step in one workspace."""
    step = kind(module.params, module.check_mode, module.warn)
    dify = DifySession.open(module)
    return step.run(dify, dify.in_workspace(module.params["workspace"], to_change=kind.to_change))


class Plugin(Step):
    """The plugin of the Xinference provider."""

    OPTIONS = dict(
        plugin=dict(type="str", default=dify_plugins.XINFERENCE),
        state=dict(type="str", choices=["present", "latest", "absent"], default="present"),
        version=dict(type="str"),
        identifier=dict(type="str"),
        package=dict(type="path"),
        timeout=dict(type="float", default=600),
    )
    # Who may install plugins is a setting of the workspace, which Dify knows.
    to_change = False

    def _prepare(self) -> None:
        p = self.p
        package = dify_plugins.package_of(p["package"]) if p["package"] else None
        self.wanted = dify_plugins.Wanted(p["plugin"], p["state"], p["version"], p["identifier"], package)
        problems = dify_plugins.problems(self.wanted)
        if problems:
            raise ModelopsError("Nothing was sent to Dify: " + "; ".join(problems))

    def run(self, dify: DifySession, within: t.ContextManager[bool]) -> Result:
        if not dify.release.plugins and self.wanted.state == "absent":
            raise ModelopsError(
                f"Dify {dify.url}: {dify.release.version} has its Xinference provider built in, which cannot be removed. "
                "Plugins came with 1.0."
            )
        with within as comparable:
            if not dify.release.plugins:
                result = self._unchanged("none", "built_in")
            elif comparable:
                result = self._converge(dify)
            else:
                why = dify.not_compared()
                self.warn(why)
                result = dict(self._unchanged("unknown", "unknown"), not_compared=why)
        return dict(result, **dify.about())

    def _converge(self, dify: DifySession) -> Result:
        """Reads, plans, and outside check mode applies."""
        wanted, plugins = self.wanted, dify_plugins.Plugins(dify, self.wanted.plugin)
        now = plugins.installed()
        try:
            latest = plugins.latest() if dify_plugins.needs_latest(wanted, now) else None
            step = dify_plugins.decide(wanted, now, latest)
            if step and step.target:
                dify_plugins.allow(step.target, plugins.features())
        except dify_plugins.NotPossible as exc:
            raise ModelopsError(f"{dify.where()}: nothing was changed: {exc}") from exc
        plan = dify_plugins.plan(wanted, step, f"{dify.url} {dify.workspace.name}")
        if step and not self.check:
            before, now = now, plugins.apply(step, self.p["timeout"])
            if now == before:  # the daemon calls the file what is installed already
                step, plan = None, _plan.Plan()
        action = step.kind if step else "none"
        return dict(plan.result(), action=action, plugin=dify_plugins.described(wanted.plugin, now))

    def _unchanged(self, action: str, state: str) -> Result:
        about = dify_plugins.described(self.wanted.plugin, None, state)
        return dict(_plan.Plan().result(), action=action, plugin=about)


class Models(Step):
    """The models of the provider."""

    OPTIONS = dict(
        provider=dict(type="str"),
        models=dict(
            type="list",
            elements="dict",
            required=True,
            options=dict(
                name=dict(type="str", required=True),
                type=dict(type="str", required=True, choices=[*dify_models.TYPES, *XINFERENCE_TYPES]),
                abilities=dict(type="list", elements="str", default=[]),
                server_url=dict(type="str"),
                model_uid=dict(type="str"),
                api_key=dict(type="str", no_log=True),
                api_key_file=dict(type="path", no_log=False),
                invoke_timeout=dict(type="int", default=60),
                max_retries=dict(type="int", default=3),
                credential_name=dict(type="str", default=dify_models.OWN_NAME),
                context_length=dict(type="int"),
                enabled=dict(type="bool"),
                state=dict(
                    type="str",
                    choices=["present", "present_with_defaults", "absent", *registrations.LEFT_ALONE],
                    default="present",
                ),
            ),
            required_if=[
                ("state", "present", ("server_url", "model_uid")),
                ("state", "present_with_defaults", ("server_url", "model_uid")),
            ],
        ),
        update_secret=dict(
            type="str", choices=["on_create", "always", "when_changed"], default="when_changed", no_log=False
        ),
        clean_credentials=dict(type="bool", default=False),
        prune=dict(type="bool", default=False),
        prune_prefix=dict(type="str", default=dify_models.OWN_NAME),
        prune_server_urls=dict(type="list", elements="str", default=[]),
        allow_loopback=dict(type="bool", default=False),
    )

    def _prepare(self) -> None:
        p = self.p
        self.wanted = [wanted_of(item) for item in p["models"] if kind_of(item)]
        _secrets.hide(*{secret for model in self.wanted for secret in model.secrets})
        problems = dify_models.problems(self.wanted, allow_loopback=p["allow_loopback"])
        if p["prune"] and not p["prune_prefix"].strip():
            problems.append("prune_prefix is empty: with prune it tells which credentials are this site's")
        if problems:
            raise ModelopsError("Nothing was sent to Dify: " + "; ".join(problems))

    def run(self, dify: DifySession, within: t.ContextManager[bool]) -> Result:
        p = self.p
        policy = dify_models.Policy(p["update_secret"], p["clean_credentials"])
        settings = Settings(p["provider"], policy, p["prune"], p["prune_prefix"], p["prune_server_urls"])
        work = Run(dify, self.wanted, settings, check=self.check, warn=self.warn)
        try:
            with within as comparable:
                if comparable:
                    work.converge()
                else:
                    work.compare_nothing()
        except ModelopsError as exc:
            if isinstance(exc, Moved):
                work.doubt()
            # Report earlier changes, too.
            raise ModelopsError(str(exc), **{**self._told(work), **exc.result}) from exc
        result = self._told(work)
        failed = [item["error"] for item in result["models"] if "error" in item]
        if failed:
            raise ModelopsError(
                f"{len(failed)} of {len(result['models'])} models failed. " + " | ".join(failed), **result
            )
        return result

    def _told(self, work: Run) -> Result:
        """The result with the models that Dify has no type for, and with what it cost; empty where nothing was read."""
        result = work.result()
        if not result:
            return {}
        rows = list(result["models"])
        for index, item in enumerate(self.p["models"]):
            if kind_of(item) is None:
                why = registrations.why_not(item)
                rows.insert(index, dict(name=item["name"], type=item["type"], action="skip", state="skipped", why=why))
        return {**result, "models": rows, **work.dify.about()}


def kind_of(item: Options) -> str | None:
    """The type in Dify of a model of the options; None where Dify has none for it."""
    if item["type"] in dify_models.TYPES:
        return str(item["type"])
    return registrations.dify_type({"uid": item["name"], "type": item["type"], "abilities": item["abilities"]})


def wanted_of(item: Options) -> dify_models.Wanted:
    """A model of the options that Dify has a type for."""
    kind = str(kind_of(item))
    wanted = dify_models.Wanted(
        name=item["name"],
        type=kind,
        server_url=(item["server_url"] or "").strip().rstrip("/"),
        model_uid=item["model_uid"] or "",
        invoke_timeout=str(item["invoke_timeout"]),
        max_retries=str(item["max_retries"]),
        credential_name=item["credential_name"] or "",
        enabled=item["enabled"],
        context_length=item["context_length"],
        state=item["state"],
    )
    if not wanted.present:
        return wanted
    key = _connection.secret(item["api_key"], item["api_key_file"], f"model '{wanted.name}' ({kind}): api_key_file")
    return replace(wanted, api_key=key)


class Defaults(Step):
    """The workspace's default models."""

    OPTIONS = dict(
        defaults=dict(type="dict", required=True),
        provider=dict(type="str"),
        pending=dict(
            type="list",
            elements="dict",
            default=[],
            options=dict(type=dict(type="str", required=True), name=dict(type="str", required=True)),
        ),
    )

    def _prepare(self) -> None:
        # The provider depends on the release.
        dify_defaults.wanted_of(self.p["defaults"], self.p["provider"] or "")

    def run(self, dify: DifySession, within: t.ContextManager[bool]) -> Result:
        wanted = dify_defaults.wanted_of(self.p["defaults"], self.p["provider"] or dify.release.provider)
        with within as comparable:
            if comparable:
                result = self._converge(dify, wanted)
            else:
                why = dify.not_compared()
                self.warn(why)
                rows = dify_defaults.rows(wanted, dict.fromkeys(wanted, "unknown"))
                result = dict(_plan.Plan().result(), not_compared=why, defaults=rows)
        result.update(dify.about())
        failed = [row["error"] for row in result["defaults"] if "error" in row]
        if failed:
            raise ModelopsError(f"{len(failed)} of {len(wanted)} defaults failed. " + " | ".join(failed), **result)
        return result

    def _converge(self, dify: DifySession, wanted: dify_defaults.Defaults) -> Result:
        """Reads, plans, and outside check mode applies; a failed default is noted and the next one is tried."""
        defaults = dify_defaults.DefaultModels(dify)
        active = {model_type: defaults.active(model_type) for model_type in wanted}
        pending = {(item["type"], item["name"]) for item in self.p["pending"] if self.check}
        problems = dify_defaults.problems(wanted, active, pending)
        errors = {model_type: f"{dify.where()}: {problem}" for model_type, problem in problems.items()}
        usable = {model_type: model for model_type, model in wanted.items() if model_type not in errors}
        readable = [model_type for model_type in usable if not (self.check and active[model_type])]
        actual = {model_type: defaults.read(model_type) for model_type in readable}
        # Whatever the default is, it is not a model that is yet to be registered.
        actual.update(
            (kind, dify_defaults.UNKNOWN)
            for kind, model in usable.items()
            if kind not in actual and model not in active[kind]
        )
        plan = dify_defaults.plan(usable, actual, f"{dify.url} {dify.workspace.name}")
        unread = [model_type for model_type in usable if model_type not in actual]
        actions = {model_type: "unknown" if model_type in unread else "none" for model_type in wanted}
        for change in plan:
            actions[change.data] = "set"
            if not self.check:
                try:
                    defaults.set(change.data, wanted[change.data])
                except ModelopsError as exc:
                    errors[change.data] = str(exc)
        result = dict(plan.result(), defaults=dify_defaults.rows(wanted, actions, errors))
        if errors:
            result["changed"] = any(change.data not in errors for change in plan)
        if unread:
            result["not_compared"] = (
                f"{dify.where()}: the defaults of {', '.join(unread)} were not compared: where none is set, reading one makes "
                "Dify choose and store one, which check mode does not do."
            )
            self.warn(result["not_compared"])
        return result


class Info(Step):
    """Reads what the workspace has."""

    OPTIONS = dict(
        provider=dict(type="str"),
        plugin=dict(type="str", default=dify_plugins.XINFERENCE),
        credentials=dict(type="bool", default=False),
        defaults=dict(type="bool", default=False),
    )
    to_change = False

    def run(self, dify: DifySession, within: t.ContextManager[bool]) -> Result:
        result: Result = dict(
            changed=False,
            auth=dict(
                session="cookies" if dify.release.cookies else "bearer",
                password="base64" if dify.release.encoded_password else "plain",
                admin_key=dify.release.admin_key,
            ),
            workspaces=dify.workspaces(),
            plugin=None,
            models=None,
        )
        not_read = []
        with within as readable:
            if readable:
                result["plugin"] = self._plugin(dify)
                result["models"] = self._models(dify)
            else:
                not_read.append(dify.not_compared("its models"))
            if self.p["defaults"] and self.check:
                not_read.append(
                    f"{dify.where()}: the defaults were not read: where none is set, reading one makes Dify choose and store one."
                )
            elif self.p["defaults"]:
                defaults = dify_defaults.DefaultModels(dify)
                found = {model_type: defaults.read(model_type) for model_type in dify_defaults.TYPES}
                result["defaults"] = {model_type: model and asdict(model) for model_type, model in found.items()}
        result.update(dify.about())
        result["workspace"]["role"] = dify.workspace.role
        if not_read:
            result["not_read"] = " ".join(not_read)
        return result

    def _plugin(self, dify: DifySession) -> Result:
        name = self.p["plugin"]
        if not dify.release.plugins:
            return dify_plugins.described(name, None, "built_in")
        return dify_plugins.described(name, dify_plugins.Plugins(dify, name).installed())

    def _models(self, dify: DifySession) -> list[Result]:
        known = dify_models.Models(dify, self.p["provider"])
        rows = []
        for (name, model_type), state in known.statuses().items():
            row = dict(name=name, type=model_type, state=state)
            if self.p["credentials"]:
                row.update(_credential(known.read(dify_models.Wanted(name, model_type), state)))
            rows.append(row)
        return rows


def _credential(actual: dify_models.Actual) -> Result:
    """The public part of a model's credential; what Dify hides is part of a secret, but for the server's address."""
    stored = actual.stored or {}
    fields = {
        name: registrations.shown(str(value)) if name == "server_url" else value
        for name, value in stored.items()
        if name == "server_url" or name not in dify_models.SECRETS and dify_models.MASK not in str(value)
    }
    return dict(
        fields=fields,
        has_api_key=bool(stored.get("api_key")),
        credential_id=actual.credential_id,
        credential_name=actual.credential_name,
        credential_names=[name for id, name in actual.available],
    )


class Key(Step):
    """Puts new keys in the place of old ones."""

    OPTIONS = dict(
        provider=dict(type="str"),
        keys=dict(
            type="list",
            elements="dict",
            required=True,
            no_log=False,
            options=dict(
                cluster=dict(type="str", required=True),
                old=dict(type="list", elements="str", required=True),
                new=dict(type="str", no_log=True),
            ),
        ),
    )

    def _prepare(self) -> None:
        keys = self.p["keys"]
        self.changes = [rotation.Change(item["cluster"], tuple(item["old"]), item["new"] or None) for item in keys]
        _secrets.hide(*(change.new for change in self.changes if change.new))
        problems = rotation.problems(self.changes, check=self.check)
        if problems:
            raise ModelopsError("Nothing was sent to Dify: " + "; ".join(problems))

    def run(self, dify: DifySession, within: t.ContextManager[bool]) -> Result:
        with within as comparable:
            if not comparable:
                why = dify.not_compared()
                self.warn(why)
                return dict(changed=False, plan=[], models=[], not_compared=why, **dify.about())
            work = rotation.Rotation(dify, self.p["provider"], self.changes, check=self.check)
            work.run()
        result = {**work.result(), **dify.about()}
        failed = [row["error"] for row in work.rows if "error" in row]
        if failed:
            raise ModelopsError(
                f"{len(failed)} of {len(work.rows)} models may still have the old key. " + " | ".join(failed), **result
            )
        return result
