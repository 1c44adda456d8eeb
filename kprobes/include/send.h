/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Values as they are sent: struct sent_value and the content, in the tail of a slot of scratch memory. The functions
 * that write a content return its bytes and tell in scratch->status how whole it is. */
#pragma once

#include "fields.h"

#define BUFFER_BYTES 4096 /* of one copy */
#define BUFFER_ROUNDS 6
#define HEAD_BYTES sizeof(struct sent_value)
#define NAME_SENT 64

/* Where a content begins; NULL when the tail is full. Behind it are TEXT_BYTES and more. */
inline_always u8 *content_of(struct hook_scratch *scratch)
{
	u64 at = scratch->position;

	barrier_value(at);
	if (at > TAIL_LAST)
		return NULL;
	return &scratch->tail[at + HEAD_BYTES];
}

inline_always int unreadable(struct hook_scratch *scratch, u32 index)
{
	scratch->status = object_of(scratch, index) ? SENT_FAULT : SENT_NULL;
	return 0;
}

inline_always int copy_text(struct hook_scratch *scratch, u8 *out, u64 length)
{
	barrier_value(length);
	if (length >= TEXT_BYTES)
		return 0;
	bpf_probe_read_kernel(out, length, scratch->text);
	return length;
}

__attribute__((noinline)) int put_path(u32 slot, u32 index)
{
	struct hook_scratch *scratch = scratch_of(slot);
	struct sent_path *out;
	int length;
	u64 inode;

	if (!USES(PATH_TYPES) || !scratch || index >= HOOK_VALUES)
		return 0;
	length = value_text(slot, index);
	out = (void *)content_of(scratch);
	if (length < 0 || !out || path_of_value(slot, index))
		return unreadable(scratch, index);
	inode = scratch->place.inode;
	out->inode = GET(inode, struct inode, i_ino);
	out->device = GET(GET(inode, struct inode, i_sb), struct super_block, s_dev);
	out->mode = GET(inode, struct inode, i_mode);
	out->links = GET(inode, struct inode, i_nlink);
	out->flags = scratch->text_flags;
	out->length = copy_text(scratch, (u8 *)(out + 1), length);
	if (scratch->text_flags & PATH_CUT)
		scratch->status = SENT_CUT;
	return sizeof(*out) + out->length;
}

__attribute__((noinline)) int put_string(u32 slot, u32 index)
{
	struct hook_scratch *scratch = scratch_of(slot);
	int length, most;
	u8 *out;

	if (!USES(STRING_TYPES) || !scratch || index >= HOOK_VALUES)
		return 0;
	length = value_text(slot, index);
	out = content_of(scratch);
	if (length < 0 || !out)
		return unreadable(scratch, index);
	most = shape_of(index)->max_bytes;
	if (scratch->text_flags & PATH_CUT || (most && length > most))
		scratch->status = SENT_CUT;
	if (most && length > most)
		length = most;
	return copy_text(scratch, out, length);
}

/* Appends memory to the tail at copy.at, as much as is left of it and of the room. */
__attribute__((noinline)) int copy_more(u32 slot)
{
	struct hook_scratch *scratch = scratch_of(slot);
	struct copying *copy;
	u64 at, length;

	if (!scratch)
		return 0;
	copy = &scratch->copy;
	at = copy->at;
	length = copy->left;
	barrier_value(at);
	barrier_value(length);
	if (length > BUFFER_BYTES)
		length = BUFFER_BYTES;
	if (!length || at > TAIL_BYTES - BUFFER_BYTES ||
	    copy_bytes(&scratch->tail[at], length, copy->from, copy->is_user))
		return 0;
	copy->at += length;
	copy->from += length;
	copy->left -= length;
	return length;
}

/* Copies up to `length` bytes from `from`, within the limit of the value. */
inline_always void copy_range(struct hook_scratch *scratch, u32 slot, u64 from, u64 length, bool user)
{
	struct copying *copy = &scratch->copy;

	copy->wanted += length;
	if (length > copy->most)
		length = copy->most;
	copy->most -= length;
	copy->from = from;
	copy->left = length;
	copy->is_user = user;
	for (u32 i = 0; i < BUFFER_ROUNDS; i++)
		if (!copy_more(slot))
			break;
	if (copy->left)
		copy->most = 0;
}

