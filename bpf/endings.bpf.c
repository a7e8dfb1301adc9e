// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
//
// Who ends: one record for each process and thread that ends while this is tied to the kernel's tracepoint
// `sched_process_exit`. The agent ties it for a moment, only while a storm of short-lived processes is suspected.
//
// A process that lived for a millisecond is in no list that anybody reads; at its end the kernel still knows who made
// it, what it ran and where. The newest records stay in a ring; those that were overwritten are in the counts alone.
//
// It only reads. Of the kernel's types only the members that are read are declared, and the kernel puts the right
// offsets in when it loads the program (BPF CO-RE). `scripts/bpf-object` compiles this file; what it made is checked in
// beside it.

typedef unsigned int u32;
typedef int s32;
typedef unsigned long long u64;

#define SECTION(name) __attribute__((section(name), used))
// No type information of it in the object: the kernel would want more of these sections than clang writes.
#define PLAIN __attribute__((nodebug))
#define ALWAYS_INLINE inline __attribute__((always_inline))

PLAIN SECTION("license") const char LICENSE[] = "GPL";

// ---- What is written. src/sense/storm/ending.rs reads the same; a test compares the two layouts.

// A power of two.
#define RING 512

// It was a thread: `maker` is the process that it was of.
#define ENDING_THREAD 1

struct ending {
	u64 number; // from 1; 0 while it is being written
	u64 lived_ns;
	u64 cgroup;
	u32 maker; // the parent of a process
	u32 marks; // ENDING_…
	u64 comm[2];
	u64 maker_comm[2];
};

struct endings {
	u64 processes;
	u64 threads;
	u64 numbers; // given out so far
	struct ending ring[RING];
};

struct task_struct;

// What the tracepoint hands over.
struct arguments {
	struct task_struct *task;
	struct endings form[]; // none here: so that the object tells of them as well
};

// ---- What is read.

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct kernfs_node {
	u64 id;
};

struct cgroup {
	struct kernfs_node *kn;
};

struct css_set {
	struct cgroup *dfl_cgrp;
};

struct task_struct {
	s32 pid;
	s32 tgid;
	struct task_struct *real_parent;
	struct task_struct *group_leader;
	u64 start_boottime;
	struct css_set *cgroups;
	char comm[16];
};

#pragma clang attribute pop

#define exists(field) __builtin_preserve_field_info(field, 2 /* BPF_FIELD_EXISTS */)

static void *(*const map_lookup)(void *map, const void *key) = (void *)1;
static u64 (*const boot_ns)(void) = (void *)125;

// The one value of the array; the loader puts its descriptor in.
PLAIN SECTION("maps") u32 seen;

static ALWAYS_INLINE void copy(u64 *to, const char *from)
{
	to[0] = *(const u64 *)&from[0];
	to[1] = *(const u64 *)&from[8];
}

SECTION("tp_btf/sched_process_exit") int ending(struct arguments *arguments)
{
	struct task_struct *task = arguments->task;
	struct task_struct *maker;
	struct endings *all;
	struct ending *it;
	u64 number;
	u32 key = 0;
	int thread = task->pid != task->tgid;

	all = map_lookup(&seen, &key);
	if (!all)
		return 0;
	__sync_fetch_and_add(thread ? &all->threads : &all->processes, 1);
	number = __sync_fetch_and_add(&all->numbers, 1) + 1;
	it = &all->ring[number & (RING - 1)];
	*(volatile u64 *)&it->number = 0;
	maker = thread ? task->group_leader : task->real_parent->group_leader;
	it->lived_ns = boot_ns() - task->start_boottime;
	it->cgroup = 0;
	if (exists(task->cgroups) && exists(((struct kernfs_node *)0)->id))
		it->cgroup = task->cgroups->dfl_cgrp->kn->id;
	it->maker = maker->tgid;
	it->marks = thread ? ENDING_THREAD : 0;
	copy(it->comm, task->comm);
	copy(it->maker_comm, maker->comm);
	*(volatile u64 *)&it->number = number;
	return 0;
}
