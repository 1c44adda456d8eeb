#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Fetches Debian's rsyslog, syslog-ng and Alertmanager into .cache/receivers, for the exporters' tests.
# Nothing is installed: the three would start as services, and two of them exclude each other. Needs apt; about
# 13 MB to fetch, 48 MB unpacked. Does nothing when all are there; tests skip what is missing.
set -eu

cd "$(dirname "$0")/../../.."
target=.cache/receivers
packages='rsyslog rsyslog-openssl syslog-ng-core prometheus-alertmanager'
libraries='libestr0 libfastjson4 liblognorm5 libivykis0 libnet1 libjson-c5 libwrap0'

[ ! -f $target/.complete ] || exit 0
command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || {
    echo "fetch: no apt-get here: the tests with rsyslog, syslog-ng and Alertmanager are skipped" >&2
    exit 0
}
mkdir -p $target
fetched=$(mktemp -d)
trap 'rm -rf "$fetched"' EXIT
for package in $packages $libraries; do
    (cd "$fetched" && apt-get -qq download "$package" >/dev/null 2>&1) ||
        echo "fetch: this distribution has no package $package" >&2
done
for file in "$fetched"/*.deb; do
    [ ! -f "$file" ] || dpkg-deb -x "$file" $target
done
touch $target/.complete
