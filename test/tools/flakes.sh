#!/usr/bin/env bash
# tools/run-tests tells what fails from what is flaky, and lets a flaky test pass only where it
# writes a ledger. If it fails, either nothing ever goes in on a busy day, or what is broken does.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# A project of tests: "flaky" fails the first time only, "broken" always, "unsteady" every other
# time; "endless" does not end, "stuck" not when it runs again. BREAK chooses.
mkdir "$work/source"
cat >"$work/source/CMakeLists.txt" <<'END'
cmake_minimum_required(VERSION 3.20)
project(flakes NONE)
enable_testing()
add_test(NAME good COMMAND true)
foreach(name ${BREAK})
	add_test(NAME ${name} COMMAND sh ${CMAKE_SOURCE_DIR}/${name}.sh)
endforeach()
END
echo 'echo "what flaky said"; [ -e ran ] || { : >ran; exit 1; }' >"$work/source/flaky.sh"
echo 'exit 1' >"$work/source/broken.sh"
echo 'if [ -e odd ]; then rm odd; else : >odd; exit 1; fi' >"$work/source/unsteady.sh"
echo 'exec sleep 60' >"$work/source/endless.sh"
echo 'if [ -e once ]; then exec sleep 60; else : >once; exit 1; fi' >"$work/source/stuck.sh"

limit='' until=''

# run EXPECTED-STATUS EXPECTED-LAST-LINE LEDGER TEST...
run()
{
	local status=0 expected=$1 last=$2 ledger=$3
	shift 3
	rm -rf "$work/build"
	cmake -S "$work/source" -B "$work/build" "-DBREAK=$(IFS=';'; echo "$*")" >/dev/null
	[ -z "$limit" ] || until=$(($(date +%s) + limit))
	WEFT_FLAKES=$ledger WEFT_UNTIL=$until "$WEFT_SRC/tools/run-tests" "$work/build" \
		>"$work/said" 2>&1 || status=$?
	if [ "$status" -ne "$expected" ] || [ "$(tail -n 1 "$work/said")" != "$last" ]; then
		cat "$work/said"
		echo "status $status and not $expected, or the last line is not: $last"
		exit 1
	fi
}

run 0 "1 passed, 0 failed" "$work/ledger"
run 1 "1 passed, 1 failed" "$work/ledger" broken
run 1 "1 passed, 1 failed" "$work/ledger" unsteady
run 1 "1 passed, 2 failed" "$work/ledger" broken flaky
[ ! -e "$work/ledger" ]
run 1 "1 passed, 1 failed" "" flaky
run 0 "2 passed, 0 failed" "$work/ledger" flaky
grep -q "what flaky said" "$work/said"
grep -q "^flaky: flaky failed" "$work/said"
[ "$(cut -f 3,4 "$work/ledger")" = $'build\tflaky' ]

# Whoever is to end by a time says so in time, and names what did not end.
limit=12
run 1 "0 passed, 1 failed" "$work/ledger" endless
grep -q "^    endless" "$work/said"
limit=20
run 1 "1 passed, 1 failed" "$work/ledger" stuck
limit=600
run 0 "2 passed, 0 failed" "$work/ledger" flaky
