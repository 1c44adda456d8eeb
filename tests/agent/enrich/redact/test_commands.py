# SPDX-License-Identifier: Apache-2.0
"""Options of particular commands."""

import pytest

from agent.enrich.redact.commands import CommandOptions
from agent.enrich.redact.load import load_rules

OPTIONS = CommandOptions(load_rules())


def found(text: str) -> list[str]:
    """What is a secret in these joined arguments."""
    return [text[slice(*value.secret)] for value in OPTIONS.find(text) if value.secret]


@pytest.mark.parametrize(
    ("arguments", "secret"),
    [
        ("mysql\0-uroot\0-phunter2\0db", "hunter2"),
        ("/usr/bin/mysql\0-phunter2", "hunter2"),
        ("docker\0exec\0-it\0db\0mysql\0-pa b", "a b"),
        ("sh\0-c\0mysqldump -p'my secret' db > x", "my secret"),
        ("sh\0-c\0cd /x; mysql -u root -phunter2; ls -px", "hunter2"),
        ('bash\0-c\0ssh h "mysql -phunter2" && ls', "hunter2"),
        ("sshpass\0-p\0x y\0ssh\0-p\x0022\0h", "x y"),
        ("sshpass\0-px\0ssh\0h", "x"),
        ("redis-cli\0-h\0db\0-a\0-starts-with-a-dash", "-starts-with-a-dash"),
        ("sh\0-c\0redis-cli -a 'it'\\''s' ping", "'it'\\''s'"),
        ("curl\0-sSfu\0me:a:b\0http://h", "a:b"),
        ("curl\0--user=me:x\0http://h", "x"),
        ("curl\0-ume:x\0http://h", "x"),
        ("curl\0-H\0X-Auth-Token:abc\0h", "abc"),
        ("curl\0-HX-Auth-Token: abc\0h", "abc"),
        ("openssl\0rsa\0-passin\0pass:a b", "a b"),
        ("docker\0--config\0/x\0login\0-u\0me\0-p\0x\0h", "x"),
        ("smbclient\0//h/x\0-U\0me%x", "x"),
        ("7z\0x\0-px\0a.7z", "x"),
        ("sqlplus\0scott/tiger@db", "tiger"),
    ],
)
def test_an_option_s_value_is_found(arguments: str, secret: str) -> None:
    assert found(arguments) == [secret]


@pytest.mark.parametrize(
    "arguments",
    [
        "mysql\0-p\0db",
        "mysql\0-P\x003306",
        "docker\0run\0--name\0mysql\0-p\x003306:3306\0mysql",
        "docker\0run\0-p\x0080:80\0x",
        "sh\0-c\0docker login h; docker run -p 80:80 x",
        "sh\0-c\0mysqladmin ping; mkdir -p /x",
        "sshpass\0-e\0ssh\0-p\x0022\0h",
        "curl\0-u\0me\0http://h",
        "curl\0-a\0ftp://h/x:y",
        "curl\0http://h/-u:x",
        "redis-cli\0-a\0--tls",
        "openssl\0rsa\0-passin\0env:X",
        "snmpwalk\0-v2c\0h",
        "sqlplus\0/\0as\0sysdba",
        "mymysql\0-px",
        "mysql.conf\0-px",
        "mysql",
        "mysql\0",
    ],
)
def test_other_options_and_other_commands_are_left(arguments: str) -> None:
    assert found(arguments) == []


def test_a_judged_value_without_a_secret_is_reported_too() -> None:
    (value,) = OPTIONS.find("openssl\0rsa\0-passin\0env:X")
    assert value.secret is None and value.value == (20, 25)
