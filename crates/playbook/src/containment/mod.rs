//! Which actions, on whom, in which order, and what each leaves open.

pub mod mfa_audit;

use crate::book::Book;
use crate::view::{Answer, CaseView};
use portreeve_engine::detect::ops::mfa::{State, assess};
use portreeve_model::action::ActionKind;
use portreeve_model::answer::{Decision, Tri};
use portreeve_model::case::{ActionSubject, ProposedAction};
use portreeve_model::event::Service;
use portreeve_model::facts::AccountKind;
use portreeve_model::net::NetworkClass;

/// Titles and order are the book's: shut the way back in, end what runs, change what is known, then look and mend.
pub fn propose(
    case: &CaseView<'_>,
    book: &Book,
    decision: Decision,
    answers: &[(&'static str, Answer)],
) -> Vec<ProposedAction> {
    if decision == Decision::Close {
        return Vec::new();
    }
    let mut actions = Vec::new();
    let account = case.text(case.draft.principal);
    let anonymous = case.draft.account.kind == AccountKind::Anonymous;
    block(case, &mut actions);
    if !anonymous {
        let caution = match case.draft.account.kind {
            AccountKind::Service => "a service account: whatever runs with it stops",
            AccountKind::Generic => "a shared or built-in account: others may depend on it",
            _ => "",
        };
        actions.push(action(
            ActionKind::QuarantineAccount,
            &account,
            account_subject(&account),
            "the account was used by somebody else",
            "sessions, tokens and keys that exist already go on until they are ended",
            "everything that signs in with this account",
            caution,
        ));
    }
    terminate(case, &mut actions);
    if !anonymous {
        actions.push(action(
            ActionKind::ResetPassword,
            &account,
            account_subject(&account),
            "the password is known to somebody else",
            "SSH keys, access keys, application passwords and enrolled factors stay valid",
            "the person, until the new password is handed over",
            "",
        ));
        actions.push(action(
            ActionKind::RevokeFactors,
            &account,
            account_subject(&account),
            "tokens, remembered devices and factors may be the intruder's",
            "sessions at gateways that keep their own state",
            "every device of the person must sign in again",
            "",
        ));
    }
    forensics(case, &mut actions);
    let mfa = answers.iter().find(|(id, _)| *id == "mfa_bypassed_or_absent").map(|(_, a)| a);
    if let Some(mfa) = mfa.filter(|a| a.tri == Tri::Yes) {
        let main = case.main();
        let state = assess(&main).state;
        let target = [case.text(main.session.gateway), case.text(main.session.group)]
            .into_iter()
            .filter(|t| !t.is_empty())
            .collect::<Vec<_>>()
            .join(" / ");
        let target = if target.is_empty() { main.session.service.name().to_owned() } else { target };
        let leaves = if state == State::Bypassed {
            "push approvals stay phishable: number matching or FIDO2 closes that"
        } else {
            "other gateways and groups with the same exception"
        };
        actions.push(action(
            ActionKind::EnforceMfa,
            &target,
            ActionSubject {
                gateway: case.text(main.session.gateway).into(),
                service: main.session.service.name(),
                ..ActionSubject::default()
            },
            &mfa.because,
            leaves,
            "everybody who uses this path without a second factor",
            "",
        ));
    }
    for a in &mut actions {
        a.title = book.action(a.kind).1;
    }
    actions.sort_by_key(|a| book.action(a.kind).0);
    for (n, a) in actions.iter_mut().enumerate() {
        a.order = u8::try_from(n + 1).unwrap_or(u8::MAX);
    }
    actions
}

fn account_subject(account: &str) -> ActionSubject {
    ActionSubject { account: account.into(), ..ActionSubject::default() }
}

fn action(
    kind: ActionKind,
    target: &str,
    subject: ActionSubject,
    because: &str,
    leaves_open: &str,
    blast_radius: &str,
    caution: &str,
) -> ProposedAction {
    ProposedAction {
        order: 0,
        kind,
        title: String::new(),
        target: target.into(),
        subject,
        because: because.into(),
        leaves_open: leaves_open.into(),
        blast_radius: blast_radius.into(),
        caution: caution.into(),
    }
}

fn block(case: &CaseView<'_>, actions: &mut Vec<ProposedAction>) {
    for ip in case.public_ips().into_iter().take(8) {
        let place = case.engine.context().place(ip);
        if matches!(place.class, NetworkClass::Own | NetworkClass::Private) {
            continue;
        }
        let others: Vec<String> = case
            .engine
            .source(ip)
            .map(|s| {
                s.successes
                    .iter()
                    .filter(|(_, a)| *a != case.draft.principal)
                    .map(|(_, a)| case.text(*a))
                    .collect()
            })
            .unwrap_or_default();
        let blast = match others.len() {
            0 => "no other account of the company has used it".to_owned(),
            n => format!(
                "{n} other accounts have used it: {}",
                others.iter().take(5).cloned().collect::<Vec<_>>().join(", ")
            ),
        };
        let caution = match place.class {
            NetworkClass::Mobile | NetworkClass::Relay | NetworkClass::CommercialVpn => {
                format!("shared by many ({}); block for a short time only", place.class.name())
            }
            NetworkClass::Isp => "a line of a private provider: the address may change hands soon".to_owned(),
            _ => String::new(),
        };
        actions.push(action(
            ActionKind::BlockIp,
            &ip.to_string(),
            ActionSubject {
                address: Some(ip),
                others: u32::try_from(others.len()).unwrap_or(u32::MAX),
                ..ActionSubject::default()
            },
            "the suspect sessions came from it",
            "connections that stand already, and any other address of the intruder",
            &blast,
            &caution,
        ));
    }
}

fn terminate(case: &CaseView<'_>, actions: &mut Vec<ProposedAction>) {
    let newest = case.engine.span().map_or(case.draft.last, |(_, last)| last);
    for session in case.suspects() {
        let open = session.end.is_none() && newest.since(session.last) <= 24 * 3_600_000_000;
        let lasting = matches!(session.service, Service::Idp | Service::CloudConsole | Service::CloudApi);
        if !open && !lasting {
            continue;
        }
        let target = format!(
            "{} session of {} from {} since {}",
            session.service.name(),
            case.text(session.principal),
            session.ip(),
            session.start
        );
        let because = if open { "no end of it is on record" } else { "its tokens outlive the sign-in" };
        let leaves = match session.service {
            Service::Vpn => "the client reconnects by itself unless the account is closed first",
            Service::CloudApi | Service::CloudConsole => {
                "role sessions live on until they run out or are revoked by date"
            }
            _ => "the way in, unless the account is closed first",
        };
        let subject = ActionSubject {
            address: session.stays.last().map(|s| s.ip),
            account: case
                .text(if session.account.is_some() { session.account } else { session.principal })
                .into(),
            session: case.text(session.sid).into(),
            gateway: case.text(session.gateway).into(),
            tunnel_ip: session.tunnels.last().map(|(ip, _)| *ip),
            service: session.service.name(),
            ..ActionSubject::default()
        };
        actions.push(action(
            ActionKind::TerminateSession,
            &target,
            subject,
            because,
            leaves,
            "this session",
            "",
        ));
        if actions.iter().filter(|a| a.kind == ActionKind::TerminateSession).count() >= 5 {
            break;
        }
    }
}

fn forensics(case: &CaseView<'_>, actions: &mut Vec<ProposedAction>) {
    let mut hosts: Vec<String> = Vec::new();
    for session in case.suspects() {
        if session.device.is_some() {
            hosts.push(case.text(session.device));
        }
        if matches!(session.service, Service::Ssh | Service::Rdp) {
            hosts.push(case.text(session.gateway));
        }
        hosts
            .extend(session.touches.iter().filter(|t| t.logon && t.successes > 0).map(|t| case.text(t.host)));
    }
    hosts.retain(|h| !h.is_empty());
    let mut seen: Vec<String> = Vec::new();
    for host in hosts {
        if !seen.contains(&host) {
            seen.push(host);
        }
    }
    for host in seen.iter().take(8) {
        actions.push(action(
            ActionKind::CollectForensics,
            host,
            ActionSubject { host: host.as_str().into(), ..ActionSubject::default() },
            "the session used or reached it",
            "what was changed on hosts that no log names",
            "load on the host while it is collected",
            "",
        ));
    }
}
