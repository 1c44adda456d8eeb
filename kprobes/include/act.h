/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* From the selectors that matched to what is done and what is sent. */
#pragma once

#include "epochs.h"
#include "judge.h"

#define MINUTE_NS 60000000000ULL
#define RATE_BYTES 40                    /* of each value, as Tetragon's rate limit compares them */
#define ENFORCE_WITHIN_NS 10000000000ULL /* the call that word is left for is the thread's next, so it comes soon */
#define ACTIONS_DONE (ACTION_SIGNAL | ACTION_OVERRIDE | ACTION_NOTIFY_ENFORCER)
#define ACTIONS_SEEN (ACTION_POST | ACTIONS_DONE)

/* Number of the lowest bit of a word that is not 0: the bit's product with a de Bruijn sequence has a different
 * upper six bits for each. */
static const u8 bit_numbers[64] = {
	0,  1,  48, 2,  57, 49, 28, 3,  61, 58, 50, 42, 38, 29, 17, 4,  62, 55, 59, 36, 53, 51,
	43, 22, 45, 39, 33, 30, 24, 18, 12, 5,  63, 47, 56, 27, 60, 41, 37, 16, 54, 35, 52, 21,
	44, 32, 23, 11, 46, 26, 40, 15, 34, 20, 31, 10, 25, 14, 19, 9,  13, 8,  7,  6,
};

inline_always u32 lowest_bit(u64 word)
{
	return bit_numbers[((word & -word) * 0x03f79d71b4cb0a89ULL) >> 58];
}

inline_always void add(u64 *counter, u64 by)
{
	__sync_fetch_and_add(counter, by);
}

/* Whether the policy may still enforce this minute; the first action too many puts it into monitor mode. */
inline_always bool within_budget(struct policy_state *policy)
{
	u64 minute = bpf_ktime_get_boot_ns() / MINUTE_NS;

	if (!policy->budget)
		return true;
	if (policy->minute != minute) {
		policy->minute = minute;
		policy->spent = 0;
	}
	add(&policy->spent, 1);
	if (policy->spent <= policy->budget)
		return true;
	policy->mode = MODE_MONITOR;
	return false;
}

__attribute__((noinline)) int is_agent(u32 tgid)
{
	struct process *process = bpf_map_lookup_elem(&processes, &tgid);
	u32 zero = 0;
	struct epoch *known = bpf_map_lookup_elem(&epoch, &zero);

	if (!known || !known->agent_tgid)
		return 0;
	return tgid == known->agent_tgid || (process && process->parent_tgid == known->agent_tgid);
}

/* Nothing is done to init, to the agent and to what its settings protect, unless the policy names it. */
inline_always bool is_protected(struct selector *selector, struct process *process)
{
	u32 tgid = bpf_get_current_pid_tgid() >> 32;

	if (is_agent(tgid))
		return true;
	if (selector->names_protected)
		return false;
	if (tgid == 1)
		return true;
	return process && process->follow_set[FOLLOWED_PROTECTED / 64] >> (FOLLOWED_PROTECTED % 64) & 1;
}

/* Itself, or by its enforcer. */
inline_always bool sends_signal(struct selector *selector)
{
	return selector->signal && selector->actions & (ACTION_SIGNAL | ACTION_NOTIFY_ENFORCER);
}

inline_always u32 allowed_actions(struct selector *selector, struct policy_state *policy, struct selector_count *counts,
				  struct process *process)
{
	u32 actions = selector->actions;

	if (!(actions & ACTIONS_DONE))
		return actions;
	if (policy->mode == MODE_ENFORCE) {
		if (is_protected(selector, process)) {
			add(&counts->protected, 1);
			return (actions & ~ACTIONS_DONE) | ACTION_PROTECTED;
		}
		if (!sends_signal(selector) || within_budget(policy))
			return actions;
		actions |= ACTION_BUDGET;
	}
	if (actions & ACTION_SIGNAL)
		add(&counts->monitored_signal, 1);
	if (actions & ACTION_OVERRIDE)
		add(&counts->monitored_override, 1);
	if (actions & ACTION_NOTIFY_ENFORCER)
		add(&counts->monitored_notify, 1);
	return (actions & ~ACTIONS_DONE) | ACTION_MONITORED;
}

