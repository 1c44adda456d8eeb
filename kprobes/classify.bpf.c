// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Which process classes does a process have? Computed when it executes a program, behind exec.bpf.c, and left in its
 * entry of the process map; at fork where something is inherited that the maker's set does not tell; and for all
 * processes, parents first as far as the kernel lists them so, whenever the classes change. */
#include "include/claim.h"
#include "include/classes.h"
#include "include/values.h"

const volatile struct shape shape SEC(".rodata.shape") = {};

#define CLASS_MAP(name, kind, key_type, value_type)   \
	struct {                                      \
		__uint(type, kind);                   \
		__uint(map_flags, BPF_F_NO_PREALLOC); \
		__uint(max_entries, 1);               \
		__type(key, key_type);                \
		__type(value, value_type);            \
	} name SEC(".maps")

CLASS_MAP(class_texts_120, BPF_MAP_TYPE_HASH, struct class_text_120, struct class_sets);
CLASS_MAP(class_texts_504, BPF_MAP_TYPE_HASH, struct class_text_504, struct class_sets);
CLASS_MAP(class_prefixes, BPF_MAP_TYPE_LPM_TRIE, struct class_prefix, struct class_sets);
CLASS_MAP(class_postfixes, BPF_MAP_TYPE_LPM_TRIE, struct class_postfix, struct class_sets);
CLASS_MAP(class_pids, BPF_MAP_TYPE_HASH, u32, struct class_conditions);
CLASS_MAP(class_nspids, BPF_MAP_TYPE_HASH, u32, struct class_conditions);
CLASS_MAP(class_cgroups, BPF_MAP_TYPE_HASH, u64, struct set);
CLASS_MAP(class_states, BPF_MAP_TYPE_HASH, u32, struct class_state);

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct class_rules);
} class_rules SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct class_pass);
} class_pass SEC(".maps");

/* The process that is being looked at. */
struct examined {
	struct class_state state;
	struct class_sets sets;
};
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SCRATCH_SLOTS);
	__type(key, u32);
	__type(value, struct examined);
} class_scratch SEC(".maps");

inline_always struct class_rules *rules_now(void)
{
	u32 zero = 0;
	return bpf_map_lookup_elem(&class_rules, &zero);
}

inline_always void intersect(struct set *set, const struct set *by)
{
	for (int w = 0; w < SET_WORDS; w++)
		set->words[w] &= by->words[w];
}

inline_always void take(struct class_sets *sum, const struct class_sets *found, const struct class_sets *otherwise)
{
	const struct class_sets *by = found ?: otherwise;

	intersect(&sum->own, &by->own);
	intersect(&sum->parent, &by->parent);
	for (int w = 0; w < FOLLOWED_WORDS; w++)
		sum->followed[w] |= by->followed[w];
}

inline_always void start_sum(struct class_sets *sum)
{
	for (int w = 0; w < SET_WORDS; w++)
		sum->own.words[w] = sum->parent.words[w] = ~0ULL;
	for (int w = 0; w < FOLLOWED_WORDS; w++)
		sum->followed[w] = 0;
}

inline_always void reverse_end(struct hook_scratch *scratch, int length)
{
	u64 at;

	for (int i = 0; i < POSTFIX_BYTES; i++) {
		if (i >= length)
			break;
		at = length - 1 - i;
		barrier_value(at);
		scratch->reversed.text[i] = scratch->text[at & (TEXT_BYTES - 1)];
	}
}

inline_always struct class_sets *equal_text(struct hook_scratch *scratch, int length)
{
	scratch->head[0] = 0;
	scratch->head[1] = length;
	if (length < 0 || length > CLASS_TEXT_BYTES)
		return NULL;
	if (length <= 120)
		return bpf_map_lookup_elem(&class_texts_120, scratch->head);
	return bpf_map_lookup_elem(&class_texts_504, scratch->head);
}

inline_always struct class_sets *text_prefix(struct hook_scratch *scratch, int length)
{
	if (length < 0)
		return NULL;
	scratch->head[1] = 8 * (length > 252 ? 252 : length);
	return bpf_map_lookup_elem(&class_prefixes, &scratch->head[1]);
}

