//! The life of an action over a device that lies in a file, so that it outlives the process: approval, staleness,
//! crashes, expiry, what vanishes and what is not ours.

use crate::lab;
use crate::site::*;
use portreeve_model::action::ActionKind;
use portreeve_respond::act::Act;
use portreeve_respond::approve::Allowed;
use portreeve_respond::execute::ExecuteError;
use portreeve_respond::guard::Guard;
use portreeve_respond::ledger::{Entry, Kind, StepState};
use portreeve_respond::operator::Purpose;
use portreeve_respond::target::{Stay, Target};
use portreeve_respond::value::UserName;
use portreeve_respond::watch::{Sighting, Tally, Watch};
use std::path::Path;

#[test]
fn planned_approved_sent_proven_and_taken_back() {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::new(dir.path());
    let digest = site.approved(&[
        account(ActionKind::ResetPassword, "anna"),
        account(ActionKind::QuarantineAccount, "anna"),
        block("198.51.100.7"),
    ]);
    let report = site.apply(&digest).unwrap();
    assert!(report.is_contained(), "{report:?}");
    assert_eq!(report.allowed, Allowed::By(vec!["theo".into()]));
    // The order that works, whatever order was proposed in.
    let inside = site.inside();
    assert_eq!(inside.effects.last().unwrap(), "apply reset_password account anna");
    let secret = report.steps.iter().find_map(|s| s.handover.as_ref()).unwrap();
    assert_eq!(secret.expose(), "n3w-secret");
    // The secret is nowhere on disk.
    for file in std::fs::read_dir(dir.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(10).any(|w| w == b"n3w-secret"));
    }
    // Applying again does nothing again.
    let effects = inside.effects.len();
    assert!(site.apply(&digest).unwrap().is_contained());
    assert_eq!(site.inside().effects.len(), effects);

    let reports =
        site.with(|e| e.roll_back(&digest, &[], &site.word("tom", Purpose::RollBack, &digest))).unwrap();
    assert_eq!(reports.len(), 3);
    let states = site.states(&digest);
    assert_eq!(
        states,
        [StepState::RolledBack, StepState::RolledBack, StepState::Verified],
        "a password does not come back"
    );
    assert_eq!(site.inside().in_force.len(), 1);
    let audit = site.ledger().audit(&site.operators, None, &[]).unwrap();
    assert_eq!(audit.faults, Vec::<String>::new());
}

#[test]
fn without_the_right_people_nothing_is_sent() {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::new(dir.path());
    let plan = site.plan(&[account(ActionKind::ResetPassword, "anna")]);
    let digest = site.proposed(&plan);
    assert!(matches!(site.apply(&digest), Err(ExecuteError::NotApproved(_))));
    // L1 and T2 cannot approve what nothing brings back.
    for who in ["lena", "tom"] {
        assert!(site.with(|e| e.say(&digest, &site.word(who, Purpose::Approve, &digest))).is_err(), "{who}");
    }
    // A word for another plan does not count, and neither does a forged one.
    assert!(site.with(|e| e.say(&digest, &site.word("theo", Purpose::Approve, "other"))).is_err());
    let mut forged = site.word("tom", Purpose::Approve, &digest);
    forged.by = "theo".into();
    assert!(site.with(|e| e.say(&digest, &forged)).is_err());
    assert!(matches!(site.apply(&digest), Err(ExecuteError::NotApproved(_))));
    assert!(site.inside().effects.is_empty());
    // Right, but a quarter of an hour too late.
    site.with(|e| e.say(&digest, &site.word("theo", Purpose::Approve, &digest))).unwrap();
    site.clock.set(site.clock.get() + 16 * 60_000_000);
    assert!(matches!(site.apply(&digest), Err(ExecuteError::NotApproved(_))));
    assert!(site.inside().effects.is_empty());
}

#[test]
fn a_world_that_changed_stops_the_plan() {
    let dir = tempfile::tempdir().unwrap();
    let mut site = Site::new(dir.path());
    let digest = site.approved(&[block("198.51.100.7"), block("198.51.100.8")]);
    let file = File { path: dir.path().join("device.json"), mood: Mood::Well, acted: false };
    let mut inside = file.load();
    inside.in_force.insert("block_address 198.51.100.8".into(), "by hand".into());
    file.store(&inside);
    assert!(matches!(site.apply(&digest), Err(ExecuteError::Stale(why)) if why.len() == 1));
    assert!(site.inside().effects.is_empty(), "nothing at all was sent");
    // What became protected after the approval is not sent either.
    file.store(&Inside::default());
    site.guard.protect_net("198.51.100.0/28".parse().unwrap(), "own_egress", "the new office");
    assert!(matches!(site.apply(&digest), Err(ExecuteError::Stale(_))));
    assert!(site.inside().effects.is_empty());
}

