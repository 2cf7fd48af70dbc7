/*
 * What function and line an address belongs to. See symbols.h.
 */
#include "symbols.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <stdlib.h>

/* The place that an inlined function was called at. */
static void
call_site(Dwarf_Die *cu, Dwarf_Die *inlined, struct source *ret)
{
	Dwarf_Attribute attribute;
	Dwarf_Word file = 0, line = 0;
	Dwarf_Files *files;
	size_t n;

	ret->file = NULL;
	ret->line = 0;
	if (dwarf_formudata(dwarf_attr(inlined, DW_AT_call_file, &attribute), &file) != 0 ||
	    dwarf_formudata(dwarf_attr(inlined, DW_AT_call_line, &attribute), &line) != 0 ||
	    dwarf_getsrcfiles(cu, &files, &n) != 0 || file >= n)
		return;
	ret->file = dwarf_filesrc(files, file, NULL, NULL);
	ret->line = (int)line;
}

/* All functions at pc by the scopes around it. ret[0] has the line; 0: no scope is known. */
static size_t
inlined_at(Dwfl_Module *module, Dwarf_Addr pc, struct source *ret, size_t max)
{
	Dwarf_Addr bias;
	Dwarf_Die *cu = dwfl_module_addrdie(module, pc, &bias);
	Dwarf_Die *scopes = NULL, *around = NULL;
	size_t found = 0;
	int n;

	if (cu == NULL || dwarf_getscopes(cu, pc - bias, &scopes) <= 0)
		return 0;
	/* From the innermost outwards as the code lies, not as the source is written. */
	n = dwarf_getscopes_die(&scopes[0], &around);
	for (int i = 0; i < n && found < max; i++) {
		int tag = dwarf_tag(&around[i]);

		if (tag != DW_TAG_subprogram && tag != DW_TAG_inlined_subroutine)
			continue;
		ret[found++].function = dwarf_diename(&around[i]);
		if (tag == DW_TAG_subprogram)
			break;
		if (found < max)
			call_site(cu, &around[i], &ret[found]);
	}
	free(around);
	free(scopes);
	return found;
}

size_t
sources_at(Dwfl_Module *module, Dwarf_Addr pc, struct source *ret, size_t max)
{
	Dwfl_Line *line;
	size_t n;

	ret[0] = (struct source){NULL, NULL, 0};
	if (module == NULL)
		return 1;
	line = dwfl_module_getsrc(module, pc);
	if (line != NULL)
		ret[0].file = dwfl_lineinfo(line, NULL, &ret[0].line, NULL, NULL, NULL);
	n = inlined_at(module, pc, ret, max);
	if (n == 0) {
		ret[0].function = dwfl_module_addrname(module, pc);
		n = 1;
	}
	return n;
}
