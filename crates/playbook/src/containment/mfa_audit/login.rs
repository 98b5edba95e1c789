//! Of which kind one login is, and why.

use portreeve_engine::detect::ops::mfa::{Assessment, Cause, State, assess, assess_login};
use portreeve_engine::detect::{PlaceNovelty, Subject};
use portreeve_engine::fold::principal::{APPROVAL_AFTER_US, APPROVAL_BEFORE_US, MfaEvent, family};
use portreeve_engine::session::Session;
use portreeve_model::event::{Factor, Method, Mfa, Outcome, Service};
use portreeve_model::mfa_audit::{Because, Kind};
use portreeve_model::net::NetworkClass;
use portreeve_model::signal::Evidence;
use portreeve_model::time::{DAY_US, HOUR_US};

/// How long a sign-in at a provider lets people into other services without being asked again.
const SIGN_IN_US: i64 = 12 * HOUR_US;

/// The longest time that a gateway's authentication cookie is taken to be valid.
const COOKIE_US: i64 = 30 * DAY_US;
/// Sessions looked through for the one at which it was given.
const COOKIE_SESSIONS: usize = 512;
/// A clock that keeps the wrong zone is off by so much at most.
const CLOCK_US: i64 = 12 * HOUR_US;

pub(super) struct Login {
    pub(super) kind: Kind,
    pub(super) because: Because,
    pub(super) factor: Factor,
    pub(super) evidence: Option<Evidence>,
}

/// Every session that gave access is one login, however many records tell of it. Use of a tunnel address whose login is
/// on record with the clock or the line of another is that login's, and no second one.
pub(super) fn is_login(s: &Subject<'_>, entered: bool) -> bool {
    let service = s.session.service;
    let again = s.session.orphan && !s.orphan();
    entered && !again && (service.is_remote_access() || service == Service::Radius)
}

/// Came from an address that anybody could come from.
pub(super) fn from_public(s: &Subject<'_>) -> bool {
    s.session.ip().is_public() && s.session.place.class != NetworkClass::Own
}

pub(super) fn of(s: &Subject<'_>) -> Login {
    let said = assess_login(s);
    let evidence = said.evidence.first().copied().or_else(|| s.session.evidence.first().copied());
    if let Some(login) = delegated(s, &said) {
        return Login { evidence: login.evidence.or(evidence), ..login };
    }
    let (kind, because) = cookie(s, &said).unwrap_or_else(|| kind(s, &said));
    Login { kind, because, factor: said.factor, evidence }
}

