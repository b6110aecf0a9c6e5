//! Manual pages, and what shells complete commands by, for packages. They are made of what `--help`
//! prints.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Subcommand, ValueEnum};
use clap_complete::shells::{Bash, Fish, Zsh};
use clap_complete::{generate, Generator};
use clap_mangen::Man;
use roff::{bold, roman, Roff};

use crate::output;

/// The help of the whole program, behind its commands.
pub(crate) const PROGRAM: &str = "\
Exit status:
  0  all is right
  1  something is not, or could not be done
  2  wrong usage

Examples:
  Make a key for a fleet, and see whether a machine has the same one:

      ssl-session-cache key new /etc/nginx/cache.key
      ssh a.example.net ssl-session-cache key id /etc/nginx/cache.key

  Do sessions made on one machine resume on the other?

      ssl-session-cache probe --name www.example.net 10.0.0.1 10.0.0.2

Files:
  /etc/nginx/cache.key  A key file, as the parameter key= of remote_ssl_session_cache names it: 32
    bytes that only their owner can read.";

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Write manual pages into a folder, one for each command
    Man {
        /// The folder, which is made; without it, the page of the whole program is printed
        dir: Option<PathBuf>,
    },
    /// Print what a shell completes commands by
    Completions {
        /// Which shell
        shell: Shell,
    },
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Shell {
    Bash,
    Zsh,
    Fish,
}

/// For the program that this is the command line of.
pub(crate) fn run(program: clap::Command, command: &Command) -> ExitCode {
    let done = match command {
        Command::Man { dir } => man(program, dir.as_deref()),
        Command::Completions { shell } => io::stdout().write_all(&match shell {
            Shell::Bash => bash_script(program),
            Shell::Zsh => script(program, Zsh),
            Shell::Fish => script(program, Fish),
        }),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::complain(error);
            ExitCode::FAILURE
        }
    }
}

fn script(mut program: clap::Command, shell: impl Generator) -> Vec<u8> {
    let name = program.get_name().to_owned();
    let mut script = Vec::new();
    generate(shell, &mut program, name, &mut script);
    script
}

/// clap_complete writes the name of a program with a hyphen in two ways, and then completes nothing behind a
/// command. Here it is written in one.
fn bash_script(program: clap::Command) -> Vec<u8> {
    let [one, other] = ["__subcmd__", "__"].map(|hyphen| program.get_name().replace('-', hyphen));
    String::from_utf8_lossy(&script(program, Bash)).replace(&one, &other).into_bytes()
}

fn man(program: clap::Command, dir: Option<&Path>) -> io::Result<()> {
    let pages = pages(program)?;
    let Some(dir) = dir else {
        return io::stdout().write_all(&pages[0].text);
    };
    fs::create_dir_all(dir).map_err(|error| in_file(dir, &error))?;
    for page in pages {
        let file = dir.join(page.file);
        fs::write(&file, page.text).map_err(|error| in_file(&file, &error))?;
    }
    Ok(())
}

fn in_file(file: &Path, error: &io::Error) -> io::Error {
    io::Error::other(format!("{}: {error}", file.display()))
}

struct Page {
    file: String,
    text: Vec<u8>,
}

/// Of the program, in front, and of all commands that are not hidden.
fn pages(program: clap::Command) -> io::Result<Vec<Page>> {
    // The "help" of each command would have a page as well.
    let mut program = program.disable_help_subcommand(true);
    program.build();
    let name = program.get_name().to_owned();
    let version = program.get_version().unwrap_or_default().to_owned();

    let mut waiting = vec![program];
    let mut pages = Vec::new();
    while let Some(command) = waiting.pop() {
        waiting.extend(command.get_subcommands().filter(|sub| !sub.is_hide_set()).cloned());
        let man = Man::new(command.clone())
            .source(format!("{name} {version}"))
            .manual("TLS session cache");
        pages.push(Page { file: man.get_filename(), text: page(&name, &command, &man)? });
    }
    Ok(pages)
}

