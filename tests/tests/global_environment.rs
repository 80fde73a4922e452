//! The environment: what the global domain makes of it, each time in a process of its own.
//!
//! The test runs its own binary again, for one ignored test that prints what it finds. Nothing here changes the
//! environment of a running process.

use std::process::Command;

/// Runs [`child`] with these variables; what it printed.
fn with(variables: &[(&str, &str)]) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "child", "--ignored", "--nocapture", "--test-threads=1"]);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("LARDER_") {
            command.env_remove(name);
        }
    }
    let output = command.envs(variables.iter().copied()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

#[track_caller]
fn finds(variables: &[(&str, &str)], expected: &[&str]) {
    let text = with(variables);
    for part in expected {
        assert!(text.contains(part), "no `{part}` in:\n{text}");
    }
}

#[test]
#[ignore = "the other tests run it, in processes of their own"]
fn child() {
    // Before anything else is asked for: the domain is built by whoever comes first.
    let early = larder::Cache::<u64, u64>::builder("early").build().unwrap();
    early.insert(1, 1);
    match larder::init() {
        Ok(()) => println!("init: ok"),
        Err(error) => println!("init: {error}"),
    }
    let stats = larder::stats();
    println!("limit: {}", stats.budget.limit);
    println!("source: {}", stats.pressure.source);
    println!("warnings: {}", stats.warnings.len());
    for warning in &stats.warnings {
        println!("warning: {warning}");
    }
    println!("threads: {}", threads());
    assert_eq!(early.get(1), Some(1));
}

/// How many threads of ours this process has, where the system says.
fn threads() -> usize {
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else { return 0 };
    let names = tasks.flatten().filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
    names.filter(|name| name.trim() == "larder").count()
}

#[test]
fn the_budget_comes_from_the_environment() {
    finds(&[("LARDER_BUDGET_MB", "64")], &["init: ok", "limit: 67108864\n", "warnings: 0"]);
    finds(&[("LARDER_BUDGET_MB", "0.5")], &["init: ok", "limit: 524288\n"]);
}

#[test]
fn a_budget_that_follows_memory_begins_with_the_default_and_gives_way_to_a_number() {
    finds(&[("LARDER_BUDGET", "auto")], &["init: ok", "warnings: 0"]);
    finds(&[("LARDER_BUDGET", "auto"), ("LARDER_BUDGET_MB", "64")], &["init: ok", "limit: 67108864\n"]);
    finds(&[("LARDER_BUDGET", "64")], &["init: LARDER_BUDGET is \"64\", but takes `auto`", "warnings: 1"]);
}

#[test]
fn a_variable_that_is_empty_is_not_set() {
    finds(&[("LARDER_BUDGET_MB", ""), ("LARDER_PRESSURE", "")], &["init: ok", "warnings: 0"]);
}

#[test]
fn pressure_can_be_switched_off() {
    finds(&[("LARDER_PRESSURE", "off")], &["init: ok", "source: off"]);
}

#[test]
fn threads_can_be_forbidden() {
    finds(&[("LARDER_THREADS", "0")], &["init: ok", "threads: 0"]);
}

#[test]
fn nonsense_is_ignored_and_said() {
    for (name, value) in [
        ("LARDER_BUDGET_MB", "0"),
        ("LARDER_BUDGET_MB", "-5"),
        ("LARDER_BUDGET_MB", "much"),
        ("LARDER_BUDGET_MB", "NaN"),
        ("LARDER_BUDGET_MB", "inf"),
        ("LARDER_PRESSURE", "perhaps"),
        ("LARDER_THREADS", "-1"),
        ("LARDER_THREADS", "1.5"),
        ("LARDER_PRESSURE_HIGH", "120%"),
        ("LARDER_PRESSURE_HIGH", "0.99"),
        ("LARDER_PRESSURE_EMERGENCY", "0.5"),
        ("LARDER_INTERVAL", "30"),
        ("LARDER_INTERVAL", "1us"),
    ] {
        let text = with(&[(name, value)]);
        assert!(text.contains("warnings: 1"), "{name}={value}:\n{text}");
        assert!(text.contains("warning: ignored: ") && text.contains(name), "{name}={value}:\n{text}");
        assert!(!text.contains("init: ok"), "{name}={value}:\n{text}");
    }
}

#[test]
fn all_that_is_wrong_is_said_at_once() {
    let wrong = [("LARDER_BUDGET_MB", "x"), ("LARDER_THREADS", "y"), ("LARDER_INTERVAL", "z")];
    finds(&wrong, &["warnings: 3", "LARDER_BUDGET_MB", "LARDER_THREADS", "LARDER_INTERVAL"]);
}
