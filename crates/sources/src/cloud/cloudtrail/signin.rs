//! Sign-ins: console, Identity Center, its access portal, federation into a role, and what is asked on the way.

use super::{At, Values, why};
use crate::cloud::{member, says};
use crate::decode::find::find;
use crate::emit::Emit;
use crate::source::{Kind, Parsed, Why};
use portreeve_model::event::{Act, Change, Factor, Flags, Method, Mfa, Outcome, Reason, Service};

/// Reads the record if it is one of a sign-in.
pub(super) fn read(v: &Values<'_>, at: At, user: &[u8], out: &mut Emit<'_>) -> Option<Parsed> {
    let failed = !matches!(v[5].bytes(), b"" | b"null");
    Some(match (v[2].bytes(), v[1].bytes()) {
        (_, b"ConsoleLogin") => console(v, at, user, out),
        (b"signin.amazonaws.com", b"CredentialChallenge") => match credential(v) {
            // The password is only the first of the questions.
            Factor::None => Parsed::Irrelevant(Kind::Pending),
            factor => event(out, Act::Mfa, Outcome::Challenge, v, at, user)
                .factor(factor)
                .service(Service::Idp)
                .done(),
        },
        (b"signin.amazonaws.com", b"CredentialVerification") => verification(v, at, user, out),
        (b"signin.amazonaws.com", b"UserAuthentication") => {
            let kinds = v[29].bytes();
            let has = |needle: &[u8]| find(kinds, needle).is_some();
            let (mfa, method) = if has(b"EXTERNAL_IDP") {
                (Mfa::Delegated, Method::Saml)
            } else if credential(v) != Factor::None {
                (Mfa::Yes, if has(b"PASSWORD") { Method::Password } else { Method::Unknown })
            } else if has(b"PASSWORD") {
                (Mfa::No, Method::Password)
            } else {
                (Mfa::Unknown, Method::Unknown)
            };
            event(out, Act::Auth, Outcome::Success, v, at, user)
                .service(Service::Idp)
                .mfa(mfa)
                .method(method)
                .factor(credential(v))
                .done()
        }
        // The answer of an external provider, before the sign-in is through. The record calls nobody by name, and the
        // type of its identity is Root whoever it was.
        (b"signin.amazonaws.com", b"ExternalIdPDirectoryLogin") => {
            if says(v[38].nested(), b"\"ExternalIdPDirectoryLogin\"", b"\"Success\"") {
                return Some(Parsed::Irrelevant(Kind::Pending));
            }
            event(out, Act::Auth, Outcome::Failure, v, at, v[28].bytes())
                .service(Service::Idp)
                .method(Method::Saml)
                .reason(Reason::Other)
                .done()
        }
        // The access portal's own word for the same sign-in; the only one where sign-in events are not collected.
        (b"sso.amazonaws.com", b"Authenticate") => {
            let outcome = if failed { Outcome::Failure } else { Outcome::Success };
            event(out, Act::Auth, outcome, v, at, user).service(Service::Idp).reason(why(v[5].bytes())).done()
        }
        (b"sso.amazonaws.com", b"Logout") => event(out, Act::SessionEnd, Outcome::Success, v, at, user)
            .service(Service::Idp)
            .reason(Reason::Logout)
            .done(),
        // From the portal into a role of an account.
        (b"sso.amazonaws.com", b"Federate" | b"GetRoleCredentials") => {
            let outcome = if failed { Outcome::Failure } else { Outcome::Success };
            let role = member(v[30].nested(), b"\"role_name\"")
                .or_else(|| member(v[25].nested(), b"\"role_name\""))
                .unwrap_or_default();
            event(out, Act::Api, outcome, v, at, user)
                .service(Service::CloudApi)
                .target(role)
                .reason(why(v[5].bytes()))
                .mfa(Mfa::Delegated)
                .done()
        }
        (b"sso.amazonaws.com" | b"sso-oauth.amazonaws.com", b"CreateToken") => {
            if find(v[25].nested(), b"grant-type:device_code").is_none() {
                // Renewals and the end of a sign-in that is told elsewhere.
                return Some(Parsed::Irrelevant(Kind::Repeats));
            }
            // Without a user nobody has approved the code yet: the client asks every few seconds.
            if failed {
                return Some(Parsed::Irrelevant(Kind::Pending));
            }
            event(out, Act::Auth, Outcome::Success, v, at, user)
                .service(Service::CloudApi)
                .method(Method::DeviceCode)
                .done()
        }
        (b"signin.amazonaws.com", b"CheckMfa") => event(out, Act::Mfa, Outcome::Challenge, v, at, user)
            .service(Service::CloudConsole)
            .factor(device(v[32].bytes()))
            .done(),
        (b"signin.amazonaws.com", b"PasswordRecoveryRequested") => {
            event(out, Act::Account, Outcome::Challenge, v, at, user)
                .service(Service::CloudConsole)
                .change(Change::PasswordReset)
                .target(user)
                .done()
        }
        (b"signin.amazonaws.com", b"PasswordRecoveryCompleted" | b"PasswordUpdated") => {
            event(out, Act::Account, Outcome::Success, v, at, user)
                .service(Service::CloudConsole)
                .change(Change::PasswordReset)
                .target(user)
                .flag_if(v[10].is(b"Root"), Flags::PRIVILEGED)
                .done()
        }
        (b"sts.amazonaws.com", b"AssumeRoleWithSAML") => {
            let outcome = if failed { Outcome::Failure } else { Outcome::Success };
            let role = member(v[25].nested(), b"\"roleArn\"").unwrap_or_default();
            event(out, Act::Auth, outcome, v, at, user)
                .service(Service::CloudApi)
                .target(role)
                .method(Method::Saml)
                .mfa(Mfa::Delegated)
                .reason(why(v[5].bytes()))
                .done()
        }
        // A code that did not fit, whatever the call was.
        (b"sts.amazonaws.com", _) if find(v[6].bytes(), b"MultiFactorAuthentication failed").is_some() => {
            event(out, Act::Mfa, Outcome::Failure, v, at, user)
                .service(Service::CloudApi)
                .factor(Factor::Totp)
                .reason(Reason::MfaFailed)
                .done()
        }
        (b"sts.amazonaws.com", b"GetSessionToken") if !failed => {
            let device = member(v[25].nested(), b"\"serialNumber\"")?;
            event(out, Act::Mfa, Outcome::Success, v, at, user)
                .service(Service::CloudApi)
                .factor(self::device(device))
                .mfa(Mfa::Yes)
                .done()
        }
        _ => return None,
    })
}

