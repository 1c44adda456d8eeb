# SPDX-License-Identifier: Apache-2.0
from agent.detect.auditrules import watched, watches_in
from tests.agent.detect.sigma_rules import exec_of, hits, rule

WATCH = "{product: linux, service: auditd, definition: '-w /usr/bin/nmap -p x -k recon'}"


def test_watches_for_execution_have_path_and_key() -> None:
    text = (
        "needs:\n  -w /usr/bin/nc -p rx -k c2\n  -w /etc/passwd -p wa -k users\n  -a always,exit -S bpf -k b"
    )
    assert watches_in(text) == [("/usr/bin/nc", "c2")]


def test_a_program_that_is_watched_has_the_key() -> None:
    found = rule("sel: {key: recon}\ncondition: sel", WATCH)
    assert hits(found, exec_of("nmap", binary="/usr/bin/nmap"))
    assert not hits(found, exec_of("ls", binary="/usr/bin/ls"))


def test_rules_that_do_not_ask_for_the_key_set_none() -> None:
    assert watched([rule("sel: {a0: x}\ncondition: sel", WATCH)]) == {}
