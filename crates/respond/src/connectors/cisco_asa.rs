//! Cisco ASA over SSH: addresses are shunned, and VPN sessions are logged off. The ASA has only a shell to type into,
//! so each command is one line of fixed words and checked values, and a last line proves that the shell got so far.

use super::asked;
use super::sessions::{self, Session};
use crate::act::Act;
use crate::connector::{
    Ability, Ack, Can, Connector, Control, Effect, Known, Order, Present, Proof, Seen, Setting, Settings,
};
use crate::fault::Fault;
use crate::target::{Stay, TargetKind};
use crate::transport::command::Ssh;
use crate::value::Net;
use serde::Deserialize;
use serde_json::json;
use std::time::Duration;

pub static CONNECTOR: Connector = Connector {
    name: "cisco_asa",
    product: "Cisco ASA (9.x), over SSH",
    proof: Proof::Contract,
    can: &[
        Can {
            effect: "`shun` drops each new connection of the address on every interface, and `clear conn address` \
                     ends those that stand, which a shun alone leaves",
            leaves_open: "shuns are not saved: a reload or a failover loses them; IPv6; the ASA lets go only when \
                          it is told to",
            undo: "`no shun` of this address, if no other hand had shunned it before",
            verified_by: "`show shun` lists the address, and `show conn address` shows no connection of it",
            within: Duration::from_secs(15),
            settle: Duration::from_secs(15),
            ..Can::at_once(Act::BlockAddress, &[TargetKind::Address])
        },
        Can {
            effect: "`vpn-sessiondb logoff` by the user's name, or by index where only some of the user's sessions \
                     are meant",
            leaves_open: "the client signs in again where it may: disable the account first",
            undo: "none: its user signs in again",
            verified_by: "`show vpn-sessiondb anyconnect filter name` lists no session of the user",
            within: Duration::from_secs(15),
            settle: Duration::from_secs(30),
            ..Can::at_once(Act::TerminateSession, &[TargetKind::Session])
        },
    ],
    needs: "an SSH user with a public key and privilege 15, or one for whom the commands shun, clear conn, \
            vpn-sessiondb, show and terminal are set to its level; the enable password as the credential where the \
            user does not begin in privileged mode",
    settings: &[
        Setting { name: "ssh", required: true, says: "`{host, user, port, identity, known_hosts}`" },
        Setting {
            name: "enable",
            required: false,
            says: "`true`: `enable` is typed first, with the credential as its password",
        },
    ],
    source: "Cisco ASA Series Command Reference: shun, clear conn, vpn-sessiondb logoff, show vpn-sessiondb",
    open,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    ssh: Ssh,
    #[serde(default)]
    enable: bool,
}

fn open(settings: &Settings) -> Result<Box<dyn Control>, Fault> {
    let config: Config = settings.fields()?;
    config.ssh.check()?;
    if config.ssh.sudo {
        return Err(Fault::Config("cisco_asa: an ASA has no sudo".into()));
    }
    Ok(Box::new(Asa { config, settings: settings.clone() }))
}

struct Asa {
    config: Config,
    settings: Settings,
}

const LIMIT: Duration = Duration::from_secs(30);

/// One line for the shell.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Line(String);

impl Line {
    fn new(fixed: &'static str) -> Line {
        Line(fixed.to_owned())
    }

    fn then(mut self, fixed: &'static str) -> Line {
        self.0.push(' ');
        self.0.push_str(fixed);
        self
    }

    /// A value as one word. The shell obeys `?` and `|`, quotes and spaces; a name that holds them is not typed.
    fn value(mut self, value: &str) -> Result<Line, Fault> {
        let typed =
            |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '@' | '\\' | '+' | ':');
        if value.is_empty() || value.starts_with('-') || !value.chars().all(typed) {
            return Err(Fault::Unsupported(format!(
                "`{}` cannot be typed into the shell of an ASA without being obeyed",
                portreeve_model::untrusted::escape_for_terminal(value)
            )));
        }
        self.0.push(' ');
        self.0.push_str(value);
        Ok(self)
    }
}

