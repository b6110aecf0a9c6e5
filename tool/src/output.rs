//! What is printed: a line for each thing that was looked at, with what to do where it is not right.

use std::fmt::{Arguments, Display};
use std::io::{self, IsTerminal, Write};
use std::process::{self, ExitCode};

/// Prints a line. Whoever reads no more ends the command, as SIGPIPE ends others.
macro_rules! say {
    ($($argument:tt)*) => { $crate::output::line(format_args!($($argument)*)) };
}

/// Prints a line on standard error. That nobody reads it changes nothing.
macro_rules! tell {
    ($($argument:tt)*) => { $crate::output::error_line(format_args!($($argument)*)) };
}

pub(crate) use {say, tell};

/// See [`say!`].
pub fn line(line: Arguments<'_>) {
    /// What a shell says of a command that SIGPIPE has ended.
    const BROKEN_PIPE: i32 = 141;

    if writeln!(io::stdout(), "{line}").is_err() {
        process::exit(BROKEN_PIPE);
    }
}

/// See [`tell!`].
pub fn error_line(line: Arguments<'_>) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// What was found of a thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mark {
    /// It is right.
    Ok,
    /// It is neither right nor wrong, or cannot be told.
    Note,
    /// It works, and can do harm.
    Warning,
    /// It does not work.
    Failure,
}

/// Prints lines, and knows the worst of them.
pub struct Report {
    has_colour: bool,
    warnings: usize,
    failures: usize,
}

impl Report {
    /// With colours where standard output is a terminal.
    pub fn new() -> Self {
        let has_colour = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Self { has_colour, warnings: 0, failures: 0 }
    }

    /// What the lines that follow are about.
    pub fn title(&mut self, title: impl Display) {
        let title = printable(&title.to_string());
        if self.has_colour {
            say!("\x1b[1m{title}\x1b[0m");
        } else {
            say!("{title}");
        }
    }

    /// A thing that is right.
    pub fn ok(&mut self, thing: impl Display) {
        self.line(Mark::Ok, thing, "");
    }

    /// Something to know.
    pub fn note(&mut self, thing: impl Display, advice: &str) {
        self.line(Mark::Note, thing, advice);
    }

    /// What works, and can do harm; and what to do about it.
    pub fn warning(&mut self, thing: impl Display, advice: &str) {
        self.line(Mark::Warning, thing, advice);
    }

    /// What does not work; and what to do about it.
    pub fn failure(&mut self, thing: impl Display, advice: &str) {
        self.line(Mark::Failure, thing, advice);
    }

    /// Whether anything has failed.
    pub fn has_failed(&self) -> bool {
        self.failures > 0
    }

    /// How many failures and warnings there were.
    pub fn end(&self) {
        let count = |count: usize, word: &str| match count {
            1 => format!("1 {word}"),
            _ => format!("{count} {word}s"),
        };
        say!("{}, {}", count(self.failures, "failure"), count(self.warnings, "warning"));
    }

    /// Texts come from servers, too: what is no text is not sent to a terminal.
    fn line(&mut self, mark: Mark, thing: impl Display, advice: &str) {
        match mark {
            Mark::Warning => self.warnings += 1,
            Mark::Failure => self.failures += 1,
            Mark::Ok | Mark::Note => {}
        }
        let (word, colour) = match mark {
            Mark::Ok => ("ok", 32),
            Mark::Note => ("note", 36),
            Mark::Warning => ("warning", 33),
            Mark::Failure => ("failure", 31),
        };
        let thing = printable(&thing.to_string());
        if self.has_colour {
            say!("  \x1b[{colour}m{word:<8}\x1b[0m {thing}");
        } else {
            say!("  {word:<8} {thing}");
        }
        if !advice.is_empty() {
            say!("           -> {}", printable(advice));
        }
    }
}

/// The exit status: 0 where all is right, 1 where it is not, 2 where the command was not understood.
pub fn exit(result: Result<bool, impl Display>) -> ExitCode {
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            complain(error);
            ExitCode::from(2)
        }
    }
}

/// Says on standard error what is wrong.
pub fn complain(error: impl Display) {
    tell!("ssl-session-cache: {}", printable(&error.to_string()));
}

/// A text without what a terminal would act on.
pub fn printable(text: &str) -> String {
    text.chars().map(|char| if char.is_control() { '?' } else { char }).collect()
}

/// Bytes as text.
pub fn text(bytes: &[u8]) -> String {
    printable(&String::from_utf8_lossy(bytes))
}

/// Bytes in hex.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A length of time, with as many digits as tell something.
pub fn time(time: std::time::Duration) -> String {
    let millis = time.as_secs_f64() * 1000.0;
    match millis {
        0.0..10.0 => format!("{millis:.2} ms"),
        10.0..1000.0 => format!("{millis:.0} ms"),
        _ => format!("{:.1} s", millis / 1000.0),
    }
}

/// A number of bytes, as it is said of memory.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];

    let mut count = count as f64;
    if count < 1024.0 {
        return format!("{count} bytes");
    }
    let mut unit = "";
    for larger in UNITS {
        if count < 1024.0 {
            break;
        }
        count /= 1024.0;
        unit = larger;
    }
    format!("{count:.1} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn amounts_as_people_say_them() {
        assert_eq!(time(Duration::from_micros(123)), "0.12 ms");
        assert_eq!(time(Duration::from_millis(123)), "123 ms");
        assert_eq!(time(Duration::from_millis(1234)), "1.2 s");
        assert_eq!(bytes(1000), "1000 bytes");
        assert_eq!(bytes(1536), "1.5 kB");
        assert_eq!(bytes(3 << 30), "3.0 GB");
    }

    #[test]
    fn nothing_that_a_terminal_acts_on() {
        assert_eq!(text(b"a\x1b[31mb\r\n"), "a?[31mb??");
    }
}
