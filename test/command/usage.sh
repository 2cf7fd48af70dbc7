#!/usr/bin/env bash
# The weft command's help, versions, refusals and completion agree with each other. If it fails,
# who asks how the command works is told something else than it does.
set -eu
weft=$WEFT_BUILD/bin/weft
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0
bad()
{
	echo "$@"
	failed=1
}
expect() # STATUS COMMAND...: data on stdout alone when it is 0, words on stderr alone if not
{
	local status=$1 got=0
	shift
	"$@" >"$work/out" 2>"$work/err" || got=$?
	[ "$got" -eq "$status" ] || bad "$*: status $got, not $status"
	if [ "$status" -eq 0 ]; then
		[ -s "$work/out" ] && [ ! -s "$work/err" ] || bad "$*: not on standard output only"
	else
		[ -s "$work/err" ] && [ ! -s "$work/out" ] || bad "$*: not on standard error only"
	fi
}
says() # TEXT: the last command's standard error holds it
{
	grep -qF -- "$1" "$work/err" || bad "not said: $1; but: $(cat "$work/err")"
}

# Help, in each of its forms, for each command that help lists.
"$weft" help >"$work/help"
commands=$(sed -n '/^Commands:$/,/^$/s/^  \([a-z]*\) .*/\1/p' "$work/help")
[ "$(wc -w <<<"$commands")" -ge 4 ]
for form in --help -h; do
	expect 0 "$weft" $form
	cmp "$work/out" "$work/help"
done
version=$(sed -n 's/^#define WEFT_VERSION "\(.*\)"/\1/p' "$WEFT_SRC/include/weft/base.h")
for command in $commands ''; do
	expect 0 "$weft" help $command
	cp "$work/out" "$work/text"
	for form in --help -h; do
		expect 0 "$weft" $command $form
		[ "$command" = help ] || cmp "$work/out" "$work/text"
	done
	! grep -n '.\{91\}' "$work/text" || bad "help $command: too wide"
	for form in --version -V; do
		expect 0 "$weft" $command $form
		[ "$(cat "$work/out")" = "weft $version" ] ||
		    bad "$command $form: $(cat "$work/out")"
	done
	expect 2 "$weft" $command --nonesuch
	says "no such option: --nonesuch"
	expect 2 "$weft" $command -x
	says "no such option: -x"
	expect 2 "$weft" $command --help=yes
	says "--help takes no value"
	expect 2 "$weft" $command --versoin
	says "did you mean --version?"
done
expect 0 "$weft" version
[ "$(cat "$work/out")" = "weft $version" ] || bad "version: $(cat "$work/out")"

# What is not there.
expect 2 "$weft"
says "no command"
while read -r typed meant; do
	expect 2 "$weft" "$typed"
	says "no such command: $typed (did you mean weft $meant?)"
	expect 2 "$weft" help "$typed"
	says "did you mean weft $meant?"
done <<'E2'
docter doctor
doct doctor
rnu run
verison version
hepl help
E2
for typed in xyzzy threads '' "$(head -c 5000 /dev/zero | tr '\0' r)" '%s%n'; do
	expect 2 "$weft" "$typed"
	says "no such command: $typed"
	! grep -q 'did you mean' "$work/err" || bad "$typed is like nothing: $(cat "$work/err")"
done
expect 2 "$weft" version now
expect 2 "$weft" doctor now
expect 2 "$weft" doctor --color sometimes
says "--color: always, never or auto, not sometimes"
expect 2 "$weft" help run doctor

# A lost answer is a failure.
for command in help version doctor 'doctor --json' '--version' 'run --help'; do
	got=0
	"$weft" $command >/dev/full 2>"$work/err" || got=$?
	[ "$got" -eq 1 ] || bad "$command to a full disk: status $got"
	says "can't write"
done

# Bash completes exactly what there is.
# shellcheck source=/dev/null
. "$WEFT_SRC/tools/weft/completions/weft"
complete -p weft | grep -q -- '-F _weft weft' || bad "no completion for weft"
completes() # WORD...: what may stand for the last one
{
	COMP_WORDS=(weft "$@") COMP_CWORD=$# COMPREPLY=()
	_weft weft "${*: -1}" "${COMP_WORDS[-2]}"
	[ ${#COMPREPLY[@]} -eq 0 ] || printf '%s\n' "${COMPREPLY[@]}" | sort
}
expected() # the long options that the text on stdin explains
{
	grep -o '^ *\(-[a-zA-Z], *\)\?--[a-z]*' | grep -o -- '--[a-z]*' | sort
}
same() # WHAT: stdin is what completion says
{
	diff "$work/completed" - || bad "completion of $1"
}
completes '' | grep -v -- -- >"$work/completed"
tr ' ' '\n' <<<"$commands" | sort | same commands
for command in run doctor trace symbolize; do
	completes "$command" -- | grep -v '^--$' >"$work/completed"
	"$weft" help "$command" | expected | same "$command"
done
completes doc >"$work/completed"
same 'doc' <<<doctor
completes trace conv >"$work/completed"
same 'trace conv' <<<convert
completes trace convert --to '' >"$work/completed"
printf 'chrome\npprof\n' | same '--to'
completes doctor --color '' >"$work/completed"
printf 'always\nauto\nnever\n' | same '--color'
completes run --procs 2 -- --de >"$work/completed"
same 'a program after --' </dev/null
completes run --de >"$work/completed"
same '--de' <<<--detail
completes run --procs --de >"$work/completed"
same 'a value' </dev/null
cd "$work"
touch afile
for before in '--' '--procs 2' '--procs = 2 --detail' '' ; do
	# shellcheck disable=SC2086
	completes run $before tru | grep -qx true || bad "no program after '$before'"
	# shellcheck disable=SC2086
	completes run $before true --de >"$work/completed"
	same "arguments of a program" </dev/null
	# shellcheck disable=SC2086
	completes run $before true afi >"$work/completed"
	same "files after '$before'" <<<afile
done

# The other shells' completions name the same commands and options, and those shells can read them.
completions=$WEFT_SRC/tools/weft/completions
for command in $commands; do
	for file in _weft weft.fish; do
		grep -qw -- "$command" "$completions/$file" || bad "$file lacks $command"
		"$weft" help "$command" | expected | while read -r option; do
			grep -q -e "$option\[" -e "-l ${option#--} " -e "{-.,$option}" \
			    "$completions/$file" || echo "$option"
		done >"$work/missing"
		[ ! -s "$work/missing" ] || bad "$file lacks $(cat "$work/missing")"
	done
done
if command -v zsh >/dev/null; then
	zsh -n "$completions/_weft" || bad "zsh can't read _weft"
fi
if command -v fish >/dev/null; then
	fish -n "$completions/weft.fish" || bad "fish can't read weft.fish"
	for words in 'run --li=--lint' 'stacks --blo=--blocked' 'doct=doctor'; do
		fish -c "source $completions/weft.fish; complete -C 'weft ${words%%=*}'" |
		    grep -q -- "^${words##*=}" || bad "fish does not complete ${words%%=*}"
	done
fi

# All options are in the manual.
for command in run doctor trace symbolize; do
	"$weft" help "$command" | expected | while read -r option; do
		grep -q "Fl -${option#--}" "$WEFT_SRC/man/weft.1" || echo "$option"
	done >"$work/missing"
	[ ! -s "$work/missing" ] || bad "weft.1 lacks $(cat "$work/missing")"
done
exit "$failed"