inline_always struct class_sets *text_postfix(struct hook_scratch *scratch, int length)
{
	u32 bits = 8 * (length > POSTFIX_BYTES ? POSTFIX_BYTES : length);

	if (length < 0)
		return NULL;
	reverse_end(scratch, length);
	scratch->reversed.filter = bits; /* stands before the text, as the key's prefix_bits */
	return bpf_map_lookup_elem(&class_postfixes, &scratch->reversed.filter);
}

/* What the path of a binary, as a task with this fs_struct sees it, gives a process and its children. */
__attribute__((noinline)) int match_binary(u32 slot, u64 file, u64 fs)
{
	struct examined *examined = bpf_map_lookup_elem(&class_scratch, &slot);
	struct hook_scratch *scratch = scratch_of(slot);
	struct class_rules *rules = rules_now();
	int length =
		path_text_from(slot, GET(file, struct file, f_path.dentry), GET(file, struct file, f_path.mnt), fs);
	struct class_sets *sum;

	if (!scratch || !examined || !rules)
		return -1;
	sum = &examined->sets;
	start_sum(sum);
	if (rules->uses & CLASSES_USE_EQUAL)
		take(sum, equal_text(scratch, length), &rules->equal_otherwise);
	if (rules->uses & CLASSES_USE_PREFIX)
		take(sum, text_prefix(scratch, length), &rules->prefix_otherwise);
	if (rules->uses & CLASSES_USE_POSTFIX)
		take(sum, text_postfix(scratch, length), &rules->postfix_otherwise);
	examined->state.own = sum->own;
	examined->state.as_parent = sum->parent;
	return length;
}

inline_always void follow(struct process *process, const struct class_conditions *met)
{
	for (int w = 0; w < FOLLOWED_WORDS; w++)
		if (met)
			process->follow_set[w] |= met->followed[w];
}

inline_always void follow_pids(struct process *process, u32 tgid)
{
	u32 nspid = process->nspid;

	follow(process, bpf_map_lookup_elem(&class_pids, &tgid));
	if (nspid)
		follow(process, bpf_map_lookup_elem(&class_nspids, &nspid));
}

/* The classes of a process: what its binary and its parent's allow, what is followed, its cgroup. */
__attribute__((noinline)) int decide(u32 tgid)
{
	struct process *process = bpf_map_lookup_elem(&processes, &tgid);
	struct class_state *state = bpf_map_lookup_elem(&class_states, &tgid);
	struct class_rules *rules = rules_now();
	struct set *members, set;
	u64 cgroup, fails;

	if (!process || !state || !rules)
		return 0;
	set = rules->all;
	intersect(&set, &state->own);
	intersect(&set, &state->parent);
	if (rules->uses & CLASSES_USE_WORKLOADS) {
		cgroup = process->cgroup_id;
		members = bpf_map_lookup_elem(&class_cgroups, &cgroup);
		if (!members && cgroup) {
			cgroup = ANY_CONTAINER;
			members = bpf_map_lookup_elem(&class_cgroups, &cgroup);
		}
		intersect(&set, members ?: &rules->workload_otherwise);
	}
	for (u32 f = 0; f < FOLLOWED_MOST; f++) {
		if (f >= rules->conditions)
			break;
		/* one way through for the verifier, which goes all of them in each round */
		fails = ~process->follow_set[f / 64] >> (f & 63) & 1;
		barrier_value(fails);
		intersect(&set, (struct set *)&rules->followed[f] + (fails & 1));
	}
	for (int w = 0; w < SET_WORDS; w++)
		process->policy_set[w] = set.words[w];
	return 0;
}

