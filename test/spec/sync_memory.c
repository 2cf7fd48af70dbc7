/*
 * What was written before a lock is given is seen after it is got: with plain variables, so that
 * TSan says so too. SCENARIOS 150, for each type. (148 and 151: test/unit/base_atomic.c.)
 */
#include "sync_util.h"

struct post {
	weft_mutex m;
	weft_rwmutex rw;
	weft_cond c;
	weft_waitgroup wg;
	weft_sem s;
	weft_once once;
	long data[8];		/* plain, on more than one line of memory with what follows */
	char gap[256];
	long flag;		/* plain */
	int rounds;
};

/* Writer and reader take turns by the plain flag: 0 writer's, 1 reader's. */

static void
write_data(struct post *p, int i)
{
	for (int k = 0; k < 8; k++)
		p->data[k] = i * 10 + k;
}

static void
expect_data(const struct post *p, int i)
{
	for (int k = 0; k < 8; k++)
		EXPECT_EQ(p->data[k], i * 10 + k);
}

#define TAKE_TURNS(name, lock, unlock) \
	static void name##_writer(void *arg) \
	{ \
		struct post *p = arg; \
		for (int i = 0; i < p->rounds;) { \
			lock; \
			if (p->flag == 0) { \
				write_data(p, i++); \
				p->flag = 1; \
			} \
			unlock; \
			weft_yield(); \
		} \
	} \
	static void name##_reader(void *arg) \
	{ \
		struct post *p = arg; \
		for (int i = 0; i < p->rounds;) { \
			lock; \
			if (p->flag == 1) { \
				expect_data(p, i++); \
				p->flag = 0; \
			} \
			unlock; \
			weft_yield(); \
		} \
	} \
	static void name##_turns(void) \
	{ \
		for (int n_threads = 0; n_threads <= 1; n_threads++) { \
			struct post p = { .rounds = scaled(500) }; \
			struct crew a, b; \
			weft_sem_init(&p.s, 1); \
			crew_start(&a, name##_writer, &p, 1, n_threads); \
			crew_start(&b, name##_reader, &p, 1, 0); \
			crew_wait(&a); \
			crew_wait(&b); \
		} \
	}

TAKE_TURNS(mutex, weft_mutex_lock(&p->m), weft_mutex_unlock(&p->m))
TAKE_TURNS(trylock, while (!weft_mutex_trylock(&p->m)) weft_yield(), weft_mutex_unlock(&p->m))
TAKE_TURNS(until, while (weft_mutex_lock_until(&p->m, weft_in(5 * US)) != 0) continue,
    weft_mutex_unlock(&p->m))
TAKE_TURNS(rwmutex, weft_rwmutex_lock(&p->rw), weft_rwmutex_unlock(&p->rw))
TAKE_TURNS(sem, (void)weft_sem_acquire(&p->s, 1, WEFT_FOREVER), weft_sem_release(&p->s, 1))

/* SCENARIOS 150. */
TEST(what_a_lock_guards_is_seen_by_the_next_owner)
{
	on_1_2_4_procs(mutex_turns);
	on_1_2_4_procs(trylock_turns);
	on_1_2_4_procs(until_turns);
	on_1_2_4_procs(rwmutex_turns);
	on_1_2_4_procs(sem_turns);
}

/*
 * ---- Readers: what they read is not written under them, what they saw is over for the writer
 * ----
 */

static void
rw_read(void *arg)
{
	struct post *p = arg;

	for (int i = 0; i < p->rounds; i++) {
		if (i % 3 != 0 || !weft_rwmutex_tryrlock(&p->rw))
			weft_rwmutex_rlock(&p->rw);
		expect_data(p, (int)(p->data[0] / 10));
		weft_rwmutex_runlock(&p->rw);
	}
}

static void
rw_write(void *arg)
{
	struct post *p = arg;

	for (int i = 0; i < p->rounds; i++) {
		if (i % 3 != 0 || !weft_rwmutex_trylock(&p->rw))
			weft_rwmutex_lock(&p->rw);
		write_data(p, (int)(p->data[0] / 10) + 1);
		weft_rwmutex_unlock(&p->rw);
	}
}

static void
readers_and_writers(void)
{
	struct post p = { .rounds = scaled(1000) };
	struct crew a, b;

	write_data(&p, 0);
	crew_start(&a, rw_read, &p, 4, 1);
	crew_start(&b, rw_write, &p, 2, 1);
	crew_wait(&a);
	crew_wait(&b);
	EXPECT_EQ(p.data[0] / 10, 2 * p.rounds);
}

/* SCENARIOS 150. */
TEST(readers_see_whole_writes)
{
	on_1_2_4_procs(readers_and_writers);
}

/*
 * One reader and one writer that rarely meet: no queue, no wake, nothing that would order them but
 * the word of the rwmutex.
 */

static void
read_now_and_then(void *arg)
{
	struct post *p = arg;

	for (int i = 0; i < p->rounds; i++) {
		weft_rwmutex_rlock(&p->rw);
		expect_data(p, (int)(p->data[0] / 10));
		weft_rwmutex_runlock(&p->rw);
		compute((i % 7 + 1) * US);
	}
}

static void
write_now_and_then(void *arg)
{
	struct post *p = arg;

	for (int i = 0; i < p->rounds; i++) {
		weft_rwmutex_lock(&p->rw);
		write_data(p, i);
		weft_rwmutex_unlock(&p->rw);
		compute((i % 5 + 1) * US);
	}
}

static void
rare_meetings(void)
{
	struct post p = { .rounds = scaled(2000) };
	struct crew a, b;

	write_data(&p, 0);
	crew_start(&a, read_now_and_then, &p, 1, 1);
	crew_start(&b, write_now_and_then, &p, 1, 1);
	crew_wait(&a);
	crew_wait(&b);
}

/* SCENARIOS 150. */
TEST(a_writer_comes_after_the_readers_that_left)
{
	on_1_2_4_procs(rare_meetings);
}

/* ---- WaitGroup and once: many write, one reads, and the other way round ---- */

struct slot {
	struct post *p;
	int i;
};

static void
fill_slot(void *arg)
{
	struct slot *s = arg;

	s->p->data[s->i] = s->i * 3;
	weft_waitgroup_done(&s->p->wg);
}

static void
init_data(void *arg)
{
	write_data(arg, 77);
}

static void
use_data(void *arg)
{
	struct post *p = arg;

	weft_once_do(&p->once, init_data, p);
	expect_data(p, 77);
}

static void
gather(void)
{
	for (int round = 0; round < scaled(300); round++) {
		struct post p = { .rounds = 0 };
		struct slot s[8];

		for (int i = 0; i < 8; i++) {
			s[i] = (struct slot) { &p, i };
			weft_waitgroup_add(&p.wg, 1);
			go(fill_slot, &s[i]);
		}
		EXPECT_EQ(weft_waitgroup_wait(&p.wg, WEFT_FOREVER), 0);
		for (int i = 0; i < 8; i++)
			EXPECT_EQ(p.data[i], i * 3);
		crew_run(use_data, &p, 4, round % 16 == 0 ? 2 : 0);
	}
}

/* SCENARIOS 150. */
TEST(what_was_done_is_seen_by_who_waited)
{
	on_1_2_4_procs(gather);
}

/* ---- Cond: what is written before a signal without the mutex ---- */

static void
signal_after_write(void *arg)
{
	struct post *p = arg;

	weft_mutex_lock(&p->m);
	weft_mutex_unlock(&p->m);
	/* The waiter waits. It touches neither data nor flag until it is woken. */
	write_data(p, 5);
	weft_cond_signal(&p->c);
}

static void
wait_for_signal(void)
{
	for (int round = 0; round < scaled(300); round++) {
		struct post p = { .rounds = 0 };
		struct crew c;

		weft_mutex_lock(&p.m);
		crew_start(&c, signal_after_write, &p, 1, round % 16 == 0 ? 1 : 0);
		EXPECT_EQ(weft_cond_wait(&p.c, &p.m, WEFT_FOREVER), 0);
		expect_data(&p, 5);
		weft_mutex_unlock(&p.m);
		crew_wait(&c);
	}
}

/* SCENARIOS 150. */
TEST(what_was_written_before_a_signal_is_seen_after_the_wait)
{
	on_1_2_4_procs(wait_for_signal);
}

/* ---- Sem: permits that take a detour ---- */

static void
write_and_release(void *arg)
{
	struct post *p = arg;

	write_data(p, 9);
	weft_sem_release(&p->s, 1);
}

static void
ask_for_both_and_give_up(void *arg)
{
	struct post *p = arg;

	EXPECT_EQ(weft_sem_acquire(&p->s, 2, weft_in(5 * MS)), -ETIMEDOUT);
}

/* SCENARIOS 150: given while a large waiter is in the way, which then leaves and passes them on. */
TEST(what_was_written_before_a_release_is_seen_through_a_waiter_that_left)
{
	for (int round = 0; round < 10; round++) {
		struct post p = { .rounds = 0 };
		struct crew a, b;

		weft_sem_init(&p.s, 2);
		EXPECT(weft_sem_tryacquire(&p.s, 2));
		crew_start(&a, ask_for_both_and_give_up, &p, 1, 1);
		weft_sleep(1 * MS);
		crew_start(&b, write_and_release, &p, 1, 1);
		while (!weft_sem_tryacquire(&p.s, 1))
			weft_yield();
		expect_data(&p, 9);
		crew_wait(&a);
		crew_wait(&b);
	}
}

static void
release_later(void *arg)
{
	struct post *p = arg;

	weft_sleep(6 * MS);
	weft_sem_release(&p->s, 1);
}

static void
ask_for_both(void *arg)
{
	struct post *p = arg;

	weft_sleep(3 * MS);
	EXPECT_EQ(weft_sem_acquire(&p->s, 2, WEFT_FOREVER), 0);
	expect_data(p, 9);
}

/* SCENARIOS 150: of two givers the first met nobody; the second passes both permits on. */
TEST(what_was_written_before_each_release_is_seen_by_who_gets_both)
{
	for (int round = 0; round < 10; round++) {
		struct post p = { .rounds = 0 };
		struct crew a, b, c;

		weft_sem_init(&p.s, 2);
		EXPECT(weft_sem_tryacquire(&p.s, 2));
		crew_start(&a, ask_for_both, &p, 1, 1);
		crew_start(&b, release_later, &p, 1, 1);
		crew_start(&c, write_and_release, &p, 1, 1);
		crew_wait(&a);
		crew_wait(&b);
		crew_wait(&c);
	}
}
