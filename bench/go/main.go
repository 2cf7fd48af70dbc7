// The benchmarks of bench/*.c in Go: cases of the same names, the same work, the same checks.
//
// bench/lib/harness.c runs this as a peer: "go --list" prints the cases, "go --case NAME go" runs
// one and writes its values to descriptor 3. CPUs, priority and GOMAXPROCS are set by then.
package main

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

const (
	resultFD = 3
	clockCPU = 2 // CLOCK_PROCESS_CPUTIME_ID
)

type benchCase struct {
	name string
	run  func()
}

var cases []benchCase

// register is called by each file's init.
func register(name string, run func()) {
	cases = append(cases, benchCase{name, run})
}

func value(what, unit string, v float64) {
	if _, err := fmt.Fprintf(results, "%s\t%s\t%.9g\n", what, unit, v); err != nil {
		fail("no result can be written")
	}
}

var results = os.NewFile(resultFD, "results")

func fail(why string) {
	fmt.Fprintln(os.Stderr, "failed:", why)
	os.Exit(1)
}

func check(ok bool, what string) {
	if !ok {
		fail(what)
	}
}

func isQuick() bool {
	s := os.Getenv("QUICK")
	return s != "" && s != "0"
}

// scaled is n, or a tenth of it (at least 1) when QUICK.
func scaled(n int) int {
	if isQuick() {
		return max(n/10, 1)
	}
	return n
}

// perItem reports the nanoseconds since start for each of n.
func perItem(what string, start time.Time, n int) {
	value(what, "ns", float64(time.Since(start).Nanoseconds())/float64(n))
}

// cpuTime is that of the process.
func cpuTime() time.Duration {
	var t syscall.Timespec
	syscall.Syscall(syscall.SYS_CLOCK_GETTIME, clockCPU, uintptr(unsafe.Pointer(&t)), 0)
	return time.Duration(t.Nano())
}

// status is a number of /proc/self/status.
func status(field string) int {
	text, err := os.ReadFile("/proc/self/status")
	check(err == nil, "no /proc/self/status")
	for _, line := range strings.Split(string(text), "\n") {
		if rest, ok := strings.CutPrefix(line, field+":"); ok {
			n, err := strconv.Atoi(strings.Fields(rest)[0])
			check(err == nil, line)
			return n
		}
	}
	return -1
}

// reportLatencies writes NAME_p50, _p90, _p99 and _max in microseconds.
func reportLatencies(name string, late []time.Duration) {
	check(len(late) > 0, "no latency")
	slices.Sort(late)
	for _, at := range []struct {
		name     string
		permille int
	}{{"p50", 500}, {"p90", 900}, {"p99", 990}, {"max", 1000}} {
		k := min(len(late)*at.permille/1000, len(late)-1)
		value(name+"_"+at.name, "us", float64(late[k].Nanoseconds())/1e3)
	}
}

func main() {
	if len(os.Args) == 2 && os.Args[1] == "--list" {
		for _, c := range cases {
			fmt.Println(c.name)
		}
		return
	}
	if len(os.Args) == 4 && os.Args[1] == "--case" {
		syscall.CloseOnExec(resultFD)
		for _, c := range cases {
			if c.name == os.Args[2] {
				c.run()
				return
			}
		}
	}
	os.Exit(255)
}
