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
		hundreds(10000000, func() {
			for range 100 {
				l.RLock()
				l.RUnlock()
			}
		})
	})
	register("sync_rwmutex_tryrlock_1p", func() {
		var l sync.RWMutex
		hundreds(10000000, func() {
			for range 100 {
				check(l.TryRLock(), "TryRLock")
				l.RUnlock()
			}
		})
	})
	register("sync_rwmutex_lock_1p", func() {
		var l sync.RWMutex
		hundreds(10000000, func() {
			for range 100 {
				l.Lock()
				l.Unlock()
			}
		})
	})
	register("sync_mutex_trylock_1p", func() {
		var l sync.Mutex
		hundreds(10000000, func() {
			for range 100 {
				check(l.TryLock(), "TryLock")
				l.Unlock()
			}
		})
	})
	register("sync_mutex_trylock_locked_1p", func() {
		var l sync.Mutex
		l.Lock()
		hundreds(10000000, func() {
			for range 100 {
				check(!l.TryLock(), "TryLock")
			}
		})
	})
	register("sync_waitgroup_add_done_1p", func() {
		var w sync.WaitGroup
		hundreds(10000000, func() {
			for range 100 {
				w.Add(1)
				w.Done()
			}
		})
	})
	register("sync_waitgroup_wait_done_1p", func() {
		var w sync.WaitGroup
		hundreds(10000000, func() {
			for range 100 {
				w.Wait()
			}
		})
	})
	register("sync_once_done_1p", func() {
		var o sync.Once
		hundreds(10000000, func() {
			for range 100 {
				o.Do(nothing)
			}
		})
	})
	// The language's semaphore: a buffered channel.
	register("sync_sem_1p", func() {
		sem := make(chan struct{}, 10)
		hundreds(10000000, func() {
			for range 100 {
				sem <- struct{}{}
				<-sem
			}
		})
	})
	register("sync_cond_signal_nobody_1p", func() {
		c := sync.NewCond(&sync.Mutex{})
		hundreds(10000000, func() {
			for range 100 {
				c.Signal()
			}
		})
	})
	register("sync_cond_2_1p", func() { condition(2) })
	register("sync_cond_8_1p", func() { condition(8) })
	register("sync_cond_8_2p", func() { condition(8) })
	register("call_now", func() {
		measure(10000000, func() { now = time.Now() })
	})
	register("timer_create_stop_1p", func() { createStop(0) })
	register("timer_create_stop_100k_1p", func() { createStop(100000) })
	register("timer_reset_1p", func() {
		t := time.AfterFunc(10*time.Second, func() { fail("a timer fired that was put off") })
		i := 0
		measure(2000000, func() {
			i++
			check(t.Reset(10*time.Second+time.Duration(i%1000)*time.Millisecond), "reset")
		})
		check(t.Stop(), "stop")
	})
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

func nothing() {}

// hundreds: f does it a hundred times, so that its own call does not count.
func hundreds(n int, f func()) {
	n = scaled(n)
	start := time.Now()
	for range n / 100 {
		f()
	}
	perItem("", start, n)
}

// condition: a token is passed round, all of k woken each time.
func condition(k int) {
	var w sync.WaitGroup
	var lock sync.Mutex
	passed := sync.NewCond(&lock)
	rounds := scaled(1000000) / k
	turn := 0
	start := time.Now()
	w.Add(k)
	for me := range k {
		go func() {
			lock.Lock()
			for range rounds {
				for turn != me {
					passed.Wait()
				}
				turn = (me + 1) % k
				passed.Broadcast()
			}
			lock.Unlock()
			w.Done()
		}()
	}
	w.Wait()
	perItem("", start, rounds*k)
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
