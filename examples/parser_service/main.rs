//! An HTTP service that computes, under load from its own clients: each request takes a parser from a pool.
//!
//! A parser holds three growing lists; made anew for each request they would be allocated and freed each time. Clients
//! send expressions over loopback connections that stay open, and compare every answer with one they worked out
//! themselves. It is no web framework (`http.rs` reads what these clients send), and no benchmark of one.
//!
//! ```text
//! cargo run --release --example parser_service -- 8 20000
//! ```

mod http;
mod parser;

use std::io::{self, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use parser::Parser;

const HELP: &str = "\
parser_service [CLIENTS [REQUESTS]]

    CLIENTS     connections at a time, 4 unless given
    REQUESTS    requests of each, 5000 unless given
";

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let mut number = |default: u64| match args.next() {
        Some(arg) => arg.parse().ok().filter(|number| *number > 0),
        None => Some(default),
    };
    let (Some(clients), Some(requests), None) = (number(4), number(5000), args.next()) else {
        eprint!("error: two numbers above 0 at the most\n\n{HELP}");
        return ExitCode::from(2);
    };
    match run(clients, requests) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(clients: u64, requests: u64) -> io::Result<()> {
    larder::budget().set_limit_mb(16);
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let address = listener.local_addr()?;
    let started = Instant::now();
    thread::scope(|scope| {
        // One thread for each connection, until its client hangs up.
        let server = scope.spawn(move || {
            for _ in 0..clients {
                let (stream, _) = listener.accept()?;
                scope.spawn(move || serve(stream));
            }
            io::Result::Ok(())
        });
        let clients: Vec<_> =
            (0..clients).map(|client| scope.spawn(move || ask(address, client, requests))).collect();
        for client in clients {
            client.join().expect("a client does not panic")?;
        }
        server.join().expect("the server does not panic")
    })?;
    report(clients * requests, started.elapsed());
    Ok(())
}

/// Answers one client.
fn serve(stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut writer = stream;
    let mut body = Vec::new();
    while http::read_request(&mut reader, &mut body)? {
        // Back in the pool at the end of the statement, empty and with its memory.
        let answer = Parser::acquire().evaluate(&body);
        match answer {
            Ok(value) => http::respond(&mut writer, "200 OK", &value.to_string())?,
            Err(mistake) => http::respond(&mut writer, "400 Bad Request", mistake)?,
        }
    }
    Ok(())
}

/// Sends requests whose answers are known.
fn ask(address: SocketAddr, client: u64, requests: u64) -> io::Result<()> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut writer = stream;
    for request in 0..requests {
        let (a, b) = (client as i64 + 1, (request % 1000) as i64);
        let (expression, expected) = if request % 100 == 99 {
            (format!("({a} + {b}"), ("400 Bad Request", "a bracket is never closed".to_owned()))
        } else {
            let text = format!("({a} + {b}) * ({b} - 3 * (2 + {a})) + {b} / 7");
            (text, ("200 OK", ((a + b) * (b - 3 * (2 + a)) + b / 7).to_string()))
        };
        http::request(&mut writer, &expression)?;
        let (status, answer) = http::read_response(&mut reader)?;
        assert_eq!((&*status, answer), expected, "the answer to {expression}");
    }
    Ok(())
}

fn report(requests: u64, took: Duration) {
    let stats = Parser::pool().stats();
    let each = requests as f64 / took.as_secs_f64();
    println!("{requests} requests, all answered right, in {took:.1?}: {each:.0} in a second");
    println!(
        "{} parsers made, {} leases without making one, {} lent now\n",
        stats.loads, stats.hits, stats.leased
    );
    println!("{}", larder::stats());
    assert_eq!(stats.hits + stats.misses, requests, "each request took one parser");
    assert_eq!(stats.leased, 0, "all of them are back");
}
