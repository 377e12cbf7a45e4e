#!/bin/sh
# Set up what is missing, then run:   ./go test [arguments of pytest]   or   ./go <any verb of patchkit>
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
venv=$here/.venv stamp=$here/.venv/.set-up unfinished=$here/.venv/.unfinished

say() { printf 'go: %s\n' "$*" >&2; }
fail() { say "$*"; exit 2; }
wanted() { printf '%s\n' "$here"; cat "$here/pyproject.toml"; }   # a moved checkout or new dependencies: install again
ready() { [ -x "$venv/bin/python" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$(wanted)" ]; }

find_python() {
    for name in python3 python3.14 python3.13 python3.12 python3.11 python3.10 python; do
        "$name" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null && command -v "$name" && return
    done
    fail 'no Python 3.10 or newer on the PATH; install one (Debian: apt-get install python3 python3-venv)'
}

set_up() {   # one at a time, where there is flock
    ! command -v flock >/dev/null || flock -n 9 || { say 'waiting for another set-up'; flock 9; }
    ! ready || return 0
    if [ -e "$unfinished" ] || ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
        python=$(find_python)
        "$python" -c 'import ensurepip, venv' 2>/dev/null ||
            fail "$python cannot make virtual environments; install that part (Debian: apt-get install python3-venv)"
        say "making .venv with $python"
        "$python" -m venv --clear --without-pip "$venv"
        : >"$unfinished"
        "$venv/bin/python" -m ensurepip --default-pip >/dev/null
    fi
    say 'installing patchkit and what it needs into .venv'
    (cd "$here" && "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --editable '.[dev]') ||
        fail 'that did not work, for the reason above; run the same command again once it is mended'
    wanted >"$stamp"
    rm -f "$unfinished"
}

ready || set_up 9<"$here/pyproject.toml"
[ "${1-}" != test ] || { shift; cd "$here"; exec "$venv/bin/python" -m pytest tests "$@"; }
exec "$venv/bin/patchkit" "$@"
