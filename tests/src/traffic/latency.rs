//! How long the applications' operations took.

use std::fmt;
use std::time::Duration;

/// Measured at the client, round trip included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Latency {
    pub count: usize,
    pub p50: Duration,
    pub p99: Duration,
    pub max: Duration,
}

impl Latency {
    /// From single measurements in microseconds.
    pub fn of(mut micros: Vec<u32>) -> Self {
        micros.sort_unstable();
        let Some(&max) = micros.last() else {
            return Self::default();
        };
        // Nearest rank: the smallest value that at least that share of all does not exceed.
        let at = |percent: usize| {
            let rank = (micros.len() * percent).div_ceil(100).max(1);
            Duration::from_micros(u64::from(micros[rank - 1]))
        };
        Self {
            count: micros.len(),
            p50: at(50),
            p99: at(99),
            max: Duration::from_micros(u64::from(max)),
        }
    }
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |d: Duration| d.as_secs_f64() * 1000.0;
        write!(
            f,
            "p50 {:.2} ms, p99 {:.2} ms, max {:.1} ms ({} operations)",
            ms(self.p50),
            ms(self.p99),
            ms(self.max),
            self.count
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_measured_values() {
        let latency = Latency::of((1..=200).rev().collect());
        let micros = [latency.p50, latency.p99, latency.max].map(|d| d.as_micros());
        assert_eq!((latency.count, micros), (200, [100, 198, 200]));
    }

    #[test]
    fn few_or_no_measurements() {
        assert_eq!(Latency::of(vec![]), Latency::default());
        let one = Latency::of(vec![7]);
        assert_eq!(
            (one.p50, one.p99),
            (Duration::from_micros(7), Duration::from_micros(7))
        );
    }
}
