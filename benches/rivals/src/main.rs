//! larder beside the caching crates that a Rust program would use instead: one command, every table.
//!
//! Each row is one workload on a fresh cache. All contestants take turns within a round, and medians over the rounds
//! count, so that a slow second of the machine is shared. It is not a verdict on any crate: `docs/performance.md` says
//! what each row measures and what it does not show.

mod allocations;
mod arguments;
mod bytes;
mod contestants;
mod large;
mod measure;
mod plot;
mod pools;
mod real;
mod split;
mod table;
mod traces;
mod workloads;

use std::error::Error;
use std::path::Path;
use std::process::{Command, ExitCode};

use arguments::Arguments;
use measure::Effort;

fn main() -> ExitCode {
    let arguments = match Arguments::read() {
        Ok(arguments) if arguments.wants_help => {
            print!("{}", arguments::HELP);
            return ExitCode::SUCCESS;
        }
        Ok(arguments) => arguments,
        Err(error) => {
            eprintln!("error: {error}\n\n{}", arguments::HELP);
            return ExitCode::from(2);
        }
    };
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    if let Some(task) = &arguments.child {
        return real::child(task);
    }
    larder::budget().set_limit_mb(2048);
    if let Some(folder) = &arguments.plots {
        std::fs::create_dir_all(folder)
            .map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
    }
    let plots = arguments.plots.as_deref();
    println!("{}", machine());
    measure_times(arguments, plots)?;
    if arguments.wants("bytes") {
        bytes::print(if arguments.is_quick { 5 } else { 13 });
    }
    if arguments.wants("large") {
        large::print(10_000_000);
    }
    if arguments.wants("traces") {
        replay_traces(arguments, plots)?;
    }
    if arguments.wants("split") {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        split::run(arguments.is_quick, arguments.jobs.unwrap_or(cores), plots)?;
    }
    if arguments.wants("real") {
        real::run(arguments.is_quick)?;
    }
    Ok(())
}

fn measure_times(arguments: &Arguments, plots: Option<&Path>) -> Result<(), Box<dyn Error>> {
    let effort = if arguments.is_quick { Effort::QUICK } else { Effort::FULL };
    let parts: [(&str, &dyn Fn() -> table::Group); 14] = [
        ("hit", &|| workloads::hit(effort)),
        ("annotated", &|| workloads::annotated(effort)),
        ("threads", &|| workloads::threads(effort)),
        ("compute-0.99", &|| workloads::compute(0.99, effort)),
        ("compute-1.2", &|| workloads::compute(1.2, effort)),
        ("pair", &|| workloads::pair(effort)),
        ("insert", &|| workloads::insert(effort)),
        ("miss", &|| workloads::miss(effort)),
        ("pool-objects", &|| pools::objects(effort)),
        ("pool-vectors", &|| pools::vectors(effort)),
        ("pool-buffers", &|| pools::buffers(effort)),
        ("pool-turns", &|| pools::turns(effort)),
        ("pool-burst", &|| pools::burst(effort)),
        ("pool-waiting", &|| pools::waiting(effort)),
    ];
    for (part, measure) in parts.into_iter().filter(|(part, _)| arguments.wants(part)) {
        if part == "pool-burst" && !arguments.is_only(part) {
            measure_alone(part, arguments)?;
            continue;
        }
        eprintln!("   {part}");
        let group = measure();
        table::print(&group);
        if let Some(folder) = plots {
            plot::throughput(&group, folder)?;
        }
    }
    Ok(())
}

/// Measures a part in a process of its own: an allocator that has seen large blocks come back keeps them from then on, so
/// what ran before would decide what it costs here.
fn measure_alone(part: &str, arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let mut alone = Command::new(std::env::current_exe()?);
    alone.arg(part);
    if arguments.is_quick {
        alone.arg("--quick");
    }
    if let Some(folder) = &arguments.plots {
        alone.arg("--plots").arg(folder);
    }
    let status = alone.status()?;
    if status.success() { Ok(()) } else { Err(format!("{part}: {status}").into()) }
}

fn replay_traces(arguments: &Arguments, plots: Option<&Path>) -> Result<(), Box<dyn Error>> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let effort = traces::Effort {
        accesses: if arguments.is_quick { 250_000 } else { 4_000_000 },
        jobs: arguments.jobs.unwrap_or(cores),
    };
    let report = traces::run(arguments.traces.as_deref(), &effort)?;
    report.print();
    if arguments.traces.is_none() {
        println!("\nRecorded traces skipped: no folder is given, neither by --traces nor by LARDER_TRACES.");
    }
    if let Some(folder) = plots {
        plot::hit_ratios(&report, folder)?;
    }
    Ok(())
}

/// What this ran on, as far as it can be told.
fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let model = read("/proc/cpuinfo")
        .lines()
        .find_map(|line| {
            line.strip_prefix("model name")?.split_once(':').map(|(_, model)| model.trim().to_owned())
        })
        .unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    let load = match read("/proc/loadavg").split_whitespace().next() {
        Some(load) => format!(", load {load} before the first row"),
        None => String::new(),
    };
    format!("{cores} cores, {model}{load}")
}
