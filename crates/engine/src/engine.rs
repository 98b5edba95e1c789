//! Takes events in total order and routes each to the dossiers that it concerns.

mod inside;
#[cfg(test)]
mod tests;

use crate::fold::attribution::{Attribution, Reached};
use crate::fold::infrastructure::{Attempt, GatewayChange, HostAlert, Infrastructure, SeenKind};
use crate::fold::principal::{ChangeSeen, Dossier, MfaEvent, NacSeen, OUTSIDE_SESSIONS, family};
use crate::memo::{Map, Memo};
use crate::session::{Deed, DeedKind, Protocol, Session, Touch};
use portreeve_model::event::{Act, Change, Event, Flags, Method, Mfa, Outcome, Service};
use portreeve_model::facts::{Account, AccountKind, Context};
use portreeve_model::signal::Evidence;
use portreeve_model::time::DAY_US;
use portreeve_model::{EventTime, Ip, Sym, SymbolTable};
use std::sync::{Arc, OnceLock};

/// Accounts held; beyond it, half of those of which nothing but failed attempts is known go, longest ago first.
const ACCOUNTS: usize = 100_000;
/// Who uses a shared host has to be known for so long, before a stranger there is taken for who entered it.
const ACQUAINTANCE_US: i64 = 3 * DAY_US;

/// The folds and what they hold. One engine judges one set of principals; it is the same in a hunt over files,
/// live, and per partition of a cluster.
///
/// A clone shares what neither of the two has changed since: it costs a pointer per principal, session and source.
#[derive(Clone)]
pub struct Engine<'c> {
    pub(crate) context: &'c dyn Context,
    pub(crate) names: Arc<SymbolTable>,
    pub(crate) memo: Memo,
    pub(crate) attribution: Attribution,
    pub(crate) dossiers: Map<Sym, Arc<Dossier>>,
    pub(crate) infrastructure: Infrastructure,
    /// Gateways whose log has a line for the begin of a session: there, a right password alone is no entry.
    pub(crate) starts_logged: Map<(Service, Sym), ()>,
    pub(crate) first: EventTime,
    pub(crate) last: EventTime,
    pub(crate) events: u64,
    evicted_accounts: u64,
    /// So many accounts are held before any goes; 0 for the budget.
    room: usize,
    /// Sessions by gateway and group that showed a second factor, and those that did not; counted when asked.
    habits: OnceLock<Map<(Sym, Sym), (u32, u32)>>,
    /// Sessions that began while their gateway's clock was off; found when asked.
    clocks: OnceLock<Map<(Sym, usize), i64>>,
    /// Principals about whose sessions something was written since somebody last asked; kept only where somebody asks.
    touched: Option<Map<Sym, ()>>,
}

/// Whom an event inside belongs to.
#[derive(Clone, Copy)]
struct Link {
    principal: Sym,
    session: usize,
    depth: u8,
}

impl<'c> Engine<'c> {
    pub fn new(context: &'c dyn Context, names: Arc<SymbolTable>) -> Self {
        Engine {
            context,
            names,
            memo: Memo::default(),
            attribution: Attribution::default(),
            dossiers: Map::default(),
            infrastructure: Infrastructure::default(),
            starts_logged: Map::default(),
            first: EventTime::MAX,
            last: EventTime::MIN,
            events: 0,
            evicted_accounts: 0,
            room: 0,
            habits: OnceLock::new(),
            clocks: OnceLock::new(),
            touched: None,
        }
    }

    /// The principals about whose sessions something was written since the last call; none at the first, from which on they are kept.
    pub fn take_touched(&mut self) -> Vec<Sym> {
        let touched = self.touched.replace(Map::default()).unwrap_or_default();
        touched.into_keys().collect()
    }

    /// Nobody was touched since the last call of [`Engine::take_touched`].
    pub fn forget_touched(&mut self) {
        if let Some(touched) = &mut self.touched {
            touched.clear();
        }
    }

    /// By how much the gateway's clock was fast when the session began, in microseconds; `None` where nothing says so.
    pub fn clock_fast_by(&self, session: &Session) -> Option<i64> {
        let off = self.clocks.get_or_init(|| crate::clocks::off(self));
        off.get(&(session.principal, session.index)).copied()
    }

