//! Where an nginx passes requests on, by its files: upstreams, `proxy_pass` and `uwsgi_pass`, each with its place.
//!
//! Not a judge of the files: directives that have nothing to do with it are passed over, whatever they say.
//! Source: nginx 1.26, `ngx_conf_file.c`, `ngx_http_proxy_module`, `ngx_http_uwsgi_module`, `ngx_http_upstream_module`.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::path::{Path, PathBuf};
use std::str::Chars;

use super::deployment::Location;
use crate::config::Source;

/// So many files are read, those that are included counted in.
pub const PROXY_FILES_MAX: usize = 256;

/// Blocks within blocks, and files that include files, are followed so deep.
const DEPTH_MAX: usize = 16;

/// Included everywhere, and without a word about where requests go.
const PARAMETERS: &[&str] =
    &["uwsgi_params", "proxy_params", "fastcgi_params", "scgi_params", "fastcgi.conf", "mime.types"];

/// What is spoken to a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    Http,
    /// uWSGI's own.
    Uwsgi,
}

/// One server that requests are passed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyServer {
    /// `HOST:PORT` or `unix:PATH`, as written.
    pub address: String,
    pub place: Location,
}

/// One place where requests are passed on, to one server or to those of an upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pass {
    pub protocol: Protocol,
    pub servers: Vec<ProxyServer>,
}

/// What the files say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proxy {
    pub passes: Vec<Pass>,
    /// Requests may go elsewhere too: an address is a variable, or a file that is included was not found.
    pub is_partial: bool,
}

/// A file that cannot be read or understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}:{}: {message}", place.file.display(), place.line)]
pub struct ProxyError {
    pub place: Location,
    pub message: String,
}

/// Reads nginx's files and what they include.
///
/// # Errors
/// One cannot be read, or is no configuration of nginx; there are too many.
pub fn read_proxy(files: &[PathBuf], source: &dyn Source) -> Result<Proxy, ProxyError> {
    let mut reading = Reading { source, seen: 0, upstreams: BTreeMap::new(), targets: Vec::new(), is_partial: false };
    for file in files {
        reading.file(file, file.parent().unwrap_or(Path::new("")), None, 0)?;
    }
    Ok(reading.resolved())
}

struct Reading<'a> {
    source: &'a dyn Source,
    seen: usize,
    upstreams: BTreeMap<String, Vec<ProxyServer>>,
    /// What stands behind `proxy_pass` and `uwsgi_pass`.
    targets: Vec<(Protocol, ProxyServer)>,
    is_partial: bool,
}

impl Reading<'_> {
    /// `folder`: the one of the first file, from which nginx looks for included ones. `upstream`: the block it stands in.
    fn file(&mut self, path: &Path, folder: &Path, upstream: Option<&str>, depth: usize) -> Result<(), ProxyError> {
        let error = |message: String| ProxyError { place: Location { file: path.to_owned(), line: 1 }, message };
        self.seen += 1;
        if self.seen > PROXY_FILES_MAX || depth > DEPTH_MAX {
            return Err(error(format!("more than {PROXY_FILES_MAX} files, or {DEPTH_MAX} that include each other")));
        }
        let bytes = self.source.read(path).map_err(|why| error(why.to_string()))?;
        let text = String::from_utf8_lossy(&bytes);
        let mut blocks: Vec<Option<String>> = vec![upstream.map(str::to_owned)];
        for statement in statements(&text)
            .map_err(|(line, message)| ProxyError { place: Location { file: path.to_owned(), line }, message })?
        {
            match statement {
                Statement::Begin(words) => {
                    let own = words.first().is_some_and(|word| word == "upstream");
                    let name = words.get(1).filter(|_| own).cloned();
                    if let Some(name) = &name {
                        self.upstreams.entry(name.clone()).or_default();
                    }
                    blocks.push(name);
                }
                Statement::End => {
                    blocks.pop();
                }
                Statement::Plain(words, line) => {
                    let place = Location { file: path.to_owned(), line };
                    let upstream = blocks.last().cloned().flatten();
                    self.directive(&words, place, folder, upstream.as_deref(), depth)?;
                }
            }
        }
        Ok(())
    }

    fn directive(
        &mut self,
        words: &[String],
        place: Location,
        folder: &Path,
        upstream: Option<&str>,
        depth: usize,
    ) -> Result<(), ProxyError> {
        let [name, value, rest @ ..] = words else { return Ok(()) };
        let server = ProxyServer { address: value.clone(), place };
        match (name.as_str(), upstream) {
            ("server", Some(upstream)) if !rest.iter().any(|word| word == "down") => {
                self.upstreams.entry(upstream.to_owned()).or_default().push(server);
            }
            ("proxy_pass", _) => self.targets.push((Protocol::Http, server)),
            ("uwsgi_pass", _) => self.targets.push((Protocol::Uwsgi, server)),
            ("include", _) => return self.include(value, folder, upstream, depth),
            _ => {}
        }
        Ok(())
    }

    /// A fragment of `sites-enabled` includes from the folder above, as its main file stands there.
    fn include(&mut self, named: &str, folder: &Path, upstream: Option<&str>, depth: usize) -> Result<(), ProxyError> {
        if PARAMETERS.contains(&named.rsplit('/').next().unwrap_or(named)) {
            return Ok(());
        }
        let folders = [Some(folder), folder.parent()];
        let mut found = folders.into_iter().flatten().map(|folder| {
            let pattern = folder.join(named);
            self.source.glob(&pattern.to_string_lossy())
        });
        let Some(found) = found.find(|found| !found.is_empty()) else {
            // A pattern that matches nothing is no mistake.
            self.is_partial |= !named.contains(['*', '?', '[']);
            return Ok(());
        };
        found.iter().try_for_each(|file| self.file(Path::new(file), folder, upstream, depth + 1))
    }

    fn resolved(self) -> Proxy {
        let mut proxy = Proxy { is_partial: self.is_partial, ..Proxy::default() };
        for (protocol, target) in self.targets {
            let address = authority(&target.address);
            if address.contains('$') {
                proxy.is_partial = true;
                continue;
            }
            let servers = self.upstreams.get(&address).cloned();
            let servers =
                servers.unwrap_or_else(|| vec![ProxyServer { address: address.clone(), place: target.place }]);
            let complete = |mut server: ProxyServer| {
                if !server.address.starts_with("unix:") && !has_port(&server.address) {
                    server.address.push_str(if target.address.starts_with("https:") { ":443" } else { ":80" });
                }
                server
            };
            proxy.passes.push(Pass { protocol, servers: servers.into_iter().map(complete).collect() });
        }
        proxy
    }
}

