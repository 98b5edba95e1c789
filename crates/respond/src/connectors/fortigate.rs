//! FortiGate: an address is banned with an expiry, and SSL VPN sessions are ended. The token is a header, never part
//! of a URL, where it would stand in every log on the way.

use super::asked;
use super::sessions::{self, Session};
use crate::act::Act;
use crate::connector::{
    Ability, Ack, Can, Connector, Control, Effect, Known, Order, Present, Proof, Seen, Setting, Settings,
};
use crate::fault::Fault;
use crate::target::TargetKind;
use crate::transport::http::{Answer, Body, Endpoint, Http, Method, Path};
use crate::value::Net;
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;

pub static CONNECTOR: Connector = Connector {
    name: "fortigate",
    product: "Fortinet FortiGate (FortiOS 6.4 and later)",
    proof: Proof::Contract,
    can: &[
        Can {
            effect: "the address is on the list of banned addresses of the VDOM until the time given",
            leaves_open: "sessions that stand already and are offloaded to hardware; other VDOMs; traffic that the \
                          address does not originate",
            undo: "this address alone is cleared, if its ban still ends when ours would; a ban of another hand is \
                   left; the list as a whole is never cleared",
            verified_by: "`monitor/user/banned` lists the address",
            expires: true,
            within: Duration::from_secs(10),
            ..Can::at_once(Act::BlockAddress, &[TargetKind::Address])
        },
        Can {
            effect: "each SSL VPN session of the user is deleted by its index, which is listed again right before, \
                     because an index is given to the next user",
            leaves_open: "the client may sign in again: disable the account first; IPsec and ZTNA sessions",
            undo: "none: its user signs in again",
            verified_by: "`monitor/vpn/ssl` lists no session of the user",
            within: Duration::from_secs(15),
            settle: Duration::from_secs(30),
            ..Can::at_once(Act::TerminateSession, &[TargetKind::Session])
        },
    ],
    needs: "a REST API administrator whose profile has read-write on User & Device (bans) and VPN (sessions), and \
            whose trusted hosts are this machine; its token as the credential",
    settings: &[
        Setting { name: "endpoint", required: true, says: "`{url, ca, timeout}`" },
        Setting { name: "vdom", required: false, says: "`root`" },
    ],
    source: "FortiOS REST API, monitor: user/banned, vpn/ssl",
    open,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    endpoint: Endpoint,
    #[serde(default = "root")]
    vdom: String,
}

fn root() -> String {
    "root".to_owned()
}

fn open(settings: &Settings) -> Result<Box<dyn Control>, Fault> {
    let config: Config = settings.fields()?;
    if config.vdom.is_empty() || config.vdom == "*" || config.vdom.contains(',') {
        return Err(Fault::Config("fortigate: vdom is one virtual domain".into()));
    }
    Ok(Box::new(Fortigate {
        http: Http::open(&config.endpoint)?,
        vdom: config.vdom,
        settings: settings.clone(),
    }))
}

struct Fortigate {
    http: Http,
    vdom: String,
    settings: Settings,
}

/// One entry of the list of bans. No end: for ever.
struct Ban {
    net: Net,
    ends: Option<i64>,
    source: String,
}

/// How far the device's clock and the way there may shift the end of a ban that we set, in microseconds.
const DRIFT: i64 = 60_000_000;

impl Fortigate {
    fn authorise(&mut self, act: Act) -> Result<(), Fault> {
        let token = self.settings.credential(act)?;
        self.http
            .set_header("authorization", crate::secret::Secret::new(format!("Bearer {}", token.expose())));
        Ok(())
    }

    fn path(&self, fixed: &'static str) -> Path {
        Path::new(fixed).query("vdom", &self.vdom)
    }

    /// What FortiOS answers inside its envelope.
    fn inside(&self, answer: Answer) -> Result<Value, Fault> {
        let body = answer.done()?.json()?;
        let status = body.get("status").and_then(Value::as_str).unwrap_or("none");
        if status != "success" {
            let error = body.get("error").map(Value::to_string).unwrap_or_default();
            return Err(match status {
                "error" => Fault::Refused(format!("FortiOS says error {error}")),
                other => Fault::Garbled(format!("FortiOS says status `{other}`")),
            });
        }
        if let Some(vdom) = body.get("vdom").and_then(Value::as_str)
            && vdom != self.vdom
        {
            return Err(Fault::Garbled(format!("FortiOS answered for the VDOM `{vdom}`")));
        }
        if body.get("limit_reached").and_then(Value::as_bool) == Some(true) {
            return Err(Fault::Garbled("FortiOS cut the list".into()));
        }
        Ok(body)
    }

    fn list(&self, fixed: &'static str) -> Result<Vec<Value>, Fault> {
        let body = self.inside(self.http.get(&self.path(fixed))?)?;
        match body.get("results") {
            Some(Value::Array(rows)) => Ok(rows.clone()),
            _ => Err(Fault::Garbled("FortiOS gave no list".into())),
        }
    }

