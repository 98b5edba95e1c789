//! Azure Activity log and Key Vault: calls to the management plane, rights, commands run on machines.
//!
//! Read from: Azure Monitor "Azure Activity Log event schema" (REST API; storage account and Event Hubs), table AzureActivity
//! of Log Analytics, "Azure Key Vault logging". Traps: an operation is told when it starts, is accepted and ends; names are
//! in capitals in one form and not in the others; the caller may be an object id; Key Vault answers the first call of
//! every client with 401.

use super::utc;
use crate::decode::find::find;
use crate::decode::json::{Paths, Value, unescape};
use crate::decode::kv::number;
use crate::emit::Emit;
use crate::record::{Record, Shape};
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use portreeve_model::EventTime;
use portreeve_model::event::{Act, Change, Flags, Method, Mfa, Outcome, Reason, Service};
use portreeve_model::time::Certainty;
use std::borrow::Cow;
use std::sync::LazyLock;

pub static SOURCE: Source = Source {
    name: "azure_activity",
    title: "Azure Activity log and Key Vault",
    row: Row::Cloud,
    gives: &[Act::Account, Act::Config, Act::Api, Act::Alert],
    lacks: &[Field::TunnelIp, Field::Device, Field::SessionId, Field::SessionEnd, Field::Bytes],
    traps: &["started_and_ended", "key_vault_handshake", "log_analytics_rows"],
    manual: "Azure Monitor: Azure Activity Log event schema; table AzureActivity; Azure Key Vault logging",
    enable: "a diagnostic setting of each subscription with Administrative and Security; of each key vault with AuditEvent",
    general: false,
    marks: &["\"operationName\"", "\"OperationNameValue\"", "MICROSOFT.KEYVAULT"],
    reader: Reader::Code {
        claim: |r| {
            if r.shape != Shape::Json {
                return false;
            }
            let has = |needle: &[u8]| find(r.body, needle).is_some();
            if has(b"\"OperationNameValue\"") {
                return has(b"\"ActivityStatusValue\"") || has(b"\"CategoryValue\"");
            }
            if !has(b"\"operationName\"") {
                return has(b"\"ResourceProvider\"")
                    && has(b"\"MICROSOFT.KEYVAULT\"")
                    && has(b"\"OperationName\"");
            }
            if has(b"\"eventTimestamp\"") && has(b"\"eventDataId\"") {
                return true;
            }
            has(b"\"resourceId\"") && category(r.body).is_some()
        },
        parse,
        join: None,
    },
};

/// The category, where it is one of ours.
fn category(body: &[u8]) -> Option<&[u8]> {
    const NAME: &[u8] = b"\"category\"";
    let rest = &body[find(body, NAME)? + NAME.len()..];
    let rest = rest.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start().strip_prefix(b"\"")?;
    let name = &rest[..memchr::memchr(b'"', rest)?];
    let ours: &[&[u8]] = &[
        b"Administrative",
        b"Security",
        b"ServiceHealth",
        b"Recommendation",
        b"Policy",
        b"Autoscale",
        b"ResourceHealth",
    ];
    let vault = name == b"AuditEvent"
        && (find(body, b"MICROSOFT.KEYVAULT").or_else(|| find(body, b"Microsoft.KeyVault"))).is_some();
    (vault || ours.contains(&name)).then_some(name)
}

