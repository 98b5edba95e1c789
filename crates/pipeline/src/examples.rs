//! Runs the examples that detections carry through the engine: does each fire where it must, and only there?

use portreeve_content::Content;
use portreeve_content::story::{Example, Expect, alternatives, has_threshold};
use portreeve_engine::Engine;
use portreeve_engine::correlate::Rules;
use portreeve_engine::detect::Detection;
use portreeve_model::SymbolTable;

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
        for (n, alone) in (1..).zip(alternatives(detection)) {
            if !reached(content, &alone) {
                missing(&format!("on which alternative {n} of `any_of` fires"));
            }
        }
    }
    problems
}

/// What is wrong with one example; `None` where the detection says what is expected.
fn run(content: &Content, example: &Example) -> Option<String> {
    let problem = |what: String| Some(format!("{}: \"{}\" {what}", example.detection, example.title));
    let said = match tell(content, example, &content.rules()) {
        Ok(said) => said,
        Err(error) => return problem(error),
    };
    let (fired, mut others): (Vec<_>, Vec<_>) =
        said.into_iter().partition(|(id, _)| *id == example.detection);
    others.sort();
    others.dedup_by(|a, b| a.0 == b.0);
    let others = || others.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>().join(", ");
    match (example.expect, fired.first()) {
        (Expect::Fires, None) if example.boundary => {
            problem(format!("is silent at its boundary (these fire: {})", others()))
        }
        (Expect::Fires, None) => problem(format!("is silent (these fire: {})", others())),
        (Expect::Silent, Some((_, because))) if example.boundary => {
            problem(format!("fires below its boundary ({because})"))
        }
        (Expect::Silent, Some((_, because))) => problem(format!("fires ({because})")),
        _ => None,
    }
}

/// Tells the story to the engine: which detections fire on whom, and why. The story's ordinary past does not count.
fn tell(content: &Content, example: &Example, rules: &Rules) -> Result<Vec<(String, String)>, String> {
    let names = SymbolTable::new();
    let context = content.world.context(&names);
    let story = example.told(&content.world, &names)?;
    let mut engine = Engine::new(&context, names.clone());
    for event in &story.events {
        engine.push(event);
    }
    let mut said = Vec::new();
    for (principal, signal) in engine.all_signals(rules) {
        let session = engine.dossier_of(principal).and_then(|d| d.sessions.get(signal.session));
        if !session.is_some_and(|s| story.is_past(s.start, principal)) {
            let because = format!("{}: {}", names.text(principal), signal.because);
            said.push((rules.detections[signal.detection].id.clone(), because));
        }
    }
    Ok(said)
}

