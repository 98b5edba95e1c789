//! The second factor: what is known of it for a session, from whichever log tells.

use super::{Bounds, attempts::span, counted};
use crate::baseline::{Level, What};
use crate::detect::{Finding, PlaceNovelty, Subject, Verdict};
use crate::fold::infrastructure::SeenKind;
use crate::fold::principal::{ChangeSeen, MfaEvent};
use portreeve_model::event::{Change, Event, Factor, Flags, Method, Mfa, Outcome, Reason, Service};
use portreeve_model::facts::MfaPolicy;
use portreeve_model::signal::Evidence;
use portreeve_model::time::MINUTE_US;
use serde::Deserialize;

/// A provider's approval belongs to a login that begins this long after or before it.
use crate::fold::principal::{APPROVAL_AFTER_US as AFTER_US, APPROVAL_BEFORE_US as BEFORE_US};

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Passed in this login.
    Passed,
    /// Satisfied by an earlier one: token claim, remembered device.
    Claimed,
    /// None was asked for, although policy or the habit of the others demands one.
    Absent,
    /// None is asked for here by policy: a single-factor path.
    Exception,
    /// One factor is all that this service knows, and nothing says that it should be more.
    Single,
    /// A bypass code, approval after a burst of denials, a replayed session.
    Bypassed,
    Unknown,
}

/// What makes the state what it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Cause {
    /// The session was used, and nobody saw it begin.
    NoLogin,
    Anonymous,
    /// One session id from several networks.
    Shared,
    /// A bypass code or an exemption of the account, at the gateway or at the provider.
    BypassCode,
    /// Approved after a burst of denials.
    Denials,
    /// With a factor that was enrolled around the login from an address new to the account.
    EnrolledAround,
    /// The login's own record says so.
    OwnRecord,
    /// The provider's log has the approval.
    Provider,
    /// The provider let the login through without asking: trusted network, policy.
    ProviderExempts,
    /// Policy demands a factor, and the provider that would have asked has none.
    ProviderSilent,
    Remembered,
    /// Remembered, on a device and network new to the account.
    RememberedElsewhere,
    /// An assertion: a claim in a token, an attribute.
    Claim,
    /// A key or token, used without a person.
    Key,
    /// `mfa_policy.csv` asks for none.
    Exception,
    /// The service itself knows one factor.
    OneFactor,
    /// A local account of an appliance.
    LocalAccount,
    /// Nearly all others at this gateway and group show one.
    Habit,
    NotLogged,
}

/// How the second factor of a session stands, and how that is known.
#[derive(Clone, Debug)]
pub struct Assessment {
    pub state: State,
    pub cause: Cause,
    pub factor: Factor,
    pub because: String,
    pub known_by: String,
    pub evidence: Vec<Evidence>,
    /// For unknown: what would tell.
    pub needs: Option<String>,
}

impl Assessment {
    fn new(
        state: State,
        cause: Cause,
        because: impl Into<String>,
        known_by: impl Into<String>,
    ) -> Assessment {
        Assessment {
            state,
            cause,
            factor: Factor::None,
            because: because.into(),
            known_by: known_by.into(),
            evidence: Vec::new(),
            needs: None,
        }
    }

    fn seen(mut self, evidence: impl IntoIterator<Item = Evidence>) -> Assessment {
        self.evidence.extend(evidence);
        self
    }
}

/// Judges the second factor of a session, and whether its holder freely passed it.
pub fn assess(s: &Subject<'_>) -> Assessment {
    let session = s.session;
    if let Some(shared) = super::entry::networks(s).filter(|_| !s.orphan() && !anonymous(s)) {
        return Assessment::new(
            State::Bypassed,
            Cause::Shared,
            format!("one session id was used from {shared}: whoever took it over passed no factor"),
            "session id",
        )
        .seen(session.stays.iter().map(|x| x.evidence));
    }
    let login = assess_login(s);
    if login.state != State::Passed {
        return login;
    }
    let denials = denials_before(s, 30 * MINUTE_US);
    if denials.len() >= 3 {
        let because = format!(
            "approved after {} within {}",
            counted(denials.len(), "denied or unanswered request"),
            span(session.start.since(denials[0].time))
        );
        return Assessment::new(State::Bypassed, Cause::Denials, because, "MFA provider log")
            .seen(denials.iter().map(|d| d.evidence))
            .seen(approval(s).map(|p| p.evidence));
    }
    if let Some(change) = enrolled_by_intruder(s) {
        let because = format!(
            "the factor was {} around this login from an address new to the account",
            change.change.name().replace('_', " ")
        );
        return Assessment::new(State::Bypassed, Cause::EnrolledAround, because, "identity provider log")
            .seen([change.evidence]);
    }
    login
}

