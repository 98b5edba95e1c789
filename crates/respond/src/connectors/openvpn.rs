//! OpenVPN: `disable` in the client's file keeps it out, `client-kill` by the management interface ends what stands.
//! The kill alone is no containment: an honest client is back within seconds, and a dishonest one ignores `HALT`.

use crate::act::Act;
use crate::connector::{
    Ability, Ack, Can, Connector, Control, Effect, Known, Order, Present, Proof, Seen, Setting, Settings,
};
use crate::encode::openvpn::{self as encode, Command};
use crate::fault::Fault;
use crate::target::{Stay, Target, TargetKind};
use crate::transport::command::{Argv, Runner, Via};
use crate::transport::file::{self, File};
use crate::transport::openvpn::{Client, Management, Place};
use crate::value::UserName;
use serde::Deserialize;
use std::time::Duration;

pub static CONNECTOR: Connector = Connector {
    name: "openvpn",
    product: "OpenVPN (community server)",
    proof: Proof::Proven,
    can: &[
        Can {
            effect: "`disable`, under a comment with our mark, stands first in the client's file of the \
                     client-config directory; the server turns the client away after its certificate and password \
                     were good. The file's other lines stay",
            leaves_open: "a tunnel that stands already (terminate it next); the same person's other certificates; \
                          the password, wherever else it is good. OpenVPN has no list of its clients: a name that \
                          is spelt wrong, in capitals too, is not noticed",
            undo: "our two lines are taken out, or the file where it was made by us; other lines stay as they are \
                   then",
            verified_by: "the file is read again, and `status 3` shows no tunnel of this common name that began \
                          after the file was written: a tunnel that did means that the server reads another directory",
            ..Can::at_once(Act::DisableAccount, &[TargetKind::Account])
        },
        Can {
            effect: "`client-kill CID HALT` for each tunnel whose common name is exactly this one (and whose \
                     addresses are those of the session, where the session names them)",
            leaves_open: "the client comes back, within 5 s if it is honest: disable the account first. A client that \
                          ignores `HALT` keeps its tunnel for the 5 s that the server waits",
            undo: "none: the person connects again",
            verified_by: "`status 3` on a new connection has no row with this common name and an address inside; \
                          rows without an address are clients that were turned away, `UNDEF` has no name yet",
            // The server waits 5 s until it lets go of a client that it told to halt.
            within: Duration::from_secs(10),
            settle: Duration::from_secs(8),
            ..Can::at_once(Act::TerminateSession, &[TargetKind::Account, TargetKind::Session])
        },
    ],
    needs: "the management socket (or its loopback port with its password file), and the right to write in the \
            client-config directory; nothing else of the server",
    settings: &[
        Setting {
            name: "management",
            required: true,
            says: "the socket of `management … unix`, or `127.0.0.1:PORT`; it speaks in the clear, so another host's \
                   is brought here with `ssh -L`. Its password, if it has one, is the credential",
        },
        Setting {
            name: "client_config_dir",
            required: false,
            says: "the directory of `client-config-dir`, as an absolute path; without it accounts cannot be disabled. An \
                   account is a common name (the user name, with `username-as-common-name`)",
        },
        Setting {
            name: "via",
            required: false,
            says: "where that directory is: `ssh: {host, user, port, identity, known_hosts, sudo}`; absent: this \
                   machine",
        },
    ],
    source: "openvpn(8) and management-notes.txt of OpenVPN 2.6; proven with OpenVPN 2.6 in network namespaces",
    open,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    management: String,
    client_config_dir: Option<String>,
    #[serde(default)]
    via: Via,
}

fn open(settings: &Settings) -> Result<Box<dyn Control>, Fault> {
    let config: Config = settings.fields()?;
    if let Some(dir) = &config.client_config_dir {
        File::inside(dir, "x")?;
    }
    Ok(Box::new(OpenVpn {
        place: Place::new(&config.management)?,
        dir: config.client_config_dir,
        runner: config.via.runner()?,
        settings: settings.clone(),
    }))
}

struct OpenVpn {
    place: Place,
    dir: Option<String>,
    runner: Runner,
    settings: Settings,
}

/// Who is meant: a common name, and where a session was named closer, its addresses.
struct Who<'a> {
    name: Option<&'a UserName>,
    stay: Option<&'a Stay>,
}