/// Does any of the detection's stories fire it by this alternative alone?
fn reached(content: &Content, alone: &Detection) -> bool {
    let mut rules = content.rules();
    for d in rules.detections.iter_mut().filter(|d| d.id == alone.id) {
        *d = alone.clone();
    }
    let mut stories =
        content.examples.iter().filter(|e| e.detection == alone.id && e.expect == Expect::Fires);
    stories.any(|e| tell(content, e, &rules).is_ok_and(|said| said.iter().any(|(id, _)| *id == alone.id)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use portreeve_engine::detect::ops::Op;

    fn content() -> Content {
        let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../content");
        Content::from_dir(&dir).unwrap_or_else(|e| panic!("{e}"))
    }

    #[test]
    fn every_detection_tells_its_examples() {
        let problems = check(&content());
        assert!(problems.is_empty(), "{} problems\n{}", problems.len(), problems.join("\n"));
    }

    #[test]
    fn a_wrong_detection_is_found() {
        let mut content = content();
        let problems = |content: &Content| check(content).join("\n");
        let at = |content: &Content, id: &str| content.detections.iter().position(|d| d.id == id).expect(id);
        // A threshold that is one off, a condition that never holds, and an example that is missing.
        let spray = at(&content, "credential.success_inside_spray");
        let kept = content.detections[spray].clone();
        for op in &mut content.detections[spray].when {
            if let Op::Failures { count, .. } = op {
                count.min = count.min.map(|n| n + 1);
            }
        }
        assert!(
            problems(&content).contains("success_inside_spray: \"five failures\" is silent at its boundary")
        );
        content.detections[spray] = kept;
        let tor = at(&content, "anomaly.tor_source");
        content.detections[tor].when.reverse();
        content.detections[tor].when.push(Op::Outside(false));
        assert!(
            problems(&content).contains("tor_source: \"a Tor exit, by the kind of its network\" is silent")
        );
        content.examples.retain(|e| e.detection != "anomaly.tor_source");
        assert!(problems(&content).contains("tor_source: no example on which it fires"));
    }

    /// The detection's text with each threshold moved by the least step, up and down, and what was moved.
    fn moved(text: &str) -> Vec<(String, String)> {
        let from = text.find("\nwhen:").expect("conditions");
        let to = from + text[from..].find("\nbecause:").expect("a sentence");
        let mut found = Vec::new();
        for (at, _) in text[from..to].match_indices(": ").map(|(at, m)| (from + at + 2, m)) {
            let key =
                text[..at - 2].rsplit(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or("");
            let value: String = text[at..to].chars().take_while(char::is_ascii_alphanumeric).collect();
            let digits = value.trim_end_matches(|c: char| c.is_ascii_lowercase());
            let Ok(number) = digits.parse::<i64>() else { continue };
            let seconds = match &value[digits.len()..] {
                "" => None,
                "s" => Some(1),
                "m" => Some(60),
                "h" => Some(3_600),
                _ => Some(86_400),
            };
            for step in [-1, 1] {
                let new = match seconds {
                    None => number + step,
                    Some(unit) => number * unit + step,
                };
                // Once or never is no threshold, and nothing lies below nothing.
                if new >= 0 && (seconds.is_some() || number > 1 || step > 0) {
                    let new = if seconds.is_some() { format!("{new}s") } else { new.to_string() };
                    let other = format!("{}{new}{}", &text[..at], &text[at + value.len()..]);
                    found.push((format!("{key}: {value} as {new}"), other));
                }
            }
        }
        found
    }

    #[test]
    fn every_threshold_stands_where_its_examples_say() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../content");
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::create_dir_all(dir.path().join("scoring")).expect("a directory");
        std::fs::copy(root.join("scoring/groups.yml"), dir.path().join("scoring/groups.yml"))
            .expect("copied");
        let (mut tried, mut unseen) = (0, Vec::new());
        for detection in &content().detections {
            let name = format!("detections/{}.yml", detection.id.replacen('.', "/", 1));
            let text = std::fs::read_to_string(root.join(&name)).expect("a detection");
            let file = dir.path().join(&name);
            std::fs::create_dir_all(file.parent().expect("a family")).expect("a directory");
            for (what, text) in moved(&text) {
                std::fs::write(&file, text).expect("written");
                let content = Content::from_dir(dir.path()).unwrap_or_else(|e| panic!("{e}"));
                tried += 1;
                if content.examples.iter().all(|e| run(&content, e).is_none()) {
                    unseen.push(format!("{}: no example sees {what}", detection.id));
                }
            }
            std::fs::remove_file(&file).ok();
        }
        assert!(tried > 100 && unseen.is_empty(), "{} of {tried}:\n{}", unseen.len(), unseen.join("\n"));
    }

    #[test]
    fn every_condition_matters_to_an_example() {
        let mut content = content();
        let examples = content.examples.clone();
        let mut unseen = Vec::new();
        for n in 0..content.detections.len() {
            let whole = content.detections[n].clone();
            content.examples = examples.iter().filter(|e| e.detection == whole.id).cloned().collect();
            for at in 0..whole.when.len() + whole.unless.len() {
                let d = &mut content.detections[n];
                let op = match at.checked_sub(whole.when.len()) {
                    None => d.when.remove(at),
                    Some(at) => d.unless.remove(at),
                };
                // These say whom the detection is about, not what it found.
                let frame = matches!(op, Op::Entered(_) | Op::Outside(_) | Op::Service(_));
                if !frame && !d.when.is_empty() && content.examples.iter().all(|e| run(&content, e).is_none())
                {
                    unseen.push(format!("{}: no example needs {op:?}", whole.id));
                }
                content.detections[n] = whole.clone();
            }
        }
        assert!(unseen.is_empty(), "{}:\n{}", unseen.len(), unseen.join("\n"));
    }
}
