//! The ClientHello: at the front of a TCP stream, read before OpenSSL sees it, or as OpenSSL has it.
//!
//! Only what tells which sessions OpenSSL is going to ask for is read (RFC 8446, section 4.1.2).
//! Nothing else is judged: what OpenSSL refuses may pass here, and is refused there.

const HANDSHAKE: u8 = 22;
const MAJOR_VERSION: u8 = 3;
/// The longest plaintext of a record (RFC 8446, section 5.1).
const MAX_FRAGMENT: usize = 1 << 14;
const RECORD_HEADER: usize = 5;

const CLIENT_HELLO: u8 = 1;
const MESSAGE_HEADER: usize = 4;

const SESSION_TICKET: u16 = 35;
const PRE_SHARED_KEY: u16 = 41;
const EARLY_DATA: u16 = 42;
const SUPPORTED_VERSIONS: u16 = 43;

const TLS13: [u8; 2] = [3, 4];

/// A stateful ticket of OpenSSL's, with TLS 1.3, is a session id of this length.
const STATEFUL_TICKET: usize = 32;

/// What a TCP stream begins with.
#[derive(Debug, PartialEq, Eq)]
pub enum Opening<'a> {
    /// A part of a ClientHello: worth another look when the stream has this length, at least. By
    /// then no record is complete that is not yet.
    Partial(usize),
    /// The body of a ClientHello.
    ClientHello(&'a [u8]),
    /// Something else: no TLS, an SSLv2 hello, another record or message, or one that is too long.
    Other,
}

/// Reads what a TCP stream begins with, as it comes.
#[derive(Default)]
pub struct OpeningReader {
    /// Where the first record begins that was not complete yet.
    start: usize,
    /// What the records before that hold of the message.
    message: Vec<u8>,
}

impl OpeningReader {
    /// Looks at a stream, from its first byte, of which no less is there than the last time.
    ///
    /// A message that cannot be complete within `limit` bytes of the stream is another one. So is
    /// whatever comes between its records, as soon as it is there: a client may wait for the alert
    /// that it gets for that.
    pub fn read<'a>(&'a mut self, stream: &'a [u8], limit: usize) -> Opening<'a> {
        loop {
            let header = self.start + RECORD_HEADER;
            let end = match stream[self.start..] {
                [HANDSHAKE, MAJOR_VERSION, _, high, low, ..] => {
                    match u16::from_be_bytes([high, low]).into() {
                        len @ 1..=MAX_FRAGMENT => header + len,
                        _ => return Opening::Other,
                    }
                }
                [] | [HANDSHAKE] | [HANDSHAKE, MAJOR_VERSION, ..] => header,
                _ => return Opening::Other,
            };
            if end > limit {
                return Opening::Other;
            }
            let Some(fragment) = stream.get(header..end) else { return Opening::Partial(end) };
            let before = self.message.len();
            // Most messages are in one record, and are not copied.
            let (kind, len) = match (before, fragment) {
                (0, fragment) => message_header(fragment),
                _ => {
                    self.message.extend_from_slice(fragment);
                    message_header(&self.message)
                }
            };
            if kind != CLIENT_HELLO {
                return Opening::Other;
            }
            if let Some(body) = len.map(|len| MESSAGE_HEADER..MESSAGE_HEADER + len) {
                let missing = body.end.saturating_sub(before + fragment.len());
                if missing == 0 {
                    let message = if before == 0 { fragment } else { &self.message };
                    return Opening::ClientHello(&message[body]);
                }
                if end + RECORD_HEADER + missing > limit {
                    return Opening::Other;
                }
            }
            if before == 0 {
                self.message.extend_from_slice(fragment);
            }
            self.start = end;
        }
    }
}

/// The kind of the message that bytes begin with, one at least, and the length of its body as soon
/// as that is there.
fn message_header(message: &[u8]) -> (u8, Option<usize>) {
    let len = match *message {
        [_, high, middle, low, ..] => Some(u32::from_be_bytes([0, high, middle, low]) as usize),
        _ => None,
    };
    (message[0], len)
}

/// What a client says of the sessions that it could resume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientHello<'a> {
    session_id: &'a [u8],
    /// A stateless ticket for TLS 1.2 (RFC 5077); empty without one.
    ticket: &'a [u8],
    offers_tls13: bool,
    /// The identities of pre-shared keys, a list that may end too early.
    identities: &'a [u8],
    has_early_data: bool,
}

