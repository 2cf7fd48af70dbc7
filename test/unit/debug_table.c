/*
 * Tables of stacks that may have so many entries and no more (src/debug/profile_table.h): the CPU
 * profile's, to which a signal handler adds.
 */
#include "debug/profile_table.h"

#include "test.h"

static void
add(struct profile_table *t, uintptr_t pc)
{
	wf_profile_table_add(t, &pc, 1, "", NULL, 1, 10);
}

/* If this fails, a profile with many labels loses also what it has an entry for. */
TEST(what_is_known_is_counted_when_the_table_is_full)
{
	struct profile_table t = {.max = 64};

	for (uintptr_t pc = 1; pc <= 70; pc++)
		add(&t, pc);
	EXPECT_EQ(t.n, 64);
	EXPECT_EQ(t.lost, 6);
	add(&t, 1);
	add(&t, 64);
	EXPECT_EQ(t.n, 64);
	EXPECT_EQ(t.lost, 6);
	EXPECT_EQ(t.samples[0].count, 2);
	EXPECT_EQ(t.samples[63].ns, 20);
	wf_profile_table_free(&t);
}

TEST(without_a_limit_it_grows)
{
	struct profile_table t = {0};

	for (uintptr_t pc = 1; pc <= 1000; pc++)
		add(&t, pc);
	EXPECT_EQ(t.n, 1000);
	EXPECT_EQ(t.lost, 0);
	wf_profile_table_free(&t);
}
