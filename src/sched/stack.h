/*
 * Stacks: slots of large mappings, each with a guard region below it. See README.md, "Stacks".
 */
#ifndef WEFT_SCHED_STACK_H
#define WEFT_SCHED_STACK_H

#include <weft/go.h>
#include "sched/g.h"

/* A guard must not be jumped: frames of up to 60 KB fault in it. */
#define WF_GUARD_BYTES ((size_t)64 << 10)
/* Address space of a default stack without its guard: the slot is 256 KiB. */
#define WF_STACK_DEFAULT ((size_t)192 << 10)
#define WF_STACK_MIN ((size_t)16 << 10)
#define WF_STACK_MAX ((size_t)1 << 30)

struct stack_class;
struct arena;

/*
 * One slot. Made and unmapped with its arena, when all slots of that are free and their pages given
 * back. Owned by the goroutine that runs on it, by a P's cache, or by its class (then under
 * the class's lock).
 */
struct wf_stack {
	uintptr_t lo, hi;		/* usable addresses; constant */
	struct arena *arena;		/* constant */
	void *fiber;			/* owner: fiber.h, "told" */
	struct wf_stack *next;		/* owner: list link */
	struct wf_stack *prev;		/* owner: list link */
	int64_t freed_at;		/* owner: coarse time; while free */
	uint32_t valgrind_id;		/* owner: once is_guarded */
	bool is_guarded;		/* owner: guard installed, or canary written */
	bool has_canary;		/* owner: no guard could be had */
	bool is_protected;		/* owner: the guard was made by mprotect(2) */
	bool is_clean;			/* under the class's lock: on its list of clean ones */
};

/* How guards are made; chosen by a probe at start, or forced by WEFT_DEBUG=guard=... */
enum wf_guard_mode { GUARD_MADVISE, GUARD_MPROTECT, GUARD_CANARY };

/* may_pack: WEFT_STACK_SMALL may be as small as it says; else it is WF_STACK_MIN. */
void wf_stack_init(const char *forced_mode, size_t default_bytes, bool may_pack);
enum wf_guard_mode wf_stack_guard_mode(void);
size_t wf_stack_default_bytes(void);

/*
 * A stack of at least bytes (0: default), guarded, or NULL when memory is out. One of exactly
 * WEFT_STACK_SMALL has a canary instead of a guard.
 */
struct wf_stack *wf_stack_get(size_t bytes);
/* Forgets what others have had on s, for ThreadSanitizer: nobody has it now. */
void wf_stack_renew(struct wf_stack *s);
/* Gives it back to its class. */
void wf_stack_put(struct wf_stack *s);

/* Is s of the size that goroutines get unless they ask for another? */
bool wf_stack_is_default(const struct wf_stack *s);

/*
 * Where goroutines begin on s. All stacks lie alike in their pages, and the twenty lines below the
 * top, which are touched of each, would be in the same third of a cache's sets for all of them. So
 * large ones begin at sixteen different lines. Figures: poll/README.md, "Costs".
 */
static inline uintptr_t
wf_stack_begin(const struct wf_stack *s)
{
	size_t slot = WF_GUARD_BYTES + WF_STACK_DEFAULT;

	return s->hi - (s->hi - s->lo < WF_STACK_DEFAULT ? 0 : s->hi / slot % 16 * 64);
}

/* Address space of stacks: all of it, and of those that were got and not put back. Guards. */
struct wf_stack_usage {
	uint64_t mapped_bytes, used_bytes;
	long guards_left;		/* how many more mprotect(2) may make */
};
void wf_stack_usage(struct wf_stack_usage *ret);

/* The mappings that all stacks lie in. each() takes no lock, and no memory of malloc's. */
void wf_stack_each_arena(void (*each)(uintptr_t lo, uintptr_t hi, void *arg), void *arg);

/* Is the canary of s, which has one, still whole? */
bool wf_stack_canary_ok(const struct wf_stack *s);

/* s has no guard, and its canary is gone. goid: whose it is, or 0 when that one has ended. */
WF_COLD WF_NORETURN void wf_stack_overflowed(uint64_t goid, const struct wf_stack *s);

/* Is addr in the guard of the stack of the goroutine that runs on this thread? Signal-safe. */
bool wf_stack_is_guard(uintptr_t addr, struct g **ret_g);

enum wf_scavenged {
	SCAVENGED_ALL,
	SCAVENGED_OLD,		/* what is left has not been free for long */
	SCAVENGED_SOME,		/* the time was up */
};

/*
 * Returns memory of stacks that have been free for min_age_ns to the system, for about budget_ns.
 * Called by the monitor only.
 */
enum wf_scavenged wf_stack_scavenge(int64_t min_age_ns, int64_t budget_ns);
/* Is there any that wf_stack_scavenge() would return, now or when it is older? */
bool wf_stack_has_surplus(void);

#endif /* WEFT_SCHED_STACK_H */