impl Asa {
    /// Types one line and returns what the ASA said, once it has proved that it read on to the end in privileged mode.
    fn typed(&self, act: Act, line: &Line) -> Result<String, Fault> {
        let mut input = String::new();
        if self.config.enable {
            let password = self.settings.credential(act)?;
            if password.expose().contains(['\n', '\r']) {
                return Err(Fault::Credential("the enable password holds a line's end".into()));
            }
            input.push_str("enable\n");
            input.push_str(password.expose());
            input.push('\n');
        }
        input.push_str("terminal pager 0\n");
        input.push_str(&line.0);
        input.push_str("\nshow curpriv\nexit\n");
        let output = self.config.ssh.dialogue(&input, LIMIT).map_err(|fault| match fault {
            Fault::Unreachable(why) if why.contains("Permission denied") => Fault::Credential(why),
            other => other,
        })?;
        understood(&output.out)
    }

    /// The same for a line that only reads: whatever goes wrong, nothing was changed.
    fn show(&self, act: Act, line: &Line) -> Result<String, Fault> {
        self.typed(act, line).map_err(asked::unsent)
    }

    fn shuns(&self) -> Result<Vec<Net>, Fault> {
        let said = self.show(Act::BlockAddress, &Line::new("show shun"))?;
        Ok(said.lines().filter_map(shunned).collect())
    }

    /// Connections of the address that stand.
    fn connections(&self, net: Net) -> Result<usize, Fault> {
        let line = Line::new("show conn address").value(&net.to_string())?;
        let said = self.show(Act::BlockAddress, &line)?;
        if !said.contains(" in use") {
            return Err(Fault::Garbled("`show conn` gave no count".into()));
        }
        let of = net.to_string();
        let names = |word: &str| word.split(':').next() == Some(of.as_str());
        Ok(said
            .lines()
            .filter(|l| {
                ["TCP ", "UDP ", "ICMP ", "GRE ", "ESP "].iter().any(|p| l.trim_start().starts_with(p))
            })
            .filter(|l| l.split([' ', ',']).any(names))
            .count())
    }

    fn stays(&self, stay: &Stay) -> Result<Vec<Session>, Fault> {
        let mut line = Line::new("show vpn-sessiondb anyconnect");
        if let Some(user) = &stay.user {
            line = line.then("filter name").value(user.raw())?;
        } else if let Some(inner) = stay.inner {
            line = line.then("filter a-ipaddress").value(&inner.to_string())?;
        }
        listed(&self.show(Act::TerminateSession, &line)?)
    }

    /// The lines that end the sessions: one by name where the whole user is meant, else one for each index.
    fn logoffs(stay: &Stay, meant: &[Session]) -> Result<Vec<Line>, Fault> {
        let whole = stay.id.is_none() && stay.inner.is_none() && stay.public.is_none();
        match (&stay.user, whole, meant.is_empty()) {
            (_, _, true) => Ok(Vec::new()),
            (Some(user), true, _) => {
                Ok(vec![Line::new("vpn-sessiondb logoff name").value(user.raw())?.then("noconfirm")])
            }
            _ => meant
                .iter()
                .map(|s| Ok(Line::new("vpn-sessiondb logoff index").value(&s.id)?.then("noconfirm")))
                .collect(),
        }
    }

    fn block(net: Net) -> Result<[Line; 2], Fault> {
        let ip = net.to_string();
        Ok([Line::new("shun").value(&ip)?, Line::new("clear conn address").value(&ip)?])
    }
}

fn v4(order: &Order) -> Result<Net, Fault> {
    let net = asked::host(order, "cisco_asa")?;
    if net.is_v4() { Ok(net) } else { Err(Fault::Unsupported("an ASA shuns IPv4 addresses alone".into())) }
}