inline_always bool begin_copy(struct hook_scratch *scratch, u32 index)
{
	struct copying *copy = &scratch->copy;

	if (!content_of(scratch))
		return false;
	copy->at = copy->start = scratch->position + HEAD_BYTES + 8;
	copy->most = shape_of(index)->max_bytes ?: TEXT_BYTES - 1;
	if (shape_of(index)->type == VALUE_BUFFER && copy->most > HOOK_DATA_BYTES)
		copy->most = HOOK_DATA_BYTES;
	copy->wanted = 0;
	return true;
}

inline_always int end_copy(struct hook_scratch *scratch)
{
	u32 *out = (u32 *)content_of(scratch), sent = scratch->copy.at - scratch->copy.start;

	if (!out)
		return 0;
	out[0] = scratch->copy.wanted > ~0U ? ~0U : scratch->copy.wanted;
	out[1] = sent;
	if (scratch->copy.wanted > sent)
		scratch->status = sent ? SENT_CUT : SENT_FAULT;
	return 8 + sent;
}

/* Memory that did not fit into the event. */
__attribute__((noinline)) int send_piece(u32 index, u64 from, u32 offset, u32 length, u32 is_user)
{
	u64 thread = bpf_get_current_pid_tgid(), bytes = length;
	struct hook_data *piece;

	barrier_value(bytes);
	if (!bytes || bytes > HOOK_DATA_BYTES)
		return 0;
	piece = bulk_admitted() ? bpf_ringbuf_reserve(&events, sizeof(*piece), 0) : NULL;
	if (!piece) {
		count_loss(LOSS_SHED, HOOK_CHUNK);
		return 0;
	}
	__builtin_memset(&piece->header, 0, sizeof(piece->header));
	piece->header.kind = RECORD_HOOK_DATA;
	piece->header.tgid = thread >> 32;
	piece->header.tid = thread;
	piece->hook = shape.hook;
	piece->value = index;
	piece->offset = offset;
	piece->length = bytes;
	if (copy_bytes(piece->data, bytes, from, is_user)) {
		bpf_ringbuf_discard(piece, BPF_RB_NO_WAKEUP);
		return 0;
	}
	bpf_ringbuf_submit(piece, BPF_RB_NO_WAKEUP);
	return bytes;
}

/* The rest of a buffer, up to what the policy asks for. */
inline_always void send_rest(struct hook_scratch *scratch, u32 index)
{
	u64 sent = scratch->copy.at - scratch->copy.start, most = shape_of(index)->max_bytes, left;

	if (most <= HOOK_DATA_BYTES || sent != HOOK_DATA_BYTES)
		return;
	if (most > scratch->copy.wanted)
		most = scratch->copy.wanted;
	/* positions by the number of the piece: a sum that grows would be another state of the verifier in each round */
	for (u32 i = 1; i <= HOOK_DATA_PIECES; i++) {
		left = forgotten(most) - i * HOOK_DATA_BYTES;
		if ((long)left <= 0)
			return;
		if (left > HOOK_DATA_BYTES)
			left = HOOK_DATA_BYTES;
		if (!send_piece(index, object_of(scratch, index) + i * HOOK_DATA_BYTES, i * HOOK_DATA_BYTES, left,
				is_user(index)))
			return;
	}
}

__attribute__((noinline)) int put_buffer(u32 slot, u32 index)
{
	struct hook_scratch *scratch = scratch_of(slot);

	if (!USES(BIT(VALUE_BUFFER)) || !scratch || index >= HOOK_VALUES)
		return 0;
	if (!object_of(scratch, index) || !begin_copy(scratch, index))
		return unreadable(scratch, index);
	copy_range(scratch, slot, object_of(scratch, index), length_of(slot, index), is_user(index));
	send_rest(scratch, index);
	return end_copy(scratch);
}

__attribute__((noinline)) int put_segment(u32 slot, u64 address, u64 skip, u32 flags)
{
	struct hook_scratch *scratch = scratch_of(slot);
	u64 segment[2] = {};

	if (!scratch || !read_segment(segment, address, skip, flags))
		return 0;
	copy_range(scratch, slot, segment[0], segment[1], !(flags & SEGMENTS_OF_KERNEL));
	return 1;
}

