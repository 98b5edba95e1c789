//! What happens behind the gateway: whose session it belongs to, which hosts it reaches, what is done there.

use super::*;

impl Engine<'_> {
    pub(super) fn note_host_use(&mut self, event: &Event, account: &Account) {
        let host = self.host_of(event);
        if host.is_some() {
            self.infrastructure.hosts.add((host, Sym::NONE), account.name, event.time);
            if account.department.is_some() {
                self.infrastructure.hosts.add((host, account.department), account.name, event.time);
            }
        }
    }

    /// The host that an event inside is about, canonical.
    pub(super) fn host_of(&mut self, event: &Event) -> Sym {
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
    pub(super) fn link(&mut self, event: &Event, user: Sym) -> Option<Link> {
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
    pub(super) fn known_on(&self, user: Sym, host: Sym, event: &Event) -> bool {
        self.dossiers
            .get(&user)
            .is_some_and(|d| d.hosts.iter().any(|((h, _), u)| *h == host && u.before(event.time, &|_| false)))
    }

    /// A pool address is in use and no tunnel holds it.
    pub(super) fn orphan(&mut self, event: &Event, user: Sym) -> Option<Link> {
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

    pub(super) fn touch(&mut self, event: &Event, link: Link, user: Sym, success: bool) {
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
        if let Some(session) = dossier.sessions.get_mut(link.session).map(Arc::make_mut) {
            session.last = session.last.max(event.time.min(session.end.unwrap_or(event.time)));
            session.touch(touch);
        }
    }

    pub(super) fn flow(&mut self, event: &Event, account: Option<&Account>) {
        // A broker of zero-trust access tells who reached what, whatever address the person came from.
        if event.service == Service::Ztna
            && let Some(account) = account
        {
            let open = self.dossiers.get(&account.name).and_then(|d| d.open_at(event.time));
            if let Some(session) = open {
                let link = Link { principal: account.name, session, depth: 1 };
                self.touch(event, link, Sym::NONE, !event.is_failure());
            }
            return;
        }
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

    pub(super) fn exec(&mut self, event: &Event, account: Option<&Account>) {
        let user = account.map_or(Sym::NONE, |a| a.name);
        let host = self.host_of(event);
        let link = self.link_on_host(event, host, user);
        self.deed(event, DeedKind::Command, link, user, host);
    }

    /// A session of this account on this host, or one that reached the host as this account, or the account's
    /// own open session.
    pub(super) fn link_on_host(&mut self, event: &Event, host: Sym, user: Sym) -> Option<Link> {
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

    pub(super) fn deed(&mut self, event: &Event, kind: DeedKind, link: Option<Link>, user: Sym, host: Sym) {
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
                if let Some(session) = dossier.sessions.get_mut(link.session).map(Arc::make_mut) {
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
    pub(super) fn right_of(&self, event: &Event) -> Option<Sym> {
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

    pub(super) fn admin(&mut self, event: &Event, account: Option<Arc<Account>>) {
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

    pub(super) fn change(&mut self, event: &Event, account: Option<Arc<Account>>) {
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
            let all = Arc::make_mut(self.infrastructure.created.entry(target).or_default());
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
                dossier.sessions.iter().map(AsRef::as_ref).rev().find(same).map(|s| s.index)
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

    pub(super) fn own_service(&self, service: Service) -> bool {
        matches!(
            service,
            Service::Management
                | Service::CloudApi
                | Service::CloudConsole
                | Service::Kubernetes
                | Service::Idp
        )
    }

    pub(super) fn api(&mut self, event: &Event, account: Option<Arc<Account>>) {
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

    pub(super) fn alert(&mut self, event: &Event, account: Option<&Account>) {
        // What a firewall, an intrusion detector or a cloud calls an alert says nothing of a device that EDR watches.
        if event.service != Service::Edr {
            return;
        }
        let host = self.memo.host(self.context, event.host.or(event.device)).name;
        if host.is_some() {
            let all = Arc::make_mut(self.infrastructure.host_alerts.entry(host).or_default());
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

    pub(super) fn lease(&mut self, event: &Event) {
        if event.tun_ip.is_some() && event.device.is_some() {
            let device = self.memo.host(self.context, event.device).name;
            self.attribution.device(event.tun_ip, device, event.time);
        }
    }

    pub(super) fn nac(&mut self, event: &Event, account: Option<&Account>) {
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
}