#[test]
fn yes_is_not_an_effect() {
    for (mood, state) in [
        (Mood::Hollow, StepState::NotEffective),
        (Mood::Silent, StepState::Verified),
        (Mood::Refuses, StepState::Failed),
        (Mood::Blind, StepState::Unknown),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let mut site = Site::new(dir.path());
        site.mood = mood;
        let digest = site.approved(&[block("198.51.100.7")]);
        let report = site.apply(&digest).unwrap();
        assert_eq!(report.steps[0].state, state, "{}", report.steps[0].why);
        assert_eq!(report.is_contained(), state == StepState::Verified);
    }
}

#[test]
fn what_nothing_brings_back_waits_for_what_must_come_first() {
    let dir = tempfile::tempdir().unwrap();
    let mut site = Site::new(dir.path());
    let digest = site.approved(&[
        account(ActionKind::QuarantineAccount, "anna"),
        account(ActionKind::ResetPassword, "anna"),
    ]);
    site.mood = Mood::Hollow;
    let report = site.apply(&digest).unwrap();
    assert_eq!(report.steps[0].state, StepState::NotEffective);
    assert_eq!(report.steps[1].state, StepState::Skipped);
    // Once the device does as it says, the same plan goes on.
    site.mood = Mood::Well;
    assert!(site.apply(&digest).unwrap().is_contained());
}

#[test]
fn what_expires_goes_what_vanishes_comes_back_and_strangers_stay() {
    let dir = tempfile::tempdir().unwrap();
    let mut site = Site::new(dir.path());
    let digest = site.approved(&[block("198.51.100.7"), block("198.51.100.8")]);
    site.apply(&digest).unwrap();
    let file = File { path: dir.path().join("device.json"), mood: Mood::Well, acted: false };
    let mut inside = file.load();
    inside.in_force.remove("block_address 198.51.100.7");
    inside.in_force.insert("block_address 203.0.113.1".into(), "somebody".into());
    file.store(&inside);
    let round = site.with(|e| e.reconcile()).unwrap();
    assert_eq!((round.in_force, round.restored.len(), round.strangers.len()), (1, 1, 1), "{round:?}");
    assert_eq!(site.inside().in_force.len(), 3);
    let quiet = site.with(|e| e.reconcile()).unwrap();
    assert_eq!((quiet.in_force, quiet.restored.len()), (2, 0), "{quiet:?}");
    // It is put back three times, then a person is asked.
    for _ in 0..4 {
        let mut inside = file.load();
        inside.in_force.remove("block_address 198.51.100.7");
        file.store(&inside);
        site.with(|e| e.reconcile()).unwrap();
    }
    let round = site.with(|e| e.reconcile()).unwrap();
    assert_eq!(round.not_in_force.len(), 1, "{round:?}");
    // What became protected is let go.
    site.guard.protect_net("198.51.100.8".parse().unwrap(), "own_egress", "a new line");
    let round = site.with(|e| e.reconcile()).unwrap();
    assert_eq!(round.released.len(), 1, "{round:?}");
    site.clock.set(site.clock.get() + 5 * HOUR);
    let round = site.with(|e| e.reconcile()).unwrap();
    assert_eq!(round.expired.len(), 1, "{round:?}");
    assert_eq!(
        site.inside().in_force.keys().collect::<Vec<_>>(),
        ["block_address 203.0.113.1"],
        "the stranger stays"
    );
}

