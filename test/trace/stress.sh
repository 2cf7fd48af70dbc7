#!/usr/bin/env bash
# Go's own parser reads the traces of the stress tests of channels, select and scopes, made short.
# It follows every goroutine, thread and processor, so it fails if an event is missing, doubled, or
# in the wrong order when many threads meet. Whether a test passes is its own affair.
# ctest: timeout=300
set -eu
go=$("$WEFT_SRC/tools/find-go")
[ -n "$go" ] || { echo "no Go 1.23 or newer here; tools/setup ci installs one"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
export HOME=$work GOTELEMETRY=off GOFLAGS=
# Rounds are divided by it: a second of them is half a minute for the parser.
export WEFT_TEST_SCALE=40
failed=0 read=0

for program in chan_race chan_storm select_race scope_race; do
	file=$WEFT_SRC/test/spec/$program.c
	sed -n 's/^TEST(\([a-z0-9_]*\)).*/\1/p' "$file" >names
	while read -r name; do
		rm -f trace
		WEFT_TRACE=trace "$WEFT_BUILD/test/spec/$program" "$name" >said 2>&1 </dev/null ||
			true
		if ! [ -s trace ]; then
			echo "$program.$name: there is no trace"
			head -c 500 said
			failed=1
		elif ! "$go" tool trace -d=1 trace >/dev/null 2>errors; then
			echo "$program.$name: Go refuses its trace:"
			head -c 2000 errors
			failed=1
		fi
		read=$((read + 1))
	done <names
done
[ "$read" -ge 20 ] || { echo "only $read tests were found"; failed=1; }
exit "$failed"