fn kind(s: &Subject<'_>, said: &Assessment) -> (Kind, Because) {
    let own = s.session.place.class == NetworkClass::Own;
    let idp = s.session.service == Service::Idp;
    let method = s.session.method;
    if method == Method::Legacy && !matches!(said.state, State::Passed | State::Claimed) {
        return (Kind::Without, Because::LegacyProtocol);
    }
    match said.cause {
        Cause::OwnRecord if said.state != State::Passed => match method {
            Method::AccessKey => (Kind::Without, Because::LongTermKey),
            _ if own => (Kind::Without, Because::TrustedNetwork),
            _ => (Kind::Without, Because::RecordSaysNone),
        },
        Cause::OwnRecord | Cause::Provider => {
            // It was passed; that it may not have been freely is worth a line of its own.
            let because = match assess(s).cause {
                Cause::Denials => Because::AfterDenials,
                Cause::EnrolledAround => Because::EnrolledAround,
                _ if said.cause == Cause::Provider => Because::Provider,
                _ => Because::OwnRecord,
            };
            (Kind::With, because)
        }
        Cause::Remembered => (Kind::Remembered, Because::Remembered),
        Cause::RememberedElsewhere => (Kind::Claimed, Because::RememberedElsewhere),
        Cause::Claim => (Kind::Claimed, Because::Assertion),
        Cause::BypassCode => (Kind::Without, Because::BypassCode),
        Cause::Anonymous => (Kind::Without, Because::Anonymous),
        Cause::Exception => (Kind::Without, Because::PolicyException),
        Cause::OneFactor => (Kind::Without, Because::OneFactor),
        Cause::LocalAccount => (Kind::Without, Because::LocalAccount),
        // The provider itself may remember and not say so; a gateway asks it each time.
        Cause::Habit | Cause::NotLogged if idp && own => (Kind::Unknown, Because::NoStepInside),
        Cause::ProviderSilent | Cause::Habit | Cause::NotLogged if idp && !own => {
            (Kind::Unknown, Because::NoStep)
        }
        Cause::ProviderExempts | Cause::ProviderSilent | Cause::Habit if own => {
            (Kind::Without, Because::TrustedNetwork)
        }
        Cause::ProviderExempts => (Kind::Without, Because::ProviderExempts),
        Cause::ProviderSilent | Cause::Habit if spare_approval(s) => (Kind::Unknown, Because::Clock),
        Cause::ProviderSilent => (Kind::Without, Because::ProviderSilent),
        Cause::Habit => (Kind::Without, Because::Habit),
        Cause::Key if method == Method::ServiceAccount => (Kind::Without, Because::ServiceAccount),
        // Only a key that never expires is used without a session, and no session means no factor.
        Cause::Key if method == Method::AccessKey => (Kind::Without, Because::LongTermKey),
        Cause::Key => (Kind::Unknown, Because::Key),
        // A session that somebody took over was let in somehow before; that is not known here.
        Cause::NoLogin | Cause::Shared => (Kind::Unknown, Because::NoLogin),
        Cause::Denials | Cause::EnrolledAround | Cause::NotLogged => (Kind::Unknown, Because::NotLogged),
    }
}

/// Did the provider log an approval within hours that belongs to no other login? Then a clock may be off, and nothing is
/// known of this one.
fn spare_approval(s: &Subject<'_>) -> bool {
    let session = s.session;
    let approvals = || s.dossier.mfa.iter().filter(|m| m.outcome == Outcome::Success && m.mfa != Mfa::No);
    // A login that tells of its factor by itself needs none; another has one: of several near it, the nearest.
    let explains = |o: &Session, m: &MfaEvent| {
        // What a RADIUS server says alone may be of the very login whose gateway's clock is off.
        if o.service == Service::Radius && !o.entered {
            return false;
        }
        let off = |m: &MfaEvent| m.time.since(o.start).abs();
        let near = o.start.minus(APPROVAL_BEFORE_US) <= m.time && m.time <= o.start.plus(APPROVAL_AFTER_US);
        // One that was told to a sign-in long after its begin may as well have been another's.
        match o.mfa.evidence.filter(|_| !matches!(o.mfa.mfa, Mfa::Unknown | Mfa::Delegated)) {
            Some(step) => near && step.raw == m.evidence.raw,
            None => near && !approvals().any(|other| off(other) < off(m)),
        }
    };
    approvals().any(|m| {
        m.time.since(session.start).abs() <= CLOCK_US
            && (!m.ip.is_public() || m.ip == session.ip() || !session.ip().is_public())
            && !s.dossier.sessions.iter().any(|o| o.index != session.index && explains(o, m))
    })
}

/// A gateway's authentication cookie stands for the login at which it was given.
fn cookie(s: &Subject<'_>, said: &Assessment) -> Option<(Kind, Because)> {
    let session = s.session;
    let gateway = matches!(session.service, Service::Vpn | Service::Ica | Service::RdGateway | Service::Ztna);
    let silent = matches!(said.cause, Cause::NotLogged | Cause::ProviderSilent | Cause::Habit);
    if !gateway || session.method != Method::Token || !silent {
        return None;
    }
    // A cookie can be copied with the name of its device.
    if s.known.sessions > 0 && s.novelty() >= PlaceNovelty::NewNetwork {
        return Some((Kind::Claimed, Because::RememberedElsewhere));
    }
    let given = |o: &Session| {
        family(o.service) == family(session.service)
            && o.gateway == session.gateway
            && session.start.since(o.start) <= COOKIE_US
            && (o.mfa.mfa == Mfa::Yes || s.dossier.approved_at(o.start))
    };
    let before = s
        .dossier
        .sessions
        .iter()
        .map(AsRef::as_ref)
        .filter(|o: &&Session| o.index < session.index && o.start < session.start);
    Some(match before.rev().take(COOKIE_SESSIONS).any(given) {
        true => (Kind::Remembered, Because::Cookie),
        false => (Kind::Unknown, Because::CookieAlone),
    })
}

