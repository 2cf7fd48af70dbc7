package main

import (
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

func init() {
	register("parked_100k", func() { parked(100000) })
	register("parked_1M", func() { parked(1000000) })
	register("parked_small_100k", func() { parked(100000) })
	register("parked_small_1M", func() { parked(1000000) })
	register("hog_4_sleep_1ms", func() { hogs(tickBySleep) })
	register("hog_4_ticker_1ms", func() { hogs(tickByTicker) })
	register("blocking_1000_raw", blocking)
	register("blocking_1000_marked", blocking)
	register("idle_10k_parked", idle)
	register("wake_2p", wake)
	register("sizes", sizes)
}

// memory is KiB of memory and page tables.
func memory() int { return status("VmRSS") + status("VmPTE") }

func parked(n int) {
	var atGate, ended sync.WaitGroup
	gate := make(chan struct{})
	n = scaled(n)
	time.Sleep(time.Millisecond)
	before := memory()
	start := time.Now()
	atGate.Add(n)
	ended.Add(n)
	for range n {
		go func() {
			atGate.Done()
			<-gate
			ended.Done()
		}()
	}
	atGate.Wait()
	perItem("start_and_park", start, n)
	time.Sleep(20 * time.Millisecond)
	value("bytes_each", "B", float64(memory()-before)*1024/float64(n))
	value("page_tables_each", "B", float64(status("VmPTE"))*1024/float64(n))
	value("total", "MiB", float64(memory())/1024)
	start = time.Now()
	close(gate)
	ended.Wait()
	perItem("wake_and_end", start, n)
}

// padded is a counter on a cache line of its own. Read while it is written, as in C: only a
// figure comes of it.
type padded struct {
	x uint64
	_ [56]byte
}

var counters [4]padded

func hogSpan() time.Duration {
	if isQuick() {
		return 500 * time.Millisecond
	}
	return 2500 * time.Millisecond
}

// hogs: four goroutines that compute for ever beside one that ticks.
func hogs(tick func(end time.Time) []time.Duration) {
	for i := range counters {
		go func() {
			for {
				counters[i].x++
			}
		}()
	}
	span := hogSpan()
	late := tick(time.Now().Add(span))
	value("ticks", "", float64(len(late)))
	reportLatencies("late", late)
	sum := 0.0
	for i := range counters {
		sum += float64(counters[i].x)
	}
	value("hog_rounds", "M/s", sum/span.Seconds()/1e6)
}

func tickBySleep(end time.Time) (late []time.Duration) {
	for time.Now().Before(end) {
		start := time.Now()
		time.Sleep(time.Millisecond)
		late = append(late, time.Since(start)-time.Millisecond)
	}
	return late
}

// tickByTicker: each tick's lateness is against the tick that was due, the channel holding one.
func tickByTicker(end time.Time) (late []time.Duration) {
	due := time.Now().Add(time.Millisecond)
	t := time.NewTicker(time.Millisecond)
	for time.Now().Before(end) {
		<-t.C
		now := time.Now()
		late = append(late, now.Sub(due))
		// Ticks that were missed meanwhile are dropped, as the ticker does.
		for !due.After(now) {
			due = due.Add(time.Millisecond)
		}
	}
	return late
}

func rawSleep() {
	t := syscall.Timespec{Nsec: 100e6}
	syscall.Syscall(syscall.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&t)), 0, 0)
}

// blocking: raw sleeps of 100 ms, which Go's system call layer marks. A tick beside them.
func blocking() {
	var all sync.WaitGroup
	var isOver atomic.Bool
	var late []time.Duration
	threads := 0
	n := scaled(1000)
	tickerEnded := make(chan struct{})
	go func() {
		for i := 0; !isOver.Load(); i++ {
			start := time.Now()
			time.Sleep(time.Millisecond)
			late = append(late, time.Since(start)-time.Millisecond)
			if i%10 == 9 {
				threads = max(threads, status("Threads"))
			}
		}
		close(tickerEnded)
	}()
	time.Sleep(5 * time.Millisecond)
	start := time.Now()
	all.Add(n)
	for range n {
		go func() {
			rawSleep()
			all.Done()
		}()
	}
	all.Wait()
	value("wall", "ms", float64(time.Since(start).Nanoseconds())/1e6)
	isOver.Store(true)
	<-tickerEnded
	reportLatencies("tick_late", late)
	value("threads", "", float64(threads))
}

func switches() int64 {
	var u syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &u) == nil, "getrusage")
	return u.Nvcsw + u.Nivcsw
}

// idle: what a process costs in which 10,000 goroutines wait.
func idle() {
	settle, span := 6*time.Second, 10*time.Second
	if isQuick() {
		settle, span = time.Second, time.Second
	}
	gate := make(chan struct{})
	for range 10000 {
		go func() { <-gate }()
	}
	time.Sleep(settle)
	cpu, before := cpuTime(), switches()
	time.Sleep(span)
	per10s := 10 / span.Seconds()
	value("cpu_per_10s", "ms", float64((cpuTime()-cpu).Nanoseconds())/1e6*per10s)
	value("switches_per_10s", "", float64(switches()-before)*per10s)
	value("threads", "", float64(status("Threads")))
	close(gate)
}

// wake: how long until a goroutine runs that another one, which goes on computing, has made runnable.
func wake() {
	const rest = 300 * time.Microsecond
	var ranAt atomic.Int64
	n := scaled(5000)
	late := make([]time.Duration, n)
	bell := make(chan int, 1)
	begin := time.Now()
	go func() {
		for range bell {
			ranAt.Store(int64(time.Since(begin)))
		}
	}()
	time.Sleep(10 * time.Millisecond)
	for i := range n {
		for until := time.Since(begin) + rest; time.Since(begin) < until; {
		}
		start := int64(time.Since(begin))
		bell <- 0
		at := ranAt.Load()
		for ; at < start; at = ranAt.Load() {
		}
		late[i] = time.Duration(at - start)
	}
	reportLatencies("until_it_runs", late)
}

func sizes() {
	value("mutex", "B", float64(unsafe.Sizeof(sync.Mutex{})))
	value("rwmutex", "B", float64(unsafe.Sizeof(sync.RWMutex{})))
	value("waitgroup", "B", float64(unsafe.Sizeof(sync.WaitGroup{})))
}