/* Leaves word for the enforcer, or takes it back. What nobody has fetched by now is missed. */
inline_always void notify_enforcer(struct selector *selector, struct selector_count *counts, u32 actions)
{
	struct enforcement_key key = {.thread = bpf_get_current_pid_tgid(), .slot = selector->slot};
	struct enforcement what = {.error = selector->error, .set_ns = bpf_ktime_get_boot_ns()};

	if (!(actions & ACTION_NOTIFY_ENFORCER)) {
		bpf_map_delete_elem(&enforcements, &key);
		return;
	}
	if (!(actions & ACTION_SIGNAL))
		what.signal = selector->signal;
	if (bpf_map_lookup_elem(&enforcements, &key))
		add(&counts->missed, 1);
	if (bpf_map_update_elem(&enforcements, &key, &what, BPF_ANY))
		add(&counts->missed, 1);
	else
		add(&counts->notified, 1);
}

/* The enforcer: does to this call what its policy's hook has left for the thread. */
inline_always void enforce(struct verdict *verdict, struct selector *selector, struct policy_state *policy,
			   struct selector_count *counts)
{
	struct enforcement_key key = {.thread = bpf_get_current_pid_tgid(), .slot = selector->slot};
	struct enforcement *left = bpf_map_lookup_elem(&enforcements, &key), what;

	if (!left)
		return;
	what = *left;
	bpf_map_delete_elem(&enforcements, &key);
	add(&counts->matched, 1);
	if (policy->mode != MODE_ENFORCE || bpf_ktime_get_boot_ns() - what.set_ns > ENFORCE_WITHIN_NS) {
		add(&counts->missed, 1);
		return;
	}
	if (what.signal) {
		bpf_send_signal(what.signal);
		add(&counts->signalled, 1);
	}
	if (what.error) {
		if (!verdict->error)
			verdict->error = what.error;
		add(&counts->overridden, 1);
	}
}

inline_always void track_socket(struct hook_scratch *scratch, struct selector *selector, u32 actions,
				struct process *process)
{
	struct owner owner = {.thread = bpf_get_current_pid_tgid()};
	u32 value = selector->sock_value & (HOOK_VALUES - 1);
	u64 socket = sock_of(shape_of(value)->type, scratch->object[value]);

	if (!socket)
		return;
	if (actions & ACTION_UNTRACK_SOCK) {
		bpf_map_delete_elem(&sockets, &socket);
		return;
	}
	owner.image_ktime = process ? process->image_ktime : 0;
	bpf_map_update_elem(&sockets, &socket, &owner, BPF_ANY);
}

/* Does what one matching selector asks for and notes it for the event. */
inline_always void act(u32 slot, struct verdict *verdict, struct hook_scratch *scratch, u32 number,
		       struct selector *selector, struct policy_state *policy, struct process *process)
{
	struct selector_count *counts = bpf_map_lookup_elem(&selector_counts, &number);
	u32 actions, at = verdict->matches;
	struct match *match;

	barrier_value(at);
	if (!counts)
		return;
	if (shape.flags & HOOK_ENFORCES && selector->actions & ACTION_ENFORCE) {
		enforce(verdict, selector, policy, counts);
		return;
	}
	add(&counts->matched, 1);
	actions = allowed_actions(selector, policy, counts, process);
	if (actions & ACTION_SIGNAL && shape.flags & HOOK_SIGNALS) {
		bpf_send_signal(selector->signal);
		verdict->signal = selector->signal;
		add(&counts->signalled, 1);
	}
	if (actions & ACTION_OVERRIDE) {
		if (!verdict->error)
			verdict->error = selector->error;
		add(&counts->overridden, 1);
	}
	if (shape.flags & HOOK_ENFORCES && actions & (ACTION_NOTIFY_ENFORCER | ACTION_CLEANUP_ENFORCER))
		notify_enforcer(selector, counts, actions);
	if (actions & (ACTION_TRACK_SOCK | ACTION_UNTRACK_SOCK) && shape.flags & HOOK_TRACKS_SOCKETS)
		track_socket(scratch, selector, actions, process);
	verdict->actions |= actions;
	if (!(actions & ACTION_POST))
		return;
	if (at >= MATCHES_MOST) {
		add(&counts->lost, 1);
		count_loss(LOSS_SCRATCH_BUSY, HOOK_POLICY);
		return;
	}
	match = &verdict->match[at & (MATCHES_MOST - 1)];
	match->selector = number;
	match->reserved = 0;
	match->actions = actions;
	match->suppressed = 0;
	match->error = actions & ACTION_OVERRIDE ? selector->error : 0;
	match->signal = actions & ACTION_SIGNAL ? selector->signal : 0;
	match->slot = selector->slot;
	match->from = selector->from;
	verdict->values |= selector->values;
	verdict->matches = at + 1;
}

/* Goes through the selectors that are left, lowest first; of each policy the first that counts now acts. Returns the
 * number of events that are wanted. */
