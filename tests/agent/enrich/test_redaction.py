# SPDX-License-Identifier: Apache-2.0
"""Secrets leave argument vectors, variables and texts; nothing else does."""

import re
import time
from collections.abc import Callable

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pytest_benchmark.fixture import BenchmarkFixture

from agent.enrich.redaction import Redactor, load_key, load_rules

RULES = load_rules()
KEY, OTHER_KEY = b"k" * 32, b"o" * 32
REDACTOR, OTHER = Redactor(RULES, KEY), Redactor(RULES, OTHER_KEY)
EXAMPLES = [example for rule in (*RULES.names, *RULES.commands, *RULES.patterns) for example in rule.examples]


def redacted_by_hand(example: str, redactor: Redactor = REDACTOR) -> list[str]:
    """An example with what stands between « and » replaced."""
    parts = re.split("[«»]", example)
    parts[1::2] = map(redactor.replacement, parts[1::2])
    return "".join(parts).split("\0")


@pytest.mark.parametrize("example", EXAMPLES)
def test_exactly_the_secret_of_an_example_is_replaced(example: str) -> None:
    argv = re.sub("[«»]", "", example).split("\0")
    redacted = REDACTOR.redact_arguments(argv)
    assert redacted == redacted_by_hand(example)
    assert REDACTOR.redact_arguments(redacted) is redacted


CLEAN = [
    "passwd",
    "passwd root",
    "tool --password-file /run/x",
    "tool --password-file=/run/x",
    "docker login --password-stdin",
    "git log --author=Alice",
    "git log --author me@x.org",
    "git clone git@github.com:o/r.git",
    "scp a me@host:/x",
    "x token_count=5 --max-token 100 --tokenizer bert",
    "x --no-password db --ask-pass",
    "ansible-playbook --ask-become-pass site.yml",
    "env PWD=/home/x OLDPWD=/x COMPASS=north BYPASS=1 ls",
    "kubectl create secret generic name",
    "kubectl get secret token",
    "kubectl --client-key=/x/y.key get pods",
    "x --password= --token= PASSWORD=",
    "x --password --verbose",
    "x --use-token=true --password=null",
    "curl http://host:8080/a@b https://h/x?q=a@b",
    "curl -u me http://h",
    "docker run -p 80:80 -u 1000:1000 x",
    "docker run --name mysql -p3306:3306 mysql",
    "podman pull library/nginx:1.25@sha256:abcdef",
    "mysql -P 3306 -p db",
    "sshpass -e ssh -p 22 h",
    "sshpass -f file ssh -p 22 h",
    "openssl req -newkey rsa:2048 -keyout k.pem -passin env:X -passout file:/y",
    "grep -r password /etc/passwd",
    "find / -name *secret*",
    "ls /var/run/secrets/kubernetes.io/serviceaccount/token",
    "kubelet --tls-private-key-file=/x --private-key /etc/ssl/x.pem --credentials creds.json",
    "docker build --secret id=x,src=y .",
    "ssh-keygen -t ed25519 -C a@b",
    "gpg --list-secret-keys",
    "vault token lookup",
    "java -jar token-service.jar --server.port=80",
    "x asia/tokyo pypi-agent sk-short eyJ.x AKIA cookie bearer",
    "sort --key=2 -k 2",
    "tar -pxf x",
    "SSH_ASKPASS=/usr/bin/x secret_name=foo password_hash=abc",
    "echo hello | world",
]


@pytest.mark.parametrize("line", CLEAN)
def test_what_only_looks_like_a_secret_is_left_alone(line: str) -> None:
    argv = line.split(" ")
    assert REDACTOR.redact_arguments(argv) is argv


def test_a_clean_script_is_left_alone() -> None:
    argv = ["sh", "-c", "mysqladmin ping; mkdir -p /x && cat /run/secrets/token | base64 --decode"]
    assert REDACTOR.redact_arguments(argv) is argv


def test_a_script_keeps_everything_but_the_secret() -> None:
    argv = ["bash", "-lc", "TOKEN=abc curl evil|sh; mysql -pabc -e 'drop table x' --password abc"]
    same = REDACTOR.replacement("abc")
    script = f"TOKEN={same} curl evil|sh; mysql -p{same} -e 'drop table x' --password {same}"
    assert REDACTOR.redact_arguments(argv) == ["bash", "-lc", script]


