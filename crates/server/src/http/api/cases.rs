//! Cases, and what people do to them.

use super::asked;
use crate::app::App;
use crate::desk::cases::{
    CaseLine, CasePage, CaseWhole, ListInput, PageInput, QueueCount, RelatedCase, TimelinePage, VerdictChange,
};
use crate::desk::notes::{Note, NoteInput};
use crate::desk::tasks::{Task, TaskInput};
use crate::desk::work::{
    AssignInput, CloseInput, DecideInput, MergeInput, ReasonInput, RestrictInput, SharingInput, StatusInput,
    TierInput,
};
use crate::desk::{Fault, cases, hand_over, notes, tasks, work};
use crate::http::input::{Act, Asked, At, Nothing};
use crate::http::route::{May, Route};
use crate::http::session::Signed;
use crate::service::blocking;
use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post, put};
use portreeve_access::permit::Verb;
use std::sync::Arc;

type Answer<T> = Result<Json<T>, Fault>;
type Of = State<Arc<App>>;

async fn list(State(app): Of, Signed(who): Signed, Asked(input): Asked<ListInput>) -> Answer<CasePage> {
    asked(app, move |app| cases::list(app, &who, &input)).await
}

async fn counts(State(app): Of, Signed(who): Signed) -> Answer<Vec<QueueCount>> {
    asked(app, move |app| cases::counts(app, &who)).await
}

async fn timeline(
    State(app): Of,
    Signed(who): Signed,
    At(number): At<i64>,
    Asked(input): Asked<PageInput>,
) -> Answer<TimelinePage> {
    asked(app, move |app| cases::timeline(app, &who, number, &input)).await
}

/// Something of one case, to be looked at.
macro_rules! looks {
    ($($name:ident $output:ty = $f:path;)*) => {$(
        async fn $name(State(app): Of, Signed(who): Signed, At(number): At<i64>) -> Answer<$output> {
            asked(app, move |app| $f(app, &who, number)).await
        }
    )*};
}

looks! {
    read CaseWhole = cases::read;
    verdicts Vec<VerdictChange> = cases::verdicts;
    related Vec<RelatedCase> = cases::related;
    notes_of Vec<Note> = notes::list;
    tasks_of Vec<Task> = tasks::list;
}

/// What is done to a case at the revision that was read.
macro_rules! works {
    ($($name:ident $input:ty;)*) => {$(
        async fn $name(State(app): Of, At(number): At<i64>, act: Act<$input>) -> Response {
            act.on_revision(app, move |app, who, revision, input| work::$name(app, who, number, revision, input)).await
        }
    )*};
}

works! {
    assign AssignInput;
    status StatusInput;
    escalate TierInput;
    hand_back TierInput;
    close CloseInput;
    reopen ReasonInput;
    stays_closed ReasonInput;
    decide DecideInput;
    withdraw ReasonInput;
    sharing SharingInput;
    restrict RestrictInput;
    merge MergeInput;
    unmerge ReasonInput;
}

async fn add_note(State(app): Of, At(number): At<i64>, act: Act<NoteInput>) -> Response {
    act.run(app, move |app, who, input| notes::write(app, who, number, input)).await
}

async fn edit_note(State(app): Of, At(at): At<(i64, i64)>, act: Act<NoteInput>) -> Response {
    act.on_revision(app, move |app, who, revision, input| notes::edit(app, who, at, revision, input)).await
}

async fn delete_note(State(app): Of, At(at): At<(i64, i64)>, act: Act<Nothing>) -> Response {
    act.on_revision(app, move |app, who, revision, _| notes::delete(app, who, at, revision)).await
}

async fn set_task(State(app): Of, At((number, step)): At<(i64, String)>, act: Act<TaskInput>) -> Response {
    act.on_revision(app, move |app, who, revision, input| {
        tasks::set(app, who, (number, &step), revision, input)
    })
    .await
}

async fn export(
    State(app): Of,
    Signed(who): Signed,
    At((number, format)): At<(i64, String)>,
) -> Result<Response, Fault> {
    let done = blocking(move || hand_over::export(&app, &who, number, &format)).await?;
    Ok(([(header::CONTENT_TYPE, done.0)], done.1).into_response())
}

