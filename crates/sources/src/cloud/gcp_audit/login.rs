//! Logins: the organisation's users at Google, access through Identity-Aware Proxy, and OS Login at machines.

use super::{Call, objects};
use crate::cloud::member;
use crate::decode::find::find;
use crate::decode::json::{Paths, Value};
use crate::decode::kv::number;
use crate::emit::Emit;
use crate::source::{Kind, Parsed};
use portreeve_model::event::{Act, Change, Factor, Flags, Method, Mfa, Outcome, Reason, Service};
use std::sync::LazyLock;

static EVENT: LazyLock<Paths<1>> = LazyLock::new(|| Paths::new(["parameter"]));
static PARAMETER: LazyLock<Paths<5>> =
    LazyLock::new(|| Paths::new(["name", "value", "boolValue", "multiStrValue", "intValue"]));

/// One parameter of the first event: text, truth, or a list.
pub(super) fn parameter<'a>(events: &'a [u8], wanted: &[u8]) -> Value<'a> {
    let list = objects(events).next().and_then(|e| EVENT.pick(e).ok()).map(|v| v[0].nested());
    for one in objects(list.unwrap_or_default()) {
        if let Ok(p) = PARAMETER.pick(one)
            && p[0].is(wanted)
        {
            return [p[1], p[2], p[3], p[4]].into_iter().find(|v| !v.is_missing()).unwrap_or_default();
        }
    }
    Value::Missing
}

fn factor(methods: &[u8]) -> Factor {
    let has = |needle: &[u8]| find(methods, needle).is_some();
    if has(b"security_key") || has(b"passkey") {
        Factor::Fido2
    } else if has(b"google_prompt") || has(b"google_authenticator_push") {
        Factor::Push
    } else if has(b"google_authenticator")
        || has(b"totp")
        || has(b"offline_otp")
        || has(b"internal_two_factor")
    {
        Factor::Totp
    } else if has(b"backup_code") {
        Factor::BypassCode
    } else if has(b"phone") || has(b"sms") || has(b"idv_any_phone") {
        Factor::Sms
    } else if has(b"email") {
        Factor::Email
    } else if methods.is_empty() || methods == b"[\"password\"]" || methods == b"[\"none\"]" {
        Factor::None
    } else {
        Factor::Other
    }
}

