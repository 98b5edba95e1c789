//! What the tables answer when they are asked.

use super::*;

impl Context for Tables {
    fn coverage(&self) -> Coverage {
        self.coverage
    }

    fn place(&self, ip: Ip) -> Place {
        if let Some(place) = self.places.read().unwrap_or_else(PoisonError::into_inner).get(&ip) {
            return *place;
        }
        let place = self.placed(ip);
        self.places.write().unwrap_or_else(PoisonError::into_inner).insert(ip, place);
        place
    }

    fn intel(&self, ip: Ip, at: EventTime) -> Vec<IntelHit> {
        if !ip.is_public() || self.egress.get(ip).is_some() {
            return Vec::new();
        }
        self.intel.hits(ip, at)
    }

    fn account(&self, user: Sym) -> Account {
        let text = self.names.text(user);
        let lower = text.trim().to_lowercase();
        let (bare, kind) = canonical_account(&text);
        let found = self.spellings.get(&lower).or_else(|| self.spellings.get(&bare));
        if let Some(account) = found.and_then(|name| self.accounts.get(name)) {
            return account.clone();
        }
        let paired = administrator_of(&bare)
            .into_iter()
            .find_map(|p| self.spellings.get(p))
            .copied()
            .unwrap_or(Sym::NONE);
        // Without a directory the name alone pairs `adm-anna` with `anna`.
        let guessed = (!self.coverage.directory && paired.is_none() && kind == AccountKind::AdminOfPerson)
            .then(|| administrator_of(&bare).into_iter().next().map(|p| self.names.intern(p)))
            .flatten();
        let paired = guessed.unwrap_or(paired);
        let kind =
            if paired.is_some() && kind == AccountKind::Person { AccountKind::AdminOfPerson } else { kind };
        Account { name: self.names.intern(&bare), kind, paired, ..Account::default() }
    }

    fn host(&self, name: Sym) -> Host {
        let text = canonical_host(&self.names.text(name));
        if text.is_empty() {
            return Host::default();
        }
        if let Some(host) = self.names.get(&text).and_then(|n| self.hosts.get(&n)) {
            return host.clone();
        }
        if let Some(host) = self.host_of_ip(Ip::parse(text.as_bytes())) {
            return host;
        }
        // By its name alone: `dc01`, `muc-dc1`.
        let tier0 = text.split(['-', '_']).any(|p| {
            p.strip_prefix("dc").is_some_and(|d| !d.is_empty() && d.chars().all(|c| c.is_ascii_digit()))
        });
        Host { name: self.names.intern(&text), tier0, ..Host::default() }
    }

    fn host_of_ip(&self, ip: Ip) -> Option<Host> {
        if ip.is_none() {
            return None;
        }
        self.host_by_ip.get(&ip).and_then(|name| self.hosts.get(name)).cloned()
    }

    fn vpn_pool(&self, ip: Ip) -> Option<Sym> {
        self.pools.get(ip).copied()
    }

    fn vlan_admits(&self, vlan: u16, department: Sym) -> Option<bool> {
        let admitted = self.vlans.get(&vlan)?;
        if admitted.is_empty() {
            return None;
        }
        if department.is_none() {
            return None;
        }
        let text = self.names.text(department).to_lowercase();
        Some(admitted.iter().any(|d| {
            let d = self.names.text(*d).to_lowercase();
            d == "*" || d == "all" || d == text
        }))
    }

