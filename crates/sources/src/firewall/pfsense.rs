//! pfSense and OPNsense: logins to the web interface and changes of the configuration.
//!
//! Read from: Netgate "System Logs", OPNsense "Logging / Audit". Traps: the name of a failed login is whatever was typed, so
//! the address behind the last `from` counts; OPNsense tells a login once as authenticated and once as logged in.

use crate::decode::find::find;
use crate::decode::kv::{after, word};
use crate::emit::Emit;
use crate::record::{Record, Shape};
use crate::source::{Field, Kind, Parsed, Reader, Row, Source};
use portreeve_model::event::{Act, Change, Flags, Outcome, Reason, Service};

pub static SOURCE: Source = Source {
    name: "pfsense",
    title: "pfSense / OPNsense (web interface)",
    row: Row::Firewall,
    gives: &[Act::Admin, Act::Config],
    lacks: &[
        Field::TunnelIp,
        Field::Device,
        Field::Mfa,
        Field::SessionId,
        Field::SessionEnd,
        Field::Bytes,
        Field::Host,
    ],
    traps: &["typed_names"],
    manual: "Netgate: pfSense System Logs; OPNsense: Logging",
    enable: "Status > System Logs > Settings: remote logging of system events; OPNsense: System > Settings > Logging, application audit",
    general: false,
    marks: &[
        "webConfigurator authentication error",
        "Web GUI authentication error",
        "Successful login for user '",
        "logged out for user '",
        "Configuration Change: ",
        " for WebGui",
        " changed configuration to ",
    ],
    reader: Reader::Code {
        claim: |r| {
            r.shape == Shape::Text
                && (r.body.first() == Some(&b'/')
                    || matches!(r.header.program, b"php-fpm" | b"php" | b"audit" | b"opnsense" | b"lighttpd"))
                && MESSAGES.iter().any(|m| r.contains(m))
        },
        parse,
        join: None,
    },
};

const MESSAGES: [&[u8]; 7] = [
    b"webConfigurator authentication error for user '",
    b"Web GUI authentication error for '",
    b"Successful login for user '",
    b"logged out for user '",
    b"Configuration Change: ",
    b" for WebGui",
    b" changed configuration to ",
];

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let text = r.body;
    // `/index.php: webConfigurator authentication error for user 'x' from: 10.0.0.5`
    for (marker, ok) in [
        (&b"webConfigurator authentication error for user '"[..], false),
        (b"Web GUI authentication error for '", false),
        (b"Successful login for user '", true),
    ] {
        let Some(rest) = after(text, marker, b"") else { continue };
        let Some(at) = memchr::memmem::rfind(rest, b"' from") else { continue };
        let tail = rest[at + 6..].trim_ascii_start();
        let from = word(tail.strip_prefix(b":").unwrap_or(tail)).0;
        return out
            .event(Act::Admin, if ok { Outcome::Success } else { Outcome::Failure })
            .at(r.header_time())
            .service(Service::Management)
            .user(&rest[..at])
            .source(from)
            .reason(if ok { Reason::None } else { Reason::BadPassword })
            .observer(r.host())
            .flag_if(find(tail, b"(Local Database)").is_some(), Flags::LOCAL_ACCOUNT)
            .done();
    }
    // `/firewall_rules.php: Configuration Change: admin@10.0.0.5 (Local Database): Firewall: Rules - saved a rule.`
    if let Some(rest) = after(text, b"Configuration Change: ", b"") {
        let (who, tail) = word(rest);
        let what = match tail.strip_prefix(b"(") {
            Some(database) => after(database, b"): ", b"").unwrap_or_default(),
            None => tail,
        };
        return config(r, out, who.strip_suffix(b":").unwrap_or(who), what);
    }
    // `user root@10.0.0.5 changed configuration to /conf/backup/config-1772528400.xml in /firewall_rules_edit.php …`
    if let Some(rest) =
        after(text, b"user ", b"").filter(|t| find(t, b" changed configuration to ").is_some())
    {
        let (who, tail) = word(rest);
        return config(r, out, who, after(tail, b" in ", b"").unwrap_or_default());
    }
    Parsed::Irrelevant(if find(text, b"authenticated successfully").is_some() {
        Kind::Repeats
    } else {
        Kind::Housekeeping
    })
}

fn config(r: &Record<'_>, out: &mut Emit<'_>, who: &[u8], what: &[u8]) -> Parsed {
    let split = memchr::memrchr(b'@', who);
    let users = find(what, b"User Manager").is_some() || find(what, b"usermanager").is_some();
    out.event(Act::Config, Outcome::Success)
        .at(r.header_time())
        .service(Service::Management)
        .user(split.map_or(who, |at| &who[..at]))
        .source(split.map_or(&b""[..], |at| &who[at + 1..]))
        .detail(what)
        .change(if users { Change::LocalUserCreated } else { Change::ConfigChanged })
        .observer(r.host())
        .flag(Flags::PRIVILEGED)
        .done()
}
