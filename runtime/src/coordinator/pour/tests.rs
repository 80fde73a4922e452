use super::*;

const MB: u64 = 1 << 20;

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (x ^ (x >> 31)) % bound.max(1)
    }
}

/// Saves `each` for every megabyte up to `most`.
fn even(each: f64, most: u64) -> Curve {
    Curve::from_points((1..=most).map(|mb| (mb * MB, mb as f64 * each)).collect(), 0.0)
}

fn party(bytes: u64, curve: &Curve) -> Party<'_> {
    Party {
        bytes,
        floor: 0,
        ceiling: u64::MAX,
        priority: 1.0,
        curve: Some(curve),
        group: None,
        trend: Trend::Free,
    }
}

fn targets(plan: &Plan) -> Vec<u64> {
    plan.targets.iter().map(|target| target.unwrap_or(0) / MB).collect()
}

/// Follows plans until nothing moves, and returns what everybody has then.
fn settle(parties: &mut [Party<'_>], budget: u64) -> Vec<u64> {
    for _ in 0..100 {
        let plan = pour(parties, budget, &[]);
        if plan.verdict != Verdict::Move {
            return parties.iter().map(|party| party.bytes / MB).collect();
        }
        for (party, target) in parties.iter_mut().zip(&plan.targets) {
            party.bytes = target.unwrap_or(party.bytes);
        }
    }
    panic!("it never settles");
}

#[test]
fn bytes_go_where_they_save_the_most_a_tenth_at_a_time() {
    let (dear, cheap) = (even(10.0, 60), even(1.0, 1000));
    let parties = [party(50 * MB, &dear), party(50 * MB, &cheap)];
    let plan = pour(&parties, 100 * MB, &[]);
    assert_eq!(plan.verdict, Verdict::Move);
    assert_eq!(targets(&plan), [60, 40]);
    let far = [party(5 * MB, &dear), party(95 * MB, &cheap)];
    let plan = pour(&far, 100 * MB, &[]);
    assert_eq!((targets(&plan), plan.moved / MB), (vec![15, 85], 10));
    assert_eq!(settle(&mut far.clone(), 100 * MB), [60, 40]);
    assert_eq!(plan.price * MB as f64, 1.0, "the last byte went to the cheap one");
}

#[test]
fn priority_multiplies_what_is_saved() {
    let curve = Curve::from_points((1..=100).map(|mb: u64| (mb * MB, (mb as f64).sqrt())).collect(), 0.0);
    let mut twins = [party(30 * MB, &curve), party(30 * MB, &curve)];
    twins[0].priority = 2.0;
    let settled = settle(&mut twins, 60 * MB);
    assert!(settled[0] as f64 >= 1.3 * settled[1] as f64, "{settled:?}");
}

#[test]
fn a_cliff_is_had_in_full_or_not_at_all() {
    // A loop over 50 MB: nothing below, everything from there on.
    let cliff = Curve::from_points(vec![(50 * MB, 1000.0)], 0.0);
    let small = even(1.0, 1000);
    let plenty = settle(&mut [party(40 * MB, &cliff), party(40 * MB, &small)], 80 * MB);
    assert!(plenty[0] >= 50, "{plenty:?}");
    let short = settle(&mut [party(20 * MB, &cliff), party(20 * MB, &small)], 40 * MB);
    assert!(short[0] < 5 && short[1] >= 35, "{short:?}");
}

#[test]
fn floors_ceilings_and_strangers_are_left_alone() {
    let (dear, cheap) = (even(10.0, 1000), even(1.0, 1000));
    let mut parties = [party(20 * MB, &dear), party(60 * MB, &cheap), party(20 * MB, &cheap)];
    parties[0].ceiling = 30 * MB;
    parties[1].floor = 55 * MB;
    parties[2].curve = None;
    let plan = pour(&parties, 100 * MB, &[]);
    assert_eq!(plan.targets[2], None);
    let [dear, cheap, _] = settle(&mut parties, 100 * MB)[..] else { panic!("three parties") };
    assert!(dear <= 30 && cheap >= 55 && dear + cheap <= 80, "{dear} {cheap}");
}

#[test]
fn noise_small_steps_and_refills_that_do_not_pay_move_nothing() {
    let verdict = |a: &Curve, b: &Curve, bytes: u64| {
        pour(&[party(bytes, a), party(100 * MB - bytes, b)], 100 * MB, &[]).verdict
    };
    assert_eq!(verdict(&even(1.01, 100), &even(1.0, 100), 50 * MB), Verdict::SmallGain);
    assert_eq!(verdict(&even(9.0, 60), &even(1.0, 100), 60 * MB), Verdict::SmallMove);
    let dear = Curve::from_points(even(2.0, 100).points().to_vec(), 1.0);
    assert_eq!(verdict(&dear, &even(1.0, 100), 50 * MB), Verdict::Refill);
    assert_eq!(pour(&[], 100 * MB, &[]).verdict, Verdict::Nothing);
}

#[test]
fn where_nearly_all_is_saved_a_part_of_what_is_left_is_worth_moving_for() {
    // The first bytes save nearly all, and of the rest one has all that there is.
    let sated = Curve::from_points(vec![(10 * MB, 1000.0)], 0.0);
    let mut points = vec![(10 * MB, 1000.0)];
    points.extend((1..=40).map(|mb| ((10 + mb) * MB, 1000.0 + mb as f64 * 0.25)));
    let hungry = Curve::from_points(points, 0.0);
    let plan = pour(&[party(50 * MB, &sated), party(20 * MB, &hungry)], 70 * MB, &[]);
    assert!(plan.gain < plan.saved * GAIN);
    assert_eq!(plan.verdict, Verdict::Move);
}

#[test]
fn while_the_load_is_calm_a_target_turns_round_only_for_good() {
    let (dear, cheap, least) = (even(10.0, 60), even(1.0, 1000), even(0.5, 1000));
    let plan = |trend, bytes: u64| {
        let mut parties = [party(bytes, &dear), party(100 * MB - bytes, &cheap)];
        parties[0].trend = trend;
        pour(&parties, 100 * MB, &[])
    };
    // From 50 to 60 MB is a sixth, from 30 it is half.
    assert_eq!(plan(Trend::Up(9), 50 * MB).verdict, Verdict::Move);
    assert_eq!(plan(Trend::Down(9), 50 * MB).verdict, Verdict::SmallMove);
    assert_eq!(targets(&plan(Trend::Down(9), 50 * MB)), [50, 50]);
    assert_eq!(plan(Trend::Down(REST - 1), 30 * MB).verdict, Verdict::SmallMove);
    assert_eq!(targets(&plan(Trend::Down(REST), 30 * MB)), [40, 60]);
    // Who keeps its course gives nothing, and who takes gets what the others give.
    let mut parties = [party(30 * MB, &dear), party(50 * MB, &cheap), party(20 * MB, &least)];
    parties[1].trend = Trend::Up(0);
    let plan = pour(&parties, 100 * MB, &[]);
    assert_eq!(plan.targets[1], Some(50 * MB));
    let sum: u64 = plan.targets.iter().flatten().sum();
    assert!(sum <= 100 * MB && plan.targets[0] > Some(30 * MB), "{:?}", plan.targets);
    assert_eq!(Trend::Up(3).next(1000 * MB, 1000 * MB + 1), Trend::Up(4));
    assert_eq!(Trend::Up(3).next(1000 * MB, 900 * MB), Trend::Down(0));
    assert_eq!(Trend::Free.next(MB, MB), Trend::Free);
}

/// What a tenant holds, its floor, its ceiling and its priority.
type Terms = (u64, u64, u64, f64);

/// Anything at all, as it may come from thousands of processes.
fn any(random: &mut Random) -> (Vec<Curve>, Vec<Terms>, u64) {
    let count = 1 + random.below(12);
    let curves = (0..count).map(|_| {
        let (mut bytes, mut value) = (0, 0.0);
        let points = (0..random.below(30)).map(|_| {
            bytes += 1 + random.below(4 * MB);
            value += random.below(1_000_000) as f64;
            (bytes, value)
        });
        let points = points.collect();
        Curve::from_points(points, random.below(100) as f64 / 1e6)
    });
    let curves: Vec<_> = curves.collect();
    let rest = (0..count).map(|_| {
        let floor = if random.below(3) == 0 { random.below(3 * MB) } else { 0 };
        let ceiling = if random.below(3) == 0 { random.below(20 * MB) } else { u64::MAX };
        (random.below(20 * MB), floor, ceiling, [0.1, 1.0, 7.0][random.below(3) as usize])
    });
    let rest = rest.collect();
    (curves, rest, random.below(200 * MB))
}

#[test]
fn no_plan_breaks_budget_floors_ceilings_or_is_worse_than_the_one_before() {
    let mut random = Random(11);
    let mut moves = 0;
    for round in 0..3000 {
        let (curves, rest, budget) = any(&mut random);
        let stranger = random.below(4) == 0;
        let kinds = [Trend::Free, Trend::Up(0), Trend::Up(9), Trend::Down(0), Trend::Down(9)];
        let trends: Vec<Trend> = curves.iter().map(|_| kinds[random.below(5) as usize]).collect();
        let parties: Vec<Party<'_>> = curves
            .iter()
            .zip(&rest)
            .enumerate()
            .map(|(at, (curve, &(bytes, floor, ceiling, priority)))| Party {
                bytes,
                floor: floor.min(ceiling),
                ceiling,
                priority,
                curve: (at > 0 || !stranger).then_some(curve),
                group: None,
                trend: trends[at],
            })
            .collect();
        let plan = pour(&parties, budget, &[]);
        if plan.verdict == Verdict::Nothing {
            assert!(plan.targets.iter().all(Option::is_none));
            continue;
        }
        let strangers: u64 =
            parties.iter().filter(|party| party.curve.is_none()).map(|party| party.bytes).sum();
        let sum: u64 = plan.targets.iter().flatten().sum();
        assert!(sum <= budget.saturating_sub(strangers), "round {round}: {sum} of {budget}");
        for (party, target) in parties.iter().zip(&plan.targets) {
            let Some(target) = target else { continue };
            assert!(*target >= party.floor && *target <= party.ceiling, "round {round}: {target} {party:?}");
        }
        // By the hulls between the same ends as the plan's.
        let rest = budget.saturating_sub(strangers);
        let now = start(&parties, rest);
        let (mut before, mut after) = (0.0, 0.0);
        for (at, party) in parties.iter().enumerate() {
            let Some(curve) = party.curve else { continue };
            let hull = Hull::of(curve, party.priority, party.ceiling.min(rest));
            before += hull.value(now[at].unwrap_or(0));
            after += hull.value(plan.targets[at].unwrap_or(0));
        }
        assert!(after >= before * (1.0 - 1e-9) - 1e-6, "round {round}: {after} after {before}");
        assert!(plan.moved as f64 <= rest as f64 * STEP + 1.0, "round {round}");
        moves += u32::from(plan.verdict == Verdict::Move);
    }
    assert!(moves > 500, "{moves}");
}

#[test]
fn a_plan_that_was_followed_is_not_taken_back() {
    let mut random = Random(23);
    for _ in 0..300 {
        let (curves, rest, budget) = any(&mut random);
        let mut parties: Vec<Party<'_>> =
            curves.iter().zip(&rest).map(|(curve, (bytes, ..))| party(*bytes, curve)).collect();
        let mut turns = vec![0_u32; parties.len()];
        let mut directions = vec![0_i32; parties.len()];
        for _ in 0..100 {
            let plan = pour(&parties, budget, &[]);
            let now = start(&parties, budget);
            for (at, party) in parties.iter_mut().enumerate() {
                let (Some(now), Some(then)) = (now[at], plan.targets[at]) else { continue };
                let direction = (then as i64 - now as i64).signum() as i32;
                turns[at] += u32::from(direction * directions[at] < 0);
                if direction != 0 {
                    directions[at] = direction;
                }
                party.bytes = then;
            }
        }
        assert!(turns.iter().all(|turns| *turns < 5), "{turns:?}");
    }
}

/// The figure is for a release build; one with checks is slower.
#[test]
fn a_plan_for_two_hundred_tenants_takes_less_than_a_millisecond() {
    let mut random = Random(5);
    let curves: Vec<Curve> = (0..200)
        .map(|_| {
            let (mut bytes, mut value) = (0, 0.0);
            let points = (0..128).map(|_| {
                bytes += 1 + random.below(MB);
                value += random.below(1_000_000) as f64;
                (bytes, value)
            });
            Curve::from_points(points.collect(), 0.0)
        })
        .collect();
    let parties: Vec<Party<'_>> = curves.iter().map(|curve| party(10 * MB, curve)).collect();
    let took = (0..20).map(|_| {
        let start = std::time::Instant::now();
        assert!(pour(&parties, 2000 * MB, &[]).verdict != Verdict::Nothing);
        start.elapsed()
    });
    let least = took.min().expect("it ran");
    let most = if cfg!(debug_assertions) { 50 } else { 1 };
    assert!(least.as_millis() < most, "{least:?}");
}

#[test]
fn a_group_has_what_it_was_promised_as_far_as_it_has_a_use_for_it() {
    let (dear, cheap) = (even(10.0, 1000), even(1.0, 60));
    let mut parties = [party(50 * MB, &dear), party(25 * MB, &cheap), party(25 * MB, &cheap)];
    assert_eq!(targets(&pour(&parties, 100 * MB, &[])), [60, 20, 20], "ten of a hundred move at a time");
    let all_the_way = |parties: &mut [Party<'_>], shares: &[u64]| {
        for _ in 0..100 {
            let plan = pour(parties, 100 * MB, shares);
            for (party, target) in parties.iter_mut().zip(&plan.targets) {
                party.bytes = target.unwrap_or(party.bytes);
            }
        }
        parties.iter().map(|party| party.bytes / MB).collect::<Vec<u64>>()
    };
    assert!(all_the_way(&mut parties.clone(), &[])[0] >= 98);
    // The first two are a group with nothing promised, the third is one with 40.
    (parties[0].group, parties[1].group, parties[2].group) = (Some(0), Some(0), Some(1));
    let promised = all_the_way(&mut parties.clone(), &[0, 40 * MB]);
    assert!((59..=60).contains(&promised[0]) && (39..=40).contains(&promised[2]), "{promised:?}");
    // It has a use for 60 only, whatever it was promised.
    let plenty = all_the_way(&mut parties.clone(), &[0, 90 * MB]);
    assert!((39..=40).contains(&plenty[0]) && (59..=60).contains(&plenty[2]), "{plenty:?}");
    // Within a group it goes where it saves the most.
    let inside = all_the_way(&mut parties.clone(), &[100 * MB, 0]);
    assert!(inside[0] >= 98, "{inside:?}");
}

#[test]
fn what_a_megabyte_more_adds_is_the_slope_of_the_hull() {
    let curve = Curve::from_points(vec![(2 * MB, 100.0), (4 * MB, 150.0)], 0.0);
    assert_eq!(growth(&curve, MB, MB), Some(1.0));
    assert_eq!(growth(&curve, 2 * MB, MB), Some(0.25));
    assert_eq!(growth(&curve, 4 * MB, MB), Some(0.0));
    assert_eq!(growth(&curve, 0, MB), None, "nothing is saved with nothing");
}

#[test]
fn who_is_to_have_nearly_all_that_is_known_of_it_is_open() {
    let known = |each: f64, most: u64| Curve::of(even(each, most).points().to_vec(), 0.0, most * MB);
    let (young, large) = (known(5.0, 10), known(1.0, 100));
    let plan = pour(&[party(10 * MB, &young), party(40 * MB, &large)], 50 * MB, &[]);
    assert_eq!(plan.open, [true, false]);
    let elder = even(5.0, 10);
    let plan = pour(&[party(10 * MB, &elder), party(40 * MB, &large)], 50 * MB, &[]);
    assert_eq!(plan.open, [false, false], "of what is known as far as there are bytes nothing is open");
}
