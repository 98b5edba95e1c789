//! What is wrong with the service, looked at from time to time, and told when it begins and when it is over.

use super::Hooks;
use crate::app::App;
use crate::desk::health;
use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

const LOOK_EVERY: Duration = Duration::from_secs(5);

/// What is wrong now, by the part that it is about.
fn problems(app: &App) -> BTreeMap<String, String> {
    let all = health::problems(app).into_iter();
    let mut by_part: BTreeMap<String, String> = BTreeMap::new();
    for problem in all {
        let part = format!("{} {}", problem.part, problem.name).trim_end().to_owned();
        let said = by_part.entry(part.clone()).or_insert_with(|| format!("{part}: "));
        if !said.ends_with(": ") {
            said.push_str("; ");
        }
        said.push_str(&problem.why);
    }
    by_part
}

/// Which of them begin, and which are over. That one of a part reads differently now is no news.
fn news(before: &BTreeMap<String, String>, now: &BTreeMap<String, String>) -> Vec<(String, String)> {
    let begun = now.iter().filter(|(part, _)| !before.contains_key(*part));
    let over = before.iter().filter(|(part, _)| !now.contains_key(*part));
    let begun = begun.map(|(part, said)| (part.clone(), said.clone()));
    begun.chain(over.map(|(part, said)| (part.clone(), format!("over: {said}")))).collect()
}

/// Until `over`'s other end is gone.
pub(crate) fn run(app: &App, hooks: &Hooks, over: &Receiver<()>) {
    let mut before = BTreeMap::new();
    let mut wait = Duration::ZERO;
    loop {
        if !matches!(over.recv_timeout(wait), Err(RecvTimeoutError::Timeout)) {
            return;
        }
        wait = LOOK_EVERY;
        if let Err(error) = hooks.look(&app.store) {
            tracing::warn!(%error, "the store does not say how webhooks stand");
            continue;
        }
        let (now, at) = (problems(app), crate::line::now().0);
        let news = news(&before, &now);
        if news.is_empty() {
            continue;
        }
        let told = app.store.write(|tx| {
            for (part, said) in &news {
                hooks.health(tx, part, said, at)?;
            }
            Ok(())
        });
        match told {
            Ok(()) => {
                app.hub.tell(crate::hub::News::Health);
                before = now;
            }
            Err(error) => tracing::warn!(%error, "what is wrong cannot be told"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn told_when_it_begins_and_when_it_is_over() {
        let of = |all: &[(&str, &str)]| -> BTreeMap<String, String> {
            all.iter().map(|(p, s)| ((*p).to_owned(), (*s).to_owned())).collect()
        };
        let (none, one, more) = (of(&[]), of(&[("webhook a", "1")]), of(&[("webhook a", "2")]));
        let pair = |p: &str, s: &str| (p.to_owned(), s.to_owned());
        assert_eq!(news(&none, &one), [pair("webhook a", "1")]);
        assert_eq!(news(&one, &more), []);
        assert_eq!(news(&more, &none), [pair("webhook a", "over: 2")]);
    }
}
