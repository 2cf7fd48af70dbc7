package main

import (
	"fmt"
	"runtime"
	"sync"
	"time"
)

func init() {
	for _, procs := range []int{1, 2, 4, 16, 64} {
		add := func(name string, run func()) {
			register(fmt.Sprintf("scaling_%s_%dp", name, procs), func() {
				runtime.GOMAXPROCS(procs)
				run()
			})
		}
		add("round_trip", scaleRoundTrips)
		add("spawn", scaleSpawns)
		add("mutex", scaleLocks)
	}
}

// scaleRoundTrips: 32 pairs at once.
func scaleRoundTrips() {
	const pairs = 32
	var all sync.WaitGroup
	each := scaled(2000000) / pairs
	start := time.Now()
	for range pairs {
		there, back := make(chan int), make(chan int)
		all.Add(1)
		go func() {
			for v := range there {
				back <- v + 1
			}
		}()
		go func() {
			sum := 0
			for i := range each {
				there <- i
				sum += <-back
			}
			close(there)
			check(sum == each*(each+1)/2, "round trips")
			all.Done()
		}()
	}
	all.Wait()
	perItem("", start, each*pairs)
}

// scaleSpawns: a thousand at a time start ten each.
func scaleSpawns() {
	var all sync.WaitGroup
	n := scaled(2000000) / 11000
	start := time.Now()
	for range n {
		all.Add(11000)
		for range 1000 {
			go func() {
				for range 10 {
					go all.Done()
				}
				all.Done()
			}()
		}
		all.Wait()
	}
	perItem("", start, n*11000)
}

// scaleLocks: 64 goroutines want one mutex.
func scaleLocks() {
	const lockers = 64
	var all sync.WaitGroup
	var mutex sync.Mutex
	each := scaled(8000000) / lockers
	start := time.Now()
	for range lockers {
		all.Add(1)
		go func() {
			for range each {
				mutex.Lock()
				counter++
				mutex.Unlock()
			}
			all.Done()
		}()
	}
	all.Wait()
	perItem("", start, each*lockers)
	check(counter == each*lockers, "the counter")
}