#[test]
fn limits_hold_and_glass_breaks_them_loudly_but_no_guard() {
    let dir = tempfile::tempdir().unwrap();
    let mut site = Site::new(dir.path());
    site.policy.limits.per_hour = 2;
    let digest = site.approved(&[block("198.51.100.7"), block("198.51.100.8"), block("198.51.100.9")]);
    assert!(matches!(site.apply(&digest), Err(ExecuteError::Limit(_))));
    assert!(site.inside().effects.is_empty());
    assert!(site.with(|e| e.say(&digest, &site.word("lena", Purpose::BreakGlass, &digest))).is_err());
    site.with(|e| e.say(&digest, &site.word("tom", Purpose::BreakGlass, &digest))).unwrap();
    let report = site.apply(&digest).unwrap();
    assert!(matches!(report.allowed, Allowed::BreakGlass { .. }));
    assert_eq!(site.inside().effects.len(), 3);
    let begun = site.ledger().of_plan(&digest).unwrap().into_iter().find(|e| e.kind == Kind::Begun).unwrap();
    assert!(begun.body.contains("break_glass"));
    let plan = site.plan(&[block("127.0.0.1"), block("198.51.96.0/20")]);
    assert!(plan.steps.is_empty());
    assert_eq!(plan.left_out.len(), 2);
}

#[test]
fn a_device_that_keeps_failing_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let mut site = Site::new(dir.path());
    site.mood = Mood::Refuses;
    let digest = site.approved(&[block("198.51.100.7"), block("198.51.100.8"), block("198.51.100.9")]);
    let report = site.apply(&digest).unwrap();
    assert!(report.steps.iter().all(|s| s.state == StepState::Failed));
    assert!(matches!(site.apply(&digest), Err(ExecuteError::Limit(_))));
    site.clock.set(site.clock.get() + HOUR + 1);
    site.mood = Mood::Well;
    site.with(|e| e.say(&digest, &site.word("theo", Purpose::Approve, &digest))).unwrap();
    assert!(site.apply(&digest).unwrap().is_contained());
}

#[test]
fn coming_back_is_seen_while_it_is_watched() {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::new(dir.path());
    let digest = site.approved(&[block("198.51.100.7"), account(ActionKind::QuarantineAccount, "anna")]);
    site.apply(&digest).unwrap();
    let watch = Watch::new(&site.ledger()).unwrap();
    let now = site.clock.get();
    let sighting = |at: i64, user: &str, ip: &str| Sighting {
        at,
        user: user.into(),
        address: ip.parse().ok(),
        succeeded: true,
        what: "login".into(),
        evidence: "a.log:1".into(),
        ..Sighting::default()
    };
    assert_eq!(watch.see(&sighting(now + HOUR, "CORP\\Anna", "203.0.113.5")).len(), 1);
    assert_eq!(watch.see(&sighting(now + HOUR, "bert", "198.51.100.7")).len(), 1);
    assert_eq!(watch.see(&sighting(now + HOUR, "anna", "198.51.100.7")).len(), 2);
    assert_eq!(watch.see(&sighting(now - 1, "anna", "198.51.100.7")).len(), 0, "before");
    assert_eq!(watch.see(&sighting(now + 73 * HOUR, "anna", "198.51.100.7")).len(), 0, "long after");
    assert_eq!(watch.see(&sighting(now + HOUR, "bert", "203.0.113.5")).len(), 0);
    // Somebody else got the tunnel's address; a refused attempt is no failure, and many of them are one entry.
    let mut tally = Tally::default();
    let alarms = watch.see(&sighting(now + HOUR, "anna", "198.51.100.7"));
    for alarm in alarms.iter().chain(&alarms) {
        tally.add(alarm.clone());
    }
    for n in 0..500 {
        let refused = Sighting { succeeded: false, ..sighting(now + HOUR + n, "anna", "203.0.113.5") };
        watch.see(&refused).into_iter().for_each(|a| tally.add(a));
    }
    assert_eq!((tally.got_in, tally.kept_out), (4, 500));
    assert_eq!(tally.record(&mut site.ledger(), now).unwrap().len(), 3, "two got in, one step was tried");
    assert_eq!(tally.record(&mut site.ledger(), now).unwrap().len(), 0, "each once");
}

#[test]
fn a_tunnel_address_that_changed_hands_is_no_re_entry() {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::new(dir.path());
    let stay =
        Stay { inner: Some("10.8.0.7".parse().unwrap()), ..Stay::of_user(UserName::new("anna").unwrap()) };
    let digest = site.approved(&[proposal(ActionKind::TerminateSession, Target::Session(stay))]);
    site.apply(&digest).unwrap();
    let watch = Watch::new(&site.ledger()).unwrap();
    let seen = |user: &str| {
        let at = site.clock.get() + HOUR;
        watch
            .see(&Sighting {
                at,
                user: user.into(),
                address: "10.8.0.7".parse().ok(),
                succeeded: true,
                ..Sighting::default()
            })
            .len()
    };
    assert_eq!((seen("anna"), seen("bert"), seen("")), (1, 0, 1));
}