/* What the parent's binary allows; of an unknown parent what a binary does that nobody names. */
inline_always void take_parent(struct class_state *state, u32 parent_tgid)
{
	struct class_state *parent = bpf_map_lookup_elem(&class_states, &parent_tgid);
	struct class_rules *rules = rules_now();
	struct class_sets sum;

	if (parent) {
		state->parent = parent->as_parent;
		return;
	}
	start_sum(&sum);
	if (rules) {
		take(&sum, NULL, &rules->equal_otherwise);
		take(&sum, NULL, &rules->prefix_otherwise);
		take(&sum, NULL, &rules->postfix_otherwise);
	}
	state->parent = sum.parent;
}

inline_always void keep_state(struct class_state *state, u32 tgid, struct process *process)
{
	state->image_ktime = process->image_ktime;
	if (bpf_map_update_elem(&class_states, &tgid, state, BPF_ANY))
		count_loss(LOSS_MAP_FULL, HOOK_POLICY);
	follow_pids(process, tgid);
	decide(tgid);
}

/* For matchNamespaceChanges and matchCapabilityChanges. A process that has not exec'd since it was made is compared with
 * what it was made as; one that is older than the first policy that asks, with what it was then. */
inline_always void keep_exec_state(u64 task, u32 tgid, u64 image_ktime)
{
	struct exec_state state = {.image_ktime = image_ktime};
	u64 cred = GET(task, struct task_struct, cred);

	state.cap_permitted = GET(cred, struct cred, cap_permitted);
	state.cap_effective = GET(cred, struct cred, cap_effective);
	state.cap_inheritable = GET(cred, struct cred, cap_inheritable);
	for (u32 which = 0; which < NS_COUNT; which++)
		state.ns[which] = task_namespace(task, which);
	bpf_map_update_elem(&exec_states, &tgid, &state, BPF_ANY);
}

inline_always bool asks_exec_state(void)
{
	struct class_rules *rules = rules_now();
	return rules && rules->uses & CLASSES_USE_EXEC_STATE;
}

/* Of what a process has from its maker, what its own binary alone decides. */
inline_always u64 own_binary(int word)
{
	return word == FOLLOWED_PROTECTED / 64 ? 1ULL << FOLLOWED_PROTECTED % 64 : 0;
}

inline_always void examine(u64 task, u32 tgid, struct process *process, struct class_state *before, u32 parent_tgid,
			   u64 fs)
{
	u32 slot = claim();
	struct verdict *verdict = verdict_of(slot);
	struct examined *examined = bpf_map_lookup_elem(&class_scratch, &slot);

	if (!verdict || !examined) {
		count_loss(LOSS_SCRATCH_BUSY, HOOK_POLICY);
		return;
	}
	if (before)
		examined->state.parent = before->parent;
	else
		take_parent(&examined->state, parent_tgid);
	match_binary(slot, GET(GET(task, struct task_struct, mm), struct mm_struct___exe, exe_file), fs);
	for (int w = 0; w < FOLLOWED_WORDS; w++)
		process->follow_set[w] = (process->follow_set[w] & ~own_binary(w)) | examined->sets.followed[w];
	keep_state(&examined->state, tgid, process);
	release(verdict);
}

inline_always int classify_exec(enum turn turn)
{
	u64 task = bpf_get_current_task();
	u32 tgid = bpf_get_current_pid_tgid() >> 32;
	struct process *process = bpf_map_lookup_elem(&processes, &tgid);
	struct class_state *before = bpf_map_lookup_elem(&class_states, &tgid);

	if (!process)
		return 0;
	if (turn == TURN_AGAIN && before && before->image_ktime == process->image_ktime)
		return 0;
	examine(task, tgid, process, before, process->parent_tgid, 0);
	if (asks_exec_state())
		keep_exec_state(task, tgid, process->image_ktime);
	return 0;
}

