//! A stand-in for an HTTP API: a small server on loopback whose answers a test's closure gives, with the failures that
//! real products have.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// One request, as it came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// With the query, as sent.
    pub(crate) target: String,
    /// Names in small letters.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// Without the query.
    pub(crate) fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or("")
    }

    /// A value of the query, decoded.
    pub(crate) fn query(&self, name: &str) -> Option<String> {
        let query = self.target.split_once('?')?.1;
        query.split('&').find_map(|pair| {
            let (n, v) = pair.split_once('=')?;
            (n == name).then(|| decode(v))
        })
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or(serde_json::Value::Null)
    }
}

/// Undoes percent-encoding.
pub(crate) fn decode(text: &str) -> String {
    let mut out = Vec::new();
    let mut bytes = text.bytes();
    while let Some(b) = bytes.next() {
        match b {
            b'%' => {
                let two: String = bytes.by_ref().take(2).map(char::from).collect();
                out.push(u8::from_str_radix(&two, 16).unwrap_or(b'?'));
            }
            b'+' => out.push(b' '),
            other => out.push(other),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn json(status: u16, body: serde_json::Value) -> Reply {
        Reply {
            status,
            headers: vec![("content-type".into(), "application/json".into())],
            body: body.to_string(),
        }
    }

    pub(crate) fn text(status: u16, body: &str) -> Reply {
        Reply { status, headers: Vec::new(), body: body.to_owned() }
    }

    pub(crate) fn empty(status: u16) -> Reply {
        Reply::text(status, "")
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Reply {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// How the next requests that change something go wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Failure {
    /// 429 with `Retry-After: 1`; nothing is done.
    Busy,
    /// 500 before anything is done.
    Before,
    /// It is done, and the answer is 502.
    AfterEffect,
    /// It is done, and the connection breaks without an answer.
    Silent,
    /// Answers 2xx and does nothing: the product that says yes.
    Hollow,
}

/// Does a request change something? Anything but GET, unless a test says otherwise: some products read by POST.
pub(crate) type Changes = fn(&Request) -> bool;

/// The server. `failures` are used up by requests that change something, one each.
pub(crate) struct Stub {
    pub(crate) address: SocketAddr,
    pub(crate) seen: Arc<Mutex<Vec<Request>>>,
    failures: Arc<Mutex<Vec<Failure>>>,
    stop: Arc<AtomicBool>,
    is_change: Changes,
}

impl Stub {
    pub(crate) fn start(answer: impl FnMut(&Request) -> Reply + Send + 'static) -> Stub {
        Stub::start_as(|r| r.method != "GET", Reply::json(200, serde_json::json!({})), answer)
    }

    /// The same for a product that reads by POST, or whose empty yes has another form.
    pub(crate) fn start_as(
        is_change: Changes,
        hollow: Reply,
        answer: impl FnMut(&Request) -> Reply + Send + 'static,
    ) -> Stub {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let failures: Arc<Mutex<Vec<Failure>>> = Arc::default();
        let stop = Arc::new(AtomicBool::new(false));
        let answer = Arc::new(Mutex::new(answer));
        let (seen_in, failures_in, stop_in) = (seen.clone(), failures.clone(), stop.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stop_in.load(Ordering::Relaxed) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let (seen, failures, answer) = (seen_in.clone(), failures_in.clone(), answer.clone());
                let hollow = hollow.clone();
                std::thread::spawn(move || {
                    let _closed = serve(stream, &seen, &failures, (is_change, &hollow), &answer);
                });
            }
        });
        Stub { address, seen, failures, stop, is_change }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The next changing request fails so.
    pub(crate) fn fail(&self, failure: Failure) {
        self.failures.lock().unwrap().push(failure);
    }

    /// Requests so far, as `METHOD target`.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.seen.lock().unwrap().iter().map(|r| format!("{} {}", r.method, r.target)).collect()
    }

    /// Requests so far that change something.
    pub(crate) fn changes(&self) -> Vec<Request> {
        self.seen.lock().unwrap().iter().filter(|r| (self.is_change)(r)).cloned().collect()
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _woken = TcpStream::connect(self.address);
    }
}

fn serve(
    stream: TcpStream,
    seen: &Mutex<Vec<Request>>,
    failures: &Mutex<Vec<Failure>>,
    (is_change, hollow): (Changes, &Reply),
    answer: &Mutex<impl FnMut(&Request) -> Reply>,
) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut writer = stream;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let mut words = line.split_whitespace();
        let mut request = Request {
            method: words.next().unwrap_or("").to_owned(),
            target: words.next().unwrap_or("").to_owned(),
            ..Request::default()
        };
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let line = line.trim_end();
            if line.is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(':') {
                let name = name.trim().to_ascii_lowercase();
                if name == "content-length" {
                    length = value.trim().parse().unwrap_or(0);
                }
                request.headers.push((name, value.trim().to_owned()));
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        request.body = String::from_utf8_lossy(&body).into_owned();
        seen.lock().unwrap().push(request.clone());
        let failure = if is_change(&request) { failures.lock().unwrap().pop() } else { None };
        let reply = match failure {
            Some(Failure::Busy) => Reply::text(429, "slow down").with("retry-after", "1"),
            Some(Failure::Before) => Reply::text(500, "internal error"),
            Some(Failure::Hollow) => hollow.clone(),
            Some(Failure::AfterEffect) => {
                answer.lock().unwrap()(&request);
                Reply::text(502, "bad gateway")
            }
            Some(Failure::Silent) => {
                answer.lock().unwrap()(&request);
                return Ok(());
            }
            None => answer.lock().unwrap()(&request),
        };
        let mut head = format!("HTTP/1.1 {} X\r\ncontent-length: {}\r\n", reply.status, reply.body.len());
        for (name, value) in &reply.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        writer.write_all(head.as_bytes())?;
        writer.write_all(reply.body.as_bytes())?;
        writer.flush()?;
    }
}
