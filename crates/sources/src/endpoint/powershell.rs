//! PowerShell: script blocks and module calls as they were run.
//!
//! Read from: about_Logging_Windows (4103 module logging, 4104 script block logging). Traps: a long script comes in
//! pieces, each its own record; the text may have thousands of lines, of which the beginning is kept; script blocks
//! of the system itself (prompt, proxy functions) come at every start and mean nothing.

use crate::decode::kv::after;
use crate::emit::Emit;
use crate::record::Record;
use crate::source::{Field, Kind, Parsed, Reader, Row, Source};
use crate::windows::{WinEvent, claimed};
use portreeve_model::event::{Act, Outcome, Service};

pub static SOURCE: Source = Source {
    name: "powershell",
    title: "PowerShell script block and module logging",
    row: Row::Endpoint,
    gives: &[Act::Exec],
    lacks: &[
        Field::SourceIp,
        Field::TunnelIp,
        Field::Device,
        Field::Mfa,
        Field::SessionId,
        Field::SessionEnd,
        Field::Bytes,
    ],
    traps: &[],
    manual: "Microsoft: about_Logging_Windows",
    enable: "group policy: Turn on PowerShell Script Block Logging (and Module Logging)",
    general: false,
    marks: crate::windows::MARKS,
    reader: Reader::Code { claim: |r| claimed(r, is_powershell), parse, join: None },
};

fn is_powershell(_: u32, channel: &[u8], provider: &[u8]) -> bool {
    channel.starts_with(b"Microsoft-Windows-PowerShell")
        || channel.starts_with(b"PowerShellCore")
        || channel.starts_with(b"Windows PowerShell")
        || provider.starts_with(b"Microsoft-Windows-PowerShell")
}

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Some(e) = WinEvent::of(r) else { return Parsed::NotMine };
    let context = e.get("ContextInfo");
    let (command, user) = match e.id {
        4104 => (e.get("ScriptBlockText"), e.get("AccountName")),
        4103 => {
            let user = after(&context, b"User = ", b"\n").unwrap_or_default().trim_ascii().to_vec();
            let named =
                after(&context, b"Host Application = ", b"\n").unwrap_or_default().trim_ascii().to_vec();
            let payload = e.get("Payload");
            (if payload.is_empty() { named.into() } else { payload }, user.into())
        }
        // Starts and ends of the console, of its engine and of script blocks; how a pipeline was run.
        400
        | 403
        | 600
        | 800
        | 4100
        | 4105
        | 4106
        | 8193..=8198
        | 12039
        | 24577
        | 40961
        | 40962
        | 45090
        | 53249
        | 53250
        | 53504..=53507 => return Parsed::Irrelevant(Kind::Housekeeping),
        _ => return Parsed::Irrelevant(Kind::OtherMessage),
    };
    let text = command.trim_ascii();
    if text.is_empty() || matches!(text, b"prompt" | b"{ Set-StrictMode -Version 1; $_.PSMessageDetails }") {
        return Parsed::Irrelevant(Kind::Housekeeping);
    }
    let system = user.eq_ignore_ascii_case(b"SYSTEM") || user.starts_with(b"NT AUTHORITY\\");
    if system {
        return Parsed::Irrelevant(Kind::Machine);
    }
    out.event(Act::Exec, Outcome::Success)
        .at(e.time(r))
        .service(Service::Host)
        .user(&user)
        .detail(text)
        .host(&e.computer)
        .observer(&e.computer)
        .done()
}
