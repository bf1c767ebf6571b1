//! How long it takes to read a table or to fill a column: the order of magnitude.

use serde::Deserialize;

/// How big a relation is.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Size {
    /// As last counted by ANALYZE or VACUUM.
    pub rows: f64,
    /// Without indexes.
    pub bytes: f64,
}

/// Rows a second that a backfill does on modest hardware, and bytes a second that a scan reads.
const BACKFILL_ROWS: f64 = 40_000.0;
const SCAN_BYTES: f64 = 250.0 * 1024.0 * 1024.0;
/// A rewrite writes the table and its log, and builds the indexes.
const REWRITE_BYTES: f64 = 50.0 * 1024.0 * 1024.0;

/// `120.5 MB, about 3 s`.
pub fn words(bytes: f64, seconds: f64) -> String {
    let time = match seconds {
        s if s < 1.0 => "under a second".to_owned(),
        s if s < 90.0 => format!("about {s:.0} s"),
        s if s < 5400.0 => format!("about {:.0} min", s / 60.0),
        s => format!("about {:.1} h", s / 3600.0),
    };
    format!("{:.1} MB, {time}", bytes / 1024.0 / 1024.0)
}

impl Size {
    pub fn to_fill(self) -> String {
        words(self.bytes, self.rows / BACKFILL_ROWS)
    }

    pub fn to_read(self) -> String {
        words(self.bytes, self.bytes / SCAN_BYTES)
    }

    pub fn to_rewrite(self) -> String {
        words(self.bytes, self.bytes / REWRITE_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_estimate_says_size_and_time() {
        let gigabytes = |n: f64| Size {
            rows: n * 10_000_000.0,
            bytes: n * 1024.0 * 1024.0 * 1024.0,
        };
        assert_eq!(gigabytes(1.0).to_read(), "1024.0 MB, about 4 s");
        assert_eq!(gigabytes(1.0).to_rewrite(), "1024.0 MB, about 20 s");
        assert_eq!(gigabytes(100.0).to_rewrite(), "102400.0 MB, about 34 min");
        assert_eq!(gigabytes(1.0).to_fill(), "1024.0 MB, about 4 min");
        assert_eq!(
            Size {
                rows: 1.0,
                bytes: 8192.0
            }
            .to_read(),
            "0.0 MB, under a second"
        );
    }
}
