//! Reads a configuration of nginx, as `nginx -T` prints it: all its files, one after the other.

use std::path::{Path, PathBuf};

use glob::{MatchOptions, Pattern};
use thiserror::Error;

/// A directive with its words, and what is in its braces.
#[derive(Debug, PartialEq, Eq)]
pub struct Directive {
    /// Its name, and what follows.
    pub words: Vec<Vec<u8>>,
    /// What is in braces behind it; `None` where a semicolon ends it.
    pub block: Option<Vec<Directive>>,
    /// In which file, and on which line it begins.
    pub place: String,
}

/// Why a configuration cannot be read.
#[derive(Debug, PartialEq, Eq, Error)]
pub enum ReadError {
    /// It is no output of `nginx -T`.
    #[error("no configuration in the output of \"nginx -T\": expected lines \"# configuration file ...\"")]
    NoDump,
    /// It is not what nginx accepts, or what another module's reader does.
    #[error("cannot read the configuration at {place}: expected {expected}")]
    Syntax {
        /// File and line.
        place: String,
        /// What would be right.
        expected: &'static str,
    },
    /// A file that includes itself.
    #[error("too many files include each other at {place}")]
    Depth {
        /// File and line.
        place: String,
    },
}

/// Files that include files are nested no deeper.
const MAX_DEPTH: usize = 32;

/// A file of a configuration.
struct File<'a> {
    name: &'a str,
    content: &'a [u8],
}

/// A configuration.
#[derive(Debug)]
pub struct Configuration {
    /// All directives outside of blocks.
    pub main: Vec<Directive>,
    /// The folder of the main file: relative names of files begin there.
    pub folder: PathBuf,
}

impl Configuration {
    /// Reads what `nginx -T` prints on its standard output.
    pub fn read(dump: &[u8]) -> Result<Self, ReadError> {
        let files = split(dump, &|name| std::fs::read(name).ok());
        let main = files.first().ok_or(ReadError::NoDump)?;
        let folder = Path::new(main.name).parent().unwrap_or(Path::new("/"));
        let directives = Reader { files: &files, folder }.file(main, 0)?;
        Ok(Self { main: directives, folder: folder.into() })
    }
}

/// The files of a dump, the main one first. Each begins behind a line that names it, and ends with a line
/// feed that is not its own. `on_disk` is what a file has, as far as it can be read.
fn split<'a>(dump: &'a [u8], on_disk: &dyn Fn(&str) -> Option<Vec<u8>>) -> Vec<File<'a>> {
    let headers = headers(dump);
    let mut files = Vec::new();
    let mut rest = &headers[..];
    while let Some((header, after)) = rest.split_first() {
        let ends = after.iter().map(|next| next.at).chain([dump.len()]);
        let files_end = end(dump, header, ends, on_disk(header.name));
        files.push(File { name: header.name, content: &dump[header.begin..files_end] });
        let inside = after.iter().take_while(|next| next.at < files_end).count();
        rest = &after[inside..];
    }
    files
}

/// A line that may name a file.
struct Header<'a> {
    name: &'a str,
    at: usize,
    /// What follows it.
    begin: usize,
}

fn headers(dump: &[u8]) -> Vec<Header<'_>> {
    const HEADER: &[u8] = b"# configuration file /";

    let mut headers = Vec::new();
    let mut at = 0;
    for line in dump.split_inclusive(|byte| *byte == b'\n') {
        let name = line.strip_suffix(b":\n").filter(|line| line.starts_with(HEADER));
        let name = name.and_then(|line| std::str::from_utf8(&line[HEADER.len() - 1..]).ok());
        if let Some(name) = name {
            headers.push(Header { name, at, begin: at + line.len() });
        }
        at += line.len();
    }
    headers
}

/// Where a file ends, of the places where it may. A file can itself have lines that look like headers, where
/// a dump was pasted into it: it ends where the one on disk does; else where all that was begun is ended.
fn end(
    dump: &[u8],
    header: &Header<'_>,
    ends: impl Iterator<Item = usize> + Clone,
    on_disk: Option<Vec<u8>>,
) -> usize {
    let content = |end: usize| &dump[header.begin..end];
    let is_it = |end: &usize| content(*end).strip_suffix(b"\n") == on_disk.as_deref();
    let is_whole = |end: &usize| is_whole(&File { name: header.name, content: content(*end) });
    let of_disk = on_disk.as_ref().and_then(|_| ends.clone().find(is_it));
    let found = of_disk.or_else(|| ends.clone().find(is_whole)).or_else(|| ends.clone().next());
    found.unwrap_or(dump.len())
}

