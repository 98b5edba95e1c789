//! PAN-OS: an address is registered with a tag that a dynamic address group selects, which needs no commit; and
//! GlobalProtect clients are logged out. Through Panorama with the serial number of the firewall.

use super::asked;
use super::sessions::{self, Session};
use crate::act::Act;
use crate::connector::{
    Ability, Ack, Can, Connector, Control, Effect, Known, Order, Present, Proof, Seen, Setting, Settings,
};
use crate::encode::xml::Element;
use crate::encode::xml_read::Node;
use crate::fault::Fault;
use crate::target::TargetKind;
use crate::transport::http::{Answer, Body, Endpoint, Http, Method, Path, percent};
use crate::value::Net;
use serde::Deserialize;
use std::time::Duration;

pub static CONNECTOR: Connector = Connector {
    name: "panos",
    product: "Palo Alto Networks PAN-OS, GlobalProtect, Panorama",
    proof: Proof::Contract,
    can: &[
        Can {
            effect: "the address is registered with two tags that time out: the one that the dynamic address group \
                     selects, and our mark; nothing is committed, so no other admin's changes are pushed. Then the \
                     sessions that the address began are cleared, because a rule looks at new ones alone",
            leaves_open: "a rule above that allows; rules that do not use the group in both directions; sessions \
                          that others began towards the address",
            undo: "the two tags are unregistered; other tags of the address stay; a tag of another hand is left",
            verified_by: "`show object registered-ip ip`: the tag is there; `show object dynamic-address-group`: the \
                          group that the rule uses has the address as a member; `show session all filter source`: \
                          no session of the address is active",
            expires: true,
            within: Duration::from_secs(60),
            ..Can::at_once(Act::BlockAddress, &[TargetKind::Address])
        },
        Can {
            effect: "each GlobalProtect session of the user is logged out at its gateway, by user, domain and the \
                     exact name of the computer",
            leaves_open: "the client may sign in again, by itself where it holds an authentication cookie: disable \
                          the account first, or let the cookie expire",
            undo: "none: its user signs in again",
            verified_by: "`show global-protect-gateway current-user` lists no session of the user",
            within: Duration::from_secs(30),
            settle: Duration::from_secs(45),
            ..Can::at_once(Act::TerminateSession, &[TargetKind::Session])
        },
    ],
    needs: "an admin role with the XML API's User-ID Agent and Operational Requests, and nothing of Configuration \
            or Commit; its API key as the credential",
    settings: &[
        Setting {
            name: "endpoint",
            required: true,
            says: "`{url, ca, timeout}` of the firewall or of Panorama",
        },
        Setting {
            name: "group",
            required: false,
            says: "the dynamic address group that a deny rule uses; without it no address is blocked",
        },
        Setting { name: "tag", required: false, says: "the tag that the group selects: `portreeve-block`" },
        Setting { name: "vsys", required: false, says: "`vsys1`" },
        Setting {
            name: "target",
            required: false,
            says: "the firewall's serial number, where the endpoint is Panorama",
        },
        Setting {
            name: "gateways",
            required: false,
            says: "names of the GlobalProtect gateways as configured, without `-N`; without them no session is ended",
        },
    ],
    source: "PAN-OS and Panorama API Usage Guide: Register IP Addresses and Tags Dynamically, Show and Manage \
             GlobalProtect Users",
    open,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    endpoint: Endpoint,
    group: Option<String>,
    #[serde(default = "block")]
    tag: String,
    #[serde(default = "vsys")]
    vsys: String,
    target: Option<String>,
    #[serde(default)]
    gateways: Vec<String>,
}

fn block() -> String {
    "portreeve-block".to_owned()
}

fn vsys() -> String {
    "vsys1".to_owned()
}

fn open(settings: &Settings) -> Result<Box<dyn Control>, Fault> {
    let config: Config = settings.fields()?;
    if config.tag.is_empty() || config.tag.len() > 127 || config.group.as_ref().is_some_and(String::is_empty)
    {
        return Err(Fault::Config("panos: tag (at most 127 bytes) and group are not empty".into()));
    }
    let http = Http::open(&config.endpoint)?;
    Ok(Box::new(Panos { http, config, settings: settings.clone() }))
}

