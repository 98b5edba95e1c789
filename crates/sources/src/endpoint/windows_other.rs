//! All other Windows events: known for what they are, and of no concern. Without this they would be counted as not
//! understood, and the share that really is would drown among them.

use crate::emit::Emit;
use crate::record::Record;
use crate::source::{Field, Kind, Parsed, Reader, Row, Source};
use crate::windows::claimed;

pub static SOURCE: Source = Source {
    name: "windows_other",
    title: "Other Windows events (counted, of no concern)",
    row: Row::Endpoint,
    gives: &[],
    lacks: &[
        Field::User,
        Field::SourceIp,
        Field::TunnelIp,
        Field::Device,
        Field::Mfa,
        Field::SessionId,
        Field::SessionEnd,
        Field::Bytes,
        Field::Host,
    ],
    traps: &[],
    manual: "Microsoft: event channels of Windows",
    enable: "nothing needs to be turned on",
    general: true,
    marks: crate::windows::MARKS,
    reader: Reader::Code { claim: |r| claimed(r, |_, channel, _| !channel.is_empty()), parse, join: None },
};

fn parse(_: &Record<'_>, _: &mut Emit<'_>) -> Parsed {
    Parsed::Irrelevant(Kind::OtherMessage)
}
