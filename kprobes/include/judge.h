/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* From values to the selectors that they satisfy: every filter narrows the verdict's set. Global functions, so that
 * the verifier sees each once; `slot` names the scratch memory that the call has claimed. */
#pragma once

#include "claim.h"
#include "values.h"
#include <bpf/bpf_endian.h>

#define RANGE_STEPS 12 /* binary search in up to 4,095 ranges */
#define MASK_BITS 64
#define AUTOMATON_ROUND 256
#define AUTOMATON_ROUNDS 16

inline_always struct tables *hook_tables(void)
{
	u32 zero = 0;
	return bpf_map_lookup_elem(&tables, &zero);
}

inline_always void narrow(u64 *words, const struct set *by)
{
#pragma unroll
	for (u32 w = 0; w < SET_WORDS; w++)
		if (w < shape.words)
			words[w] &= by->words[w];
}

inline_always bool is_empty(const u64 *words)
{
	u64 any = 0;

#pragma unroll
	for (u32 w = 0; w < SET_WORDS; w++)
		if (w < shape.words)
			any |= words[w];
	return !any;
}

/* The last of `count` ranges from `start` on whose low is not above the value; the first has low 0. */
__attribute__((noinline)) int find_range(u64 value, u32 start, u32 count)
{
	u32 low = 0, high = count, middle, at;
	struct range *range;

	for (int i = 0; i < RANGE_STEPS && high - low > 1 && high > low; i++) {
		middle = low + (high - low) / 2;
		at = start + middle;
		range = bpf_map_lookup_elem(&ranges, &at);
		if (range && range->low <= value)
			low = middle;
		else
			high = middle;
	}
	return start + low;
}

inline_always void narrow_by_range(u64 *words, struct filter_table *table, u64 value)
{
	u32 at = find_range(value, table->start, table->count);
	struct range *range = bpf_map_lookup_elem(&ranges, &at);

	narrow(words, range ? &range->set : &table->otherwise);
}

inline_always void narrow_by_exact(u64 *words, struct filter_table *table, u32 filter, u64 value)
{
	struct integer_key key = {.filter = filter, .value = value};
	struct set *found = bpf_map_lookup_elem(&integers, &key);

	narrow(words, found ?: &table->otherwise);
}

inline_always void narrow_by_mask(u64 *words, struct filter_table *table, u64 value)
{
	struct set set = table->otherwise, without = {};
	struct mask_bit *bit;
	u32 at;

	for (u32 i = 0; i < MASK_BITS && i < table->count; i++) {
		at = table->start + i;
		bit = bpf_map_lookup_elem(&bits, &at);
		if (!bit || !(value >> (bit->bit & 63) & 1))
			continue;
#pragma unroll
		for (u32 w = 0; w < SET_WORDS; w++) {
			if (w >= shape.words)
				continue;
			set.words[w] |= bit->set.words[w];
			without.words[w] |= bit->without.words[w];
		}
	}
#pragma unroll
	for (u32 w = 0; w < SET_WORDS; w++)
		set.words[w] &= ~without.words[w];
	narrow(words, &set);
}

inline_always void narrow_by_integer(u64 *words, struct filter_table *table, u32 filter, u32 kind, bool is_signed,
				     u64 value)
{
	if (kind == FILTER_EXACT)
		narrow_by_exact(words, table, filter, value);
	else if (kind == FILTER_RANGE)
		narrow_by_range(words, table, is_signed ? value ^ 1ULL << 63 : value);
	else if (kind == FILTER_MASK)
		narrow_by_mask(words, table, value);
}

inline_always struct set *exact_text(struct hook_scratch *scratch, u32 filter, u32 length)
{
	scratch->head[0] = filter;
	scratch->head[1] = length;
	if (length <= 24)
		return bpf_map_lookup_elem(&strings_24, scratch->head);
	if (length <= 120)
		return bpf_map_lookup_elem(&strings_120, scratch->head);
	if (length <= 504)
		return bpf_map_lookup_elem(&strings_504, scratch->head);
#ifdef SINCE_V512
	return bpf_map_lookup_elem(&strings_4096, scratch->head);
#else
	return NULL; /* keys have 512 bytes at most before Linux v5.11 */
#endif
}

inline_always struct set *prefix_of_text(struct hook_scratch *scratch, u32 filter, u32 length)
{
	if (length > 248)
		length = 248;
	scratch->head[0] = 32 + 8 * length;
	scratch->head[1] = bpf_htonl(filter);
	return bpf_map_lookup_elem(&prefixes, scratch->head);
}

/* The text's end, turned round, as key. */
__attribute__((noinline)) int reverse_text(u32 slot, u32 length)
{
	struct hook_scratch *scratch = bpf_map_lookup_elem(&hook_scratch, &slot);
	u32 at;

	if (!scratch)
		return 0;
	for (u32 i = 0; i < POSTFIX_BYTES; i++) {
		if (i >= length)
			return i;
		at = length - 1 - i;
		barrier_value(at);
		scratch->reversed.text[i] = scratch->text[at & (TEXT_BYTES - 1)];
	}
	return POSTFIX_BYTES;
}

