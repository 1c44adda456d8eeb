# SPDX-License-Identifier: Apache-2.0
"""Random calls that change nothing and random selectors about them, from few values so that they often
meet."""

SYSTEM_CALLS = {
    "getxattr": {"args": ["string", "string", None, "size_t"], "at": [0, 1, 3]},
    "readlinkat": {"args": ["int", "string", "uint64", "int"], "at": [0, 1, 2, 3]},
    "fadvise64": {"args": ["int", "int64", "uint64", None], "at": [0, 1, 2, 3]},
    "connect": {"args": ["int", "sockaddr", "uint32"], "at": [0, 1, 2]},
}
FUNCTIONS = {
    "file_open": ("security_file_open", "file"),
    "getsockname": ("security_socket_getsockname", "socket"),
}
NARROW = ["int", "uint32", "int16", "uint16", "int8", "uint8"]
"""Ways to look at fadvise64's last argument."""

LONG = "/" + "l" * 120 + "/" + "M" * 130 + "/" + "n" * 247
TEXTS = [
    *("a", "ab", "abc", "ABC", "cab", "xabcx", "aabbcc", "/", "/nowhere", "/nowhere/ab.so", "", None),
    *("b" * 23, "b" * 24, "b" * 25, "x" * 119, "x" * 120, "x" * 121, LONG[:255], LONG, "y" * 504),
]
PIECES = [
    "a",
    "ab",
    "b",
    "/",
    "/no",
    "/nowhere/",
    ".so",
    "c",
    "bc",
    "b" * 24,
    "x" * 120,
    LONG[:240],
    LONG[-100:],
]
PATTERNS = ["^a", "b+$", "a.?c", "^(ab|x{3,})", "[^a-c]", "A", "^$", r"\.so$", "l{5}/M", "^/(etc|dev)/"]
NUMBERS = [
    -5,
    -1,
    0,
    1,
    2,
    3,
    7,
    8,
    64,
    127,
    128,
    255,
    256,
    1000,
    32767,
    65535,
    2**31 - 1,
    -(2**31),
    2**32 - 1,
]
LONGS = [*NUMBERS, 2**32, 2**40 + 7, 2**63 - 1, -(2**63), 2**64 - 1]
RESULTS = [-9, -2, -14, -22, -36, -88, 0, 5]
"""EBADF, ENOENT, EFAULT, EINVAL, ENAMETOOLONG, ENOTSOCK."""
ADDRESSES = ["10.1.2.3", "10.9.9.9", "192.168.0.1", "127.0.0.1", "0.0.0.0", "::1", "2001:db8::7", "::"]
NETS = ["10.0.0.0/8", "10.1.0.0/16", "10.1.2.3", "127.0.0.0/8", "::1", "2001:db8::/32", "0.0.0.0/0", "::/0"]
PORTS = [0, 53, 80, 443, 1023, 1024, 1500, 8080, 65535]
PORT_TEXTS = ["80", "1:1023", "1000:2000", "443", "8080", "0:0"]
SOCKETS = [
    {"family": 2, "type": 2},
    {"family": 2, "type": 2, "bind": ["127.0.0.1", 1023]},
    {"family": 2, "type": 2, "bind": ["127.0.0.1", 8080], "connect": ["127.0.0.9", 443]},
    {"family": 2, "type": 1, "bind": ["127.0.0.1", 1500], "listen": True},
    {"family": 10, "type": 1, "bind": ["::1", 80], "listen": True},
    {"family": 10, "type": 2, "bind": ["::1", 1024], "connect": ["::1", 53]},
    {"family": 1, "type": 1},
]
STATES = {"established": 1, "closed": 7, "listening": 10}
CAPABILITIES = ["CAP_SYS_ADMIN", "CAP_NET_RAW", "CAP_CHOWN"]


def unsigned(number, bits=64):
    return number & (1 << bits) - 1


def modelled_socket(told):
    """What the model is told of one of SOCKETS."""
    zero = {2: "0.0.0.0", 10: "::", 1: None}[told["family"]]
    saddr, sport = told.get("bind", [zero, 0])
    daddr, dport = told.get("connect", [zero, 0])
    state = "listening" if told.get("listen") else "established" if "connect" in told else "closed"
    protocol = 0 if told["family"] == 1 else {1: 6, 2: 17}[told["type"]]
    ends = {"saddr": saddr, "daddr": daddr, "sport": sport, "dport": dport}
    return {**ends, "protocol": protocol, "family": told["family"], "state": STATES[state]}


