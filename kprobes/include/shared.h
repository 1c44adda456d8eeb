/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What every program uses: the shared maps (defined in process.bpf.c), counting, sending, identities. */
#pragma once

#include "kernel.h"
#include "wire.h"

extern const volatile struct config config SEC(".rodata.config");

extern struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 16 << 20);
} events SEC(".maps");

extern struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 32768);
	__type(key, u32);
	__type(value, struct process);
} processes SEC(".maps");

extern struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct counters);
} counters SEC(".maps");

extern struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct control);
} control SEC(".maps");

/* A set is read as its eight bytes, whatever its type is called in this kernel. */
#define CAPABILITIES(typed, cred, member)                                      \
	({                                                                     \
		u64 bits_ = 0;                                                 \
		if (typed)                                                     \
			bits_ = *(const u64 *)&(cred)->member;                 \
		else                                                           \
			bpf_core_read(&bits_, sizeof(bits_), &(cred)->member); \
		bits_;                                                         \
	})

/* Since Linux kernel commit a46023d5616e "tracing: Guard __DECLARE_TRACE() use of __DO_TRACE_CALL() with SRCU-fast"
 * (in v7.0) tracepoints call programs with preemption on; when a task is preempted inside one, the kernel skips the
 * program for every other task that comes by on that CPU meanwhile. So on such kernels each program hangs there
 * twice: the second finds in the process map what the first has done, and does what it was not called for. */
enum turn { TURN_FIRST, TURN_AGAIN };

inline_always void count(u32 slot)
{
	u32 zero = 0;
	struct counters *here = bpf_map_lookup_elem(&counters, &zero);

	if (here)
		__sync_fetch_and_add(&here->slots[slot], 1); /* a task can be preempted here, see enum turn */
}

inline_always void count_loss(enum loss_cause cause, enum hook hook)
{
	count(cause * HOOK_COUNT + hook);
}

inline_always u32 shed_step(void)
{
	u32 zero = 0;
	struct control *now = bpf_map_lookup_elem(&control, &zero);
	return now ? now->shed_step : SHED_NOTHING;
}

inline_always u64 ring_waits(void)
{
	return bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA);
}

/* Bulk records are refused when less than a quarter of the ring is free, so that life-cycle records always
 * find room behind a flood; once bulk is shed, already when a sixteenth of it waits. */
inline_always bool bulk_admitted(void)
{
	u64 most = shed_step() == SHED_NOTHING ? config.ring_bytes - config.ring_bytes / 4 : config.ring_bytes / 16;

	return ring_waits() < most;
}

/* Once exits are shed, they are refused while more than half of the ring waits: the rest is for execs, and a
 * reader that has caught up again misses none although the step is taken back later. */
inline_always bool exit_admitted(void)
{
	return shed_step() < SHED_EXIT || ring_waits() < config.ring_bytes / 2;
}

/* How the reader is woken: 0 lets the kernel wake it when it has caught up; with a watermark only the record
 * that crosses it does (edge: a level would make every producer pay for a wake-up). */
inline_always u64 wake_flags(u64 size)
{
	u64 mark = config.wake_watermark_bytes, waiting;

	if (!mark)
		return 0;
	waiting = ring_waits();
	return waiting >= mark && waiting < mark + 2 * size ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP;
}

/* The image's stamp as the kernel keeps it: all observers compute the same (see struct record_header). */
inline_always u64 image_ktime(struct task_struct *leader, bool typed)
{
	return READ(typed, leader, start_boottime) + READ(typed, leader, self_exec_id);
}

inline_always u32 nested_pid(struct task_struct *task, bool typed)
{
	struct pid *pid = READ(typed, task, thread_pid);
	u32 nr = 0, level;

	if (!pid)
		return 0;
	level = READ(typed, pid, level);
	if (!level || level > 32)
		return 0;
	bpf_probe_read_kernel(&nr, sizeof(nr),
			      (void *)pid + bpf_core_field_offset(struct pid, numbers) +
				      level * bpf_core_type_size(struct upid) + bpf_core_field_offset(struct upid, nr));
	return nr;
}

inline_always void fill_header(struct record_header *header, enum record_kind kind, struct process *process)
{
	header->kind = kind;
	header->reserved[0] = header->reserved[1] = header->reserved[2] = 0;
	header->flags = process->flags;
	header->image_ktime = process->image_ktime;
	header->parent_tgid = process->parent_tgid;
	header->parent_ktime = process->parent_ktime;
	header->nspid = process->nspid;
}

/* Identity of a process that is not in the map (it began before us, or the map was full). */
inline_always void identify(struct process *process, struct task_struct *task, bool typed)
{
	struct task_struct *leader = READ(typed, task, group_leader);
	struct task_struct *parent = READ(typed, task, real_parent);

	parent = READ(typed, parent, group_leader);
	process->image_ktime = image_ktime(leader, typed);
	process->parent_tgid = READ(typed, parent, tgid);
	process->parent_ktime = image_ktime(parent, typed);
	process->nspid = nested_pid(leader, typed);
	process->flags = FLAG_PARENT_MISSED;
}
