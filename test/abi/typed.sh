#!/usr/bin/env bash
# Typed channels (weft/typed.h) cost nothing and check types: a program that uses them is the same
# code as one that uses the plain calls, in C and C++, and a wrong type does not compile. If it
# fails, users pay for types, or believe in a check that there is not.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

cat >"$work/typed.c" <<'C'
#include <weft/typed.h>
typedef struct point { long x, y, z; } point;
WEFT_CHAN_OF(int_chan, int);
WEFT_CHAN_OF(point_chan, point);
int send_int(weft_chan *c, int v) { return int_chan_send(int_chan_of(c), v, WEFT_FOREVER); }
int recv_int(weft_chan *c, int *v) { return int_chan_recv(int_chan_of(c), v, 5); }
int send_point(weft_chan *c, const point *p) { return point_chan_send(point_chan_of(c), *p, 7); }
weft_chan *make(size_t n) { return point_chan_new(n).chan; }
int choose(weft_chan *a, weft_chan *b, int *v)
{
	weft_case cases[] = { int_chan_from(int_chan_of(a), v), int_chan_to(int_chan_of(b), v) };
	return weft_select(cases, 2, WEFT_FOREVER);
}
C
cat >"$work/plain.c" <<'C'
#include <weft/chan.h>
typedef struct point { long x, y, z; } point;
int send_int(weft_chan *c, int v) { return weft_chan_send(c, &v, WEFT_FOREVER); }
int recv_int(weft_chan *c, int *v) { return weft_chan_recv(c, v, 5); }
int send_point(weft_chan *c, const point *p) { point v = *p; return weft_chan_send(c, &v, 7); }
weft_chan *make(size_t n) { return weft_chan_new(sizeof(point), n); }
int choose(weft_chan *a, weft_chan *b, int *v)
{
	weft_case cases[] = { WEFT_RECV(a, v), WEFT_SEND(b, v) };
	return weft_select(cases, 2, WEFT_FOREVER);
}
C

code() # OBJECT: its instructions and what they refer to, without the file's name
{
	objdump -dr --no-show-raw-insn "$1" | sed '/file format/d'
}

strict="-O2 -Wall -Wextra -Wpedantic -Wshadow -Wundef -Werror -I$WEFT_SRC/include"
for dialect in "$CC:c:c11" "$CC:c:gnu17" "$CXX:c++:c++17" "$CXX:c++:c++20"; do
	IFS=: read -r compiler language standard <<<"$dialect"
	for what in typed plain; do
		$compiler -x "$language" -std="$standard" $strict -c "$work/$what.c" \
			-o "$work/$what.o"
		code "$work/$what.o" >"$work/$what.s"
	done
	[ "$(grep -c '>:$' "$work/typed.s")" -ge 5 ] || { echo "no code to compare"; failed=1; }
	if ! diff -u "$work/plain.s" "$work/typed.s"; then
		echo "$standard: typed channels are other code than plain ones"
		failed=1
	fi
done

refuses() # WHAT, a statement: it must not compile, in either language
{
	for dialect in "$CC:c:c11" "$CXX:c++:c++17"; do
		IFS=: read -r compiler language standard <<<"$dialect"
		printf '#include <weft/typed.h>\nWEFT_CHAN_OF(ic, int);\n' >"$work/wrong.c"
		printf 'WEFT_CHAN_OF(pc, void *);\n' >>"$work/wrong.c"
		printf 'int f(ic c, pc p, long *l, int i)\n{\n\t(void)p; (void)l; (void)i;\n' \
			>>"$work/wrong.c"
		printf '\treturn %s;\n}\n' "$2" >>"$work/wrong.c"
		if $compiler -x "$language" -std="$standard" $strict -fsyntax-only \
			"$work/wrong.c" 2>/dev/null; then
			[ "$1" = nothing ] || { echo "$standard: $1 compiles"; failed=1; }
		elif [ "$1" = nothing ]; then
			echo "$standard: what is right does not compile"
			failed=1
		fi
	done
}
refuses nothing "ic_send(c, i, 0)"
refuses "a receive into another type" "ic_recv(c, l, 0)"
refuses "a send into another channel" "ic_send(p, i, 0)"
refuses "a pointer as an int" "ic_send(c, l, 0)"
exit $failed
