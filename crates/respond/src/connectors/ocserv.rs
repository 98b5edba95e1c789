//! ocserv, the server of OpenConnect and AnyConnect clients: `!` before the password's hash keeps out who has the
//! password, `occtl disconnect` ends what stands. Between the two lies the cookie: it lets in without a password.

use crate::act::Act;
use crate::connector::{
    Ability, Ack, Can, Connector, Control, Effect, Known, Order, Present, Proof, Seen, Setting, Settings,
};
use crate::fault::Fault;
use crate::target::{Stay, Target, TargetKind};
use crate::transport::command::{Argv, Runner, Via};
use crate::transport::file::{self, File};
use crate::value::{Net, UserName};
use portreeve_model::untrusted::escape_for_terminal;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::net::IpAddr;
use std::time::Duration;

pub static CONNECTOR: Connector = Connector {
    name: "ocserv",
    product: "ocserv (OpenConnect, AnyConnect clients)",
    proof: Proof::Proven,
    can: &[
        Can {
            effect: "`!` stands before the hash in the account's line of the password file, as `ocpasswd -l` writes \
                     it; no sign-in with the password succeeds. Owner, mode and all other lines of the file stay \
                     (`ocpasswd` itself resets them)",
            leaves_open: "a session that stands (terminate it next) and cookies given before, which let in without a \
                          password until they expire; accounts that ocserv takes from PAM, RADIUS or certificates",
            undo: "the `!` is taken away; a password that was changed meanwhile stays",
            verified_by: "the file is read again, and `occtl -j show sessions valid` has no cookie of this account \
                          that waits for use, and none that was given after the file was written",
            ..Can::at_once(Act::DisableAccount, &[TargetKind::Account])
        },
        Can {
            effect: "`occtl disconnect id ID` for each session whose user name is exactly this one (and whose \
                     addresses are those of the session, where the session names them); its cookie goes with it, \
                     unless the server has `persistent-cookies`",
            leaves_open: "a cookie that was given and never used, and each cookie of a server with \
                          `persistent-cookies`: no command of ocserv takes them back, they end with \
                          `cookie-timeout` (300 s after last use) or with a restart of the server",
            undo: "none: the person signs in again",
            verified_by: "`occtl -j show users` has no session of the user, and `show sessions valid` no cookie",
            settle: Duration::from_secs(8),
            ..Can::at_once(Act::TerminateSession, &[TargetKind::Account, TargetKind::Session])
        },
    ],
    needs: "occtl's socket (root, or a sudo rule for `occtl`), and the right to replace the password file",
    settings: &[
        Setting {
            name: "socket",
            required: false,
            says: "`occtl-socket-file` of the server; absent: occtl's own default",
        },
        Setting {
            name: "passwd",
            required: false,
            says: "the file of `auth = \"plain[passwd=…]\"`; without it accounts cannot be disabled",
        },
        Setting {
            name: "vhost",
            required: false,
            says: "the virtual host whose accounts are meant, where the server has several; one name in two of them \
                   is two accounts",
        },
        Setting {
            name: "via",
            required: false,
            says: "`ssh: {host, user, port, identity, known_hosts, sudo}`, or `netns: NAME`; absent: this machine",
        },
    ],
    source: "occtl(8), ocpasswd(8) and ocserv(8); proven with ocserv 1.1 and openconnect in network namespaces",
    open,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    socket: Option<String>,
    passwd: Option<String>,
    vhost: Option<String>,
    #[serde(default)]
    via: Via,
}

fn open(settings: &Settings) -> Result<Box<dyn Control>, Fault> {
    let config: Config = settings.fields()?;
    if let Some(socket) = &config.socket {
        Argv::new("occtl").setting(socket)?;
    }
    Ok(Box::new(Ocserv {
        socket: config.socket,
        passwd: config.passwd.as_deref().map(File::new).transpose()?,
        vhost: config.vhost,
        runner: config.via.runner()?,
    }))
}

struct Ocserv {
    socket: Option<String>,
    passwd: Option<File>,
    vhost: Option<String>,
    runner: Runner,
}

const LIMIT: Duration = Duration::from_secs(10);

