//! Each row of the table of rules.

use super::*;

/// A row as plain answers; `agrees` false unless said.
#[derive(Clone, Copy, Default)]
struct Facts {
    old_null: bool,
    new_null: bool,
    old_default: bool,
    new_default: bool,
    agrees: bool,
    old_changed: bool,
    new_changed: bool,
    new_was_null: bool,
    new_assigned: bool,
    other_assigned: bool,
    unfilled: bool,
    follows: bool,
}

impl Row for Facts {
    fn old_is_null(&self) -> bool {
        self.old_null
    }
    fn new_is_null(&self) -> bool {
        self.new_null
    }
    fn old_is_default(&self) -> bool {
        self.old_default
    }
    fn new_is_default(&self) -> bool {
        self.new_default
    }
    fn agrees(&self) -> bool {
        self.agrees
    }
    fn old_changed(&self) -> bool {
        self.old_changed
    }
    fn new_changed(&self) -> bool {
        self.new_changed
    }
    fn new_was_null(&self) -> bool {
        self.new_was_null
    }
    fn new_assigned(&self) -> bool {
        self.new_assigned
    }
    fn only_new_assigned(&self) -> bool {
        self.new_assigned && !self.other_assigned
    }
    fn unfilled(&self) -> bool {
        self.unfilled
    }
    fn follows(&self) -> bool {
        self.follows
    }
}

const ROW: Facts = Facts {
    old_null: false,
    new_null: false,
    old_default: false,
    new_default: false,
    agrees: false,
    old_changed: false,
    new_changed: false,
    new_was_null: false,
    new_assigned: false,
    other_assigned: false,
    unfilled: false,
    follows: false,
};

fn inserted(row: Facts) -> Verdict {
    insert(row, true, Side::Unknown, Policy::New)
}

fn updated(row: Facts) -> Verdict {
    update(row, true, Side::Unknown, Policy::New)
}

#[test]
fn an_insert_that_gives_one_side_has_the_other_derived() {
    let old_only = Facts {
        new_null: true,
        ..ROW
    };
    let new_only = Facts {
        old_null: true,
        ..ROW
    };
    assert_eq!(inserted(old_only), Verdict::DeriveNew);
    assert_eq!(inserted(new_only), Verdict::DeriveOld);
}

#[test]
fn an_insert_that_gives_both_keeps_new_unless_it_is_its_default() {
    let default_new = Facts {
        new_default: true,
        ..ROW
    };
    let both_default = Facts {
        old_default: true,
        ..default_new
    };
    assert_eq!(inserted(ROW), Verdict::DeriveOld);
    assert_eq!(inserted(default_new), Verdict::DeriveNew);
    assert_eq!(inserted(both_default), Verdict::DeriveNew);
    assert_eq!(
        inserted(Facts {
            agrees: true,
            ..default_new
        }),
        Verdict::Keep
    );
}

#[test]
fn raise_spares_a_column_default() {
    let raise = |row| insert(row, true, Side::Unknown, Policy::Raise);
    assert_eq!(raise(ROW), Verdict::Conflict);
    assert_eq!(
        raise(Facts {
            old_default: true,
            ..ROW
        }),
        Verdict::DeriveOld
    );
    assert_eq!(
        raise(Facts {
            new_default: true,
            ..ROW
        }),
        Verdict::DeriveNew
    );
}

#[test]
fn an_update_of_one_side_derives_the_other() {
    assert_eq!(
        updated(Facts {
            old_changed: true,
            ..ROW
        }),
        Verdict::DeriveNew
    );
    assert_eq!(
        updated(Facts {
            new_changed: true,
            ..ROW
        }),
        Verdict::DeriveOld
    );
    assert_eq!(updated(ROW), Verdict::Keep);
}

#[test]
fn an_update_of_both_follows_the_policy() {
    let row = Facts {
        old_changed: true,
        new_changed: true,
        ..ROW
    };
    assert_eq!(updated(row), Verdict::DeriveOld);
    assert_eq!(
        update(row, true, Side::Unknown, Policy::Raise),
        Verdict::Conflict
    );
    assert_eq!(
        updated(Facts {
            agrees: true,
            ..row
        }),
        Verdict::Keep
    );
}

#[test]
fn an_unfilled_new_never_maps_back() {
    let gap = Facts {
        new_null: true,
        new_was_null: true,
        unfilled: true,
        ..ROW
    };
    let written_back = Facts {
        new_assigned: true,
        ..gap
    };
    for row in [gap, written_back] {
        for side in [Side::Unknown, Side::Old] {
            assert_eq!(update(row, true, side, Policy::New), Verdict::DeriveNew);
        }
    }
    assert_eq!(
        update(gap, true, Side::New, Policy::New),
        Verdict::DeriveNew
    );
}

