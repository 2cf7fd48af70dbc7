/*
 * The explorer's insides. One execution at a time, on one kernel thread; its state is in `mc`.
 * ../README.md has the memory model, and why this may stand for real threads.
 */
#ifndef WEFT_MODEL_ENGINE_H
#define WEFT_MODEL_ENGINE_H

#include "explore.h"
#include "site.h"

#include "arch/arch.h"

#define MC_LOCATIONS 1024
#define MC_STORES 8192
#define MC_MESSAGES 2048
#define MC_CHOICES 32768
#define MC_EVENTS 4096
#define MC_RUNS_DEFAULT 10000u
#define MC_STEPS_DEFAULT 2000u

/* How far a thread has seen: per location a place in its modification order, per thread a clock. */
struct view {
	int32_t seen[MC_LOCATIONS];
	uint32_t clock[MC_THREADS + 1];
};

/* A value that a location had. The stores of a location form its modification order. */
struct store {
	uint64_t value;
	int32_t at;		/* place in the order; gaps allow insertion */
	int16_t message;	/* view that a reader who acquires gets; -1 = none */
	uint8_t thread;
	bool is_taken;		/* the next one is an RMW that read this: nothing goes between */
	int32_t prev, next;	/* in the order; -1 = none */
	const struct mc_site *site;	/* NULL: there from the start, or a plain write */
};

struct location {
	volatile void *p;
	size_t size;
	int32_t last;		/* newest store of the order; memory holds its value */
	int32_t floor;		/* nothing older can be read: a plain write made it anew */
	bool is_dirty;		/* a plain write came since */
};

enum op_kind {
	OP_START,		/* touches nothing that is shared */
	OP_LOAD,
	OP_WRITE,		/* store, RMW, futex on a word */
	OP_FENCE,
	OP_RELAX,		/* goes on when something was written */
	OP_ANY			/* depends on everything */
};

struct op {
	enum op_kind kind;
	const volatile void *p;
	bool is_sc;
};

enum thread_state { T_NONE, T_READY, T_RELAXED, T_ASLEEP, T_ENDED };

struct thread {
	struct wf_ctx ctx;
	enum thread_state state;
	struct op op;			/* what it does next */
	struct view view;		/* what it has seen */
	struct view acquired;		/* what an acquire fence would add */
	struct view released;		/* what a release fence left for later stores */
	bool has_released;
	void (*start)(void);
	void (*fn)(void *);
	void *arg;
	void *local;			/* the thread-local, while it does not run */
	const volatile void *word;	/* asleep on it */
	int64_t deadline;
	int wait_result;
	uint64_t writes_seen;		/* at its last relax */
	bool sees_newest;		/* its next load does: it has waited for news */
	uint64_t newest_read_at;	/* mc.writes when a load last did so */
	unsigned priority;		/* PCT */
};

enum pick { PICK_THREAD, PICK_STORE, PICK_PLACE, PICK_WAITER, PICK_OTHER };
enum strategy { BY_ALL, BY_BOUND, BY_RANDOM, BY_PCT, BY_REPLAY };
enum outcome { RUN_OK, RUN_FAILED, RUN_CUT, RUN_PRUNED };

struct choice {
	uint16_t n, c;
};

struct event {
	uint8_t thread;
	uint8_t older;			/* how many newer stores there were that it did not read */
	const char *what;
	const struct mc_site *site;	/* or NULL */
	uint64_t value;
	int from;			/* whose store was read, or -1 */
};

struct mc {
	/* One execution. */
	const struct mc_scenario *scenario;
	struct thread threads[MC_THREADS + 1];	/* 0: setup and check */
	int n_threads, current;
	bool is_running;
	struct location locations[MC_LOCATIONS];
	int n_locations;
	struct store stores[MC_STORES];
	int n_stores;
	struct view messages[MC_MESSAGES];
	int message_locations[MC_MESSAGES];
	int n_messages;
	struct view sc;			/* what SC operations to come must not miss; no clocks */
	unsigned steps, preemptions, stale, wakes_left, early_left;
	uint64_t writes;
	int64_t now;
	uint32_t sleeping;		/* sleep set: threads whose next step was explored */
	void **local_slot;
	struct wf_ctx hub;
	enum outcome outcome;
	char failure[512];

	/* The search. */
	enum strategy strategy;
	unsigned bound;			/* preemptions in BY_BOUND */
	unsigned stale_max;		/* old values read, in the systematic strategies */
	bool is_truncated;		/* that, or the bound, has cut something off */
	uint64_t seen;			/* which of the scenario's outcomes, by this strategy */
	uint64_t random;
	unsigned stickiness;		/* of 8: how often BY_RANDOM stays on its thread */
	unsigned length;		/* longest execution so far */
	unsigned change_at[8];
	struct choice trail[MC_CHOICES];
	unsigned depth, prefix;
	/* The same for a replay, which has all that could be chosen, not what a strategy leaves. */
	struct choice record[MC_CHOICES];
	unsigned n_recorded;

	/* Reports. */
	bool is_tracing;
	struct event events[MC_EVENTS];
	unsigned n_events;
	struct mc_site *sites;
};

extern struct mc mc;

static inline struct thread *
mc_self(void)
{
	return &mc.threads[mc.current];
}

/* ---- memory.c ---- */
void mc_memory_reset(void);
void mc_view_join(struct view *to, const struct view *from, int n);
void mc_view_copy(struct view *to, const struct view *from);
void mc_fence_of(struct thread *t, enum mc_order order);
/* A plain write to a granule that holds atomics. */
void mc_memory_written(const volatile void *p, size_t n);

/* ---- race.c ---- */
void mc_race_reset(void);
void mc_race_access(const volatile void *p, size_t n, bool is_write, const struct mc_site *s,
    const void *pc);

/* ---- thread.c ---- */
/* The current thread is about to do this: another may be let go first. */
void mc_point(enum op_kind kind, const volatile void *p, bool is_sc);
enum outcome mc_execute(const struct mc_scenario *s);
__attribute__((noreturn)) void mc_end(enum outcome o);
void mc_tick(void);

/* ---- search.c ---- */
/* One of n. hint: what PCT wants. */
unsigned mc_pick(enum pick kind, unsigned n, unsigned hint);
/* In two steps, where the strategy chooses among fewer: among n, and which of all that was. */
unsigned mc_decide(enum pick kind, unsigned n, unsigned hint);
void mc_record(unsigned n_all, unsigned c);
unsigned mc_random(unsigned n);
bool mc_explore(const struct mc_scenario *s, unsigned runs, bool is_quiet);
bool mc_replay(const struct mc_scenario *s, const char *choices);
/* Does the failure that mc_explore() has found come again by the choices that it took? */
bool mc_comes_again(const struct mc_scenario *s);
/* Which sites would a failure of this text be found by? */
bool mc_finds(const struct mc_scenario *s);

/* ---- statics.c ---- */
/* Puts back what mc_put_back names, as it was at the first call. */
void mc_statics_reset(void);

/* ---- report.c ---- */
void mc_event(const char *what, const struct mc_site *s, uint64_t value, int from, unsigned older);
void mc_report(const struct mc_scenario *s);
/* "file:line (function)" of code. */
void mc_describe_pc(const void *pc, char *buf, size_t n);

/* ---- mutate.c ---- */
const struct mc_scenario *mc_who_fails(unsigned runs);
int mc_weaken_all(const char *listing, unsigned runs);
void mc_know_site(struct mc_site *s);

extern struct mc_scenario *mc_scenarios;

#endif /* WEFT_MODEL_ENGINE_H */
