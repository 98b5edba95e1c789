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
    gives: &[Act::Auth, Act::Logon, Act::Config, Act::Account],
    lacks: &[
        Field::TunnelIp,
        Field::Device,
        Field::Mfa,
        Field::SessionId,
        Field::SessionEnd,
        Field::Bytes,
        Field::Host,
    ],
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
    let failed = Outcome::Failure;
    let ok = Outcome::Success;
    let (act, outcome, change) = match kind {
        // By password, by the API, by another provider.
        5 | 122 | 140 => (Act::Auth, ok, Change::None),
        6 | 86 | 123 | 141 => (Act::Auth, failed, Change::None),
        // For a gateway, for a directory client, on a Mac.
        68 | 130 => (Act::Auth, ok, Change::None),
        69 | 129 => (Act::Auth, failed, Change::None),
        153 => (Act::Logon, ok, Change::None),
        154 => (Act::Logon, failed, Change::None),
        90 => (Act::Auth, Outcome::BlockedAfterPassword, Change::None),
        3 => (Act::Account, ok, Change::PrivilegeUsed),
        4 | 70 | 72 | 147 | 149 | 151 => (Act::Account, ok, Change::RoleGranted),
        71 | 73 | 148 | 150 | 152 => (Act::Account, ok, Change::RoleRemoved),
        11 => (Act::Account, ok, Change::PasswordReset),
        12 => (Act::Account, ok, Change::AccountUnlocked),
        13 => (Act::Account, ok, Change::AccountCreated),
        15 | 21 => (Act::Account, ok, Change::AccountDisabled),
        16 | 32 => (Act::Account, ok, Change::AccountEnabled),
        17 => (Act::Account, ok, Change::AccountDeleted),
        19 | 532 | 551 | 553 => (Act::Account, ok, Change::AccountLocked),
        22 => (Act::Account, ok, Change::FactorEnrolled),
        24 => (Act::Account, ok, Change::FactorRemoved),
        179 | 181 => (Act::Account, ok, Change::KeyCreated),
        240 => (Act::Account, ok, Change::CredentialAccess),
        // Trusted providers, policies, factors that the company allows, sign-on of desktops.
        74..=76 | 112 | 156..=158 | 170..=172 | 174..=176 => (Act::Config, ok, Change::PolicyChanged),
        161..=166 | 183..=185 => (Act::Config, ok, Change::ConfigChanged),
        7 | 8 => return Parsed::Irrelevant(Kind::Repeats),
        0 => return Parsed::Broken(Why::Invalid("event_type_id")),
        _ => return Parsed::Irrelevant(Kind::OtherMessage),
    };
    let service = match kind {
        68 | 69 => Service::Radius,
        129 | 130 => Service::Directory,
        153 | 154 => Service::Host,
        _ => Service::Idp,
    };
    let account = matches!(act, Act::Account | Act::Config);
    let (user, whom) = (v[3].text(), v[4].text());
    let actor = if account && !whom.trim_ascii().is_empty() { &whom } else { &user };
    let detail = match kind {
        3 => &b"assumed user"[..],
        70..=73 if !v[13].bytes().is_empty() => v[13].bytes(),
        4 | 70..=73 | 147..=152 => v[7].bytes(),
        22 | 24 => v[10].bytes(),
        240 => b"password revealed",
        _ => v[11].bytes(),
    };
    let stamp = if v[1].is_missing() { v[2] } else { v[1] };
    let id = if v[9].is_missing() { v[8] } else { v[9] };
    out.event(act, outcome)
        .at(utc(r, stamp.bytes()))
        .identity(id.bytes())
        .service(service)
        .user(actor)
        .target(if account { &user } else { b"" })
        .source(v[5].bytes())
        .client(&v[12].text())
        .group(&v[6].text())
        .detail(detail)
        .change(change)
        .reason(match kind {
            90 => Reason::NotAllowed,
            _ if failed == outcome => Reason::BadPassword,
            _ => Reason::None,
        })
        .flag_if(kind == 3, Flags::PRIVILEGED)
        .flag_if(service == Service::Radius, Flags::PRE_MFA)
        .done()
}