/// What the shell complained about, else what it said. Without the last line's answer the dialogue broke off.
fn understood(said: &str) -> Result<String, Fault> {
    let told = |line: &str| {
        let line: String = line.trim().chars().take(200).collect();
        portreeve_model::untrusted::escape_for_terminal(&line)
    };
    let complaint = said
        .lines()
        .map(without_prompt)
        .find(|l| l.starts_with("ERROR:") || l.starts_with("% ") || l.contains("authorization failed"));
    let denied = said.lines().map(without_prompt).find(|l| {
        let l = l.trim_start_matches("Password:").trim();
        l.starts_with("Access denied") || l.starts_with("Invalid password")
    });
    if let Some(line) = denied {
        return Err(Fault::Credential(format!("enable: {}", told(line))));
    }
    if let Some(line) = complaint {
        let why = told(line);
        return Err(if why.contains("authorization") { Fault::Credential(why) } else { Fault::Refused(why) });
    }
    let level = said
        .lines()
        .filter_map(|l| l.split_once("Current privilege level :"))
        .filter_map(|(_, n)| n.trim().parse::<u8>().ok())
        .next_back();
    match level {
        None => Err(Fault::Lost("the ASA hung up before the end".into())),
        Some(0 | 1) => {
            Err(Fault::Credential("the user is not in privileged mode; `enable` is needed".into()))
        }
        Some(_) => Ok(said.to_owned()),
    }
}

/// Text after `hostname# ` or `hostname/context> `, which stands before what a command says where nothing echoes.
fn without_prompt(line: &str) -> &str {
    let line = line.trim();
    match line.rsplit_once("# ").or_else(|| line.rsplit_once("> ")) {
        Some((_, rest)) => rest,
        None => line,
    }
}

/// `shun (outside) 192.0.2.7 0.0.0.0 0 0 0`, and `Shun 192.0.2.7 0.0.0.0 0 0` of older ones.
fn shunned(line: &str) -> Option<Net> {
    let mut words = without_prompt(line).split_whitespace();
    if !words.next()?.eq_ignore_ascii_case("shun") {
        return None;
    }
    let word = words.next()?;
    let ip = if word.starts_with('(') { words.next()? } else { word };
    // An echo of the command or its confirmation is no entry.
    words.next()?.parse::<std::net::Ipv4Addr>().ok()?;
    asked::net(ip)
}

/// Sessions of `show vpn-sessiondb anyconnect`: pairs `Name : value`, two in a line, each session from its `Username`.
fn listed(said: &str) -> Result<Vec<Session>, Fault> {
    let mut all: Vec<Session> = Vec::new();
    for line in said.lines() {
        for (name, value) in pairs(line) {
            if name == "Username" && line.contains("Index") {
                all.push(Session::new("", value));
                continue;
            }
            let Some(session) = all.last_mut() else { continue };
            match name {
                "Index" => session.id = value.to_owned(),
                "Assigned IP" => session.inner = asked::net(value),
                "Public IP" => session.public = asked::net(value),
                "Login Time" => session.since = value.to_owned(),
                _ => {}
            }
        }
    }
    let none = said.contains("no active sessions");
    if all.iter().any(|s| s.id.parse::<u64>().is_err()) || all.is_empty() && !none {
        return Err(Fault::Garbled("`show vpn-sessiondb` gave neither sessions nor their absence".into()));
    }
    Ok(all)
}

/// The fields of a line. A value ends at two spaces, where the second column begins.
fn pairs(line: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    let mut rest = line.trim();
    while let Some((name, after)) = rest.split_once(": ") {
        let after = after.trim_start();
        // The login time has single spaces; a column is padded with more.
        let (value, next) = after.split_once("  ").unwrap_or((after, ""));
        found.push((name.trim(), value.trim()));
        rest = next.trim();
    }
    found
}

impl Control for Asa {
    fn read(&mut self, order: &Order) -> Result<Seen, Fault> {
        if order.act == Act::TerminateSession {
            let stay = asked::stay(order, "cisco_asa")?;
            return sessions::seen(stay, &self.stays(stay)?);
        }
        let net = v4(order)?;
        let there = self.shuns()?.contains(&net);
        Ok(Seen {
            ids: vec![net.to_string()],
            in_force: there,
            before: json!({"shunned": there}),
            says: if there { format!("{net} is shunned already") } else { "not shunned".to_owned() },
            also_hits: Vec::new(),
        })
    }

