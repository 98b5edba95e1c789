//! Runs the examples that detections carry through the engine: does each fire where it must, and only there?

use portreeve_content::Content;
use portreeve_content::story::{Example, Expect, has_threshold};
use portreeve_engine::Engine;
use portreeve_model::SymbolTable;
use std::collections::BTreeSet;

/// What is wrong with the examples, one sentence each.
pub fn check(content: &Content) -> Vec<String> {
    let mut problems: Vec<String> = content.examples.iter().filter_map(|e| run(content, e)).collect();
    for detection in &content.detections {
        let has = |wanted: &dyn Fn(&Example) -> bool| {
            content.examples.iter().any(|e| e.detection == detection.id && wanted(e))
        };
        let mut missing = |what: &str| problems.push(format!("{}: no example {what}", detection.id));
        if !has(&|e| e.expect == Expect::Fires && !e.boundary) {
            missing("on which it fires");
        }
        if !has(&|e| e.expect == Expect::Silent && !e.boundary) {
            missing("of a look-alike on which it is silent");
        }
        if has_threshold(detection) && !has(&|e| e.boundary) {
            missing("of its boundary, although it has a threshold");
        }
    }
    problems
}

/// Tells the story to the engine; `None` where the detection says what is expected.
fn run(content: &Content, example: &Example) -> Option<String> {
    let names = SymbolTable::new();
    let context = content.world.context(&names);
    let problem = |what: String| Some(format!("{}: \"{}\" {what}", example.detection, example.title));
    let story = match example.told(&content.world, &names) {
        Ok(story) => story,
        Err(error) => return problem(error),
    };
    let mut engine = Engine::new(&context, names.clone());
    for event in &story.events {
        engine.push(event);
    }
    let rules = content.rules();
    let (mut fired, mut others) = (Vec::new(), BTreeSet::new());
    for (principal, signal) in engine.all_signals(&rules) {
        let session = engine.dossier_of(principal).and_then(|d| d.sessions.get(signal.session));
        if session.is_some_and(|s| story.is_past(s.start, principal)) {
            continue;
        }
        let id = &rules.detections[signal.detection].id;
        if *id == example.detection {
            fired.push(format!("{}: {}", names.text(principal), signal.because));
        } else {
            others.insert(id.clone());
        }
    }
    let others: Vec<String> = others.into_iter().collect();
    match (example.expect, fired.first()) {
        (Expect::Fires, None) if example.boundary => {
            problem(format!("is silent at its boundary (these fire: {})", others.join(", ")))
        }
        (Expect::Fires, None) => problem(format!("is silent (these fire: {})", others.join(", "))),
        (Expect::Silent, Some(because)) if example.boundary => {
            problem(format!("fires below its boundary ({because})"))
        }
        (Expect::Silent, Some(because)) => problem(format!("fires ({because})")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_detection_tells_its_examples() {
        let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../content");
        let content = Content::from_dir(&dir).unwrap_or_else(|e| panic!("{e}"));
        let problems = check(&content);
        assert!(problems.is_empty(), "{} problems\n{}", problems.len(), problems.join("\n"));
    }
}
