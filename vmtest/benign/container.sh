# SPDX-License-Identifier: Apache-2.0
# A container is started: by runc where this machine has it, else by a stand-in at its path that makes the same calls.
if [ ! -d bundle ]; then
    mkdir -p bundle/rootfs/bin bundle/rootfs/proc bundle/rootfs/dev bundle/rootfs/sys bundle/rootfs/tmp
    cp /bin/busybox bundle/rootfs/bin/busybox
    for name in sh ls cat id mount; do ln -s busybox bundle/rootfs/bin/$name; done
fi
if [ ! -e /usr/bin/runc ]; then cp "$(readlink -f /usr/bin/python3)" /usr/bin/runc; fi
if /usr/bin/runc --version | grep -q ^runc; then
    cd bundle || exit 1
    rm -f config.json
    runc spec
    sed -i 's/"terminal": true/"terminal": false/; s/"sh"/"id"/' config.json
    exec runc run work
fi
exec /usr/bin/runc "${0%/*}/container.py" "$PWD/bundle/rootfs"
