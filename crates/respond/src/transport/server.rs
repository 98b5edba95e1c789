//! A small HTTP/1.1 server for what devices fetch from us: a bounded number of threads, bounded heads and bodies, a
//! deadline for each request, TLS where it is configured. It answers by one function and knows nothing of files.

use crate::fault::Fault;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde::Deserialize;
use std::io::{BufReader, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The certificate that the server shows, and whose clients it lets in.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// PEM file: the certificate and those between it and its authority.
    pub cert: PathBuf,
    /// PEM file: its key.
    pub key: PathBuf,
    /// PEM file: the authority of clients. Where it is given, a client without a certificate of it is not let in.
    #[serde(default)]
    pub client_ca: Option<PathBuf>,
}

/// What a server bears.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at a time; further ones are closed with 503.
    pub connections: usize,
    /// Bytes of a request's line and headers.
    pub head: usize,
    /// Bytes of a request's body.
    pub body: usize,
    /// From the first byte of a request to its last, and the same again for the answer.
    pub request: Duration,
    /// How long a connection may be silent between requests.
    pub idle: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections: 64,
            head: 16 << 10,
            body: 1 << 20,
            request: Duration::from_secs(20),
            idle: Duration::from_secs(30),
        }
    }
}

/// One request, as it came.
#[derive(Clone, Debug)]
pub struct Request {
    pub peer: IpAddr,
    pub method: String,
    /// Path and query, as sent.
    pub target: String,
    /// Names in small letters.
    headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    /// The value of a header that stands once; a repeated one is none, because two readers would take two values.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut all = self.headers.iter().filter(|(n, _)| n == name);
        match (all.next(), all.next()) {
            (Some((_, value)), None) => Some(value),
            _ => None,
        }
    }

    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or("")
    }

    /// The first value of this name in the query, decoded. `None` where it is absent or no text.
    pub fn query(&self, name: &str) -> Option<String> {
        let query = self.target.split_once('?')?.1;
        query.split('&').find_map(|pair| {
            let (n, value) = pair.split_once('=')?;
            (unpercent(n)? == name).then(|| unpercent(value))
        })?
    }
}

/// Undoes percent-encoding of a query's value.
fn unpercent(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(b) = bytes.next() {
        match b {
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                out.push(u8::try_from(digit()? << 4 | digit()?).ok()?);
            }
            b'+' => out.push(b' '),
            other => out.push(other),
        }
    }
    String::from_utf8(out).ok()
}

/// An answer. The length, the date and `Connection` are added by the server.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn new(status: u16) -> Reply {
        Reply { status, ..Reply::default() }
    }

    pub fn text(status: u16, body: &str) -> Reply {
        Reply::new(status).with("content-type", "text/plain; charset=utf-8").body(body)
    }

    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Reply {
        self.headers.push((name, value.into()));
        self
    }

    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Reply {
        self.body = body.into();
        self
    }
}

/// What answers. `sent` is told afterwards whether the whole answer left.
pub trait Handler: Send + Sync + 'static {
    fn answer(&self, request: &Request) -> Reply;

    fn sent(&self, _request: &Request, _reply: &Reply, _whole: bool) {}
}

/// A running server; stops when dropped.
pub struct Server {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    accept: Option<JoinHandle<()>>,
}

