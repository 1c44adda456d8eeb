#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs what Tracehound needs on Debian 12/13 or Ubuntu 24.04 and builds it:
#   ./setup.sh        system packages, .venv, BPF objects: enough to run
#   ./setup.sh test   the same and what tests, linters and the VM kernels need
# Does only what is missing, so it may be started any number of times. System packages need root or sudo;
# everything in the checkout is made as the checkout's owner. Another Python: PYTHON=/path ./setup.sh
set -eu

cd "$(dirname "$0")"
case "${1:-}" in
'') kind=run extra='[store,detect]' ;;
test) kind=dev extra='[dev]' ;;
*) echo "usage: ./setup.sh [test]" >&2; exit 2 ;;
esac

say() { echo "setup: $*"; }
fail() {
    echo "setup: $1" >&2
    shift
    for line in "$@"; do echo "       $line" >&2; done
    exit 1
}

# Run a command without a word; when it fails, show the end of what it said.
quietly() {
    log=$(mktemp)
    "$@" >"$log" 2>&1 && status=0 || status=$?
    [ "$status" = 0 ] || tail -n 20 "$log" >&2
    rm -f "$log"
    return "$status"
}

me=$(id -u)
owner=$(stat -c %u .)
group=$(stat -c %g .)

as_root() {
    if [ "$me" = 0 ]; then "$@"; else sudo "$@"; fi
}

# Root that works in somebody else's checkout becomes that user, so that no file in it belongs to root.
owner_home=$(getent passwd "$owner" | cut -d: -f6)
as_owner() {
    if [ "$me" = 0 ] && [ "$owner" != 0 ]; then
        setpriv --reuid="$owner" --regid="$group" --clear-groups env HOME="${owner_home:-/tmp}" "$@"
    else
        "$@"
    fi
}
[ "$me" = 0 ] || [ -w . ] ||
    fail "cannot write to $PWD, which belongs to $(stat -c %U .)" "Start it as that user or as root."

# --- system packages -------------------------------------------------------------------------------------

fits='import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))'
find_python() {
    for candidate in ${PYTHON:-} python3 /usr/bin/python3; do
        if as_owner "$candidate" -c "$fits" 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
}

packages='clang llvm libbpf-dev libbpf1 libelf-dev make'
if [ $kind = dev ]; then
    packages="$packages qemu-system-x86 kmod busybox-static iproute2 debian-archive-keyring gcc libc6-dev"
    # virtme-ng asks `file` what an image is.
    packages="$packages clang-format file"
fi

missing_packages() {
    [ -n "$(find_python)" ] || echo python3-venv
    for package in $packages; do
        case "$installed" in
        *" $package "*) ;;
        *) echo "$package" ;;
        esac
    done
}

if command -v dpkg-query >/dev/null; then
    # shellcheck disable=SC2016,SC2086
    installed=" $(dpkg-query -W -f='${Package}/${Status}\n' $packages 2>/dev/null |
        sed -n 's|/install ok installed$||p' | tr '\n' ' ')"
    missing=$(missing_packages | tr '\n' ' ')
    if [ -n "$missing" ]; then
        [ "$me" = 0 ] || command -v sudo >/dev/null ||
            fail "these packages are missing and there is no sudo: $missing" \
                "As root: apt-get install --no-install-recommends $missing"
        say "installing system packages: $missing"
        way_out='See its messages above; check the network and the sources in /etc/apt, then start again.'
        quietly as_root apt-get -qq update || say "apt-get update failed; going on with the lists at hand"
        # shellcheck disable=SC2086
        quietly as_root env DEBIAN_FRONTEND=noninteractive \
            apt-get -qq install -y --no-install-recommends $missing ||
            fail "apt-get could not install: $missing" "$way_out"
    fi
else
    for tool in clang llvm-strip make; do
        command -v $tool >/dev/null ||
            fail "$tool is missing, and this is no Debian or Ubuntu on which it could be installed here" \
                "Install with your own package manager what Debian calls: $packages"
    done
fi

python=$(find_python)
[ -n "$python" ] || fail "found no Python 3.11 or newer with venv and ensurepip" \
    "Install one (Debian 12, Ubuntu 24.04: python3-venv) or name it: PYTHON=/path/to/python3 ./setup.sh"

# --- virtual environment ---------------------------------------------------------------------------------

if ! as_owner .venv/bin/python -c '' 2>/dev/null; then
    say "making .venv with $("$python" --version)"
    as_owner rm -rf .venv
    as_owner "$python" -m venv .venv || fail "could not make .venv" "See the message above."
fi

wanted=$(sha256sum pyproject.toml | cut -d' ' -f1)
stamped() { [ "$(cat ".venv/.ready-$1" 2>/dev/null)" = "$wanted" ]; }
if ! stamped $kind && ! stamped dev; then
    say "installing Python packages into .venv: .$extra"
    quietly as_owner .venv/bin/python -m pip install --quiet --disable-pip-version-check -e ".$extra" ||
        fail "pip could not install Tracehound's Python packages" \
            "See its messages above; check the network and pip's configuration (pip config list), then start again."
    as_owner sh -c "echo $wanted >.venv/.ready-$kind"
fi

# --- BPF objects -----------------------------------------------------------------------------------------

if [ -f kprobes/Makefile ]; then
    as_owner make -C kprobes --no-print-directory --quiet PYTHON=../.venv/bin/python all ||
        fail "could not build the BPF objects in kprobes/" "See the compiler's messages above."
fi
if [ $kind = dev ]; then
    as_owner tests/exporters/receivers/fetch.sh || say "no receivers for the exporters' tests; they are skipped"
    as_owner tests/chart/fetch.sh || say "no helm for the chart's tests; they are skipped"
fi
as_owner .venv/bin/python -m compileall -q agent || true
say "ready"
