//! RADIUS dynamic authorization (RFC 5176): Disconnect-Request and CoA-Request over UDP, with Message-Authenticator and
//! Event-Timestamp. A NAS that does not know us, or knows another secret, keeps silent; so does one that is dead.

use crate::fault::Fault;
use crate::secret::{Secret, random};
use crate::value::{Mac, Net, SessionId, UserName};
use hmac::{Hmac, KeyInit, Mac as _};
use md5::{Digest, Md5};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

const USER_NAME: u8 = 1;
const NAS_IP_ADDRESS: u8 = 4;
const FRAMED_IP_ADDRESS: u8 = 8;
const FILTER_ID: u8 = 11;
const CALLING_STATION_ID: u8 = 31;
const NAS_IDENTIFIER: u8 = 32;
const ACCT_SESSION_ID: u8 = 44;
const EVENT_TIMESTAMP: u8 = 55;
const MESSAGE_AUTHENTICATOR: u8 = 80;
const NAS_IPV6_ADDRESS: u8 = 95;
const ERROR_CAUSE: u8 = 101;
const FRAMED_IPV6_ADDRESS: u8 = 168;

/// The longest packet of RFC 2865.
const LONGEST: usize = 4096;

/// What is asked of the NAS.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Code {
    /// End the session.
    Disconnect,
    /// Change its authorization.
    Coa,
}

impl Code {
    pub fn name(self) -> &'static str {
        match self {
            Code::Disconnect => "Disconnect-Request",
            Code::Coa => "CoA-Request",
        }
    }

    fn number(self) -> u8 {
        match self {
            Code::Disconnect => 40,
            Code::Coa => 43,
        }
    }
}

/// A request, before it is signed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request {
    code: Code,
    attributes: Vec<(u8, Vec<u8>)>,
    /// As a person reads it.
    shown: Vec<String>,
    /// Does an attribute say which session is meant?
    named: bool,
}

impl Request {
    pub fn new(code: Code) -> Request {
        Request { code, attributes: Vec::new(), shown: Vec::new(), named: false }
    }

    fn put(mut self, kind: u8, name: &str, value: &[u8], shown: &str) -> Result<Request, Fault> {
        if value.is_empty() || value.len() > 253 {
            return Err(Fault::Unsupported(format!("{name}: an attribute holds 1 to 253 bytes")));
        }
        self.attributes.push((kind, value.to_vec()));
        self.shown.push(format!("{name} = {shown}"));
        self.named |= matches!(
            kind,
            USER_NAME | ACCT_SESSION_ID | CALLING_STATION_ID | FRAMED_IP_ADDRESS | FRAMED_IPV6_ADDRESS
        );
        Ok(self)
    }

    fn text(self, kind: u8, name: &str, value: &str) -> Result<Request, Fault> {
        let shown = format!("{:?}", portreeve_model::untrusted::escape_for_terminal(value));
        self.put(kind, name, value.as_bytes(), &shown)
    }

    pub fn user_name(self, user: &UserName) -> Result<Request, Fault> {
        self.text(USER_NAME, "User-Name", user.raw())
    }

    pub fn acct_session_id(self, id: &SessionId) -> Result<Request, Fault> {
        self.text(ACCT_SESSION_ID, "Acct-Session-Id", id.raw())
    }

    /// In the form of RFC 3580: `AA-BB-CC-DD-EE-FF`.
    pub fn calling_station_id(self, mac: Mac) -> Result<Request, Fault> {
        let text = mac.to_string().to_ascii_uppercase().replace(':', "-");
        self.text(CALLING_STATION_ID, "Calling-Station-Id", &text)
    }

