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

/* The wire format as one type. The function is never called, so it is never loaded: it keeps the types in the
 * object's BTF, with which the reader's tables are compared. */
struct wire_format {
	struct exec_record exec;
	struct fork_record fork;
	struct exit_record exit;
	struct chunk_record chunk;
	struct task_record task;
	struct cgroup_record cgroup;
	enum record_kind kinds;
	enum record_flags flags;
	enum namespace_slot namespaces;
	enum hook hooks;
	enum loss_cause causes;
	enum shed_step steps;
	enum chunk_stream streams;
	enum cgroup_change changes;
};

__attribute__((noinline)) int keep_wire_format(struct wire_format *format)
{
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
