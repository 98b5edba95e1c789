//! Lines as firewalls, gateways, SSH and domain controllers of one large site send them, with the time of this moment.
//!
//! Texts are cut up once; a line is then copied together, so that the load takes little from what it loads. Few lines
//! are about people, as at a real site: most are connections through firewalls and doors that scanners rattle at.

use crate::workloads::Dice;
use jiff::Timestamp;
use jiff::fmt::strtime;
use std::io::Write;
use std::time::Duration;

/// Of a thousand draws, how many are this; what is more than one line is sent one after the other, about the same person.
const MIX: &[(u32, &[&str])] = &[
    (
        280,
        &[
            "<166>{asa} asa-01 : %ASA-6-302013: Built outbound TCP connection {n} for outside:93.184.216.{octet}/443 (93.184.216.{octet}/443) to inside:{inner}/{port} (192.0.2.1/{port})",
        ],
    ),
    (
        280,
        &[
            "<166>{asa} asa-01 : %ASA-6-302014: Teardown TCP connection {n} for outside:93.184.216.{octet}/443 to inside:{inner}/{port} duration 0:00:12 bytes {port} TCP FINs",
        ],
    ),
    (
        120,
        &[
            "<164>{asa} asa-01 : %ASA-4-106023: Deny tcp src outside:{outside}/{port} dst inside:192.0.2.10/3389 by access-group \"OUT\" [0x{n}, 0x0]",
        ],
    ),
    (
        120,
        &[
            "<189>date={date} time={time} devname=\"FGT-01\" devid=\"FGT60FTK00000001\" eventtime={nano} tz=\"+0000\" logid=\"0000000013\" type=\"traffic\" subtype=\"forward\" level=\"notice\" vd=\"root\" srcip={inner} srcport={port} srcintf=\"lan\" srcintfrole=\"lan\" dstip=93.184.216.{octet} dstport=443 dstintf=\"wan1\" dstintfrole=\"wan\" srccountry=\"Reserved\" dstcountry=\"United States\" sessionid={n} proto=6 action=\"close\" policyid=12 policytype=\"policy\" policyname=\"lan-out\" service=\"HTTPS\" trandisp=\"snat\" transip=192.0.2.36 transport={port} appcat=\"unscanned\" duration=12 sentbyte=4711 rcvdbyte={port} sentpkt=22 rcvdpkt=25",
        ],
    ),
    (40, &["<38>{rfc} bastion-01 sshd[{n}]: Failed password for root from {outside} port {port} ssh2"]),
    (40, &["<38>{rfc} bastion-01 sshd[{n}]: Invalid user admin from {outside} port {port}"]),
    (
        10,
        &[
            "<38>{rfc} app-{server} sshd[{n}]: Accepted publickey for svc-deploy from 10.9.0.7 port {port} ssh2: ED25519 SHA256:9Xc1Ww9NnZ0nEJ3kT1i5b1rG0Gm3lqQ2cK1m5t8yZ0A",
        ],
    ),
    (
        8,
        &[
            "<166>{asa} asa-01 : %ASA-6-113005: AAA user authentication Rejected : reason = User was not found : server = 10.0.0.9 : user = ***** : user IP = {outside}",
        ],
    ),
    (
        46,
        &[
            "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System><Provider Name='Microsoft-Windows-Security-Auditing' Guid='{54849625-5478-4994-A5BA-3E3B0328C30D}'/><EventID>4624</EventID><Version>2</Version><Level>0</Level><Task>12544</Task><Opcode>0</Opcode><Keywords>0x8020000000000000</Keywords><TimeCreated SystemTime='{win}'/><EventRecordID>{n}</EventRecordID><Correlation/><Execution ProcessID='744' ThreadID='812'/><Channel>Security</Channel><Computer>FILE-{server}.corp.example</Computer><Security/></System><EventData><Data Name='SubjectUserSid'>S-1-0-0</Data><Data Name='SubjectUserName'>-</Data><Data Name='SubjectDomainName'>-</Data><Data Name='SubjectLogonId'>0x0</Data><Data Name='TargetUserSid'>S-1-5-21-415872964-222934939-131830321-{user}</Data><Data Name='TargetUserName'>u{user}</Data><Data Name='TargetDomainName'>CORP</Data><Data Name='TargetLogonId'>0x{n}</Data><Data Name='LogonType'>3</Data><Data Name='LogonProcessName'>Kerberos</Data><Data Name='AuthenticationPackageName'>Kerberos</Data><Data Name='WorkstationName'>-</Data><Data Name='IpAddress'>{desk}</Data><Data Name='IpPort'>{port}</Data></EventData></Event>",
        ],
    ),
    (
        46,
        &[
            "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System><Provider Name='Microsoft-Windows-Security-Auditing' Guid='{54849625-5478-4994-A5BA-3E3B0328C30D}'/><EventID>4634</EventID><Version>0</Version><Level>0</Level><Task>12545</Task><Opcode>0</Opcode><Keywords>0x8020000000000000</Keywords><TimeCreated SystemTime='{win}'/><EventRecordID>{n}</EventRecordID><Correlation/><Execution ProcessID='744' ThreadID='812'/><Channel>Security</Channel><Computer>FILE-{server}.corp.example</Computer><Security/></System><EventData><Data Name='TargetUserSid'>S-1-5-21-415872964-222934939-131830321-{user}</Data><Data Name='TargetUserName'>u{user}</Data><Data Name='TargetDomainName'>CORP</Data><Data Name='TargetLogonId'>0x{n}</Data><Data Name='LogonType'>3</Data></EventData></Event>",
        ],
    ),
    (
        2,
        &[
            "<166>{asa} asa-01 : %ASA-6-113004: AAA user authentication Successful : server =  10.0.0.9 : user = u{user}",
            "<166>{asa} asa-01 : %ASA-6-113039: Group <Staff> User <u{user}> IP <{home}> AnyConnect parent session started.",
            "<164>{asa} asa-01 : %ASA-4-722051: Group <Staff> User <u{user}> IP <{home}> IPv4 Address <{desk}> IPv6 address <::> assigned to session",
        ],
    ),
    (
        2,
        &[
            "<164>{asa} asa-01 : %ASA-4-113019: Group = Staff, Username = u{user}, IP = {home}, Session disconnected. Session Type: AnyConnect-Parent, Duration: 1h:10m:05s, Bytes xmt: 34712, Bytes rcv: {port}, Reason: User Requested",
        ],
    ),
    (
        2,
        &[
            "<189>date={date} time={time} devname=\"FGT-01\" devid=\"FGT60FTK00000001\" eventtime={nano} tz=\"+0000\" logid=\"0101039947\" type=\"event\" subtype=\"vpn\" level=\"information\" vd=\"root\" logdesc=\"SSL VPN tunnel up\" action=\"tunnel-up\" tunneltype=\"ssl-tunnel\" tunnelid={n} remip={home} tunnelip={desk} user=\"u{user}\" group=\"Staff\" dst_host=\"N/A\" reason=\"tunnel established\" msg=\"SSL tunnel established\"",
        ],
    ),
    (
        4,
        &[
            "<185>date={date} time={time} devname=\"FGT-01\" devid=\"FGT60FTK00000001\" eventtime={nano} tz=\"+0000\" logid=\"0101039426\" type=\"event\" subtype=\"vpn\" level=\"alert\" vd=\"root\" logdesc=\"SSL VPN login fail\" action=\"ssl-login-fail\" tunneltype=\"ssl-web\" tunnelid=0 remip={outside} user=\"admin\" group=\"N/A\" dst_host=\"N/A\" reason=\"sslvpn_login_unknown_user\" msg=\"SSL user failed to logged in\"",
        ],
    ),
];