/// `login.googleapis.com`.
pub(super) fn login(call: &Call<'_>, out: &mut Emit<'_>) -> Parsed {
    let events = call.v[22].nested();
    let kind = parameter(events, b"login_type");
    let federated = matches!(kind.bytes(), b"saml" | b"exchange" | b"reauth_saml");
    let suspicious = parameter(events, b"is_suspicious").truth() == Some(true);
    let second = parameter(events, b"is_second_factor").truth() == Some(true);
    let methods = match parameter(events, b"login_challenge_method") {
        Value::Nested(list) => list,
        other => other.bytes(),
    };
    let affected = parameter(events, b"affected_email_address");
    let method = match kind.bytes() {
        b"google_password" => Method::Password,
        b"" | b"unknown" => Method::Unknown,
        _ if federated => Method::Saml,
        _ => Method::Unknown,
    };
    let name = call.short_method();
    let user: &[u8] = if call.user.is_empty() { affected.bytes() } else { &call.user };
    match name {
        b"loginSuccess" | b"loginFailure" => {
            let ok = name == b"loginSuccess";
            let factor = factor(methods);
            let mfa = match (ok, federated, second || factor != Factor::None) {
                (false, ..) => Mfa::Unknown,
                (true, true, _) => Mfa::Delegated,
                (true, false, true) => Mfa::Yes,
                (true, false, false) => Mfa::Unknown,
            };
            let why = match parameter(events, b"login_failure_type").bytes() {
                b"login_failure_account_disabled" => Reason::Disabled,
                b"login_failure_access_code_disallowed" => Reason::Policy,
                b"login_failure_unknown" | b"" => Reason::Other,
                _ => Reason::BadPassword,
            };
            out.event(Act::Auth, if ok { Outcome::Success } else { Outcome::Failure })
                .at(call.at)
                .identity(call.id)
                .service(Service::Idp)
                .user(user)
                .source(call.source)
                .method(method)
                .factor(if ok { factor } else { Factor::None })
                .mfa(mfa)
                .reason(if ok { Reason::None } else { why })
                .flag_if(suspicious, Flags::RISKY)
                .done()
        }
        b"loginVerification" | b"loginChallenge" => {
            let outcome = match parameter(events, b"login_challenge_status").bytes() {
                b"passed" | b"Challenge Passed." | b"Challenge Passed" => Outcome::Success,
                b"" => Outcome::Challenge,
                _ => Outcome::Failure,
            };
            if !second && factor(methods) == Factor::None {
                return Parsed::Irrelevant(Kind::Pending);
            }
            out.event(Act::Mfa, outcome)
                .at(call.at)
                .identity(call.id)
                .service(Service::Idp)
                .user(user)
                .source(call.source)
                .method(method)
                .factor(factor(methods))
                .mfa(if outcome == Outcome::Success { Mfa::Yes } else { Mfa::Unknown })
                .reason(if outcome == Outcome::Failure { Reason::MfaFailed } else { Reason::None })
                .done()
        }
        b"logout" => out
            .event(Act::SessionEnd, Outcome::Success)
            .at(call.at)
            .identity(call.id)
            .service(Service::Idp)
            .user(user)
            .source(call.source)
            .reason(Reason::Logout)
            .done(),
        b"suspiciousLogin"
        | b"suspiciousLoginLessSecureApp"
        | b"suspiciousProgrammaticLogin"
        | b"govAttackWarning"
        | b"accountDisabledHijacked"
        | b"accountDisabledPasswordLeak"
        | b"accountDisabledGeneric"
        | b"accountDisabledSpamming"
        | b"accountDisabledSpammingThroughRelay"
        | b"riskySensitiveActionAllowed"
        | b"riskySensitiveActionBlocked"
        | b"emailForwardingOutOfDomain" => {
            let severity = match name {
                b"accountDisabledHijacked" | b"accountDisabledPasswordLeak" | b"govAttackWarning" => 5,
                b"emailForwardingOutOfDomain"
                | b"accountDisabledSpamming"
                | b"accountDisabledSpammingThroughRelay" => 3,
                b"accountDisabledGeneric" => 2,
                _ => 4,
            };
            out.event(Act::Alert, Outcome::Unknown)
                .at(call.at)
                .identity(call.id)
                .service(Service::Idp)
                .user(user)
                .source(call.source)
                .detail(name)
                .severity(severity)
                .done()
        }
        _ => {
            let change = match name {
                b"2svDisable" | b"titaniumUnenroll" | b"passkeyRemoved" => Change::FactorRemoved,
                b"2svEnroll" | b"titaniumEnroll" | b"passkeyEnrolled" => Change::FactorEnrolled,
                b"passwordEdit" => Change::PasswordReset,
                b"recoveryEmailEdit" | b"recoveryPhoneEdit" | b"recoverySecretQaEdit" => Change::FactorReset,
                _ => return Parsed::Irrelevant(Kind::OtherMessage),
            };
            out.event(Act::Account, Outcome::Success)
                .at(call.at)
                .identity(call.id)
                .service(Service::Idp)
                .user(user)
                .target(user)
                .source(call.source)
                .change(change)
                .detail(name)
                .done()
        }
    }
}