    fn change(&self, fixed: &'static str, body: &Value) -> Result<(), Fault> {
        let answer = self.http.change(Method::Post, &self.path(fixed), &Body::Json(body))?;
        self.inside(answer).map(|_| ())
    }

    fn bans(&self) -> Result<Vec<Ban>, Fault> {
        let rows = self.list(BANNED)?;
        rows.iter()
            .map(|row| {
                let text = row.get("ip_address").and_then(Value::as_str).unwrap_or("");
                let net = asked::net(text).ok_or_else(|| Fault::Garbled("a ban has no ip_address".into()))?;
                let ends = row.get("expires").and_then(Value::as_i64).filter(|e| *e > 0);
                let source = row.get("source").and_then(Value::as_str).unwrap_or("unknown source");
                Ok(Ban { net, ends: ends.map(|e| e.saturating_mul(1_000_000)), source: source.to_owned() })
            })
            .collect()
    }

    fn ban(&self, net: Net) -> Result<Option<Ban>, Fault> {
        Ok(self.bans()?.into_iter().find(|b| b.net == net))
    }

    fn stays(&self) -> Result<Vec<Session>, Fault> {
        let mut all = Vec::new();
        for row in self.list(SSL)? {
            let text = |name: &str| row.get(name).and_then(Value::as_str).unwrap_or("");
            let index = row.get("index").and_then(Value::as_u64);
            let (Some(index), false) = (index, text("user_name").is_empty()) else {
                return Err(Fault::Garbled("an SSL VPN session has no index or no user_name".into()));
            };
            let mut session = Session::new(index.to_string(), text("user_name"));
            session.public = asked::net(text("remote_host"));
            session.inner = row
                .get("subsessions")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .find_map(|s| s.get("aip").and_then(Value::as_str).and_then(asked::net));
            session.since = row
                .get("last_login_timestamp")
                .and_then(Value::as_i64)
                .map_or_else(|| text("last_login_time").to_owned(), |t| t.to_string());
            all.push(session);
        }
        Ok(all)
    }
}

const BANNED: &str = "/api/v2/monitor/user/banned";
const ADD: &str = "/api/v2/monitor/user/banned/add_users";
const CLEAR: &str = "/api/v2/monitor/user/banned/clear_users";
const SSL: &str = "/api/v2/monitor/vpn/ssl";
const DELETE: &str = "/api/v2/monitor/vpn/ssl/delete";

/// FortiOS keeps no mark. A ban that ends when ours would is ours.
fn ours(order: &Order, ban: &Ban) -> bool {
    match (order.until, ban.ends) {
        (Some(until), Some(ends)) => (until - ends).abs() <= DRIFT,
        (None, None) => true,
        _ => false,
    }
}

fn banning(order: &Order, net: Net) -> Value {
    json!({"ip_addresses": [net.to_string()], "expiry": order.seconds_left(asked::now()).unwrap_or(0)})
}

fn deletion(session: &Session) -> Result<Value, Fault> {
    let index: u64 =
        session.id.parse().map_err(|_| Fault::Config("the plan's session has no index".into()))?;
    Ok(json!({"type": "websession", "index": index}))
}

impl Control for Fortigate {
    fn read(&mut self, order: &Order) -> Result<Seen, Fault> {
        if order.act == Act::TerminateSession {
            let stay = asked::stay(order, "fortigate")?;
            self.authorise(order.act)?;
            return sessions::seen(stay, &self.stays()?);
        }
        let net = asked::host(order, "fortigate")?;
        self.authorise(order.act)?;
        let ban = self.ban(net)?;
        // Without an end of our own, a ban for ever may be anybody's.
        let ours = order.until.is_some() && ban.as_ref().is_some_and(|b| ours(order, b));
        Ok(Seen {
            ids: vec![net.to_string()],
            in_force: ban.is_some() && !ours,
            before: json!({"banned": ban.is_some() && !ours}),
            says: match ban {
                Some(_) if ours => format!("{net} is banned by this step"),
                Some(b) => format!("{net} is banned already ({})", b.source),
                None => "not banned".to_owned(),
            },
            also_hits: Vec::new(),
        })
    }

    fn preview(&self, order: &Order, seen: &Seen) -> Result<Vec<String>, Fault> {
        if order.act == Act::TerminateSession {
            let approved = sessions::approved(seen)?;
            let shown = |s: &Session| {
                Ok(self.http.shown(Method::Post, &self.path(DELETE), &Body::Json(&deletion(s)?)))
            };
            return approved.iter().map(shown).collect();
        }
        let body = banning(order, asked::host(order, "fortigate")?);
        Ok(vec![self.http.shown(Method::Post, &self.path(ADD), &Body::Json(&body))])
    }

