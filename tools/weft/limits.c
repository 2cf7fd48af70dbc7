/*
 * What the system allows this process: resource limits, settings of the kernel, and what one may
 * look at when something is wrong.
 */
#include "check.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* A stack of the default size and its guard. */
#define SLOT_BYTES ((unsigned long long)256 << 10)

/* A limit as text. */
struct amount {
	char text[32];
};

static struct amount
amount(rlim_t n)
{
	struct amount a;

	if (n == RLIM_INFINITY)
		snprintf(a.text, sizeof(a.text), "unlimited");
	else
		snprintf(a.text, sizeof(a.text), "%llu", (unsigned long long)n);
	return a;
}

static struct rlimit
limit_of(int resource)
{
	struct rlimit l = { RLIM_INFINITY, RLIM_INFINITY };

	(void)getrlimit(resource, &l);	/* fails only for a resource that there is not */
	return l;
}

/* Each connection is one. 1,024 is what most systems give, and few servers are content with. */
void
check_files(struct check *c)
{
	struct rlimit l = limit_of(RLIMIT_NOFILE);

	if (l.rlim_cur < 16)
		check_bad(c, CHECK_FAIL, "ulimit -n 65536 (LimitNOFILE= in a service)",
		    "%s: hardly one connection", amount(l.rlim_cur).text);
	else if (l.rlim_cur < 4096)
		check_bad(c, CHECK_WARN, "ulimit -n 65536 (LimitNOFILE= in a service)",
		    "%s (at most %s): as many connections", amount(l.rlim_cur).text,
		    amount(l.rlim_max).text);
	else
		check_ok(c, "%s (at most %s)", amount(l.rlim_cur).text, amount(l.rlim_max).text);
}

/* A goroutine that blocks outside of weft has a thread; the limit is that of the whole user. */
void
check_threads(struct check *c)
{
	struct rlimit l = limit_of(RLIMIT_NPROC);

	if (geteuid() == 0)
		check_ok(c, "%s (root is not bound by it)", amount(l.rlim_cur).text);
	else if (l.rlim_cur < 16)
		check_bad(c, CHECK_FAIL, "ulimit -u 16384 (LimitNPROC= in a service)",
		    "%s for this user: a program needs one for each processor, and one more",
		    amount(l.rlim_cur).text);
	else if (l.rlim_cur < 2048)
		check_bad(c, CHECK_WARN, "ulimit -u 16384 (LimitNPROC= in a service)",
		    "%s for this user: so many goroutines can block outside of weft",
		    amount(l.rlim_cur).text);
	else
		check_ok(c, "%s for this user", amount(l.rlim_cur).text);
}

void
check_memory(struct check *c)
{
	struct rlimit l = limit_of(RLIMIT_AS);

	if (l.rlim_cur == RLIM_INFINITY)
		check_ok(c, "unlimited");
	else if (l.rlim_cur < 16 << 20)	/* 8 MiB do for two processors and small programs. */
		check_bad(c, CHECK_FAIL, "ulimit -v unlimited", "%llu MiB: hardly room to start in",
		    (unsigned long long)l.rlim_cur >> 20);
	else
		check_bad(c, CHECK_WARN, "ulimit -v unlimited (limit memory by a cgroup instead)",
		    "%llu MiB: at most %llu goroutines of 256 KiB, most of which is never memory",
		    (unsigned long long)l.rlim_cur >> 20,
		    (unsigned long long)l.rlim_cur / SLOT_BYTES);
}

void
check_mappings(struct check *c)
{
	long long n;

	if (!check_read_number(c, "/proc/sys/vm/max_map_count", &n))
		check_bad(c, CHECK_WARN, "mount /proc", "vm.max_map_count can't be read");
	else if (guards_fault())
		check_ok(c, "vm.max_map_count is %lld; guards take none", n);
	else if (n < 2000000)
		check_bad(c, CHECK_WARN, "sysctl vm.max_map_count=2500000",
		    "vm.max_map_count is %lld: about %lld guarded stacks, the rest have a canary",
		    n, n / 2);
	else
		check_ok(c, "vm.max_map_count is %lld: about %lld guarded stacks", n, n / 2);
}

void
check_overcommit(struct check *c)
{
	long long n;

	if (!check_read_number(c, "/proc/sys/vm/overcommit_memory", &n))
		check_bad(c, CHECK_WARN, "mount /proc", "vm.overcommit_memory can't be read");
	else if (n == 2)
		check_bad(c, CHECK_WARN, "sysctl vm.overcommit_memory=0",
		    "vm.overcommit_memory is 2: a stack counts as 256 KiB of memory, used or not");
	else
		check_ok(c, "vm.overcommit_memory is %lld: a stack counts as it is used", n);
}

void
check_core(struct check *c)
{
	struct rlimit l = limit_of(RLIMIT_CORE);
	char pattern[256];

	if (!check_read(c, "/proc/sys/kernel/core_pattern", pattern, sizeof(pattern)))
		check_bad(c, CHECK_WARN, "mount /proc", "kernel.core_pattern can't be read");
	else if (pattern[0] == '|')	/* The limit does not hold for programs, unless it is 1. */
		check_ok(c, "go to a program: %s", pattern);
	else if (pattern[0] == '\0')
		check_bad(c, CHECK_WARN, "sysctl kernel.core_pattern=core.%p",
		    "none: kernel.core_pattern is empty");
	else if (l.rlim_cur == 0)
		check_bad(c, CHECK_WARN, "ulimit -c unlimited; WEFT_DEBUG=crash=1 then leaves one",
		    "none: the limit is 0 (kernel.core_pattern is %s)", pattern);
	else
		check_ok(c, "go to %s", pattern);
}

void
check_perf(struct check *c)
{
	long long n;

	if (!check_read_number(c, "/proc/sys/kernel/perf_event_paranoid", &n))
		check_bad(c, CHECK_WARN, "run a kernel with CONFIG_PERF_EVENTS",
		    "this kernel has no perf events");
	else if (n > 2 && geteuid() != 0)
		check_bad(c, CHECK_WARN, "sysctl kernel.perf_event_paranoid=2",
		    "kernel.perf_event_paranoid is %lld: perf is for root only", n);
	else
		check_ok(c, "kernel.perf_event_paranoid is %lld", n);
}

void
check_ptrace(struct check *c)
{
	long long n;

	if (!check_read_number(c, "/proc/sys/kernel/yama/ptrace_scope", &n))
		check_ok(c, "a user may attach to own processes");
	else if (n == 3)
		check_bad(c, CHECK_WARN, "set kernel.yama.ptrace_scope=1 at boot: 3 stays",
		    "kernel.yama.ptrace_scope is 3: gdb -p is for nobody");
	else if (n > 0 && geteuid() != 0)
		check_bad(c, CHECK_WARN, "sysctl kernel.yama.ptrace_scope=0, or attach as root",
		    "kernel.yama.ptrace_scope is %lld: gdb -p is for root only", n);
	else
		check_ok(c, "kernel.yama.ptrace_scope is %lld", n);
}
