/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The layouts between agent/policy (which compiles policies), agent/kernel/hooks (which loads them), the hook
 * programs (hook.bpf.c) and agent/decode (which reads what they send): the one description of them.
 * docs/policies/engine.md tells how they work together.
 *
 * Words: a *hook* is one place in the kernel with one program for all policies. A *selector* is one bit of that
 * hook's sets. A *class* is one distinct combination of process conditions (binaries, followed pids, workload), one
 * bit of the set that each entry of the process map carries. A *filter* is one dimension by which selectors differ. */
#pragma once

#define SET_WORDS 4 /* u64 words of a set: 256 selectors of a hook, 256 process classes */
#define HOOK_SELECTORS 256
#define HOOK_VALUES 16 /* values that the policies of one hook read, all together */
#define HOOK_FILTERS 24
#define RESOLVE_STEPS 10
#define PATH_TABLES 2 /* values whose paths are rejected without being built */
#define PATH_BUCKETS 256
#define POLICY_SLOTS 512
#define NO_VALUE 0xff

struct set {
	u64 words[SET_WORDS];
};

/* Where the 8 raw bytes of a value come from. */
enum value_source {
	SOURCE_NONE,
	SOURCE_ARGUMENT, /* argument number `index` of the function, tracepoint or system call */
	SOURCE_RETURN, /* what the function returned (programs that run at its end); fexit: `index` is the number of the
			    function's parameters */
	SOURCE_TASK,   /* the current task_struct's address */
	SOURCE_FIELD,  /* tracepoint record: `size` bytes at step[0].offset */
	SOURCE_REGISTER, /* pt_regs of the probe: 8 bytes at step[0].offset */
	SOURCE_RECORD,   /* tracepoint record: the address of the field at step[0].offset */
};

/* How a value is read once its raw bytes (and the steps from them) are known; also how user space decodes it.
 * The numbers are on the wire. */
enum value_type {
	VALUE_INTEGER = 1,      /* `size` bytes, sign-extended when is_signed; sent as 8 bytes */
	VALUE_STRING = 2,       /* NUL-terminated, kernel or user memory */
	VALUE_BUFFER = 3,       /* length from value `size_index`; sent as u32 wanted, u32 sent, bytes */
	VALUE_IOVEC = 4,        /* struct iovec array of count `size_index`; sent as VALUE_BUFFER */
	VALUE_IOV_ITER = 5,     /* sent as VALUE_BUFFER */
	VALUE_FILE = 6,         /* struct file *; sent as struct sent_path and the path */
	VALUE_PATH = 7,         /* struct path * */
	VALUE_DENTRY = 8,       /* struct dentry *; inside its mount only */
	VALUE_FD = 9,           /* int, resolved through the task's file table; sent as VALUE_FILE */
	VALUE_KIOCB = 10,       /* struct kiocb *; sent as VALUE_FILE */
	VALUE_BINPRM = 11,      /* struct linux_binprm *; sent as VALUE_FILE */
	VALUE_SOCK = 12,        /* struct sock *; sent as struct sent_sock */
	VALUE_SOCKET = 13,      /* struct socket *; sent as VALUE_SOCK */
	VALUE_SKB = 14,         /* struct sk_buff *; sent as struct sent_skb */
	VALUE_SOCKADDR = 15,    /* struct sockaddr *; sent as struct sent_sockaddr */
	VALUE_SOCKADDR_UN = 16, /* sent as u16 family, then the 108 bytes of the path */
	VALUE_CRED = 17,        /* struct cred *; sent as struct sent_cred */
	VALUE_USER_NS = 18,     /* struct user_namespace *; sent as struct sent_user_ns */
	VALUE_CAPABILITY = 19,  /* int */
	VALUE_CAP_SET = 20,     /* kernel_cap_t *; sent as 8 bytes */
	VALUE_BPF_ATTR = 21,    /* union bpf_attr *; sent as struct sent_bpf_attr */
	VALUE_BPF_PROG = 22,    /* struct bpf_prog *; sent as struct sent_bpf_attr */
	VALUE_BPF_MAP = 23,     /* struct bpf_map *; sent as struct sent_bpf_map */
	VALUE_PERF_EVENT = 24,  /* struct perf_event *; sent as struct sent_perf_event */
	VALUE_MODULE = 25,      /* struct module *; sent as struct sent_module */
	VALUE_LOAD_INFO = 26,   /* struct load_info *; sent as struct sent_module */
	VALUE_NET_DEVICE = 27,  /* struct net_device *; sent as its name */
	VALUE_SYSCALL = 28,     /* sent as u64 number | u64 abi << 32 */
	VALUE_DATA_LOC = 29,    /* tracepoint __data_loc string; sent as VALUE_STRING. SOURCE_RECORD, the address of the
				  field's u32: bytes << 16 | offset from the record's begin, which is step[0].offset
				  before that address */
	VALUE_NOP = 30,         /* nothing is read or sent */
};

