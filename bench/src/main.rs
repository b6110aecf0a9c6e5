//! A load generator of TLS handshakes, full and resumed.
//!
//! One thread drives all connections through epoll. Sessions are made first, by full handshakes at
//! one address, and then offered to the same or to other addresses; only the second part is
//! measured.

mod client;
mod connection;
mod driver;
mod options;
mod progress;
mod report;
mod response;
mod schedule;
mod sessions;

use std::error::Error;
use std::io;
use std::process::ExitCode;

use driver::Driver;
use options::Options;
use report::Report;

fn main() -> ExitCode {
    let options = Options::from_args();
    match run(&options) {
        Ok(report) if report.is_as_expected(&options) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(1),
        Err(error) => {
            eprintln!("tls-bench: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(options: &Options) -> Result<Report, Box<dyn Error>> {
    common::allow_descriptors(options.concurrency)?;
    let mut driver = Driver::new(options)?;

    let made = driver.prepare()?;
    if let Some(reason) = made.first_failure() {
        return Err(format!("cannot make a session at {}: {reason}", options.make).into());
    }
    if options.pause {
        println!("ready");
        io::stdin().read_line(&mut String::new())?;
    }

    let report = Report::new(options, driver.measure()?);
    if options.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{report}");
    }
    Ok(report)
}
