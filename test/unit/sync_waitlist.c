/*
 * The list of waiters against a model: an array in the same order. A wrong link would lose a
 * waiter, which then sleeps for ever.
 */
#include "test.h"

#include <string.h>
#include "sync/waitlist.h"

#define N 8

struct model {
	struct waitlist list;
	struct waiter w[N];
	int order[N];		/* indexes into w, first to last */
	int n;
};

static void
expect_equal(struct model *m)
{
	struct waiter *w = m->list.head;

	for (int i = 0; i < m->n; i++) {
		EXPECT(w == &m->w[m->order[i]]);
		EXPECT(w->queued);
		if (i > 0)
			EXPECT(w->prev == &m->w[m->order[i - 1]]);
		w = w->next;
	}
	EXPECT(w == NULL);
	if (m->n > 0)
		EXPECT(m->list.head->prev == &m->w[m->order[m->n - 1]]);
}

static void
model_insert(struct model *m, int at, int id)
{
	memmove(&m->order[at + 1], &m->order[at], sizeof(m->order[0]) * (size_t)(m->n - at));
	m->order[at] = id;
	m->n++;
}

static bool
model_remove(struct model *m, int id)
{
	for (int i = 0; i < m->n; i++) {
		if (m->order[i] != id)
			continue;
		m->n--;
		memmove(&m->order[i], &m->order[i + 1], sizeof(m->order[0]) * (size_t)(m->n - i));
		return true;
	}
	return false;
}

static void
step(struct model *m, uint64_t rnd)
{
	int id = (int)(rnd % N), what = (int)(rnd / N % 4);

	if (what == 0 && !m->w[id].queued) {
		waitlist_put(&m->list, &m->w[id]);
		model_insert(m, m->n, id);
	} else if (what == 1 && !m->w[id].queued) {
		waitlist_put_first(&m->list, &m->w[id]);
		model_insert(m, 0, id);
	} else if (what == 2) {
		EXPECT_EQ(waitlist_remove(&m->list, &m->w[id]), model_remove(m, id));
	} else {
		struct waiter *w = waitlist_take(&m->list);

		EXPECT((w == NULL) == (m->n == 0));
		if (w != NULL) {
			EXPECT(w == &m->w[m->order[0]]);
			EXPECT(!w->queued);
			model_remove(m, m->order[0]);
		}
	}
}

TEST(the_list_behaves_like_an_array)
{
	static struct model m;
	uint64_t seed = test_seed();

	for (int i = 0; i < 200000; i++) {
		step(&m, test_rand(&seed));
		expect_equal(&m);
	}
}

TEST(it_empties_from_either_end)
{
	struct waitlist l = { 0 };
	struct waiter w[3];

	memset(w, 0, sizeof(w));
	EXPECT(waitlist_take(&l) == NULL);
	for (int i = 0; i < 3; i++)
		waitlist_put(&l, &w[i]);
	for (int i = 2; i >= 0; i--)
		EXPECT(waitlist_remove(&l, &w[i]));
	EXPECT(l.head == NULL);
	for (int i = 0; i < 3; i++)
		waitlist_put_first(&l, &w[i]);
	for (int i = 2; i >= 0; i--)
		EXPECT(waitlist_take(&l) == &w[i]);
	EXPECT(l.head == NULL);
	EXPECT(!waitlist_remove(&l, &w[0]));
}
