# SPDX-License-Identifier: Apache-2.0
"""Sigma's services of Linux logs: which of them a line is for, and which a node's settings serve.

A service is a log (`auth`: what Debian writes to /var/log/auth.log and Red Hat to /var/log/secure) or a
program (`sshd`). Sigma taxonomy, "Linux Folder", "Service":
https://github.com/SigmaHQ/sigma-specification/blob/main/specification/sigma-appendix-taxonomy.md
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import PurePath
from typing import Any, NamedTuple

ALIASES: Mapping[str, str] = {
    "secure": "auth", "messages": "syslog", "journald": "syslog", "kern": "kernel", "crond": "cron",
}  # fmt: skip
"""Other names of services, in rules and in names of files."""
_BY_SERVICE: Mapping[str, tuple[str, ...]] = {
    "sshd": ("sshd-session", "sshd-auth"),
    "sudo": ("sudoedit",),
    "cron": ("crond", "crontab", "anacron", "cronie"),
    "clamav": (
        "clamd", "clamav-daemon", "clamav-freshclam", "freshclam", "clamscan", "clamdscan", "clamonacc",
    ),
    "guacamole": ("guacd",),
    "kernel": ("kern",),
}  # fmt: skip
"""Programs by the service that their lines are for, besides one of the program's own name."""
_PROGRAMS = {program: service for service, programs in _BY_SERVICE.items() for program in programs}
_AUTH = frozenset(
    (
        "sshd", "sshd-session", "sshd-auth", "sudo", "sudoedit", "su", "doas", "login", "passwd", "chpasswd",
        "chage", "chfn", "chsh", "gpasswd", "newgrp", "useradd", "usermod", "userdel", "groupadd", "groupmod",
        "groupdel", "pkexec", "polkitd", "systemd-logind", "sssd", "gdm-password]", "lightdm",
    )
)  # fmt: skip
"""Programs that log with the facilities auth and authpriv: syslog(3)."""
AUTH_FACILITIES = frozenset((4, 10))
"""Their numbers: RFC 5424, table 1."""
_OWN_FILES: Mapping[str, str] = {
    "vsftpd": "/var/log/vsftpd.log",
    "clamav": "/var/log/clamav/clamav.log",
    "modsecurity": "/var/log/apache2/modsec_audit.log",
}
"""Services whose programs write no syslog unless told to: where Debian's write. vsftpd.conf(5)
`syslog_enable`, clamd.conf(5) `LogSyslog`."""
KNOWN = frozenset(("auth", "syslog", *_BY_SERVICE, *_OWN_FILES))
"""Services that names of files stand for."""
_SHOWN: Mapping[str, str] = {
    "": "/var/log/syslog",
    **dict.fromkeys(("auth", "sshd", "sudo"), "/var/log/auth.log"),
    "kernel": "/var/log/kern.log",
}
"""Files that hints name."""


class Source(NamedTuple):
    """One file of `collect.files`."""

    path: str
    services: tuple[str, ...]
    """Which all of its lines are for."""


class Sources(NamedTuple):
    """What the settings collect."""

    files: tuple[str, ...] = ()
    """`collect.files`."""
    journal: bool = False
    units: tuple[str, ...] = ()

    def serve(self, service: str) -> bool:
        """Whether lines for a service (its first name; empty: any line) may come."""
        if not service:
            return self.journal or bool(self.files)
        return self._files_serve(service) or (self.journal and self._journal_serves(service))

    def _files_serve(self, service: str) -> bool:
        found = {one for file in self.files for one in source_of(file).services}
        if service in found or ("auth" in found and service in _AUTH):
            return True
        return "syslog" in found and service not in _AUTH and service not in ("auth", *_OWN_FILES)

    def _journal_serves(self, service: str) -> bool:
        if not self.units:
            return service != "vsftpd"
        of_units = {one for unit in self.units for one in services_of(unit_program(unit))}
        return service in of_units or service == "syslog"


def sources_of(said: Mapping[str, Any]) -> Sources:
    """Of `collect.*`, by the keys' last words; others are passed over."""
    return Sources(tuple(said.get("files", ())), bool(said.get("journal")), tuple(said.get("units", ())))


def canonical(service: str) -> str:
    """A service by its first name, in small letters."""
    service = service.casefold()
    return ALIASES.get(service, service)


def source_of(text: str) -> Source:
    """An entry of `collect.files`: a path, or services and a path (`vsftpd,ftp:/srv/ftp/log`)."""
    if text.startswith("/"):
        return Source(text, _services_of_file(text))
    services, _, path = text.partition(":")
    return Source(path, tuple(dict.fromkeys(canonical(one) for one in services.split(","))))


@lru_cache(maxsize=4096)
def services_of(program: str) -> tuple[str, ...]:
    """Services that a program's lines are for: of its own name, and of the logs that they go to."""
    program = program.casefold()
    if not program:
        return ()
    found = [canonical(program)]
    if program in _PROGRAMS:
        found.append(_PROGRAMS[program])
    if program in _AUTH:
        found.append("auth")
    return tuple(dict.fromkeys(found))


def unit_program(unit: str) -> str:
    """The program that a unit of systemd is named for: `sshd` of `ssh.service` and `ssh@1.service`."""
    stem = unit.partition(".")[0].partition("@")[0]
    return "sshd" if stem == "ssh" else stem


def way_out(service: str) -> str:
    """Which setting gives lines for a service."""
    if service in _OWN_FILES:
        return f"set `collect.files: [{service}:{_OWN_FILES[service]}]`, or where it writes"
    file = _SHOWN.get(service, "/var/log/syslog")
    labelled = "" if service in _SHOWN or service in KNOWN else f" or [{service}:FILE]"
    return f"set `collect.journal: true` or `collect.files: [{file}]`{labelled}"


def _services_of_file(path: str) -> tuple[str, ...]:
    """By its name, `auth.log`, or by the directory's: `clamav/daemon.log`."""
    place = PurePath(path)
    for name in (place.name.partition(".")[0], place.parent.name):
        if canonical(name) in KNOWN:
            return (canonical(name),)
        if name in _PROGRAMS:
            return (_PROGRAMS[name],)
    return ()