def address(random):
    """An address for connect, as the caller and the model read it: its one end answers for both."""
    text = random.choice([*ADDRESSES, None])
    family = 1 if text is None else 10 if ":" in text else 2
    port = 0 if text is None else random.choice(PORTS)
    return {"family": family, "saddr": text, "daddr": text, "sport": port, "dport": port}


def call(random, name, paths):
    """Arguments for the caller, and what the model is told of those that policies look at."""
    if name == "getxattr":
        arguments = [random.choice(TEXTS), random.choice(TEXTS), None, unsigned(random.choice(LONGS))]
    elif name == "readlinkat":
        arguments = [-7, random.choice(TEXTS), unsigned(random.choice(LONGS)), random.choice(NUMBERS)]
    elif name == "fadvise64":
        numbers = [random.choice(LONGS), unsigned(random.choice(LONGS)), random.choice(LONGS)]
        arguments = [random.choice([-1, -2, -100]), *numbers]
    elif name == "connect":
        arguments = [random.choice([-1, -2, 1000000]), address(random), random.choice(NUMBERS)]
    elif name == "file_open":
        path, text = random.choice(list(paths.items()))
        return [path], [text]
    else:
        at = random.randrange(len(SOCKETS))
        return [at], [modelled_socket(SOCKETS[at])]
    return arguments, [arguments[at] for at in SYSTEM_CALLS[name]["at"]]


def hook(random, name):
    """The hook without its selectors."""
    if name in FUNCTIONS:
        function, kind = FUNCTIONS[name]
        return {"call": function, "syscall": False, "args": [{"index": 0, "type": kind}]}
    known = SYSTEM_CALLS[name]
    args = [{"index": at, "type": known["args"][at] or random.choice(NARROW)} for at in known["at"]]
    found = {"call": f"__x64_sys_{name}", "syscall": True, "args": args}
    if random.randrange(3) == 0:
        found |= {"return": True, "returnArg": {"index": 0, "type": random.choice(["int", "int64"])}}
    return found


def some(random, values, most=3):
    return [str(value) for value in random.sample(values, random.randint(1, min(most, len(values))))]


def either(random, *names):
    return random.choice(["", "Not"]) + random.choice(names)


def integer_rule(random, kind, numbers=()):
    numbers = numbers or (LONGS if "64" in kind or kind == "size_t" else NUMBERS)
    choice = random.randrange(5)
    if choice == 0:
        return {"operator": either(random, "Equal", "InMap"), "values": some(random, numbers, 6)}
    if choice == 1:
        return {"operator": random.choice(["GT", "LT"]), "values": some(random, numbers, 1)}
    if choice == 2:
        return {"operator": "Mask", "values": some(random, [1, 2, 4, 8, 64, 3, 128, 2**31, 2**40], 2)}
    ranges = ["-5:0", "0:7", "3:1000", "5:5", "-2147483648:-1", "100:65535", "0:2147483647"]
    return {"operator": either(random, "InRange", "InMap"), "values": some(random, ranges)}


def text_rule(random, values, pieces):
    texts = [value for value in values if value]
    choice = random.randrange(5)
    if choice == 0:
        return {"operator": either(random, "Equal"), "values": some(random, texts, 5)}
    if choice <= 2:
        return {"operator": either(random, "Prefix", "Postfix"), "values": some(random, pieces)}
    if choice == 3:
        names = ["SubString", "SubStringIgnCase"]
        pieces = [piece for piece in pieces if len(piece) <= 64]
        return {"operator": random.choice(names), "values": some(random, [*pieces, "BC", "yy", "X" * 20])}
    return {"operator": either(random, "Regex"), "values": some(random, PATTERNS, 2)}