struct Panos {
    http: Http,
    config: Config,
    settings: Settings,
}

/// The longest time that a tag keeps by itself.
const LONGEST: u64 = 2_592_000;
const PAGE: usize = 500;
const PAGES: usize = 200;

impl Panos {
    fn authorise(&mut self, act: Act) -> Result<(), Fault> {
        let key = self.settings.credential(act)?;
        self.http.set_header("x-pan-key", key);
        Ok(())
    }

    /// An operational command that reads.
    fn show(&self, cmd: &Element) -> Result<Node, Fault> {
        let mut path = Path::new("/api/").query("type", "op").query("cmd", &cmd.write());
        path = path.query("vsys", &self.config.vsys);
        if let Some(target) = &self.config.target {
            path = path.query("target", target);
        }
        answered(&self.http.get(&path)?)
    }

    fn form(&self, kind: &str, cmd: &Element) -> String {
        let mut form = String::new();
        let pairs = [
            Some(("type", kind)),
            Some(("vsys", self.config.vsys.as_str())),
            self.config.target.as_deref().map(|t| ("target", t)),
            Some(("cmd", &cmd.write())),
        ]
        .map(|pair| pair.map(|(n, v)| (n, v.to_owned())));
        for (name, value) in pairs.into_iter().flatten() {
            if !form.is_empty() {
                form.push('&');
            }
            form.push_str(name);
            form.push('=');
            percent(&mut form, &value);
        }
        form
    }

    /// A command that changes something. The key is in a header, the command in the body: nothing of it in a URL.
    fn send(&self, kind: &str, cmd: &Element) -> Result<Node, Fault> {
        let form = self.form(kind, cmd);
        let body = Body::Text("application/x-www-form-urlencoded", &form);
        answered(&self.http.change(Method::Post, &Path::new("/api/"), &body)?)
    }

    fn shown(&self, kind: &str, cmd: &Element) -> String {
        let target = self.config.target.as_ref().map(|t| format!(" target={t}")).unwrap_or_default();
        format!(
            "POST {}/api/ type={kind} vsys={}{target} cmd={}",
            self.http.base(),
            self.config.vsys,
            cmd.write()
        )
    }

    fn group(&self) -> Result<&str, Fault> {
        self.config.group.as_deref().ok_or_else(|| {
            Fault::Config(
                "panos: no `group`; an address that no rule's group selects would not be blocked".into(),
            )
        })
    }

    /// The tags of one address; `None`: not registered.
    fn tags(&self, net: Net) -> Result<Option<Vec<String>>, Fault> {
        let cmd = registered(Element::new("ip").text(&net.to_string()));
        let list = entries(&self.show(&cmd)?)?;
        Ok(list.into_iter().find(|(ip, _)| *ip == net.to_string()).map(|(_, tags)| tags))
    }

    /// Is the address a member of the group? `None`: the firewall has no such group in use.
    fn member(&self, net: Net) -> Result<Option<bool>, Fault> {
        let name = self.group()?;
        let cmd = Element::new("show").child(
            Element::new("object")
                .child(Element::new("dynamic-address-group").child(Element::new("name").text(name))),
        );
        let answer = self.show(&cmd)?;
        let Some(list) = answer.at("result/dyn-addr-grp") else { return Ok(None) };
        let group = list.all("entry").find(|e| e.text_of("group-name") == name);
        Ok(group.map(|g| {
            g.child("member-list").is_some_and(|m| {
                m.all("entry").any(|e| e.attribute("name").and_then(asked::net) == Some(net))
            })
        }))
    }

    fn registration(&self, order: &Order, verb: &'static str) -> Result<Element, Fault> {
        let net = asked::host(order, "panos")?;
        let left = order.seconds_left(asked::now());
        if verb == "register" && left.is_some_and(|s| s > LONGEST) {
            return Err(Fault::Unsupported("PAN-OS keeps a tag at most 30 days by itself".into()));
        }
        let member = |text: &str| {
            let member = Element::new("member").text(text);
            match left {
                Some(seconds) if verb == "register" => member.attribute("timeout", &seconds.to_string()),
                _ => member,
            }
        };
        let tags = Element::new("tag").child(member(&self.config.tag)).child(member(&order.mark));
        let entry = Element::new("entry").attribute("ip", &net.to_string()).child(tags);
        Ok(Element::new("uid-message")
            .child(Element::new("version").text("2.0"))
            .child(Element::new("type").text("update"))
            .child(Element::new("payload").child(Element::new(verb).child(entry))))
    }

