//! The extension of Network Policy Server for Microsoft Entra multifactor authentication (Azure MFA): its event logs.
//!
//! Read from: Microsoft "Integrate your existing NPS infrastructure with Microsoft Entra multifactor authentication" and
//! "Resolve error messages from the NPS extension". Traps: the extension is called once the password was right; a request
//! in the state `Access-Challenge` waits for a code; users without registration may be let through by
//! `REQUIRE_USER_MATCH`.

use crate::decode::find::find;
use crate::decode::kv::{after, word};
use crate::emit::Emit;
use crate::record::{Record, Shape};
use crate::source::{Field, Kind, Parsed, Reader, Row, Source};
use crate::windows::{WinEvent, claimed};
use portreeve_model::event::{Act, Factor, Flags, Mfa, Outcome, Reason, Service};
use std::borrow::Cow;

pub static SOURCE: Source = Source {
    name: "nps_extension",
    title: "NPS extension for Entra multifactor authentication",
    row: Row::Authentication,
    gives: &[Act::Mfa],
    lacks: &[Field::SourceIp, Field::TunnelIp, Field::Device, Field::SessionEnd, Field::Bytes, Field::Host],
    traps: &["challenge", "bypassed"],
    manual: "Microsoft: Integrate NPS infrastructure with Microsoft Entra multifactor authentication",
    enable: "Applications and Services Logs > Microsoft > AzureMfa > AuthZ > AuthZOptCh and AuthZAdminCh; enable and collect both",
    general: false,
    marks: &["AzureMfa"],
    reader: Reader::Code {
        claim: |r| {
            claimed(r, |_, channel, provider| {
                provider.starts_with(b"Microsoft-AzureMfa")
                    || channel.starts_with(b"AuthZ")
                    || channel.starts_with(b"Microsoft-AzureMfa")
            })
        },
        parse,
        join: None,
    },
};

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Some(e) = WinEvent::of(r) else { return Parsed::NotMine };
    // The message stands in the one datum there is, or in what an exporter made of it.
    let mut message: Cow<'_, [u8]> = Cow::Borrowed(b"");
    for name in ["Message", "message", "param1", "Data"] {
        let text = e.get(name);
        if find(&text, b"ccess ").is_some() || find(&text, b"CID").is_some() {
            message = text;
            break;
        }
    }
    if message.is_empty() && matches!(r.shape, Shape::Xml | Shape::Json) {
        message = Cow::Borrowed(after(r.body, b"NPS Extension for Azure MFA:", b"").unwrap_or_default());
    }
    let text = &*message;
    let has = |needle: &[u8]| find(text, needle).is_some();
    // `CID: 6f3c… :Access Accepted for user anna@example.org with Azure MFA response: Success and message: session 51…`
    let Some(rest) = after(text, b" for user ", b"") else {
        // A request that never came to the second factor.
        return Parsed::housekeeping_if(has(b"extension bypassed for") || has(b"request is missing"));
    };
    let user = word(rest).0;
    let answer = after(text, b"response: ", b" ").unwrap_or_default();
    let (outcome, reason) = if has(b"ccess Accepted") {
        (Outcome::Success, Reason::None)
    } else if has(b"ccess Challenged") || has(b"ccess-Challenge") || answer == b"ChallengeRequired" {
        (Outcome::Challenge, Reason::None)
    } else if has(b"ccess Rejected") || has(b"rejected") {
        let reason = match answer {
            b"PhoneAppDenied" | b"UserDenied" | b"AuthenticationDenied" => Reason::MfaDenied,
            b"FraudReported" | b"PhoneCallFraud" | b"FraudCodeEntered" => Reason::Fraud,
            b"PhoneAppNoResult"
            | b"AuthenticationTimeout"
            | b"NoPhoneInput"
            | b"SMSAuthFailedNoResponseTimeout" => Reason::MfaTimeout,
            b"AccountLocked" | b"UserIsBlocked" => Reason::Locked,
            b"UserNotFound" => Reason::NoUser,
            _ => Reason::MfaFailed,
        };
        (Outcome::Failure, reason)
    } else {
        return Parsed::Irrelevant(Kind::Pending);
    };
    let factor = if find(answer, b"PhoneApp").is_some() {
        Factor::Push
    } else if find(answer, b"SMS").is_some() {
        Factor::Sms
    } else if find(answer, b"PhoneCall").is_some() || find(answer, b"NoPhoneInput").is_some() {
        Factor::Voice
    } else if find(answer, b"OTP").is_some() || find(answer, b"OathCode").is_some() {
        Factor::Totp
    } else {
        Factor::None
    };
    let skipped = has(b"skip") || has(b"bypass") || has(b"without MFA") || has(b"not registered");
    out.event(Act::Mfa, outcome)
        .at(e.time(r))
        .service(Service::Radius)
        .user(user)
        .sid(after(text, b"CID: ", b" ").unwrap_or_default())
        .detail(answer)
        .reason(reason)
        .factor(factor)
        .mfa(if outcome == Outcome::Success && !skipped { Mfa::Yes } else { Mfa::Unknown })
        .observer(&e.computer)
        .flag_if(outcome == Outcome::Success && skipped, Flags::MFA_BYPASS)
        .done()
}