    fn mfa_policy(&self, event: &Event) -> MfaPolicy {
        let lower = |s: Sym| self.names.text(s).to_lowercase();
        let (gateway, group, source) =
            (canonical_host(&lower(event.observer)), lower(event.group), lower(event.source));
        let mut best: Option<(u8, bool)> = None;
        for policy in &self.policies {
            let gateway_fits =
                policy.gateway.is_empty() || (!gateway.is_empty() && policy.gateway == gateway);
            let group_fits = policy.group.is_empty() || (!group.is_empty() && policy.group == group);
            let service_fits = policy.service.is_empty() || serves(&policy.service, event.service, &source);
            // A gateway or group that the event does not name cannot be excluded, but says less.
            if !gateway_fits
                || !group_fits
                || !(service_fits || (!policy.gateway.is_empty() && policy.gateway == gateway))
            {
                continue;
            }
            let rank = 4 * u8::from(!policy.gateway.is_empty())
                + 2 * u8::from(!policy.group.is_empty())
                + u8::from(service_fits && !policy.service.is_empty());
            if best.is_none_or(|(r, _)| rank > r) {
                best = Some((rank, policy.required));
            }
        }
        match best {
            Some((_, true)) => MfaPolicy::Required,
            Some((_, false)) => MfaPolicy::NotRequired,
            None => MfaPolicy::Unknown,
        }
    }

    fn travel(&self, account: Sym, at: EventTime) -> Vec<Place> {
        let Some(trips) = self.trips.get(&account) else { return Vec::new() };
        let valid = |t: &&Trip| t.from.minus(12 * HOUR_US) <= at && at <= t.to.plus(36 * HOUR_US);
        trips.iter().filter(valid).map(|t| t.place).collect()
    }

    fn offices(&self) -> Vec<Place> {
        self.egress
            .values()
            .filter(|(_, p, people)| *people && p.point.is_some())
            .map(|(_, p, _)| *p)
            .collect()
    }

    fn explained(&self, account: Sym, ip: Ip, at: EventTime) -> Vec<Explained> {
        let mut found = Vec::new();
        for t in &self.testing {
            let by_address = t.cidr.is_some_and(|c| c.contains(ip));
            let by_account = t.account.is_some() && t.account == account;
            // Where both are given, either names the tester.
            if t.from <= at && at <= t.to && (by_address || by_account) {
                found.push(Explained::Testing { purpose: t.purpose.clone() });
            }
        }
        let paired = self.accounts.get(&account).map_or(Sym::NONE, |a| a.paired);
        let me = |s: &Sym| *s == account || (paired.is_some() && *s == paired);
        for t in &self.tickets {
            if t.opened <= at && at <= t.closed.plus(12 * HOUR_US) && t.people.iter().any(me) {
                found.push(Explained::Ticket {
                    id: t.id.clone(),
                    category: t.category.clone(),
                    summary: t.summary.clone(),
                });
            }
        }
        if self.on_call.iter().any(|(who, from, to)| me(who) && *from <= at && at <= *to) {
            found.push(Explained::OnCall);
        }
        found
    }
}

/// Does a policy's word for a service (`asa-vpn`, `okta`, `aws-console`, `ssh`) mean this one?
fn serves(word: &str, service: Service, source: &str) -> bool {
    let has = |parts: &[&str]| parts.iter().any(|p| word.contains(p));
    if !source.is_empty()
        && (word == source
            || source.split('_').any(|p| p.len() > 2 && word.split(['-', '_', ' ']).any(|w| w == p)))
    {
        return true;
    }
    match service {
        Service::Vpn | Service::Radius => has(&["vpn", "anyconnect", "globalprotect", "fortigate", "ssl"]),
        Service::Ica => has(&["citrix", "netscaler", "ica"]),
        Service::RdGateway => has(&["rdg", "rd gateway", "rd-gateway", "rd_gateway", "rds"]),
        Service::Rdp => has(&["rdp"]) && !has(&["gateway"]),
        Service::Ssh => has(&["ssh", "bastion"]),
        Service::Idp => has(&["okta", "entra", "azure", "idp", "sso", "m365", "o365"]),
        Service::CloudConsole | Service::CloudApi => has(&["aws", "cloud", "console"]),
        Service::Kubernetes => has(&["k8s", "kubernetes"]),
        Service::Management => has(&["admin", "management"]),
        _ => false,
    }
}
