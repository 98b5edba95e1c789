//! OpenSSH server, all versions, also as `sshd-session` and `sshd-auth` (9.8 and later), with its sftp server.
//!
//! Read from: sshd(8), sftp-server(8) and the messages of auth.c, auth2.c, packet.c, channels.c. Traps: a user name may
//! hold blanks and ` from `, so the address stands behind the *last* ` from ` that a port follows, and what a client
//! says of itself may stand behind that; PAM repeats each failure; rsyslog writes `message repeated n times`; a client
//! offers one key after the other, and none of them is a failed guess; a connection that ends before anybody logged in
//! is an attempt without result; a name that no account has, or may not log in, is told apart from its password.

use crate::decode::find::find;
use crate::decode::kv::{after, between, number, word};
use crate::emit::{Emit, EventBuilder};
use crate::record::Record;
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use portreeve_model::Ip;
use portreeve_model::event::{Act, Factor, Flags, Method, Mfa, Outcome, Reason, Service};

pub static SOURCE: Source = Source {
    name: "openssh",
    title: "OpenSSH server",
    row: Row::Remote,
    gives: &[Act::Logon, Act::Logoff, Act::Posture, Act::Mfa, Act::Exec, Act::Flow],
    lacks: &[Field::Device, Field::TunnelIp, Field::Bytes],
    traps: &[
        "forged_from",
        "repeated",
        "pam_repeats",
        "sshd_session",
        "keys_offered",
        "names_without_account",
        "before_login",
    ],
    manual: "sshd(8), sshd_config(5), sftp-server(8)",
    enable: "LogLevel VERBOSE in sshd_config (fingerprints of keys, sessions); syslog facility AUTH",
    general: false,
    marks: &[
        "sshd",
        "sftp-server",
        "internal-sftp",
        " from ",
        " port ",
        "PAM ",
        "google_authenticator for ",
        "Consecutive login failures",
    ],
    reader: Reader::Code {
        claim: |r| {
            let program = r.header.program;
            // BIG-IP's audit of its own sshd is written in its name.
            if crate::decode::find::find(&r.body[..r.body.len().min(80)], b": AUDIT - ").is_some() {
                return false;
            }
            program.starts_with(b"sshd") && !of_junos(r)
                || matches!(program, b"sftp-server" | b"internal-sftp")
                || program.is_empty() && (untagged(r.body).is_some() || bare(r))
        },
        parse,
        join: None,
    },
};

/// The message behind `host sshd[77]: `, where no stamp stands before.
fn untagged(body: &[u8]) -> Option<&[u8]> {
    let head = body.get(..body.len().min(80)).unwrap_or_default();
    let at = find(head, b"sshd")?;
    if at > 0 && body.get(at - 1) != Some(&b' ') {
        return None;
    }
    let rest = body.get(at..)?;
    let open = memchr::memchr(b'[', rest).filter(|n| *n <= 12)?;
    let close = find(rest.get(open..rest.len().min(open + 14))?, b"]: ")? + open;
    rest.get(close + 3..)
}

/// Junos has a message of its own for what sshd said: a tag in the header, or at the front.
fn of_junos(r: &Record<'_>) -> bool {
    let head = &r.raw[..r.raw.len().saturating_sub(r.body.len())];
    r.body.starts_with(b"SSHD_LOGIN_") || crate::decode::find::find(head, b" SSHD_LOGIN_").is_some()
}

