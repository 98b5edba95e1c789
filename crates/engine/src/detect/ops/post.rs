//! After the access: hosts, accounts, commands, changes, alerts.

use super::{Bounds, ChangeName, CommandList, attempts::span, counted};
use crate::baseline::{Level, What};
use crate::detect::{Finding, Subject, Verdict};
use crate::session::{Deed, DeedKind, Session, Touch};
use portreeve_model::event::{Change, Event, Flags, Service};
use portreeve_model::facts::AccountKind;
use portreeve_model::signal::Evidence;
use portreeve_model::{EventTime, Sym};

pub(super) struct Wanted {
    pub(super) new: bool,
    pub(super) tier0: bool,
    pub(super) administrative: bool,
    pub(super) beyond_first_hop: bool,
    pub(super) new_to_peers: bool,
}

/// Was the host reached over this protocol before the session, in use that does not share the session's own
/// new address or device?
pub fn known_host(s: &Subject<'_>, touch: &Touch) -> bool {
    let excluded = |index: usize| not_independent(s, index);
    let usage = |protocol| s.dossier.hosts.get(&(touch.host, protocol));
    usage(touch.protocol).is_some_and(|u| u.before(s.session.start, &excluded))
}

/// The session itself, or another one from the same address while that is not known to be the principal's own: what it
/// did is no independent history.
fn not_independent(s: &Subject<'_>, index: usize) -> bool {
    let shares = |o: &Session| o.stays.iter().any(|x| s.session.stays.iter().any(|y| x.ip == y.ip));
    index == s.session.index
        || s.level(What::Ip) != Level::Cleared
            && s.dossier.sessions.get(index).map(AsRef::as_ref).is_some_and(shares)
}

fn touches<'a>(s: &'a Subject<'_>, wanted: &'a Wanted) -> impl Iterator<Item = &'a Touch> {
    s.session.touches.iter().filter(move |t| {
        t.successes > 0
            && (!wanted.administrative || t.protocol.is_administrative())
            && !t.protocol.is_background()
            && (!wanted.beyond_first_hop || t.depth > 1)
            && (!wanted.new || !known_host(s, t))
            && (!wanted.tier0 || s.engine.context.host(t.host).tier0)
            && (!wanted.new_to_peers || peers_on(s, t.host) == 0)
    })
}

/// Others of the same department that had used the host before.
pub fn peers_on(s: &Subject<'_>, host: Sym) -> usize {
    let hosts = &s.engine.infrastructure.hosts;
    hosts.others_before(&(host, s.account.department), s.session.principal, s.session.start)
}

pub(super) fn hosts(s: &Subject<'_>, wanted: &Wanted, count: Bounds, within_us: Option<i64>) -> Verdict {
    let mut found: Vec<&Touch> = touches(s, wanted).collect();
    found.sort_by_key(|t| (t.first, t.evidence.raw));
    let group = match within_us {
        None => densest(&found, i64::MAX),
        Some(within) => densest(&found, within),
    };
    let mut names: Vec<Sym> = group.iter().map(|t| t.host).collect();
    names.sort_unstable_by_key(|n| n.0);
    names.dedup();
    if names.is_empty() || !count.hold(names.len()) {
        return Verdict::Silent;
    }
    let first = group.first().map_or(s.session.start, |t| t.first);
    let last = group.last().map_or(first, |t| t.first);
    let facts = vec![
        ("hosts", counted(names.len(), "host")),
        ("host_names", list(s, group.iter().map(|t| t.host))),
        ("protocols", protocols(group)),
        ("span", span(last.since(first))),
    ];
    let evidence = group.iter().take(12).map(|t| t.evidence).collect();
    Verdict::Fires(Finding::with(facts, evidence).at(first))
}

/// The window with the most distinct hosts, of touches in time order.
fn densest<'t, 'a>(found: &'t [&'a Touch], within_us: i64) -> &'t [&'a Touch] {
    let (mut best, mut from) = (0..0, 0);
    for to in 0..found.len() {
        while found[to].first.since(found[from].first) > within_us {
            from += 1;
        }
        if to + 1 - from > best.len() {
            best = from..to + 1;
        }
    }
    &found[best]
}