#[test]
fn an_old_word_is_not_heard_again() {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::new(dir.path());
    let digest = site.approved(&[block("198.51.100.7")]);
    let start = site.word("tom", Purpose::Apply, &digest);
    let back = site.word("tom", Purpose::RollBack, &digest);
    // A word for one thing starts no other.
    assert!(site.with(|e| e.apply(&digest, &back)).is_err());
    assert!(site.with(|e| e.roll_back(&digest, &[], &start)).is_err());
    site.with(|e| e.apply(&digest, &start)).unwrap();
    site.clock.set(site.clock.get() + HOUR);
    assert!(site.with(|e| e.roll_back(&digest, &[], &back)).is_err(), "played again an hour later");
    assert_eq!(site.states(&digest), [StepState::Verified]);
}

#[test]
fn a_person_vouches_for_what_cannot_be_read_and_for_nothing_else() {
    for (mood, allowed) in [(Mood::Blind, true), (Mood::Hollow, false)] {
        let dir = tempfile::tempdir().unwrap();
        let mut site = Site::new(dir.path());
        site.mood = mood;
        let digest = site.approved(&[block("198.51.100.7")]);
        site.apply(&digest).unwrap();
        let word = |who| site.word(who, Purpose::Attest, &digest);
        assert!(site.with(|e| e.attest(&digest, 1, true, &word("lena"))).is_err(), "L1");
        assert_eq!(site.with(|e| e.attest(&digest, 1, true, &word("tom"))).is_ok(), allowed);
        let state = if allowed { StepState::Verified } else { StepState::NotEffective };
        assert_eq!(site.states(&digest), [state]);
    }
}

/// The child of the next test: applies, then takes back, and is killed with SIGKILL right after the n-th entry.
#[test]
fn child_that_is_killed() {
    let Some(dir) = std::env::var_os("PORTREEVE_TEST_CRASH_DIR") else { return };
    let at: u32 = std::env::var("PORTREEVE_TEST_CRASH_AT").unwrap().parse().unwrap();
    let digest = std::env::var("PORTREEVE_TEST_CRASH_PLAN").unwrap();
    let site = Site::new(Path::new(&dir));
    let mut written = 0;
    let mut die = |_: &Entry| {
        written += 1;
        if written == at {
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL).unwrap();
        }
    };
    site.with_progress(&mut die, |e| {
        e.apply(&digest, &site.word("tom", Purpose::Apply, &digest)).unwrap();
        e.roll_back(&digest, &[], &site.word("tom", Purpose::RollBack, &digest)).unwrap();
    });
}

#[test]
fn killed_at_every_entry_nothing_is_done_twice_and_no_undo_is_lost() {
    let mut kills = 0;
    for at in 1..40 {
        let dir = tempfile::tempdir().unwrap();
        let site = Site::new(dir.path());
        let digest = site.approved(&[block("198.51.100.7"), account(ActionKind::QuarantineAccount, "anna")]);
        let status = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "engine::child_that_is_killed", "--nocapture"])
            .env("PORTREEVE_TEST_CRASH_DIR", dir.path())
            .env("PORTREEVE_TEST_CRASH_AT", at.to_string())
            .env("PORTREEVE_TEST_CRASH_PLAN", &digest)
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .status()
            .unwrap();
        let killed = status.code().is_none();
        kills += u32::from(killed);
        let before = site.states(&digest);
        let undoing = before
            .iter()
            .any(|s| matches!(s, StepState::UndoSent | StepState::UndoAcknowledged | StepState::RolledBack));
        if !undoing {
            let report = site.apply(&digest).unwrap();
            // Killed after writing and before sending, a step is found not effective and sent by the same run.
            assert!(report.is_contained(), "killed at {at}: {before:?} then {report:?}");
        }
        let effects = site.inside().effects;
        for slot in ["block_address 198.51.100.7", "disable_account account anna"] {
            let applied = effects.iter().filter(|e| **e == format!("apply {slot}")).count();
            assert_eq!(applied, 1, "killed at {at}: {effects:?}");
        }
        site.with(|e| e.roll_back(&digest, &[], &site.word("tom", Purpose::RollBack, &digest))).unwrap();
        assert_eq!(site.states(&digest), [StepState::RolledBack, StepState::RolledBack], "killed at {at}");
        assert!(site.inside().in_force.is_empty(), "killed at {at}");
        let undone = site.inside().effects.iter().filter(|e| e.starts_with("undo")).count();
        assert_eq!(undone, 2, "killed at {at}");
        assert_eq!(site.ledger().audit(&site.operators, None, &[]).unwrap().faults, Vec::<String>::new());
        if !killed {
            assert!(kills >= 12, "only {kills} states were crashed");
            return;
        }
    }
    panic!("the child never came to its end");
}