pub(super) fn routes() -> Vec<Route> {
    let read_case = May::Do(Verb::CaseRead);
    let look = |path, id, title, handler| Route::new(("get", path), (id, title), read_case, handler);
    let act = |path, id, title, verb, handler| {
        Route::new(("post", path), (id, title), May::Do(verb), handler).revision().output::<CaseLine>()
    };
    let listed = May::Do(Verb::CaseList);
    vec![
        Route::new(("get", "/cases"), ("listCases", "Cases, page by page"), listed, get(list))
            .query::<ListInput>()
            .output::<CasePage>(),
        Route::new(("get", "/counts"), ("countCases", "The queue in numbers"), listed, get(counts))
            .output::<Vec<QueueCount>>(),
        look("/cases/{number}", "getCase", "A case with the engine's documents", get(read))
            .output::<CaseWhole>(),
        look(
            "/cases/{number}/timeline",
            "getTimeline",
            "What happened, and what was done about it",
            get(timeline),
        )
        .query::<PageInput>()
        .output::<TimelinePage>(),
        look("/cases/{number}/verdicts", "getVerdicts", "How the verdict changed", get(verdicts))
            .output::<Vec<VerdictChange>>(),
        look("/cases/{number}/related", "getRelated", "Cases that share something with it", get(related))
            .output::<Vec<RelatedCase>>(),
        Route::new(
            ("get", "/cases/{number}/export/{format}"),
            ("exportCase", "For another program: handover, stix, misp, timesketch or cacao"),
            May::Do(Verb::ExportMake),
            get(export),
        )
        .media("*/*"),
        look("/cases/{number}/notes", "listNotes", "Notes", get(notes_of)).output::<Vec<Note>>(),
        look("/cases/{number}/tasks", "listTasks", "Steps of the playbook", get(tasks_of))
            .output::<Vec<Task>>(),
        act("/cases/{number}/assign", "assignCase", "Give it an owner", Verb::CaseAssign, post(assign))
            .input::<AssignInput>(),
        act("/cases/{number}/status", "setStatus", "Any status but closed", Verb::CaseAssign, post(status))
            .input::<StatusInput>(),
        act(
            "/cases/{number}/escalate",
            "escalateCase",
            "To the next tier",
            Verb::CaseEscalate,
            post(escalate),
        )
        .input::<TierInput>(),
        act(
            "/cases/{number}/hand-back",
            "handBackCase",
            "To a lower tier",
            Verb::CaseEscalate,
            post(hand_back),
        )
        .input::<TierInput>(),
        act("/cases/{number}/close", "closeCase", "Close it", Verb::CaseClose, post(close))
            .input::<CloseInput>(),
        act("/cases/{number}/reopen", "reopenCase", "Open it again", Verb::CaseReopen, post(reopen))
            .input::<ReasonInput>(),
        act(
            "/cases/{number}/stays-closed",
            "leaveCaseClosed",
            "It came up again and stays closed",
            Verb::CaseClose,
            post(stays_closed),
        )
        .input::<ReasonInput>(),
        act(
            "/cases/{number}/decide",
            "decideCase",
            "Decide otherwise than the engine",
            Verb::CaseDecide,
            post(decide),
        )
        .input::<DecideInput>(),
        act(
            "/cases/{number}/withdraw-decision",
            "withdrawDecision",
            "The engine's decision counts again",
            Verb::CaseDecide,
            post(withdraw),
        )
        .input::<ReasonInput>(),
        act("/cases/{number}/sharing", "setSharing", "TLP and PAP", Verb::CaseRestrict, post(sharing))
            .input::<SharingInput>(),
        act("/cases/{number}/restrict", "restrictCase", "Who may see it", Verb::CaseRestrict, post(restrict))
            .input::<RestrictInput>(),
        act("/cases/{number}/merge", "mergeCase", "Merge another case into it", Verb::CaseMerge, post(merge))
            .input::<MergeInput>(),
        act("/cases/{number}/unmerge", "unmergeCase", "Take it out again", Verb::CaseMerge, post(unmerge))
            .input::<ReasonInput>(),
        Route::new(
            ("post", "/cases/{number}/notes"),
            ("addNote", "Write a note"),
            May::Do(Verb::CaseNote),
            post(add_note),
        )
        .input::<NoteInput>()
        .output::<Note>(),
        Route::new(
            ("put", "/cases/{number}/notes/{note}"),
            ("editNote", "Write it anew; versions stay"),
            May::Do(Verb::CaseNote),
            put(edit_note),
        )
        .revision()
        .input::<NoteInput>()
        .output::<Note>(),
        Route::new(
            ("delete", "/cases/{number}/notes/{note}"),
            ("deleteNote", "Out of sight; versions stay"),
            May::Do(Verb::CaseNote),
            delete(delete_note),
        )
        .revision(),
        Route::new(
            ("post", "/cases/{number}/tasks/{step}"),
            ("setTask", "State and finding of a step"),
            May::Do(Verb::CaseTask),
            post(set_task),
        )
        .revision()
        .input::<TaskInput>()
        .output::<Task>(),
    ]
}