impl<'a> ClientHello<'a> {
    /// Reads the body of the message; `None` where it is not well-formed.
    pub fn parse(body: &'a [u8]) -> Option<Self> {
        let mut body = Reader(body);
        let _version_and_random = body.take(2 + 32)?;
        let session_id = body.short_vector()?;
        let _cipher_suites = body.vector()?;
        let _compression_methods = body.short_vector()?;

        let mut hello = Self::without_extensions(session_id);
        if body.is_empty() {
            return Some(hello);
        }
        let mut extensions = Reader(body.vector()?);
        while !extensions.is_empty() {
            let kind = extensions.u16()?;
            hello.extend(kind, extensions.vector()?)?;
        }
        Some(hello)
    }

    /// Of a message that somebody else has taken apart, who tells the data of an extension by its kind;
    /// `None` where what matters here is not well-formed.
    pub fn new(session_id: &'a [u8], extension: impl Fn(u16) -> Option<&'a [u8]>) -> Option<Self> {
        let mut hello = Self::without_extensions(session_id);
        let add = |hello: &mut Self, kind| match extension(kind) {
            Some(data) => hello.extend(kind, data),
            None => Some(()),
        };
        // Only those that session_ids() uses: OpenSSL goes through all that it knows, for each.
        add(&mut hello, SUPPORTED_VERSIONS)?;
        if hello.offers_tls13 {
            add(&mut hello, PRE_SHARED_KEY)?;
        }
        if !hello.identities.is_empty() {
            add(&mut hello, EARLY_DATA)?;
        }
        if !session_id.is_empty() {
            add(&mut hello, SESSION_TICKET)?;
        }
        Some(hello)
    }

    fn without_extensions(session_id: &'a [u8]) -> Self {
        Self {
            session_id,
            ticket: &[],
            offers_tls13: false,
            identities: &[],
            has_early_data: false,
        }
    }

    /// Adds what an extension says; `None` where it is not well-formed.
    fn extend(&mut self, kind: u16, data: &'a [u8]) -> Option<()> {
        match kind {
            SESSION_TICKET => self.ticket = data,
            SUPPORTED_VERSIONS => {
                let versions = Reader(data).short_vector()?;
                self.offers_tls13 = versions.chunks_exact(2).any(|version| version == TLS13);
            }
            PRE_SHARED_KEY => self.identities = Reader(data).vector()?,
            EARLY_DATA => self.has_early_data = true,
            _ => {}
        }
        Some(())
    }

    /// The ids under which OpenSSL asks its cache for sessions, in this order, whichever of the
    /// servers of a socket the client is for.
    pub fn session_ids(&self, servers: &[ServerAbilities]) -> impl Iterator<Item = &'a [u8]> {
        let speaks_tls13 = |server: &ServerAbilities| self.offers_tls13 && server.tls13;
        let asks_for_id = |server: &ServerAbilities| match (self.session_id, self.ticket) {
            // With TLS 1.3 the field is a leftover, with a ticket it is the client's own mark.
            _ if speaks_tls13(server) => false,
            ([], _) => false,
            (_, [_, ..]) => !server.stateless_tickets,
            _ => true,
        };
        let session_id = servers.iter().any(asks_for_id).then_some(self.session_id);
        // With stateless tickets, OpenSSL takes each for one (tls_parse_ctos_psk() in
        // ssl/statem/extensions_srvr.c).
        let asks_for_tickets =
            |server: &ServerAbilities| speaks_tls13(server) && !server.stateless_tickets;
        let is_asked = servers.iter().any(asks_for_tickets);
        let tickets = is_asked.then(|| self.tickets()).into_iter().flatten();
        session_id.into_iter().chain(tickets.filter(|ticket| ticket.len() == STATEFUL_TICKET))
    }

    /// Whether the client offers a ticket of TLS 1.3.
    pub fn offers_ticket(&self, ticket: &[u8]) -> bool {
        self.tickets().any(|other| other == ticket)
    }

    /// Whether early data comes with a ticket, which is the first one then (RFC 8446, section 4.2.10).
    pub fn has_early_data_with(&self, ticket: &[u8]) -> bool {
        self.has_early_data && self.tickets().next() == Some(ticket)
    }

    /// The identities of pre-shared keys, as far as the list is well-formed.
    fn tickets(&self) -> impl Iterator<Item = &'a [u8]> {
        let mut identities = Reader(self.identities);
        core::iter::from_fn(move || {
            let identity = identities.vector()?;
            let _obfuscated_ticket_age = identities.take(4)?;
            Some(identity)
        })
    }
}