const N: usize = 60;
static PATHS: LazyLock<Paths<N>> = LazyLock::new(|| {
    Paths::new([
        "time",
        "eventTimestamp",
        "TimeGenerated",
        "operationName",
        "operationName.value",
        "OperationNameValue",
        "category",
        "category.value",
        "CategoryValue",
        "resultType",
        "status.value",
        "ActivityStatusValue",
        "callerIpAddress",
        "httpRequest.clientIpAddress",
        "CallerIpAddress",
        "caller",
        "Caller",
        "resourceId",
        "ResourceId",
        "_ResourceId",
        r"identity.claims.http://schemas\.xmlsoap\.org/ws/2005/05/identity/claims/upn",
        r"claims.http://schemas\.xmlsoap\.org/ws/2005/05/identity/claims/upn",
        r"identity.claims.http://schemas\.xmlsoap\.org/ws/2005/05/identity/claims/name",
        r"claims.http://schemas\.xmlsoap\.org/ws/2005/05/identity/claims/name",
        "identity.claims.appid",
        "claims.appid",
        "identity.claims",
        "claims",
        "Claims",
        "properties",
        "Properties",
        "eventName.value",
        "identity.claim.upn",
        r"identity.claim.http://schemas\.xmlsoap\.org/ws/2005/05/identity/claims/upn",
        "identity.claim.appid",
        "properties.httpStatusCode",
        "properties.clientInfo",
        "properties.id",
        "resultSignature",
        "subStatus.value",
        "ActivitySubstatusValue",
        "Claims_d",
        "claims.ipaddr",
        "subscriptionId",
        "SubscriptionId",
        "properties.requestbody",
        "properties.responseBody",
        "identity.UserPrincipalName",
        // AzureDiagnostics, where Key Vault writes into the table of many.
        "OperationName",
        "Category",
        "CallerIPAddress",
        "httpStatusCode_d",
        "identity_claim_http_schemas_xmlsoap_org_ws_2005_05_identity_claims_upn_s",
        "identity_claim_upn_s",
        "identity_claim_appid_g",
        "id_s",
        "clientInfo_s",
        "identity_claim_unique_name_s",
        "eventDataId",
        "EventDataId",
    ])
});

type Values<'a> = [Value<'a>; N];
type At = Option<(EventTime, Certainty)>;

fn first<'a>(v: &Values<'a>, of: &[usize]) -> Value<'a> {
    of.iter().filter_map(|n| v.get(*n)).find(|x| !x.bytes().is_empty()).copied().unwrap_or_default()
}

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Ok(v) = PATHS.pick(r.body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    let at = utc(first(&v, &[0, 1, 2]).bytes()).or_else(|| r.header_time());
    match first(&v, &[6, 7, 8, 49]).bytes() {
        b"Administrative" => administrative(&v, at, out),
        b"Security" => alert(&v, at, out),
        b"AuditEvent" => vault(&v, at, out),
        // What Azure itself did, advises or was out of order.
        b"ServiceHealth" | b"ResourceHealth" | b"Recommendation" | b"Policy" | b"Autoscale" | b"Alert" => {
            Parsed::Irrelevant(Kind::Housekeeping)
        }
        _ => Parsed::Irrelevant(Kind::OtherMessage),
    }
}

/// Who called: a name from the token, else an object's or application's id.
fn user<'a>(v: &Values<'a>) -> Value<'a> {
    let named = first(v, &[20, 21, 32, 33, 47, 52, 53, 57]);
    if !named.bytes().is_empty() {
        return named;
    }
    let caller = first(v, &[15, 16]);
    if caller.bytes().contains(&b'@') { caller } else { first(v, &[22, 23, 15, 16, 24, 25, 34, 54]) }
}

/// What the token says about a second factor.
fn mfa(v: &Values<'_>) -> Mfa {
    let claims = match (v[26], v[27], v[28], v[41]) {
        (Value::Nested(c), ..) | (_, Value::Nested(c), ..) | (.., Value::Nested(c)) => c,
        (.., Value::Text(c), _) | (.., Value::Text(c)) => c,
        _ => b"",
    };
    let Some(at) = find(claims, b"authnmethodsreferences").or_else(|| find(claims, b"\"amr\"")) else {
        return Mfa::Unknown;
    };
    let rest = claims.get(at..).unwrap_or_default();
    let rest = &rest[..rest.len().min(120)];
    if find(rest, b"mfa").is_some() {
        Mfa::Claimed
    } else if find(rest, b"pwd").is_some() {
        Mfa::No
    } else {
        Mfa::Unknown
    }
}

