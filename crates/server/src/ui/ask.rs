//! The page behind a link that asks "was this you?": for somebody without an account, with nothing of the inside on it.

use super::text::page;
use askama::Template;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AskState {
    /// To be answered.
    Open,
    /// Just answered; `no` where they said that it was not them.
    Thanks { no: bool },
    /// Used, run out, taken back, or never made: the page does not say which.
    Gone,
    /// Too many links that are none were tried from there.
    Wait,
    /// The answer could not be taken; the link is still good.
    Failed,
}

pub struct AskView {
    pub state: AskState,
    /// Lines of text: what, when, roughly where, with which device.
    pub question: String,
    /// Path of this page, for the form.
    pub here: String,
}

#[derive(Template)]
#[template(path = "ask.html")]
struct Page<'a> {
    v: &'a AskView,
}

/// `GET /ask/{token}`, and what is shown after it was sent.
pub fn ask(view: &AskView) -> String {
    page(&Page { v: view })
}
