# SPDX-License-Identifier: Apache-2.0
"""Random hooks and calls, from few values so that they often meet."""

from hypothesis import strategies as st

ARGUMENTS = [
    {"index": 0, "type": "file"},
    {"index": 1, "type": "int"},
    {"index": 2, "type": "sock"},
    {"index": 3, "type": "uint64"},
    {"index": 4, "type": "string"},
]
PATHS = [
    "/",
    "/etc",
    "/etc/passwd",
    "/etc/shadow",
    "/etc/ssh/sshd_config",
    "/usr/bin/sh",
    "/tmp/x",
    "/tmp/x/y.so",
]
PIECES = [
    "/",
    "/etc",
    "/etc/",
    "/e",
    "/tmp/x",
    "/etc/ssh/",
    "passwd",
    "d",
    "/x",
    ".so",
    "/y.so",
    "/etc/passwd",
]
TEXTS = ["", "a", "ab", "abc", "ABC", "b" * 24, "b" * 25, "x" * 130, "y" * 600, "cab"]
INTS = [-5, -1, 0, 1, 2, 3, 7, 8, 64, 1000, 2**31 - 1, -(2**31)]
LONGS = [0, 1, 5, 2**31, 2**63, 2**64 - 1]
NETS = ["10.0.0.0/8", "10.1.0.0/16", "10.1.2.3", "::1", "2001:db8::/32", "0.0.0.0/0", "::/0"]
ADDRESSES = ["10.1.2.3", "10.9.9.9", "192.168.0.1", "::1", "2001:db8::7", None]
PORTS = ["80", "1:1023", "1000:2000", "443", "8080"]
BINARIES = ["/bin/sh", "/usr/bin/cat", "/usr/sbin/sshd"]
NEGATABLE = ["Equal", "Prefix", "Postfix", "InRange", "SAddr", "DAddr", "SPort", "DPort", "InMap"]


def some(values, most=3):
    if most == 1:
        return st.sampled_from(values).map(lambda value: [value])
    return st.lists(st.sampled_from(values), min_size=1, max_size=min(most, len(values)), unique=True)


def rule(position, operators, values, most=3):
    return st.builds(
        lambda operator, texts: {"args": [position], "operator": operator, "values": [str(t) for t in texts]},
        st.sampled_from(operators),
        some(values, most),
    )


def priv(position):
    operators = ["SPortPriv", "NotSPortPriv", "DPortPriv", "NotDPortPriv"]
    return st.sampled_from(operators).map(lambda operator: {"args": [position], "operator": operator})


def negated(*names):
    return [*names, *(f"Not{name}" for name in names)]


KINDS = [
    rule(0, negated("Equal"), PATHS),
    rule(0, negated("Prefix"), PIECES),
    rule(0, negated("Postfix"), PIECES),
    rule(1, negated("Equal", "InMap"), INTS),
    rule(1, ["GT", "LT"], INTS, 1),
    rule(1, ["Mask"], [1, 2, 4, 8, 64, 3]),
    rule(1, negated("InRange"), ["-5:0", "0:7", "3:1000", "5:5"]),
    rule(2, negated("SAddr", "DAddr"), NETS),
    rule(2, negated("SPort", "DPort"), PORTS),
    priv(2),
    rule(2, ["Protocol"], ["IPPROTO_TCP", "IPPROTO_UDP", "6"]),
    rule(2, ["Family"], ["AF_INET", "AF_INET6"]),
    rule(2, ["State"], ["TCP_LISTEN", "1"]),
    rule(3, negated("Equal"), LONGS),
    rule(3, ["GT", "LT"], LONGS, 1),
    rule(4, negated("Equal"), TEXTS[1:]),
    rule(4, negated("Prefix", "Postfix"), ["a", "ab", "b" * 24, "x", "c", "bc", "B"]),
    rule(4, ["SubString", "SubStringIgnCase"], ["b", "ab", "BC", "x" * 20, "yy"]),
    rule(4, negated("Regex"), ["^a", "b+$", "a.?c", "^(ab|x{3,})", "[^a-c]", "A"]),
]
RULES = st.one_of(KINDS)
IN = st.sampled_from(["In", "NotIn"])
PIDS = st.fixed_dictionaries(
    {"operator": IN, "values": some([1, 5, 10, 11])},
    optional={"followForks": st.booleans(), "isNamespacePID": st.booleans()},
)
BINARY = st.one_of(
    st.fixed_dictionaries(
        {"operator": IN, "values": some(BINARIES)}, optional={"followChildren": st.booleans()}
    ),
    st.fixed_dictionaries(
        {
            "operator": st.sampled_from(["Prefix", "NotPrefix", "Postfix", "NotPostfix"]),
            "values": some(["/usr/", "/usr/bin/", "sh", "d", "/b"]),
        }
    ),
)
PARENT = BINARY.map(lambda rule: {key: each for key, each in rule.items() if key != "followChildren"})
NAMESPACE = st.fixed_dictionaries(
    {"namespace": st.sampled_from(["Mnt", "Net"]), "operator": IN, "values": some(["100", "300"], 2)}
)
CHANGE = st.fixed_dictionaries({"operator": IN, "values": some(["Mnt", "Net"])})
CAPABILITY = st.fixed_dictionaries(
    {
        "type": st.just("Effective"),
        "operator": IN,
        "values": some(["CAP_SYS_ADMIN", "CAP_NET_RAW", "CAP_CHOWN"]),
    },
    optional={"isNamespaceCapability": st.booleans()},
)
CREDENTIAL = st.fixed_dictionaries(
    {"field": st.just("uid"), "operator": IN, "values": some(["0", "1000:2000", "1500"])}
)
ACTIONS = st.sampled_from(
    [["Post"], ["NoPost"], ["Sigkill"], ["Sigkill", "NoPost"], ["Sigkill", "Post"]]
).map(lambda names: [{"action": name} for name in names])
SELECTORS = st.fixed_dictionaries(
    {},
    optional={
        "matchArgs": st.lists(RULES, min_size=1, max_size=4),
        "matchPIDs": st.lists(PIDS, min_size=1, max_size=2),
        "matchBinaries": st.lists(BINARY, min_size=1, max_size=1),
        "matchParentBinaries": st.lists(PARENT, min_size=1, max_size=1),
        "matchNamespaces": st.lists(NAMESPACE, min_size=1, max_size=1),
        "matchNamespaceChanges": st.lists(CHANGE, min_size=1, max_size=1),
        "matchCapabilities": st.lists(CAPABILITY, min_size=1, max_size=1),
        "matchCurrentCred": st.lists(CREDENTIAL, min_size=1, max_size=1),
        "matchActions": ACTIONS,
    },
)
SMALL = st.builds(
    lambda rules, actions: {"matchArgs": rules, **actions},
    st.lists(RULES, min_size=1, max_size=2),
    st.just({}) | ACTIONS.map(lambda actions: {"matchActions": actions}),
)
ALIKE = st.sampled_from(KINDS).flatmap(
    lambda kind: st.lists(
        st.lists(kind, min_size=1, max_size=2).map(lambda rules: {"matchArgs": rules}), min_size=1, max_size=3
    )
)
"""Selectors that ask the same thing in different ways."""
ASKING = SELECTORS.map(lambda selector: {key: each for key, each in selector.items() if key != "matchArgs"})
"""Selectors that only ask of the process."""


