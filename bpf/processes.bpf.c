// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
//
// The process table as the kernel has it: one record for each process, its threads together.
//
// Two programs give the same records. `table` walks all processes in one BPF_PROG_RUN and leaves the records in an
// array that the agent has mapped (open-coded task iterator, Linux 6.7). `lines` is called by the kernel for each task
// of an iterator's descriptor, which the agent reads (iter/task; older kernels).
//
// They only read. Nothing here follows a pointer that the kernel does not check: a load through a stale one gives 0.
//
// Of the kernel's types only the members that are read are declared. The offsets here mean nothing: the kernel itself
// puts the right ones in when it loads the program (BPF CO-RE; it does so since 5.17). `scripts/bpf-object` compiles
// this file; what it made is checked in beside it.

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef int s32;
typedef unsigned long long u64;
typedef long long s64;

#define SECTION(name) __attribute__((section(name), used))
// No type information of it in the object: the kernel would want more of these sections than clang writes.
#define PLAIN __attribute__((nodebug))
#define ALWAYS_INLINE inline __attribute__((always_inline))

// The kernel lends its iterators and RCU to programs under a GPL-compatible licence.
PLAIN SECTION("license") const char LICENSE[] = "GPL";

// ---- What is written. src/sense/process/bpf/record.rs reads the same; a test compares the two layouts.

// The threads changed under the sum each time that it was tried, or the main one was replaced: `cpu_ns`, faults and
// bytes may miss or double one.
#define RECORD_TORN 1
// What this kernel keeps of a process; without these marks the members are zero and mean nothing.
#define RECORD_HAS_IO 2
#define RECORD_HAS_CGROUP 4

struct record {
	u32 pid;
	u32 parent;
	u64 start_ns; // since boot, suspended time included
	u64 cpu_ns;
	u64 minor_faults;
	u64 major_faults;
	u64 read_bytes;
	u64 written_bytes;
	u64 cgroup;
	s64 resident_pages;
	u32 state; // __state of the main thread
	u32 exit_state;
	u32 flags; // PF_…
	u32 threads;
	u32 user;
	u32 marks; // RECORD_…
	u64 comm[2];
};

// The context of one run of `table`.
struct pass {
	// In.
	u32 tasks_max;
	u32 reserved;
	// Out.
	u32 record_size;
	u32 unused;
	u32 records;
	u32 processes; // seen; more than records: the array was too short
	u32 threads; // walked beyond the main ones
	u32 cut; // 1: tasks_max was reached, and what came behind is not known
	struct record form[]; // none here: so that the object tells of the records as well
};

// ---- What is read.

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct list_head {
	struct list_head *next;
};

typedef struct {
	u32 val;
} kuid_t;

struct cred {
	kuid_t uid;
};

struct sched_entity {
	u64 sum_exec_runtime;
};

struct kernfs_node {
	u64 id;
};

struct cgroup {
	struct kernfs_node *kn;
};

struct css_set {
	struct cgroup *dfl_cgrp;
};

struct task_io_accounting {
	u64 read_bytes;
	u64 write_bytes;
};

struct seqcount {
	u32 sequence;
};

struct seqcount_spinlock {
	struct seqcount seqcount;
};

typedef struct {
	struct seqcount_spinlock seqcount;
} seqlock_t;

struct signal_struct {
	s32 nr_threads;
	struct list_head thread_head;
	seqlock_t stats_lock;
	unsigned long min_flt, maj_flt;
	u64 sum_sched_runtime;
	struct task_io_accounting ioac;
};

struct percpu_counter {
	s64 count;
};

// Since 6.2.
struct mm_struct {
	struct percpu_counter rss_stat[4];
};

typedef struct {
	s64 counter;
} atomic64_t;

struct mm_rss_stat {
	atomic64_t count[4];
};

// Until 6.1; `table` needs a kernel that is newer.
struct mm_struct___before_6_2 {
	struct mm_rss_stat rss_stat;
};

