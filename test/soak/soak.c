/*
 * All of weft at once, for as long as is wanted: tools/soak SECONDS. In rounds: a round starts a
 * crowd of goroutines that use everything, waits for all of them, and looks at what is left. What
 * must hold in each:
 *
 * - conservation: each job is done exactly once; what was armed has fired or was stopped; all that
 *   was written is read; nothing fires early;
 * - at the end of a round there are as many goroutines and descriptors as before, and when all is
 *   over no more memory and mappings than after the first rounds;
 * - no goroutine waits to run while a processor is idle, and no timer fires late: a thread of its
 *   own looks at the states all the time. It believes what it saw only as often as it got to
 *   look, and time is counted in its looks: on a machine that stands still nobody's wait is
 *   weft's fault.
 *
 * Each of these is seen to fail: WEFT_SOAK_PLANT names what goes wrong on purpose (plants, below;
 * test/tools/soak.sh), WEFT_SOAK_LOOKS how long it is borne.
 */
#define _GNU_SOURCE
#include <weft.h>

#include "test.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MS ((int64_t)1000000)
#define S (1000 * MS)

/*
 * So many looks, of a millisecond or more each, may work wait beside an idle processor, a timer be
 * late, and what a round leaves behind be on its way out. Nominally ten seconds, for an
 * hour beside anything; how much it was is told.
 */
static long borne = 10000;

enum { JOBS = 2000, WORKERS = 16, ECHOES = 20, TIMERS = 200, WAITERS = 100 };

static atomic_ulong rounds, jobs_done, bytes_echoed, armed, fired, stopped, recovered, cancelled;
static atomic_long looks, worst_idle, worst_late, worst_late_us;
static atomic_bool over;

/* What goes wrong once, or in each round from the second on. */
static bool
is_planted(const char *what)
{
	const char *wanted = getenv("WEFT_SOAK_PLANT");

	return wanted != NULL && strcmp(wanted, what) == 0 && atomic_load(&rounds) > 0;
}

static void
raise_to(atomic_long *most, long value)
{
	long old = atomic_load(most);

	while (value > old && !atomic_compare_exchange_weak(most, &old, value))
		continue;
}

static uint64_t
choose(uint64_t *state, uint64_t n)
{
	return test_rand(state) % n;
}

/* ---- Jobs through a channel, some of which panic, compute, or block their thread ---- */

struct pool {
	weft_chan *jobs, *results;
	weft_waitgroup workers;
	uint64_t seed;
};

static void
panic_now(void *arg)
{
	(void)arg;
	weft_panic("a bad request");
}

static void
work(void *arg)
{
	struct pool *p = arg;
	int job;

	while (weft_chan_recv(p->jobs, &job, WEFT_FOREVER) == 1) {
		int64_t until = weft_in(MS / 20);

		if (job % 50 == 7) {
			EXPECT_EQ(weft_try(panic_now, NULL, NULL, 0), 1);
			atomic_fetch_add(&recovered, 1);
		} else if (job % 50 == 11) {
			usleep(300);
		} else if (job % 50 == 13) {
			while (weft_now() < until)
				continue;
		} else if (job % 5 == 0) {
			weft_yield();
		}
		EXPECT_EQ(weft_chan_send(p->results, &job, WEFT_FOREVER), 0);
	}
	weft_waitgroup_done(&p->workers);
}

static void
hand_out(void *arg)
{
	struct pool *p = arg;

	for (int i = 0; i < JOBS; i++)
		EXPECT_EQ(weft_chan_send(p->jobs, &i, WEFT_FOREVER), 0);
	weft_chan_close(p->jobs);
	weft_waitgroup_wait(&p->workers, WEFT_FOREVER);
	weft_chan_close(p->results);
}