impl<'a> Who<'a> {
    fn of(order: &'a Order) -> Result<Who<'a>, Fault> {
        match &order.target {
            Target::Account { name } => Ok(Who { name: Some(name), stay: None }),
            Target::Session(stay) => {
                if stay.user.is_none() && stay.id.is_none() && stay.inner.is_none() {
                    return Err(Fault::Unsupported(
                        "OpenVPN finds a session by its common name, its client id or its address inside"
                            .into(),
                    ));
                }
                Ok(Who { name: stay.user.as_ref(), stay: Some(stay) })
            }
            other => Err(Fault::Unsupported(format!("OpenVPN has clients, not {other}"))),
        }
    }

    /// Is this the tunnel that was named? Each thing that is known must fit.
    fn is(&self, client: &Client) -> bool {
        let named = self.name.is_none_or(|name| client.common_name == name.raw());
        let stay = self.stay.is_none_or(|stay| {
            stay.id.as_ref().is_none_or(|id| client.cid.is_some_and(|cid| cid.to_string() == id.raw()))
                && self.from(client)
                && stay.inner.is_none_or(|net| client.inner.iter().any(|ip| net.net().contains(ip)))
        });
        client.has_tunnel() && client.common_name != "UNDEF" && named && stay
    }

    /// Does it come from the address of the session? What comes back has another id and may have another address
    /// inside, so only this and the name are asked then.
    fn from(&self, client: &Client) -> bool {
        let public = self.stay.and_then(|stay| stay.public);
        public.is_none_or(|net| client.real.is_some_and(|ip| net.net().contains(&ip)))
    }
}

impl OpenVpn {
    fn management(&self, act: Act) -> Result<Management, Fault> {
        let asked = !self.settings.credentials.is_empty();
        let password = asked.then(|| self.settings.credential(act)).transpose()?;
        Management::open(&self.place, password.as_ref())
    }

    fn status(&self, act: Act) -> Result<Vec<Client>, Fault> {
        self.management(act)?.status()
    }

    fn file(&self, name: &UserName) -> Result<File, Fault> {
        let dir = self.dir.as_deref().ok_or_else(|| {
            Fault::Config("client_config_dir is not set; without it no client can be kept out".into())
        })?;
        File::inside(dir, encode::file_name(name)?)
    }

    /// The account's file and its text.
    fn account<'a>(&self, order: &'a Order) -> Result<(&'a UserName, File, Option<String>), Fault> {
        let Target::Account { name } = &order.target else {
            return Err(Fault::Unsupported(format!("OpenVPN disables clients, not {}", order.target)));
        };
        let file = self.file(name)?;
        let text = file.read(&self.runner)?;
        Ok((name, file, text))
    }

    /// The one common name whose tunnels are meant.
    fn resolve(who: &Who<'_>, clients: &[Client]) -> Result<(UserName, usize), Fault> {
        let mut fit = clients.iter().filter(|c| who.is(c));
        let Some(first) = fit.next() else {
            let other = clients.iter().find(|c| {
                c.has_tunnel() && who.name.is_some_and(|n| c.user_name == n.raw() && c.common_name != n.raw())
            });
            return Err(Fault::NotFound(match other {
                Some(c) => format!(
                    "no tunnel has this common name; a client signed in by this user name has the common name `{}`",
                    portreeve_model::untrusted::escape_for_terminal(&c.common_name)
                ),
                None => "no tunnel fits".to_owned(),
            }));
        };
        let mut count = 1;
        for other in fit {
            if other.common_name != first.common_name {
                return Err(Fault::Ambiguous("tunnels of several common names fit".into()));
            }
            count += 1;
        }
        Ok((UserName::new(first.common_name.clone())?, count))
    }
}

fn mark(order: &Order) -> Result<String, Fault> {
    encode::comment(&order.mark).ok_or_else(|| Fault::Config("mark cannot be a comment".into()))
}

/// Is this line the option `disable`, as OpenVPN reads it?
fn disables(line: &str) -> bool {
    let word = line.trim_start_matches('\u{feff}').split_whitespace().next().unwrap_or("");
    word.trim_start_matches("--").trim_matches(['"', '\'']) == "disable"
}

/// The text with our two lines in front. A byte order mark stays first, where alone OpenVPN passes over it.
fn with_block(text: &str, mark: &str) -> String {
    let (bom, rest) = match text.strip_prefix('\u{feff}') {
        Some(rest) => ("\u{feff}", rest),
        None => ("", text),
    };
    format!("{bom}{mark}\ndisable\n{rest}")
}