enum value_flags {
	VALUE_USER = 1 << 0,       /* the pointer is into user memory */
	VALUE_AT_RETURN = 1 << 1,  /* returnCopy: read when the function returns */
	VALUE_IS_ADDRESS = 1 << 2, /* after the steps the value is the object's address, not its content: an
				       integer is then loaded from it */
	VALUE_SIGNED = 1 << 3,
};

/* step[0] of SOURCE_FIELD, SOURCE_REGISTER and SOURCE_RECORD belongs to the source: following begins with step[1]. */
struct value_step {
	u32 offset;      /* added to the address */
	u32 dereference; /* then: address = *(u64 *)address */
};

struct value_shape {
	u8 source; /* enum value_source */
	u8 type;   /* enum value_type */
	u8 index;
	u8 steps;
	u8 size;       /* bytes of an integer */
	u8 size_index; /* value that holds a buffer's length, NO_VALUE when there is none */
	u8 flags;      /* enum value_flags */
	u8 reserved_table;
	u32 max_bytes; /* most bytes of a string or buffer that are sent */
	u32 reserved;
	struct value_step step[RESOLVE_STEPS];
};

/* What of a value (or of the process) a filter looks at. */
enum filter_field {
	FIELD_INTEGER, /* the integer itself */
	FIELD_TEXT,    /* the string, or the path, as root-first text */
	FIELD_SADDR,
	FIELD_DADDR,
	FIELD_SPORT,
	FIELD_DPORT,
	FIELD_PROTOCOL,
	FIELD_FAMILY,
	FIELD_STATE,
	FIELD_FILE_TYPE,  /* i_mode >> 12 */
	FIELD_CAP_GAINED, /* bits of value `other` that value `value` lacks */
	/* of the current task; `value` is NO_VALUE */
	FIELD_TGID,
	FIELD_NSPID,             /* innermost pid namespace; 0 in the host's */
	FIELD_NAMESPACE,         /* inum, `other` is enum namespace_slot */
	FIELD_NAMESPACE_CHANGED, /* bit of each enum namespace_slot whose namespace differs from that at exec */
	/* capabilities; `other` 1: those in the host's user namespace, so 0 for a process that is in another */
	FIELD_CAP_EFFECTIVE,
	FIELD_CAP_PERMITTED,
	FIELD_CAP_INHERITABLE,
	FIELD_CAP_EFFECTIVE_CHANGED, /* bits that differ from those at exec */
	FIELD_CAP_PERMITTED_CHANGED,
	FIELD_CAP_INHERITABLE_CHANGED,
	FIELD_UID,
	FIELD_EUID,
	FIELD_SUID,
	FIELD_FSUID,
	FIELD_GID,
	FIELD_EGID,
	FIELD_SGID,
	FIELD_FSGID,
	FIELD_IN_HOST_USER_NS, /* 1 or 0 */
};

/* How a field's content becomes the set of selectors that it satisfies. A set always contains the selectors that
 * do not ask, so that the sets of all filters are intersected and nothing else. */
enum filter_kind {
	FILTER_NONE,
	FILTER_EXACT,   /* integers[{filter, value}], else `otherwise` */
	FILTER_RANGE,   /* the last of ranges[start .. start + count) whose low is <= the ordered value; unsigned order,
			   a signed value has its sign bit flipped first */
	FILTER_MASK,    /* `otherwise`, and for each bit of the value that is set: + bits[start + bit].set; for each of
			   them then - bits[start + bit].without */
	FILTER_ADDRESS, /* networks, longest prefix; IPv4 as ::ffff:a.b.c.d. Of length 0: every other address;
			   `otherwise`: there is no address, so neither DAddr nor NotDAddr holds */
	FILTER_EQUAL,   /* strings*[{filter, length, text}], else `otherwise` */
	FILTER_PREFIX,  /* prefixes, longest prefix */
	FILTER_POSTFIX, /* postfixes, longest prefix of the reversed text (at most POSTFIX_BYTES of it) */
	FILTER_AUTOMATON, /* one pass over the text through the hook's automaton, from state `start` on; set of the
			     state it ends in */
};
#define POSTFIX_BYTES 128
#define TEXT_BYTES 4096 /* longest text, with its NUL */

