//! Time, taken so that a noisy machine does not show: the processor time of one
//! thread, and each figure beside a reference that ran in turn with it.

use std::hint::black_box;
use std::thread;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use sha2::{Digest, Sha256};

/// Runs of each figure; the median is told.
const RUNS: usize = 7;

/// A figure beside its reference, the medians of runs in turn.
#[derive(Debug, Clone, Copy)]
pub struct Figure {
    /// Megabytes (10^6) a second.
    pub mb_per_second: f64,
    /// Of the reference's speed.
    pub ratio: f64,
}

/// How fast `work` goes over that many bytes on one core, beside `reference` over
/// as many. Processor time of this process: what others do on the machine is not
/// in it, nor is waiting.
pub fn one_core(bytes: usize, mut reference: impl FnMut(), mut work: impl FnMut()) -> Figure {
    in_turn(
        bytes,
        bytes,
        || cpu_time(&mut reference),
        || cpu_time(&mut work),
    )
}

/// How fast `work` goes when every core does it at once, beside `reference` on every
/// core, wall time; `work` is told which core's share it does.
pub fn all_cores(
    bytes_each: usize,
    reference: impl Fn(usize) + Sync,
    work: impl Fn(usize) + Sync,
) -> Figure {
    let bytes = bytes_each * cores();
    in_turn(bytes, bytes, || wall_time(&reference), || wall_time(&work))
}

/// How many threads can run at once.
pub fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// SHA-256 alone over these bytes: the reference of all figures.
pub fn sha256(bytes: &[u8]) {
    black_box(Sha256::digest(black_box(bytes)));
}

fn in_turn(
    reference_bytes: usize,
    bytes: usize,
    mut reference: impl FnMut() -> Duration,
    mut work: impl FnMut() -> Duration,
) -> Figure {
    work(); // buffers and caches are warm from here on
    let mut speeds = Vec::new();
    let mut ratios = Vec::new();
    for _ in 0..RUNS {
        let of_reference = speed(reference_bytes, reference());
        let of_work = speed(bytes, work());
        speeds.push(of_work);
        ratios.push(of_work / of_reference);
    }
    Figure {
        mb_per_second: median(speeds),
        ratio: median(ratios),
    }
}

fn speed(bytes: usize, took: Duration) -> f64 {
    bytes as f64 / 1e6 / took.as_secs_f64().max(1e-9)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn cpu_time(work: &mut impl FnMut()) -> Duration {
    let now = || {
        let now = clock_gettime(ClockId::ProcessCPUTime);
        Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
    };
    let began = now();
    work();
    now() - began
}

fn wall_time(work: &(impl Fn(usize) + Sync)) -> Duration {
    let began = Instant::now();
    thread::scope(|scope| {
        for core in 0..cores() {
            scope.spawn(move || work(core));
        }
    });
    began.elapsed()
}
