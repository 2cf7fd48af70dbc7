/*
 * Functions and lines of source, from the debug information of files on disk. Over libdw.
 */
#ifndef WEFT_COMMAND_SYMBOLS_H
#define WEFT_COMMAND_SYMBOLS_H

#include <elfutils/libdwfl.h>
#include <stdbool.h>
#include <stddef.h>

/* One function at an address; several if the compiler has put one into the other. */
struct source {
	const char *function;	/* NULL: not known. libdw's */
	const char *file;	/* NULL: not known. libdw's */
	int line;
};

#define SOURCES_MAX 32

/*
 * What lies at pc, of an instruction inside the call: innermost first, at least one. module may be
 * NULL.
 */
size_t sources_at(Dwfl_Module *module, Dwarf_Addr pc, struct source *ret, size_t max);

#endif /* WEFT_COMMAND_SYMBOLS_H */
