/*
 * The calls of <weft/profile.h>: all goroutines as they are now, and waits as they were met.
 */
#include <weft/profile.h>
#include "debug/dump.h"
#include "debug/profile_table.h"
#include "debug/reach.h"
#include "os/os.h"
#include "sched/event.h"
#include "sched/go.h"
#include "sched/hooks.h"
#include "sched/lock.h"
#include "sched/sched.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LEAK_NS ((int64_t)60000000000)

/* ---- waits ---- */

/*
 * The settings are only read by chance of who waits: relaxed. wf_trace.waits says that one of them
 * is on; its other flags are set at the start only.
 */
static struct {
	_Atomic int64_t block_rate;	/* ns; 0 = off */
	_Atomic int mutex_fraction;	/* 0 = off */
	struct wf_lock lock;
	struct profile_table block, mutex;	/* under lock */
} waits;

static void
update_switch(void)
{
	uint8_t others = (uint8_t)(wf_load_relaxed(&wf_trace.waits) & ~WAITS_PROFILED);
	bool is_on = wf_load_relaxed(&waits.block_rate) != 0 ||
	    wf_load_relaxed(&waits.mutex_fraction) != 0;

	wf_store_relaxed(&wf_trace.waits, (uint8_t)(others | (is_on ? WAITS_PROFILED : 0)));
}

void
wf_profile_each_table(void (*fn)(uintptr_t lo, uintptr_t hi, void *arg), void *arg)
{
	const struct profile_table *all[] = {&waits.block, &waits.mutex};

	wf_lock(&waits.lock);
	for (size_t i = 0; i < wf_countof(all); i++)
		fn((uintptr_t)all[i]->samples, (uintptr_t)(all[i]->samples + all[i]->cap), arg);
	wf_unlock(&waits.lock);
}

static void
add(struct profile_table *t, const uintptr_t *pcs, uint32_t n, int64_t count, int64_t ns)
{
	wf_lock(&waits.lock);
	wf_profile_table_add(t, pcs, n, "", NULL, count, ns);
	wf_unlock(&waits.lock);
}

/* A short wait is taken by chance, and then counts for all that were not. */
static void
add_block(const uintptr_t *pcs, uint32_t n, int64_t ns, int64_t rate)
{
	int64_t count = 1;

	if (ns < rate) {
		if ((int64_t)(wf_rand_fast() % (uint64_t)wf_min(rate, (int64_t)UINT32_MAX)) >= ns)
			return;
		count = rate / wf_max(ns, (int64_t)1);
		ns = rate;
	}
	add(&waits.block, pcs, n, count, ns);
}

int64_t
wf_wait_begins(enum wf_wait_reason reason)
{
	uint8_t heard = wf_load_relaxed(&wf_trace.waits);

	if (heard & WAITS_LINTED)
		wf_lint_wait(reason);
	return heard & WAITS_PROFILED ? wf_os_now() : 0;
}

void
wf_profile_waited(enum wf_wait_reason reason, int64_t since)
{
	int64_t ns = wf_os_now() - since, rate = wf_load_relaxed(&waits.block_rate);
	int fraction = wf_load_relaxed(&waits.mutex_fraction);
	bool is_mutex = reason == WAIT_MUTEX || reason == WAIT_RWMUTEX_R ||
	    reason == WAIT_RWMUTEX_W;
	uintptr_t pcs[PROFILE_FRAMES];
	uint32_t n;

	if (reason == WAIT_SLEEP || reason == WAIT_IO || reason == WAIT_LOOKUP)
		return;
	n = wf_walk_frames(wf_g(), pcs, PROFILE_FRAMES);
	if (rate != 0)
		add_block(pcs, n, ns, rate);
	if (is_mutex && fraction != 0 && wf_rand_fast() % (uint32_t)fraction == 0)
		add(&waits.mutex, pcs, n, fraction, ns * fraction);
}

void
weft_profile_block_rate(int64_t ns)
{
	(void)wf_enter();
	wf_store_relaxed(&waits.block_rate, wf_max(ns, (int64_t)0));
	update_switch();
	wf_leave();
}

int
weft_profile_mutex_fraction(int n)
{
	int old;

	(void)wf_enter();
	old = wf_xchg_relaxed(&waits.mutex_fraction, wf_max(n, 0));
	update_switch();
	wf_leave();
	return old;
}

/* A copy of the table, so that nobody waits for the descriptor. */
static int
write_waits(const struct profile_table *t, int fd)
{
	static const struct profile_kind kind = {
		.type = { "contentions", "delay" }, .unit = { "count", "nanoseconds" },
		.period_type = "contentions", .period_unit = "count", .period = 1,
	};
	struct profile_table copy;
	bool ok;
	int r;

	wf_lock(&waits.lock);
	ok = wf_profile_table_copy(t, &copy);
	wf_unlock(&waits.lock);
	if (!ok)
		return -ENOMEM;
	r = wf_profile_table_write(&copy, &kind, fd);
	wf_profile_table_free(&copy);
	return r;
}

/* ---- goroutines ---- */

