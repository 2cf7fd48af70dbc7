/*
 * One question, several servers: the first good answer wins, the rest are cancelled; a server that
 * breaks cancels the whole request; a deadline ends it when nobody answers. Nothing is left
 * running: the closing weft_scope_free() of each request sees to that.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <weft.h>

#define MS ((int64_t)1000000)

static _Atomic int running;	/* servers at work, over all requests */

struct server {
	const char *name;
	int64_t takes;		/* how long it thinks; WEFT_FOREVER: it hangs */
	int fails_with;		/* 0, or what it returns */
	weft_chan *answers;
};

/* Any wait in here ends with -ECANCELED when the request is over: no code for that is needed. */
static int
serve(void *arg)
{
	struct server *s = arg;
	int r;

	atomic_fetch_add(&running, 1);
	r = weft_sleep(s->takes);
	if (r == 0 && s->fails_with != 0)
		r = s->fails_with;
	else if (r == 0)
		r = weft_chan_send(s->answers, &s->name, WEFT_FOREVER);
	atomic_fetch_sub(&running, 1);
	return r == -ECANCELED ? 0 : r;
}

/* Asks all n; says how it went. user is seen by whatever runs below the request. */
static void
ask(const char *title, struct server *servers, int n, int64_t deadline)
{
	static const char user_key;
	weft_chan *answers = weft_chan_new(sizeof(const char *), 0);
	weft_scope *request = weft_scope_new(NULL, deadline);
	weft_scope *group = weft_scope_new(request, WEFT_FOREVER);
	const char *answer = NULL;
	weft_case cases[2];

	weft_scope_set(request, &user_key, (void *)(uintptr_t)title);
	for (int i = 0; i < n; i++) {
		servers[i].answers = answers;
		weft_scope_go(group, serve, &servers[i]);
	}
	cases[0] = WEFT_RECV(answers, &answer);
	cases[1] = WEFT_RECV(weft_scope_done(group), NULL);
	if (weft_select(cases, 2, WEFT_FOREVER) == 0)
		weft_scope_cancel(group, -ECANCELED);	/* the others need not go on */
	else
		answer = NULL;

	printf("%s: ", (const char *)weft_scope_get(group, &user_key));
	if (answer != NULL)
		printf("answered by %s", answer);
	else if (weft_scope_err(group) == -ETIMEDOUT)
		printf("timed out");
	else
		printf("failed with %s", weft_scope_cause(group) == -EIO ? "EIO" : "?");
	weft_scope_free(group);
	weft_scope_free(request);
	weft_chan_unref(answers);
	printf(", %d left running\n", atomic_load(&running));
}

int
main(void)
{
	struct server race[] = {
		{ "tortoise", 20000 * MS, 0, NULL },
		{ "hare", 1 * MS, 0, NULL },
		{ "sphinx", WEFT_FOREVER, 0, NULL },
	};
	struct server broken[] = {
		{ "tortoise", 20000 * MS, 0, NULL },
		{ "bull", 1 * MS, -EIO, NULL },
	};
	struct server silent[] = {
		{ "sphinx", WEFT_FOREVER, 0, NULL },
		{ "tortoise", 20000 * MS, 0, NULL },
	};

	ask("race", race, 3, weft_in(10000 * MS));
	ask("china shop", broken, 2, weft_in(10000 * MS));
	ask("silence", silent, 2, weft_in(5 * MS));
	return 0;
}