    /// Sessions that the address began and that pass traffic. What a rule denies is listed too, as discarded.
    fn active(&self, net: Net) -> Result<usize, Fault> {
        let answer = self.show(&by_source("show", net))?;
        let result = answer.child("result").ok_or_else(|| Fault::Garbled("no result".into()))?;
        Ok(result.all("entry").filter(|e| e.text_of("state") != "DISCARD").count())
    }

    fn clients(&self) -> Result<Vec<Session>, Fault> {
        if self.config.gateways.is_empty() {
            return Err(Fault::Config("panos: `gateways` names no GlobalProtect gateway".into()));
        }
        let mut all = Vec::new();
        for gateway in &self.config.gateways {
            let cmd = Element::new("show").child(
                Element::new("global-protect-gateway")
                    .child(Element::new("current-user").child(Element::new("gateway").text(gateway))),
            );
            let answer = self.show(&cmd)?;
            let result = answer.child("result").ok_or_else(|| Fault::Garbled("no result".into()))?;
            for entry in result.all("entry") {
                // The request has to name the computer exactly, spaces at its ends included.
                let computer = entry.child("computer").map_or("", |c| c.text.as_str());
                let user = entry.text_of("username");
                if user.is_empty() || computer.is_empty() {
                    return Err(Fault::Garbled("a GlobalProtect client has no user or no computer".into()));
                }
                let mut session = Session::new("", user);
                if session.domain.is_empty() {
                    session.domain = entry.text_of("domain").to_owned();
                }
                session.id = format!("{gateway}:{user}:{computer}");
                session.public = asked::net(entry.text_of("public-ip"));
                session.inner = asked::net(entry.text_of("virtual-ip"));
                session.since = entry.text_of("login-time-utc").to_owned();
                session.at = vec![gateway.clone(), computer.to_owned(), user.to_owned()];
                all.push(session);
            }
        }
        Ok(all)
    }
}

fn registered(filter: Element) -> Element {
    Element::new("show").child(Element::new("object").child(Element::new("registered-ip").child(filter)))
}

/// `show` or `clear session all filter source ADDRESS`. There is no such command here without its filter.
fn by_source(verb: &'static str, net: Net) -> Element {
    let filter = Element::new("filter").child(Element::new("source").text(&net.to_string()));
    Element::new(verb).child(Element::new("session").child(Element::new("all").child(filter)))
}

/// The request that ends a client. The gateway's own name has the suffix `-N`.
fn logout(session: &Session) -> Result<Element, Fault> {
    let [gateway, computer, user] = session.at.as_slice() else {
        return Err(Fault::Config("the plan's session has no gateway and computer".into()));
    };
    let mut request = Element::new("client-logout")
        .child(Element::new("gateway").text(&format!("{gateway}-N")))
        .child(Element::new("user").text(user))
        .child(Element::new("reason").text("force-logout"))
        .child(Element::new("computer").text(computer));
    if !session.domain.is_empty() && !user.contains(['\\', '@']) {
        request = request.child(Element::new("domain").text(&session.domain));
    }
    Ok(Element::new("request").child(Element::new("global-protect-gateway").child(request)))
}

