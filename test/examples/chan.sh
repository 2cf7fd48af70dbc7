#!/usr/bin/env bash
# The channel examples print what they should: sieve the primes, pingpong an even score. They are
# what people copy from, so they must be right, end by themselves, and work on any number of Ps.
# SCENARIOS 22.
set -eu
dir=$WEFT_BUILD/examples

want=$(for ((i = 2; i <= 541; i++)); do
	for ((k = 2; k * k <= i; k++)); do
		((i % k == 0)) && continue 2
	done
	echo "$i"
done)
for procs in 1 2 4; do
	got=$(WEFT_MAXPROCS=$procs "$dir/sieve" 100)
	last=$(tail -1 <<< "$got")
	[[ $last == "102 goroutines" ]] || { echo "sieve on $procs: $last"; exit 1; }
	primes=$(head -n -1 <<< "$got" | tr ' ' '\n')
	[[ $primes == "$want" ]] || { echo "sieve on $procs: $got"; exit 1; }

	read -r _ a _ b <<< "$(WEFT_MAXPROCS=$procs "$dir/pingpong" 50 | head -1 | tr -d ,)"
	# The ball goes to and fro, so the scores differ by one at most.
	((b > 0 && (a == b || a == b + 1))) || { echo "pingpong on $procs: $a to $b"; exit 1; }
done
echo "sieve and pingpong agree on 1, 2 and 4 Ps"
