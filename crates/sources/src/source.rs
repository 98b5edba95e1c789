//! What a log source declares about itself. Everything else derives from it: the listing, the docs page, the
//! fixture test, the fuzz target, and the coverage text of a case.

use crate::emit::Emit;
use crate::mapping::Mapping;
use crate::record::Record;
use portreeve_model::event::Act;

/// Row of the playbook that the source belongs to; also the folder of its file and of its fixtures.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Row {
    Vpn,
    Citrix,
    Remote,
    Firewall,
    Authentication,
    Cloud,
    Kubernetes,
    Vlan,
    Endpoint,
}

impl Row {
    pub const ALL: [Row; 9] = [
        Row::Vpn,
        Row::Citrix,
        Row::Remote,
        Row::Firewall,
        Row::Authentication,
        Row::Cloud,
        Row::Kubernetes,
        Row::Vlan,
        Row::Endpoint,
    ];

    /// The row of this folder.
    pub fn named(folder: &str) -> Option<Row> {
        Row::ALL.into_iter().find(|r| r.folder() == folder)
    }

    pub fn folder(self) -> &'static str {
        match self {
            Row::Vpn => "vpn",
            Row::Citrix => "citrix",
            Row::Remote => "remote",
            Row::Firewall => "firewall",
            Row::Authentication => "authentication",
            Row::Cloud => "cloud",
            Row::Kubernetes => "kubernetes",
            Row::Vlan => "vlan",
            Row::Endpoint => "endpoint",
        }
    }
}

/// A field of the normal form that a product may or may not tell.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Field {
    User,
    SourceIp,
    TunnelIp,
    Device,
    Mfa,
    SessionId,
    SessionEnd,
    Bytes,
    Host,
    Year,
    Zone,
}

impl Field {
    pub const ALL: [Field; 11] = [
        Field::User,
        Field::SourceIp,
        Field::TunnelIp,
        Field::Device,
        Field::Mfa,
        Field::SessionId,
        Field::SessionEnd,
        Field::Bytes,
        Field::Host,
        Field::Year,
        Field::Zone,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Field::User => "user",
            Field::SourceIp => "source_ip",
            Field::TunnelIp => "tunnel_ip",
            Field::Device => "device",
            Field::Mfa => "mfa",
            Field::SessionId => "session_id",
            Field::SessionEnd => "session_end",
            Field::Bytes => "bytes",
            Field::Host => "host",
            Field::Year => "year",
            Field::Zone => "zone",
        }
    }
}

/// Why a known record is of no concern to the playbook.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Kind {
    /// Keep-alives, statistics, key renewals, daemon messages.
    Housekeeping,
    /// A TCP or TLS connection that is not yet a login.
    Transport,
    /// A step on the way (password deferred to a plugin, policy retrieved): the result is another record.
    Pending,
    /// Says again what another record of the same login says.
    Repeats,
    /// Traffic between inside and the Internet that no access came through.
    OutboundTraffic,
    /// Background traffic that is neither an access nor an attempt at one.
    Traffic,
    /// Machine accounts, health checks, service principals that refresh tokens.
    Machine,
    /// Read-only API calls and other use without bearing on the playbook.
    RoutineUse,
    /// A header, comment, blank line or separator of the file format.
    Format,
    /// A message of this product that has no bearing on remote access.
    OtherMessage,
}

impl Kind {
    /// As a source's file writes them.
    pub const WORDS: [(&'static str, Kind); 10] = [
        ("housekeeping", Kind::Housekeeping),
        ("transport", Kind::Transport),
        ("pending", Kind::Pending),
        ("repeats", Kind::Repeats),
        ("outbound_traffic", Kind::OutboundTraffic),
        ("traffic", Kind::Traffic),
        ("machine", Kind::Machine),
        ("routine_use", Kind::RoutineUse),
        ("format", Kind::Format),
        ("other_message", Kind::OtherMessage),
    ];

    pub fn named(word: &str) -> Option<Kind> {
        Kind::WORDS.iter().find(|(w, _)| *w == word).map(|(_, k)| *k)
    }

    pub fn name(self) -> &'static str {
        match self {
            Kind::Housekeeping => "housekeeping",
            Kind::Transport => "transport only",
            Kind::Pending => "pending step",
            Kind::Repeats => "repeats another record",
            Kind::OutboundTraffic => "outbound traffic",
            Kind::Traffic => "background traffic",
            Kind::Machine => "machine activity",
            Kind::RoutineUse => "routine use",
            Kind::Format => "file format",
            Kind::OtherMessage => "other message",
        }
    }
}

