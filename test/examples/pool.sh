#!/usr/bin/env bash
# The worker pool loses no job and does none twice, with fewer workers than jobs and with more, on
# one processor and on several: else the count of primes is wrong.
set -eu
pool=$WEFT_BUILD/examples/pool

expect() {
	local want=$1 said
	shift
	said=$(timeout 60 "$@") || { echo "$*: status $?"; exit 1; }
	[ "$said" = "$want" ] || { echo "$*: it said \"$said\", not \"$want\""; exit 1; }
}

for procs in 1 2 4; do
	export WEFT_MAXPROCS=$procs
	expect "78498 primes below 1000000" "$pool"
	expect "1229 primes below 10000" "$pool" 1 1
	expect "17984 primes below 200000" "$pool" 20 200
	expect "9592 primes below 100000" "$pool" 10 1
done
for wrong in "0" "1 0" "1 257" "100001"; do
	# shellcheck disable=SC2086
	if "$pool" $wrong >/dev/null 2>&1; then echo "accepted: pool $wrong"; exit 1; fi
done
