//! What a source is to a reader: what it tells, which questions of the playbook it helps to answer, how it is turned on.
//! The listing, the terminal's page and docs/sources are all made of this.

use crate::source::{Field, Kind, Reader, Source};
use portreeve_model::event::Act;

/// What people ask first about a log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tells {
    pub source_ip: bool,
    pub tunnel_ip: bool,
    pub session_end: bool,
    pub mfa: bool,
    pub device: bool,
}

/// A question of the playbook, and what of this source serves it.
pub struct Helps {
    pub question: &'static str,
    pub with: &'static str,
}

impl Source {
    pub fn tells(&self) -> Tells {
        let has = |field| !self.lacks.contains(&field);
        Tells {
            source_ip: has(Field::SourceIp),
            tunnel_ip: has(Field::TunnelIp),
            session_end: has(Field::SessionEnd),
            mfa: has(Field::Mfa),
            device: has(Field::Device),
        }
    }

    /// The playbook's questions that this source helps to answer.
    pub fn helps(&self) -> Vec<Helps> {
        let gives = |acts: &[Act]| acts.iter().any(|a| self.gives.contains(a));
        let tells = self.tells();
        let access = gives(&[
            Act::Auth,
            Act::SessionStart,
            Act::SessionResume,
            Act::IpAssign,
            Act::Logon,
            Act::Admin,
            Act::Api,
        ]);
        let mut all = Vec::new();
        let mut add = |when: bool, question, with| {
            if when {
                all.push(Helps { question, with });
            }
        };
        add(access && tells.source_ip, "ip_seen_before", "each access with its address");
        add(
            access && tells.source_ip,
            "geo_matches_known_location_or_travel",
            "the address of each access, held against the geo database",
        );
        add(
            tells.mfa || gives(&[Act::Mfa]),
            "mfa_bypassed_or_absent",
            "whether and how a second factor was passed",
        );
        add(
            gives(&[Act::Flow, Act::Logon, Act::Exec, Act::Nac]),
            "lateral_movement",
            "what was reached or run inside",
        );
        add(tells.tunnel_ip, "lateral_movement", "who held which tunnel address");
        add(
            gives(&[Act::Account, Act::Config, Act::Admin, Act::Api, Act::Exec]),
            "privilege_inconsistent_with_role",
            "rights, roles and settings that were used or changed",
        );
        add(access && tells.source_ip, "known_malicious_ip", "each access with its address");
        add(gives(&[Act::Alert]), "edr_related", "alerts, by host and person");
        add(gives(&[Act::Lease]), "edr_related", "which device held an address");
        all
    }

    /// The page under docs/sources.
    pub fn markdown(&self) -> String {
        let mut text = String::new();
        let mut line = |s: String| {
            text.push_str(&s);
            text.push('\n');
        };
        line(format!("# {}\n", self.title));
        line(format!(
            "`{}`, row *{}* of the playbook. Generated from its declaration; `portreeve sources {}` prints the same.\n",
            self.name,
            self.row.folder(),
            self.name
        ));
        line(format!("## Turning the log on\n\n{}\n", sentence(self.enable)));
        line("## What it tells\n".to_owned());
        if self.gives.is_empty() {
            line("Nothing that the playbook asks: its records are known and counted, so that what is left over is really unknown.\n".to_owned());
        } else {
            line("| event | meaning |\n|---|---|".to_owned());
            self.gives.iter().for_each(|act| line(format!("| `{}` | {} |", act.name(), meaning(*act))));
            line(String::new());
        }
        let helps = self.helps();
        if !helps.is_empty() {
            line("## Questions it helps to answer\n\n| question | with |\n|---|---|".to_owned());
            helps.iter().for_each(|h| line(format!("| `{}` | {} |", h.question, h.with)));
            line(String::new());
        }
        if !self.lacks.is_empty() {
            line("## What it never tells\n".to_owned());
            self.lacks.iter().for_each(|f| line(format!("- {}", consequence(*f))));
            line(String::new());
        }
        line("## How it is read\n".to_owned());
        if !self.manual.is_empty() {
            line(format!("- After {}.", self.manual));
        }
        line(match &self.reader {
            Reader::Code { .. } => format!(
                "- By `crates/sources/src/{}`; the lines it is held to are in `crates/sources/fixtures/{}/{}`.",
                self.row.folder(),
                self.row.folder(),
                self.name
            ),
            Reader::Mapping(_) => format!(
                "- Without code, by `content/sources/{}/{}.yml`, which holds its own test lines.",
                self.row.folder(),
                self.name
            ),
        });
        if !self.traps.is_empty() {
            let traps: Vec<String> = self.traps.iter().map(|t| t.replace('_', " ")).collect();
            line(format!("- Traps that a fixture holds it to: {}.", traps.join("; ")));
        }
        text
    }