/// A line without syslog header.
fn bare(r: &Record<'_>) -> bool {
    const STARTS: [&[u8]; 26] = [
        b"Accepted ",
        b"Failed ",
        b"Invalid user ",
        b"Illegal user ",
        b"pam_unix(sshd:",
        b"pam_sss(sshd:",
        b"pam_winbind(sshd:",
        b"pam_systemd(sshd:",
        b"pam_faillock(sshd:",
        b"Connection closed by ",
        b"Connection reset by ",
        b"Connection from ",
        b"Disconnected from ",
        b"Received disconnect from ",
        b"Disconnecting ",
        b"error: maximum authentication attempts exceeded for ",
        b"error: PAM: ",
        b"Did not receive identification string from ",
        b"Bad protocol version identification ",
        b"Timeout before authentication for ",
        b"fatal: Timeout before authentication for ",
        b"ssh_dispatch_run_fatal: Connection from ",
        b"banner exchange: Connection from ",
        b"Unable to negotiate with ",
        b"PAM ",
        b"Postponed ",
    ];
    let text = r.body.trim_ascii_start();
    if !text.first().is_some_and(u8::is_ascii_alphabetic) {
        return false;
    }
    STARTS.iter().any(|s| text.starts_with(s))
        && (find(text, b" port ").is_some()
            || find(text, b"sshd:").is_some()
            || find(text, b" rhost=").is_some()
            || text.starts_with(b"Accepted ")
            || text.starts_with(b"Did not"))
        || text.starts_with(b"User ") && find(text, b" not allowed because").is_some()
}

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let body = if r.header.program.is_empty() { untagged(r.body).unwrap_or(r.body) } else { r.body };
    let mut text = body.trim_ascii();
    // `[ID 800047 auth.info] ` of Solaris.
    if text.starts_with(b"[ID ")
        && let Some(close) = find(text, b"] ")
    {
        text = text.get(close + 2..).unwrap_or_default();
    }
    // `kernel:[12970.69] ` of some journals.
    if text.starts_with(b"kernel:[") {
        text = after(text, b"] ", b"").unwrap_or_default();
    }
    let mut repeat = 0;
    if let Some(rest) = text.strip_prefix(b"message repeated ") {
        repeat = u16::try_from(number(rest)).unwrap_or(u16::MAX);
        let Some(open) = memchr::memchr(b'[', rest) else { return Parsed::Broken(Why::Missing("message")) };
        let inner = rest.get(open + 1..).unwrap_or_default();
        text = inner.strip_suffix(b"]").unwrap_or(inner).trim_ascii();
    }
    if matches!(r.header.program, b"sftp-server" | b"internal-sftp") {
        return sftp(r, text, out);
    }
    match text.first() {
        Some(b'A') => {
            if let Some(rest) = text.strip_prefix(b"Accepted ") {
                return accepted(r, rest, repeat, out);
            }
            if let Some(rest) = text.strip_prefix(b"Aborted Duo login for ") {
                return duo(r, rest, Outcome::Failure, Reason::MfaFailed, out);
            }
        }
        Some(b'F') => {
            if let Some(rest) = text.strip_prefix(b"Failed Duo login for ") {
                return duo(r, rest, Outcome::Failure, Reason::MfaDenied, out);
            }
            if let Some(rest) = text.strip_prefix(b"Failed ") {
                return failed(r, rest, repeat, out);
            }
        }
        Some(b'S') => {
            if let Some(rest) = text.strip_prefix(b"Successful Duo login for ") {
                return duo(r, rest, Outcome::Success, Reason::None, out);
            }
            if let Some(rest) = text.strip_prefix(b"Starting session: ") {
                return session(r, rest, out);
            }
        }
        Some(b'I') => {
            if let Some(rest) =
                text.strip_prefix(b"Invalid user ").or_else(|| text.strip_prefix(b"Illegal user "))
            {
                // The failed password that follows names it again; alone it is the only sign of an attempt by key.
                return attempt(r, rest, Reason::NoUser, repeat, out);
            }
            if let Some(rest) = text.strip_prefix(b"Invalid verification code for ") {
                return google(r, word(rest).0, Outcome::Failure, out);
            }
        }
        Some(b'P' | b'p') => {
            if text.starts_with(b"pam_") || text.starts_with(b"PAM ") {
                return pam(r, text, out);
            }
            if let Some(rest) = text.strip_prefix(b"Partial ") {
                return partial(r, rest, out);
            }
        }
        Some(b'U') => {
            if let Some(rest) = text.strip_prefix(b"User ") {
                return not_allowed(r, rest, repeat, out);
            }
        }
        Some(b'R') => {
            if let Some(rest) = text.strip_prefix(b"ROOT LOGIN REFUSED FROM ") {
                return tried(r, out, Outcome::Failure)
                    .user(b"root")
                    .source(word(rest).0)
                    .reason(Reason::NotAllowed)
                    .repeat(repeat)
                    .done();
            }
            if text.starts_with(b"Received request ") {
                return forward(r, text, out);
            }
        }
        Some(b'r') => {
            // TCP wrappers: the address stands in the last brackets, before it what the name server said.
            if let Some(rest) = text.strip_prefix(b"refused connect from ") {
                let host = memchr::memrchr(b'(', rest)
                    .and_then(|n| rest.get(n + 1..))
                    .and_then(|h| h.strip_suffix(b")"))
                    .unwrap_or_else(|| word(rest).0);
                return tried(r, out, Outcome::Failure).source(host).reason(Reason::NotAllowed).done();
            }
            if text.starts_with(b"refused local port forward: ") {
                return forward(r, text, out);
            }
        }
        Some(b's') => {
            if let Some(name) = text.strip_prefix(b"subsystem request for ") {
                let (what, rest) = word(name);
                let user = after(rest, b"by user ", b" ").unwrap_or_default();
                return exec(r, user, b"", what, out);
            }
        }
        Some(b'e') => {
            if let Some(rest) = text.strip_prefix(b"error: maximum authentication attempts exceeded for ") {
                let rest = rest.strip_prefix(b"invalid user ").unwrap_or(rest);
                return attempt(r, rest, Reason::Other, repeat, out);
            }
            if let Some(rest) = text.strip_prefix(b"error: PAM: ") {
                return pam_error(r, rest, out);
            }
        }
        Some(b'f') => {
            if let Some(rest) = text.strip_prefix(b"fatal: Access denied for user ") {
                // The password was right, and account management said no.
                return logon(r, out, Outcome::BlockedAfterPassword)
                    .user(word(rest).0)
                    .reason(Reason::NotAllowed)
                    .done();
            }
        }
        Some(b'd') => {
            if text.starts_with(b"drop connection ")
                && let Some(host) = after(text, b" from ", b" ")
            {
                // Brackets around addresses of either kind.
                let host = between(host, b"[", b"]").unwrap_or(host);
                return tried(r, out, Outcome::Failure).source(host).reason(Reason::Policy).done();
            }
        }
        _ => {}
    }
    ends(r, text, out)
}

