#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds a real kube-apiserver (1.20, Debian 12's source package `kubernetes`) into .cache/kube, beside Debian's
# etcd. Nothing is installed: compiler, sources and etcd are unpacked from their packages. Takes about 10 minutes
# on two cores and 3 GB meanwhile; does nothing when it is there. `make kubetest API=real` uses it.
# Other parts by name, as kubelet: tests/kube/build.sh PART...
set -eu

cd "$(dirname "$0")/../.."
target=$PWD/.cache/kube
[ $# -gt 0 ] || set -- kube-apiserver
missing=
for name in etcd "$@"; do
    [ -x "$target/$name" ] || missing=yes
done
[ "$missing" ] || exit 0
command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || {
    echo "build: no apt-get here; name another binary: TRACEHOUND_KUBE_APISERVER=/path/to/kube-apiserver" >&2
    exit 1
}
mkdir -p "$target"
work=$target/.work
rm -rf "$work"
mkdir -p "$work/lists/partial" "$work/sources" "$work/debs" "$work/tools"

# The machine's own sources, asked for source packages; its lists stay as they are. Debian 13 has no such
# package any more.
for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.sources; do
    [ -s "$file" ] || continue
    sed -e 's/^Types:.*/Types: deb deb-src/' -e 's/^deb \(.*\)/deb \1\ndeb-src \1/' "$file" \
        >"$work/sources/$(basename "$file" .list)$(case "$file" in *.sources) ;; *) echo .list ;; esac)"
done
apt() {
    apt-get -qq -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$work/sources" \
        -o Dir::State::lists="$work/lists" -o APT::Sandbox::User=root "$@"
}
echo "build: fetching the compiler, etcd and the sources"
apt update || echo "build: not all package lists could be read; going on with those at hand" >&2
packages='golang-1.19-go golang-1.19-src golang-github-modern-go-reflect2-dev etcd-server'
tools='rsync libpopt0 libxxhash0 jq libjq1 libonig5'
# shellcheck disable=SC2086
(cd "$work/debs" && apt download $packages $tools)
for file in "$work"/debs/*.deb; do
    dpkg-deb -x "$file" "$work/tools"
done
install "$work/tools/usr/bin/etcd" "$target/etcd"
(cd "$work" && apt source --download-only kubernetes && dpkg-source --no-check -x kubernetes_*.dsc source >/dev/null)

# The package splits Go's tree over three places; absolute links lead out of what was unpacked.
mkdir "$work/go"
cp -r "$work/tools/usr/share/go-1.19/." "$work/go/"
for part in bin pkg; do
    rm -rf "$work/go/$part"
    cp -r "$work/tools/usr/lib/go-1.19/$part" "$work/go/$part"
done
find "$work/go/pkg" -type l -exec sh -c 'for link; do
    [ -e "$link" ] || rm "$link"; done' _ {} +
[ -e "$work/go/pkg/include" ] || cp -r "$work/tools/usr/share/go-1.19/pkg/include" "$work/go/pkg/include"

# What 1.20 brings along of reflect2 crashes when it is built with Go 1.18 or newer.
rm -rf "$work/source/vendor/github.com/modern-go/reflect2"
cp -r "$work/tools/usr/share/gocode/src/github.com/modern-go/reflect2" "$work/source/vendor/github.com/modern-go/"

cat >"$work/version" <<'END'
KUBE_GIT_COMMIT=unknown
KUBE_GIT_TREE_STATE=archive
KUBE_GIT_VERSION=v1.20.2
KUBE_GIT_MAJOR=1
KUBE_GIT_MINOR=20
END

# Some of the sources are made by generators, which only the tree's own makefile knows.
echo "build: compiling $*; this takes long"
env -u GOFLAGS GOROOT="$work/go" GOCACHE="$work/gocache" CGO_ENABLED=0 GOMAXPROCS=2 HOME="$work" \
    PATH="$work/go/bin:$work/tools/usr/bin:$PATH" LD_LIBRARY_PATH="$(echo "$work"/tools/usr/lib/*-linux-gnu)" \
    KUBE_GIT_VERSION_FILE="$work/version" \
    make -C "$work/source" WHAT="$(printf 'cmd/%s ' "$@")"
for name; do
    install -s "$work/source/_output/bin/$name" "$target/$name"
done
cd "$target"
chmod -R u+w "$work"
rm -rf "$work"
echo "build: $* ready in $target"
