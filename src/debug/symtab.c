/*
 * Names of functions. See symtab.h.
 *
 * A file on disk may have been replaced since it was loaded; then its symbols are of another
 * program. So the first bytes of the file, which hold the build id, are compared with memory.
 * Everything read from the file is checked against its size.
 */
#include "debug/symtab.h"

#include "debug/peek.h"
#include "os/os.h"

#include <elf.h>
#include <string.h>

/* Is [off, off + n) inside the file? */
static bool
is_inside(const struct wf_symfile *f, uint64_t off, uint64_t n)
{
	return off <= f->bytes && n <= f->bytes - off;
}

/* The section headers, or NULL. */
static const Elf64_Shdr *
sections(const struct wf_symfile *f, size_t *ret_n)
{
	const Elf64_Ehdr *eh = (const void *)f->map;
	const Elf64_Shdr *sh;
	uint64_t n;

	if (!is_inside(f, 0, sizeof(*eh)) || memcmp(eh->e_ident, ELFMAG, SELFMAG) != 0 ||
	    eh->e_ident[EI_CLASS] != ELFCLASS64 || eh->e_shentsize != sizeof(*sh) ||
	    eh->e_shoff % sizeof(uint64_t) != 0 || !is_inside(f, eh->e_shoff, sizeof(*sh)))
		return NULL;
	sh = (const void *)(f->map + eh->e_shoff);
	n = eh->e_shnum != 0 ? eh->e_shnum : sh->sh_size;
	if (n > f->bytes / sizeof(*sh) || !is_inside(f, eh->e_shoff, n * sizeof(*sh)))
		return NULL;
	*ret_n = (size_t)n;
	return sh;
}

/* Finds .symtab, else .dynsym, and its strings. */
static void
find_symbols(struct wf_symfile *f)
{
	const Elf64_Shdr *sh, *best = NULL, *str;
	size_t n;

	sh = sections(f, &n);
	if (sh == NULL)
		return;
	for (size_t i = 0; i < n; i++) {
		if (sh[i].sh_type == SHT_SYMTAB)
			best = &sh[i];
		else if (sh[i].sh_type == SHT_DYNSYM && best == NULL)
			best = &sh[i];
	}
	if (best == NULL || best->sh_link >= n || best->sh_entsize != sizeof(Elf64_Sym) ||
	    best->sh_offset % sizeof(uint64_t) != 0 ||
	    !is_inside(f, best->sh_offset, best->sh_size))
		return;
	str = &sh[best->sh_link];
	if (str->sh_type != SHT_STRTAB || str->sh_size == 0 ||
	    !is_inside(f, str->sh_offset, str->sh_size) ||
	    f->map[str->sh_offset + str->sh_size - 1] != '\0')
		return;
	f->syms = f->map + best->sh_offset;
	f->n_syms = (size_t)best->sh_size / sizeof(Elf64_Sym);
	f->strs = (const char *)(f->map + str->sh_offset);
	f->strs_bytes = (size_t)str->sh_size;
}

/* Does the file begin as what is in memory at lo? */
static bool
is_loaded_one(const struct wf_symfile *f)
{
	char memory[1024];
	size_t n = wf_min(sizeof(memory), f->bytes);

	return wf_peek_copy(memory, f->lo, n, /* direct */ true) && memcmp(memory, f->map, n) == 0;
}

static void
copy_path(char *to, const char *from)
{
	size_t n = strnlen(from, WF_SYMTAB_PATH - 1);

	memcpy(to, from, n);
	to[n] = '\0';
}

static void
open_file(struct wf_symfile *f, const struct wf_os_elf *elf)
{
	/* The link opens the program itself even if its name is another file's by now. */
	bool is_exe = elf->path[0] == '\0';
	const char *path = is_exe ? "/proc/self/exe" : elf->path;

	memset(f, 0, sizeof(*f));
	f->lo = elf->lo;
	f->hi = elf->hi;
	f->bias = elf->bias;
	if (!is_exe)
		copy_path(f->path, elf->path);
	else if (!wf_os_exe_path(f->path, sizeof(f->path)))
		copy_path(f->path, path);
	f->map = wf_os_map_file(path, &f->bytes);
	if (f->map == NULL)
		return;
	if (is_loaded_one(f))
		find_symbols(f);
}

static void
close_file(struct wf_symfile *f)
{
	if (f->map != NULL)
		wf_os_unmap((void *)(uintptr_t)f->map, f->bytes);
	f->map = NULL;
}

static struct wf_symfile *
file_of(struct wf_symtab *t, uintptr_t pc)
{
	struct wf_symfile *f;
	struct wf_os_elf elf;

	for (unsigned i = 0; i < t->n_files; i++) {
		if (pc >= t->files[i].lo && pc < t->files[i].hi)
			return &t->files[i];
	}
	if (!wf_os_elf_find(pc, &elf))
		return NULL;
	if (t->n_files < WF_SYMTAB_FILES) {
		f = &t->files[t->n_files++];
	} else {
		f = &t->files[t->next];
		t->next = (t->next + 1) % WF_SYMTAB_FILES;
		close_file(f);
		memset(t->cache, 0, sizeof(t->cache));	/* names in f are gone */
	}
	open_file(f, &elf);
	return f;
}

/* The name of the function around file address at, or NULL. */
static const char *
name_of(const struct wf_symfile *f, uintptr_t at)
{
	const Elf64_Sym *s = f->syms, *best = NULL;

	for (size_t i = 0; i < f->n_syms; i++) {
		unsigned type = ELF64_ST_TYPE(s[i].st_info);

		if ((type != STT_FUNC && type != STT_GNU_IFUNC) || s[i].st_shndx == SHN_UNDEF ||
		    s[i].st_value > at || s[i].st_name >= f->strs_bytes)
			continue;
		/* Hand-written code has no sizes: then the nearest before. */
		if (s[i].st_size != 0 && at - s[i].st_value >= s[i].st_size)
			continue;
		if (best == NULL || s[i].st_value > best->st_value ||
		    (s[i].st_value == best->st_value &&
			ELF64_ST_BIND(s[i].st_info) == STB_GLOBAL))
			best = &s[i];
	}
	return best != NULL ? f->strs + best->st_name : NULL;
}

void
wf_symtab_find(struct wf_symtab *t, uintptr_t pc, struct wf_symbol *ret)
{
	size_t slot = (size_t)((pc ^ pc >> 9) % WF_SYMTAB_CACHE);
	struct wf_symfile *f = file_of(t, pc);

	memset(ret, 0, sizeof(*ret));
	if (f == NULL)
		return;
	if (t->cache[slot].pc != pc) {
		t->cache[slot].name = name_of(f, pc - f->bias);
		t->cache[slot].pc = pc;
	}
	ret->name = t->cache[slot].name;
	ret->path = f->path;
	ret->file_pc = pc - f->bias;
}

void
wf_symtab_close(struct wf_symtab *t)
{
	for (unsigned i = 0; i < t->n_files; i++)
		close_file(&t->files[i]);
	t->n_files = t->next = 0;
	memset(t->cache, 0, sizeof(t->cache));
}