fn administrative(v: &Values<'_>, at: At, out: &mut Emit<'_>) -> Parsed {
    let status = first(v, &[9, 10, 11]).bytes();
    let failed = starts(status, b"fail") || starts(status, b"failure");
    // Told again when it ends.
    if starts(status, b"start") || starts(status, b"accept") || starts(status, b"in progress") {
        return Parsed::Irrelevant(Kind::Pending);
    }
    let operation = first(v, &[4, 5, 3]);
    let lower = operation.bytes().to_ascii_lowercase();
    let resource = first(v, &[17, 18, 19]);
    let properties = match first_text(v[29], v[30]) {
        Cow::Borrowed(b"") => v[45].text(),
        all => all,
    };
    let (change, shell) = change(&lower, &properties);
    let act = match change {
        Change::None | Change::CredentialAccess => Act::Api,
        Change::Exposed | Change::LoggingStopped | Change::PolicyChanged => Act::Config,
        _ => Act::Account,
    };
    let user = user(v);
    let person = user.bytes().contains(&b'@');
    // Reading is seldom written here; where it is, it tells nothing that the playbook asks.
    if lower.ends_with(b"/read") && act == Act::Api && !shell {
        return Parsed::Irrelevant(Kind::RoutineUse);
    }
    let denied = matches!(first(v, &[38, 39, 40]).bytes(), b"Forbidden" | b"Unauthorized" | b"403" | b"401")
        || find(&properties, b"AuthorizationFailed").is_some();
    let (mut target, mut detail) = (named(resource.bytes()), operation.bytes());
    let opened;
    match change {
        Change::RoleGranted | Change::RoleRemoved => {
            // Whom and what, where the answer is recorded.
            target = value_of(&properties, b"principalId").unwrap_or(target);
            detail = value_of(&properties, b"roleDefinitionId").map_or(detail, role);
        }
        Change::Exposed => {
            let port = value_of(&properties, b"destinationPortRange").unwrap_or_default();
            opened = super::opened(port, b"", port == b"*");
            if !opened.is_empty() {
                detail = &opened;
            }
        }
        _ => {}
    }
    out.event(act, if failed { Outcome::Failure } else { Outcome::Success })
        .at(at)
        .identity(first(v, &[58, 59]).bytes())
        .service(Service::CloudApi)
        .user(&user.text())
        .source(first(v, &[12, 13, 14]).bytes())
        .target(target)
        .group(first(v, &[43, 44]).bytes())
        .detail(detail)
        .change(change)
        .method(if person { Method::Token } else { Method::ServiceAccount })
        .mfa(if person { mfa(v) } else { Mfa::No })
        .reason(match (failed, denied) {
            (true, true) => Reason::NotAllowed,
            (true, false) => Reason::Other,
            _ => Reason::None,
        })
        .flag_if(shell, Flags::REMOTE_SHELL)
        .flag_if(lower.ends_with(b"elevateaccess/action"), Flags::PRIVILEGED)
        .done()
}

/// The text of a member in JSON that may stand as text inside of JSON, its quotes escaped or not.
fn value_of<'a>(text: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let rest = text.get(find(text, name)? + name.len()..)?;
    let from = rest.iter().position(|b| !matches!(b, b'\\' | b'"' | b':' | b' ')).filter(|n| *n > 2)?;
    let rest = rest.get(from..)?;
    let end = rest.iter().position(|b| matches!(b, b'\\' | b'"'))?;
    rest.get(..end).filter(|v| !v.is_empty())
}

