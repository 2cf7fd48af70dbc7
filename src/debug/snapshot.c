/*
 * The scheduler's state as JSON: processors, figures, and goroutines in groups by what they are and
 * what they wait for, never one by one: there may be a million. Form: docs/observe.md.
 */
#include "debug/serve.h"

#include "debug/dump.h"
#include "debug/metrics.h"
#include "debug/peek.h"
#include "debug/symtab.h"
#include "os/os.h"
#include "sched/go.h"
#include "sched/sched.h"

#include <stdlib.h>
#include <string.h>

#define GROUPS 256u		/* kinds of goroutines; the rest is one group */

struct group {
	uintptr_t fn;		/* what it was started with; 0: main */
	uint8_t status, reason;
	uint64_t n;
	uint64_t example;	/* the id of the one that is in this state longest */
	int64_t since;
};

struct groups {
	struct group g[GROUPS];
	size_t n;
	uint64_t n_rest;
	struct wf_symtab syms;
};

static void
add(struct g *g, void *arg)
{
	struct groups *all = arg;
	uint8_t status = wf_load_relaxed(&g->status);
	uint8_t reason = status == G_WAITING ? wf_load_relaxed(&g->wait_reason) : 0;
	uint64_t id = wf_load_relaxed(&g->id);
	int64_t since = wf_load_relaxed(&g->since);
	uintptr_t fn = wf_dump_began_with(g);
	struct group *to;
	size_t i = 0;

	if (id == 0)
		return;
	while (i < all->n && (all->g[i].fn != fn || all->g[i].status != status ||
	    all->g[i].reason != reason))
		i++;
	if (i == GROUPS) {
		all->n_rest++;
		return;
	}
	to = &all->g[i];
	if (i == all->n) {
		all->n++;
		*to = (struct group){fn, status, reason, 0, id, since};
	}
	to->n++;
	if (since < to->since) {
		to->since = since;
		to->example = id;
	}
}

/* Names of functions hold no quotes, but they come from files. */
static void
print_text(struct wf_out *o, const char *s)
{
	wf_out_str(o, "\"");
	for (; *s != '\0'; s++)
		wf_out_mem(o, *s == '"' || *s == '\\' || (unsigned char)*s < ' ' ? "?" : s, 1);
	wf_out_str(o, "\"");
}

static void
print_number(struct wf_out *o, const char *name, uint64_t v)
{
	wf_out_str(o, name);
	wf_out_u64(o, v);
}

static const char *
state_name(const struct group *g)
{
	if (g->status == G_WAITING)
		return wf_wait_reason_name(g->reason);
	return g->status == G_RUNNABLE ? "runnable" : "running";
}

static void
print_groups(struct wf_out *o, struct groups *all, int64_t now)
{
	wf_out_str(o, ",\"groups\":[");
	for (size_t i = 0; i < all->n; i++) {
		struct group *g = &all->g[i];
		struct wf_symbol s = {0};

		if (g->fn != 0)
			wf_symtab_find(&all->syms, g->fn, &s);
		wf_out_str(o, i == 0 ? "{\"function\":" : ",{\"function\":");
		print_text(o, g->fn == 0 ? "main" : s.name != NULL ? s.name : "??");
		wf_out_str(o, ",\"state\":");
		print_text(o, state_name(g));
		print_number(o, ",\"count\":", g->n);
		print_number(o, ",\"oldest\":", g->example);
		print_number(o, ",\"oldest_ns\":", (uint64_t)wf_max(now - g->since, (int64_t)0));
		wf_out_str(o, "}");
	}
	wf_out_str(o, "]");
	print_number(o, ",\"ungrouped\":", all->n_rest);
}

static void
print_p(struct wf_out *o, const struct p *p)
{
	static const char *const status[] = {"idle", "running", "dead"};
	const struct m *m = wf_load_relaxed(&p->m);
	struct g *g = NULL;

	print_number(o, "{\"id\":", p->id);
	wf_out_str(o, ",\"status\":");
	print_text(o, status[wf_min(wf_load_relaxed(&p->status), 2u)]);
	print_number(o, ",\"queue\":", runq_len_racy(&p->runq) +
	    (wf_load_relaxed(&p->runq.runnext) != NULL ? 1u : 0u));
	print_number(o, ",\"picks\":", wf_load_relaxed(&p->picks));
	print_number(o, ",\"steals\":", wf_load_relaxed(&p->n_steals));
	if (m != NULL) {
		print_number(o, ",\"thread\":", (uint64_t)wf_load_relaxed(&m->tid));
		(void)wf_peek_copy(&g, (uintptr_t)&m->gate.g, sizeof(g), /* direct */ true);
	}
	if (g != NULL)
		print_number(o, ",\"goroutine\":", wf_load_relaxed(&g->id));
	wf_out_str(o, "}");
}

static void
print_figures(struct wf_out *o)
{
	weft_metric m[WF_METRICS_MAX];
	size_t n = wf_min(wf_metrics_read(m, WF_METRICS_MAX), (size_t)WF_METRICS_MAX);

	wf_out_str(o, ",\"metrics\":{");
	for (size_t i = 0; i < n; i++) {
		wf_out_str(o, i == 0 ? "" : ",");
		print_text(o, m[i].name);
		wf_out_str(o, ":");
		if (m[i].kind == WEFT_METRIC_TIME)
			wf_out_seconds(o, m[i].value);
		else
			wf_out_u64(o, m[i].value);
	}
	wf_out_str(o, "}");
}

void
wf_snapshot_print(struct wf_out *o)
{
	struct groups *all = calloc(1, sizeof(*all));
	uint32_t n = wf_min(wf_load_relaxed(&wf_sched.gomaxprocs), wf_load_acquire(&wf_sched.n_p));
	int64_t now = wf_os_now();

	print_number(o, "{\"version\":1,\"now_ns\":", (uint64_t)now);
	print_number(o, ",\"up_ns\":", (uint64_t)(now - wf_sched.start));
	print_number(o, ",\"pid\":", (uint64_t)wf_os_pid());
	wf_out_str(o, ",\"procs\":[");
	for (uint32_t i = 0; i < n; i++) {
		wf_out_str(o, i == 0 ? "" : ",");
		print_p(o, wf_load_acquire(&wf_sched.all_p[i]));
	}
	wf_out_str(o, "]");
	if (all != NULL) {
		wf_g_each(add, all);
		print_groups(o, all, now);
		wf_symtab_close(&all->syms);
		free(all);
	}
	print_figures(o);
	wf_out_str(o, "}");
}