fn event<'e>(
    out: &'e mut Emit<'_>,
    act: Act,
    outcome: Outcome,
    v: &Values<'_>,
    at: At,
    user: &[u8],
) -> crate::emit::EventBuilder<'e> {
    let account = if v[8].bytes().is_empty() { v[34].bytes() } else { v[8].bytes() };
    out.event(act, outcome)
        .at(at)
        .identity(v[39].bytes())
        .user(user)
        .source(v[3].bytes())
        .client(&v[4].text())
        .group(account)
        .detail(if act == Act::Mfa { b"" } else { v[1].bytes() })
}

/// The user has answered one question of the sign-in.
fn verification(v: &Values<'_>, at: At, user: &[u8], out: &mut Emit<'_>) -> Parsed {
    let failed = member(v[30].nested(), b"\"CredentialVerification\"").is_some_and(|x| x != b"Success")
        || !matches!(v[5].bytes(), b"" | b"null");
    match (credential(v), failed) {
        (Factor::None, false) => Parsed::Irrelevant(Kind::Pending),
        (Factor::None, true) => {
            let federated = v[29].is(b"EXTERNAL_IDP");
            event(out, Act::Auth, Outcome::Failure, v, at, user)
                .service(Service::Idp)
                .method(if federated { Method::Saml } else { Method::Password })
                .mfa(if federated { Mfa::Delegated } else { Mfa::Unknown })
                .reason(if federated { Reason::Other } else { Reason::BadPassword })
                .done()
        }
        (factor, failed) => {
            event(out, Act::Mfa, if failed { Outcome::Failure } else { Outcome::Success }, v, at, user)
                .service(Service::Idp)
                .factor(factor)
                .mfa(if failed { Mfa::Unknown } else { Mfa::Yes })
                .reason(if failed { Reason::MfaFailed } else { Reason::None })
                .done()
        }
    }
}

