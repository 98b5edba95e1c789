//! Directory audit: who changed which account, factor, role, consent or policy. B2C's sign-ins are written here too.

use super::{Spelling, first, unwrapped, when};
use crate::decode::find::find;
use crate::decode::json::{Paths, Value, elements};
use crate::emit::Emit;
use crate::record::Record;
use crate::source::{Kind, Parsed, Why};
use portreeve_model::event::{Act, Change, Flags, Outcome, Reason, Service};
use std::borrow::Cow;
use std::sync::LazyLock;

const N: usize = 11;
static DIAGNOSTIC: LazyLock<Paths<N>> = LazyLock::new(|| {
    Paths::new([
        "properties.activityDateTime",
        "time",
        "properties.activityDisplayName",
        "operationName",
        "properties.initiatedBy",
        "properties.targetResources",
        "properties.result",
        "properties.id",
        "properties.additionalDetails",
        "callerIpAddress",
        "properties.resultReason",
    ])
});
static GRAPH: LazyLock<Paths<N>> = LazyLock::new(|| {
    Paths::new([
        "activityDateTime",
        "@timestamp",
        "activityDisplayName",
        "operationName",
        "initiatedBy",
        "targetResources",
        "result",
        "id",
        "additionalDetails",
        "callerIpAddress",
        "resultReason",
    ])
});
static COLUMNS: LazyLock<Paths<N>> = LazyLock::new(|| {
    Paths::new([
        "ActivityDateTime",
        "TimeGenerated",
        "ActivityDisplayName",
        "OperationName",
        "InitiatedBy",
        "TargetResources",
        "Result",
        "Id",
        "AdditionalDetails",
        "TimeGenerated [UTC]",
        "ResultReason",
    ])
});
static PORTAL: LazyLock<Paths<10>> = LazyLock::new(|| {
    Paths::new([
        "Date (UTC)",
        "Activity",
        "ActorUserPrincipalName",
        "ActorDisplayName",
        "IPAddress",
        "Target1UserPrincipalName",
        "Target1DisplayName",
        "Target2DisplayName",
        "Result",
        "ActorServicePrincipalName",
    ])
});
static BY: LazyLock<Paths<6>> = LazyLock::new(|| {
    Paths::new([
        "user.userPrincipalName",
        "user.displayName",
        "user.id",
        "user.ipAddress",
        "app.displayName",
        "app.servicePrincipalName",
    ])
});
static RESOURCE: LazyLock<Paths<5>> =
    LazyLock::new(|| Paths::new(["userPrincipalName", "displayName", "type", "modifiedProperties", "id"]));
static PROPERTY: LazyLock<Paths<2>> = LazyLock::new(|| Paths::new(["displayName", "newValue"]));
static KEY_VALUE: LazyLock<Paths<2>> = LazyLock::new(|| Paths::new(["key", "value"]));

