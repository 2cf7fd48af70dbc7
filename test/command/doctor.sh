#!/usr/bin/env bash
# weft doctor: on this machine, on ones that it is shown by files below --root, below a filter that
# forbids the calls it tries, and with lower limits. If it fails, people look for the fault in their
# program when it is in the system, or the other way round.
set -eu
weft=$WEFT_BUILD/bin/weft
work=$(mktemp -d)
chmod 755 "$work"
trap 'rm -rf "$work"' EXIT
failed=0
bad()
{
	echo "$@"
	failed=1
}
# Here, and as somebody else: the exit status is 0, 1 or 2 as the worst is ok, warn or fail, the
# JSON is valid, has each check once, and a remedy for what is not well.
cat >"$work/valid.py" <<'PY'
import json, sys
status, text = int(sys.argv[1]), sys.stdin.buffer.read().decode("utf-8")
said = json.loads(text)
assert set(said) == {"version", "weft", "status", "checks"} and said["version"] == 1, said
names = [c["name"] for c in said["checks"]]
assert len(names) == len(set(names)) >= 15, names
for c in said["checks"]:
    assert set(c) == {"name", "status", "detail", "remedy"} and c["detail"], c
    assert (c["remedy"] is None) == (c["status"] == "ok"), c
    assert c["remedy"] is None or len(c["remedy"]) < 100 and "\n" not in c["remedy"], c
worst = max((c["status"] for c in said["checks"]), key=["ok", "warn", "fail"].index)
assert said["status"] == worst and status == ["ok", "warn", "fail"].index(worst), (status, said)
for c in said["checks"]:
    print("%s: %s: %s" % (c["name"], c["status"], c["detail"]))
PY
ask() # COMMAND...: `COMMAND... weft doctor --json`; lines "NAME: STATUS: DETAIL" go to $work/said
{
	local status=0
	"$@" "$weft" doctor "${root[@]}" --json >"$work/json" 2>"$work/err" || status=$?
	python3 "$work/valid.py" "$status" <"$work/json" >"$work/said" ||
		bad "$*: status $status, $(cat "$work/json" "$work/err")"
	[ ! -s "$work/err" ] || bad "$*: said on standard error: $(cat "$work/err")"
}
said() # the beginning of such a line, for grep -E
{
	grep -qE -- "^$1" "$work/said" || bad "not said: $1; but: $(cat "$work/said")"
}
root=()
ask env
said "kernel: ok: Linux $(uname -r)"
said "mappings: (ok|warn): vm.max_map_count is $(cat /proc/sys/vm/max_map_count)"
said "processors: (ok|warn): weft uses [0-9]+"

# The text says the same, without colour where no terminal is.
env -u FORCE_COLOR "$weft" doctor >"$work/text" || true
sed -n 's/^\(ok\|warn\|fail\)  *\([a-z_]* \?[a-z]*\)  *.*/\2: \1/p' "$work/text" |
    sed 's/ *:/:/' >"$work/short"
cut -d: -f1,2 "$work/said" | diff "$work/short" - || bad "text and JSON differ"
grep -qE '^[0-9]+ ok, [0-9]+ warn, [0-9]+ fail$' "$work/text" || bad "no sum"

