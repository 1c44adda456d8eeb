// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Does this call match a policy, and what then? One program for each way to attach, loaded once for each hook with a
 * constant shape; docs/policies/engine.md. Cheap checks first: process classes, integers, names of a path; only what
 * is left then claims scratch memory, reads values and is judged in full. */
#include "include/hooks.h"
#include "include/values.h"

const volatile struct shape shape SEC(".rodata.shape") = {};

#define ARRAY(name, entries, value_type)          \
	struct {                                  \
		__uint(type, BPF_MAP_TYPE_ARRAY); \
		__uint(max_entries, entries);     \
		__type(key, u32);                 \
		__type(value, value_type);        \
	} name SEC(".maps")
#define BY_KEY(name, kind, key_type)                  \
	struct {                                      \
		__uint(type, kind);                   \
		__uint(map_flags, BPF_F_NO_PREALLOC); \
		__uint(max_entries, 1);               \
		__type(key, key_type);                \
		__type(value, struct set);            \
	} name SEC(".maps")

ARRAY(tables, 1, struct tables);
ARRAY(ranges, 1, struct range);
ARRAY(bits, 1, struct mask_bit);
ARRAY(selectors, 1, struct selector);
ARRAY(selector_counts, 1, struct selector_count);
ARRAY(automaton_bytes, 256, u32);
ARRAY(automaton_next, 1, u32);
ARRAY(automaton_sets, 1, struct set);
BY_KEY(integers, BPF_MAP_TYPE_HASH, struct integer_key);
BY_KEY(strings_24, BPF_MAP_TYPE_HASH, struct string_key_24);
BY_KEY(strings_120, BPF_MAP_TYPE_HASH, struct string_key_120);
BY_KEY(strings_504, BPF_MAP_TYPE_HASH, struct string_key_504);
#ifdef SINCE_V512
BY_KEY(strings_4096, BPF_MAP_TYPE_HASH, struct string_key_4096);
#endif
BY_KEY(networks, BPF_MAP_TYPE_LPM_TRIE, struct network_key);
BY_KEY(prefixes, BPF_MAP_TYPE_LPM_TRIE, struct prefix_key);
BY_KEY(postfixes, BPF_MAP_TYPE_LPM_TRIE, struct postfix_key);

#include "include/judge.h"
#include "include/act.h"
#include "include/backing.h"

enum way { WAY_TYPED, WAY_REGISTERS, WAY_RECORD, WAY_PLAIN, WAY_SYSCALL };
/* TYPED: fentry, fexit, fmod_ret, lsm, tp_btf: words with kernel types. REGISTERS: kprobes. RECORD: tracepoints.
 * PLAIN: raw tracepoints. SYSCALL: raw tracepoints sys_enter and sys_exit, whose arguments are in pt_regs. */

/* The n-th word of the context, loaded at a constant offset, as the verifier asks. */
#define WORD(n)                                                                               \
	case n:                                                                               \
		asm volatile("%0 = *(u64 *)(%1 + %2)" : "=r"(word) : "r"(ctx), "i"(8 * (n))); \
		break
inline_always u64 context_word(void *ctx, u32 n)
{
	u64 word = 0;

	switch (n) {
		WORD(0);
		WORD(1);
		WORD(2);
		WORD(3);
		WORD(4);
		WORD(5);
		WORD(6);
		WORD(7);
		WORD(8);
		WORD(9);
		WORD(10);
		WORD(11);
		WORD(12);
	}
	return word;
}

/* Words of pt_regs that hold arguments, one byte each from the lowest: of functions, of system calls, of 32-bit system
 * calls; the stack pointer and the result. System V ABI; Linux arch/x86/entry/entry_64.S, arch/arm64/include/asm/ptrace.h.
 * Constants to shift, because the verifier knows what comes out of them. */
#if defined(__TARGET_ARCH_x86)
#define FUNCTION_WORDS 0x08090b0c0d0eULL
#define SYSCALL_WORDS 0x0809070c0d0eULL
#define COMPAT_WORDS 0x040e0d0c0b05ULL
#define STACK_WORD 19
#define RESULT_WORD 10
#define RETURN_POPS 8 /* the return address */
#else
#define FUNCTION_WORDS 0x050403020100ULL
#define SYSCALL_WORDS FUNCTION_WORDS
#define COMPAT_WORDS FUNCTION_WORDS
#define STACK_WORD 31
#define RESULT_WORD 0
#define RETURN_POPS 0
#endif