struct pid;

struct task_struct {
	u32 __state;
	u32 flags;
	s32 exit_state;
	s32 pid;
	s32 tgid;
	struct task_struct *real_parent;
	u64 start_boottime;
	struct sched_entity se;
	unsigned long min_flt, maj_flt;
	struct task_io_accounting ioac;
	struct pid *thread_pid;
	struct list_head thread_node;
	struct mm_struct *mm;
	const struct cred *real_cred;
	struct css_set *cgroups;
	struct signal_struct *signal;
	char comm[16];
};

struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
};

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};

#pragma clang attribute pop

#define PF_KTHREAD 0x00200000

// NR_MM_COUNTERS: the third is swap.
#define MM_FILE 0
#define MM_ANON 1
#define MM_SHMEM 3

#define exists(field) __builtin_preserve_field_info(field, 2 /* BPF_FIELD_EXISTS */)
#define byte_offset(field) __builtin_preserve_field_info(field, 0 /* BPF_FIELD_BYTE_OFFSET */)

// ---- What is called. Helpers by the number that bpf(2) gives them for ever.

static void *(*const map_lookup)(void *map, const void *key) = (void *)1;
static long (*const probe_read_kernel)(void *to, u32 size, const void *from) = (void *)113;
static long (*const seq_write)(struct seq_file *seq, const void *data, u32 size) = (void *)127;

// Functions of the kernel have a number only once it runs. These stand in for it and the loader looks it up: the
// order is that of KERNEL_FUNCTIONS in src/sense/process/bpf/object.rs.
#define KERNEL_FUNCTION(number) ((void *)(9000000 + (number)))

struct bpf_iter_task {
	u64 opaque[3];
};

#define ALL_PROCESSES 0
#define THREADS_OF_PROCESS 2

static void (*const rcu_read_lock)(void) = KERNEL_FUNCTION(0);
static void (*const rcu_read_unlock)(void) = KERNEL_FUNCTION(1);
static int (*const iter_new)(struct bpf_iter_task *it, struct task_struct *task, u32 which) = KERNEL_FUNCTION(2);
static struct task_struct *(*const iter_next)(struct bpf_iter_task *it) = KERNEL_FUNCTION(3);
static void (*const iter_destroy)(struct bpf_iter_task *it) = KERNEL_FUNCTION(4);
static struct task_struct *(*const task_acquire)(struct task_struct *task) = KERNEL_FUNCTION(5);
static void (*const task_release)(struct task_struct *task) = KERNEL_FUNCTION(6);

// The array of records; the loader puts its descriptor in.
PLAIN SECTION("maps") u32 records;

// ---- The work.

// Tries to sum up the threads of a process while none of them ends.
#define SUM_TRIES 3

// Threads that `lines` follows; the verifier walks each turn of the loop, and gives up at a million steps.
#define LINE_THREADS_MAX 512

static ALWAYS_INLINE u32 has(void)
{
	struct signal_struct *signal = 0;
	struct task_struct *task = 0;
	u32 found = 0;

	if (exists(signal->ioac.read_bytes) && exists(task->ioac.read_bytes))
		found |= RECORD_HAS_IO;
	if (exists(task->cgroups) && exists(((struct kernfs_node *)0)->id))
		found |= RECORD_HAS_CGROUP;
	return found;
}

// An ending thread adds its times to the process's and leaves the list under this lock: odd while it does.
static ALWAYS_INLINE u32 ends_seen(const struct signal_struct *signal)
{
	return *(const volatile u32 *)&signal->stats_lock.seqcount.seqcount.sequence;
}

// Reaped, though a walk still holds it: under that same lock its times went to the process's and its pid away. Its
// process is gone, or lives on with another main thread that has called execve(2).
static ALWAYS_INLINE u32 is_reaped(const struct task_struct *task)
{
	return !*(struct pid *const volatile *)&task->thread_pid;
}