inline_always void put_segments(struct hook_scratch *scratch, u32 slot, u64 array, u64 count, u64 skip, u32 flags)
{
	for (u32 i = 0; i < SEGMENTS && i < count; i++) {
		if (!put_segment(slot, array + 16 * i, i ? 0 : skip, flags))
			break;
	}
	if (count > SEGMENTS)
		scratch->status = SENT_CUT;
}

__attribute__((noinline)) int put_iovec(u32 slot, u32 index)
{
	struct hook_scratch *scratch = scratch_of(slot);

	if (!USES(BIT(VALUE_IOVEC)) || !scratch || index >= HOOK_VALUES)
		return 0;
	if (!object_of(scratch, index) || !begin_copy(scratch, index))
		return unreadable(scratch, index);
	put_segments(scratch, slot, object_of(scratch, index), length_of(slot, index), 0,
		     is_user(index) ? SEGMENTS_USER : 0);
	return end_copy(scratch);
}

/* What is left of an iterator. Of pages (bvec, pipe, xarray ...) only the length is told. */
__attribute__((noinline)) int put_iter(u32 slot, u32 index)
{
	struct hook_scratch *scratch = scratch_of(slot);
	u64 iter, count, skip;
	u32 kind;

	if (!USES(BIT(VALUE_IOV_ITER)) || !scratch || index >= HOOK_VALUES)
		return 0;
	iter = object_of(scratch, index);
	if (!iter || !begin_copy(scratch, index))
		return unreadable(scratch, index);
	count = GET(iter, struct iov_iter, count);
	skip = GET(iter, struct iov_iter, iov_offset);
	if (scratch->copy.most > count)
		scratch->copy.most = count;
	kind = iter_kind_of(iter);
	if (kind == ITER_BUFFER)
		copy_range(scratch, slot, iter_buffer(iter) + skip, count, true);
	else if (kind != ITER_OTHER)
		put_segments(scratch, slot, iter_segments(iter), GET(iter, struct iov_iter, nr_segs), skip,
			     kind == ITER_KERNEL_SEGMENTS ? SEGMENTS_OF_KERNEL : 0);
	scratch->copy.wanted = count;
	return end_copy(scratch);
}

inline_always void put_ends(u8 *saddr, u8 *daddr, struct sent_skb *ends)
{
	__builtin_memcpy(saddr, ends->saddr, 16);
	__builtin_memcpy(daddr, ends->daddr, 16);
}

__attribute__((noinline)) int put_sock(u32 slot, u32 index)
{
	struct hook_scratch *scratch = scratch_of(slot);
	struct sent_sock *out;
	struct owner *owner;
	u64 sock;

	if (!USES(BIT(VALUE_SOCK) | BIT(VALUE_SOCKET)) || !scratch || index >= HOOK_VALUES)
		return 0;
	out = (void *)content_of(scratch);
	if (!out || read_ends(slot, index))
		return unreadable(scratch, index);
	sock = sock_of(shape_of(index)->type, object_of(scratch, index));
	__builtin_memset(out, 0, sizeof(*out));
	out->cookie = sock;
	owner = bpf_map_lookup_elem(&sockets, &sock);
	if (owner) {
		out->owner = owner->thread;
		out->owner_ktime = owner->image_ktime;
	}
	out->family = scratch->ends.family;
	out->type = GET(sock, struct sock, sk_type);
	out->protocol = scratch->ends.protocol;
	out->state = GET(sock, struct sock, __sk_common.skc_state);
	out->has_addresses = out->family == FAMILY_INET || out->family == FAMILY_INET6;
	out->mark = GET(sock, struct sock, sk_mark);
	out->priority = GET(sock, struct sock, sk_priority);
	out->sport = scratch->ends.sport;
	out->dport = scratch->ends.dport;
	put_ends(out->saddr, out->daddr, &scratch->ends);
	return sizeof(*out);
}

