//! A receiver of webhooks: keeps what it hears, and answers as the test says.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[derive(Clone, Debug)]
pub(crate) struct Heard {
    pub method: String,
    pub path: String,
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

impl Heard {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.body))
    }
}

/// An answer: status, headers and body; or silence.
#[derive(Clone, Debug)]
pub(crate) enum Says {
    Status(u16, &'static str),
    With(u16, &'static str, String),
    Nothing,
}

#[derive(Default)]
struct State {
    heard: Vec<Heard>,
    /// Used up in turn; then `else_says`.
    says: VecDeque<Says>,
    by_path: BTreeMap<String, String>,
}

#[derive(Clone)]
pub(crate) struct Receiver {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Receiver {
    pub(crate) fn start() -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let receiver =
            Receiver { address: listener.local_addr().expect("an address"), state: Arc::default() };
        let state = receiver.state.clone();
        // Ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = state.clone();
                std::thread::spawn(move || serve(stream, &state));
            }
        });
        receiver
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn then(&self, says: impl IntoIterator<Item = Says>) {
        self.state.lock().expect("no panic").says.extend(says);
    }

    /// What is answered to requests of this method and path, with 200.
    pub(crate) fn at(&self, method_and_path: &str, body: &str) {
        let mut state = self.state.lock().expect("no panic");
        state.by_path.insert(method_and_path.to_owned(), body.to_owned());
    }

    pub(crate) fn heard(&self) -> Vec<Heard> {
        self.state.lock().expect("no panic").heard.clone()
    }
}

fn serve(stream: TcpStream, state: &Mutex<State>) {
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a socket");
    let mut from = BufReader::new(stream.try_clone().expect("a socket"));
    let mut first = String::new();
    if from.read_line(&mut first).unwrap_or(0) == 0 {
        return;
    }
    let mut parts = first.split(' ');
    let (method, path) =
        (parts.next().unwrap_or_default().to_owned(), parts.next().unwrap_or_default().to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        from.read_line(&mut line).expect("a header");
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let length = headers.get("content-length").map_or(0, |l| l.parse().expect("a length"));
    let mut body = vec![0; length];
    from.read_exact(&mut body).expect("a body");
    let body = String::from_utf8(body).expect("text");
    let says = {
        let mut state = state.lock().expect("no panic");
        let bare = path.split('?').next().unwrap_or_default();
        let fixed = state.by_path.get(&format!("{method} {bare}")).cloned();
        let says = fixed.map(|body| Says::With(200, "", body)).or_else(|| state.says.pop_front());
        state.heard.push(Heard { method, path, headers, body });
        says.unwrap_or(Says::Status(204, ""))
    };
    let (status, header, body) = match says {
        Says::Status(status, header) => (status, header, String::new()),
        Says::With(status, header, body) => (status, header, body),
        Says::Nothing => {
            // Until the other side has enough.
            let mut rest = [0; 1];
            from.read_exact(&mut rest).ok();
            return;
        }
    };
    let header = if header.is_empty() { String::new() } else { format!("{header}\r\n") };
    let answer = format!(
        "HTTP/1.1 {status} x\r\n{header}content-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    (&stream).write_all(answer.as_bytes()).ok();
}
