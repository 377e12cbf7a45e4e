#!/bin/sh
# Set up what is missing, then run:   ./go test [--e2e] [arguments of pytest]   or   ./go <any verb of patchkit>
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
venv=$here/.venv unfinished=$here/.venv/.unfinished

say() { printf 'go: %s\n' "$*" >&2; }
fail() { say "$*"; exit 2; }
stamp() { printf '%s/.set-up%s' "$venv" "${1:+-$1}"; }   # one for each of: nothing more, dev, dev,ray
wanted() { printf '%s\n' "$here"; cat "$here/pyproject.toml"; }   # a moved checkout or new dependencies: install again
ready() { [ -x "$venv/bin/python" ] && [ "$(cat "$(stamp "$1")" 2>/dev/null)" = "$(wanted)" ]; }

find_python() {
    for name in python3 python3.14 python3.13 python3.12 python3.11 python3.10 python; do
        "$name" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null && command -v "$name" && return
    done
    fail 'no Python 3.10 or newer on the PATH; install one (Debian: apt-get install python3 python3-venv)'
}

pip_can_install_elsewhere='import pip, sys
sys.exit(tuple(map(int, pip.__version__.split(".")[:2])) < (22, 3))'

find_uv() {   # the one on the PATH, else one in .venv, which patchkit needs there in any case
    ! uv --version >/dev/null 2>&1 || { command -v uv; return; }
    if ! "$venv/bin/uv" --version >/dev/null 2>&1; then
        if "$python" -c "$pip_can_install_elsewhere" 2>/dev/null; then
            set -- "$python" -m pip --python "$venv/bin/python"
        elif "$venv/bin/python" -m ensurepip --default-pip >/dev/null 2>&1; then
            set -- "$venv/bin/python" -m pip
        else
            fail "$python has neither pip nor ensurepip; install one (Debian: apt-get install python3-venv)"
        fi
        "$@" --quiet --disable-pip-version-check install --no-compile --ignore-installed uv >&2 || return
    fi
    printf '%s\n' "$venv/bin/uv"
}

# As patchkit runs uv: with the user's settings for pip, which uv does not read by itself.
with_pip_settings='import os, sys
from patchkit.environments.uv import environment_for_uv
os.execvpe(sys.argv[1], sys.argv[1:], environment_for_uv())'

set_up() {   # one at a time, where there is flock
    ! command -v flock >/dev/null || flock -n 9 || { say 'waiting for another set-up'; flock 9; }
    ! ready "$1" || return 0
    python=$(find_python)
    if [ -e "$unfinished" ] || ! "$venv/bin/python" -c '' 2>/dev/null; then
        say "making .venv with $python"
        "$python" -m venv --clear --without-pip "$venv" ||
            fail "$python cannot make virtual environments; install that part (Debian: apt-get install python3-venv)"
        : >"$unfinished"
    fi
    say "installing patchkit and what it needs${1:+, and its tests,} into .venv"
    { uv=$(find_uv) && PYTHONPATH=$here "$venv/bin/python" -c "$with_pip_settings" "$uv" pip install --quiet \
        --python "$venv/bin/python" --editable "$here${1:+[$1]}"; } ||
        fail 'that did not work, for the reason above; run the same command again once it is corrected'
    for extras in '' "${1%,ray}" "$1"; do wanted >"$(stamp "$extras")"; done
    rm -f "$unfinished"
}

run_tests() {   # those with real vLLM only if they are meant: --e2e, -m e2e, tests/e2e/…
    unset PYTHONDONTWRITEBYTECODE   # images often set it; each of the hundreds of processes would compile its imports again
    extras=dev
    for argument; do
        shift
        case $argument in *e2e*) extras=dev,ray ;; esac
        [ "$argument" = --e2e ] || set -- "$@" "$argument"
    done
    ready $extras || set_up $extras 9<"$here/pyproject.toml"
    cd "$here"
    spread=worksteal
    [ $extras = dev ] || spread=loadfile   # the tests on Ray are a file, which makes its cluster once
    without='not e2e' at_once="-n auto --maxprocesses 4 --dist $spread"
    if [ $# -gt 0 ]; then
        [ $extras = dev,ray ] || set -- -m "$without" "$@"
        exec "$venv/bin/python" -m pytest -o testpaths=tests "$@"
    fi
    set -- -m pytest -o testpaths=tests
    [ $extras = dev,ray ] || exec "$venv/bin/python" "$@" -m "$without" $at_once
    "$venv/bin/python" "$@" -m "$without" $at_once || failed=$?   # those with real vLLM share a core badly:
    [ "${failed-0}" -le 1 ] || exit "$failed"
    in_order='-n auto --maxprocesses 2 --dist loadfile --no-loadscope-reorder'
    "$venv/bin/python" "$@" -m e2e $in_order || failed=$?         # they run last, in two halves, each on its own cores
    exit "${failed-0}"
}

[ "${1-}" != test ] || { shift; run_tests "$@"; }
ready '' || set_up '' 9<"$here/pyproject.toml"
exec "$venv/bin/patchkit" "$@"
