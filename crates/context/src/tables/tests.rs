//! The tables, loaded from files and asked.

use super::*;

fn tables(files: &[(&str, &str)]) -> Result<(Tables, Arc<SymbolTable>), String> {
    let dir = tempfile::tempdir().expect("temporary directory");
    for (name, text) in files {
        std::fs::write(dir.path().join(name), text).expect("written");
    }
    let names = SymbolTable::new();
    let options = Options { dir: Some(dir.path().to_owned()), ..Options::default() };
    Tables::load(&options, names.clone()).map(|t| (t, names)).map_err(|e| e.to_string())
}

const USERS: &str = "username,aliases,email,department,role,privileged,home_country,home_city,home_lat,home_lon,manager,status,start_date\nanna,HELM\\anna;anna.smith,anna.smith@helm.example,Sales,Rep,no,DE,Munich,48.1,11.6,,active,2020-01-01\nadm-anna,,,IT,Admin,yes,DE,Munich,48.1,11.6,,active,\n";

#[test]
fn one_person_behind_every_spelling() {
    let (t, names) = tables(&[("users.csv", USERS)]).expect("loads");
    let anna = names.intern("anna");
    for spelling in [
        "anna",
        "ANNA",
        "helm\\anna",
        "other\\anna",
        "anna.smith",
        "Anna.Smith@helm.example",
        "anna@ad.helm.example",
    ] {
        assert_eq!(t.account(names.intern(spelling)).name, anna, "{spelling}");
    }
    assert_eq!(t.account(anna).paired, names.intern("adm-anna"));
    assert_eq!(t.account(names.intern("adm-anna")).kind, AccountKind::AdminOfPerson);
    assert!(!t.account(names.intern("nobody")).listed);
}

#[test]
fn errors_name_file_line_and_remedy() {
    let error =
        |file: &str, text: &str| tables(&[("users.csv", USERS), (file, text)]).err().unwrap_or_default();
    assert_eq!(
        error("travel.csv", "user,from,to,country,city\nanna,2026-03-02,2026-02-27,FR,Paris\n"),
        "travel.csv:2: travel ends before it starts (2026-03-02 > 2026-02-27); swap from and to"
    );
    assert!(
        error("vpn_pools.csv", "cidr,gateway\n10.8.0.0/40,gw\n")
            .starts_with("vpn_pools.csv:2: `cidr` is no prefix")
    );
    assert!(error("mfa_policy.csv", "service,gateway\nvpn,gw\n").contains("no column mfa_required"));
    let both = error("oncall.csv", "user,from,to\nanna,monday,2026-01-01\nanna,2026-01-01,never\n");
    assert_eq!(both.lines().count(), 2, "{both}");
}

#[test]
fn travel_is_valid_a_little_before_and_after() {
    let (t, names) = tables(&[
        ("users.csv", USERS),
        ("travel.csv", "user,from,to,country,city\nanna,2026-03-10,2026-03-11,FR,Paris\n"),
    ])
    .expect("loads");
    let anna = names.intern("anna");
    let at = |text: &str| {
        t.travel(anna, EventTime(text.parse::<jiff::Timestamp>().expect("a time").as_microsecond())).len()
    };
    // Munich's days begin an hour before UTC's.
    assert_eq!((at("2026-03-09T11:00:00Z"), at("2026-03-09T10:59:59Z")), (1, 0));
    assert_eq!((at("2026-03-13T11:00:00Z"), at("2026-03-13T11:00:01Z")), (1, 0));
    assert!(t.travel(anna, EventTime::from_civil(2026, 3, 10, 12, 0, 0, 0))[0].point.is_some());
}

#[test]
fn the_most_specific_policy_wins() {
    let policy =
        "service,gateway,group,mfa_required\nasa-vpn,gw1,Employees,yes\nasa-vpn,gw1,Legacy,no\nvpn,,,yes\n";
    let (t, names) = tables(&[("mfa_policy.csv", policy)]).expect("loads");
    let ask = |gateway: &str, group: &str| {
        t.mfa_policy(&Event {
            service: Service::Vpn,
            observer: names.intern(gateway),
            group: names.intern(group),
            ..Event::default()
        })
    };
    assert_eq!(ask("gw1", "Legacy"), MfaPolicy::NotRequired);
    assert_eq!(ask("GW1.helm.example", "employees"), MfaPolicy::Required);
    assert_eq!(ask("gw2", "Legacy"), MfaPolicy::Required);
}

#[test]
fn own_ranges_are_never_malicious() {
    let (t, _) = tables(&[("egress.csv", "cidr,label\n203.0.113.0/28,Office\n")]).expect("loads");
    assert_eq!(t.place(Ip::v4(203, 0, 113, 3)).class, NetworkClass::Own);
    assert!(t.intel(Ip::v4(203, 0, 113, 3), EventTime(0)).is_empty());
}
