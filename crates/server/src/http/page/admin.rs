//! People, tokens, sources and the audit.

use super::form::{Done, Fields, Form};
use super::frame::Reader;
use crate::app::App;
use crate::desk::audit::{self, AuditInput};
use crate::desk::letters::{self, ReplayInput};
use crate::desk::oidc::{self, BindInput};
use crate::desk::people::{self, PersonChange, PersonInput};
use crate::desk::sources::{self, SourceInput};
use crate::desk::tokens::{self, TokenInput, TokenView};
use crate::desk::{Fault, Who, own};
use crate::ui::{
    self, AuditEntry, AuditView, DeadLetter, DeadLettersView, PeopleView, SourcesView, TokensView,
};
use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use base64::Engine;
use portreeve_access::permit::Verb;
use portreeve_access::role::Role;
use std::sync::Arc;

type Of = State<Arc<App>>;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/people", get(people_page).post(new_person))
        .route("/people/{id}", post(change_person))
        .route("/people/{id}/reset", post(reset_person))
        .route("/people/{id}/provider", post(bind_person))
        .route("/tokens", get(tokens_page).post(new_token))
        .route("/tokens/{id}/revoke", post(revoke))
        .route("/sources", get(sources_page).post(new_source))
        .route("/dead-letters", get(letters_page))
        .route("/dead-letters/replay", post(replay))
        .route("/audit", get(audit_page))
        .route("/audit/verify", post(verify))
}

fn roles_of_people() -> Vec<(String, String)> {
    let people = Role::ALL.into_iter().filter(|r| *r != Role::Ingest);
    people.map(|r| (r.id().to_owned(), r.title().to_owned())).collect()
}

fn people_view(app: &App, who: &Who) -> Result<PeopleView, Fault> {
    let people = people::list(app, who)?.into_iter().map(|p| ui::Person {
        id: p.id,
        revision: p.revision,
        name: p.name,
        display: p.display,
        roles: p.roles,
        second_factor: p.has_second_factor,
        bound: p.provider.map(|account| (account.issuer, account.subject)),
        disabled: p.disabled_at.is_some(),
        last_login: p.last_login.map(|t| t.0),
    });
    Ok(PeopleView {
        people: people.collect(),
        roles: roles_of_people(),
        issuer: oidc::issuer(app).unwrap_or_default().to_owned(),
        ..PeopleView::default()
    })
}

async fn people_page(State(app): Of, reader: Reader) -> Response {
    reader.show(app, |app, who, shell| Ok(ui::people(shell, &people_view(app, who)?))).await
}

/// The list with what is shown once, or with what was wrong.
fn people_after(
    app: &App,
    who: &Who,
    shell: &ui::Shell,
    made: Result<people::PersonMade, Fault>,
) -> Result<(StatusCode, String), Fault> {
    let mut view = people_view(app, who)?;
    let status = match made {
        Ok(made) => {
            view.invitation = Some(format!("{}: {}", made.person.name, made.initial_password));
            StatusCode::OK
        }
        Err(fault @ (Fault::Invalid { .. } | Fault::Conflict { .. })) => {
            view.fault = fault.problem().detail;
            fault.status()
        }
        Err(fault) => return Err(fault),
    };
    Ok((status, ui::people(shell, &view)))
}

async fn new_person(State(app): Of, form: Form) -> Response {
    form.draw(app, |app, who, fields, shell| {
        let input = PersonInput {
            name: fields.text("name"),
            display: fields.text("display"),
            zone: fields.text("zone"),
            roles: fields.all("roles"),
        };
        people_after(app, who, shell, people::create(app, who, &input))
    })
    .await
}

async fn reset_person(State(app): Of, Path(id): Path<i64>, form: Form) -> Response {
    form.draw(app, move |app, who, fields, shell| {
        let made = fields.revision().and_then(|revision| people::reset(app, who, id, revision));
        people_after(app, who, shell, made)
    })
    .await
}

async fn change_person(State(app): Of, Path(id): Path<i64>, form: Form) -> Response {
    form.run(app, move |app, who, fields| {
        let roles = fields.all("roles");
        if roles.is_empty() {
            return Err(Fault::invalid("roles", "name at least one"));
        }
        let input = PersonChange { roles, disabled: Some(fields.has("disabled")), ..PersonChange::default() };
        let person = people::alter(app, who, id, fields.revision()?, &input)?;
        Ok(Done::said(format!("{} is changed", person.name)))
    })
    .await
}

