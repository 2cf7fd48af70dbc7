/*
 * A program of scenarios. Without arguments it explores all of them.
 *
 *   prog [SCENARIO]                 explores
 *   prog --replay SCENARIO CHOICES  one execution, step by step
 *   prog --weaken LISTING           every order weakened, see mutate.c
 *   prog --wrong                    the source has been made wrong: some scenario must fail
 *
 * WEFT_MODEL_SCALE multiplies how much is explored, WEFT_MODEL_SEED changes what chance picks.
 */
#include "engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct mc_scenario *mc_scenarios;

void
mc_register(struct mc_scenario *s)
{
	struct mc_scenario **at = &mc_scenarios;

	while (*at != NULL)
		at = &(*at)->next;
	*at = s;
}

static unsigned
scaled(unsigned runs)
{
	const char *text = getenv("WEFT_MODEL_SCALE");
	double scale = text != NULL ? strtod(text, NULL) : 1;

	return (unsigned)(runs * (scale > 0 ? scale : 1));
}

static double
cpu_seconds(void)
{
	return (double)clock() / CLOCKS_PER_SEC;
}

/* Returns whether s did what it should. */
static bool
one(const struct mc_scenario *s)
{
	double start = cpu_seconds();
	bool failed = mc_explore(s, scaled(MC_RUNS_DEFAULT), s->finds != NULL);
	bool good = s->finds == NULL ? !failed : failed && mc_finds(s);

	if (s->finds != NULL)
		printf("%s: planted bug %s: %s\n", s->name, good ? "found" : "MISSED",
		    failed ? mc.failure : "no failure");
	printf("%s: %s, %.2f s\n", s->name, good ? "good" : "BAD", cpu_seconds() - start);
	return good;
}

static const struct mc_scenario *
by_name(const char *name)
{
	for (const struct mc_scenario *s = mc_scenarios; s != NULL; s = s->next)
		if (strcmp(s->name, name) == 0)
			return s;
	(void)fprintf(stderr, "no scenario %s\n", name);
	exit(64);
}

static bool
wrong_is_found(void)
{
	const struct mc_scenario *s = mc_who_fails(scaled(MC_RUNS_DEFAULT));

	printf("%s%s: %s\n", s != NULL ? "found by " : "NOT FOUND", s != NULL ? s->name : "",
	    s != NULL ? mc.failure : "by any scenario");
	return s != NULL;
}

int
main(int argc, char **argv)
{
	bool good = true;

	if (argc == 4 && strcmp(argv[1], "--replay") == 0)
		return mc_replay(by_name(argv[2]), argv[3]) ? 1 : 0;
	if (argc == 3 && strcmp(argv[1], "--weaken") == 0)
		return mc_weaken_all(argv[2], scaled(MC_RUNS_DEFAULT / 2)) == 0 ? 0 : 1;
	if (argc == 2 && strcmp(argv[1], "--wrong") == 0)
		return wrong_is_found() ? 0 : 1;
	if (argc == 2)
		return one(by_name(argv[1])) ? 0 : 1;
	for (const struct mc_scenario *s = mc_scenarios; s != NULL; s = s->next)
		good = one(s) && good;
	return good ? 0 : 1;
}
