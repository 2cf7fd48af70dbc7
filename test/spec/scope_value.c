/*
 * Values kept in scopes. SCENARIOS 160.
 */
#include "scope_util.h"

/* SCENARIOS 160: a library finds what the program around it has set, and only the nearest. */
TEST(the_nearest_value_wins)
{
	static const char a, b, unknown;
	int x, y, z;
	weft_scope *top = scope_make(NULL);
	weft_scope *middle = weft_scope_new(top, weft_in(3600 * SECOND));
	weft_scope *low = scope_make(middle);

	EXPECT(weft_scope_get(NULL, &a) == NULL);
	EXPECT(weft_scope_get(low, &a) == NULL);
	EXPECT_EQ(weft_scope_set(top, &a, &x), 0);
	EXPECT_EQ(weft_scope_set(middle, &b, &y), 0);
	EXPECT(weft_scope_get(low, &a) == &x);
	EXPECT(weft_scope_get(low, &b) == &y);
	EXPECT(weft_scope_get(top, &b) == NULL);
	EXPECT(weft_scope_get(low, &unknown) == NULL);

	/* Nearer hides farther, and only below. */
	EXPECT_EQ(weft_scope_set(low, &a, &z), 0);
	EXPECT(weft_scope_get(low, &a) == &z);
	EXPECT(weft_scope_get(middle, &a) == &x);
	EXPECT_EQ(weft_scope_set(low, &a, NULL), 0);
	EXPECT(weft_scope_get(low, &a) == NULL);

	/* Set again replaces. */
	EXPECT_EQ(weft_scope_set(top, &a, &y), 0);
	EXPECT(weft_scope_get(middle, &a) == &y);

	/* A cancelled scope keeps its values: handlers still log with them. */
	weft_scope_cancel(top, -EIO);
	EXPECT(weft_scope_get(low, &b) == &y);
	weft_scope_free(low);
	weft_scope_free(middle);
	weft_scope_free(top);
}

static void
set_nil_key(void *arg)
{
	weft_scope_set(arg, NULL, arg);
}

static void
set_in_root(void *arg)
{
	weft_scope_set(NULL, arg, arg);
}

TEST(a_nil_key_panics)
{
	weft_scope *s = scope_make(NULL);
	char msg[100];

	EXPECT_EQ(weft_try(set_nil_key, s, msg, sizeof(msg)), 1);
	EXPECT_STR(msg, "nil key");
	EXPECT_EQ(weft_try(set_in_root, s, msg, sizeof(msg)), 1);
	EXPECT_STR(msg, "weft_scope_set: nil scope");
	weft_scope_free(s);
}

enum { KEYS = 50 };

struct values {
	weft_scope *s;
	char keys[KEYS];
	_Atomic bool stop;
};

static int
read_values(void *arg)
{
	struct values *v = arg;
	weft_scope *below = scope_make(NULL);

	while (!atomic_load(&v->stop)) {
		for (int i = 0; i < KEYS; i++) {
			int *p = weft_scope_get(below, &v->keys[i]);

			/* Who sees the pointer sees what was written before it was set. */
			EXPECT(p == NULL || *p == i);
		}
		weft_yield();
	}
	weft_scope_free(below);
	return 0;
}

/* Reading takes no lock: it must see whole entries only, while others are added and changed. */
static void
values_race(void)
{
	for (int round = 0; round < scaled(100); round++) {
		struct values v = { .s = scope_make(NULL) };
		int *boxes[2 * KEYS];

		for (int i = 0; i < 3; i++)
			EXPECT_EQ(weft_scope_go(v.s, read_values, &v), 0);
		for (int i = 0; i < 2 * KEYS; i++) {
			boxes[i] = malloc(sizeof(int));
			EXPECT(boxes[i] != NULL);
			*boxes[i] = i % KEYS;
			EXPECT_EQ(weft_scope_set(v.s, &v.keys[i % KEYS], boxes[i]), 0);
			if (i % 16 == 0)
				weft_yield();
		}
		atomic_store(&v.stop, true);
		EXPECT_EQ(weft_scope_wait(v.s, WEFT_FOREVER), 0);
		weft_scope_free(v.s);
		for (int i = 0; i < 2 * KEYS; i++)
			free(boxes[i]);
	}
}

TEST(values_are_read_while_they_are_set)
{
	on_1_2_4_procs(values_race);
}