/// A row of `show users`: one connection.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
struct User {
    #[serde(rename = "ID")]
    id: u64,
    #[serde(rename = "Username")]
    name: String,
    #[serde(default)]
    vhost: String,
    #[serde(rename = "Remote IP", default)]
    remote: String,
    #[serde(rename = "IPv4", default)]
    ipv4: String,
    #[serde(rename = "IPv6", default)]
    ipv6: String,
    #[serde(rename = "Session", default)]
    short: String,
    #[serde(rename = "Full session", default)]
    session: String,
}

/// A row of `show sessions valid`: a cookie that lets in. The id is a digest of the cookie, not the cookie.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
struct Cookie {
    #[serde(rename = "Username")]
    name: String,
    #[serde(default)]
    vhost: String,
    #[serde(rename = "Remote IP", default)]
    remote: String,
    #[serde(rename = "Session", default)]
    short: String,
    #[serde(rename = "Full session", default)]
    session: String,
    /// Absent while somebody uses it.
    #[serde(rename = "Expires", default)]
    expires: Option<String>,
    #[serde(default)]
    in_use: serde_json::Value,
}

impl Cookie {
    fn is_used(&self) -> bool {
        self.in_use.as_bool().unwrap_or(false) || self.in_use.as_u64().is_some_and(|n| n > 0)
    }
}

/// Reads occtl's JSON, which has a comma after the last field and names `Routes` twice.
fn rows<T: DeserializeOwned>(text: &str) -> Result<Vec<T>, Fault> {
    let mut clean = String::with_capacity(text.len());
    let (mut quoted, mut escaped) = (false, false);
    let mut comma = None;
    for c in text.chars() {
        if quoted {
            quoted = escaped || c != '"';
            escaped = !escaped && c == '\\';
        } else {
            match c {
                ',' => comma = Some(clean.len()),
                '}' | ']' => {
                    if let Some(at) = comma.take() {
                        clean.truncate(at);
                    }
                }
                c if c.is_whitespace() => {}
                _ => comma = None,
            }
            quoted = c == '"';
        }
        clean.push(c);
    }
    if clean.trim().is_empty() {
        return Ok(Vec::new());
    }
    serde_json::from_str(&clean).map_err(|e| Fault::Garbled(format!("occtl -j: {e}")))
}

/// Who is meant, and how closely.
struct Who<'a> {
    name: Option<&'a UserName>,
    stay: Option<&'a Stay>,
}

impl<'a> Who<'a> {
    fn of(order: &'a Order) -> Result<Who<'a>, Fault> {
        match &order.target {
            Target::Account { name } => Ok(Who { name: Some(name), stay: None }),
            Target::Session(stay) if stay.user.is_some() || stay.id.is_some() || stay.inner.is_some() => {
                Ok(Who { name: stay.user.as_ref(), stay: Some(stay) })
            }
            Target::Session(_) => Err(Fault::Unsupported(
                "ocserv finds a session by its user name, its id or its address inside".into(),
            )),
            other => Err(Fault::Unsupported(format!("ocserv has users, not {other}"))),
        }
    }

    /// Does it come from the address of the session?
    fn from(&self, remote: &str) -> bool {
        let public = self.stay.and_then(|stay| stay.public);
        public.is_none_or(|net| holds(net, remote))
    }

    fn is(&self, user: &User) -> bool {
        self.name.is_none_or(|name| user.name == name.raw())
            && self.stay.is_none_or(|stay| {
                stay.id.as_ref().is_none_or(|id| {
                    let id = id.raw();
                    user.id.to_string() == id || user.session == id || user.short == id
                }) && stay.inner.is_none_or(|net| holds(net, &user.ipv4) || holds(net, &user.ipv6))
            })
            && self.from(&user.remote)
    }

    /// A cookie that nobody uses has no address inside and no id of a connection.
    fn is_cookie(&self, cookie: &Cookie) -> bool {
        self.name.is_some_and(|name| cookie.name == name.raw())
            && self.stay.is_none_or(|stay| {
                stay.inner.is_none()
                    && stay
                        .id
                        .as_ref()
                        .is_none_or(|id| cookie.session == id.raw() || cookie.short == id.raw())
            })
            && self.from(&cookie.remote)
    }
}

/// Sessions that were noted when the order was carried out.
fn made(known: &Known, what: &str) -> Option<Vec<String>> {
    let list = known.ack.as_ref()?.made.get(what)?;
    serde_json::from_value(list.clone()).ok()
}

fn holds(net: Net, text: &str) -> bool {
    text.parse::<IpAddr>().is_ok_and(|ip| net.net().contains(&ip.to_canonical()))
}

/// The account's line of the password file: where its hash begins, and whether `!` stands there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Line {
    hash: usize,
    locked: bool,
}

