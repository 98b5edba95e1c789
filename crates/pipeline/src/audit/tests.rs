//! Stories of the little company (`content/examples/world.yml`), told to the engine and audited.

use portreeve_content::Content;
use portreeve_content::story::{Example, Expect};
use portreeve_engine::Engine;
use portreeve_model::SymbolTable;
use portreeve_model::event::Factor;
use portreeve_model::mfa_audit::{Because, DeviceUse, Kind, MfaAudit, Standing};
use portreeve_model::{Event, EventTime};
use portreeve_playbook::containment::mfa_audit::{Period, audit};
use std::sync::LazyLock;

static CONTENT: LazyLock<Content> = LazyLock::new(|| Content::embedded().expect("the shipped content"));

const ALWAYS: Period = Period { since: EventTime::MIN, until: EventTime::MAX };

fn audited(lines: &[&str], period: Period, change: impl Fn(&SymbolTable, &mut Event)) -> MfaAudit {
    let names = SymbolTable::new();
    let context = CONTENT.world.context(&names);
    let example = Example {
        detection: String::new(),
        title: String::new(),
        expect: Expect::Fires,
        boundary: false,
        lines: lines.iter().map(|l| (*l).to_owned()).collect(),
    };
    let mut engine = Engine::new(&context, names.clone());
    for mut event in example.told(&CONTENT.world, &names).unwrap_or_else(|e| panic!("{e}")).events {
        change(&names, &mut event);
        engine.push(&event);
    }
    audit(&engine, &CONTENT.rules(), period)
}

fn told(lines: &[&str]) -> MfaAudit {
    audited(lines, ALWAYS, |_, _| {})
}

/// Kind and reason of the logins of an account, with their number.
fn of(audit: &MfaAudit, name: &str) -> Vec<(Kind, Because, u64)> {
    let all = audit.users.iter().chain(&audit.service_accounts).chain(&audit.break_glass);
    let mut users = all.filter(|u| u.name.raw() == name);
    let rows = users.next().map(|u| u.reasons.iter().map(|r| (r.kind, r.because, r.logins)).collect());
    rows.unwrap_or_default()
}

fn standing(audit: &MfaAudit, gateway: &str) -> Standing {
    let mut all = audit.services.iter();
    all.find(|s| s.gateway.raw() == gateway).map_or(Standing::NotSeen, |s| s.standing)
}

#[test]
fn a_gateway_that_logs_no_factor_is_unknown_and_neither_yes_nor_no() {
    let audit = told(&["0 anna enters vpn from home", "+1h bob enters vpn from home"]);
    assert_eq!(of(&audit, "anna"), [(Kind::Unknown, Because::NotLogged, 1)]);
    assert_eq!((audit.totals.unknown, audit.totals.with, audit.totals.without), (2, 0, 0));
    assert_eq!(standing(&audit, "vpn1"), Standing::NotShown);
    assert!(audit.enforce_next.is_empty());
    assert_eq!(audit.logging.iter().map(|l| l.logins).sum::<u64>(), 2);
}

#[test]
fn fully_enforced_is_said_only_where_every_login_shows_a_factor() {
    let with = ["0 anna approves from home factor push", "0 anna enters vpn from home group staff"];
    let audit = told(&with);
    assert_eq!(of(&audit, "anna"), [(Kind::With, Because::Provider, 1)]);
    assert_eq!((audit.totals.phishable, audit.totals.resistant), (1, 0));
    assert_eq!(standing(&audit, "vpn1"), Standing::FullyEnforced);
    let one_more = [&with[..], &["+1h bob enters vpn from home group legacy"]].concat();
    let audit = told(&one_more);
    assert_eq!(of(&audit, "bob"), [(Kind::Without, Because::PolicyException, 1)]);
    assert_eq!(standing(&audit, "vpn1"), Standing::NotEnforced);
}

#[test]
fn a_login_counts_once_whatever_tells_of_it() {
    let audit = told(&[
        "0 anna tries vpn from home group staff",
        "0 anna enters vpn from home group staff",
        "+5s anna tries radius from home",
        "+9s anna moves vpn from home tunnel 10.8.0.5 group staff",
        "+1h anna leaves vpn from home group staff",
    ]);
    assert_eq!(audit.totals.logins, 1);
    assert_eq!(audit.services.len(), 1);
    // Nor is use of another address of the pool, whose assignment was lost, on the day of a login.
    let audit =
        told(&["-1h anna enters vpn from home tunnel 10.8.0.5", "0 anna reaches files from 10.8.0.9"]);
    assert_eq!(audit.totals.logins, 1);
}

