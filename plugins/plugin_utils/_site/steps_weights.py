# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Steps that bring weights to hosts, from afar and from one host to the others. Pure. Private to the collection."""

from __future__ import annotations

import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.plugin_utils._site import release, weights
from ansible_collections.modelops.inference.plugins.plugin_utils._site.calls import Call, Options, Run
from ansible_collections.modelops.inference.plugins.plugin_utils._site.host_plan import HostPlan
from ansible_collections.modelops.inference.plugins.plugin_utils._site.pins import UV

# The result of the step ``weights_served`` on the seed.
GIVEN = "xinference_weights_given"


def fetched(plan: HostPlan, run: Run) -> Call:
    """The host's missing weights; on the seed also those of other hosts."""
    host, value = plan.host, plan.host.value
    return Call(
        "xinference_weights",
        {
            "path": value("xinference_models_dir"),
            "base": host.directory,
            "python": plan.new_interpreter,
            "sources": [*plan.weights.sources, *weights.asked(host, run).values()],
            "paths": list(plan.weights.paths),
            "prune": value("xinference_weights_prune"),
            "index": release.index(host),
            "seed": _seed(plan, run),
            "uv": UV,
            "cache": value("xinference_cache_dir"),
            "user": host.user or None,
        },
    )


def _seed(plan: HostPlan, run: Run) -> Options | None:
    """The source of weights that precedes the declared sources: another host, or a bundle on this one."""
    seed = weights.given_by(plan.host, plan.weights)
    if not seed:
        bundled: Options | None = run.result("xinference_bundle_result").get("weights")
        return bundled or None
    given = (run.of(seed, GIVEN) or {}).get("seed")
    if not given or seed not in run.batch:
        raise ModelopsError(
            f"{plan.host.who}: the weights must come from {seed}, which failed or is not in this batch (serial). Run this again when it "
            'works, or with -e xinference_weights_seed="" to download them from their sources.'
        )
    url = str(given["url"])
    # A path would be one of this host, which a bundle has, and no other host may name. In check mode nothing is served.
    if url and not url.startswith("http://"):
        raise ModelopsError(
            f"{plan.host.who}: {seed} must serve weights by http, but its address is {url!r}. Check the installation of {seed}."
        )
    return {**given, "token": run.secret(seed)}


def served(plan: HostPlan, run: Run) -> Call:
    """Serves missing weights to other hosts, on the seed."""
    host = plan.host
    return Call(
        "xinference_weights_seed",
        {
            "path": host.value("xinference_models_dir"),
            "names": list(weights.asked(host, run)),
            "address": weights.address(host),
            "port": host.value("xinference_weights_port"),
            "token": run.secret(host.name),
        },
    )


def ended(plan: HostPlan, run: Run) -> Call:
    return Call("xinference_weights_seed", {"path": plan.host.value("xinference_models_dir"), "state": "absent"})


STEPS: dict[str, t.Callable[[HostPlan, Run], Call]] = {
    "weights": fetched,
    "weights_served": served,
    "weights_ended": ended,
}