static void
run_jobs(void *arg)
{
	struct pool p = { .jobs = weft_chan_new(sizeof(int), (uintptr_t)arg % 30),
	    .results = weft_chan_new(sizeof(int), (uintptr_t)arg % 7) };
	unsigned char *seen = calloc(JOBS, 1);
	int job, n = 0;

	EXPECT(p.jobs != NULL && p.results != NULL && seen != NULL);
	seen[JOBS / 2] = is_planted("a job done twice");
	weft_waitgroup_add(&p.workers, WORKERS);
	for (int i = 0; i < WORKERS; i++)
		EXPECT_EQ(weft_go(work, &p), 0);
	EXPECT_EQ(weft_go(hand_out, &p), 0);
	for (; weft_chan_recv(p.results, &job, WEFT_FOREVER) == 1; n++) {
		EXPECT_EQ(seen[job], 0);
		seen[job] = 1;
	}
	EXPECT_EQ(n, JOBS);
	atomic_fetch_add(&jobs_done, JOBS);
	free(seen);
	weft_chan_unref(p.jobs);
	weft_chan_unref(p.results);
}

/* ---- Connections, and reads that are given up ---- */

static void
echo(void *arg)
{
	int fd = (int)(intptr_t)arg;
	char buffer[512];
	ssize_t n;

	while ((n = weft_read(fd, buffer, sizeof(buffer), WEFT_FOREVER)) > 0)
		EXPECT_EQ(weft_write(fd, buffer, (size_t)n, WEFT_FOREVER), n);
	EXPECT_EQ(weft_close(fd), 0);
}

static void
run_echo(void *arg)
{
	uint64_t seed = (uintptr_t)arg;
	char out[300], in[300];
	int fds[2];

	EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
	EXPECT_EQ(weft_go(echo, (void *)(intptr_t)fds[1]), 0);
	for (int i = 0; i < 50; i++) {
		size_t n = 1 + choose(&seed, sizeof(out) - 1), got = 0;

		memset(out, (int)choose(&seed, 256), n);
		if (choose(&seed, 4) == 0)
			EXPECT_EQ(weft_read(fds[0], in, 1, WEFT_NOW), -ETIMEDOUT);
		EXPECT_EQ(weft_write(fds[0], out, n, WEFT_FOREVER), (ssize_t)n);
		while (got < n) {
			ssize_t r = weft_read(fds[0], in + got, n - got, WEFT_FOREVER);

			EXPECT(r > 0);
			got += (size_t)r;
		}
		EXPECT_EQ(memcmp(in, out, n), 0);
		atomic_fetch_add(&bytes_echoed, n);
	}
	EXPECT_EQ(weft_close(fds[0]), 0);
}

/* ---- Timers, and waits that a scope ends ---- */

struct alarm {
	int64_t due;
	long due_look;	/* a look takes a millisecond or more: no later than this one */
	weft_waitgroup *all;
};

static void
ring(void *arg)
{
	struct alarm *a = arg;
	int64_t now = weft_now();
	long late;

	EXPECT(now >= a->due);
	raise_to(&worst_late_us, (long)((now - a->due) / 1000));
	while (is_planted("a late timer") && atomic_load(&looks) < a->due_look + borne)
		weft_sleep(MS);
	late = atomic_load(&looks) - a->due_look;
	raise_to(&worst_late, late);
	if (late >= borne)
		FAIL("a timer fires %ld looks late", late);
	atomic_fetch_add(&fired, !is_planted("a timer that is lost"));
	weft_waitgroup_done(a->all);
}

static void
run_timers(void *arg)
{
	uint64_t seed = (uintptr_t)arg;
	weft_timer *timers[TIMERS];
	struct alarm *alarms = calloc(TIMERS, sizeof(*alarms));
	weft_waitgroup all = { 0 };

	EXPECT(alarms != NULL);
	weft_waitgroup_add(&all, TIMERS);
	for (int i = 0; i < TIMERS; i++) {
		int64_t wait = (int64_t)choose(&seed, 20 * MS);

		alarms[i] = (struct alarm){ .due = weft_in(wait), .all = &all,
		    .due_look = atomic_load(&looks) + wait / MS + 1 };
		timers[i] = weft_timer_new(alarms[i].due, 0, ring, &alarms[i]);
		EXPECT(timers[i] != NULL);
		atomic_fetch_add(&armed, 1);
	}
	for (int i = 0; i < TIMERS; i += 2) {
		if (weft_timer_stop(timers[i])) {
			atomic_fetch_add(&stopped, 1);
			weft_waitgroup_done(&all);
		}
		if (choose(&seed, 10) == 0)
			weft_sleep((int64_t)choose(&seed, MS));
	}
	weft_waitgroup_wait(&all, WEFT_FOREVER);
	for (int i = 0; i < TIMERS; i++)
		weft_timer_free(timers[i]);
	free(alarms);
}