inline_always u32 argument_word(u64 words, u32 n)
{
	return words >> 8 * (n & 7) & 0xff;
}

inline_always u64 context_register(void *ctx, u32 word_number)
{
	u64 word = 0;

	bpf_probe_read_kernel(&word, sizeof(word), ctx + 8 * word_number);
	return word;
}

inline_always u32 syscall_word(u32 n)
{
	return argument_word(shape.flags & HOOK_COMPAT ? COMPAT_WORDS : SYSCALL_WORDS, n);
}

/* Argument n of a system call whose pt_regs lie at `regs`. */
inline_always u64 syscall_argument(u64 regs, u32 n)
{
	u64 word = 0;

	bpf_probe_read_kernel(&word, sizeof(word), (void *)regs + 8 * syscall_word(n));
	return shape.flags & HOOK_COMPAT ? (u32)word : word;
}

inline_always u64 raw_argument(void *ctx, u32 n, enum way way)
{
	u64 first;

	if (way == WAY_REGISTERS)
		first = context_register(ctx, argument_word(FUNCTION_WORDS, shape.flags & HOOK_SYSCALL ? 0 : n));
	else
		first = plain(context_word(ctx, shape.flags & HOOK_SYSCALL || way == WAY_SYSCALL ? 0 : n));
	return shape.flags & HOOK_SYSCALL || way == WAY_SYSCALL ? syscall_argument(first, n) : first;
}

inline_always u64 raw_field(void *ctx, u32 offset, u32 size)
{
	u64 field = 0;

	if (size == 8)
		bpf_probe_read_kernel(&field, 8, ctx + offset);
	else if (size == 4)
		bpf_probe_read_kernel(&field, 4, ctx + offset);
	else if (size == 2)
		bpf_probe_read_kernel(&field, 2, ctx + offset);
	else
		bpf_probe_read_kernel(&field, 1, ctx + offset);
	return field;
}

inline_always u64 raw_result(void *ctx, u32 n, enum way way)
{
	if (way == WAY_REGISTERS)
		return context_register(ctx, RESULT_WORD);
	return plain(context_word(ctx, way == WAY_SYSCALL ? 1 : n));
}

/* The eight bytes from which value n is read. */
inline_always u64 raw_value(void *ctx, u32 n, enum way way)
{
	switch (shape.value[n].source) {
	case SOURCE_ARGUMENT:
		return way == WAY_RECORD ? 0 : raw_argument(ctx, shape.value[n].index, way);
	case SOURCE_RETURN:
		return way == WAY_RECORD ? 0 : raw_result(ctx, shape.value[n].index, way);
	case SOURCE_TASK:
		return bpf_get_current_task();
	case SOURCE_FIELD:
		return raw_field(ctx, shape.value[n].step[0].offset, shape.value[n].size);
	case SOURCE_RECORD:
		return plain((u64)ctx) + shape.value[n].step[0].offset;
	case SOURCE_REGISTER:
		return way == WAY_REGISTERS ? raw_field(ctx, shape.value[n].step[0].offset, 8) : 0;
	}
	return 0;
}

inline_always u64 extended(u64 raw, u32 n)
{
	bool is_signed = shape.value[n].flags & VALUE_SIGNED;

	switch (shape.value[n].size) {
	case 1:
		return is_signed ? (u64)(signed char)raw : (u8)raw;
	case 2:
		return is_signed ? (u64)(short)raw : (u16)raw;
	case 4:
		return is_signed ? (u64)(int)raw : (u32)raw;
	}
	return raw;
}

/* Selectors that ask for process classes count only where the process has them. */
inline_always void add_classes(u64 *words, struct tables *tables)
{
	u32 tgid = bpf_get_current_pid_tgid() >> 32, class;
	struct process *process = bpf_map_lookup_elem(&processes, &tgid);
	u64 left;

	if (!process)
		return;
	for (u32 w = 0; w < SET_WORDS; w++) {
		left = process->policy_set[w] & tables->asked.words[w];
		for (u32 i = 0; i < (shape.flags & HOOK_MANY_CLASSES ? 64 : FEW_BITS) && left; i++) {
			class = w * 64 + lowest_bit(left);
			left &= left - 1;
			class &= HOOK_SELECTORS - 1;
#pragma unroll
			for (u32 k = 0; k < SET_WORDS; k++)
				if (k < shape.words)
					words[k] |= tables->of_class[class].words[k];
		}
	}
}