    fn preview(&self, order: &Order, seen: &Seen) -> Result<Vec<String>, Fault> {
        let lines = if order.act == Act::TerminateSession {
            Self::logoffs(asked::stay(order, "cisco_asa")?, &sessions::approved(seen)?)?
        } else {
            Self::block(v4(order)?)?.to_vec()
        };
        let ssh = &self.config.ssh;
        Ok(lines.into_iter().map(|l| format!("{}@{}:{}: {}", ssh.user, ssh.host, ssh.port, l.0)).collect())
    }

    fn apply(&mut self, order: &Order, seen: &Seen) -> Result<Ack, Fault> {
        let lines = if order.act == Act::TerminateSession {
            let stay = asked::stay(order, "cisco_asa")?;
            Self::logoffs(stay, &sessions::still(seen, &self.stays(stay)?)?)?
        } else {
            Self::block(v4(order)?)?.to_vec()
        };
        // Where the answer to one did not come, the next is typed all the same: a shun whose connections stand is half
        // of one.
        let mut lost: Option<Fault> = None;
        for (sent, line) in lines.iter().enumerate() {
            match self.typed(order.act, line) {
                Ok(_) => {}
                Err(fault) if fault.may_have_acted() => lost = lost.or(Some(fault)),
                Err(fault) if sent == 0 => return Err(fault),
                Err(fault) => {
                    let why = format!("`{}` after {sent} line(s) were typed: {fault}", line.0);
                    lost = lost.or(Some(Fault::Lost(why)));
                }
            }
        }
        if let Some(fault) = lost {
            return Err(fault);
        }
        Ok(Ack::says(format!("the ASA took {} line(s)", lines.len())))
    }

    fn verify(&mut self, order: &Order, known: &Known) -> Effect {
        let look = || {
            if order.act == Act::TerminateSession {
                let stay = asked::stay(order, "cisco_asa")?;
                return Ok(sessions::verdict(stay, &known.seen, &self.stays(stay)?));
            }
            let net = v4(order)?;
            if !self.shuns()?.contains(&net) {
                return Ok(Effect::NotEffective(format!("{net} is not shunned")));
            }
            Ok(match self.connections(net)? {
                0 => Effect::Effective(format!("{net} is shunned and has no connection")),
                n => Effect::NotEffective(format!("{net} is shunned, and {n} connection(s) of it stand")),
            })
        };
        look().unwrap_or_else(|fault: Fault| Effect::unread(&fault))
    }

    fn undo(&mut self, order: &Order, known: &Known) -> Result<Ack, Fault> {
        if order.act.is_final() {
            return Err(sessions::cannot_return());
        }
        let net = v4(order)?;
        if known.seen.before.get("shunned").and_then(serde_json::Value::as_bool) != Some(false) {
            return Err(Fault::Refused(format!("{net} was shunned before by another hand; it is left")));
        }
        if !self.shuns()?.contains(&net) {
            return Ok(Ack::says("was gone already"));
        }
        self.typed(order.act, &Line::new("no shun").value(&net.to_string())?)?;
        Ok(Ack::says("the ASA took `no shun`"))
    }

    fn verify_undone(&mut self, order: &Order, _: &Known) -> Effect {
        if order.act.is_final() {
            return sessions::never_undone();
        }
        match v4(order).and_then(|net| Ok((net, self.shuns()?))) {
            Err(fault) => Effect::unread(&fault),
            Ok((net, shuns)) if shuns.contains(&net) => {
                Effect::NotEffective(format!("{net} is still shunned"))
            }
            Ok((net, _)) => Effect::Effective(format!("{net} is not shunned")),
        }
    }

