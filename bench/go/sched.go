package main

import (
	"runtime"
	"sync"
	"time"
)

func init() {
	register("yield_1p", func() { yields(2) })
	register("yield_1000_1p", func() { yields(1000) })
	register("yield_2p", func() { yields(4) })
	register("spawn_join_1p", joinOne)
	register("spawn_join_2p", joinOne)
	register("spawn_100k_1p", batch)
	register("spawn_100k_2p", batch)
	register("spawn_100k_parked_1p", batchParked)
	register("spawn_100k_parked_2p", batchParked)
	register("spawn_100k_parked_small_1p", batchParked)
	register("skynet_1p", runSkynet)
	register("skynet_2p", runSkynet)
	register("fib_1p", runFib)
	register("fib_2p", runFib)
}

// yields: n goroutines that yield to each other; ns for each switch.
func yields(n int) {
	var w sync.WaitGroup
	rounds := scaled(5000000) / n
	w.Add(n)
	for range n {
		go func() {
			for range rounds {
				runtime.Gosched()
			}
			w.Done()
		}()
	}
	start := time.Now()
	w.Wait()
	perItem("", start, rounds*n)
}

// joinOne starts one, waits for it, again.
func joinOne() {
	var w sync.WaitGroup
	n := scaled(1000000)
	w.Add(1)
	go w.Done()
	w.Wait()
	start := time.Now()
	for range n {
		w.Add(1)
		go w.Done()
		w.Wait()
	}
	perItem("", start, n)
}

// batch starts 100,000 that only run to their end, then waits for all.
func batch() {
	const n = 100000
	var w sync.WaitGroup
	var start time.Time
	for round := range 3 {
		start = time.Now()
		w.Add(n)
		for range n {
			go w.Done()
		}
		w.Wait()
		if round == 0 {
			perItem("first", start, n)
		}
	}
	perItem("again", start, n)
}

// batchParked starts 100,000 that all wait on one channel, then lets them end.
func batchParked() {
	const n = 100000
	var start time.Time
	for round := range 2 {
		var atGate, done sync.WaitGroup
		gate := make(chan struct{})
		start = time.Now()
		atGate.Add(n)
		done.Add(n)
		for range n {
			go func() {
				atGate.Done()
				<-gate
				done.Done()
			}()
		}
		atGate.Wait()
		close(gate)
		done.Wait()
		if round == 0 {
			perItem("first", start, n)
		}
	}
	perItem("again", start, n)
}

func skynet(up chan int, number, size int) {
	if size == 1 {
		up <- number
		return
	}
	below := make(chan int)
	for i := range 10 {
		go skynet(below, number+i*(size/10), size/10)
	}
	sum := 0
	for range 10 {
		sum += <-below
	}
	up <- sum
}

func runSkynet() {
	leaves := scaled(1000000)
	result := make(chan int)
	start := time.Now()
	go skynet(result, 0, leaves)
	sum := <-result
	value("", "ms", float64(time.Since(start).Nanoseconds())/1e6)
	value("peak_rss", "MiB", float64(status("VmHWM"))/1024)
	check(sum == leaves*(leaves-1)/2, "skynet's sum")
}

// fib has a goroutine for one half of each call.
func fib(n int) int {
	if n < 2 {
		return n
	}
	var w sync.WaitGroup
	var half int
	w.Add(1)
	go func() {
		half = fib(n - 1)
		w.Done()
	}()
	other := fib(n - 2)
	w.Wait()
	return half + other
}

// fibTasks is how many goroutines fib(n) starts: one less than fib(n + 1).
func fibTasks(n int) int {
	a, b := 0, 1
	for range n {
		a, b = b, a+b
	}
	return b - 1
}

func runFib() {
	n := 30
	if isQuick() {
		n -= 6
	}
	start := time.Now()
	f := fib(n)
	perItem("", start, fibTasks(n))
	check(f == fibTasks(n-1)+1, "fib's result")
}
