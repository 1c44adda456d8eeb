/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What hook programs keep, in a call and between calls. */
#pragma once

#include "kernel.h"
#include "wire.h"
#include "policy.h"

/* Nested and preempting calls on a CPU each take a slot of the scratch memory. */
#define SCRATCH_SLOTS 4
#define MATCHES_MOST 32

/* What becomes of one call. */
struct verdict {
	u32 busy;
	u32 matches;
	struct set set; /* selectors that are still possible */
	u32 actions;    /* enum action_flags of all matches, as done */
	int error;      /* to return instead of calling the function */
	u32 signal;     /* that was sent */
	u32 values;     /* bits: values that some match wants in its event */
	int kernel_stack, user_stack;
	struct match match[MATCHES_MOST];
};

struct epoch {
	u64 now;
	u64 reserved[3];
};

/* A call between its entry and its return. */
struct call_key {
	u64 task;
	u64 stack; /* the stack pointer at entry: tells recursive calls apart */
	u32 hook;
	u32 reserved;
};
struct call {
	u64 raw[HOOK_VALUES];
	struct set set;
};

struct rate_key {
	u32 hook, selector;
	u64 who; /* thread, process or 0 */
	u64 values; /* hash of the values' beginnings */
};
struct rate {
	u64 sent_ns;
	u64 suppressed;
};

struct owner {
	u64 thread; /* tgid << 32 | tid */
	u64 image_ktime;
	u64 reserved;
};

struct enforcement {
	int error;
	u32 signal;
	u64 set_ns;
};