/// Binds, or takes it back where the form says so: a field that was left empty unbinds nobody.
async fn bind_person(State(app): Of, Path(id): Path<i64>, form: Form) -> Response {
    form.run(app, move |app, who, fields| {
        let subject = if fields.has("unbind") { String::new() } else { fields.text("subject") };
        if subject.is_empty() && !fields.has("unbind") {
            return Err(Fault::invalid("subject", "say which account at the provider"));
        }
        let input = BindInput { subject };
        let person = oidc::bind(app, who, id, fields.revision()?, &input)?;
        Ok(Done::said(match person.provider {
            Some(account) => format!("{} is bound to {} at {}", person.name, account.subject, account.issuer),
            None => format!("{} is bound to no account at a provider", person.name),
        }))
    })
    .await
}

fn token_view(token: TokenView, names: &[(i64, String)], who: &Who, may_manage: bool) -> ui::Token {
    let person = token.holder.strip_prefix("person:").and_then(|id| id.parse::<i64>().ok());
    let holder = person.and_then(|id| names.iter().find(|n| n.0 == id)).map(|n| n.1.clone());
    let mut roles = token.roles;
    roles.push(if token.scope.len() == 1 {
        "1 verb".to_owned()
    } else {
        format!("{} verbs", token.scope.len())
    });
    ui::Token {
        id: token.id,
        name: token.name,
        may_revoke: may_manage || person.is_some() && person == who.person.map(|p| p.0),
        holder: holder.unwrap_or(token.holder),
        roles,
        created_by: token.created_by,
        created_at: token.created_at.0,
        expires_at: token.expires_at.map(|t| t.0),
        last_used: token.last_used.map(|t| t.0),
        revoked: token.revoked_at.is_some(),
    }
}

fn tokens_view(app: &App, who: &Who, shell: &ui::Shell) -> Result<TokensView, Fault> {
    let all = if shell.may(Verb::TokenRead.id()) { tokens::list(app, who)? } else { tokens::own(app, who)? };
    let names = if shell.may(Verb::UserRead.id()) {
        people::list(app, who)?.into_iter().map(|p| (p.id, p.name)).collect()
    } else {
        shell.me.iter().map(|m| (m.id, m.name.clone())).collect::<Vec<_>>()
    };
    let manages = shell.may(Verb::TokenManage.id());
    let tokens = all.into_iter().map(|t| token_view(t, &names, who, manages)).collect();
    Ok(TokensView { tokens, roles: roles_of_people(), ..TokensView::default() })
}

async fn tokens_page(State(app): Of, reader: Reader) -> Response {
    reader.show(app, |app, who, shell| Ok(ui::tokens(shell, &tokens_view(app, who, shell)?))).await
}

fn make_token(app: &App, who: &Who, fields: &Fields) -> Result<tokens::TokenMade, Fault> {
    let service = fields.text("holder") == "service";
    let scope = if fields.text("scope") == "all" {
        if service { Verb::ALL.iter().map(|v| v.id().to_owned()).collect() } else { own::may(who) }
    } else {
        Vec::new()
    };
    let input = TokenInput {
        name: fields.text("name"),
        scope,
        roles: if service { fields.all("roles") } else { Vec::new() },
        days: fields.number("days")?,
    };
    if service { tokens::create(app, who, &input) } else { tokens::create_own(app, who, &input) }
}

async fn new_token(State(app): Of, form: Form) -> Response {
    form.draw(app, |app, who, fields, shell| {
        let made = make_token(app, who, fields);
        let mut view = tokens_view(app, who, shell)?;
        let status = match made {
            Ok(made) => {
                view.secret = Some(made.secret);
                StatusCode::OK
            }
            Err(fault @ (Fault::Invalid { .. } | Fault::Conflict { .. })) => {
                view.fault = fault.problem().detail;
                fault.status()
            }
            Err(fault) => return Err(fault),
        };
        Ok((status, ui::tokens(shell, &view)))
    })
    .await
}

async fn revoke(State(app): Of, Path(id): Path<i64>, form: Form) -> Response {
    form.run(app, move |app, who, _| {
        let token = tokens::revoke(app, who, id)?;
        Ok(Done::said(format!("The token {} is revoked", token.name)))
    })
    .await
}

fn sources_view(app: &App) -> Result<SourcesView, Fault> {
    let dead = app.dead.list(letters::MOST).map_err(|e| Fault::Inside(e.to_string()))?.len();
    let http = portreeve_doors::http::DOORS.iter().map(|d| d.name);
    let doors =
        http.chain([portreeve_doors::syslog::DECLARATION.name, portreeve_doors::lumberjack::DOOR.name]);
    let doors = doors.map(str::to_owned).collect();
    Ok(SourcesView { doors, dead, ..SourcesView::default() })
}

