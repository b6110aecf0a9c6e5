//! What is said before TLS begins in the midst of a connection: RFC 3501, 2595 and 3207.

use std::io::{self, Read, Write};

use clap::ValueEnum;

/// Nothing that is said here has longer lines.
const MAX_LINE: usize = 2048;

/// Protocols with STARTTLS.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Protocol {
    /// Command STARTTLS
    Imap,
    /// Command STLS
    Pop3,
    /// Command STARTTLS, after EHLO
    Smtp,
}

/// A line to be sent, if any, and how the last line of its answer begins; and how others may.
struct Step {
    send: &'static str,
    last: &'static str,
    more: &'static str,
}

impl Protocol {
    fn steps(self) -> &'static [Step] {
        match self {
            Self::Imap => &[
                Step { send: "", last: "* OK", more: "" },
                Step { send: "a STARTTLS\r\n", last: "a OK", more: "* " },
            ],
            Self::Pop3 => &[
                Step { send: "", last: "+OK", more: "" },
                Step { send: "STLS\r\n", last: "+OK", more: "" },
            ],
            Self::Smtp => &[
                Step { send: "", last: "220 ", more: "220-" },
                Step { send: "EHLO localhost\r\n", last: "250 ", more: "250-" },
                Step { send: "STARTTLS\r\n", last: "220 ", more: "220-" },
            ],
        }
    }

    /// Says what has to be said until a ClientHello may follow.
    pub(super) fn start(self, stream: &mut (impl Read + Write)) -> io::Result<()> {
        for step in self.steps() {
            stream.write_all(step.send.as_bytes())?;
            loop {
                let line = line(stream)?;
                if line.starts_with(step.last) {
                    break;
                }
                if step.more.is_empty() || !line.starts_with(step.more) {
                    let after = match step.send.trim_end() {
                        "" => "as a greeting".to_owned(),
                        command => format!("to \"{command}\""),
                    };
                    let line = line.trim_end().escape_debug();
                    return Err(io::Error::other(format!("it says \"{line}\" {after}")));
                }
            }
        }
        Ok(())
    }
}

/// A line, and nothing of what follows it.
fn line(stream: &mut impl Read) -> io::Result<String> {
    let mut line = Vec::new();
    let mut byte = [0];
    while line.len() < MAX_LINE && !line.ends_with(b"\n") {
        if stream.read(&mut byte)? == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it closes the connection"));
        }
        line.extend_from_slice(&byte);
    }
    Ok(String::from_utf8_lossy(&line).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that says what it says, whatever it is told.
    struct Script {
        says: &'static [u8],
        told: Vec<u8>,
    }

    impl Read for Script {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.says.read(buffer)
        }
    }

    impl Write for Script {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.told.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn start(protocol: Protocol, says: &'static str) -> Result<String, String> {
        let mut script = Script { says: says.as_bytes(), told: Vec::new() };
        protocol.start(&mut script).map_err(|error| error.to_string())?;
        assert_eq!(script.says, b"", "all is read");
        Ok(String::from_utf8(script.told).unwrap())
    }

    #[test]
    fn each_protocol_is_spoken() {
        let imap = start(Protocol::Imap, "* OK ready\r\n* CAPABILITY x\r\na OK begin\r\n");
        assert_eq!(imap.as_deref(), Ok("a STARTTLS\r\n"));
        let pop3 = start(Protocol::Pop3, "+OK ready\r\n+OK begin\r\n");
        assert_eq!(pop3.as_deref(), Ok("STLS\r\n"));
        let smtp = "220-mail\r\n220 ready\r\n250-mail\r\n250-SIZE\r\n250 STARTTLS\r\n220 begin\r\n";
        assert_eq!(start(Protocol::Smtp, smtp).as_deref(), Ok("EHLO localhost\r\nSTARTTLS\r\n"));
    }

    #[test]
    fn nothing_behind_the_last_line_is_read() {
        let mut script = Script { says: b"+OK\r\n+OK\r\n\x16\x03", told: Vec::new() };
        Protocol::Pop3.start(&mut script).unwrap();
        assert_eq!(script.says, b"\x16\x03");
    }

    #[test]
    fn a_refusal_is_told() {
        let error = start(Protocol::Imap, "* OK ready\r\na NO not now\r\n").unwrap_err();
        assert_eq!(error, "it says \"a NO not now\" to \"a STARTTLS\"");
        let error = start(Protocol::Smtp, "554 go away\r\n").unwrap_err();
        assert_eq!(error, "it says \"554 go away\" as a greeting");
        let error = start(Protocol::Pop3, "+OK\r\n").unwrap_err();
        assert_eq!(error, "it closes the connection");
    }
}
