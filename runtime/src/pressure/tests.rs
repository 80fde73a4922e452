use super::*;

const LEVELS: [Level; 3] = [Level::Normal, Level::High, Level::Emergency];

/// Every fullness from 0 to 1.2 in thousandths.
fn grid() -> impl Iterator<Item = f64> + Clone {
    (0..=1200).map(|thousandths| f64::from(thousandths) / 1000.0)
}

/// Several sets of watermarks, the default among them.
fn marks() -> Vec<Watermarks> {
    let mut all = vec![Watermarks::default()];
    for (high, emergency) in [(0.001, 0.002), (0.02, 0.9), (0.5, 0.51), (0.7, 0.9), (0.9, 1.0), (0.999, 1.0)]
    {
        all.push(Watermarks::new(high, emergency).expect("valid"));
    }
    all.push(Watermarks::default().with_exits(0.1, 0.1).expect("valid"));
    all.push(Watermarks::default().with_exits(0.79, 0.94).expect("valid"));
    all
}

#[test]
fn levels_survive_the_way_through_a_byte() {
    for level in LEVELS {
        assert_eq!(Level::from_u8(level as u8), level);
    }
    assert_eq!(Level::default(), Level::Normal);
    assert!(Level::Normal < Level::High && Level::High < Level::Emergency);
    assert_eq!(format!("[{:>9}] [{}]", Level::High, Level::Emergency), "[     high] [emergency]");
}

#[test]
fn defaults_are_what_their_constructor_makes() {
    let made = Watermarks::new(0.80, 0.95).expect("valid");
    let default = Watermarks::default();
    for (a, b) in [
        (made.high(), default.high()),
        (made.high_exit(), default.high_exit()),
        (made.emergency(), default.emergency()),
        (made.emergency_exit(), default.emergency_exit()),
    ] {
        assert!((a - b).abs() < 1e-9, "{a} {b}");
    }
}

#[test]
fn nonsense_is_refused_with_the_figures() {
    for (high, emergency) in [
        (0.0, 0.9),
        (-0.1, 0.9),
        (0.9, 0.9),
        (0.95, 0.9),
        (0.8, 1.01),
        (f64::NAN, 0.9),
        (0.8, f64::NAN),
        (0.8, f64::INFINITY),
    ] {
        let refused = Watermarks::new(high, emergency).expect_err("nonsense");
        assert!(refused.to_string().contains(&format!("high {high} ")), "{refused}");
    }
    let default = Watermarks::default();
    for (high_exit, emergency_exit) in
        [(0.80, 0.85), (0.0, 0.85), (0.75, 0.95), (0.75, 0.74), (f64::NAN, 0.85), (0.75, f64::NAN)]
    {
        assert!(default.with_exits(high_exit, emergency_exit).is_err(), "{high_exit} {emergency_exit}");
    }
}

#[test]
fn a_level_is_what_its_watermarks_say() {
    for marks in marks() {
        for (level, fullness) in LEVELS.into_iter().flat_map(|level| grid().map(move |f| (level, f))) {
            let next = marks.next(level, fullness);
            // Outside the bands the past does not matter.
            if fullness >= marks.emergency() {
                assert_eq!(next, Level::Emergency);
            } else if fullness < marks.high_exit() {
                assert_eq!(next, Level::Normal);
            } else if fullness < marks.emergency_exit() && fullness >= marks.high() {
                assert_eq!(next, Level::High);
            }
            // A level is left only at its exit, and entered only at its entry.
            if level == Level::Emergency && fullness >= marks.emergency_exit() {
                assert_eq!(next, Level::Emergency);
            }
            if level >= Level::High && fullness >= marks.high_exit() {
                assert!(next >= Level::High);
            }
            if next > level {
                let entry = if next == Level::Emergency { marks.emergency() } else { marks.high() };
                assert!(fullness >= entry);
            }
            // The same figure twice changes nothing more.
            assert_eq!(marks.next(next, fullness), next, "{marks:?} {level} {fullness}");
        }
    }
}

#[test]
fn a_fuller_memory_never_lowers_the_level() {
    for marks in marks() {
        for level in LEVELS {
            let next: Vec<Level> = grid().map(|fullness| marks.next(level, fullness)).collect();
            assert!(next.is_sorted(), "{marks:?} {level}");
        }
    }
}

#[test]
fn a_trembling_figure_inside_a_band_never_flips_a_level() {
    let marks = Watermarks::default();
    for start in LEVELS {
        for (low, high) in [(0.75, 0.799), (0.85, 0.949)] {
            let mut level = marks.next(start, low);
            let settled = level;
            for step in 0..1000_u32 {
                // A multiplier without a common factor visits the band in no obvious order.
                let share = f64::from(step.wrapping_mul(2_654_435_761) >> 16) / 65_536.0;
                level = marks.next(level, low + (high - low) * share);
                assert_eq!(level, settled, "{start} {low}..{high}");
            }
        }
    }
}

#[test]
fn what_is_not_a_number_changes_nothing() {
    for level in LEVELS {
        assert_eq!(Watermarks::default().next(level, f64::NAN), level);
    }
    assert_eq!(Watermarks::default().next(Level::Normal, f64::INFINITY), Level::Emergency);
}

#[test]
fn fullness_without_a_limit_is_nothing() {
    assert_eq!(MemorySample { used: 7, limit: 0 }.fullness(), 0.0);
    assert_eq!(MemorySample { used: 30, limit: 20 }.fullness(), 1.5);
}

#[test]
fn clones_of_a_fixed_source_share_it() {
    let source = FixedPressure::new(1, 2);
    let other = Arc::new(source.clone());
    source.set(3, 4);
    assert_eq!(other.sample(), Some(MemorySample { used: 3, limit: 4 }));
    source.set_unknown();
    assert_eq!(other.sample(), None);
    assert_eq!(other.name(), "fixed");
}