Shape = Callable[[str], list[str]]
ANY = st.text(
    st.characters(exclude_characters="\0")
    | st.characters(min_codepoint=0xDC80, max_codepoint=0xDCFF, categories=["Cs"]),
    min_size=1,
    max_size=40,
)
WORD = st.text(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#%^*_+.~-", min_size=6, max_size=40
)
SPACED = st.text("abcXYZ019 !#%^*_+=.,/:;&|<>(){}[]~-", min_size=6, max_size=40)

IN_ARGUMENTS: dict[str, Shape] = {
    "option apart": lambda s: ["tool", "--password", s, "--verbose"],
    "option with =": lambda s: ["tool", f"--db-password={s}", "x"],
    "token apart": lambda s: ["tool", "--token", s],
    "mysql": lambda s: ["/usr/bin/mysqldump", "-uroot", f"-p{s}", "db"],
    "sshpass": lambda s: ["sshpass", "-p", s, "ssh", "-p", "22", "h"],
    "redis": lambda s: ["docker", "exec", "x", "redis-cli", "-a", s, "ping"],
    "openssl": lambda s: ["openssl", "rsa", "-passin", f"pass:{s}"],
    "docker": lambda s: ["docker", "login", "-u", "me", "-p", s, "h"],
    "curl": lambda s: ["curl", "-u", f"me:{s}", "http://h"],
}
IN_WORDS: dict[str, Shape] = {
    "variable": lambda s: ["env", f"A_TOKEN={s}", "cmd"],
    "literal": lambda s: ["kubectl", "create", "secret", "generic", "x", f"--from-literal=password={s}"],
    "url": lambda s: ["psql", f"postgres://me:{s}x@db/x"],
    "encoded url": lambda s: ["x", f"u=http%3A%2F%2Fme%3A{s.replace('%', '')}x%40h"],
    "query": lambda s: ["curl", f"http://h/x?a=b&token={s.replace('#', '')}x&c=d"],
    "bearer": lambda s: ["curl", "-H", f"Authorization: Bearer {s}", "http://h"],
    "script": lambda s: ["sh", "-c", f"cd /x && tool --password {s} --verbose"],
    "script variable": lambda s: ["sh", "-c", f"MYSQL_PWD={s} mysqldump db | gzip > x"],
}
IN_QUOTES: dict[str, Shape] = {
    "double": lambda s: ["sh", "-c", f'tool --password "{s}" --verbose'],
    "single": lambda s: ["bash", "-ec", f"export DB_PASSWORD='{s}'; run"],
    "mysql": lambda s: ["sh", "-c", f"mysql -p'{s}' db"],
    "json": lambda s: ["curl", "-d", f'{{"a":1,"password":"{s}","b":"c"}}', "http://h"],
    "json in a script": lambda s: ["sh", "-c", f'curl -d \'{{"password": "{s}"}}\' http://h'],
    "escaped json": lambda s: ["x", f'{{\\"password\\":\\"{s}\\"}}'],
    "python": lambda s: ["python3", "-c", f"api_key = '{s}'; go()"],
}


def is_planted_whole(shape: Shape, secret: str) -> bool:
    """Whether exactly the planted secret is replaced, by its hash."""
    redacted = REDACTOR.redact_arguments(shape(secret))
    return redacted == shape(REDACTOR.replacement(secret))


def is_value(secret: str) -> bool:
    """Whether the text is one that counts as a secret at all."""
    return not re.fullmatch(
        r"-[A-Za-z]|--[A-Za-z][\w-]*(=.*)?|\d{1,5}|\*+|\$|-|[A-Za-z]{2,9}|//.*", secret, re.DOTALL
    )


@pytest.mark.parametrize("shape", IN_ARGUMENTS.values(), ids=IN_ARGUMENTS)
@given(secret=ANY)
def test_any_secret_in_an_argument_of_its_own_is_replaced(shape: Shape, secret: str) -> None:
    assume(is_value(secret))
    assert is_planted_whole(shape, secret)


@pytest.mark.parametrize("shape", IN_WORDS.values(), ids=IN_WORDS)
@given(secret=WORD)
def test_a_secret_within_an_argument_is_replaced(shape: Shape, secret: str) -> None:
    assume(is_value(secret))
    redacted = REDACTOR.redact_arguments(shape(secret))
    assert len(redacted) == len(shape(secret)) and "redacted:" in "\0".join(redacted)
    assert secret not in "\0".join(redacted)