/// The text without our lines; `None` where our mark is not in it. Each other byte stays.
fn without_block(text: &str, mark: &str) -> Option<String> {
    let mut rest = String::with_capacity(text.len());
    let mut found = false;
    let mut lines = text.split_inclusive('\n').peekable();
    while let Some(line) = lines.next() {
        let bare = line.trim_start_matches('\u{feff}');
        if bare.trim_end_matches(['\r', '\n']) == mark {
            found = true;
            rest.push_str(line.strip_suffix(bare).unwrap_or(""));
            lines.next_if(|next| next.trim_end_matches(['\r', '\n']) == "disable");
        } else {
            rest.push_str(line);
        }
    }
    found.then_some(rest)
}

/// Tunnels that were noted when the order was carried out.
fn made(known: &Known, what: &str) -> Option<Vec<String>> {
    let list = known.ack.as_ref()?.made.get(what)?;
    serde_json::from_value(list.clone()).ok()
}

/// What tells a tunnel from a later one of the same client.
fn stay_key(client: &Client) -> String {
    format!("{}@{}", client.cid.unwrap_or_default(), client.since)
}

impl Control for OpenVpn {
    fn read(&mut self, order: &Order) -> Result<Seen, Fault> {
        if order.act == Act::DisableAccount {
            let (name, file, text) = self.account(order)?;
            let mark = mark(order)?;
            let ours = text.as_deref().and_then(|t| without_block(t, &mark));
            let rest = ours.as_deref().or(text.as_deref()).unwrap_or("");
            let strange = rest.lines().any(disables);
            return Ok(Seen {
                ids: vec![name.raw().to_owned()],
                in_force: strange,
                before: serde_json::json!({ "existed": text.is_some() && !(ours.is_some() && rest.is_empty()) }),
                says: match (&text, strange) {
                    (_, true) => format!("{} disables the client already", file.path()),
                    (Some(_), false) => format!("{} has other lines, which stay", file.path()),
                    (None, false) => format!("there is no {}; it is made", file.path()),
                },
                also_hits: Vec::new(),
            });
        }
        let who = Who::of(order)?;
        if let Some(name) = who.name {
            encode::file_name(name)?;
        }
        let (name, _) = Self::resolve(&who, &self.status(order.act)?)?;
        // Ids and counts of tunnels change with each reconnection, and whether the file disables the client with the
        // step before this one: neither is a part of the plan.
        Ok(Seen {
            ids: vec![name.raw().to_owned()],
            in_force: false,
            before: serde_json::Value::Null,
            says: format!(
                "the common name is {name}, and it has a tunnel; unless its file disables it, it is back within seconds"
            ),
            also_hits: Vec::new(),
        })
    }

    fn preview(&self, order: &Order, seen: &Seen) -> Result<Vec<String>, Fault> {
        if order.act == Act::DisableAccount {
            let Target::Account { name } = &order.target else {
                return Err(Fault::Unsupported(format!("OpenVPN disables clients, not {}", order.target)));
            };
            let file = self.file(name)?;
            return Ok(vec![format!(
                "{} (on {}): `{}` and `disable` are put before its other lines",
                file.path(),
                self.runner.describe(),
                mark(order)?
            )]);
        }
        let name = seen.ids.first().ok_or_else(|| Fault::NotFound("no common name".into()))?;
        let name = UserName::new(name.clone())?;
        Ok(vec![
            format!("management {}: {}", self.place, Command::Status.text()),
            format!(
                "management {}: client-kill CID HALT, for the client id of each tunnel whose common name is exactly \
                 `{name}`{}",
                self.place,
                Who::of(order)?
                    .stay
                    .and_then(|s| s.public)
                    .map(|p| format!(" and that comes from {p}"))
                    .unwrap_or_default()
            ),
        ])
    }

