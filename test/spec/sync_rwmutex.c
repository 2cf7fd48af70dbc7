/*
 * weft_rwmutex: who may be inside with whom, who goes first, misuse. SCENARIOS 128 (a view of
 * the read side as a lock) has no case: there is no interface of locks in C.
 */
#include "sync_util.h"

/* ---- Who is inside ---- */

struct room {
	weft_rwmutex rw;
	_Atomic int inside;	/* 1 per reader, 10000 per writer */
	long n;			/* written under rw */
	int rounds;
	_Atomic int tried;
};

static void
stay(struct room *r, int i)
{
	for (volatile int k = 0; k < 50; k++)
		continue;
	if (i % 32 == 0)
		weft_yield();
	(void)r;
}

static void
read_inside(struct room *r, int i)
{
	EXPECT(atomic_fetch_add(&r->inside, 1) < 9999);
	stay(r, i);
	atomic_fetch_sub(&r->inside, 1);
	weft_rwmutex_runlock(&r->rw);
}

static void
write_inside(struct room *r, int i)
{
	EXPECT_EQ(atomic_fetch_add(&r->inside, 10000), 0);
	r->n++;
	stay(r, i);
	EXPECT_EQ(atomic_fetch_sub(&r->inside, 10000), 10000);
	weft_rwmutex_unlock(&r->rw);
}

static void
reader(void *p)
{
	struct room *r = p;

	for (int i = 0; i < r->rounds; i++) {
		if (i % 5 == 0 && weft_rwmutex_tryrlock(&r->rw)) {
			read_inside(r, i);
			continue;
		}
		weft_rwmutex_rlock(&r->rw);
		read_inside(r, i);
	}
}

static void
writer(void *p)
{
	struct room *r = p;

	for (int i = 0; i < r->rounds; i++) {
		if (i % 5 == 0) {
			if (!weft_rwmutex_trylock(&r->rw))
				continue;
		} else {
			weft_rwmutex_lock(&r->rw);
		}
		write_inside(r, i);
		atomic_fetch_add(&r->tried, 1);
	}
}

static void
readers_and_writers(void)
{
	static const int readers[] = { 1, 3, 10, 10, 0 };
	static const int writers[] = { 1, 2, 1, 5, 5 };

	for (int i = 0; i < 5; i++) {
		struct room r = { .rounds = scaled(1000) };
		struct crew a, b;

		crew_start(&a, reader, &r, readers[i], readers[i] / 3);
		crew_start(&b, writer, &r, writers[i], writers[i] / 3);
		crew_wait(&a);
		crew_wait(&b);
		EXPECT_EQ(r.n, r.tried);
		EXPECT(weft_rwmutex_trylock(&r.rw));
	}
}

/* A reader beside a writer reads half-written data; two writers tear it. (Go: TestRWMutex.) */
TEST(readers_together_or_one_writer)
{
	on_1_2_4_procs(readers_and_writers);
}

#define N_READERS 10

struct meeting {
	weft_rwmutex rw;
	_Atomic int arrived;
};

static void
meet(void *p)
{
	struct meeting *m = p;

	weft_rwmutex_rlock(&m->rw);
	atomic_fetch_add(&m->arrived, 1);
	await_count(&m->arrived, N_READERS);
	weft_rwmutex_runlock(&m->rw);
}

static void
all_readers_meet(void)
{
	for (int n_threads = 0; n_threads <= N_READERS; n_threads += N_READERS / 2) {
		struct meeting m = { 0 };

		crew_run(meet, &m, N_READERS, n_threads);
	}
}

/* Readers that shut each other out would be a slow mutex, and here a deadlock. SCENARIOS 125. */
TEST(all_readers_are_inside_at_once)
{
	on_1_2_4_procs(all_readers_meet);
}

/* ---- Try ---- */

static void
wait_and_write(void *p)
{
	weft_rwmutex_lock(p);
	weft_rwmutex_unlock(p);
}

/* Waits until a writer stands in the queue: then new readers are refused. */
static void
await_waiting_writer(weft_rwmutex *rw)
{
	while (weft_rwmutex_tryrlock(rw)) {
		weft_rwmutex_runlock(rw);
		weft_yield();
	}
}