/// Whether each directive and block of a file ends in it.
fn is_whole(file: &File<'_>) -> bool {
    let no_files = Reader { files: &[], folder: Path::new("/") };
    no_files.file(file, 0).is_ok()
}

struct Reader<'a> {
    files: &'a [File<'a>],
    folder: &'a Path,
}

impl Reader<'_> {
    fn file(&self, file: &File<'_>, depth: usize) -> Result<Vec<Directive>, ReadError> {
        let mut tokens = Tokens { file, at: 0, line: 1 };
        let directives = self.directives(&mut tokens, depth, false)?;
        Ok(directives)
    }

    /// Up to the end of the file, or of the block.
    fn directives(
        &self,
        tokens: &mut Tokens<'_>,
        depth: usize,
        is_block: bool,
    ) -> Result<Vec<Directive>, ReadError> {
        let mut directives = Vec::new();
        let mut words = Vec::new();
        let mut place = String::new();
        loop {
            let token = tokens.next()?;
            match token {
                Token::Word(word) => {
                    if words.is_empty() {
                        place = tokens.place();
                    }
                    words.push(word);
                    continue;
                }
                Token::End if words.is_empty() && !is_block => return Ok(directives),
                Token::Close if words.is_empty() && is_block => return Ok(directives),
                Token::End => {
                    return Err(tokens.expected("\";\" or \"}\" before the end of the file"))
                }
                Token::Close => return Err(tokens.expected("no \"}\" here")),
                Token::Semicolon | Token::Open if words.is_empty() => {
                    return Err(tokens.expected("the name of a directive"));
                }
                Token::Semicolon => {}
                Token::Open => {
                    let is_lua = words[0].ends_with(b"_by_lua_block");
                    let block = match is_lua {
                        true => tokens.skip_lua()?,
                        false => self.directives(tokens, depth, true)?,
                    };
                    let words = std::mem::take(&mut words);
                    let place = std::mem::take(&mut place);
                    directives.push(Directive { words, block: Some(block), place });
                    continue;
                }
            }
            let words = std::mem::take(&mut words);
            match &words[..] {
                [include, pattern] if include == b"include" => {
                    if depth == MAX_DEPTH {
                        return Err(ReadError::Depth { place });
                    }
                    for file in self.included(pattern) {
                        directives.extend(self.file(file, depth + 1)?);
                    }
                }
                _ => directives.push(Directive { words, block: None, place: place.clone() }),
            }
        }
    }

    /// The files that an include names, in the order of their names.
    fn included(&self, name: &[u8]) -> Vec<&File<'_>> {
        let options = MatchOptions {
            case_sensitive: true,
            require_literal_separator: true,
            require_literal_leading_dot: true,
        };
        let Ok(name) = std::str::from_utf8(name) else { return Vec::new() };
        let full = self.folder.join(name);
        let Some(full) = full.to_str() else { return Vec::new() };
        let pattern = Pattern::new(&pattern(full)).ok();
        let is_named = |file: &&File<'_>| {
            file.name == full
                || pattern.as_ref().is_some_and(|pattern| pattern.matches_with(file.name, options))
        };
        let mut files: Vec<_> = self.files.iter().filter(is_named).collect();
        files.sort_by_key(|file| file.name);
        files
    }
}

/// A pattern of glob(3), as nginx has it, in the words of the crate: that takes "**" for folders, "^" for a
/// letter as others, and does not know the backslash.
fn pattern(glob: &str) -> String {
    let mut pattern = String::new();
    let mut rest = glob.chars();
    while let Some(letter) = rest.next() {
        match letter {
            '*' if pattern.ends_with('*') => {}
            '\\' => pattern
                .extend(rest.next().map(|letter| Pattern::escape(letter.encode_utf8(&mut [0; 4])))),
            '[' => match set(rest.as_str()) {
                Some((set, after)) => {
                    pattern.push_str(&set);
                    rest = after.chars();
                }
                None => pattern.push_str("[[]"),
            },
            _ => pattern.push(letter),
        }
    }
    pattern
}

/// A set of letters behind its "[", and what follows it; `None` where nothing ends it.
fn set(glob: &str) -> Option<(String, &str)> {
    let (not, inside) = match glob.strip_prefix(['!', '^']) {
        Some(inside) => ("!", inside),
        None => ("", glob),
    };
    let mut letters = String::new();
    let mut rest = inside.chars();
    // A "]" that comes first is one of the letters; so it is put there where it was escaped.
    let mut bracket = "";
    loop {
        match rest.next()? {
            ']' if letters.is_empty() && bracket.is_empty() => bracket = "]",
            ']' => break,
            '\\' => match rest.next()? {
                ']' => bracket = "]",
                letter => letters.push(letter),
            },
            letter => letters.push(letter),
        }
    }
    Some((format!("[{not}{bracket}{letters}]"), rest.as_str()))
}