#[test]
fn every_kind_has_its_reason() {
    for (lines, who, kind, because) in [
        (vec!["0 anna enters vpn from home mfa yes factor totp"], "anna", Kind::With, Because::OwnRecord),
        (vec!["0 anna enters vpn from home mfa no"], "anna", Kind::Without, Because::RecordSaysNone),
        (vec!["0 anna enters idp from office mfa no"], "anna", Kind::Without, Because::TrustedNetwork),
        (
            vec!["0 anna enters idp from home mfa claimed factor remembered_device"],
            "anna",
            Kind::Remembered,
            Because::Remembered,
        ),
        (vec!["0 anna enters vpn from home mfa claimed"], "anna", Kind::Claimed, Because::Assertion),
        (vec!["0 anna enters idp from home method legacy"], "anna", Kind::Without, Because::LegacyProtocol),
        (vec!["0 anna enters vpn from home flag mfa_bypass"], "anna", Kind::Without, Because::BypassCode),
        (
            vec!["0 anna enters ssh from home on bastion method publickey"],
            "anna",
            Kind::Without,
            Because::OneFactor,
        ),
        (
            vec!["0 anna enters cloud_api from home method access_key"],
            "anna",
            Kind::Without,
            Because::LongTermKey,
        ),
        (
            vec!["0 build enters kubernetes from hosting method service_account"],
            "build",
            Kind::Without,
            Because::ServiceAccount,
        ),
        (
            vec!["0 ivan enters management from home flag local_account"],
            "ivan",
            Kind::Without,
            Because::LocalAccount,
        ),
        (
            vec!["0 system:anonymous enters kubernetes from hosting method anonymous"],
            "system:anonymous",
            Kind::Without,
            Because::Anonymous,
        ),
        // An address of the pool in use, and no login that it was given at.
        (vec!["0 anna reaches files from 10.8.0.5"], "anna", Kind::Unknown, Because::NoLogin),
        (vec!["0 anna enters idp from office"], "anna", Kind::Unknown, Because::NoStepInside),
        (
            vec!["anna works 10d vpn from home", "0 anna enters vpn from lisbon method token"],
            "anna",
            Kind::Claimed,
            Because::RememberedElsewhere,
        ),
        (vec!["0 anna enters cloud_api from home"], "anna", Kind::Unknown, Because::Key),
        (vec!["0 anna enters idp from home"], "anna", Kind::Unknown, Because::NoStep),
        (
            vec!["0 anna enters vpn from home mfa delegated"],
            "anna",
            Kind::Delegated,
            Because::ProviderNotHere,
        ),
        (vec!["0 anna enters vpn from home method saml"], "anna", Kind::Delegated, Because::ProviderNotHere),
        // The provider asks for it, its log is here, and it has none.
        (
            vec![
                "-2h anna approves from home",
                "-2h anna enters vpn from home",
                "0 anna enters vpn from home group staff",
            ],
            "anna",
            Kind::Without,
            Because::ProviderSilent,
        ),
        // The provider let it through on a trusted network, or by an exemption of the account.
        (
            vec!["0 anna approves from home mfa no", "0 anna enters vpn from home"],
            "anna",
            Kind::Without,
            Because::ProviderExempts,
        ),
        (
            vec!["0 anna approves from home mfa no flag mfa_bypass", "0 anna enters vpn from home"],
            "anna",
            Kind::Without,
            Because::BypassCode,
        ),
        // A cookie stands for an earlier login at the same gateway, or for one that is not here.
        (
            vec![
                "-1d anna approves from home",
                "-1d anna enters vpn from home group staff",
                "0 anna enters vpn from home group staff method token",
            ],
            "anna",
            Kind::Remembered,
            Because::Cookie,
        ),
        (vec!["0 anna enters vpn from home method token"], "anna", Kind::Unknown, Because::CookieAlone),
        // Approved at last, after many that were not.
        (
            vec![
                "-9m anna denies from home x3 every 1m",
                "-1m anna approves from home",
                "0 anna enters vpn from home group staff",
            ],
            "anna",
            Kind::With,
            Because::AfterDenials,
        ),
    ] {
        let audit = told(&lines);
        let found = of(&audit, who);
        assert!(found.iter().any(|r| (r.0, r.1) == (kind, because)), "{lines:?}: {found:?}");
    }
}

