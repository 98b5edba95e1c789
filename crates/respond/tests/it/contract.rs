//! What every connector must show at a stateful stand-in: its whole life from reading to undo, and what it says when
//! the device is busy, fails before or after the effect, falls silent, or says yes and does nothing.
//!
//! ```ignore
//! contract::life(&Life {
//!     connector: &CONNECTOR,
//!     act: Act::BlockAddress,
//!     target: Target::address("192.0.2.7".parse().unwrap()),
//!     device: &|| contract::over(stub(), |url| json!({"endpoint": {"url": url}})),
//!     secret: "the-right-key",
//!     absent: &[],
//!     ambiguous: &[],
//! });
//! ```

use crate::lab;
use crate::stub::{Failure, Request, Stub};
use portreeve_respond::act::Act;
use portreeve_respond::connector::{Ack, Connector, Control, Effect, Known, Order, Seen};
use portreeve_respond::fault::Fault;
use portreeve_respond::target::Target;
use serde_json::Value;
use std::time::Duration;

/// A stand-in with a state of its own.
pub(crate) trait Device {
    /// The fields of the connector's configuration that lead here.
    fn fields(&self) -> Value;
    /// The next change fails so. `false`: this kind of device cannot fail so.
    fn fail(&self, failure: Failure) -> bool;
    /// Changes that were asked for so far.
    fn changes(&self) -> usize;
    /// Fields with a credential that the device refuses, where it stands among the fields.
    fn wrong(&self) -> Value {
        self.fields()
    }
    /// Has the product a way back, for an act that is not final by itself?
    fn can_undo(&self) -> bool {
        true
    }
    /// Does the product keep something by which our own step is told from another hand's?
    fn marks(&self) -> bool {
        true
    }
    /// Fields that lead to a port where nobody listens.
    fn nowhere(&self) -> Option<Value> {
        None
    }
}

/// A stand-in over HTTP.
pub(crate) struct Over {
    pub(crate) stub: Stub,
    fields: Value,
    marks: bool,
}

/// `fields` makes the configuration from the URL of the stand-in.
pub(crate) fn over(stub: Stub, fields: impl FnOnce(&str) -> Value) -> Box<dyn Device> {
    let fields = fields(&stub.url());
    Box::new(Over { stub, fields, marks: true })
}

/// The same for a product that keeps nothing by which our own step could be told.
pub(crate) fn unmarked(stub: Stub, fields: impl FnOnce(&str) -> Value) -> Box<dyn Device> {
    let fields = fields(&stub.url());
    Box::new(Over { stub, fields, marks: false })
}

impl Device for Over {
    fn fields(&self) -> Value {
        self.fields.clone()
    }

    fn fail(&self, failure: Failure) -> bool {
        self.stub.fail(failure);
        true
    }

    fn changes(&self) -> usize {
        self.stub.changes().len()
    }

    fn marks(&self) -> bool {
        self.marks
    }

    fn nowhere(&self) -> Option<Value> {
        let text = self.fields.to_string().replace(&self.stub.url(), "http://127.0.0.1:1");
        serde_json::from_str(&text).ok()
    }
}

/// One connector, one act, one target.
pub(crate) struct Life<'a> {
    pub(crate) connector: &'static Connector,
    pub(crate) act: Act,
    /// What the device has (a session, an account), or what can be put there (an address).
    pub(crate) target: Target,
    /// A fresh device, in which nothing has been done yet.
    pub(crate) device: &'a dyn Fn() -> Box<dyn Device>,
    /// The credential that it accepts.
    pub(crate) secret: &'a str,
    /// What the device does not have: each is [`Fault::NotFound`].
    pub(crate) absent: &'a [Target],
    /// What answers to more than one thing there: each is [`Fault::Ambiguous`].
    pub(crate) ambiguous: &'a [Target],
}

/// The longest that an effect may take to show at a stand-in.
const SHOWS: Duration = Duration::from_secs(8);

/// A device, opened, with the order for it.
struct Bench {
    device: Box<dyn Device>,
    control: Box<dyn Control>,
    order: Order,
    dir: tempfile::TempDir,
}

impl Life<'_> {
    fn bench(&self) -> Bench {
        self.bench_with(self.secret, false)
    }

    fn bench_with(&self, secret: &str, wrong: bool) -> Bench {
        let device = (self.device)();
        let dir = tempfile::tempdir().unwrap();
        let file = lab::secret_file(dir.path(), "secret", secret);
        let fields = if wrong { device.wrong() } else { device.fields() };
        let control = lab::open(self.connector, fields, &[("default", &file)]);
        Bench { device, control, order: lab::order(self.act, self.target.clone()), dir }
    }
}

