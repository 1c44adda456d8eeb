/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Whether a selector counts in the epoch in which a call is judged. */
#pragma once

#include "kernel.h"
#include "policy.h"

/* `to` is read before `from`. A row that has ended may be emptied and given to a later epoch while this call stands
 * between the two: then `to` is the old one's, which has ended, or the new one's, and `from` is the new one's as well.
 * The other way round a call could put the old start and the new end together and be judged twice. The address of the
 * second load hangs on the first, so that processors that reorder loads do not. */
inline_always bool counts_in(struct selector *selector, u64 now)
{
	u64 to = *(volatile u64 *)&selector->to, nothing = to;

	if (now >= to)
		return false;
	asm volatile("%0 &= 0" : "+r"(nothing));
	return *(volatile u64 *)((void *)&selector->from + nothing) <= now;
}
