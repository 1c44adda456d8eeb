/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Process classes: the distinct combinations of what policies ask of a process itself (matchBinaries,
 * matchParentBinaries, followChildren, matchPIDs with followForks, workload). classify.bpf.c computes at exec which of
 * them hold and leaves the set in the process map's entry (policy_set), where hooks find it with one lookup; a child
 * begins with its maker's.
 *
 * As everywhere a set holds the classes that do not ask, too, so that sets are intersected:
 *   own(binary) & parent(parent's binary) & followed conditions & workload(cgroup).
 * What is followed are numbered conditions ("the binary is one of these", "the pid is one of these"): a process has
 * those that hold for itself and those of its maker. */
#pragma once

#include "policy.h"

#define FOLLOWED_MOST 128 /* conditions, the last of which is FOLLOWED_PROTECTED */
#define FOLLOWED_WORDS (FOLLOWED_MOST / 64)
#define CLASS_TEXT_BYTES 504 /* longest binary that is compared whole */

enum class_uses {
	CLASSES_USE_EQUAL = 1 << 0,
	CLASSES_USE_PREFIX = 1 << 1,
	CLASSES_USE_POSTFIX = 1 << 2,
	CLASSES_USE_PARENT = 1 << 3,
	CLASSES_USE_FOLLOWED_PIDS = 1 << 4,
	CLASSES_USE_WORKLOADS = 1 << 5,
	CLASSES_USE_EXEC_STATE = 1 << 6, /* namespaces and capabilities at exec are kept (exec_states) */
};

/* What a binary's path gives. */
struct class_sets {
	struct set own, parent;
	u64 followed[FOLLOWED_WORDS]; /* conditions; only exact texts give any */
};

/* A condition that children inherit. Read as an array of two. */
struct followed {
	struct set holds; /* classes that are possible when it holds: others, that it must not hold for, are missing */
	struct set lacks; /* ... when it does not */
};

struct class_rules {
	struct set all; /* classes in use */
	u32 uses;       /* enum class_uses */
	u32 conditions; /* in use, from 0; without FOLLOWED_PROTECTED */
	struct class_sets equal_otherwise, prefix_otherwise, postfix_otherwise;
	struct set workload_otherwise;
	struct followed followed[FOLLOWED_MOST];
};

/* class_texts_120, class_texts_504: exact paths; the smallest that holds `length` bytes (no NUL), padded with 0. */
struct class_text_120 {
	u32 reserved, length;
	u8 text[120];
};
struct class_text_504 {
	u32 reserved, length;
	u8 text[504];
};
/* class_prefixes: longest prefix. class_postfixes: longest prefix of the reversed path. */
struct class_prefix {
	u32 prefix_bits;
	u8 text[252];
};
struct class_postfix {
	u32 prefix_bits;
	u8 text[POSTFIX_BYTES];
};
/* class_pids: u32 tgid -> conditions; class_nspids: u32 pid in its namespace -> conditions */
struct class_conditions {
	u64 followed[FOLLOWED_WORDS];
};
/* class_cgroups: u64 id of a container's cgroup -> struct set. ANY_CONTAINER is what counts for one of which nothing is
 * known yet. */
#define ANY_CONTAINER (~0ULL)

/* class_states, by tgid: what is known of a process's binary and hands on to its children. The followed conditions
 * that it has stand in its entry of the process map (follow_set). */
struct class_state {
	u64 image_ktime;
	struct set own;       /* classes that its binary allows */
	struct set as_parent; /* classes that it allows its children as their parent's binary */
	struct set parent;    /* what its own parent's allowed it */
};

/* class_pass: for classify_tasks. */
struct class_pass {
	u32 pass; /* 0: conditions that are fresh are forgotten; then: what parents have is inherited */
	u32 reserved;
	u64 fresh[FOLLOWED_WORDS]; /* conditions whose numbers meant something else before */
	u64 cgroup_id;             /* for classify_container: whose processes; ANY_CONTAINER: of all containers */
};
