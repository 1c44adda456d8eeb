// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* How did a process end? Exactly one record per thread group: `signal->live == 0` holds for several threads at
 * once, so the sender is the one that the kernel names (group_dead) or the one that took the map entry away. */
#include "include/shared.h"

inline_always u32 wait_status(struct task_struct *task, struct signal_struct *signal, bool typed)
{
	struct task_struct *leader;

	if (READ(typed, signal, flags) & SIGNAL_GROUP_EXIT)
		return READ(typed, signal, group_exit_code);
	leader = READ(typed, task, group_leader);
	return READ(typed, leader, exit_code);
}

/* Without group_dead a thread can pass here while the leader, counted as dead, has yet to store its exit code. It
 * does so before it gives up its memory, then passes here itself: that record is the one with the right status.
 * Since "signal: Guarantee that SIGNAL_GROUP_EXIT is set on process exit" (in v6.0) the group has its code by now. */
inline_always bool leader_follows(struct task_struct *task, struct signal_struct *signal, bool typed)
{
	struct task_struct *leader = READ(typed, task, group_leader);

	return !(READ(typed, signal, flags) & SIGNAL_GROUP_EXIT) && leader != task && READ(typed, leader, mm);
}

inline_always int on_exit(struct task_struct *task, bool group_dead, enum turn turn, bool typed)
{
	struct signal_struct *signal = READ(typed, task, signal);
	struct process last = {}, *process;
	struct exit_record *record;
	u32 tgid;

	if (config.exit_has_group_dead ? !group_dead : READ(typed, signal, live.counter) != 0)
		return 0;
	if (!config.exit_has_group_dead && leader_follows(task, signal, typed))
		return 0;
	tgid = READ(typed, task, tgid);
	process = bpf_map_lookup_elem(&processes, &tgid);
	if (turn == TURN_AGAIN) {
		if (!process)
			return 0;
		count(COUNTER_STOOD_IN + HOOK_EXIT);
	}
	if (process)
		last = *process;
	else
		identify(&last, task, typed);
	if (bpf_map_delete_elem(&processes, &tgid) && !config.exit_has_group_dead)
		return 0;
	if (!exit_admitted()) {
		count_loss(LOSS_SHED, HOOK_EXIT);
		return 0;
	}

	record = bpf_ringbuf_reserve(&events, sizeof(*record), 0);
	if (!record) {
		count_loss(LOSS_RING_FULL, HOOK_EXIT);
		return 0;
	}
	fill_header(&record->header, RECORD_EXIT, &last);
	record->header.ktime_ns = bpf_ktime_get_boot_ns();
	record->header.tgid = tgid;
	record->header.tid = READ(typed, task, pid);
	record->exit_code_raw = wait_status(task, signal, typed);
	record->reserved = 0;
	bpf_ringbuf_submit(record, wake_flags(sizeof(*record)));
	count(COUNTER_SENT + HOOK_EXIT);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int exit_btf(u64 *ctx)
{
	return on_exit((struct task_struct *)ctx[0], config.exit_has_group_dead ? ctx[1] : false, TURN_FIRST, true);
}

SEC("tp_btf/sched_process_exit")
int exit_again(u64 *ctx)
{
	return on_exit((struct task_struct *)ctx[0], config.exit_has_group_dead ? ctx[1] : false, TURN_AGAIN, true);
}

SEC("raw_tp/sched_process_exit")
int exit_raw(struct bpf_raw_tracepoint_args *ctx)
{
	return on_exit((void *)ctx->args[0], config.exit_has_group_dead ? ctx->args[1] : false, TURN_FIRST, false);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
