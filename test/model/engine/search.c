/*
 * Which execution next: all of them with sleep sets, all with few preemptions, at random, PCT.
 * Every decision of an execution is one mc_pick(), so a list of numbers is an execution.
 */
#include "engine.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

unsigned
mc_random(unsigned n)
{
	/* xorshift64*, as src/base/rand.h. */
	mc.random ^= mc.random >> 12;
	mc.random ^= mc.random << 25;
	mc.random ^= mc.random >> 27;
	return (unsigned)(((mc.random * 0x2545f4914f6cdd1du >> 32) * n) >> 32);
}

static unsigned
at_random(enum pick kind, unsigned n, unsigned hint)
{
	switch (kind) {
	case PICK_THREAD:
		if (mc.strategy == BY_PCT)
			return hint;
		return mc_random(8) < mc.stickiness ? 0 : mc_random(n);
	case PICK_STORE:
	case PICK_PLACE:
		return mc_random(4) != 0 ? 0 : mc_random(n);
	default:
		return mc_random(n);
	}
}

unsigned
mc_decide(enum pick kind, unsigned n, unsigned hint)
{
	unsigned at = mc.depth, c = 0;

	if (n <= 1)
		return 0;
	if (at + 1 >= MC_CHOICES)
		mc_end(RUN_CUT);
	mc.depth++;
	if (at < mc.prefix)
		c = wf_min((unsigned)mc.trail[at].c, n - 1);
	else if (mc.strategy == BY_RANDOM || mc.strategy == BY_PCT)
		c = at_random(kind, n, hint);
	mc.trail[at] = (struct choice){ (uint16_t)n, (uint16_t)c };
	return c;
}

void
mc_record(unsigned n_all, unsigned c)
{
	if (n_all <= 1)
		return;
	if (mc.n_recorded >= MC_CHOICES)
		mc_end(RUN_CUT);
	mc.record[mc.n_recorded++] = (struct choice){ (uint16_t)n_all, (uint16_t)c };
}

unsigned
mc_pick(enum pick kind, unsigned n, unsigned hint)
{
	unsigned c = mc_decide(kind, n, hint);

	mc_record(n, c);
	return c;
}

/* ---- Systematic ---- */

/* Makes the next prefix out of the last trail. False: there is none. */
static bool
backtrack(void)
{
	unsigned d = mc.depth;

	while (d > 0 && mc.trail[d - 1].c + 1 >= mc.trail[d - 1].n)
		d--;
	if (d == 0)
		return false;
	mc.trail[d - 1].c++;
	mc.prefix = d;
	return true;
}

struct tally {
	unsigned runs, cut, pruned;
	bool is_complete;
};

/* Returns whether something failed. */
static bool
systematic(const struct mc_scenario *s, enum strategy by, unsigned runs, struct tally *t)
{
	*t = (struct tally){ 0 };
	mc.strategy = by;
	mc.prefix = 0;
	mc.is_truncated = false;
	while (t->runs < runs) {
		enum outcome o = mc_execute(s);

		t->runs++;
		if (o == RUN_FAILED)
			return true;
		t->cut += o == RUN_CUT;
		t->pruned += o == RUN_PRUNED;
		if (!backtrack()) {
			t->is_complete = t->cut == 0 && !mc.is_truncated;
			break;
		}
	}
	return false;
}

/* ---- By chance ---- */

static void
seed_run(unsigned i, uint64_t seed)
{
	mc.random = (seed + i + 1) * 0x9e3779b97f4a7c15u;
	mc.random ^= mc.random >> 29;
	mc.stickiness = (unsigned[]){ 0, 4, 6, 7 }[i % 4];
	for (unsigned k = 0; k < wf_countof(mc.change_at); k++)
		mc.change_at[k] = UINT32_MAX;
	/* Depth 2, 3 or 4: that many change points less one. */
	for (unsigned k = 0; mc.strategy == BY_PCT && k <= i % 3; k++)
		mc.change_at[k] = 1 + mc_random(mc.length + 1);
}

