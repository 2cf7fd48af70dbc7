/*
 * weft: look at, and start, programs that use the library. Which subcommands there are, and help.
 */
#include "command.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <weft.h>

static int help_main(const struct command *self, int argc, char **argv);
static int version_main(const struct command *self, int argc, char **argv);

static const struct command commands[] = {
	{ "run", "start a program with settings of the runtime", run_help, run_main },
	{ "stacks", "print the goroutines of a process that runs", stacks_help, stacks_main },
	{ "top", "watch what a process does", top_help, top_main },
	{ "trace", "turn an execution trace into what other tools read", trace_help, trace_main },
	{ "symbolize", "put lines of source into a dump", symbolize_help, symbolize_main },
	{ "doctor", "say what of this system stands in weft's way", doctor_help, doctor_main },
	{ "version", "print the version",
	  "Usage: weft version\n\nPrints \"weft\" and the version, as weft --version does.\n",
	  version_main },
	{ "help", "explain a command",
	  "Usage: weft help [COMMAND]\n\nExplains COMMAND; without it, lists them all.\n",
	  help_main },
};
#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static const struct option only_common[] = { OPT_COMMON };

void
print_help(const struct command *self)
{
	if (self != NULL) {
		fputs(self->help, stdout);
		return;
	}
	printf("Usage: weft COMMAND [ARGUMENT]...\n"
	       "\n"
	       "  weft doctor                           is the system fit for many goroutines\n"
	       "  weft run --procs 4 -- ./server        with four processors\n"
	       "  weft run --schedtrace 1000 ./server   what the scheduler does, each second\n"
	       "  weft stacks $(pidof server)           what each goroutine waits for, and where\n"
	       "\n"
	       "Commands:\n");
	for (size_t i = 0; i < N_COMMANDS; i++)
		printf("  %-9s %s\n", commands[i].name, commands[i].summary);
	printf("\n"
	       "'weft help COMMAND' and 'weft COMMAND --help' tell more; so does weft(1).\n");
}

void
print_version(void)
{
	printf("weft %s\n", weft_version());
}

int
finish(int status)
{
	if (fflush(stdout) == 0 && ferror(stdout) == 0)
		return status;
	fprintf(stderr, "weft: can't write the output: %s\n", strerror(errno));
	return EXIT_FINDING;
}

static int
version_main(const struct command *self, int argc, char **argv)
{
	(void)next_option(self, argc, argv, only_common);
	if (optind < argc)
		usage_error(self, "takes no argument: %s", argv[optind]);
	print_version();
	return EXIT_OK;
}

/* The command of that name. Ends the program if there is none. */
static const struct command *
find_command(const struct command *self, const char *name)
{
	const char *names[N_COMMANDS];

	for (size_t i = 0; i < N_COMMANDS; i++) {
		names[i] = commands[i].name;
		if (strcmp(name, names[i]) == 0)
			return &commands[i];
	}
	usage_error(self, "no such command: %s%s", name,
	    did_you_mean(name, "weft ", names, N_COMMANDS));
}

static int
help_main(const struct command *self, int argc, char **argv)
{
	(void)next_option(self, argc, argv, only_common);
	if (argc - optind > 1)
		usage_error(self, "explains one command at a time");
	print_help(optind < argc ? find_command(self, argv[optind]) : NULL);
	return EXIT_OK;
}

int
main(int argc, char **argv)
{
	const struct command *command;

	if (argc == 0)
		return EXIT_USAGE;
	(void)next_option(NULL, argc, argv, only_common);
	if (optind == argc)
		usage_error(NULL, "no command");
	command = find_command(NULL, argv[optind]);
	argc -= optind;
	argv += optind;
	optind = 0;	/* getopt(3): begin again, with another argv */
	return finish(command->main(command, argc, argv));
}
