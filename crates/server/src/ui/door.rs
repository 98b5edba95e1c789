//! The pages before somebody is in: sign-in, second factor, first run, and its drawing for a phone.

use super::shell::Shell;
use super::text::page;
use askama::Template;
use qrcodegen::{QrCode, QrCodeEcc};

/// `GET /sign-in`.
#[derive(Default)]
pub struct SignInView {
    pub name: String,
    /// Why it failed; the same for a wrong name and a wrong password.
    pub fault: String,
    /// Name of the identity provider, where there is one.
    pub oidc: String,
    /// The provider alone lets people in.
    pub no_password: bool,
    /// A path of ours, to go to afterwards.
    pub then: String,
}

impl SignInView {
    fn to_provider(&self) -> String {
        super::link::query("/sign-in/oidc", &[("back", &self.then)])
    }
}

/// `GET /second-factor`.
#[derive(Default)]
pub struct SecondFactorView {
    pub fault: String,
    pub passkey: bool,
    /// There is no code to be typed: the passkey is the only second factor.
    pub no_code: bool,
    /// A path of ours, to go to afterwards.
    pub then: String,
}

/// `GET /first-run`, and again with a secret once the password is set.
#[derive(Default)]
pub struct FirstRunView {
    pub token: String,
    pub name: String,
    pub fault: String,
}

/// A second factor is set up: `GET /account/totp`.
#[derive(Default)]
pub struct EnrolView {
    /// `otpauth://totp/…`.
    pub uri: String,
    /// Base32, for typing.
    pub secret: String,
    /// To be sent back with the code.
    pub ticket: String,
    /// There is one already: the password is asked for again.
    pub replaces: bool,
    pub fault: String,
    /// Shown once, after the code was right.
    pub recovery: Vec<String>,
}

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignIn<'a> {
    shell: &'a Shell,
    v: &'a SignInView,
}

#[derive(Template)]
#[template(path = "second_factor.html")]
struct SecondFactor<'a> {
    shell: &'a Shell,
    v: &'a SecondFactorView,
}

/// Somebody came in from another site: a browser sends the cookie of a login only with what a page of ours asks for, and
/// this page asks for the next one.
#[derive(Template)]
#[template(path = "entered.html")]
struct Entered<'a> {
    shell: &'a Shell,
    then: &'a str,
}

#[derive(Template)]
#[template(path = "first_run.html")]
struct FirstRun<'a> {
    shell: &'a Shell,
    v: &'a FirstRunView,
}

#[derive(Template)]
#[template(path = "enrol.html")]
struct Enrol<'a> {
    shell: &'a Shell,
    v: &'a EnrolView,
    qr: Option<Qr>,
}

pub fn sign_in(shell: &Shell, view: &SignInView) -> String {
    page(&SignIn { shell, v: view })
}

pub fn second_factor(shell: &Shell, view: &SecondFactorView) -> String {
    page(&SecondFactor { shell, v: view })
}

/// `then`: a path of ours.
pub fn entered(shell: &Shell, then: &str) -> String {
    let then = if super::preferences::is_ours(then) { then } else { "/" };
    page(&Entered { shell, then })
}

pub fn first_run(shell: &Shell, view: &FirstRunView) -> String {
    page(&FirstRun { shell, v: view })
}

pub fn enrol(shell: &Shell, view: &EnrolView) -> String {
    page(&Enrol { shell, v: view, qr: Qr::of(&view.uri) })
}

/// A QR code as one path, a unit a module, with the quiet zone of four that readers want.
struct Qr {
    size: i32,
    path: String,
}

impl Qr {
    /// `None` for nothing, and for more than a code holds.
    fn of(text: &str) -> Option<Qr> {
        let code = QrCode::encode_text(text, QrCodeEcc::Medium).ok().filter(|_| !text.is_empty())?;
        let mut path = String::new();
        for y in 0..code.size() {
            for x in (0..code.size()).filter(|x| code.get_module(*x, y)) {
                path.push_str(&format!("M{} {}h1v1h-1z", x + 4, y + 4));
            }
        }
        Some(Qr { size: code.size() + 8, path })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_has_its_three_corners_and_a_quiet_zone() {
        let qr = Qr::of("otpauth://totp/a?secret=B").expect("it fits");
        let last = qr.size - 5;
        for (x, y) in [(4, 4), (last, 4), (4, last)] {
            assert!(qr.path.contains(&format!("M{x} {y}h")), "{x} {y}");
        }
        assert!(!qr.path.contains(&format!("M{last} {last}h1v1h-1zM{} {last}", last + 1)));
        assert!(Qr::of("").is_none() && Qr::of(&"x".repeat(5_000)).is_none());
    }
}
