/*
 * What is said instead of the commands that read debug information, where weft was built without
 * libdw.
 */
#include "command.h"

#include <stdio.h>

const char symbolize_help[] =
	"Usage: weft symbolize [FILE]...\n"
	"\n"
	"This weft was built without libdw (Debian: libdw-dev).\n";
const char top_help[] =
	"Usage: weft top PID\n\nThis weft was built without libdw or ncurses.\n";
const char stacks_help[] =
	"Usage: weft stacks PID\n\nThis weft was built without libdw (Debian: libdw-dev).\n";

int
symbolize_main(const struct command *self, int argc, char **argv)
{
	(void)argc;
	(void)argv;
	fprintf(stderr, "weft %s: built without libdw or ncurses\n", self->name);
	return EXIT_UNSUPPORTED;
}

int
top_main(const struct command *self, int argc, char **argv)
{
	return symbolize_main(self, argc, argv);
}

int
stacks_main(const struct command *self, int argc, char **argv)
{
	return symbolize_main(self, argc, argv);
}
