# SPDX-License-Identifier: Apache-2.0
"""A hook's program in Python: judges calls by the compiled shape and maps alone, as kprobes/hook.bpf.c does.
Reads the layouts of kprobes/include/policy.h and classes.h by its own description of them."""

import ipaddress
import struct
from typing import NamedTuple

from agent.policy import buckets

WORD = (1 << 64) - 1
NO_VALUE = 0xFF
TEXTS = (24, 120, 504, 4096)
NAMESPACES = [
    "uts",
    "ipc",
    "mnt",
    "pid",
    "pid_for_children",
    "net",
    "time",
    "time_for_children",
    "cgroup",
    "user",
]
ACTIONS = {1: "Post", 8: "Sigkill", 16: "Override"}
SOCKET_FIELDS = {4: "sport", 5: "dport", 6: "protocol", 7: "family", 8: "state"}


class Filter(NamedTuple):
    kind: int
    field: int
    value: int
    other: int
    is_early: int
    is_signed: int


def as_set(content):
    return int.from_bytes(content, "little")


def key(number):
    return struct.pack("<I", number)


def longest(trie, head, text, most, step=8):
    """Longest prefix, by steps of so many bits: `head` stands between the length and the text, and counts."""
    for bits in range(min(len(text), most) * 8, -1, -step):
        size, rest = divmod(bits, 8)
        part = text[:size]
        if rest:
            part += bytes([text[size] & 0xFF << 8 - rest & 0xFF])
        found = trie.get(struct.pack("<I", len(head) * 8 + bits) + head + part.ljust(most, b"\0"))
        if found is not None:
            return found
    return None