/// The API says what happened in its body, whatever the HTTP status.
fn answered(answer: &Answer) -> Result<Node, Fault> {
    let Ok(node) = Node::parse(&answer.body) else {
        return if answer.ok() {
            Err(Fault::Garbled("the answer is no XML document".into()))
        } else {
            Err(answer.fault())
        };
    };
    let why = || {
        let words: String = node.words().chars().take(300).collect();
        portreeve_model::untrusted::escape_for_terminal(&words)
    };
    match (node.attribute("status"), node.attribute("code")) {
        (Some("success"), _) if answer.ok() => {}
        (Some("unauth"), _) | (_, Some("16" | "22" | "403")) => return Err(Fault::Credential(why())),
        (Some("error"), _) if answer.status < 500 => return Err(Fault::Refused(why())),
        _ => return Err(answer.fault()),
    }
    // An operational command has a status of its own inside the one of the API.
    match node.at("result/response").and_then(|r| r.attribute("status")) {
        None | Some("success") => Ok(node),
        Some(_) => Err(Fault::Refused(why())),
    }
}

/// Registered addresses and their tags. The counter beside the entries is held against them: an answer that was moved
/// to a file, or cut, is not "nothing registered".
fn entries(answer: &Node) -> Result<Vec<(String, Vec<String>)>, Fault> {
    let result = answer.child("result").ok_or_else(|| Fault::Garbled("no result".into()))?;
    if result.at("msg/line/outfile").is_some() {
        return Err(Fault::Garbled("PAN-OS wrote the list to a file".into()));
    }
    let mut found = Vec::new();
    for entry in result.all("entry") {
        let ip = entry.attribute("ip").ok_or_else(|| Fault::Garbled("an entry has no ip".into()))?;
        let ip = asked::net(ip).map_or_else(|| ip.to_owned(), |n| n.to_string());
        let tags = entry.child("tag").map(|t| t.all("member").map(|m| tag(&m.text)).collect());
        found.push((ip, tags.unwrap_or_default()));
    }
    let count = result.text_of("count").parse::<usize>().unwrap_or(found.len());
    if count > 0 && found.is_empty() {
        return Err(Fault::Garbled(format!("PAN-OS counts {count} and lists none")));
    }
    Ok(found)
}

/// The tag without the time that newer versions write behind it: `t (expire in 322 seconds)`, `t (never expire)`.
fn tag(text: &str) -> String {
    let text = text.trim();
    match text.rsplit_once(" (") {
        Some((tag, time)) if time == "never expire)" || time.starts_with("expire in ") => tag.to_owned(),
        _ => text.to_owned(),
    }
}

impl Control for Panos {
    fn read(&mut self, order: &Order) -> Result<Seen, Fault> {
        if order.act == Act::TerminateSession {
            let stay = asked::stay(order, "panos")?;
            self.authorise(order.act)?;
            return sessions::seen(stay, &self.clients()?);
        }
        let net = asked::host(order, "panos")?;
        let group = self.group()?.to_owned();
        self.authorise(order.act)?;
        if self.member(net)?.is_none() {
            return Err(Fault::NotFound(format!(
                "the firewall has no dynamic address group `{group}` that a rule uses"
            )));
        }
        let tags = self.tags(net)?.unwrap_or_default();
        let (blocked, ours) = (tags.contains(&self.config.tag), tags.contains(&order.mark));
        Ok(Seen {
            ids: vec![net.to_string()],
            in_force: blocked && !ours,
            before: serde_json::json!({"tags": tags}),
            says: match (blocked, ours) {
                (true, true) => format!("{net} is tagged by this step"),
                (true, false) => {
                    format!("{net} has the tag {} already, and not by this step", self.config.tag)
                }
                _ if tags.is_empty() => "not registered".to_owned(),
                _ => format!("registered with other tags: {}", tags.join(", ")),
            },
            also_hits: Vec::new(),
        })
    }

    fn preview(&self, order: &Order, seen: &Seen) -> Result<Vec<String>, Fault> {
        if order.act == Act::TerminateSession {
            let approved = sessions::approved(seen)?;
            return approved.iter().map(|s| Ok(self.shown("op", &logout(s)?))).collect();
        }
        let net = asked::host(order, "panos")?;
        let register = self.registration(order, "register")?;
        Ok(vec![self.shown("user-id", &register), self.shown("op", &by_source("clear", net))])
    }

