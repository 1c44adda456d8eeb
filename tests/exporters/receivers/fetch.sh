#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Fetches Debian's rsyslog, syslog-ng and Alertmanager into .cache/receivers, for the exporters' tests.
# Nothing is installed: the three would start as services, and two of them exclude each other. What they need and this
# machine lacks is fetched, too, as apt says it. Needs apt; about 13 MB to fetch, 48 MB unpacked. Does nothing when all are
# there; tests skip what is missing.
set -eu

cd "$(dirname "$0")/../../.."
target=.cache/receivers
packages='rsyslog rsyslog-openssl syslog-ng-core prometheus-alertmanager'
complete=$target/.complete-2

[ ! -f $complete ] || exit 0
command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || {
    echo "fetch: no apt-get here: the tests with rsyslog, syslog-ng and Alertmanager are skipped" >&2
    exit 0
}
mkdir -p $target
fetched=$(mktemp -d)
trap 'rm -rf "$fetched"' EXIT
needed() { # packages that would be installed for one, without what would only be upgraded ("Inst NAME [OLD] (NEW …")
    apt-get -s -qq --no-install-recommends install "$1" 2>/dev/null | sed -n 's/^Inst \([^ ]*\) (.*/\1/p'
}
all=$(for package in $packages; do
    echo "$package"
    needed "$package"
done | sort -u)
for package in $all; do
    (cd "$fetched" && apt-get -qq download "$package" >/dev/null 2>&1) ||
        echo "fetch: this distribution has no package $package" >&2
done
for file in "$fetched"/*.deb; do
    [ ! -f "$file" ] || dpkg-deb -x "$file" $target
done
touch $complete
