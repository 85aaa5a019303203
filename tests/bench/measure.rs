//! Time, taken so that a noisy machine does not show: each figure runs in turn
//! with a reference, and on one core it is the processor's time that counts.

use std::hint::black_box;
use std::thread;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use sha2::{Digest, Sha256};

/// Runs of each figure; the median is told.
const RUNS: usize = 7;

/// A speed beside that of the reference: the medians of runs in turn.
#[derive(Debug, Clone, Copy)]
pub struct Figure {
    /// Megabytes (10^6) a second.
    pub mb_per_second: f64,
    /// Of the reference's speed.
    pub ratio: f64,
}

/// How fast `work` goes over that many bytes on one core, beside SHA-256 alone over
/// `reference`. The processor's time of this process: neither what others do on
/// the machine nor waiting is in it. `set_up` is not measured.
pub fn one_core<T>(
    reference: &[u8],
    bytes: u64,
    mut set_up: impl FnMut() -> T,
    mut work: impl FnMut(T),
) -> Figure {
    in_turn(
        || speed(reference.len() as u64, cpu_time(|| sha256(reference))),
        || {
            let prepared = set_up();
            speed(bytes, cpu_time(|| work(prepared)))
        },
    )
}

/// How fast `work` goes on all cores over that many bytes in all, beside SHA-256
/// alone over `reference` on each of them. Wall time.
pub fn all_cores<T>(
    reference: &[u8],
    bytes: u64,
    mut set_up: impl FnMut() -> T,
    mut work: impl FnMut(T),
) -> Figure {
    in_turn(
        || {
            let hashed = reference.len() as u64 * cores() as u64;
            let took = wall_time(|| on_all_cores(|_| sha256(reference)));
            speed(hashed, took)
        },
        || {
            let prepared = set_up();
            speed(bytes, wall_time(|| work(prepared)))
        },
    )
}

/// Runs `work` once on every core.
pub fn on_all_cores(work: impl Fn(usize) + Sync) {
    thread::scope(|scope| {
        for core in 0..cores() {
            let work = &work;
            scope.spawn(move || work(core));
        }
    });
}

/// How many threads can run at once.
pub fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// SHA-256 alone over these bytes: the reference of all figures.
pub fn sha256(bytes: &[u8]) {
    black_box(Sha256::digest(black_box(bytes)));
}

/// The processor's time that this process takes for `work`.
pub fn cpu_time(work: impl FnOnce()) -> Duration {
    let now = || {
        let now = clock_gettime(ClockId::ProcessCPUTime);
        Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
    };
    let began = now();
    work();
    now() - began
}

/// The time that passes during `work`.
pub fn wall_time(work: impl FnOnce()) -> Duration {
    let began = Instant::now();
    work();
    began.elapsed()
}

fn in_turn(mut reference: impl FnMut() -> f64, mut work: impl FnMut() -> f64) -> Figure {
    work(); // buffers and caches are warm from here on
    let (mut speeds, mut ratios) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let of_reference = reference();
        let of_work = work();
        speeds.push(of_work);
        ratios.push(of_work / of_reference);
    }
    Figure {
        mb_per_second: median(speeds),
        ratio: median(ratios),
    }
}

fn speed(bytes: u64, took: Duration) -> f64 {
    bytes as f64 / 1e6 / took.as_secs_f64().max(1e-9)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