inline_always u64 early_value(void *ctx, u32 filter, enum way way)
{
	u32 value = shape.filter[filter].value;

	if (shape.filter[filter].field == FIELD_TGID)
		return bpf_get_current_pid_tgid() >> 32;
	if (shape.filter[filter].field == FIELD_UID)
		return (u32)bpf_get_current_uid_gid();
	return value < HOOK_VALUES ? extended(raw_value(ctx, value, way), value) : 0;
}

#define EARLY_MOST 4
inline_always bool pass_early(void *ctx, u64 *words, struct tables *tables, enum way way)
{
#pragma unroll
	for (u32 filter = 0; filter < EARLY_MOST; filter++) {
		if (filter >= shape.early)
			break;
		narrow_by_integer(words, &tables->filter[filter], filter, shape.filter[filter].kind,
				  shape.filter[filter].is_signed, early_value(ctx, filter, way));
		if (is_empty(words))
			return false;
	}
	return true;
}

struct place {
	u64 dentry, mount;
};

inline_always void place_of_path(struct place *place, struct path *path, bool typed)
{
	place->dentry = plain((u64)READ(typed, path, dentry));
	place->mount = plain((u64)READ(typed, path, mnt));
}

inline_always void place_of(struct place *place, u64 word, u32 type, bool typed)
{
	struct file *file = (void *)word;

	place->dentry = place->mount = 0;
	if (type == VALUE_BINPRM)
		file = READ(typed, (struct linux_binprm *)word, file);
	if (type == VALUE_DENTRY)
		place->dentry = plain(word);
	else if (type == VALUE_PATH)
		place_of_path(place, (struct path *)word, typed);
	else
		place_of_path(place, &file->f_path, typed);
}

/* The two bucket numbers that the readers of names give in one. */
struct buckets {
	u64 one, two;
	bool one_known, two_known;
};

inline_always struct buckets buckets_of(u64 both)
{
	struct buckets found = {.one = both & 0xffff, .two = both >> 16 & 0xffff};

	found.one_known = found.one < PATH_BUCKETS;
	found.two_known = found.two < PATH_BUCKETS;
	barrier_value(found.one);
	barrier_value(found.two);
	found.one &= PATH_BUCKETS - 1;
	found.two &= PATH_BUCKETS - 1;
	return found;
}

inline_always bool pass_path(void *ctx, u64 *words, struct path_table *table, u32 which, enum way way)
{
	u32 value = shape.path_value[which], asks = shape.path_asks[which];
	bool typed = way == WAY_TYPED;
	struct buckets found;
	struct place place;

	if (value >= HOOK_VALUES)
		return true;
	place_of(&place, typed ? context_word(ctx, shape.value[value].index) : raw_value(ctx, value, way),
		 shape.value[value].type, typed);
	if (!place.dentry)
		return true;
	if (asks & (PATH_ASKS_LAST | PATH_ASKS_END)) {
		found = buckets_of(path_buckets_last(place.dentry, place.mount));
#pragma unroll
		for (u32 w = 0; w < SET_WORDS; w++) {
			if (w >= shape.words)
				continue;
			if (asks & PATH_ASKS_LAST && found.one_known)
				words[w] &= table->word[w].last[found.one];
			if (asks & PATH_ASKS_END && found.two_known)
				words[w] &= table->word[w].end[found.two];
		}
	}
	if (asks & PATH_ASKS_FIRST && !is_empty(words)) {
		found = buckets_of(path_buckets_top(place.dentry, place.mount));
		if (found.one_known && found.two_known) {
#pragma unroll
			for (u32 w = 0; w < SET_WORDS; w++)
				if (w < shape.words)
					words[w] &= table->word[w].first[found.one] | table->word[w].second[found.two];
		}
	}
	return !is_empty(words);
}

inline_always void keep_value(struct hook_scratch *scratch, u32 n, u64 raw)
{
	scratch->raw[n] = raw;
	if (shape.value[n].steps > has_own_step(shape.value[n].source))
		scratch->object[n] = resolve(raw, n);
	else
		scratch->object[n] = shape.value[n].type == VALUE_INTEGER ? extended(raw, n) : raw;
}

