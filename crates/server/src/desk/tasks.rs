//! The steps of the playbook in a case.

use super::cases::{guarded, look_at};
use super::stamp::moment;
use super::{Doing, Fault, Stamp, Who, change};
use crate::app::App;
use crate::hub::News;
use portreeve_access::permit::Verb;
use portreeve_store::case::task;
use portreeve_store::{CaseId, PersonId, Word};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct Task {
    /// The playbook's id of the step.
    pub step: String,
    pub title: String,
    pub state: String,
    pub assignee: Option<i64>,
    pub due: Option<Stamp>,
    pub finding: String,
    pub done_by: Option<String>,
    pub done_at: Option<Stamp>,
    /// For If-Match.
    pub revision: i64,
}

impl From<task::Task> for Task {
    fn from(t: task::Task) -> Task {
        Task {
            step: t.step,
            title: t.title,
            state: t.state.word().to_owned(),
            assignee: t.assignee.map(|a| a.0),
            due: t.due.map(Stamp),
            finding: t.finding,
            done_by: t.done_by,
            done_at: t.done_at.map(Stamp),
            revision: t.revision,
        }
    }
}

#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TaskInput {
    /// `to_do`, `in_progress`, `blocked`, `done` or `skipped`.
    pub state: String,
    #[serde(default)]
    pub assignee: Option<i64>,
    /// RFC 3339.
    #[serde(default)]
    pub due: Option<String>,
    /// What was found; a step is not done without saying it.
    #[serde(default)]
    pub finding: String,
}

pub fn list(app: &App, who: &Who, number: i64) -> Result<Vec<Task>, Fault> {
    look_at(app, who, number, |tx, case| {
        Ok(task::of_case(tx, case.id)?.into_iter().map(Task::from).collect())
    })
}

pub fn set(
    app: &App,
    who: &Who,
    (number, step): (i64, &str),
    revision: i64,
    input: &TaskInput,
) -> Result<Task, Fault> {
    let object = format!("case:{number}");
    let set = task::Change {
        state: input.state.parse()?,
        assignee: input.assignee.map(PersonId),
        due: moment("due", input.due.as_deref())?,
        finding: &input.finding,
    };
    let doing =
        Doing::new(Verb::CaseTask, &object).with(serde_json::json!({ "step": step, "state": input.state }));
    let done = change(app, who, &doing, |tx, by| {
        let case = guarded(tx, who, Verb::CaseTask, CaseId(number))?;
        Ok(Task::from(task::set(tx, case.id, step, revision, &set, by)?))
    })?;
    app.hub.tell(News::Case { number, is_new: false });
    Ok(done)
}
