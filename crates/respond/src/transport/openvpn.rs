//! OpenVPN's management interface: one command a line; answers end with `END`, `SUCCESS:` or `ERROR:`; notices that
//! begin with `>` come between them. It serves one client at a time and says nothing to the next one.

use crate::encode::openvpn::{self as encode, Command};
use crate::fault::Fault;
use crate::secret::Secret;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Where the interface listens.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Place {
    Unix(PathBuf),
    Tcp(SocketAddr),
}

impl Place {
    /// `/run/openvpn/server.sock` or `127.0.0.1:7505`. Other hosts are refused: the interface speaks in the clear.
    pub fn new(text: &str) -> Result<Place, Fault> {
        if text.starts_with('/') {
            return Ok(Place::Unix(text.into()));
        }
        match text.parse::<SocketAddr>() {
            Ok(at) if at.ip().to_canonical().is_loopback() => Ok(Place::Tcp(at)),
            Ok(at) => Err(Fault::Config(format!(
                "management {at}: speaks in the clear, so only loopback is taken; bring another host here with `ssh -L`"
            ))),
            Err(_) => Err(Fault::Config(
                "management: is neither the absolute path of a socket nor a loopback address with its port"
                    .into(),
            )),
        }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Place::Unix(path) => write!(f, "{}", path.display()),
            Place::Tcp(at) => write!(f, "{at}"),
        }
    }
}

/// One client of the server, as `status 3` lists it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Client {
    pub common_name: String,
    pub user_name: String,
    pub real: Option<IpAddr>,
    /// Addresses inside the tunnel; none while a handshake is going on, and none for a client that was turned away.
    pub inner: Vec<IpAddr>,
    pub cid: Option<u64>,
    /// Since when, as the server counts it: tells a client from a later one with the same id.
    pub since: String,
}

impl Client {
    pub fn has_tunnel(&self) -> bool {
        !self.inner.is_empty()
    }
}

trait Wire: Read + Write {}
impl<T: Read + Write> Wire for T {}

/// A conversation that has been let in.
pub struct Management {
    wire: BufReader<Box<dyn Wire>>,
}

/// How long another client of the interface is waited for.
const PATIENCE: Duration = Duration::from_secs(6);
/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(5);
const LONGEST_LINE: u64 = 64 << 10;
const LONGEST_STATUS: usize = 32 << 20;

enum Closed {
    /// Somebody else is being served.
    Busy(String),
    No(Fault),
}

impl Management {
    /// Connects and waits for the greeting. Nothing but the password is sent.
    pub fn open(place: &Place, password: Option<&Secret>) -> Result<Management, Fault> {
        let started = Instant::now();
        loop {
            let why = match Self::attempt(place, password) {
                Ok(management) => return Ok(management),
                Err(Closed::No(fault)) => return Err(fault),
                Err(Closed::Busy(why)) => why,
            };
            if started.elapsed() > PATIENCE {
                return Err(Fault::Unreachable(format!(
                    "management {place}: {why}; it serves one client at a time"
                )));
            }
            std::thread::sleep(Duration::from_millis(250));
        }
    }

    fn attempt(place: &Place, password: Option<&Secret>) -> Result<Management, Closed> {
        let not_there = |e: std::io::Error| {
            let why = format!("management {place}: {e}");
            match e.kind() {
                ErrorKind::PermissionDenied => Closed::No(Fault::Credential(why)),
                // While it serves somebody, OpenVPN does not always listen.
                ErrorKind::ConnectionRefused | ErrorKind::WouldBlock => Closed::Busy(e.to_string()),
                _ => Closed::No(Fault::Unreachable(why)),
            }
        };
        let wire: Box<dyn Wire> = match place {
            Place::Unix(path) => {
                let stream = UnixStream::connect(path).map_err(not_there)?;
                stream.set_read_timeout(Some(ANSWER)).map_err(not_there)?;
                stream.set_write_timeout(Some(ANSWER)).map_err(not_there)?;
                Box::new(stream)
            }
            Place::Tcp(at) => {
                let stream = TcpStream::connect_timeout(at, ANSWER).map_err(not_there)?;
                stream.set_read_timeout(Some(ANSWER)).map_err(not_there)?;
                stream.set_write_timeout(Some(ANSWER)).map_err(not_there)?;
                Box::new(stream)
            }
        };
        let mut management = Management { wire: BufReader::new(wire) };
        management.greet(place, password)?;
        Ok(management)
    }

