// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What does a reader of values.h say of this object? Test only: one program that is run with arguments instead of being
 * attached, once for each question (tests/agent/kernel/test_values.py). */
#include "include/hooks.h"
#include "include/values.h"

const volatile struct shape shape SEC(".rodata.shape") = {};

enum base { BASE_RAW, BASE_DESCRIPTOR, BASE_TASK, BASE_FAKE };
enum question { ASK_SEND, ASK_FIELD, ASK_ADDRESS, ASK_TEXT, ASK_TOP, ASK_LAST, ASK_OBJECT };

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u64);
} answers SEC(".maps");

/* An object that a test makes up: kernel memory all the same. */
struct fake {
	u8 bytes[4096];
};
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct fake);
} fakes SEC(".maps");

inline_always u64 base_of(u64 raw, u64 base)
{
	u32 zero = 0;

	if (base == BASE_DESCRIPTOR)
		return file_of_descriptor(raw);
	if (base == BASE_FAKE)
		return raw + forgotten((u64)bpf_map_lookup_elem(&fakes, &zero));
	return base == BASE_TASK ? bpf_get_current_task() : raw;
}

inline_always u64 ask(struct hook_scratch *scratch, u32 index, u64 question, u32 field, u32 other)
{
	switch (question) {
	case ASK_SEND:
		return send_value(0, index);
	case ASK_FIELD:
		return value_field(0, index, field, other);
	case ASK_ADDRESS:
		return value_address(0, index, field);
	case ASK_TEXT:
		return value_text(0, index);
	case ASK_OBJECT:
		return object_of(scratch, index);
	}
	if (path_of_value(0, index))
		return -1;
	if (question == ASK_TOP)
		return path_buckets_top(scratch->place.dentry, scratch->place.mount);
	if (question == ASK_LAST)
		return path_buckets_last(scratch->place.dentry, scratch->place.mount);
	return 0;
}

/* Arguments: index, raw, enum base, enum question, field, other, the size value's index, the size. */
SEC("raw_tp")
int ask_value(struct bpf_raw_tracepoint_args *ctx)
{
	u32 zero = 0, index = ctx->args[0], size_index = ctx->args[6];
	struct hook_scratch *scratch = bpf_map_lookup_elem(&hook_scratch, &zero);
	u64 raw, *answer = bpf_map_lookup_elem(&answers, &zero);

	if (!scratch || !answer || index >= HOOK_VALUES)
		return 0;
	scratch->text_of = scratch->place.of = scratch->position = 0;
	if (size_index < HOOK_VALUES)
		scratch->object[bounded(size_index)] = ctx->args[7];
	raw = base_of(ctx->args[1], ctx->args[2]);
	scratch->raw[bounded(index)] = raw;
	scratch->object[bounded(index)] = resolve(raw, index);
	*answer = ask(scratch, index, ctx->args[3], ctx->args[4], ctx->args[5]);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
