//! Doors that fetch or listen on their own: one that had to close is opened again, later each time, and is a problem
//! until it stays open.

use crate::hub::{Hub, News};
use portreeve_doors::{DoorContext, DoorError};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(300);
/// A door that is open for so long is taken to work.
const SETTLED: Duration = Duration::from_secs(5);

/// Why a door is closed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Closed {
    pub(crate) why: String,
    /// Microseconds since 1970, when it closed first.
    pub(crate) since: i64,
    /// How often it was opened since, and closed again.
    pub(crate) tries: u64,
}

/// All doors that are looked after, by name. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Entrances {
    hub: Hub,
    all: Arc<Mutex<BTreeMap<String, Option<Closed>>>>,
}

impl Entrances {
    /// Tells pages of doors that closed, and that are open again.
    pub(crate) fn new(hub: Hub) -> Entrances {
        Entrances { hub, all: Arc::default() }
    }

    /// Names in order, with why those are closed that are.
    pub(crate) fn list(&self) -> Vec<(String, Option<Closed>)> {
        let all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().map(|(name, closed)| (name.clone(), closed.clone())).collect()
    }

    fn open(&self, name: &str) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        if all.insert(name.to_owned(), None).flatten().is_some() {
            self.hub.tell(News::Health);
        }
    }

    fn closed(&self, name: &str, why: &str) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let before = all.get(name).cloned().flatten();
        let (since, tries) = before.map_or((crate::line::now().0, 0), |c| (c.since, c.tries + 1));
        all.insert(name.to_owned(), Some(Closed { why: why.to_owned(), since, tries }));
        if tries == 0 {
            self.hub.tell(News::Health);
        }
    }
}

/// Opens a door until the service ends, or the door has done all there was to do.
pub(crate) async fn kept_open<F>(
    name: String,
    context: DoorContext,
    entrances: Entrances,
    mut run: impl FnMut(DoorContext) -> F,
) where
    F: Future<Output = Result<(), DoorError>> + Send + 'static,
{
    let service = context.shutdown.clone();
    let mut pause = FIRST;
    entrances.open(&name);
    loop {
        // A door may end itself by its own token; it must not end the others.
        let own = DoorContext { shutdown: service.child_token(), ..context.clone() };
        let begun = Instant::now();
        let mut door = tokio::spawn(run(own));
        let ended = tokio::select! {
            ended = &mut door => ended,
            () = tokio::time::sleep(SETTLED) => {
                entrances.open(&name);
                door.await
            }
        };
        let why = match ended {
            Ok(Ok(())) => {
                entrances.open(&name);
                return;
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "a defect of this program; the log has its place".to_owned(),
        };
        if service.is_cancelled() {
            tracing::error!(door = name, %why, "a door did not end well");
            return;
        }
        if begun.elapsed() > LONGEST {
            pause = FIRST;
        }
        tracing::error!(door = name, %why, again_in_s = pause.as_secs(), "a door had to close; it is opened again");
        entrances.closed(&name, &why);
        service.run_until_cancelled(tokio::time::sleep(pause)).await;
        if service.is_cancelled() {
            return;
        }
        pause = (pause * 2).min(LONGEST);
    }
}
