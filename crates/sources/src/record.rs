//! One raw record, unwrapped and with its syslog header cut off, as a parser sees it.

use crate::decode::clock::{Civil, Clock};
use crate::windows::Look;
use portreeve_model::record::RawRef;
use portreeve_model::time::{Certainty, EventTime};
use std::cell::Cell;

/// What the body looks like from its first bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Shape {
    #[default]
    Text,
    /// Starts with `{`.
    Json,
    /// Starts with `<Event` or `<?xml`.
    Xml,
    /// `CEF:0|…` (or its lost prefix), from the `CEF:` on.
    Cef,
    /// `LEEF:1.0|…` or 2.0.
    Leef,
}

/// The syslog header, if there was one. Empty slices where it says nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Header<'a> {
    /// The `<pri>` value.
    pub priority: Option<u8>,
    pub time: Option<HeaderTime>,
    pub host: &'a [u8],
    /// Program or app-name, without pid: `sshd`, `sshd-session`, `dhcpd`.
    pub program: &'a [u8],
    pub pid: &'a [u8],
}

/// Time in a header: absolute, or civil without year or zone.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum HeaderTime {
    Absolute(EventTime),
    /// The zone is missing, perhaps the year too (`Civil::year` 0).
    Local(Civil),
    /// The record names its zone: seconds east of UTC. The year may be missing.
    Zoned(Civil, i32),
}

/// One raw record. Borrowed from the block it was read into.
pub struct Record<'a> {
    /// The record after unwrapping of a shipper's envelope, without line end.
    pub raw: &'a [u8],
    /// What follows the syslog header; all of `raw` where there is none.
    pub body: &'a [u8],
    pub shape: Shape,
    pub header: Header<'a>,
    /// Host and time that the envelope around the record gave, if any.
    pub outer_host: &'a [u8],
    pub outer_time: Option<EventTime>,
    pub at: RawRef,
    /// Rules for missing zones and years in this file.
    pub clock: &'a Clock,
    /// Put together from fragments.
    pub joined: bool,
    /// How many envelopes were taken off.
    pub depth: u8,
    /// What it showed of a Windows event, once somebody asked.
    pub(crate) windows: Cell<Look>,
}

impl<'a> Record<'a> {
    /// A bare record without header or envelope, as tests use it.
    pub fn bare(body: &'a [u8], clock: &'a Clock) -> Record<'a> {
        let shape = Shape::of(body);
        Record {
            raw: body,
            body,
            shape,
            header: Header::default(),
            outer_host: b"",
            outer_time: None,
            at: RawRef::default(),
            clock,
            joined: false,
            depth: 0,
            windows: Cell::default(),
        }
    }

    pub fn program_is(&self, program: &[u8]) -> bool {
        self.header.program == program
    }

    pub fn contains(&self, needle: &[u8]) -> bool {
        crate::decode::find::find(self.body, needle).is_some()
    }

    /// The device that wrote the record, from the syslog header or the envelope.
    pub fn host(&self) -> &'a [u8] {
        if self.header.host.is_empty() { self.outer_host } else { self.header.host }
    }

    /// Time from the syslog header, else from the envelope.
    pub fn header_time(&self) -> Option<(EventTime, Certainty)> {
        match self.header.time {
            Some(HeaderTime::Absolute(t)) => Some((t, Certainty::Exact)),
            Some(HeaderTime::Local(civil)) => self.clock.resolve(civil),
            Some(HeaderTime::Zoned(civil, east)) => self.clock.resolve_in(civil, east),
            None => self.outer_time.map(|t| (t, Certainty::Exact)),
        }
    }
}

impl Shape {
    pub fn of(body: &[u8]) -> Shape {
        match body {
            [b'{', ..] => Shape::Json,
            [b'C', b'E', b'F', b':', ..] => Shape::Cef,
            [b'L', b'E', b'E', b'F', b':', ..] => Shape::Leef,
            b if b.starts_with(b"<Event") || b.starts_with(b"<?xml") => Shape::Xml,
            _ => Shape::Text,
        }
    }
}
