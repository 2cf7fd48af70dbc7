//! The benchmarks of bench/*.c on tokio: cases of the same names, as near as tokio comes to them.
//!
//! tokio has no unbuffered channel: a round trip goes over two of capacity 1. Its mpsc channel has
//! one receiver, so there is no four-to-four. A parked task waits for a notification.
//!
//! bench/lib/harness.c runs this as a peer: "--list" prints the cases, "--case NAME BY" runs one
//! and writes its values to descriptor 3.

mod server;
mod work;

use std::fs::File;
use std::future::Future;
use std::io::Write;
use std::os::unix::io::FromRawFd;
use std::pin::Pin;
use std::time::{Duration, Instant};

type Run = fn() -> Pin<Box<dyn Future<Output = ()>>>;

/// Names a case and the async function that runs it.
macro_rules! cases {
    ($($name:literal => $run:expr),* $(,)?) => {
        const CASES: &[(&str, Run)] = &[$(($name, || Box::pin($run))),*];
    };
}

cases! {
    "yield_1p" => work::yields(2),
    "yield_1000_1p" => work::yields(1000),
    "spawn_join_1p" => work::join_one(),
    "spawn_join_2p" => work::join_one(),
    "spawn_100k_1p" => work::batch(),
    "spawn_100k_2p" => work::batch(),
    "spawn_100k_parked_1p" => work::batch_parked(),
    "pingpong_1p" => work::pingpong(),
    "pingpong_2p" => work::pingpong(),
    "buffered_1to1_1p" => work::buffered(),
    "buffered_1to1_2p" => work::buffered(),
    "mutex_uncontended_1p" => work::locks(1),
    "mutex_8_2p" => work::locks(8),
    "timer_1M_sleepers_1p" => work::sleepers(),
    "parked_100k" => work::parked(100_000),
    "parked_1M" => work::parked(1_000_000),
    "echo_100" => server::echo(100),
    "echo_1000" => server::echo(1000),
}

/// The descriptor that the harness reads. It stays open.
pub fn results() -> File {
    // SAFETY: the harness opened it for this process; the duplicate is ours.
    unsafe { File::from_raw_fd(libc::dup(3)) }
}

pub fn value(what: &str, unit: &str, v: f64) {
    writeln!(results(), "{what}\t{unit}\t{v}").expect("no result can be written");
}

pub fn per_item(what: &str, start: Instant, n: usize) {
    value(what, "ns", start.elapsed().as_nanos() as f64 / n as f64);
}

/// n, or a tenth of it when QUICK.
pub fn scaled(n: usize) -> usize {
    match std::env::var("QUICK") {
        Ok(s) if !s.is_empty() && s != "0" => (n / 10).max(1),
        _ => n,
    }
}

pub fn cpu_time() -> Duration {
    let mut t = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: t is valid for the call.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut t) };
    Duration::new(t.tv_sec as u64, t.tv_nsec as u32)
}

/// A number of /proc/self/status.
pub fn status(field: &str) -> f64 {
    let text = std::fs::read_to_string("/proc/self/status").expect("no /proc/self/status");
    let line = text.lines().find(|l| l.starts_with(field)).expect("no such field");
    line.split_whitespace().nth(1).and_then(|v| v.parse().ok()).expect("no number")
}

fn runtime() -> tokio::runtime::Runtime {
    let procs = std::env::var("WEFT_MAXPROCS").ok().and_then(|s| s.parse().ok()).unwrap_or(1);
    let mut builder = if procs == 1 {
        tokio::runtime::Builder::new_current_thread()
    } else {
        let mut b = tokio::runtime::Builder::new_multi_thread();
        b.worker_threads(procs);
        b
    };
    builder.enable_all().build().expect("no runtime")
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.get(1).map(String::as_str) {
        Some("--list") => CASES.iter().for_each(|(name, _)| println!("{name}")),
        Some("--case") => {
            let (_, run) = CASES.iter().find(|c| c.0 == arguments[2]).expect("no such case");
            let runtime = runtime();
            // In a task, as all that is measured; block_on's own future is polled otherwise.
            let local = tokio::task::LocalSet::new();
            local.block_on(&runtime, run());
            std::process::exit(0);
        }
        _ => std::process::exit(64),
    }
}
