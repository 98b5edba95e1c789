//! AWS CloudTrail: console and Identity Center sign-ins, API calls, changes of identities and of what is exposed.
//!
//! Read from: CloudTrail record contents, IAM and sign-in event references, Identity Center sign-in events, CloudTrail
//! Lake and Athena table definitions. Traps: `MFAUsed` is No for SAML, SSO and assumed roles, where another system asked;
//! the user name is HIDDEN_DUE_TO_SECURITY_REASONS where the user does not exist; `sourceIPAddress` may be the name of a
//! service; `mfaAuthenticated` is text; a sign-in with Identity Center is several records, of which one is the login;
//! query results have lower-case names and structures as text.

mod change;
mod lake;
mod signin;

use super::utc;
use crate::decode::find::find;
use crate::decode::json::{Paths, Value, unescape};
use crate::emit::Emit;
use crate::record::{Record, Shape};
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use portreeve_model::event::{Act, Change, Flags, Method, Mfa, Outcome, Reason, Service};
use portreeve_model::time::Certainty;
use portreeve_model::{EventTime, Ip};
use std::borrow::Cow;
use std::sync::LazyLock;

pub static SOURCE: Source = Source {
    name: "cloudtrail",
    title: "AWS CloudTrail",
    row: Row::Cloud,
    gives: &[Act::Auth, Act::Mfa, Act::SessionEnd, Act::Api, Act::Account, Act::Config],
    lacks: &[Field::TunnelIp, Field::Device, Field::Host, Field::Bytes],
    traps: &[
        "mfa_used_no_under_saml",
        "hidden_user",
        "service_as_source",
        "identity_center",
        "external_provider_is_not_root",
        "query_results",
        "digests_and_insights",
    ],
    manual: "AWS CloudTrail record contents; AWS Management Console sign-in events; IAM Identity Center sign-in events",
    enable: "a trail for all regions with management events; sign-in events are in us-east-1 and the regional endpoints, \
             those of Identity Center in the region where it lives",
    general: false,
    marks: &["\"eventSource\"", "\"eventsource\"", "\"CloudTrailEvent\"", "\"digestS3Object\""],
    reader: Reader::Code {
        claim: |r| {
            if r.shape != Shape::Json {
                return false;
            }
            let head = &r.body[..r.body.len().min(4_000)];
            let has = |needle: &[u8]| find(r.body, needle).is_some();
            has(b"\"eventSource\"")
                && has(b"\"eventName\"")
                && (has(b"\"awsRegion\"") || has(b"\"userIdentity\""))
                || has(b"\"eventsource\"") && has(b"\"eventname\"") && has(b"\"useridentity\"")
                || find(head, b"\"CloudTrailEvent\"").is_some()
                || find(head, b"\"digestS3Object\"").is_some()
        },
        parse,
        join: None,
    },
};

/// When something happened.
type At = Option<(EventTime, Certainty)>;

const N: usize = 40;
static PATHS: LazyLock<Paths<N>> = LazyLock::new(|| {
    Paths::new([
        "eventTime",
        "eventName",
        "eventSource",
        "sourceIPAddress",
        "userAgent",
        "errorCode",
        "errorMessage",
        "userIdentity",
        "recipientAccountId",
        "eventType",
        "userIdentity.type",
        "userIdentity.userName",
        "userIdentity.arn",
        "userIdentity.accessKeyId",
        "userIdentity.principalId",
        "userIdentity.sessionContext.sessionIssuer.userName",
        "userIdentity.sessionContext.attributes.mfaAuthenticated",
        "userIdentity.invokedBy",
        "additionalEventData.MFAUsed",
        "additionalEventData.SamlProviderArn",
        "responseElements.ConsoleLogin",
        "requestParameters.userName",
        "requestParameters.roleName",
        "requestParameters.policyArn",
        "requestParameters.groupName",
        "requestParameters",
        "requestParameters.accessKeyId",
        "eventCategory",
        "additionalEventData.UserName",
        "additionalEventData.CredentialType",
        "serviceEventDetails",
        "additionalEventData.MFAIdentifier",
        "additionalEventData.MfaType",
        "userIdentity.credentialId",
        "userIdentity.accountId",
        "resources",
        "additionalEventData",
        "CloudTrailEvent",
        "responseElements",
        "eventID",
    ])
});