/// A login that the gateway left to an identity provider is what the provider's sign-in was. That nothing is found
/// there proves nothing: the sign-in may be older, or from another address.
fn delegated(s: &Subject<'_>, said: &Assessment) -> Option<Login> {
    let session = s.session;
    let handed_over = session.mfa.mfa == Mfa::Delegated || session.method == Method::Saml;
    let told = !matches!(
        said.cause,
        Cause::NotLogged | Cause::Key | Cause::ProviderSilent | Cause::Habit | Cause::Exception
    );
    if !handed_over || told {
        return None;
    }
    let login = |kind, because| Login { kind, because, factor: Factor::None, evidence: None };
    let Some((sign_in, at_once)) = sign_in(s) else {
        let known = s.dossier.sessions.iter().any(|o| o.service == Service::Idp) || !s.dossier.mfa.is_empty();
        let because = if known { Because::ProviderTellsNothing } else { Because::ProviderNotHere };
        return Some(login(Kind::Delegated, because));
    };
    let evidence = sign_in.mfa.evidence.or(sign_in.evidence.first().copied());
    let (kind, because) = match (sign_in.mfa.mfa, at_once) {
        (Mfa::Yes, true) => (Kind::With, Because::ProviderSignIn),
        (Mfa::Yes, false) | (Mfa::Claimed, _) => (Kind::Remembered, Because::OpenSignIn),
        (Mfa::No, true) if session.place.class == NetworkClass::Own => {
            (Kind::Without, Because::TrustedNetwork)
        }
        (Mfa::No, true) => (Kind::Without, Because::SignInWithout),
        // An older sign-in without one does not say what was asked for this.
        _ => (Kind::Delegated, Because::ProviderTellsNothing),
    };
    let factor = if kind == Kind::With { sign_in.mfa.factor } else { Factor::None };
    Some(Login { factor, evidence, ..login(kind, because) })
}

/// The sign-in at a provider that explains the login, and whether it was made for it.
fn sign_in<'a>(s: &Subject<'a>) -> Option<(&'a Session, bool)> {
    let start = s.session.start.minus(s.engine.clock_fast_by(s.session).unwrap_or(0));
    let same_line = |o: &Session| {
        s.session.ip().is_none() || o.stays.iter().any(|x| x.ip == s.session.ip() || !x.ip.is_public())
    };
    let all = || {
        s.dossier.sessions.iter().map(AsRef::as_ref).filter(|o: &&Session| {
            o.service == Service::Idp && o.index != s.session.index && same_line(o) && !o.refused
        })
    };
    let near = |o: &&Session| {
        // A factor that was asked for in a sign-in that stands counts from when it was asked.
        let at = o.mfa.evidence.map_or(o.start, |e| e.time);
        let within = |t: portreeve_model::EventTime| {
            start.minus(APPROVAL_BEFORE_US) <= t && t <= start.plus(APPROVAL_AFTER_US)
        };
        within(o.start) || within(at)
    };
    let distance = |o: &&Session| (o.start.since(start).abs(), o.index);
    if let Some(found) = all().filter(near).min_by_key(distance) {
        return Some((found, true));
    }
    let stands = |o: &&Session| o.start <= start && start.since(o.start) <= SIGN_IN_US;
    all().filter(stands).min_by_key(distance).map(|o| (o, false))
}