    /// The address that the client holds; one address, not a range.
    pub fn framed_address(self, net: Net) -> Result<Request, Fault> {
        if !net.is_host() {
            return Err(Fault::Unsupported(format!("{net}: a session holds one address, not a range")));
        }
        match net.net().addr() {
            IpAddr::V4(v4) => self.put(FRAMED_IP_ADDRESS, "Framed-IP-Address", &v4.octets(), &v4.to_string()),
            IpAddr::V6(v6) => {
                self.put(FRAMED_IPV6_ADDRESS, "Framed-IPv6-Address", &v6.octets(), &v6.to_string())
            }
        }
    }

    pub fn nas_identifier(self, name: &str) -> Result<Request, Fault> {
        self.text(NAS_IDENTIFIER, "NAS-Identifier", name)
    }

    pub fn nas_address(self, ip: IpAddr) -> Result<Request, Fault> {
        match ip.to_canonical() {
            IpAddr::V4(v4) => self.put(NAS_IP_ADDRESS, "NAS-IP-Address", &v4.octets(), &v4.to_string()),
            IpAddr::V6(v6) => self.put(NAS_IPV6_ADDRESS, "NAS-IPv6-Address", &v6.octets(), &v6.to_string()),
        }
    }

    /// The name of a filter list at the NAS.
    pub fn filter_id(self, name: &str) -> Result<Request, Fault> {
        self.text(FILTER_ID, "Filter-Id", name)
    }

    /// The request as a preview shows it.
    pub fn shown(&self) -> String {
        format!("{}: {}", self.code.name(), self.shown.join(", "))
    }

    /// The signed packet. The Message-Authenticator is taken while the authenticator is zero, the authenticator with
    /// the Message-Authenticator in its place.
    fn packet(&self, id: u8, now: u32, secret: &[u8]) -> Result<Vec<u8>, Fault> {
        if !self.named {
            return Err(Fault::Unsupported(
                "nothing names the session; a NAS could take the request for all sessions".into(),
            ));
        }
        let mut packet = vec![self.code.number(), id, 0, 0];
        packet.extend([0; 16]);
        packet.extend([MESSAGE_AUTHENTICATOR, 18]);
        packet.extend([0; 16]);
        let stamp = now.to_be_bytes();
        let stamped = [(EVENT_TIMESTAMP, stamp.as_slice())];
        let all = self.attributes.iter().map(|(kind, value)| (*kind, value.as_slice())).chain(stamped);
        for (kind, value) in all {
            let length = u8::try_from(value.len() + 2)
                .map_err(|_| Fault::Unsupported("an attribute holds 1 to 253 bytes".into()))?;
            packet.extend([kind, length]);
            packet.extend(value);
        }
        let length = u16::try_from(packet.len())
            .ok()
            .filter(|n| usize::from(*n) <= LONGEST)
            .ok_or_else(|| Fault::Unsupported("the request is longer than a RADIUS packet".into()))?;
        put(&mut packet, 2, &length.to_be_bytes());
        let signature = hmac(secret, &packet)?;
        put(&mut packet, 22, &signature);
        let authenticator = md5(&[&packet, secret]);
        put(&mut packet, 4, &authenticator);
        Ok(packet)
    }
}

fn put(into: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(place) = into.get_mut(at..at + bytes.len()) {
        place.copy_from_slice(bytes);
    }
}

fn md5(parts: &[&[u8]]) -> [u8; 16] {
    let mut hash = Md5::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}

fn hmac(secret: &[u8], packet: &[u8]) -> Result<[u8; 16], Fault> {
    let mut mac = Hmac::<Md5>::new_from_slice(secret)
        .map_err(|_| Fault::Credential("the shared secret cannot be a key".into()))?;
    mac.update(packet);
    Ok(mac.finalize().into_bytes().into())
}

/// What the NAS answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    Ack,
    /// With its Error-Cause, where it gave one.
    Nak(Option<u32>),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Answer {
    pub verdict: Verdict,
    /// How often the request was sent until the answer came.
    pub sent: u32,
}