class Machine:
    """One hook, and the classes of processes."""

    def __init__(self, compiled, classes):
        self.maps, self.classes = compiled.maps, classes.compile().maps
        shape = compiled.shape
        numbers = struct.unpack_from("<9I4B", shape)
        self.words, count, filters, self.early, self.byte_classes = numbers[2:7]
        self.path_values = list(zip(numbers[9:11], numbers[11:13], strict=True))
        self.values = [struct.unpack_from("<8B", shape, 40 + 96 * at) for at in range(count)]
        start = 40 + 96 * 16
        self.filters = [Filter(*struct.unpack_from("<6B", shape, start + 8 * at)) for at in range(filters)]
        self.tables = self.maps["tables"][key(0)]

    def table(self, number):
        start, count, otherwise = struct.unpack_from("<2I32s", self.tables, 32 * 260 + 40 * number)
        return start, count, as_set(otherwise)

    def candidates(self, process):
        members, asked = as_set(self.tables[:32]), as_set(self.tables[32:64])
        for number in range(256):
            if asked & self.classes_of(process) >> number << number & 1 << number:
                members |= as_set(self.tables[32 * (4 + number) : 32 * (5 + number)])
        return members & (1 << 64 * self.words) - 1

    def classes_of(self, process):
        rules = self.classes["class_rules"][key(0)]
        members, _, conditions = struct.unpack_from("<32s2I", rules)
        members = as_set(members) & self.binary_sets(process["binary"])[0]
        members &= self.binary_sets((process["parent"] or {"binary": ""})["binary"])[1]
        members &= as_set(rules[40 + 3 * 80 : 72 + 3 * 80])
        followed = self.followed(process)
        for number in range(conditions):
            at = 72 + 3 * 80 + 64 * number + (0 if followed >> number & 1 else 32)
            members &= as_set(rules[at : at + 32])
        return members

    def followed(self, process):
        found = 0
        while process:
            found |= self.binary_sets(process["binary"])[2]
            found |= as_set(self.classes["class_pids"].get(key(process["pid"]), b""))
            if process["nspid"]:
                found |= as_set(self.classes["class_nspids"].get(key(process["nspid"]), b""))
            process = process["parent"]
        return found

    def binary_sets(self, path):
        rules, text = self.classes["class_rules"][key(0)], path.encode()
        size = 120 if len(text) <= 120 else 504
        equal = struct.pack(f"<2I{size}s", 0, len(text), text)
        found = [
            self.classes[f"class_texts_{size}"].get(equal),
            longest(self.classes["class_prefixes"], b"", text, 252),
            longest(self.classes["class_postfixes"], b"", text[::-1], 128),
        ]
        own, parent, followed = (1 << 256) - 1, (1 << 256) - 1, 0
        for at, sets in enumerate(found):
            sets = sets or rules[40 + 80 * at : 120 + 80 * at]
            own, parent = own & as_set(sets[:32]), parent & as_set(sets[32:64])
            followed |= as_set(sets[64:])
        return own, parent, followed

    def pass_paths(self, members, call):
        for at, (value, asks) in enumerate(self.path_values):
            if value == NO_VALUE:
                continue
            path = call["arguments"][self.values[value][2]].encode()
            start = 32 * 260 + 40 * 24 + 4 * 8192 * at
            parts = [self.bucket_set(start + 2048 * n, b) for n, b in enumerate(buckets.of_path(path))]
            if path == b"/":  # its last name is not known
                asks &= 1
            if asks & 1:
                members &= parts[0] | parts[1]
            if asks & 2:
                members &= parts[2]
            if asks & 4:
                members &= parts[3]
        return members

    def bucket_set(self, start, bucket):
        words = [struct.unpack_from("<Q", self.tables, start + 8192 * w + 8 * bucket)[0] for w in range(4)]
        return sum(word << 64 * w for w, word in enumerate(words))

    def integer(self, each, call):
        process = call["process"]
        if each.field == 0:
            return call["arguments"][self.values[each.value][2]] & WORD
        if each.field in SOCKET_FIELDS:
            return call["arguments"][self.values[each.value][2]][SOCKET_FIELDS[each.field]]
        if each.field == 13:
            return process["namespaces"][NAMESPACES[each.other]]
        if each.field == 14:
            now, before = process["namespaces"], process["exec_namespaces"]
            return sum(1 << at for at, n in enumerate(NAMESPACES) if now.get(n) != before.get(n))
        if each.field == 15:
            return 0 if each.other == 1 and not process["in_host_user_ns"] else process["effective"]
        return {11: process["pid"], 12: process["nspid"], 21: process["uid"]}[each.field]

    def by_integer(self, number, each, value):
        start, count, otherwise = self.table(number)
        if each.kind == 1:
            found = self.maps["integers"].get(struct.pack("<2IQ", number, 0, value))
            return otherwise if found is None else as_set(found)
        rows = {1: None, 2: "ranges", 3: "bits"}[each.kind]
        entries = [self.maps[rows][key(start + at)] for at in range(count)]
        if each.kind == 2:
            ordered = value ^ 1 << 63 if each.is_signed else value
            return as_set([e for e in entries if struct.unpack_from("<Q", e)[0] <= ordered][-1][8:])
        members, without = otherwise, 0
        for bit, adds, removes in (struct.unpack("<Q32s32s", entry) for entry in entries):
            if value >> bit & 1:
                members, without = members | as_set(adds), without | as_set(removes)
        return members & ~without

    def by_address(self, number, each, call):
        text = call["arguments"][self.values[each.value][2]][{2: "saddr", 3: "daddr"}[each.field]]
        if text is None:
            return self.table(number)[2]
        address = ipaddress.ip_address(text)
        packed = b"\0" * 10 + b"\xff\xff" + address.packed if address.version == 4 else address.packed
        found = longest(self.maps["networks"], struct.pack(">I", number), packed, 16, step=1)
        return self.table(number)[2] if found is None else as_set(found)

    def by_text(self, number, each, call):
        text = call["arguments"][self.values[each.value][2]].encode()
        head = struct.pack(">I", number)
        if each.kind == 5:
            size = next(size for size in TEXTS if len(text) <= size)
            found = self.maps[f"strings_{size}"].get(struct.pack(f"<2I{size}s", number, len(text), text))
        elif each.kind == 6:
            found = longest(self.maps["prefixes"], head, text[:248], 248)
        elif each.kind == 7:
            found = longest(self.maps["postfixes"], head, text[::-1][:128], 128)
        else:
            found = self.maps["automaton_sets"][key(self.run(text, self.table(number)[0]))]
        return self.table(number)[2] if found is None else as_set(found)

    def run(self, text, state):
        for byte in text:
            number = as_set(self.maps["automaton_bytes"][key(byte)])
            state = as_set(self.maps["automaton_next"][key(state * self.byte_classes + number)])
        return state

    def judge(self, call, epoch=1):
        """Policy slot -> (bit of the selector, actions)."""
        members = self.pass_paths(self.candidates(call["process"]), call)
        for number, each in enumerate(self.filters):
            if each.kind <= 3:
                members &= self.by_integer(number, each, self.integer(each, call))
            elif each.kind == 4:
                members &= self.by_address(number, each, call)
            else:
                members &= self.by_text(number, each, call)
        return self.select(members, epoch)

    def select(self, members, epoch):
        found = {}
        for bit in range(256):
            if not members >> bit & 1:
                continue
            content = self.maps["selectors"][key(bit)]
            since, until, later, slot, actions = struct.unpack_from("<2Q32s2I", content)
            if since <= epoch < until:
                members &= ~as_set(later)
                found[slot] = bit, frozenset(name for flag, name in ACTIONS.items() if actions & flag)
        return found
