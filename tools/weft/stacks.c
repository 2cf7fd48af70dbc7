/*
 * weft stacks: the goroutines of a process that runs, as weft_dump() would print them, but with
 * lines of source, and without its help: it may hang, or be too busy to answer.
 */
#include "command.h"
#include "sched/tags.h"
#include "symbols.h"
#include "target.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FRAMES_MAX 100
#define TRIES 3			/* at a goroutine that goes on while it is read */
#define NS_PER_S 1000000000
#define RUNNING "\tgoroutine running on other thread; stack unavailable\n"

const char stacks_help[] =
	"Usage: weft stacks [OPTION]... PID\n"
	"\n"
	"Prints the goroutines of process PID, in the form of weft_dump(3), with lines of source.\n"
	"The process is not stopped and not asked.\n"
	"\n"
	"  weft stacks $(pidof server)\n"
	"  weft stacks --blocked 10 4711   those that wait for ten seconds or longer\n"
	"\n"
	"      --all             show the frames of the runtime, too\n"
	"      --blocked SECONDS only goroutines that have waited so long\n"
	"  -h, --help            show this and exit\n"
	"  -V, --version         show the version and exit\n"
	"\n"
	"Exit status: 0, 2 wrong usage, 3 the process can't be read, 4 built without libdw.\n";

enum { OPT_ALL = OPT_FIRST, OPT_BLOCKED };

static const struct option options[] = {
	{ "all", no_argument, NULL, OPT_ALL },
	{ "blocked", required_argument, NULL, OPT_BLOCKED },
	OPT_COMMON
};

/* What has no line of source: as in a dump, in that file, or nobody knows where. */
static void
print_place(const struct source *s, const char *path, uint64_t address)
{
	if (s->file != NULL)
		printf("\t%s:%d", s->file, s->line);
	else
		printf("\t%s%s:0", path != NULL ? path : "??", path != NULL ? "/?.c" : "");
	printf(" +0x%llx\n", (unsigned long long)address);
}

/* Which file, and what to take from an address to have the one in the file. */
static const char *
file_of(Dwfl_Module *module, uint64_t *ret_bias)
{
	const char *path = NULL;
	GElf_Addr bias = 0;

	if (module != NULL) {
		(void)dwfl_module_getelf(module, &bias);
		(void)dwfl_module_info(module, NULL, NULL, NULL, NULL, NULL, &path, NULL);
	}
	*ret_bias = bias;
	return path;
}

/* hides: what is inlined into a public function is the runtime's, and left out. */
static void
print_frames(const struct target *t, uint64_t pc, bool hides)
{
	Dwfl_Module *module = dwfl_addrmodule(t->dwfl, pc);
	struct source s[SOURCES_MAX];
	size_t n = sources_at(module, pc, s, SOURCES_MAX);
	size_t first = 0;
	uint64_t bias;
	const char *path = file_of(module, &bias);

	if (hides && s[n - 1].function != NULL && strncmp(s[n - 1].function, "weft_", 5) == 0)
		first = n - 1;
	for (size_t i = first; i < n; i++) {
		printf("%s(...)\n", s[i].function != NULL ? s[i].function : "??");
		print_place(&s[i], path, pc - bias);
	}
}

/*
 * How many of the frames lie above the first public function; of a goroutine of the runtime's own,
 * which calls none, above the function that is not named as the runtime's are.
 */
static size_t
runtime_frames(const struct target *t, const uint64_t *pcs, size_t n)
{
	size_t last = 0;

	for (size_t i = 0; i < n; i++) {
		Dwfl_Module *module = dwfl_addrmodule(t->dwfl, pcs[i]);
		const char *name = module != NULL ? dwfl_module_addrname(module, pcs[i]) : NULL;

		if (name != NULL && strncmp(name, "weft_", 5) == 0)
			return i;
		if (name != NULL && strncmp(name, "wf_", 3) == 0 && i + 1 < n)
			last = i + 1;
	}
	return last;
}

/* As in a dump: one more item in the bracket, which it can't end. */
static void
print_name(const char *name)
{
	printf(", \"");
	for (; *name != '\0'; name++)
		putchar(*name == ']' ? '?' : *name == ',' ? ';' : *name);
	putchar('"');
}

/* Quoted as in a dump: all but letters, digits, ".", "/" and "_". */
static void
print_word(const char *s)
{
	bool is_plain = s[0] != '\0' && s[strspn(s, "0123456789abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ./_")] == '\0';

	if (!is_plain)
		putchar('"');
	for (; *s != '\0'; s++) {
		if (*s == '"' || *s == '\\')
			putchar('\\');
		putchar((unsigned char)*s < ' ' || *s == 0x7f ? '?' : *s);
	}
	if (!is_plain)
		putchar('"');
}

/* Its labels, or the address of what it has; 0: none. They are beside its name, or alone. */
static uint64_t
labels_of(const struct target *t, const struct goroutine *g)
{
	uint64_t at = target_get(t, g->at, "g.name");
	char first;

	if (at == 0 || target_offset(t, "tags.text") == 0 || !target_read(t, &first, at, 1))
		return 0;
	return first == '\0' ? at : target_get(t, at, "tags.labels");
}