static uint64_t
first_seed(void)
{
	const char *text = getenv("WEFT_MODEL_SEED");

	return text != NULL ? strtoull(text, NULL, 0) * 0x10001 : 0;
}

static bool
by_chance(const struct mc_scenario *s, enum strategy by, unsigned runs, struct tally *t)
{
	uint64_t seed = first_seed();

	*t = (struct tally){ 0 };
	mc.strategy = by;
	mc.prefix = 0;
	while (t->runs < runs) {
		enum outcome o;

		seed_run(t->runs++, seed);
		o = mc_execute(s);
		if (o == RUN_FAILED)
			return true;
		t->cut += o == RUN_CUT;
	}
	/* Chance is fair to all threads: what does not end then does not end. */
	if (by == BY_RANDOM && t->cut > t->runs / 100) {
		(void)snprintf(mc.failure, sizeof(mc.failure),
		    "livelock: %u of %u executions did not end", t->cut, t->runs);
		return true;
	}
	return false;
}

/* ---- Outcomes ---- */

/* The place of a word in a list of them, from 0; -1: it has none. */
static int
place_of(const char *word, const char *list)
{
	size_t n = strlen(word);

	for (int i = 0; list != NULL && *list != '\0'; i++) {
		size_t length = strcspn(list, " ");

		if (length == n && strncmp(list, word, n) == 0)
			return i;
		list += length + strspn(list + length, " ");
	}
	return -1;
}

void
mc_outcome(const char *fmt, ...)
{
	char word[64];
	va_list args;
	int place;

	va_start(args, fmt);
	(void)vsnprintf(word, sizeof(word), fmt, args);
	va_end(args);
	place = place_of(word, mc.scenario->outcomes);
	if (place < 0)
		mc_fail("outcome", 0, "%s is none of %s", word, mc.scenario->outcomes);
	mc.seen |= UINT64_C(1) << place;
}

/* Has the strategy come upon all that it should, and nothing that it must not? */
static bool
is_all_seen(const struct mc_scenario *s, enum strategy by)
{
	const char *at = s->outcomes;

	for (int i = 0; at != NULL && *at != '\0'; i++) {
		bool was_seen = (mc.seen & UINT64_C(1) << i) != 0, is_far;
		char word[64];

		(void)snprintf(word, sizeof(word), "%.*s", (int)strcspn(at, " "), at);
		is_far = by == BY_BOUND && place_of(word, s->far) >= 0;
		if (was_seen == is_far) {
			(void)snprintf(mc.failure, sizeof(mc.failure), "outcome: %s is %s", word,
			    was_seen ? "too far, and was seen" : "never seen");
			return false;
		}
		at += strlen(word);
		at += strspn(at, " ");
	}
	return true;
}

/* ---- Replay, and a shorter way to the same failure ---- */

static bool
fails_alike(const struct mc_scenario *s, const char *failure)
{
	mc.strategy = BY_REPLAY;
	return mc_execute(s) == RUN_FAILED && strcmp(mc.failure, failure) == 0;
}

/* What was recorded becomes what is done. */
static void
take_record(void)
{
	mc.depth = mc.prefix = mc.n_recorded;
	memcpy(mc.trail, mc.record, mc.depth * sizeof(mc.trail[0]));
}

bool
mc_comes_again(const struct mc_scenario *s)
{
	char failure[sizeof(mc.failure)];

	if (mc.outcome != RUN_FAILED)	/* it is none of one execution: a livelock */
		return true;
	memcpy(failure, mc.failure, sizeof(failure));
	take_record();
	return fails_alike(s, failure);
}

/* Drops choices that the failure in mc does not need. */
static void
shorten(const struct mc_scenario *s)
{
	static struct choice best[MC_CHOICES];
	char failure[sizeof(mc.failure)];
	unsigned n = mc.depth, tries = 0;

	memcpy(failure, mc.failure, sizeof(failure));
	memcpy(best, mc.trail, n * sizeof(best[0]));
	for (unsigned i = n; i-- > 0 && tries < 5000;) {
		uint16_t c = best[i].c;

		if (c == 0)
			continue;
		tries++;
		best[i].c = 0;
		memcpy(mc.trail, best, n * sizeof(best[0]));
		mc.prefix = n;
		if (!fails_alike(s, failure))
			best[i].c = c;
	}
	memcpy(mc.trail, best, n * sizeof(best[0]));
	mc.prefix = n;
	(void)fails_alike(s, failure);
}

