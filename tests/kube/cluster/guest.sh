#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# In the guest: a container runtime and a kubelet; then commands that the host leaves as files, one by one.
# Argument: the directory shared with the host; `settings` in it says the rest (node.py).
set -u
here=$1
# shellcheck disable=SC1091
. "$here/settings"
export PATH="$BINARIES:$PATH"
unset XDG_RUNTIME_DIR

say() { echo "$(date +%T) $NODE: $*"; }
# until_true SECONDS COMMAND...
until_true() {
    for _ in $(seq "$1"); do "${@:2}" >/dev/null 2>&1 && return; sleep 1; done
    say "does not come: ${*:2}"
}

# A disk of its own: overlayfs does not take the guest's root as an upper layer.
for module in overlay loop ext4 bridge veth br_netfilter virtio_net; do modprobe $module; done
mount -t tmpfs -o size=90% disk /mnt
truncate -s 7G /mnt/disk
mkfs.ext4 -q -E lazy_itable_init=1,lazy_journal_init=1 /mnt/disk
mkdir -p /node /var/lib/kubelet /var/lib/tracehound /var/log/pods /var/log/containers
mount -o loop /mnt/disk /node
mkdir -p /node/kubelet /node/runtime /node/tracehound /node/cni /node/empty
mount --bind /node/kubelet /var/lib/kubelet
mount --bind /node/tracehound /var/lib/tracehound
mount --make-rshared /

hostname "$NODE"
card=$(find /sys/class/net -name 'e*' -printf '%f\n' | head -n 1)
ip link set lo up
ip link set "$card" up
ip addr add "$ADDRESS/24" dev "$card"
ip route add default via 10.96.0.2
printf '127.0.0.1 localhost\n%s %s\n' "$ADDRESS" "$NODE" >/etc/hosts
echo nameserver 10.96.0.2 >/run/resolv.conf
sysctl -qw net.ipv4.ip_forward=1
cat >/node/cni/10-bridge.conflist <<T
{"cniVersion":"0.4.0","name":"pods","plugins":[{"type":"bridge","bridge":"cni0","isGateway":true,"ipMasq":false,
 "ipam":{"type":"host-local","ranges":[[{"subnet":"$PODS"}]],"routes":[{"dst":"0.0.0.0/0"}],"dataDir":"/node/ipam"}}]}
T

start_containerd() {
    cat >/node/containerd.toml <<T
version = 2
root = "/node/runtime"
state = "/run/containerd"
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/busybox:1"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
  SystemdCgroup = $([ "$DRIVER" = systemd ] && echo true || echo false)
[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "/usr/lib/cni"
  conf_dir = "/node/cni"
T
    containerd --config /node/containerd.toml >"$here/log/runtime" 2>&1 &
    until_true 120 ctr version
    for archive in $IMAGES; do ctr -n k8s.io images import "$archive" >>"$here/log/images" 2>&1; done
}

start_crio() {
    echo '{"default":[{"type":"insecureAcceptAnything"}]}' >/node/policy.json
    mkdir -p /etc/containers
    cp /node/policy.json /etc/containers/policy.json
    printf '[storage]\ndriver = "overlay"\ngraphroot = "/node/runtime"\nrunroot = "/run/containers/storage"\n' >/node/storage.conf
    export CONTAINERS_STORAGE_CONF=/node/storage.conf
    cat >/node/crio.conf <<T
[crio]
root = "/node/runtime"
runroot = "/run/containers/storage"
storage_driver = "overlay"
version_file = "/run/crio-version"
[crio.api]
listen = "/run/crio/crio.sock"
[crio.runtime]
default_runtime = "runc"
cgroup_manager = "$DRIVER"
conmon_cgroup = "pod"
pinns_path = "$(command -v pinns)"
apparmor_profile = "unconfined"
[crio.runtime.runtimes.runc]
runtime_path = "$(command -v runc)"
runtime_type = "oci"
runtime_root = "/run/runc"
monitor_path = "$(command -v conmon)"
[crio.image]
pause_image = "localhost/busybox:1"
pause_command = ""
signature_policy = "/node/policy.json"
[crio.network]
network_dir = "/node/cni"
plugin_dirs = ["/usr/lib/cni"]
T
    for archive in $IMAGES; do
        podman --root /node/runtime --runroot /run/containers/storage --storage-driver overlay load -i "$archive" \
            >>"$here/log/images" 2>&1
    done
    crio --config /node/crio.conf --config-dir /node/empty --log-level info >"$here/log/runtime" 2>&1 &
    until_true 60 test -S /run/crio/crio.sock
}

# Process 1 is not systemd here. Its user's manager is the same program and needs not be process 1: run by root
# in the root cgroup, on what everybody takes for the system's bus, it makes the same units and cgroups.
start_systemd() {
    mkdir -p /run/dbus /run/systemd/system
    cat >/node/bus.conf <<T
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path=/run/dbus/system_bus_socket</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*"/><allow eavesdrop="true"/><allow own="*"/></policy></busconfig>
T
    dbus-daemon --config-file=/node/bus.conf --fork
    XDG_RUNTIME_DIR=/run DBUS_SESSION_BUS_ADDRESS=unix:path=/run/dbus/system_bus_socket SYSTEMD_LOG_LEVEL=info \
        SYSTEMD_UNIT_PATH=/node/units /lib/systemd/systemd --user --log-target=console >"$here/log/systemd" 2>&1 &
    until_true 60 busctl --address=unix:path=/run/dbus/system_bus_socket status org.freedesktop.systemd1
    say "systemd is up"
}

[ "$DRIVER" != systemd ] || start_systemd
if [ "$RUNTIME" = crio ]; then
    socket=/run/crio/crio.sock
else
    socket=/run/containerd/containerd.sock
fi
"start_$RUNTIME"
say "$RUNTIME is up, images are loaded"
cat >/node/kubelet.yaml <<T
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: true}, webhook: {enabled: false}}
authorization: {mode: AlwaysAllow}
cgroupDriver: $DRIVER
failSwapOn: false
makeIPTablesUtilChains: false
resolvConf: /run/resolv.conf
clusterDNS: [10.96.0.10]
evictionHard: {memory.available: 50Mi}
imageGCHighThresholdPercent: 99
imageGCLowThresholdPercent: 98
containerRuntimeEndpoint: unix://$socket
T
kubelet --config=/node/kubelet.yaml --kubeconfig="$here/kubeconfig" --node-ip="$ADDRESS" --hostname-override="$NODE" \
    --cert-dir=/node/pki --v=2 >"$here/log/kubelet" 2>&1 &
say "the kubelet is started"

number=1
until [ -e "$here/commands/stop" ]; do
    if [ -e "$here/commands/$number" ]; then
        bash "$here/commands/$number" >"$here/commands/$number.out" 2>&1
        echo $? >"$here/commands/$number.part"
        mv "$here/commands/$number.part" "$here/commands/$number.status"
        number=$((number + 1))
    fi
    sleep 0.3
done