# A file gets colours only from who asks for them: the option before NO_COLOR before FORCE_COLOR.
escape=$(printf '\033')
in_file() # WANTED NAME=VALUE... [--color WHEN]: 1 or 0, whether there are colours
{
	local wanted=$1 set=() found=0
	shift
	while [ $# -gt 0 ] && [[ $1 == *=* ]]; do
		set+=("$1")
		shift
	done
	env -u NO_COLOR -u FORCE_COLOR "${set[@]}" "$weft" doctor "$@" >"$work/text" || true
	grep -q '^ok\|^'"$escape"'\[32mok' "$work/text" || bad "doctor $*: nothing with ${set[*]}"
	! grep -q "$escape" "$work/text" || found=1
	[ "$found" -eq "$wanted" ] || bad "doctor $* in a file with '${set[*]}': colours: $found"
}
in_file 0
in_file 0 FORCE_COLOR=
in_file 1 FORCE_COLOR=1
in_file 1 FORCE_COLOR=1 NO_COLOR= TERM=dumb
in_file 0 FORCE_COLOR=1 NO_COLOR=1
in_file 1 NO_COLOR=1 --color always
in_file 0 FORCE_COLOR=1 --color never
in_file 1 FORCE_COLOR=1 --color=auto
in_file 0 --color auto

"$weft" doctor --json --color always >"$work/text" || true
! grep -q "$escape" "$work/text" || bad "colour in JSON"

on_terminal() # NAME=VALUE...: what it says there; the output of a terminal of our own
{
	env -u FORCE_COLOR "$@" python3 -c '
import os, pty, sys
pid, master = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], sys.argv[1:])
try:
    while data := os.read(master, 4096):
        sys.stdout.buffer.write(data)
except OSError:  # EIO: nobody has the terminal open any more
    pass
sys.stdout.flush()
os.waitpid(pid, 0)' "$weft" doctor
}
coloured=$(printf '\033[32mok')
on_terminal -u NO_COLOR TERM=xterm | grep -qF "$coloured" || bad "no colour on a terminal"
for setting in NO_COLOR=1 TERM=dumb; do
	on_terminal -u NO_COLOR TERM=xterm $setting >"$work/text"
	grep -q '^ok' "$work/text" || bad "nothing on a terminal with $setting"
	! grep -q "$(printf '\033')" "$work/text" || bad "colour with $setting"
done

# Another machine, by its files. Version 2: the least quota from the cgroup upwards counts.
root=(--root "$work/r")
file() # PATH TEXT, as printf has it
{
	mkdir -p "$work/r$(dirname "$1")"
	# shellcheck disable=SC2059
	printf "$2" >"$work/r$1"
}
ask env
said 'mappings: warn: vm.max_map_count can.t be read'
said 'overcommit: warn: '
said 'core files: warn: '
said 'perf: warn: '
said 'ptrace: ok: '
said 'processors: ok: .*no quota'
file /proc/sys/vm/max_map_count '65530\n'
file /proc/sys/vm/overcommit_memory '2\n'
file /proc/sys/kernel/core_pattern \
    '|/bin/a "b" \\\\c \033[31m\t\303\251 \377 \355\240\200 \300\257\n'
file /proc/sys/kernel/perf_event_paranoid '4\n'
file /proc/sys/kernel/yama/ptrace_scope '3\n'
file /proc/self/cgroup '1:name=systemd:/x\n0::/a/b\n'
file /sys/fs/cgroup/a/b/cpu.max 'max 100000\n'
file /sys/fs/cgroup/a/cpu.max '50000 100000\n'
ask env
said 'mappings: (ok|warn): vm.max_map_count is 65530'
said 'overcommit: warn: vm.overcommit_memory is 2'
python3 -m json.tool "$work/json" >"$work/tool" || bad "not JSON: $(cat "$work/json")"
python3 - "$work/json" <<'PY' || bad "bytes lost: $(cat "$work/json")"
import json, sys
said = {c["name"]: c["detail"] for c in json.load(open(sys.argv[1]))["checks"]}["core files"]
bad = "\ufffd"
ending = "|/bin/a \"b\" \\\\c \x1b[31m\t\u00e9 " + bad + " " + 3 * bad + " " + 2 * bad
assert said.endswith(ending), ascii(said)
PY
said 'ptrace: warn: kernel.yama.ptrace_scope is 3'
said 'processors: warn: weft uses [0-9]+, but .* worth 0.50'
env -u FORCE_COLOR "$weft" doctor "${root[@]}" >"$work/text" || true
! grep -q "$(printf '\033')" "$work/text" || bad "control characters of a file reach the terminal"