#[derive(Clone, Copy)]
enum Slot {
    Asa,
    Date,
    Time,
    Nano,
    Rfc,
    Win,
    /// Counts up, so that no two lines are the same.
    N,
    Port,
    Octet,
    /// An address inside, of anybody.
    Inner,
    /// An address inside that is this person's.
    Desk,
    /// Where this person is at home.
    Home,
    /// A scanner.
    Outside,
    User,
    /// One of the few servers that this person uses.
    Server,
}

const SLOTS: &[(&str, Slot)] = &[
    ("asa", Slot::Asa),
    ("date", Slot::Date),
    ("time", Slot::Time),
    ("nano", Slot::Nano),
    ("rfc", Slot::Rfc),
    ("win", Slot::Win),
    ("n", Slot::N),
    ("port", Slot::Port),
    ("octet", Slot::Octet),
    ("inner", Slot::Inner),
    ("desk", Slot::Desk),
    ("home", Slot::Home),
    ("outside", Slot::Outside),
    ("user", Slot::User),
    ("server", Slot::Server),
];

enum Piece {
    Text(&'static str),
    Slot(Slot),
}

fn cut_up(text: &'static str) -> Vec<Piece> {
    let (mut pieces, mut rest) = (Vec::new(), text);
    let mut from = 0;
    while let Some(at) = rest.get(from..).and_then(|r| r.find('{')).map(|at| from + at) {
        let name = rest.get(at + 1..).and_then(|r| r.split_once('}')).map_or("", |(name, _)| name);
        match SLOTS.iter().find(|(known, _)| *known == name) {
            Some((_, slot)) => {
                pieces.push(Piece::Text(rest.get(..at).unwrap_or_default()));
                pieces.push(Piece::Slot(*slot));
                rest = rest.get(at + name.len() + 2..).unwrap_or_default();
                from = 0;
            }
            // A brace of the record itself.
            None => from = at + 1,
        }
    }
    pieces.push(Piece::Text(rest));
    pieces
}

/// The moment in every spelling.
#[derive(Default)]
struct Stamps {
    second: i64,
    asa: String,
    date: String,
    time: String,
    /// RFC 3339 up to the second.
    upto: String,
}

impl Stamps {
    fn renew(&mut self, at: Timestamp) {
        if self.second == at.as_second() {
            return;
        }
        self.second = at.as_second();
        let told = |format: &str| strtime::format(format, at).unwrap_or_default();
        self.asa = told("%b %d %Y %H:%M:%S");
        self.date = told("%Y-%m-%d");
        self.time = told("%H:%M:%S");
        self.upto = told("%Y-%m-%dT%H:%M:%S");
    }
}

/// Gives lines, the same on every machine but for their times.
pub(super) struct Lines {
    groups: Vec<Vec<Vec<Piece>>>,
    /// A group for each of a thousand draws.
    draws: Vec<usize>,
    dice: Dice,
    stamps: Stamps,
    at: Timestamp,
    n: u64,
    users: u64,
    /// Lines of the group that was begun: which one, which line of it comes next, whose.
    open: Option<(usize, usize, u64)>,
}

impl Lines {
    pub(super) fn new(users: u64, seed: u64) -> Lines {
        let groups: Vec<Vec<Vec<Piece>>> =
            MIX.iter().map(|(_, lines)| lines.iter().map(|line| cut_up(line)).collect()).collect();
        let draws =
            MIX.iter().enumerate().flat_map(|(n, (weight, _))| (0..*weight).map(move |_| n)).collect();
        Lines {
            groups,
            draws,
            dice: Dice(0x9e37_79b9_7f4a_7c15 ^ seed),
            stamps: Stamps::default(),
            at: Timestamp::UNIX_EPOCH,
            n: seed * 1_000_000_000,
            users: users.max(1),
            open: None,
        }
    }

