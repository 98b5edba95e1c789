//! What was just done, shown once on the next page: a cookie that only this service can write, so that no link shows a
//! text of its own here.

use crate::app::App;
use crate::ui::Undo;
use axum::http::{HeaderMap, HeaderValue, header};
use portreeve_access::draw::{from_base64url, to_base64url};
use serde::{Deserialize, Serialize};

#[derive(Default, Serialize, Deserialize)]
pub(super) struct Notice {
    pub(super) said: String,
    undo: Option<Back>,
}

/// As [`Undo`], for the cookie.
#[derive(Clone, Serialize, Deserialize)]
struct Back {
    says: String,
    action: String,
    fields: Vec<(String, String)>,
}

/// Longer texts are cut: a cookie holds no more.
const MOST: usize = 600;

fn name(app: &App) -> &'static str {
    if app.accounts.https { "__Host-portreeve-notice" } else { "portreeve-notice" }
}

fn cookie(app: &App, value: &str, seconds: u32) -> Option<HeaderValue> {
    let secure = if app.accounts.https { "; Secure" } else { "" };
    let name = name(app);
    let text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}");
    HeaderValue::from_str(&text).ok()
}

/// For somebody alone: another's cookie says nothing.
fn owner(who: &str) -> String {
    format!("notice {who}")
}

impl Notice {
    pub(super) fn new(said: &str, undo: Option<Undo>) -> Notice {
        let cut = said.chars().take(MOST).collect();
        Notice { said: cut, undo: undo.map(|u| Back { says: u.says, action: u.action, fields: u.fields }) }
    }

    pub(super) fn undo(&self) -> Option<Undo> {
        let Back { says, action, fields } = self.undo.clone()?;
        Some(Undo { says, action, fields })
    }

    pub(super) fn put(&self, app: &App, who: &str, headers: &mut HeaderMap) {
        let plain = serde_json::to_vec(self).unwrap_or_default();
        // Without it the page shows what was done all the same, only not in words.
        let Ok(sealed) = app.accounts.sign_in.seal(&owner(who), &plain) else { return };
        if let Some(value) = cookie(app, &to_base64url(&sealed), 60) {
            headers.append(header::SET_COOKIE, value);
        }
    }

    pub(super) fn read(app: &App, who: &str, sealed: &str) -> Option<Notice> {
        let sealed = from_base64url(sealed)?;
        let plain = app.accounts.sign_in.open(&owner(who), &sealed).ok()?;
        serde_json::from_slice(&plain).ok()
    }
}

/// The cookie as the browser sent it.
pub(super) fn sent(app: &App, headers: &HeaderMap) -> Option<String> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|v| v.to_str().ok());
    let mut pairs = lines.flat_map(|l| l.split(';')).filter_map(|c| c.trim().split_once('='));
    pairs.find(|(n, _)| *n == name(app)).map(|(_, v)| v.to_owned())
}

/// It was shown.
pub(super) fn remove(app: &App, headers: &mut HeaderMap) {
    if let Some(value) = cookie(app, "", 0) {
        headers.append(header::SET_COOKIE, value);
    }
}