#[test]
fn what_a_gateway_leaves_to_a_provider_is_what_the_sign_in_there_was() {
    let at = |sign_in: &str, login: &str| {
        let audit = told(&[sign_in, login]);
        let gateway = audit.services.iter().find(|s| s.gateway.raw() == "vpn1").expect("the gateway");
        let reason = &gateway.groups[0].reasons[0];
        (reason.kind, reason.because)
    };
    let login = "0 anna enters vpn from home method saml group staff";
    assert_eq!(
        at("-20s anna enters idp from home mfa yes factor fido2", login),
        (Kind::With, Because::ProviderSignIn)
    );
    assert_eq!(
        at("-3h anna enters idp from home mfa yes factor push", login),
        (Kind::Remembered, Because::OpenSignIn)
    );
    assert_eq!(at("-20s anna enters idp from home mfa no", login), (Kind::Without, Because::SignInWithout));
    // A sign-in from elsewhere, or of another day, says nothing of this login.
    let silent = (Kind::Delegated, Because::ProviderTellsNothing);
    assert_eq!(at("-20s anna enters idp from hosting mfa yes factor push", login), silent);
    assert_eq!(at("-3h anna enters idp from home mfa no", login), silent);
    assert_eq!(at("-13h anna enters idp from home mfa yes factor push", login), silent);
}

/// The gateway's clock may be an hour off, and so this is no proof of anything.
#[test]
fn an_approval_that_no_login_explains_makes_it_unknown() {
    let audit = told(&["-1h anna approves from home", "0 anna enters vpn from home group staff"]);
    assert_eq!(of(&audit, "anna"), [(Kind::Unknown, Because::Clock, 1)]);
    // Of two approvals a sign-in explains one.
    let one = [
        "-60m anna approves from home",
        "-60m anna enters idp from home",
        "0 anna enters vpn from home group staff",
    ];
    let vpn = |lines: &[&str]| {
        let audit = told(lines);
        let vpn = audit.services.iter().find(|s| s.gateway.raw() == "vpn1").expect("the gateway");
        vpn.groups[0].reasons[0].because
    };
    assert_eq!(vpn(&one), Because::ProviderSilent);
    assert_eq!(vpn(&[&one[..], &["-62m anna approves from home"]].concat()), Because::Clock);
    let audit = told(&["-13h anna approves from home", "0 anna enters vpn from home group staff"]);
    assert_eq!(of(&audit, "anna"), [(Kind::Without, Because::ProviderSilent, 1)]);
}

#[test]
fn steps_that_were_dropped_prove_nothing() {
    // 300 approvals later the one of the first login is gone.
    let mut lines = vec!["-30d anna approves from home", "-30d anna enters vpn from home group staff"];
    let audit = told(&lines);
    assert_eq!(of(&audit, "anna"), [(Kind::With, Because::Provider, 1)]);
    lines.push("-20d anna approves from home x300 every 1h");
    let audit = told(&lines);
    assert_eq!(of(&audit, "anna"), [(Kind::Unknown, Because::NotLogged, 1)]);
    assert!(audit.missing.iter().any(|m| m.contains("dropped")), "{:?}", audit.missing);
}

#[test]
fn the_time_asked_about_holds_logins_and_not_what_is_known() {
    let lines = [
        "-1d anna approves from home",
        "-1d anna enters vpn from home group staff",
        "0 anna enters vpn from home group staff method token",
    ];
    let noon = EventTime::from_civil(2026, 3, 10, 12, 0, 0, 0);
    let audit = audited(&lines, Period { since: noon, until: EventTime::MAX }, |_, _| {});
    assert_eq!(of(&audit, "anna"), [(Kind::Remembered, Because::Cookie, 1)]);
    let audit = audited(&lines, Period { since: EventTime::MIN, until: noon.minus(1) }, |_, _| {});
    assert_eq!(of(&audit, "anna"), [(Kind::With, Because::Provider, 1)]);
    let audit = audited(&lines, Period { since: noon.plus(1), until: EventTime::MAX }, |_, _| {});
    assert_eq!((audit.totals.logins, audit.services.len()), (0, 0));
    assert!(!audit.missing.is_empty());
}

#[test]
fn service_accounts_stand_apart_and_count_against_the_service() {
    let audit = told(&[
        "0 anna approves from home",
        "0 anna enters vpn from home group staff",
        "+1h svc_scan enters vpn from hosting group legacy",
    ]);
    let names = |rows: &[portreeve_model::mfa_audit::UserRow]| -> Vec<String> {
        rows.iter().map(|u| u.name.raw().to_owned()).collect()
    };
    assert_eq!(names(&audit.users), ["anna"]);
    assert_eq!(names(&audit.service_accounts), ["svc_scan"]);
    assert_eq!((audit.services[0].service_accounts, audit.services[0].standing), (1, Standing::NotEnforced));
    assert_eq!(audit.enforce_next[0].service_accounts, 1);
}