/// An event of a login itself.
fn logon<'e>(r: &Record<'_>, out: &'e mut Emit<'_>, outcome: Outcome) -> EventBuilder<'e> {
    out.event(Act::Logon, outcome).at(r.header_time()).service(Service::Ssh).host(r.host()).observer(r.host())
}

/// An attempt that another record completes, or that came to no result.
fn tried<'e>(r: &Record<'_>, out: &'e mut Emit<'_>, outcome: Outcome) -> EventBuilder<'e> {
    out.event(Act::Posture, outcome).at(r.header_time()).service(Service::Ssh).host(r.host())
}

fn attempt(r: &Record<'_>, rest: &[u8], reason: Reason, repeat: u16, out: &mut Emit<'_>) -> Parsed {
    let Some((user, tail)) = user_and_address(rest) else {
        return Parsed::Broken(Why::Missing("address"));
    };
    tried(r, out, Outcome::Failure).user(user).source(word(tail).0).reason(reason).repeat(repeat).done()
}

/// `publickey for anna from 192.0.2.5 port 22 ssh2: ED25519-CERT SHA256:… ID anna (serial 7) CA ED25519 SHA256:…`.
fn accepted(r: &Record<'_>, rest: &[u8], repeat: u16, out: &mut Emit<'_>) -> Parsed {
    let (method, rest) = word(rest);
    if method == b"google_authenticator" {
        return google(r, rest.strip_prefix(b"for ").map_or(rest, |u| word(u).0), Outcome::Success, out);
    }
    // `Accepted key …` and `Accepted certificate ID …` say before the login what it says itself.
    let Some(rest) = rest.strip_prefix(b"for ") else { return Parsed::Irrelevant(Kind::Pending) };
    login(r, method, rest, Outcome::Success, repeat, out)
}

