# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash

# What bin/site and bin/test share: Python environments inside the clone, and nothing outside it. Sourced, with
# `set -euo pipefail`, from any directory.

ROOT=$(CDPATH='' cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
VENV=$ROOT/.venv

export UV_CACHE_DIR=${UV_CACHE_DIR:-$ROOT/.cache/uv}
export UV_PYTHON_DOWNLOADS=never UV_NO_PROGRESS=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1

say() { printf '%s\n' "$*" >&2; }
die() { say "$(basename "$0"): $*"; exit 1; }

# Installs Debian packages as root; else says the one command that does.
need_apt() {
    local command="apt-get install -y --no-install-recommends $*" log
    if [[ $(id -u) != 0 ]] || ! type -P apt-get >/dev/null; then
        die "missing: $*. Install it, on Debian and Ubuntu as root by: $command"
    fi
    say "installing $*"
    export DEBIAN_FRONTEND=noninteractive
    # The first try fails where the package lists are missing or old.
    log=$($command -o DPkg::Lock::Timeout=120 2>&1 </dev/null) ||
        log=$(apt-get update 2>&1 && $command -o DPkg::Lock::Timeout=120 2>&1 </dev/null) ||
        die "'$command' failed: $log"
}

# Paths of the interpreters of these minor versions ("3.13 3.12"), in this order, that really run: a pyenv shim is on
# PATH for every version that pyenv has, and fails for those that are not selected.
pythons() {
    local minor candidate
    for minor in "$@"; do
        for candidate in "$(type -P "python$minor")" "${PYENV_ROOT:-$HOME/.pyenv}/versions/$minor".*/bin/python"$minor" \
            "$(type -P python3)"; do
            "$candidate" -c "import sys; sys.exit(sys.version_info[:2] != (${minor/./, }))" 2>/dev/null || continue
            "$candidate" -c 'import sys; print(sys.executable)'
            break
        done
    done
}

# The newest interpreter that runs ansible-core and can make environments; arguments narrow the minor versions.
find_python() {
    local found python
    (($#)) || set -- 3.14 3.13 3.12 3.11
    mapfile -t found < <(pythons "$@")
    if ((${#found[@]} == 0)); then
        # Ubuntu 22.04 has it beside its own python3.
        need_apt "python${*: -1}-venv"
        mapfile -t found < <(pythons "$@")
        ((${#found[@]})) || die "no Python ${*: -1} or newer found"
    fi
    for python in "${found[@]}"; do
        if "$python" -c 'import ensurepip, venv' 2>/dev/null; then
            echo "$python"
            return
        fi
    done
    # Debian and Ubuntu ship the two modules apart from the interpreter.
    need_apt "python$("${found[0]}" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv"
    echo "${found[0]}"
}

# stamp DIR REQUIREMENTS...: what an environment was made of, but the interpreter.
stamp() {
    echo "$1"
    cat "${@:2}" | cksum
}

# make_venv DIR REQUIREMENTS... [VARIABLE PYTHON: the interpreter, where find_python should not choose]
# Makes the environment; does nothing where it stands already. The stamp is written last: an environment without it is
# half-made, one with another was made from other requirements, by another interpreter, or in another place.
make_venv() {
    local dir=$1 stamp
    shift
    stamp=$(stamp "$dir" "$@")
    if [[ $(cat "$dir/.stamp" 2>/dev/null) == "$stamp "* ]] &&
        [[ $(cat "$dir/.stamp") == "$stamp $("$dir/bin/python" -VV 2>/dev/null)" ]]; then
        return
    fi
    local python=${PYTHON:-}
    [[ -n $python ]] || python=$(find_python) || exit
    say "making the environment ${dir#"$ROOT"/} with $("$python" -V)"
    rm -rf "$dir"
    if [[ $dir == "$VENV" ]]; then
        "$python" -m venv "$dir" >&2
        link_collection "$dir/collections"
        "$dir/bin/python" -m pip install -qq "$(grep -E '^uv==' "$1")" >&2
    else
        make_venv "$VENV" "$ROOT/requirements/controller.txt"
        use_pip_settings
        "$VENV/bin/uv" venv -q --python "$python" "$dir" >&2
    fi
    use_pip_settings
    local requirement arguments=()
    for requirement in "$@"; do arguments+=(-r "$requirement"); done
    "$VENV/bin/uv" pip install -q --python "$dir/bin/python" "${arguments[@]}" >&2
    echo "$stamp $("$dir/bin/python" -VV)" >"$dir/.stamp"
}

pip_settings() {
    PYTHONPATH=$VENV/collections "$VENV/bin/python" -B "$ROOT/bin/_pip_settings.py" "$@"
}

# uv does not read pip's configuration: hand it over.
use_pip_settings() {
    local exports
    exports=$(pip_settings uv) || die "pip's configuration cannot be read"
    eval "$exports"
}

# link_collection DIR: puts the clone where Ansible, with DIR in its collections path, finds modelops.inference.
link_collection() {
    mkdir -p "$1/ansible_collections/modelops"
    ln -sfn "$ROOT" "$1/ansible_collections/modelops/inference"
}