#[test]
fn what_to_enforce_next_is_ordered_by_what_it_removes() {
    let audit = told(&[
        // Two logins of a privileged account from outside, three of an ordinary one, five from the office.
        "0 ivan enters vpn from home group legacy x2 every 1h",
        "0 anna enters ica from home group legacy mfa no x3 every 1h",
        "0 bob enters rd_gateway from office group legacy x5 every 1h",
        "0 carol enters ztna from home group staff mfa yes factor push",
    ]);
    let rows: Vec<_> = audit
        .enforce_next
        .iter()
        .map(|e| (e.service.name(), e.without, e.from_public, e.accounts, e.privileged))
        .collect();
    assert_eq!(rows, [("vpn", 2, 2, 1, 1), ("ica", 3, 3, 1, 0), ("rd_gateway", 5, 0, 1, 0)]);
}

#[test]
fn stale_factors_and_phishable_ones() {
    let audit = told(&[
        "-100d anna approves from home factor sms",
        "-1d anna approves from home factor push",
        "-89d bob approves from home factor push",
        "-100d carol approves from home factor totp",
        "-99d carol changes factor_reset from home target carol",
        "-95d dave changes factor_enrolled from home target dave",
        "-1d erin approves from home factor fido2",
        "0 frank enters vpn from home",
    ]);
    let stale: Vec<_> = audit.factors.stale.iter().map(|s| (s.name.raw(), s.factor, s.days)).collect();
    assert_eq!(stale, [("anna", Factor::Sms, 100), ("dave", Factor::None, 95)]);
    let phishable: Vec<_> = audit.factors.phishable_only.iter().map(|p| (p.name.raw(), p.uses)).collect();
    assert_eq!(phishable, [("anna", 2), ("bob", 1), ("carol", 1)]);
    let audit = told(&["-100d anna approves from home factor sms", "-11d bob enters vpn from home"]);
    assert!(audit.factors.stale.is_empty(), "89 days are not 90");
}

/// The world has no phones, so the record's target is set by hand.
#[test]
fn one_phone_for_two_people_is_told_and_one_for_a_person_and_his_second_account_is_not() {
    let phones = |who: &[&str], phone: &str| {
        let lines: Vec<String> =
            who.iter().map(|w| format!("0 {w} approves from home factor push")).collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let audit = audited(&lines, ALWAYS, |names, event| event.target = names.intern(phone));
        audit.factors.shared.iter().map(|d| (d.used_as, d.accounts.len())).collect::<Vec<_>>()
    };
    assert_eq!(phones(&["anna", "bob"], "+1 555 0100"), [(DeviceUse::Factor, 2)]);
    assert_eq!(phones(&["ivan", "adm-ivan"], "+1 555 0100"), []);
    assert_eq!(phones(&["anna", "bob"], "iPhone"), [], "a make is no device");
}

#[test]
fn enrolments_are_held_against_where_the_account_came_from_before() {
    let enrolled = |from: &str| {
        let line = format!("0 anna changes factor_enrolled from {from} target anna");
        let audit = told(&["anna works 10d vpn from home", &line]);
        let because: Vec<_> = audit.factors.unusual.iter().flat_map(|u| u.because.clone()).collect();
        (audit.factors.enrolments, because)
    };
    assert_eq!(enrolled("home"), (1, vec![]));
    assert_eq!(enrolled("office"), (1, vec![]));
    assert_eq!(enrolled("cafe"), (1, vec!["from a network new to the account"]));
    assert_eq!(enrolled("lisbon"), (1, vec!["from a country new to the account"]));
    // Nothing earlier: neither unusual nor usual.
    let audit = told(&["0 anna changes factor_enrolled from lisbon target anna"]);
    assert_eq!((audit.factors.enrolments, audit.factors.not_judged, audit.factors.unusual.len()), (1, 1, 0));
    // After a suspicious session, wherever it was done.
    let audit = told(&[
        "anna works 10d vpn from home",
        "-3h anna enters vpn from tor",
        "0 anna changes factor_enrolled from home target anna",
    ]);
    assert_eq!(audit.factors.unusual[0].because, ["within 24 hours of a suspicious session"]);
}

#[test]
fn no_logs_at_all() {
    let audit = told(&[]);
    assert_eq!(audit.totals.logins, 0);
    assert!(audit.services.is_empty() && audit.from.is_none());
}