#[test]
fn null_on_purpose_stays() {
    let on_purpose = Facts {
        new_null: true,
        new_was_null: true,
        ..ROW
    };
    assert_eq!(updated(on_purpose), Verdict::Keep);
    let set_now = Facts {
        new_changed: true,
        new_null: true,
        ..ROW
    };
    assert_eq!(updated(set_now), Verdict::DeriveOld);
    let by_the_backfill = Facts {
        new_was_null: true,
        new_changed: true,
        new_assigned: true,
        ..ROW
    };
    assert_eq!(backfill(by_the_backfill, true, Policy::New), Verdict::Skip);
    let along = Facts {
        other_assigned: true,
        ..by_the_backfill
    };
    assert_eq!(backfill(along, true, Policy::New), Verdict::RestoreNew);
}

#[test]
fn a_known_side_is_the_one_written() {
    let row = Facts {
        old_changed: true,
        new_changed: true,
        ..ROW
    };
    let on = |side, row| update(row, true, side, Policy::Raise);
    assert_eq!(on(Side::Old, row), Verdict::DeriveNew);
    assert_eq!(on(Side::New, row), Verdict::DeriveOld);
    assert_eq!(
        on(
            Side::Old,
            Facts {
                new_changed: true,
                ..ROW
            }
        ),
        Verdict::RestoreNew
    );
    assert_eq!(
        on(
            Side::New,
            Facts {
                old_changed: true,
                ..ROW
            }
        ),
        Verdict::RestoreOld
    );
    assert_eq!(on(Side::Old, ROW), Verdict::Keep);
    assert_eq!(
        insert(ROW, true, Side::Old, Policy::Raise),
        Verdict::DeriveNew
    );
    assert_eq!(
        insert(ROW, true, Side::New, Policy::Raise),
        Verdict::DeriveOld
    );
}

#[test]
fn the_backfill_never_touches_old() {
    for bits in 0..1u32 << 12 {
        let bit = |n: u32| bits >> n & 1 == 1;
        let row = Facts {
            old_null: bit(0),
            new_null: bit(1),
            old_default: bit(2),
            new_default: bit(3),
            agrees: bit(4),
            old_changed: bit(5),
            new_changed: bit(6),
            new_was_null: bit(7),
            new_assigned: bit(8),
            other_assigned: bit(9),
            unfilled: bit(10),
            follows: bit(11),
        };
        for (two_way, policy) in [
            (true, Policy::New),
            (true, Policy::Raise),
            (false, Policy::Fill),
        ] {
            let verdict = backfill(row, two_way, policy);
            assert!(!matches!(
                verdict,
                Verdict::DeriveOld | Verdict::RestoreOld | Verdict::Conflict
            ));
        }
    }
}

#[test]
fn one_way_follows_until_it_is_written() {
    let one = |row| update(row, false, Side::Unknown, Policy::New);
    assert_eq!(
        one(Facts {
            follows: true,
            ..ROW
        }),
        Verdict::DeriveNew
    );
    assert_eq!(
        one(Facts {
            follows: true,
            new_changed: true,
            ..ROW
        }),
        Verdict::Keep
    );
    assert_eq!(
        one(Facts {
            new_null: true,
            unfilled: true,
            ..ROW
        }),
        Verdict::DeriveNew
    );
    assert_eq!(
        one(Facts {
            new_null: true,
            ..ROW
        }),
        Verdict::Keep
    );
}

#[test]
fn fill_leaves_no_null() {
    let null = Facts {
        new_null: true,
        new_changed: true,
        ..ROW
    };
    assert_eq!(
        update(null, false, Side::Unknown, Policy::Fill),
        Verdict::DeriveNew
    );
    let filled = Facts {
        new_was_null: true,
        new_changed: true,
        ..ROW
    };
    assert_eq!(backfill(filled, false, Policy::Fill), Verdict::Keep);
}

#[test]
fn the_new_side_follows_what_the_old_one_writes_elsewhere() {
    let row = Facts {
        follows: true,
        ..ROW
    };
    for side in [Side::Unknown, Side::Old] {
        assert_eq!(update(row, true, side, Policy::New), Verdict::DeriveNew);
    }
    assert_eq!(update(row, true, Side::New, Policy::New), Verdict::Keep);
    let given = Facts {
        new_changed: true,
        ..row
    };
    assert_eq!(updated(given), Verdict::DeriveOld);
}

#[test]
fn an_old_session_puts_no_unfilled_null_back() {
    let given = Facts {
        new_changed: true,
        new_assigned: true,
        new_was_null: true,
        ..ROW
    };
    let old = |row| update(row, true, Side::Old, Policy::New);
    assert_eq!(old(given), Verdict::RestoreNew);
    assert_eq!(
        old(Facts {
            unfilled: true,
            ..given
        }),
        Verdict::DeriveNew
    );
}
