package main

import (
	"sync"
	"time"
)

func init() {
	register("mutex_uncontended_1p", func() { locks(1) })
	register("mutex_8_2p", func() { locks(8) })
	register("sync_rwmutex_rlock_1p", func() {
		var l sync.RWMutex
		measure(10000000, func() { l.RLock(); l.RUnlock() })
	})
	register("sync_rwmutex_lock_1p", func() {
		var l sync.RWMutex
		measure(10000000, func() { l.Lock(); l.Unlock() })
	})
	register("sync_waitgroup_add_done_1p", func() {
		var w sync.WaitGroup
		measure(10000000, func() { w.Add(1); w.Done() })
	})
	register("sync_once_done_1p", func() {
		var o sync.Once
		measure(10000000, func() { o.Do(func() {}) })
	})
	register("call_now", func() {
		measure(10000000, func() { now = time.Now() })
	})
	register("timer_create_stop_1p", func() { createStop(0) })
	register("timer_create_stop_100k_1p", func() { createStop(100000) })
	register("timer_sleep_1ms_2p", func() { lateness(time.Millisecond) })
	register("timer_sleep_50us_2p", func() { lateness(50 * time.Microsecond) })
	register("timer_1M_sleepers_1p", sleepers)
	register("timer_1M_sleepers_small_1p", sleepers)
}

var now time.Time

func measure(n int, f func()) {
	n = scaled(n)
	start := time.Now()
	for range n {
		f()
	}
	perItem("", start, n)
}

var counter int

func locks(k int) {
	var w sync.WaitGroup
	var mutex sync.Mutex
	n := scaled(16000000)
	each := n / k
	start := time.Now()
	w.Add(k)
	for range k {
		go func() {
			for range each {
				mutex.Lock()
				counter++
				mutex.Unlock()
			}
			w.Done()
		}()
	}
	w.Wait()
	perItem("", start, n)
	check(counter == each*k, "the counter")
}

// createStop makes and stops a timer again and again, with live others pending.
func createStop(live int) {
	n := scaled(1000000)
	never := func() { fail("a stopped timer fired") }
	others := make([]*time.Timer, live)
	for i := range live {
		others[i] = time.AfterFunc(100*time.Second+time.Duration(i)*time.Microsecond, never)
	}
	start := time.Now()
	for i := range n {
		t := time.AfterFunc(10*time.Second+time.Duration(i%1000)*time.Millisecond, never)
		check(t.Stop(), "stop")
	}
	perItem("", start, n)
	for _, t := range others {
		t.Stop()
	}
}

// lateness: how late a sleep ends when nothing else goes on.
func lateness(d time.Duration) {
	n := scaled(1e9) / int(d+100*time.Microsecond)
	late := make([]time.Duration, n)
	for i := range n {
		start := time.Now()
		time.Sleep(d)
		late[i] = time.Since(start) - d
	}
	reportLatencies("late", late)
}

// sleepers: a million that sleep between 0 and 1 s.
func sleepers() {
	var all sync.WaitGroup
	n := scaled(1000000)
	x := uint64(88172645463325252)
	start, cpu := time.Now(), cpuTime()
	all.Add(n)
	for range n {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		d := time.Duration(x % 1e9)
		go func() {
			time.Sleep(d)
			all.Done()
		}()
	}
	all.Wait()
	value("wall", "s", time.Since(start).Seconds())
	value("cpu", "s", (cpuTime() - cpu).Seconds())
}
