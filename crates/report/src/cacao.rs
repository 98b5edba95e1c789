//! A CACAO 2.0 playbook of what was done, in its order. A step whose requests are known exactly carries them as
//! commands of the type that fits (`command`); every other is `manual`, and tells what was sent. What is only proposed
//! is `manual`.

mod command;

use crate::actions::{Aftermath, Standing};
use crate::{Export, guard, ids, wire};
use serde_json::{Map, Value, json};
use std::io::{self, Write};
use std::net::IpAddr;

pub(crate) static EXPORT: Export =
    Export { name: "cacao", title: "CACAO 2.0 playbook of what was done", write };

/// One step, done or proposed.
struct Step {
    key: String,
    name: String,
    description: String,
    act: String,
    d3fend: String,
    value: String,
    device: String,
    connector: String,
    requests: Vec<String>,
}

fn done(after: &Aftermath) -> Vec<Step> {
    after
        .carried_out()
        .map(|a| Step {
            key: format!("{} {}", a.plan, a.step),
            name: a.title.clone(),
            description: format!(
                "{} since {}. {}. Leaves open: {}. Undo: {}.",
                a.standing().name(),
                a.since,
                a.proof,
                a.leaves_open,
                if a.is_final { "none" } else { &a.undo }
            ),
            act: a.act.clone(),
            d3fend: a.d3fend.clone(),
            value: a.target.value.clone(),
            device: a.device.clone(),
            connector: a.connector.clone(),
            requests: a.requests.clone(),
        })
        .collect()
}

fn proposed(case: &wire::Case) -> Vec<Step> {
    case.containment
        .iter()
        .map(|a| Step {
            key: format!("{} {}", a.order, a.id),
            name: a.title.clone(),
            description: format!("Proposed: {}. Leaves open: {}.", a.because, a.leaves_open),
            act: a.id.clone(),
            d3fend: String::new(),
            value: a.target.clone(),
            device: if a.subject.gateway.is_empty() {
                a.subject.service.clone()
            } else {
                a.subject.gateway.clone()
            },
            connector: String::new(),
            requests: Vec::new(),
        })
        .collect()
}

/// A word of `playbook-activity-type-ov`.
fn activity(act: &str) -> &'static str {
    match act {
        "terminate_session" | "revoke_tokens" | "isolate_device" => "disconnect-system",
        "reset_password" | "require_password_change" | "reset_factors" | "revoke_factors" => "eliminate-risk",
        "collect_forensics" => "analyze-collected-data",
        "enforce_mfa" => "configure-systems",
        _ => "restrict-access",
    }
}

/// A word of `security-category-type-ov`.
fn category(connector: &str) -> &'static str {
    match connector {
        "nftables" | "conntrack" | "edl" | "openc2" | "crowdsec" | "aws_nacl" | "aws_waf" | "panos"
        | "fortigate" | "cisco_asa" | "checkpoint" => "firewall",
        "active_directory" | "openldap" | "radius_dae" | "cisco_ise_anc" | "okta" | "entra" | "duo"
        | "google_workspace" => "aaa",
        "crowdstrike" | "defender" | "sentinelone" => "endpoint",
        _ => "server",
    }
}