def hook_of(selectors):
    return {"args": ARGUMENTS, **({"selectors": selectors} if selectors else {})}


FOCUSED = (ALIKE | st.lists(ASKING, min_size=1, max_size=2)).map(hook_of)
HOOKS = (ALIKE | st.lists(SMALL | SELECTORS, max_size=4)).map(hook_of)
INUMS = st.fixed_dictionaries({"mnt": st.sampled_from([100, 300]), "net": st.sampled_from([100, 300])})


def processes(parent):
    return st.fixed_dictionaries(
        {
            "pid": st.sampled_from([1, 5, 10, 11, 12]),
            "nspid": st.sampled_from([0, 1, 5]),
            "binary": st.sampled_from([*BINARIES, "/usr/bin/other"]),
            "parent": parent,
            "namespaces": INUMS,
            "exec_namespaces": INUMS,
            "effective": st.sampled_from([0, 1 << 21, 1 << 13 | 1, (1 << 41) - 1]),
            "in_host_user_ns": st.booleans(),
            "uid": st.sampled_from([0, 1000, 1500, 3000]),
        }
    )


SOCKETS = st.fixed_dictionaries(
    {
        "saddr": st.sampled_from(ADDRESSES),
        "daddr": st.sampled_from(ADDRESSES),
        "sport": st.sampled_from([0, 80, 443, 1023, 1024, 1500, 8080, 65535]),
        "dport": st.sampled_from([0, 80, 443, 1023, 1024, 1500, 8080, 65535]),
        "protocol": st.sampled_from([6, 17]),
        "family": st.sampled_from([2, 10, 1]),
        "state": st.sampled_from([1, 10]),
    }
)
CALLS = st.fixed_dictionaries(
    {
        "arguments": st.tuples(
            st.sampled_from([*PATHS, "/etcetera", "/etc/passwd2", "/var/lib/d"]),
            st.sampled_from(INTS),
            SOCKETS,
            st.sampled_from(LONGS),
            st.sampled_from([*TEXTS, "xabcx", "aabbcc", "zzz"]),
        ),
        "process": processes(st.none() | processes(st.none() | processes(st.none()))),
    }
)


def asking(position, operator, *values):
    return hook_of([{"matchArgs": [{"args": [position], "operator": operator, "values": list(values)}]}])


PROCESS = {
    "pid": 11,
    "nspid": 0,
    "binary": "/bin/sh",
    "parent": None,
    "namespaces": {"mnt": 100, "net": 100},
    "exec_namespaces": {"mnt": 100, "net": 100},
    "effective": 0,
    "in_host_user_ns": True,
    "uid": 0,
}
SOCKET = {
    "saddr": "10.1.2.3",
    "daddr": "::1",
    "sport": 80,
    "dport": 443,
    "protocol": 6,
    "family": 2,
    "state": 1,
}
CALL = {"arguments": ("/etcetera", 7, SOCKET, 5, "abc"), "process": PROCESS}
TELLING = [
    asking(0, "Prefix", "/etc"),
    asking(0, "Prefix", "/etc", "/etcetera/"),
    asking(2, "SAddr", "10.0.0.0/8"),
    asking(2, "SAddr", "10.1.0.0/16"),
    asking(2, "DAddr", "::/0"),
    asking(2, "SAddr", "::/0"),
    asking(1, "InRange", "3:7"),
    asking(1, "Mask", "4"),
    asking(4, "Prefix", "a"),
    asking(4, "Prefix", "ab"),
]
"""All of one call, which some mistakes judge wrongly; random ones seldom do."""
