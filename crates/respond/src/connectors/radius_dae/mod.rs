//! RADIUS dynamic authorization (RFC 5176): switches, access points, VPN gateways and BNGs that end or change a session
//! when they are told to. An ACK says that the NAS took it; whether the session ended is read elsewhere.

mod view;

use crate::act::Act;
use crate::connector::{
    Ability, Ack, Can, Connector, Control, Effect, Known, Order, Proof, Seen, Setting, Settings,
};
use crate::fault::Fault;
use crate::target::{Stay, Target, TargetKind};
use crate::transport::command::Via;
use crate::transport::radius::{Client, Code, Request};
use serde::Deserialize;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;
use view::{Found, Session, View};

pub static CONNECTOR: Connector = Connector {
    name: "radius_dae",
    product: "RADIUS dynamic authorization (RFC 5176): Disconnect and CoA",
    proof: Proof::Proven,
    can: &[
        Can {
            effect: "a Disconnect-Request for each session that is meant, named by Acct-Session-Id, User-Name and \
                     Calling-Station-Id; the NAS ends it",
            leaves_open: "the client may sign in again at once, as long as its identity is not disabled; a switch \
                          starts the exchange by itself",
            undo: "none: the client signs in anew",
            verified_by: "`hostapd_cli all_sta` lists no authorized station that is meant, or accounting holds the \
                          Stop of each session and no new Start; without either it is unknown",
            within: Duration::from_secs(10),
            settle: Duration::from_secs(60),
            ..Can::at_once(Act::TerminateSession, &[TargetKind::Session])
        },
        Can {
            effect: "a CoA-Request with the Filter-Id of the setting `isolate_filter` for each session of the device",
            leaves_open: "what the filter of the NAS lets through; a new session, which gets its filter from the \
                          RADIUS server and not from us",
            undo: "a CoA-Request with the Filter-Id of the setting `release_filter`; without that setting none",
            verified_by: "not: RADIUS has no reading of a session's filter; a person looks at the NAS",
            ..Can::at_once(Act::IsolateDevice, &[TargetKind::Device, TargetKind::Session])
        },
    ],
    needs: "to be a dynamic authorization client of the NAS, with its own shared secret",
    settings: &[
        Setting { name: "server", required: true, says: "ADDRESS:PORT of the NAS; the port is 3799 mostly" },
        Setting {
            name: "nas_identifier",
            required: false,
            says: "NAS-Identifier; sent, and only its accounting is read",
        },
        Setting { name: "nas_address", required: false, says: "NAS-IP-Address; as above" },
        Setting {
            name: "hostapd",
            required: false,
            says: "`{ctrl, interface, via}`: where hostapd_cli reads the stations; `via` as for nftables",
        },
        Setting {
            name: "accounting_log",
            required: false,
            says: "a detail file of FreeRADIUS with the accounting of this NAS; replicate it where it is rotated",
        },
        Setting { name: "isolate_filter", required: false, says: "the filter list that isolates" },
        Setting { name: "release_filter", required: false, says: "the filter list that is put back" },
        Setting { name: "wait", required: false, says: "seconds for each answer; 3 unless set" },
        Setting { name: "tries", required: false, says: "sendings; 3 unless set" },
    ],
    source: "RFC 5176, RFC 2866, RFC 3580; proven with hostapd, wpa_supplicant and FreeRADIUS",
    open,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    server: SocketAddr,
    nas_identifier: Option<String>,
    nas_address: Option<IpAddr>,
    hostapd: Option<Hostapd>,
    accounting_log: Option<PathBuf>,
    isolate_filter: Option<String>,
    release_filter: Option<String>,
    #[serde(default = "three")]
    wait: u64,
    #[serde(default = "three")]
    tries: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Hostapd {
    ctrl: PathBuf,
    interface: Option<String>,
    #[serde(default)]
    via: Via,
}

fn three() -> u64 {
    3
}

fn open(settings: &Settings) -> Result<Box<dyn Control>, Fault> {
    let config: Config = settings.fields()?;
    let client = Client {
        server: config.server,
        wait: Duration::from_secs(config.wait.clamp(1, 30)),
        tries: u32::try_from(config.tries.clamp(1, 10)).unwrap_or(3),
    };
    let mut views = Vec::new();
    if let Some(hostapd) = config.hostapd {
        let runner = hostapd.via.runner()?;
        views.push(View::Hostapd { ctrl: hostapd.ctrl, interface: hostapd.interface, runner });
    }
    if let Some(path) = config.accounting_log {
        let (nas_identifier, nas_address) = (config.nas_identifier.clone(), config.nas_address);
        views.push(View::Accounting { path, nas_identifier, nas_address });
    }
    Ok(Box::new(Dae {
        client,
        views,
        nas_identifier: config.nas_identifier,
        nas_address: config.nas_address,
        isolate_filter: config.isolate_filter,
        release_filter: config.release_filter,
        settings: settings.clone(),
    }))
}

struct Dae {
    client: Client,
    views: Vec<View>,
    nas_identifier: Option<String>,
    nas_address: Option<IpAddr>,
    isolate_filter: Option<String>,
    release_filter: Option<String>,
    settings: Settings,
}

const NO_VIEW: &str = "RADIUS has no reading of sessions, and neither hostapd nor accounting_log is configured; a person \
                       looks at the NAS whether the session is gone";

fn stay(order: &Order) -> Result<Stay, Fault> {
    let stay = match &order.target {
        Target::Session(stay) => stay.clone(),
        Target::Device(device) if order.act == Act::IsolateDevice => {
            Stay { mac: device.mac, ..Stay::default() }
        }
        other => return Err(Fault::Unsupported(format!("a NAS knows sessions, not {other}"))),
    };
    if !stay.is_named() {
        return Err(Fault::Unsupported(format!(
            "{} names no user, session id, hardware address or inner address; nothing is sent for all sessions",
            order.target
        )));
    }
    Ok(stay)
}

impl Dae {
    fn request(&self, code: Code, session: &Stay, filter: Option<&str>) -> Result<Request, Fault> {
        let mut request = Request::new(code);
        if let Some(user) = &session.user {
            request = request.user_name(user)?;
        }
        if let Some(id) = &session.id {
            request = request.acct_session_id(id)?;
        }
        if let Some(mac) = session.mac {
            request = request.calling_station_id(mac)?;
        }
        if let Some(inner) = session.inner {
            request = request.framed_address(inner)?;
        }
        if let Some(name) = &self.nas_identifier {
            request = request.nas_identifier(name)?;
        }
        if let Some(ip) = self.nas_address {
            request = request.nas_address(ip)?;
        }
        match filter {
            Some(filter) => request.filter_id(filter),
            None => Ok(request),
        }
    }

    /// A request for each session that was seen; for the stay itself where nothing could be seen.
    fn requests(
        &self,
        order: &Order,
        seen: &Seen,
        code: Code,
        filter: Option<&str>,
    ) -> Result<Vec<Request>, Fault> {
        let sessions = sessions(seen)?;
        if sessions.is_empty() && self.views.is_empty() {
            return Ok(vec![self.request(code, &stay(order)?, filter)?]);
        }
        let named = sessions.into_iter().map(|s| Stay {
            user: s.user,
            id: s.id,
            mac: s.mac,
            inner: s.inner,
            ..Stay::default()
        });
        named.map(|s| self.request(code, &s, filter)).collect()
    }

    fn filter(&self, order: &Order) -> Result<(Code, Option<&str>), Fault> {
        match order.act {
            Act::TerminateSession => Ok((Code::Disconnect, None)),
            Act::IsolateDevice => match &self.isolate_filter {
                Some(filter) => Ok((Code::Coa, Some(filter))),
                None => Err(Fault::Config("isolate_filter is not set".into())),
            },
            other => Err(Fault::Unsupported(format!("RADIUS cannot {}", other.id()))),
        }
    }

    fn send(&self, order: &Order, requests: &[Request]) -> Result<Ack, Fault> {
        let secret = self.settings.credential(order.act)?;
        let mut said = Vec::new();
        for request in requests {
            match self.client.exchange(request, &secret).and_then(|answer| answer.done()) {
                Ok(answer) => said.push(format!("ACK after {} sendings", answer.sent)),
                // One of several ended by itself meanwhile.
                Err(Fault::NotFound(_)) if requests.len() > 1 => said.push("gone already".to_owned()),
                Err(fault) if said.is_empty() || fault.may_have_acted() => return Err(fault),
                Err(fault) => {
                    return Err(Fault::Lost(format!(
                        "{} of {} sessions answered ({}), then: {fault}",
                        said.len(),
                        requests.len(),
                        said.join(", ")
                    )));
                }
            }
        }
        Ok(Ack::says(said.join(", ")))
    }

    fn ended(&self, order: &Order, known: &Known) -> Result<Effect, Fault> {
        let stay = stay(order)?;
        let were = sessions(&known.seen)?;
        let mut shown = Vec::new();
        for view in &self.views {
            let found = view.read()?;
            let open = match &found {
                Found::List(open) | Found::Record { open, .. } => open,
            };
            if let Some(there) = open.iter().find(|s| s.is(&stay)) {
                // A NAS may give a client that came back the id that it had.
                let same = were.iter().any(|w| w.id == there.id && (w.id.is_some() || w.mac == there.mac));
                let how = if same { "there, still or again" } else { "new: the client came back" };
                return Ok(Effect::NotEffective(format!(
                    "session {} is {how} ({})",
                    there.name(),
                    view.name()
                )));
            }
            if let Found::Record { ended, .. } = &found {
                // A file that was rotated says nothing of what it does not hold.
                if let Some(missing) =
                    were.iter().find(|w| !w.id.as_ref().is_some_and(|id| ended.contains(id)))
                {
                    return Ok(Effect::Unknown(format!(
                        "no Stop of session {} in {}",
                        missing.name(),
                        view.name()
                    )));
                }
                if were.is_empty() {
                    return Ok(Effect::Unknown("no session was known before".into()));
                }
            }
            shown.push(view.name());
        }
        if shown.is_empty() {
            return Ok(Effect::Unknown(NO_VIEW.into()));
        }
        Ok(Effect::Effective(format!("no session of {} is left: {}", order.target, shown.join(", "))))
    }
}

fn sessions(seen: &Seen) -> Result<Vec<Session>, Fault> {
    if seen.before.is_null() {
        return Ok(Vec::new());
    }
    serde_json::from_value(seen.before.clone()).map_err(|e| Fault::Config(format!("what was seen: {e}")))
}

impl Control for Dae {
    fn read(&mut self, order: &Order) -> Result<Seen, Fault> {
        self.filter(order)?;
        let stay = stay(order)?;
        let mut found: Vec<Session> = Vec::new();
        for view in &self.views {
            let (Found::List(open) | Found::Record { open, .. }) = view.read()?;
            for session in open.into_iter().filter(|s| s.is(&stay)) {
                if !found.iter().any(|f| f.id == session.id && (f.id.is_some() || f.mac == session.mac)) {
                    found.push(session);
                }
            }
        }
        if found.is_empty() && !self.views.is_empty() {
            return Err(Fault::NotFound(format!("no {} here", order.target)));
        }
        found.sort_by_key(Session::name);
        if found.is_empty() {
            return Ok(Seen { ids: vec![order.target.to_string()], says: NO_VIEW.into(), ..Seen::default() });
        }
        let ids: Vec<String> = found.iter().map(Session::name).collect();
        let before =
            serde_json::to_value(&found).map_err(|e| Fault::Config(format!("what was seen: {e}")))?;
        Ok(Seen { says: format!("{} sessions", ids.len()), ids, before, ..Seen::default() })
    }

    fn preview(&self, order: &Order, seen: &Seen) -> Result<Vec<String>, Fault> {
        let (code, filter) = self.filter(order)?;
        let requests = self.requests(order, seen, code, filter)?;
        Ok(requests.iter().map(|r| format!("udp {}: {}", self.client.server, r.shown())).collect())
    }

    fn apply(&mut self, order: &Order, seen: &Seen) -> Result<Ack, Fault> {
        let (code, filter) = self.filter(order)?;
        let requests = self.requests(order, seen, code, filter)?;
        self.send(order, &requests)
    }

    fn verify(&mut self, order: &Order, known: &Known) -> Effect {
        if order.act == Act::IsolateDevice {
            return Effect::Unknown(
                "RADIUS has no reading of a session's filter; a person looks at the NAS".into(),
            );
        }
        self.ended(order, known).unwrap_or_else(|fault| Effect::unread(&fault))
    }

    fn undo(&mut self, order: &Order, known: &Known) -> Result<Ack, Fault> {
        if order.act != Act::IsolateDevice {
            return Err(Fault::Unsupported(
                "a session that ended cannot be brought back; the client signs in anew".into(),
            ));
        }
        let Some(filter) = &self.release_filter else {
            return Err(Fault::Unsupported(
                "release_filter is not set, and RADIUS cannot read which filter was in force before".into(),
            ));
        };
        let requests = self.requests(order, &known.seen, Code::Coa, Some(filter))?;
        self.send(order, &requests)
    }

    fn verify_undone(&mut self, order: &Order, _: &Known) -> Effect {
        Effect::Unknown(match order.act {
            Act::IsolateDevice => {
                "RADIUS has no reading of a session's filter; a person looks at the NAS".into()
            }
            _ => "a session that ended is not brought back".into(),
        })
    }

    fn doctor(&mut self) -> Vec<Ability> {
        let secret = self.settings.credential(Act::TerminateSession);
        let mut all = vec![Ability::new(
            "end a session",
            secret.as_ref().err().map(|_| false),
            match secret {
                Ok(_) => {
                    "a NAS answers only to a request that acts, so a wrong secret shows at the first one"
                        .to_owned()
                }
                Err(fault) => fault.to_string(),
            },
        )];
        for view in &self.views {
            let read = view.read();
            all.push(Ability::new(
                "read sessions",
                Some(read.is_ok()),
                read.err().map_or_else(|| view.name(), |f| f.to_string()),
            ));
        }
        if self.views.is_empty() {
            all.push(Ability::new("read sessions", Some(false), NO_VIEW));
        }
        all
    }
}
