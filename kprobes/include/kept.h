/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Strings and socket addresses that a call is given in user memory, kept from its entry to its return: what is judged
 * and told then is what the kernel was given, whatever a thread has written over it meanwhile. Those that are arguments
 * themselves; what has no room beside the others is read at the return. */
#pragma once

#include "text.h"

/* A pointer as a plain number, which may be kept and passed on. */
inline_always u64 plain(u64 pointer)
{
	asm volatile("%0 = be64 %0\n%0 = be64 %0" : "+r"(pointer));
	return pointer;
}

#define KEPT_ADDRESSES (1u << VALUE_SOCKADDR | 1u << VALUE_SOCKADDR_UN)
#define ADDRESS_BYTES 110 /* struct sockaddr_un, linux/un.h */

/* The mask stays where the compiler knows the bound already: the verifier of v5.10 has to see it. */
inline_always const volatile struct value_shape *shape_at(u32 index)
{
	u64 bounded = index;

	barrier_value(bounded);
	return &shape.value[bounded & (HOOK_VALUES - 1)];
}

inline_always bool is_address(u32 index)
{
	u32 type = shape_at(index)->type;

	return ~shape.unused_types & KEPT_ADDRESSES && (type == VALUE_SOCKADDR || type == VALUE_SOCKADDR_UN);
}

inline_always bool is_kept(u32 index)
{
	const volatile struct value_shape *value = shape_at(index);

	return (value->type == VALUE_STRING || is_address(index)) && value->source == SOURCE_ARGUMENT &&
	       value->flags & VALUE_USER && !(value->flags & VALUE_AT_RETURN) && !value->steps;
}

inline_always u64 argument_of(u32 index)
{
	u64 argument = shape_at(index)->index;

	barrier_value(argument);
	return argument & (HOOK_VALUES - 1);
}

/* Where value `index` was put when the call began; 0: nowhere, it is read now. */
inline_always u64 kept_value(u32 slot, u32 index)
{
	struct kept *kept;
	u64 at;

	if (!(shape.flags & HOOK_KEEPS_TEXTS && shape.flags & HOOK_AT_RETURN) || !is_kept(index))
		return 0;
	kept = bpf_map_lookup_elem(&kept_scratch, &slot);
	if (!kept)
		return 0;
	at = kept->at[argument_of(index)];
	barrier_value(at);
	return at && at <= TEXT_BYTES ? plain((u64)&kept->text[at - 1]) : 0;
}

int value_text(u32 slot, u32 index);

/* As much of an address as can be read: a short one may end where memory does. What is not read is zero. */
inline_always long copy_address(u8 *to, u64 from)
{
	return bpf_probe_read_user(to, ADDRESS_BYTES, (void *)from) &&
	       bpf_probe_read_user(to, 28, (void *)from) && /* struct sockaddr_in6 */
	       bpf_probe_read_user(to, 16, (void *)from) && bpf_probe_read_user(to, 2, (void *)from);
}

/* Puts the address that value `index` points to behind what is there. */
__attribute__((noinline)) int put_kept_address(u32 slot, u32 index)
{
	struct hook_scratch *scratch = scratch_of(slot);
	struct kept *kept = bpf_map_lookup_elem(&kept_scratch, &slot);
	u64 at, value;

	if (!scratch || !kept)
		return 0;
	at = kept->used;
	value = index;
	barrier_value(at);
	barrier_value(value);
	if (at >= TEXT_BYTES || copy_address(&kept->text[at], scratch->object[value & (HOOK_VALUES - 1)]))
		return 0;
	kept->at[argument_of(index)] = at + 1;
	kept->used = at + ADDRESS_BYTES;
	return 1;
}

/* Puts value `index` behind those that are there. */
__attribute__((noinline)) int put_kept(u32 slot, u32 index)
{
	struct hook_scratch *scratch = scratch_of(slot);
	struct kept *kept = bpf_map_lookup_elem(&kept_scratch, &slot);
	u64 at, length;
	int found;

	if (!scratch || !kept || !is_kept(index) || kept->at[argument_of(index)])
		return 0;
	if (is_address(index))
		return put_kept_address(slot, index);
	found = value_text(slot, index);
	at = kept->used;
	length = found;
	barrier_value(at);
	barrier_value(length);
	if (found < 0 || length >= TEXT_BYTES || at >= TEXT_BYTES || scratch->text_flags & PATH_CUT)
		return 0;
	bpf_probe_read_kernel(&kept->text[at], length, scratch->text);
	kept->text[at + length] = 0;
	kept->at[argument_of(index)] = at + 1;
	kept->used = at + length + 1;
	return 1;
}

/* What an earlier call has left at this place, because nobody looked at its return, is not this call's. */
__attribute__((noinline)) int drop_texts(u64 task, u64 stack)
{
	struct call_key key = {.task = task, .stack = stack};

	return bpf_map_delete_elem(&kept_texts, &key);
}

/* At the entry of a call that is named by its task and a place on its stack. */
__attribute__((noinline)) int keep_texts(u32 slot, u64 task, u64 stack)
{
	struct kept *kept = bpf_map_lookup_elem(&kept_scratch, &slot);
	struct call_key key = {.task = task, .stack = stack};

	if (!kept)
		return 0;
	kept->used = 0;
	for (u32 i = 0; i < HOOK_VALUES; i++)
		kept->at[i] = 0;
	for (u32 i = 0; i < HOOK_VALUES; i++)
		if (i < shape.values)
			put_kept(slot, i);
	if (!kept->used)
		drop_texts(task, stack);
	else if (bpf_map_update_elem(&kept_texts, &key, kept, BPF_ANY))
		count_loss(LOSS_MAP_FULL, HOOK_POLICY);
	return 1;
}

/* At its return; each text is taken once. */
__attribute__((noinline)) int take_texts(u32 slot, u64 task, u64 stack)
{
	struct kept *kept = bpf_map_lookup_elem(&kept_scratch, &slot), *found;
	struct call_key key = {.task = task, .stack = stack};

	if (!kept)
		return 0;
	found = bpf_map_lookup_elem(&kept_texts, &key);
	if (!found) {
		for (u32 i = 0; i < HOOK_VALUES; i++)
			kept->at[i] = 0;
		return 0;
	}
	bpf_probe_read_kernel(kept, sizeof(*kept), found);
	bpf_map_delete_elem(&kept_texts, &key);
	return 1;
}