fn anonymous(s: &Subject<'_>) -> bool {
    s.session.method == Method::Anonymous || s.session.flags.has(Flags::ANONYMOUS)
}

/// How the login itself was let in; what became of the session afterwards, or who pressed the button, is not asked.
pub fn assess_login(s: &Subject<'_>) -> Assessment {
    let session = s.session;
    let seen = &session.mfa;
    let own = seen.evidence;
    if s.orphan() {
        return Assessment::new(
            State::Bypassed,
            Cause::NoLogin,
            "the session was used without any login on record",
            "gateway log",
        )
        .seen(session.evidence.first().copied());
    }
    if anonymous(s) {
        return Assessment::new(
            State::Absent,
            Cause::Anonymous,
            "anonymous access asks for nothing",
            "the record itself",
        )
        .seen(session.evidence.first().copied());
    }
    let bypassed = |by: Option<Evidence>, known_by: &str| {
        let because = "a bypass code or exemption stood in for the second factor";
        Assessment::new(State::Bypassed, Cause::BypassCode, because, known_by).seen(by)
    };
    if seen.flags.has(Flags::MFA_BYPASS)
        || session.flags.has(Flags::MFA_BYPASS)
        || seen.factor == Factor::BypassCode
    {
        return bypassed(own, "the record itself");
    }
    if seen.mfa == Mfa::Yes {
        let mut a = Assessment::new(
            State::Passed,
            Cause::OwnRecord,
            factor_sentence(seen.factor),
            "the login's own record",
        )
        .seen(own);
        a.factor = seen.factor;
        return a;
    }
    if let Some(p) = approval(s) {
        return match p.mfa {
            _ if p.flags.has(Flags::MFA_BYPASS) || p.factor == Factor::BypassCode => {
                bypassed(Some(p.evidence), "MFA provider log")
            }
            Mfa::No => Assessment::new(
                State::Exception,
                Cause::ProviderExempts,
                "the provider asked for none: a trusted network or its policy",
                "MFA provider log",
            )
            .seen([p.evidence]),
            Mfa::Claimed => remembered(s, p.factor, Some(p.evidence)),
            _ => {
                let mut a = Assessment::new(
                    State::Passed,
                    Cause::Provider,
                    factor_sentence(p.factor),
                    "MFA provider log, at the time of the login",
                )
                .seen([p.evidence]);
                a.factor = p.factor;
                a
            }
        };
    }
    if seen.mfa == Mfa::Claimed {
        return remembered(s, seen.factor, own);
    }
    if seen.mfa == Mfa::No {
        return Assessment::new(
            State::Absent,
            Cause::OwnRecord,
            "the record says that no second factor was used",
            "the login's own record",
        )
        .seen(own);
    }
    by_policy_or_habit(s)
}

/// Satisfied by an earlier sign-in, as a record claims.
fn remembered(s: &Subject<'_>, factor: Factor, by: Option<Evidence>) -> Assessment {
    // Before there is any history everything is new.
    let known = s.known.sessions > 0;
    if known && s.level(What::Device) == Level::New && s.novelty() >= PlaceNovelty::NewNetwork {
        return Assessment::new(
            State::Bypassed,
            Cause::RememberedElsewhere,
            "a remembered factor was used from a device and network new to the account",
            "token claim",
        )
        .seen(by);
    }
    let cause = if factor == Factor::Remembered { Cause::Remembered } else { Cause::Claim };
    let because = "satisfied by an earlier sign-in (remembered device or token claim)";
    Assessment::new(State::Claimed, cause, because, "token claim").seen(by)
}

