# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One run over the declared models. Private to the collection."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.modelops.inference.plugins.module_utils import _log as log
from ansible_collections.modelops.inference.plugins.module_utils import _secrets
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._host.system import network
from ansible_collections.modelops.inference.plugins.module_utils._host.weights.sources import SOURCE, Source, path_of
from ansible_collections.modelops.inference.plugins.module_utils._xinference.api.client import Client
from ansible_collections.modelops.inference.plugins.module_utils._xinference.declaration import (
    model_plan,
    models,
    registration,
)
from ansible_collections.modelops.inference.plugins.module_utils._xinference.declaration.declared import Store
from ansible_collections.modelops.inference.plugins.module_utils._xinference.launching import converge

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

MODEL_OPTIONS = dict(
    uid=dict(type="str", required=True),
    name=dict(type="str"),
    type=dict(type="str", choices=list(models.TYPES), default="LLM"),
    engine=dict(type="str"),
    format=dict(type="str"),
    size=dict(type="str"),
    quantization=dict(type="str"),
    replicas=dict(type="int", default=1),
    gpus_per_replica=dict(type="str"),
    gpu_indices=dict(type="list", elements="int"),
    worker=dict(type="str"),
    n_worker=dict(type="int"),
    path=dict(type="str"),
    definition=dict(type="dict", options=registration.OPTIONS),
    virtual_env=dict(type="bool"),
    virtual_env_packages=dict(type="list", elements="str"),
    virtual_env_find_links=dict(type="list", elements="str"),
    context_length=dict(type="int"),
    gpu_memory=dict(type="str"),
    check_placement=dict(type="bool", default=True),
    draft_model=dict(
        type="dict",
        options=dict(path=dict(type="str"), quantization=dict(type="str"), tokens=dict(type="int", no_log=False)),
    ),
    envs=dict(type="dict", no_log=True),
    download_hub=dict(type="str"),
    lora=dict(
        type="list",
        elements="dict",
        options=dict(
            name=dict(type="str", required=True),
            path=dict(type="str", required=True),
            scale=dict(type="float", default=1.0),
        ),
    ),
    request_limits=dict(type="int"),
    thinking=dict(type="bool"),
    engine_options=dict(type="dict"),
    priority=dict(type="int", default=100),
    autostart=dict(type="bool", default=True),
    launch_timeout=dict(type="int"),
    state=dict(type="str", choices=["present", "absent"], default="present"),
    tags=dict(type="list", elements="str"),
    source=SOURCE,
    dify=dict(
        type="dict",
        options=dict(
            name=dict(type="str"),
            type=dict(type="str", choices=["llm", "text-embedding", "rerank", "speech2text", "tts"]),
            server_url=dict(type="str"),
            invoke_timeout=dict(type="int"),
            max_retries=dict(type="int"),
            credential_name=dict(type="str"),
            enabled=dict(type="bool"),
            state=dict(type="str", choices=["present", "present_with_defaults", "absent"]),
        ),
    ),
)

OPTIONS = dict(
    models=dict(type="list", elements="dict", required=True, options=MODEL_OPTIONS),
    weights=dict(type="dict", default={}),
    replace=dict(type="str", choices=[model_plan.KEEP, model_plan.GAP, model_plan.SURGE], default=model_plan.KEEP),
    prune=dict(type="bool", default=False),
    remember=dict(type="path"),
    parallel=dict(type="int", default=5),
    workers=dict(type="list", elements="str", default=[]),
    new_workers=dict(type="list", elements="str", default=[]),
    cluster=dict(type="bool"),
    devices=dict(
        type="list",
        elements="dict",
        default=[],
        options=dict(
            worker=dict(type="str"),
            vendor=dict(type="str"),
            index=dict(type="int", required=True),
            name=dict(type="str"),
            memory_bytes=dict(type="int"),
            free_bytes=dict(type="int"),
            driver=dict(type="str"),
            compute_capability=dict(type="str"),
            llama_cpp=dict(
                type="dict", options=dict(build=dict(type="str"), index=dict(type="str"), virtual_env=dict(type="bool"))
            ),
        ),
    ),
    downloads=dict(type="path"),
    gpu_sharing=dict(type="bool", default=True),
    launch_timeout=dict(type="int", default=1800),
    ready_timeout=dict(type="int", default=300),
    prove=dict(type="str", choices=["never", "changed", "always"], default="always"),
    prove_timeout=dict(type="int", default=60),
    log_path=dict(type="path"),
    wait=dict(type="int"),
    resume=dict(type="dict"),
)