    /// The same for a terminal.
    pub fn text(&self) -> String {
        let mut text = format!("{} ({})\n", self.title, self.name);
        let mut row = |key: &str, value: &str| {
            text.push_str(&format!("  {key:12} {value}\n"));
        };
        row("row", self.row.folder());
        row("turn on", self.enable);
        if !self.manual.is_empty() {
            row("read after", self.manual);
        }
        for (n, act) in self.gives.iter().enumerate() {
            row(if n == 0 { "tells" } else { "" }, &format!("{:15} {}", act.name(), meaning(*act)));
        }
        for (n, h) in self.helps().iter().enumerate() {
            row(if n == 0 { "helps with" } else { "" }, &format!("{}: {}", h.question, h.with));
        }
        for (n, f) in self.lacks.iter().enumerate() {
            row(if n == 0 { "never tells" } else { "" }, consequence(*f));
        }
        if let Reader::Mapping(_) = &self.reader {
            row("read by", "a text file (portreeve schema --of source; docs/own-sources.md)");
        }
        row("page", &format!("docs/sources/{}.md", self.name));
        text
    }
}

fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first: String = chars.next().map(|c| c.to_uppercase().collect()).unwrap_or_default();
    let end = if text.ends_with(['.', ';']) { "" } else { "." };
    format!("{first}{}{end}", chars.as_str())
}

fn meaning(act: Act) -> &'static str {
    match act {
        Act::Lease => "an address was leased to a device",
        Act::Nac => "a device was let into a network, or refused (802.1X, MAB, VLAN)",
        Act::Auth => "a credential was checked",
        Act::Mfa => "a step of a second factor: asked, approved, denied",
        Act::Posture => "a check of the device, or an attempt without a result",
        Act::SessionStart => "a remote session began",
        Act::IpAssign => "a tunnel address was given to a session",
        Act::SessionResume => "a session went on from another public address",
        Act::SessionEnd => "a remote session ended",
        Act::Logon => "a logon on a host",
        Act::Logoff => "a logoff or disconnect from a host",
        Act::Admin => "a login to the product's own administration",
        Act::Config => "the product's configuration changed",
        Act::Account => "an account, group, role, key or factor changed",
        Act::Api => "a call of a cloud or cluster API",
        Act::Flow => "a connection was allowed or denied",
        Act::Exec => "a command or process was started",
        Act::Alert => "an alert of a security product",
    }
}

fn consequence(field: Field) -> &'static str {
    match field {
        Field::User => "the account: its records are tied to people by address, host or key",
        Field::SourceIp => "where somebody came from: place and novelty need another source",
        Field::TunnelIp => "tunnel addresses: what happens inside is tied to a session by other means",
        Field::Device => "the client's device",
        Field::Mfa => "second factors: `mfa_bypassed_or_absent` is unknown unless a provider's log tells",
        Field::SessionId => "a session id: records are joined by account, address and time",
        Field::SessionEnd => "the end of a session: it is assumed",
        Field::Bytes => "how much was transferred",
        Field::Host => "which host was reached",
        Field::Year => "the year: it is taken from the records around, and the case says so",
        Field::Zone => "the zone of its stamps: declare it in log_sources.csv, else UTC is assumed",
    }
}

/// What a kind of record of no concern means.
pub fn kind_meaning(kind: Kind) -> &'static str {
    match kind {
        Kind::Housekeeping => "keep-alives, statistics, messages of a daemon about itself",
        Kind::Transport => "a connection that is not yet a login",
        Kind::Pending => "a step on the way: the result is another record",
        Kind::Repeats => "says again what another record of the same login says",
        Kind::OutboundTraffic => "traffic to the Internet that no access came through",
        Kind::Traffic => "background traffic that is neither an access nor an attempt at one",
        Kind::Machine => "machine accounts, health checks, tokens that renew themselves",
        Kind::RoutineUse => "use without bearing on the playbook",
        Kind::Format => "a header, comment or separator of the file",
        Kind::OtherMessage => {
            "a message of this product that nobody taught Portreeve, or that has no bearing"
        }
    }
}
