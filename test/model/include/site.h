/*
 * Atomic operations as the engine sees them. What base/atomic.h of this folder expands to.
 */
#ifndef WEFT_MODEL_SITE_H
#define WEFT_MODEL_SITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum mc_order { MC_RELAXED, MC_ACQUIRE, MC_RELEASE, MC_ACQ_REL, MC_SEQ_CST };
enum mc_rmw_kind { MC_XCHG, MC_ADD, MC_SUB, MC_OR, MC_AND };

/* One place in the source where an atomic operation stands. */
struct mc_site {
	const char *file, *function;	/* constant */
	const char *op, *text;		/* constant: what is done, and to what, as written */
	int line;			/* constant */
	enum mc_order declared;		/* constant */
	enum mc_order order;		/* what is in force: weaker in a mutant */
	bool is_known;			/* on the engine's list: it was reached once */
	int ordinal;			/* 1, 2, ...: among sites with the same text */
	struct mc_site *next;
};

/* A word holds the value in its low bytes, zero above. */
uint64_t mc_load(const volatile void *p, size_t size, struct mc_site *s);
void mc_store(volatile void *p, size_t size, uint64_t value, struct mc_site *s);
/* Returns the old value. */
uint64_t mc_rmw(
    volatile void *p, size_t size, enum mc_rmw_kind kind, uint64_t arg, struct mc_site *s);
/* Strong; *seen is what is expected, and becomes what was found. */
bool mc_cas(volatile void *p, size_t size, uint64_t *seen, uint64_t value, struct mc_site *s);
void mc_fence(struct mc_site *s);

#endif /* WEFT_MODEL_SITE_H */