/// `name:group:hash`, one account a line. Names are compared whole.
fn line_of(text: &str, name: &UserName) -> Result<Line, Fault> {
    let mut found = None;
    let mut begin = 0;
    for line in text.split_inclusive('\n') {
        let mut parts = line.splitn(3, ':');
        if let (Some(user), Some(group), Some(hash)) = (parts.next(), parts.next(), parts.next())
            && user == name.raw()
        {
            let at = begin + user.len() + group.len() + 2;
            if found.replace(Line { hash: at, locked: hash.starts_with('!') }).is_some() {
                return Err(Fault::Ambiguous(format!("the password file has {name} more than once")));
            }
        }
        begin += line.len();
    }
    found.ok_or_else(|| Fault::NotFound(format!("the password file has no {name}")))
}

impl Ocserv {
    fn occtl(&self) -> Result<Argv, Fault> {
        let argv = Argv::new("occtl");
        match &self.socket {
            Some(socket) => argv.arg("-s").setting(socket),
            None => Ok(argv),
        }
    }

    fn list<T: DeserializeOwned>(&self, words: &[&'static str]) -> Result<Vec<T>, Fault> {
        let output = self.runner.read(&self.occtl()?.args(&["-j", "-n", "show"]).args(words), b"", LIMIT)?;
        if output.ok() { rows(&output.out) } else { Err(Fault::Unreachable(output.complaint())) }
    }

    fn users(&self) -> Result<Vec<User>, Fault> {
        let mut users: Vec<User> = self.list(&["users"])?;
        users.retain(|u| self.vhost.as_ref().is_none_or(|vhost| u.vhost == *vhost));
        Ok(users)
    }

    fn cookies(&self) -> Result<Vec<Cookie>, Fault> {
        let mut cookies: Vec<Cookie> = self.list(&["sessions", "valid"])?;
        cookies.retain(|c| self.vhost.as_ref().is_none_or(|vhost| c.vhost == *vhost));
        Ok(cookies)
    }

    fn account<'a>(&'a self, order: &'a Order) -> Result<(&'a UserName, &'a File, String, Line), Fault> {
        let Target::Account { name } = &order.target else {
            return Err(Fault::Unsupported(format!("ocserv disables accounts, not {}", order.target)));
        };
        let file = self.passwd.as_ref().ok_or_else(|| {
            Fault::Config("passwd is not set; without it no account can be disabled".into())
        })?;
        let text = file
            .read(&self.runner)?
            .ok_or_else(|| Fault::Config(format!("{}: there is no such file", file.path())))?;
        let line = line_of(&text, name)?;
        Ok((name, file, text, line))
    }

    /// The one user whose sessions are meant.
    fn resolve(&self, who: &Who<'_>, users: &[User]) -> Result<UserName, Fault> {
        let mut fit = users.iter().filter(|u| who.is(u));
        let Some(first) = fit.next() else {
            let waits = self.cookies()?.into_iter().find(|c| who.is_cookie(c));
            return Err(Fault::NotFound(match waits {
                Some(cookie) => format!(
                    "no session fits, but a cookie of {} lets in without a password until {}",
                    escape_for_terminal(&cookie.name),
                    escape_for_terminal(cookie.expires.as_deref().unwrap_or("its user leaves"))
                ),
                None => "no session fits".to_owned(),
            }));
        };
        if fit.any(|other| other.name != first.name || other.vhost != first.vhost) {
            return Err(Fault::Ambiguous("sessions of several users or virtual hosts fit".into()));
        }
        Ok(UserName::new(first.name.clone())?)
    }

