/*
 * weft run: settings of the runtime as options, instead of variables whose names one must know.
 * Becomes the program (exec), so that its status, signals and process id are what they would be.
 */
#include "command.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char run_help[] =
	"Usage: weft run [OPTION]... [--] PROGRAM [ARGUMENT]...\n"
	"\n"
	"Starts PROGRAM, found as a shell finds it, with settings of weft's runtime.\n"
	"\n"
	"  weft run --procs 2 --stack 1M -- ./server -p 8080\n"
	"  weft run --schedtrace 1000 --detail -- ./server 2>trace\n"
	"\n"
	"      --procs N         let N goroutines run at the same time (1 to 1024)\n"
	"      --stack SIZE      stack of a goroutine, 16K to 1024M; K and M are units\n"
	"      --schedtrace MS   print a line about the scheduler each MS milliseconds\n"
	"      --detail          with --schedtrace: also all processors, threads, goroutines\n"
	"  -h, --help            show this and exit\n"
	"  -V, --version         show the version and exit\n"
	"\n"
	"They become WEFT_MAXPROCS, WEFT_STACK, and items added to what WEFT_DEBUG holds.\n"
	"\n"
	"Exit status: that of PROGRAM; 127 it is not found, 126 it can't be run, 125 weft run\n"
	"itself failed, 2 wrong usage.\n";

enum { OPT_PROCS = OPT_FIRST, OPT_STACK, OPT_SCHEDTRACE, OPT_DETAIL };

static const struct option options[] = {
	{ "procs", required_argument, NULL, OPT_PROCS },
	{ "stack", required_argument, NULL, OPT_STACK },
	{ "schedtrace", required_argument, NULL, OPT_SCHEDTRACE },
	{ "detail", no_argument, NULL, OPT_DETAIL },
	OPT_COMMON
};

/* All of s is a decimal number, and perhaps a unit of units; its value, or -1. At most 2^40. */
static long long
number(const char *s, const char *units)
{
	long long v = 0;
	const char *p = s;

	for (; *p >= '0' && *p <= '9'; p++) {
		v = v * 10 + (*p - '0');
		if (v > 1LL << 40)
			return -1;
	}
	if (p == s)
		return -1;
	if (*p != '\0' && strchr(units, *p) != NULL) {
		v <<= *p == 'K' || *p == 'k' ? 10 : 20;
		p++;
	}
	return *p == '\0' ? v : -1;
}

static void
set(const char *name, const char *value)
{
	if (setenv(name, value, /* overwrite */ 1) == 0)
		return;
	fprintf(stderr, "weft run: can't set %s: %s\n", name, strerror(errno));
	exit(EXIT_OWN_FAILURE);
}

/* Adds items to WEFT_DEBUG. Of two of the same name the runtime takes the later. */
static void
add_debug(const char *schedtrace, bool detail)
{
	const char *old = getenv("WEFT_DEBUG");
	const char *comma = old != NULL && *old != '\0' ? "," : "";
	char *value;

	if (asprintf(&value, "%s%sschedtrace=%s%s", old != NULL ? old : "", comma, schedtrace,
	    detail ? ",scheddetail=1" : "") < 0) {
		fputs("weft run: out of memory\n", stderr);
		exit(EXIT_OWN_FAILURE);
	}
	set("WEFT_DEBUG", value);
	free(value);
}

static void
set_option(const struct command *self, int opt, const char *value)
{
	long long n;

	if (opt == OPT_PROCS) {
		n = number(value, "");
		if (n < 1 || n > 1024)
			usage_error(self, "--procs: not a number from 1 to 1024: %s", value);
		set("WEFT_MAXPROCS", value);
	} else {
		n = number(value, "KkMm");
		if (n < 16 << 10 || n > 1024 << 20)
			usage_error(self, "--stack: not a size from 16K to 1024M: %s", value);
		set("WEFT_STACK", value);
	}
}

int
run_main(const struct command *self, int argc, char **argv)
{
	const char *schedtrace = NULL;
	bool detail = false;
	int opt;

	while ((opt = next_option(self, argc, argv, options)) != -1) {
		if (opt == OPT_DETAIL)
			detail = true;
		else if (opt == OPT_SCHEDTRACE)
			schedtrace = optarg;
		else
			set_option(self, opt, optarg);
	}
	if (schedtrace != NULL) {
		long long ms = number(schedtrace, "");

		if (ms < 1 || ms > 999999999 || strlen(schedtrace) > 9)
			usage_error(self, "--schedtrace: not a time in ms: %s", schedtrace);
		add_debug(schedtrace, detail);
	} else if (detail) {
		usage_error(self, "--detail says how --schedtrace prints: give that, too");
	}
	if (optind == argc)
		usage_error(self, "no program to run");

	execvp(argv[optind], argv + optind);
	opt = errno;
	fprintf(stderr, "weft run: can't run %s: %s\n", argv[optind], strerror(opt));
	return opt == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_EXEC;
}
