/*
 * Publish and subscribe: topics, subscribers with a policy for when they are too slow, and the end
 * of a subscription by the end of a scope.
 *
 *	pubsub NAME=TOPIC[,POLICY[,LIMIT]]...
 *
 * Publishes the lines "TOPIC TEXT" of its input; each subscriber prints "NAME: TEXT", and last how
 * many it received and dropped. LIMIT: it unsubscribes after so many. POLICY, when QUEUE wait:
 *
 *	wait		the publisher waits for it (the default)
 *	drop-new	the new message is dropped
 *	drop-old	the oldest waiting message is dropped
 *	cut		it is unsubscribed
 */
#include <weft.h>

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define QUEUE 8
#define LINE_MAX 1024
#define SLOW INT64_C(1000000)	/* what a subscriber that may drop needs for a message, in ns */

enum policy { WAIT, DROP_NEW, DROP_OLD, CUT };

static const char *const policy_names[] = { "wait", "drop-new", "drop-old", "cut" };

struct message {
	char text[LINE_MAX];
};

struct subscription {
	struct subscription *next;	/* of all topics: there are few */
	const char *topic;
	enum policy policy;
	weft_scope *scope;		/* cancelled: it receives no more */
	weft_chan *queue;
	long dropped;			/* the publisher's */
};

static struct subscription *subscriptions;

/* ---- The publisher's side ---- */

/* The oldest makes room, unless the subscriber was faster and has taken it. */
static void
push_out_oldest(struct subscription *s, const struct message *m)
{
	while (weft_chan_send(s->queue, m, WEFT_NOW) == -ETIMEDOUT)
		if (weft_chan_recv(s->queue, NULL, WEFT_NOW) == 1)
			s->dropped++;
}

/* Hands m to one subscriber, as its policy has it. */
static void
deliver(struct subscription *s, const struct message *m)
{
	weft_case cases[] = { WEFT_SEND(s->queue, m), WEFT_RECV(weft_scope_done(s->scope), NULL) };

	if (weft_scope_err(s->scope) != 0)
		return;
	switch (s->policy) {
	case WAIT:
		/* It may leave while we wait for it: its scope's end is the other case. */
		weft_select(cases, 2, WEFT_FOREVER);
		break;
	case DROP_NEW:
		s->dropped += weft_chan_send(s->queue, m, WEFT_NOW) == -ETIMEDOUT;
		break;
	case DROP_OLD:
		push_out_oldest(s, m);
		break;
	case CUT:
		if (weft_chan_send(s->queue, m, WEFT_NOW) == -ETIMEDOUT)
			weft_scope_cancel(s->scope, -ENOBUFS);
		break;
	}
}

static void
publish(const char *topic, const struct message *m)
{
	for (struct subscription *s = subscriptions; s != NULL; s = s->next)
		if (strcmp(s->topic, topic) == 0)
			deliver(s, m);
}

/* ---- The subscriber's side ---- */

struct subscriber {
	const char *name;
	long limit;			/* 0: none */
	long received;
	struct subscription subscription;
};

/* In the scope of the subscription. What it has received already it still prints. */
static int
subscribe(void *arg)
{
	struct subscriber *s = arg;
	weft_chan *queue = s->subscription.queue;
	struct message m;

	while (weft_chan_recv(queue, &m, WEFT_FOREVER) == 1) {
		s->received++;
		printf("%s: %s\n", s->name, m.text);
		if (s->limit > 0 && s->received == s->limit)
			return -EINTR;		/* not 0: ends the scope, and so the subscription */
		if (s->subscription.policy != WAIT)
			weft_sleep(SLOW);
	}
	return 0;
}

/* "NAME=TOPIC,POLICY,LIMIT", which is cut up. */
static bool
parse(struct subscriber *s, char *text)
{
	char *topic = strchr(text, '='), *policy, *limit;

	if (topic == NULL)
		return false;
	*topic++ = '\0';
	s->name = text;
	s->subscription.topic = topic;
	policy = strchr(topic, ',');
	if (policy == NULL)
		return true;
	*policy++ = '\0';
	limit = strchr(policy, ',');
	if (limit != NULL) {
		*limit++ = '\0';
		s->limit = atol(limit);
		if (s->limit < 1)
			return false;
	}
	for (int i = WAIT; i <= CUT; i++) {
		if (strcmp(policy, policy_names[i]) == 0) {
			s->subscription.policy = (enum policy)i;
			return true;
		}
	}
	return false;
}