/// The names of RFC 5176, section 3.5.
pub fn cause(code: u32) -> &'static str {
    match code {
        201 => "Residual Session Context Removed",
        202 => "Invalid EAP Packet (Ignored)",
        401 => "Unsupported Attribute",
        402 => "Missing Attribute",
        403 => "NAS Identification Mismatch",
        404 => "Invalid Request",
        405 => "Unsupported Service",
        406 => "Unsupported Extension",
        407 => "Invalid Attribute Value",
        501 => "Administratively Prohibited",
        502 => "Request Not Routable (Proxy)",
        503 => "Session Context Not Found",
        504 => "Session Context Not Removable",
        505 => "Other Proxy Processing Error",
        506 => "Resources Unavailable",
        507 => "Request Initiated",
        508 => "Multiple Session Selection Unsupported",
        _ => "a cause that RFC 5176 does not name",
    }
}

impl Answer {
    /// A NAK as a fault.
    pub fn done(self) -> Result<Answer, Fault> {
        let Verdict::Nak(code) = self.verdict else { return Ok(self) };
        let why = match code {
            Some(code) => format!("NAK, Error-Cause {code} ({})", cause(code)),
            None => "NAK without an Error-Cause".to_owned(),
        };
        Err(match code {
            // The first request may have ended it, and its answer been lost.
            Some(503) if self.sent > 1 => Fault::Lost(format!(
                "{why} to a request that was sent {} times: gone before, or ended by an earlier sending",
                self.sent
            )),
            Some(503) => Fault::NotFound(why),
            Some(507) => Fault::Lost(why),
            Some(508) => Fault::Ambiguous(why),
            Some(501) => Fault::Credential(why),
            _ => Fault::Refused(why),
        })
    }
}

/// A NAS that takes dynamic authorization.
#[derive(Clone, Debug)]
pub struct Client {
    pub server: SocketAddr,
    /// How long each sending waits for its answer.
    pub wait: Duration,
    /// How often it is sent at most.
    pub tries: u32,
}

