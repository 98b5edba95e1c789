//! New passwords that containment made. They lie sealed in the store until whoever carried the plan out has read them,
//! once, or a day has gone by; a restart loses none.

use crate::desk::Fault;
use portreeve_access::keys::Key;
use portreeve_respond::secret::Secret;
use portreeve_store::{Error, Micros, PersonId, Tx, WriteTx, setting};
use zeroize::Zeroizing;

/// Before the names of all of them.
const ALL: &str = "handed-over.";
const KEPT_US: i64 = 24 * 3_600_000_000;

/// Before the names of what one plan made for one person.
fn under(plan: &str, person: PersonId) -> String {
    format!("{ALL}{person}.{plan}.")
}

/// To whom, and as what, it is bound.
fn owner(plan: &str, person: PersonId, step: u16) -> String {
    format!("handed-over person:{person} plan:{plan} step:{step}")
}

/// Of a step that is done again, the newest alone opens anything.
pub(crate) fn keep(
    tx: &mut WriteTx<'_>,
    seal: &Key,
    (plan, person, step): (&str, PersonId, u16),
    secret: &Secret,
    now: Micros,
) -> Result<(), Error> {
    let sealed = seal
        .seal(&owner(plan, person, step), secret.expose().as_bytes())
        .map_err(|e| Fault::Inside(format!("the new password of step {step} cannot be sealed: {e}")))?;
    setting::set(tx, &format!("{}{step}", under(plan, person)), &sealed, None, now)?;
    Ok(())
}

/// The steps whose new passwords wait for this person.
pub(crate) fn waiting(tx: &mut Tx<'_>, plan: &str, person: PersonId, now: Micros) -> Result<Vec<u16>, Error> {
    let prefix = under(plan, person);
    let mut steps = Vec::new();
    for (name, kept) in setting::under(tx, &prefix)? {
        let step = name.strip_prefix(&prefix).and_then(|step| step.parse::<u16>().ok());
        steps.extend(step.filter(|_| kept.updated_at >= now - KEPT_US));
    }
    steps.sort_unstable();
    Ok(steps)
}

/// Takes them out: whoever asks next gets nothing.
pub(crate) fn take(
    tx: &mut WriteTx<'_>,
    seal: &Key,
    (plan, person): (&str, PersonId),
    now: Micros,
) -> Result<Vec<(u16, Secret)>, Error> {
    let mut taken = Vec::new();
    for step in waiting(tx, plan, person, now)? {
        let name = format!("{}{step}", under(plan, person));
        let Some(kept) = setting::get(tx, &name)? else { continue };
        let wrong = |why: String| Fault::Inside(format!("the new password of step {step}: {why}"));
        let text = seal.open(&owner(plan, person, step), &kept.value).map_err(|e| wrong(e.to_string()))?;
        let text = String::from_utf8(text.to_vec()).map(Zeroizing::new).map_err(|e| wrong(e.to_string()))?;
        setting::remove(tx, &name)?;
        taken.push((step, Secret::new(text.as_str())));
    }
    Ok(taken)
}

/// What nobody has read within its time.
pub(crate) fn tidy(tx: &mut WriteTx<'_>, now: Micros) -> Result<u64, Error> {
    setting::tidy(tx, ALL, now - KEPT_US)
}

#[cfg(test)]
mod tests {
    use super::*;
    use portreeve_access::keys::{MasterKey, Purpose};
    use portreeve_store::{Location, Store};

    #[test]
    fn it_is_for_one_person_of_one_plan_once_and_for_a_day() {
        let dir = tempfile::tempdir().expect("a folder");
        let store = Store::open(&Location::sqlite(dir.path().join("s.db")), &dir.path().join("e"), 0)
            .expect("a store");
        let seal = MasterKey::from_bytes([7; 32]).key(Purpose::Seal);
        let (anna, bert) = (PersonId(1), PersonId(11));
        let put = |person, step, text: &str, at| {
            let secret = Secret::new(text);
            store.write(|tx| keep(tx, &seal, ("p", person, step), &secret, at)).expect("kept");
        };
        let taken = |plan: &str, person, at| -> Vec<(u16, String)> {
            let taken = store.write(|tx| take(tx, &seal, (plan, person), at)).expect("taken");
            taken.into_iter().map(|(step, secret)| (step, secret.expose().to_owned())).collect()
        };
        put(anna, 10, "ten", 5);
        put(anna, 2, "old", 5);
        put(anna, 2, "new", 6);
        put(bert, 1, "his", 5);
        assert_eq!(taken("q", anna, 7), []);
        assert_eq!(taken("p", anna, 7), [(2, "new".to_owned()), (10, "ten".to_owned())]);
        assert_eq!(taken("p", anna, 7), []);
        assert_eq!(taken("p", bert, 6 + KEPT_US), [], "a day is over");
        put(anna, 1, "late", 7);
        assert_eq!(store.write(|tx| tidy(tx, 6 + KEPT_US)).expect("tidied"), 1);
        assert_eq!(taken("p", anna, 7 + KEPT_US), [(1, "late".to_owned())]);
    }
}