/// The second factor among the credentials of Identity Center; a list is of a whole sign-in.
fn credential(v: &Values<'_>) -> Factor {
    let kinds = v[29].bytes();
    let has = |needle: &[u8]| find(kinds, needle).is_some();
    if has(b"WEBAUTHN") {
        Factor::Fido2
    } else if has(b"TOTP") {
        Factor::Totp
    } else if has(b"EMAIL_OTP") {
        Factor::Email
    } else if has(b"SMARTCARD") {
        Factor::Certificate
    } else {
        Factor::None
    }
}

/// `arn:aws:iam::1:mfa/anna`, `arn:aws:iam::1:u2f/user/anna/key-X`, `Virtual MFA`, `U2F MFA`, `Multiple MFA Devices`.
fn device(text: &[u8]) -> Factor {
    let has = |needle: &[u8]| find(text, needle).is_some();
    if has(b":u2f/") || has(b"U2F") || has(b"FIDO") {
        Factor::Fido2
    } else if has(b":mfa/") || has(b"Virtual") {
        Factor::Totp
    } else if has(b"Hardware") || has(b"sms-mfa") {
        Factor::HardwareToken
    } else if text.is_empty() {
        Factor::None
    } else {
        Factor::Other
    }
}

fn console(v: &Values<'_>, at: At, user: &[u8], out: &mut Emit<'_>) -> Parsed {
    let kind = v[10].bytes();
    let ok = v[20].is(b"Success");
    if !ok && v[20].is_missing() && matches!(v[5].bytes(), b"" | b"null") && v[6].is_missing() {
        // A login without its result is not "of no concern": it was not understood.
        return Parsed::Broken(Why::Missing("responseElements.ConsoleLogin"));
    }
    let has = |text: &[u8], needle: &[u8]| find(text, needle).is_some();
    let federated = !v[19].is_missing()
        || matches!(kind, b"AssumedRole" | b"SAMLUser" | b"FederatedUser")
        || has(v[12].bytes(), b"AWSReservedSSO_");
    let asked = v[18].bytes().eq_ignore_ascii_case(b"yes");
    let mfa = match (asked, federated) {
        // What was not passed says nothing about what would have been asked.
        _ if !ok => Mfa::Unknown,
        (true, _) => Mfa::Yes,
        (false, true) => Mfa::Delegated,
        (false, false) if v[18].is_missing() => Mfa::Unknown,
        (false, false) => Mfa::No,
    };
    let hidden = user == b"HIDDEN_DUE_TO_SECURITY_REASONS" || has(v[6].bytes(), b"No username found");
    let reason = match (ok, hidden) {
        (true, _) => Reason::None,
        (false, true) => Reason::NoUser,
        (false, false) => Reason::BadPassword,
    };
    event(out, Act::Auth, if ok { Outcome::Success } else { Outcome::Failure }, v, at, user)
        .service(Service::CloudConsole)
        .mfa(mfa)
        .factor(if asked && ok { device(v[31].bytes()) } else { Factor::None })
        .method(if federated { Method::Saml } else { Method::Password })
        .reason(reason)
        .flag_if(kind == b"Root", Flags::PRIVILEGED)
        .done()
}