static void
print_choices(void)
{
	const char *comma = "";

	printf("  replay: --replay %s ", mc.scenario->name);
	for (unsigned i = 0; i < mc.depth; i++)
		if (mc.trail[i].c != 0) {
			printf("%s%u:%u", comma, i, mc.trail[i].c);
			comma = ",";
		}
	printf("%s\n", *comma == '\0' ? "0:0" : "");
}

static void
show(const struct mc_scenario *s)
{
	mc.prefix = mc.depth;
	mc.is_tracing = true;
	mc.strategy = BY_REPLAY;
	(void)mc_execute(s);
	mc.is_tracing = false;
	mc_report(s);
	print_choices();
}

bool
mc_replay(const struct mc_scenario *s, const char *choices)
{
	unsigned at, c;
	int used;

	memset(mc.trail, 0, sizeof(mc.trail));
	mc.depth = 0;
	while (sscanf(choices, "%u:%u%n", &at, &c, &used) == 2 && at < MC_CHOICES) {
		mc.trail[at].c = (uint16_t)c;
		mc.depth = at + 1;
		choices += used + (choices[used] == ',');
	}
	show(s);
	return mc.outcome == RUN_FAILED;
}

/* ---- All strategies, one after the other ---- */

static const char *const names[] = { "all", "bounded", "random", "pct" };

static void
say(const struct mc_scenario *s, enum strategy by, const struct tally *t)
{
	printf("%s: %s: %u executions%s", s->name, names[by], t->runs,
	    t->is_complete ? ", all there are" : "");
	if (t->pruned != 0)
		printf(", %u of them known", t->pruned);
	if (t->cut != 0)
		printf(", %u without an end", t->cut);
	printf("\n");
}

static bool
try_strategy(const struct mc_scenario *s, enum strategy by, unsigned runs, struct tally *t)
{
	mc.seen = 0;
	if (by <= BY_BOUND ? systematic(s, by, runs, t) : by_chance(s, by, runs, t))
		return true;
	return !is_all_seen(s, by);
}

static void
tell_failure(const struct mc_scenario *s, enum strategy by)
{
	printf("%s: FAILS, by %s\n", s->name, names[by]);
	if (mc.outcome != RUN_FAILED) {		/* all executions together */
		printf("%s: %s\n", s->name, mc.failure);
		return;
	}
	take_record();
	shorten(s);
	show(s);
}

/*
 * Explores s with runs executions of each strategy. Returns whether something failed; it is then
 * in mc.failure, and reported unless is_quiet.
 */
bool
mc_explore(const struct mc_scenario *s, unsigned runs, bool is_quiet)
{
	/* Chance first: it finds, if there is something, what the others would prove absent. */
	static const enum strategy order[] = { BY_RANDOM, BY_PCT, BY_ALL, BY_BOUND };
	const char *only = getenv("WEFT_MODEL_BY");
	struct tally t;

	mc.length = 0;
	mc.bound = 2;
	mc.stale_max = 8;
	if (s->runs != 0)
		runs = (unsigned)((uint64_t)runs * s->runs / MC_RUNS_DEFAULT);
	for (size_t i = 0; i < wf_countof(order); i++) {
		bool failed;

		if (only != NULL && strcmp(only, names[order[i]]) != 0)
			continue;
		failed = try_strategy(s, order[i], runs, &t);
		if (!is_quiet)
			say(s, order[i], &t);
		if (failed && !is_quiet)
			tell_failure(s, order[i]);
		if (failed)
			return true;
		if (order[i] == BY_ALL && t.is_complete && s->outcomes == NULL)
			break;
	}
	return false;
}

bool
mc_finds(const struct mc_scenario *s)
{
	return strstr(mc.failure, s->finds) != NULL;
}