# Version 1, no limit below a limit; junk; and no core files.
file /proc/self/cgroup '4:cpuacct,cpu:/a\n3:cpuset:/a\n'
file /sys/fs/cgroup/cpuacct,cpu/a/cpu.cfs_quota_us '%s\n-1\n'
file /sys/fs/cgroup/cpuacct,cpu/a/cpu.cfs_period_us '100000\n'
file /sys/fs/cgroup/cpuacct,cpu/cpu.cfs_quota_us '150000\n'
file /sys/fs/cgroup/cpuacct,cpu/cpu.cfs_period_us '100000\n'
file /proc/sys/kernel/core_pattern '\n'
file /proc/sys/vm/max_map_count 'junk\n'
ask env
said 'processors: (ok|warn): .* worth 1.50'
said 'core files: warn: none: kernel.core_pattern is empty'
said 'mappings: warn: vm.max_map_count can.t be read'
file /proc/self/cgroup '0::/%s\n\n:::\n0:x\n' "$(head -c 5000 /dev/zero | tr '\0' /)"
ask env
said 'processors: ok: .*no quota'
root=(--root "$work/r$(head -c 5000 /dev/zero | tr '\0' x)")
ask env
said 'mappings: warn: '
root=()

# Limits of the shell.
limited() # ulimit's arguments, command
{
	(ulimit "$1" "$2" && shift 2 && exec "$@")
}
ask limited -n 1024
said 'open files: warn: 1024'
ask limited -n 12
said 'open files: fail: 12'
ask limited -c 0
said 'core files: (ok|warn): '
if [ -z "$WEFT_SANITIZE" ]; then
	ask limited -v 1048576
	said 'address space: warn: 1024 MiB: at most 4096'
	ask limited -v 12288
	said 'address space: fail: 12 MiB'
fi

# Calls that a filter forbids: each is tried, and none is believed to work.
cat >"$work/deny.c" <<'C'
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define DENY(nr, code)                                   \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1),   \
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (code))

int
main(int argc, char **argv)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		DENY(SYS_membarrier, EPERM), DENY(425, EPERM), DENY(424, ENOSYS), DENY(441, ENOSYS),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_madvise, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
		/* The second time a filter that pretends: 0 and no effect. */
		DENY(102, argc > 2 && argv[1][0] == 'l' ? 0 : EINVAL),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(code) / sizeof(code[0]), code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
		return 77;
	execv(argv[2], argv + 2);
	return 1;
}
C
$CC -Wall "$work/deny.c" -o "$work/deny"
if "$work/deny" refuse /bin/true; then
	for how in refuse lie; do
		ask "$work/deny" $how
		said 'stack guards: warn: '
		said 'membarrier: warn: Operation not permitted'
		said 'epoll: warn: no epoll_pwait2 .Function not implemented'
		said 'io_uring: ok: not allowed: Operation not permitted'
		WEFT_POLLER=epoll ask "$work/deny" $how
		said 'io_uring: ok: not used: WEFT_POLLER=epoll'
		said 'pidfd: warn: pidfd_send_signal: Function not implemented: '
	done
	root=(--root "$work/r")
	file /proc/sys/vm/max_map_count '65530\n'
	ask "$work/deny" refuse
	said 'mappings: warn: vm.max_map_count is 65530: about 32765 guarded'
	file /proc/sys/vm/max_map_count '3000000\n'
	ask "$work/deny" refuse
	said 'mappings: ok: vm.max_map_count is 3000000'
	root=()
fi

# Somebody else than root, when we are root.
if [ "$(id -u)" -eq 0 ] && command -v setpriv >"$work/which"; then
	cp "$weft" "$work/weft"
	weft=$work/weft
	nobody=(setpriv --reuid=64242 --regid=64242 --clear-groups)
	ask "${nobody[@]}"
	root=(--root "$work/r")
	file /proc/sys/kernel/yama/ptrace_scope '1\n'
	ask "${nobody[@]}"
	said 'perf: warn: kernel.perf_event_paranoid is 4'
	said 'ptrace: warn: kernel.yama.ptrace_scope is 1'
	ask limited -u 100 "${nobody[@]}"
	said 'threads: warn: 100 for this user'
	ask limited -u 10 "${nobody[@]}"
	said 'threads: fail: 10 for this user'
fi
exit "$failed"
