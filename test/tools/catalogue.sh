#!/usr/bin/env bash
# The catalogue of other runtimes' bugs names tests that exist; and tools/catalogue finds each way
# in which it could be wrong, in a small tree. If it fails, a bug is believed to be covered and is
# not.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0
export PYTHONDONTWRITEBYTECODE=1

"$WEFT_SRC/tools/catalogue" "$WEFT_SRC" || failed=1
[ "$("$WEFT_SRC/tools/catalogue" --of 39)" = \
    '^(spec\.chan_large\.an_element_may_be_larger_than_a_stack)$' ] ||
	{ echo "--of 39 names other tests"; failed=1; }
! "$WEFT_SRC/tools/catalogue" --of 52 >/dev/null || { echo "--of 52 found something"; failed=1; }

mkdir -p "$work/test/spec" "$work/test/model/scenario" "$work/test/model/wrong" "$work/test/sim" \
    "$work/test/catalogue"
printf '/* head */\nTEST(first)\n{\n}\n' >"$work/test/spec/a.c"
printf '/* head */\nTEST(seeds)\n{\n}\n' >"$work/test/sim/b.c"
printf '/* head */\nSCENARIO(one, x)\n' >"$work/test/model/scenario/c.c"
: >"$work/test/model/wrong/worse.wrong"
printf 'Put in.\ntest: sim.b.seeds\n' >"$work/test/catalogue/put_in.wrong"
rows='| 1 | x | x | `plant.put_in` `spec.a.first` `sim.b.seeds` |
| 2 | x | x | `spec.a.first@uring` `model.c.one` `model.wrong.worse` `model.c.weakened` |
| 3 | x | x | n/a: no such thing |'
expect() # ROWS TEXT: it says exactly this, before the line of counts
{
	local said
	printf '3 entries\n\n%s\n' "$1" >"$work/test/CATALOGUE.md"
	said=$("$WEFT_SRC/tools/catalogue" "$work") || true
	counts=${said##*$'\n'}
	said=$(sed '$d' <<<"$said")
	[ "$said" = "$2" ] || { printf 'expected: %s\n     got: %s\n' "$2" "$said"; failed=1; }
}
expect "$rows" ''
[ "$counts" = '2 of 3 entries have tests, 2 are put in' ] || { echo "counts: $counts"; failed=1; }
"$WEFT_SRC/tools/catalogue" "$work" >/dev/null || { echo "status of a sound tree"; failed=1; }
expect "${rows/c.one/c.two}" 'test/CATALOGUE.md:4: 2: there is no test model.c.two'
! "$WEFT_SRC/tools/catalogue" "$work" >/dev/null || { echo "status of a breach"; failed=1; }
expect "${rows/wrong.worse/wrong.worst}" \
    'test/CATALOGUE.md:4: 2: there is no test model.wrong.worst'
expect "${rows/n\/a: no such thing/}" 'test/CATALOGUE.md:5: 3 has neither a test nor a reason'
expect "${rows/| 2 |/| 7 |}" 'test/CATALOGUE.md:4: 7 stands after 1
test/CATALOGUE.md:5: 3 stands after 7'
expect "${rows%$'\n'*}" 'test/CATALOGUE.md:1: 3 entries are promised, the last is 2'
expect "${rows/\`plant.put_in\` /}" 'test/CATALOGUE.md:3: 1 has no bug put in, and says not why
test/CATALOGUE.md:1: no entry names plant.put_in'
last='| 3 | x | x | n/a: no such thing |'
expect "${rows/"$last"/| 3 | x | x | \`spec.a.first\`; not planted: it cannot |}" ''
expect "${rows/plant.put_in/plant.put_out}" 'test/CATALOGUE.md:3: 1: there is no test plant.put_out
test/CATALOGUE.md:1: no entry names plant.put_in'
expect "${rows/ \`sim.b.seeds\`/}" \
    'test/CATALOGUE.md:3: 1: plant.put_in is for none of these tests'
printf 'Put in.\ntest: sim.b.weeds\n' >"$work/test/catalogue/put_in.wrong"
expect "${rows/b.seeds/b.weeds}" 'test/CATALOGUE.md:3: 1: there is no test sim.b.weeds
test/CATALOGUE.md:1: plant.put_in: there is no test sim.b.weeds'
exit "$failed"