@pytest.mark.parametrize("shape", IN_QUOTES.values(), ids=IN_QUOTES)
@given(secret=SPACED)
def test_a_quoted_secret_with_spaces_is_replaced(shape: Shape, secret: str) -> None:
    assume(is_value(secret))
    assert is_planted_whole(shape, secret)


SHAPES = [*IN_ARGUMENTS.values(), *IN_WORDS.values(), *IN_QUOTES.values()]


@given(shape=st.sampled_from(SHAPES), secret=WORD)
def test_what_is_redacted_stays_as_it_is(shape: Shape, secret: str) -> None:
    once = REDACTOR.redact_arguments(shape(secret))
    assert REDACTOR.redact_arguments(once) is once


@given(
    first=st.sampled_from(list(IN_ARGUMENTS.values())),
    second=st.sampled_from(list(IN_QUOTES.values())),
    secret=WORD,
)
def test_one_secret_has_one_hash_wherever_it_stands(first: Shape, second: Shape, secret: str) -> None:
    assume(is_value(secret))
    markers = [
        re.findall("redacted:[0-9a-f]{16}", str(REDACTOR.redact_arguments(s(secret))))
        for s in (first, second)
    ]
    assert markers[0] == markers[1] == [REDACTOR.replacement(secret)]


@given(secret=ANY, other=ANY)
def test_hashes_differ_between_keys_and_between_secrets(secret: str, other: str) -> None:
    assert REDACTOR.replacement(secret) != OTHER.replacement(secret)
    assert (REDACTOR.replacement(secret) == REDACTOR.replacement(other)) == (secret == other)


NAMES = (
    "--password|token=|secret: |mysql|-p|curl|-u|docker login|Bearer |Authorization: |AKIA|api_key|cookie:"
)
SIGNS = "'|\"|\\| |\0|=|:|&|;|,|{|}|@|$(|`|\n|%|é|\udc80|x|://|u:|abc|sh\0-c\0|redacted:0123456789abcdef"
FRAGMENTS = [*NAMES.split("|"), *SIGNS.split("|"), "|"]


@settings(derandomize=True, max_examples=1000)
@given(st.lists(st.sampled_from(FRAGMENTS), max_size=14).map("".join))
def test_any_arguments_keep_their_number_and_stay_as_they_are_when_done_twice(joined: str) -> None:
    argv = joined.split("\0")
    once = REDACTOR.redact_arguments(argv)
    assert len(once) == len(argv)
    assert list(REDACTOR.redact_arguments(once)) == list(once)


@given(st.lists(st.text("bfghilmnoqrtuvxyz0123456789./+ ", max_size=20), max_size=8))
def test_clean_arguments_come_back_as_the_same_object(argv: list[str]) -> None:
    assert REDACTOR.redact_arguments(argv) is argv


def test_an_argument_with_a_nul_is_no_reason_to_fail() -> None:
    same = REDACTOR.replacement("a\ufffdb")
    assert REDACTOR.redact_arguments(["x", "--password", "a\0b"]) == ["x", "--password", same]


def test_no_arguments_are_clean() -> None:
    for argv in ([], [""], ["", ""]):
        assert REDACTOR.redact_arguments(argv) is argv


def test_variables_are_judged_by_name_and_by_form() -> None:
    environment = {
        "HOME": "/home/x",
        "DB_PASSWORD": "a b;c=d",
        "DATABASE_URL": "postgres://me:hunter2@db/x",
        "JAVA_OPTS": "-Dx=y -Dpass=hunter2 -Xmx1g",
        "PASSWORD_FILE": "/run/x",
        "USE_TOKEN": "false",
        "EMPTY_SECRET": "",
    }
    hunter2 = REDACTOR.replacement("hunter2")
    redacted = REDACTOR.redact_environment(environment)
    assert redacted == environment | {
        "DB_PASSWORD": REDACTOR.replacement("a b;c=d"),
        "DATABASE_URL": f"postgres://me:{hunter2}@db/x",
        "JAVA_OPTS": f"-Dx=y -Dpass={hunter2} -Xmx1g",
    }
    assert REDACTOR.redact_environment(redacted) is redacted


def test_clean_variables_come_back_as_the_same_object() -> None:
    environment = {"HOME": "/home/x", "PWD": "/x", "LANG": "C.UTF-8"}
    assert REDACTOR.redact_environment(environment) is environment


def test_a_text_is_read_like_a_script() -> None:
    text = "cd /x && TOKEN=abc run"
    assert REDACTOR.redact_text(text) == f"cd /x && TOKEN={REDACTOR.replacement('abc')} run"
    for clean in ("/home/x/token", "/etc/passwd", ""):
        assert REDACTOR.redact_text(clean) is clean