/// What an activity is to the playbook; `None` is a step whose result is another record.
pub(in crate::authentication) fn meaning(name: &[u8], said: &[u8]) -> Option<(Act, Change)> {
    let has = |needle: &[u8]| find(name, needle).is_some();
    let change = match name {
        b"Add user" | b"Invite external user" | b"Restore user" => Change::AccountCreated,
        b"Delete user" | b"Hard Delete user" => Change::AccountDeleted,
        b"Enable account" => Change::AccountEnabled,
        b"Disable account" => Change::AccountDisabled,
        b"Unlock user account (self-service)" => Change::AccountUnlocked,
        b"Add member to group" | b"Add owner to group" | b"Add eligible member to group" => {
            Change::GroupAdded
        }
        b"Remove member from group" | b"Remove owner from group" => Change::GroupRemoved,
        b"Fraud reported - user is blocked for MFA"
        | b"Fraud reported - no action taken"
        | b"Suspicious activity reported" => return Some((Act::Mfa, Change::None)),
        b"Self-service password reset flow activity progress"
        | b"User started security info registration" => {
            return None;
        }
        b"Recover device local administrator password" | b"Read BitLocker key" => Change::CredentialAccess,
        b"Register device" => Change::FactorEnrolled,
        b"Add service principal credentials"
        | b"Add owner to service principal"
        | b"Add owner to application" => Change::KeyCreated,
        b"Add app role assignment to service principal"
        | b"Add OAuth2PermissionGrant"
        | b"Add delegated permission grant"
        | b"Consent to application" => Change::ConsentGranted,
        b"Disable Strong Authentication" => Change::FactorReset,
        _ if has(b"password") && (has(b"Reset") || has(b"Change")) => Change::PasswordReset,
        _ if has(b"member to role") || has(b"role assignment") && has(b"Add ") => {
            if has(b"requested") || has(b"approval") {
                return None;
            }
            if has(b"Add app role assignment") { Change::None } else { Change::RoleGranted }
        }
        _ if has(b"member from role") => Change::RoleRemoved,
        _ if has(b"deleted security info") || has(b"Delete ") && credential(name) => Change::FactorRemoved,
        _ if has(b"registered security info")
            || has(b"registered all required")
            || (has(b"Add ") || has(b"Create ")) && credential(name) =>
        {
            Change::FactorEnrolled
        }
        _ if has(b"default security info") || has(b"updated security info") || has(b"Update StrongAuth") => {
            Change::FactorReset
        }
        _ if has(b"Certificates and secrets") || has(b"credentials") && has(b"service principal") => {
            Change::KeyCreated
        }
        _ if has(b"olicy")
            || has(b"named location")
            || has(b"omain")
            || has(b"ederation")
            || has(b"Desktop Sso") =>
        {
            return Some((Act::Config, Change::PolicyChanged));
        }
        _ if find(said, b"StrongAuthentication").is_some() && has(b"Update user") => Change::FactorReset,
        _ => Change::None,
    };
    Some(if change == Change::None { (Act::Posture, change) } else { (Act::Account, change) })
}

fn credential(name: &[u8]) -> bool {
    [&b"FIDO2"[..], b"asskey", b"Windows Hello", b"passwordless", b"phone sign-in", b"emporary access pass"]
        .iter()
        .any(|c| find(name, c).is_some())
}

