# SPDX-License-Identifier: Apache-2.0
# What somebody does who looks after a machine.
id
uname -a
ps aux >/dev/null
ss -ltn >/dev/null
df >/dev/null
cat /etc/passwd >/dev/null
getent passwd root
ls -l /etc/shadow
mkdir -p keys
rm -f keys/*
ssh-keygen -q -t ed25519 -N '' -f keys/id_ed25519 </dev/null
sysctl -a >/dev/null 2>&1
ip address >/dev/null
tar czf etc.tgz /etc/hosts /etc/hostname
chmod 755 etc.tgz
chown root etc.tgz
strace -o trace ls >/dev/null
grep -r root /etc/hosts
env -i PATH="$PATH" sh -c 'echo x'
find /etc -maxdepth 1 -perm -644 >/dev/null
passwd -S root >/dev/null
pwck -r >/dev/null
true
