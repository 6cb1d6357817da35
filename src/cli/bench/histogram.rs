//! A log-linear histogram of microseconds: every value within 0.8 % of the truth, in constant memory.

use std::time::Duration;

/// Values below this have a bucket each; above, every doubling is cut into so many.
const STEPS: u64 = 128;
const STEP_BITS: u32 = STEPS.ilog2();

#[derive(Debug, Clone, Default)]
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
    sum: Duration,
    max: Duration,
}

impl Histogram {
    pub fn record(&mut self, value: Duration) {
        let index = bucket(u64::try_from(value.as_micros()).unwrap_or(u64::MAX));
        if self.counts.len() <= index {
            self.counts.resize(index + 1, 0);
        }
        if let Some(count) = self.counts.get_mut(index) {
            *count += 1;
        }
        self.total += 1;
        self.sum += value;
        self.max = self.max.max(value);
    }

    pub fn merge(&mut self, other: &Histogram) {
        if self.counts.len() < other.counts.len() {
            self.counts.resize(other.counts.len(), 0);
        }
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
        self.total += other.total;
        self.sum += other.sum;
        self.max = self.max.max(other.max);
    }

    pub fn count(&self) -> u64 {
        self.total
    }

    pub fn max(&self) -> Duration {
        self.max
    }

    pub fn mean(&self) -> Duration {
        if self.total == 0 { Duration::ZERO } else { self.sum.div_f64(self.total as f64) }
    }

    /// The value that `share` (0 to 1) of all values do not exceed.
    pub fn quantile(&self, share: f64) -> Duration {
        let rank = ((self.total as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return Duration::from_micros(upper(index)).min(self.max);
            }
        }
        self.max
    }
}

fn bucket(micros: u64) -> usize {
    if micros < STEPS {
        return micros as usize;
    }
    let shift = micros.ilog2() - STEP_BITS;
    ((u64::from(shift) * STEPS) + (micros >> shift)) as usize
}

/// The largest value of a bucket.
fn upper(index: usize) -> u64 {
    let index = index as u64;
    if index < STEPS {
        return index;
    }
    let shift = index / STEPS - 1;
    let step = u128::from(index % STEPS + STEPS + 1);
    u64::try_from((step << shift) - 1).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_in_its_bucket_and_near_its_end() {
        for micros in (0..5000).chain([1 << 20, (1 << 20) + 1, 123_456_789, u64::MAX]) {
            let index = bucket(micros);
            assert!(upper(index) >= micros, "{micros}");
            assert!(upper(index) - micros <= micros / STEPS, "{micros}");
            assert!(index == 0 || upper(index - 1) < micros, "{micros}");
        }
    }

    #[test]
    fn quantiles_of_a_known_series() {
        let (mut odd, mut all) = (Histogram::default(), Histogram::default());
        for n in 1..=1000_u64 {
            let value = Duration::from_micros(n * 100);
            if n % 2 == 1 { odd.record(value) } else { all.record(value) }
        }
        all.merge(&odd);
        assert_eq!(all.count(), 1000);
        let near = |share, micros: u64| {
            let found = all.quantile(share).as_micros() as u64;
            assert!(found.abs_diff(micros) <= micros / 100, "{share}: {found}");
        };
        near(0.5, 50_000);
        near(0.99, 99_000);
        assert_eq!(all.quantile(1.0), all.max());
        assert_eq!(all.mean(), Duration::from_micros(50_050));
        assert_eq!(Histogram::default().quantile(0.5), Duration::ZERO);
    }
}