fn by_policy_or_habit(s: &Subject<'_>) -> Assessment {
    let session = s.session;
    // Keys and tokens are used without a person; who got them passed a factor elsewhere, or did not.
    if matches!(session.service, Service::CloudApi | Service::Kubernetes) {
        let mut unknown = Assessment::new(
            State::Unknown,
            Cause::Key,
            "a key or token was used; whether a factor stood before it is not in this log",
            "",
        );
        unknown.needs = Some("the sign-in log of the identity provider behind it".to_owned());
        return unknown;
    }
    let first = session.evidence.first().copied();
    // What was dropped to stay within budget may have been the approval.
    let provider_speaks = !s.dossier.mfa_forgotten_at(session.start)
        && s.engine.infrastructure.seen.covers(
            SeenKind::MfaProvider,
            session.start,
            session.start,
            24 * 60 * MINUTE_US,
        );
    let group = s.text(session.group);
    let policy = policy_of(s);
    let alone = if policy == MfaPolicy::Required { State::Absent } else { State::Single };
    match policy {
        MfaPolicy::NotRequired => {
            let because = if group.is_empty() {
                "policy asks for none here".to_owned()
            } else {
                format!("policy asks for none in group {group}")
            };
            return Assessment::new(State::Exception, Cause::Exception, because, "mfa_policy.csv")
                .seen(first);
        }
        MfaPolicy::Required if session.mfa.mfa == Mfa::Delegated && !provider_speaks => {}
        // Without a directory the provider may know the person by another name.
        MfaPolicy::Required if provider_speaks && !known_to_provider(s) => {}
        MfaPolicy::Required if provider_speaks => {
            return Assessment::new(
                State::Absent,
                Cause::ProviderSilent,
                "policy demands a second factor and the provider's log has none for this login",
                "mfa_policy.csv and the MFA provider's log",
            )
            .seen(first);
        }
        _ => {}
    }
    match session.service {
        Service::Ssh if matches!(session.method, Method::Password | Method::PublicKey) => {
            let what = if session.method == Method::Password { "password" } else { "key" };
            return Assessment::new(
                alone,
                Cause::OneFactor,
                format!("sshd accepted the {what} alone"),
                "the login's own record",
            )
            .seen(first);
        }
        Service::Rdp | Service::WinRm => {
            return Assessment::new(
                alone,
                Cause::OneFactor,
                "Windows accepted the password alone",
                "the login's own record",
            )
            .seen(first);
        }
        Service::Management | Service::Wired if session.flags.has(Flags::LOCAL_ACCOUNT) => {
            return Assessment::new(
                State::Absent,
                Cause::LocalAccount,
                "a local account of the appliance, password alone",
                "the login's own record",
            )
            .seen(first);
        }
        _ => {}
    }
    let habit = s.engine.factor_habit(session.gateway, session.group);
    if provider_speaks && habit.0 >= 10 && habit.0 * 10 >= (habit.0 + habit.1) * 8 {
        let because = format!(
            "no second factor on record, while {} of {} logins at this gateway and group show one",
            habit.0,
            habit.0 + habit.1
        );
        return Assessment::new(State::Absent, Cause::Habit, because, "MFA provider log").seen(first);
    }
    let mut unknown = Assessment::new(
        State::Unknown,
        Cause::NotLogged,
        format!("{} does not log the second factor and no other log tells", session.service.name()),
        "",
    );
    unknown.needs = Some(if provider_speaks {
        "mfa_policy.csv".to_owned()
    } else {
        "the MFA provider's log or mfa_policy.csv".to_owned()
    });
    unknown
}

/// What `mfa_policy.csv` says of the session's service, gateway and group.
pub fn policy_of(s: &Subject<'_>) -> MfaPolicy {
    let session = s.session;
    s.engine.context.mfa_policy(&Event {
        service: session.service,
        observer: session.gateway,
        group: session.group,
        source: session.source,
        ..Event::default()
    })
}

/// Has the provider ever spoken of this account, or would a directory say that it should have?
fn known_to_provider(s: &Subject<'_>) -> bool {
    s.engine.context.coverage().directory
        || !s.dossier.mfa.is_empty()
        || s.dossier.sessions.iter().any(|o| o.service == Service::Idp)
}

fn factor_sentence(factor: Factor) -> String {
    match factor {
        Factor::None | Factor::Other => "a second factor was passed".to_owned(),
        f if f.phishing_resistant() => format!("{} was passed (phishing-resistant)", f.name()),
        f => format!("{} was passed (phishable)", f.name()),
    }
}

