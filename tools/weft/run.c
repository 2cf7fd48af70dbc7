/*
 * weft run: settings of the runtime as options, instead of variables whose names one must know.
 * Becomes the program (exec), so that its status, signals and process id are what they would be.
 */
#include "command.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
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
	"  weft run --trace slow.trace -- ./server; go tool trace slow.trace\n"
	"  weft run --lint -- ./server\n"
	"\n"
	"      --procs N         let N goroutines run at the same time (1 to 1024)\n"
	"      --stack SIZE      stack of a goroutine, 16K to 1024M; K and M are units\n"
	"      --schedtrace MS   print a line about the scheduler each MS milliseconds\n"
	"      --detail          with --schedtrace: also all processors, threads, goroutines\n"
	"      --trace FILE      write an execution trace to FILE\n"
	"      --lint            report what is likely to be a mistake: computing for long, calls\n"
	"                        that block, pthread locks held over a wait, deep stacks, too\n"
	"                        many processors\n"
	"      --http ADDRESS    serve the debug endpoint: path of a Unix socket, 127.0.0.1:PORT\n"
	"  -h, --help            show this and exit\n"
	"  -V, --version         show the version and exit\n"
	"\n"
	"They become WEFT_MAXPROCS, WEFT_STACK, WEFT_TRACE, WEFT_HTTP, and items added to what\n"
	"WEFT_DEBUG holds; --lint also adds a library to LD_PRELOAD.\n"
	"\n"
	"Exit status: that of PROGRAM; 127 it is not found, 126 it can't be run, 125 weft run\n"
	"itself failed, 2 wrong usage.\n";

enum {
	OPT_PROCS = OPT_FIRST,
	OPT_STACK,
	OPT_SCHEDTRACE,
	OPT_DETAIL,
	OPT_TRACE,
	OPT_LINT,
	OPT_HTTP,
};

static const struct option options[] = {
	{ "procs", required_argument, NULL, OPT_PROCS },
	{ "stack", required_argument, NULL, OPT_STACK },
	{ "schedtrace", required_argument, NULL, OPT_SCHEDTRACE },
	{ "detail", no_argument, NULL, OPT_DETAIL },
	{ "trace", required_argument, NULL, OPT_TRACE },
	{ "lint", no_argument, NULL, OPT_LINT },
	{ "http", required_argument, NULL, OPT_HTTP },
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

static __attribute__((format(printf, 2, 3))) void
set_text(const char *name, const char *fmt, ...)
{
	char *value;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&value, fmt, ap);
	va_end(ap);
	if (n < 0) {
		fputs("weft run: out of memory\n", stderr);
		exit(EXIT_OWN_FAILURE);
	}
	set(name, value);
	free(value);
}

/* Adds an item to a list in the environment: at the end, or at the front. */
static void
add(const char *name, const char *item, char separator, bool in_front)
{
	const char *old = getenv(name);

	if (old == NULL || *old == '\0')
		set(name, item);
	else
		set_text(name, "%s%c%s", in_front ? item : old, separator, in_front ? old : item);
}

/* Of two items of the same name the runtime takes the later. */
static void
add_schedtrace(const char *ms, bool detail)
{
	char item[64];

	snprintf(item, sizeof(item), "schedtrace=%s%s", ms, detail ? ",scheddetail=1" : "");
	add("WEFT_DEBUG", item, ',', false);
}

/*
 * The library that knows which pthread locks are held lies where it was installed to, seen from
 * this program, or beside it in a build tree. Without it the other lints work.
 */
static void
add_lints(void)
{
	static const char *const places[] = {WEFT_LIB_FROM_BIN, "../lib"};
	char self[PATH_MAX], path[PATH_MAX + 64];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	add("WEFT_DEBUG", "lint=1", ',', false);
	self[n > 0 ? n : 0] = '\0';
	slash = strrchr(self, '/');
	for (size_t i = 0; slash != NULL && i < sizeof(places) / sizeof(places[0]); i++) {
		snprintf(path, sizeof(path), "%.*s/%s/weft/libweft-lint.so", (int)(slash - self),
		    self, places[i]);
		/* A space or a colon would end the name. */
		if (access(path, R_OK) == 0 && strpbrk(path, " :") == NULL) {
			add("LD_PRELOAD", path, ':', true);
			return;
		}
	}
	fputs("weft run: no libweft-lint.so: pthread locks are not looked at\n", stderr);
}

static void
set_option(const struct command *self, int opt, const char *value)
{
	long long n;

	if (opt == OPT_LINT) {
		add_lints();
	} else if (opt == OPT_TRACE || opt == OPT_HTTP) {
		if (*value == '\0')
			usage_error(self, "%s needs a value",
			    opt == OPT_TRACE ? "--trace" : "--http");
		/* A path is a Unix socket, also without the word. */
		set_text(opt == OPT_TRACE ? "WEFT_TRACE" : "WEFT_HTTP", "%s%s",
		    opt == OPT_HTTP && strchr(value, '/') != NULL &&
		    strncmp(value, "unix:", 5) != 0 ? "unix:" : "", value);
	} else if (opt == OPT_PROCS) {
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
		add_schedtrace(schedtrace, detail);
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
