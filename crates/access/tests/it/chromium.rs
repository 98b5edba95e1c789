//! Chromium without a window, with a security key in software: its developer tools over a pipe.

use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub(crate) struct Chromium {
    child: Child,
    to: ChildStdin,
    from: Receiver<Value>,
    next: u64,
    session: Option<String>,
    _profile: TempDir,
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // It takes its children with it; a kill would leave them.
        let close = json!({"id": self.next, "method": "Browser.close"});
        self.write(&close).ok();
        let deadline = Instant::now() + Duration::from_secs(10);
        while Instant::now() < deadline && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(20));
        }
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Longer than any start on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(120);

impl Chromium {
    pub(crate) fn start() -> Chromium {
        let profile = TempDir::new().expect("a directory");
        // The pipe of the tools is descriptors 3 and 4, which the shell makes of its own 0 and 1.
        let mut child = Command::new("sh")
            .arg("-c")
            .arg("exec chromium \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>/dev/null")
            .arg("sh")
            .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
            .args(["--no-first-run", "--disable-background-networking", "--remote-debugging-pipe"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell");
        let to = child.stdin.take().expect("piped");
        let mut out = BufReader::new(child.stdout.take().expect("piped"));
        let (send, from) = channel();
        std::thread::spawn(move || {
            let mut message = Vec::new();
            while out.read_until(0, &mut message).is_ok_and(|n| n > 0) {
                message.pop();
                let Ok(value) = serde_json::from_slice(&message) else { break };
                if send.send(value).is_err() {
                    break;
                }
                message.clear();
            }
        });
        Chromium { child, to, from, next: 1, session: None, _profile: profile }
    }

    /// Opens a page and waits until it is there.
    pub(crate) fn open(&mut self, url: &str) {
        let target = self.call("Target.createTarget", json!({"url": url}));
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let session = self.call("Target.attachToTarget", attach);
        self.session = Some(session["sessionId"].as_str().expect("a session").to_owned());
        let deadline = Instant::now() + PATIENCE;
        let there = format!("document.readyState === 'complete' && location.href.startsWith({})", json!(url));
        while self.evaluate(&there) != json!(true) {
            assert!(Instant::now() < deadline, "the page does not come up");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Plugs in a key, which touches itself.
    pub(crate) fn plug_in(&mut self, options: Value) -> String {
        self.call("WebAuthn.enable", json!({}));
        let key = self.call("WebAuthn.addVirtualAuthenticator", json!({"options": options}));
        key["authenticatorId"].as_str().expect("an id").to_owned()
    }

    pub(crate) fn unplug(&mut self, id: &str) {
        self.call("WebAuthn.removeVirtualAuthenticator", json!({"authenticatorId": id}));
    }

    /// The value of an expression, awaited.
    pub(crate) fn evaluate(&mut self, expression: &str) -> Value {
        let question = json!({"expression": expression, "awaitPromise": true, "returnByValue": true,
            "userGesture": true});
        let answer = self.call("Runtime.evaluate", question);
        assert!(answer.get("exceptionDetails").is_none(), "{answer}");
        answer["result"]["value"].clone()
    }

    fn call(&mut self, method: &str, params: Value) -> Value {
        let id = self.next;
        self.next += 1;
        let mut message = json!({"id": id, "method": method, "params": params});
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        let written = self.write(&message);
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.from.recv_timeout(left) {
                Ok(answer) if answer["id"] == json!(id) => {
                    assert!(answer.get("error").is_none(), "{method}: {answer}");
                    return answer["result"].clone();
                }
                Ok(_event) => {}
                Err(RecvTimeoutError::Timeout) => panic!("{method}: no answer"),
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("{method}: the browser is gone ({written:?}); is Debian package chromium missing?")
                }
            }
        }
    }

    fn write(&mut self, message: &Value) -> std::io::Result<()> {
        self.to.write_all(format!("{message}\0").as_bytes())?;
        self.to.flush()
    }
}

/// Serves one empty page at every address of a loopback port, and returns the port.
pub(crate) fn serve_a_page() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    // Ends with the test's process.
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { break };
            let mut request = [0; 4096];
            let read = stream.read(&mut request).unwrap_or(0);
            if read > 0 {
                let page = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 15\r\nconnection: close\r\n\r\n<!doctype html>";
                stream.write_all(page.as_bytes()).ok();
            }
        }
    });
    port
}
