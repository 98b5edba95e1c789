//! Microsoft Entra sign-in logs as Azure Monitor delivers them (Entra sign-in log schema, category SignInLogs).

use std::net::Ipv4Addr;

use serde_json::json;

use crate::clock::{Millis, iso};
use crate::company::Person;
use crate::gazetteer::NetworkKind;
use crate::writers::Pen;

pub(crate) const FILE: &str = "entra-signinlogs.ndjson";

/// How a sign-in went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Went {
    /// Second factor passed now.
    Passed,
    /// Satisfied by the claim in the token.
    Claim,
    BadPassword,
}

/// An interactive sign-in; `session` is the session id that tokens of one sign-in share.
pub(crate) fn sign_in(
    pen: &mut Pen<'_>,
    at: Millis,
    person: &Person,
    ip: Ipv4Addr,
    agent: &str,
    session: &str,
    app: &str,
    went: Went,
) {
    let (city, network) = pen.place(ip);
    let email = person.email(pen.company);
    let (code, text) = match went {
        Went::Passed | Went::Claim => (0, ""),
        Went::BadPassword => (50126, "Error validating credentials due to invalid username or password."),
    };
    let stamp = iso(at).replace('Z', "0000Z");
    let (id, correlation) = (pen.rng.uuid(), pen.rng.uuid());
    let mut steps = vec![
        json!({"authenticationStepDateTime": iso(at), "authenticationMethod": "Password", "authenticationMethodDetail": "Password Hash Sync", "succeeded": code == 0, "authenticationStepResultDetail": if code == 0 { "Correct password" } else { "Incorrect password" }, "authenticationStepRequirement": "Primary authentication"}),
    ];
    match went {
        Went::Passed => steps.push(json!({"authenticationStepDateTime": iso(at), "authenticationMethod": "Mobile app notification", "succeeded": true, "authenticationStepResultDetail": "MFA completed in Azure AD", "authenticationStepRequirement": "Multifactor authentication"})),
        Went::Claim => {
            steps = vec![json!({"authenticationStepDateTime": iso(at), "authenticationMethod": "Previously satisfied", "succeeded": true, "authenticationStepResultDetail": "MFA requirement satisfied by claim in the token", "authenticationStepRequirement": "Primary authentication"})];
        }
        Went::BadPassword => {}
    }
    let own = network.kind == NetworkKind::Business;
    let named = if own {
        json!([{"networkType": "trustedNamedLocation", "networkNames": ["Corporate egress"]}])
    } else {
        json!([])
    };
    let device = if agent.contains("Mac OS X") { "MacOs" } else { "Windows" };
    let record = json!({
        "time": stamp,
        "resourceId": format!("/tenants/{}/providers/Microsoft.aadiam", pen.company.tenant),
        "operationName": "Sign-in activity",
        "operationVersion": "1.0",
        "category": "SignInLogs",
        "tenantId": pen.company.tenant,
        "resultType": code.to_string(),
        "resultSignature": "None",
        "resultDescription": text,
        "durationMs": 0,
        "callerIpAddress": ip.to_string(),
        "correlationId": correlation,
        "identity": person.display(),
        "Level": 4,
        "location": city.country,
        "properties": {
            "id": id,
            "createdDateTime": stamp,
            "userDisplayName": person.display(),
            "userPrincipalName": email,
            "userId": person.object_id,
            "appId": "00000003-0000-0ff1-ce00-000000000000",
            "appDisplayName": app,
            "ipAddress": ip.to_string(),
            "status": {"errorCode": code, "failureReason": text},
            "clientAppUsed": "Browser",
            "userAgent": agent,
            "deviceDetail": {"deviceId": "", "operatingSystem": device, "browser": "Chrome 138.0.0"},
            "location": {"city": city.name, "state": city.region, "countryOrRegion": city.country, "geoCoordinates": {"latitude": city.lat, "longitude": city.lon}},
            "correlationId": correlation,
            "conditionalAccessStatus": if code == 0 { "success" } else { "notApplied" },
            "isInteractive": true,
            "tokenIssuerType": "AzureAD",
            "networkLocationDetails": named,
            "riskLevelDuringSignIn": "none",
            "riskState": "none",
            "riskEventTypes_v2": [],
            "resourceDisplayName": app,
            "authenticationDetails": steps,
            "authenticationRequirement": "multiFactorAuthentication",
            "autonomousSystemNumber": network.asn,
            "sessionId": session,
            "uniqueTokenIdentifier": pen.rng.token(22),
            "userType": "Member",
        },
    });
    pen.put(FILE, at, record.to_string());
}
