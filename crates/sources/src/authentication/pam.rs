//! sudo, su, useradd, usermod, passwd and PAM of other programs in auth.log.
//!
//! Read from: sudo(8), shadow-utils and Linux-PAM messages. Traps: sshd's own PAM lines belong to sshd; cron opens a
//! session every minute and is nobody; a command after `COMMAND=` may hold any text.

use crate::decode::kv::{after, between, word};
use crate::emit::Emit;
use crate::record::Record;
use crate::source::{Field, Kind, Parsed, Reader, Row, Source};
use portreeve_model::event::{Act, Change, Flags, Outcome, Reason, Service};

pub static SOURCE: Source = Source {
    name: "pam",
    title: "Linux auth log (sudo, su, account changes)",
    row: Row::Authentication,
    gives: &[Act::Exec, Act::Account, Act::Logon],
    lacks: &[Field::Mfa, Field::SourceIp],
    traps: &["cron", "sudo_refused"],
    manual: "pam_unix(8), sudoers(5), su(1), useradd(8)",
    enable: "syslog facilities auth and authpriv (default on most systems)",
    general: false,
    marks: &[
        "sudo", "su", "user", "group", "passwd", "cron", "CRON", "systemd", "login", "polkitd", "pkexec",
        "chage",
    ],
    reader: Reader::Code {
        claim: |r| {
            // The login of Junos has messages of its own.
            !r.body.starts_with(b"LOGIN_")
                && matches!(
                    r.header.program,
                    b"sudo"
                        | b"su"
                        | b"useradd"
                        | b"usermod"
                        | b"userdel"
                        | b"groupadd"
                        | b"gpasswd"
                        | b"passwd"
                        | b"chpasswd"
                        | b"CRON"
                        | b"cron"
                        | b"crond"
                        | b"systemd-logind"
                        | b"login"
                        | b"polkitd"
                        | b"pkexec"
                        | b"chage"
                        | b"systemd"
                        | b"runuser"
                )
        },
        parse,
        join: None,
    },
};

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let (text, at, host) = (r.body, r.header_time(), r.host());
    match r.header.program {
        b"sudo" => {
            let Some(command) = after(text, b"COMMAND=", b"") else {
                return Parsed::Irrelevant(Kind::Repeats);
            };
            let user = word(text).0.strip_suffix(b":").unwrap_or(word(text).0);
            let refused = crate::decode::find::find(text, b"command not allowed").is_some()
                || crate::decode::find::find(text, b"NOT in sudoers").is_some()
                || crate::decode::find::find(text, b"incorrect password").is_some();
            let target = after(text, b"USER=", b" ").unwrap_or_default();
            let outcome = if refused { Outcome::Failure } else { Outcome::Success };
            out.event(Act::Exec, outcome)
                .at(at)
                .service(Service::Host)
                .user(user)
                .target(target)
                .detail(command)
                .host(host)
                .observer(host)
                .flag_if(target == b"root" && !refused, Flags::PRIVILEGED)
                .change(if refused { Change::None } else { Change::PrivilegeUsed })
                .done()
        }
        b"su" => {
            // `(to root) anna on pts/0`, `FAILED SU (to root) anna on pts/0`.
            let Some(target) = between(text, b"(to ", b")") else { return Parsed::Irrelevant(Kind::Repeats) };
            let user = word(after(text, b") ", b"").unwrap_or_default()).0;
            let failed = text.starts_with(b"FAILED");
            out.event(Act::Exec, if failed { Outcome::Failure } else { Outcome::Success })
                .at(at)
                .service(Service::Host)
                .user(user)
                .target(target)
                .detail(b"su")
                .host(host)
                .observer(host)
                .flag_if(target == b"root" && !failed, Flags::PRIVILEGED)
                .done()
        }
        b"useradd" if text.starts_with(b"new user: ") => {
            let name = between(text, b"name=", b",").unwrap_or_default();
            out.event(Act::Account, Outcome::Success)
                .at(at)
                .service(Service::Host)
                .change(Change::AccountCreated)
                .target(name)
                .detail(text)
                .host(host)
                .observer(host)
                .done()
        }
        b"usermod" | b"gpasswd" | b"useradd" => {
            // `add 'anna' to group 'sudo'`, `user anna added by root to group sudo`.
            if let (Some(name), Some(group)) =
                (between(text, b"add '", b"'"), between(text, b"group '", b"'"))
            {
                if text.starts_with(b"add '") && crate::decode::find::find(text, b"shadow group").is_none() {
                    return out
                        .event(Act::Account, Outcome::Success)
                        .at(at)
                        .service(Service::Host)
                        .change(Change::GroupAdded)
                        .target(name)
                        .detail(group)
                        .host(host)
                        .observer(host)
                        .done();
                }
                return Parsed::Irrelevant(Kind::Repeats);
            }
            if let Some(rest) = text.strip_prefix(b"user ")
                && let Some(group) = after(rest, b" to group ", b" ")
            {
                let by = after(rest, b" added by ", b" ").unwrap_or_default();
                return out
                    .event(Act::Account, Outcome::Success)
                    .at(at)
                    .service(Service::Host)
                    .change(Change::GroupAdded)
                    .user(by)
                    .target(word(rest).0)
                    .detail(group)
                    .host(host)
                    .observer(host)
                    .done();
            }
            Parsed::Irrelevant(Kind::OtherMessage)
        }
        b"passwd" | b"chpasswd" if crate::decode::find::find(text, b"password changed for ").is_some() => {
            let name = after(text, b"password changed for ", b" ").unwrap_or_default();
            out.event(Act::Account, Outcome::Success)
                .at(at)
                .service(Service::Host)
                .change(Change::PasswordReset)
                .target(name)
                .host(host)
                .observer(host)
                .done()
        }
        b"userdel" if text.starts_with(b"delete user") => out
            .event(Act::Account, Outcome::Success)
            .at(at)
            .service(Service::Host)
            .change(Change::AccountDeleted)
            .target(between(text, b"'", b"'").unwrap_or_default())
            .host(host)
            .observer(host)
            .done(),
        b"login" if text.starts_with(b"FAILED LOGIN") => out
            .event(Act::Logon, Outcome::Failure)
            .at(at)
            .service(Service::Host)
            .user(between(text, b"FOR '", b"'").unwrap_or_default())
            .host(host)
            .reason(Reason::BadPassword)
            .done(),
        _ => Parsed::Irrelevant(Kind::Housekeeping),
    }
}
