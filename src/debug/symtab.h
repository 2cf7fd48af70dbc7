/*
 * Names of functions, static ones too, from the symbol tables of the files that are loaded.
 * libc only; no malloc; usable in a signal handler. Lines of source are not looked up: the file
 * and the address in it are printed, which addr2line(1) and weft-symbolize take.
 */
#ifndef WEFT_DEBUG_SYMTAB_H
#define WEFT_DEBUG_SYMTAB_H

#include "base/compiler.h"

#define WF_SYMTAB_FILES 24	/* files kept open at once; more push out the oldest */
#define WF_SYMTAB_CACHE 512	/* addresses remembered: dumps repeat the same few */
#define WF_SYMTAB_PATH 256

struct wf_symfile {
	uintptr_t lo, hi, bias;		/* as in struct wf_os_elf */
	const uint8_t *map;		/* the file, or NULL: it could not be read */
	size_t bytes;
	const void *syms;		/* Elf64_Sym[n_syms], inside map */
	size_t n_syms;
	const char *strs;		/* NUL at the end, inside map */
	size_t strs_bytes;
	char path[WF_SYMTAB_PATH];
};

struct wf_symtab {		/* owned by one thread at a time; zero is empty */
	struct wf_symfile files[WF_SYMTAB_FILES];
	unsigned n_files, next;		/* next: to be pushed out */
	struct {
		uintptr_t pc;
		const char *name;
	} cache[WF_SYMTAB_CACHE];
};

struct wf_symbol {
	const char *name;		/* NULL: not known. Valid until the next call */
	const char *path;		/* NULL: no file there */
	uintptr_t file_pc;		/* the address, as the file counts */
};

void wf_symtab_find(struct wf_symtab *t, uintptr_t pc, struct wf_symbol *ret);
/* Gives the files back. t is empty again. */
void wf_symtab_close(struct wf_symtab *t);

#endif /* WEFT_DEBUG_SYMTAB_H */