    fn greet(&mut self, place: &Place, password: Option<&Secret>) -> Result<(), Closed> {
        let mut asked = false;
        for _ in 0..64 {
            let line = self.greeting().map_err(|e| match e.kind() {
                ErrorKind::WouldBlock | ErrorKind::TimedOut => Closed::Busy("no greeting".into()),
                _ => Closed::Busy(e.to_string()),
            })?;
            if line.starts_with(">INFO:") {
                return Ok(());
            }
            if line.starts_with("ERROR:") || asked && line.ends_with("ENTER PASSWORD:") {
                return Err(Closed::No(Fault::Credential(format!(
                    "management {place}: password not accepted"
                ))));
            }
            if line.ends_with("ENTER PASSWORD:") {
                let wanted = password.ok_or_else(|| {
                    Closed::No(Fault::Credential(format!("management {place}: asks for a password")))
                })?;
                asked = true;
                let line = encode::password(wanted.expose()).ok_or_else(|| {
                    Closed::No(Fault::Credential("the password is more than one line".into()))
                })?;
                self.write(&line).map_err(|e| Closed::No(Fault::Unreachable(e.to_string())))?;
            }
        }
        Err(Closed::No(Fault::Garbled(format!("management {place}: no greeting of OpenVPN"))))
    }

    /// A line, or the question for the password, which has no end of line.
    fn greeting(&mut self) -> std::io::Result<String> {
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"\n") && !bytes.ends_with(b"ENTER PASSWORD:") {
            let mut one = [0];
            self.wire.read_exact(&mut one)?;
            bytes.extend(one);
            if bytes.len() > 4096 {
                return Err(ErrorKind::InvalidData.into());
            }
        }
        Ok(String::from_utf8_lossy(&bytes).trim_end().to_owned())
    }

    fn write(&mut self, line: &str) -> std::io::Result<()> {
        let wire = self.wire.get_mut();
        wire.write_all(line.as_bytes())?;
        wire.flush()
    }

    /// The next line that is no notice.
    fn line(&mut self) -> std::io::Result<String> {
        loop {
            let mut bytes = Vec::new();
            (&mut self.wire).take(LONGEST_LINE).read_until(b'\n', &mut bytes)?;
            if !bytes.ends_with(b"\n") {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            if !bytes.starts_with(b">") {
                let text = String::from_utf8_lossy(&bytes);
                return Ok(text.trim_end_matches(['\r', '\n']).to_owned());
            }
        }
    }

    /// The clients of the server.
    pub fn status(&mut self) -> Result<Vec<Client>, Fault> {
        let unread = |e: std::io::Error| Fault::Unreachable(format!("management: status: {e}"));
        self.write(&Command::Status.line()).map_err(unread)?;
        let mut lines = Vec::new();
        let mut length = 0;
        while length < LONGEST_STATUS {
            let line = self.line().map_err(unread)?;
            length += line.len() + 1;
            if line == "END" {
                return clients(&lines);
            }
            if line.starts_with("ERROR:") {
                return Err(Fault::Refused(shown(&line)));
            }
            lines.push(line);
        }
        Err(Fault::Garbled("management: the status does not end".into()))
    }

    /// Ends a client. `Refused` where the server has none with this id.
    pub fn client_kill(&mut self, cid: u64) -> Result<String, Fault> {
        let lost = |e: std::io::Error| Fault::Lost(format!("management: client-kill {cid}: {e}"));
        self.write(&Command::ClientKill { cid }.line()).map_err(lost)?;
        let line = self.line().map_err(lost)?;
        if line.starts_with("SUCCESS:") {
            Ok(shown(&line))
        } else if line.starts_with("ERROR:") {
            Err(Fault::Refused(shown(&line)))
        } else {
            Err(Fault::Garbled(format!("management: client-kill {cid}: {}", shown(&line))))
        }
    }
}

impl Drop for Management {
    fn drop(&mut self) {
        // Leaves the place to the next client at once.
        let _gone = self.write(&Command::Quit.line());
    }
}

fn shown(line: &str) -> String {
    let line: String = line.chars().take(300).collect();
    portreeve_model::untrusted::escape_for_terminal(&line)
}