static weft_chan *never;

static int
wait_in_scope(void *arg)
{
	weft_case c = WEFT_RECV(never, NULL);

	if ((uintptr_t)arg % 2 == 0)
		EXPECT_EQ(weft_chan_recv(never, NULL, WEFT_FOREVER), -ECANCELED);
	else
		EXPECT_EQ(weft_select(&c, 1, WEFT_FOREVER), -ECANCELED);
	atomic_fetch_add(&cancelled, 1);
	return 0;
}

static void
run_scope(void *arg)
{
	weft_scope *s = weft_scope_new(NULL, (uintptr_t)arg % 2 ? weft_in(5 * MS) : WEFT_FOREVER);

	EXPECT(s != NULL);
	for (uintptr_t i = 0; i < WAITERS; i++) {
		int r = weft_scope_go(s, wait_in_scope, (void *)i);

		EXPECT(r == 0 || r == -ECANCELED);	/* its time may have come by now */
	}
	if ((uintptr_t)arg % 2 == 0)
		weft_scope_cancel(s, -ECANCELED);
	(void)weft_scope_wait(s, WEFT_FOREVER);
	weft_scope_free(s);
}

/* ---- What is looked at ---- */

static uint64_t
figure(const weft_metric *m, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(m[i].name, name) == 0)
			return m[i].value;
	FAIL("no metric %s", name);
}

/* A processor idles, work waits: look after look. Nobody else says so, so it is seen for sure. */
static void *
watch(void *arg)
{
	const struct timespec moment = { 0, 1000000 };
	weft_metric m[64];
	long stuck = 0;

	(void)arg;
	while (!atomic_load(&over)) {
		size_t n = weft_metrics_read(m, 64);

		if ((figure(m, n, "/weft/sched/idle:processors") > 0 &&
		    figure(m, n, "/sched/goroutines/runnable:goroutines") > 0) ||
		    is_planted("an idle processor"))
			stuck++;
		else
			stuck = 0;
		raise_to(&worst_idle, stuck);
		if (stuck >= borne) {
			weft_dump(2);
			FAIL("work waits beside an idle processor since %ld looks", stuck);
		}
		nanosleep(&moment, NULL);
		atomic_fetch_add(&looks, 1);
	}
	return NULL;
}

struct left {
	long goroutines, descriptors, threads, mappings, rss_kb;
};

static long
entries(const char *path)
{
	DIR *d = opendir(path);
	long n = 0;

	EXPECT(d != NULL);
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}

static struct left
look(void)
{
	struct left l = { .goroutines = (long)weft_numgoroutine(),
	    .descriptors = entries("/proc/self/fd"), .threads = entries("/proc/self/task") };
	FILE *f = fopen("/proc/self/maps", "r");
	long total;
	int c;

	EXPECT(f != NULL);
	while ((c = getc(f)) != EOF)
		l.mappings += c == '\n';
	fclose(f);
	f = fopen("/proc/self/statm", "r");
	EXPECT(f != NULL);
	EXPECT_EQ(fscanf(f, "%ld %ld", &total, &l.rss_kb), 2);
	fclose(f);
	l.rss_kb *= sysconf(_SC_PAGESIZE) / 1024;
	return l;
}

static void
run_round(uint64_t *seed)
{
	static void (*const parts[])(void *) = { run_jobs, run_timers, run_scope };
	weft_waitgroup group = { 0 };

	for (size_t i = 0; i < 6; i++)
		EXPECT_EQ(weft_waitgroup_go(&group, parts[i % 3],
		    (void *)(uintptr_t)test_rand(seed)), 0);
	for (int i = 0; i < ECHOES; i++)
		EXPECT_EQ(weft_waitgroup_go(&group, run_echo,
		    (void *)(uintptr_t)test_rand(seed)), 0);
	if (choose(seed, 3) == 0)
		weft_gomaxprocs(1 + (int)choose(seed, 4));
	weft_waitgroup_wait(&group, WEFT_FOREVER);
	atomic_fetch_add(&rounds, 1);
}

