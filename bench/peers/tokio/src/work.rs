//! Everything but servers.

use crate::{cpu_time, per_item, scaled, status, value};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, Mutex, Notify, Semaphore};
use tokio::task;

/// n tasks that yield to each other.
pub async fn yields(n: usize) {
    let rounds = scaled(5_000_000) / n;
    let start = Instant::now();
    let tasks: Vec<_> = (0..n)
        .map(|_| {
            task::spawn(async move {
                for _ in 0..rounds {
                    task::yield_now().await;
                }
            })
        })
        .collect();
    for t in tasks {
        t.await.expect("a task failed");
    }
    per_item("", start, rounds * n);
}

/// Runs in a task, so that both sides are on the workers.
pub async fn join_one() {
    let n = scaled(1_000_000);
    task::spawn(async move {
        let start = Instant::now();
        for _ in 0..n {
            task::spawn(async {}).await.expect("a task failed");
        }
        per_item("", start, n);
    })
    .await
    .expect("the case failed");
}

/// 100,000 that only run to their end.
pub async fn batch() {
    const N: usize = 100_000;
    task::spawn(async {
        let mut start = Instant::now();
        for round in 0..3 {
            start = Instant::now();
            let ended = Arc::new(Semaphore::new(0));
            for _ in 0..N {
                let ended = ended.clone();
                task::spawn(async move { ended.add_permits(1) });
            }
            ended.acquire_many(N as u32).await.expect("closed").forget();
            if round == 0 {
                per_item("first", start, N);
            }
        }
        per_item("again", start, N);
    })
    .await
    .expect("the case failed");
}

/// 100,000 that all wait first.
pub async fn batch_parked() {
    const N: usize = 100_000;
    task::spawn(async {
        let mut start = Instant::now();
        for round in 0..2 {
            start = Instant::now();
            let at_gate = Arc::new(Semaphore::new(0));
            let ended = Arc::new(Semaphore::new(0));
            let gate = Arc::new(Notify::new());
            for _ in 0..N {
                let (at_gate, ended, gate) = (at_gate.clone(), ended.clone(), gate.clone());
                task::spawn(async move {
                    let opened = gate.notified();
                    tokio::pin!(opened);
                    opened.as_mut().enable();
                    at_gate.add_permits(1);
                    opened.await;
                    ended.add_permits(1);
                });
            }
            at_gate.acquire_many(N as u32).await.expect("closed").forget();
            gate.notify_waiters();
            ended.acquire_many(N as u32).await.expect("closed").forget();
            if round == 0 {
                per_item("first", start, N);
            }
        }
        per_item("again", start, N);
    })
    .await
    .expect("the case failed");
}

pub async fn pingpong() {
    let n = scaled(2_000_000);
    let (there, mut from_there) = mpsc::channel::<usize>(1);
    let (back, mut from_back) = mpsc::channel::<usize>(1);
    task::spawn(async move {
        while let Some(v) = from_there.recv().await {
            back.send(v).await.expect("nobody listens");
        }
    });
    task::spawn(async move {
        let start = Instant::now();
        for i in 0..n {
            there.send(i).await.expect("nobody listens");
            assert_eq!(from_back.recv().await, Some(i));
        }
        per_item("", start, n);
    })
    .await
    .expect("the case failed");
}

/// One sender, one receiver, a channel of 128.
pub async fn buffered() {
    let n = scaled(8_000_000);
    let (send, mut receive) = mpsc::channel::<usize>(128);
    let start = Instant::now();
    let receiver = task::spawn(async move {
        let (mut sum, mut count) = (0, 0);
        while let Some(v) = receive.recv().await {
            sum += v;
            count += 1;
        }
        (sum, count)
    });
    task::spawn(async move {
        for i in 1..=n {
            send.send(i).await.expect("nobody listens");
        }
    });
    let (sum, count) = receiver.await.expect("the receiver failed");
    per_item("", start, n);
    assert!(count == n && sum == n * (n + 1) / 2);
}

/// k tasks that want one mutex.
pub async fn locks(k: usize) {
    let n = scaled(16_000_000) / 4;
    let each = n / k;
    let counter = Arc::new(Mutex::new(0));
    let start = Instant::now();
    let tasks: Vec<_> = (0..k)
        .map(|_| {
            let counter = counter.clone();
            task::spawn(async move {
                for _ in 0..each {
                    *counter.lock().await += 1;
                }
            })
        })
        .collect();
    for t in tasks {
        t.await.expect("a task failed");
    }
    per_item("", start, n);
    assert_eq!(*counter.lock().await, each * k);
}

/// A million that sleep between 0 and 1 s.
pub async fn sleepers() {
    let n = scaled(1_000_000);
    let mut x: u64 = 88172645463325252;
    let (start, cpu) = (Instant::now(), cpu_time());
    let ended = Arc::new(Semaphore::new(0));
    for _ in 0..n {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        let (ended, d) = (ended.clone(), Duration::from_nanos(x % 1_000_000_000));
        task::spawn(async move {
            tokio::time::sleep(d).await;
            ended.add_permits(1);
        });
    }
    ended.acquire_many(n as u32).await.expect("closed").forget();
    value("wall", "s", start.elapsed().as_secs_f64());
    value("cpu", "s", (cpu_time() - cpu).as_secs_f64());
}

fn memory() -> f64 {
    status("VmRSS:") + status("VmPTE:")
}

pub async fn parked(n: usize) {
    let n = scaled(n);
    let before = memory();
    let at_gate = Arc::new(Semaphore::new(0));
    let gate = Arc::new(Notify::new());
    let start = Instant::now();
    for _ in 0..n {
        let (at_gate, gate) = (at_gate.clone(), gate.clone());
        task::spawn(async move {
            at_gate.add_permits(1);
            gate.notified().await;
        });
    }
    at_gate.acquire_many(n as u32).await.expect("closed").forget();
    per_item("start_and_park", start, n);
    tokio::time::sleep(Duration::from_millis(20)).await;
    value("bytes_each", "B", (memory() - before) * 1024.0 / n as f64);
    value("page_tables_each", "B", status("VmPTE:") * 1024.0 / n as f64);
}