/* Lengths of a packet's IPsec path, an extension (CONFIG_XFRM). */
inline_always void put_secpath(struct sent_skb *out, u64 skb)
{
	u64 extensions, at;
	u32 number;

	if (!bpf_core_field_exists(struct sk_buff, extensions) ||
	    !bpf_core_enum_value_exists(enum skb_ext_id, SKB_EXT_SEC_PATH) || !bpf_core_type_exists(struct sec_path))
		return;
	number = bpf_core_enum_value(enum skb_ext_id, SKB_EXT_SEC_PATH);
	if (!(GET(skb, struct sk_buff, active_extensions) >> number & 1))
		return;
	extensions = GET(skb, struct sk_buff, extensions);
	at = extensions + 8 * load(AT(extensions, struct skb_ext, offset) + number, 1);
	if (bpf_core_field_size(struct sec_path, len) == 1) {
		out->secpath_length = load(AT(at, struct sec_path, len), 1);
		out->secpath_olen = load(AT(at, struct sec_path, olen), 1);
	} else {
		out->secpath_length = load(AT(at, struct sec_path, len), 4);
		out->secpath_olen = load(AT(at, struct sec_path, olen), 4);
	}
}

__attribute__((noinline)) int put_packet(u32 slot, u32 index)
{
	struct hook_scratch *scratch = scratch_of(slot);
	struct sent_skb *out;
	u64 skb;

	if (!USES(BIT(VALUE_SKB)) || !scratch || index >= HOOK_VALUES)
		return 0;
	out = (void *)content_of(scratch);
	if (!out || read_ends(slot, index))
		return unreadable(scratch, index);
	skb = object_of(scratch, index);
	*out = scratch->ends;
	out->hash = GET(skb, struct sk_buff, hash);
	out->length = GET(skb, struct sk_buff, len);
	out->priority = GET(skb, struct sk_buff, priority);
	out->mark = GET(skb, struct sk_buff, mark);
	put_secpath(out, skb);
	return sizeof(*out);
}

__attribute__((noinline)) int put_address(u32 slot, u32 index)
{
	struct hook_scratch *scratch = scratch_of(slot);
	struct sent_sockaddr *out;

	if (!USES(BIT(VALUE_SOCKADDR)) || !scratch || index >= HOOK_VALUES)
		return 0;
	out = (void *)content_of(scratch);
	if (!out || read_ends(slot, index))
		return unreadable(scratch, index);
	out->family = scratch->ends.family;
	out->port = scratch->ends.dport;
	out->reserved = 0;
	__builtin_memcpy(out->address, scratch->ends.daddr, 16);
	return sizeof(*out);
}

/* struct sockaddr_un (linux/un.h): the family and 108 bytes. */
__attribute__((noinline)) int put_unix(u32 slot, u32 index)
{
	struct hook_scratch *scratch = scratch_of(slot);
	u64 address, kept;
	bool user;
	u8 *out;

	if (!USES(BIT(VALUE_SOCKADDR_UN)) || !scratch || index >= HOOK_VALUES)
		return 0;
	kept = kept_value(slot, index);
	address = kept ? kept : object_of(scratch, index);
	user = !kept && is_user(index);
	out = content_of(scratch);
	if (!out || copy_bytes(out, 2, address, user))
		return unreadable(scratch, index);
	__builtin_memset(out + 2, 0, 110);
	/* a shorter address may end where memory does */
	if (*(u16 *)out == FAMILY_UNIX && copy_bytes(out + 2, 108, address + 2, user))
		copy_string(out + 2, 108, address + 2, user);
	return 110;
}

inline_always void put_user_space(u32 *out, u64 space)
{
	out[0] = GET(space, struct user_namespace___owned, level);
	out[1] = GET(space, struct user_namespace___owned, owner.val);
	out[2] = GET(space, struct user_namespace___owned, group.val);
	out[3] = GET(space, struct user_namespace, ns.inum);
}