/// `password for [invalid user ]anna from 192.0.2.5 port 22 ssh2[: RSA SHA256:…]`.
fn failed(r: &Record<'_>, rest: &[u8], repeat: u16, out: &mut Emit<'_>) -> Parsed {
    let (method, rest) = word(rest);
    let Some(rest) = rest.strip_prefix(b"for ") else { return Parsed::Irrelevant(Kind::OtherMessage) };
    let unknown = rest.strip_prefix(b"invalid user ").or_else(|| rest.strip_prefix(b"illegal user "));
    match (method, unknown) {
        // A client asks with `none` which methods there are.
        (b"none", None) => Parsed::Irrelevant(Kind::Transport),
        (b"none", Some(rest)) => attempt(r, rest, Reason::NoUser, repeat, out),
        // An agent offers its keys one by one until one fits.
        (b"publickey", None) => {
            let Some((user, tail)) = user_and_address(rest) else {
                return Parsed::Broken(Why::Missing("address"));
            };
            tried(r, out, Outcome::Unknown)
                .user(user)
                .source(word(tail).0)
                .method(Method::PublicKey)
                .repeat(repeat)
                .done()
        }
        _ => login(r, method, rest, Outcome::Failure, repeat, out),
    }
}

fn login(
    r: &Record<'_>,
    method: &[u8],
    rest: &[u8],
    outcome: Outcome,
    repeat: u16,
    out: &mut Emit<'_>,
) -> Parsed {
    // The client's own words about itself come last, and only with this method.
    let rest = match find(rest, b", client user \"") {
        Some(n) if method == b"hostbased" => rest.get(..n).unwrap_or_default(),
        _ => rest,
    };
    let unknown = rest.strip_prefix(b"invalid user ").or_else(|| rest.strip_prefix(b"illegal user "));
    let Some((user, tail)) = user_and_address(unknown.unwrap_or(rest)) else {
        return Parsed::Broken(Why::Missing("address"));
    };
    let (address, tail) = word(tail);
    if Ip::parse(address).is_none() && !is_name(address) {
        return Parsed::Broken(Why::Invalid("address"));
    }
    let port = tail.strip_prefix(b"port ").map_or(0, |p| u16::try_from(number(p)).unwrap_or(0));
    let key = find(tail, b": ").and_then(|n| tail.get(n + 2..)).unwrap_or_default();
    let (kind, key) = word(key);
    let (fingerprint, key) = word(key);
    let certificate = kind.ends_with(b"-CERT");
    let method = match method.split(|b| *b == b'/').next().unwrap_or_default() {
        b"password" => Method::Password,
        b"publickey" if certificate => Method::Certificate,
        b"publickey" | b"hostbased" => Method::PublicKey,
        b"keyboard-interactive" => Method::KeyboardInteractive,
        b"gssapi-with-mic" | b"gssapi-keyex" => Method::Kerberos,
        _ => Method::Unknown,
    };
    let reason = match (outcome, unknown.is_some() || name(user).is_empty()) {
        (Outcome::Success, _) => Reason::None,
        (_, true) => Reason::NoUser,
        (_, false) => Reason::BadPassword,
    };
    logon(r, out, outcome)
        .user(name(user))
        .source(address)
        .source_port(port)
        .method(method)
        .sid(if fingerprint.contains(&b':') { fingerprint } else { b"" })
        .detail(if certificate { key } else { b"" })
        .reason(reason)
        .repeat(repeat)
        .done()
}

/// One of several methods that an account needs (`AuthenticationMethods`) was passed.
fn partial(r: &Record<'_>, rest: &[u8], out: &mut Emit<'_>) -> Parsed {
    let rest = word(rest).1;
    let Some((user, tail)) = user_and_address(rest.strip_prefix(b"for ").unwrap_or(rest)) else {
        return Parsed::Broken(Why::Missing("address"));
    };
    tried(r, out, Outcome::Challenge).user(user).source(word(tail).0).flag(Flags::PRE_MFA).done()
}

/// `anna from 192.0.2.5 not allowed because not listed in AllowUsers`.
fn not_allowed(r: &Record<'_>, rest: &[u8], repeat: u16, out: &mut Emit<'_>) -> Parsed {
    let Some(n) = find(rest, b" not allowed because") else {
        return Parsed::housekeeping_if(rest.starts_with(b"child is on pid "));
    };
    let (who, why) = rest.split_at_checked(n).unwrap_or_default();
    let reason = if find(why, b"locked").is_some() {
        Reason::Locked
    } else if find(why, b"expired").is_some() {
        Reason::Expired
    } else {
        Reason::NotAllowed
    };
    // A failed password follows, as of an invalid user.
    match user_and_address(who) {
        Some((user, tail)) => tried(r, out, Outcome::Failure)
            .user(user)
            .source(word(tail).0)
            .reason(reason)
            .repeat(repeat)
            .done(),
        None => tried(r, out, Outcome::Unknown).user(who).reason(reason).done(),
    }
}

