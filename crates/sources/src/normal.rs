//! What the normalised forms of SIEMs have in common: fields under several spellings, lists where one value is meant,
//! products known only by their names.

use crate::decode::clock::{self, Stamp};
use crate::decode::json::{PathSet, Value, elements};
use crate::record::Record;
use aho_corasick::AhoCorasick;
use portreeve_model::EventTime;
use portreeve_model::event::{Outcome, Reason, Service};
use portreeve_model::time::Certainty;
use std::sync::LazyLock;

/// Paths of one form, counting every spelling.
const PATHS: usize = 256;

/// Fields by number, each under one or more paths; a path of several keys is also found as one key with dots.
pub(crate) struct Form {
    set: PathSet,
    /// Which field each path is of.
    of: Vec<usize>,
}

impl Form {
    pub(crate) fn new(fields: &[&[&str]]) -> Form {
        let (mut paths, mut of): (Vec<String>, Vec<usize>) = Default::default();
        for (n, spellings) in fields.iter().enumerate() {
            for path in *spellings {
                paths.push((*path).to_owned());
                of.push(n);
                if path.contains('.') {
                    paths.push(path.replace('.', "\\."));
                    of.push(n);
                }
            }
        }
        Form { set: PathSet::new(paths.iter().take(PATHS).map(String::as_str)), of }
    }

    /// The fields of an object; of several spellings the first one that says something.
    pub(crate) fn pick<'a, const N: usize>(&self, text: &'a [u8]) -> Option<[Value<'a>; N]> {
        let mut found = [Value::Missing; PATHS];
        self.set.pick(text, &mut found).ok()?;
        let mut fields = [Value::Missing; N];
        for (value, n) in found.iter().zip(&self.of) {
            if let Some(field) = fields.get_mut(*n)
                && field.is_missing()
            {
                *field = one(*value);
            }
        }
        Some(fields)
    }
}

