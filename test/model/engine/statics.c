/*
 * Static variables of the files under test. No setup() can name them, and an execution may end
 * anywhere, with their locks held; so the engine itself puts them back, by the symbol table of its
 * program.
 */
#include "engine.h"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define STATICS 64

typedef ElfW(Ehdr) header;
typedef ElfW(Shdr) section;
typedef ElfW(Sym) symbol;

struct saved {
	void *p;
	void *copy;
	size_t size;
};

extern const char __executable_start;

static struct saved saved[STATICS];
static unsigned n_saved;
static bool is_read;

static _Noreturn void
give_up(const char *why)
{
	(void)fprintf(stderr, "statics of the files under test: %s\n", why);
	exit(70);
}

static void
save(uintptr_t p, size_t size)
{
	struct saved *s = &saved[n_saved++];

	if (n_saved > STATICS)
		give_up("more than the engine has room for");
	*s = (struct saved){ (void *)p, malloc(size), size };
	if (s->copy == NULL)
		give_up("no memory");
	memcpy(s->copy, s->p, size);
}

/* Which of mc_put_back is this? -1: none. */
static int
wanted(const char *file)
{
	for (int i = 0; mc_put_back[i] != NULL; i++)
		if (strcmp(mc_put_back[i], file) == 0)
			return i;
	return -1;
}

/* Local symbols stand behind that of their file. Sites of the engine are none of the file's own. */
static void
save_all(const char *image, const section *table)
{
	const header *h = (const void *)image;
	const section *sections = (const void *)(image + h->e_shoff);
	const symbol *symbols = (const void *)(image + table->sh_offset);
	const char *names = image + sections[table->sh_link].sh_offset;
	uintptr_t base = h->e_type == ET_DYN ? (uintptr_t)&__executable_start : 0;
	unsigned found = 0;
	int file = -1;

	for (size_t i = 0; i < table->sh_size / sizeof(symbol); i++) {
		const symbol *s = &symbols[i];
		int type = ELF64_ST_TYPE(s->st_info);

		if (type == STT_FILE)
			file = wanted(names + s->st_name);
		if (type != STT_OBJECT || ELF64_ST_BIND(s->st_info) != STB_LOCAL || file < 0 ||
		    strncmp(names + s->st_name, "mc_", 3) == 0 || s->st_shndx >= h->e_shnum ||
		    (sections[s->st_shndx].sh_flags & SHF_WRITE) == 0)
			continue;
		found |= 1u << file;
		save(base + s->st_value, s->st_size);
	}
	for (int i = 0; mc_put_back[i] != NULL; i++)
		if ((found & (1u << i)) == 0)
			give_up(mc_put_back[i]);
}

static void
read_program(void)
{
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	const section *sections;
	struct stat st;
	char *image;

	if (fd < 0 || fstat(fd, &st) < 0)
		give_up("/proc/self/exe");
	image = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (image == MAP_FAILED)
		give_up("mmap");
	sections = (const void *)(image + ((const header *)(const void *)image)->e_shoff);
	for (int i = 0; i < ((const header *)(const void *)image)->e_shnum; i++)
		if (sections[i].sh_type == SHT_SYMTAB)
			save_all(image, &sections[i]);
	if (n_saved == 0)
		give_up("no symbols");
	(void)munmap(image, (size_t)st.st_size);
	(void)close(fd);
}

void
mc_statics_reset(void)
{
	if (mc_put_back == NULL)
		return;
	if (!is_read)
		read_program();
	is_read = true;
	for (unsigned i = 0; i < n_saved; i++)
		memcpy(saved[i].p, saved[i].copy, saved[i].size);
}
