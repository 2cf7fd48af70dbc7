# What test/gdb asks gdb about stuck.c, and what it must answer. Sets failed to 1 if it does not.
failed=0

commands=(-ex 'info goroutines' -ex 'info channels' -ex 'info ps' -ex 'goroutine 1 bt'
    -ex 'goroutine 2 bt' -ex 'goroutine 2 up' -ex 'goroutine all bt'
    -ex 'print mutex' -ex 'print group' -ex 'print sem' -ex 'print once' -ex 'print empty'
    -ex 'print full' -ex 'print $goroutine()' -ex 'bt' -ex 'goroutine 99 bt')

contains() # FILE PATTERN...: each a line of the file, in this order
{
	local file=$1 at=1 found
	shift
	for pattern; do
		found=$(tail -n "+$at" "$file" | grep -nE -m 1 -- "$pattern" | cut -d: -f1) || true
		if [ -z "$found" ]; then
			echo "$file: not found after line $at: $pattern"
			failed=1
			return 0
		fi
		at=$((at + found))
	done
}

# FILE: what every way of looking must show of those that wait
check_waiting()
{
	local age='(, [0-9]+ (seconds|minutes))?' labels='\{by: "a b", request: 17\}'
	! grep -n 'Python Exception\|Traceback\|corrupt stack\|Error' "$1" || failed=1
	contains "$1" \
	    "^  goroutine 2 \"receiver\" \[chan receive$age\] $labels rece.*here" \
	    "^  goroutine 3 \[select$age\] \{request: 17\} chooser" \
	    "^  goroutine 4 \[sync.Mutex.Lock$age\] locker"
	contains "$1" '^0x[0-9a-f]+  0 of 0 elements of 4 bytes, goroutine 2 waits to receive$'
	contains "$1" '^0x[0-9a-f]+  0 of 0 elements of 0 bytes, goroutine 3 waits to receive,'
	contains "$1" ' goroutine 3 waits to send$'
	if [ "$(grep -c '^0x[0-9a-f]*  ' "$1")" -ne 2 ]; then
		echo "$1: not just the two channels that somebody waits for"
		failed=1
	fi
	contains "$1" '^procs=2 idle=' '^P0 ' '^P1 '
	# Each stack whole, to the bottom of the goroutine, and no further.
	contains "$1" '^goroutine 2 .*:$' '^#[0-9]+ (.* )?weft_chan_recv ' \
	    '^#[0-9]+ (.* )?receive_here ' \
	    '^#[0-9]+ (.* )?deeper ' '^#[0-9]+ (.* )?deeper ' '^#[0-9]+ (.* )?deeper ' \
	    '^#[0-9]+ (.* )?deeper ' '^#[0-9]+ (.* )?receiver ' '^#[0-9]+ ' '^#[0-9]+ '
	contains "$1" '^goroutine 4 .*:$' '^#[0-9]+ (.* )?weft_mutex_lock ' '^#[0-9]+ (.* )?locker '
	contains "$1" 'weft_mutex\(locked, waited for\)' 'weft_waitgroup\(3\)' \
	    'weft_sem\(3 of 5 permits\)' 'weft_once\(done\)'
	contains "$1" '^There is no goroutine 99'
}

check() # FILE: ... and where main() stands
{
	check_waiting "$1"
	contains "$1" '^\* goroutine 1 \[running, thread [0-9]+\] look_here' '^  goroutine 2 '
	contains "$1" '^P[01] running .* thread=[0-9]+ goroutine=1$'
	contains "$1" '^goroutine 1 .*:$' '^#0 .* look_here' '^#1 .* main' '^goroutine 2 .*:$'
	contains "$1" '= .*weft_chan\(0 of 0 elements of 4 bytes, goroutine 2 waits to receive\)$' \
	    '= .*weft_chan\(1 of 2 elements of 8 bytes\)$'
	# Afterwards gdb is where it was.
	contains "$1" '^\$[0-9]+ = 1$' '^#0 .*look_here' '^#1 .* main' '^There is no goroutine 99'
}

# FILE: ... after abort() in a goroutine: below weft's handler its own stack goes on
check_aborted()
{
	check_waiting "$1"
	contains "$1" '^  goroutine 1 \[sleep' '^  goroutine 4 ' \
	    '^\* goroutine [0-9]+ \[running, thread [0-9]+\] abort_here at '
	contains "$1" '^goroutine [0-9]+ \[running' '<signal handler called>' \
	    '^#[0-9]+ (.* )?(__GI_)?abort ' '^#[0-9]+ .* abort_here ' '^#[0-9]+ (.* )?wf_ctx_entry '
	contains "$1" '^\$[0-9]+ = [0-9]+$' '^#0 ' '<signal handler called>' \
	    '^#[0-9]+ .* abort_here ' '^There is no goroutine 99'
}