impl Server {
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits for its end, which only [`Server`]'s drop or a failure of the listener brings.
    pub fn wait(mut self) {
        if let Some(accept) = self.accept.take() {
            let _ended = accept.join();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // A connection wakes `accept`; the unspecified address is reached by loopback.
        let mut address = self.address;
        if address.ip().is_unspecified() {
            address.set_ip(match address.ip() {
                IpAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
                IpAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
            });
        }
        let woken = TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok();
        if let Some(accept) = self.accept.take().filter(|_| woken) {
            let _ended = accept.join();
        }
    }
}

/// Listens on `listen` (`ADDRESS:PORT`; port 0 takes a free one) and answers until the server is dropped.
///
/// # Errors
/// [`Fault::Config`] where the address cannot be listened on or a file of `tls` cannot be used.
pub fn serve(
    listen: &str,
    tls: Option<&Identity>,
    limits: Limits,
    handler: Arc<dyn Handler>,
) -> Result<Server, Fault> {
    let config = |why: String| Fault::Config(format!("listen {listen}: {why}"));
    let tls = tls.map(server_config).transpose()?;
    let listener = TcpListener::bind(listen).map_err(|e| config(e.to_string()))?;
    let address = listener.local_addr().map_err(|e| config(e.to_string()))?;
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = stop.clone();
    let accept = std::thread::Builder::new()
        .name("http-accept".into())
        .spawn(move || accept(&listener, tls.as_ref(), limits, &handler, &stopped))
        .map_err(|e| config(e.to_string()))?;
    Ok(Server { address, stop, accept: Some(accept) })
}

fn server_config(identity: &Identity) -> Result<Arc<rustls::ServerConfig>, Fault> {
    let wrong = |path: &Path, e: &dyn std::fmt::Display| Fault::Config(format!("{}: {e}", path.display()));
    let certs = |path: &Path| -> Result<Vec<CertificateDer<'static>>, Fault> {
        CertificateDer::pem_file_iter(path)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|e| wrong(path, &e))
    };
    let chain = certs(&identity.cert)?;
    let key = PrivateKeyDer::from_pem_file(&identity.key).map_err(|e| wrong(&identity.key, &e))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|e| wrong(&identity.cert, &e))?;
    let builder = match &identity.client_ca {
        None => builder.with_no_client_auth(),
        Some(ca) => {
            let mut roots = rustls::RootCertStore::empty();
            for cert in certs(ca)? {
                roots.add(cert).map_err(|e| wrong(ca, &e))?;
            }
            let verifier =
                rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                    .build()
                    .map_err(|e| wrong(ca, &e))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    // Early data is off in rustls unless it is turned on.
    builder.with_single_cert(chain, key).map(Arc::new).map_err(|e| wrong(&identity.cert, &e))
}

fn accept(
    listener: &TcpListener,
    tls: Option<&Arc<rustls::ServerConfig>>,
    limits: Limits,
    handler: &Arc<dyn Handler>,
    stop: &Arc<AtomicBool>,
) {
    let open = Arc::new(AtomicUsize::new(0));
    for stream in listener.incoming() {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let Ok(mut stream) = stream else {
            // Out of file descriptors, mostly: waiting is what helps.
            std::thread::sleep(Duration::from_millis(50));
            continue;
        };
        if open.fetch_add(1, Ordering::Relaxed) >= limits.connections {
            open.fetch_sub(1, Ordering::Relaxed);
            if tls.is_none() {
                let _full = stream.set_write_timeout(Some(Duration::from_millis(100)));
                let _told = stream.write_all(
                    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 5\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
                );
            }
            continue;
        }
        let (tls, handler, stop, open_in) = (tls.cloned(), handler.clone(), stop.clone(), open.clone());
        let started = std::thread::Builder::new().name("http".into()).spawn(move || {
            let _counted = Counted(open_in);
            let _ended = connection(stream, tls, limits, handler.as_ref(), &stop);
        });
        if started.is_err() {
            open.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// Counts a connection down however it ends.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A stream whose reads and writes end at a deadline, so that a peer who sends a byte now and then does not stay.
struct Bounded {
    tcp: TcpStream,
    until: Instant,
}

impl Bounded {
    fn left(&self) -> std::io::Result<Duration> {
        match self.until.checked_duration_since(Instant::now()) {
            Some(left) if !left.is_zero() => Ok(left),
            _ => Err(std::io::ErrorKind::TimedOut.into()),
        }
    }
}

impl Read for Bounded {
    fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
        self.tcp.set_read_timeout(Some(self.left()?))?;
        self.tcp.read(to)
    }
}

impl Write for Bounded {
    fn write(&mut self, from: &[u8]) -> std::io::Result<usize> {
        self.tcp.set_write_timeout(Some(self.left()?))?;
        self.tcp.write(from)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.tcp.flush()
    }
}

enum Channel {
    Plain(Bounded),
    Tls(Box<rustls::StreamOwned<rustls::ServerConnection, Bounded>>),
}

impl Channel {
    fn until(&mut self, until: Instant) {
        match self {
            Channel::Plain(stream) => stream.until = until,
            Channel::Tls(stream) => stream.sock.until = until,
        }
    }
}

impl Read for Channel {
    fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Channel::Plain(stream) => stream.read(to),
            Channel::Tls(stream) => stream.read(to),
        }
    }
}

impl Write for Channel {
    fn write(&mut self, from: &[u8]) -> std::io::Result<usize> {
        match self {
            Channel::Plain(stream) => stream.write(from),
            Channel::Tls(stream) => stream.write(from),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Channel::Plain(stream) => stream.flush(),
            Channel::Tls(stream) => stream.flush(),
        }
    }
}

fn connection(
    tcp: TcpStream,
    tls: Option<Arc<rustls::ServerConfig>>,
    limits: Limits,
    handler: &dyn Handler,
    stop: &AtomicBool,
) -> std::io::Result<()> {
    let peer = tcp.peer_addr()?.ip().to_canonical();
    tcp.set_nodelay(true)?;
    let bounded = Bounded { tcp, until: Instant::now() + limits.idle };
    let channel = match tls {
        None => Channel::Plain(bounded),
        Some(config) => {
            let session = rustls::ServerConnection::new(config).map_err(std::io::Error::other)?;
            Channel::Tls(Box::new(rustls::StreamOwned::new(session, bounded)))
        }
    };
    let mut stream = BufReader::new(channel);
    // A connection is not kept for ever, so that those who wait get a turn.
    for turn in 0..1000 {
        stream.get_mut().until(Instant::now() + limits.idle);
        let mut first = [0];
        if stream.read(&mut first)? == 0 {
            return Ok(());
        }
        stream.get_mut().until(Instant::now() + limits.request);
        let read = read_request(&mut stream, first, peer, limits);
        stream.get_mut().until(Instant::now() + limits.request);
        let (request, again) = match read {
            Ok(request) => {
                let close = request.header("connection").is_some_and(|v| v.eq_ignore_ascii_case("close"));
                (request, !close && turn < 999 && !stop.load(Ordering::Relaxed))
            }
            Err(Unread::Broken(e)) => return Err(e),
            Err(Unread::Answer(status, why)) => {
                write_reply(stream.get_mut(), &Reply::text(status, why), false, false)?;
                return Ok(());
            }
        };
        let reply = handler.answer(&request);
        let written = write_reply(stream.get_mut(), &reply, request.method == "HEAD", again);
        handler.sent(&request, &reply, written.is_ok());
        written?;
        if !again {
            return Ok(());
        }
    }
    Ok(())
}

/// Why there is no request.
enum Unread {
    Broken(std::io::Error),
    Answer(u16, &'static str),
}

impl From<std::io::Error> for Unread {
    fn from(e: std::io::Error) -> Unread {
        Unread::Broken(e)
    }
}

fn read_request(
    from: &mut impl Read,
    first: [u8; 1],
    peer: IpAddr,
    limits: Limits,
) -> Result<Request, Unread> {
    let mut head = first.to_vec();
    let mut byte = [0];
    // The reader is buffered, so a byte at a time costs little.
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() >= limits.head {
            return Err(Unread::Answer(431, "the head is too long\n"));
        }
        from.read_exact(&mut byte)?;
        head.extend(byte);
    }
    let bad = || Unread::Answer(400, "the request cannot be read\n");
    let head = std::str::from_utf8(&head).map_err(|_| bad())?;
    let mut lines = head.trim_end_matches("\r\n").split("\r\n");
    let mut words = lines.next().unwrap_or("").split(' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(bad());
    };
    if !matches!(version, "HTTP/1.1" | "HTTP/1.0") {
        return Err(Unread::Answer(505, "HTTP/1.1 is spoken here\n"));
    }
    let token = |text: &str| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
    };
    if !token(method) || !target.starts_with('/') || target.bytes().any(|b| b.is_ascii_control()) {
        return Err(bad());
    }
    let mut headers = Vec::new();
    for line in lines {
        let (name, value) = line.split_once(':').ok_or_else(bad)?;
        if !token(name) || value.bytes().any(|b| b.is_ascii_control() && b != b'\t') {
            return Err(bad());
        }
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    if version == "HTTP/1.0" {
        headers.retain(|(name, _)| name != "connection");
        headers.push(("connection".to_owned(), "close".to_owned()));
    }
    let mut request =
        Request { peer, method: method.to_owned(), target: target.to_owned(), headers, body: Vec::new() };
    // A body of a length that two readers see differently is how requests are smuggled.
    if request.headers.iter().any(|(name, _)| name == "transfer-encoding") {
        return Err(Unread::Answer(411, "the length of the body is missing\n"));
    }
    if request.headers.iter().any(|(name, _)| name == "content-length") {
        let length = request
            .header("content-length")
            .filter(|v| !v.is_empty() && v.bytes().all(|b| b.is_ascii_digit()))
            .ok_or_else(bad)?;
        let length = length.parse().ok().filter(|n| *n <= limits.body);
        let length = length.ok_or(Unread::Answer(413, "the body is too long\n"))?;
        request.body = vec![0; length];
        from.read_exact(&mut request.body)?;
    }
    Ok(request)
}

fn write_reply(to: &mut impl Write, reply: &Reply, head_only: bool, again: bool) -> std::io::Result<()> {
    let mut head = format!("HTTP/1.1 {} {}\r\n", reply.status, phrase(reply.status));
    head.push_str(&format!("date: {}\r\n", http_date(jiff::Timestamp::now())));
    for (name, value) in &reply.headers {
        // What could end a header line cannot stand in one.
        let value: String = value.chars().filter(|c| !c.is_control()).collect();
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let bodiless = matches!(reply.status, 204 | 304);
    if !bodiless {
        head.push_str(&format!("content-length: {}\r\n", reply.body.len()));
    }
    head.push_str("x-content-type-options: nosniff\r\n");
    head.push_str(if again { "connection: keep-alive\r\n\r\n" } else { "connection: close\r\n\r\n" });
    let mut whole = head.into_bytes();
    if !head_only && !bodiless {
        whole.extend(&reply.body);
    }
    to.write_all(&whole)?;
    to.flush()
}

fn phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        304 => "Not Modified",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        411 => "Length Required",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        _ => "Status",
    }
}