__attribute__((noinline)) int select_one(u32 slot, u32 number, u64 now)
{
	struct verdict *verdict = verdict_of(slot);
	struct hook_scratch *scratch = bpf_map_lookup_elem(&hook_scratch, &slot);
	struct selector *selector = bpf_map_lookup_elem(&selectors, &number);
	u32 tgid = bpf_get_current_pid_tgid() >> 32;
	struct policy_state *policy;

	if (!verdict || !scratch || !selector || !counts_in(selector, now))
		return 0;
#pragma unroll
	for (u32 w = 0; w < SET_WORDS; w++)
		verdict->set.words[w] &= ~selector->later.words[w];
	policy = bpf_map_lookup_elem(&policies, &selector->slot);
	if (policy && policy->mode != MODE_OFF)
		act(slot, verdict, scratch, number, selector, policy, bpf_map_lookup_elem(&processes, &tgid));
	return 1;
}

inline_always void select(u32 slot, struct verdict *verdict)
{
	u32 zero = 0;
	struct epoch *switched = bpf_map_lookup_elem(&epoch, &zero);
	u64 left, bit, now;

	if (!switched)
		return;
	now = *(volatile u64 *)&switched->now; /* once: it may be written while this call is judged */
	for (u32 w = 0; w < SET_WORDS; w++) {
		if (w >= shape.words)
			break;
		for (u32 i = 0; i < (shape.flags & HOOK_MANY_SELECTORS ? 64 : FEW_BITS); i++) {
			left = verdict->set.words[w];
			if (!left)
				break;
			bit = left & -left;
			verdict->set.words[w] = left & ~bit;
			select_one(slot, w * 64 + lowest_bit(left), now);
		}
	}
}

/* Hash of the first RATE_BYTES of each value that is sent. */
__attribute__((noinline)) int hash_values(u32 slot, u32 from)
{
	struct hook_scratch *scratch = bpf_map_lookup_elem(&hook_scratch, &slot);
	u32 at = from, length;
	u64 hash = 0x9e3779b97f4a7c15ULL;

	if (!scratch)
		return 0;
	for (u32 i = 0; i < HOOK_VALUES; i++) {
		if (at >= scratch->position)
			break;
		barrier_value(at);
		if (at > TAIL_BYTES - 64)
			break;
		length = ((struct sent_value *)&scratch->tail[at])->length;
		for (u32 word = 0; word < RATE_BYTES / 8 + 1; word++) {
			if (word * 8 >= length + 8)
				break;
			barrier_value(at);
			if (at > TAIL_BYTES - 64)
				break;
			hash = (hash ^ *(u64 *)&scratch->tail[at]) * 0x100000001b3ULL;
			at += 8;
		}
		at += length > RATE_BYTES ? (length - RATE_BYTES + 7) & ~7 : 0;
	}
	return hash ^ hash >> 32;
}

/* Whether a match's rate limit lets its event through; tells how many it held back before. */
inline_always bool rate_allows(struct match *match, struct selector *selector, u64 values)
{
	struct rate_key key = {.hook = shape.hook, .selector = match->selector, .values = values};
	struct rate fresh = {}, *known;
	u64 now = bpf_ktime_get_boot_ns();

	if (!(selector->actions & ACTION_RATE_GLOBAL))
		key.who = bpf_get_current_pid_tgid();
	if (selector->actions & ACTION_RATE_BY_PROCESS)
		key.who >>= 32;
	known = bpf_map_lookup_elem(&rate_limits, &key);
	if (known && now - known->sent_ns < selector->rate_ns) {
		add(&known->suppressed, 1);
		return false;
	}
	if (known) {
		match->suppressed = known->suppressed;
		known->suppressed = 0;
		known->sent_ns = now;
		return true;
	}
	fresh.sent_ns = now;
	bpf_map_update_elem(&rate_limits, &key, &fresh, BPF_ANY);
	return true;
}

/* Copies match number `i` in front of the values, unless its rate limit holds it back; returns whether it is sent. */
__attribute__((noinline)) int admit_match(u32 slot, u32 i, u32 to, u64 values)
{
	struct verdict *verdict = verdict_of(slot);
	struct hook_scratch *scratch = bpf_map_lookup_elem(&hook_scratch, &slot);
	struct selector_count *counts;
	struct selector *selector;
	struct match *match;
	u32 number;

	barrier_value(i);
	barrier_value(to);
	i &= MATCHES_MOST - 1;
	to &= MATCHES_MOST - 1;
	if (!verdict || !scratch)
		return 0;
	match = &verdict->match[i];
	number = match->selector;
	selector = bpf_map_lookup_elem(&selectors, &number);
	counts = bpf_map_lookup_elem(&selector_counts, &number);
	if (!selector || !counts)
		return 0;
	if (shape.flags & HOOK_RATE_LIMITS && selector->actions & ACTION_RATE_LIMIT &&
	    !rate_allows(match, selector, values)) {
		add(&counts->suppressed, 1);
		return 0;
	}
	add(&counts->posted, 1);
	*(struct match *)&scratch->tail[to * sizeof(struct match)] = *match;
	return 1;
}

