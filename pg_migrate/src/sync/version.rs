//! Which row versions are older than the trigger.

/// Ids below are the bootstrap's.
const FIRST_NORMAL: u32 = 3;

/// Whether the version written by `xmin` is not known to have gone through the trigger that
/// `installed` made. `frozen`: VACUUM proved it old; its number may be one of an earlier round
/// unless the cluster is in its `first_epoch`. Errs to `true`, which costs at most a NULL.
pub fn predates(xmin: u32, frozen: bool, installed: u32, first_epoch: bool) -> bool {
    if xmin < FIRST_NORMAL || (frozen && !first_epoch) {
        return true;
    }
    if first_epoch {
        return xmin <= installed;
    }
    // TransactionIdFollows: ids are compared on a circle.
    xmin.wrapping_sub(installed).cast_signed() <= 0
}

#[cfg(test)]
mod tests {
    use super::predates;

    #[test]
    fn a_later_version_went_through_the_trigger() {
        assert!(predates(99, false, 100, true));
        assert!(predates(100, false, 100, true));
        assert!(!predates(101, false, 100, true));
    }

    #[test]
    fn freezing_forgets_nothing_in_the_first_epoch() {
        assert!(!predates(101, true, 100, true));
        assert!(predates(99, true, 100, true));
    }

    #[test]
    fn after_a_wraparound_frozen_is_old() {
        assert!(predates(101, true, 100, false));
        assert!(!predates(5, false, u32::MAX - 5, false));
        assert!(predates(u32::MAX - 9, false, u32::MAX - 5, false));
    }

    #[test]
    fn bootstrap_is_old() {
        assert!(predates(2, false, 100, true));
    }
}
