//! A load generator of what workers ask a store: lookups, puts and probes.
//!
//! One thread has as many workers as it is told, each with a router and with connections of its own,
//! made of the same core as the module.

mod fleet;
mod link;
mod options;
mod report;
mod sessions;
mod survey;
mod worker;

use std::error::Error;
use std::io;
use std::process::ExitCode;

use fleet::Fleet;
use options::Options;
use report::{resident, Report};

fn main() -> ExitCode {
    let options = Options::from_args();
    match run(&options) {
        Ok(report) if report.is_as_expected() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(1),
        Err(error) => {
            eprintln!("store-bench: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(options: &Options) -> Result<Report, Box<dyn Error>> {
    common::allow_descriptors(options.connections())?;
    let before = resident()?;
    let mut fleet = Fleet::new(options)?;
    fleet.connect()?;
    let connected = resident()?;
    fleet.fill()?;
    if options.pause {
        println!("ready");
        wait_for_line()?;
    }

    let tally = fleet.measure()?;
    let report = Report::new(options, tally, [before, connected, resident()?]);
    println!("{}", serde_json::to_string(&report)?);
    if options.pause {
        wait_for_line()?;
    }
    Ok(report)
}

fn wait_for_line() -> io::Result<()> {
    io::stdin().read_line(&mut String::new()).map(drop)
}