static void
try_table(void)
{
	weft_rwmutex rw = { 0 };
	struct crew c;

	EXPECT(weft_rwmutex_trylock(&rw));
	EXPECT(!weft_rwmutex_trylock(&rw));
	EXPECT(!weft_rwmutex_tryrlock(&rw));
	weft_rwmutex_unlock(&rw);

	EXPECT(weft_rwmutex_tryrlock(&rw));
	EXPECT(weft_rwmutex_tryrlock(&rw));
	EXPECT(!weft_rwmutex_trylock(&rw));
	weft_rwmutex_runlock(&rw);
	EXPECT(!weft_rwmutex_trylock(&rw));

	/* One reader is inside. With a writer waiting there may be no more. */
	crew_start(&c, wait_and_write, &rw, 1, 0);
	await_waiting_writer(&rw);
	EXPECT(!weft_rwmutex_tryrlock(&rw));
	EXPECT(!weft_rwmutex_trylock(&rw));
	weft_rwmutex_runlock(&rw);
	crew_wait(&c);
	EXPECT(weft_rwmutex_trylock(&rw));
	weft_rwmutex_unlock(&rw);
}

/* A tryrlock that succeeds beside a waiting writer starves it. SCENARIOS 127. */
TEST(try_fails_when_it_would_have_to_wait)
{
	on_1_2_4_procs(try_table);
}

/* ---- Who goes first ---- */

struct order {
	weft_rwmutex rw;
	_Atomic int n;
	int writer_was, reader_was;
	_Atomic int about_to_read;
};

static void
ordered_writer(void *p)
{
	struct order *o = p;

	weft_rwmutex_lock(&o->rw);
	o->writer_was = atomic_fetch_add(&o->n, 1) + 1;
	weft_rwmutex_unlock(&o->rw);
}

static void
ordered_reader(void *p)
{
	struct order *o = p;

	atomic_store(&o->about_to_read, 1);
	weft_rwmutex_rlock(&o->rw);
	o->reader_was = atomic_fetch_add(&o->n, 1) + 1;
	weft_rwmutex_runlock(&o->rw);
}

static void
writer_then_reader(void)
{
	for (int n_threads = 0; n_threads <= 1; n_threads++) {
		struct order o = { 0 };
		struct crew a, b;

		weft_rwmutex_rlock(&o.rw);
		crew_start(&a, ordered_writer, &o, 1, n_threads);
		await_waiting_writer(&o.rw);
		crew_start(&b, ordered_reader, &o, 1, n_threads);
		await_count(&o.about_to_read, 1);
		weft_rwmutex_runlock(&o.rw);
		crew_wait(&a);
		crew_wait(&b);
		EXPECT_EQ(o.writer_was, 1);
		EXPECT_EQ(o.reader_was, 2);
	}
}

/* Readers that come and come would keep a writer out for ever. */
TEST(a_waiting_writer_goes_before_later_readers)
{
	on_1_2_4_procs(writer_then_reader);
}

static void
read_until(void *p)
{
	struct room *r = p;

	while (r->rounds > 0 && atomic_load(&r->tried) == 0) {
		weft_rwmutex_rlock(&r->rw);
		compute(50 * US);
		weft_rwmutex_runlock(&r->rw);
	}
}

static void
write_some(void *p)
{
	struct room *r = p;

	for (int i = 0; i < 10; i++) {
		weft_sleep(50 * US);
		weft_rwmutex_lock(&r->rw);
		weft_rwmutex_unlock(&r->rw);
	}
	atomic_store(&r->tried, 1);
}

static void
overlapping_readers(void)
{
	struct room r = { .rounds = 1 };
	struct crew a, b;
	int64_t start = weft_now();

	crew_start(&a, read_until, &r, 3, 1);
	crew_start(&b, write_some, &r, 1, 0);
	crew_wait(&b);
	crew_wait(&a);
	EXPECT(weft_now() - start < 10 * SECOND);
}

/* The same under load: three readers whose stays overlap without a gap. */
TEST(readers_without_a_gap_do_not_starve_a_writer)
{
	on_1_2_4_procs(overlapping_readers);
}

/* ---- Lifetime ---- */

struct object {
	weft_rwmutex rw;
	_Atomic int refs;
	_Atomic int *freed;
};

static void
drop(struct object *o, bool write)
{
	_Atomic int *freed = o->freed;
	bool last;

	if (write)
		weft_rwmutex_lock(&o->rw);
	else
		weft_rwmutex_rlock(&o->rw);
	last = atomic_fetch_sub(&o->refs, 1) == 1;
	if (write)
		weft_rwmutex_unlock(&o->rw);
	else
		weft_rwmutex_runlock(&o->rw);
	if (last) {
		memset(o, 0x5a, sizeof(*o));
		free(o);
		atomic_fetch_add(freed, 1);
	}
}

