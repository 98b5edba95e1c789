//! From the file a person wrote to a mapping that reads records; everything that is wrong with it is named.

use super::file::{Condition, Constant, From, FromRule, Names, Rule, SourceFile, When};
use super::pattern::Pattern;
use super::values::{FIELDS, Split};
use super::{Check, Mapping, Pick, Put, ReadyRule, Slot, Test, Text, Then, TimeFormat, TimeRule, file};
use crate::source::{Field, Kind, Reader, Row, Source};
use portreeve_model::event::{Act, Change, Factor, Flags, Method, Mfa, Outcome, Reason, Service};
use std::collections::BTreeMap;
use std::fmt;

/// What is wrong with a file of a source: where in it, what, and what would be right.
#[derive(Debug)]
pub struct MappingError {
    pub problems: Vec<String>,
}

impl fmt::Display for MappingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problems.join("\n"))
    }
}

impl std::error::Error for MappingError {}

/// Names of the record's fields, each with its index.
#[derive(Default)]
struct Wanted {
    names: Vec<String>,
}

impl Wanted {
    fn index(&mut self, name: &str) -> usize {
        self.names.iter().position(|n| n == name).unwrap_or_else(|| {
            self.names.push(name.to_owned());
            self.names.len() - 1
        })
    }

    fn all(&mut self, names: &Names) -> Vec<usize> {
        names.list().iter().map(|n| self.index(n)).collect()
    }
}

struct Compile {
    wanted: Wanted,
    problems: Vec<String>,
}

pub(super) fn source(text: &str) -> Result<&'static Source, MappingError> {
    let file: SourceFile =
        yaml_serde::from_str(text).map_err(|e| MappingError { problems: vec![e.to_string()] })?;
    let mut c = Compile { wanted: Wanted::default(), problems: Vec::new() };
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    if file.name.is_empty() || !file.name.bytes().all(plain) {
        c.problems.push(format!("name: `{}` is not lower-case letters, digits and `_`", file.name));
    }
    if file.title.is_empty() || file.enable.is_empty() {
        c.problems.push("title and enable: say what it is and how it is turned on".to_owned());
    }
    let row = Row::named(&file.row).unwrap_or_else(|| {
        c.problems.push(unknown("row", &file.row, Row::ALL.iter().map(|r| r.folder())));
        Row::Remote
    });
    let lacks: Vec<Field> = file
        .lacks
        .iter()
        .filter_map(|name| {
            let field = Field::ALL.into_iter().find(|f| f.name() == name);
            if field.is_none() {
                c.problems.push(unknown("lacks", name, Field::ALL.iter().map(|f| f.name())));
            }
            field
        })
        .collect();
    if file.claim.contains.iter().all(|m| m.list().iter().any(|m| m.len() < 4)) {
        c.problems.push(
            "claim.contains: name at least one text of four characters or more that stands in every record"
                .to_owned(),
        );
    }
    if file.tests.is_empty() {
        c.problems.push("tests: a source without a line of its own is not believed".to_owned());
    }
    let claim = file.claim.fields.iter().map(|(name, test)| c.check(name, test)).collect();
    let any = file
        .claim
        .any
        .iter()
        .map(|all| all.iter().map(|(name, test)| c.check(name, test)).collect())
        .collect();
    let time = file.time.as_ref().map(|t| c.time(t));
    let rules: Vec<ReadyRule> =
        file.rules.iter().enumerate().map(|(n, rule)| c.rule(n, rule, &file)).collect();
    if file.rules.iter().any(|r| r.pattern.is_some() != file.format.list().contains(&file::Shape::Text)) {
        c.problems.push("rules: those of a text have a pattern, all others have none".to_owned());
    }
    if file.format.list().contains(&file::Shape::Csv) {
        for name in c.wanted.names.iter().filter(|n| !n.starts_with('@') && !file.columns.contains(n)) {
            c.problems.push(format!("columns: there is no `{name}`, which is asked for"));
        }
    }
    if c.wanted.names.len() > FIELDS {
        c.problems.push(format!("{} fields are asked for; {FIELDS} is the most", c.wanted.names.len()));
    }
    let separator = file.separator.and_then(|s| u8::try_from(s).ok());
    let prefix = file.prefix.as_deref().unwrap_or_default();
    let splits: Result<Vec<Split>, String> = file
        .format
        .list()
        .iter()
        .map(|shape| Split::new(*shape, &c.wanted.names, &file.columns, separator, prefix))
        .collect();
    let splits = match splits {
        Ok(splits) if c.problems.is_empty() => splits,
        Ok(_) => return Err(MappingError { problems: c.problems }),
        Err(problem) => {
            c.problems.push(problem);
            return Err(MappingError { problems: c.problems });
        }
    };
    let mut gives: Vec<Act> = rules
        .iter()
        .flat_map(|r| match &r.then {
            Then::Event { acts, .. } => acts.as_slice(),
            Then::Ignore(_) => &[],
        })
        .copied()
        .collect();
    gives.sort_unstable();
    gives.dedup();
    let mapping = Mapping {
        marks: file
            .claim
            .contains
            .iter()
            .map(|one| one.list().iter().map(|m| &*m.clone().leak()).collect())
            .collect(),
        program: file.claim.program,
        claim,
        any,
        host: c.wanted.names.iter().position(|n| n == "@host"),
        writer: c.wanted.names.iter().position(|n| n == "@program"),
        splits,
        time,
        rules,
        tests: file.tests,
    };
    Ok(Box::leak(Box::new(Source {
        name: file.name.leak(),
        title: file.title.leak(),
        row,
        gives: gives.leak(),
        lacks: lacks.leak(),
        traps: &[],
        manual: file.manual.leak(),
        enable: file.enable.leak(),
        general: false,
        marks: &[],
        reader: Reader::Mapping(Box::new(mapping)),
    })))
}