    /// How many sessions at a gateway and group showed a second factor, and how many did not.
    pub fn factor_habit(&self, gateway: Sym, group: Sym) -> (u32, u32) {
        let habits = self.habits.get_or_init(|| {
            let mut all: Map<(Sym, Sym), (u32, u32)> = Map::default();
            for dossier in self.dossiers.values() {
                for s in dossier.sessions.iter().filter(|s| s.entered && s.came_from_outside()) {
                    let habit = all.entry((s.gateway, s.group)).or_default();
                    let shown = s.mfa.mfa == Mfa::Yes || dossier.approved_at(s.start);
                    *(if shown { &mut habit.0 } else { &mut habit.1 }) += 1;
                }
            }
            all
        });
        habits.get(&(gateway, group)).copied().unwrap_or_default()
    }

    /// Takes the next event. Events must come in total order ([`Event::order`]), each once.
    pub fn push(&mut self, event: &Event) {
        self.events += 1;
        self.habits.take();
        self.clocks.take();
        self.first = self.first.min(event.time);
        self.last = self.last.max(event.time);
        self.infrastructure.note(event);
        let account = (event.user.is_some()).then(|| self.memo.account(self.context, event.user));
        if account.as_ref().is_some_and(|a| a.kind == AccountKind::Machine)
            && !matches!(event.act, Act::Nac | Act::Alert)
        {
            return;
        }
        match event.act {
            Act::Lease => self.lease(event),
            Act::Nac => self.nac(event, account.as_deref()),
            Act::Auth | Act::Logon | Act::Admin | Act::SessionStart | Act::IpAssign if event.is_failure() => {
                self.failure(event, account.as_deref())
            }
            Act::Auth => self.auth(event, account),
            Act::Mfa => self.mfa(event, account.as_deref()),
            Act::Posture => {}
            Act::SessionStart | Act::IpAssign | Act::SessionResume => self.access(event, account),
            Act::SessionEnd => self.session_end(event, account.as_deref()),
            Act::Logon => self.logon(event, account),
            Act::Logoff => {}
            Act::Admin => self.admin(event, account),
            Act::Config | Act::Account => self.change(event, account),
            Act::Api => self.api(event, account),
            Act::Flow => self.flow(event, account.as_deref()),
            Act::Exec => self.exec(event, account.as_deref()),
            Act::Alert => self.alert(event, account.as_deref()),
        }
    }

    pub(crate) fn dossier(&mut self, principal: Sym, at: EventTime) -> &mut Dossier {
        if let Some(touched) = &mut self.touched {
            touched.insert(principal, ());
        }
        self.dossier_aside(principal, at)
    }

    /// To write what can change no verdict but those of later sessions.
    fn dossier_aside(&mut self, principal: Sym, at: EventTime) -> &mut Dossier {
        if self.dossiers.len() >= self.room.max(ACCOUNTS) && !self.dossiers.contains_key(&principal) {
            self.evict();
        }
        let begun = || Arc::new(Dossier { principal, first: at, last: at, ..Dossier::default() });
        Arc::make_mut(self.dossiers.entry(principal).or_insert_with(begun))
    }

    /// Drops accounts that nobody ever got in with: names that are guessed cost memory no longer than they matter. Decided
    /// by event time alone, and by name where that is equal, so the same in every run.
    fn evict(&mut self) {
        let strangers = self.dossiers.values().filter(|d| d.is_stranger());
        let mut ages: Vec<(EventTime, Arc<str>, Sym)> = strangers
            .map(|d| {
                (d.attempts.last().map_or(d.last, |a| a.time), self.names.text(d.principal), d.principal)
            })
            .collect();
        ages.sort_unstable_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        for (_, _, principal) in ages.iter().take(ages.len().div_ceil(2)) {
            self.dossiers.remove(principal);
            self.evicted_accounts += 1;
        }
        self.room = self.dossiers.len() / 4 * 5;
    }

    fn evidence(event: &Event) -> Evidence {
        Evidence { time: event.time, raw: event.raw }
    }