/// `Authentication failure for [illegal user ]anna from 192.0.2.5[ via 10.0.0.1]`.
fn pam_error(r: &Record<'_>, rest: &[u8], out: &mut Emit<'_>) -> Parsed {
    let Some(n) = find(rest, b" for ") else { return Parsed::Irrelevant(Kind::Repeats) };
    let who = rest.get(n + 5..).unwrap_or_default();
    let unknown = who.strip_prefix(b"illegal user ").or_else(|| who.strip_prefix(b"invalid user "));
    let Some((user, tail)) = user_and_address(unknown.unwrap_or(who)) else {
        return Parsed::Irrelevant(Kind::Repeats);
    };
    let reason = if unknown.is_some() { Reason::NoUser } else { Reason::BadPassword };
    tried(r, out, Outcome::Failure).user(user).source(word(tail).0).reason(reason).done()
}

/// PAM says again what sshd says; the record only tells who and from where, and counts for nothing.
fn pam(r: &Record<'_>, text: &[u8], out: &mut Emit<'_>) -> Parsed {
    let user = after(text, b" user=", b" ")
        .or_else(|| after(text, b"failures for user ", b" "))
        .or_else(|| between(text, b": user '", b"'"))
        .or_else(|| between(text, b"for user `", b"'"))
        .or_else(|| after(text, b"for user ", b" "))
        .map(|u| u.split(|b| matches!(b, b'(' | b':')).next().unwrap_or_default());
    let source = after(text, b"rhost=", b" ").or_else(|| between(text, b" from `", b"'"));
    if user.is_none() && source.is_none() {
        return Parsed::Irrelevant(Kind::Repeats);
    }
    let has = |needle: &[u8]| find(text, needle).is_some();
    let failed = has(b"authentication failure") || has(b"login failures") || has(b"access denied");
    let outcome = if failed { Outcome::Failure } else { Outcome::Unknown };
    tried(r, out, outcome)
        .user(user.unwrap_or_default())
        .source(source.unwrap_or_default())
        .reason(if has(b"temporarily locked") { Reason::Locked } else { Reason::None })
        .flag(Flags::REPEATS)
        .done()
}

/// `'anna' from 192.0.2.5`, as Duo's module writes under sshd's name.
fn duo(r: &Record<'_>, rest: &[u8], outcome: Outcome, reason: Reason, out: &mut Emit<'_>) -> Parsed {
    let Some((user, tail)) = user_and_address(rest) else {
        return Parsed::Broken(Why::Missing("address"));
    };
    let user = user.strip_prefix(b"'").and_then(|u| u.strip_suffix(b"'")).unwrap_or(user);
    let passed = outcome == Outcome::Success;
    out.event(Act::Mfa, outcome)
        .at(r.header_time())
        .service(Service::Ssh)
        .user(user)
        .source(word(tail).0)
        .host(r.host())
        .reason(reason)
        .factor(Factor::Other)
        .mfa(if passed { Mfa::Yes } else { Mfa::Unknown })
        .done()
}

fn google(r: &Record<'_>, user: &[u8], outcome: Outcome, out: &mut Emit<'_>) -> Parsed {
    let passed = outcome == Outcome::Success;
    out.event(Act::Mfa, outcome)
        .at(r.header_time())
        .service(Service::Ssh)
        .user(user)
        .host(r.host())
        .reason(if passed { Reason::None } else { Reason::MfaFailed })
        .factor(Factor::Totp)
        .mfa(if passed { Mfa::Yes } else { Mfa::Unknown })
        .done()
}