struct filter_shape {
	u8 kind;  /* enum filter_kind */
	u8 field; /* enum filter_field */
	u8 value; /* index in values, NO_VALUE for the process's fields */
	u8 other;
	u8 is_early; /* an integer filter that is cheap enough to come before everything else; these stand first */
	u8 is_signed;
	u8 reserved[2];
};

enum path_asks {
	PATH_ASKS_FIRST = 1 << 0, /* first and second */
	PATH_ASKS_LAST = 1 << 1,
	PATH_ASKS_END = 1 << 2,
};

#define FEW_BITS 8
enum hook_flags {
	HOOK_ASKS_CLASSES = 1 << 0, /* some selector asks for a process class */
	HOOK_ALL_ASK = 1 << 1,      /* every selector does */
	/* More than FEW_BITS of one word can be set: the verifier goes round a loop as often as a program may. */
	HOOK_MANY_CLASSES = 1 << 16,   /* of the process classes that selectors ask for */
	HOOK_MANY_SELECTORS = 1 << 17, /* of the selectors */
	HOOK_OVERRIDES = 1 << 2, /* the program's return value may deny (lsm, fmod_ret), or override_return is used */
	HOOK_SIGNALS = 1 << 3,
	HOOK_KERNEL_STACK = 1 << 4,
	HOOK_USER_STACK = 1 << 5,
	HOOK_RATE_LIMITS = 1 << 6,
	HOOK_SYSCALL = 1 << 7,   /* argument 0 of the program is the system call's pt_regs */
	HOOK_AT_RETURN = 1 << 8, /* runs when the function returns */
	HOOK_JOINS = 1 << 9,     /* at return: what entry kept in `calls` is used */
	HOOK_KEEPS = 1 << 10,    /* at entry: values and verdict are kept in `calls` for the return */
	HOOK_COMPAT = 1 << 11,   /* the system call's arguments are those of the 32-bit ABI */
	HOOK_TRACKS_SOCKETS = 1 << 12,
	HOOK_ENFORCES = 1 << 13,    /* leaves word for enforcers, or is one */
	HOOK_KEEPS_TEXTS = 1 << 14, /* strings in user memory are kept from entry to return */
	HOOK_GUARDED = 1 << 15,     /* no task takes the CPU while scratch memory is in use */
};

/* Constant at load (.rodata.shape): the verifier folds it, so a program holds only what its policies use. A change of
 * policy that keeps the shape is a map update. */
struct shape {
	u32 hook;   /* its number, in events; nothing is decided by it (agent/kernel/alike.py) */
	u32 flags;  /* enum hook_flags */
	u32 words;  /* 1..SET_WORDS in use */
	u32 values; /* in use */
	u32 filters;
	u32 early;             /* filters with is_early */
	u32 automaton_classes; /* byte classes of the automaton, 0: none */
	u32 has_atomics;       /* fetching atomic instructions (v5.12) */
	u32 has_cast;          /* kfunc bpf_rdonly_cast */
	u8 path_value
		[PATH_TABLES];     /* the value that a path table is for, NO_VALUE: the table is not used. A FILE, PATH,
				       DENTRY or BINPRM argument without steps */
	u8 path_asks[PATH_TABLES]; /* enum path_asks: which parts of the table some filter uses */
	struct value_shape value[HOOK_VALUES];
	struct filter_shape filter[HOOK_FILTERS];
	u32 unused_types;  /* bits: enum value_type that no value has; their readers are left out */
	u32 unused_fields; /* bits: enum filter_field that no filter looks at */
};

/* Maps of one hook. `tables` is one array element that programs read in place. */
struct filter_table {
	u32 start, count; /* in ranges or bits; of an automaton: the state it starts in */
	struct set otherwise;
};

/* By bucket of a path's names; sets, or'ed or and'ed as told, hold the selectors that are still possible: one word of
 * each. */