// What only the process as a whole and its main thread have.
static ALWAYS_INLINE void about(struct record *it, struct task_struct *task)
{
	it->pid = task->tgid;
	it->parent = task->real_parent->tgid;
	it->start_ns = task->start_boottime;
	it->state = task->__state;
	it->exit_state = task->exit_state;
	it->flags = task->flags;
	it->user = task->real_cred->uid.val;
	it->cgroup = 0;
	if (has() & RECORD_HAS_CGROUP)
		it->cgroup = task->cgroups->dfl_cgrp->kn->id;
	it->resident_pages = 0;
	it->comm[0] = *(u64 *)&task->comm[0];
	it->comm[1] = *(u64 *)&task->comm[8];
}

// A kernel thread may wear the memory of a process for a while.
static ALWAYS_INLINE struct mm_struct *memory(struct task_struct *task)
{
	return task->flags & PF_KTHREAD ? 0 : task->mm;
}

static ALWAYS_INLINE s64 resident(struct mm_struct *mm)
{
	return mm->rss_stat[MM_FILE].count + mm->rss_stat[MM_ANON].count + mm->rss_stat[MM_SHMEM].count;
}

// Of threads that ended.
static ALWAYS_INLINE void add_ended(struct record *it, struct signal_struct *signal)
{
	it->cpu_ns = signal->sum_sched_runtime;
	it->minor_faults = signal->min_flt;
	it->major_faults = signal->maj_flt;
	it->read_bytes = 0;
	it->written_bytes = 0;
	if (has() & RECORD_HAS_IO) {
		it->read_bytes = signal->ioac.read_bytes;
		it->written_bytes = signal->ioac.write_bytes;
	}
}

static ALWAYS_INLINE void add_thread(struct record *it, struct task_struct *thread)
{
	it->cpu_ns += thread->se.sum_exec_runtime;
	it->minor_faults += thread->min_flt;
	it->major_faults += thread->maj_flt;
	if (has() & RECORD_HAS_IO) {
		it->read_bytes += thread->ioac.read_bytes;
		it->written_bytes += thread->ioac.write_bytes;
	}
}

static ALWAYS_INLINE u32 walk_threads(struct record *it, struct task_struct *task, struct signal_struct *signal)
{
	struct bpf_iter_task threads;
	struct task_struct *thread;
	u32 walked = 0;

	add_ended(it, signal);
	iter_new(&threads, task, THREADS_OF_PROCESS);
	while ((thread = iter_next(&threads))) {
		add_thread(it, thread);
		walked++;
	}
	iter_destroy(&threads);
	return walked;
}

SECTION("syscall") int table(struct pass *pass)
{
	u32 tasks_max = pass->tasks_max;
	u32 written = 0, processes = 0, beyond = 0, cut = 0;
	struct bpf_iter_task all;
	struct task_struct *task;

	rcu_read_lock();
	iter_new(&all, 0, ALL_PROCESSES);
	while ((task = iter_next(&all))) {
		struct signal_struct *signal = task->signal;
		struct task_struct *held;
		struct mm_struct *mm;
		struct record *it;
		u32 key = written;

		// The idle task of the first processor, where the list of processes hangs.
		if (!task->tgid)
			continue;
		if (processes + beyond >= tasks_max) {
			cut = 1;
			break;
		}
		processes++;
		it = map_lookup(&records, &key);
		if (!it)
			continue;
		written++;
		about(it, task);
		mm = memory(task);
		if (mm)
			it->resident_pages = resident(mm);
		it->marks = RECORD_TORN | has();
		it->threads = signal->nr_threads;
		if (it->threads <= 1) {
			u32 before = ends_seen(signal);

			// Looked at between two looks at the lock: as long as it has its pid its times are its own.
			if (is_reaped(task)) {
				// The last one: there is no such process any more, and the next takes its place.
				if (!signal->nr_threads) {
					written--;
					processes--;
				}
				continue;
			}
			add_ended(it, signal);
			add_thread(it, task);
			if (!(before & 1) && ends_seen(signal) == before)
				it->marks = has();
			continue;
		}
		// The walk wants a task that can't go away.
		held = task_acquire(task);
		if (!held)
			continue;
		for (u32 try = 0; try < SUM_TRIES; try++) {
			u32 before = ends_seen(signal);

			// The walk begins with this one, and would count it a second time.
			if (is_reaped(task))
				break;
			beyond += walk_threads(it, held, signal);
			if (!(before & 1) && ends_seen(signal) == before) {
				it->marks = has();
				break;
			}
		}
		task_release(held);
	}
	iter_destroy(&all);
	rcu_read_unlock();

	pass->record_size = sizeof(struct record);
	pass->records = written;
	pass->processes = processes;
	pass->threads = beyond;
	pass->cut = cut;
	return 0;
}