    /// An attempt that failed, or was refused although the password was right.
    fn failure(&mut self, event: &Event, account: Option<&Account>) {
        let principal = account.map_or(Sym::NONE, |a| a.name);
        let attempt = Attempt {
            time: event.time,
            account: principal,
            ip: event.src_ip,
            service: event.service,
            times: event.repeat.max(1),
            blocked_after_password: event.outcome == Outcome::BlockedAfterPassword,
            no_such_user: event.reason == portreeve_model::event::Reason::NoUser,
            evidence: Self::evidence(event),
        };
        // An AAA server repeats what the gateway reports; the gateway's own line counts.
        let repeats = event.flags.has(Flags::REPEATS);
        if event.src_ip.is_some() && !repeats {
            self.infrastructure.fail(attempt);
        }
        if principal.is_none() || repeats {
            return;
        }
        // A failed logon inside, from a tunnel or a reached host, is part of what the session did.
        if event.act == Act::Logon
            && event.src_ip.is_private()
            && let Some(link) = self.link(event, principal)
        {
            self.touch(event, link, principal, false);
        }
        let dossier = self.dossier(principal, event.time);
        dossier.failures += u64::from(event.times());
        dossier.attempts.push(attempt);
        if event.outcome == Outcome::BlockedAfterPassword && event.src_ip.is_public() {
            self.open_or_join(event, principal, |s| s.refused |= !s.entered);
        }
    }

    fn auth(&mut self, event: &Event, account: Option<Arc<Account>>) {
        let Some(account) = account else { return };
        if event.outcome != Outcome::Success {
            return;
        }
        match event.service {
            // A domain controller tells who is where inside.
            Service::Directory => self.logon(event, Some(account)),
            Service::Windows | Service::Host => self.logon(event, Some(account)),
            Service::Wired | Service::Wireless => {}
            _ if event.src_ip.is_private() && !self.is_gateway_like(event.service) => {
                self.inner_use(event, &account);
            }
            service => {
                let entered = !event.flags.has(Flags::PRE_MFA)
                    && matches!(
                        service,
                        Service::Idp
                            | Service::CloudConsole
                            | Service::Kubernetes
                            | Service::Ztna
                            | Service::Rmm
                            | Service::CloudApi
                            | Service::Bastion
                    );
                self.access_as(event, account.name, entered);
            }
        }
    }

    fn is_gateway_like(&self, service: Service) -> bool {
        matches!(
            service,
            Service::Vpn
                | Service::Radius
                | Service::Ica
                | Service::RdGateway
                | Service::Ztna
                | Service::Bastion
                | Service::Rmm
        )
    }

    fn access(&mut self, event: &Event, account: Option<Arc<Account>>) {
        if event.act == Act::SessionStart && event.observer.is_some() {
            self.starts_logged.insert((crate::fold::principal::family(event.service), event.observer), ());
        }
        let Some(account) = account else { return };
        if event.outcome == Outcome::Failure {
            return;
        }
        let entered = event.act != Act::SessionResume && !event.flags.has(Flags::PRE_MFA);
        self.access_as(event, account.name, entered);
    }

    fn access_as(&mut self, event: &Event, principal: Sym, entered: bool) {
        if event.src_ip.is_some() {
            self.infrastructure.source(event.src_ip, event.time).succeed(principal, event.time);
        }
        let resumed = event.act == Act::SessionResume;
        let orphan = resumed;
        let index = self.open_or_join(event, principal, |s| {
            s.entered |= entered;
            if resumed {
                s.stay(event, true);
                if let Some(stay) = s.stays.iter_mut().find(|x| x.ip == event.src_ip) {
                    stay.resumed = true;
                }
            }
        });
        let dossier = self.dossier(principal, event.time);
        dossier.active(event.time);
        let session = Arc::make_mut(&mut dossier.sessions[index]);
        if orphan && session.evidence.len() == 1 {
            session.orphan = true;
            session.entered = true;
        }
        if event.tun_ip.is_some() {
            self.attribution.lease(event.tun_ip, principal, index, event.time);
        }
    }

