//! Dead letters: looked at, and offered again.

use super::{Doing, Fault, Who, change, look_at_service};
use crate::app::App;
use crate::dead::Letter;
use base64::Engine;
use portreeve_access::permit::{Object, Verb};
use portreeve_doors::{Origin, Receipt, Records};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(crate) const MOST: usize = 1_000;

fn io(error: std::io::Error) -> Fault {
    Fault::Inside(format!("dead letters: {error}"))
}

/// The newest first.
pub fn list(app: &App, who: &Who) -> Result<Vec<Letter>, Fault> {
    look_at_service(app, who, Verb::SourceRead, |_| Ok(()))?;
    app.dead.list(MOST).map_err(io)
}

#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplayInput {
    pub ids: Vec<String>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct Replayed {
    /// Stored, as records of their sources.
    pub stored: usize,
    /// Refused; they are dead letters still.
    pub refused: usize,
    pub why: Option<String>,
}

/// Offers letters again as they are, each as one record of its source. Called on a thread of the runtime that may block.
pub fn replay(app: &App, who: &Who, input: &ReplayInput) -> Result<Replayed, Fault> {
    let detail = serde_json::to_value(input).unwrap_or_default();
    // Letters are taken once, whoever asks how often: the answer to a second request is that nothing is left of them.
    let each = Who { once: None, ..who.clone() };
    change(app, &each, &Doing::new(Verb::SourceManage, "dead-letters").with(detail), |_, _| {
        who.may(Verb::SourceManage, &Object::Source { id: "dead-letters" }).map_err(Into::into)
    })?;
    let intake =
        app.intake().ok_or_else(|| Fault::Busy { why: "the service is shutting down".to_owned() })?;
    let handle = tokio::runtime::Handle::current();
    let mut answer = Replayed { stored: 0, refused: 0, why: None };
    let _alone = app.dead.alone();
    // They leave their files once they are stored: a crash in between offers them twice, and loses none.
    let mut stored = Vec::new();
    for letter in app.dead.find(&input.ids).map_err(io)? {
        let mut records = Records::default();
        // What we wrote is base64; a line that somebody else wrote there stays where it is.
        match base64::engine::general_purpose::STANDARD.decode(&letter.bytes) {
            Ok(bytes) => records.push(&bytes),
            Err(error) => {
                answer.refused += 1;
                answer.why = Some(error.to_string());
                continue;
            }
        }
        let origin = Origin::new(&letter.origin);
        match handle.block_on(intake.offer(&origin, "dead_letters", records)) {
            Receipt::Stored => stored.push(letter.id),
            Receipt::Refused(why) => {
                answer.refused += 1;
                answer.why = Some(why.to_string());
            }
        }
    }
    answer.stored = stored.len();
    if !stored.is_empty() {
        app.dead.take(&stored).map_err(io)?;
    }
    Ok(answer)
}
