//! All sources that a run knows, and which of them to ask about a record.

use crate::decode::find::find;
use crate::mapping::{self, Mapping};
use crate::record::Record;
use crate::source::{Reader, Source};
use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use std::sync::LazyLock;

/// Marks are looked for in this much of a record; no product hides its name further back.
const SEEN: usize = 16 * 1_024;

/// Every source, indexed by what its records must contain.
pub struct Catalog {
    sources: Vec<&'static Source>,
    /// Over the marks of all sources. `None` where they could not be built into one automaton: all are asked then.
    marks: Option<AhoCorasick>,
    /// Which sources a mark belongs to.
    of_mark: Vec<Vec<u16>>,
    /// Sources without marks.
    always: Vec<u16>,
}

/// Two sources that both took a record for theirs. The one named first read it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Clash {
    pub read_by: &'static str,
    pub also: &'static str,
}

static BUILT_IN: LazyLock<Catalog> = LazyLock::new(|| Catalog::of(built_in_sources()));

fn built_in_sources() -> Vec<&'static Source> {
    let mut sources: Vec<&'static Source> =
        crate::SOURCES.iter().flat_map(|row| row.iter().copied()).collect();
    // A test reads each of these files; one that cannot be read is left out here and fails there.
    sources.extend(crate::MAPPINGS.iter().filter_map(|(_, text)| mapping::source(text).ok()));
    sources
}

impl Catalog {
    /// What Portreeve knows by itself. Made once.
    pub fn built_in() -> &'static Catalog {
        &BUILT_IN
    }

    /// The built-in sources and a site's own, which are asked first and win where both claim a record.
    pub fn with(own: Vec<&'static Source>) -> Catalog {
        let replaced: Vec<&str> = own.iter().map(|s| s.name).collect();
        let rest = BUILT_IN.sources.iter().copied().filter(|s| !replaced.contains(&s.name));
        Catalog::of(own.iter().copied().chain(rest).collect())
    }

    /// A catalogue of exactly these, in this order of precedence; general ones come last.
    pub fn of(mut sources: Vec<&'static Source>) -> Catalog {
        sources.sort_by_key(|s| s.general);
        let (mut marks, mut of_mark, mut always): (Vec<&str>, Vec<Vec<u16>>, Vec<u16>) = Default::default();
        for (n, source) in sources.iter().enumerate() {
            let n = u16::try_from(n).unwrap_or(u16::MAX);
            let own: Vec<&str> = source.own_marks().collect();
            if own.is_empty() {
                always.push(n);
            }
            for mark in own {
                let at = marks.iter().position(|m| *m == mark).unwrap_or_else(|| {
                    marks.push(mark);
                    of_mark.push(Vec::new());
                    marks.len() - 1
                });
                if let Some(list) = of_mark.get_mut(at) {
                    list.push(n);
                }
            }
        }
        let marks = AhoCorasick::builder()
            .match_kind(MatchKind::Standard)
            .kind(Some(AhoCorasickKind::DFA))
            .build(&marks)
            .ok();
        Catalog { sources, marks, of_mark, always }
    }

    pub fn all(&self) -> impl Iterator<Item = &'static Source> {
        self.sources.iter().copied()
    }

    /// Row by row of the playbook, by name within.
    pub fn listed(&self) -> Vec<&'static Source> {
        let mut all = self.sources.clone();
        all.sort_by_key(|s| (s.row, s.name));
        all
    }

    pub fn by_name(&self, name: &str) -> Option<&'static Source> {
        self.all().find(|s| s.name == name)
    }

    pub(crate) fn get(&self, at: usize) -> Option<&'static Source> {
        self.sources.get(at).copied()
    }

    /// The sources that are asked about a record, in their order, and whether each claims it.
    pub fn asked(&self, record: &Record<'_>) -> Vec<(&'static Source, bool)> {
        let mut seen = Vec::new();
        self.candidates(record, &mut seen);
        seen.iter()
            .filter_map(|n| self.get(usize::from(*n)))
            .map(|source| (source, source.claims(record)))
            .collect()
    }

    /// Whose record is it? The first of those that claim it; `clash` is told of another one that does.
    /// `seen` is scratch space.
    pub(crate) fn find(
        &self,
        record: &Record<'_>,
        seen: &mut Vec<u16>,
        clash: impl FnOnce(Clash),
    ) -> Option<usize> {
        self.candidates(record, seen);
        let mut claiming = seen.iter().filter_map(|n| {
            let source = *self.sources.get(usize::from(*n))?;
            source.claims(record).then_some((usize::from(*n), source))
        });
        let (at, first) = claiming.next()?;
        if !first.general
            && let Some((_, other)) = claiming.next()
            && !other.general
        {
            clash(Clash { read_by: first.name, also: other.name });
        }
        Some(at)
    }

    /// Numbers of the sources that may claim the record, by the marks that stand in it.
    fn candidates(&self, record: &Record<'_>, seen: &mut Vec<u16>) {
        seen.clear();
        seen.extend_from_slice(&self.always);
        match &self.marks {
            Some(marks) => {
                let text = &record.raw[..record.raw.len().min(SEEN)];
                for m in marks.find_overlapping_iter(text) {
                    if let Some(of) = self.of_mark.get(m.pattern().as_usize()) {
                        seen.extend_from_slice(of);
                    }
                }
            }
            None => seen.extend((0..self.sources.len()).filter_map(|n| u16::try_from(n).ok())),
        }
        seen.sort_unstable();
        seen.dedup();
    }
}

impl Source {
    fn own_marks(&self) -> impl Iterator<Item = &'static str> {
        let (code, mapping) = match &self.reader {
            Reader::Code { .. } => (self.marks, None),
            Reader::Mapping(mapping) => (&[][..], Some(mapping.marks())),
        };
        code.iter().copied().chain(mapping.into_iter().flatten())
    }

    /// Would a catalogue ask this source about the record?
    pub(crate) fn marked(&self, record: &Record<'_>) -> bool {
        let text = &record.raw[..record.raw.len().min(SEEN)];
        let mut marks = self.own_marks().peekable();
        marks.peek().is_none() || marks.any(|m| find(text, m.as_bytes()).is_some())
    }
}

impl Mapping {
    /// Of each list one stands in a record; the list whose shortest is longest is the one to look for.
    fn marks(&self) -> impl Iterator<Item = &'static str> {
        let shortest = |one: &&Vec<&'static str>| one.iter().map(|m| m.len()).min();
        self.marks.iter().max_by_key(shortest).into_iter().flatten().copied()
    }
}
