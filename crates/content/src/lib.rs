//! Content: detections, scoring and the playbook as files, read and checked.
//!
//! The program carries its own (`content/` of the source tree); `--content DIR` replaces them whole.

mod detection;
mod docs;
mod playbook;
mod scoring;
pub mod story;

use portreeve_engine::correlate::Rules;
use portreeve_engine::detect::Detection;
use portreeve_engine::score::Scoring;
use portreeve_playbook::Book;
use std::fmt;
use std::path::Path;

mod files {
    include!(concat!(env!("OUT_DIR"), "/files.rs"));
}

const BOOK: &str = "playbooks/T1133.yml";
const WORLD: &str = "examples/world.yml";

/// Everything read from a content directory.
#[derive(Clone, Debug)]
pub struct Content {
    /// By id.
    pub detections: Vec<Detection>,
    pub scoring: Scoring,
    pub playbook: Book,
    /// Stories of the detections, and the company in which they happen.
    pub examples: Vec<story::Example>,
    pub world: story::World,
}

/// All that is wrong with the content, with file and line.
#[derive(Debug)]
pub struct ContentError {
    pub problems: Vec<String>,
}

impl fmt::Display for ContentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problems.join("\n"))
    }
}

impl std::error::Error for ContentError {}

impl Content {
    /// The content that the program carries.
    pub fn embedded() -> Result<Content, ContentError> {
        Content::of(
            files::FILES.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect(),
        )
    }

    /// Content of a directory laid out as `content/`.
    pub fn from_dir(dir: &Path) -> Result<Content, ContentError> {
        let mut found = Vec::new();
        let mut problems = Vec::new();
        walk(dir, dir, &mut found, &mut problems);
        if !problems.is_empty() {
            return Err(ContentError { problems });
        }
        found.sort();
        Content::of(found)
    }

    fn of(files: Vec<(String, String)>) -> Result<Content, ContentError> {
        let mut problems = Vec::new();
        let (mut detections, mut scoring, mut world, mut book) = (Vec::new(), None, None, None);
        let mut entries = Vec::new();
        for (name, text) in &files {
            if let Some(rest) = name.strip_prefix("detections/") {
                match detection::read(rest, text) {
                    Ok((d, examples)) => {
                        entries.push((name, d.id.clone(), examples));
                        detections.push(d);
                    }
                    Err(problem) => problems.push(format!("{name}: {problem}")),
                }
            } else if name == "scoring/groups.yml" {
                match scoring::read(text) {
                    Ok(s) => scoring = Some(s),
                    Err(problem) => problems.push(format!("{name}: {problem}")),
                }
            } else if name == BOOK {
                match playbook::read(text) {
                    Ok(b) => book = Some(b),
                    Err(found) => problems.extend(found.iter().map(|problem| format!("{name}: {problem}"))),
                }
            } else if name == WORLD {
                match story::read_world(text) {
                    Ok(w) => world = Some(w),
                    Err(problem) => problems.push(format!("{name}: {problem}")),
                }
            }
        }
        detections.sort_by(|a: &Detection, b| a.id.cmp(&b.id));
        for pair in detections.windows(2).filter(|w| w[0].id == w[1].id) {
            problems.push(format!("detections: {} is there twice; ids must differ", pair[0].id));
        }
        if detections.is_empty() {
            problems.push(
                "no detections/<family>/<name>.yml found; --content takes a folder laid out as content/"
                    .to_owned(),
            );
        }
        // A directory without a playbook or a world of its own is read with those that the program carries.
        let carried =
            |wanted: &str| files::FILES.iter().find(|(name, _)| *name == wanted).map(|(_, text)| *text);
        let world = world.or_else(|| story::read_world(carried(WORLD)?).ok());
        let book = book.or_else(|| playbook::read(carried(BOOK)?).ok());
        for d in &detections {
            if book.as_ref().is_some_and(|b| !b.has_row(&d.row)) {
                problems.push(format!("{}: {} has no row {}", d.id, BOOK, d.row));
            }
        }
        let mut examples = Vec::new();
        for (name, id, entries) in entries {
            match world.as_ref().map(|world| story::read(&id, entries, world)) {
                Some(Ok(read)) => examples.extend(read),
                Some(Err(problem)) => problems.push(format!("{name}: {problem}")),
                None => {}
            }
        }
        if scoring.is_none() {
            problems.push("scoring/groups.yml is missing".to_owned());
        }
        match (scoring, world, book) {
            (Some(scoring), Some(world), Some(playbook)) if problems.is_empty() => {
                Ok(Content { detections, scoring, playbook, examples, world })
            }
            _ => Err(ContentError { problems }),
        }
    }

