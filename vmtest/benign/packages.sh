# SPDX-License-Identifier: Apache-2.0
# A package with an account, a job of cron, a service and a SUID program is built, installed and removed.
set -e
rm -rf package
mkdir -p package/DEBIAN package/usr/bin package/etc/cron.d package/usr/lib/systemd/system package/etc/profile.d
cat >package/DEBIAN/control <<END
Package: hello-work
Version: 1.$(date +%s)
Architecture: all
Maintainer: work <work@example.org>
Description: a package for the workload
END
cat >package/DEBIAN/postinst <<END
#!/bin/sh
set -e
id hello-work >/dev/null 2>&1 || useradd -r -M hello-work
chmod 4755 /usr/bin/hello-work
END
chmod 755 package/DEBIAN/postinst
printf '#!/bin/sh\necho hello\n' >package/usr/bin/hello-work
chmod 755 package/usr/bin/hello-work
echo '0 * * * * root true' >package/etc/cron.d/hello-work
printf '[Service]\nExecStart=/bin/true\n' >package/usr/lib/systemd/system/hello-work.service
echo true >package/etc/profile.d/hello-work.sh
dpkg-deb --root-owner-group -b package hello-work.deb
apt-get install -y --no-download ./hello-work.deb || dpkg -i hello-work.deb
hello-work
apt-cache policy hello-work
apt-get -s upgrade || true
apt-get check || true
apt-get purge -y hello-work || dpkg -P hello-work