#[derive(Debug, PartialEq, Eq)]
enum Token {
    Word(Vec<u8>),
    Semicolon,
    Open,
    Close,
    End,
}

/// The words of a file, by the rules of ngx_conf_read_token() in nginx's `src/core/ngx_conf_file.c`.
struct Tokens<'a> {
    file: &'a File<'a>,
    at: usize,
    line: usize,
}

impl Tokens<'_> {
    fn next(&mut self) -> Result<Token, ReadError> {
        self.skip_space();
        match self.peek() {
            None => Ok(Token::End),
            Some(b';') => Ok(self.take(Token::Semicolon)),
            Some(b'{') => Ok(self.take(Token::Open)),
            Some(b'}') => Ok(self.take(Token::Close)),
            Some(quote @ (b'"' | b'\'')) => self.quoted(quote),
            Some(_) => self.bare(),
        }
    }

    fn take(&mut self, token: Token) -> Token {
        self.at += 1;
        token
    }

    fn peek(&self) -> Option<u8> {
        self.file.content.get(self.at).copied()
    }

    fn bump(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        self.line += usize::from(byte == b'\n');
        Some(byte)
    }

    /// Skips space and comments.
    fn skip_space(&mut self) {
        while let Some(byte) = self.peek() {
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' => {
                    self.bump();
                }
                b'#' => while self.bump().is_some_and(|byte| byte != b'\n') {},
                _ => return,
            }
        }
    }

    fn quoted(&mut self, quote: u8) -> Result<Token, ReadError> {
        self.bump();
        let mut word = Vec::new();
        loop {
            match self.bump() {
                None => return Err(self.expected("a quote that ends the word")),
                Some(b'\\') => self.escaped(&mut word),
                Some(byte) if byte == quote => break,
                Some(byte) => word.push(byte),
            }
        }
        match self.peek() {
            Some(b' ' | b'\t' | b'\r' | b'\n' | b';' | b'{' | b')') | None => Ok(Token::Word(word)),
            Some(_) => Err(self.expected("space, \";\" or \"{\" behind a quote")),
        }
    }

    fn bare(&mut self) -> Result<Token, ReadError> {
        let mut word = Vec::new();
        while let Some(byte) = self.peek() {
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' | b';' => break,
                // "${name}" is a part of a word.
                b'{' if !word.ends_with(b"$") => break,
                b'\\' => {
                    self.bump();
                    self.escaped(&mut word);
                }
                _ => {
                    self.bump();
                    word.push(byte);
                }
            }
        }
        Ok(Token::Word(word))
    }

    /// What follows a backslash, which stays where it means nothing.
    fn escaped(&mut self, word: &mut Vec<u8>) {
        match self.bump() {
            Some(byte @ (b'"' | b'\'' | b'\\')) => word.push(byte),
            Some(b't') => word.push(b'\t'),
            Some(b'r') => word.push(b'\r'),
            Some(b'n') => word.push(b'\n'),
            Some(byte) => word.extend([b'\\', byte]),
            None => word.push(b'\\'),
        }
    }

    /// Skips Lua up to the brace that ends its block: those in strings and comments do not count.
    fn skip_lua(&mut self) -> Result<Vec<Directive>, ReadError> {
        let mut open = 1;
        while open > 0 {
            match self.bump() {
                Some(b'{') => open += 1,
                Some(b'}') => open -= 1,
                Some(quote @ (b'"' | b'\'')) => self.skip_lua_string(quote),
                Some(b'[') => {
                    self.skip_long_bracket();
                }
                Some(b'-') if self.peek() == Some(b'-') => {
                    self.bump();
                    let is_long = self.peek() == Some(b'[') && {
                        self.bump();
                        self.skip_long_bracket()
                    };
                    if !is_long {
                        while self.peek().is_some_and(|byte| byte != b'\n') {
                            self.bump();
                        }
                    }
                }
                Some(_) => {}
                None => return Err(self.expected("\"}\" before the end of the file")),
            }
        }
        Ok(Vec::new())
    }

    fn skip_lua_string(&mut self, quote: u8) {
        while let Some(byte) = self.bump() {
            match byte {
                b'\\' => {
                    self.bump();
                }
                _ if byte == quote => return,
                _ => {}
            }
        }
    }

    /// Skips `[[ ... ]]`, or `[=[ ... ]=]` with any number of "=", behind the first bracket, if it is one.
    fn skip_long_bracket(&mut self) -> bool {
        let rest = &self.file.content[self.at..];
        let level = rest.iter().take_while(|byte| **byte == b'=').count();
        if rest.get(level) != Some(&b'[') {
            return false;
        }
        let end = [b"]", &rest[..level], b"]"].concat();
        while !self.file.content[self.at..].starts_with(&end) && self.bump().is_some() {}
        end.iter().for_each(|_| {
            self.bump();
        });
        true
    }

    fn place(&self) -> String {
        format!("{}:{}", self.file.name, self.line)
    }

    fn expected(&self, expected: &'static str) -> ReadError {
        ReadError::Syntax { place: self.place(), expected }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content: &str) -> Result<Vec<Directive>, ReadError> {
        let dump = format!("# configuration file /etc/nginx.conf:\n{content}\n");
        Configuration::read(dump.as_bytes()).map(|configuration| configuration.main)
    }

    /// The words of a line.
    fn words(line: &str) -> Vec<String> {
        let directives = read(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        assert_eq!(directives.len(), 1, "{line}");
        let text = |word: &Vec<u8>| String::from_utf8(word.clone()).unwrap();
        directives[0].words.iter().map(text).collect()
    }

    #[test]
    fn words_and_quotes() {
        for (line, expected) in [
            ("a b;", &["a", "b"][..]),
            ("a\tb\r\n c ;", &["a", "b", "c"]),
            ("a 'b c';", &["a", "b c"]),
            ("a \"b;{}#\";", &["a", "b;{}#"]),
            ("a 'b\\'c' \"d\\\"e\";", &["a", "b'c", "d\"e"]),
            ("a b\\ c\\;d\\\\;", &["a", "b\\ c\\;d\\"]),
            ("a '\\t\\n\\x';", &["a", "\t\n\\x"]),
            ("a b=\"c\" d#e}f;", &["a", "b=\"c\"", "d#e}f"]),
            ("a ${b}c $d;", &["a", "${b}c", "$d"]),
            ("a ''; # b;", &["a", ""]),
            ("# b { \n a;", &["a"]),
        ] {
            assert_eq!(words(line), expected, "{line}");
        }
    }

    #[test]
    fn blocks_and_places() {
        let http = read("http {\n  server { listen 443; }\n\n  a b;\n}\nc;").unwrap();
        let [http, c] = &http[..] else { panic!() };
        assert_eq!((&http.place[..], &c.place[..]), ("/etc/nginx.conf:1", "/etc/nginx.conf:6"));
        let inside = http.block.as_ref().unwrap();
        assert_eq!(inside[0].block.as_ref().unwrap()[0].words, [&b"listen"[..], b"443"]);
        assert_eq!(inside[1].place, "/etc/nginx.conf:4");
    }

    #[test]
    fn what_nginx_refuses() {
        for (content, line, expected) in [
            ("a", 2, "\";\" or \"}\" before the end of the file"),
            ("http {\na;", 3, "\";\" or \"}\" before the end of the file"),
            ("}", 1, "no \"}\" here"),
            ("a {}\n;", 2, "the name of a directive"),
            ("{}", 1, "the name of a directive"),
            ("a 'b", 2, "a quote that ends the word"),
            ("a 'b'c;", 1, "space, \";\" or \"{\" behind a quote"),
        ] {
            let place = format!("/etc/nginx.conf:{line}");
            assert_eq!(read(content).unwrap_err(), ReadError::Syntax { place, expected });
        }
        assert_eq!(Configuration::read(b"a;").unwrap_err(), ReadError::NoDump);
    }

    /// Also those behind which another language stands.
    #[test]
    fn blocks_of_lua_are_skipped() {
        let all = read("content_by_lua_block { local a = {'b'} -- it's\n} c;").unwrap();
        assert_eq!(all[1].words, [b"c"]);
        for lua in [
            "-- it's a }",
            "--[ a }\n",
            "--[[ }\n } ]]",
            "--[==[ } ]] ]=] } ]==]",
            "local a = '}' .. \"'}\" .. '\\'}'",
            "local a = [[ }' ]] local b = [=[ ]] } ]=]",
            "local a = t[1] - t[i] - {1}[1]",
        ] {
            let content = format!("content_by_lua_block {{\n{lua}\n}}\nc;");
            let all = read(&content).unwrap_or_else(|error| panic!("{lua}: {error}"));
            assert_eq!(all.len(), 2, "{lua}");
            assert_eq!(all[1].words, [b"c"], "{lua}");
            let line = content.lines().count();
            assert_eq!(all[1].place, format!("/etc/nginx.conf:{line}"), "{lua}");
        }
        assert!(read("content_by_lua_block { [[ } c;").is_err());
    }

    #[test]
    fn files_are_put_where_they_are_included() {
        let dump = "# configuration file /etc/nginx/nginx.conf:\n\
            a;\ninclude conf.d/*.conf;\ninclude /etc/other;\ninclude ./nothing*;\nb;\n\n\
            # configuration file /etc/nginx/conf.d/2.conf:\ntwo;\n\n\
            # configuration file /etc/nginx/conf.d/1.conf:\none;\n\n\
            # configuration file /etc/nginx/conf.d/.hidden.conf:\nhidden;\n\n\
            # configuration file /etc/nginx/conf.d/sub/3.conf:\nthree;\n\n\
            # configuration file /etc/other:\nblock {\n  include conf.d/[1].conf;\n}\n\n";
        let all = Configuration::read(dump.as_bytes()).unwrap();
        let names = |all: &[Directive]| {
            all.iter()
                .map(|one| String::from_utf8(one.words[0].clone()).unwrap())
                .collect::<Vec<_>>()
        };
        assert_eq!(names(&all.main), ["a", "one", "two", "block", "b"]);
        assert_eq!(all.folder, Path::new("/etc/nginx"));
        assert_eq!(all.main[1].place, "/etc/nginx/conf.d/1.conf:1");
        assert_eq!(
            all.main[3].block.as_ref().map(|block| names(block)),
            Some(vec!["one".to_owned()])
        );
    }

    /// The names of the files of a dump, and how long each is.
    fn lengths(dump: &str, on_disk: &dyn Fn(&str) -> Option<Vec<u8>>) -> Vec<(String, usize)> {
        let files = split(dump.as_bytes(), on_disk);
        files.iter().map(|file| (file.name.to_owned(), file.content.len())).collect()
    }

    #[test]
    fn a_header_within_a_file_is_a_comment() {
        let main = "http {\n# configuration file /x:\na; }\n# configuration file /b:\nb;\n";
        let b = "c;\n# configuration file /y:\nb;";
        let dump = format!("# configuration file /a:\n{main}\n# configuration file /b:\n{b}\n");
        let on_disk = |name: &str| match name {
            "/a" => Some(main.into()),
            "/b" => Some(b.into()),
            _ => None,
        };
        let whole = [("/a".to_owned(), main.len() + 1), ("/b".to_owned(), b.len() + 1)];
        assert_eq!(lengths(&dump, &on_disk), whole);
        // Where the files cannot be read, blocks at least are not cut.
        let main = "http {\n# configuration file /x:\na; }\n";
        let dump = format!("# configuration file /a:\n{main}\n# configuration file /b:\nb;\n");
        let whole = [("/a".to_owned(), main.len() + 1), ("/b".to_owned(), 3)];
        assert_eq!(lengths(&dump, &|_| None), whole);
        assert_eq!(lengths(&dump, &|_| Some(b"another".to_vec())), whole);
    }

    #[test]
    fn patterns_of_glob() {
        for (include, name, is_found) in [
            ("conf.d/**.conf", "conf.d/a.conf", true),
            ("conf.d/**.conf", "conf.d/b/a.conf", false),
            ("**/a.conf", "b/c/a.conf", false),
            ("sub/*", "sub/.hidden", false),
            ("sub/*", "sub/a", true),
            ("[^b]*.conf", "a.conf", true),
            ("[^b]*.conf", "b.conf", false),
            ("[!b]*.conf", "b.conf", false),
            ("[a-c].conf", "b.conf", true),
            ("[]a].conf", "].conf", true),
            ("[^]a].conf", "].conf", false),
            ("[a\\]].conf", "].conf", true),
            ("[a\\]].conf", "a.conf", true),
            ("q\\?.inc", "q?.inc", true),
            ("q\\?.inc", "qa.inc", false),
            ("q\\*", "qa", false),
            ("\\[a", "[a", true),
            ("[a", "[a", true),
            ("a\\b*", "abc", true),
        ] {
            let dump = format!(
                "# configuration file /e/nginx:\ninclude '{}';\n\n# configuration file /e/{name}:\nb;\n\n",
                include.replace('\\', "\\\\")
            );
            let all = Configuration::read(dump.as_bytes()).unwrap().main;
            assert_eq!(!all.is_empty(), is_found, "{include} {name}");
        }
    }

    #[test]
    fn a_file_that_includes_itself() {
        assert!(matches!(read("include nginx.conf;"), Err(ReadError::Depth { .. })));
    }
}