/// Without the scheme and what is asked for.
fn authority(target: &str) -> String {
    let rest = target.split_once("://").map_or(target, |(_, rest)| rest);
    match rest.strip_prefix("unix:") {
        Some(path) => format!("unix:{}", path.split(':').next().unwrap_or(path)),
        None => rest.split('/').next().unwrap_or(rest).to_owned(),
    }
}

fn has_port(address: &str) -> bool {
    let port = address.rsplit_once(':').map(|(_, port)| port).unwrap_or_default();
    !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit())
}

/// A statement of a file, blocks opened up.
enum Statement {
    Begin(Vec<String>),
    End,
    Plain(Vec<String>, usize),
}

enum Token {
    Word(String),
    Open,
    Close,
    Semicolon,
}

/// Takes a text apart.
///
/// # Errors
/// The line and what is wrong there.
fn statements(text: &str) -> Result<Vec<Statement>, (usize, String)> {
    let mut lexer = Lexer { letters: text.chars().peekable(), line: 1 };
    let (mut found, mut words, mut depth) = (Vec::new(), Vec::new(), 0_usize);
    let mut begins = 1;
    while let Some(token) = lexer.next()? {
        match token {
            Token::Word(word) => {
                if words.is_empty() {
                    begins = lexer.line;
                }
                words.push(word);
            }
            Token::Semicolon => found.push(Statement::Plain(std::mem::take(&mut words), begins)),
            Token::Open if words.first().is_some_and(|word: &String| word.ends_with("_by_lua_block")) => {
                words.clear();
                lexer.skip_block()?;
            }
            Token::Open => {
                depth += 1;
                if depth > DEPTH_MAX {
                    return Err((lexer.line, format!("more than {DEPTH_MAX} blocks within each other")));
                }
                found.push(Statement::Begin(std::mem::take(&mut words)));
            }
            Token::Close if depth == 0 || !words.is_empty() => {
                return Err((lexer.line, "a } without its {, or before a semicolon".to_owned()));
            }
            Token::Close => {
                depth -= 1;
                found.push(Statement::End);
            }
        }
    }
    match (depth, words.as_slice()) {
        (0, []) => Ok(found),
        (0, _) => Err((begins, "no semicolon ends this".to_owned())),
        _ => Err((lexer.line, "a block is not closed".to_owned())),
    }
}

struct Lexer<'a> {
    letters: Peekable<Chars<'a>>,
    line: usize,
}

