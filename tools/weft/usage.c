/*
 * Options, and what to say of wrong ones. Knows no subcommand.
 */
#include "command.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORD_MAX 24

void
usage_error(const struct command *self, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "weft%s%s: ", self != NULL ? " " : "", self != NULL ? self->name : "");
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\nTry 'weft help%s%s'.\n", self != NULL ? " " : "",
	    self != NULL ? self->name : "");
	exit(EXIT_USAGE);
}

/* How many letters to add, drop or change to make b of a (Levenshtein). Both below WORD_MAX. */
static size_t
distance(const char *a, const char *b)
{
	size_t row[WORD_MAX + 1], n = strlen(b);

	for (size_t j = 0; j <= n; j++)
		row[j] = j;
	for (size_t i = 0; a[i] != '\0'; i++) {
		size_t diagonal = row[0];

		row[0] = i + 1;
		for (size_t j = 0; j < n; j++) {
			size_t best = diagonal + (a[i] != b[j]);

			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j + 1] + 1 < best)
				best = row[j + 1] + 1;
			diagonal = row[j + 1];
			row[j + 1] = best;
		}
	}
	return row[n];
}

const char *
did_you_mean(const char *word, const char *prefix, const char *const *names, size_t n)
{
	static char text[WORD_MAX + 32];
	size_t len = strlen(word), least = 3;

	text[0] = '\0';
	if (len == 0 || len >= WORD_MAX)
		return text;
	for (size_t i = 0; i < n; i++) {
		size_t d = strncmp(word, names[i], len) == 0 ? 0 : distance(word, names[i]);

		/* Two letters wrong of two are no likeness. */
		if (d >= least || d >= len)
			continue;
		least = d;
		snprintf(text, sizeof(text), " (did you mean %s%s?)", prefix, names[i]);
	}
	return text;
}

/* A word that getopt has refused, and that begins with "--". */
static __attribute__((noreturn)) void
bad_long_option(const struct command *self, const char *word, const struct option *options)
{
	const char *names[16];
	char name[64];
	size_t n = 0;

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(word + 2, "="), word + 2);
	for (; options[n].name != NULL && n < 16; n++) {
		if (strcmp(options[n].name, name) == 0)
			usage_error(self, "--%s takes no value", name);
		names[n] = options[n].name;
	}
	usage_error(self, "no such option: --%s%s", name, did_you_mean(name, "--", names, n));
}

int
next_option(const struct command *self, int argc, char **argv, const struct option *options)
{
	int opt;

	opterr = 0;
	/* "+": what follows the first argument belongs to the program that we start. */
	opt = getopt_long(argc, argv, "+:hV", options, NULL);
	switch (opt) {
	case 'h':
	case OPT_HELP:
		print_help(self);
		exit(finish(EXIT_OK));
	case 'V':
	case OPT_VERSION:
		print_version();
		exit(finish(EXIT_OK));
	case ':':
		usage_error(self, "%s needs a value", argv[optind - 1]);
	case '?':
		/* A letter that is no option; else a long one (0: unknown, else its own value). */
		if (optopt > OPT_VERSION && optopt < OPT_FIRST)
			usage_error(self, "no such option: -%c", optopt);
		bad_long_option(self, argv[optind - 1], options);
	default:
		return opt;
	}
}
