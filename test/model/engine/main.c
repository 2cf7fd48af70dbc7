/*
 * A program of scenarios. Without arguments it explores all of them.
 *
 *   prog [SCENARIO]                 explores
 *   prog --replay SCENARIO CHOICES  one execution, step by step
 *   prog --weaken LISTING           every order weakened, see mutate.c
 *   prog --wrong SCENARIO           the source has been made wrong: it must fail
 *   prog --flawed SCENARIO          the engine has been made wrong: it must come to another verdict
 *
 * WEFT_MODEL_SCALE multiplies how much is explored, WEFT_MODEL_SEED changes what chance picks, and
 * WEFT_MODEL_BY names the only strategy that is used.
 */
#include "engine.h"

#include <signal.h>
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
	const char *only = getenv("WEFT_MODEL_BY");
	double start = cpu_seconds();
	bool failed = mc_explore(s, scaled(MC_RUNS_DEFAULT), s->finds != NULL);
	bool good = s->finds == NULL ? !failed : failed && mc_finds(s);

	/* What does not end is told by all executions together, where chance is fair. */
	if (s->finds != NULL && only != NULL && strcmp(only, "random") != 0 &&
	    strcmp(s->finds, "livelock") == 0)
		return true;
	if (s->finds != NULL)
		printf("%s: planted bug %s: %s\n", s->name, good ? "found" : "MISSED",
		    failed ? mc.failure : "no failure");
	if (s->finds != NULL && good && !mc_comes_again(s)) {
		printf("%s: its replay ends otherwise: %s\n", s->name, mc.failure);
		good = false;
	}
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

/* A crash of what is checked ends the execution, as a failure. */
static void
crashed(int sig)
{
	mc_fail("crash", 0, "thread %d: signal %d", mc.current, sig);
}

static void
catch_crashes(void)
{
	static char memory[65536];
	stack_t stack = { .ss_sp = memory, .ss_size = sizeof(memory) };
	struct sigaction how = { .sa_handler = crashed, .sa_flags = SA_ONSTACK | SA_NODEFER };

	(void)sigaltstack(&stack, NULL);
	(void)sigaction(SIGSEGV, &how, NULL);
	(void)sigaction(SIGBUS, &how, NULL);
	(void)sigaction(SIGILL, &how, NULL);
}

static bool
wrong_is_found(const struct mc_scenario *s)
{
	bool found = mc_explore(s, scaled(MC_RUNS_DEFAULT), true);

	printf("%s: %s\n", s->name, found ? mc.failure : "finds nothing");
	return found;
}

int
main(int argc, char **argv)
{
	bool good = true;

	catch_crashes();
	if (argc == 4 && strcmp(argv[1], "--replay") == 0)
		return mc_replay(by_name(argv[2]), argv[3]) ? 1 : 0;
	if (argc == 3 && strcmp(argv[1], "--weaken") == 0)
		return mc_weaken_all(argv[2], scaled(MC_RUNS_DEFAULT / 10)) == 0 ? 0 : 1;
	if (argc == 3 && strcmp(argv[1], "--wrong") == 0)
		return wrong_is_found(by_name(argv[2])) ? 0 : 1;
	if (argc == 3 && strcmp(argv[1], "--flawed") == 0)
		return one(by_name(argv[2])) ? 1 : 0;
	if (argc == 2)
		return one(by_name(argv[1])) ? 0 : 1;
	for (const struct mc_scenario *s = mc_scenarios; s != NULL; s = s->next)
		good = one(s) && good;
	return good ? 0 : 1;
}
