package main

import (
	"context"
	"sync"
	"time"
)

func init() {
	register("scope_new_cancel_free_1p", func() {
		measure(2000000, func() {
			_, cancel := context.WithCancel(context.Background())
			cancel()
		})
	})
	register("scope_cancel_1000_1p", func() { children(1000) })
	register("event_set_1000_wait_1p", func() { crowd(1000) })
	register("chan_through_1p", func() {
		c := make(chan int, 1)
		measure(10000000, func() { c <- 1; <-c })
	})
	register("chan_try_send_full_1p", func() {
		c := make(chan int, 1)
		c <- 1
		measure(20000000, func() {
			select {
			case c <- 1:
				fail("it was full")
			default:
			}
		})
	})
	register("chan_new_close_recv_free_1p", func() {
		measure(5000000, func() {
			c := make(chan int)
			close(c)
			<-c
		})
	})
	register("event_set_wait_reset_1p", func() {
		measure(10000000, func() {
			done := make(chan struct{})
			close(done)
			<-done
		})
	})
	register("scope_value_1p", func() { findValue(5) })
	register("sync_rwmutex_2_readers_2p", func() { readersAlone(2) })
}

type key struct{}

// findValue: a value that a context so many above has.
func findValue(above int) {
	value := 7
	c := context.WithValue(context.Background(), key{}, &value)
	for range above {
		var cancel context.CancelFunc
		c, cancel = context.WithCancel(c)
		defer cancel()
	}
	sum := 0
	n := scaled(10000000)
	start := time.Now()
	for range n {
		sum += *c.Value(key{}).(*int)
	}
	perItem("", start, n)
	check(sum == 7*n, "findValue")
}

// children: a context with k below it is cancelled.
func children(k int) {
	n := scaled(2000000) / k
	var spent time.Duration
	for range n {
		parent, cancel := context.WithCancel(context.Background())
		below := make([]context.Context, k)
		cancels := make([]context.CancelFunc, k)
		for j := range k {
			below[j], cancels[j] = context.WithCancel(parent)
		}
		start := time.Now()
		cancel()
		spent += time.Since(start)
		for j := range k {
			check(below[j].Err() != nil, "children")
			cancels[j]()
		}
	}
	perItem("", time.Now().Add(-spent), n*k)
}

// crowd: k wait for a channel that is closed.
func crowd(k int) {
	n := scaled(2000000) / k
	var spent time.Duration
	for range n {
		var w sync.WaitGroup
		var waiting sync.WaitGroup
		done := make(chan struct{})
		w.Add(k)
		waiting.Add(k)
		for range k {
			go func() {
				waiting.Done()
				<-done
				w.Done()
			}()
		}
		waiting.Wait()
		start := time.Now()
		close(done)
		w.Wait()
		spent += time.Since(start)
	}
	perItem("", time.Now().Add(-spent), n*k)
}

// readersAlone: k read, nobody writes.
func readersAlone(k int) {
	var l sync.RWMutex
	var w sync.WaitGroup
	n := scaled(10000000)
	each := n / k
	one := 1
	start := time.Now()
	w.Add(k)
	for range k {
		go func() {
			sum := 0
			for range each {
				l.RLock()
				sum += one
				l.RUnlock()
			}
			check(sum == each, "readersAlone")
			w.Done()
		}()
	}
	w.Wait()
	perItem("", start, n)
}