inline_always void fetch_all(void *ctx, struct hook_scratch *scratch, enum way way)
{
#pragma unroll
	for (u32 n = 0; n < HOOK_VALUES; n++)
		if (n < shape.values)
			keep_value(scratch, n, raw_value(ctx, n, way));
}

inline_always void take_stacks(void *ctx, struct verdict *verdict)
{
	verdict->kernel_stack = verdict->user_stack = -1;
	if (shape.flags & HOOK_KERNEL_STACK && verdict->actions & ACTION_KERNEL_STACK)
		verdict->kernel_stack = bpf_get_stackid(ctx, &stacks, 0);
	if (shape.flags & HOOK_USER_STACK && verdict->actions & ACTION_USER_STACK)
		verdict->user_stack = bpf_get_stackid(ctx, &stacks, BPF_F_USER_STACK);
}

/* For the return of the function: the registers that hold its arguments are gone then. */
inline_always void keep_call(void *ctx, u32 slot, struct verdict *verdict)
{
	struct hook_scratch *scratch = scratch_of(slot);
	struct call_key key = {.task = bpf_get_current_task(), .stack = context_register(ctx, STACK_WORD)};
	struct call *call = &verdict->call;

	if (!scratch)
		return;
	for (u32 n = 0; n < HOOK_VALUES; n++)
		if (n < shape.values && shape.value[n].source == SOURCE_ARGUMENT)
			call->raw[shape.value[n].index & (HOOK_VALUES - 1)] = scratch->raw[n];
	if (bpf_map_update_elem(&calls, &key, call, BPF_ANY))
		count_loss(LOSS_MAP_FULL, HOOK_POLICY);
}

/* What was kept of the call that returns: its stack pointer was, on x86, that of now without the return address. */
inline_always bool take_call(void *ctx, struct hook_scratch *scratch)
{
	struct call_key key = {.task = bpf_get_current_task(),
			       .stack = context_register(ctx, STACK_WORD) - RETURN_POPS};
	struct call *call = bpf_map_lookup_elem(&calls, &key);

	if (!call) {
		key.stack += RETURN_POPS;
		call = bpf_map_lookup_elem(&calls, &key);
	}
	if (!call)
		return false;
	for (u32 n = 0; n < HOOK_VALUES; n++)
		if (n < shape.values && shape.value[n].source == SOURCE_ARGUMENT)
			keep_value(scratch, n, call->raw[shape.value[n].index & (HOOK_VALUES - 1)]);
	bpf_map_delete_elem(&calls, &key);
	return true;
}

/* A place on the stack that the entry and the return of a call have in common: pt_regs of a system call, what a
 * trampoline saved, the stack pointer at entry. */
inline_always u64 call_place(void *ctx, enum way way)
{
	if (way == WAY_SYSCALL)
		return plain(context_word(ctx, 0));
	if (way == WAY_REGISTERS)
		return context_register(ctx, STACK_WORD) - (shape.flags & HOOK_AT_RETURN ? RETURN_POPS : 0);
	return plain((u64)ctx);
}

/* Judges a call in full and does what is asked for; returns the error to return in the function's place, or 0. */
inline_always int settle(void *ctx, u32 slot, struct verdict *verdict, enum way way)
{
	u64 task = bpf_get_current_task(), place = call_place(ctx, way);

	if (shape.flags & HOOK_KEEPS_TEXTS && shape.flags & HOOK_AT_RETURN) {
		if (!take_texts(slot, task, place) && way == WAY_REGISTERS)
			take_texts(slot, task, place + RETURN_POPS);
	}
	if (!judge(slot)) {
		if (shape.flags & HOOK_KEEPS_TEXTS && !(shape.flags & HOOK_AT_RETURN))
			drop_texts(task, place);
		return 0;
	}
	if (shape.flags & HOOK_KEEPS_TEXTS && !(shape.flags & HOOK_AT_RETURN))
		keep_texts(slot, task, place);
	if (shape.flags & HOOK_KEEPS && way == WAY_REGISTERS)
		keep_call(ctx, slot, verdict);
	verdict->matches = verdict->actions = verdict->signal = verdict->values = 0;
	verdict->error = 0;
	select(slot, verdict);
	if (verdict->matches) {
		take_stacks(ctx, verdict);
		send_event(slot);
	}
	return verdict->error;
}

/* Since v6.10. */
void bpf_preempt_disable(void) __ksym __weak;
void bpf_preempt_enable(void) __ksym __weak;