/// Many plans with hostile values and overlapping ranges: no request to a protected target leaves.
#[test]
fn no_generated_plan_touches_what_is_never_touched() {
    let mut rng = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move |below: u64| {
        rng ^= rng << 13;
        rng ^= rng >> 7;
        rng ^= rng << 17;
        rng % below
    };
    let mut guard = Guard::new();
    let own = ["198.51.100.16/28", "203.0.113.77", "2001:db8:77::/48", "10.0.0.1"];
    for net in own {
        guard.protect_net(net.parse().unwrap(), "own_egress", "ours");
    }
    let people = ["breakglass", "adm.last", "svc-backup"];
    for name in people {
        guard.protect_account(name, "break_glass", "protected");
    }
    // The oracle does its own arithmetic on plain integers.
    let v4: Vec<(u32, u32)> = [
        "198.51.100.16/28",
        "203.0.113.77/32",
        "10.0.0.1/32",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "0.0.0.0/8",
        "224.0.0.0/3",
    ]
    .iter()
    .map(|t| {
        let (a, l) = t.split_once('/').unwrap();
        let a = u32::from(a.parse::<std::net::Ipv4Addr>().unwrap());
        let l: u32 = l.parse().unwrap();
        (a, a | u32::MAX.checked_shr(l).unwrap_or(0))
    })
    .collect();
    let (mut planned, mut refused) = (0_u32, 0_u32);
    for _ in 0..100_000 {
        if next(2) == 0 {
            let base = [0xc633_6400_u32, 0xcb00_7100, 0x7f00_0000, 0xa9fe_0000, 0x0a00_0000, 0x0800_0000]
                [next(6) as usize];
            let addr = base | next(256) as u32;
            let len = [32, 32, 31, 28, 25, 24, 23, 16, 8, 0][next(10) as usize];
            let mask = u32::MAX.checked_shl(32 - len).unwrap_or(0);
            let net = addr & mask;
            let ip = std::net::Ipv4Addr::from(net);
            let text = match next(5) {
                0 => format!("::ffff:{ip}/{}", 96 + len),
                1 => format!("64:ff9b::{ip}/{}", 96 + len),
                2 => format!("{ip}/{len} "),
                3 if len == 32 => ip.to_string(),
                _ => format!("{ip}/{len}"),
            };
            let Ok(value) = text.parse() else { continue };
            let order = lab::order(Act::BlockAddress, Target::address(value));
            if guard.check(&order).is_ok() {
                planned += 1;
                let last = net | !mask;
                assert!(len >= 24, "{text} is too wide");
                for (first, end) in &v4 {
                    assert!(last < *first || net > *end, "{text} overlaps what is protected");
                }
            } else {
                refused += 1;
            }
        } else {
            let name = people[next(3) as usize];
            let twist = match next(8) {
                0 => name.to_uppercase(),
                1 => format!("CORP\\{name}"),
                2 => format!("{name}@corp.example"),
                3 => format!(" {name}"),
                4 => format!("{name}\n"),
                5 => format!("{name}\u{200b}"),
                6 => format!("-{name}"),
                _ => format!("x{name}"),
            };
            let Ok(value) = UserName::new(twist.clone()) else {
                refused += 1;
                continue;
            };
            let act = [Act::DisableAccount, Act::ResetPassword, Act::RevokeTokens, Act::ResetFactors]
                [next(4) as usize];
            let allowed = guard.check(&lab::order(act, Target::account(value))).is_ok();
            assert_eq!(allowed, twist.starts_with('x'), "{twist:?}");
            if allowed { planned += 1 } else { refused += 1 }
        }
    }
    assert!(planned > 5_000 && refused > 5_000, "{planned} {refused}");
}
