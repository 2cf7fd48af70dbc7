/*
 * weft trace: execution traces as other tools want them.
 */
#include "command.h"
#include "trace_convert.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char trace_help[] =
	"Usage: weft trace convert [OPTION]... FILE\n"
	"\n"
	"Reads an execution trace (\"-\": from standard input), as WEFT_TRACE, WEFT_FLIGHT,\n"
	"weft_trace_start(3) and the debug endpoint write it, and writes it in another form.\n"
	"A trace that is cut off, or says what can't have happened, is refused.\n"
	"\n"
	"  weft trace convert slow.trace >slow.json      for Perfetto, speedscope, ...\n"
	"  weft trace convert --to pprof --only sync slow.trace >sync.pprof\n"
	"\n"
	"      --to FORMAT       chrome (JSON of the Trace Event Format; this is the default)\n"
	"                        or pprof (a profile of the times when goroutines did not run)\n"
	"      --only KIND       with --to pprof: waits for the network (net), waits for other\n"
	"                        goroutines (sync), calls (syscall), or for a processor (sched)\n"
	"      --output FILE     write there instead of to standard output\n"
	"  -h, --help            show this and exit\n"
	"  -V, --version         show the version and exit\n"
	"\n"
	"'go tool trace FILE' shows a trace as it is.\n"
	"\n"
	"Exit status: 0 done, 1 the trace can't be read, or the output not written, 2 wrong\n"
	"usage.\n";

enum { OPT_TO = OPT_FIRST, OPT_ONLY, OPT_OUTPUT };

static const struct option options[] = {
	{ "to", required_argument, NULL, OPT_TO },
	{ "only", required_argument, NULL, OPT_ONLY },
	{ "output", required_argument, NULL, OPT_OUTPUT },
	OPT_COMMON
};

static const char *const formats[] = { "chrome", "pprof" };
enum { TO_CHROME, TO_PPROF };
static const char *const kinds[] = { "", "net", "sync", "syscall", "sched" };	/* trace_only */

/* Which of the words it is. */
static int
word_of(const struct command *self, const char *option, const char *word,
    const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (words[i][0] != '\0' && strcmp(word, words[i]) == 0)
			return (int)i;
	usage_error(self, "--%s: not known: %s%s", option, word, did_you_mean(word, "", words, n));
}

/* All of it, if it begins as a trace does; NULL: errno says why not. */
static uint8_t *
read_all(FILE *f, size_t *ret_n)
{
	uint8_t *data = NULL, *more;
	size_t n = 0, cap = 0, got;

	do {
		if (n == cap) {
			cap = cap == 0 ? (size_t)1 << 20 : 2 * cap;
			more = realloc(data, cap);
			if (more == NULL) {
				free(data);
				return NULL;
			}
			data = more;
		}
		got = fread(data + n, 1, cap - n, f);
		n += got;
	} while (got > 0 && memcmp(data, TRACE_HEADER, wf_min(n, TRACE_HEADER_BYTES)) == 0);
	if (ferror(f)) {
		free(data);
		return NULL;
	}
	*ret_n = n;
	return data;
}

static uint8_t *
read_file(const char *path, size_t *ret_n)
{
	FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	uint8_t *data = f == NULL ? NULL : read_all(f, ret_n);
	int error = errno;

	if (f != NULL && f != stdin)
		(void)fclose(f);
	errno = error;
	return data;
}

struct request {
	int to;
	enum trace_only only;
	const char *path, *output;
};

static bool
write_to(const struct trace_input *in, const struct request *r, FILE *out)
{
	struct trace_error error;

	/* It has been read before: only memory can be lacking now. */
	if (r->to == TO_CHROME ? trace_to_chrome(in, out, &error)
	    : trace_to_pprof(in, r->only, out, &error))
		return true;
	fprintf(stderr, "weft trace: %s: %s\n", r->path, error.what);
	return false;
}

static int
write_file(const struct trace_input *in, const struct request *r)
{
	FILE *out = fopen(r->output, "we");
	bool ok = out != NULL && write_to(in, r, out) && !ferror(out);

	if (out != NULL && fclose(out) == 0 && ok)
		return EXIT_OK;
	fprintf(stderr, "weft trace: can't write %s: %s\n", r->output, strerror(errno));
	return EXIT_FINDING;
}

static int
convert(const struct request *r)
{
	struct trace_input in = { .n = 0 };
	struct trace_error error;
	uint8_t *data = read_file(r->path, &in.n);
	int status = EXIT_FINDING;

	in.data = data;
	if (data == NULL)
		fprintf(stderr, "weft trace: can't read %s: %s\n", r->path, strerror(errno));
	/* First all of it, so that nothing is written of a trace that is wrong at its end. */
	else if (!trace_read(data, in.n, NULL, &in.bounds, &error))
		fprintf(stderr, "weft trace: %s: byte %zu: %s\n", r->path, error.at, error.what);
	else if (r->output != NULL)
		status = write_file(&in, r);
	else
		status = write_to(&in, r, stdout) ? EXIT_OK : EXIT_FINDING;
	free(data);
	return status;
}

static int
convert_main(const struct command *self, int argc, char **argv)
{
	struct request r = { .to = TO_CHROME, .only = ONLY_ALL };
	int opt;

	while ((opt = next_option(self, argc, argv, options)) != -1) {
		if (opt == OPT_TO)
			r.to = word_of(self, "to", optarg, formats, wf_countof(formats));
		else if (opt == OPT_ONLY)
			r.only = (enum trace_only)word_of(
			    self, "only", optarg, kinds, wf_countof(kinds));
		else
			r.output = optarg;
	}
	if (r.only != ONLY_ALL && r.to != TO_PPROF)
		usage_error(self, "--only is for --to pprof");
	if (argc - optind != 1)
		usage_error(self, optind == argc ? "no trace to convert" : "one trace at a time");
	r.path = argv[optind];
	if (r.to == TO_PPROF && r.output == NULL && isatty(STDOUT_FILENO))
		usage_error(self, "a profile is not for terminals: --output says where to");
	return convert(&r);
}

int
trace_main(const struct command *self, int argc, char **argv)
{
	static const char *const actions[] = { "convert" };
	static const struct option only_common[] = { OPT_COMMON };

	(void)next_option(self, argc, argv, only_common);
	if (optind == argc)
		usage_error(self, "what is to be done with a trace?");
	if (strcmp(argv[optind], actions[0]) != 0)
		usage_error(self, "not known: %s%s", argv[optind],
		    did_you_mean(argv[optind], "weft trace ", actions, wf_countof(actions)));
	argc -= optind;
	argv += optind;
	optind = 0;	/* getopt(3): begin again, with another argv */
	return convert_main(self, argc, argv);
}
