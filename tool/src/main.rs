//! What an operator does with the TLS session cache from a shell.

mod cipher;
mod key;

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
enum Command {
    /// Make key files, and tell which are the same
    #[command(subcommand)]
    Key(key::Command),
}

fn main() -> ExitCode {
    match Options::parse().command {
        Command::Key(command) => key::run(&command),
    }
}
