//! A bounded set of heap blocks. Knows no PostgreSQL.

/// Intervals `[first, end)` of blocks, sorted and apart from each other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Blocks(Vec<(i64, i64)>);

/// More intervals than this are made fewer by taking in the gaps between them: blocks that are
/// visited once too often cost a read, a list without bound costs every batch.
const MOST: usize = 256;

impl Blocks {
    /// From the flat form of the ledger: first, end, first, end, …
    pub fn from_flat(flat: &[i64]) -> Self {
        let mut blocks = Blocks::default();
        for pair in flat.chunks_exact(2) {
            blocks.add(pair[0], pair[1]);
        }
        blocks
    }

    pub fn to_flat(&self) -> Vec<i64> {
        self.0.iter().flat_map(|&(a, b)| [a, b]).collect()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn add(&mut self, first: i64, end: i64) {
        if first >= end {
            return;
        }
        let from = self.0.partition_point(|&(_, b)| b < first);
        let to = self.0.partition_point(|&(a, _)| a <= end);
        let (mut first, mut end) = (first, end);
        for &(a, b) in &self.0[from..to] {
            first = first.min(a);
            end = end.max(b);
        }
        self.0.splice(from..to, [(first, end)]);
        if self.0.len() > MOST {
            self.coarsen();
        }
    }

    /// Closes the smaller half of the gaps.
    fn coarsen(&mut self) {
        let mut gaps: Vec<i64> = self.0.windows(2).map(|w| w[1].0 - w[0].1).collect();
        gaps.sort_unstable();
        let limit = gaps[gaps.len() / 2];
        let mut merged: Vec<(i64, i64)> = Vec::new();
        for &(a, b) in &self.0 {
            match merged.last_mut() {
                Some(last) if a - last.1 <= limit => last.1 = b,
                _ => merged.push((a, b)),
            }
        }
        self.0 = merged;
    }

    /// Takes out the first blocks, at most `most` of one interval.
    pub fn take(&mut self, most: i64) -> Option<(i64, i64)> {
        let (first, end) = *self.0.first()?;
        let cut = end.min(first + most.max(1));
        if cut == end {
            self.0.remove(0);
        } else {
            self.0[0].0 = cut;
        }
        Some((first, cut))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_and_overlaps_become_one() {
        let mut blocks = Blocks::default();
        for (a, b) in [(5, 6), (9, 10), (6, 7), (1, 2), (8, 12), (3, 3)] {
            blocks.add(a, b);
        }
        assert_eq!(blocks.to_flat(), [1, 2, 5, 7, 8, 12]);
        assert_eq!(Blocks::from_flat(&blocks.to_flat()), blocks);
        blocks.add(2, 8);
        assert_eq!(blocks.to_flat(), [1, 12]);
    }

    #[test]
    fn taken_in_pieces_nothing_is_left_out() {
        let mut blocks = Blocks::from_flat(&[0, 5, 7, 8]);
        let mut seen = Vec::new();
        while let Some(piece) = blocks.take(2) {
            seen.push(piece);
        }
        assert_eq!(seen, [(0, 2), (2, 4), (4, 5), (7, 8)]);
        assert!(blocks.is_empty());
    }

    #[test]
    fn the_list_is_bounded_and_covers_what_was_added() {
        let mut blocks = Blocks::default();
        let added: Vec<i64> = (0..5_000).map(|i| i * 3 + i % 7).collect();
        for &b in &added {
            blocks.add(b, b + 1);
        }
        let flat = blocks.to_flat();
        assert!(flat.len() <= 2 * MOST, "{}", flat.len());
        for b in added {
            assert!(flat.chunks(2).any(|p| p[0] <= b && b < p[1]), "{b}");
        }
    }
}
