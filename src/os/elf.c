/*
 * What is loaded at an address, its file, and memory that may not be there: what a stack walk
 * needs of the system. Everything here may be called in a signal handler.
 */
#define _GNU_SOURCE
#include "os/os.h"

#include "base/compiler.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* By way of a pipe: the kernel reads for write(2), and says EFAULT. n fits into a pipe. */
static int
peek_by_pipe(void *to, uintptr_t from, size_t n)
{
	ssize_t r;
	int fd[2], e = 0;

	if (pipe2(fd, O_CLOEXEC) != 0)
		return -errno;
	r = write(fd[1], (const void *)from, n);
	if (r < 0)
		e = -errno;
	else if ((size_t)r != n || read(fd[0], to, n) != (ssize_t)n)
		e = -EFAULT;
	(void)close(fd[0]);
	(void)close(fd[1]);
	return e;
}

int
wf_os_peek(void *to, uintptr_t from, size_t n)
{
	struct iovec local = {.iov_base = to, .iov_len = n};
	struct iovec remote = {.iov_base = (void *)from, .iov_len = n};
	long r = syscall(SYS_process_vm_readv, (long)getpid(), &local, 1UL, &remote, 1UL, 0UL);

	if (r < 0 && errno != EFAULT)
		return peek_by_pipe(to, from, n);
	return r >= 0 && (size_t)r == n ? 0 : -EFAULT;
}

const void *
wf_os_map_file(const char *path, size_t *ret_bytes)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	void *p;

	if (fd < 0)
		return NULL;
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size <= 0) {
		(void)close(fd);
		return NULL;
	}
	p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	(void)close(fd);
	if (p == MAP_FAILED)
		return NULL;
	*ret_bytes = (size_t)st.st_size;
	return p;
}

/* What is there for as long as the process: the program, and the kernel's object. Constant once
 * wf_os_elf_prepare() has returned. */
static struct wf_os_elf lasting[2];
static size_t n_lasting, n_seen;

static int
remember(struct dl_phdr_info *info, size_t size, void *arg)
{
	uintptr_t lo = UINTPTR_MAX, hi = 0, hdr = 0, vdso = getauxval(AT_SYSINFO_EHDR);

	(void)size;
	(void)arg;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
		uintptr_t start = info->dlpi_addr + ph->p_vaddr;

		if (ph->p_type == PT_LOAD && start < lo)
			lo = start;
		if (ph->p_type == PT_LOAD && start + ph->p_memsz > hi)
			hi = start + ph->p_memsz;
		if (ph->p_type == PT_GNU_EH_FRAME)
			hdr = start;
	}
	/* The program comes first. */
	if (n_seen++ == 0 || (vdso >= lo && vdso < hi && n_lasting < wf_countof(lasting)))
		lasting[n_lasting++] = (struct wf_os_elf){ .lo = lo, .hi = hi,
		    .bias = info->dlpi_addr, .path = info->dlpi_name, .eh_frame_hdr = hdr };
	return 0;
}

void
wf_os_elf_prepare(void)
{
	if (n_seen == 0)
		(void)dl_iterate_phdr(remember, NULL);
}

static bool
find_lasting(uintptr_t pc, struct wf_os_elf *ret)
{
	for (size_t i = 0; i < n_lasting; i++) {
		if (pc < lasting[i].lo || pc >= lasting[i].hi)
			continue;
		*ret = lasting[i];
		return true;
	}
	return false;
}

/*
 * glibc's own lookup for unwinders. dl_iterate_phdr(3) takes the loader's lock: a signal handler
 * may have interrupted who has it.
 */
static bool
find_without_lock(uintptr_t pc, struct wf_os_elf *ret)
{
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 35)
	struct dl_find_object o;

	if (_dl_find_object((void *)pc, &o) != 0)
		return false;
	ret->lo = (uintptr_t)o.dlfo_map_start;
	ret->hi = (uintptr_t)o.dlfo_map_end;
	ret->bias = o.dlfo_link_map->l_addr;
	ret->path = o.dlfo_link_map->l_name;
	ret->eh_frame_hdr = (uintptr_t)o.dlfo_eh_frame;
	/* In a static program it knows the code only (glibc 2.36), not the tables beside it. */
	return ret->eh_frame_hdr >= ret->lo && ret->eh_frame_hdr < ret->hi;
#else
	(void)pc;
	(void)ret;
	return false;
#endif
}

bool
wf_os_elf_find(uintptr_t pc, struct wf_os_elf *ret)
{
	return find_without_lock(pc, ret) || find_lasting(pc, ret);
}

/* The program itself comes first, and there the search ends. */
static int
look_at_program(struct dl_phdr_info *info, size_t size, void *arg)
{
	bool *ret_early = arg, has_calls = false, is_early = false;

	(void)size;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
		const ElfW(Dyn) *d = (const void *)(info->dlpi_addr + ph->p_vaddr);

		if (ph->p_type != PT_DYNAMIC)
			continue;
		for (; d->d_tag != DT_NULL; d++) {
			has_calls |= d->d_tag == DT_JMPREL;
			is_early |= d->d_tag == DT_BIND_NOW ||
			    (d->d_tag == DT_FLAGS && (d->d_un.d_val & DF_BIND_NOW) != 0) ||
			    (d->d_tag == DT_FLAGS_1 && (d->d_un.d_val & DF_1_NOW) != 0);
		}
	}
	*ret_early = is_early || !has_calls;
	return 1;
}

bool
wf_os_binds_early(void)
{
	const char *env = wf_os_getenv("LD_BIND_NOW");
	bool is_early = false;

	if (env != NULL && *env != '\0')
		return true;
	(void)dl_iterate_phdr(look_at_program, &is_early);
	return is_early;
}

bool
wf_os_exe_path(char *buf, size_t cap)
{
	ssize_t n = readlink("/proc/self/exe", buf, cap - 1);

	if (n <= 0)
		return false;
	buf[n] = '\0';
	return true;
}