/* " {key: value}", if they have not changed meanwhile. Not where its dumps have none either. */
static void
print_labels(const struct target *t, const struct goroutine *g)
{
	uint64_t at = labels_of(t, g), n = 0, bytes = 0;
	char text[WF_LABELS_BYTES + 1], *word = text;
	bool is_off = target_get(t, (uint64_t)(uintptr_t)t->layout.sched, "sched.no_labels") != 0;

	if (at != 0 && !is_off) {
		n = target_get(t, at, "tags.n");
		bytes = target_get(t, at, "tags.bytes");
	}
	if (n == 0 || n > WEFT_LABELS_MAX || bytes > WF_LABELS_BYTES ||
	    !target_read(t, text, at + target_offset(t, "tags.text"), bytes) ||
	    labels_of(t, g) != at || target_get(t, g->at, "g.id") != g->id)
		return;
	text[bytes] = '\0';
	for (uint64_t i = 0; i < 2 * n && word < text + bytes; i++) {
		printf("%s", i == 0 ? " {" : i % 2 != 0 ? ": " : ", ");
		print_word(word);
		word += strlen(word) + 1;
	}
	printf("}");
}

static void
print_header(const struct target *t, const struct goroutine *g, int64_t now)
{
	int64_t waited = (now - g->since) / NS_PER_S;

	printf("goroutine %llu [%s", (unsigned long long)g->id, g->reason);
	if (g->status == target_offset(t, "status.WAITING") && waited >= 1)
		printf(", %lld %s", (long long)(waited >= 60 ? waited / 60 : waited),
		    waited >= 60 ? "minutes" : "seconds");
	if (g->detached_at != 0)
		printf(", detached %lld ms", (long long)(now - g->detached_at) / 1000000);
	if (g->tid != 0)
		printf(", thread %d", g->tid);
	if (g->is_locked)
		printf(", locked to thread");
	if (g->name[0] != '\0')
		print_name(g->name);
	printf("]");
	print_labels(t, g);
	printf(":\n");
}

/* As copied; the copy is renewed if the goroutine goes on. 0: it went on all the time. */
static size_t
walk(struct target *t, struct goroutine *g, uint64_t *pcs)
{
	size_t n = 0;

	for (int i = 0; i < TRIES && n == 0 && target_is_parked(t, g); i++)
		if ((n = target_walk(t, g, pcs, FRAMES_MAX)) == 0 && !target_renew(t, g))
			break;
	return n;
}

static void
print_created_by(const struct target *t, const struct goroutine *g)
{
	uint64_t pc = g->created - 1;
	Dwfl_Module *module = dwfl_addrmodule(t->dwfl, pc);
	struct source s[SOURCES_MAX];
	size_t last = sources_at(module, pc, s, SOURCES_MAX) - 1;
	uint64_t bias;
	const char *path = file_of(module, &bias);

	printf("created by %s", s[last].function != NULL ? s[last].function : "??");
	if (g->parent != 0)
		printf(" in goroutine %llu", (unsigned long long)g->parent);
	printf("\n");
	print_place(&s[0], path, pc - bias);
}

static void
print_goroutine(struct target *t, struct goroutine *g, int64_t now, bool all)
{
	uint64_t pcs[FRAMES_MAX];
	size_t n = walk(t, g, pcs);

	/* The header is of the copy that the stack is of. */
	print_header(t, g, now);
	if (target_is_parked(t, g)) {
		for (size_t i = all ? 0 : runtime_frames(t, pcs, n); i < n; i++)
			print_frames(t, pcs[i], !all);
		if (n == 0)
			printf(RUNNING);	/* each time that we looked */
		else if (n == FRAMES_MAX)
			printf("...additional frames elided...\n");
	} else if (g->tid == 0) {
		print_frames(t, g->fn, !all);
	} else {
		printf(RUNNING);
	}
	if (g->created != 0)
		print_created_by(t, g);
}

static int64_t
now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

int
stacks_main(const struct command *self, int argc, char **argv)
{
	int64_t now, least = -1;
	bool all = false, first = true;
	struct goroutine *g;
	struct target t;
	char *end;
	size_t n;
	int opt;

	while ((opt = next_option(self, argc, argv, options)) != -1) {
		if (opt == OPT_ALL) {
			all = true;
		} else {
			least = strtoll(optarg, &end, 10);
			if (*optarg < '0' || *optarg > '9' || *end != '\0' || least > 1000000000)
				usage_error(self, "--blocked: not a time in seconds: %s", optarg);
		}
	}
	if (argc - optind != 1)
		usage_error(self, "needs one process id");
	target_open(&t, self, argv[optind]);
	g = target_goroutines(&t, &n);
	now = now_ns();
	for (size_t i = 0; i < n; i++) {
		if (least >= 0 && (g[i].status != target_offset(&t, "status.WAITING") ||
		    now - g[i].since < least * NS_PER_S))
			continue;
		if (!first)
			printf("\n");
		first = false;
		print_goroutine(&t, &g[i], now, all);
	}
	free(g);
	target_close(&t);
	return EXIT_OK;
}