impl Bench {
    fn seen(&mut self) -> Seen {
        self.control.read(&self.order).unwrap()
    }

    fn apply(&mut self, seen: &Seen) -> Result<Ack, Fault> {
        self.control.apply(&self.order, seen)
    }

    /// The effect, read until it shows or time is up.
    fn shows(&mut self, known: &Known) -> Effect {
        let mut last = Effect::Unknown(String::new());
        lab::until(SHOWS, || {
            last = self.control.verify(&self.order, known);
            matches!(last, Effect::Effective(_))
        });
        last
    }

    fn undone(&mut self, known: &Known) -> Effect {
        let mut last = Effect::Unknown(String::new());
        lab::until(SHOWS, || {
            last = self.control.verify_undone(&self.order, known);
            matches!(last, Effect::Effective(_))
        });
        last
    }
}

#[track_caller]
fn effective(effect: &Effect) {
    assert!(matches!(effect, Effect::Effective(_)), "{effect:?}");
}

#[track_caller]
fn not_effective(effect: &Effect) {
    assert!(matches!(effect, Effect::NotEffective(_)), "{effect:?}");
}

/// All of it.
pub(crate) fn life(life: &Life<'_>) {
    whole(life);
    failing(life);
    credential(life);
    names(life);
    unreachable(life);
}

/// Read, preview, apply, verify, undo, verify.
pub(crate) fn whole(life: &Life<'_>) {
    let mut bench = life.bench();
    let seen = bench.seen();
    assert!(!seen.in_force, "{seen:?}");
    assert!(!seen.ids.is_empty() && !seen.says.is_empty(), "{seen:?}");
    assert_eq!(bench.seen(), seen, "nothing volatile is in what was seen");
    let preview = bench.control.preview(&bench.order, &seen).unwrap();
    assert!(!preview.is_empty());
    for shown in [format!("{preview:?}"), format!("{seen:?}")] {
        assert!(!shown.contains(life.secret), "a secret is shown: {shown}");
    }
    let mut known = Known { seen, ack: None };
    not_effective(&bench.control.verify(&bench.order, &known));
    for able in bench.control.doctor() {
        assert_ne!(able.able, Some(false), "{able:?}");
    }
    assert_eq!(bench.device.changes(), 0, "reading, preview and doctor change nothing");

    let ack = bench.apply(&known.seen.clone()).unwrap();
    assert!(!format!("{} {}", ack.says, ack.made).contains(life.secret));
    known.ack = Some(ack);
    effective(&bench.shows(&known));
    let changes = bench.device.changes();
    assert!(changes > 0);
    effective(&bench.control.verify(&bench.order, &known));
    assert_eq!(bench.device.changes(), changes, "verify changes nothing");

    if life.act.is_final() || !bench.device.can_undo() {
        let fault = bench.control.undo(&bench.order, &known).unwrap_err();
        assert!(matches!(fault, Fault::Unsupported(_)), "{fault}");
        assert_eq!(bench.device.changes(), changes);
        assert!(!matches!(bench.control.verify_undone(&bench.order, &known), Effect::Effective(_)));
        return;
    }
    if bench.device.marks() {
        assert!(!bench.seen().in_force, "our own step is not another hand's");
    }
    not_effective(&bench.control.verify_undone(&bench.order, &known));
    bench.control.undo(&bench.order, &known).unwrap();
    effective(&bench.undone(&known));
    not_effective(&bench.control.verify(&bench.order, &known));
    bench.control.undo(&bench.order, &known).unwrap();
    effective(&bench.undone(&known));
}