    fn apply(&mut self, order: &Order, seen: &Seen) -> Result<Ack, Fault> {
        self.authorise(order.act)?;
        if order.act == Act::TerminateSession {
            asked::stay(order, "panos")?;
            let still = sessions::still(seen, &self.clients().map_err(asked::unsent)?)?;
            return sessions::each(&still, |s| self.send("op", &logout(s)?).map(|_| ()));
        }
        self.group()?;
        let registered = taken(self.send("user-id", &self.registration(order, "register")?));
        if registered.as_ref().is_err_and(|fault| !fault.may_have_acted()) {
            return registered;
        }
        // Also where the answer to the first did not come: if it worked, sessions would stand.
        let clear = by_source("clear", asked::host(order, "panos")?);
        let cleared = self.send("op", &clear);
        let ack = registered?;
        cleared.map_err(|fault| {
            Fault::Lost(format!("registered, and its sessions may not have been cleared: {fault}"))
        })?;
        Ok(ack)
    }

    fn verify(&mut self, order: &Order, known: &Known) -> Effect {
        let mut look = || -> Result<Effect, Fault> {
            self.authorise(order.act)?;
            if order.act == Act::TerminateSession {
                let stay = asked::stay(order, "panos")?;
                return Ok(sessions::verdict(stay, &known.seen, &self.clients()?));
            }
            let net = asked::host(order, "panos")?;
            let tags = self.tags(net)?.unwrap_or_default();
            if !tags.contains(&self.config.tag) {
                return Ok(Effect::NotEffective(format!("{net} has not the tag {}", self.config.tag)));
            }
            let group = self.group()?;
            Ok(match self.member(net)? {
                Some(true) => match self.active(net)? {
                    0 => Effect::Effective(format!(
                        "{net} has the tag {}, is in {group}, and has no session",
                        self.config.tag
                    )),
                    n => Effect::NotEffective(format!("{net} is in {group}, and {n} session(s) of it stand")),
                },
                Some(false) => Effect::NotEffective(format!("{net} is tagged but no member of {group}")),
                None => Effect::NotEffective(format!("{net} is tagged, and no rule uses {group}")),
            })
        };
        look().unwrap_or_else(|fault| Effect::unread(&fault))
    }

    fn undo(&mut self, order: &Order, _: &Known) -> Result<Ack, Fault> {
        if order.act.is_final() {
            return Err(sessions::cannot_return());
        }
        let net = asked::host(order, "panos")?;
        self.authorise(order.act)?;
        let tags = self.tags(net).map_err(asked::unsent)?.unwrap_or_default();
        match (tags.contains(&self.config.tag), tags.contains(&order.mark)) {
            (false, false) => Ok(Ack::says("was gone already")),
            (true, false) => Err(Fault::Refused(format!(
                "{net} has the tag {} by another hand now; it is left",
                self.config.tag
            ))),
            (_, true) => taken(self.send("user-id", &self.registration(order, "unregister")?)),
        }
    }

    fn verify_undone(&mut self, order: &Order, _: &Known) -> Effect {
        if order.act.is_final() {
            return sessions::never_undone();
        }
        let tags = self
            .authorise(order.act)
            .and_then(|()| asked::host(order, "panos"))
            .and_then(|net| self.tags(net));
        match tags {
            Err(fault) => Effect::unread(&fault),
            Ok(tags) if tags.as_ref().is_some_and(|t| t.contains(&self.config.tag)) => {
                Effect::NotEffective(format!("still has the tag {}", self.config.tag))
            }
            Ok(_) => Effect::Effective(format!("has not the tag {}", self.config.tag)),
        }
    }

    fn present(&mut self) -> Result<Option<Vec<Present>>, Fault> {
        self.authorise(Act::BlockAddress)?;
        let mut all = Vec::new();
        for page in 0..PAGES {
            let ours = Element::new("tag").child(Element::new("entry").attribute("name", &self.config.tag));
            let cmd = Element::new("show").child(
                Element::new("object").child(
                    Element::new("registered-ip")
                        .child(ours)
                        .child(Element::new("limit").text(&PAGE.to_string()))
                        .child(Element::new("start-point").text(&(page * PAGE + 1).to_string())),
                ),
            );
            let list = entries(&self.show(&cmd)?)?;
            let got = list.len();
            all.extend(list.into_iter().filter(|(_, tags)| tags.contains(&self.config.tag)).map(
                |(what, tags)| Present {
                    what,
                    mark: tags.into_iter().find(|t| t.starts_with("portreeve-") && *t != self.config.tag),
                },
            ));
            if got < PAGE {
                return Ok(Some(all));
            }
        }
        Err(Fault::Garbled(format!("more than {} addresses have the tag", PAGE * PAGES)))
    }

