/*
 * weft doctor: asks the system all that matters to weft, and prints the answers for people, or as
 * JSON. Knows no check but by its name.
 */
#include "check.h"
#include "command.h"
#include "json.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <weft.h>

const char doctor_help[] =
	"Usage: weft doctor [--json] [--color WHEN] [--root DIR]\n"
	"\n"
	"Looks at what weft needs of the system and of the limits of this shell: a line each,\n"
	"ok, warn (weft works, but slower or not so far) or fail (programs will not work),\n"
	"with what to do about it.\n"
	"\n"
	"      --json       the same for programs: {\"version\": 1, \"status\": ..., \"checks\":\n"
	"                   [{\"name\", \"status\", \"detail\", \"remedy\" (null if ok)}, ...]}\n"
	"      --color WHEN colour the words: always, never, or auto: on a terminal, unless\n"
	"                   NO_COLOR or FORCE_COLOR is set (auto)\n"
	"      --root DIR   read /proc and /sys below DIR\n"
	"  -h, --help       show this and exit\n"
	"  -V, --version    show the version and exit\n"
	"\n"
	"Limits are inherited: run it where the program will run (same user, same container,\n"
	"same service).\n"
	"\n"
	"Exit status: 0 all is ok, 1 something is warned of, 2 something failed, or wrong usage.\n";

enum { OPT_JSON = OPT_FIRST, OPT_COLOR, OPT_ROOT };

static const struct option options[] = {
	{ "json", no_argument, NULL, OPT_JSON },
	{ "color", required_argument, NULL, OPT_COLOR },
	{ "root", required_argument, NULL, OPT_ROOT },
	OPT_COMMON
};

static const struct {
	const char *name;
	void (*ask)(struct check *c);
} checks[] = {
	{ "kernel", check_kernel },
	{ "stack guards", check_guards },
	{ "membarrier", check_membarrier },
	{ "epoll", check_epoll },
	{ "io_uring", check_io_uring },
	{ "pidfd", check_pidfd },
	{ "processors", check_processors },
	{ "open files", check_files },
	{ "threads", check_threads },
	{ "address space", check_memory },
	{ "mappings", check_mappings },
	{ "overcommit", check_overcommit },
	{ "core files", check_core },
	{ "perf", check_perf },
	{ "ptrace", check_ptrace },
};
#define N_CHECKS (sizeof(checks) / sizeof(checks[0]))

static const char *const words[] = { "ok", "warn", "fail" };
/* The worst is the status of the command. Wrong usage is 2, too, but says nothing on stdout. */
static const int exits[] = { EXIT_OK, EXIT_FINDING, EXIT_UNFIT };

void
check_ok(struct check *c, const char *fmt, ...)
{
	va_list ap;

	c->verdict = CHECK_OK;
	c->remedy = NULL;
	va_start(ap, fmt);
	vsnprintf(c->detail, sizeof(c->detail), fmt, ap);
	va_end(ap);
}

void
check_bad(struct check *c, enum verdict v, const char *remedy, const char *fmt, ...)
{
	va_list ap;

	c->verdict = v;
	c->remedy = remedy;
	va_start(ap, fmt);
	vsnprintf(c->detail, sizeof(c->detail), fmt, ap);
	va_end(ap);
}

bool
check_read(const struct check *c, const char *path, char *buf, size_t cap)
{
	char full[4096];
	size_t n;
	FILE *f;
	bool ok;

	if ((size_t)snprintf(full, sizeof(full), "%s%s", c->root, path) >= sizeof(full))
		return false;
	f = fopen(full, "re");
	if (f == NULL)
		return false;
	n = fread(buf, 1, cap - 1, f);
	ok = ferror(f) == 0;
	(void)fclose(f);
	buf[n] = '\0';
	if (n > 0 && buf[n - 1] == '\n')
		buf[n - 1] = '\0';
	return ok;
}

bool
check_read_number(const struct check *c, const char *path, long long *ret)
{
	char buf[64], *end;

	if (!check_read(c, path, buf, sizeof(buf)))
		return false;
	*ret = strtoll(buf, &end, 10);
	return end != buf;
}

static void
print_json(const struct check *all, enum verdict worst)
{
	printf("{\n  \"version\": 1,\n  \"weft\": \"%s\",\n", weft_version());
	printf("  \"status\": \"%s\",\n  \"checks\": [\n", words[worst]);
	for (size_t i = 0; i < N_CHECKS; i++) {
		printf("    {\"name\": \"%s\", \"status\": \"%s\", \"detail\": ", checks[i].name,
		    words[all[i].verdict]);
		json_string(stdout, all[i].detail, strlen(all[i].detail));
		fputs(", \"remedy\": ", stdout);
		if (all[i].remedy != NULL)
			json_string(stdout, all[i].remedy, strlen(all[i].remedy));
		else
			fputs("null", stdout);
		printf("}%s\n", i + 1 < N_CHECKS ? "," : "");
	}
	fputs("  ]\n}\n", stdout);
}

/* Files of the system may hold anything; the terminal gets no control character of theirs. */
static void
print_text_string(const char *text)
{
	for (; *text != '\0'; text++)
		putchar((unsigned char)*text < 0x20 || *text == 0x7f ? '?' : *text);
}

static bool
is_set(const char *name)
{
	const char *value = getenv(name);

	return value != NULL && *value != '\0';
}

/* What --color auto means: who forbids it is asked before who wants it. */
static bool
may_colour(void)
{
	const char *term = getenv("TERM");

	if (is_set("NO_COLOR"))
		return false;
	if (is_set("FORCE_COLOR"))
		return true;
	return isatty(STDOUT_FILENO) && term != NULL && strcmp(term, "dumb") != 0;
}

static bool
want_colour(const struct command *self, const char *when)
{
	if (strcmp(when, "auto") == 0)
		return may_colour();
	if (strcmp(when, "always") != 0 && strcmp(when, "never") != 0)
		usage_error(self, "--color: always, never or auto, not %s", when);
	return strcmp(when, "always") == 0;
}

static void
print_text(const struct check *all, bool colour)
{
	static const char *const colours[] = { "\033[32m", "\033[33m", "\033[31m" };
	int count[3] = { 0, 0, 0 };

	for (size_t i = 0; i < N_CHECKS; i++) {
		enum verdict v = all[i].verdict;

		count[v]++;
		printf("%s%-4s%s  %-14s ", colour ? colours[v] : "", words[v],
		    colour ? "\033[0m" : "", checks[i].name);
		print_text_string(all[i].detail);
		if (all[i].remedy != NULL)
			printf("\n%22s%s", "-> ", all[i].remedy);
		putchar('\n');
	}
	printf("%d ok, %d warn, %d fail\n", count[CHECK_OK], count[CHECK_WARN], count[CHECK_FAIL]);
}

int
doctor_main(const struct command *self, int argc, char **argv)
{
	static struct check all[N_CHECKS];
	enum verdict worst = CHECK_OK;
	const char *root = "";
	bool json = false, colour = may_colour();
	int opt;

	while ((opt = next_option(self, argc, argv, options)) != -1) {
		if (opt == OPT_JSON)
			json = true;
		else if (opt == OPT_COLOR)
			colour = want_colour(self, optarg);
		else
			root = optarg;
	}
	if (optind < argc)
		usage_error(self, "takes no argument: %s", argv[optind]);
	for (size_t i = 0; i < N_CHECKS; i++) {
		all[i].root = root;
		checks[i].ask(&all[i]);
		if (all[i].verdict > worst)
			worst = all[i].verdict;
	}
	if (json)
		print_json(all, worst);
	else
		print_text(all, colour);
	return exits[worst];
}