/// The provider's approval at the time of the login.
pub fn approval(s: &Subject<'_>) -> Option<MfaEvent> {
    let session = s.session;
    // By the provider's clock, where the gateway's was off.
    let start = session.start.minus(s.engine.clock_fast_by(session).unwrap_or(0));
    let (from, to) = (start.minus(BEFORE_US), start.plus(AFTER_US));
    let near = |m: &&MfaEvent| m.outcome == Outcome::Success && from <= m.time && m.time <= to;
    // From the same address, or from one that tells nothing (a RADIUS agent's own).
    let fits = |m: &&MfaEvent| {
        m.ip.is_none() || m.ip.is_private() || m.ip == session.ip() || session.ip().is_none() || own(s, m)
    };
    s.dossier
        .mfa
        .iter()
        .filter(near)
        .filter(fits)
        // An exemption explains the login only where nothing was approved.
        .min_by_key(|m| (m.mfa == Mfa::No, m.time.since(start).abs(), m.evidence.raw))
        .copied()
}

/// The approval came from the company's own egress: a RADIUS agent inside.
fn own(s: &Subject<'_>, m: &MfaEvent) -> bool {
    s.engine.context.place(m.ip).class == portreeve_model::net::NetworkClass::Own
}

/// Requests that were denied or ran out before the session began.
pub fn denials_before(s: &Subject<'_>, within_us: i64) -> Vec<MfaEvent> {
    let (from, to) = (s.session.start.minus(within_us), s.session.start.plus(AFTER_US));
    let refused = |m: &&MfaEvent| {
        m.outcome == Outcome::Failure
            && matches!(
                m.reason,
                Reason::MfaDenied
                    | Reason::MfaTimeout
                    | Reason::MfaFailed
                    | Reason::Fraud
                    | Reason::None
                    | Reason::Other
            )
            && from <= m.time
            && m.time <= to
    };
    s.dossier.mfa.iter().filter(refused).copied().collect()
}

fn factor_changes<'a>(
    s: &'a Subject<'_>,
    before_us: i64,
    after_us: i64,
) -> impl Iterator<Item = &'a ChangeSeen> {
    let (from, to) = (s.session.start.minus(before_us), s.session.start.plus(after_us));
    // A password that somebody else reset is as good as a factor; one that its owner changed is daily life.
    let by_another = move |c: &ChangeSeen| c.actor.is_some() && c.actor != s.session.principal;
    s.dossier.changes.iter().filter(move |c| {
        let counts = match c.change {
            Change::FactorEnrolled | Change::FactorReset | Change::FactorRemoved => true,
            Change::PasswordReset => by_another(c),
            _ => false,
        };
        counts && from <= c.time && c.time <= to
    })
}

/// A factor was enrolled or reset from this session's own new address.
fn enrolled_by_intruder<'a>(s: &'a Subject<'_>) -> Option<&'a ChangeSeen> {
    if s.novelty() < PlaceNovelty::NewNetwork {
        return None;
    }
    let day = 24 * 60 * MINUTE_US;
    factor_changes(s, day, day)
        .filter(|c| c.change != Change::PasswordReset)
        .find(|c| c.ip.is_some() && s.session.stays.iter().any(|x| x.ip == c.ip))
}

pub(super) fn is(s: &Subject<'_>, states: &[State]) -> Verdict {
    let a = assess(s);
    if a.state == State::Unknown && !states.contains(&State::Unknown) {
        return Verdict::Unknown("mfa");
    }
    if !states.contains(&a.state) {
        return Verdict::Silent;
    }
    Verdict::Fires(Finding::with(vec![("mfa", a.because)], a.evidence))
}

pub(super) fn denials(s: &Subject<'_>, within_us: i64, count: Bounds) -> Verdict {
    let found = denials_before(s, within_us);
    if found.is_empty() || !count.hold(found.len()) {
        return Verdict::Silent;
    }
    let facts = vec![
        ("denials", counted(found.len(), "denied or unanswered request")),
        ("span", span(s.session.start.since(found[0].time))),
    ];
    Verdict::Fires(Finding::with(facts, found.iter().rev().take(12).map(|d| d.evidence).collect()))
}

pub(super) fn factor_change(s: &Subject<'_>, before_us: i64, after_us: i64, from_session: bool) -> Verdict {
    let ours = |c: &&ChangeSeen| !from_session || s.session.stays.iter().any(|x| x.ip == c.ip);
    let found: Vec<&ChangeSeen> = factor_changes(s, before_us, after_us).filter(ours).collect();
    let Some(first) = found.first() else { return Verdict::Silent };
    let facts = vec![
        ("factor_change", first.change.name().replace('_', " ")),
        ("factor", s.text(first.detail)),
        ("by", s.text(first.actor)),
    ];
    Verdict::Fires(Finding::with(facts, found.iter().take(6).map(|c| c.evidence).collect()))
}
