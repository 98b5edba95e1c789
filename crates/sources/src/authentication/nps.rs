//! Windows Network Policy Server: RADIUS for VPN, wireless and wired, in the Security log.
//!
//! Read from: "Audit Network Policy Server" (events 6272 to 6280). Traps: the calling station is an address for a VPN
//! and a hardware address for a switch or an access point; the log does not say whether a second factor was asked
//! (only a refusal by the extension shows, reason code 21); machines authenticate as `host/NAME`.

use crate::emit::Emit;
use crate::record::Record;
use crate::source::{Field, Kind, Parsed, Reader, Row, Source};
use crate::windows::{WinEvent, claimed};
use portreeve_model::Ip;
use portreeve_model::event::{Act, Change, Flags, Mac, Method, Outcome, Reason, Service};

pub static SOURCE: Source = Source {
    name: "nps",
    title: "Windows Network Policy Server (RADIUS)",
    row: Row::Authentication,
    gives: &[Act::Auth, Act::Nac, Act::Account],
    lacks: &[Field::TunnelIp, Field::Mfa, Field::SessionId, Field::SessionEnd, Field::Bytes, Field::Host],
    traps: &["address_or_hardware"],
    manual: "Microsoft: Network Policy Server events 6272 to 6280",
    enable: "auditpol /set /subcategory:\"Network Policy Server\" /success:enable /failure:enable",
    general: false,
    marks: crate::windows::MARKS,
    reader: Reader::Code {
        claim: |r| {
            claimed(r, |id, channel, provider| {
                matches!(id, 6272..=6280)
                    && (channel.eq_ignore_ascii_case(b"Security")
                        || provider.starts_with(b"Microsoft-Windows-Security-Auditing"))
            })
        },
        parse,
        join: None,
    },
};

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Some(e) = WinEvent::of(r) else { return Parsed::NotMine };
    // Locked after too many refusals, and let in again.
    if let Some(change) = match e.id {
        6279 => Some(Change::AccountLocked),
        6280 => Some(Change::AccountUnlocked),
        _ => None,
    } {
        let user = e.get("SubjectUserName");
        return out
            .event(Act::Account, Outcome::Success)
            .at(e.time(r))
            .service(Service::Radius)
            .target(&user)
            .change(change)
            .observer(&e.computer)
            .done();
    }
    let outcome = match e.id {
        6272 | 6278 => Outcome::Success,
        // The extension that asks for the second factor is called once the password was right.
        6273 if e.number("ReasonCode") == 21 => Outcome::BlockedAfterPassword,
        6273 => Outcome::Failure,
        // Discarded, quarantined, on probation: not an answer to who came in.
        _ => return Parsed::Irrelevant(Kind::OtherMessage),
    };
    let user = e.get("SubjectUserName");
    let domain = e.get("SubjectDomainName");
    let calling = e.get("CallingStationID");
    let client = e.get("ClientName");
    let machine = user.starts_with(b"host/") || user.ends_with(b"$");
    let reason = if outcome == Outcome::Success { Reason::None } else { why(e.number("ReasonCode")) };
    if Ip::parse(&calling).is_some() || !Mac::parse(&calling).is_some() {
        if machine {
            return Parsed::Irrelevant(Kind::Machine);
        }
        // Speaks for the gateway that asked.
        return out
            .event(Act::Auth, outcome)
            .at(e.time(r))
            .service(Service::Radius)
            .domain_user(&domain, &user)
            .source(&calling)
            .observer(&client)
            .group(&e.get("NetworkPolicyName"))
            .reason(reason)
            .flag(Flags::PRE_MFA)
            .flag_if(outcome == Outcome::Failure, Flags::REPEATS)
            .done();
    }
    let wireless = e.get("NASPortType").starts_with(b"Wireless");
    let eap = !e.get("EAPType").is_empty() && &*e.get("EAPType") != b"-";
    out.event(Act::Nac, outcome)
        .at(e.time(r))
        .service(if wireless { Service::Wireless } else { Service::Wired })
        .domain_user(&domain, &user)
        .mac(&calling)
        .observer(&client)
        .method(if eap { Method::Dot1x } else { Method::Mab })
        .detail(&e.get("NASPort"))
        .sid(&e.get("AccountSessionIdentifier"))
        .reason(reason)
        .done()
}

/// Why NPS refused: its reason codes, as its events and its files have them.
pub(crate) fn why(code: u64) -> Reason {
    match code {
        8 => Reason::NoUser,
        16 => Reason::BadPassword,
        21 => Reason::MfaDenied,
        33 | 35 => Reason::Expired,
        34 => Reason::Disabled,
        36 | 64 => Reason::Locked,
        37 | 68 => Reason::Hours,
        32 | 38 | 48 | 49 | 65..=67 | 69..=71 => Reason::NotAllowed,
        256..=300 => Reason::Certificate,
        _ => Reason::Other,
    }
}
