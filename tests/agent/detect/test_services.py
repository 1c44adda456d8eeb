# SPDX-License-Identifier: Apache-2.0
import pytest

from agent.detect.services import Sources, canonical, services_of, source_of, unit_program, way_out


@pytest.mark.parametrize(
    ("text", "path", "services"),
    [
        ("/var/log/auth.log", "/var/log/auth.log", ("auth",)),
        ("/var/log/secure", "/var/log/secure", ("auth",)),
        ("/var/log/messages", "/var/log/messages", ("syslog",)),
        ("/var/log/clamav/daemon.log", "/var/log/clamav/daemon.log", ("clamav",)),
        ("/var/log/guacd.log", "/var/log/guacd.log", ("guacamole",)),
        ("/srv/any.log", "/srv/any.log", ()),
        ("vsftpd,FTP:/srv/x:y", "/srv/x:y", ("vsftpd", "ftp")),
    ],
)
def test_a_file_is_for_the_services_that_it_is_named_for(
    text: str, path: str, services: tuple[str, ...]
) -> None:
    assert source_of(text) == (path, services)


def test_a_program_is_a_service_and_writes_to_others() -> None:
    assert services_of("sshd-session") == ("sshd-session", "sshd", "auth")
    assert services_of("CRON") == ("cron",) and services_of("named") == ("named",) and services_of("") == ()
    assert (canonical("Secure"), canonical("sshd")) == ("auth", "sshd")
    assert [unit_program(one) for one in ("ssh.service", "ssh@7.service", "cron")] == ["sshd", "sshd", "cron"]


@pytest.mark.parametrize(
    ("sources", "served", "others"),
    [
        (Sources(), (), ("", "auth", "syslog")),
        (Sources(("/var/log/auth.log",)), ("", "auth", "sshd", "sudo", "su"), ("syslog", "cron", "vsftpd")),
        (Sources(("/var/log/syslog",)), ("", "syslog", "cron", "named"), ("auth", "sshd", "clamav")),
        (Sources(("mine:/x",)), ("", "mine"), ("syslog", "other")),
        (Sources((), True), ("", "auth", "sshd", "clamav", "named"), ("vsftpd",)),
        (Sources((), True, ("ssh.service",)), ("", "sshd", "auth", "syslog"), ("clamav", "sudo")),
    ],
)  # fmt: skip
def test_settings_serve_what_their_sources_hold(
    sources: Sources, served: tuple[str, ...], others: tuple[str, ...]
) -> None:
    assert [one for one in served if not sources.serve(one)] == []
    assert [one for one in others if sources.serve(one)] == []


def test_the_way_out_serves() -> None:
    for service in ("", "auth", "sshd", "sudo", "syslog", "cron", "clamav", "vsftpd", "guacamole", "unheard"):
        entry = way_out(service).partition("[")[2].partition("]")[0]
        assert Sources((entry,)).serve(service), service