def unmask_short_values(module: AnsibleModule) -> None:
    """Lets short values of harmless variables be shown.

    Ansible masks a no_log value wherever it occurs in the result: the 0 of CUDA_VISIBLE_DEVICES would mask every 0.
    """
    for model in module.params["models"]:
        for name, value in (model["envs"] or {}).items():
            if len(str(value)) < 8 and not log.SECRET_NAME.search(str(name)):
                module.no_log_values.discard(str(value))


def paths_of_sources(
    declared: t.Iterable[t.Mapping[str, t.Any]], weights: t.Mapping[str, t.Any], *, predict: bool = False
) -> list[t.Mapping[str, t.Any]]:
    """The models with the path of their weights filled in where only the source is declared.

    :param predict: let a path of the right form stand for weights that are not on the host yet.
    """
    found = []
    for model in declared:
        if model["source"]:
            source = Source.of_model(model)
            # Only what is no secret of it: what is declared is remembered.
            model = dict(model, source=source.record)
        if model["source"] and not model["path"] and model["state"] == "present":
            path = path_of(weights, source)
            if not path and not predict:
                raise ModelopsError(
                    f"model '{model['uid']}': its weights ({source.label}) are not on this host. "
                    "Fetch them with modelops.inference.xinference_weights, or give their path."
                )
            suffix = ".gguf" if model["format"] == "ggufv2" else ""
            model = dict(model, path=path or f"/<weights {source.name}>{suffix}")
        found.append(model)
    return found


def on_addresses(declared: t.Iterable[t.Mapping[str, t.Any]]) -> list[t.Mapping[str, t.Any]]:
    """The models, with the IP address of each worker in the place of a name, which the server would not know it by."""
    found = []
    for model in declared:
        name, colon, port = (model["worker"] or "").partition(":")
        meaning = network.meaning_of(name) if name else None
        if meaning and meaning.name and meaning.address:
            model = dict(model, worker=f"{meaning.address}{colon}{port}")
        found.append(model)
    return found


def desired(p: t.Mapping[str, t.Any], check: bool) -> list[models.Model]:
    """The declared models, by the options above.

    :raises ModelopsError: naming everything that cannot be meant.
    """
    declared = paths_of_sources(on_addresses(p["models"]), p["weights"], predict=check)
    # In check mode the path of a source may only stand for weights that a run would fetch.
    fetched = {model["path"] for model in declared if check and model["source"]}
    there = of_cluster(p)
    wanted = models.desired(declared, exists=lambda path: there or path in fetched or os.path.exists(path))
    if p["prune"] and not p["remember"]:
        raise ModelopsError("prune needs remember, the file that lists the models that this collection launched")
    return wanted


def of_cluster(p: t.Mapping[str, t.Any]) -> bool:
    return bool(p["workers"]) if p["cluster"] is None else bool(p["cluster"])


def run(client: Client, p: t.Mapping[str, t.Any], warn: t.Callable[[str], None]) -> dict[str, t.Any]:
    """The module's result.

    :param p: the options above.
    """
    check = client.session.check_mode
    wanted = desired(p, check)
    for model in wanted:
        _secrets.hide(*(str(v) for n, v in (model.options["envs"] or {}).items() if log.SECRET_NAME.search(str(n))))
    settings = converge.RunOptions(
        replace=p["replace"],
        prune=p["prune"],
        parallel=p["parallel"],
        devices=p["devices"],
        downloads=p["downloads"],
        gpu_sharing=p["gpu_sharing"],
        launch_timeout=p["launch_timeout"],
        ready_timeout=p["ready_timeout"],
        workers=p["workers"],
        new_workers=p["new_workers"],
        cluster=of_cluster(p),
        prove=p["prove"],
        prove_timeout=p["prove_timeout"],
        wait=p["wait"],
    )
    result = converge.converge(client, wanted, settings, Store(p["remember"], writes=not check), p["resume"])
    for warning in result.pop("warnings"):
        warn(warning)
    return result
