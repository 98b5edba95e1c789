//! A service account token taken out of a pod is used from the Internet.

use crate::incident::{ANY_ANSWER, Incident, NO_OR_UNKNOWN};
use crate::scene::Scene;
use crate::writers::kubernetes::{self, Asked, Caller};

pub(super) fn stage(scene: &mut Scene<'_>) -> Option<Incident> {
    let ip = scene.hosting();
    let day = scene.day(1);
    let start = scene.at_utc(day, 4);
    scene.mark();
    let pen = &mut scene.pen;
    let user = "system:serviceaccount:shop:shop-worker";
    let caller = Caller {
        user: user.to_owned(),
        groups: vec!["system:serviceaccounts", "system:serviceaccounts:shop", "system:authenticated"],
        agent: "curl/8.5.0",
    };
    let steps = [
        (Asked { verb: "create", resource: "selfsubjectrulesreviews", ..Default::default() }, 201),
        (Asked { verb: "list", namespace: "shop", resource: "secrets", ..Default::default() }, 200),
        (Asked { verb: "list", namespace: "kube-system", resource: "secrets", ..Default::default() }, 403),
        (
            Asked {
                verb: "create",
                namespace: "shop",
                resource: "pods",
                name: "shop-worker-7c9d4b-2xk8p",
                subresource: "exec",
                query: "?command=sh",
            },
            101,
        ),
    ];
    let mut at = start;
    for (asked, code) in steps {
        kubernetes::call(pen, at, &caller, ip, asked, code);
        at += pen.rng.range(15_000, 60_000);
    }
    let mut incident = Incident::attack(
        "service_account_token",
        "kubernetes",
        "a workload's token used from a hosting provider: secrets listed, a shell in a pod",
    )
    .from(ip)
    .accept("ip_seen_before", NO_OR_UNKNOWN)
    .accept("geo_matches_known_location_or_travel", NO_OR_UNKNOWN)
    .accept("mfa_bypassed_or_absent", ANY_ANSWER)
    .accept("edr_related", NO_OR_UNKNOWN);
    incident.accounts.push(user.to_owned());
    incident.deeds.lateral = true;
    incident.deeds.privilege = true;
    incident.acceptable_criteria.push(("baseline_anomaly", &["true", "unknown"]));
    incident.stage("first_success", start);
    Some(incident)
}