/// Reads `status 3`. Columns go by the names in the `HEADER` line, because versions differ in their number.
pub fn clients<L: AsRef<str>>(lines: &[L]) -> Result<Vec<Client>, Fault> {
    let mut columns: Option<Vec<&str>> = None;
    let mut found = Vec::new();
    for line in lines {
        let mut cells = line.as_ref().split('\t');
        match cells.next() {
            Some("HEADER") if cells.next() == Some("CLIENT_LIST") => columns = Some(cells.collect()),
            Some("CLIENT_LIST") => {
                let names = columns
                    .as_ref()
                    .ok_or_else(|| Fault::Garbled("status: clients before a header".into()))?;
                let cells: Vec<&str> = cells.collect();
                let cell = |name: &str| {
                    names.iter().position(|n| *n == name).and_then(|at| cells.get(at)).copied().unwrap_or("")
                };
                found.push(Client {
                    common_name: cell("Common Name").to_owned(),
                    user_name: cell("Username").to_owned(),
                    real: address(cell("Real Address")),
                    inner: ["Virtual Address", "Virtual IPv6 Address"]
                        .into_iter()
                        .filter_map(|name| address(cell(name)))
                        .collect(),
                    cid: cell("Client ID").parse().ok(),
                    since: cell("Connected Since (time_t)").to_owned(),
                });
            }
            _ => {}
        }
    }
    match columns {
        Some(_) => Ok(found),
        None => Err(Fault::Garbled("status: no list of clients; is this OpenVPN a server?".into())),
    }
}

/// `192.0.2.7`, `192.0.2.7:1194`, `udp4:192.0.2.7:1194`, `2001:db8::7`, `[2001:db8::7]:1194`.
fn address(text: &str) -> Option<IpAddr> {
    let text = match text.split_once(':') {
        Some((kind, rest)) if kind.starts_with("udp") || kind.starts_with("tcp") => rest,
        _ => text,
    };
    let text = text.split('/').next().unwrap_or(text);
    let ip = text
        .parse::<IpAddr>()
        .or_else(|_| text.parse::<SocketAddr>().map(|at| at.ip()))
        .or_else(|_| text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>());
    ip.ok().map(|ip| ip.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HEADER: &str = "HEADER\tCLIENT_LIST\tCommon Name\tReal Address\tVirtual Address\tVirtual IPv6 Address\tBytes Received\tBytes Sent\tConnected Since\tConnected Since (time_t)\tUsername\tClient ID\tPeer ID\tData Channel Cipher";

    #[test]
    fn the_status_is_read_by_its_header() {
        let lines = [
            "TITLE\tOpenVPN 2.6.14",
            HEADER,
            "CLIENT_LIST\talice\t198.51.100.9:41194\t10.77.0.2\t\t1\t2\tx\t1790643600\tUNDEF\t7\t0\tAES-256-GCM",
            "CLIENT_LIST\tUNDEF\tudp6:[2001:db8::9]:1194\t\t\t1\t2\tx\t1790643601\tUNDEF\t8\t1\t",
            "HEADER\tROUTING_TABLE\tVirtual Address\tCommon Name",
            "ROUTING_TABLE\t10.77.0.2\talice",
        ];
        let found = clients(&lines).unwrap();
        assert_eq!(found.len(), 2);
        assert!(found[0].has_tunnel() && !found[1].has_tunnel());
        assert_eq!(found[0].cid, Some(7));
        assert_eq!(found[1].real, Some("2001:db8::9".parse().unwrap()));
        // An older server has no column for the cipher, and other columns before the id.
        let older = [
            "HEADER\tCLIENT_LIST\tCommon Name\tReal Address\tVirtual Address\tUsername\tClient ID",
            "CLIENT_LIST\tbob\t192.0.2.1:5\t10.0.0.2\tUNDEF\t3",
        ];
        assert_eq!(clients(&older).unwrap()[0].cid, Some(3));
        assert!(clients(&["OpenVPN STATISTICS", "TUN/TAP read bytes,0"]).is_err());
        assert!(clients(&["CLIENT_LIST\tx"]).is_err());
        assert_eq!(clients(&[HEADER, "CLIENT_LIST"]).unwrap()[0], Client::default());
    }

    #[test]
    fn the_interface_is_taken_on_this_machine_alone() {
        assert!(matches!(Place::new("/run/x.sock"), Ok(Place::Unix(_))));
        assert!(matches!(Place::new("[::1]:7505"), Ok(Place::Tcp(_))));
        for bad in ["192.0.2.1:7505", "0.0.0.0:7505", "localhost:7505", "run/x.sock", ""] {
            assert!(matches!(Place::new(bad), Err(Fault::Config(_))), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn whatever_comes_is_a_list_or_a_fault(lines in proptest::collection::vec("(HEADER\tCLIENT_LIST|CLIENT_LIST)?(\t(Common Name|Client ID|[0-9a-f:.\\[\\]/]{0,8}|\\PC{0,4})){0,6}", 0..6)) {
            let _any = clients(&lines);
        }
    }
}