fn page(program: &str, command: &clap::Command, man: &Man) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    man.render_title(&mut text)?;
    man.render_name_section(&mut text)?;
    man.render_synopsis_section(&mut text)?;
    man.render_description_section(&mut text)?;
    if command.get_arguments().any(|argument| !argument.is_hide_set()) {
        man.render_options_section(&mut text)?;
    }
    if command.get_subcommands().any(|sub| !sub.is_hide_set()) {
        man.render_subcommands_section(&mut text)?;
    }
    if let Some(help) = command.get_after_long_help() {
        sections(&help.to_string()).to_writer(&mut text)?;
    }
    see_also(program, command).to_writer(&mut text)?;
    Ok(text)
}

fn see_also(program: &str, command: &clap::Command) -> Roff {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name());
    let mut pages: Vec<_> = command
        .get_subcommands()
        .filter(|sub| !sub.is_hide_set())
        .map(|sub| format!("{name}-{}", sub.get_name()))
        .collect();
    if name != program {
        pages.insert(0, program.to_owned());
    }
    let mut line = Vec::new();
    for page in pages {
        line.extend([bold(page), roman("(1), ")]);
    }
    line.extend([bold("nginx"), roman("(8)")]);

    let mut roff = Roff::new();
    roff.control("SH", ["SEE ALSO"]).text(line);
    roff
}

/// Help as sections of a page. In help, a line that is not indented and ends with a colon is a heading; what
/// is behind two spaces is text, where a word with two spaces behind it is a term that the rest explains;
/// and what is behind six stays as it is.
fn sections(help: &str) -> Roff {
    const VERBATIM: &str = "      ";

    let mut roff = Roff::new();
    let mut is_verbatim = false;
    let mut lines = help.lines().peekable();
    while let Some(line) = lines.next() {
        if let Some(code) = line.strip_prefix(VERBATIM) {
            if !is_verbatim {
                roff.control("PP", []).control("RS", ["4"]).control("nf", []);
                is_verbatim = true;
            }
            roff.text([roman(code)]);
            continue;
        }
        if is_verbatim && line.trim().is_empty() {
            // Between two lines that stay as they are, or behind the last.
            if lines.peek().is_some_and(|next| next.starts_with(VERBATIM)) {
                roff.text([roman("")]);
                continue;
            }
        }
        if is_verbatim {
            roff.control("fi", []).control("RE", []);
            is_verbatim = false;
        }
        let text = line.trim();
        match line.strip_suffix(':').filter(|line| !line.starts_with(' ')) {
            Some(heading) => {
                roff.control("SH", [heading.to_uppercase().as_str()]);
            }
            None if text.is_empty() => {
                let is_last = lines.peek().is_none_or(|next| !next.starts_with(' '));
                if !is_last && lines.peek().is_some_and(|next| !next.starts_with(VERBATIM)) {
                    roff.control("PP", []);
                }
            }
            None => match text.split_once("  ").filter(|(term, _)| !term.contains(' ')) {
                Some((term, rest)) => {
                    roff.control("TP", []).text([bold(term)]).text([roman(rest.trim())]);
                }
                None => {
                    roff.text([roman(text)]);
                }
            },
        }
    }
    if is_verbatim {
        roff.control("fi", []).control("RE", []);
    }
    roff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_becomes_sections() {
        let help = "\
Exit status:
  0  fine
  1  not fine

Examples:
  One that is
  short:

      do it | head -1

      .do it again
  And that is all.

Files:
  /etc/file  What is in it, which
    takes two lines.";
        let expected = "\
.SH \"EXIT STATUS\"
.TP
\\fB0\\fR
fine
.TP
\\fB1\\fR
not fine
.SH EXAMPLES
One that is
short:
.PP
.RS 4
.nf
do it | head \\-1

\\&.do it again
.fi
.RE
And that is all.
.SH FILES
.TP
\\fB/etc/file\\fR
What is in it, which
takes two lines.
";
        assert_eq!(sections(help).to_roff(), expected);
    }

    #[test]
    fn each_command_has_a_page() {
        let sub = |name| clap::Command::new(name).about("x");
        let program = sub("program")
            .subcommand(sub("a").subcommand(sub("b")))
            .subcommand(sub("hidden").hide(true));
        let mut files: Vec<_> = pages(program).unwrap().into_iter().map(|page| page.file).collect();
        assert_eq!(files[0], "program.1");
        files.sort();
        assert_eq!(files, ["program-a-b.1", "program-a.1", "program.1"]);
    }
}