    fn apply(&mut self, order: &Order, seen: &Seen) -> Result<Ack, Fault> {
        if order.act == Act::DisableAccount {
            let (name, file, text) = self.account(order)?;
            let mark = mark(order)?;
            let text = text.unwrap_or_default();
            // Tunnels that stand now are told from ones that begin after the file is written.
            let stays: Option<Vec<String>> = self.status(order.act).ok().map(|clients| {
                clients
                    .iter()
                    .filter(|c| c.common_name == name.raw() && c.has_tunnel())
                    .map(stay_key)
                    .collect()
            });
            let says = if without_block(&text, &mark).is_some() {
                "our lines were there already"
            } else {
                file.replace(&self.runner, &with_block(&text, &mark), "644")?;
                "the file is written"
            };
            return Ok(Ack { made: serde_json::json!({ "stays": stays }), ..Ack::says(says) });
        }
        let who = Who::of(order)?;
        let mut management = self.management(order.act)?;
        let clients = management.status()?;
        let (name, _) = Self::resolve(&who, &clients)?;
        if seen.ids.first().is_some_and(|planned| planned != name.raw()) {
            return Err(Fault::Refused(format!("the tunnel is now one of {name}, which was not planned")));
        }
        // Other tunnels of the name are told from ones that begin afterwards, from wherever they come.
        let (meant, others): (Vec<&Client>, Vec<&Client>) =
            clients.iter().filter(|c| c.common_name == name.raw() && c.has_tunnel()).partition(|c| who.is(c));
        let others: Vec<String> = others.into_iter().map(stay_key).collect();
        let (mut ended, mut refused) = (Vec::new(), None);
        for client in meant {
            let Some(cid) = client.cid else { continue };
            match management.client_kill(cid) {
                Ok(_) => ended.push(stay_key(client)),
                Err(Fault::Refused(why)) => refused = Some(why),
                // What was ended before stays ended; only reading tells the rest.
                Err(fault) => return Err(fault),
            }
        }
        let says = match refused {
            Some(why) if ended.is_empty() => return Err(Fault::Refused(why)),
            Some(why) => format!("{} ended, and one was refused: {why}", ended.len()),
            None => format!("{} client-kill answered with SUCCESS", ended.len()),
        };
        Ok(Ack { made: serde_json::json!({ "ended": ended, "others": others }), ..Ack::says(says) })
    }

    fn verify(&mut self, order: &Order, known: &Known) -> Effect {
        if order.act == Act::DisableAccount {
            return self.verify_disabled(order, known);
        }
        let who = match Who::of(order) {
            Ok(who) => who,
            Err(fault) => return Effect::unread(&fault),
        };
        let Some(name) = known.seen.ids.first() else {
            return Effect::Unknown("the plan has no common name".into());
        };
        let clients = match self.status(order.act) {
            Ok(clients) => clients,
            Err(fault) => return Effect::unread(&fault),
        };
        let (ended, others) = (made(known, "ended"), made(known, "others"));
        let shown = portreeve_model::untrusted::escape_for_terminal(name);
        let mut stands =
            clients.iter().filter(|c| c.common_name == *name && c.has_tunnel()).filter(|c| match &others {
                Some(others) => !others.contains(&stay_key(c)),
                None => who.from(c),
            });
        match stands.next() {
            None => Effect::Effective(match others.unwrap_or_default().len() {
                0 => format!("status 3 shows no tunnel of {shown}"),
                n => format!("status 3 shows no tunnel of {shown} but {n} that stood and were not meant"),
            }),
            Some(c) => {
                let inside = c.inner.first().map(ToString::to_string).unwrap_or_default();
                let back = ended.is_some_and(|ended| !ended.contains(&stay_key(c)));
                Effect::NotEffective(format!(
                    "{shown} {} {inside} (client id {})",
                    if back { "is back with" } else { "holds" },
                    c.cid.map_or_else(|| "unknown".to_owned(), |cid| cid.to_string())
                ))
            }
        }
    }

    fn undo(&mut self, order: &Order, known: &Known) -> Result<Ack, Fault> {
        if order.act != Act::DisableAccount {
            return Err(Fault::Unsupported("a session that has ended is not brought back".into()));
        }
        let (_, file, text) = self.account(order)?;
        let text = text.unwrap_or_default();
        let Some(rest) = without_block(&text, &mark(order)?) else {
            return if text.lines().any(disables) {
                Err(Fault::Refused(format!(
                    "{} disables the client by another hand; it is left",
                    file.path()
                )))
            } else {
                Ok(Ack::says("was gone already"))
            };
        };
        let existed = known.seen.before.get("existed").and_then(serde_json::Value::as_bool) == Some(true);
        if rest.is_empty() && !existed {
            file.remove(&self.runner)?;
            Ok(Ack::says("the file that we made is removed"))
        } else {
            file.replace(&self.runner, &rest, "644")?;
            Ok(Ack::says("our lines are taken out; the others are as they were"))
        }
    }