/* The child has its maker's binary, and its maker as parent. */
inline_always int classify_fork(u64 maker, u64 child)
{
	u32 tgid = GET(child, struct task_struct, tgid), maker_tgid = GET(maker, struct task_struct, tgid);
	struct process *process = bpf_map_lookup_elem(&processes, &tgid);
	struct class_state *made = bpf_map_lookup_elem(&class_states, &maker_tgid), state;

	if (!process || !made || GET(child, struct task_struct, pid) != tgid)
		return 0;
	state = *made;
	state.parent = made->as_parent;
	keep_state(&state, tgid, process);
	if (asks_exec_state())
		keep_exec_state(child, tgid, process->image_ktime);
	return 0;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(classify_exec_btf, struct task_struct *task)
{
	return classify_exec(TURN_FIRST);
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(classify_exec_again, struct task_struct *task)
{
	return classify_exec(TURN_AGAIN);
}

SEC("raw_tp/sched_process_exec")
int classify_exec_raw(struct bpf_raw_tracepoint_args *ctx)
{
	return classify_exec(TURN_FIRST);
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(classify_fork_btf, struct task_struct *maker, struct task_struct *child)
{
	return classify_fork(forgotten((u64)maker), forgotten((u64)child));
}

SEC("raw_tp/sched_process_fork")
int classify_fork_raw(struct bpf_raw_tracepoint_args *ctx)
{
	return classify_fork(ctx->args[0], ctx->args[1]);
}

/* After the last that can be asked of a task. */
inline_always int forget_process(u64 task)
{
	u32 tgid = GET(task, struct task_struct, tgid);
	struct class_state *state = bpf_map_lookup_elem(&class_states, &tgid);

	if (GET(task, struct task_struct, pid) != tgid || !state)
		return 0;
	if (state->image_ktime ==
	    GET(task, struct task_struct, start_boottime) + GET(task, struct task_struct, self_exec_id)) {
		bpf_map_delete_elem(&class_states, &tgid);
		bpf_map_delete_elem(&exec_states, &tgid);
	}
	return 0;
}

SEC("tp_btf/sched_process_free")
int BPF_PROG(classify_free_btf, struct task_struct *task)
{
	return forget_process(forgotten((u64)task));
}

SEC("raw_tp/sched_process_free")
int classify_free_raw(struct bpf_raw_tracepoint_args *ctx)
{
	return forget_process(ctx->args[0]);
}

inline_always void renew_followed(struct process *process, u32 tgid)
{
	struct process *parent = bpf_map_lookup_elem(&processes, &process->parent_tgid);
	u32 zero = 0;
	struct class_pass *now = bpf_map_lookup_elem(&class_pass, &zero);

	for (int w = 0; now && w < FOLLOWED_WORDS; w++) {
		if (!now->pass)
			process->follow_set[w] &= ~now->fresh[w];
		else if (parent && process->parent_tgid != tgid)
			process->follow_set[w] |= parent->follow_set[w];
	}
}

/* All processes anew. In the first pass conditions that are new are forgotten, in each later one what parents have is
 * inherited: as many passes as pids were given again along a line of descent, usually one. */
SEC("iter/task")
int classify_tasks(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct exec_state *known;
	struct process *process;
	u32 tgid;

	if (!task || task->pid != task->tgid)
		return 0;
	tgid = task->tgid;
	process = bpf_map_lookup_elem(&processes, &tgid);
	if (!process)
		return 0;
	renew_followed(process, tgid);
	examine((u64)task, tgid, process, NULL, task->real_parent->tgid, forgotten((u64)task->fs));
	known = bpf_map_lookup_elem(&exec_states, &tgid);
	if (asks_exec_state() && (!known || known->image_ktime != process->image_ktime))
		keep_exec_state(forgotten((u64)task), tgid, process->image_ktime);
	return 0;
}

/* The processes of a container of which something has become known: of what they are asked, only that has changed. */
SEC("iter/task")
int classify_container(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct process *process;
	struct class_pass *now;
	u32 zero = 0, tgid;

	if (!task || task->pid != task->tgid)
		return 0;
	tgid = task->tgid;
	process = bpf_map_lookup_elem(&processes, &tgid);
	now = bpf_map_lookup_elem(&class_pass, &zero);
	if (!process || !now || !process->cgroup_id)
		return 0;
	if (now->cgroup_id == ANY_CONTAINER || now->cgroup_id == process->cgroup_id)
		decide(tgid);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