/// `Fri, 27 Nov 2026 15:00:00 GMT`.
pub fn http_date(at: jiff::Timestamp) -> String {
    at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// Seconds since 1970 of such a date.
pub fn parse_http_date(text: &str) -> Option<i64> {
    let bare = text.strip_suffix(" GMT")?;
    let time = jiff::civil::DateTime::strptime("%a, %d %b %Y %H:%M:%S", bare).ok()?;
    Some(time.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second())
}

/// Are two secrets the same? Takes as long whether they part early or late.
pub fn same_secret(a: &[u8], b: &[u8]) -> bool {
    use sha2::{Digest, Sha256};
    let (a, b) = (Sha256::digest(a), Sha256::digest(b));
    a.iter().zip(b.iter()).fold(0, |different, (x, y)| different | (x ^ y)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Echo;

    impl Handler for Echo {
        fn answer(&self, request: &Request) -> Reply {
            let body = format!("{} {:?}", request.path(), request.query("q"));
            Reply::text(200, &body).with("x-a", "b\r\nset-cookie: c")
        }
    }

    fn limits() -> Limits {
        Limits {
            connections: 2,
            head: 400,
            body: 10,
            request: Duration::from_millis(300),
            ..Limits::default()
        }
    }

    fn told(address: SocketAddr, text: &str) -> String {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        stream.write_all(text.as_bytes()).unwrap();
        let mut out = Vec::new();
        let _closed = stream.read_to_end(&mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn odd_requests_are_answered_and_end_the_connection() {
        let server = serve("127.0.0.1:0", None, limits(), Arc::new(Echo)).unwrap();
        let status = |text: &str| told(server.address(), text).chars().skip(9).take(3).collect::<String>();
        assert_eq!(status("GET /a?q=b HTTP/1.1\r\nconnection: close\r\n\r\n"), "200");
        assert_eq!(status("GET / HTTP/1.0\r\n\r\n"), "200");
        assert_eq!(status("GET /\r\n\r\n"), "400");
        assert_eq!(status("GET http://x/ HTTP/1.1\r\n\r\n"), "400");
        assert_eq!(status("GET / HTTP/2.0\r\n\r\n"), "505");
        assert_eq!(status("GET / HTTP/1.1\r\na b: c\r\n\r\n"), "400");
        assert_eq!(status("POST / HTTP/1.1\r\ncontent-length: 11\r\n\r\n"), "413");
        assert_eq!(status("POST / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n"), "400");
        assert_eq!(status("POST / HTTP/1.1\r\ncontent-length: +1\r\n\r\n"), "400");
        assert_eq!(status("POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n"), "411");
        assert_eq!(status(&format!("GET / HTTP/1.1\r\na: {}\r\n\r\n", "x".repeat(400))), "431");
        assert_eq!(status("GET / HTTP/1.1\r\nnever"), "", "a head that never ends is given up");
    }

    #[test]
    fn a_value_does_not_become_a_header_and_a_query_is_decoded() {
        let server = serve("127.0.0.1:0", None, limits(), Arc::new(Echo)).unwrap();
        let answer = told(server.address(), "GET /p?x=1&q=a%2Fb%0A+ HTTP/1.0\r\n\r\n");
        assert!(answer.contains("\r\nx-a: bset-cookie: c\r\n"), "{answer}");
        assert!(answer.ends_with("/p Some(\"a/b\\n \")"), "{answer}");
        assert!(told(server.address(), "GET /p?q=%f HTTP/1.0\r\n\r\n").ends_with("/p None"));
    }

    #[test]
    fn more_connections_than_it_bears_are_told_so() {
        let server = serve("127.0.0.1:0", None, limits(), Arc::new(Echo)).unwrap();
        let ask = "GET / HTTP/1.1\r\nconnection: close\r\n\r\n";
        let mut held: Vec<TcpStream> =
            (0..2).map(|_| TcpStream::connect(server.address()).unwrap()).collect();
        // Each held connection has answered once, so both threads run.
        for stream in &mut held {
            stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
            stream.read_exact(&mut [0; 12]).unwrap();
        }
        assert!(told(server.address(), ask).starts_with("HTTP/1.1 503"));
        drop(held);
        let start = Instant::now();
        while !told(server.address(), ask).starts_with("HTTP/1.1 200") {
            assert!(start.elapsed() < Duration::from_secs(5), "places become free again");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_a_request_or_are_refused(
            bytes in "(GET|POST|x)? ?(/[a-z?=%]{0,5})? ?(HTTP/1.1)?(\r\n[ -~]{0,9})?(\r\n)?(\r\n.{0,9})?",
        ) {
            let (first, rest) = bytes.as_bytes().split_first().unwrap_or((&b' ', &[]));
            let peer = IpAddr::from([127, 0, 0, 1]);
            if let Ok(request) = read_request(&mut &*rest, [*first], peer, limits()) {
                proptest::prop_assert!(request.target.starts_with('/'));
                let _value = request.query("q");
            }
        }
    }

    #[test]
    fn dates_go_there_and_back() {
        let at = jiff::Timestamp::from_second(1_795_791_600).unwrap();
        assert_eq!(http_date(at), "Fri, 27 Nov 2026 15:00:00 GMT");
        assert_eq!(parse_http_date("Fri, 27 Nov 2026 15:00:00 GMT"), Some(1_795_791_600));
        for bad in ["", "yesterday", "Fri, 27 Nov 2026 15:00:00 CET", "Fri, 99 Nov 2026 15:00:00 GMT"] {
            assert_eq!(parse_http_date(bad), None, "{bad}");
        }
        assert!(same_secret(b"a", b"a") && !same_secret(b"a", b"b") && !same_secret(b"a", b"ab"));
    }
}
