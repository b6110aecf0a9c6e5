//! The end of an HTTP response, which is all that is wanted of it.

use std::mem;

/// A response without this many bytes of head is not worth reading on.
const MAX_HEAD: usize = 64 * 1024;
const MAX_HEADERS: usize = 64;

/// A response that is being read.
#[derive(Default)]
pub struct Response {
    stage: Stage,
    head: Vec<u8>,
}

#[derive(Default)]
enum Stage {
    #[default]
    Head,
    Body {
        left: Option<u64>,
        summary: Summary,
    },
}

/// What there is to know about a response that was read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The status code.
    pub status: u16,
    /// Whether the server takes another request on the connection.
    pub keep_alive: bool,
}

/// These bytes are not an HTTP response.
#[derive(Debug, PartialEq, Eq)]
pub struct Malformed;

impl Response {
    /// Takes the next bytes; gives the summary when they end the response.
    ///
    /// The response is then ready to read the next one.
    pub fn read(&mut self, bytes: &[u8]) -> Result<Option<Summary>, Malformed> {
        let mut body_bytes = bytes.len() as u64;
        if let Stage::Head = self.stage {
            self.head.extend_from_slice(bytes);
            let Some((length, body)) = parse_head(&self.head)? else { return Ok(None) };
            body_bytes = (self.head.len() - length) as u64;
            self.stage = body;
        }
        let Stage::Body { left: Some(left), summary } = &mut self.stage else { return Ok(None) };
        *left = left.checked_sub(body_bytes).ok_or(Malformed)?;
        if *left > 0 {
            return Ok(None);
        }
        let summary = *summary;
        self.stage = Stage::Head;
        self.head.clear();
        Ok(Some(summary))
    }

    /// Takes the end of the stream, which ends a response without a length.
    pub fn end(&mut self) -> Option<Summary> {
        match mem::take(&mut self.stage) {
            Stage::Body { left: None, summary } => Some(summary),
            _ => None,
        }
    }
}

fn parse_head(bytes: &[u8]) -> Result<Option<(usize, Stage)>, Malformed> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let length = match response.parse(bytes).map_err(|_| Malformed)? {
        httparse::Status::Complete(length) => length,
        httparse::Status::Partial if bytes.len() > MAX_HEAD => return Err(Malformed),
        httparse::Status::Partial => return Ok(None),
    };

    let value = |name: &str| {
        let header = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        header.map(|header| String::from_utf8_lossy(header.value))
    };
    let left = match value("Content-Length") {
        Some(length) => Some(length.parse().map_err(|_| Malformed)?),
        None => None,
    };
    let status = response.code.ok_or(Malformed)?;
    let keep_alive = left.is_some()
        && value("Connection").is_some_and(|value| value.eq_ignore_ascii_case("keep-alive"));
    Ok(Some((length, Stage::Body { left, summary: Summary { status, keep_alive } })))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &[u8] =
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\nhello";
    const KEPT: Summary = Summary { status: 200, keep_alive: true };

    #[test]
    fn ends_wherever_the_bytes_are_cut() {
        for cut in 1..PAGE.len() {
            let mut response = Response::default();
            assert_eq!(response.read(&PAGE[..cut]), Ok(None), "cut at {cut}");
            assert_eq!(response.read(&PAGE[cut..]), Ok(Some(KEPT)), "cut at {cut}");
            assert_eq!(response.read(PAGE), Ok(Some(KEPT)), "the next one, cut at {cut}");
        }
    }

    #[test]
    fn without_a_length_ends_with_the_stream() {
        let mut response = Response::default();
        assert_eq!(response.read(b"HTTP/1.0 404 Not Found\r\n\r\nno such page"), Ok(None));
        assert_eq!(response.end(), Some(Summary { status: 404, keep_alive: false }));
    }

    #[test]
    fn the_stream_may_not_end_early() {
        let mut response = Response::default();
        assert_eq!(response.read(&PAGE[..PAGE.len() - 1]), Ok(None));
        assert_eq!(response.end(), None);
    }

    #[test]
    fn more_than_the_length_is_malformed() {
        let mut response = Response::default();
        let page = [PAGE, b"!"].concat();
        assert_eq!(response.read(&page), Err(Malformed));
    }
}