    fn present(&mut self) -> Result<Option<Vec<Present>>, Fault> {
        let shuns = self.shuns()?;
        Ok(Some(shuns.into_iter().map(|n| Present { what: n.to_string(), mark: None }).collect()))
    }

    fn doctor(&mut self) -> Vec<Ability> {
        let able = |what: &str, read: Result<usize, Fault>| match read {
            Ok(n) => Ability::new(what, Some(true), format!("{n} now")),
            Err(fault) => Ability::new(what, Some(false), fault.to_string()),
        };
        vec![
            able("read shuns in privileged mode", self.shuns().map(|s| s.len())),
            able("list VPN sessions", self.stays(&Stay::default()).map(|s| s.len())),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SESSIONS: &str = "\
edge# show vpn-sessiondb anyconnect filter name anna

Session Type: AnyConnect

Username     : anna                   Index        : 4096
Assigned IP  : 10.8.0.5               Public IP    : 203.0.113.9
Protocol     : AnyConnect-Parent SSL-Tunnel DTLS-Tunnel
Group Policy : Staff                  Tunnel Group : Staff
Login Time   : 14:32:03 UTC Mon Jan 1 2018
Duration     : 0h:09m:05s
Audt Sess ID : c0a80a01010000005a4a6f43

Username     : CORP\\bert              Index        : 4097
Assigned IP  : 10.8.0.6               Public IP    : 203.0.113.10
Login Time   : 14:33:03 UTC Mon Jan 1 2018
edge# ";

    #[test]
    fn sessions_are_read_from_two_columns() {
        let all = listed(SESSIONS).unwrap();
        assert_eq!(all.len(), 2);
        assert_eq!((all[0].id.as_str(), all[0].user.as_str()), ("4096", "anna"));
        assert_eq!(all[0].inner, asked::net("10.8.0.5"));
        assert_eq!(all[0].since, "14:32:03 UTC Mon Jan 1 2018");
        assert_eq!((all[1].user.as_str(), all[1].domain.as_str()), ("bert", "CORP"));
        assert!(
            listed("INFO: There are presently no active sessions of the type specified").unwrap().is_empty()
        );
        assert!(listed("edge# ").is_err());
    }

    #[test]
    fn shuns_are_read_and_echoes_are_none() {
        let said = "edge# show shun\nshun (outside) 192.0.2.7 0.0.0.0 0 0 0\nShun 192.0.2.8 0.0.0.0 0 0\n\
                    edge# shun 192.0.2.9\nShun 192.0.2.9 added in context: single_vf\n";
        let nets: Vec<String> = said.lines().filter_map(shunned).map(|n| n.to_string()).collect();
        assert_eq!(nets, ["192.0.2.7", "192.0.2.8"]);
    }

    #[test]
    fn complaints_are_told_apart_and_a_broken_dialogue_may_have_acted() {
        let end = "Username : portreeve\nCurrent privilege level : 15\n";
        assert!(understood(&format!("Shun 192.0.2.7 successful\n{end}")).is_ok());
        let bad = format!("edge# shn 1\n      ^\nERROR: % Invalid input detected at '^' marker.\n{end}");
        assert!(matches!(understood(&bad), Err(Fault::Refused(_))));
        assert!(matches!(understood("Command authorization failed\n"), Err(Fault::Credential(_))));
        assert!(matches!(understood("Password: Access denied.\nedge> "), Err(Fault::Credential(_))));
        assert!(matches!(understood("edge> Current privilege level : 1"), Err(Fault::Credential(_))));
        assert!(understood("edge# Shun 192.0.2.7 successful").unwrap_err().may_have_acted());
    }

    #[test]
    fn what_the_shell_obeys_is_not_typed() {
        for bad in ["anna?", "a|b", "a b", "a\"b", "-a", "", "ä", "a;b", "a\nshun", "a'b", "a<b", "*"] {
            assert!(matches!(Line::new("x").value(bad), Err(Fault::Unsupported(_))), "{bad:?}");
        }
        assert_eq!(Line::new("x").value("CORP\\anna").unwrap().0, "x CORP\\anna");
    }
}
