/*
 * What a failure looks like: the steps that led to it, with the stores that were read.
 */
#include "engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern const char __executable_start;

void
mc_event(const char *what, const struct mc_site *s, uint64_t value, int from, unsigned older)
{
	if (!mc.is_tracing)
		return;
	mc.events[mc.n_events++ % MC_EVENTS] = (struct event){ .thread = (uint8_t)mc.current,
		.older = (uint8_t)wf_min(older, 255u), .what = what, .site = s, .value = value,
		.from = from };
}

/* addr2line is part of what compilers need. Without it there is the address. */
void
mc_describe_pc(const void *pc, char *buf, size_t n)
{
	unsigned long offset = (unsigned long)((const char *)pc - &__executable_start) - 1;
	char command[128], function[80] = "", place[160] = "";
	FILE *tool;

	(void)snprintf(buf, n, "+0x%lx", offset);
	if (!mc.is_tracing)
		return;
	(void)snprintf(command, sizeof(command), "addr2line -sfe /proc/%d/exe 0x%lx 2>/dev/null",
	    (int)getpid(), offset);
	tool = popen(command, "r");
	if (tool == NULL)
		return;
	if (fgets(function, sizeof(function), tool) != NULL &&
	    fgets(place, sizeof(place), tool) != NULL && place[0] != '?') {
		function[strcspn(function, "\n")] = place[strcspn(place, "\n")] = '\0';
		(void)snprintf(buf, n, "%s (%s)", place, function);
	}
	(void)pclose(tool);
}

static void
print_event(const struct event *e)
{
	printf("  %*s%d  ", 2 * e->thread, "", e->thread);
	if (e->site == NULL) {
		printf("%s %lld\n", e->what, (long long)e->value);
		return;
	}
	printf("%s:%d %s %s(%s) = 0x%llx", e->site->file, e->site->line, e->site->function,
	    e->what, e->site->text, (unsigned long long)e->value);
	if (e->from >= 0)
		printf(" of %d", e->from);
	if (e->older > 0)
		printf(" (%u newer)", e->older);
	printf("\n");
}

void
mc_report(const struct mc_scenario *s)
{
	unsigned first = mc.n_events > MC_EVENTS ? mc.n_events - MC_EVENTS : 0;

	printf("%s: %s\n", s->name, mc.failure[0] != '\0' ? mc.failure : "no failure");
	for (unsigned i = first; i < mc.n_events; i++)
		print_event(&mc.events[i % MC_EVENTS]);
}
