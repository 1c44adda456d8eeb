/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Reading what a hook is called with. All functions are global and take numbers only, so that the verifier sees each
 * once; kernel memory is read by address. */
#pragma once

#include "hooks.h"

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

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SCRATCH_SLOTS);
	__type(key, u32);
	__type(value, struct hook_scratch);
} hook_scratch SEC(".maps");

/* What a process was at its last exec, by tgid; kept by who sees execs, absent where none was seen. */
struct exec_state {
	u64 image_ktime;
	u64 cap_permitted, cap_effective, cap_inheritable;
	u32 ns[NS_COUNT]; /* by enum namespace_slot */
};
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct exec_state);
} exec_states SEC(".maps");

int path_buckets_top(u64 dentry, u64 vfsmount);
int path_buckets_last(u64 dentry, u64 vfsmount);
int read_path_text(u32 slot, u64 dentry, u64 vfsmount);
int path_text_from(u32 slot, u64 dentry, u64 vfsmount, u64 fs);
int read_string_text(u32 slot, u64 address, u32 is_user);
int value_text(u32 slot, u32 index);
int path_of_value(u32 slot, u32 index);
u64 value_field(u32 slot, u32 index, u32 field, u32 other);
int value_address(u32 slot, u32 index, u32 field);
u64 resolve(u64 base, u32 index);
int send_value(u32 slot, u32 index);

#include "send.h"