type Values<'a> = [Value<'a>; N];

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Ok(v) = PATHS.pick(r.body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    if let Value::Text(inner) = v[37] {
        // LookupEvents: the record stands as text inside its own summary.
        let inner = unescape(inner);
        return match PATHS.pick(&inner) {
            Ok(v) => read(r, &v, out),
            Err(_) => Parsed::Broken(Why::Malformed("CloudTrailEvent")),
        };
    }
    if v[9].is(b"AwsCloudTrailInsight") || v[27].is(b"Insight") {
        return Parsed::Irrelevant(Kind::OtherMessage);
    }
    if v[1].is_missing() || matches!(v[7], Value::Text(_)) {
        if find(&r.body[..r.body.len().min(4_000)], b"\"digestS3Object\"").is_some() {
            return Parsed::Irrelevant(Kind::Housekeeping);
        }
        let row = lake::record(r.body);
        return match PATHS.pick(&row) {
            Ok(v) if !v[1].is_missing() => read(r, &v, out),
            _ => Parsed::Broken(Why::Missing("eventName")),
        };
    }
    read(r, &v, out)
}

fn read(r: &Record<'_>, v: &Values<'_>, out: &mut Emit<'_>) -> Parsed {
    let (name, service, kind) = (v[1].bytes(), v[2].bytes(), v[10].bytes());
    // Notifications of S3 have the same field names.
    if service.starts_with(b"aws:") {
        return Parsed::Irrelevant(Kind::OtherMessage);
    }
    let source = v[3].bytes();
    let by_service = !v[17].bytes().is_empty() && !v[17].is(b"null") && Ip::parse(source).is_none();
    if kind == b"AWSService" || by_service {
        return Parsed::Irrelevant(Kind::Machine);
    }
    let at = utc(v[0].bytes()).or_else(|| r.header_time());
    let user = user(v);
    if let Some(parsed) = signin::read(v, at, &user, out) {
        return parsed;
    }
    call(v, at, &user, name, service, out)
}

fn call(v: &Values<'_>, at: At, user: &[u8], name: &[u8], service: &[u8], out: &mut Emit<'_>) -> Parsed {
    let kind = v[10].bytes();
    let failed = !matches!(v[5].bytes(), b"" | b"null");
    let root = kind == b"Root";
    let change = change::of(name, service, v);
    let shell = change::is_shell(name, service);
    let act = match change {
        Change::None | Change::CredentialAccess => Act::Api,
        Change::Exposed | Change::LoggingStopped | Change::PolicyChanged | Change::ConfigExported => {
            Act::Config
        }
        _ => Act::Account,
    };
    let target = change::target(name, v, shell);
    let right = if v[23].is_missing() { Value::Text(name) } else { v[23] };
    let opened = if change == Change::Exposed { change::opened(v) } else { Vec::new() };
    let detail = match act {
        Act::Account => right.bytes(),
        Act::Config if !opened.is_empty() => &opened,
        _ => name,
    };
    let outcome = if failed { Outcome::Failure } else { Outcome::Success };
    let method = match v[13].bytes() {
        k if k.starts_with(b"AKIA") => Method::AccessKey,
        k if k.starts_with(b"ASIA") => Method::AssumedRole,
        _ => Method::Unknown,
    };
    let mfa = match v[16].truth() {
        Some(true) => Mfa::Yes,
        // A long-term key never passes one; a role's session was asked for by whoever assumed it.
        Some(false) if kind == b"IAMUser" || root => Mfa::No,
        Some(false) => Mfa::Delegated,
        None => Mfa::Unknown,
    };
    out.event(act, outcome)
        .at(at)
        .identity(v[39].bytes())
        .service(Service::CloudApi)
        .user(user)
        .source(v[3].bytes())
        .sid(v[13].bytes())
        .client(&v[4].text())
        .group(v[8].bytes())
        .detail(detail)
        .target(&target)
        .change(change)
        .method(method)
        .mfa(mfa)
        .reason(why(v[5].bytes()))
        .flag_if(root, Flags::PRIVILEGED)
        .flag_if(shell, Flags::REMOTE_SHELL)
        .done()
}

