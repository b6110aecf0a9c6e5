//! What a connection is called at its server.

/// The longest name.
const MAX_NAME: usize = 64;

/// The name of a worker's connections, of no more than 64 bytes: `nginx-<host>-<worker>`. Redis takes
/// neither spaces nor anything else that is not printable ASCII
/// (<https://redis.io/docs/latest/commands/client-setname/>): such bytes become `-`.
pub fn client_name(host: &[u8], worker: usize) -> Box<[u8]> {
    const HEAD: &[u8] = b"nginx-";

    let tail = format!("-{worker}");
    let len = host.len().min(MAX_NAME - HEAD.len() - tail.len());
    let host = host[..len].iter().map(|&byte| if byte.is_ascii_graphic() { byte } else { b'-' });
    HEAD.iter().copied().chain(host).chain(tail.bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_such_as_redis_takes() {
        let name =
            |host: &str, worker| String::from_utf8(client_name(host.as_bytes(), worker).into());
        assert_eq!(name("web-1.example.net", 3).unwrap(), "nginx-web-1.example.net-3");
        assert_eq!(name("a b\r\n\u{e9}~!", 0).unwrap(), "nginx-a-b----~!-0");
        assert_eq!(name("", 12).unwrap(), "nginx--12");
    }

    /// However long the host's name is, it is the worker's number that is kept.
    #[test]
    fn names_are_bounded() {
        let name = client_name(&[b'x'; 300], usize::MAX);
        assert_eq!(name.len(), MAX_NAME);
        assert!(name.ends_with(format!("x-{}", usize::MAX).as_bytes()));
    }
}