fn protocols(touches: &[&Touch]) -> String {
    let mut all: Vec<&str> = touches.iter().map(|t| t.protocol.name()).collect();
    all.sort_unstable();
    all.dedup();
    all.join(", ")
}

/// Up to five names in order of first appearance.
fn list(s: &Subject<'_>, names: impl Iterator<Item = Sym>) -> String {
    let mut seen: Vec<Sym> = Vec::new();
    for name in names {
        if name.is_some() && !seen.contains(&name) {
            seen.push(name);
        }
    }
    let mut text: Vec<String> = seen.iter().take(5).map(|n| s.text(*n)).collect();
    if seen.len() > 5 {
        text.push(format!("{} more", seen.len() - 5));
    }
    text.join(", ")
}

pub(super) fn failed_hosts(s: &Subject<'_>, count: Bounds, within_us: i64) -> Verdict {
    let mut found: Vec<&Touch> = s.session.touches.iter().filter(|t| t.failures > 0).collect();
    found.sort_by_key(|t| (t.first, t.evidence.raw));
    let group = densest(&found, within_us);
    if group.is_empty() || !count.hold(group.len()) {
        return Verdict::Silent;
    }
    let facts =
        vec![("hosts", counted(group.len(), "host")), ("host_names", list(s, group.iter().map(|t| t.host)))];
    let at = group[0].first;
    Verdict::Fires(Finding::with(facts, group.iter().take(12).map(|t| t.evidence).collect()).at(at))
}

/// Accounts other than the session's own that were used in it, without the person's second account.
pub fn switched<'a>(s: &'a Subject<'_>) -> Vec<(&'a Touch, Sym)> {
    let mine = |user: Sym| {
        user == s.session.principal
            || user == s.account.paired
            || user.is_none()
            || s.engine.context.account(user).paired == s.session.principal
            || !s.engine.context.coverage().directory
                && one_person(&s.text(s.session.principal), &s.text(user))
    };
    let mut found: Vec<(&Touch, Sym)> = s
        .session
        .touches
        .iter()
        .filter(|t| t.logon && t.successes > 0 && !mine(t.user))
        .filter(|t| s.engine.context.account(t.user).kind != AccountKind::Machine)
        .map(|t| (t, t.user))
        .collect();
    found.sort_by_key(|(t, _)| (t.first, t.evidence.raw));
    found
}

/// Two spellings that companies derive from one name: `anna.berg` and `aberg`, `annab`, `berga`, `annaberg`. Only where
/// no directory says who is who.
fn one_person(a: &str, b: &str) -> bool {
    let derived = |long: &str, short: &str| {
        let Some((first, last)) = long.split_once(['.', '_']) else { return false };
        let (Some(f), Some(l)) = (first.get(..1), last.get(..1)) else { return false };
        let short = short.trim_end_matches(|c: char| c.is_ascii_digit());
        let long_enough = short.len() >= 3;
        let forms = [[f, last], [first, l], [last, f], [first, last], [last, first]];
        long_enough && forms.iter().any(|form| short == form.concat())
    };
    derived(a, b) || derived(b, a)
}

pub(super) fn account_switch(s: &Subject<'_>, count: Bounds) -> Verdict {
    let found = switched(s);
    let mut users: Vec<u32> = found.iter().map(|(_, u)| u.0).collect();
    users.sort_unstable();
    users.dedup();
    if users.is_empty() || !count.hold(users.len()) {
        return Verdict::Silent;
    }
    let facts = vec![
        ("other_accounts", list(s, found.iter().map(|(_, u)| *u))),
        ("host_names", list(s, found.iter().map(|(t, _)| t.host))),
    ];
    let at = found[0].0.first;
    Verdict::Fires(Finding::with(facts, found.iter().take(8).map(|(t, _)| t.evidence).collect()).at(at))
}