fn write(case: &wire::Case, after: &Aftermath, to: &mut dyn Write) -> io::Result<()> {
    let taken = done(after);
    let was_done = !taken.is_empty();
    let steps = if was_done { taken } else { proposed(case) };
    if steps.is_empty() {
        let why = "nothing was done and nothing is proposed: there is no playbook of it";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    }
    let id = |kind: &str, key: &str| format!("{kind}--{}", ids::of(case, kind, key));
    let (start, end) = (id("start", "cacao"), id("end", "cacao"));
    let agent = id("security-category", "portreeve");
    let marking = id("marking-tlp", "cacao");
    let keys: Vec<String> = steps.iter().map(|s| id("action", &s.key)).collect();
    let mut workflow = Map::new();
    let mut variables = Map::new();
    let mut targets = Map::new();
    let mut activities = Vec::new();
    let mut references = vec![reference("MITRE ATT&CK", "T1133")];
    let first = keys.first().unwrap_or(&end).clone();
    workflow.insert(start.clone(), json!({"type": "start", "name": "Start", "on_completion": first}));
    for (n, (step, key)) in steps.iter().zip(&keys).enumerate() {
        let variable = format!("__target_{}__", n + 1);
        let kind = match step.value.parse::<IpAddr>() {
            Ok(IpAddr::V4(_)) => "ipv4-addr",
            Ok(IpAddr::V6(_)) => "ipv6-addr",
            Err(_) => "string",
        };
        variables.insert(
            variable.clone(),
            json!({"type": kind, "value": step.value, "constant": true, "description": step.name}),
        );
        let device = if step.device.is_empty() { "the product concerned" } else { &step.device };
        let exact = command::exact(&step.connector, n + 1, &step.requests);
        let place = exact.as_ref().and_then(|e| e.target.clone());
        let kind = place.as_ref().and_then(|p| p["type"].as_str()).unwrap_or("security-category").to_owned();
        let target = id(&kind, &format!("device {device}"));
        let mut definition = place.unwrap_or_else(|| json!({"type": kind}));
        definition["name"] = json!(device);
        definition["category"] = json!([category(&step.connector)]);
        targets.insert(target.clone(), definition);
        let activity = activity(&step.act);
        if !activities.contains(&activity) {
            activities.push(activity);
        }
        let mut in_args = vec![variable.clone()];
        let commands = match exact {
            Some(exact) => {
                for secret in &exact.secrets {
                    variables.insert(
                        secret.clone(),
                        json!({"type": "string", "external": true, "constant": false,
                            "description": format!("A secret of step {}, which Portreeve does not hand on.", n + 1)}),
                    );
                }
                in_args.extend(exact.secrets);
                let mut commands = exact.commands;
                for command in &mut commands {
                    command["playbook_activity"] = json!(activity);
                    command["description"] = json!(format!(
                        "{} at {device}; the device's credential is not part of it.",
                        step.name
                    ));
                }
                Value::Array(commands)
            }
            None => {
                let sent = match step.requests.is_empty() {
                    true => String::new(),
                    false => format!(" Sent: {}", step.requests.join("; ")),
                };
                json!([{
                    "type": "manual", "playbook_activity": activity,
                    "command": format!("{} at {device}, target {variable}:value.{sent}", step.name),
                }])
            }
        };
        let mut own = json!({
            "type": "action", "name": step.name, "description": step.description,
            "agent": agent, "targets": [target], "in_args": in_args,
            "on_completion": keys.get(n + 1).unwrap_or(&end),
            "commands": commands,
        });
        if !step.d3fend.is_empty() {
            let d3fend = reference("MITRE D3FEND", &step.d3fend);
            own["external_references"] = json!([d3fend]);
            if !references.contains(&d3fend) {
                references.push(d3fend);
            }
        }
        workflow.insert(key.clone(), own);
    }
    workflow.insert(end, json!({"type": "end", "name": "End"}));
    let author = format!("identity--{}", ids::own("identity"));
    let created = ids::millis(ids::created(case));
    let what = if was_done {
        format!(
            "What was done about case {}: {} of {} actions in force or done.",
            case.case_id,
            after.count(Standing::InForce) + after.count(Standing::Done),
            steps.len()
        )
    } else {
        format!(
            "Nothing is known to have been done about case {}; these are the steps proposed.",
            case.case_id
        )
    };
    let playbook = json!({
        "type": "playbook",
        "spec_version": "cacao-2.0",
        "id": id("playbook", if was_done { "done" } else { "proposed" }),
        "name": format!("Containment of {}", case.title),
        "description": format!("{what} {}: {}", case.decision, case.reason),
        "playbook_types": ["mitigation"],
        "playbook_activities": activities,
        "created_by": author,
        "created": created,
        "modified": ids::millis(ids::modified(case, after)),
        "severity": case.risk_score.clamp(0.0, 100.0).round() as u8,
        "labels": ["portreeve", if was_done { "done" } else { "proposed" }],
        "external_references": references,
        "markings": [marking],
        "playbook_variables": variables,
        "workflow_start": start,
        "workflow": workflow,
        "agent_definitions": {
            agent: {"type": "security-category", "name": "Portreeve", "category": ["orchestrator"]},
        },
        "target_definitions": targets,
        "data_marking_definitions": {
            marking.as_str(): {
                "type": "marking-tlp", "id": marking, "created_by": author, "created": created,
                "tlpv2_level": "TLP:AMBER",
            },
        },
    });
    guard::json(&playbook, true, to)
}

fn reference(name: &str, id: &str) -> Value {
    json!({"name": name, "external_id": id})
}