static void
stay(void *arg)
{
	(void)arg;
	weft_chan_recv(never, NULL, WEFT_FOREVER);
}

/* What a round is to leave behind, if it is asked for. */
static void
leave_behind(void)
{
	enum { TOO_MUCH = 32 << 20, TOO_MANY = 20 };
	char *p;

	if (is_planted("a goroutine"))
		EXPECT_EQ(weft_go(stay, NULL), 0);
	if (is_planted("a descriptor"))
		EXPECT(dup(0) >= 0);
	if (is_planted("memory")) {
		p = malloc(TOO_MUCH);
		EXPECT(p != NULL);
		memset(p, 1, TOO_MUCH);
	}
	for (int i = 0; i < 2 * TOO_MANY && is_planted("mappings"); i++)
		EXPECT(mmap(NULL, 4096, i % 2 ? PROT_READ : PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
		    -1, 0) != MAP_FAILED);
}

/* The last of a round are on their way out when those that waited for them go on. */
static struct left
look_at_rest(const struct left *first)
{
	long until = atomic_load(&looks) + borne;
	struct left l;

	leave_behind();
	for (l = look(); l.goroutines > 1 ||
	    (first != NULL && l.descriptors > first->descriptors); l = look()) {
		if (atomic_load(&looks) > until) {
			weft_dump(2);
			FAIL("a round leaves %ld goroutines and %ld descriptors", l.goroutines,
			    l.descriptors);
		}
		weft_sleep(MS);
	}
	return l;
}

static void
tell(int64_t began, const struct left *l)
{
	printf("%5lld s %6lu rounds: %ld goroutines, %ld descriptors, %ld threads, %ld mappings, "
	    "%ld KiB; %lu jobs, %lu timers, %lu cancelled; late by %ld us or "
	    "%ld looks, idle for %ld looks\n",
	    (long long)((weft_now() - began) / S), atomic_load(&rounds), l->goroutines,
	    l->descriptors, l->threads, l->mappings, l->rss_kb, atomic_load(&jobs_done),
	    atomic_load(&armed), atomic_load(&cancelled), atomic_load(&worst_late_us),
	    atomic_load(&worst_late), atomic_load(&worst_idle));
	fflush(stdout);
}

/* Everything at once, WEFT_SOAK_SECONDS long. */
TEST(everything_at_once)
{
	const char *wanted = getenv("WEFT_SOAK_SECONDS");
	int64_t seconds = wanted != NULL ? atoll(wanted) : 1, began = weft_now(), told = began;
	uint64_t seed = test_seed();
	struct left first, warm, last;
	pthread_t watcher;

	if (getenv("WEFT_SOAK_LOOKS") != NULL)
		borne = atol(getenv("WEFT_SOAK_LOOKS"));
	never = weft_chan_new(0, 0);
	weft_gomaxprocs(4);
	EXPECT_EQ(pthread_create(&watcher, NULL, watch, NULL), 0);
	run_round(&seed);
	first = look_at_rest(NULL);
	for (int i = 0; i < 3 || weft_now() - began < seconds * S / 5; i++)
		run_round(&seed);
	warm = look_at_rest(&first);
	tell(began, &warm);
	for (int i = 0; i < 3 || weft_now() - began < seconds * S; i++) {
		run_round(&seed);
		last = look_at_rest(&first);
		if (weft_now() - told > 10 * S) {
			told = weft_now();
			tell(began, &last);
		}
	}
	tell(began, &last);
	atomic_store(&over, true);
	pthread_join(watcher, NULL);
	EXPECT_EQ(atomic_load(&fired) + atomic_load(&stopped), atomic_load(&armed));
	/* What malloc(3) keeps moves a little; a leak of a byte a goroutine does so for ever. */
	if (last.rss_kb > warm.rss_kb + warm.rss_kb / 4 + 8192)
		FAIL("from %ld to %ld KiB", warm.rss_kb, last.rss_kb);
	if (last.mappings > warm.mappings + 64)
		FAIL("from %ld to %ld mappings", warm.mappings, last.mappings);
	weft_chan_unref(never);
}
