/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Scratch memory of a CPU: who nests or preempts takes the next slot. */
#pragma once

#include "hooks.h"

inline_always struct verdict *verdict_of(u32 slot)
{
	return bpf_map_lookup_elem(&verdicts, &slot);
}

/* Takes a slot of the scratch memory; SCRATCH_SLOTS when all are taken. */
inline_always u32 claim(void)
{
	struct verdict *verdict;

	for (u32 slot = 0; slot < SCRATCH_SLOTS; slot++) {
		verdict = verdict_of(slot);
		if (!verdict)
			return SCRATCH_SLOTS;
#ifdef SINCE_V512
		if (__sync_bool_compare_and_swap(&verdict->busy, 0, 1))
			return slot;
#else
		if (!verdict->busy) { /* before v5.12 nothing preempts a program but an interrupt, which returns */
			verdict->busy = 1;
			return slot;
		}
#endif
	}
	return SCRATCH_SLOTS;
}

inline_always void release(struct verdict *verdict)
{
	asm volatile("" ::: "memory");
	verdict->busy = 0;
}
