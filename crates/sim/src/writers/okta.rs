//! Okta System Log events (Okta System Log API v1, LogEvent object), one JSON object a line.

use std::net::Ipv4Addr;

use serde_json::{Value, json};

use crate::clock::{Millis, SECOND, iso};
use crate::company::Person;
use crate::writers::Pen;

pub(crate) const FILE: &str = "okta-system-log.ndjson";

/// The user agent of the RADIUS agent, through which gateways ask for a push.
pub(crate) const RADIUS_AGENT: &str = "Okta RADIUS Server Agent/2.24.2";

/// What one event says beyond who and where.
struct Said<'a> {
    event: &'a str,
    message: &'a str,
    result: &'a str,
    reason: Option<&'a str>,
    session: &'a str,
    agent: &'a str,
    /// A device, address or country that Okta has not seen for the user.
    novel: bool,
    debug: Value,
    target: Value,
    /// Who acted, where it is not the user.
    actor: Option<&'a Person>,
}

fn write(pen: &mut Pen<'_>, at: Millis, person: &Person, ip: Ipv4Addr, said: Said<'_>) {
    let (city, network) = pen.place(ip);
    let geography = json!({"city": city.name, "state": city.region, "country": city.country_name, "postalCode": null,
        "geolocation": {"lat": city.lat, "lon": city.lon}});
    let actor = said.actor.unwrap_or(person);
    let email = actor.email(pen.company);
    let transaction = pen.rng.token(27);
    let mut debug = json!({"requestId": transaction, "requestUri": "/idp/idx/identify", "url": "/idp/idx/identify?",
        "dtHash": format!("{:016x}{:016x}", crate::rng::Rng::fork(1, said.agent, person.id as u64, u64::from(said.novel)).next(), 7u64),
        "threatSuspected": "false"});
    if said.event == "user.session.start" || said.event == "policy.evaluate_sign_on" {
        let sign = if said.novel { "POSITIVE" } else { "NEGATIVE" };
        debug["behaviors"] = json!(format!(
            "{{New Geo-Location={sign}, New Device={sign}, New IP={sign}, New State={sign}, New Country={sign}, Velocity=NEGATIVE, New City={sign}}}"
        ));
        debug["risk"] = json!(if said.novel {
            "{reasons=Anomalous Location, Anomalous Device, level=MEDIUM}"
        } else {
            "{level=LOW}"
        });
    }
    if let (Some(more), Some(into)) = (said.debug.as_object(), debug.as_object_mut()) {
        into.extend(more.clone());
    }
    let browser = if said.agent.contains("Firefox") {
        "FIREFOX"
    } else if said.agent.contains("Mozilla") {
        "CHROME"
    } else {
        "UNKNOWN"
    };
    let os = if said.agent.contains("Windows") {
        "Windows 10"
    } else if said.agent.contains("Mac OS X") {
        "Mac OS X"
    } else {
        "Unknown"
    };
    let event = json!({
        "uuid": pen.rng.uuid(),
        "version": "0",
        "published": iso(at),
        "eventType": said.event,
        "displayMessage": said.message,
        "severity": if said.result == "FAILURE" { "WARN" } else { "INFO" },
        "legacyEventType": null,
        "actor": {"id": actor.okta, "type": "User", "alternateId": email, "displayName": actor.display(), "detailEntry": null},
        "client": {"id": null, "zone": "null", "device": if os == "Unknown" { "Unknown" } else { "Computer" },
            "ipAddress": ip.to_string(),
            "userAgent": {"os": os, "browser": browser, "rawUserAgent": said.agent},
            "geographicalContext": geography},
        "device": null,
        "outcome": {"result": said.result, "reason": said.reason},
        "target": said.target,
        "transaction": {"id": transaction, "type": "WEB", "detail": {}},
        "request": {"ipChain": [{"ip": ip.to_string(), "version": "V4", "source": null, "geographicalContext": geography}]},
        "securityContext": {"asNumber": network.asn, "asOrg": network.name.to_lowercase(), "isp": network.name.to_lowercase(), "domain": null, "isProxy": false},
        "authenticationContext": {"authenticationProvider": null, "credentialProvider": null, "credentialType": null,
            "issuer": null, "interface": null, "authenticationStep": 0, "externalSessionId": said.session, "rootSessionId": said.session},
        "debugContext": {"debugData": debug},
    });
    pen.put(FILE, at, event.to_string());
}

fn himself(pen: &Pen<'_>, person: &Person) -> Value {
    json!([{"id": person.okta, "type": "User", "alternateId": person.email(pen.company), "displayName": person.display(), "detailEntry": null}])
}

/// How the person answered a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Approved,
    Denied,
    NoResponse,
}