fn unknown<'n>(what: &str, given: &str, known: impl Iterator<Item = &'n str>) -> String {
    let known: Vec<&str> = known.filter(|k| !k.is_empty()).collect();
    format!("{what}: `{given}` is none of {}", known.join(", "))
}

/// A vocabulary of the event: its values by name.
trait Word: Copy + Default {
    const WHAT: &'static str;
    fn named(name: &str) -> Option<Self>;
    fn names() -> Vec<&'static str>;
}

macro_rules! words {
    ($($type:ident $what:literal),+ $(,)?) => {
        $(impl Word for $type {
            const WHAT: &'static str = $what;
            fn named(name: &str) -> Option<Self> {
                $type::named(name)
            }
            fn names() -> Vec<&'static str> {
                $type::ALL.iter().map(|v| v.name()).collect()
            }
        })+
    };
}

words!(
    Outcome "outcome",
    Service "service",
    Method "method",
    Mfa "mfa",
    Factor "factor",
    Reason "reason",
    Change "change",
);

impl Word for Flags {
    const WHAT: &'static str = "flags";
    fn named(name: &str) -> Option<Self> {
        Flags::named(name)
    }
    fn names() -> Vec<&'static str> {
        (0..16).filter_map(|bit| Flags(1 << bit).names().next()).collect()
    }
}

impl Word for u8 {
    const WHAT: &'static str = "severity";
    fn named(name: &str) -> Option<Self> {
        name.parse().ok().filter(|n| (1..=5).contains(n))
    }
    fn names() -> Vec<&'static str> {
        vec!["1", "2", "3", "4", "5"]
    }
}

impl Compile {
    fn check(&mut self, name: &str, condition: &Condition) -> Check {
        let bytes = |names: &Names| names.list().iter().map(|n| n.as_bytes().into()).collect();
        let test = match condition {
            Condition::Is(names) => Test::Is(bytes(names)),
            Condition::Number(n) => Test::Is(vec![n.to_string().into_bytes().into()]),
            Condition::Truth(b) => Test::Is(vec![b.to_string().into_bytes().into()]),
            Condition::Test(t) => {
                let mut tests: Vec<Test> = Vec::new();
                tests.extend(t.contains.as_ref().map(|n| Test::Contains(bytes(n))));
                tests.extend(t.starts.as_ref().map(|n| Test::Starts(bytes(n))));
                tests.extend(t.ends.as_ref().map(|n| Test::Ends(bytes(n))));
                tests.extend(t.not.as_ref().map(|n| Test::Not(bytes(n))));
                tests.extend(t.present.map(Test::Present));
                if tests.len() != 1 {
                    self.problems.push(format!("{name}: write one of contains, starts, ends, not, present"));
                }
                tests.pop().unwrap_or(Test::Present(true))
            }
        };
        Check { field: self.wanted.index(name), test }
    }

