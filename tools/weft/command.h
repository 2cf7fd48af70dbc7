/*
 * The weft command: what its subcommands share. A subcommand is a row of the table in main.c.
 */
#ifndef WEFT_COMMAND_H
#define WEFT_COMMAND_H

#include <getopt.h>
#include <stddef.h>

enum {
	EXIT_OK = 0,
	EXIT_FINDING = 1,	/* it worked, and what it found is bad; or the output was lost */
	EXIT_USAGE = 2,
	EXIT_UNFIT = 2,		/* doctor: programs will not work here */
	EXIT_CANNOT_ATTACH = 3,	/* another process can't be read */
	EXIT_UNSUPPORTED = 4,	/* built without, or not on this system */
	EXIT_OWN_FAILURE = 125,	/* run: as env(1) and other programs that start programs */
	EXIT_CANNOT_EXEC = 126,
	EXIT_NOT_FOUND = 127,
};

struct command {
	const char *name;
	const char *summary;	/* one line of `weft help` */
	const char *help;	/* all of `weft help NAME` */
	/* argv[0] is the subcommand's name. Returns the exit status. */
	int (*main)(const struct command *self, int argc, char **argv);
};

extern const char run_help[], stacks_help[], symbolize_help[], top_help[], trace_help[],
	doctor_help[];
int run_main(const struct command *self, int argc, char **argv);
int stacks_main(const struct command *self, int argc, char **argv);
int top_main(const struct command *self, int argc, char **argv);
int trace_main(const struct command *self, int argc, char **argv);
int symbolize_main(const struct command *self, int argc, char **argv);
int doctor_main(const struct command *self, int argc, char **argv);

/* Options of a subcommand have values from here on. */
#define OPT_FIRST 256
#define OPT_HELP 1
#define OPT_VERSION 2
/* To stand last in each table of options. */
#define OPT_COMMON \
	{ "help", no_argument, NULL, OPT_HELP }, { "version", no_argument, NULL, OPT_VERSION }, \
	{ NULL, 0, NULL, 0 }

/*
 * The next option's value, -1 at the first argument that is none. Answers --help, --version and
 * their short forms, and what is wrong, itself: then it does not return. self NULL: before the
 * subcommand.
 */
int next_option(
    const struct command *self, int argc, char **argv, const struct option *options);
/* "weft NAME: what", where help is found, and exit status 2. */
__attribute__((noreturn, format(printf, 2, 3))) void usage_error(
    const struct command *self, const char *fmt, ...);
/* " (did you mean PREFIX and X?)" when word is close to names[i] = X, else "". Static. */
const char *did_you_mean(
    const char *word, const char *prefix, const char *const *names, size_t n);

void print_help(const struct command *self);	/* NULL: of the whole */
void print_version(void);
/* status, or EXIT_FINDING and a message when standard output could not be written. */
int finish(int status);

#endif /* WEFT_COMMAND_H */
