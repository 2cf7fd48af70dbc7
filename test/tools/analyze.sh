#!/usr/bin/env bash
# Each program of tools/analyze finds what is planted for it. Run by .ci/run: `make test` does not
# need those programs.
set -u
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
failed=0

finds() # NAME WORDS: in the source that comes on standard input
{
	cat >"$dir/$1.c"
	said=$("$WEFT_SRC/tools/analyze" "$dir/$1.c" 2>&1)
	[ $? -eq 1 ] && grep -q "$2" <<<"$said" || { echo "$1: not \"$2\" but: $said"; failed=1; }
}

finds cppcheck 'arrayIndexOutOfBounds' <<'EOC'
int f(void);
int f(void)
{
	int a[3] = {1, 2, 3};

	return a[3];
}
EOC
finds tidy 'bugprone-infinite-loop' <<'EOC'
int g(void);
int f(int n);
int f(int n)
{
	int i = 0;

	while (i < n)
		g();
	return i;
}
EOC
# A lock that one way out does not give back; one that is not held where it must be, and one that is
# given back twice.
for fault in 'if (n > 3) return 1; wf_unlock(&l);' 'wf_unlock(&l); count_locked();' \
    'wf_unlock(&l); wf_unlock(&l);' 'wf_unlock(&l); count++;'; do
	finds tidy 'clang-diagnostic-thread-safety-analysis' <<EOC
#include "sched/lock.h"

static struct wf_lock l;
static int count WF_GUARDED_BY(l);

static void
count_locked(void)
    WF_HOLDS(l)
{
	count++;
}

int f(int n);
int f(int n)
{
	wf_lock(&l);
	count_locked();
	$fault
	return 0;
}
EOC
done
finds gcc 'Wanalyzer-use-after-free' <<'EOC'
#include <stdlib.h>

int f(int *p);
int f(int *p)
{
	free(p);
	return *p;
}
EOC
echo 'int f(void); int f(void) { return 1; }' >"$dir/good.c"
"$WEFT_SRC/tools/analyze" "$dir/good.c" || { echo "a file without a fault"; failed=1; }
exit $failed
