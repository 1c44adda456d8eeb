/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the programs send and keep: the one description of the wire format. agent/decode reads these
 * layouts from the object's BTF at start and compares them with its own tables. Stamps are nanoseconds of
 * the boot clock. An image is named by (tgid, image_ktime): `image_ktime` is the group leader's
 * start_boottime plus self_exec_id, which the kernel itself keeps, so every observer computes the same. */
#pragma once

enum record_kind {
	RECORD_EXEC = 1,
	RECORD_FORK = 2,
	RECORD_EXIT = 3,
	RECORD_CHUNK = 4,
	RECORD_TASK = 5,
	RECORD_FLOOD = 6,
	RECORD_HOOK = 7,      /* struct hook_record of policy.h */
	RECORD_HOOK_DATA = 8, /* struct hook_data of policy.h */
	RECORD_CGROUP = 9
};

enum record_flags {
	FLAG_FORKED = 1 << 0,          /* a clone lies between this image and the one before */
	FLAG_IN_INIT_TREE = 1 << 1,    /* descendant of its container's pid 1 */
	FLAG_PARENT_MISSED = 1 << 2,   /* the parent was not in the process map: read from the task */
	FLAG_ARGUMENTS_CUT = 1 << 3,   /* arguments_bytes of them exist, fewer were sent */
	FLAG_ARGUMENTS_FAULT = 1 << 4, /* the arguments could not be read */
	FLAG_EXE_CUT = 1 << 5,         /* the walk ended before the root */
	FLAG_CWD_CUT = 1 << 6,
	FLAG_FILENAME_CUT = 1 << 7,
	FLAG_EXE_UNREACHABLE = 1 << 8, /* outside the process's root, or on a detached mount */
	FLAG_CWD_UNREACHABLE = 1 << 9,
	FLAG_SETUID = 1 << 10, /* the file's setuid bit changed the effective uid */
	FLAG_SETGID = 1 << 11,
	FLAG_FILECAPS = 1 << 12, /* file capabilities raised the permitted set */
	FLAG_ENVIRONMENT_CUT = 1 << 13,
	FLAG_KERNEL_THREAD = 1 << 14,
	FLAG_PRIVILEGES_KNOWN = 1 << 15, /* a privileges program ran for this exec */
	FLAG_EXECED = 1 << 16,           /* the thread group has called exec since it was created */
	FLAG_PARENT_IS_ROOT_SETUID = 1 << 17,
};

struct record_header {
	u8 kind; /* enum record_kind */
	u8 reserved[3];
	u32 flags; /* enum record_flags */
	u64 ktime_ns;
	u32 tgid;
	u32 tid;
	u64 image_ktime;
	u32 parent_tgid;
	u32 nspid; /* pid in the innermost pid namespace; 0 in the host's */
	u64 parent_ktime;
};

struct fork_record {
	struct record_header header; /* the child; parent is the real parent */
	u64 creator_ktime;           /* who called clone, where it is not the real parent; else 0 */
	u32 creator_tgid;
	u32 reserved;
};

struct exit_record {
	struct record_header header;
	u32 exit_code_raw; /* as wait(2) gives it: signal in the low 7 bits, status in bits 8-15 */
	u32 reserved;
};

/* Order of Tetragon's `ns` object. */
enum namespace_slot {
	NS_UTS,
	NS_IPC,
	NS_MNT,
	NS_PID,
	NS_PID_CHILDREN,
	NS_NET,
	NS_TIME,
	NS_TIME_CHILDREN,
	NS_CGROUP,
	NS_USER,
	NS_COUNT
};

/* What is read of a task, at exec and by the task iterator alike. */
struct task_facts {
	u32 uid, gid, euid, egid, suid, sgid, fsuid, fsgid;
	u64 cap_permitted, cap_effective, cap_inheritable, cap_ambient;
	u32 securebits;
	u32 auid;
	u32 ns[NS_COUNT];
	u64 cgroup_id;
	u32 sid, pgid;
	u8 tty[16];
};

struct task_record {
	struct record_header header;
	struct task_facts facts;
	u32 comm_reserved[2];
};

/* Followed by, in this order and without padding: filename, cgroup name, exe path, cwd path, arguments,
 * environment. Paths stand leaf first, each component ended by NUL. */
