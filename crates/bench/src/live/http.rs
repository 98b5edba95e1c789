//! As much of HTTP/1.1 as a load needs: one connection that is kept, requests one after the other.

use anyhow::{Context, bail};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

pub(super) struct Client {
    stream: BufReader<TcpStream>,
    address: SocketAddr,
    /// Lines that go with every request, each with its end.
    pub(super) headers: String,
}

pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) retry_after: Option<Duration>,
    /// Of `Set-Cookie`, name and value.
    pub(super) cookies: Vec<String>,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(super) fn good(self, what: &str) -> anyhow::Result<Answer> {
        if !(200..300).contains(&self.status) {
            bail!("{what}: {}: {}", self.status, self.text().chars().take(400).collect::<String>());
        }
        Ok(self)
    }
}

impl Client {
    pub(super) fn connect(address: SocketAddr) -> anyhow::Result<Client> {
        Ok(Client { stream: BufReader::new(connected(address)?), address, headers: String::new() })
    }

    pub(super) fn get(&mut self, path: &str) -> anyhow::Result<Answer> {
        self.ask("GET", path, "", b"")
    }

    pub(super) fn post(&mut self, path: &str, kind: &str, body: &[u8]) -> anyhow::Result<Answer> {
        self.ask("POST", path, kind, body)
    }

    fn ask(&mut self, method: &str, path: &str, kind: &str, body: &[u8]) -> anyhow::Result<Answer> {
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n{}", self.address, self.headers);
        if method == "POST" {
            request.push_str(&format!("Content-Type: {kind}\r\nContent-Length: {}\r\n", body.len()));
        }
        request.push_str("\r\n");
        let mut bytes = request.into_bytes();
        bytes.extend_from_slice(body);
        // A connection that was idle too long was closed by the other side; what is asked again changes nothing then.
        if self.stream.get_mut().write_all(&bytes).is_err() {
            self.stream = BufReader::new(connected(self.address)?);
            self.stream.get_mut().write_all(&bytes)?;
        }
        self.answer().with_context(|| format!("{method} {path}"))
    }

    fn line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            bail!("the service closed the connection");
        }
        Ok(line.trim_end().to_owned())
    }

    fn answer(&mut self) -> anyhow::Result<Answer> {
        let first = self.line()?;
        let status = first.split(' ').nth(1).and_then(|s| s.parse().ok()).context(first.clone())?;
        let mut answer = Answer { status, retry_after: None, cookies: Vec::new(), body: Vec::new() };
        let (mut length, mut chunked) = (0usize, false);
        loop {
            let line = self.line()?;
            let Some((name, value)) = line.split_once(':') else { break };
            let value = value.trim();
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.parse()?,
                "transfer-encoding" => chunked = value.eq_ignore_ascii_case("chunked"),
                "retry-after" => answer.retry_after = value.parse().ok().map(Duration::from_secs),
                "set-cookie" => {
                    answer.cookies.extend(value.split(';').next().map(str::to_owned));
                }
                _ => {}
            }
        }
        if chunked {
            loop {
                let size = usize::from_str_radix(&self.line()?, 16)?;
                let from = answer.body.len();
                answer.body.resize(from + size, 0);
                self.stream.read_exact(answer.body.get_mut(from..).unwrap_or_default())?;
                self.line()?;
                if size == 0 {
                    break;
                }
            }
        } else {
            answer.body.resize(length, 0);
            self.stream.read_exact(&mut answer.body)?;
        }
        Ok(answer)
    }
}

fn connected(address: SocketAddr) -> anyhow::Result<TcpStream> {
    let stream = TcpStream::connect(address).with_context(|| address.to_string())?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(120)))?;
    Ok(stream)
}