    fn verify_undone(&mut self, order: &Order, _: &Known) -> Effect {
        if order.act != Act::DisableAccount {
            return Effect::Unknown("a session that has ended is not brought back".into());
        }
        match self.account(order) {
            Err(fault) => Effect::unread(&fault),
            Ok((_, file, text)) if text.as_deref().unwrap_or("").lines().any(disables) => {
                Effect::NotEffective(format!("{} still disables the client", file.path()))
            }
            Ok((_, file, _)) => Effect::Effective(format!("{} does not disable the client", file.path())),
        }
    }

    fn present(&mut self) -> Result<Option<Vec<Present>>, Fault> {
        let Some(dir) = self.dir.as_deref() else { return Ok(None) };
        let argv = Argv::new("grep")
            .args(&["-rsHZE", "^(# portreeve-|[[:space:]]*(--)?[\"']?disable[\"']?([[:space:]]|$))"])
            .setting(dir)?;
        let output = self.runner.read(&argv, b"", Duration::from_secs(10))?;
        if !matches!(output.code, Some(0 | 1)) {
            return Err(Fault::Credential(output.complaint()));
        }
        Ok(Some(listed(dir, &output.out)))
    }

    fn doctor(&mut self) -> Vec<Ability> {
        let status = self.status(Act::TerminateSession);
        let mut found = vec![Ability::new(
            "terminate sessions",
            Some(status.is_ok()),
            match status {
                Ok(clients) => {
                    format!(
                        "management {}: {} clients",
                        self.place,
                        clients.iter().filter(|c| c.has_tunnel()).count()
                    )
                }
                Err(fault) => fault.to_string(),
            },
        )];
        let write = match self.dir.as_deref() {
            None => Ability::new("disable an account", Some(false), "client_config_dir is not set"),
            Some(dir) => match file::writable(&self.runner, dir) {
                Ok(true) => Ability::new("disable an account", Some(true), format!("{dir} can be written")),
                Ok(false) => {
                    Ability::new("disable an account", Some(false), format!("{dir} cannot be written"))
                }
                Err(fault) => Ability::new("disable an account", Some(false), fault.to_string()),
            },
        };
        found.push(write);
        found
    }
}

impl OpenVpn {
    fn verify_disabled(&self, order: &Order, known: &Known) -> Effect {
        let (name, file, text) = match self.account(order) {
            Ok(all) => all,
            Err(fault) => return Effect::unread(&fault),
        };
        if !text.as_deref().unwrap_or("").lines().any(disables) {
            return Effect::NotEffective(format!("{} does not disable the client", file.path()));
        }
        let clients = match self.status(order.act) {
            Ok(clients) => clients,
            Err(fault) => {
                return Effect::Unknown(format!(
                    "{} disables the client, but whether the server obeys it cannot be read: {fault}",
                    file.path()
                ));
            }
        };
        let stood = made(known, "stays");
        let tunnels: Vec<&Client> =
            clients.iter().filter(|c| c.common_name == name.raw() && c.has_tunnel()).collect();
        match stood {
            _ if tunnels.is_empty() => {
                Effect::Effective(format!("{} disables the client, and it has no tunnel", file.path()))
            }
            None => Effect::Unknown(format!(
                "{name} has a tunnel, and whether it began before the file was written is not known"
            )),
            Some(stood) if tunnels.iter().any(|c| !stood.contains(&stay_key(c))) => {
                Effect::NotEffective(format!(
                    "the server let {name} in after {} was written: it does not read this directory",
                    file.path()
                ))
            }
            Some(_) => Effect::Effective(format!(
                "{} disables the client; its tunnel of before stands until it is terminated",
                file.path()
            )),
        }
    }
}