async fn sources_page(State(app): Of, reader: Reader) -> Response {
    reader
        .show(app, |app, who, shell| {
            declared(app, who, shell)?;
            Ok(ui::sources(shell, &sources_view(app)?))
        })
        .await
}

/// Sources that are declared and have not spoken yet belong on the page as well.
fn declared(app: &App, who: &Who, shell: &mut ui::Shell) -> Result<(), Fault> {
    for source in sources::list(app, who)? {
        if shell.health.sources.iter().all(|s| s.name != source.name) {
            let mut line = ui::SourceHealth { name: source.name, ..ui::SourceHealth::default() };
            if source.declared.as_ref().is_some_and(|d| d.disabled_at.is_some()) {
                line.problems.push("it is disabled: nothing is taken from it".to_owned());
            } else {
                line.problems.push("it has not spoken since the service started".to_owned());
            }
            line.door = source.doors.into_iter().map(|d| d.door).collect::<Vec<_>>().join(", ");
            shell.health.sources.push(line);
        }
    }
    Ok(())
}

async fn new_source(State(app): Of, form: Form) -> Response {
    form.draw(app, |app, who, fields, shell| {
        let input = SourceInput {
            name: fields.text("name"),
            doors: fields.all("doors"),
            certificates: Vec::new(),
            zone: fields.text("zone"),
            product: fields.text("product"),
            disabled: false,
        };
        let made = sources::create(app, who, &input);
        declared(app, who, shell)?;
        let mut view = sources_view(app)?;
        let status = match made {
            Ok(made) => {
                view.secret = Some(made.secret);
                StatusCode::OK
            }
            Err(fault @ (Fault::Invalid { .. } | Fault::Conflict { .. })) => {
                view.fault = fault.problem().detail;
                fault.status()
            }
            Err(fault) => return Err(fault),
        };
        Ok((status, ui::sources(shell, &view)))
    })
    .await
}

async fn letters_page(State(app): Of, reader: Reader) -> Response {
    reader
        .show(app, |app, who, shell| {
            let all = letters::list(app, who)?.into_iter().map(|l| DeadLetter {
                record: match base64::engine::general_purpose::STANDARD.decode(&l.bytes) {
                    Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
                    Err(_) => l.bytes,
                },
                id: l.id,
                at: l.at,
                door: l.door,
                origin: l.origin,
                reason: l.reason,
            });
            Ok(ui::dead_letters(shell, &DeadLettersView { letters: all.collect(), next: String::new() }))
        })
        .await
}

async fn replay(State(app): Of, form: Form) -> Response {
    form.run(app, |app, who, fields| {
        let done = letters::replay(app, who, &ReplayInput { ids: fields.all("id") })?;
        let mut said = format!("{} stored", done.stored);
        if done.refused > 0 {
            said.push_str(&format!(", {} refused: {}", done.refused, done.why.unwrap_or_default()));
        }
        Ok(Done::said(said))
    })
    .await
}

fn audit_view(app: &App, who: &Who, input: AuditInput) -> Result<AuditView, Fault> {
    let page = audit::list(app, who, &input)?;
    let entries = page.entries.into_iter().map(|e| AuditEntry {
        number: e.seq,
        at: e.at.0,
        actor: e.actor,
        verb: e.verb,
        object: e.object,
        address: e.address,
        outcome: e.outcome,
        detail: e.detail,
        hash: e.hash.chars().take(16).collect(),
    });
    Ok(AuditView {
        actor: input.actor.unwrap_or_default(),
        object: input.object.unwrap_or_default(),
        entries: entries.collect(),
        before: page.next.and_then(|n| n.parse().ok()),
        verified: None,
    })
}

async fn audit_page(State(app): Of, reader: Reader) -> Response {
    let some = |text: String| Some(text).filter(|t| !t.is_empty());
    let input = AuditInput {
        actor: some(reader.asked("actor")),
        object: some(reader.asked("object")),
        after: some(reader.asked("before")),
        ..AuditInput::default()
    };
    reader.show(app, move |app, who, shell| Ok(ui::audit(shell, &audit_view(app, who, input)?))).await
}

async fn verify(State(app): Of, form: Form) -> Response {
    form.draw(app, |app, who, _, shell| {
        let found = audit::verify(app, who)?;
        let mut view = audit_view(app, who, AuditInput::default())?;
        view.verified = Some(match found.faults.as_slice() {
            [] => format!(
                "{} entries, none changed. Keep this elsewhere to prove it later: {} {}",
                found.entries, found.seq, found.hash
            ),
            faults => format!("{} entries, and the chain is broken: {}", found.entries, faults.join("; ")),
        });
        Ok((StatusCode::OK, ui::audit(shell, &view)))
    })
    .await
}