/// The built-in roles by their ids, which are the same in every tenant; else the id.
fn role(path: &[u8]) -> &[u8] {
    let id = path.rsplit(|b| *b == b'/').next().unwrap_or_default();
    match id.to_ascii_lowercase().as_slice() {
        b"8e3af657-a8ff-443c-a75c-2fe8c4bcb635" => b"Owner",
        b"b24988ac-6180-42a0-ab88-20f7382dd24c" => b"Contributor",
        b"18d7d88d-d35e-4fb5-a5c3-7773c20a72d9" => b"User Access Administrator",
        b"acdd72a7-3385-48ef-bd42-f606fba81ae7" => b"Reader",
        b"9980e02c-c2be-4d73-94e8-173b1dc7cf3c" => b"Virtual Machine Contributor",
        b"1c0163c0-47e6-4577-8991-ea5c82e286e4" => b"Virtual Machine Administrator Login",
        b"00482a5a-887f-4fb3-b363-3b7fe8e74483" => b"Key Vault Administrator",
        _ => id,
    }
}

/// What stands behind the last slash of a resource's id; of an extension or command the machine that runs it.
fn named(resource: &[u8]) -> &[u8] {
    let mut parts = resource.split(|b| *b == b'/');
    let last = resource.rsplit(|b| *b == b'/').next().unwrap_or_default();
    while let Some(part) = parts.next() {
        if part.eq_ignore_ascii_case(b"virtualMachines") {
            return parts.next().unwrap_or(last);
        }
    }
    last
}

fn starts(text: &[u8], word: &[u8]) -> bool {
    text.get(..word.len()).is_some_and(|t| t.eq_ignore_ascii_case(word))
}

/// An object, or the text that holds one.
fn first_text<'a>(a: Value<'a>, b: Value<'a>) -> Cow<'a, [u8]> {
    match (a, b) {
        (Value::Nested(n), _) | (_, Value::Nested(n)) => Cow::Borrowed(n),
        (Value::Text(t), _) | (_, Value::Text(t)) => unescape(t),
        _ => Cow::Borrowed(b""),
    }
}

/// What an operation (in small letters) changes, and whether it runs something on a machine.
fn change(operation: &[u8], properties: &[u8]) -> (Change, bool) {
    let ends = |tail: &[u8]| operation.ends_with(tail);
    let has = |needle: &[u8]| find(operation, needle).is_some();
    let change = if ends(b"microsoft.authorization/roleassignments/write")
        || ends(b"elevateaccess/action")
        || ends(b"/accesspolicies/write")
    {
        Change::RoleGranted
    } else if ends(b"microsoft.authorization/roleassignments/delete") {
        Change::RoleRemoved
    } else if ends(b"/diagnosticsettings/delete")
        || ends(b"/flowlogs/delete")
        || ends(b"/networkwatchers/delete")
        || ends(b"microsoft.operationalinsights/workspaces/delete")
        || ends(b"/activitylogalerts/delete")
        || ends(b"/alertssuppressionrules/write")
    {
        Change::LoggingStopped
    } else if ends(b"/securityrules/write")
        || ends(b"/networksecuritygroups/write")
        || ends(b"/firewallrules/write")
    {
        if open(properties) { Change::Exposed } else { Change::None }
    } else if ends(b"/bastionhosts/createshareablelinks/action") {
        Change::Exposed
    } else if ends(b"/listkeys/action")
        || ends(b"/regeneratekey/action")
        || ends(b"/listclusteradmincredential/action")
        || ends(b"/secrets/getsecret/action")
        || ends(b"/endpoints/listcredentials/action")
    {
        Change::CredentialAccess
    } else if ends(b"microsoft.authorization/roledefinitions/write")
        || ends(b"microsoft.authorization/policyassignments/delete")
        || ends(b"microsoft.authorization/locks/delete")
        || ends(b"/federatedidentitycredentials/write")
    {
        Change::PolicyChanged
    } else {
        Change::None
    };
    let shell = ends(b"/runcommand/action")
        || ends(b"/runcommands/write")
        || ends(b"/serialports/connect/action")
        || ends(b"/endpoints/listcredentials/action")
        || ends(b"microsoft.portal/consoles/write")
        || ends(b"/extensions/write") && has(b"microsoft.compute/virtualmachine")
        || ends(b"/automationaccounts/jobs/write");
    (change, shell)
}