struct snapshot {
	struct dump dump;
	struct profile_table table;
	struct reach *reach;		/* who is leaked for certain; NULL: not known */
	int64_t blocked_ns;		/* those, and who is leaked; -1: all */
	int64_t now;
	struct label_text labels;	/* of the goroutine that is being added */
};

/* Of a goroutine that may end meanwhile: a copy; NULL for none. False: no memory. */
static bool
labels_of(struct snapshot *s, const struct g *g, const struct g *copy, struct wf_tags **ret)
{
	*ret = NULL;
	if (!wf_labels_copy(g, copy, &s->labels))
		return true;
	*ret = wf_labels_new(s->labels.n, s->labels.text, s->labels.bytes);
	return *ret != NULL;
}

static void
add_goroutine(struct g *g, void *arg)
{
	struct snapshot *s = arg;
	uintptr_t pcs[PROFILE_FRAMES];
	char name[PROFILE_NAME] = "";
	struct wf_tags *labels;
	bool is_leaked;
	struct g copy;
	uint32_t n;

	if (!wf_dump_snapshot(&s->dump, g, &copy, pcs, PROFILE_FRAMES, &n))
		return;
	is_leaked = s->reach != NULL && wf_reach_is_leaked(s->reach, g, &copy);
	if (s->blocked_ns >= 0 && !is_leaked &&
	    (g == s->dump.self || !wf_dump_is_blocked(&copy, s->now, s->blocked_ns)))
		return;
	if (n == 0) {
		/* It runs, or has not run yet: where it begins is known. */
		pcs[0] = wf_dump_began_with(&copy) + 1;
		n = pcs[0] > 1;
	}
	wf_dump_name(&copy, name, sizeof(name));
	if (!labels_of(s, g, &copy, &labels)) {
		s->table.lost++;
		return;
	}
	wf_profile_table_add(&s->table, pcs, n, name, labels, 1,
	    s->now - wf_load_relaxed(&copy.since));
	wf_labels_unref(labels);
}

#define LEAK \
	.type = { "goroutine", "delay" }, .unit = { "count", "nanoseconds" }, \
	.period_type = "goroutine", .period_unit = "count", .period = 1
#define ONLY_LONG " so only goroutines that have waited for long are told"

/* Who is leaked for certain. Returns what the profile is, which says so if that is not known. */
static const struct profile_kind *
find_leaked(struct snapshot *s)
{
	static const struct profile_kind whole = { LEAK };
	static const struct profile_kind late = { LEAK, .comment = "incomplete: the search for "
	    "references took longer than it may (WEFT_DEBUG=leaksearch=MS)," ONLY_LONG };
	static const struct profile_kind unable = { LEAK, .comment = "incomplete: memory could not "
	    "be searched for references," ONLY_LONG };
	int64_t ms;
	bool is_late;

	(void)wf_enter();	/* it reads WEFT_DEBUG the first time */
	ms = wf_sched.debug.leak_search_ms;
	wf_leave();
	s->reach = wf_reach_find(wf_os_now() + ms * 1000000, &is_late);
	return s->reach != NULL ? &whole : is_late ? &late : &unable;
}

static int
write_goroutines(int fd, int64_t blocked_ns, bool as_text)
{
	static const struct profile_kind all = {
		.type = { "goroutine" }, .unit = { "count" },
		.period_type = "goroutine", .period_unit = "count", .period = 1,
	};
	/* Not of malloc's: what it has held would be found by the next search for references. */
	struct snapshot *s = wf_os_map(sizeof(*s));
	const struct profile_kind *kind = &all;
	int r;

	if (s == NULL)
		return -ENOMEM;
	if (blocked_ns >= 0)
		kind = find_leaked(s);
	(void)wf_enter();
	wf_dump_init(&s->dump, -1);
	s->dump.self = wf_g();
	wf_leave();
	s->blocked_ns = blocked_ns;
	s->now = wf_os_now();
	wf_g_each(add_goroutine, s);
	r = s->table.lost != 0 ? -ENOMEM
	    : as_text ? wf_profile_table_print(&s->table, "goroutine", fd)
	    : wf_profile_table_write(&s->table, kind, fd);
	wf_dump_fini(&s->dump);
	wf_profile_table_free(&s->table);
	wf_reach_free(s->reach);
	wf_os_unmap(s, sizeof(*s));
	return r;
}

int
wf_profile_goroutines_print(int fd)
{
	return write_goroutines(fd, -1, true);
}

WF_API_PARKS int
weft_profile_leak(int fd, int64_t ns)
{
	return write_goroutines(fd, wf_max(ns, (int64_t)0), false);
}

WF_API_PARKS int
weft_profile_write(const char *name, int fd)
{
	if (strcmp(name, "goroutine") == 0)
		return write_goroutines(fd, -1, false);
	if (strcmp(name, "leak") == 0)
		return write_goroutines(fd, LEAK_NS, false);
	(void)wf_enter();
	wf_leave();
	if (strcmp(name, "block") == 0)
		return write_waits(&waits.block, fd);
	if (strcmp(name, "mutex") == 0)
		return write_waits(&waits.mutex, fd);
	return -ENOENT;
}