    /// The session of this access, begun if need be; `then` sees it after the event was taken in.
    fn open_or_join(&mut self, event: &Event, principal: Sym, then: impl FnOnce(&mut Session)) -> usize {
        let place = self.place_of(event);
        let event = &self.with_canonical_names(event);
        let dossier = self.dossier(principal, event.time);
        let index = match dossier.join(event) {
            Some(index) => {
                let session = Arc::make_mut(&mut dossier.sessions[index]);
                let unplaced = session.stays.is_empty();
                session.take_in(event);
                if unplaced && event.src_ip.is_some() {
                    session.place = place;
                }
                if session.service == Service::Radius && event.service != Service::Radius {
                    session.service = event.service;
                    session.gateway = event.observer.or(session.gateway);
                    session.source = event.source.or(session.source);
                }
                index
            }
            None => {
                let index = dossier.sessions.len();
                dossier.sessions.push(Arc::new(Session::begin(index, principal, event, place)));
                index
            }
        };
        if event.src_ip.is_some() {
            dossier.by_address.insert((family(event.service), event.src_ip), index);
        }
        then(Arc::make_mut(&mut dossier.sessions[index]));
        if event.device.is_some() {
            self.infrastructure.devices.add(event.device, principal, event.time);
        }
        if event.src_ip.is_public() {
            self.infrastructure.addresses.add(event.src_ip, principal, event.time);
            if place.asn != 0 {
                self.infrastructure.asns.add(place.asn, principal, event.time);
            }
            if place.country.is_some() {
                self.infrastructure.countries.add(place.country.0, principal, event.time);
            }
        }
        index
    }

    /// Host-like names in one spelling, so that sessions join across sources.
    fn with_canonical_names(&mut self, event: &Event) -> Event {
        let mut event = event.clone();
        if matches!(
            event.service,
            Service::Ssh | Service::Rdp | Service::Windows | Service::Vnc | Service::WinRm
        ) && event.host.is_some()
        {
            event.observer = self.memo.host(self.context, event.host).name;
            event.host = event.observer;
        } else if event.observer.is_some() {
            event.observer = self.memo.host(self.context, event.observer).name;
        }
        event
    }

    /// Geo database first, else what the product itself says.
    pub(crate) fn place_of(&mut self, event: &Event) -> portreeve_model::place::Place {
        if event.src_ip.is_none() {
            return portreeve_model::place::Place::default();
        }
        let mut place = self.memo.place(self.context, event.src_ip);
        if !place.country.is_some() && event.country.is_some() && event.src_ip.is_public() {
            place.country = event.country;
            place.city = event.city;
            place.point = event.point;
            place.radius_km = if event.point.is_some() { 100 } else { 0 };
        }
        place
    }

    fn mfa(&mut self, event: &Event, account: Option<&Account>) {
        let Some(account) = account else { return };
        let evidence = Self::evidence(event);
        let seen = MfaEvent {
            time: event.time,
            outcome: event.outcome,
            reason: event.reason,
            mfa: event.mfa,
            factor: event.factor,
            flags: event.flags,
            ip: event.src_ip,
            device: event.device,
            token: event.target,
            evidence,
        };
        let principal = account.name;
        self.dossier(principal, event.time).push_mfa(seen);
        if event.outcome == Outcome::Success && event.service == Service::Idp && event.src_ip.is_public() {
            let event = &self.with_canonical_names(event);
            let dossier = self.dossier(principal, event.time);
            if let Some(index) = dossier.join(event) {
                let mfa = if event.mfa == Mfa::Unknown { Mfa::Yes } else { event.mfa };
                let session = Arc::make_mut(&mut dossier.sessions[index]);
                session.take_in(event);
                session.tell_mfa(mfa, event.factor, event.flags, evidence);
            }
        }
    }

    fn session_end(&mut self, event: &Event, account: Option<&Account>) {
        let event = &self.with_canonical_names(event);
        let principal = match account {
            Some(account) => account.name,
            None => match self.attribution.holder(event.tun_ip, event.time) {
                Some(holder) => holder.principal,
                None => return,
            },
        };
        let dossier = self.dossier(principal, event.time);
        let Some(index) = dossier.join(event) else { return };
        let session = Arc::make_mut(&mut dossier.sessions[index]);
        session.take_in(event);
        session.end = Some(session.end.map_or(event.time, |end| end.max(event.time)));
        if session.end_reason == portreeve_model::event::Reason::None {
            session.end_reason = event.reason;
        }
        session.bytes_in = session.bytes_in.max(event.bytes_in);
        session.bytes_out = session.bytes_out.max(event.bytes_out);
        for (ip, _) in session.tunnels.clone() {
            self.attribution.release(ip, principal, index, event.time);
        }
    }