/// The name in the extension of a ClientHello that tells which server it is for (RFC 6066, section
/// 3); `None` where there is none. OpenSSL accepts lists of one name.
pub fn server_name(extension: &[u8]) -> Option<&[u8]> {
    const HOST_NAME: u8 = 0;

    let mut list = Reader(Reader(extension).vector()?);
    let kind = list.take(1)?[0];
    let name = list.vector()?;
    (kind == HOST_NAME).then_some(name)
}

/// What a server is able to do with what a client offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerAbilities {
    /// It speaks TLS 1.3, and so prefers it.
    pub tls13: bool,
    /// It gives, and takes, tickets that hold the session.
    pub stateless_tickets: bool,
}

/// Takes values off the front of bytes.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn u16(&mut self) -> Option<u16> {
        let (value, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u16::from_be_bytes(*value))
    }

    /// Bytes after their number in one byte.
    fn short_vector(&mut self) -> Option<&'a [u8]> {
        let len = self.take(1)?[0];
        self.take(len.into())
    }

    /// Bytes after their number in two bytes.
    fn vector(&mut self) -> Option<&'a [u8]> {
        let len = self.u16()?;
        self.take(len.into())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const TICKETS: ServerAbilities = ServerAbilities { tls13: true, stateless_tickets: true };
    const STATEFUL: ServerAbilities = ServerAbilities { tls13: true, stateless_tickets: false };
    const TLS12: ServerAbilities = ServerAbilities { tls13: false, stateless_tickets: false };

    fn vector(bytes: &[u8]) -> Vec<u8> {
        [&(bytes.len() as u16).to_be_bytes()[..], bytes].concat()
    }

    fn extension(kind: u16, data: &[u8]) -> Vec<u8> {
        [&kind.to_be_bytes()[..], &vector(data)].concat()
    }

    fn versions(versions: &[u16]) -> Vec<u8> {
        let list: Vec<u8> = versions.iter().flat_map(|version| version.to_be_bytes()).collect();
        extension(SUPPORTED_VERSIONS, &[&[list.len() as u8][..], &list].concat())
    }

    fn pre_shared_keys(identities: &[&[u8]]) -> Vec<u8> {
        let list: Vec<u8> = identities
            .iter()
            .flat_map(|identity| [&vector(identity)[..], &[1, 2, 3, 4]].concat())
            .collect();
        let binders = vector(&vec![0; 33 * identities.len()]);
        extension(PRE_SHARED_KEY, &[vector(&list), binders].concat())
    }

    fn body(session_id: &[u8], extensions: &[Vec<u8>]) -> Vec<u8> {
        let mut body = [&[3, 3][..], &[7; 32], &[session_id.len() as u8], session_id].concat();
        body.extend(vector(&[0x13, 0x01, 0xc0, 0x2f]));
        body.extend([1, 0]);
        body.extend(vector(&extensions.concat()));
        body
    }

    fn message(body: &[u8]) -> Vec<u8> {
        let [_, length @ ..] = (body.len() as u32).to_be_bytes();
        [&[CLIENT_HELLO][..], &length, body].concat()
    }

    fn records(message: &[u8], fragment: usize) -> Vec<u8> {
        message
            .chunks(fragment)
            .flat_map(|chunk| [&[HANDSHAKE, 3, 1][..], &vector(chunk)].concat())
            .collect()
    }

    fn ids(body: &[u8], server: ServerAbilities) -> Vec<&[u8]> {
        ids_of_any(body, &[server])
    }

    fn ids_of_any<'a>(body: &'a [u8], servers: &[ServerAbilities]) -> Vec<&'a [u8]> {
        ClientHello::parse(body).unwrap().session_ids(servers).collect()
    }

    /// As OpenSSL has the extensions of a well-formed message, in which no kind is there twice.
    fn as_taken_apart<'a>(
        session_id: &'a [u8],
        extensions: &'a [(u16, Vec<u8>)],
    ) -> Option<ClientHello<'a>> {
        let find = |kind| extensions.iter().find(|(other, _)| *other == kind);
        ClientHello::new(session_id, |kind| find(kind).map(|(_, data)| &data[..]))
    }

    const LIMIT: usize = 64 * 1024;

    /// What a stream that is there at once begins with.
    #[derive(Debug, PartialEq, Eq)]
    enum Found {
        Partial(usize),
        ClientHello(Vec<u8>),
        Other,
    }

    fn read(reader: &mut OpeningReader, stream: &[u8], limit: usize) -> Found {
        match reader.read(stream, limit) {
            Opening::Partial(len) => Found::Partial(len),
            Opening::ClientHello(body) => Found::ClientHello(body.to_vec()),
            Opening::Other => Found::Other,
        }
    }

    fn opening(stream: &[u8]) -> Found {
        read(&mut OpeningReader::default(), stream, LIMIT)
    }

    /// The body found in a stream, after each cut of it was found to be a part, and told no length
    /// to wait for that is not there or has been reached, or that is beyond a record.
    fn body_at_every_cut(stream: &[u8]) -> Vec<u8> {
        let mut reader = OpeningReader::default();
        for cut in 0..stream.len() {
            let part = &stream[..cut];
            let found = opening(part);
            assert_eq!(read(&mut reader, part, LIMIT), found, "as it comes");
            match found {
                Found::Partial(len) => assert!((cut + 1..=stream.len()).contains(&len)),
                other => panic!("cut at {cut}: {other:?}"),
            }
        }
        for rest in [&b""[..], b"\x17\x03\x03\x00\x01x"] {
            let followed = [stream, rest].concat();
            assert_eq!(opening(&followed), opening(stream));
        }
        match read(&mut reader, stream, LIMIT) {
            Found::ClientHello(body) => body,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn one_record_is_not_copied() {
        let body = body(&[9; 32], &[versions(&[0x0304])]);
        let stream = records(&message(&body), MAX_FRAGMENT);
        let mut reader = OpeningReader::default();
        let Opening::ClientHello(found) = reader.read(&stream, LIMIT) else { panic!("no hello") };
        assert!(stream.as_ptr_range().contains(&found.as_ptr()));
        assert_eq!(body_at_every_cut(&stream), body);
    }

    #[test]
    fn records_of_any_length() {
        let body = body(&[], &[versions(&[0x0304]), pre_shared_keys(&[&[5; 32]])]);
        for fragment in 1..=body.len() {
            assert_eq!(body_at_every_cut(&records(&message(&body), fragment)), body);
        }
    }

    #[test]
    fn more_than_a_record_holds() {
        let body = body(&[], &[extension(51, &[0; 40_000]), pre_shared_keys(&[&[5; 32]])]);
        let stream = records(&message(&body), MAX_FRAGMENT);
        assert_eq!(opening(&stream[..20_000]), Found::Partial(2 * (5 + MAX_FRAGMENT)));
        assert_eq!(opening(&stream), Found::ClientHello(body));
    }

    #[test]
    fn what_is_too_long_is_told_at_once() {
        let limited = |stream, limit| read(&mut OpeningReader::default(), stream, limit);
        let stream = b"\x16\x03\x01\x00\x04\x01\x00\x01\x00";
        assert_eq!(limited(stream, 9 + 5 + 0x100), Found::Partial(stream.len() + 5));
        assert_eq!(limited(stream, 9 + 5 + 0xff), Found::Other);
        assert_eq!(limited(b"\x16\x03\x01\x01\x00", 5 + 0x100), Found::Partial(5 + 0x100));
        assert_eq!(limited(b"\x16\x03\x01\x01\x00", 5 + 0xff), Found::Other);
    }

    /// A client waits for the alert that it gets for them.
    #[test]
    fn other_records_within_the_message_are_seen_as_soon_as_they_are_there() {
        let body = body(&[9; 32], &[versions(&[0x0304])]);
        for fragment in [1, 2, 4, 5, 40] {
            let stream = records(&message(&body), fragment);
            let ends = (1..).map(|n| n * (5 + fragment)).take_while(|end| *end < stream.len());
            for end in ends {
                for record in [&b"\x17\x03\x03\x00\x00"[..], b"\x15\x03\x03\x00\x02", b"GET /"] {
                    let mut reader = OpeningReader::default();
                    let part = read(&mut reader, &stream[..end], LIMIT);
                    assert_eq!(part, Found::Partial(end + record.len()));
                    let followed = [&stream[..end], record].concat();
                    assert_eq!(read(&mut reader, &followed, LIMIT), Found::Other);
                }
            }
        }
    }

    #[test]
    fn no_client_hello() {
        let others: [&[u8]; 10] = [
            b"GET / HTTP/1.0\r\n",
            b"G",
            b"\x80\x2e\x01\x03\x01",         // SSLv2
            b"\x16\x02",                     // an unknown version
            b"\x15\x03\x01\x00\x02\x02\x28", // an alert
            b"\x16\x03\x01\x00\x00",         // an empty record
            b"\x16\x03\x01\x40\x01",         // a record that is too long
            b"\x16\x03\x01\x00\x01\x02",     // a ServerHello
            b"\x16\x03\x01\x00\x02\x01\x00\x14\x03",
            b"\x16\x03\x01\x00\x02\x01\x00\x16\x03\x01\x00\x00",
        ];
        for stream in others {
            assert_eq!(opening(stream), Found::Other, "{stream:?}");
        }
    }

    #[test]
    fn no_extensions() {
        let whole = body(&[9; 32], &[]);
        assert_eq!(ids(&whole, STATEFUL), [[9; 32]]);
        assert_eq!(ids(&whole[..whole.len() - 2], STATEFUL), [[9; 32]]);
    }

    #[test]
    fn tls13_asks_for_stateful_tickets() {
        let body = body(
            &[9; 32],
            &[
                versions(&[0x0a0a, 0x0304, 0x0303]),
                pre_shared_keys(&[&[1; 32], &[2; 31], &[3; 33], &[4; 200], &[5; 32]]),
            ],
        );
        assert_eq!(ids(&body, STATEFUL), [[1; 32], [5; 32]]);
        assert!(ids(&body, TICKETS).is_empty());
    }

    #[test]
    fn tls12_asks_for_the_session_id() {
        let keys = || pre_shared_keys(&[&[1; 32]]);
        let tls12 = body(&[9; 20], &[keys()]);
        let both = body(&[9; 20], &[versions(&[0x0304, 0x0303]), keys()]);
        assert_eq!(ids(&tls12, STATEFUL), [[9; 20]]);
        assert_eq!(ids(&both, TLS12), [[9; 20]]);
        assert!(ids(&body(&[], &[]), STATEFUL).is_empty());
    }

    #[test]
    fn compatibility_id_is_not_asked_for() {
        let body = body(&[9; 32], &[versions(&[0x0304, 0x0303])]);
        assert!(ids(&body, STATEFUL).is_empty());
    }

    #[test]
    fn stateless_ticket_goes_before_the_session_id() {
        let empty = body(&[9; 32], &[extension(SESSION_TICKET, &[])]);
        let ticket = body(&[9; 32], &[extension(SESSION_TICKET, &[4; 160])]);
        assert_eq!(ids(&empty, TICKETS), [[9; 32]]);
        assert_eq!(ids(&ticket, STATEFUL), [[9; 32]]);
        assert!(ids(&ticket, TICKETS).is_empty());
    }

    #[test]
    fn what_any_server_asks_for() {
        let versions = versions(&[0x0304, 0x0303]);
        let tls13 = body(&[9; 32], &[versions.clone(), pre_shared_keys(&[&[1; 32], &[2; 32]])]);
        let both = [&[9; 32], &[1; 32], &[2; 32]];
        assert_eq!(ids_of_any(&tls13, &[STATEFUL, TLS12]), both);
        assert_eq!(ids_of_any(&tls13, &[TLS12, TICKETS]), [[9; 32]]);
        assert!(ids(&tls13, TICKETS).is_empty());
        assert_eq!(ids_of_any(&tls13, &[STATEFUL, STATEFUL]), [[1; 32], [2; 32]]);
        assert_eq!(ids_of_any(&tls13, &[TLS12, TLS12]), [[9; 32]]);

        let ticket = body(&[9; 32], &[versions, extension(SESSION_TICKET, &[4; 160])]);
        let with_tickets = ServerAbilities { stateless_tickets: true, ..TLS12 };
        assert!(ids_of_any(&ticket, &[STATEFUL, with_tickets]).is_empty());
        assert_eq!(ids_of_any(&ticket, &[with_tickets, TLS12]), [[9; 32]]);
        assert!(ids_of_any(&ticket, &[]).is_empty());
    }

    #[test]
    fn the_name_of_the_server() {
        let extension = vector(&[&[0][..], &vector(b"example.org")].concat());
        assert_eq!(server_name(&extension), Some(&b"example.org"[..]));
        for cut in 0..extension.len() {
            assert_eq!(server_name(&extension[..cut]), None, "cut at {cut}");
        }
        assert_eq!(server_name(&vector(&[&[1][..], &vector(b"other")].concat())), None);
    }

    #[test]
    fn malformed() {
        let whole = body(&[9; 32], &[versions(&[0x0304]), extension(51, &[1, 2, 3])]);
        let without_extensions = whole.len() - 2 - 7 - 7;
        for cut in (0..whole.len()).filter(|cut| *cut != without_extensions) {
            assert_eq!(ClientHello::parse(&whole[..cut]), None, "cut at {cut}");
        }
        for extension in [
            extension(SUPPORTED_VERSIONS, &[3, 3, 4]),
            extension(PRE_SHARED_KEY, &[0, 3, 0, 1]),
            vec![0, 35, 0, 1],
        ] {
            assert_eq!(ClientHello::parse(&body(&[], &[extension])), None);
        }
    }

    #[test]
    fn identities_that_end_too_early() {
        let broken = [&vector(&[1; 32])[..], &[0, 0, 0, 0], &vector(&[2; 32]), &[0, 0]].concat();
        let psk = extension(PRE_SHARED_KEY, &vector(&broken));
        assert_eq!(ids(&body(&[], &[versions(&[0x0304]), psk]), STATEFUL), [[1; 32]]);
    }

    #[test]
    fn as_many_identities_as_fit() {
        let identities = [&[6; 32][..]; 900];
        let body = body(&[], &[versions(&[0x0304]), pre_shared_keys(&identities)]);
        assert_eq!(ids(&body, STATEFUL).len(), 900);
    }

    /// Extensions of different kinds, in any order, with what is well-formed and what is not.
    fn extensions() -> impl Strategy<Value = Vec<(u16, Vec<u8>)>> {
        let kind = prop_oneof![
            Just(SESSION_TICKET),
            Just(PRE_SHARED_KEY),
            Just(SUPPORTED_VERSIONS),
            any::<u16>(),
        ];
        let list = vec(any::<u8>(), 0..80);
        let data = prop_oneof![
            list.clone(),
            list.clone().prop_map(|list| vector(&list)),
            list.prop_map(|list| [&[list.len() as u8][..], &list].concat()),
            Just(vec![4, 3, 4, 3, 3]),
        ];
        vec((kind, data), 0..8).prop_map(|mut list| {
            let mut known = HashSet::new();
            list.retain(|(kind, _)| known.insert(*kind));
            list
        })
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(stream in vec(any::<u8>(), 0..600)) {
            let _ = opening(&stream);
            if let Some(hello) = ClientHello::parse(&stream) {
                hello.session_ids(&[STATEFUL]).for_each(|id| assert_eq!(id.len(), STATEFUL_TICKET));
            }
        }

        #[test]
        fn taken_apart_it_offers_the_same(
            session_id in vec(any::<u8>(), 0..=32),
            extensions in extensions(),
        ) {
            let encoded: Vec<Vec<u8>> =
                extensions.iter().map(|(kind, data)| extension(*kind, data)).collect();
            let body = body(&session_id, &encoded);
            let taken_apart = as_taken_apart(&session_id, &extensions);
            // What is malformed and does not matter is not looked at.
            if let Some(parsed) = ClientHello::parse(&body) {
                let taken_apart = taken_apart.unwrap();
                for tls13 in [false, true] {
                    for stateless_tickets in [false, true] {
                        let server = [ServerAbilities { tls13, stateless_tickets }];
                        prop_assert!(taken_apart.session_ids(&server).eq(parsed.session_ids(&server)));
                    }
                }
            }
        }

        #[test]
        fn any_offer_in_any_records(
            session_id in vec(any::<u8>(), 0..=32),
            identities in vec(vec(any::<u8>(), 1..64), 0..8),
            fragment in 1..700usize,
        ) {
            let list: Vec<&[u8]> = identities.iter().map(Vec::as_slice).collect();
            let body = body(&session_id, &[versions(&[0x0304]), pre_shared_keys(&list)]);
            prop_assert_eq!(&body_at_every_cut(&records(&message(&body), fragment)), &body);

            let tickets: Vec<&[u8]> = list.into_iter().filter(|id| id.len() == 32).collect();
            prop_assert_eq!(ids(&body, STATEFUL), tickets);
            let session_ids = if session_id.is_empty() { vec![] } else { vec![&session_id[..]] };
            prop_assert_eq!(ids(&body, TLS12), session_ids);
        }
    }
}