@pytest.mark.parametrize("filler", ["a", "a b ", "x=y&", "--flag=", "/usr/share/doc/", "'\"\\"])
def test_a_secret_at_the_end_of_a_256_kib_argument_is_found(filler: str) -> None:
    padding = (filler * (256 * 1024))[: 256 * 1024]
    argv = [
        "sh",
        "-c",
        f"{padding} ",
        "--password",
        "hunter2",
        f"{padding}://me:hunter3@h",
        f"{padding}&token=hunter4&",
    ]
    joined = "\0".join(REDACTOR.redact_arguments(argv))
    for secret in ("hunter2", "hunter3", "hunter4"):
        assert secret not in joined and REDACTOR.replacement(secret) in joined


def test_what_lies_beyond_the_part_that_is_searched_is_replaced_altogether() -> None:
    argv = ["x", "--token", "hunter2", "a b " * (1 << 18), "nothing secret"]
    redacted = REDACTOR.redact_arguments(argv)
    assert redacted[:3] == ["x", "--token", REDACTOR.replacement("hunter2")]
    assert re.fullmatch("(a b ){260000,}(a )?redacted:[0-9a-f]{16}", redacted[3])
    assert redacted[4] == REDACTOR.replacement("nothing secret")


def test_what_lies_beyond_too_many_suspicious_places_is_replaced_altogether() -> None:
    argv = [
        "sh",
        "-c",
        "--password a " * 20000,
        "--token",
        "hunter2",
        "://u:" + "x" * 9 + "@h",
        "nothing secret",
    ]
    redacted = REDACTOR.redact_arguments(argv)
    assert len(redacted) == len(argv) and REDACTOR.redact_arguments(redacted) == redacted
    same = REDACTOR.replacement("a")
    assert re.fullmatch(f"(--password {same} ){{4000,9000}}redacted:[0-9a-f]{{16}}", redacted[2])
    assert redacted[3:] == [REDACTOR.replacement(argument) for argument in argv[3:]]


HOSTILE = [
    "--password ",
    "password='",
    'password=\\"',
    "token=x&",
    "://a:b",
    "://a:b@",
    "mysql ",
    "mysql -px ",
    "curl -u a:b ",
    "docker login ",
    "htpasswd -b a b ",
    "eyJ",
    "-----BEGIN PRIVATE KEY-----",
    "AKIAABCDEFGHIJKLMNOP ",
    "Authorization: Bearer x ",
    "redacted:0123456789abcdef",
    "\\",
    '"',
    "'",
]


def seconds(argv: list[str]) -> float:
    """The best of three runs."""
    times = []
    for _ in range(3):
        start = time.perf_counter()
        REDACTOR.redact_arguments(argv)
        times.append(time.perf_counter() - start)
    return min(times)


@pytest.mark.parametrize("unit", HOSTILE)
def test_time_grows_with_the_length_of_a_hostile_argument_only(unit: str) -> None:
    """16 times as much text takes about 16 times as long; a quadratic search would take 256 times."""

    def argv(size: int) -> list[str]:
        return ["mysql", "x @ --password x", "-c", (unit * size)[:size], "openssl", "enc"]

    small, large = seconds(argv(8 * 1024)), seconds(argv(128 * 1024))
    assert large < 64 * max(small, 0.0005)


def test_the_parts_that_the_agent_needs_are_here(tmp_path: object) -> None:
    assert len(load_key(f"{tmp_path}/key").key) == 32


TYPICAL = {
    "short": ["ls", "-l"],
    "git": ["git", "status", "--short"],
    "shell": ["sh", "-c", "echo hello"],
    "python": ["/usr/bin/python3", "-m", "pytest", "-q", "tests"],
    "grep": ["grep", "-r", "--include=*.py", "foo", "src/"],
    "runtime": ["runc", "--root", "/run/containerd/runc/k8s.io", "--log-format", "json", "exec", "--detach"],
    "suspicious but clean": ["curl", "-s", "http://localhost:8080/health"],
    "secret": ["mysql", "-uroot", "-phunter2", "db"],
}


@pytest.mark.bench
@pytest.mark.parametrize("name", TYPICAL)
def test_bench_redaction(name: str, benchmark: BenchmarkFixture) -> None:
    benchmark(REDACTOR.redact_arguments, TYPICAL[name])