    fn verify_disabled(&self, order: &Order, known: &Known) -> Result<Effect, Fault> {
        let (name, file, _, line) = self.account(order)?;
        if !line.locked {
            return Ok(Effect::NotEffective(format!("{}: {name} is not locked", file.path())));
        }
        let cookies: Vec<Cookie> = self.cookies()?.into_iter().filter(|c| c.name == name.raw()).collect();
        if let Some(cookie) = cookies.iter().find(|c| !c.is_used()) {
            return Ok(Effect::NotEffective(format!(
                "the password is locked, but a cookie of {name} given to {} lets in without it until {}",
                escape_for_terminal(&cookie.remote),
                escape_for_terminal(cookie.expires.as_deref().unwrap_or("its time is over"))
            )));
        }
        let before = made(known, "sessions");
        Ok(match before {
            _ if cookies.is_empty() => {
                Effect::Effective(format!("{}: {name} is locked, and has no cookie", file.path()))
            }
            None => Effect::Unknown(format!(
                "{name} has a session, and whether it began before the file was written is not known"
            )),
            Some(before) if cookies.iter().any(|c| !before.contains(&c.session)) => {
                Effect::NotEffective(format!(
                    "{name} signed in after {} was written: the server does not read this file",
                    file.path()
                ))
            }
            Some(_) => Effect::Effective(format!(
                "{}: {name} is locked; its session of before stands until it is terminated",
                file.path()
            )),
        })
    }

    fn verify_ended(&self, order: &Order, known: &Known) -> Result<Effect, Fault> {
        let who = Who::of(order)?;
        let Some(name) = known.seen.ids.first() else {
            return Ok(Effect::Unknown("the plan has no user name".into()));
        };
        let shown = escape_for_terminal(name);
        let others = made(known, "others");
        let meant = |session: &String, remote: &str| match &others {
            Some(others) => !others.contains(session),
            None => who.from(remote),
        };
        let user = self.users()?.into_iter().find(|u| u.name == *name && meant(&u.session, &u.remote));
        if let Some(user) = user {
            return Ok(Effect::NotEffective(format!(
                "{shown} has a session (id {}, {})",
                user.id,
                escape_for_terminal(&user.ipv4)
            )));
        }
        let cookie = self.cookies()?.into_iter().find(|c| c.name == *name && meant(&c.session, &c.remote));
        Ok(match cookie {
            Some(cookie) => Effect::NotEffective(format!(
                "no session stands, but a cookie of {shown} lets in without a password until {}; ocserv has no \
                 command that takes it back (wait, or restart the server, which ends everybody's sessions)",
                escape_for_terminal(cookie.expires.as_deref().unwrap_or("its time is over"))
            )),
            None => Effect::Effective(match others.unwrap_or_default().len() {
                0 => format!("{shown} has no session and no cookie"),
                n => {
                    format!("{shown} has no session and no cookie but {n} that were there and were not meant")
                }
            }),
        })
    }
}

impl Control for Ocserv {
    fn read(&mut self, order: &Order) -> Result<Seen, Fault> {
        if order.act == Act::DisableAccount {
            let (name, file, _, line) = self.account(order)?;
            return Ok(Seen {
                ids: vec![name.raw().to_owned()],
                // The file has no place for our mark: a lock that stands is taken for another hand's.
                in_force: line.locked,
                before: serde_json::Value::Null,
                says: format!(
                    "{}: {name} is {}",
                    file.path(),
                    if line.locked { "locked already" } else { "not locked" }
                ),
                also_hits: Vec::new(),
            });
        }
        let name = self.resolve(&Who::of(order)?, &self.users()?)?;
        Ok(Seen {
            ids: vec![name.raw().to_owned()],
            in_force: false,
            before: serde_json::Value::Null,
            says: format!("{name} has a session; unless the password is locked, a new sign-in succeeds"),
            also_hits: Vec::new(),
        })
    }

