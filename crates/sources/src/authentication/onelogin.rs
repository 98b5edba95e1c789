//! OneLogin: events by number, from the API and the broadcast to a webhook.
//!
//! Read from: OneLogin API, "Event Resource and Types". Traps: `actor_user_name` is a person's name and no account, and
//! the same name stands in `user_name`; numbers come as numbers or as text; who assumed another user acts under that name.

use super::utc;
use crate::decode::find::find;
use crate::decode::json::Paths;
use crate::decode::kv::number;
use crate::emit::Emit;
use crate::record::{Record, Shape};
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use portreeve_model::event::{Act, Change, Flags, Outcome, Reason, Service};
use std::sync::LazyLock;

pub static SOURCE: Source = Source {
    name: "onelogin",
    title: "OneLogin",
    row: Row::Authentication,
    gives: &[Act::Auth, Act::Account],
    lacks: &[Field::Mfa, Field::Device, Field::TunnelIp, Field::SessionEnd, Field::SessionId, Field::Bytes],
    traps: &["assumed_user"],
    manual: "OneLogin API: Event Resource and Types",
    enable: "Activity > Events by the Events API, or Developers > Webhooks: event broadcaster",
    general: false,
    marks: &["\"event_type_id\""],
    reader: Reader::Code {
        claim: |r| {
            r.shape == Shape::Json
                && find(r.body, b"\"event_type_id\"").is_some()
                && (find(r.body, b"\"user_name\"").is_some() || find(r.body, b"\"actor_user_id\"").is_some())
        },
        parse,
        join: None,
    },
};

static PATHS: LazyLock<Paths<14>> = LazyLock::new(|| {
    Paths::new([
        "event_type_id",
        "created_at",
        "event_timestamp",
        "user_name",
        "actor_user_name",
        "ipaddr",
        "app_name",
        "role_name",
        "id",
        "uuid",
        "otp_device_name",
        "error_description",
        "user_agent",
        "privilege_name",
    ])
});

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Ok(v) = PATHS.pick(r.body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    let kind = number(v[0].bytes());
    let (act, outcome, change) = match kind {
        5 => (Act::Auth, Outcome::Success, Change::None),
        6 => (Act::Auth, Outcome::Failure, Change::None),
        90 => (Act::Auth, Outcome::BlockedAfterPassword, Change::None),
        3 => (Act::Account, Outcome::Success, Change::PrivilegeUsed),
        4 => (Act::Account, Outcome::Success, Change::RoleGranted),
        11 => (Act::Account, Outcome::Success, Change::PasswordReset),
        13 => (Act::Account, Outcome::Success, Change::AccountCreated),
        17 => (Act::Account, Outcome::Success, Change::AccountDeleted),
        24 | 172 => (Act::Account, Outcome::Success, Change::FactorRemoved),
        72 | 149 => (Act::Account, Outcome::Success, Change::RoleGranted),
        532 | 551 | 553 => (Act::Account, Outcome::Success, Change::AccountLocked),
        240 => (Act::Account, Outcome::Success, Change::CredentialAccess),
        7 | 8 => return Parsed::Irrelevant(Kind::Repeats),
        0 => return Parsed::Broken(Why::Invalid("event_type_id")),
        _ => return Parsed::Irrelevant(Kind::OtherMessage),
    };
    let account = act == Act::Account;
    let (user, whom) = (v[3].text(), v[4].text());
    let actor = if account && !whom.trim_ascii().is_empty() { &whom } else { &user };
    let detail = match kind {
        3 => &b"assumed user"[..],
        4 => v[7].bytes(),
        72 | 149 if !v[13].bytes().is_empty() => v[13].bytes(),
        72 | 149 => v[7].bytes(),
        24 | 172 => v[10].bytes(),
        240 => b"password revealed",
        _ => v[11].bytes(),
    };
    let stamp = if v[1].is_missing() { v[2] } else { v[1] };
    let id = if v[9].is_missing() { v[8] } else { v[9] };
    out.event(act, outcome)
        .at(utc(r, stamp.bytes()))
        .identity(id.bytes())
        .service(Service::Idp)
        .user(actor)
        .target(if account { &user } else { b"" })
        .source(v[5].bytes())
        .client(&v[12].text())
        .group(&v[6].text())
        .detail(detail)
        .change(change)
        .reason(match kind {
            6 => Reason::BadPassword,
            90 => Reason::NotAllowed,
            _ => Reason::None,
        })
        .flag_if(kind == 3, Flags::PRIVILEGED)
        .done()
}