static bool
start(struct subscriber *s)
{
	s->subscription.queue = weft_chan_new(sizeof(struct message), QUEUE);
	s->subscription.scope = weft_scope_new(NULL, WEFT_FOREVER);
	if (s->subscription.queue == NULL || s->subscription.scope == NULL ||
	    weft_scope_done(s->subscription.scope) == NULL)
		return false;
	s->subscription.next = subscriptions;
	subscriptions = &s->subscription;
	return weft_scope_go(s->subscription.scope, subscribe, s) == 0;
}

/* No more messages: who still has some in its queue prints these first. */
static void
finish(struct subscriber *s)
{
	int cause;

	weft_chan_close(s->subscription.queue);
	weft_scope_wait(s->subscription.scope, WEFT_FOREVER);
	cause = weft_scope_cause(s->subscription.scope);
	printf("%s: %ld received, %ld dropped%s\n", s->name, s->received, s->subscription.dropped,
	    cause == -EINTR ? ", unsubscribed" : cause == -ENOBUFS ? ", cut off" : "");
	weft_scope_free(s->subscription.scope);
	weft_chan_unref(s->subscription.queue);
}

/* ---- Input ---- */

static weft_scope *input;
static weft_chan *signals;

/* A goroutine, so that a signal can end its wait: it is in a scope, main() is in none. */
static int
read_lines(void *unused)
{
	static char buffer[64 * LINE_MAX];
	size_t size = 0;
	ssize_t n;

	(void)unused;
	while ((n = weft_read(0, buffer + size, sizeof(buffer) - size, WEFT_FOREVER)) > 0) {
		char *line = buffer, *end;

		size += (size_t)n;
		while ((end = memchr(line, '\n', (size_t)(buffer + size - line))) != NULL) {
			struct message m;
			char *text;

			*end = '\0';
			text = line + strcspn(line, " ");
			if (*text != '\0')
				*text++ = '\0';
			snprintf(m.text, sizeof(m.text), "%s", text);
			publish(line, &m);
			line = end + 1;
		}
		size -= (size_t)(line - buffer);
		memmove(buffer, line, size);
		if (size == sizeof(buffer))
			return -EMSGSIZE;
	}
	return (int)n;
}

static void
watch_signals(void *unused)
{
	(void)unused;
	weft_chan_recv(signals, NULL, WEFT_FOREVER);
	weft_scope_cancel(input, -EINTR);
}

int
main(int argc, char **argv)
{
	struct subscriber *all = calloc((size_t)argc, sizeof(*all));
	int r;

	signals = weft_chan_new(sizeof(int), 1);
	if (signals == NULL || weft_signal_notify(signals, SIGINT) < 0)
		return 1;
	for (int i = 1; i < argc; i++) {
		if (!parse(&all[i], argv[i])) {
			fprintf(stderr, "usage: pubsub NAME=TOPIC[,wait|drop-new|drop-old|cut"
					"[,LIMIT]]...\n");
			return 64;
		}
	}
	input = weft_scope_new(NULL, WEFT_FOREVER);
	if (all == NULL || input == NULL)
		return 1;
	for (int i = 1; i < argc; i++)
		if (!start(&all[i]))
			return 1;
	weft_go(watch_signals, NULL);
	weft_scope_go(input, read_lines, NULL);
	r = weft_scope_wait(input, WEFT_FOREVER);
	if (r < 0 && weft_scope_cause(input) != -EINTR)
		fprintf(stderr, "pubsub: %s\n", strerror(-r));
	for (int i = 1; i < argc; i++)
		finish(&all[i]);
	return weft_scope_cause(input) == -EINTR ? 130 : r < 0;
}