    fn apply(&mut self, order: &Order, seen: &Seen) -> Result<Ack, Fault> {
        if order.act == Act::TerminateSession {
            asked::stay(order, "fortigate")?;
            self.authorise(order.act)?;
            let mut ended = 0;
            let approved = sessions::approved(seen)?;
            return sessions::each(&approved, |session| {
                // The list once more before each: the index of one that went may be the next user's.
                let now = self.stays().map_err(asked::unsent)?;
                if !now.contains(session) {
                    return Ok(());
                }
                ended += 1;
                self.change(DELETE, &deletion(session)?)
            })
            .map(|_| Ack::says(format!("FortiOS took the end of {ended} session(s)")));
        }
        let net = asked::host(order, "fortigate")?;
        self.authorise(order.act)?;
        self.change(ADD, &banning(order, net))?;
        Ok(Ack::says("FortiOS took the ban"))
    }

    fn verify(&mut self, order: &Order, known: &Known) -> Effect {
        let mut look = || {
            self.authorise(order.act)?;
            if order.act == Act::TerminateSession {
                let stay = asked::stay(order, "fortigate")?;
                return Ok(sessions::verdict(stay, &known.seen, &self.stays()?));
            }
            let net = asked::host(order, "fortigate")?;
            Ok(match self.ban(net)? {
                None => Effect::NotEffective(format!("{net} is not on the list of bans")),
                Some(ban) => match (order.until, ban.ends) {
                    (Some(until), Some(ends)) if ends + DRIFT < until => Effect::NotEffective(format!(
                        "{net} is banned, but lets go {} s too early",
                        (until - ends) / 1_000_000
                    )),
                    (None, Some(_)) => {
                        Effect::NotEffective(format!("{net} is banned for a time, and not for good"))
                    }
                    _ => Effect::Effective(format!("{net} is on the list of bans of {}", self.vdom)),
                },
            })
        };
        look().unwrap_or_else(|fault: Fault| Effect::unread(&fault))
    }

    fn undo(&mut self, order: &Order, known: &Known) -> Result<Ack, Fault> {
        if order.act.is_final() {
            return Err(sessions::cannot_return());
        }
        let net = asked::host(order, "fortigate")?;
        if known.seen.before.get("banned").and_then(Value::as_bool) == Some(true) {
            return Err(Fault::Refused(format!("{net} was banned before by another hand; it is left")));
        }
        self.authorise(order.act)?;
        match self.ban(net).map_err(asked::unsent)? {
            None => Ok(Ack::says("was gone already")),
            Some(ban) if !ours(order, &ban) => Err(Fault::Refused(format!(
                "the ban of {net} ends at another time than ours ({}); it is another hand's and is left",
                ban.source
            ))),
            Some(_) => {
                self.change(CLEAR, &json!({"ip_addresses": [net.to_string()]}))?;
                Ok(Ack::says("FortiOS took the end of the ban"))
            }
        }
    }

    fn verify_undone(&mut self, order: &Order, _: &Known) -> Effect {
        if order.act.is_final() {
            return sessions::never_undone();
        }
        let net = match asked::host(order, "fortigate") {
            Ok(net) => net,
            Err(fault) => return Effect::unread(&fault),
        };
        match self.authorise(order.act).and_then(|()| self.ban(net)) {
            Err(fault) => Effect::unread(&fault),
            Ok(None) => Effect::Effective(format!("{net} is not on the list of bans")),
            Ok(Some(ban)) => Effect::NotEffective(format!("{net} is still banned ({})", ban.source)),
        }
    }

    fn present(&mut self) -> Result<Option<Vec<Present>>, Fault> {
        self.authorise(Act::BlockAddress)?;
        let bans = self.bans()?;
        Ok(Some(bans.into_iter().map(|b| Present { what: b.net.to_string(), mark: None }).collect()))
    }

    fn doctor(&mut self) -> Vec<Ability> {
        let bans = self.authorise(Act::BlockAddress).and_then(|()| self.bans());
        let stays = self.authorise(Act::TerminateSession).and_then(|()| self.stays());
        let told = |what: &str, read: Result<usize, Fault>| match read {
            Ok(n) => Ability::new(what, Some(true), format!("{n} now")),
            Err(fault) => Ability::new(what, Some(false), fault.to_string()),
        };
        vec![
            told("list bans", bans.map(|b| b.len())),
            told("list SSL VPN sessions", stays.map(|s| s.len())),
            Ability::new(
                "ban, and end sessions",
                None,
                "write access of the profile shows only when it is used",
            ),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ban_is_ours_by_its_end() {
        let mut order = Order {
            act: Act::BlockAddress,
            target: crate::target::Target::address("192.0.2.7".parse().unwrap()),
            until: Some(5_000_000_000),
            mark: "portreeve-0123456789ab".into(),
            case: "c".into(),
        };
        let ban = |ends| Ban { net: "192.0.2.7".parse().unwrap(), ends, source: "manual".into() };
        assert!(ours(&order, &ban(Some(5_003_000_000))));
        assert!(!ours(&order, &ban(Some(9_000_000_000))));
        assert!(!ours(&order, &ban(None)));
        order.until = None;
        assert!(ours(&order, &ban(None)));
        assert!(!ours(&order, &ban(Some(5_000_000_000))));
    }
}
