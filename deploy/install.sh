#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs Tracehound on this machine from an unpacked archive, or takes it away. Needs no network and no compiler.
#   ./install.sh                    install or upgrade, enable and start the service
#   ./install.sh --no-start         the same, without starting anything
#   ./install.sh --uninstall        stop it, take policies out of the kernel, remove it; settings and log stay
#   ./install.sh --uninstall --purge    settings, log, user and group as well
# DESTDIR=DIR puts everything below DIR and starts nothing (for images and packages).
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=${DESTDIR:-}
prefix=/opt/tracehound
start=yes action=install purge=no

usage() { sed -n '3,8s/^# \{0,1\}//p' "$0"; }
say() { echo "install: $*"; }
fail() {
    echo "install: $1" >&2
    shift
    for line in "$@"; do echo "hint: $line" >&2; done
    exit 1
}

for option in "$@"; do
    case $option in
    --no-start) start=no ;;
    --uninstall) action=uninstall ;;
    --purge) purge=yes ;;
    -h | --help) usage; exit 0 ;;
    *) echo "install: unknown option $option" >&2; usage >&2; exit 2 ;;
    esac
done
[ $purge = no ] || [ $action = uninstall ] || fail "--purge goes with --uninstall"
[ -n "$root" ] || [ "$(id -u)" = 0 ] || fail "this needs root" "sudo $0 $*"
[ -z "$root" ] || start=no

# Whether systemd runs this machine (sd_booted(3)).
has_systemd() { [ -z "$root" ] && [ -d /run/systemd/system ]; }

check_machine() {
    wanted=$(cat "$here/ARCH")
    [ "$(uname -m)" = "$wanted" ] || fail "this archive is for $wanted, this machine is $(uname -m)"
    [ -n "$root" ] || [ -r /sys/kernel/btf/vmlinux ] ||
        say "warning: this kernel has no BTF (CONFIG_DEBUG_INFO_BTF): the agent cannot run on it"
    [ ! -e "$root$prefix" ] || [ -x "$root$prefix/bin/tracehound" ] ||
        fail "$root$prefix exists and is no installation of Tracehound" "move it away"
}

# The new tree takes the place of the old one in two renames. The old one comes back if the second fails, or if the new
# program refuses the settings: an agent that runs goes on with the files that it was started from.
new=$root/opt/.tracehound.new old=$root/opt/.tracehound.old
put_tree() {
    mkdir -p "$root/opt"
    rm -rf "$new" "$old"
    cp -a "$here/tree" "$new"
    chown -R 0:0 "$new" 2>/dev/null || [ -n "$root" ]
    [ ! -d "$root$prefix" ] || mv "$root$prefix" "$old"
    mv "$new" "$root$prefix" || { mv "$old" "$root$prefix"; fail "could not put the files into $prefix"; }
    [ ! -d "$old" ] || takes_settings || {
        mv "$root$prefix" "$new" && mv "$old" "$root$prefix" && rm -rf "$new"
        fail "this version does not take the settings, so nothing was changed" \
            "correct what is named above, then install again"
    }
    rm -rf "$old"
}

takes_settings() { [ -n "$root" ] || $prefix/bin/tracehound config check >/dev/null; }

put_files() {
    for pair in tracehound.service:systemd/system/tracehound.service sysusers.conf:sysusers.d/tracehound.conf \
        tmpfiles.conf:tmpfiles.d/tracehound.conf; do
        install -D -m 0644 "$here/host/${pair%%:*}" "$root/etc/${pair#*:}"
    done
    mkdir -p "$root/usr/local/bin"
    ln -sfn $prefix/bin/tracehound "$root/usr/local/bin/tracehound"
}

# Users and directories: by systemd's tools where they are, else by hand.
put_places() {
    if command -v systemd-sysusers >/dev/null && command -v systemd-tmpfiles >/dev/null; then
        systemd-sysusers ${root:+--root="$root"} tracehound.conf
        systemd-tmpfiles --create ${root:+--root="$root"} tracehound.conf
    else
        [ -n "$root" ] || getent group tracehound >/dev/null 2>&1 || groupadd -r tracehound 2>/dev/null ||
            addgroup -S tracehound 2>/dev/null || say "warning: no group tracehound: only root can read the log"
        sed -n 's/^d \+\([^ ]*\) \+\([0-7]*\) .*/\1 \2/p' "$here/host/tmpfiles.conf" |
            while read -r directory mode; do
                mkdir -p "$root$directory"
                chmod "$mode" "$root$directory"
            done
        [ -n "$root" ] || chgrp tracehound /var/lib/tracehound /var/log/tracehound 2>/dev/null || true
    fi
    [ -e "$root/etc/tracehound/tracehound.yaml" ] ||
        install -D -m 0640 "$here/host/tracehound.yaml" "$root/etc/tracehound/tracehound.yaml"
}

start_service() {
    [ -z "$root" ] || return 0
    has_systemd || { say "no systemd here: start $prefix/bin/tracehound run --output none with your supervisor"; return; }
    systemctl daemon-reload
    [ $start = yes ] || { say "not started: systemctl enable --now tracehound"; return; }
    systemctl enable -q tracehound
    systemctl restart tracehound
    say "started; tracehound status, journalctl -u tracehound"
}

install_all() {
    check_machine
    put_tree
    put_files
    put_places
    say "$root$prefix is in place"
    takes_settings ||
        fail "the settings are wrong, so nothing was started" "correct them, then: systemctl restart tracehound"
    start_service
}

uninstall_all() {
    if has_systemd; then systemctl disable -q --now tracehound 2>/dev/null || true; fi
    [ -n "$root" ] || [ ! -x $prefix/bin/tracehound ] || $prefix/bin/tracehound policy disable --all --offline || true
    [ -n "$root" ] || rm -rf /sys/fs/bpf/tracehound
    rm -f "$root/etc/systemd/system/tracehound.service" "$root/etc/sysusers.d/tracehound.conf" \
        "$root/etc/tmpfiles.d/tracehound.conf" "$root/usr/local/bin/tracehound"
    [ ! -x "$root$prefix/bin/tracehound" ] || rm -rf "$root$prefix"
    if [ $purge = yes ]; then
        rm -rf "$root/etc/tracehound" "$root/var/lib/tracehound" "$root/var/log/tracehound"
        [ -n "$root" ] || { userdel tracehound; groupdel tracehound; } 2>/dev/null || true
    else
        say "kept: /etc/tracehound and /var/lib/tracehound (--purge removes them)"
    fi
    if has_systemd; then systemctl daemon-reload; fi
    say "removed"
}

${action}_all