impl Client {
    /// Sends a request until it is answered. Each sending is the same packet with the same identifier, by which a NAS
    /// knows a repetition.
    ///
    /// # Errors
    /// [`Fault::Lost`] where nobody answers; [`Fault::Unreachable`] where the host says that nobody listens.
    pub fn exchange(&self, request: &Request, secret: &Secret) -> Result<Answer, Fault> {
        let unsent = |e: std::io::Error| Fault::Unreachable(format!("{}: {e}", self.server));
        let mut id = [0];
        random(&mut id)?;
        let now = u32::try_from(jiff::Timestamp::now().as_second())
            .map_err(|_| Fault::Config("the clock is outside of what RADIUS can say".into()))?;
        let secret = secret.expose().as_bytes();
        let packet = request.packet(id[0], now, secret)?;
        let any: SocketAddr = match self.server {
            SocketAddr::V4(_) => (std::net::Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (std::net::Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        // A port of its own for each request: an answer to another one does not come here.
        let socket = UdpSocket::bind(any).map_err(unsent)?;
        socket.connect(self.server).map_err(unsent)?;
        let (mut wrong, mut refused) = (0_u32, 0_u32);
        for sent in 1..=self.tries.max(1) {
            match socket.send(&packet) {
                Ok(_) => {}
                // Told of the sending before.
                Err(e) if e.kind() == std::io::ErrorKind::ConnectionRefused => {
                    refused += 1;
                    std::thread::sleep(self.wait.min(Duration::from_millis(200)));
                    continue;
                }
                Err(e) if sent == 1 => return Err(unsent(e)),
                Err(e) => return Err(Fault::Lost(format!("{}: {e}", self.server))),
            }
            let until = Instant::now() + self.wait;
            while let Some(left) = until.checked_duration_since(Instant::now()).filter(|d| !d.is_zero()) {
                socket.set_read_timeout(Some(left)).map_err(|e| Fault::Lost(e.to_string()))?;
                let mut bytes = [0; LONGEST];
                match socket.recv(&mut bytes) {
                    Ok(n) => match verdict(request.code, &packet, bytes.get(..n).unwrap_or(&[]), secret) {
                        Some(verdict) => return Ok(Answer { verdict, sent }),
                        None => wrong += 1,
                    },
                    Err(e) if e.kind() == std::io::ErrorKind::ConnectionRefused => {
                        refused += 1;
                        break;
                    }
                    Err(_) => break,
                }
            }
        }
        if refused >= self.tries.max(1) {
            return Err(Fault::Unreachable(format!("{}: nobody listens there", self.server)));
        }
        let doubt = if wrong > 0 {
            format!("; {wrong} answers were not signed with our secret")
        } else {
            String::new()
        };
        Err(Fault::Lost(format!(
            "{}: no answer to {} sendings: another secret there, we are no client of it, or it is dead{doubt}",
            self.server, self.tries
        )))
    }
}

/// Reads an answer; `None` where it is not the answer to this request or not signed with this secret.
fn verdict(code: Code, request: &[u8], answer: &[u8], secret: &[u8]) -> Option<Verdict> {
    let length = usize::from(u16::from_be_bytes([*answer.get(2)?, *answer.get(3)?]));
    // What follows the stated length is padding.
    let answer = answer.get(..length).filter(|a| a.len() >= 20)?;
    if answer.get(1) != request.get(1) {
        return None;
    }
    let signed = md5(&[answer.get(..4)?, request.get(4..20)?, answer.get(20..)?, secret]);
    if signed != answer.get(4..20)? {
        return None;
    }
    let mut cause = None;
    let mut at = 20;
    while at < answer.len() {
        let (kind, length) = (*answer.get(at)?, usize::from(*answer.get(at + 1)?));
        let value = answer.get(at + 2..at + length)?;
        match kind {
            ERROR_CAUSE => cause = Some(u32::from_be_bytes(value.try_into().ok()?)),
            MESSAGE_AUTHENTICATOR => {
                let mut whole = answer.to_vec();
                put(&mut whole, 4, request.get(4..20)?);
                put(&mut whole, at + 2, &[0; 16]);
                if hmac(secret, &whole).ok()? != value {
                    return None;
                }
            }
            _ => {}
        }
        at += length.max(2);
    }
    match answer.first()?.checked_sub(code.number())? {
        1 => Some(Verdict::Ack),
        2 => Some(Verdict::Nak(cause)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn request() -> Request {
        Request::new(Code::Disconnect)
            .user_name(&UserName::new("a\"b=c, d").unwrap())
            .and_then(|r| r.calling_station_id("aa:bb:cc:00:11:22".parse().unwrap()))
            .and_then(|r| r.framed_address("2001:db8::7".parse().unwrap()))
            .unwrap()
    }

    /// An answer as a NAS signs it.
    fn answer(code: u8, request: &[u8], attributes: &[u8], secret: &[u8]) -> Vec<u8> {
        let length = u16::try_from(20 + attributes.len()).unwrap().to_be_bytes();
        let head = [code, request[1], length[0], length[1]];
        let signed = md5(&[&head, &request[4..20], attributes, secret]);
        [&head, signed.as_slice(), attributes].concat()
    }

    #[test]
    fn a_packet_is_signed_twice_and_holds_each_value_in_its_place() {
        let packet = request().packet(7, 0x0102_0304, b"s3cret").unwrap();
        assert_eq!(&packet[..4], [40, 7, 0, u8::try_from(packet.len()).unwrap()]);
        let mut bare = packet.clone();
        put(&mut bare, 4, &[0; 16]);
        assert_eq!(md5(&[&bare, b"s3cret"]), packet[4..20]);
        put(&mut bare, 22, &[0; 16]);
        assert_eq!(hmac(b"s3cret", &bare).unwrap(), packet[22..38]);
        let rest = &packet[38..];
        assert_eq!(&rest[..12], b"\x01\x0aa\"b=c, d\x1f\x13".as_slice());
        assert!(rest.ends_with(&[55, 6, 1, 2, 3, 4]));
    }

    #[test]
    fn what_names_no_session_is_not_sent() {
        let bare = Request::new(Code::Disconnect).nas_identifier("switch1").unwrap();
        assert!(matches!(bare.packet(1, 0, b"x"), Err(Fault::Unsupported(_))));
        let range = Request::new(Code::Disconnect).framed_address("10.0.0.0/8".parse().unwrap());
        assert!(matches!(range, Err(Fault::Unsupported(_))));
        let long = Request::new(Code::Coa).filter_id(&"x".repeat(254));
        assert!(matches!(long, Err(Fault::Unsupported(_))));
    }

    #[test]
    fn an_answer_counts_only_with_our_secret_our_identifier_and_our_code() {
        let packet = request().packet(7, 1, b"s").unwrap();
        let read = |bytes: &[u8]| verdict(Code::Disconnect, &packet, bytes, b"s");
        assert_eq!(read(&answer(41, &packet, &[], b"s")), Some(Verdict::Ack));
        let cause = [101, 6, 0, 0, 1, 0xf7];
        assert_eq!(read(&answer(42, &packet, &cause, b"s")), Some(Verdict::Nak(Some(503))));
        assert_eq!(read(&answer(41, &packet, &[], b"other")), None);
        assert_eq!(read(&answer(44, &packet, &[], b"s")), None);
        assert_eq!(read(&answer(41, &packet, &[101, 1], b"s")), None, "an attribute shorter than its head");
        let mut other = answer(41, &packet, &[], b"s");
        other[1] ^= 1;
        assert_eq!(read(&other), None);
        let mut forged = vec![80, 18];
        forged.extend([0; 16]);
        assert_eq!(read(&answer(41, &packet, &forged, b"s")), None, "a wrong Message-Authenticator");
        let mut padded = answer(41, &packet, &[], b"s");
        padded.extend([1, 2, 3]);
        assert_eq!(read(&padded), Some(Verdict::Ack));
    }

    #[test]
    fn a_nak_says_what_became_of_the_session() {
        let fault = |code, sent| Answer { verdict: Verdict::Nak(code), sent }.done().unwrap_err();
        assert!(matches!(fault(Some(503), 1), Fault::NotFound(_)));
        assert!(matches!(fault(Some(503), 2), Fault::Lost(_)));
        assert!(matches!(fault(Some(508), 1), Fault::Ambiguous(_)));
        assert!(fault(Some(401), 1).to_string().contains("Unsupported Attribute"));
        assert!(matches!(fault(None, 1), Fault::Refused(_)));
    }

    #[test]
    fn silence_is_not_a_refusal_and_a_closed_port_was_not_reached() {
        let nas = UdpSocket::bind("127.0.0.1:0").unwrap();
        let client = Client { server: nas.local_addr().unwrap(), wait: Duration::from_millis(50), tries: 3 };
        let secret = Secret::new("s");
        assert!(matches!(client.exchange(&request(), &secret), Err(Fault::Lost(_))));
        let mut seen = Vec::new();
        for _ in 0..3 {
            let mut bytes = [0; LONGEST];
            let n = nas.recv(&mut bytes).unwrap();
            seen.push(bytes[..n].to_vec());
        }
        assert!(seen.iter().all(|p| *p == seen[0]), "a repetition is the same packet");
        drop(nas);
        assert!(matches!(client.exchange(&request(), &secret), Err(Fault::Unreachable(_))));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let packet = request().packet(7, 1, b"s").unwrap();
            prop_assert_eq!(verdict(Code::Disconnect, &packet, &bytes, b"s"), None);
            let signed = answer(42, &packet, &bytes, b"s");
            let _read = verdict(Code::Disconnect, &packet, &signed, b"s");
        }
    }
}