def end_rule(random, kind):
    sides = ["S"] if kind == "sockaddr" else ["S", "D"]
    side, choice = random.choice(sides), random.randrange(5)
    if choice == 0:
        return {"operator": either(random, f"{side}Addr"), "values": some(random, NETS)}
    if choice == 1:
        return {"operator": either(random, f"{side}Port"), "values": some(random, PORT_TEXTS)}
    if choice == 2:
        return {"operator": either(random, f"{side}PortPriv")}
    if choice == 3 or kind == "sockaddr":
        return {"operator": "Family", "values": some(random, ["AF_INET", "AF_INET6", "1"], 2)}
    if random.randrange(2):
        return {"operator": "Protocol", "values": some(random, ["IPPROTO_TCP", "IPPROTO_UDP"], 1)}
    return {"operator": "State", "values": some(random, ["TCP_LISTEN", "1", "7"], 2)}


def argument_rule(random, args, paths):
    position = random.randrange(len(args))
    kind = args[position]["type"]
    if kind in ("sockaddr", "socket"):
        rule = end_rule(random, kind)
    elif kind == "string":
        rule = text_rule(random, TEXTS, PIECES)
    elif kind == "file":
        texts = list(dict.fromkeys(paths.values()))
        pieces = (
            {text[: text.rindex("/") + 1] for text in texts} | {text[-7:] for text in texts} | {"/", "/etc"}
        )
        rule = text_rule(random, texts, sorted(pieces | {"/", "/etc"}))
    else:
        rule = integer_rule(random, kind)
    return {"args": [position], **rule}


def membership(random):
    return random.choice(["In", "NotIn"])


def process_rule(random, people):
    """A key of a selector and one entry for it; `people` are the pids, binaries and namespaces there are."""
    choice = random.randrange(8)
    rule = {"operator": membership(random)}
    if choice == 0:
        rule |= {"values": random.sample([*people["pids"], *people["makers"]], 2)}
        if random.randrange(2):
            rule["followForks"] = True
        elif random.randrange(2):
            rule |= {"isNamespacePID": True, "values": [random.choice([1, 2, 5])]}
        return "matchPIDs", rule
    if choice == 1:
        operators = ["In", "NotIn", "Prefix", "NotPrefix", "Postfix", "NotPostfix"]
        rule = {"operator": random.choice(operators), "values": some(random, people["binaries"], 2)}
        if "In" in rule["operator"] and random.randrange(2):
            rule["followChildren"] = True
        return "matchBinaries", rule
    if choice == 2:
        return "matchParentBinaries", rule | {"values": some(random, people["binaries"], 2)}
    if choice == 3:
        name = random.choice(["Mnt", "Uts", "Ipc", "Pid", "User", "Net", "PidForChildren"])
        slot = name.lower().replace("pidforchildren", "pid_for_children")
        values = [*people["namespaces"][slot], *people["hosts"]]
        return "matchNamespaces", {"namespace": name, **rule, "values": some(random, values, 2)}
    if choice == 4:
        return "matchNamespaceChanges", rule | {"values": some(random, ["Mnt", "Net", "Uts", "User", "Pid"])}
    if choice == 7:
        values = some(random, ["0", "1000:2000", "1500", "1:999"], 2)
        return "matchCurrentCred", {"field": "uid", **rule, "values": values}
    kind = random.choice(["Effective", "Permitted", "Inheritable"])
    rule |= {"type": kind, "values": some(random, CAPABILITIES, 2)}
    if random.randrange(2):
        rule["isNamespaceCapability"] = True
    return ["matchCapabilities", "matchCapabilityChanges"][choice - 5], rule


def selector(random, hook, paths, people):
    """Always of some of our callers only: others make the same calls."""
    pids = random.sample(people["pids"], random.randint(len(people["pids"]) // 2, len(people["pids"])))
    found = {"matchPIDs": [{"operator": "In", "values": pids}]}
    rules = [argument_rule(random, hook["args"], paths) for _ in range(random.choice([0, 1, 1, 1, 2, 2, 3]))]
    if rules:
        found["matchArgs"] = rules
    if "return" in hook and random.randrange(2):
        found["matchReturnArgs"] = [{"args": [0], **integer_rule(random, hook["returnArg"]["type"], RESULTS)}]
    for _ in range(random.choice([0, 0, 0, 1, 1, 2])):
        key, rule = process_rule(random, people)
        found[key] = [*found["matchPIDs"], rule] if key == "matchPIDs" else [rule]
    if random.randrange(3) == 0:
        found["matchActions"] = [{"action": "NoPost"}]
    return found
