//! What filling costs on this table and this server, and into how many visits a window is best
//! divided. Knows no PostgreSQL.
//!
//! A statement that visits pages costs something for each page, for each row that stays on its page
//! and for each that is moved away. The three are estimated from what statements took and wrote (a
//! least-squares fit of the last ones). More visits mean more pages read and fewer rows moved.

use super::room::Ground;
use super::stripes::Tally;

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
pub const STRIPES: i32 = 10;

/// With fewer visits than this, too much of the table moves; with more, there is little to gain.
const FEWEST: usize = 6;
const MOST: usize = 24;

/// The fit: normal equations over the three kinds of cost, each in units of its guess.
#[derive(Debug, Clone, Default)]
pub struct Model {
    products: [[f64; 3]; 3],
    sums: [f64; 3],
    /// What first visits found, in `rows` those to be filled, and of each page's share.
    found: Found,
}

#[derive(Debug, Clone, Copy, Default)]
struct Found {
    pages: f64,
    rows: f64,
    room: f64,
    lines: f64,
    stands: f64,
    needs: f64,
}

impl Model {
    /// What a first visit has found.
    #[allow(clippy::cast_precision_loss)]
    pub fn found(&mut self, tally: &Tally) {
        let all = &mut self.found;
        for (sum, one) in [
            (&mut all.pages, tally.pages),
            (&mut all.rows, tally.rows()),
            (&mut all.room, tally.room),
            (&mut all.lines, tally.lines),
            (&mut all.stands, tally.stands),
            (&mut all.needs, tally.needs),
        ] {
            *sum = *sum * FADES + one as f64;
        }
    }

    /// Rows to be filled that a page is likely to have; as many as there can be where nothing is known.
    pub fn rows_a_page(&self) -> usize {
        match self.found.pages > 0.0 {
            true => whole((self.found.rows / self.found.pages).ceil()),
            false => usize::MAX,
        }
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

    /// Visits of a window that cost the least, where filling adds so many bytes to a row: pages that
    /// are read again against rows that are moved.
    pub fn stripes(&self, grows: usize) -> i32 {
        let found = &self.found;
        if found.pages <= 0.0 || found.lines <= 0.0 {
            return STRIPES;
        }
        let [page, stays, moves] = self.costs();
        let stands = found.stands / found.lines;
        #[allow(clippy::cast_precision_loss)]
        let needs = (found.needs / found.lines).max(stands + grows as f64);
        let ground = Ground {
            rows: self.rows_a_page(),
            room: whole(found.room / found.pages),
            stands: whole(stands),
            needs: whole(needs),
        };
        #[allow(clippy::cast_precision_loss)]
        let cost = |visits: usize| {
            visits as f64 * page + ground.moves(visits - 1, 0) as f64 * (moves - stays).max(0.0)
        };
        let best = (FEWEST..=MOST).min_by(|&a, &b| cost(a).total_cmp(&cost(b)));
        best.and_then(|best| i32::try_from(best).ok())
            .unwrap_or(STRIPES)
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn whole(number: f64) -> usize {
    number.max(0.0) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Full pages of 50 rows of 150 bytes.
    fn full(pages: i64) -> Tally {
        Tally {
            left: 50 * pages,
            pages,
            lines: 50 * pages,
            stands: 50 * 152 * pages,
            needs: 50 * 156 * pages,
            ..Tally::default()
        }
    }

    /// Statements of windows of 50 rows a page on a server with these costs, with some noise.
    fn learnt(page: f64, stays: f64, moves: f64) -> Model {
        let mut model = Model::default();
        let mut noise = 1_u32;
        for window in 0..6_i64 {
            let visits = model.stripes(0);
            let k = f64::from(visits);
            for visit in 0..=visits {
                for _ in 0..4 {
                    noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    let noise = 0.8 + 0.4 * f64::from(noise >> 16) / 65536.0;
                    #[allow(clippy::cast_precision_loss)]
                    let pages = (100 + window) as f64;
                    let rows = 50.0 * pages / k;
                    let (s, m) = match visit {
                        0 => (0.0, rows),
                        last if last >= visits => (0.0, 0.0),
                        _ => (rows, 0.0),
                    };
                    if visit == 0 {
                        model.found(&full(100 + window));
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
        assert_eq!(Model::default().stripes(0), STRIPES);
        let usual = learnt(5e-6, 2e-6, 34e-6).stripes(0);
        assert!((12..=20).contains(&usual), "{usual}");
        let few = learnt(30e-6, 4e-6, 12e-6).stripes(0);
        assert!(few <= 7, "{few}");
        let many = learnt(2e-6, 2e-6, 90e-6).stripes(0);
        assert!(many >= usual, "{many}");
    }

    #[test]
    fn a_page_is_taken_to_be_like_those_before_it() {
        let mut model = Model::default();
        assert_eq!(model.rows_a_page(), usize::MAX);
        model.found(&Tally {
            left: 300,
            ..full(100)
        });
        assert_eq!(model.rows_a_page(), 3);
    }

    #[test]
    fn a_stall_does_not_turn_everything_over() {
        let mut model = learnt(5e-6, 2e-6, 34e-6);
        let before = model.stripes(0);
        model.learn(&Sample {
            pages: 100.0,
            stays: 400.0,
            seconds: 5.0,
            ..Sample::default()
        });
        assert!((model.stripes(0) - before).abs() <= 4);
    }
}
