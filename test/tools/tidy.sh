#!/usr/bin/env bash
# For each rule of tools/tidy, files that break it, and beside them files that only look so. If it
# fails, tidy is silent about what it is there to find, or complains of what is right.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

tree() # an empty tree with a head comment in each file to come
{
	rm -rf "$work/t"
	mkdir -p "$work/t"
	cd "$work/t"
}
file() # PATH: stands in the tree with the text on stdin
{
	mkdir -p "$(dirname "$1")"
	cat >"$1"
}
c_file() # PATH: the same, below a head comment
{
	{ echo '/* What it is for. */'; cat; } | file "$1"
}
expect() # TEXT: tidy says exactly this (TEXT may be empty)
{
	local said
	said=$("$WEFT_SRC/tools/tidy" "$work/t") && [ -n "$1" ] && said="$said (and status 0)"
	if [ "$said" != "$1" ]; then
		printf 'expected: %s\n     got: %s\n' "$1" "$said"
		failed=1
	fi
}

# R1: down, or within the folder.
tree
c_file src/chan/up.h <<<'#include "io/fd.h"'
expect 'src/chan/up.h:2: R1: chan (L4) must not see io (L5)'
tree
c_file src/sync/across.h <<<'#include "chan/chan.h"'
expect 'src/sync/across.h:2: R1: sync (L4) must not see chan (L4)'
tree
c_file src/chan/inside.h <<<'#include "sched/sched.h"'
expect 'src/chan/inside.h:2: R1: sched/sched.h is for sched and debug only'
tree
c_file src/sched/bare.h <<<'#include "park.h"'
expect 'src/sched/bare.h:2: R1: "park.h" is not FOLDER/FILE of src/'
tree
c_file src/extra/new.h <<<'struct x;'
expect 'src/extra/new.h:1: R1: the folder extra has no place among the layers'
tree
c_file src/chan/right.h <<<'#include "sched/park.h"'
c_file src/poll/right.h <<<'#include "sched/poll.h"'
c_file src/debug/right.h <<<'#include "sched/sched.h"'
expect ''

# R2: the one place of each.
tree
c_file src/chan/system.h <<<'#include <unistd.h>'
expect 'src/chan/system.h:2: R2: <unistd.h> outside of os/'
tree
c_file src/chan/order.h <<<'int f(void) { return atomic_load_explicit(&x, memory_order_relaxed); }'
expect 'src/chan/order.h:2: R2: a memory order or bare atomic operation outside of base/atomic.h'
tree
c_file src/chan/local.h <<<'static _Thread_local int x;'
expect 'src/chan/local.h:2: R2: a thread-local outside of sched/self'
tree
c_file src/chan/asm.h <<<'static void f(void) { __asm__("nop"); }'
expect 'src/chan/asm.h:2: R2: assembly outside of arch/ and base/compiler.h'
tree
c_file src/chan/errno.h <<<'static int f(void) { return -errno; }'
expect 'src/chan/errno.h:2: R2: errno outside of os/'
tree
c_file src/os/cond.h <<<'pthread_cond_t c;'
expect 'src/os/cond.h:2: R2: a condition variable of libc'
tree
c_file src/base/atomic.h <<<'#define get(p) atomic_load_explicit(p, memory_order_relaxed)'
c_file src/os/door.h <<<$'#include <unistd.h>\nstatic int f(void) { return -errno; }'
c_file src/arch/switch.h <<<'static void f(void) { __asm__("nop"); }'
c_file src/sched/self.h <<<'extern _Thread_local int x;'
c_file src/chan/words.h <<'END'
#include <errno.h>
/* asm, errno, memory_order_relaxed */
static const char *s = "asm errno";
END
expect ''

# R4: the order of includes.
tree
c_file src/os/a.h <<<'struct a;'
c_file src/os/a.c <<<$'#include "base/x.h"\n#include "os/a.h"'
echo os/a.c | file src/sources.txt
expect 'src/os/a.c:2: R4: the first include is not "os/a.h"'
tree
c_file src/os/a.c <<<$'#include <errno.h>\n#include "base/x.h"'
echo os/a.c | file src/sources.txt
expect 'src/os/a.c:3: R4: "base/x.h" after a system header'

# R5: public headers.
tree
c_file include/weft/a.h <<<'#include "sched/g.h"'
expect 'include/weft/a.h:2: R5: a public header includes sched/g.h'
tree
c_file include/weft/a.h <<<'void wf_park(void);'
expect 'include/weft/a.h:2: R5: a public header names wf_park'

# R6: no configuration header; the list of sources.
tree
c_file test/a.c <<<'#include "config.h"'
expect 'test/a.c:2: R6: a configuration header'
tree
c_file src/os/a.c <<<'struct a;'
c_file src/os/b.c <<<'struct b;'
printf '%s\n' os/gone.c os/b.c | file src/sources.txt
expect 'src/sources.txt:1: R6: os/gone.c is not there
src/sources.txt:2: R6: os/a.c is missing
src/sources.txt:1: R6: the list is not sorted'

# S1: comments.
tree
c_file test/a.c <<<'int x; // why'
expect 'test/a.c:2: S1: a // comment'
tree
c_file test/a.c <<<"/* TO""DO: more */"
expect 'test/a.c:2: S1: something left for later'
tree
c_file test/a.c <<<'const char *url = "http://x"; /* see http://y */'
expect ''

