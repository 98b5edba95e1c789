//! What is wrong with the service, looked at from time to time, told when it begins and when it is over; and the
//! housekeeping of the outbox.

use super::{Hooks, untold};
use crate::app::App;
use crate::desk::health;
use portreeve_store::Error;
use portreeve_store::outbox::{self, State};
use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

const LOOK_EVERY: Duration = Duration::from_secs(15);
const TIDY_EVERY: Duration = Duration::from_secs(3_600);
/// What was heard is kept so long, for who asks whether it was.
const KEPT_US: i64 = 14 * 24 * 3_600 * 1_000_000;

/// What is wrong with a webhook, by its name.
pub(crate) fn of_hooks(app: &App) -> Result<Vec<(String, String)>, Error> {
    if app.hooks.all.is_empty() {
        return Ok(Vec::new());
    }
    let counted = app.store.read(|tx| {
        let mut counted = Vec::new();
        for hook in &app.hooks.all {
            let dead = outbox::in_state_of(tx, &hook.name, State::Dead)?;
            counted.push((hook.name.clone(), dead, untold(tx, &hook.name)?));
        }
        Ok::<_, Error>(counted)
    })?;
    let wrong = counted.into_iter().filter_map(|(name, dead, untold)| {
        let mut wrong = Vec::new();
        if dead > 0 {
            wrong.push(format!("{dead} messages were given up"));
        }
        if untold > 0 {
            wrong.push(format!("{untold} did not fit into the queue and are lost"));
        }
        (!wrong.is_empty()).then(|| (name, wrong.join("; ")))
    });
    Ok(wrong.collect())
}

/// What is wrong now, by the part that it is about.
pub(crate) fn problems(app: &App) -> Result<BTreeMap<String, String>, Error> {
    let mut all = BTreeMap::new();
    for problem in health::problems(app) {
        let part = format!("{} {}", problem.part, problem.name).trim_end().to_owned();
        all.insert(part.clone(), format!("{part}: {}", problem.why));
    }
    for (name, why) in of_hooks(app)? {
        all.insert(format!("webhook {name}"), format!("webhook {name}: {why}"));
    }
    Ok(all)
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
    let mut tidied: Option<Instant> = None;
    loop {
        if !matches!(over.recv_timeout(LOOK_EVERY), Err(RecvTimeoutError::Timeout)) {
            return;
        }
        let at = crate::line::now().0;
        match problems(app) {
            Ok(now) => {
                let told = app.store.write(|tx| {
                    for (part, said) in news(&before, &now) {
                        hooks.health(tx, &part, &said, at)?;
                    }
                    Ok(())
                });
                match told {
                    Ok(()) => {
                        if before.keys().ne(now.keys()) {
                            app.hub.tell(crate::hub::News::Health);
                        }
                        before = now;
                    }
                    Err(error) => tracing::warn!(%error, "what is wrong cannot be told"),
                }
            }
            Err(error) => tracing::warn!(%error, "the store does not say what is wrong"),
        }
        if tidied.is_none_or(|t| t.elapsed() >= TIDY_EVERY) {
            tidied = Some(Instant::now());
            if let Err(error) = app.store.write(|tx| outbox::tidy(tx, at - KEPT_US)) {
                tracing::warn!(%error, "old deliveries cannot be deleted");
            }
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