    fn logon(&mut self, event: &Event, account: Option<Arc<Account>>) {
        let Some(account) = account else { return };
        if event.outcome != Outcome::Success || account.kind == AccountKind::Anonymous {
            return;
        }
        let remote = event.src_ip.is_public()
            && matches!(
                event.service,
                Service::Ssh
                    | Service::Rdp
                    | Service::Windows
                    | Service::Host
                    | Service::RdGateway
                    | Service::Vnc
                    | Service::WinRm
            );
        if remote {
            let mut event = event.clone();
            if matches!(event.service, Service::Windows | Service::Host) {
                event.service = Service::Rdp;
            }
            self.access_as(&event, account.name, true);
            let host = self.memo.host(self.context, event.host.or(event.observer)).name;
            let index = self.dossier(account.name, event.time).sessions.len() - 1;
            if host.is_some() {
                let reached = Reached {
                    principal: account.name,
                    session: index,
                    user: account.name,
                    time: event.time,
                    depth: 0,
                };
                self.attribution.reach(host, reached);
            }
            return;
        }
        self.inner_use(event, &account);
    }

    /// Use inside: belongs to a remote session, or is the principal's ordinary presence.
    fn inner_use(&mut self, event: &Event, account: &Account) {
        let user = account.name;
        let mut link = self.link(event, user);
        if link.is_none() && event.src_ip.is_some() && self.memo.pool(self.context, event.src_ip).is_some() {
            link = self.orphan(event, user);
        }
        match link {
            Some(link) => self.touch(event, link, user, true),
            None => {
                let host = self.host_of(event);
                let protocol = protocol_of(event);
                // The ordinary day of everybody who is inside: it is no reason to judge them at once.
                let dossier = self.dossier_aside(user, event.time);
                dossier.active(event.time);
                if host.is_some() {
                    dossier.hosts.entry((host, protocol)).or_default().add(event.time, OUTSIDE_SESSIONS);
                }
            }
        }
        self.note_host_use(event, account);
    }

    pub fn seen(&self, kind: SeenKind) -> bool {
        self.infrastructure.seen.any(kind)
    }

    pub fn span(&self) -> Option<(EventTime, EventTime)> {
        (self.events > 0).then_some((self.first, self.last))
    }

    /// State that was dropped to stay within budgets, by kind.
    pub fn evicted(&self) -> Vec<(&'static str, u64)> {
        let dropped = self.dossiers.values().map(|d| d.dropped).sum();
        let session: u64 =
            self.dossiers.values().flat_map(|d| &d.sessions).map(|s| u64::from(s.dropped)).sum();
        vec![
            ("sources", self.infrastructure.evicted_sources),
            ("accounts without success", self.evicted_accounts),
            ("address holders", self.attribution.evicted),
            ("dossier records", dropped),
            ("session records", session),
        ]
    }
}

fn is_factor(change: Change) -> bool {
    matches!(
        change,
        Change::FactorEnrolled
            | Change::FactorRemoved
            | Change::FactorReset
            | Change::PasswordReset
            | Change::AccountLocked
    )
}

/// 802.1X by MAB names the hardware address as the user.
fn is_mac_name(name: &str) -> bool {
    portreeve_model::event::Mac::parse(name.as_bytes()).is_some()
}

fn protocol_of(event: &Event) -> Protocol {
    match event.service {
        Service::Ssh => Protocol::Ssh,
        Service::Vnc => Protocol::Vnc,
        Service::WinRm => Protocol::WinRm,
        Service::Rdp | Service::RdGateway => Protocol::Rdp,
        Service::Directory => Protocol::Kerberos,
        Service::Windows if event.dst_port != 0 => Protocol::of_port(event.dst_port),
        Service::Windows if event.logon_type == 10 => Protocol::Rdp,
        Service::Windows => Protocol::Smb,
        _ if event.dst_port != 0 => Protocol::of_port(event.dst_port),
        _ => Protocol::Other,
    }
}