pub(super) fn parse(r: &Record<'_>, spelling: Spelling, out: &mut Emit<'_>) -> Parsed {
    let paths = match spelling {
        Spelling::Diagnostic => &DIAGNOSTIC,
        Spelling::Graph | Spelling::Hunting => &GRAPH,
        Spelling::Columns => &COLUMNS,
        Spelling::Portal => return portal(r, out),
    };
    let Ok(v) = paths.pick(r.body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    let operation = first(&[v[2], v[3]]).text();
    let operation = operation.trim_ascii();
    let targets = unwrapped(v[5]);
    let Some((act, change)) = meaning(operation, if operation == b"Update user" { &targets } else { b"" })
    else {
        return Parsed::Irrelevant(Kind::Pending);
    };
    let initiated = unwrapped(v[4]);
    let by = BY.pick(&initiated).unwrap_or_default();
    let person = first(&[by[0], by[1], by[2]]);
    let failed = v[6].bytes().eq_ignore_ascii_case(b"failure");
    if let Some(outcome) = consumer(operation, failed) {
        return consumer_sign_in(r, &v, &targets, outcome, out);
    }
    if change == Change::None && act == Act::Posture && person.is_missing() {
        return Parsed::Irrelevant(Kind::Machine);
    }
    let (target, named) = target(&targets);
    let stamp = if spelling == Spelling::Columns { first(&[v[0], v[1], v[9]]) } else { first(&[v[0], v[1]]) };
    let caller = if spelling == Spelling::Columns { Value::Missing } else { v[9] };
    let pass = find(&v[10].text(), b"emporary access pass").is_some();
    let outcome = match (act, failed) {
        (Act::Mfa, _) | (_, true) => Outcome::Failure,
        _ => Outcome::Success,
    };
    out.event(act, outcome)
        .at(when(r, stamp))
        .identity(v[7].bytes())
        .service(Service::Idp)
        .user(&first(&[person, by[4], by[5]]).text())
        .target(&target)
        .source(first(&[by[3], caller]).bytes())
        .detail(if named.is_empty() { operation } else { &named })
        .change(change)
        .reason(if act == Act::Mfa { Reason::Fraud } else { Reason::None })
        .flag_if(person.is_missing(), Flags::MACHINE)
        .flag_if(change == Change::FactorEnrolled && pass, Flags::MFA_BYPASS)
        .done()
}

/// Whom it was done to, and the name of the group or role where one is named.
fn target(list: &[u8]) -> (Cow<'_, [u8]>, Cow<'_, [u8]>) {
    let mut person = false;
    let (mut whom, mut named) = (Cow::Borrowed(&b""[..]), Cow::Borrowed(&b""[..]));
    for resource in elements(list).take(6) {
        let Value::Nested(object) = resource else { continue };
        let Ok(t) = RESOURCE.pick(object) else { continue };
        let kind = t[2].bytes();
        // A role or group may stand before the person.
        if whom.is_empty() || !person && !first(&[t[0]]).is_missing() {
            whom = first(&[t[0], t[1], t[4]]).text();
            person = !first(&[t[0]]).is_missing();
        }
        if matches!(kind, b"Group" | b"Role" | b"GroupMembershipType") && named.is_empty() {
            named = t[1].text();
        }
        for property in elements(t[3].nested()).take(12) {
            let Value::Nested(object) = property else { continue };
            let Ok(p) = PROPERTY.pick(object) else { continue };
            if matches!(p[0].bytes(), b"Group.DisplayName" | b"Role.DisplayName") && !p[1].is_missing() {
                // A JSON text within a JSON text.
                let text = p[1].text();
                let inner = text.trim_ascii();
                let inner = inner.strip_prefix(b"\"").and_then(|t| t.strip_suffix(b"\"")).unwrap_or(inner);
                if !inner.is_empty() {
                    named = Cow::Owned(inner.to_vec());
                }
            }
        }
    }
    (whom, named)
}

fn portal(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Ok(v) = PORTAL.pick(r.body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    let operation = v[1].text();
    let Some((act, change)) = meaning(operation.trim_ascii(), b"") else {
        return Parsed::Irrelevant(Kind::Pending);
    };
    let person = first(&[v[2], v[3]]);
    if change == Change::None && act == Act::Posture && first(&[v[2]]).is_missing() {
        return Parsed::Irrelevant(Kind::Machine);
    }
    let failed = v[8].bytes().eq_ignore_ascii_case(b"failure");
    let grouped = matches!(
        change,
        Change::GroupAdded | Change::GroupRemoved | Change::RoleGranted | Change::RoleRemoved
    );
    let named = if grouped { first(&[v[7]]) } else { Value::Missing };
    out.event(act, if failed || act == Act::Mfa { Outcome::Failure } else { Outcome::Success })
        .at(when(r, v[0]))
        .service(Service::Idp)
        .user(&first(&[person, v[9]]).text())
        .target(&first(&[v[5], v[6]]).text())
        .source(v[4].bytes())
        .detail(&if named.is_missing() { operation } else { named.text() })
        .change(change)
        .reason(if act == Act::Mfa { Reason::Fraud } else { Reason::None })
        .done()
}

/// B2C has no sign-in log: the audit says when a token was issued and when a check failed.
fn consumer(operation: &[u8], failed: bool) -> Option<Outcome> {
    match operation {
        b"Issue an id_token to the application"
        | b"Issue an authorization code to the application"
        | b"Issue an access token to the application"
            if !failed =>
        {
            Some(Outcome::Success)
        }
        b"Validate local account credentials" | b"Federate with an identity provider" if failed => {
            Some(Outcome::Failure)
        }
        _ => None,
    }
}

fn consumer_sign_in(
    r: &Record<'_>,
    v: &[Value<'_>; N],
    targets: &[u8],
    outcome: Outcome,
    out: &mut Emit<'_>,
) -> Parsed {
    let details = unwrapped(v[8]);
    let (mut address, mut client) = (Value::Missing, Value::Missing);
    for detail in elements(&details).take(24) {
        let Value::Nested(object) = detail else { continue };
        let Ok(d) = KEY_VALUE.pick(object) else { continue };
        match d[0].bytes() {
            b"ClientIpAddress" | b"IpAddress" => address = d[1],
            b"ApplicationId" => client = d[1],
            _ => {}
        }
    }
    let (whom, _) = target(targets);
    out.event(Act::Auth, outcome)
        .at(when(r, first(&[v[0], v[1]])))
        .identity(v[7].bytes())
        .service(Service::Idp)
        .user(&whom)
        .source(address.bytes())
        .group(&client.text())
        .reason(if outcome == Outcome::Failure { Reason::BadPassword } else { Reason::None })
        .done()
}