__attribute__((noinline)) int put_cred(u32 slot, u32 index)
{
	struct hook_scratch *scratch = scratch_of(slot);
	struct sent_cred *out;
	u64 cred;

	if (!USES(BIT(VALUE_CRED)) || !scratch || index >= HOOK_VALUES)
		return 0;
	cred = object_of(scratch, index);
	out = (void *)content_of(scratch);
	if (!out || !cred)
		return unreadable(scratch, index);
	out->uid = GET(cred, struct cred, uid.val);
	out->gid = GET(cred, struct cred, gid.val);
	out->suid = GET(cred, struct cred, suid.val);
	out->sgid = GET(cred, struct cred, sgid.val);
	out->euid = GET(cred, struct cred, euid.val);
	out->egid = GET(cred, struct cred, egid.val);
	out->fsuid = GET(cred, struct cred, fsuid.val);
	out->fsgid = GET(cred, struct cred, fsgid.val);
	out->cap_permitted = GET(cred, struct cred, cap_permitted);
	out->cap_effective = GET(cred, struct cred, cap_effective);
	out->cap_inheritable = GET(cred, struct cred, cap_inheritable);
	out->cap_ambient = GET(cred, struct cred, cap_ambient);
	out->securebits = GET(cred, struct cred, securebits);
	put_user_space(&out->user_ns_level, GET(cred, struct cred, user_ns));
	out->reserved = 0;
	return sizeof(*out);
}

inline_always void put_name(u8 *out, u32 size, u64 name)
{
	if (bpf_probe_read_kernel_str(out, size, (void *)name) < 0)
		out[0] = 0;
}

/* union bpf_attr (linux/bpf.h) of BPF_PROG_LOAD. */
inline_always int put_bpf_attr(struct sent_bpf_attr *out, u64 attr, bool user)
{
	if (copy_bytes(out, 8, attr + __builtin_offsetof(union bpf_attr, prog_type), user))
		return 0;
	copy_bytes(out->name, sizeof(out->name), attr + __builtin_offsetof(union bpf_attr, prog_name), user);
	return sizeof(*out);
}

inline_always int put_bpf_prog(struct sent_bpf_attr *out, u64 program)
{
	u64 aux = GET(program, struct bpf_prog, aux);

	out->type = GET(program, struct bpf_prog, type);
	out->instructions = GET(program, struct bpf_prog, len);
	put_name(out->name, sizeof(out->name), AT(aux, struct bpf_prog_aux, name));
	return sizeof(*out);
}

inline_always int put_bpf_map(struct sent_bpf_map *out, u64 map)
{
	out->type = GET(map, struct bpf_map, map_type);
	out->key_size = GET(map, struct bpf_map, key_size);
	out->value_size = GET(map, struct bpf_map, value_size);
	out->max_entries = GET(map, struct bpf_map, max_entries);
	put_name(out->name, sizeof(out->name), AT(map, struct bpf_map, name));
	return sizeof(*out);
}

inline_always int put_perf_event(struct sent_perf_event *out, u64 event)
{
	u64 function = GET(event, struct perf_event, attr.kprobe_func);

	out->config = GET(event, struct perf_event, attr.config);
	out->probe_offset = GET(event, struct perf_event, attr.probe_offset);
	out->type = GET(event, struct perf_event, attr.type);
	out->reserved = 0;
	if (!function || bpf_probe_read_user_str(out->function, sizeof(out->function), (void *)function) < 0)
		out->function[0] = 0;
	return sizeof(*out);
}

#define SIGNATURE_NOT_KNOWN 2

inline_always int put_module(struct sent_module *out, u64 module)
{
	out->taints = GET(module, struct module, taints);
	out->reserved = 0;
	out->signature_ok = SIGNATURE_NOT_KNOWN;
	if (bpf_core_field_exists(struct module, sig_ok))
		out->signature_ok = !!GET(module, struct module, sig_ok);
	put_name(out->name, sizeof(out->name), AT(module, struct module, name));
	return sizeof(*out);
}

/* A module on its way in. Kernels without modules do not have the type. */
inline_always int put_load_info(struct sent_module *out, u64 info)
{
	out->taints = out->reserved = 0;
	out->signature_ok = SIGNATURE_NOT_KNOWN;
	if (!bpf_core_field_exists(struct load_info, name))
		return 0;
	if (bpf_core_field_exists(struct load_info, sig_ok))
		out->signature_ok = !!GET(info, struct load_info, sig_ok);
	put_name(out->name, sizeof(out->name), GET(info, struct load_info, name));
	return sizeof(*out);
}

#define OBJECT_TYPES                                                                                                   \
	(BIT(VALUE_USER_NS) | BIT(VALUE_BPF_ATTR) | BIT(VALUE_BPF_PROG) | BIT(VALUE_BPF_MAP) | BIT(VALUE_PERF_EVENT) | \
	 BIT(VALUE_MODULE) | BIT(VALUE_LOAD_INFO))