/// The value itself, or the first of a list.
pub(crate) fn one(value: Value<'_>) -> Value<'_> {
    match value {
        Value::Nested(n) if n.first() == Some(&b'[') => elements(n).next().unwrap_or_default(),
        Value::Text(t) if t.trim_ascii().is_empty() => Value::Missing,
        value => value,
    }
}

/// Does the text hold one of these words, in any case? Words are in small letters.
pub(crate) fn has(text: &[u8], words: &[&str]) -> bool {
    let mut small = [0u8; 200];
    let n = text.len().min(small.len());
    small[..n].copy_from_slice(&text[..n]);
    let small = &mut small[..n];
    small.make_ascii_lowercase();
    words.iter().any(|w| crate::decode::find::find(small, w.as_bytes()).is_some())
}

/// Time of a field: text with a zone, else in UTC; or a number since 1970.
pub(crate) fn time(r: &Record<'_>, value: Value<'_>) -> Option<(EventTime, Certainty)> {
    match clock::iso(value.bytes()) {
        Some((Stamp::Absolute(t), _)) => Some((t, Certainty::Exact)),
        Some((Stamp::Local(civil), _)) => clock::Clock::with_offset(civil, 0).map(|t| (t, Certainty::Exact)),
        // A date of another form begins with few digits, and is no number of seconds.
        None if value.bytes().len() > 8 && value.bytes().iter().take(9).all(u8::is_ascii_digit) => {
            clock::epoch(value.bytes()).map(|t| (t, Certainty::Exact))
        }
        None => r.header_time(),
    }
}

/// Words in the names of products; of several, the kind that stands first here.
const KINDS: [(Service, &[&str]); 13] = [
    (
        Service::Bastion,
        &["cyberark", "wallix", "beyondtrust", "delinea", "teleport", "bastion", "privileged access"],
    ),
    (Service::Rmm, &["teamviewer", "anydesk", "screenconnect", "splashtop", "connectwise"]),
    (Service::Ztna, &["zscaler", "netskope", "ztna", "twingate", "cloudflare", "zero trust", "tailscale"]),
    (Service::Ica, &["citrix", "netscaler"]),
    (
        Service::Vpn,
        &[
            "vpn",
            "globalprotect",
            "anyconnect",
            "secure client",
            "cisco.asa",
            "cisco_asa",
            "cisco asa",
            "cisco_ftd",
            "fortigate",
            "pulse",
            "ivanti connect",
            "wireguard",
            "ipsec",
            "sonicwall",
        ],
    ),
    (Service::RdGateway, &["terminalservices-gateway", "rd gateway"]),
    (
        Service::Idp,
        &[
            "okta",
            "azure",
            "entra",
            "aad",
            "active directory",
            "auth0",
            "onelogin",
            "pingone",
            "ping identity",
            "pingfederate",
            "duo",
            "keycloak",
            "jumpcloud",
            "google_workspace",
            "google workspace",
            "gsuite",
            "o365",
            "office 365",
            "single sign",
            "sso",
        ],
    ),
    (Service::CloudConsole, &["aws", "gcp", "cloudtrail", "google cloud"]),
    (Service::Kubernetes, &["kubernetes"]),
    (Service::Radius, &["radius", "cisco_ise", "cisco ise", "clearpass", "network policy server"]),
    (Service::Rdp, &["rdp", "remote desktop", "terminalservices"]),
    (Service::Ssh, &["ssh", "system.auth"]),
    (Service::Windows, &["windows", "winlog"]),
];

/// What a product is, by its name; Other where the name says nothing.
pub(crate) fn service(product: &[u8]) -> Service {
    static WORDS: LazyLock<(Option<AhoCorasick>, Vec<usize>)> = LazyLock::new(|| {
        let words =
            || KINDS.iter().enumerate().flat_map(|(n, (_, words))| words.iter().map(move |w| (n, *w)));
        let all = AhoCorasick::builder().ascii_case_insensitive(true).build(words().map(|(_, w)| w)).ok();
        (all, words().map(|(n, _)| n).collect())
    });
    let (Some(words), kinds) = &*WORDS else { return Service::Other };
    let text = product.get(..200).unwrap_or(product);
    let kind =
        words.find_overlapping_iter(text).filter_map(|m| kinds.get(m.pattern().as_usize())).min().copied();
    kind.and_then(|n| KINDS.get(n)).map_or(Service::Other, |(service, _)| *service)
}

/// Is this a logon on a host rather than at a gateway or provider?
pub(crate) fn on_host(service: Service) -> bool {
    matches!(service, Service::Ssh | Service::Rdp | Service::Windows | Service::Host)
}

/// Why an attempt failed, by the words that products use.
pub(crate) fn reason(outcome: Outcome, text: &[u8]) -> Reason {
    if outcome == Outcome::Success || text.is_empty() {
        return Reason::None;
    }
    const REASONS: [(Reason, &[&str]); 9] = [
        (Reason::Locked, &["locked", "lockout"]),
        (Reason::Expired, &["expired"]),
        (Reason::Disabled, &["disabled", "deactivated", "suspended"]),
        (
            Reason::NoUser,
            &[
                "invalid user",
                "unknown user",
                "user not found",
                "no such user",
                "does not exist",
                "bad username",
            ],
        ),
        (Reason::MfaTimeout, &["mfa timeout", "mfa_timeout", "no response"]),
        (Reason::MfaDenied, &["mfa denied", "mfa_denied", "user denied", "denied by user", "declined"]),
        (Reason::MfaFailed, &["mfa", "otp", "second factor", "passcode"]),
        (Reason::Policy, &["policy", "conditional access", "not permitted", "not allowed"]),
        (
            Reason::BadPassword,
            &[
                "password",
                "invalid_credentials",
                "invalid credentials",
                "bad credentials",
                "authentication failed",
            ],
        ),
    ];
    REASONS.iter().find(|(_, words)| has(text, words)).map_or(Reason::Other, |(r, _)| *r)
}

/// One to five from a number of any scale up to a hundred, or from a word.
pub(crate) fn severity(text: &[u8]) -> u8 {
    let words: [(&str, u8); 6] =
        [("informational", 1), ("info", 1), ("low", 2), ("medium", 3), ("high", 4), ("critical", 5)];
    if let Some((_, n)) = words.iter().find(|(word, _)| has(text, &[word])) {
        return *n;
    }
    match crate::decode::kv::number(text) {
        n @ 0..=5 => n as u8,
        n @ 6..=10 => n.div_ceil(2) as u8,
        n => n.min(100).div_ceil(20) as u8,
    }
}
