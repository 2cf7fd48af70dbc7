#!/usr/bin/env bash
# ctest: timeout=280
# Two network namespaces of our own, and between them a line that loses 30 % of all packets, in
# either direction. Many connections over it lose nothing, a file arrives whole, in plain and over
# TLS, those on the server's own side are served meanwhile, and nothing is left. If it fails, what
# works on a desk fails on a train.
set -euo pipefail
. "$WEFT_SRC/test/net/crowd.sh"
connections=${WEFT_CONNECTIONS:-$((100 / scale))}
rounds=${WEFT_ROUNDS:-10}
loss=30

cannot()
{
	echo "this test needs network namespaces, veth and nftables (as root): $*"
	exit 1
}

# A namespace is kept by a process that sleeps in it. Nothing is mounted, and nothing of the host's
# network is touched: the line is made inside of one and moved to the other.
keep=()
leave()
{
	kill "${keep[@]}" 2>/dev/null || true
	clean_up
}
trap leave EXIT
namespace() # sets pid
{
	unshare -n sleep 3600 &
	pid=$!
	keep+=("$pid")
	for _ in $(seq 100); do
		[ "$(readlink "/proc/$pid/ns/net")" = "$(readlink /proc/self/ns/net)" ] || return 0
		sleep 0.05
	done
	cannot "unshare -n"
}
namespace
near=$pid
namespace
far=$pid
in_near=(nsenter -t "$near" -n)
in_far=(nsenter -t "$far" -n)

losing="numgen random mod 100 < $loss counter name lost drop"
rules="table inet line {
	counter lost { }
	chain from_line {
		type filter hook input priority 0;
		iifname line $losing
	}
}"

end_of_line() # ADDRESS PREFIX...: sets up one end; the prefix runs a command in its namespace
{
	local address=$1
	shift
	"$@" ip link set lo up &&
		"$@" ip link set line up &&
		"$@" ip address add "$address/32" dev line || return 1
	# A lost packet costs tens of milliseconds, not 200 at least; ten in a row a second each,
	# not minutes (Linux 6.15; before, six in a row keep their pace).
	"$@" sh -c 'cd /proc/sys/net/ipv4; echo 1 >tcp_thin_linear_timeouts
	    [ ! -e tcp_rto_max_ms ] || echo 1000 >tcp_rto_max_ms'
	"$@" ip route add 10.77.0.0/24 dev line src "$address" rto_min 20ms &&
		"$@" nft -f - <<<"$rules"
}
make_line()
{
	"${in_near[@]}" ip link add line type veth peer name line netns "$far" &&
		end_of_line 10.77.0.1 "${in_near[@]}" &&
		end_of_line 10.77.0.2 "${in_far[@]}"
}
make_line >"$work/said" 2>&1 || cannot "$(cat "$work/said")"

# Longer than any pause of the line, and shorter than the server waits at its end.
start_server 45 10.77.0.1:0 "${in_near[@]}"
"${in_far[@]}" "$crowd" ask "10.77.0.1:$port" "$connections" "$rounds" 240 &
over_the_line=$!
served_here=0
while kill -0 "$over_the_line" 2>/dev/null; do
	timeout 60 "${in_near[@]}" "$crowd" ask "10.77.0.1:$port" 10 100 50 >"$work/here" 2>&1 ||
		{ echo "those nearby were not served:"; cat "$work/here"; exit 1; }
	served_here=$((served_here + 10))
	sleep 0.2
done
wait "$over_the_line"
[ "$served_here" -gt 0 ]
# The last of its packets may be among the lost, and a client that has gone does not repeat it for
# ever: hence "served or cut off".
kill -TERM "$server"
wait "$server" || { cat "$work/server"; exit 1; }
server=
cat "$work/server"
grep -q "left 0 goroutines, 0 descriptors" "$work/server"

# A file, by curl. Over such a line some kilobytes a second are much.
head -c $((100000 / scale)) /dev/urandom >"$work/bytes"
fetch() # SCHEME OPTION...
{
	local scheme=$1
	shift
	: >"$work/httpd"	# now: what the one before said must not be read
	"${in_near[@]}" "$WEFT_BUILD/weft-httpd" -q -b 10.77.0.1 --write-timeout=100 "$@" \
	    "$work" >"$work/httpd" &
	server=$!
	for _ in $(seq 300); do
		grep -q serving "$work/httpd" && break
		sleep 0.1
	done
	"${in_far[@]}" curl -sS --max-time 120 --noproxy '*' -k \
	    "$(sed -n 's/.* on //p' "$work/httpd")bytes" -o "$work/got" ||
		{ echo "no file by $scheme"; exit 1; }
	cmp "$work/bytes" "$work/got"
	kill -TERM "$server"
	wait "$server"
	server=
	echo "a file came whole by $scheme"
}
fetch http
if [ -e "$WEFT_BUILD/libweft-tls.so" ]; then
	bash "$WEFT_SRC/test/tls/certificates" "$work"
	fetch https --tls "$work/good.pem" "$work/good.key"
fi

lost=$("${in_near[@]}" nft list counter inet line lost | sed -n 's/.*packets \([0-9]*\).*/\1/p')
echo "packets lost on the way to the server: $lost"
[ "$lost" -gt 100 ] || { echo "the line did not lose what it should"; exit 1; }
