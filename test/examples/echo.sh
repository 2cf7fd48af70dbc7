#!/usr/bin/env bash
# Starts the echo server of examples/ on a free port, lets 100 clients ask it, and stops it; over
# TCP, UDP and Unix sockets, with its own client, and with nc and socat, too. If it fails, what the
# documentation shows as network code does not work.
set -eu
echo=$WEFT_BUILD/examples/echo
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
out=$work/out

serve() # ADDRESS: sets server, and port if it has one
{
	: >"$out"
	"$echo" serve "$1" >"$out" &
	server=$!
	for _ in $(seq 300); do
		! grep -q listening "$out" || break
		kill -0 $server
		sleep 0.1
	done
	port=$(sed -n 's/^echo: listening on port //p' "$out")
}

# Unix: a stream of bytes there and back, by a client that ends its half first.
serve "unix:$work/socket"
head -c 1000000 /dev/urandom >"$work/bytes"
socat -t 30 - "UNIX-CONNECT:$work/socket" <"$work/bytes" | cmp - "$work/bytes"
[ "$(echo hello | nc -N -U "$work/socket")" = hello ]
"$echo" ask "unix:$work/socket" 20 50 | grep ' 0 failed'
kill -TERM $server
wait $server
[ ! -e "$work/socket" ]

# UDP: each datagram comes back to who sent it.
serve udp:127.0.0.1:0
[ "$(echo hello | nc -u -w 2 127.0.0.1 "$port")" = hello ]
[ "$(echo hello | socat -t 2 - "UDP:127.0.0.1:$port")" = hello ]
"$echo" ask "udp:127.0.0.1:$port" 20 50 | grep '20 connections, 1000 messages, 0 failed'
kill -INT $server
wait $server

serve 127.0.0.1:0
socat -t 30 - "TCP:127.0.0.1:$port" <"$work/bytes" | cmp - "$work/bytes"
[ "$(echo hello | nc -N 127.0.0.1 "$port")" = hello ]

"$echo" ask "127.0.0.1:$port" 100 50 | grep '^echo: 100 connections, 5000 messages, 0 failed'
"$echo" ask "localhost:$port" 1 1 | grep ' 0 failed'

# A second server on the port is refused, and says why.
! "$echo" serve "127.0.0.1:$port" 2>"$work/err"
grep -q 'Address already in use' "$work/err"

kill -INT $server
wait $server
! "$echo" ask "127.0.0.1:$port" 1 1 2>/dev/null
! "$echo" serve nonsense 2>/dev/null
! "$echo" 2>/dev/null
