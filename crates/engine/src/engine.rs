//! Takes events in total order and routes each to the dossiers that it concerns.

use crate::fold::attribution::{Attribution, Reached};
use crate::fold::infrastructure::{
    Attempt, GatewayChange, HostAlert, Infrastructure, SeenKind, push_bounded,
};
use crate::fold::principal::{ChangeSeen, Dossier, MfaEvent, NacSeen, OUTSIDE_SESSIONS, family};
use crate::memo::{Map, Memo};
use crate::session::{Deed, DeedKind, Protocol, Session, Touch};
use portreeve_model::event::{Act, Change, Event, Flags, Method, Mfa, Outcome, Service};
use portreeve_model::facts::{Account, AccountKind, Context};
use portreeve_model::signal::Evidence;
use portreeve_model::time::DAY_US;
use portreeve_model::{EventTime, Ip, Sym, SymbolTable};
use std::sync::{Arc, OnceLock};

/// Who uses a shared host has to be known for so long, before a stranger there is taken for who entered it.
const ACQUAINTANCE_US: i64 = 3 * DAY_US;

/// The folds and what they hold. One engine judges one set of principals; it is the same in a hunt over files,
/// live, and per partition of a cluster.
pub struct Engine<'c> {
    pub(crate) context: &'c dyn Context,
    pub(crate) names: Arc<SymbolTable>,
    pub(crate) memo: Memo,
    pub(crate) attribution: Attribution,
    pub(crate) dossiers: Map<Sym, Dossier>,
    pub(crate) infrastructure: Infrastructure,
    /// Gateways whose log has a line for the begin of a session: there, a right password alone is no entry.
    pub(crate) starts_logged: Map<(Service, Sym), ()>,
    pub(crate) first: EventTime,
    pub(crate) last: EventTime,
    pub(crate) events: u64,
    /// Sessions by gateway and group that showed a second factor, and those that did not; counted when asked.
    habits: OnceLock<Map<(Sym, Sym), (u32, u32)>>,
    /// Sessions that began while their gateway's clock was off; found when asked.
    clocks: OnceLock<Map<(Sym, usize), i64>>,
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
            habits: OnceLock::new(),
            clocks: OnceLock::new(),
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
        self.dossiers.entry(principal).or_insert_with(|| Dossier {
            principal,
            first: at,
            last: at,
            ..Dossier::default()
        })
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
            self.infrastructure.source(event.src_ip, event.time).fail(attempt);
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
        push_bounded(&mut dossier.attempts, attempt);
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
                    );
                self.access_as(event, account.name, entered);
            }
        }
    }

    fn is_gateway_like(&self, service: Service) -> bool {
        matches!(service, Service::Vpn | Service::Radius | Service::Ica | Service::RdGateway | Service::Ztna)
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
        let session = &mut dossier.sessions[index];
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
                let session = &mut dossier.sessions[index];
                let unplaced = session.stays.is_empty();
                session.take_in(event);
                if unplaced && event.src_ip.is_some() {
                    session.place = place;
                }
                if session.service == Service::Radius && event.service != Service::Radius {
                    session.service = event.service;
                    session.gateway = event.observer.or(session.gateway);
                }
                index
            }
            None => {
                let index = dossier.sessions.len();
                dossier.sessions.push(Session::begin(index, principal, event, place));
                index
            }
        };
        if event.src_ip.is_some() {
            dossier.by_address.insert((family(event.service), event.src_ip), index);
        }
        then(&mut dossier.sessions[index]);
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
        if matches!(event.service, Service::Ssh | Service::Rdp | Service::Windows) && event.host.is_some() {
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
            factor: event.factor,
            flags: event.flags,
            ip: event.src_ip,
            evidence,
        };
        let principal = account.name;
        self.dossier(principal, event.time).push_mfa(seen);
        if event.outcome == Outcome::Success && event.service == Service::Idp && event.src_ip.is_public() {
            let event = &self.with_canonical_names(event);
            let dossier = self.dossier(principal, event.time);
            if let Some(index) = dossier.join(event) {
                let mfa = if event.mfa == Mfa::Unknown { Mfa::Yes } else { event.mfa };
                let session = &mut dossier.sessions[index];
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
        let session = &mut dossier.sessions[index];
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
                Service::Ssh | Service::Rdp | Service::Windows | Service::Host | Service::RdGateway
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
                let dossier = self.dossier(user, event.time);
                dossier.active(event.time);
                if host.is_some() {
                    dossier.hosts.entry((host, protocol)).or_default().add(event.time, OUTSIDE_SESSIONS);
                }
            }
        }
        self.note_host_use(event, account);
    }

    fn note_host_use(&mut self, event: &Event, account: &Account) {
        let host = self.host_of(event);
        if host.is_some() {
            self.infrastructure.hosts.add((host, Sym::NONE), account.name, event.time);
            if account.department.is_some() {
                self.infrastructure.hosts.add((host, account.department), account.name, event.time);
            }
        }
    }

    /// The host that an event inside is about, canonical.
    fn host_of(&mut self, event: &Event) -> Sym {
        if event.host.is_some() {
            return self.memo.host(self.context, event.host).name;
        }
        if event.dst_ip.is_some() {
            if let Some(host) = self.memo.host_of_ip(self.context, event.dst_ip) {
                return host.name;
            }
            return self.names.intern(&event.dst_ip.to_string());
        }
        match event.act {
            Act::Logon | Act::Exec | Act::Alert | Act::Auth if event.service != Service::Directory => {
                self.memo.host(self.context, event.observer).name
            }
            _ => Sym::NONE,
        }
    }

    /// Which session an event inside belongs to: by tunnel address, by a host reached before, by the account's
    /// own open session on that host.
    fn link(&mut self, event: &Event, user: Sym) -> Option<Link> {
        if event.src_ip.is_some() {
            if let Some(holder) = self.attribution.holder(event.src_ip, event.time) {
                return Some(Link { principal: holder.principal, session: holder.session, depth: 1 });
            }
            if let Some(from) = self.memo.host_of_ip(self.context, event.src_ip)
                && let Some(reached) = self.attribution.on_host(from.name, user, event.time)
                && reached.depth < 3
            {
                return Some(Link {
                    principal: reached.principal,
                    session: reached.session,
                    depth: reached.depth + 1,
                });
            }
            if let Some(from) = self.memo.host_of_ip(self.context, event.src_ip)
                && !from.endpoint
                && user.is_some()
                && let Some(entry) = self.attribution.sole_entry(from.name, event.time)
                && event.time.since(self.first) > ACQUAINTANCE_US
                && !self.known_on(user, from.name, event)
            {
                return Some(Link { principal: entry.principal, session: entry.session, depth: 1 });
            }
            // A published desktop or application is reached from the gateway's own address, under the person's name.
            let desk = self.memo.host_of_ip(self.context, event.src_ip).is_some_and(|h| h.endpoint);
            if !desk
                && event.src_ip.is_private()
                && let Some(session) = self.dossiers.get(&user).and_then(|d| d.published_at(event.time))
            {
                return Some(Link { principal: user, session, depth: 1 });
            }
            return None;
        }
        None
    }

    /// Has the account a history of its own on or from this host?
    fn known_on(&self, user: Sym, host: Sym, event: &Event) -> bool {
        self.dossiers
            .get(&user)
            .is_some_and(|d| d.hosts.iter().any(|((h, _), u)| *h == host && u.before(event.time, &|_| false)))
    }

    /// A pool address is in use and no tunnel holds it.
    fn orphan(&mut self, event: &Event, user: Sym) -> Option<Link> {
        let mut begun = event.clone();
        begun.service = Service::Vpn;
        begun.act = Act::SessionStart;
        begun.observer = Sym::NONE;
        begun.tun_ip = Ip::NONE;
        begun.sid = Sym::NONE;
        begun.host = Sym::NONE;
        let index = self.open_or_join(&begun, user, |s| {
            s.orphan = true;
            s.entered = true;
        });
        self.attribution.lease(event.src_ip, user, index, event.time);
        Some(Link { principal: user, session: index, depth: 1 })
    }

    fn touch(&mut self, event: &Event, link: Link, user: Sym, success: bool) {
        let host = self.host_of(event);
        if host.is_none() {
            return;
        }
        let protocol = protocol_of(event);
        let touch = Touch {
            host,
            protocol,
            user,
            first: event.time,
            last: event.time,
            successes: u32::from(success),
            failures: u32::from(!success),
            logon: matches!(event.act, Act::Logon | Act::Auth),
            depth: link.depth,
            evidence: Self::evidence(event),
        };
        if success && event.act == Act::Logon && user.is_some() {
            let reached = Reached {
                principal: link.principal,
                session: link.session,
                user,
                time: event.time,
                depth: link.depth,
            };
            self.attribution.reach(host, reached);
        }
        let dossier = self.dossier(link.principal, event.time);
        if success {
            dossier.hosts.entry((host, protocol)).or_default().add(event.time, link.session);
        }
        if let Some(session) = dossier.sessions.get_mut(link.session) {
            session.last = session.last.max(event.time.min(session.end.unwrap_or(event.time)));
            session.touch(touch);
        }
    }

    fn flow(&mut self, event: &Event, account: Option<&Account>) {
        if event.src_ip.is_public() {
            if event.is_failure() {
                self.infrastructure.source(event.src_ip, event.time).denied += u64::from(event.times());
            }
            return;
        }
        let user = account.map_or(Sym::NONE, |a| a.name);
        let Some(link) = self.link(event, user) else { return };
        // The account of a tunnel is the session's own; a flow has no other.
        self.touch(event, link, Sym::NONE, !event.is_failure());
    }

    fn exec(&mut self, event: &Event, account: Option<&Account>) {
        let user = account.map_or(Sym::NONE, |a| a.name);
        let host = self.host_of(event);
        let link = self.link_on_host(event, host, user);
        self.deed(event, DeedKind::Command, link, user, host);
    }

    /// A session of this account on this host, or one that reached the host as this account, or the account's
    /// own open session.
    fn link_on_host(&mut self, event: &Event, host: Sym, user: Sym) -> Option<Link> {
        if let Some(link) = self.link(event, user) {
            return Some(link);
        }
        let reached = (host.is_some()).then(|| self.attribution.on_host(host, user, event.time)).flatten();
        if let Some(r) = reached {
            return Some(Link { principal: r.principal, session: r.session, depth: r.depth + 1 });
        }
        let session = self.dossiers.get(&user)?.open_at(event.time)?;
        Some(Link { principal: user, session, depth: 1 })
    }

    fn deed(&mut self, event: &Event, kind: DeedKind, link: Option<Link>, user: Sym, host: Sym) {
        let deed = Deed {
            kind,
            time: event.time,
            user,
            host,
            target: event.target,
            detail: event.detail,
            change: event.change,
            flags: event.flags,
            severity: event.severity,
            success: event.outcome != Outcome::Failure,
            evidence: Self::evidence(event),
        };
        let right = self.right_of(event);
        let at = match link {
            Some(link) => {
                let dossier = self.dossier(link.principal, event.time);
                if let Some(session) = dossier.sessions.get_mut(link.session) {
                    session.deed(deed);
                }
                Some((link.principal, link.session))
            }
            None if user.is_some() => Some((user, OUTSIDE_SESSIONS)),
            None => None,
        };
        if let (Some((principal, session)), Some(right)) = (at, right) {
            self.dossier(principal, event.time).rights.entry(right).or_default().add(event.time, session);
            let department = self.memo.account(self.context, principal).department;
            if department.is_some() && event.outcome != Outcome::Failure {
                self.infrastructure.rights.add((right, department), principal, event.time);
            }
        }
    }

    /// The right that an event shows in use, by a name that recurs: the kind of change, or the API.
    fn right_of(&self, event: &Event) -> Option<Sym> {
        match event.act {
            Act::Account | Act::Config => Some(self.names.intern(event.change.name())),
            Act::Api => event.detail.some(),
            Act::Exec if event.flags.has(Flags::PRIVILEGED) => {
                let host = event.host.or(event.observer);
                Some(self.names.intern(&format!("sudo@{}", self.names.text(host))))
            }
            _ => None,
        }
    }

    fn admin(&mut self, event: &Event, account: Option<Arc<Account>>) {
        let Some(account) = account else { return };
        if event.outcome == Outcome::Failure {
            return;
        }
        if event.src_ip.is_public() || event.src_ip.is_loopback() {
            self.access_as(event, account.name, true);
        } else {
            self.inner_use(event, &account);
        }
    }

    fn change(&mut self, event: &Event, account: Option<Arc<Account>>) {
        let actor = account.as_ref().map_or(Sym::NONE, |a| a.name);
        let target = (event.target.is_some()).then(|| self.memo.account(self.context, event.target).name);
        let target = target.unwrap_or(Sym::NONE);
        let seen = ChangeSeen {
            time: event.time,
            change: event.change,
            actor,
            target,
            detail: event.detail,
            ip: event.src_ip,
            service: event.service,
            evidence: Self::evidence(event),
        };
        if matches!(
            event.change,
            Change::AccountCreated
                | Change::LocalUserCreated
                | Change::AdminCreated
                | Change::GroupAdded
                | Change::RoleGranted
                | Change::KeyCreated
        ) && target.is_some()
        {
            let all = self.infrastructure.created.entry(target).or_default();
            if all.len() < 32 {
                all.push(GatewayChange { event: event.clone(), actor, target });
            }
        }
        if target.is_some() && target != actor && self.dossiers.contains_key(&target)
            || is_factor(event.change)
        {
            let about = if target.is_some() { target } else { actor };
            if about.is_some() {
                self.dossier(about, event.time).push_change(seen.clone());
            }
        }
        if actor.is_none() {
            return;
        }
        if actor != target || !is_factor(event.change) {
            self.dossier(actor, event.time).push_change(seen);
        }
        let host = self.host_of(event);
        // On a management plane or in a cloud, the change belongs to the login from the same address.
        let link = if event.src_ip.is_public() || self.own_service(event.service) {
            let event = &self.with_canonical_names(event);
            let dossier = self.dossier(actor, event.time);
            let joined = dossier.join(event).or_else(|| {
                let same = |s: &&Session| {
                    s.service == event.service && event.time.since(s.last) <= 4 * 3_600_000_000
                };
                dossier.sessions.iter().rev().find(same).map(|s| s.index)
            });
            match joined {
                Some(session) => Some(Link { principal: actor, session, depth: 1 }),
                None if event.src_ip.is_public() => {
                    let session = self.open_or_join(event, actor, |s| s.entered = true);
                    Some(Link { principal: actor, session, depth: 1 })
                }
                None => self.link_on_host(event, host, actor),
            }
        } else {
            self.link_on_host(event, host, actor)
        };
        let kind = if event.act == Act::Config { DeedKind::Config } else { DeedKind::Change };
        self.deed(event, kind, link, actor, host);
    }

    fn own_service(&self, service: Service) -> bool {
        matches!(
            service,
            Service::Management
                | Service::CloudApi
                | Service::CloudConsole
                | Service::Kubernetes
                | Service::Idp
        )
    }

    fn api(&mut self, event: &Event, account: Option<Arc<Account>>) {
        let Some(account) = account else { return };
        let user = account.name;
        if event.src_ip.is_public() {
            if event.outcome == Outcome::Failure
                && !self.dossier(user, event.time).sessions.iter().any(|s| s.entered)
            {
                self.failure(event, Some(&account));
                return;
            }
            let failed = event.outcome == Outcome::Failure;
            if failed {
                self.failure(event, Some(&account));
            }
            let index = self.open_or_join(event, user, |s| s.entered |= !failed);
            if !failed {
                self.infrastructure.source(event.src_ip, event.time).succeed(user, event.time);
            }
            self.dossier(user, event.time).active(event.time);
            self.deed(
                event,
                DeedKind::Api,
                Some(Link { principal: user, session: index, depth: 1 }),
                user,
                event.host,
            );
            return;
        }
        let link = self.link(event, user);
        self.deed(event, DeedKind::Api, link, user, event.host);
    }

    fn alert(&mut self, event: &Event, account: Option<&Account>) {
        let host = self.memo.host(self.context, event.host.or(event.device)).name;
        if host.is_some() {
            let all = self.infrastructure.host_alerts.entry(host).or_default();
            if all.len() < 256 {
                let person = account
                    .filter(|a| matches!(a.kind, AccountKind::Person | AccountKind::AdminOfPerson))
                    .map_or(Sym::NONE, |a| a.name);
                all.push(HostAlert { person, event: event.clone() });
            }
        }
        if let Some(account) = account {
            let dossier = self.dossier(account.name, event.time);
            if dossier.alerts.len() < 256 {
                dossier.alerts.push(event.clone());
            }
        }
    }

    fn lease(&mut self, event: &Event) {
        if event.tun_ip.is_some() && event.device.is_some() {
            let device = self.memo.host(self.context, event.device).name;
            self.attribution.device(event.tun_ip, device, event.time);
        }
    }

    fn nac(&mut self, event: &Event, account: Option<&Account>) {
        if event.is_failure() {
            return;
        }
        let ip = event.tun_ip.or(event.src_ip);
        let seen = NacSeen {
            time: event.time,
            mac: event.mac,
            vlan: event.vlan,
            ip,
            method: event.method,
            observer: event.observer,
            port: event.detail,
            evidence: Self::evidence(event),
        };
        let person =
            account.filter(|a| a.kind != AccountKind::Machine && !is_mac_name(&self.names.text(a.name)));
        let misplaced = ip.is_some() && self.memo.pool(self.context, ip).is_some();
        // MAB names the hardware address; whoever last showed it with 802.1X is the person.
        let owner =
            self.infrastructure.dot1x.get(&event.mac).copied().filter(|_| event.method == Method::Mab);
        let (principal, department) = match (person, owner) {
            (Some(account), _) => (account.name, account.department),
            (None, Some(owner)) => (owner, self.memo.account(self.context, owner).department),
            (None, None) => return,
        };
        let weakened = owner.is_some();
        if event.method == Method::Dot1x && event.mac.is_some() {
            self.infrastructure.dot1x.insert(event.mac, principal);
        }
        let forbidden = event.vlan != 0 && self.context.vlan_admits(event.vlan, department) == Some(false);
        let dossier = self.dossier(principal, event.time);
        dossier.push_nac(seen);
        if event.vlan != 0 {
            dossier.vlans.entry(event.vlan).or_default().add(event.time, OUTSIDE_SESSIONS);
        }
        dossier.active(event.time);
        if misplaced && self.attribution.holder(ip, event.time).is_none() || forbidden || weakened {
            let mut begun = event.clone();
            begun.act = Act::SessionStart;
            begun.src_ip = ip;
            begun.tun_ip = Ip::NONE;
            if !matches!(begun.service, Service::Wireless) {
                begun.service = Service::Wired;
            }
            let index = self.open_or_join(&begun, principal, |s| s.entered = true);
            if ip.is_some() {
                self.attribution.lease(ip, principal, index, event.time);
            }
        }
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
        Service::Rdp | Service::RdGateway => Protocol::Rdp,
        Service::Directory => Protocol::Kerberos,
        Service::Windows if event.dst_port != 0 => Protocol::of_port(event.dst_port),
        Service::Windows if event.logon_type == 10 => Protocol::Rdp,
        Service::Windows => Protocol::Smb,
        _ if event.dst_port != 0 => Protocol::of_port(event.dst_port),
        _ => Protocol::Other,
    }
}