/// Why a claimed record could not be read.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Why {
    /// The record ends before this field.
    Missing(&'static str),
    /// The field is there but impossible (a month 13, an address with 300).
    Invalid(&'static str),
    /// The record's own structure is broken (JSON, XML, CSV).
    Malformed(&'static str),
    /// Longer than the limit for one record.
    TooLong,
    /// No time in the record or around it.
    NoTime,
}

impl Why {
    pub fn text(self) -> String {
        match self {
            Why::Missing(field) => format!("cut before {field}"),
            Why::Invalid(field) => format!("impossible {field}"),
            Why::Malformed(what) => format!("malformed {what}"),
            Why::TooLong => "longer than the record limit".to_owned(),
            Why::NoTime => "no time".to_owned(),
        }
    }
}

/// A piece of a record that others complete.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fragment {
    /// Which whole it belongs to: a hash of the product's own key (host and message id, audit serial).
    pub key: u64,
    /// Position of this piece, from 0.
    pub part: u32,
    /// How many there are; 0 where the product does not say: then piece 0 is the first, and `last` marks the last.
    pub parts: u32,
    pub last: bool,
}

/// What became of a record; exactly one of five.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Parsed {
    /// At least one event was emitted.
    Events,
    Fragment(Fragment),
    Irrelevant(Kind),
    /// The claim was a mistake: another source may have it, else it counts as unknown.
    NotMine,
    Broken(Why),
}

impl Parsed {
    /// About the product itself where its parser knows the message to be; else one that nobody taught it, counted apart
    /// so that a changed wording shows.
    pub(crate) fn housekeeping_if(known: bool) -> Parsed {
        Parsed::Irrelevant(if known { Kind::Housekeeping } else { Kind::OtherMessage })
    }
}

/// Puts the pieces of one whole together, given in order of their number, into a record that `parse` reads.
pub type Join = fn(parts: &[(u32, &[u8])], out: &mut Vec<u8>);

/// How a product's records are read.
pub enum Reader {
    /// By a parser of its own.
    Code {
        /// Cheap: decides who parses. Looks at the first bytes, the program name, or a marker.
        claim: fn(&Record<'_>) -> bool,
        parse: fn(&Record<'_>, &mut Emit<'_>) -> Parsed,
        /// Puts the pieces of one whole together, given in order of `part`, into a record that `parse` reads.
        /// Called when all parts are there, and once more with what there is when no more will come.
        join: Option<Join>,
    },
    /// By what its text file says.
    Mapping(Box<Mapping>),
}

/// One log source. See CONTRIBUTING.md for how to add one.
pub struct Source {
    /// Stable id, as in `--source NAME` and in reports: `cisco_asa`.
    pub name: &'static str,
    /// As people call it: `Cisco ASA / FTD`.
    pub title: &'static str,
    pub row: Row,
    /// Acts that it can tell.
    pub gives: &'static [Act],
    /// Fields that it never tells; a case says so instead of guessing.
    pub lacks: &'static [Field],
    /// Named traps, each with `fixtures/<row>/<name>/<trap>.log`.
    pub traps: &'static [&'static str],
    /// The vendor's documentation that it was read from, by title.
    pub manual: &'static str,
    /// How to turn the log on, which level or option is needed; one or two sentences.
    pub enable: &'static str,
    /// Reads what any product may write (an event of Windows that no source names, a SIEM's own fields): asked only
    /// where no product's own source claims the record.
    pub general: bool,
    /// One of these stands somewhere in every record of the product. The catalogue asks only those sources whose
    /// marks it sees, so that recognition costs the same however many products are known. None: always asked.
    pub marks: &'static [&'static str],
    pub reader: Reader,
}

impl Source {
    /// Is this a record of the product?
    pub fn claims(&self, record: &Record<'_>) -> bool {
        match &self.reader {
            Reader::Code { claim, .. } => claim(record),
            Reader::Mapping(mapping) => mapping.claims(record),
        }
    }

    /// Reads a record; what it tells goes to `out`.
    pub fn read(&self, record: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
        match &self.reader {
            Reader::Code { parse, .. } => parse(record, out),
            Reader::Mapping(mapping) => mapping.read(record, out),
        }
    }

    /// How pieces become a whole, where the product writes pieces.
    pub fn join(&self) -> Option<Join> {
        match &self.reader {
            Reader::Code { join, .. } => *join,
            Reader::Mapping(_) => None,
        }
    }
}