struct path_words {
	u64 first[PATH_BUCKETS];  /* by the topmost name ... */
	u64 second[PATH_BUCKETS]; /* ... or'ed with: by the two topmost names */
	u64 last[PATH_BUCKETS];   /* and'ed with: by the last name and its length ... */
	u64 end[PATH_BUCKETS];    /* ... and'ed with: by the last two bytes of the last name */
};
struct path_table {
	struct path_words word[SET_WORDS];
};

/* A hook's map ends behind the last word of the last path table that its shape uses. */
struct tables {
	struct set all;                      /* selectors that do not ask for a process class */
	struct set asked;                    /* process classes that some selector of this hook asks for */
	struct set possible[2];              /* reserved */
	struct set of_class[HOOK_SELECTORS]; /* by process class: the selectors that ask for it */
	struct filter_table filter[HOOK_FILTERS];
	struct path_table path[PATH_TABLES];
};

struct integer_key {
	u32 filter;
	u32 reserved;
	u64 value;
};
struct range {
	u64 low;
	struct set set;
};
struct mask_bit {
	u64 bit; /* number of the bit, 0..63 */
	struct set set;
	struct set without;
};
struct network_key {
	u32 prefix_bits; /* 32 of the filter, then those of the address */
	u32 filter;      /* in network byte order */
	u8 address[16];
};
/* Size classes of exact texts: a text is in the smallest that holds its `length` bytes (no NUL); padded with 0. */
struct string_key_24 {
	u32 filter, length;
	u8 text[24];
};
struct string_key_120 {
	u32 filter, length;
	u8 text[120];
};
struct string_key_504 {
	u32 filter, length;
	u8 text[504];
};
struct string_key_4096 {
	u32 filter, length;
	u8 text[4096];
};
struct prefix_key {
	u32 prefix_bits; /* 32 of the filter, then those of the text */
	u32 filter;      /* in network byte order */
	u8 text[248];
};
struct postfix_key {
	u32 prefix_bits;
	u32 filter;             /* in network byte order */
	u8 text[POSTFIX_BYTES]; /* reversed */
};
/* automaton: automaton_bytes[256] = class of a byte; automaton_next[state * classes + class] = next state; the set
 * that a text satisfies is automaton_sets[state]. Filters that look at different values start in different states. */

enum action_flags {
	ACTION_POST = 1 << 0,
	ACTION_KERNEL_STACK = 1 << 1,
	ACTION_USER_STACK = 1 << 2,
	ACTION_SIGNAL = 1 << 3,
	ACTION_OVERRIDE = 1 << 4,
	ACTION_NOTIFY_ENFORCER = 1 << 5,
	ACTION_CLEANUP_ENFORCER = 1 << 6,
	ACTION_TRACK_SOCK = 1 << 7,
	ACTION_UNTRACK_SOCK = 1 << 8,
	ACTION_RATE_LIMIT = 1 << 9,
	ACTION_RATE_BY_PROCESS = 1 << 10, /* else by thread */
	ACTION_RATE_GLOBAL = 1 << 11,
	ACTION_ENFORCE = 1 << 12, /* an enforcer's call: what was left for this thread is done now, nothing else */
	/* set in events only */
	ACTION_MONITORED = 1 << 16, /* what it would have done was not done */
	ACTION_PROTECTED = 1 << 17, /* not done: a protected process */
	ACTION_BUDGET = 1 << 18,    /* not done: the policy's kill budget is spent */
};

/* One bit of the sets of a hook. Matched only while from <= epoch < to, so that one write of the epoch switches all
 * hooks of a policy at one instant. */
struct selector {
	u64 from, to;
	struct set later; /* selectors of the same policy on this hook that come after: the first match wins */
	u32 slot;         /* of the policy, in `policies` */
	u32 actions;      /* enum action_flags */
	int error;        /* of Override, negative */
	u32 signal;
	u32 values;    /* bits: the values that this policy's event carries */
	u8 sock_value; /* value that is tracked */
	u8 is_return;  /* judged when the function returns */
	u8 reserved[2];
	u64 rate_ns;
	u64 names_protected; /* the policy names the protected processes it may act on: 1 */
};

struct selector_count {
	u64 matched, posted, suppressed, signalled, overridden, notified;
	u64 monitored_signal, monitored_override, monitored_notify;
	u64 lost;      /* events that found no room */
	u64 missed;    /* notifications that no enforcer carried out */
	u64 protected; /* nothing was done: the agent, or a protected process */
};

