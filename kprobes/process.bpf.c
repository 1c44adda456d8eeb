// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Which processes exist? Owns what the life-cycle programs share: the constants of the load, the process map,
 * the ring, the counters. fork.bpf.c, exec.bpf.c, exit.bpf.c, privileges.bpf.c and tasks.bpf.c use them. */
#include "include/kernel.h"
#include "include/wire.h"

const volatile struct config config SEC(".rodata.config") = {};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 16 << 20);
} events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 32768);
	__type(key, u32); /* tgid */
	__type(value, struct process);
} processes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct counters); /* see COUNTER_SENT */
} counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct control);
} control SEC(".maps");

char LICENSE[] SEC("license") = "Dual BSD/GPL";
