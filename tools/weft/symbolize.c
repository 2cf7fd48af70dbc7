/*
 * weft symbolize: source lines for a dump. The process that dumps prints files and addresses in
 * them only, because reading debug information in a process that dies is not worth its risk.
 */
#include "command.h"
#include "symbols.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char symbolize_help[] =
	"Usage: weft symbolize [OPTION]... [FILE]...\n"
	"\n"
	"Copies a dump of goroutines, from FILE or standard input, and puts the line of source in\n"
	"place of each file and address; a line for each function that was inlined, too.\n"
	"\n"
	"  ./server 2>&1 | weft symbolize\n"
	"  weft symbolize crash.txt\n"
	"  weft symbolize --go crash.txt | panicparse\n"
	"\n"
	"The programs and libraries must still be where the dump says, or their debug information\n"
	"where debuggers look for it. What is not found, and what is no dump, stays as it is.\n"
	"\n"
	"      --go              for programs that read tracebacks of Go and know no files but\n"
	"                        of C and Go: a line of another one is ??:LINE\n"
	"  -h, --help            show this and exit\n"
	"  -V, --version         show the version and exit\n"
	"\n"
	"Exit status: 0, 1 a file could not be read, 2 wrong usage.\n";

enum { OPT_GO = OPT_FIRST };

/* What a dump says instead of a file of C and a line. */
#define UNKNOWN "/?.c:0 "

static const struct option options[] = {
	{ "go", no_argument, NULL, OPT_GO },
	OPT_COMMON
};

static bool for_go;		/* --go */

/* The modules of all dumps, by path. Addresses are those in the file. */
struct files {
	Dwfl *dwfl;
	struct file {
		char *path;
		Dwfl_Module *module;	/* NULL: can't be read */
	} *files;
	size_t n;
};

static char *no_path;
static const Dwfl_Callbacks callbacks = {
	.find_elf = dwfl_build_id_find_elf,
	.find_debuginfo = dwfl_standard_find_debuginfo,
	.section_address = dwfl_offline_section_address,
	.debuginfo_path = &no_path,
};

static __attribute__((noreturn)) void
out_of_memory(void)
{
	fputs("weft symbolize: out of memory\n", stderr);
	exit(EXIT_FINDING);
}

/* The file's module, opened when it is first asked for. */
static Dwfl_Module *
module_of(struct files *f, const char *path)
{
	struct file *more;

	for (size_t i = 0; i < f->n; i++)
		if (strcmp(f->files[i].path, path) == 0)
			return f->files[i].module;
	more = realloc(f->files, (f->n + 1) * sizeof(*more));
	if (more == NULL)
		out_of_memory();
	f->files = more;
	more = &f->files[f->n++];
	more->path = strdup(path);
	if (more->path == NULL)
		out_of_memory();
	dwfl_report_begin_add(f->dwfl);
	more->module = dwfl_report_offline(f->dwfl, path, path, -1);
	dwfl_report_end(f->dwfl, NULL, NULL);
	return more->module;
}

/* "\tFILE/?.c:0 +0xADDRESS": cuts the line in two. */
static bool
split_place(char *line, char **ret_path, unsigned long long *ret_address)
{
	char *plus = strrchr(line, '+'), *end;
	size_t n = strlen(UNKNOWN);

	if (line[0] != '\t' || plus == NULL || (size_t)(plus - line) < n + 2 ||
	    strncmp(plus - n, UNKNOWN, n) != 0 || strncmp(plus, "+0x", 3) != 0)
		return false;
	*ret_address = strtoull(plus + 3, &end, 16);
	if (end == plus + 3 || (*end != '\n' && *end != '\0'))
		return false;
	plus[-(ptrdiff_t)n] = '\0';
	*ret_path = line + 1;
	return true;
}

/* Go's parsers know the files of Go, C and assembler by their names. */
static bool
go_knows(const char *file)
{
	size_t n = strlen(file);

	return n > 2 && strcmp(file + n - 2, ".c") == 0;
}

static void
print_place(const struct source *s, const char *path, unsigned long long address)
{
	if (for_go && s->file != NULL && !go_knows(s->file))
		printf("\t??:%d +0x%llx\n", s->line, address);
	else if (s->file != NULL)
		printf("\t%s:%d +0x%llx\n", s->file, s->line, address);
	else
		printf("\t%s" UNKNOWN "+0x%llx\n", path, address);
}

/*
 * The function's line, and below it the place. What the dump calls the outermost function stands,
 * also with "created by" before it; those inlined into it come first.
 */
static void
print_frames(struct files *f, const char *function, const char *path, unsigned long long address)
{
	Dwfl_Module *module = module_of(f, path);
	struct source s[SOURCES_MAX];
	bool is_call = strstr(function, "(...)") != NULL;
	GElf_Addr bias = 0;
	size_t n;

	if (module != NULL)
		(void)dwfl_module_getelf(module, &bias);
	n = sources_at(module, bias + address, s, SOURCES_MAX);
	/* What is inlined into a public function is the runtime's. */
	for (size_t i = strncmp(function, "weft_", 5) == 0 ? n : 0; is_call && i + 1 < n; i++) {
		printf("%s(...)\n", s[i].function != NULL ? s[i].function : "??");
		print_place(&s[i], path, address);
	}
	if (is_call && strncmp(function, "?" "?(", 3) == 0 && s[n - 1].function != NULL)
		printf("%s(...)\n", s[n - 1].function);
	else
		fputs(function, stdout);
	print_place(&s[is_call ? n - 1 : 0], path, address);
}

static void
symbolize(struct files *f, FILE *in)
{
	char *line = NULL, *held = NULL, *path;
	size_t cap = 0, held_cap = 0;
	unsigned long long address;
	bool is_held = false;

	while (getline(&line, &cap, in) > 0) {
		char *other = held;
		size_t other_cap = held_cap;

		if (is_held && split_place(line, &path, &address)) {
			print_frames(f, held, path, address);
			is_held = false;
			continue;
		}
		if (is_held)
			fputs(held, stdout);
		held = line;
		held_cap = cap;
		line = other;
		cap = other_cap;
		is_held = true;
	}
	if (is_held)
		fputs(held, stdout);
	free(line);
	free(held);
}

int
symbolize_main(const struct command *self, int argc, char **argv)
{
	struct files f = {.dwfl = dwfl_begin(&callbacks)};
	int status = EXIT_OK;

	while (next_option(self, argc, argv, options) == OPT_GO)
		for_go = true;
	if (f.dwfl == NULL)
		out_of_memory();
	if (optind == argc)
		symbolize(&f, stdin);
	for (int i = optind; i < argc; i++) {
		FILE *in = strcmp(argv[i], "-") == 0 ? stdin : fopen(argv[i], "r");

		if (in == NULL) {
			fprintf(stderr, "weft symbolize: %s: %s\n", argv[i], strerror(errno));
			status = EXIT_FINDING;
			continue;
		}
		symbolize(&f, in);
		if (in != stdin)
			fclose(in);
	}
	for (size_t i = 0; i < f.n; i++)
		free(f.files[i].path);
	free(f.files);
	dwfl_end(f.dwfl);
	return status;
}