inline_always struct set *postfix_of_text(struct hook_scratch *scratch, u32 slot, u32 filter, u32 length)
{
	u32 reversed = reverse_text(slot, length);

	if (reversed > POSTFIX_BYTES)
		reversed = POSTFIX_BYTES;
	scratch->reversed.prefix_bits = 32 + 8 * reversed;
	scratch->reversed.filter = bpf_htonl(filter);
	return bpf_map_lookup_elem(&postfixes, &scratch->reversed);
}

/* Runs the automaton over AUTOMATON_ROUND bytes of the text; returns the state it is in then. */
__attribute__((noinline)) int run_automaton(u32 slot, u32 from, u32 length, u32 state)
{
	struct hook_scratch *scratch = bpf_map_lookup_elem(&hook_scratch, &slot);
	u32 at, byte, *class, *next;

	if (!scratch)
		return 0;
	for (u32 i = 0; i < AUTOMATON_ROUND; i++) {
		at = from + i;
		if (at >= length)
			break;
		barrier_value(at);
		byte = scratch->text[at & (TEXT_BYTES - 1)];
		class = bpf_map_lookup_elem(&automaton_bytes, &byte);
		if (!class)
			return 0;
		at = state * shape.automaton_classes + *class;
		next = bpf_map_lookup_elem(&automaton_next, &at);
		if (!next)
			return 0;
		state = *next;
	}
	return state;
}

inline_always struct set *automaton_set(u32 slot, u32 length, u32 state)
{
	for (u32 i = 0; i < AUTOMATON_ROUNDS && i * AUTOMATON_ROUND < length; i++)
		state = run_automaton(slot, i * AUTOMATON_ROUND, length, state);
	return bpf_map_lookup_elem(&automaton_sets, &state);
}

/* A text that cannot be read satisfies what a missing one does: no positive filter. */
inline_always void narrow_by_text(u64 *words, struct filter_table *table, u32 slot, u32 filter, u32 kind, u32 value)
{
	struct hook_scratch *scratch = bpf_map_lookup_elem(&hook_scratch, &slot);
	int length = value_text(slot, value);
	struct set *found = NULL;

	if (scratch && length >= 0) {
		if (kind == FILTER_EQUAL)
			found = exact_text(scratch, filter, length);
		else if (kind == FILTER_PREFIX)
			found = prefix_of_text(scratch, filter, length);
		else if (kind == FILTER_POSTFIX)
			found = postfix_of_text(scratch, slot, filter, length);
		else if (kind == FILTER_AUTOMATON && shape.automaton_classes)
			found = automaton_set(slot, length, table->start);
	}
	narrow(words, found ?: &table->otherwise);
}

inline_always void narrow_by_address(u64 *words, struct filter_table *table, u32 slot, u32 filter, u32 value, u32 field)
{
	struct hook_scratch *scratch = bpf_map_lookup_elem(&hook_scratch, &slot);
	struct network_key key = {.prefix_bits = 32 + 128, .filter = bpf_htonl(filter)};
	struct set *found = NULL;

	if (scratch && value_address(slot, value, field) >= 0) {
		__builtin_memcpy(key.address, scratch->address, sizeof(key.address));
		found = bpf_map_lookup_elem(&networks, &key);
	}
	narrow(words, found ?: &table->otherwise);
}

/* Narrows the set by one filter; returns whether something is left. */
__attribute__((noinline)) int judge_one(u32 slot, u32 filter)
{
	struct verdict *verdict = verdict_of(slot);
	struct tables *tables = hook_tables();
	const volatile struct filter_shape *asked;
	struct filter_table *table;
	u64 at = filter, *words;
	u32 kind, value;

	barrier_value(at);
	if (!verdict || !tables || at >= HOOK_FILTERS)
		return 0;
	table = &tables->filter[at];
	asked = &shape.filter[at];
	kind = asked->kind;
	value = asked->value;
	words = verdict->set.words;
	if (kind == FILTER_ADDRESS)
		narrow_by_address(words, table, slot, at, value, asked->field);
	else if (kind >= FILTER_EQUAL)
		narrow_by_text(words, table, slot, at, kind, value);
	else
		narrow_by_integer(words, table, at, kind, asked->is_signed,
				  value_field(slot, value, asked->field, asked->other));
	return !is_empty(words);
}

inline_always bool judge(u32 slot)
{
	for (u32 filter = 0; filter < HOOK_FILTERS; filter++) {
		if (filter >= shape.filters)
			break;
		if (filter >= shape.early && !judge_one(slot, filter))
			return false;
	}
	return true;
}