inline_always int examine(void *ctx, u64 *words, enum way way)
{
	u32 slot = claim();
	struct verdict *verdict = verdict_of(slot);
	struct hook_scratch *scratch = bpf_map_lookup_elem(&hook_scratch, &slot);
	int error;

	if (!verdict || !scratch) {
		count_loss(LOSS_SCRATCH_BUSY, HOOK_POLICY);
		return 0;
	}
	for (u32 w = 0; w < SET_WORDS; w++)
		verdict->set.words[w] = w < shape.words ? words[w] : 0;
	scratch->text_of = scratch->place.of = 0;
	fetch_all(ctx, scratch, way);
	error = shape.flags & HOOK_JOINS && way == WAY_REGISTERS && !take_call(ctx, scratch)
			? 0
			: settle(ctx, slot, verdict, way);
	release(verdict);
	return error;
}

/* The kernel lets any number of tasks be preempted in LSM programs; those have no end of scratch memory. */
inline_always int guarded(void *ctx, u64 *words, enum way way)
{
	int error;

	if (shape.flags & HOOK_GUARDED)
		bpf_preempt_disable();
	error = examine(ctx, words, way);
	if (shape.flags & HOOK_GUARDED)
		bpf_preempt_enable();
	return error;
}

/* Whether the call is about a file that another file system has opened for itself. */
inline_always bool is_repeated(void *ctx, enum way way)
{
#pragma unroll
	for (u32 n = 0; n < HOOK_VALUES; n++)
		if (n < shape.values && shape.value[n].type == VALUE_FILE && shape.value[n].source == SOURCE_ARGUMENT &&
		    !shape.value[n].steps)
			if (is_backing_file(raw_value(ctx, n, way)))
				return true;
	return false;
}

inline_always int on_hook(void *ctx, enum way way)
{
	struct tables *tables = hook_tables();
	u64 words[SET_WORDS] = {};

	if (!tables)
		return 0;
#pragma unroll
	for (u32 w = 0; w < SET_WORDS; w++)
		if (w < shape.words)
			words[w] = tables->all.words[w];
	if (shape.flags & HOOK_ASKS_CLASSES)
		add_classes(words, tables);
	if (is_empty(words) || !pass_early(ctx, words, tables, way))
		return 0;
	if (way != WAY_RECORD && !pass_path(ctx, words, &tables->path[0], 0, way))
		return 0;
	if (way != WAY_RECORD && !pass_path(ctx, words, &tables->path[1], 1, way))
		return 0;
	if (way != WAY_RECORD && is_repeated(ctx, way))
		return 0;
	return guarded(ctx, words, way);
}

SEC("fentry")
int hook_fentry(void *ctx)
{
	on_hook(ctx, WAY_TYPED);
	return 0;
}

SEC("fexit")
int hook_fexit(void *ctx)
{
	on_hook(ctx, WAY_TYPED);
	return 0;
}

SEC("fmod_ret")
int hook_fmod_ret(void *ctx)
{
	return on_hook(ctx, WAY_TYPED);
}

SEC("lsm")
int hook_lsm(void *ctx)
{
	int error = on_hook(ctx, WAY_TYPED);

	/* the verifier knows the errors that a hook may return */
	if (error < -4095 || error > 0)
		error = 0;
	return error;
}

SEC("tp_btf")
int hook_tp_btf(void *ctx)
{
	on_hook(ctx, WAY_TYPED);
	return 0;
}

SEC("kprobe")
int hook_kprobe(void *ctx)
{
	int error = on_hook(ctx, WAY_REGISTERS);

	if (shape.flags & HOOK_OVERRIDES && error)
		bpf_override_return(ctx, error);
	return 0;
}

SEC("kretprobe")
int hook_kretprobe(void *ctx)
{
	on_hook(ctx, WAY_REGISTERS);
	return 0;
}

SEC("tracepoint")
int hook_tracepoint(void *ctx)
{
	on_hook(ctx, WAY_RECORD);
	return 0;
}

SEC("raw_tp")
int hook_raw_tp(void *ctx)
{
	on_hook(ctx, WAY_PLAIN);
	return 0;
}

SEC("raw_tp")
int hook_sys_enter(void *ctx)
{
	on_hook(ctx, WAY_SYSCALL);
	return 0;
}

SEC("raw_tp")
int hook_sys_exit(void *ctx)
{
	on_hook(ctx, WAY_SYSCALL);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