/// Words of a command line that show discovery.
const RECON: [&str; 34] = [
    "whoami",
    "nltest",
    "net group",
    "net user",
    "net localgroup",
    "net view",
    "net accounts",
    "dsquery",
    "adfind",
    "quser",
    "qwinsta",
    "systeminfo",
    "arp -a",
    "ipconfig /all",
    "route print",
    "netstat",
    "klist",
    "tasklist",
    "hostname",
    "ifconfig",
    "ip addr",
    "ip a",
    "id",
    "last",
    "lastlog",
    "w",
    "who",
    "uname",
    "cat /etc/passwd",
    "getent passwd",
    "kubectl auth can-i",
    "bloodhound",
    "sharphound",
    "nmap",
];
/// … and that show credentials taken, logs stopped, or a way back in.
const HOSTILE: [&str; 26] = [
    "mimikatz",
    "procdump",
    "lsass",
    "comsvcs.dll",
    "ntdsutil",
    "ntds.dit",
    "vssadmin",
    "reg save",
    "secretsdump",
    "/etc/shadow",
    "wevtutil cl",
    "clear-eventlog",
    "history -c",
    "authorized_keys",
    "net user /add",
    "net localgroup administrators",
    "useradd",
    "psexec",
    "wmic /node",
    "rundll32",
    "-enc ",
    "-encodedcommand",
    "certutil -urlcache",
    "curl http",
    "wget http",
    "rclone",
];

/// The word of the list that a command line shows. Short words must stand alone as the command.
pub fn listed_command(command: &str, which: CommandList) -> Option<&'static str> {
    let line = command.trim().to_ascii_lowercase();
    let program = line.split_whitespace().next().unwrap_or("").trim_matches('"');
    let program = program.rsplit(['/', '\\']).next().unwrap_or(program).trim_end_matches(".exe");
    let words: &[&'static str] = match which {
        CommandList::Recon => &RECON,
        CommandList::Hostile => &HOSTILE,
    };
    let stripped = line.replace(".exe", "");
    words.iter().copied().find(|w| {
        if w.len() <= 8 && !w.contains([' ', '/', '-', '.']) { program == *w } else { stripped.contains(w) }
    })
}

