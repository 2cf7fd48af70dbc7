/*
 * The prime sieve, a classic of Hoare's and of Go's: a chain of goroutines, one for each prime
 * found so far, through which the numbers pass. What gets to the end is prime.
 *
 *   sieve [N]        prints the first N primes (default 25), then how many goroutines it took
 */
#include <stdio.h>
#include <stdlib.h>
#include <weft.h>

/* A goroutine gets these by value: weft_go_with() copies them. */
struct filter {
	weft_chan *in, *out;
	int prime;
};

/* 2, 3, 4, ... until the other end is closed. */
static void
generate(void *out)
{
	for (int i = 2; weft_chan_send(out, &i, WEFT_FOREVER) == 0; i++)
		;
	weft_chan_unref(out);
}

/* Passes on what its prime does not divide. A closed output closes the input, and so on upwards. */
static void
filter(void *arg)
{
	struct filter *f = arg;
	int i;

	while (weft_chan_recv(f->in, &i, WEFT_FOREVER) == 1)
		if (i % f->prime != 0 && weft_chan_send(f->out, &i, WEFT_FOREVER) != 0)
			break;
	weft_chan_close(f->in);
	weft_chan_unref(f->in);
	weft_chan_unref(f->out);
}

int
main(int argc, char **argv)
{
	int n = argc > 1 ? atoi(argv[1]) : 25;
	weft_chan *c = weft_chan_new(sizeof(int), 0);

	weft_go(generate, weft_chan_ref(c));
	for (int k = 0; k < n; k++) {
		struct filter f = { .in = c, .out = weft_chan_new(sizeof(int), 0) };

		weft_chan_recv(c, &f.prime, WEFT_FOREVER);
		printf("%d%c", f.prime, k % 10 == 9 || k == n - 1 ? '\n' : ' ');
		/* Our reference to c goes over to the filter; out is ours and its. */
		weft_go_with(&(weft_go_options){ .size = sizeof(weft_go_options), .name = "filter",
		    .copy = &f, .copy_size = sizeof(f) }, filter, NULL);
		c = weft_chan_ref(f.out);
	}
	printf("%d goroutines\n", weft_numgoroutine());

	/* Take the end away, and the chain falls, down to the generator. */
	weft_chan_close(c);
	weft_chan_unref(c);
	while (weft_numgoroutine() > 1)
		weft_yield();
	return 0;
}