impl Lexer<'_> {
    fn letter(&mut self) -> Option<char> {
        let letter = self.letters.next();
        self.line += usize::from(letter == Some('\n'));
        letter
    }

    fn next(&mut self) -> Result<Option<Token>, (usize, String)> {
        loop {
            let Some(letter) = self.letter() else { return Ok(None) };
            return Ok(Some(match letter {
                letter if letter.is_whitespace() => continue,
                '#' => {
                    while self.letters.next_if(|letter| *letter != '\n').is_some() {}
                    continue;
                }
                '{' => Token::Open,
                '}' => Token::Close,
                ';' => Token::Semicolon,
                '"' | '\'' => Token::Word(self.quoted(letter)?),
                letter => Token::Word(self.word(letter)),
            }));
        }
    }

    fn quoted(&mut self, quote: char) -> Result<String, (usize, String)> {
        let (begins, mut text) = (self.line, String::new());
        while let Some(letter) = self.letter() {
            match letter {
                '\\' => text.extend(self.letter()),
                letter if letter == quote => return Ok(text),
                letter => text.push(letter),
            }
        }
        Err((begins, "a quote is not closed".to_owned()))
    }

    /// `${name}` is a part of a word.
    fn word(&mut self, first: char) -> String {
        let mut text = String::from(first);
        let ends = |letter: &char| letter.is_whitespace() || matches!(letter, ';' | '{');
        while let Some(next) = self.letters.peek().copied() {
            if next == '{' && text.ends_with('$') {
                while let Some(letter) = self.letters.next_if(|letter| !letter.is_whitespace() && *letter != '}') {
                    text.push(letter);
                }
                text.extend(self.letters.next_if_eq(&'}'));
                continue;
            }
            if ends(&next) {
                break;
            }
            text.extend(self.letter());
        }
        text
    }

    /// Over a program's text, in which braces are balanced.
    fn skip_block(&mut self) -> Result<(), (usize, String)> {
        let (begins, mut depth) = (self.line, 1);
        while let Some(letter) = self.letter() {
            match letter {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return Ok(());
            }
        }
        Err((begins, "a block is not closed".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::made_up::MadeUp;

    const MAIN: &str = r#"
user www-data; # a comment; with { signs
events { worker_connections 768; }
http {
    include mime.types;
    log_format main '$remote_addr "$request" {\'}';
    include sites-enabled/*;
    content_by_lua_block { if a then { b = 1 } end }
}
"#;

    const SITE: &str = r#"upstream galaxy {
    server unix:/srv/galaxy/gunicorn.sock fail_timeout=0;
    server localhost:8081 down;
    include servers.conf;
}
server {
    listen 443 ssl;
    server_name "galaxy.example.org";
    location / { proxy_set_header Host $host; proxy_pass http://galaxy; }
    location /u { include uwsgi_params; uwsgi_pass 127.0.0.1:4001; }
    location /s { proxy_pass http://unix:/run/tusd.sock:/files/; }
    location ~ "^/(?<a>[a-z]{2})$" { proxy_pass https://other.example.org/x; }
}
"#;

    fn read(site: &str) -> Result<Proxy, ProxyError> {
        let host = MadeUp::new()
            .file("/etc/nginx/nginx.conf", MAIN)
            .file("/etc/nginx/servers.conf", "server 127.0.0.1:8082;\n")
            .file("/etc/nginx/sites-enabled/galaxy", site);
        read_proxy(&[PathBuf::from("/etc/nginx/nginx.conf")], &host)
    }

    fn shown(proxy: &Proxy) -> Vec<String> {
        let passes = proxy.passes.iter().map(|pass| {
            let servers = pass.servers.iter().map(|server| format!("{}@{}", server.address, server.place.line));
            format!("{:?} {}", pass.protocol, servers.collect::<Vec<_>>().join(" "))
        });
        passes.collect()
    }

    #[test]
    fn where_requests_go_is_found_with_its_lines() {
        let proxy = read(SITE).unwrap();
        assert_eq!(
            shown(&proxy),
            [
                "Http unix:/srv/galaxy/gunicorn.sock@2 127.0.0.1:8082@1",
                "Uwsgi 127.0.0.1:4001@10",
                "Http unix:/run/tusd.sock@11",
                "Http other.example.org:443@12"
            ]
        );
        assert!(!proxy.is_partial);
        assert_eq!(proxy.passes[0].servers[0].place.file, Path::new("/etc/nginx/sites-enabled/galaxy"));
    }

    #[test]
    fn what_is_not_known_is_said() {
        assert!(read("location / { proxy_pass http://${backend}:80/; }").unwrap().is_partial);
        assert!(read("include missing.conf;").unwrap().is_partial);
        assert!(!read("include none/*.conf; include proxy_params;").unwrap().is_partial);
    }

    #[test]
    fn what_is_no_configuration_is_refused_with_its_line() {
        for (text, line, wrong) in [
            ("server {\n  listen 80;\n", 3, "is not closed"),
            ("a b;\n}\n", 2, "without its {"),
            ("a b;\nproxy_pass http://x\n", 2, "no semicolon"),
            ("a;\nb 'c;\n", 2, "a quote is not closed"),
            ("include galaxy;\n", 1, "no such file"),
        ] {
            let text = text.replace("include galaxy;", "include sites-enabled/galaxy;");
            let error = match read(&text) {
                Err(error) => error,
                Ok(proxy) => panic!("{text:?}: {proxy:?}"),
            };
            let is_loop = text.starts_with("include");
            assert!(is_loop || (error.place.line == line && error.message.contains(wrong)), "{text:?}: {error}");
            assert!(!is_loop || error.message.contains("include each other"), "{error}");
        }
        let missing = read_proxy(&[PathBuf::from("/none")], &MadeUp::new()).unwrap_err();
        assert_eq!(missing.to_string(), "/none:1: there is no such file");
    }
}