struct exec_record {
	struct record_header header;
	struct task_facts facts;
	u64 inode_number;
	u32 inode_device; /* kernel form: major << 20 | minor */
	u32 inode_links;
	u32 argc;
	u32 arguments_bytes; /* whole length in the process, also when it came in chunks or was cut */
	u32 environment_bytes;
	u16 filename_length; /* lengths of the parts that follow, in bytes */
	u16 cgroup_length;
	u16 exe_length;
	u16 cwd_length;
	u16 arguments_length;
	u16 environment_length;
	u16 arguments_chunks; /* chunk records that were meant to come before this one */
	u16 environment_chunks;
};

#define CHUNK_BYTES 8192
enum chunk_stream { STREAM_ARGUMENTS = 0, STREAM_ENVIRONMENT = 1 };
struct chunk_record {
	struct record_header header; /* of the image whose arguments these are */
	u16 stream;                  /* enum chunk_stream */
	u16 index;
	u32 length;
	u8 data[CHUNK_BYTES];
};

/* A cgroup was made or removed. */
#define CGROUP_PATH_BYTES 1024 /* as long as the kernel's tracepoints tell it (TRACE_CGROUP_PATH_LEN) */
enum cgroup_change { CGROUP_MADE = 1, CGROUP_REMOVED = 2 };
struct cgroup_record {
	struct record_header header; /* only kind, ktime_ns and who did it: tgid, tid */
	u64 cgroup_id;
	u64 container; /* id of the cgroup of the container that it belongs to; 0: of none that its name tells */
	u32 change;    /* enum cgroup_change */
	u32 path_length;
	u8 path[CGROUP_PATH_BYTES]; /* in its hierarchy, without NUL */
};

#define POLICY_SET_WORDS 4
/* The process map's value. LAYOUT_VERSION changes whenever this does: a pinned map of another version is
 * never reused. */
#define PROCESS_LAYOUT_VERSION 3
struct process {
	u64 image_ktime;
	u64 parent_ktime;
	u32 parent_tgid;
	u32 flags;     /* FLAG_FORKED, FLAG_EXECED, FLAG_IN_INIT_TREE, privileges of a running exec */
	u64 cgroup_id; /* the container's cgroup, 0 on the host */
	u64 binary_inode;
	u32 binary_device;
	u32 nspid;
	u64 follow_set[POLICY_SET_WORDS]; /* conditions that children inherit (classes.h) */
	u64 policy_set[POLICY_SET_WORDS]; /* process classes that it has */
};

/* Everything that was not sent is counted where it was not sent: losses[cause * HOOK_COUNT + hook]. */
enum hook {
	HOOK_EXEC,
	HOOK_FORK,
	HOOK_EXIT,
	HOOK_CHUNK,
	HOOK_PRIVILEGES,
	HOOK_FLOOD,
	HOOK_POLICY,
	HOOK_CGROUP,
	HOOK_COUNT = 8
};
enum loss_cause { LOSS_RING_FULL, LOSS_MAP_FULL, LOSS_SCRATCH_BUSY, LOSS_SHED, LOSS_CAUSES = 4 };
/* Slots after the losses count what was sent, by hook, and then what a second program did because the first had
 * been skipped (enum turn). */
#define COUNTER_SENT (LOSS_CAUSES * HOOK_COUNT)
#define COUNTER_STOOD_IN (COUNTER_SENT + HOOK_COUNT)
#define COUNTERS (COUNTER_STOOD_IN + HOOK_COUNT)

/* One value per CPU, so that the reader takes all of them with one call. */
struct counters {
	u64 slots[COUNTERS];
};

enum shed_step { SHED_NOTHING, SHED_BULK, SHED_EXIT_DETAIL, SHED_EXIT };

struct control {
	u32 shed_step; /* enum shed_step, written by the agent */
	u32 reserved;
};

/* Constants of a load: set before load, frozen, so that the verifier drops what is not used. */
struct config {
	u64 ring_bytes;
	u64 wake_watermark_bytes; /* 0: the kernel wakes the reader when it has caught up (adaptive) */
	u32 arguments_bytes;      /* longest argument list that is sent */
	u32 environment_bytes;    /* 0: the environment is not read */
	u32 cgroup_subsystem;     /* index + 1 of the v1 controller that names containers; 0: the v2 hierarchy */
	u8 exit_has_group_dead;   /* the exit tracepoint has the group_dead argument */
	u8 has_rdonly_cast;       /* kfunc bpf_rdonly_cast exists */
	u8 reserved[2];
};