    fn when(&mut self, when: &When) -> Vec<Vec<Check>> {
        let mut all = |of: &BTreeMap<String, Condition>| of.iter().map(|(n, t)| self.check(n, t)).collect();
        match when {
            When::All(of) => vec![all(of)],
            When::Any(any) => any.iter().map(all).collect(),
        }
    }

    fn time(&mut self, time: &file::Time) -> TimeRule {
        let mut formats = Vec::new();
        for format in time.format.list() {
            formats.push(match format.as_str() {
                "iso" => TimeFormat::Iso,
                "epoch" => TimeFormat::Epoch,
                "syslog" => TimeFormat::Syslog,
                pattern if pattern.contains('%') => TimeFormat::Pattern(pattern.to_owned()),
                other => {
                    self.problems.push(format!(
                        "time.format: `{other}` is none of iso, epoch, syslog, and no pattern as strptime(3) has it"
                    ));
                    TimeFormat::Iso
                }
            });
        }
        TimeRule { from: self.wanted.all(&time.from), formats, utc: time.utc }
    }

    fn rule(&mut self, n: usize, rule: &Rule, file: &SourceFile) -> ReadyRule {
        let before = self.problems.len();
        let mut captured = Vec::new();
        let pattern = rule.pattern.as_ref().and_then(|text| {
            let wanted = &mut self.wanted;
            let made = Pattern::new(text, |name| {
                captured.push(name.to_owned());
                wanted.index(name)
            });
            made.map_err(|problem| self.problems.push(problem)).ok()
        });
        let when = self.when(&rule.when);
        let then = match (&rule.act, &rule.ignore) {
            (None, Some(kind)) => Then::Ignore(Kind::named(kind).unwrap_or_else(|| {
                self.problems.push(unknown("ignore", kind, Kind::WORDS.iter().map(|(w, _)| *w)));
                Kind::OtherMessage
            })),
            (Some(acts), None) => self.event(acts, rule, file, &captured),
            _ => {
                self.problems.push("write either act or ignore".to_owned());
                Then::Ignore(Kind::OtherMessage)
            }
        };
        for problem in self.problems.iter_mut().skip(before) {
            problem.insert_str(0, &format!("rules[{n}]: "));
        }
        ReadyRule { pattern, when, then }
    }

    fn event(&mut self, acts: &Names, rule: &Rule, file: &SourceFile, captured: &[String]) -> Then {
        let mut ready = Vec::new();
        for name in acts.list() {
            match Act::named(name) {
                Some(act) => ready.push(act),
                None => self.problems.push(unknown("act", name, Act::ALL.iter().map(|a| a.name()))),
            }
        }
        // The rule's own word wins over the file's; a name in a pattern says where its field stands.
        let mut values: BTreeMap<&str, Said<'_>> = BTreeMap::new();
        values.extend(file.set.iter().map(|(k, v)| (k.as_str(), Said::Constant(v))));
        values.extend(file.fields.iter().map(|(k, v)| (k.as_str(), Said::From(v.clone()))));
        for name in captured.iter().filter(|n| Slot::named(n).is_some()) {
            let from = From::Field(Names::One(name.clone()));
            values.insert(name, Said::From(from));
        }
        values.extend(rule.fields.iter().map(|(k, v)| (k.as_str(), Said::From(v.clone()))));
        values.extend(rule.set.iter().map(|(k, v)| (k.as_str(), Said::Constant(v))));
        let (mut outcome, mut puts) = (Pick::Always(Outcome::Unknown), Vec::new());
        for (name, said) in &values {
            let before = self.problems.len();
            match *name {
                "outcome" => outcome = self.pick(said),
                "service" => puts.push(Put::Service(self.pick(said))),
                "method" => puts.push(Put::Method(self.pick(said))),
                "mfa" => puts.push(Put::Mfa(self.pick(said))),
                "factor" => puts.push(Put::Factor(self.pick(said))),
                "reason" => puts.push(Put::Reason(self.pick(said))),
                "change" => puts.push(Put::Change(self.pick(said))),
                "severity" => puts.push(Put::Severity(self.pick(said))),
                "flags" => match said {
                    Said::Constant(Constant::Several(all)) => puts.extend(all.iter().map(|one| {
                        let one = Constant::Text(one.clone());
                        Put::Flags(self.pick(&Said::Constant(&one)))
                    })),
                    said => puts.push(Put::Flags(self.pick(said))),
                },
                name => match Slot::named(name) {
                    Some(slot) => puts.extend(self.slot(slot, said)),
                    None => {
                        let known = Slot::ALL.iter().map(|(n, _)| *n).chain([
                            "outcome", "service", "method", "mfa", "factor", "reason", "change", "severity",
                            "flags",
                        ]);
                        self.problems.push(unknown("field", name, known));
                    }
                },
            }
            for problem in self.problems.iter_mut().skip(before) {
                if !problem.starts_with("field") {
                    problem.insert_str(0, &format!("{name}: "));
                }
            }
        }
        Then::Event { acts: ready, outcome, puts }
    }

