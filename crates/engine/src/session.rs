//! A remote session: one stay of a principal through a gateway or service, with what it did afterwards.

use portreeve_model::event::{Change, Event, Factor, Flags, Method, Mfa, Reason, Service};
use portreeve_model::place::Place;
use portreeve_model::signal::Evidence;
use portreeve_model::{EventTime, Ip, Sym};

/// How many items of each kind a session keeps; what comes later is counted in `dropped`.
pub const TOUCHES: usize = 256;
pub const DEEDS: usize = 128;
pub const ADDRESSES: usize = 16;
pub const EVIDENCE: usize = 24;

/// A protocol over which one administers or reaches a host.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Protocol {
    Ssh,
    Rdp,
    Smb,
    WinRm,
    Rpc,
    Ldap,
    Kerberos,
    Web,
    Database,
    Vnc,
    Other,
}

impl Protocol {
    pub fn of_port(port: u16) -> Protocol {
        match port {
            22 | 2222 => Protocol::Ssh,
            3389 => Protocol::Rdp,
            139 | 445 => Protocol::Smb,
            5985 | 5986 => Protocol::WinRm,
            135 => Protocol::Rpc,
            389 | 636 | 3268 | 3269 => Protocol::Ldap,
            88 | 464 => Protocol::Kerberos,
            80 | 443 | 8080 | 8443 => Protocol::Web,
            1433 | 1521 | 3306 | 5432 | 27017 => Protocol::Database,
            5900..=5910 => Protocol::Vnc,
            _ => Protocol::Other,
        }
    }

    /// One runs things with it, rather than only reading a page or a directory.
    pub fn is_administrative(self) -> bool {
        matches!(self, Protocol::Ssh | Protocol::Rdp | Protocol::WinRm | Protocol::Vnc)
    }

    /// Clients speak these to servers all day without anybody reaching in.
    pub fn is_background(self) -> bool {
        matches!(self, Protocol::Ldap | Protocol::Kerberos | Protocol::Web | Protocol::Rpc | Protocol::Other)
    }

    pub fn name(self) -> &'static str {
        match self {
            Protocol::Ssh => "SSH",
            Protocol::Rdp => "RDP",
            Protocol::Smb => "SMB",
            Protocol::WinRm => "WinRM",
            Protocol::Rpc => "RPC",
            Protocol::Ldap => "LDAP",
            Protocol::Kerberos => "Kerberos",
            Protocol::Web => "web",
            Protocol::Database => "database",
            Protocol::Vnc => "VNC",
            Protocol::Other => "other",
        }
    }
}

/// A host that the session reached.
#[derive(Clone, PartialEq, Debug)]
pub struct Touch {
    /// Canonical host name, or the address as a name where no table knows it.
    pub host: Sym,
    pub protocol: Protocol,
    /// Canonical account that was used there; unset for bare connections.
    pub user: Sym,
    pub first: EventTime,
    pub last: EventTime,
    pub successes: u32,
    pub failures: u32,
    /// A logon, as against a bare connection.
    pub logon: bool,
    /// 1 from the session itself, 2 from a host reached in it, and so on.
    pub depth: u8,
    pub evidence: Evidence,
}

/// Something done in the session: a command, a change, an API call, an alert about it.
#[derive(Clone, PartialEq, Debug)]
pub struct Deed {
    pub kind: DeedKind,
    pub time: EventTime,
    /// Canonical account that did it.
    pub user: Sym,
    pub host: Sym,
    pub target: Sym,
    pub detail: Sym,
    pub change: Change,
    pub flags: Flags,
    pub severity: u8,
    pub success: bool,
    pub evidence: Evidence,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum DeedKind {
    Command,
    Change,
    Api,
    Alert,
    Config,
}

/// An address of the session, with when it was used.
#[derive(Clone, PartialEq, Debug)]
pub struct Stay {
    pub ip: Ip,
    pub first: EventTime,
    pub last: EventTime,
    pub client: Sym,
    /// The product said that the session moved here (roaming).
    pub resumed: bool,
    pub evidence: Evidence,
}

/// What is known of the session's second factor.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct MfaSeen {
    pub mfa: Mfa,
    pub factor: Factor,
    pub flags: Flags,
    pub evidence: Option<Evidence>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Session {
    /// Position in the principal's list; stable within a run.
    pub index: usize,
    pub principal: Sym,
    /// The account as logged at the start.
    pub account: Sym,
    pub service: Service,
    pub gateway: Sym,
    pub group: Sym,
    pub sid: Sym,
    pub device: Sym,
    pub client: Sym,
    pub method: Method,
    pub flags: Flags,
    pub source: Sym,
    pub start: EventTime,
    pub last: EventTime,
    pub end: Option<EventTime>,
    pub end_reason: Reason,
    pub bytes_in: u64,
    pub bytes_out: u64,
    /// Public (or inner) addresses in order of first use.
    pub stays: Vec<Stay>,
    pub tunnels: Vec<(Ip, EventTime)>,
    /// Place of the first address.
    pub place: Place,
    pub mfa: MfaSeen,
    /// A gateway or service let the principal in, as against only a password that was right.
    pub entered: bool,
    /// The password was right and the access was refused.
    pub refused: bool,
    /// Activity of a session that nobody saw begin.
    pub orphan: bool,
    /// The clock behind the start is not sure enough to reckon speeds with.
    pub clock_suspect: bool,
    pub touches: Vec<Touch>,
    pub deeds: Vec<Deed>,
    pub evidence: Vec<Evidence>,
    pub dropped: u32,
}

/// Most sessions have one of a kind, and there are many sessions: a vector would begin with room for four.
fn add<T>(all: &mut Vec<T>, item: T) {
    if all.capacity() == 0 {
        all.reserve_exact(1);
    }
    all.push(item);
}

impl Session {
    pub fn begin(index: usize, principal: Sym, event: &Event, place: Place) -> Session {
        use portreeve_model::time::Certainty;
        let mut session = Session {
            index,
            principal,
            account: event.user,
            service: event.service,
            gateway: event.observer,
            group: event.group,
            sid: event.sid,
            device: event.device,
            client: event.client,
            method: event.method,
            flags: event.flags,
            source: event.source,
            start: event.time,
            last: event.time,
            end: None,
            end_reason: Reason::None,
            bytes_in: 0,
            bytes_out: 0,
            stays: Vec::new(),
            tunnels: Vec::new(),
            place,
            mfa: MfaSeen::default(),
            entered: false,
            refused: false,
            orphan: false,
            clock_suspect: event.certainty == Certainty::ClockSuspect,
            touches: Vec::new(),
            deeds: Vec::new(),
            evidence: Vec::new(),
            dropped: 0,
        };
        session.take_in(event);
        session
    }