# S2: width and white space.
tree
c_file test/a.c <<<"/* $(printf '%94s' x | tr ' ' x)xx */"
expect 'test/a.c:2: S2: 102 columns'
tree
c_file test/a.c <<<$'\t\t\t\t\t\t\t\t\t\t\t\tint x;'
expect 'test/a.c:2: S2: 102 columns'
tree
c_file test/a.c <<<'int x; '
expect 'test/a.c:2: S2: white space at the end of the line'

# S3: a function of 71 lines; one of 70 is right.
tree
{ echo 'void'; echo 'f(void)'; echo '{'; yes $'\tg();' | head -71; echo '}'; } | c_file test/a.c
{ echo 'void'; echo 'f(void)'; echo '{'; yes $'\tg();' | head -70; echo '}'; } | c_file test/b.c
expect 'test/a.c:4: S3: a function of 71 lines'

# S4: a file of 801 lines; a note only from 451 on.
tree
yes 'int f(void);' | head -800 | c_file test/a.c
yes 'int f(void);' | head -799 | c_file test/b.c
expect 'test/a.c:800: S4: 801 lines'
tree
yes 'int f(void);' | head -450 | c_file src/os/a.h
said=$("$WEFT_SRC/tools/tidy" "$work/t") || { echo "a note is counted"; failed=1; }
[ "$said" = "note: src/os/a.h has 451 lines" ] || { echo "no note: $said"; failed=1; }

# S5: the head comment.
tree
file test/a.c <<<'int x;'
expect 'test/a.c:1: S5: no comment at the head of the file'
tree
printf '#!/bin/sh\nexit 0\n' | file tools/a
expect 'tools/a:1: S5: no comment at the head of the file'

# S6: which lock; a name of the file's own where it is defined, others in a header.
tree
c_file src/chan/a.c <<<$'static void\nput_locked(struct q *q)\n{\n}'
c_file src/chan/b.h <<<'void wf_put_locked(struct q *q, int n);'
expect 'src/chan/a.c:3: S6: put_locked() does not say which lock
src/chan/b.h:2: S6: wf_put_locked() does not say which lock'
tree
c_file src/chan/a.c <<'END'
static void
put_locked(struct q *q)
    WF_HOLDS(q->lock)
{
	take_locked(q);
}

void
wf_put_locked(struct q *q)
{
	put_locked(q);
}
END
c_file src/chan/b.h <<<'void wf_put_locked(struct q *q) WF_GIVES_BACK(q->lock);'
expect ''

# M1: an edit that fits no more, in each folder of such; one whose file is gone.
edit() # NAME FILE EDGE OLD: an edit of FILE that takes OLD and EDGE away
{
	printf 'Wrong.\nprogram: p\nscenario: s\nedge: %s\nfile: %s\n-%s\n' "$3" "$2" "$4" |
	    file "test/model/wrong/$1.wrong"
}
tree
c_file src/sched/a.h <<<'int x; /* A1 */'
edit fits src/sched/a.h A1 'int x; /* A1 */'
edit changed src/sched/a.h A1 'int y; /* A1 */'
edit gone src/sched/b.h sched/A1 'int x;'
for folder in sim fuzz; do
	file "test/$folder/wrong/changed.wrong" <"$work/t/test/model/wrong/changed.wrong"
done
file test/catalogue/changed.wrong <"$work/t/test/model/wrong/changed.wrong"
expect 'test/catalogue/changed.wrong:1: M1: 0 times in src/sched/a.h, not once:
test/fuzz/wrong/changed.wrong:1: M1: 0 times in src/sched/a.h, not once:
test/model/wrong/changed.wrong:1: M1: 0 times in src/sched/a.h, not once:
test/model/wrong/gone.wrong:1: M1: src/sched/b.h is not there
test/sim/wrong/changed.wrong:1: M1: 0 times in src/sched/a.h, not once:'

# M2: of five steps that are named one has an edit, one a reason, one an order that is weakened.
tree
file src/sched/README.md <<'END'
# S

    A1  put it
    A2  fence    A3  look

A4: named here
END
c_file src/sched/a.h <<'END'
/*
 *   Q1  an edge
 */
int x = wf_load_acquire(&y);	/* A4 */
END
c_file src/chan/b.h <<<'int x = wf_load_acquire(&y);	/* A4 */'
c_file test/model/scenario/a.c <<<'const char *const mc_subjects[] = { "sched/a.h f", NULL };'
edit taken src/sched/a.h A1 'int x = wf_load_acquire(&y);	/* A4 */'
file test/model/wrong/unplanted.txt <<<'sched A2: as nothing follows it.'
expect 'src/sched/README.md:4: M2: no edit takes A3 away
src/sched/a.h:3: M2: no edit takes Q1 away'

# M3: steps that there are not, and a reason for nothing.
edit taken src/sched/a.h 'A1 A7' 'int x = wf_load_acquire(&y);	/* A4 */'
printf 'sched A2 A3 Q1: why.\nsched A1 B1: why.\n' | file test/model/wrong/unplanted.txt
expect 'test/model/wrong/taken.wrong:4: M3: src/sched names no A7
test/model/wrong/unplanted.txt:2: M3: sched/A1 has an edit
test/model/wrong/unplanted.txt:2: M3: src/sched names no B1'

exit $failed