__attribute__((noinline)) int put_object(u32 slot, u32 index)
{
	struct hook_scratch *scratch = scratch_of(slot);
	u64 object;
	void *out;
	int length = 0;

	if (!USES(OBJECT_TYPES) || !scratch || index >= HOOK_VALUES)
		return 0;
	object = object_of(scratch, index);
	out = content_of(scratch);
	if (!out || !object)
		return unreadable(scratch, index);
	__builtin_memset(out, 0, sizeof(struct sent_module));
	switch (shape_of(index)->type) {
	case VALUE_USER_NS:
		put_user_space(out, object);
		length = sizeof(struct sent_user_ns);
		break;
	case VALUE_BPF_ATTR:
		length = put_bpf_attr(out, object, is_user(index));
		break;
	case VALUE_BPF_PROG:
		length = put_bpf_prog(out, object);
		break;
	case VALUE_BPF_MAP:
		length = put_bpf_map(out, object);
		break;
	case VALUE_PERF_EVENT:
		length = put_perf_event(out, object);
		break;
	case VALUE_MODULE:
		length = put_module(out, object);
		break;
	case VALUE_LOAD_INFO:
		length = put_load_info(out, object);
		break;
	}
	return length ?: unreadable(scratch, index);
}

__attribute__((noinline)) int put_integer(u32 slot, u32 index)
{
	struct hook_scratch *scratch = scratch_of(slot);
	u64 *out;

	if (!USES(NUMBER_TYPES) || !scratch || index >= HOOK_VALUES)
		return 0;
	out = (u64 *)content_of(scratch);
	if (!out)
		return 0;
	*out = value_integer(slot, index);
	return 8;
}

inline_always int put_content(u32 slot, u32 index)
{
	switch (shape_of(index)->type) {
	case VALUE_STRING:
	case VALUE_DATA_LOC:
	case VALUE_NET_DEVICE:
		return put_string(slot, index);
	case VALUE_BUFFER:
		return put_buffer(slot, index);
	case VALUE_IOVEC:
		return put_iovec(slot, index);
	case VALUE_IOV_ITER:
		return put_iter(slot, index);
	case VALUE_FILE:
	case VALUE_PATH:
	case VALUE_DENTRY:
	case VALUE_FD:
	case VALUE_KIOCB:
	case VALUE_BINPRM:
		return put_path(slot, index);
	case VALUE_SOCK:
	case VALUE_SOCKET:
		return put_sock(slot, index);
	case VALUE_SKB:
		return put_packet(slot, index);
	case VALUE_SOCKADDR:
		return put_address(slot, index);
	case VALUE_SOCKADDR_UN:
		return put_unix(slot, index);
	case VALUE_CRED:
		return put_cred(slot, index);
	case VALUE_INTEGER:
	case VALUE_CAPABILITY:
	case VALUE_CAP_SET:
	case VALUE_SYSCALL:
		return put_integer(slot, index);
	}
	return put_object(slot, index);
}

/* Appends value `index` to the tail. Returns the bytes it took, 0 when nothing was added: it is a NOP, or not even its
 * head has room. A value that has no room comes as SENT_CUT without content. */
__attribute__((noinline)) int send_value(u32 slot, u32 index)
{
	struct hook_scratch *scratch = scratch_of(slot);
	struct sent_value *head;
	u64 at, length, end;

	if (!scratch || index >= HOOK_VALUES || shape_of(index)->type == VALUE_NOP)
		return 0;
	at = scratch->position;
	barrier_value(at);
	if (at > TAIL_BYTES - HEAD_BYTES)
		return 0;
	head = (void *)&scratch->tail[at];
	scratch->status = SENT_WHOLE;
	length = put_content(slot, index);
	barrier_value(length);
	if (at > TAIL_LAST)
		scratch->status = SENT_CUT;
	head->index = index;
	head->type = shape_of(index)->type;
	head->status = scratch->status;
	head->reserved = 0;
	head->length = length;
	length += HEAD_BYTES;
	end = at + length;
	barrier_value(end);
	if (end <= TAIL_BYTES - 8)
		*(u64 *)&scratch->tail[end] = 0;
	length = (length + 7) & ~7ULL;
	scratch->position = at + length;
	return length;
}