/// `shell on pts/0 for anna from 192.0.2.5 port 50000 id 0`, `forced-command (key-option) 'backup' for anna from …`.
fn session(r: &Record<'_>, rest: &[u8], out: &mut Emit<'_>) -> Parsed {
    let Some(n) = memchr::memmem::rfind(rest, b" for ") else {
        return Parsed::Broken(Why::Missing("user"));
    };
    let (what, who) = rest.split_at_checked(n).unwrap_or_default();
    if !what.starts_with(b"forced-command") {
        return Parsed::Irrelevant(Kind::Repeats);
    }
    let Some((user, tail)) = user_and_address(who.get(5..).unwrap_or_default()) else {
        return Parsed::Broken(Why::Missing("address"));
    };
    exec(r, user, word(tail).0, what, out)
}

fn exec(r: &Record<'_>, user: &[u8], source: &[u8], what: &[u8], out: &mut Emit<'_>) -> Parsed {
    out.event(Act::Exec, Outcome::Success)
        .at(r.header_time())
        .service(Service::Ssh)
        .user(user)
        .source(source)
        .host(r.host())
        .detail(what)
        .done()
}

/// A tunnel that the client asked for and did not get.
fn forward(r: &Record<'_>, text: &[u8], out: &mut Emit<'_>) -> Parsed {
    let target = after(text, b"connect to host ", b" ").or_else(|| after(text, b", target ", b" "));
    let Some(target) = target else { return Parsed::Irrelevant(Kind::OtherMessage) };
    let port =
        memchr::memmem::rfind(text, b" port ").map_or(0, |n| number(text.get(n + 6..).unwrap_or_default()));
    out.event(Act::Flow, Outcome::Failure)
        .at(r.header_time())
        .service(Service::Ssh)
        .destination(target)
        .destination_port(u16::try_from(port).unwrap_or(0))
        .host(target)
        .observer(r.host())
        .reason(Reason::Policy)
        .done()
}

/// `session opened for local user anna from [192.0.2.5]`; what is done with files is no access of its own.
fn sftp(r: &Record<'_>, text: &[u8], out: &mut Emit<'_>) -> Parsed {
    let Some(rest) = text
        .strip_prefix(b"session opened for local user ")
        .or_else(|| text.strip_prefix(b"session closed for local user "))
    else {
        return Parsed::Irrelevant(Kind::RoutineUse);
    };
    let Some((user, tail)) = user_and_address(rest) else {
        return Parsed::Broken(Why::Missing("address"));
    };
    let address = between(tail, b"[", b"]").unwrap_or_else(|| word(tail).0);
    tried(r, out, Outcome::Unknown).user(user).source(address).client(b"sftp").flag(Flags::REPEATS).done()
}

/// How connections end, and what comes before a login.
fn ends(r: &Record<'_>, text: &[u8], out: &mut Emit<'_>) -> Parsed {
    let plain = text.strip_prefix(b"error: ").or_else(|| text.strip_prefix(b"fatal: ")).unwrap_or(text);
    let before_login = text.ends_with(b"[preauth]");
    let failed = |yes: bool| if yes { Outcome::Failure } else { Outcome::Unknown };
    // `Connection from 192.0.2.5 port 4711: invalid format`; without the colon nothing has happened yet.
    let broken = plain
        .strip_prefix(b"banner exchange: Connection from ")
        .or_else(|| plain.strip_prefix(b"ssh_dispatch_run_fatal: Connection from "))
        .or_else(|| plain.strip_prefix(b"Unable to negotiate with "))
        .or_else(|| plain.strip_prefix(b"Did not receive identification string from "))
        .or_else(|| plain.strip_prefix(b"Timeout before authentication for connection from "))
        .or_else(|| plain.strip_prefix(b"Timeout before authentication for "));
    if let Some(rest) = broken {
        return tried(r, out, Outcome::Failure).source(word(rest).0).done();
    }
    if plain.starts_with(b"Bad protocol version identification ")
        || plain.starts_with(b"Magic value check failed ")
        || plain.starts_with(b"Protocol major versions differ for ")
    {
        let Some((_, tail)) = user_and_address(plain) else {
            return Parsed::Irrelevant(Kind::Transport);
        };
        return tried(r, out, Outcome::Failure).source(word(tail).0).done();
    }
    if let Some(rest) = plain.strip_prefix(b"Received disconnect from ") {
        let address = word(rest).0;
        let address = address.strip_suffix(b":").unwrap_or(address);
        let refused = before_login || find(rest, b"Auth fail").is_some();
        return tried(r, out, failed(refused)).source(address).done();
    }
    if let Some(rest) = plain.strip_prefix(b"Disconnected from user ") {
        let (user, rest) = peer(rest);
        return out
            .event(Act::Logoff, Outcome::Success)
            .at(r.header_time())
            .service(Service::Ssh)
            .user(user)
            .source(rest)
            .host(r.host())
            .done();
    }
    let end = [
        (&b"Connection closed by "[..], before_login),
        (b"Connection reset by ", before_login),
        (b"Disconnected from ", false),
        (b"Disconnecting ", true),
    ];
    for (start, counts) in end {
        let Some(rest) = plain.strip_prefix(start) else { continue };
        // Those before a login name who tried.
        let user = [&b"invalid user "[..], b"illegal user ", b"authenticating user "]
            .iter()
            .find_map(|p| rest.strip_prefix(*p));
        let (user, address) = user.map_or((&b""[..], word(rest).0), peer);
        return tried(r, out, failed(counts)).user(user).source(address).done();
    }
    if plain.starts_with(b"Disconnecting: Too many authentication failures") {
        return Parsed::Irrelevant(Kind::Repeats);
    }
    // What nobody taught us is counted apart, so that a changed wording shows.
    let known = KNOWN.iter().any(|k| plain.starts_with(k));
    Parsed::Irrelevant(if known { Kind::Transport } else { Kind::OtherMessage })
}