    fn preview(&self, order: &Order, seen: &Seen) -> Result<Vec<String>, Fault> {
        if order.act == Act::DisableAccount {
            let path = self.passwd.as_ref().map_or("", File::path);
            return Ok(vec![format!(
                "{path} (on {}): `!` before the hash in the line of {}",
                self.runner.describe(),
                order.target
            )]);
        }
        let name = seen.ids.first().ok_or_else(|| Fault::NotFound("no user name".into()))?;
        let public = Who::of(order)?.stay.and_then(|s| s.public);
        Ok(vec![
            format!(
                "{} (on {})",
                self.occtl()?.args(&["-j", "-n", "show", "users"]).shown(),
                self.runner.describe()
            ),
            format!(
                "{} ID, for the id of each session whose user name is exactly `{}`{}",
                self.occtl()?.args(&["disconnect", "id"]).shown(),
                escape_for_terminal(name),
                public.map(|p| format!(" and that comes from {p}")).unwrap_or_default()
            ),
        ])
    }

    fn apply(&mut self, order: &Order, seen: &Seen) -> Result<Ack, Fault> {
        if order.act == Act::DisableAccount {
            // Sessions that stand now are told from ones that begin after the file is written.
            let sessions: Option<Vec<String>> =
                self.cookies().ok().map(|cookies| cookies.into_iter().map(|c| c.session).collect());
            let (_, file, mut text, line) = self.account(order)?;
            if !line.locked {
                text.insert(line.hash, '!');
                file.replace(&self.runner, &text, "600")?;
            }
            return Ok(Ack {
                made: serde_json::json!({ "sessions": sessions }),
                ..Ack::says(if line.locked { "was locked already" } else { "the file is written" })
            });
        }
        let who = Who::of(order)?;
        let users = self.users()?;
        let name = self.resolve(&who, &users)?;
        if seen.ids.first().is_some_and(|planned| planned != name.raw()) {
            return Err(Fault::Refused(format!("the session is now one of {name}, which was not planned")));
        }
        // What stays is told from what begins afterwards, from wherever it comes.
        let theirs = users.iter().filter(|u| u.name == name.raw() && !who.is(u)).map(|u| u.session.clone());
        let cookies = self.cookies()?;
        let elsewhere = cookies
            .iter()
            .filter(|c| c.name == name.raw() && !c.is_used() && !who.from(&c.remote))
            .map(|c| c.session.clone());
        let others: Vec<String> = theirs.chain(elsewhere).collect();
        let (mut ended, mut refused) = (0, None);
        for user in users.iter().filter(|u| who.is(u)) {
            let output =
                self.runner.run(&self.occtl()?.args(&["disconnect", "id"]).value(&user.id), b"", LIMIT)?;
            if output.ok() { ended += 1 } else { refused = Some(output.complaint()) }
        }
        let says = match refused {
            Some(why) if ended == 0 => return Err(Fault::Refused(why)),
            Some(why) => format!("{ended} disconnected, and one was refused: {why}"),
            None => format!("{ended} disconnected"),
        };
        Ok(Ack { made: serde_json::json!({ "others": others }), ..Ack::says(says) })
    }

    fn verify(&mut self, order: &Order, known: &Known) -> Effect {
        let effect = match order.act {
            Act::DisableAccount => self.verify_disabled(order, known),
            _ => self.verify_ended(order, known),
        };
        effect.unwrap_or_else(|fault| Effect::unread(&fault))
    }

    fn undo(&mut self, order: &Order, _: &Known) -> Result<Ack, Fault> {
        if order.act != Act::DisableAccount {
            return Err(Fault::Unsupported("a session that has ended is not brought back".into()));
        }
        let (_, file, mut text, line) = self.account(order)?;
        if !line.locked {
            return Ok(Ack::says("was open already"));
        }
        text.remove(line.hash);
        file.replace(&self.runner, &text, "600")?;
        Ok(Ack::says("the file is written"))
    }