/// A push is sent and answered. `session` is `unknown` where a RADIUS gateway asked.
pub(crate) fn push(
    pen: &mut Pen<'_>,
    at: Millis,
    person: &Person,
    ip: Ipv4Addr,
    agent: &str,
    session: &str,
    answer: Answer,
) {
    let target = himself(pen, person);
    let base = |event, message, result, reason, debug: Value, target: Value| Said {
        event,
        message,
        result,
        reason,
        session,
        agent,
        novel: false,
        debug,
        target,
        actor: None,
    };
    write(
        pen,
        at,
        person,
        ip,
        base(
            "system.push.send_factor_verify_push",
            "A push was sent to a user for verification",
            "SUCCESS",
            None,
            json!({}),
            target.clone(),
        ),
    );
    match answer {
        Answer::Approved => write(
            pen,
            at + 6 * SECOND,
            person,
            ip,
            base(
                "user.authentication.auth_via_mfa",
                "Authentication of user via MFA",
                "SUCCESS",
                None,
                json!({"factor": "OKTA_VERIFY_PUSH", "factorIntent": "LOGIN", "pushOnlyResponseType": "OV_RESPONSE_APPROVE"}),
                target,
            ),
        ),
        Answer::Denied => {
            write(
                pen,
                at + 9 * SECOND,
                person,
                ip,
                base(
                    "user.mfa.okta_verify.deny_push",
                    "User rejected Okta push verify",
                    "FAILURE",
                    Some("INVALID_CREDENTIALS"),
                    json!({"factor": "OKTA_VERIFY_PUSH"}),
                    target,
                ),
            );
        }
        Answer::NoResponse => {
            write(
                pen,
                at + 60 * SECOND,
                person,
                ip,
                base(
                    "user.authentication.auth_via_mfa",
                    "Authentication of user via MFA",
                    "FAILURE",
                    Some("VERIFICATION_ERROR"),
                    json!({"factor": "OKTA_VERIFY_PUSH", "factorIntent": "LOGIN"}),
                    target,
                ),
            );
        }
    }
}

/// A web sign-in that succeeds: session, policy, and the second factor; returns the session id.
pub(crate) fn sign_in(
    pen: &mut Pen<'_>,
    at: Millis,
    person: &Person,
    ip: Ipv4Addr,
    agent: &str,
    novel: bool,
    second_factor: bool,
) -> String {
    let session = format!("10{}", pen.rng.token(23));
    let policy = json!([{"id": "00p1global0SignOnPol", "type": "PolicyEntity", "alternateId": "unknown", "displayName": "Global Session Policy", "detailEntry": {"policyType": "OktaSignOn"}}]);
    let (result, reason) = if second_factor {
        ("CHALLENGE", "Sign-on policy evaluation resulted in CHALLENGE")
    } else {
        ("ALLOW", "Sign-on policy evaluation resulted in ALLOW")
    };
    write(
        pen,
        at,
        person,
        ip,
        Said {
            event: "policy.evaluate_sign_on",
            message: "Evaluation of sign-on policy",
            result,
            reason: Some(reason),
            session: &session,
            agent,
            novel,
            debug: json!({}),
            target: policy,
            actor: None,
        },
    );
    if second_factor {
        push(pen, at + SECOND, person, ip, agent, &session, Answer::Approved);
    }
    write(
        pen,
        at + 8 * SECOND,
        person,
        ip,
        Said {
            event: "user.session.start",
            message: "User login to Okta",
            result: "SUCCESS",
            reason: None,
            session: &session,
            agent,
            novel,
            debug: json!({}),
            target: Value::Null,
            actor: None,
        },
    );
    session
}

pub(crate) fn sign_in_failed(
    pen: &mut Pen<'_>,
    at: Millis,
    person: &Person,
    ip: Ipv4Addr,
    agent: &str,
    novel: bool,
) {
    write(
        pen,
        at,
        person,
        ip,
        Said {
            event: "user.session.start",
            message: "User login to Okta",
            result: "FAILURE",
            reason: Some("INVALID_CREDENTIALS"),
            session: "unknown",
            agent,
            novel,
            debug: json!({}),
            target: Value::Null,
            actor: None,
        },
    );
}

/// Single sign-on to an application inside a session.
pub(crate) fn application(
    pen: &mut Pen<'_>,
    at: Millis,
    person: &Person,
    ip: Ipv4Addr,
    agent: &str,
    session: &str,
    name: &str,
) {
    let email = person.email(pen.company);
    let target = json!([{"id": "0oa80T8rTc59qBoKwx4p", "type": "AppInstance", "alternateId": name, "displayName": name, "detailEntry": {"signOnModeType": "SAML_2_0"}},
        {"id": "0ua80T8rTc59qBoKwx4p", "type": "AppUser", "alternateId": email, "displayName": person.display(), "detailEntry": null}]);
    write(
        pen,
        at,
        person,
        ip,
        Said {
            event: "user.authentication.sso",
            message: "User single sign on to app",
            result: "SUCCESS",
            reason: None,
            session,
            agent,
            novel: false,
            debug: json!({"signOnMode": "SAML 2.0"}),
            target,
            actor: None,
        },
    );
}

/// A factor of `person` is reset or activated; `actor` is the service desk where it is not the person.
pub(crate) fn factor(
    pen: &mut Pen<'_>,
    at: Millis,
    person: &Person,
    ip: Ipv4Addr,
    agent: &str,
    event: &str,
    actor: Option<&Person>,
) {
    let message = match event {
        "user.mfa.factor.activate" => "Activate factor or authenticator enrollment method for user",
        "user.mfa.factor.deactivate" => "Reset factor or authenticator enrollment method for user",
        "user.mfa.factor.reset_all" => "Reset all factors for user",
        _ => "Update factor for user",
    };
    let mut target = himself(pen, person);
    if let Some(list) = target.as_array_mut() {
        list.push(json!({"id": "opf1", "type": "AuthenticatorEnrollment", "alternateId": "unknown", "displayName": "Okta Verify", "detailEntry": {"methodTypeUsed": "Get a push notification"}}));
    }
    write(
        pen,
        at,
        person,
        ip,
        Said {
            event,
            message,
            result: "SUCCESS",
            reason: None,
            session: "unknown",
            agent,
            novel: false,
            debug: json!({"factor": "OKTA_VERIFY_PUSH"}),
            target,
            actor,
        },
    );
}