pub(super) fn commands(s: &Subject<'_>, which: CommandList, count: Bounds, within_us: i64) -> Verdict {
    let mut hits: Vec<(EventTime, &'static str, Evidence)> = Vec::new();
    for deed in s.session.deeds.iter().filter(|d| d.kind == DeedKind::Command) {
        if let Some(word) = listed_command(&s.text(deed.detail), which) {
            hits.push((deed.time, word, deed.evidence));
        }
    }
    hits.sort_unstable();
    let mut best: Vec<&(EventTime, &str, Evidence)> = Vec::new();
    for from in 0..hits.len() {
        let mut words: Vec<&(EventTime, &str, Evidence)> = Vec::new();
        for hit in &hits[from..] {
            if hit.0.since(hits[from].0) <= within_us && !words.iter().any(|w| w.1 == hit.1) {
                words.push(hit);
            }
        }
        if words.len() > best.len() {
            best = words;
        }
    }
    if best.is_empty() || !count.hold(best.len()) {
        return Verdict::Silent;
    }
    let words: Vec<&str> = best.iter().map(|h| h.1).collect();
    let facts = vec![("commands", words.join(", ")), ("command_count", best.len().to_string())];
    let at = best[0].0;
    Verdict::Fires(Finding::with(facts, best.iter().map(|h| h.2).collect()).at(at))
}

/// Is this kind of change usual for the principal: done before outside this session, or the directory's role?
pub fn usual_right(s: &Subject<'_>, deed: &Deed) -> bool {
    if deed.user == s.session.principal
        && (s.account.privileged == Some(true) || s.account.kind == AccountKind::AdminOfPerson)
        && matches!(
            deed.change,
            Change::PrivilegeUsed | Change::PasswordReset | Change::AccountCreated | Change::AccountEnabled
        )
    {
        return true;
    }
    // Administrators read stored credentials; from a new place that is not a matter of role alone.
    if s.account.privileged == Some(true)
        && deed.change == Change::CredentialAccess
        && s.novelty() <= crate::detect::PlaceNovelty::NewNetworkKnownArea
    {
        return true;
    }
    let name = if deed.kind == DeedKind::Api {
        deed.detail
    } else {
        match s.engine.names.get(deed.change.name()) {
            Some(name) => name,
            None => return false,
        }
    };
    let excluded = |index: usize| not_independent(s, index);
    s.dossier.rights.get(&name).is_some_and(|u| u.before(s.session.start, &excluded))
        || deed.kind == DeedKind::Api && peers_with_right(s, name) >= PEERS
}

/// So many of the department that used a right make it one of the department.
const PEERS: usize = 2;

fn peers_with_right(s: &Subject<'_>, right: Sym) -> usize {
    let department = s.account.department;
    if department.is_none() {
        return 0;
    }
    s.engine.infrastructure.rights.others_before(&(right, department), s.session.principal, s.session.start)
}

pub(super) fn deeds(
    s: &Subject<'_>,
    changes: &[ChangeName],
    count: Option<Bounds>,
    unusual: bool,
) -> Verdict {
    let mut found: Vec<&Deed> = s
        .session
        .deeds
        .iter()
        .filter(|d| d.success && changes.iter().any(|c| c.model() == d.change))
        .filter(|d| !unusual || !usual_right(s, d))
        .collect();
    found.sort_by_key(|d| (d.time, d.evidence.raw));
    let Some(first) = found.first() else { return Verdict::Silent };
    if !count.unwrap_or_default().hold(found.len()) {
        return Verdict::Silent;
    }
    let what: Vec<String> = {
        let mut seen: Vec<Change> = Vec::new();
        for d in &found {
            if !seen.contains(&d.change) {
                seen.push(d.change);
            }
        }
        seen.iter().map(|c| c.name().replace('_', " ")).collect()
    };
    let facts = vec![
        ("changes", what.join(", ")),
        ("objects", list(s, found.iter().map(|d| d.target))),
        ("rights", list(s, found.iter().map(|d| d.detail))),
        ("change_count", found.len().to_string()),
    ];
    let at = first.time;
    Verdict::Fires(Finding::with(facts, found.iter().take(12).map(|d| d.evidence).collect()).at(at))
}

pub(super) fn apis(s: &Subject<'_>, unusual: bool, count: Bounds) -> Verdict {
    let mut found: Vec<&Deed> = Vec::new();
    for deed in s.session.deeds.iter().filter(|d| d.kind == DeedKind::Api && d.success) {
        if (!unusual || !usual_right(s, deed)) && !found.iter().any(|f| f.detail == deed.detail) {
            found.push(deed);
        }
    }
    if found.is_empty() || !count.hold(found.len()) {
        return Verdict::Silent;
    }
    let facts =
        vec![("apis", list(s, found.iter().map(|d| d.detail))), ("api_count", found.len().to_string())];
    let at = found[0].time;
    Verdict::Fires(Finding::with(facts, found.iter().take(12).map(|d| d.evidence).collect()).at(at))
}

pub(super) fn remote_shell(s: &Subject<'_>, wanted: bool) -> Verdict {
    flagged(s, Flags::REMOTE_SHELL, wanted)
}

pub(super) fn privileged_workload(s: &Subject<'_>, wanted: bool) -> Verdict {
    flagged(s, Flags::PRIVILEGED, wanted)
}

fn flagged(s: &Subject<'_>, flag: Flags, wanted: bool) -> Verdict {
    let found: Vec<&Deed> = s
        .session
        .deeds
        .iter()
        .filter(|d| d.success && d.kind != DeedKind::Command && d.flags.has(flag))
        .collect();
    if found.is_empty() == wanted {
        return Verdict::Silent;
    }
    let Some(first) = found.first() else { return Verdict::when(true) };
    let facts = vec![
        ("apis", list(s, found.iter().map(|d| d.detail))),
        ("objects", list(s, found.iter().map(|d| d.target))),
    ];
    let at = first.time;
    Verdict::Fires(Finding::with(facts, found.iter().take(8).map(|d| d.evidence).collect()).at(at))
}

/// Alerts on the session's account, its device, or a host that it reached, in or shortly after the session.
///
/// Many people use one server: an alert that names another person is that person's, and one that names nobody
/// belongs to whoever could run things there, or was there for the first time.
pub fn alerts<'a>(s: &'a Subject<'_>, within_us: i64) -> Vec<&'a Event> {
    let (from, to) = (s.session.start, s.session.end_or_last().plus(within_us));
    let context = s.engine.context;
    let device = context.host(s.session.device).name;
    let mut hosts: Vec<(Sym, Option<&Touch>)> =
        s.session.touches.iter().filter(|t| t.logon).map(|t| (t.host, Some(t))).collect();
    if s.session.device.is_some() {
        hosts.push((device, None));
    }
    if matches!(s.session.service, Service::Ssh | Service::Rdp | Service::Vnc | Service::WinRm) {
        hosts.push((s.session.gateway, None));
    }
    let on_hosts = hosts.into_iter().flat_map(|(host, touch)| {
        let all = s.engine.infrastructure.host_alerts.get(&host).map_or(&[][..], |all| all.as_slice());
        all.iter().filter(move |a| {
            let own = a.person == s.session.principal || touch.is_some_and(|t| t.user == a.person);
            let could = touch.is_none_or(|t| t.protocol.is_administrative() || !known_host(s, t));
            if a.person.is_some() { own } else { could }
        })
    });
    let on_hosts = on_hosts.map(|a| &a.event);
    let mut found: Vec<&Event> =
        s.dossier.alerts.iter().chain(on_hosts).filter(|e| from <= e.time && e.time <= to).collect();
    found.sort_by_key(|e| e.order());
    found.dedup_by_key(|e| (e.order(), e.raw));
    found
}

pub(super) fn alert(s: &Subject<'_>, min_severity: u8, within_us: i64) -> Verdict {
    let found: Vec<&Event> =
        alerts(s, within_us).into_iter().filter(|e| e.severity >= min_severity).collect();
    let Some(worst) = found.iter().max_by_key(|e| (e.severity, std::cmp::Reverse(e.order()))) else {
        return Verdict::Silent;
    };
    let hosts = list(s, found.iter().map(|e| e.host.or(e.device)).filter(|h| h.is_some()));
    let facts = vec![
        ("alert", s.text(worst.detail)),
        ("alerts", counted(found.len(), "alert")),
        ("host_names", if hosts.is_empty() { "the account".to_owned() } else { hosts }),
    ];
    let evidence = found.iter().take(8).map(|e| Evidence { time: e.time, raw: e.raw }).collect();
    Verdict::Fires(Finding::with(facts, evidence).at(found[0].time))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_person() {
        for (a, b) in
            [("anna.berg", "aberg"), ("aberg", "anna.berg"), ("anna_berg", "annab"), ("anna.berg", "berga2")]
        {
            assert!(one_person(a, b), "{a} {b}");
        }
        for (a, b) in
            [("anna.berg", "bberg"), ("aberg", "bberg"), ("anna.berg", "berg"), ("", ""), (".", "ab")]
        {
            assert!(!one_person(a, b), "{a} {b}");
        }
    }

    #[test]
    fn commands_by_program_and_by_phrase() {
        let recon = |c| listed_command(c, CommandList::Recon);
        assert_eq!(recon("C:\\Windows\\System32\\whoami.exe /all"), Some("whoami"));
        assert_eq!(recon("net.exe group \"Domain Admins\" /domain"), Some("net group"));
        assert_eq!(recon("/usr/bin/id"), Some("id"));
        assert_eq!(recon("vim idea.txt"), None);
        assert_eq!(recon("kubectl auth can-i --list"), Some("kubectl auth can-i"));
        assert_eq!(
            listed_command("rundll32 comsvcs.dll, MiniDump 624", CommandList::Hostile),
            Some("comsvcs.dll")
        );
        assert_eq!(recon(""), None);
    }
}
