/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Reading what a hook is called with. All functions are global and take numbers only, so that the verifier sees each
 * once; kernel memory is read by address. */
#pragma once

#include "hooks.h"

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