/// A rule that lets everybody in.
fn open(properties: &[u8]) -> bool {
    let plain: Vec<u8> = properties.iter().copied().filter(|b| !matches!(b, b'\\' | b' ')).collect();
    let has = |needle: &[u8]| find(&plain, needle).is_some();
    let everybody = has(b"sourceAddressPrefix\":\"*\"")
        || has(b"sourceAddressPrefix\":\"Internet\"")
        || has(b"sourceAddressPrefix\":\"0.0.0.0/0\"")
        || has(b"startIpAddress\":\"0.0.0.0\"") && has(b"endIpAddress\":\"255.255.255.255\"");
    everybody && !has(b"direction\":\"Outbound\"") && !has(b"access\":\"Deny\"")
}

static ALERT: LazyLock<Paths<10>> = LazyLock::new(|| {
    Paths::new([
        "Severity",
        "severity",
        "userName",
        "CompromisedEntity",
        "compromisedEntity",
        "commandLine",
        "processName",
        "eventName",
        "domainName",
        "client IP address",
    ])
});

/// What Defender for Cloud reports.
fn alert(v: &Values<'_>, at: At, out: &mut Emit<'_>) -> Parsed {
    let properties = first_text(v[29], v[30]);
    let Ok(p) = ALERT.pick(&properties) else { return Parsed::Irrelevant(Kind::OtherMessage) };
    let pick = |of: [Value<'_>; 2]| -> Vec<u8> {
        of.iter().find(|x| !x.bytes().is_empty()).map(|x| x.text().into_owned()).unwrap_or_default()
    };
    let title = if v[31].is_missing() { p[7] } else { v[31] };
    out.event(Act::Alert, Outcome::Unknown)
        .at(at)
        .service(Service::Edr)
        .domain_user(p[8].bytes(), &p[2].text())
        .host(&pick([p[3], p[4]]))
        .source(p[9].bytes())
        .target(&pick([p[5], p[6]]))
        .detail(&title.text())
        .severity(crate::endpoint::defender::severity(&pick([p[0], p[1]])))
        .done()
}

/// Secrets and keys.
fn vault(v: &Values<'_>, at: At, out: &mut Emit<'_>) -> Parsed {
    let operation = first(v, &[3, 48]).bytes();
    let code = number(first(v, &[35, 51]).bytes());
    // A client asks without a token first, and is told where to get one.
    if code == 401 || operation == b"Authentication" {
        return Parsed::Irrelevant(Kind::Pending);
    }
    let reads = matches!(operation, b"SecretGet" | b"SecretBackup" | b"KeyBackup" | b"CertificateBackup");
    let writes = matches!(
        operation,
        b"VaultPut" | b"VaultPatch" | b"VaultDelete" | b"VaultAccessPolicyChangedEventGridNotification"
    );
    let change = match (reads, writes) {
        (true, _) => Change::CredentialAccess,
        (_, true) => Change::PolicyChanged,
        _ => Change::None,
    };
    let user = user(v);
    let person = user.bytes().contains(&b'@');
    out.event(
        if writes { Act::Config } else { Act::Api },
        if code >= 400 { Outcome::Failure } else { Outcome::Success },
    )
    .at(at)
    .service(Service::CloudApi)
    .user(&user.text())
    .source(first(v, &[12, 50]).bytes())
    .client(&first(v, &[36, 56]).text())
    .target(first(v, &[37, 55]).bytes())
    .detail(operation)
    .change(change)
    .method(if person { Method::Token } else { Method::ServiceAccount })
    .mfa(Mfa::Unknown)
    .reason(if code == 403 {
        Reason::NotAllowed
    } else if code >= 400 {
        Reason::Other
    } else {
        Reason::None
    })
    .done()
}