/* The process whose event it is; the agent's own calls make none. */
inline_always bool describe_process(struct hook_record *record, struct verdict *verdict)
{
	u64 thread = bpf_get_current_pid_tgid();
	struct process seen = {}, *process;
	u32 tgid = thread >> 32;

	if (is_agent(tgid))
		return false;
	process = bpf_map_lookup_elem(&processes, &tgid);
	if (process)
		seen = *process;
	else
		identify(&seen, (void *)bpf_get_current_task(), false);
	fill_header(&record->header, RECORD_HOOK, &seen);
	record->cgroup_id = seen.cgroup_id;
	record->header.ktime_ns = bpf_ktime_get_boot_ns();
	record->header.tgid = tgid;
	record->header.tid = thread;
	return true;
}

/* Whether a cgroup has had its events of this second. What was done to a call is told nevertheless. */
__attribute__((noinline)) int is_throttled(u64 cgroup)
{
	u32 zero = 0;
	struct epoch *limits = bpf_map_lookup_elem(&epoch, &zero);
	struct throttle *known, fresh = {.events = 1};
	u64 now_ns, second;

	if (!limits || !limits->cgroup_rate)
		return 0;
	now_ns = bpf_ktime_get_boot_ns();
	fresh.second = second = now_ns / 1000000000;
	known = bpf_map_lookup_elem(&throttles, &cgroup);
	if (!known) {
		bpf_map_update_elem(&throttles, &cgroup, &fresh, BPF_ANY);
		return 0;
	}
	if (known->second != second) {
		known->second = second;
		known->events = 0;
	}
	add(&known->events, 1);
	if (known->events <= limits->cgroup_rate)
		return 0;
	add(&known->suppressed, 1);
	known->suppressed_ns = now_ns;
	return 1;
}

inline_always void count_lost(struct verdict *verdict, enum loss_cause cause)
{
	u32 number = verdict->match[0].selector;
	struct selector_count *counts = bpf_map_lookup_elem(&selector_counts, &number);

	if (counts)
		add(&counts->lost, 1);
	count_loss(cause, HOOK_POLICY);
}

/* Sends the event. What was done to a call goes ahead of what was only seen: it is never refused while the ring has
 * room. */
__attribute__((noinline)) int send_event(u32 slot)
{
	struct verdict *verdict = verdict_of(slot);
	struct hook_scratch *scratch = bpf_map_lookup_elem(&hook_scratch, &slot);
	struct hook_record *record;
	u64 size, values = 0;
	u32 from, sent = 0, count_sent = 0;

	if (!verdict || !scratch)
		return 0;
	record = &scratch->record;
	if (!describe_process(record, verdict))
		return 0;
	if (!(verdict->actions & ACTIONS_DONE) && !bulk_admitted()) {
		count_lost(verdict, LOSS_SHED);
		return 0;
	}
	if (!(verdict->actions & ACTIONS_DONE) && is_throttled(record->cgroup_id))
		return 0;
	from = verdict->matches;
	if (from > MATCHES_MOST)
		return 0;
	from *= sizeof(struct match);
	scratch->position = from;
	for (u32 i = 0; i < HOOK_VALUES; i++) {
		if (i >= shape.values)
			break;
		if (verdict->values >> i & 1 && send_value(slot, i) > 0)
			count_sent++;
	}
	if (shape.flags & HOOK_RATE_LIMITS)
		values = (u32)hash_values(slot, from);
	for (u32 i = 0; i < MATCHES_MOST; i++) {
		if (i >= verdict->matches)
			break;
		sent += admit_match(slot, i, sent, values);
	}
	if (!sent)
		return 0;
	record->hook = shape.hook;
	record->matches = sent;
	record->values = count_sent;
	record->values_at = from;
	record->actions = verdict->actions;
	record->error = verdict->error;
	record->signal = verdict->signal;
	record->kernel_stack = verdict->kernel_stack;
	record->user_stack = verdict->user_stack;
	record->reserved = 0;
	size = sizeof(*record) + scratch->position;
	barrier_value(size);
	if (size > sizeof(*record) + TAIL_BYTES)
		return 0;
	if (bpf_ringbuf_output(&events, record, size, wake_flags(size)))
		count_lost(verdict, LOSS_RING_FULL);
	else
		count(COUNTER_SENT + HOOK_POLICY);
	return 1;
}
