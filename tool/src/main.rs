//! What an operator does with the TLS session cache from a shell.

#![forbid(unsafe_code)]

mod check;
mod cipher;
mod files;
mod key;
mod link;
mod manual;
mod output;
mod probe;
mod records;
mod session;
mod store;
mod target;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

/// Look at, try and clean the TLS session cache of a fleet of nginx servers.
#[derive(Parser)]
#[command(name = "ssl-session-cache", version, after_long_help = manual::PROGRAM)]
struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make key files, and tell which are the same
    #[command(subcommand)]
    Key(key::Command),
    Check(check::CheckArgs),
    Count(records::CountArgs),
    List(records::ListArgs),
    Flush(records::FlushArgs),
    Show(session::ShowArgs),
    Revoke(session::RevokeArgs),
    Probe(probe::Options),
    /// Make manual pages and completions, for packages
    #[command(subcommand, hide = true)]
    Manual(manual::Command),
}

fn main() -> ExitCode {
    match Options::parse().command {
        Command::Key(command) => key::run(&command),
        Command::Check(args) => output::exit(check::run(args)),
        Command::Count(args) => output::exit(records::count(args)),
        Command::List(args) => output::exit(records::list(args)),
        Command::Flush(args) => output::exit(records::flush(args)),
        Command::Show(args) => output::exit(session::show(args)),
        Command::Revoke(args) => output::exit(session::revoke(args)),
        Command::Probe(options) => probe::run(&options),
        Command::Manual(command) => manual::run(Options::command(), &command),
    }
}
