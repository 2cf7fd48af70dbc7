/*
 * Events of the scheduler: one line where each happens. What is made of them is event.c's (the
 * execution trace). While nobody listens, an event is one load of a line that is hardly ever
 * written, and a branch not taken.
 *
 *	WF_EVENT(ready, m, g);		calls wf_on_ready(m, g) when somebody listens
 *
 * Where each stands is part of the trace's protocol (trace/README.md, "Where events stand"): the
 * caller owns what it tells of, and m->p and m->gate.g are what they were before it.
 */
#ifndef WEFT_SCHED_EVENT_H
#define WEFT_SCHED_EVENT_H

#include "sched/g.h"
#include "trace/trace.h"

struct m;
struct p;

#ifdef WF_NO_EVENTS		/* test/model: nobody ever listens */
#define WF_EVENT_IS_HEARD() false
#define WF_WAITS_ARE_HEARD() false
#else
#define WF_WAITS_ARE_HEARD() wf_unlikely(wf_load_relaxed(&wf_trace.waits))
#define WF_EVENT_IS_HEARD() wf_unlikely(wf_load_relaxed(&wf_trace.gen) != 0)
#endif
#define WF_EVENT(name, ...) \
	do { \
		if (WF_EVENT_IS_HEARD()) \
			wf_on_##name(__VA_ARGS__); \
	} while (0)

/* The text of a string that has the same number in every generation, or NULL. */
const char *wf_event_own_string(uint32_t id);

enum wf_event_how { EVENT_PARK, EVENT_YIELD, EVENT_END };

/* m makes g, which nobody else knows yet. */
void wf_on_go(struct m *m, struct g *g);
/* g, which waits and was claimed by m, will be runnable. */
void wf_on_ready(struct m *m, struct g *g);
/* g leaves m: it parks, yields, or ends. */
void wf_on_leave(struct m *m, struct g *g, enum wf_event_how how);
/* Likewise, and m runs to next. */
void wf_on_switch(struct m *m, struct g *from, enum wf_event_how how, struct g *to);
/* m, which runs nobody, begins to run g. */
void wf_on_run(struct m *m, struct g *g);
/* m, which has none, takes p; gives up its p. */
void wf_on_p_start(struct m *m, struct p *p);
void wf_on_p_stop(struct m *m, struct p *p);
/* m's goroutine goes into a marked call, and is back, with its P. */
void wf_on_syscall(struct m *m);
void wf_on_syscall_end(struct m *m);
/* monitor takes p from m, which is outside and can't come in. */
void wf_on_detach(struct m *monitor, struct m *m, struct p *p);
/* m, on the way out into a call, gives p away. */
void wf_on_give(struct m *m, struct p *p);
/* m is back from outside and has lost its P; p, or NULL, is the one it has now. */
void wf_on_reattach(struct m *m, struct g *g, struct p *p);
/* A foreign thread becomes m, and ends. */
void wf_on_adopt(struct m *m);
void wf_on_foreign_end(struct m *m);
/* The goroutine of one has waited and goes on: its deadline passed, or it was readied. */
void wf_on_bound_wakes(struct m *m, struct g *g, bool by_itself);
/* gomaxprocs is n from now on. */
void wf_on_procs(struct m *m, uint32_t n);

/*
 * Return addresses of the caller's stack, innermost first; g runs here. By frame pointers, within
 * the stack's bounds: where code without them is in between it finds less, and reads nothing that
 * is not there. Returns how many.
 */
uint32_t wf_walk_frames(const struct g *g, uintptr_t *pcs, uint32_t max);

/* The goroutine that runs on m has other labels. */
void wf_on_label(struct m *m);

/* What the program says of itself, by the goroutine that runs on m. */
enum wf_event_user {
	USER_TASK_BEGIN,	/* a parent, b name */
	USER_TASK_END,
	USER_REGION_BEGIN,	/* b name */
	USER_REGION_END,	/* b name */
	USER_LOG,		/* a key, b text */
};
void wf_on_user(struct m *m, enum wf_event_user what, uint64_t task, uint64_t parent,
    const char *a, const char *b);

#endif /* WEFT_SCHED_EVENT_H */
