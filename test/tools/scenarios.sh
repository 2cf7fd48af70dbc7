#!/usr/bin/env bash
# The table of Go's behaviours agrees with the tests; and tools/scenarios finds each way in which
# it could disagree, in small trees made for it. If it fails, a behaviour is claimed and not tested.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

"$WEFT_SRC/tools/scenarios" "$WEFT_SRC" || failed=1
[ "$("$WEFT_SRC/tools/scenarios" --of 7)" = '^(spec\.chan_basic\.len_and_cap)$' ] ||
	{ echo "--of 7 names other tests"; failed=1; }
! "$WEFT_SRC/tools/scenarios" --of 3 >/dev/null || { echo "--of 3 found something"; failed=1; }

mkdir -p "$work/test/spec" "$work/test/unit" "$work/test/sub"
table() # the table, with the rows on stdin
{
	{ printf '%s\n' '## 3.1 One' '- P0: 1 2' '- P1: 4'; cat; } >"$work/test/SCENARIOS.md"
}
expect() # TEXT: it says exactly this, before the line of counts
{
	local said
	said=$("$WEFT_SRC/tools/scenarios" "$work" | grep -v ' scenarios of sections ') || true
	[ "$said" = "$1" ] || { printf 'expected: %s\n     got: %s\n' "$1" "$said"; failed=1; }
}
cat >"$work/test/spec/a.c" <<'C'
/* SCENARIOS 4 at the head is nobody's. */
/* SCENARIOS 1, 99 */
static void
helper(void)
{
}

TEST(first)
{
}

TEST(second)
{
	/* It may stand inside, and go on:
	 * SCENARIOS 2,
	 * 4. */
}
C
printf '#!/bin/sh\n# SCENARIOS 1-2.\n\n# SCENARIOS 4\n' >"$work/test/sub/b.sh"
rows='| 1 | P0 | x | `spec.a.first` `sh.sub.b` |
| 2 | P0 | x | `spec.a.second` `sh.sub.b` |
| 4 | P1 | x | `spec.a.second` |'

table <<<"$rows"
expect ''
"$WEFT_SRC/tools/scenarios" "$work" >/dev/null || { echo "status of a sound tree"; failed=1; }
table <<<"${rows/first/worst}"
! "$WEFT_SRC/tools/scenarios" "$work" >/dev/null || { echo "status of a breach"; failed=1; }
expect 'test/SCENARIOS.md:4: 1: there is no test spec.a.worst
test/spec/a.c:8: spec.a.first says SCENARIOS 1, the table does not'
table <<<"${rows/| 4 | P1/| 4 | P0}"
expect 'test/SCENARIOS.md:6: 4 is not listed as P0 of this section'
table <<<"${rows/a.first/a.second}"
expect 'test/SCENARIOS.md:4: 1: no comment of spec.a.second says so
test/spec/a.c:8: spec.a.first says SCENARIOS 1, the table does not'
table <<<"${rows/\`spec.a.first\` \`sh.sub.b\`/}"
expect 'test/SCENARIOS.md:4: 1 has neither a test nor a reason
test/sub/b.sh:1: sh.sub.b says SCENARIOS 1, the table does not
test/spec/a.c:8: spec.a.first says SCENARIOS 1, the table does not'
table <<<"${rows/| 4 | P1 | x | \`spec.a.second\` |/}"
expect 'test/SCENARIOS.md:1: 3.1: no row for 4 (P1)
test/spec/a.c:12: spec.a.second says SCENARIOS 4, the table does not'
table <<<"$rows
| 1 | P0 | again | n/a: no reason |"
expect 'test/SCENARIOS.md:7: 1 has a row already'
table <<<"${rows/| 4 | P1 | x |/| 4 | P1 |}"
expect 'test/SCENARIOS.md:6: not a row: | number | priority | what | tests |
test/SCENARIOS.md:1: 3.1: no row for 4 (P1)
test/spec/a.c:12: spec.a.second says SCENARIOS 4, the table does not'
exit "$failed"