/// Identity-Aware Proxy lets somebody through, or does not.
pub(super) fn iap(call: &Call<'_>, out: &mut Emit<'_>) -> Parsed {
    let v = &call.v;
    let tunnel =
        find(v[10].nested(), b"iap.tunnel").is_some() || find(v[11].bytes(), b"iap_tunnel").is_some();
    let port = u16::try_from(number(v[8].bytes())).unwrap_or(0);
    let host: &[u8] = if call.instance.is_empty() { call.resource() } else { call.instance };
    if tunnel && call.outcome == Outcome::Success {
        let end = v[25].is(b"SESSION_END");
        return call
            .event(out, if end { Act::SessionEnd } else { Act::SessionStart })
            .service(Service::Bastion)
            .host(host)
            .destination(v[7].bytes())
            .destination_port(port)
            .device(v[24].bytes())
            .group(call.project)
            .mfa(Mfa::Delegated)
            .done();
    }
    call.event(out, Act::Auth)
        .service(if tunnel { Service::Bastion } else { Service::Ztna })
        .host(if tunnel { host } else { v[23].bytes() })
        .device(v[24].bytes())
        .group(if tunnel { call.project } else { call.resource() })
        .mfa(Mfa::Delegated)
        .reason(if call.denied { Reason::Policy } else { Reason::None })
        .done()
}

static ASKED: LazyLock<Paths<6>> =
    LazyLock::new(|| Paths::new(["policy", "instance", "zone", "email", "challengeType", "action"]));
static ANSWER: LazyLock<Paths<2>> = LazyLock::new(|| Paths::new(["success", "status"]));

/// A machine asks whether somebody may log in to it, and takes the steps of a second factor.
pub(super) fn os_login(call: &Call<'_>, out: &mut Emit<'_>) -> Parsed {
    let v = &call.v;
    let asked = ASKED.pick(v[12].nested()).unwrap_or_default();
    let answer = ANSWER.pick(v[14].nested()).unwrap_or_default();
    let host: &[u8] = if asked[1].is_missing() { call.instance } else { asked[1].bytes() };
    // The address of the call is the machine's own: the user's stands in sshd's log.
    let event = |out: &mut Emit<'_>, act: Act, outcome: Outcome| -> Parsed {
        let factor = match asked[4].bytes() {
            b"TOTP" => Factor::Totp,
            b"AUTHZEN" => Factor::Push,
            b"IDV_PREREGISTERED_PHONE" => Factor::Sms,
            b"INTERNAL_TWO_FACTOR" => Factor::HardwareToken,
            _ => Factor::None,
        };
        out.event(act, outcome)
            .at(call.at)
            .identity(call.id)
            .service(Service::Ssh)
            .user(&call.user)
            .host(host)
            .group(call.project)
            .factor(factor)
            .mfa(if act == Act::Mfa && outcome == Outcome::Success { Mfa::Yes } else { Mfa::Unknown })
            .reason(match (act, outcome) {
                (Act::Mfa, Outcome::Failure) => Reason::MfaFailed,
                (_, Outcome::Failure) => Reason::NotAllowed,
                _ => Reason::None,
            })
            .done()
    };
    match call.short_method() {
        b"CheckPolicy" => {
            let ok = answer[0].truth() != Some(false) && call.outcome == Outcome::Success;
            match asked[0].bytes() {
                // Whether sudo is allowed is asked again at every login.
                b"ADMIN_LOGIN" => Parsed::Irrelevant(Kind::Repeats),
                _ => event(out, Act::Logon, if ok { Outcome::Success } else { Outcome::Failure }),
            }
        }
        b"StartSession" => event(out, Act::Mfa, Outcome::Challenge),
        b"ContinueSession" => match answer[1].bytes() {
            b"AUTHENTICATED" => event(out, Act::Mfa, Outcome::Success),
            b"CHALLENGE_PENDING" | b"CHALLENGE_REQUIRED" | b"AWAITING_PROMPT" => {
                Parsed::Irrelevant(Kind::Pending)
            }
            _ => event(out, Act::Mfa, Outcome::Failure),
        },
        b"ImportSshPublicKey" | b"CreateSshPublicKey" => call
            .event(out, Act::Account)
            .service(Service::CloudApi)
            .target(member(v[12].nested(), b"\"parent\"").unwrap_or(call.resource()))
            .change(Change::KeyCreated)
            .detail(call.method)
            .done(),
        _ => Parsed::Irrelevant(Kind::OtherMessage),
    }
}
