/* The first program with weft-tls: a context, and a reason why there is none. */
#include <stdio.h>
#include <string.h>
#include <weft.h>
#include <weft/tls.h>

int
main(void)
{
	weft_tls_options o;
	weft_tls_context *c;
	char why[256];

	if (weft_tls_context_new(NULL, why, sizeof(why), &c) < 0)
		return 1;
	weft_tls_context_free(c);
	memset(&o, 0, sizeof(o));
	o.size = sizeof(o);
	o.ca_file = "/no/such/file";
	if (weft_tls_context_new(&o, why, sizeof(why), &c) == 0 || strstr(why, o.ca_file) == NULL)
		return 1;
	printf("hello from goroutine %d\n", (int)weft_goid());
	return 0;
}
