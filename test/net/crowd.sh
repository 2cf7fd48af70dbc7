# What the scripts of this folder share: a server that is started, and found to have left nothing.
# Sourced. WEFT_CONNECTIONS, WEFT_ROUNDS and WEFT_SECONDS make the tests larger (tools/net-load).
crowd=$WEFT_BUILD/test/net/crowd
scale=${WEFT_TEST_SCALE:-1}
work=$(mktemp -d)
server=

clean_up()
{
	[ -z "$server" ] || kill -KILL "$server" 2>/dev/null || true
	rm -r "$work"
}
trap clean_up EXIT

# start_server IDLE ADDRESS [PREFIX...]: sets server and port. The prefix runs it somewhere else.
start_server()
{
	local idle=$1 address=$2
	shift 2
	: >"$work/server"	# now: what the one before said must not be read
	"$@" "$crowd" serve "$address" "$idle" >"$work/server" 2>&1 &
	server=$!
	for _ in $(seq 300); do
		port=$(sed -n 's/^crowd: listening on port //p' "$work/server")
		[ -z "$port" ] || return 0
		sleep 0.1
	done
	echo "the server did not start:"
	cat "$work/server"
	exit 1
}

# Stops it; it must have served so many and left neither goroutine nor descriptor.
stop_server() # CONNECTIONS
{
	local status=0
	kill -TERM "$server"
	wait "$server" || status=$?
	server=
	cat "$work/server"
	[ "$status" -eq 0 ] || { echo "the server ended with $status"; exit 1; }
	grep -q "served $1, .*left 0 goroutines, 0 descriptors" "$work/server" ||
		{ echo "expected $1 served, and nothing left"; exit 1; }
}
