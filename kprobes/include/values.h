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

struct hook_scratch {
	u32 busy;
	u32 position;             /* in tail, a multiple of 8 where a value begins */
	u64 raw[HOOK_VALUES];     /* the bytes that the source gave */
	u64 object[HOOK_VALUES];  /* resolve(raw, index): the value, or where it lies */
	u32 text_of;              /* value + 1 whose text is in `text`; write 0 when the slot is claimed */
	int text_length;          /* without NUL, or negative: it cannot be read */
	u32 text_flags;           /* enum path_flags */
	u32 reserved;
	struct path_place place;  /* write place.of = 0 when the slot is claimed */
	struct path_walk walk;
	u8 address[16];
	struct postfix_key reversed; /* the text's end turned round, as key */
	u32 head[2];               /* with text: the key of strings_* and prefixes */
	u8 text[TEXT_BYTES + 512]; /* root first, then zeros up to the next of 24, 120, 504, 4096 bytes */
	struct hook_record record; /* and tail: one piece when sent */
	u8 tail[TAIL_BYTES];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SCRATCH_SLOTS);
	__type(key, u32);
	__type(value, struct hook_scratch);
} hook_scratch SEC(".maps");

/* Signatures. */
int path_buckets_top(u64 dentry, u64 vfsmount);  /* first | second << 16, PATH_BUCKETS: not known */
int path_buckets_last(u64 dentry, u64 vfsmount); /* last | end << 16, PATH_BUCKETS: not known */
int read_path_text(u32 slot, u64 dentry, u64 vfsmount);
int read_string_text(u32 slot, u64 address, u32 is_user);
int value_text(u32 slot, u32 index);
int path_of_value(u32 slot, u32 index);
u64 value_field(u32 slot, u32 index, u32 field, u32 other);
int value_address(u32 slot, u32 index, u32 field);
u64 resolve(u64 base, u32 index);
int send_value(u32 slot, u32 index);
