package main

import (
	"sync"
	"time"
)

func init() {
	register("pingpong_1p", pingpong)
	register("pingpong_2p", pingpong)
	register("buffered_1to1_1p", func() { buffered(1) })
	register("buffered_1to1_2p", func() { buffered(1) })
	register("buffered_4to4_1p", func() { buffered(4) })
	register("buffered_4to4_2p", func() { buffered(4) })
	register("select_ready_1p", selectReady)
	register("select_blocking_1p", selectBlocking)
	register("select_blocking_2p", selectBlocking)
	register("select_default_1p", selectDefault)
	register("call_chan_new_unref", func() { makeChans(0) })
	register("call_chan_new_unref_128", func() { makeChans(128) })
}

func pingpong() {
	n := scaled(2000000)
	there, back := make(chan int), make(chan int)
	go func() {
		for v := range there {
			back <- v
		}
	}()
	start := time.Now()
	for i := range n {
		there <- i
		check(<-back == i, "pingpong")
	}
	perItem("", start, n)
}

// buffered: k senders, k receivers, a channel of 128.
func buffered(k int) {
	var senders, receivers sync.WaitGroup
	var lock sync.Mutex
	var sum, count int
	n := scaled(8000000)
	each := n / k
	c := make(chan int, 128)
	senders.Add(k)
	receivers.Add(k)
	start := time.Now()
	for range k {
		go func() {
			mySum, myCount := 0, 0
			for v := range c {
				mySum += v
				myCount++
			}
			lock.Lock()
			sum += mySum
			count += myCount
			lock.Unlock()
			receivers.Done()
		}()
		go func() {
			for i := 1; i <= each; i++ {
				c <- i
			}
			senders.Done()
		}()
	}
	senders.Wait()
	close(c)
	receivers.Wait()
	perItem("", start, n)
	check(count == each*k && sum == k*(each*(each+1)/2), "buffered")
}

func selectReady() {
	n := scaled(3000000)
	a, b := make(chan int, 1), make(chan int, 1)
	start := time.Now()
	for i := range n {
		if i&1 == 1 {
			a <- i
		} else {
			b <- i
		}
		select {
		case <-a:
			check(i&1 == 1, "select a")
		case <-b:
			check(i&1 == 0, "select b")
		}
	}
	perItem("", start, n)
}

func selectBlocking() {
	n := scaled(2000000)
	a, b := make(chan int), make(chan int)
	go func() {
		for i := range n {
			if i&1 == 1 {
				a <- i
			} else {
				b <- i
			}
		}
		close(a)
	}()
	start := time.Now()
	got := 0
	for open := true; open; {
		select {
		case _, open = <-a:
		case _, open = <-b:
		}
		if open {
			got++
		}
	}
	perItem("", start, n)
	check(got == n, "select blocking")
}

func selectDefault() {
	n := scaled(5000000)
	a, b := make(chan struct{}), make(chan struct{})
	start := time.Now()
	for range n {
		select {
		case <-a:
			fail("nobody sends")
		case b <- struct{}{}:
			fail("nobody receives")
		default:
		}
	}
	perItem("", start, n)
}

var sink any

// makeChans: that they are collected again is part of the price.
func makeChans(capacity int) {
	n := scaled(3000000)
	start := time.Now()
	for range n {
		sink = make(chan int, capacity)
	}
	perItem("", start, n)
}
