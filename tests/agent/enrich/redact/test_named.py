# SPDX-License-Identifier: Apache-2.0
"""Values that follow a secret's name, in all the ways in which that is written."""

import pytest

from agent.enrich.redact.load import load_rules
from agent.enrich.redact.named import NamedValues
from agent.enrich.redact.values import SCRIPT

NAMED = NamedValues(load_rules())


def found(text: str, claimed: tuple[int, ...] = ()) -> list[str]:
    """What is a secret in these joined arguments."""
    return [text[start:end] for start, end in NAMED.find(text, claimed)]


@pytest.mark.parametrize(
    ("arguments", "secret"),
    [
        ("--password\0hunter2", "hunter2"),
        ("--password\0my secret", "my secret"),
        ("-password\0hunter2", "hunter2"),
        ("--db-password=a,b&c=d", "a,b&c=d"),
        ("-Dspring.datasource.password=x y", "x y"),
        ("DB_PASSWORD=x", "x"),
        ("dbPassword=x", "x"),
        ("password1=x", "x"),
        ("--from-literal=password=a b", "a b"),
        ("--set\0a=b,db.password=x,c=d", "x"),
        ("token=abc&x=1", "abc"),
        ("a=b&token=a,b&x=1", "a,b"),
        ("//registry/:_authToken=abc==", "abc=="),
        ("X-Api-Key: abc def", "abc def"),
        ("Server=a;Pwd=b c;Database=d", "b c"),
        ("host=h user=u password=z dbname=x", "z"),
        ('{"a":1,"password":"x y","b":2}', "x y"),
        ('{"password" : "a\\"b"}', 'a\\"b'),
        ('{"password":123}', "123"),
        ('{\\"password\\":\\"a b\\"}', "a b"),
        ("{'password': 'x'}", "x"),
        ('["--password", "hunter2"]', "hunter2"),
        ("login[password]=x", "x"),
        ("u=http%3A%2F%2Fh%3Ftoken%3Dabc", "abc"),
    ],
)
def test_a_value_behind_a_secret_s_name_is_found(arguments: str, secret: str) -> None:
    assert found(arguments) == [secret]


@pytest.mark.parametrize(
    ("script", "secret"),
    [
        ("tool --password hunter2 --verbose", "hunter2"),
        ('tool --password "my secret" --verbose', "my secret"),
        ("tool --password='my secret' x", "my secret"),
        ("PASSWORD=x cmd arg", "x"),
        ("export A_TOKEN='a b'; run", "a b"),
        ("cd /x && TOKEN=abc ./run", "abc"),
        ('echo "password=my secret" > f', "my secret"),
        ('ssh h "tool --password x" && ls', "x"),
        ('curl -d \'{"password":"x y"}\' h', "x y"),
        ("password = 'x y'; print(1)", "x y"),
        ('const apiKey = "abc", b = 2', "abc"),
        ("password: hunter2 more", "hunter2"),
        ("x => password => 'a'", "a"),
    ],
)
def test_in_a_script_a_value_ends_with_its_word(script: str, secret: str) -> None:
    assert found(SCRIPT + script) == [secret]


@pytest.mark.parametrize(
    "arguments",
    [
        "--password-file\0/run/x",
        "--password\0--verbose",
        "--password\0-v",
        "--password=",
        "--password\0",
        "--ask-become-pass\0site.yml",
        "--no-password\0db",
        "--use-token=true",
        "--password=null",
        "PWD=/home/x",
        "COMPASS=1",
        "bypass=1",
        "SSH_ASKPASS=/usr/bin/x",
        "token_count=5",
        "token=5",
        "--tokenizer\0bert",
        "--secret\0id=x,src=y",
        "--private-key\0/etc/ssl/x.pem",
        "--credentials\0creds.json",
        "kubectl\0get\0secret\0token",
        "grep\0password\0file",
        "${TOKEN:-default}",
        "secret-name: x",
        "http://token:8080/",
        "",
    ],
)
def test_what_only_looks_like_a_secret_s_name_is_left(arguments: str) -> None:
    assert found(arguments) == []


def test_a_value_that_another_rule_has_judged_is_left() -> None:
    assert found("-pass\0env:X", claimed=(6,)) == []


@pytest.mark.parametrize(
    "name", ["PGPASSWORD", "MYSQL_PWD", "A_TOKEN", "AWS_SECRET_ACCESS_KEY", "dbPass", "API_KEY1"]
)
def test_a_variable_with_a_secret_s_name_is_one(name: str) -> None:
    assert NAMED.is_secret(name, "x")
    assert not NAMED.is_secret(name, "")
    assert not NAMED.is_secret(name, "false")


@pytest.mark.parametrize("name", ["PWD", "PASSWORD_FILE", "HOME", "COMPASS", "TOKENS", "İPASSWORD_FILE", ""])
def test_a_variable_with_another_name_is_none(name: str) -> None:
    assert not NAMED.is_secret(name, "x")
