//! MeshCentral: the authentication log of the server.
//!
//! Read from: MeshCentral user guide "Auth log", config schema (`authLog`). Traps: its lines are worded as OpenSSH's, under
//! the program `https`; a good second factor is told as an accepted password; a name may be the whole `user/domain/name`
//! and hold ` from `; who did not say a name is `undefined`.

use crate::decode::find::find;
use crate::decode::kv::{after, number, word};
use crate::emit::Emit;
use crate::record::{Record, Shape};
use crate::source::{Field, Parsed, Reader, Row, Source};
use portreeve_model::event::{Act, Change, Method, Outcome, Reason, Service};

pub static SOURCE: Source = Source {
    name: "meshcentral",
    title: "MeshCentral",
    row: Row::Remote,
    gives: &[Act::Auth, Act::Mfa, Act::SessionEnd, Act::Account],
    lacks: &[Field::TunnelIp, Field::Device, Field::SessionId, Field::Bytes, Field::Host],
    traps: &["words_of_ssh"],
    manual: "MeshCentral: User guide; configuration schema (authLog)",
    enable: "\"authLog\": \"/var/log/meshcentral-auth.log\" in the settings of config.json",
    general: false,
    marks: &["meshcentral", "https["],
    reader: Reader::Code {
        claim: |r| {
            r.shape == Shape::Text
                && (r.header.host == b"meshcentral" || r.outer_host == b"meshcentral")
                && matches!(r.header.program, b"https" | b"http" | b"mps" | b"relay" | b"agent" | b"server")
        },
        parse,
        join: None,
    },
};

/// `user//anna` to `anna`.
fn name(of: &[u8]) -> &[u8] {
    let named = match of.strip_prefix(b"user/") {
        Some(rest) => rest.iter().position(|b| *b == b'/').and_then(|n| rest.get(n + 1..)).unwrap_or(rest),
        None => of,
    };
    if named == b"undefined" { b"" } else { named }
}

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let text = r.body.trim_ascii();
    // The last ` from ` is the server's own; `192.0.2.5 port 50312` or `192.0.2.5:50312`.
    let cut = memchr::memmem::rfind(text, b" from ").unwrap_or(text.len());
    let (said, place) = (text.get(..cut).unwrap_or_default(), text.get(cut + 6..).unwrap_or_default());
    let (address, rest) = word(place);
    let address = address.strip_suffix(b",").unwrap_or(address);
    let (address, port) = match address.iter().filter(|b| **b == b':').count() {
        1 => {
            let colon = address.iter().position(|b| *b == b':').unwrap_or(0);
            (address.get(..colon).unwrap_or_default(), address.get(colon + 1..).unwrap_or_default())
        }
        _ => {
            let digits = after(rest, b"port ", b"").unwrap_or_default();
            let n = digits.iter().take_while(|b| b.is_ascii_digit()).count();
            (address, digits.get(..n).unwrap_or_default())
        }
    };
    let port = u16::try_from(number(port)).unwrap_or(0);
    let client = after(rest, b"Browser: ", b",").unwrap_or_default();
    let event = |out: &mut Emit<'_>, act, outcome, user: &[u8], method, reason| {
        out.event(act, outcome)
            .at(r.header_time())
            .service(Service::Rmm)
            .user(name(user))
            .source(address)
            .source_port(port)
            .client(client)
            .observer(r.host())
            .method(method)
            .reason(reason)
            .done()
    };
    let how = |what: &[u8]| {
        if find(what, b"password").is_some() {
            Method::Password
        } else if find(what, b"ertificate").is_some() {
            Method::Certificate
        } else {
            Method::Unknown
        }
    };
    if let Some((what, user)) = said.strip_prefix(b"Accepted ").and_then(split_for) {
        return event(out, Act::Auth, Outcome::Success, user, how(what), Reason::None);
    }
    if let Some((what, user)) = said.strip_prefix(b"Failed ").and_then(split_for) {
        return if what == b"2FA" {
            event(out, Act::Mfa, Outcome::Failure, user, Method::Unknown, Reason::MfaFailed)
        } else {
            event(out, Act::Auth, Outcome::Failure, user, how(what), Reason::BadPassword)
        };
    }
    if let Some(user) = said.strip_prefix(b"User ").and_then(|s| s.strip_suffix(b" logout")) {
        return event(out, Act::SessionEnd, Outcome::Success, user, Method::Unknown, Reason::Logout);
    }
    if let Some(user) = text.strip_prefix(b"Performed account reset for user ") {
        return change(r, b"", user, Change::PasswordReset, out);
    }
    let changes = [
        (&b" created user account "[..], Change::AccountCreated),
        (b" deleted user account ", Change::AccountDeleted),
        (b" changed account password of ", Change::PasswordReset),
    ];
    for (words, what) in changes {
        if let Some(rest) = text.strip_prefix(b"User ")
            && let Some(n) = find(rest, words)
        {
            let whom = rest.get(n + words.len()..).unwrap_or_default();
            return change(r, rest.get(..n).unwrap_or_default(), whom, what, out);
        }
    }
    Parsed::housekeeping_if(find(text, b"server listening on").is_some() || text.starts_with(b"MeshCentral "))
}

/// `password for anna`.
fn split_for(said: &[u8]) -> Option<(&[u8], &[u8])> {
    let n = find(said, b" for ")?;
    Some((said.get(..n)?, said.get(n + 5..)?))
}

fn change(r: &Record<'_>, user: &[u8], whom: &[u8], what: Change, out: &mut Emit<'_>) -> Parsed {
    out.event(Act::Account, Outcome::Success)
        .at(r.header_time())
        .service(Service::Rmm)
        .user(name(user))
        .target(name(whom))
        .observer(r.host())
        .change(what)
        .done()
}