/// Reads `grep -HZ`: the path, a zero byte, the line.
fn listed(dir: &str, text: &str) -> Vec<Present> {
    let dir = format!("{}/", dir.trim_end_matches('/'));
    let mut found: Vec<Present> = Vec::new();
    let mut marked: Option<(&str, &str)> = None;
    for line in text.lines() {
        let Some((path, line)) = line.split_once('\0') else { continue };
        let name = path.strip_prefix(&dir).unwrap_or(path);
        if let Some(mark) = line.trim_start_matches('\u{feff}').strip_prefix("# ") {
            marked = Some((name, mark));
            continue;
        }
        let mark = marked.take().filter(|(owner, _)| *owner == name).map(|(_, mark)| mark.to_owned());
        let what = UserName::new(name).map(Target::account).map_or_else(
            |_| portreeve_model::untrusted::escape_for_terminal(name),
            |target| target.to_string(),
        );
        found.push(Present { what, mark });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MARK: &str = "# portreeve-0123456789ab";

    #[test]
    fn the_option_is_known_as_openvpn_reads_it() {
        for yes in ["disable", "  disable  # away", "--disable", "\"disable\"", "\u{feff}disable"] {
            assert!(disables(yes), "{yes}");
        }
        for no in ["# disable", "disabled", "push \"disable\"", "", ";disable"] {
            assert!(!disables(no), "{no}");
        }
    }

    #[test]
    fn what_another_hand_changed_meanwhile_stays() {
        let text = with_block("ifconfig-push 10.0.0.2 255.255.255.0", MARK);
        let changed = format!("push \"route 10.1.0.0 255.255.0.0\"\n{text}\ndisable");
        assert_eq!(
            without_block(&changed, MARK).unwrap(),
            "push \"route 10.1.0.0 255.255.0.0\"\nifconfig-push 10.0.0.2 255.255.255.0\ndisable"
        );
        assert_eq!(without_block(&text, "# portreeve-ffffffffffff"), None);
    }

    #[test]
    fn a_session_is_found_by_all_that_is_known_of_it() {
        let client = |name: &str, real: &str, inner: &str, cid| Client {
            common_name: name.into(),
            real: real.parse().ok(),
            inner: inner.parse().into_iter().collect(),
            cid: Some(cid),
            ..Client::default()
        };
        let clients = [
            client("alice", "192.0.2.1", "10.0.0.2", 1),
            client("alice", "192.0.2.9", "10.0.0.3", 2),
            client("alice2", "192.0.2.1", "10.0.0.4", 3),
            client("alice", "192.0.2.1", "", 4),
            client("UNDEF", "192.0.2.1", "10.0.0.6", 5),
        ];
        let fit = |stay: Stay| {
            let order = Order {
                act: Act::TerminateSession,
                target: Target::Session(stay),
                until: None,
                mark: String::new(),
                case: String::new(),
            };
            let who = Who::of(&order).map_err(|e| e.to_string())?;
            let (name, _) = OpenVpn::resolve(&who, &clients).map_err(|e| e.to_string())?;
            let cids: Vec<u64> = clients.iter().filter(|c| who.is(c)).filter_map(|c| c.cid).collect();
            Ok::<_, String>((name.raw().to_owned(), cids))
        };
        let alice = Stay::of_user(UserName::new("alice").unwrap());
        assert_eq!(fit(alice.clone()).unwrap(), ("alice".into(), vec![1, 2]));
        let near = Stay { public: "192.0.2.9".parse().ok(), ..alice.clone() };
        assert_eq!(fit(near).unwrap().1, [2]);
        let inner = Stay { inner: "10.0.0.4".parse().ok(), ..Stay::default() };
        assert_eq!(fit(inner).unwrap(), ("alice2".into(), vec![3]));
        let wrong = Stay { inner: "10.0.0.4".parse().ok(), ..alice };
        assert!(fit(wrong).unwrap_err().starts_with("not found"));
        let range = Stay { inner: "10.0.0.0/24".parse().ok(), ..Stay::default() };
        assert!(fit(range).unwrap_err().starts_with("ambiguous"));
        assert!(fit(Stay::default()).is_err());
        let public = Stay { public: "192.0.2.1".parse().ok(), ..Stay::default() };
        assert!(fit(public).unwrap_err().starts_with("not supported"));
    }

    #[test]
    fn the_directory_is_listed_with_marks() {
        let text = format!("/ccd/anna\0{MARK}\n/ccd/anna\0disable\n/ccd/b:o b\0disable\n/ccd/c\0{MARK}\n");
        let found = listed("/ccd", &text);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].mark.as_deref(), Some("portreeve-0123456789ab"));
        assert_eq!((found[1].what.as_str(), &found[1].mark), ("account b:o b", &None));
    }

    proptest! {
        #[test]
        fn undo_gives_back_each_byte(text in "(\u{feff})?([a-z\" #;\r\n-]|disable){0,40}") {
            prop_assume!(!text.contains(MARK));
            let with = with_block(&text, MARK);
            prop_assert!(with.lines().any(disables));
            prop_assert_eq!(without_block(&with, MARK).unwrap(), text);
        }
    }
}