/* The bit of a process's follow_set that is not inherited by what executes another binary: it is never signalled or
 * denied unless a policy names it (container runtime, kubelet, sshd ...). */
#define FOLLOWED_PROTECTED 127

enum policy_mode { MODE_OFF, MODE_MONITOR, MODE_ENFORCE };

/* By policy slot, shared by all hooks. */
struct policy_state {
	u32 mode;   /* enum policy_mode */
	u32 budget; /* enforcement actions a minute, 0: no limit */
	u64 minute; /* boot clock / 60 s */
	u64 spent;  /* in that minute */
};

/* Records. Followed by `matches` x struct match, then the values in ascending order, each behind a struct
 * sent_value; every part begins at a multiple of 8. */
struct hook_record {
	struct record_header header; /* of the image that made the call */
	u64 cgroup_id;
	u32 hook;
	u16 matches;
	u16 values;
	u32 values_at; /* bytes behind this struct at which the values begin: events that a rate limit held back leave a gap */
	u32 actions;      /* what was done to the call: enum action_flags of all matches, ACTION_MONITORED ... */
	int error;        /* of an override that was done */
	u32 signal;       /* that was sent */
	int kernel_stack; /* id in `stacks`, negative when there is none */
	int user_stack;
	u64 reserved;
};

/* More of a buffer (maxData) than a hook_record holds, ahead of it: what follows the bytes that are there, in order. */
#define HOOK_DATA_BYTES 8192
#define HOOK_DATA_PIECES 40 /* 327,360 bytes, the first HOOK_DATA_BYTES of which stand in the record */
struct hook_data {
	struct record_header header; /* tgid and tid; nothing else is told */
	u32 hook;
	u32 value; /* index in the shape's values */
	u32 offset;
	u32 length;
	u8 data[HOOK_DATA_BYTES];
};

struct match {
	u16 selector;
	u16 reserved;
	u32 actions;    /* of this policy, with what became of them */
	u32 suppressed; /* events that its rate limit held back since the last one */
	int error;
	u32 signal;
	u32 slot;
	u64 from; /* of the selector: tells which version of the policy */
};

enum sent_status { SENT_WHOLE, SENT_CUT, SENT_FAULT, SENT_NULL };
struct sent_value {
	u8 index;  /* in the shape's values */
	u8 type;   /* enum value_type */
	u8 status; /* enum sent_status */
	u8 reserved;
	u32 length; /* bytes that follow, before padding to 8 */
};
struct sent_path {
	u64 inode;
	u32 device;
	u16 mode;
	u16 flags; /* 1: cut, 2: unreachable from the process's root */
	u32 links;
	u32 length; /* of the path that follows */
};
struct sent_sock {
	u64 cookie; /* the sock's address, hashed by user space */
	u64 owner;  /* tgid << 32 | tid of TrackSock, 0: not tracked */
	u64 owner_ktime;
	u16 family, type, protocol;
	u8 state, has_addresses;
	u32 mark, priority;
	u16 sport, dport; /* host byte order */
	u32 reserved;
	u8 saddr[16], daddr[16]; /* IPv4 in the first four bytes */
};
struct sent_skb {
	u32 hash, length, priority, mark;
	u16 family, protocol, sport, dport;
	u8 saddr[16], daddr[16];
	u32 secpath_length, secpath_olen;
};
struct sent_sockaddr {
	u16 family, port; /* host byte order */
	u32 reserved;
	u8 address[16];
};
struct sent_cred {
	u32 uid, gid, suid, sgid, euid, egid, fsuid, fsgid;
	u64 cap_permitted, cap_effective, cap_inheritable, cap_ambient;
	u32 securebits;
	u32 user_ns_level, user_ns_uid, user_ns_gid, user_ns_inum;
	u32 reserved;
};
struct sent_user_ns {
	u32 level, uid, gid, inum;
};
struct sent_bpf_attr {
	u32 type, instructions;
	u8 name[16];
};
struct sent_bpf_map {
	u32 type, key_size, value_size, max_entries;
	u8 name[16];
};
struct sent_perf_event {
	u64 config, probe_offset;
	u32 type, reserved;
	u8 function[64];
};
struct sent_module {
	u64 taints;
	u32 signature_ok; /* 1, 0; 2: not known on this kernel */
	u32 reserved;
	u8 name[64];
};