/// Beginnings of messages about connections and the daemon itself.
const KNOWN: [&[u8]; 28] = [
    b"Server listening",
    b"Server listen",
    b"Connection from ",
    b"Connection closed",
    b"Connection reset",
    b"Connection to ",
    b"Received disconnect",
    b"Received signal",
    b"Received SIGHUP",
    b"Disconnected from",
    b"Disconnecting",
    b"Close session",
    b"Closing connection",
    b"Starting session",
    b"Transferred:",
    b"Did not receive identification",
    b"Unable to negotiate",
    b"Bad protocol version",
    b"banner exchange",
    b"ssh_dispatch_run_fatal",
    b"kex_",
    b"Exiting on signal",
    b"User child is on",
    b"Postponed ",
    b"input_userauth_request",
    b"reverse mapping checking",
    b"Address ",
    b"debug",
];

/// `anna 192.0.2.5 port 4711[: …]`: the user, who may hold blanks and such a text himself, and the address.
fn peer(text: &[u8]) -> (&[u8], &[u8]) {
    let mut end = text.len();
    while let Some(n) = memchr::memmem::rfind(text.get(..end).unwrap_or_default(), b" port ") {
        let before = text.get(..n).unwrap_or_default();
        let blank = memchr::memrchr(b' ', before);
        let address = before.get(blank.map_or(0, |b| b + 1)..).unwrap_or_default();
        if Ip::parse(address).is_some() {
            return (blank.and_then(|b| before.get(..b)).unwrap_or_default(), address);
        }
        end = n;
    }
    let (first, rest) = word(text);
    // An empty name leaves the address where the name should be.
    if Ip::parse(first).is_some() { (b"", first) } else { (first, word(rest).0) }
}

/// The user before, and what follows, the ` from ` that is sshd's own: the last one that an address and a port follow;
/// where none does, the last that an address follows, else the last.
fn user_and_address(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let (mut end, mut without_port, mut last) = (text.len(), None, None);
    while let Some(at) = memchr::memmem::rfind(text.get(..end)?, b" from ") {
        let tail = text.get(at + 6..)?;
        let (address, rest) = word(tail);
        let found = (text.get(..at)?, tail);
        if Ip::parse(address).is_some() || is_name(address) {
            if rest.starts_with(b"port ") {
                return Some(found);
            }
            if Ip::parse(address).is_some() {
                without_port = without_port.or(Some(found));
            }
        }
        last = last.or(Some(found));
        end = at;
    }
    without_port.or(last)
}

/// The name of a host, where sshd asks the name server.
fn is_name(text: &[u8]) -> bool {
    !text.is_empty()
        && text.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
        && text.iter().any(u8::is_ascii_alphabetic)
}

fn name(user: &[u8]) -> &[u8] {
    if user == b"<invalid username>" { b"" } else { user }
}
