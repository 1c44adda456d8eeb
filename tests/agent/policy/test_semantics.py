# SPDX-License-Identifier: Apache-2.0
from agent.policy.semantics import CAPABILITIES, NUMBERS, judge

FILE = {"args": [{"index": 0, "type": "file"}]}
SHELL = {"pid": 7, "nspid": 0, "binary": "/bin/sh", "parent": {"pid": 1, "nspid": 0, "binary": "/sbin/init"}}
SHELL["parent"]["parent"] = None  # type: ignore[index]


def reading(path: str | None) -> dict[str, object]:
    return {"arguments": [path], "result": 0, "process": SHELL}


def test_the_first_selector_that_matches_acts() -> None:
    prefix = {"args": [0], "operator": "Prefix", "values": ["/etc/"]}
    kill = {"matchArgs": [prefix], "matchActions": [{"action": "Sigkill"}]}
    hook = FILE | {"selectors": [kill, {}]}
    assert judge(hook, reading("/etc/shadow")) == (0, {"Sigkill", "Post"})
    assert judge(hook, reading("/tmp/x")) == (1, {"Post"})


def test_all_filters_of_a_selector_hold_together() -> None:
    parents = [{"operator": "In", "values": ["/sbin/init"]}]
    binaries = [{"operator": "NotIn", "values": ["/bin/sh"]}]
    assert judge(FILE | {"selectors": [{"matchParentBinaries": parents}]}, reading("/x"))
    both = {"matchParentBinaries": parents, "matchBinaries": binaries}
    assert judge(FILE | {"selectors": [both]}, reading("/x")) is None


def test_of_a_text_that_cannot_be_read_only_what_is_negated_holds() -> None:
    for operator, expected in (("Prefix", None), ("NotPrefix", (0, {"Post"}))):
        rule = {"args": [0], "operator": operator, "values": ["/etc/"]}
        assert judge(FILE | {"selectors": [{"matchArgs": [rule]}]}, reading(None)) == expected


def test_words_of_the_kernel_are_numbers_of_its_headers() -> None:
    assert (CAPABILITIES["CAP_SYS_ADMIN"], CAPABILITIES["CAP_DAC_OVERRIDE"]) == (21, 1)
    assert (NUMBERS["TCP_LISTEN"], NUMBERS["AF_INET6"], NUMBERS["IPPROTO_UDP"]) == (10, 10, 17)


def test_the_model_knows_nothing_of_the_compiler() -> None:
    from grimp import build_graph

    graph = build_graph("agent", cache_dir=None)
    behind = graph.find_upstream_modules("agent.policy.semantics")
    assert not [name for name in behind if name.startswith("agent.policy")]
    assert "agent.policy.model" in graph.find_upstream_modules("agent.policy.compile")