static void
drop_writing(void *p)
{
	drop(p, true);
}

static void
drop_reading(void *p)
{
	drop(p, false);
}

static void
last_one_frees(void)
{
	_Atomic int freed = 0;
	int rounds = scaled(6000);

	for (int i = 0; i < rounds; i++) {
		struct object *o = calloc(1, sizeof(*o));

		/* One reader at most: two may be inside at once, and none could free it then. */
		atomic_store(&o->refs, 3);
		o->freed = &freed;
		go(drop_writing, o);
		go(i % 2 == 0 ? drop_writing : drop_reading, o);
		drop(o, i % 4 != 2);
		if (i % 8 == 0)
			await_count(&freed, i + 1);
	}
	await_count(&freed, rounds);
}

/* As for the mutex: whoever drops the last reference frees it while others still leave. */
TEST(leaving_is_done_with_it_when_the_last_one_frees_it)
{
	on_1_2_4_procs(last_one_frees);
}

/* ---- Misuse ---- */

#define MISUSE(name, ...) \
	static void name(void *unused) \
	{ \
		static weft_rwmutex m; \
		(void)unused, (void)m; \
		__VA_ARGS__; \
	}

MISUSE(unlock_fresh, weft_rwmutex_unlock(&m))
MISUSE(unlock_read, weft_rwmutex_rlock(&m); weft_rwmutex_unlock(&m))
MISUSE(unlock_twice, weft_rwmutex_lock(&m); weft_rwmutex_unlock(&m); weft_rwmutex_unlock(&m))
MISUSE(runlock_fresh, weft_rwmutex_runlock(&m))
MISUSE(runlock_written, weft_rwmutex_lock(&m); weft_rwmutex_runlock(&m))
MISUSE(runlock_twice, weft_rwmutex_rlock(&m); weft_rwmutex_runlock(&m); weft_rwmutex_runlock(&m))
MISUSE(runlock_after_many_reads,
    for (int i = 0; i < 200000; i++) {
	    weft_rwmutex_rlock(&m);
	    weft_rwmutex_runlock(&m);
    }
    weft_rwmutex_runlock(&m);
    weft_rwmutex_lock(&m))
MISUSE(unlock_in_try, weft_try(unlock_fresh, NULL, NULL, 0))
MISUSE(runlock_in_try, weft_try(runlock_fresh, NULL, NULL, 0))

/* As with the mutex: the program is wrong about what it holds. SCENARIOS 121, all cases. */
TEST(unlock_of_unlocked_is_fatal)
{
	expect_death(unlock_fresh, "fatal error: sync: Unlock of unlocked RWMutex\n");
	expect_death(unlock_read, "fatal error: sync: Unlock of unlocked RWMutex\n");
	expect_death(unlock_twice, "fatal error: sync: Unlock of unlocked RWMutex\n");
	expect_death(unlock_in_try, "fatal error: sync: Unlock of unlocked RWMutex\n");
}

/* SCENARIOS 121, on the side of the readers. */
TEST(runlock_of_unlocked_is_fatal)
{
	expect_death(runlock_fresh, "fatal error: sync: RUnlock of unlocked RWMutex\n");
	expect_death(runlock_written, "fatal error: sync: RUnlock of unlocked RWMutex\n");
	expect_death(runlock_twice, "fatal error: sync: RUnlock of unlocked RWMutex\n");
	expect_death(runlock_in_try, "fatal error: sync: RUnlock of unlocked RWMutex\n");
	/* By the next writer at the latest. */
	expect_death(runlock_after_many_reads, "fatal error: sync: RUnlock of unlocked RWMutex\n");
}

static void
read_by_another(void *p)
{
	weft_rwmutex_rlock(p);
}

/* A read lock belongs to nobody: one takes it, another gives it back. */
TEST(another_may_runlock)
{
	weft_rwmutex rw = { 0 };

	crew_run(read_by_another, &rw, 2, 1);
	EXPECT(!weft_rwmutex_trylock(&rw));
	weft_rwmutex_runlock(&rw);
	weft_rwmutex_runlock(&rw);
	EXPECT(weft_rwmutex_trylock(&rw));
}