    fn verify_undone(&mut self, order: &Order, _: &Known) -> Effect {
        if order.act != Act::DisableAccount {
            return Effect::Unknown("a session that has ended is not brought back".into());
        }
        match self.account(order) {
            Err(fault) => Effect::unread(&fault),
            Ok((name, file, _, line)) if line.locked => {
                Effect::NotEffective(format!("{}: {name} is still locked", file.path()))
            }
            Ok((name, file, _, _)) => Effect::Effective(format!("{}: {name} is not locked", file.path())),
        }
    }

    fn present(&mut self) -> Result<Option<Vec<Present>>, Fault> {
        let Some(file) = &self.passwd else { return Ok(None) };
        let text = file.read(&self.runner)?.unwrap_or_default();
        let locked = text.lines().filter_map(|line| {
            let (name, rest) = line.split_once(':')?;
            let (_, hash) = rest.split_once(':')?;
            hash.starts_with('!')
                .then(|| Present { what: format!("account {}", escape_for_terminal(name)), mark: None })
        });
        Ok(Some(locked.collect()))
    }

    fn doctor(&mut self) -> Vec<Ability> {
        let users = self.users().and_then(|users| self.cookies().map(|_| users.len()));
        let sessions = Ability::new(
            "terminate sessions",
            Some(users.is_ok()),
            users.map_or_else(|fault| fault.to_string(), |n| format!("occtl shows {n} sessions")),
        );
        let disable = match &self.passwd {
            None => (false, "passwd is not set".to_owned()),
            Some(file) => match file.read(&self.runner) {
                Ok(Some(_)) => match file::writable(&self.runner, file.path()) {
                    Ok(able) => {
                        (able, format!("{} can {}be written", file.path(), if able { "" } else { "not " }))
                    }
                    Err(fault) => (false, fault.to_string()),
                },
                Ok(None) => (false, format!("{}: there is no such file", file.path())),
                Err(fault) => (false, fault.to_string()),
            },
        };
        vec![sessions, Ability::new("disable an account", Some(disable.0), disable.1)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn json_with_a_name_twice_and_a_comma_too_many_is_read() {
        let text = r#"[
  { "ID":  17,  "Username":  "al\"ice,}", "Remote IP": "192.0.2.1", "IPv4":  "10.0.0.2",
    "User-Agent":  "x\\\", \"Username\": \"bob",
    "Routes":	[],
    "Routes":  "defaultroute",
  } ,
]
"#;
        let users: Vec<User> = rows(text).unwrap();
        assert_eq!((users[0].id, users[0].name.as_str()), (17, "al\"ice,}"));
        assert_eq!(rows::<User>("[\n]\n").unwrap(), []);
        assert_eq!(rows::<User>("").unwrap(), []);
        assert!(rows::<User>("[{").is_err());
        // A name that decides, twice: two readers would read it differently.
        assert!(rows::<User>(r#"[{"ID":1,"Username":"a","Username":"b"}]"#).is_err());
    }

    #[test]
    fn a_line_is_found_by_its_whole_name() {
        let name = |text: &str| UserName::new(text).unwrap();
        let text = "# a comment\n\nalice:*:$5$a\nal:staff:!$5$b\r\nx::$5$c";
        assert_eq!(line_of(text, &name("al")).unwrap(), Line { hash: 35, locked: true });
        assert_eq!(line_of(text, &name("x")).unwrap(), Line { hash: 45, locked: false });
        assert!(matches!(line_of(text, &name("ali")), Err(Fault::NotFound(_))));
        assert!(matches!(line_of(text, &name("alice:*")), Err(Fault::NotFound(_))));
        assert!(matches!(line_of("a:*:x\na:*:y\n", &name("a")), Err(Fault::Ambiguous(_))));
    }

    proptest! {
        #[test]
        fn strings_are_not_touched(name in "[\\x20-\\x7e]{0,20}|\\PC{0,10}") {
            let text = format!("[{{\"ID\": 1, \"Username\": {}, }},]", serde_json::json!(name));
            prop_assert_eq!(&rows::<User>(&text).unwrap()[0].name, &name);
        }

        #[test]
        fn whatever_comes_is_an_answer_or_a_fault(text in "[\\[\\]{}\",:\\\\ a1]{0,40}") {
            let _any = rows::<Cookie>(&text);
        }
    }
}
