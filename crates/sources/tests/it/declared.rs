//! What a source declares is what its fixtures show: no page promises an event or a field that no line gives, and none
//! denies one that a line has.

use crate::fixtures::{entries, root};
use portreeve_model::event::{Act, Event, Mfa};
use portreeve_model::intern::Interner;
use portreeve_model::{EventTime, SymbolTable};
use portreeve_sources::decode::clock::Clock;
use portreeve_sources::decode::frame;
use portreeve_sources::decode::join::Joiner;
use portreeve_sources::decode::reader::{Limits, read};
use portreeve_sources::{Emit, Field, Parsed, Recogniser, Source, all, mapping};
use std::collections::BTreeSet;

/// All events of a source's fixtures or test lines.
fn events(source: &'static Source) -> Vec<Event> {
    let clock = Clock::utc()
        .near(EventTime::from_civil(2026, 1, 1, 0, 0, 0, 0), EventTime::from_civil(2026, 12, 31, 0, 0, 0, 0));
    let mut interner = Interner::new(SymbolTable::new());
    let (mut found, mut scratch, mut wholes) = (Vec::new(), Vec::new(), Vec::new());
    let mut joiner = Joiner::default();
    let mut recogniser = Recogniser::only(source);
    let mut files: Vec<Vec<u8>> = mapping::test_lines(source).iter().map(|l| l.as_bytes().to_vec()).collect();
    let folder = root().join(source.row.folder()).join(source.name);
    if folder.is_dir() {
        let logs = entries(&folder).into_iter().filter(|p| p.extension().is_some_and(|e| e != "snap"));
        files.extend(logs.map(|p| std::fs::read(p).expect("readable")));
    }
    for bytes in &files {
        read(&mut &bytes[..], Some(bytes.len() as u64), 0, &Limits::default(), &mut |raw| {
            let mut most = u8::MAX;
            loop {
                let record = frame::within(raw.bytes, raw.at, &clock, &mut scratch, most);
                let source = recogniser.recognise(&record).filter(|s| s.claims(&record));
                let parsed = source.map_or(Parsed::NotMine, |s| {
                    s.read(&record, &mut Emit::new(&mut interner, &mut found, s, &record))
                });
                if let (Some(s), Parsed::Fragment(fragment)) = (source, parsed) {
                    wholes.extend(joiner.take(s, fragment, record.raw, raw.at));
                }
                if parsed != Parsed::NotMine || record.depth == 0 {
                    return true;
                }
                most = record.depth - 1;
            }
        });
    }
    wholes.extend(joiner.finish());
    for whole in wholes {
        let mut record = frame::frame(&whole.bytes, whole.at, &clock, &mut scratch);
        record.joined = true;
        source.read(&record, &mut Emit::new(&mut interner, &mut found, source, &record));
    }
    found
}

/// Fields of which a page says whether the product tells them.
fn told(events: &[Event], field: Field) -> bool {
    events.iter().any(|e| match field {
        Field::User => e.user.is_some(),
        Field::SourceIp => e.src_ip.is_some(),
        Field::TunnelIp => e.tun_ip.is_some(),
        Field::Device => e.device.is_some() || e.mac.is_some(),
        Field::Mfa => e.mfa != Mfa::Unknown || e.act == Act::Mfa,
        Field::SessionId => e.sid.is_some(),
        Field::SessionEnd => matches!(e.act, Act::SessionEnd | Act::Logoff),
        Field::Bytes => e.bytes_in != 0 || e.bytes_out != 0,
        Field::Host => e.host.is_some() || e.dst_ip.is_some(),
        // Stamps differ by version and setting of one product.
        Field::Year | Field::Zone => true,
    })
}

#[test]
fn declarations_are_what_fixtures_show() {
    let mut wrong = Vec::new();
    for source in all() {
        let events = events(source);
        let acts: BTreeSet<Act> = events.iter().map(|e| e.act).collect();
        let names =
            |acts: &BTreeSet<Act>| acts.iter().map(|a| format!("{a:?}")).collect::<Vec<_>>().join(",");
        if acts != source.gives.iter().copied().collect() {
            wrong.push(format!("{} gives {}", source.name, names(&acts)));
        }
        let kept = source.lacks.iter().filter(|f| matches!(f, Field::Year | Field::Zone));
        let lacks: BTreeSet<Field> = [
            Field::User,
            Field::SourceIp,
            Field::TunnelIp,
            Field::Device,
            Field::Mfa,
            Field::SessionId,
            Field::SessionEnd,
            Field::Bytes,
            Field::Host,
        ]
        .into_iter()
        .filter(|f| !told(&events, *f))
        .chain(kept.copied())
        .collect();
        if lacks != source.lacks.iter().copied().collect() {
            let lacks: Vec<String> = lacks.iter().map(|f| format!("{f:?}")).collect();
            wrong.push(format!("{} lacks {}", source.name, lacks.join(",")));
        }
    }
    assert!(wrong.is_empty(), "these should say:\n{}", wrong.join("\n"));
}
