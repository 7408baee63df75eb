//! The clock seam. No clock decides what a reader sees (that is the LSN's business); clocks give
//! commits their times and leases their ends.

#![allow(clippy::disallowed_methods, reason = "this is where the clock seam meets the operating system")]

use parking_lot::Mutex;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// A source of time.
pub trait Clock: Send + Sync {
    /// Microseconds since 1970-01-01 00:00 UTC. May jump, in both directions.
    fn wall_micros(&self) -> i64;

    /// Time since some fixed moment of this boot. Never goes back, and goes on while the machine is
    /// suspended (CLOCK_BOOTTIME), which leases need and `std::time::Instant` does not do.
    fn boottime(&self) -> Duration;
}

/// The operating system's clocks.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn wall_micros(&self) -> i64 {
        match SystemTime::now().duration_since(SystemTime::UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
            Err(before) => -i64::try_from(before.duration().as_micros()).unwrap_or(i64::MAX),
        }
    }

    fn boottime(&self) -> Duration {
        #[cfg(target_os = "linux")]
        let id = rustix::time::ClockId::Boottime;
        // Elsewhere the monotonic clock is the nearest thing; macOS counts it through sleep.
        #[cfg(not(target_os = "linux"))]
        let id = rustix::time::ClockId::Monotonic;
        let now = rustix::time::clock_gettime(id);
        let seconds = u64::try_from(now.tv_sec).expect("the time since boot is not negative");
        let nanos = u32::try_from(now.tv_nsec).expect("a second has a billion nanoseconds");
        Duration::new(seconds, nanos)
    }
}

/// A clock that stands until it is moved; clones are the same clock.
#[derive(Debug, Clone, Default)]
pub struct ManualClock(Arc<Mutex<(i64, Duration)>>);

impl ManualClock {
    /// A clock that shows this wall time, just booted.
    pub fn new(wall_micros: i64) -> Self {
        Self(Arc::new(Mutex::new((wall_micros, Duration::ZERO))))
    }

    /// Time passes, on both clocks.
    pub fn advance(&self, by: Duration) {
        let mut now = self.0.lock();
        now.0 += i64::try_from(by.as_micros()).expect("a test does not pass 292,000 years");
        now.1 += by;
    }

    /// Someone sets the wall clock; the time since boot goes on as before.
    pub fn set_wall_micros(&self, wall_micros: i64) {
        self.0.lock().0 = wall_micros;
    }
}

impl Clock for ManualClock {
    fn wall_micros(&self) -> i64 {
        self.0.lock().0
    }

    fn boottime(&self) -> Duration {
        self.0.lock().1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn setting_the_wall_clock_does_not_move_the_time_since_boot() {
        let clock = ManualClock::new(1_000_000);
        clock.advance(Duration::from_secs(2));
        clock.set_wall_micros(5);
        clock.advance(Duration::from_micros(1));
        assert_eq!((clock.wall_micros(), clock.boottime()), (6, Duration::from_micros(2_000_001)));
    }

    #[test]
    fn the_system_clocks_are_sane() {
        let before = SystemClock.boottime();
        assert!(SystemClock.boottime() >= before);
        assert!(SystemClock.wall_micros() > 1_700_000_000_000_000);
    }
}
