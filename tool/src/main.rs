//! What an operator does with the TLS session cache from a shell.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Look at, try and clean the TLS session cache of a fleet of nginx servers.
#[derive(Parser)]
#[command(name = "ssl-session-cache", version)]
struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {}

fn main() -> ExitCode {
    match Options::parse().command {}
}
