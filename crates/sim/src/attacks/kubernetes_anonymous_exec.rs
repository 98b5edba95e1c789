//! A mistaken binding lets anonymous callers in: secrets are read, a pod is made, a shell is opened.

use crate::clock::SECOND;
use crate::incident::{ANY_ANSWER, Incident, NO_OR_UNKNOWN};
use crate::scene::Scene;
use crate::writers::kubernetes::{self, Asked};

pub(super) fn stage(scene: &mut Scene<'_>) -> Option<Incident> {
    let ip = scene.hosting();
    let day = scene.day(1);
    let start = {
        let hour = scene.pen.rng.range(1, 20);
        scene.at_utc(day, hour)
    };
    scene.mark();
    let pen = &mut scene.pen;
    let caller = kubernetes::anonymous();
    let pod = "debug-5f7c9";
    let steps = [
        (Asked { verb: "list", resource: "namespaces", ..Default::default() }, 200),
        (Asked { verb: "list", namespace: "kube-system", resource: "secrets", ..Default::default() }, 200),
        (Asked { verb: "list", namespace: "shop", resource: "secrets", ..Default::default() }, 200),
        (
            Asked {
                verb: "create",
                namespace: "kube-system",
                resource: "pods",
                name: pod,
                ..Default::default()
            },
            201,
        ),
        (
            Asked {
                verb: "create",
                namespace: "kube-system",
                resource: "pods",
                name: pod,
                subresource: "exec",
                query: "?command=sh&stdin=true&tty=true",
            },
            101,
        ),
        (
            Asked {
                verb: "get",
                namespace: "kube-system",
                resource: "pods",
                name: pod,
                subresource: "exec",
                query: "?command=cat&command=%2Fhost%2Fetc%2Fshadow",
            },
            101,
        ),
    ];
    let mut at = start;
    for (asked, code) in steps {
        kubernetes::call(pen, at, &caller, ip, asked, code);
        at += pen.rng.range(8_000, 50_000);
    }
    let mut incident = Incident::attack(
        "kubernetes_anonymous_exec",
        "kubernetes",
        "anonymous callers allowed by a mistaken binding: secrets read, pod made, shell opened",
    )
    .from(ip)
    .accept("ip_seen_before", NO_OR_UNKNOWN)
    .accept("geo_matches_known_location_or_travel", NO_OR_UNKNOWN)
    .accept("edr_related", NO_OR_UNKNOWN)
    .accept("mfa_bypassed_or_absent", ANY_ANSWER);
    incident.accounts.push("system:anonymous".to_owned());
    incident.deeds.lateral = true;
    incident.deeds.privilege = true;
    incident.acceptable_criteria.push(("baseline_anomaly", &["true", "unknown"]));
    incident.stage("first_success", start);
    incident.stage("execution", start + 100 * SECOND);
    Some(incident)
}
