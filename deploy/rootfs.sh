#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Adds to the image's tree, DIR, what is not below /opt/tracehound: users, certificates, mount points, and the host's
# places as links through the first process of the pod's pid namespace, which is the host's (hostPID).
#   deploy/rootfs.sh DIR
set -eu

top=$1
mkdir -p "$top/etc/ssl/certs" "$top/etc/tracehound" "$top/run/tracehound" "$top/var/lib/tracehound" \
    "$top/proc" "$top/sys" "$top/dev" "$top/tmp" "$top/var/tmp" "$top/lib64"
chmod 1777 "$top/tmp" "$top/var/tmp"
ln -sfn ../run "$top/var/run"
printf 'root:x:0:0:root:/:/sbin/nologin\ntracehound:x:65532:65532::/:/sbin/nologin\n' >"$top/etc/passwd"
printf 'root:x:0:\ntracehound:x:65532:\n' >"$top/etc/group"
printf 'hosts: files dns\n' >"$top/etc/nsswitch.conf"
cp /etc/ssl/certs/ca-certificates.crt "$top/etc/ssl/certs/"
cp /etc/os-release "$top/etc/os-release"

# Sockets and bundles of container runtimes (agent/identity/sockets.py, bundles.py, options.py), wherever the node has them.
for place in run/containerd run/crio run/cri-dockerd.sock run/k3s run/k0s run/docker run/docker.sock run/podman \
    run/nri run/runc run/crun run/containers var/lib/containers var/snap/microk8s/common/run; do
    mkdir -p "$top/$(dirname $place)"
    ln -sfn "/proc/1/root/$place" "$top/$place"
done
