/*
 * The version of the library, as opposed to that of the header a program was built with.
 */
#include <weft/debug.h>

const char *
weft_version(void)
{
	return WEFT_VERSION;
}
