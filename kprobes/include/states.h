/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What hook programs keep, in a call and between calls. */
#pragma once

#include "kernel.h"
#include "wire.h"
#include "policy.h"

/* Nested and preempting calls on a CPU each take a slot of the scratch memory. */
#define SCRATCH_SLOTS 4
#define MATCHES_MOST 32

/* A call between its entry and its return (kprobes). */
struct call_key {
	u64 task;
	u64 stack; /* the stack pointer at entry: tells recursive calls apart */
};
struct call {
	u64 raw[HOOK_VALUES]; /* by argument of the function */
};
/* Texts of such a call, by argument (kept.h). */
struct kept {
	u16 at[HOOK_VALUES]; /* position + 1, 0: none */
	u32 used, reserved;
	u8 text[2 * TEXT_BYTES];
};

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
	struct call call;
};

struct epoch {
	u64 now;
	u64 agent_tgid;  /* whose calls, and whose children's, make no events */
	u64 cgroup_rate; /* events of one cgroup in a second, 0: no limit */
	u64 reserved;
};

struct rate_key {
	u32 hook, selector;
	u64 who;    /* thread, process or 0 */
	u64 values; /* hash of the values' beginnings */
};
struct rate {
	u64 sent_ns;
	u64 suppressed;
};

/* By cgroup id: events of this second. */
struct throttle {
	u64 second; /* boot clock */
	u64 events;
	u64 suppressed;    /* since it is in the map */
	u64 suppressed_ns; /* when the last one was */
};

struct owner {
	u64 thread; /* tgid << 32 | tid */
	u64 image_ktime;
	u64 reserved;
};

/* What a policy's hook left for its enforcer to do to a thread's call. */
struct enforcement_key {
	u64 thread; /* tgid << 32 | tid */
	u32 slot;   /* of the policy */
	u32 reserved;
};
struct enforcement {
	int error;
	u32 signal; /* 0: none, or sent already */
	u64 set_ns;
};

/* One slot of a CPU's scratch memory. A per-CPU value can have 32 KiB at most (PCPU_MIN_UNIT_SIZE, linux/percpu.h),
 * so the tail has what is left of them. */
#define PATH_END (TEXT_BYTES + 256) /* in text: paths are built backwards from here */
#define TAIL_BYTES 26624
#define TAIL_LAST (TAIL_BYTES - TEXT_BYTES - 512) /* a value begins at or before this position */

enum path_flags { PATH_CUT = 1, PATH_UNREACHABLE = 2 }; /* of struct sent_path */
enum walk_end { WALK_GOING, WALK_ROOT, WALK_UNREACHABLE, WALK_CUT };

struct path_walk {
	u64 dentry, mount; /* where the walk stands; mount is the vfsmount */
	u64 root_dentry, root_mount;
	u32 done; /* enum walk_end */
	u32 at;   /* position in text of what is built so far */
};

/* The file that a value means. */
struct path_place {
	u64 dentry, mount; /* mount: the vfsmount, 0: seen from its own file system's root */
	u64 inode;
	u32 of; /* value + 1, 0: none */
	u32 reserved;
};

/* Memory that is copied into the tail, in pieces. */
struct copying {
	u64 from, left;
	u64 most;      /* bytes that may still be copied */
	u64 wanted;    /* bytes that there are in all */
	u32 start, at; /* positions in tail */
	u32 is_user;
	u32 reserved;
};
enum segment_flags { SEGMENTS_USER = 1, SEGMENTS_OF_KERNEL = 2 }; /* the array, or what it tells of, lies there */

struct hook_scratch {
	u32 busy;
	u32 position;            /* in tail, a multiple of 8 where a value begins */
	u64 raw[HOOK_VALUES];    /* the bytes that the source gave */
	u64 object[HOOK_VALUES]; /* resolve(raw, index): the value, or where it lies */
	u32 text_of;             /* value + 1 whose text is in `text`; write 0 when the slot is claimed */
	int text_length;         /* without NUL, or negative: it cannot be read */
	u32 text_flags;          /* enum path_flags */
	u32 reserved;
	struct path_place place; /* write place.of = 0 when the slot is claimed */
	struct path_walk walk;
	u8 address[16];
	struct sent_skb ends; /* of a socket, packet or address */
	struct copying copy;
	u32 status; /* enum sent_status of the value that is being sent */
	u32 unused;
	struct postfix_key reversed; /* the text's end turned round, as key */
	u32 head[2];                 /* with text: the key of strings_* and prefixes */
	u8 text[TEXT_BYTES + 512];   /* root first, then zeros up to the next of 24, 120, 504, 4096 bytes */
	struct hook_record record;   /* and tail: one piece when sent */
	u8 tail[TAIL_BYTES];
};

/* exec_states, by tgid: what a process was at its last exec; absent where none was seen (classify.bpf.c). */
struct exec_state {
	u64 image_ktime;
	u64 cap_permitted, cap_effective, cap_inheritable;
	u32 ns[NS_COUNT]; /* by enum namespace_slot */
};