    /// The moment of the lines that follow.
    pub(super) fn at(&mut self, at: Timestamp) {
        self.at = at;
        self.stamps.renew(at);
    }

    /// One more line, without an end.
    pub(super) fn push(&mut self, to: &mut Vec<u8>) {
        let (group, line, user) = match self.open.take() {
            Some(open) => open,
            None => {
                let draw = usize::try_from(self.dice.below(self.draws.len() as u64)).unwrap_or(0);
                (self.draws.get(draw).copied().unwrap_or(0), 0, self.dice.below(self.users))
            }
        };
        self.n += 1;
        let port = 1_024 + self.dice.below(60_000);
        let lines = self.groups.get(group).map_or(&[][..], Vec::as_slice);
        for piece in lines.get(line).map_or(&[][..], Vec::as_slice) {
            let slot = match piece {
                Piece::Text(text) => {
                    to.extend_from_slice(text.as_bytes());
                    continue;
                }
                Piece::Slot(slot) => *slot,
            };
            let s = &self.stamps;
            let micros = self.at.subsec_microsecond();
            let written = match slot {
                Slot::Asa => to.write_all(s.asa.as_bytes()),
                Slot::Date => to.write_all(s.date.as_bytes()),
                Slot::Time => to.write_all(s.time.as_bytes()),
                Slot::Nano => write!(to, "{}", self.at.as_nanosecond()),
                Slot::Rfc => write!(to, "{}.{micros:06}Z", s.upto),
                Slot::Win => write!(to, "{}.{micros:06}0Z", s.upto),
                Slot::N => write!(to, "{}", self.n),
                Slot::Port => write!(to, "{port}"),
                Slot::Octet => write!(to, "{}", port % 250),
                Slot::Inner => address(to, 10, self.dice.below(60_000)),
                Slot::Desk => address(to, 10, 100_000 + user),
                Slot::Home => address(to, 145, user),
                Slot::Outside => address(to, 185, self.dice.below(20_000)),
                Slot::User => write!(to, "{user:05}"),
                Slot::Server => write!(to, "{:03}", (user * 7 + self.n % 3) % 200),
            };
            written.expect("a vector takes everything");
        }
        if line + 1 < lines.len() {
            self.open = Some((group, line + 1, user));
        }
    }
}

/// The nth address of a range.
fn address(to: &mut Vec<u8>, first: u8, n: u64) -> std::io::Result<()> {
    write!(to, "{first}.{}.{}.{}", n / 62_500, n / 250 % 250, 1 + n % 250)
}

/// Records of an attack.
const RECORDS: u32 = 21;

/// A small attack: a password is guessed from a listed address, the account gets in through a group without a second
/// factor, and goes on by remote desktop to servers that it never used. The first record is so old, and the last is new.
pub(super) fn story(n: u32, now: Timestamp, age: Duration) -> (String, Vec<String>) {
    let (user, ip) = (format!("story{n:04}"), format!("{LISTED}.{}", 1 + n % 250));
    let mut told = 0;
    let mut stamp = |format: &str| {
        told += 1;
        let at = now - age * (RECORDS - told) / RECORDS;
        strtime::format(format, at).unwrap_or_default()
    };
    let asa = "%b %d %Y %H:%M:%S";
    let mut lines: Vec<String> = (0..12)
        .map(|_| {
            format!(
                "<166>{} asa-01 : %ASA-6-113005: AAA user authentication Rejected : reason = Invalid password : server = 10.0.0.9 : user = {user} : user IP = {ip}",
                stamp(asa)
            )
        })
        .collect();
    let tunnel = format!("10.8.{}.{}", n / 250, 1 + n % 250);
    lines.push(format!(
        "<166>{} asa-01 : %ASA-6-113004: AAA user authentication Successful : server =  10.0.0.9 : user = {user}",
        stamp(asa)
    ));
    lines.push(format!(
        "<166>{} asa-01 : %ASA-6-113039: Group <NoPush> User <{user}> IP <{ip}> AnyConnect parent session started.",
        stamp(asa)
    ));
    lines.push(format!(
        "<164>{} asa-01 : %ASA-4-722051: Group <NoPush> User <{user}> IP <{ip}> IPv4 Address <{tunnel}> IPv6 address <::> assigned to session",
        stamp(asa)
    ));
    for host in 0..6 {
        lines.push(format!(
            "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System><Provider Name='Microsoft-Windows-Security-Auditing' Guid='{{54849625-5478-4994-A5BA-3E3B0328C30D}}'/><EventID>4624</EventID><Version>2</Version><Level>0</Level><Task>12544</Task><Opcode>0</Opcode><Keywords>0x8020000000000000</Keywords><TimeCreated SystemTime='{}'/><EventRecordID>{n}{host}</EventRecordID><Correlation/><Execution ProcessID='744' ThreadID='812'/><Channel>Security</Channel><Computer>STORE-{host:02}.corp.example</Computer><Security/></System><EventData><Data Name='SubjectUserSid'>S-1-0-0</Data><Data Name='SubjectUserName'>-</Data><Data Name='SubjectDomainName'>-</Data><Data Name='SubjectLogonId'>0x0</Data><Data Name='TargetUserSid'>S-1-5-21-415872964-222934939-131830321-9{n:04}</Data><Data Name='TargetUserName'>{user}</Data><Data Name='TargetDomainName'>CORP</Data><Data Name='TargetLogonId'>0x9{n:04}{host}</Data><Data Name='LogonType'>10</Data><Data Name='LogonProcessName'>User32 </Data><Data Name='AuthenticationPackageName'>Negotiate</Data><Data Name='WorkstationName'>STORE-{host:02}</Data><Data Name='IpAddress'>{tunnel}</Data><Data Name='IpPort'>0</Data></EventData></Event>",
            stamp("%Y-%m-%dT%H:%M:%S.%6f0Z")
        ));
    }
    (user, lines)
}

/// The range of the list of indicators that the service is given.
pub(super) const LISTED: &str = "198.51.100";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_story_ends_now() {
        let now: Timestamp = "2026-11-27T23:30:05.25Z".parse().expect("a time");
        let (user, lines) = story(7, now, Duration::from_secs(42));
        assert_eq!((user.as_str(), lines.len()), ("story0007", RECORDS as usize));
        assert!(lines.first().is_some_and(|l| l.contains("23:29:25")), "{lines:?}");
        assert!(lines.last().is_some_and(|l| l.contains("'2026-11-27T23:30:05.2500000Z'")), "{lines:?}");
    }

    #[test]
    fn the_mix_is_a_thousand_and_every_slot_is_filled() {
        assert_eq!(MIX.iter().map(|(weight, _)| weight).sum::<u32>(), 1_000);
        let mut lines = Lines::new(20, 1);
        lines.at("2026-11-27T23:30:05.25Z".parse().expect("a time"));
        let mut all = std::collections::BTreeSet::new();
        for _ in 0..5_000 {
            let mut line = Vec::new();
            lines.push(&mut line);
            let line = String::from_utf8(line).expect("text");
            let without = line.replace("{54849625-5478-4994-A5BA-3E3B0328C30D}", "");
            assert!(!without.contains(['{', '}']), "{line}");
            assert!(line.contains("23:30:05"), "{line}");
            all.insert(line);
        }
        // Lines about people may be the same twice within one moment; the others are counted.
        assert!(all.len() > 4_950, "{}", all.len());
    }
}