// A load that checks its pointer, for what the verifier of older kernels does not follow.
static ALWAYS_INLINE u64 load(u64 from)
{
	u64 value = 0;

	probe_read_kernel(&value, sizeof(value), (void *)from);
	return value;
}

static ALWAYS_INLINE s64 resident_before_6_2(struct mm_struct *mm)
{
	struct mm_struct___before_6_2 *old = 0;
	u64 at = (u64)mm;

	return load(at + byte_offset(old->rss_stat.count[MM_FILE])) + load(at + byte_offset(old->rss_stat.count[MM_ANON])) +
	       load(at + byte_offset(old->rss_stat.count[MM_SHMEM]));
}

// The list of threads. The kernel lends its own way of walking it only later.
static ALWAYS_INLINE u32 follow_threads(struct record *it, struct signal_struct *signal)
{
	struct task_struct *task = 0;
	u64 node_at = byte_offset(task->thread_node);
	u64 head = (u64)&signal->thread_head;
	u64 node = (u64)signal->thread_head.next;

	add_ended(it, signal);
	for (u32 i = 0; i < LINE_THREADS_MAX; i++) {
		u64 thread = node - node_at;

		if (!node || node == head)
			return 1;
#define LOAD(field) load(thread + byte_offset(task->field))
		it->cpu_ns += LOAD(se.sum_exec_runtime);
		it->minor_faults += LOAD(min_flt);
		it->major_faults += LOAD(maj_flt);
		if (has() & RECORD_HAS_IO) {
			it->read_bytes += LOAD(ioac.read_bytes);
			it->written_bytes += LOAD(ioac.write_bytes);
		}
		node = LOAD(thread_node.next);
#undef LOAD
	}
	return 0;
}

SECTION("iter/task") int lines(struct bpf_iter__task *at)
{
	struct task_struct *task = at->task;
	struct signal_struct *signal;
	struct mm_struct *mm;
	struct record it = {};
	u32 before;

	// The call behind the last task.
	if (!task)
		return 0;
	if (task->pid != task->tgid)
		return 0;
	signal = task->signal;
	about(&it, task);
	mm = memory(task);
	if (mm) {
		if (exists(((struct mm_struct___before_6_2 *)0)->rss_stat.count))
			it.resident_pages = resident_before_6_2(mm);
		else
			it.resident_pages = resident(mm);
	}
	before = ends_seen(signal);
	it.threads = signal->nr_threads;
	it.marks = has();
	// The list of threads has the main one only as long as it is not reaped.
	if (is_reaped(task)) {
		if (!it.threads)
			return 0;
		it.marks |= RECORD_TORN;
	} else if (it.threads <= 1) {
		add_ended(&it, signal);
		add_thread(&it, task);
	} else if (!follow_threads(&it, signal)) {
		it.marks |= RECORD_TORN;
	}
	if ((before & 1) || ends_seen(signal) != before)
		it.marks |= RECORD_TORN;
	seq_write(at->meta->seq, &it, sizeof(it));
	return 0;
}