/// What an error code says about a call.
fn why(code: &[u8]) -> Reason {
    if matches!(code, b"" | b"null") {
        Reason::None
    } else if code.starts_with(b"AccessDenied")
        || code.ends_with(b"UnauthorizedOperation")
        || code.ends_with(b"AccessDeniedException")
        || code == b"VpceAccessDenied"
    {
        Reason::NotAllowed
    } else if code.starts_with(b"ExpiredToken") {
        Reason::Expired
    } else {
        Reason::Other
    }
}

/// IAM user, root, the session name of a role, or whom Identity Center names.
fn user<'a>(v: &Values<'a>) -> Cow<'a, [u8]> {
    let kind = v[10].bytes();
    if kind == b"Root" {
        return Cow::Borrowed(b"root");
    }
    let named = v[11].bytes();
    if !matches!(named, b"" | b"null") && kind != b"AssumedRole" {
        return v[11].text();
    }
    // `arn:aws:sts::1:assumed-role/Role/session`: the session name is the person where a person assumed it.
    let arn = v[12].bytes();
    if let Some(session) = arn.rsplit(|b| *b == b'/').next().filter(|_| arn.contains(&b'/')) {
        let machine = session.starts_with(b"i-")
            || session.iter().all(|b| b.is_ascii_digit())
            || session.starts_with(b"botocore-session")
            || session.starts_with(b"aws-sdk")
            || session.starts_with(b"aws-go-sdk")
            || session.starts_with(b"GitHubActions");
        return if machine { v[15].text() } else { Cow::Borrowed(session) };
    }
    if !v[28].bytes().is_empty() {
        return v[28].text();
    }
    v[14].text()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::clock::Clock;
    use portreeve_model::SymbolTable;
    use portreeve_model::intern::Interner;

    #[test]
    fn a_record_and_a_row_of_it_are_one_event() {
        let record = r#"{"eventVersion":"1.11","userIdentity":{"type":"IAMUser","userName":"anna","accessKeyId":"AKIAEXAMPLE"},"eventTime":"2026-03-03T08:00:00Z","eventSource":"iam.amazonaws.com","eventName":"CreateUser","awsRegion":"us-east-1","sourceIPAddress":"198.51.100.20","requestParameters":{"userName":"bruno"},"eventID":"e-1"}"#;
        let row = r#"{"eventversion":"1.11","useridentity":"{type=IAMUser, username=anna, accesskeyid=AKIAEXAMPLE}","eventtime":"2026-03-03T08:00:00Z","eventsource":"iam.amazonaws.com","eventname":"CreateUser","awsregion":"us-east-1","sourceipaddress":"198.51.100.20","requestparameters":"{\"userName\":\"bruno\"}","eventid":"e-1"}"#;
        let clock = Clock::utc();
        let (mut names, mut events) = (Interner::new(SymbolTable::new()), Vec::new());
        for body in [record, row] {
            let record = Record::bare(body.as_bytes(), &clock);
            assert!(SOURCE.claims(&record));
            let mut out = Emit::new(&mut names, &mut events, &SOURCE, &record);
            assert_eq!(SOURCE.read(&record, &mut out), Parsed::Events);
        }
        assert_eq!(events.first(), events.last());
        assert_eq!(events.len(), 2);
    }
}