    /// Fills in what a further record of the same stay tells.
    pub fn take_in(&mut self, event: &Event) {
        let evidence = Evidence { time: event.time, raw: event.raw };
        self.last = self.last.max(event.time);
        self.start = self.start.min(event.time);
        self.group = self.group.or(event.group);
        self.sid = self.sid.or(event.sid);
        self.device = self.device.or(event.device);
        self.client = self.client.or(event.client);
        self.gateway = self.gateway.or(event.observer);
        self.flags.0 |= event.flags.0;
        if self.method == Method::Unknown {
            self.method = event.method;
        }
        if event.src_ip.is_some() {
            self.stay(event, false);
        }
        if event.tun_ip.is_some()
            && !self.tunnels.iter().any(|(ip, _)| *ip == event.tun_ip)
            && self.tunnels.len() < ADDRESSES
        {
            add(&mut self.tunnels, (event.tun_ip, event.time));
        }
        self.tell_mfa(event.mfa, event.factor, event.flags, evidence);
        if self.evidence.len() < EVIDENCE {
            self.evidence.push(evidence);
        } else {
            self.dropped += 1;
        }
    }

    /// An address is used.
    pub fn stay(&mut self, event: &Event, resumed: bool) {
        if let Some(stay) = self.stays.iter_mut().find(|s| s.ip == event.src_ip) {
            stay.last = stay.last.max(event.time);
            stay.client = stay.client.or(event.client);
        } else if self.stays.len() < ADDRESSES {
            let evidence = Evidence { time: event.time, raw: event.raw };
            let (first, last) = (event.time, event.time);
            add(
                &mut self.stays,
                Stay { ip: event.src_ip, first, last, client: event.client, resumed, evidence },
            );
        } else {
            self.dropped += 1;
        }
    }

    /// The stronger statement stands: a factor that was passed beats one that was claimed, and both beat a
    /// plain no; silence changes nothing.
    pub fn tell_mfa(&mut self, mfa: Mfa, factor: Factor, flags: Flags, evidence: Evidence) {
        let rank = |m: Mfa| match m {
            Mfa::Unknown => 0,
            Mfa::Delegated => 1,
            Mfa::No => 2,
            Mfa::Claimed => 3,
            Mfa::Yes => 4,
        };
        if rank(mfa) > rank(self.mfa.mfa) {
            self.mfa = MfaSeen { mfa, factor, flags, evidence: Some(evidence) };
        }
    }

    pub fn ip(&self) -> Ip {
        self.stays.first().map_or(Ip::NONE, |s| s.ip)
    }

    /// End, or the last sign of life where no end was logged.
    pub fn end_or_last(&self) -> EventTime {
        self.end.unwrap_or(self.last).max(self.last)
    }

    pub fn touch(&mut self, touch: Touch) {
        let same =
            |t: &&mut Touch| t.host == touch.host && t.protocol == touch.protocol && t.user == touch.user;
        if let Some(known) = self.touches.iter_mut().find(same) {
            known.last = known.last.max(touch.last);
            known.successes += touch.successes;
            known.failures += touch.failures;
            known.logon |= touch.logon;
            known.depth = known.depth.min(touch.depth);
        } else if self.touches.len() < TOUCHES {
            add(&mut self.touches, touch);
        } else {
            self.dropped += 1;
        }
    }

    pub fn deed(&mut self, deed: Deed) {
        if self.deeds.len() < DEEDS {
            add(&mut self.deeds, deed);
        } else {
            self.dropped += 1;
        }
    }

    pub fn came_from_outside(&self) -> bool {
        self.stays.iter().any(|s| s.ip.is_public())
    }
}
