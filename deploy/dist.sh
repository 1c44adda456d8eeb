#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes dist/tracehound-VERSION-linux-ARCH.tar.gz: everything that a node needs but its kernel, with install.sh.
# EXTRAS=otlp,kafka,s3,clickhouse,store chooses the optional parts. The checkout is built first (make build).
set -eu

cd "$(dirname "$0")/.."
PATH=$PWD/.venv/bin:$PATH
arch=$(uname -m)
version=$(.venv/bin/python -c 'import agent; print(agent.__version__)')
name=tracehound-$version-linux-$arch
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}
export SOURCE_DATE_EPOCH

top=$(mktemp -d)
trap 'rm -rf "$top"' EXIT
mkdir -p "$top/$name" dist
.venv/bin/python deploy/bundle.py "$top/$name/tree" ${EXTRAS+--extras "$EXTRAS"}
cp -r deploy/host deploy/install.sh LICENSE "$top/$name/"
echo "$arch" >"$top/$name/ARCH"
mkdir -p "$top/$name/tree/share/doc/tracehound"
cp docs/install.md "$top/$name/tree/share/doc/tracehound/"
cp "$top/$name/tree/share/sbom.cdx.json" "dist/$name.cdx.json"
find "$top/$name" -type d -exec chmod 0755 {} +
tar -C "$top" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" -c "$name" |
    gzip -n >"dist/$name.tar.gz"
(cd dist && sha256sum "$name.tar.gz" >"$name.tar.gz.sha256")
echo "dist/$name.tar.gz: $(du -m "dist/$name.tar.gz" | cut -f1) MB, $(du -sm "$top/$name" | cut -f1) MB unpacked"
