//! The pages in Chromium, with the policy that the service sets.

use super::fixture::{PLAIN, pages, queue, shell};
use super::{assets, preferences};
use axum::Router;
use axum::extract::{Path, Query, RawForm};
use axum::http::{StatusCode, Uri, header};
use axum::response::{Html, IntoResponse};
use axum::routing::{get, post};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// What forms asked for.
type Asked = Arc<Mutex<Vec<(String, String)>>>;

fn router(asked: Asked) -> Router {
    let all: HashMap<&str, String> = pages(PLAIN).into_iter().collect();
    let done = asked.clone();
    Router::new()
        .route("/page/{name}", get(async move |Path(name): Path<String>| Html(all[name.as_str()].clone())))
        .route(
            "/queue",
            get(async move |Query(q): Query<HashMap<String, String>>| {
                let mut view = queue(PLAIN);
                let case = q.get("case").and_then(|c| c.parse().ok()).unwrap_or(7);
                (view.filter.case, view.filter.q) = (Some(case), q.get("q").cloned().unwrap_or_default());
                if let Some(answer) = &mut view.selected {
                    answer.number = case;
                }
                let mut shell = shell();
                shell.here = view.filter.url();
                shell.notice = done.lock().expect("no panic").last().map(|(to, _)| format!("done: {to}"));
                Html(super::queue(&shell, &view))
            }),
        )
        .route(
            "/cases/{number}/{act}",
            post(async move |uri: Uri, RawForm(form): RawForm| {
                let form = String::from_utf8_lossy(&form).into_owned();
                let back = "/queue?queue=escalate&case=8";
                asked.lock().expect("no panic").push((uri.path().to_owned(), form));
                (StatusCode::SEE_OTHER, [(header::LOCATION, back)])
            }),
        )
        .route(
            "/api/v1/events",
            get(async || ([(header::CONTENT_TYPE, "text/event-stream")], ": nothing\n\n")),
        )
        .merge(assets::routes())
        .merge(preferences::routes())
        .layer(axum::middleware::map_response(async |mut answer: axum::response::Response| {
            let headers = answer.headers_mut();
            headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(POLICY.parse().expect("a header"));
            answer.into_response()
        }))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_shows_the_pages_and_a_case_is_triaged_by_keyboard() {
    let asked = Asked::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let base = format!("http://{}", listener.local_addr().expect("an address"));
    let server = tokio::spawn(axum::serve(listener, router(asked.clone())).into_future());
    let names: Vec<&str> = pages(PLAIN).into_iter().map(|(name, _)| name).collect();
    assert!(std::path::Path::new("/usr/bin/chromium").exists(), "needs the Debian package chromium");
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".into());
    let out = tokio::task::spawn_blocking(move || {
        std::process::Command::new("timeout")
            .args(["600", &python, "-c", include_str!("browser.py"), &base])
            // Where pictures are to go, for who wants to look.
            .arg(std::env::var("PICTURES").unwrap_or_default())
            .arg(names.join(","))
            .output()
            .expect("needs the Debian packages coreutils and python3")
    })
    .await
    .expect("no panic");
    server.abort();
    let said = [out.stdout, out.stderr].map(|t| String::from_utf8_lossy(&t).into_owned()).join("\n");
    let hint = "needs playwright and axe-playwright-python of .ci/pip.txt";
    assert!(!said.contains("ModuleNotFoundError"), "{hint}\n{said}");
    assert!(out.status.success(), "{said}");
    let asked = asked.lock().expect("no panic");
    let (to, form) = asked.first().expect("the form was sent");
    assert_eq!(to, "/cases/8/escalate");
    assert!(
        form.contains("csrf_token=dG9rZW4") && form.contains("reason=jumps+to+the+file+server"),
        "{form}"
    );
}