    fn doctor(&mut self) -> Vec<Ability> {
        let mut abilities = Vec::new();
        if let Some(group) = self.config.group.clone() {
            let probe = Net::host(std::net::Ipv4Addr::new(192, 0, 2, 1).into());
            let found = self.authorise(Act::BlockAddress).and_then(|()| self.member(probe));
            abilities.push(match found {
                Ok(Some(_)) => Ability::new("read the group", Some(true), group),
                Ok(None) => {
                    Ability::new("read the group", Some(false), format!("no rule uses a group `{group}`"))
                }
                Err(fault) => Ability::new("read the group", Some(false), fault.to_string()),
            });
            abilities.push(Ability::new(
                "register an address",
                None,
                "the role's User-ID Agent right shows only when it is used",
            ));
        }
        if !self.config.gateways.is_empty() {
            let listed = self.authorise(Act::TerminateSession).and_then(|()| self.clients());
            abilities.push(match listed {
                Ok(all) => {
                    Ability::new("list GlobalProtect clients", Some(true), format!("{} now", all.len()))
                }
                Err(fault) => Ability::new("list GlobalProtect clients", Some(false), fault.to_string()),
            });
        }
        abilities
    }
}

/// What the tag was already, or was not, is no failure: reading tells.
fn taken(sent: Result<Node, Fault>) -> Result<Ack, Fault> {
    match sent {
        Ok(_) => Ok(Ack::says("PAN-OS took the message")),
        Err(Fault::Refused(why)) if why.contains("ignore") => Ok(Ack::says(why)),
        Err(fault) => Err(fault),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_no_entry_and_a_list_in_a_file_is_no_empty_list() {
        let read = |inside: &str| {
            let xml = format!("<response status=\"success\"><result>{inside}</result></response>");
            entries(&Node::parse(&xml).unwrap())
        };
        assert!(read("<count>0</count>").unwrap().is_empty());
        assert!(read("").unwrap().is_empty());
        assert!(read("<count>1</count>").is_err());
        assert!(read("<msg><line><outfile>/tmp/x</outfile></line></msg>").is_err());
        let found = read(
            "<entry ip=\"2001:db8:0::1\" from_agent=\"0\"><tag><member>a (expire in 9 seconds)</member>\
             <member>b (c)</member></tag></entry><count>1</count>",
        )
        .unwrap();
        assert_eq!(found, [("2001:db8::1".to_owned(), vec!["a".to_owned(), "b (c)".to_owned()])]);
    }

    #[test]
    fn what_the_body_says_counts_and_not_the_status_200() {
        let read = |body: &str| answered(&Answer { status: 200, body: body.to_owned(), ..Answer::default() });
        assert!(matches!(
            read(
                "<response status='error' code='403'><result><msg>Invalid Credential</msg></result></response>"
            ),
            Err(Fault::Credential(_))
        ));
        assert!(matches!(
            read("<response status='error'><msg><line>bad</line></msg></response>"),
            Err(Fault::Refused(_))
        ));
        assert!(matches!(
            read("<response status='success'><result><response status='error'/></result></response>"),
            Err(Fault::Refused(_))
        ));
        assert!(matches!(read("<html>login</html>"), Err(fault) if fault.may_have_acted()));
    }

    #[test]
    fn a_hostile_computer_stays_in_its_element() {
        let mut session = Session::new("x", "an<na");
        session.at = vec!["Home".into(), "Dan\u{2019}s </computer><x/>".into(), "an<na".into()];
        let xml = logout(&session).unwrap().write();
        assert!(xml.contains("<gateway>Home-N</gateway><user>an&lt;na</user>"), "{xml}");
        assert_eq!(xml.matches("<computer>").count(), 1);
        assert_eq!(xml.matches("<x/>").count(), 0);
    }
}
