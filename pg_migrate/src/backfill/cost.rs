//! What filling costs on this table and this server, and into how many visits a window is best
//! divided. Knows no PostgreSQL.
//!
//! A statement that visits pages costs something for each page, for each row that stays on its page
//! and for each that is moved away. The three are estimated from what statements took and wrote (a
//! least-squares fit of the last ones). More visits mean more pages read and fewer rows moved.

/// What one statement did.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sample {
    pub pages: f64,
    pub stays: f64,
    pub moves: f64,
    pub seconds: f64,
    /// Bytes.
    pub wal: f64,
}

/// Seconds that a byte of WAL counts for: it is written, sent, archived and replayed elsewhere.
const WAL_PRICE: f64 = 1e-8;

/// Seconds for a page, a row that stays, a row that is moved, before anything is known.
const GUESS: [f64; 3] = [6e-6, 4e-6, 25e-6];

/// So many statements weigh as much as the guess.
const WEIGHT_OF_GUESS: f64 = 0.5;

/// What a statement weighs after the next one.
const FADES: f64 = 0.99;

/// Visits of a window before anything is known.
pub const STRIPES: f64 = 12.0;

/// With fewer visits than this, too much of the table moves; with more, there is little to gain.
const FEWEST: f64 = 8.0;
const MOST: f64 = 24.0;

/// The fit: normal equations over the three kinds of cost, each in units of its guess.
#[derive(Debug, Clone, Default)]
pub struct Model {
    products: [[f64; 3]; 3],
    sums: [f64; 3],
    /// Rows and pages of first visits.
    rows: f64,
    pages: f64,
}

impl Model {
    /// Pages and rows to be filled that a first visit has found.
    pub fn found(&mut self, pages: f64, rows: f64) {
        self.pages = self.pages * FADES + pages;
        self.rows = self.rows * FADES + rows;
    }

    pub fn learn(&mut self, sample: &Sample) {
        let parts = [sample.pages, sample.stays, sample.moves];
        let expected: f64 = parts.iter().zip(GUESS).map(|(n, each)| n * each).sum();
        let took = sample.seconds + sample.wal * WAL_PRICE;
        if expected <= 0.0 || !took.is_finite() {
            return;
        }
        let shares: Vec<f64> = parts
            .iter()
            .zip(GUESS)
            .map(|(n, each)| n * each / expected)
            .collect();
        // A statement that waited for something says nothing of rows and pages.
        let usual = self
            .factors()
            .iter()
            .zip(&shares)
            .map(|(factor, share)| factor * share)
            .sum::<f64>();
        let factor = (took / expected).min(usual * 4.0);
        for (i, &one) in shares.iter().enumerate() {
            self.sums[i] = self.sums[i] * FADES + one * factor;
            for (j, &other) in shares.iter().enumerate() {
                self.products[i][j] = self.products[i][j] * FADES + one * other;
            }
        }
    }

    /// What each kind costs, in units of its guess.
    fn factors(&self) -> [f64; 3] {
        let mut left = self.products;
        let mut right = self.sums;
        for i in 0..3 {
            left[i][i] += WEIGHT_OF_GUESS;
            right[i] += WEIGHT_OF_GUESS;
        }
        // Gauss; the guess on the diagonal keeps the pivots away from zero.
        for i in 0..3 {
            for j in i + 1..3 {
                let factor = left[j][i] / left[i][i];
                let pivot = left[i];
                for (cell, above) in left[j].iter_mut().zip(pivot) {
                    *cell -= factor * above;
                }
                right[j] -= factor * right[i];
            }
        }
        let mut found = [0.0; 3];
        for i in (0..3).rev() {
            let known: f64 = (i + 1..3).map(|k| left[i][k] * found[k]).sum();
            found[i] = (right[i] - known) / left[i][i];
        }
        found.map(|factor| factor.clamp(0.05, 50.0))
    }

    /// Seconds for a page, for a row that stays and for one that is moved.
    pub fn costs(&self) -> [f64; 3] {
        let factors = self.factors();
        [0, 1, 2].map(|i| factors[i] * GUESS[i])
    }

    /// Visits of a window that cost the least: k pages against 1/k of the rows moved.
    pub fn stripes(&self) -> f64 {
        if self.pages <= 0.0 {
            return STRIPES;
        }
        let [page, stays, moves] = self.costs();
        let gain = (moves - stays).max(0.0) * self.rows / self.pages;
        (gain / page).sqrt().round().clamp(FEWEST, MOST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Statements of windows of 50 rows a page on a server with these costs, with some noise.
    fn learnt(page: f64, stays: f64, moves: f64) -> Model {
        let mut model = Model::default();
        let mut noise = 1_u32;
        for window in 0..6 {
            let k = model.stripes();
            for visit in 0..=(k as i32) {
                for _ in 0..4 {
                    noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    let noise = 0.8 + 0.4 * f64::from(noise >> 16) / 65536.0;
                    let pages = 100.0 + f64::from(window);
                    let rows = 50.0 * pages / k;
                    let (s, m) = match visit {
                        0 => (0.0, rows),
                        last if f64::from(last) >= k => (0.0, 0.0),
                        _ => (rows, 0.0),
                    };
                    if visit == 0 {
                        model.found(pages, 50.0 * pages);
                    }
                    model.learn(&Sample {
                        pages,
                        stays: s,
                        moves: m,
                        seconds: (pages * page + s * stays + m * moves) * noise,
                        wal: 0.0,
                    });
                }
            }
        }
        model
    }

    #[test]
    fn costs_are_found_within_a_third() {
        for (page, stays, moves) in [
            (10e-6, 2e-6, 10e-6),
            (3e-6, 8e-6, 60e-6),
            (40e-6, 5e-6, 50e-6),
        ] {
            let model = learnt(page, stays, moves);
            for (found, real) in model.costs().iter().zip([page, stays, moves]) {
                assert!((found / real - 1.0).abs() < 0.34, "{found} for {real}");
            }
        }
    }

    #[test]
    fn dear_moves_mean_more_visits_and_dear_pages_fewer() {
        assert_eq!(Model::default().stripes(), STRIPES);
        assert!((16.0..=20.0).contains(&learnt(5e-6, 2e-6, 34e-6).stripes()));
        assert_eq!(learnt(30e-6, 4e-6, 12e-6).stripes(), FEWEST);
        assert_eq!(learnt(2e-6, 2e-6, 90e-6).stripes(), MOST);
    }

    #[test]
    fn a_stall_does_not_turn_everything_over() {
        let mut model = learnt(5e-6, 2e-6, 34e-6);
        let before = model.stripes();
        model.learn(&Sample {
            pages: 100.0,
            stays: 400.0,
            seconds: 5.0,
            ..Sample::default()
        });
        assert!((model.stripes() - before).abs() <= 4.0);
    }
}
