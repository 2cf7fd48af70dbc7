/*
 * How many processors: cgroup files of versions 1 and 2 in a directory made up for the purpose. A
 * program that thinks it has the whole machine is throttled for most of each period.
 */
#include <weft.h>
#include "sched/sched.h"

#include "test.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[64];

static void
put(const char *path, const char *text)
{
	char full[512], *slash;
	FILE *f;

	snprintf(full, sizeof(full), "%s%s", root, path);
	for (slash = full + strlen(root) + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
		*slash = '\0';
		(void)mkdir(full, 0700);
		*slash = '/';
	}
	f = fopen(full, "w");
	EXPECT(f != NULL);
	fputs(text, f);
	fclose(f);
}

static void
begin(void)
{
	snprintf(root, sizeof(root), "/tmp/weft-cgroup-XXXXXX");
	EXPECT(mkdtemp(root) != NULL);
}

static void
end(void)
{
	char cmd[128];

	snprintf(cmd, sizeof(cmd), "rm -rf %s", root);
	EXPECT_EQ(system(cmd), 0);
}

static void
v2(const char *path)
{
	char line[512];

	snprintf(line, sizeof(line), "0::%s\n", path);
	put("/proc/self/cgroup", line);
	put("/proc/self/mountinfo",
	    "25 30 0:23 / /proc rw - proc proc rw\n"
	    "30 24 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n");
}

TEST(no_cgroup_leaves_the_mask)
{
	begin();
	EXPECT_EQ(wf_numcpu_from(root, 7), 7);
	end();
}

TEST(version_2_limits_by_quota_rounded_up)
{
	static const struct {
		const char *max;
		int want;
	} t[] = {
		{ "max 100000\n", 16 }, { "400000 100000\n", 4 }, { "200001 100000\n", 3 },
		{ "50000 100000\n", 2 }, { "100000 100000\n", 2 }, { "9999999999 1000\n", 16 },
		{ "rubbish\n", 16 }, { "", 16 }, { "-5 100000\n", 16 }, { "300000 0\n", 16 },
		{ "9223372036854775807 100000\n", 16 },
		{ "9223372036854775807 9223372036854775807\n", 2 },
	};

	begin();
	v2("/a/b");
	for (size_t i = 0; i < wf_countof(t); i++) {
		put("/sys/fs/cgroup/a/b/cpu.max", t[i].max);
		EXPECT_EQ(wf_numcpu_from(root, 16), t[i].want);
	}
	end();
}

/* Go looks at the leaf only (its issue 81180): the limit is usually set on a parent. */
TEST(the_tightest_ancestor_counts)
{
	begin();
	v2("/pod/app/worker");
	put("/sys/fs/cgroup/cpu.max", "max 100000\n");
	put("/sys/fs/cgroup/pod/cpu.max", "300000 100000\n");
	put("/sys/fs/cgroup/pod/app/cpu.max", "800000 100000\n");
	put("/sys/fs/cgroup/pod/app/worker/cpu.max", "max 100000\n");
	EXPECT_EQ(wf_numcpu_from(root, 16), 3);
	put("/sys/fs/cgroup/pod/app/cpu.max", "200000 100000\n");
	EXPECT_EQ(wf_numcpu_from(root, 16), 2);
	EXPECT_EQ(wf_numcpu_from(root, 1), 1);
	end();
}

TEST(version_1_limits_by_quota)
{
	begin();
	put("/proc/self/cgroup", "5:memory:/x\n4:cpu,cpuacct:/docker/abc\n1:name=systemd:/\n");
	put("/proc/self/mountinfo",
	    "31 24 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
	    "32 24 0:28 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
	    "33 24 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n");
	put("/sys/fs/cgroup/cpu,cpuacct/docker/cpu.cfs_quota_us", "250000\n");
	put("/sys/fs/cgroup/cpu,cpuacct/docker/cpu.cfs_period_us", "50000\n");
	put("/sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_quota_us", "-1\n");
	put("/sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_period_us", "100000\n");
	EXPECT_EQ(wf_numcpu_from(root, 16), 5);
	end();
}

/* In a container the mount shows only the part of the hierarchy below its own cgroup. */
TEST(a_mount_of_a_subtree_is_understood)
{
	begin();
	put("/proc/self/cgroup", "0::/kube/pod1/c\n");
	put("/proc/self/mountinfo",
	    "30 24 0:26 /kube/pod1 /sys/fs/cgroup rw - cgroup2 cgroup rw\n");
	put("/sys/fs/cgroup/c/cpu.max", "400000 100000\n");
	put("/sys/fs/cgroup/cpu.max", "300000 100000\n");
	EXPECT_EQ(wf_numcpu_from(root, 16), 3);
	end();
}

/* On the real machine it answers something sane. */
TEST(this_machine_has_processors)
{
	EXPECT(wf_numcpu() >= 1);
	EXPECT_EQ(wf_numcpu() <= (int)sysconf(_SC_NPROCESSORS_ONLN), 1);
}

/*
 * The limit is changed while the program runs, as operators do: within about a second there are as
 * many Ps, under load, and nobody is lost. Until the program itself sets a number.
 */
static atomic_long n_done;

static void
sleep_and_yield(void *arg)
{
	const atomic_bool *stop = arg;

	while (!atomic_load(stop)) {
		weft_sleep(200000);
		weft_yield();
	}
	atomic_fetch_add(&n_done, 1);
}

static void
expect_procs(int n)
{
	for (int i = 0; weft_gomaxprocs(0) != n; i++) {
		if (i > 1000)
			FAIL("%d Ps, not %d", weft_gomaxprocs(0), n);
		weft_sleep(10000000);
	}
}

TEST(the_number_of_ps_follows_the_limit)
{
	static struct wf_numcpu_view view = { root, 16 };
	static atomic_bool stop;

	begin();
	v2("/pod/app");
	put("/sys/fs/cgroup/pod/cpu.max", "300000 100000\n");
	put("/sys/fs/cgroup/pod/app/cpu.max", "max 100000\n");
	unsetenv("WEFT_MAXPROCS");
	unsetenv("GOMAXPROCS");
	wf_numcpu_view = &view;
	EXPECT_EQ(weft_gomaxprocs(0), 3);
	EXPECT_EQ(weft_numcpu(), 3);
	for (int i = 0; i < 100; i++)
		EXPECT_EQ(weft_go(sleep_and_yield, &stop), 0);
	put("/sys/fs/cgroup/pod/cpu.max", "800000 100000\n");
	expect_procs(8);
	put("/sys/fs/cgroup/pod/app/cpu.max", "150000 100000\n");
	expect_procs(2);
	put("/sys/fs/cgroup/pod/app/cpu.max", "max 100000\n");
	put("/sys/fs/cgroup/pod/cpu.max", "max 100000\n");
	expect_procs(16);
	EXPECT_EQ(weft_gomaxprocs(5), 16);
	put("/sys/fs/cgroup/pod/cpu.max", "300000 100000\n");
	for (int i = 0; i < 25; i++) {
		weft_sleep(100000000);
		EXPECT_EQ(weft_gomaxprocs(0), 5);
	}
	EXPECT_EQ(weft_numcpu(), 3);
	atomic_store(&stop, true);
	while (atomic_load(&n_done) < 100)
		weft_sleep(1000000);
	end();
}