    pub fn rules(&self) -> Rules {
        Rules { detections: self.detections.clone(), scoring: self.scoring.clone() }
    }
}

fn walk(root: &Path, dir: &Path, found: &mut Vec<(String, String)>, problems: &mut Vec<String>) {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) => return problems.push(format!("{}: {error}", dir.display())),
    };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            walk(root, &path, found, problems);
        } else if path.extension().is_some_and(|e| e == "yml" || e == "yaml") {
            let name = path.strip_prefix(root).unwrap_or(&path).display().to_string().replace('\\', "/");
            match std::fs::read_to_string(&path) {
                Ok(text) => found.push((name, text)),
                Err(error) => problems.push(format!("{name}: {error}")),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_content_reads() {
        let content = Content::embedded().unwrap_or_else(|e| panic!("{e}"));
        assert!(content.detections.len() >= 70);
        let families: std::collections::BTreeSet<&str> =
            content.detections.iter().map(|d| d.family.as_str()).collect();
        for family in [
            "credential",
            "anomaly",
            "mfa",
            "gateway",
            "exposed",
            "aws",
            "kubernetes",
            "layer2",
            "post_access",
            "composite",
        ] {
            assert!(families.contains(family), "{family}");
        }
    }

    #[test]
    fn every_detection_is_well_formed() {
        for d in Content::embedded().unwrap_or_else(|e| panic!("{e}")).detections {
            assert!((-12.0..=60.0).contains(&d.points.db()), "{}: {} dB", d.id, d.points.db());
            for t in &d.technique {
                let digits = t.strip_prefix('T').unwrap_or("").replace('.', "");
                assert!(
                    matches!(digits.len(), 4 | 7) && digits.chars().all(|c| c.is_ascii_digit()),
                    "{}: {t}",
                    d.id
                );
            }
            assert!(!d.because.is_empty() && !d.when.is_empty() && !d.needs.is_empty(), "{}", d.id);
        }
    }

    /// The names of the operators, out of serde's own mouth.
    #[test]
    fn every_operator_is_used_by_a_detection() {
        let error = serde_json::from_value::<portreeve_engine::detect::ops::Op>(serde_json::json!({"?": 0}));
        let error = error.err().map(|e| e.to_string()).unwrap_or_default();
        let all: Vec<&str> = error.split('`').skip(3).step_by(2).collect();
        assert!(all.len() > 30, "{error}");
        let detections = files::FILES.iter().filter(|(name, _)| name.starts_with("detections/"));
        let text: String =
            detections.map(|(_, text)| text.split("\nexamples:").next().unwrap_or(text)).collect();
        for name in all {
            let used = ["- ", "{", "not: {"].iter().any(|before| text.contains(&format!("{before}{name}:")));
            assert!(used, "no detection uses {name}");
        }
    }

    #[test]
    fn mistakes_name_the_file() {
        let error = |name: &str, text: &str| {
            Content::of(vec![(name.to_owned(), text.to_owned())])
                .err()
                .map(|e| e.to_string())
                .unwrap_or_default()
        };
        assert!(error("detections/x/y.yml", "id: x.y\n").starts_with("detections/x/y.yml: "));
        assert!(error("detections/x/y.yml", "id: a.b\ntitle: t\ntechnique: [T1133]\nrow: r\ngroup: place\npoints: 1\nneeds: [user]\nwhen: [{entered: true}]\nbecause: b\n").contains("must be x.y"));
        assert!(error("detections/x/y.yml", "id: x.y\ntitle: t\ntechnique: [T1133]\nrow: r\ngroup: nowhere\npoints: 1\nneeds: [user]\nwhen: [{entered: true}]\nbecause: b\n").contains("group"));
        assert!(error("detections/x/y.yml", "id: x.y\ntitle: t\ntechnique: [T1133]\nrow: r\ngroup: place\npoints: 1\nneeds: [user]\nwhen: [{enterd: true}]\nbecause: b\n").contains("enterd"));
    }
}
