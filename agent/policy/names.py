# SPDX-License-Identifier: Apache-2.0
"""Numbers of the kernel as events spell them: the kernel's own names; where there is none, the number."""

from __future__ import annotations

import stat
from functools import lru_cache

_FAMILIES = (
    "UNSPEC UNIX INET AX25 IPX APPLETALK NETROM BRIDGE ATMPVC X25 INET6 ROSE DECnet NETBEUI SECURITY KEY "
    "NETLINK PACKET ASH ECONET ATMSVC RDS SNA IRDA PPPOX WANPIPE LLC IB MPLS CAN TIPC BLUETOOTH IUCV RXRPC "
    "ISDN PHONET IEEE802154 CAIF ALG NFC VSOCK KCM QIPCRTR SMC XDP MCTP"
)
_SOCKET_TYPES = "STREAM DGRAM RAW RDM SEQPACKET DCCP"
_PROTOCOLS = {
    0: "IP", 1: "ICMP", 2: "IGMP", 4: "IPIP", 6: "TCP", 8: "EGP", 12: "PUP", 17: "UDP", 22: "IDP", 29: "TP",
    33: "DCCP", 41: "IPV6", 46: "RSVP", 47: "GRE", 50: "ESP", 51: "AH", 92: "MTP", 94: "BEETPH",
    98: "ENCAP", 103: "PIM", 108: "COMP", 132: "SCTP", 136: "UDPLITE", 137: "MPLS",
    143: "ETHERNET", 255: "RAW", 262: "MPTCP",
}  # fmt: skip
_TCP_STATES = (
    "ESTABLISHED SYN_SENT SYN_RECV FIN_WAIT1 FIN_WAIT2 TIME_WAIT CLOSE CLOSE_WAIT LAST_ACK LISTEN CLOSING "
    "NEW_SYN_RECV"
)
_BPF_COMMANDS = (
    "MAP_CREATE MAP_LOOKUP_ELEM MAP_UPDATE_ELEM MAP_DELETE_ELEM MAP_GET_NEXT_KEY PROG_LOAD OBJ_PIN OBJ_GET "
    "PROG_ATTACH PROG_DETACH PROG_TEST_RUN PROG_GET_NEXT_ID MAP_GET_NEXT_ID PROG_GET_FD_BY_ID "
    "MAP_GET_FD_BY_ID OBJ_GET_INFO_BY_FD PROG_QUERY RAW_TRACEPOINT_OPEN BTF_LOAD BTF_GET_FD_BY_ID "
    "TASK_FD_QUERY MAP_LOOKUP_AND_DELETE_ELEM MAP_FREEZE BTF_GET_NEXT_ID MAP_LOOKUP_BATCH "
    "MAP_LOOKUP_AND_DELETE_BATCH MAP_UPDATE_BATCH MAP_DELETE_BATCH LINK_CREATE LINK_UPDATE "
    "LINK_GET_FD_BY_ID LINK_GET_NEXT_ID ENABLE_STATS ITER_CREATE LINK_DETACH PROG_BIND_MAP TOKEN_CREATE"
)
_PROGRAM_TYPES = (
    "UNSPEC SOCKET_FILTER KPROBE SCHED_CLS SCHED_ACT TRACEPOINT XDP PERF_EVENT CGROUP_SKB CGROUP_SOCK "
    "LWT_IN LWT_OUT LWT_XMIT SOCK_OPS SK_SKB CGROUP_DEVICE SK_MSG RAW_TRACEPOINT CGROUP_SOCK_ADDR "
    "LWT_SEG6LOCAL LIRC_MODE2 SK_REUSEPORT FLOW_DISSECTOR CGROUP_SYSCTL RAW_TRACEPOINT_WRITABLE "
    "CGROUP_SOCKOPT TRACING STRUCT_OPS EXT LSM SK_LOOKUP SYSCALL NETFILTER"
)
_MAP_TYPES = (
    "UNSPEC HASH ARRAY PROG_ARRAY PERF_EVENT_ARRAY PERCPU_HASH PERCPU_ARRAY STACK_TRACE CGROUP_ARRAY "
    "LRU_HASH LRU_PERCPU_HASH LPM_TRIE ARRAY_OF_MAPS HASH_OF_MAPS DEVMAP SOCKMAP CPUMAP XSKMAP SOCKHASH "
    "CGROUP_STORAGE REUSEPORT_SOCKARRAY PERCPU_CGROUP_STORAGE QUEUE STACK SK_STORAGE DEVMAP_HASH STRUCT_OPS "
    "RINGBUF INODE_STORAGE TASK_STORAGE BLOOM_FILTER USER_RINGBUF CGRP_STORAGE ARENA"
)
_PERF_TYPES = "HARDWARE SOFTWARE TRACEPOINT HW_CACHE RAW BREAKPOINT MAX"
_TAINTS = {
    0: "PROPRIETARY_MODULE", 1: "FORCED_MODULE", 2: "FORCED_UNLOAD_MODULE", 10: "STAGED_MODULE",
    12: "OUT_OF_TREE_MODULE", 13: "UNSIGNED_MODULE", 15: "KERNEL_LIVE_PATCH_MODULE", 18: "TEST_MODULE",
}  # fmt: skip


class _Names(dict[int, str]):
    """A number that has no name stands for itself."""

    def __missing__(self, number: int) -> str:
        return str(number)


def _names(prefix: str, words: str, first: int = 0) -> _Names:
    return _Names(enumerate([prefix + word for word in words.split()], first))


FAMILIES = _names("AF_", _FAMILIES)
"""include/linux/socket.h."""
SOCKET_TYPES = _names("SOCK_", _SOCKET_TYPES, 1)
"""enum sock_type of include/linux/net.h; SOCK_PACKET (10) has no name in Tetragon's events either."""
PROTOCOLS = _Names({number: f"IPPROTO_{name}" for number, name in _PROTOCOLS.items()})
"""include/uapi/linux/in.h, those that Tetragon names: its users' filters compare the text."""
TCP_STATES = _names("TCP_", _TCP_STATES, 1)
"""include/net/tcp_states.h."""
BPF_COMMANDS = _names("BPF_", _BPF_COMMANDS)
"""enum bpf_cmd of include/uapi/linux/bpf.h, as the three that follow."""
PROGRAM_TYPES = _names("BPF_PROG_TYPE_", _PROGRAM_TYPES)
MAP_TYPES = _names("BPF_MAP_TYPE_", _MAP_TYPES)
PERF_TYPES = _names("PERF_TYPE_", _PERF_TYPES)
"""enum perf_type_id of include/uapi/linux/perf_event.h."""


def taints(mask: int) -> list[str]:
    """Why a module taints the kernel (include/linux/panic.h), as far as events have a name for it."""
    return [f"TAINT_{name}" for bit, name in _TAINTS.items() if mask >> bit & 1]


@lru_cache(maxsize=1024)
def permission(mode: int) -> str:
    """i_mode as `ls -l` shows it; a type that there is none of stands for nothing: `---------` for 0."""
    return stat.filemode(mode).lstrip("?")