/// Each failure of the device, and what is said of the effect.
pub(crate) fn failing(life: &Life<'_>) {
    for failure in [Failure::Busy, Failure::Before, Failure::AfterEffect, Failure::Silent, Failure::Hollow] {
        let mut bench = life.bench();
        let seen = bench.seen();
        if !bench.device.fail(failure) {
            continue;
        }
        let sent = bench.apply(&seen);
        let known = Known { seen, ack: sent.as_ref().ok().cloned() };
        match failure {
            Failure::Busy => {
                assert!(sent.is_ok(), "busy is tried again: {sent:?}");
                effective(&bench.shows(&known));
            }
            Failure::Before => {
                assert!(sent.as_ref().is_err_and(Fault::may_have_acted), "500 tells nothing: {sent:?}");
                not_effective(&bench.control.verify(&bench.order, &known));
            }
            Failure::AfterEffect | Failure::Silent => {
                assert!(sent.as_ref().is_err_and(Fault::may_have_acted), "{failure:?}: {sent:?}");
                effective(&bench.shows(&known));
            }
            Failure::Hollow => {
                assert!(
                    sent.as_ref().map_or_else(Fault::may_have_acted, |_| true),
                    "a yes without an effect: {sent:?}"
                );
                not_effective(&bench.control.verify(&bench.order, &known));
            }
        }
    }
    // The undo that worked and did not come back.
    let mut bench = life.bench();
    if life.act.is_final() || !bench.device.can_undo() {
        return;
    }
    let seen = bench.seen();
    let ack = bench.apply(&seen).unwrap();
    let known = Known { seen, ack: Some(ack) };
    effective(&bench.shows(&known));
    if bench.device.fail(Failure::AfterEffect) {
        let fault = bench.control.undo(&bench.order, &known).unwrap_err();
        assert!(fault.may_have_acted(), "{fault}");
        effective(&bench.undone(&known));
        bench.control.undo(&bench.order, &known).unwrap();
        effective(&bench.undone(&known));
    }
}

/// A credential that the device refuses.
pub(crate) fn credential(life: &Life<'_>) {
    let seen = life.bench().seen();
    let mut bench = life.bench_with("not-the-right-one", true);
    let fault = bench.control.read(&bench.order).unwrap_err();
    assert!(matches!(fault, Fault::Credential(_)), "{fault}");
    let fault = bench.apply(&seen).unwrap_err();
    assert!(matches!(fault, Fault::Credential(_)), "{fault}");
    let known = Known { seen, ack: None };
    let effect = bench.control.verify(&bench.order, &known);
    assert!(matches!(effect, Effect::Unknown(_)), "a failed read says nothing: {effect:?}");
    assert!(!matches!(bench.control.verify_undone(&bench.order, &known), Effect::Effective(_)));
    assert!(bench.control.doctor().iter().any(|a| a.able == Some(false)));
}

/// Nobody is there: nothing was sent, and nothing is known of the effect.
pub(crate) fn unreachable(life: &Life<'_>) {
    let mut bench = life.bench();
    let seen = bench.seen();
    let Some(fields) = bench.device.nowhere() else { return };
    let file = lab::secret_file(bench.dir.path(), "again", life.secret);
    bench.control = lab::open(life.connector, fields, &[("default", &file)]);
    let fault = bench.apply(&seen).unwrap_err();
    assert!(matches!(fault, Fault::Unreachable(_)), "{fault}");
    let effect = bench.control.verify(&bench.order, &Known { seen, ack: None });
    assert!(matches!(effect, Effect::Unknown(_)), "{effect:?}");
}

/// Names that lead to nothing, or to more than one thing.
pub(crate) fn names(life: &Life<'_>) {
    let mut bench = life.bench();
    for target in life.absent {
        let fault = bench.control.read(&lab::order(life.act, target.clone())).unwrap_err();
        assert!(matches!(fault, Fault::NotFound(_)), "{target}: {fault}");
    }
    for target in life.ambiguous {
        let fault = bench.control.read(&lab::order(life.act, target.clone())).unwrap_err();
        assert!(matches!(fault, Fault::Ambiguous(_)), "{target}: {fault}");
    }
    assert_eq!(bench.device.changes(), 0);
}

/// The one request that changed something since the device began, for a look at its text.
pub(crate) fn last_change(stub: &Stub) -> Request {
    stub.changes().pop().expect("nothing was changed")
}

/// A device that keeps no marks and has no way back.
pub(crate) struct OneWay(pub(crate) Box<dyn Device>);

impl Device for OneWay {
    fn fields(&self) -> Value {
        self.0.fields()
    }

    fn fail(&self, failure: Failure) -> bool {
        self.0.fail(failure)
    }

    fn changes(&self) -> usize {
        self.0.changes()
    }

    fn wrong(&self) -> Value {
        self.0.wrong()
    }

    fn marks(&self) -> bool {
        false
    }

    fn can_undo(&self) -> bool {
        false
    }

    fn nowhere(&self) -> Option<Value> {
        self.0.nowhere()
    }
}
