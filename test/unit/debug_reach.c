/*
 * What memory the search for references goes through. A reference in what it leaves out is not
 * found, and a goroutine that lives is called leaked; and to read a device may do something.
 */
#include "debug/reach_memory.h"

#include "test.h"

TEST(what_programs_write_to_is_searched)
{
	static const char *const paths[] = { "", "[heap]", "[stack]", "[anon:arena]", "/srv/table",
		"/dev/shm/ring", "/dev/zero (deleted)", "/anon_hugepage (deleted)",
		"/mnt/huge/ring", "/dev/hugepages/ring", "/dev/hugepages1G/ring" };

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		if (!wf_reach_is_memory("rw-p 0", paths[i]) ||
		    !wf_reach_is_memory("rw-s 0", paths[i]))
			FAIL("\"%s\" is left out", paths[i]);
	EXPECT(wf_reach_is_memory("r--p 0", ""));
}

TEST(devices_and_what_files_hold_are_left_alone)
{
	static const char *const paths[] = { "/dev/mem", "/dev/dri/card0", "/dev/uio0", "[vvar]",
		"[vsyscall]", "/dev/shmem", "/dev/huge" };

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		if (wf_reach_is_memory("rw-s 0", paths[i]))
			FAIL("\"%s\" is read", paths[i]);
	EXPECT(!wf_reach_is_memory("r--p 0", "/usr/lib/libc.so.6"));
	EXPECT(!wf_reach_is_memory("---p 0", ""));
	EXPECT(!wf_reach_is_memory("-w-p 0", ""));
}
