#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs as root inside the VM, first: makes a root file system that is fast and writable, mounts what an
# agent needs, and starts the command. Arguments: PROJECT MODULES KIND (KIND: command or shell).
#
# virtme-ng's own root is 9p without a cache; starting Python from it takes four seconds. The same tree
# mounted again with cache=loose takes one; that is safe as long as the host does not change files meanwhile.
set -eu
project=$1 modules=$2 kind=$3
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
work=/run/vmtest
root=$work/root
nine=version=9p2000.L,trans=virtio,access=any,msize=512000

mkdir -p $work/base $work/layer $root
mount -t 9p -o $nine,cache=loose,ro vmtest.root $work/base
mount -t tmpfs -o size=75% vmtest $work/layer
mkdir $work/layer/upper $work/layer/work
modprobe -q overlay || true
mount -t overlay -o lowerdir=$work/base,upperdir=$work/layer/upper,workdir=$work/layer/work vmtest $root

mkdir -p $root/run $root/tmp $root/var/tmp $root/.before
mount -t tmpfs vmtest $root/run
# Files that tests create live on a plain tmpfs; a checkout below /tmp is put back into it.
mkdir $work/checkout
mount --bind "$root$project" $work/checkout
mount -t tmpfs -o mode=1777 vmtest $root/tmp
case $project in
/tmp/*)
    mkdir -p "$root$project"
    mount --bind $work/checkout "$root$project"
    ;;
esac
umount $work/checkout
mkdir -p $root$work/exchange $root/usr/lib/modules
mount -t 9p -o $nine vmtest.exchange $root$work/exchange
while read -r tag directory; do
    mkdir -p "$root$directory"
    mount -t 9p -o $nine "$tag" "$root$directory"
done <$root$work/exchange/directories
[ -e "$root/usr/lib/modules/${modules##*/}" ] || ln -s "$modules" "$root/usr/lib/modules/${modules##*/}"

mount --make-rprivate /
for directory in dev proc sys; do
    mount --move /$directory $root/$directory
done
cd $root
pivot_root . .before
umount -l /.before
rmdir /.before 2>/dev/null || true

# mount_once TYPE DIRECTORY
mount_once() {
    mkdir -p "$2" 2>/dev/null || true
    [ "$(stat -f -c %t "$2")" = "$3" ] || mount -t "$1" "$1" "$2" || echo "cannot mount $1" >/dev/kmsg
}
mount_once tmpfs /dev/shm 1021994
mount_once cgroup2 /sys/fs/cgroup 63677270
mount_once bpf /sys/fs/bpf cafe4a11
mount_once securityfs /sys/kernel/security 73636673
mount_once debugfs /sys/kernel/debug 64626720
mount_once tracefs /sys/kernel/tracing 74726163
ip link set lo up || true

exchange=$work/exchange
export HOME=/root LANG=C.UTF-8 VMTEST_EXCHANGE=$exchange
export PATH="$project/.venv/bin:$PATH"
cd "$project"
if [ "$kind" = shell ]; then
    # SHELL names this very script: virtme-ng was told to start it as the shell.
    SHELL=$(command -v bash || command -v sh)
    export SHELL
    exec "$SHELL" -i
fi
echo "vmtest: the command starts" >/dev/kmsg
: >$exchange/started
set +e
/bin/sh $exchange/command </dev/null >$exchange/stdout 2>$exchange/stderr
echo $? >$exchange/status.part
mv $exchange/status.part $exchange/status
