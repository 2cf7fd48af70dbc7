/*
 * Weakening every order of the files under test by one step, one at a time: each such mutant must
 * fail some scenario of the program, or be listed with the argument why it is right.
 */
#include "engine.h"

#include <stdio.h>
#include <string.h>

static const char *const order_names[] = { "relaxed", "acquire", "release", "acq_rel", "seq_cst" };

void
mc_know_site(struct mc_site *s)
{
	if (s->is_known)
		return;
	s->is_known = true;
	s->next = mc.sites;
	mc.sites = s;
}

static bool
is_subject(const struct mc_site *s)
{
	char place[256];

	(void)snprintf(place, sizeof(place), "%s %s", s->file, s->function);
	for (const char *const *part = mc_subjects; *part != NULL; part++)
		if (strstr(place, *part) != NULL)
			return true;
	return false;
}

/* Inlining makes several sites of one place in a header: they are weakened together. */
static bool
is_same_place(const struct mc_site *a, const struct mc_site *b)
{
	return a->line == b->line && strcmp(a->file, b->file) == 0 &&
	    strcmp(a->op, b->op) == 0 && strcmp(a->text, b->text) == 0;
}

static void
set_order(const struct mc_site *place, enum mc_order o)
{
	for (struct mc_site *s = mc.sites; s != NULL; s = s->next)
		if (is_same_place(s, place))
			s->order = o;
}

/* Counts sites of the same text in one function, so that a name does not depend on lines. */
static int
ordinal(const struct mc_site *place)
{
	int n = 1;

	for (struct mc_site *s = mc.sites; s != NULL; s = s->next) {
		bool is_first = true;

		if (strcmp(s->file, place->file) != 0 || strcmp(s->op, place->op) != 0 ||
		    strcmp(s->text, place->text) != 0 ||
		    strcmp(s->function, place->function) != 0 || s->line >= place->line)
			continue;
		for (struct mc_site *o = mc.sites; o != s; o = o->next)
			is_first = is_first && !is_same_place(o, s);
		n += is_first;
	}
	return n;
}

/* The orders one step weaker. Returns how many. */
static int
weaker(const struct mc_site *s, enum mc_order *out)
{
	switch (s->declared) {
	case MC_SEQ_CST:
		out[0] = strcmp(s->op, "load") == 0 ? MC_ACQUIRE :
		    strcmp(s->op, "store") == 0 ? MC_RELEASE : MC_ACQ_REL;
		return 1;
	case MC_ACQ_REL:
		out[0] = MC_ACQUIRE;
		out[1] = MC_RELEASE;
		return 2;
	case MC_ACQUIRE:
	case MC_RELEASE:
		out[0] = MC_RELAXED;
		return 1;
	default:
		return 0;
	}
}

/* Does the listing have this line, but for the argument after a tab? */
static bool
is_listed(const char *listing, const char *name)
{
	size_t n = strlen(name);
	char line[512];
	bool found = false;
	FILE *f = fopen(listing, "r");

	while (f != NULL && !found && fgets(line, sizeof(line), f) != NULL)
		found = strncmp(line, name, n) == 0 && line[n] == ':';
	if (f != NULL)
		(void)fclose(f);
	return found;
}

/* Some scenario that fails, or NULL. A little of all of them first: most mutants need no more. */
const struct mc_scenario *
mc_who_fails(unsigned runs)
{
	for (unsigned share = 40; share > 0; share = share == 40 ? 1 : 0)
		for (struct mc_scenario *s = mc_scenarios; s != NULL; s = s->next)
			if (s->finds == NULL && mc_explore(s, runs / share, true))
				return s;
	return NULL;
}

/* Returns whether the mutant is as it should be: found, or listed. */
static bool
try_mutant(const struct mc_site *s, enum mc_order o, const char *listing, unsigned runs)
{
	const char *file = strstr(s->file, "src/");
	const struct mc_scenario *found;
	char name[400];
	bool listed;

	(void)snprintf(name, sizeof(name), "%s %s %s(%s)#%d %s -> %s",
	    file != NULL ? file + 4 : s->file, s->function, s->op, s->text, ordinal(s),
	    order_names[s->declared], order_names[o]);
	listed = is_listed(listing, name);
	set_order(s, o);
	/* What is listed is not found anyway: a look whether that is still so. */
	found = mc_who_fails(listed ? runs / 10 : runs);
	/* Chance decides what a run tries: far more of them before it counts as not found. */
	if (found == NULL && !listed)
		found = mc_who_fails(runs * 20);
	set_order(s, s->declared);
	if (found != NULL)
		printf("found    %s: by %s%s\n", name, found->name,
		    listed ? ", but listed as redundant" : "");
	else
		printf("%s %s\n", listed ? "listed  " : "SURVIVED", name);
	(void)fflush(stdout);
	return (found != NULL) != listed;
}

/* Returns how many mutants are not as they should be. */
int
mc_weaken_all(const char *listing, unsigned runs)
{
	int bad = 0, n = 0;

	/* Sites are known once they have been reached. */
	for (struct mc_scenario *s = mc_scenarios; s != NULL; s = s->next)
		if (s->finds == NULL)
			(void)mc_explore(s, 300, true);
	for (struct mc_site *s = mc.sites; s != NULL; s = s->next) {
		enum mc_order to[2];
		bool is_first = is_subject(s);
		int steps = weaker(s, to);

		for (struct mc_site *o = mc.sites; o != s; o = o->next)
			is_first = is_first && !is_same_place(o, s);
		for (int i = 0; is_first && i < steps; i++, n++)
			bad += !try_mutant(s, to[i], listing, runs);
	}
	printf("%d mutants, %d not as they should be\n", n, bad);
	return bad;
}