    fn slot(&mut self, slot: Slot, said: &Said<'_>) -> Option<Put> {
        match said {
            Said::Constant(Constant::Text(text)) => Some(Put::Always(slot, text.as_bytes().into())),
            Said::Constant(Constant::Number(n)) => Some(Put::Always(slot, n.to_string().into_bytes().into())),
            Said::Constant(Constant::Several(_)) => {
                self.problems.push("takes one value".to_owned());
                None
            }
            Said::From(From::Field(names)) => {
                Some(Put::Text(slot, Text { from: self.wanted.all(names), after: None, before: None }))
            }
            Said::From(From::Rule(rule)) => {
                if !rule.map.is_empty() || rule.otherwise.is_some() {
                    self.problems.push("has no vocabulary: map and otherwise do not apply".to_owned());
                }
                let bytes = |t: &Option<String>| t.as_ref().map(|t| t.as_bytes().into());
                Some(Put::Text(
                    slot,
                    Text {
                        from: self.wanted.all(&rule.from),
                        after: bytes(&rule.after),
                        before: bytes(&rule.before),
                    },
                ))
            }
        }
    }

    fn word<T: Word>(&mut self, name: &str) -> T {
        T::named(name).unwrap_or_else(|| {
            self.problems.push(unknown(T::WHAT, name, T::names().into_iter()));
            T::default()
        })
    }

    fn pick<T: Word>(&mut self, said: &Said<'_>) -> Pick<T> {
        match said {
            Said::Constant(Constant::Text(text)) => Pick::Always(self.word(text)),
            Said::Constant(Constant::Number(n)) => Pick::Always(self.word(&n.to_string())),
            Said::From(From::Rule(rule)) => self.mapped(rule),
            Said::Constant(Constant::Several(_)) | Said::From(From::Field(_)) => {
                self.problems.push(
                    "has a vocabulary: write {from: field, map: {success: [ok, allowed], …}}".to_owned(),
                );
                Pick::Always(T::default())
            }
        }
    }

    fn mapped<T: Word>(&mut self, rule: &FromRule) -> Pick<T> {
        if rule.after.is_some() || rule.before.is_some() || rule.map.is_empty() {
            self.problems.push("has a vocabulary: map is needed, after and before do not apply".to_owned());
        }
        let mut map = Vec::new();
        for (name, theirs) in &rule.map {
            let value: T = self.word(name);
            map.extend(theirs.list().iter().map(|t| (t.as_bytes().into(), value)));
        }
        let otherwise = rule.otherwise.as_ref().map_or(T::default(), |o| self.word(o));
        Pick::From { from: self.wanted.all(&rule.from), map, otherwise }
    }
}

enum Said<'f> {
    Constant(&'f Constant),
    From(From),
}
