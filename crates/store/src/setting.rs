//! Small things under a name: settings, and states that belong to the whole service.

use crate::db::value::values;
use crate::db::{Micros, Tx, WriteTx};
use crate::error::{Error, Result};

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Setting {
    pub value: Vec<u8>,
    pub version: i64,
    pub updated_at: Micros,
}

pub fn get(tx: &mut Tx<'_>, name: &str) -> Result<Option<Setting>> {
    tx.one("select value, version, updated_at from settings where name = $1", values![name], |r| {
        Ok(Setting { value: r.bytes()?, version: r.int()?, updated_at: r.int()? })
    })
}

/// Writes it, and gives its new version. `expect` is the version that was read, 0 for none; without it the last one
/// who writes wins.
pub fn set(tx: &mut WriteTx<'_>, name: &str, value: &[u8], expect: Option<i64>, now: Micros) -> Result<i64> {
    if name.is_empty() || name.len() > 200 {
        return Err(Error::invalid("name of a setting", "1 to 200 bytes"));
    }
    let version = get(tx, name)?.map_or(0, |s| s.version);
    if expect.is_some_and(|e| e != version) {
        return Err(Error::Conflict { what: "setting", id: name.to_owned(), now: version });
    }
    // Of all settings together: one that was removed and made again has no version that it had before.
    let version = tx.next("setting")?;
    tx.execute(
        "insert into settings (name, value, version, updated_at) values ($1, $2, $3, $4)
         on conflict (name) do update set value = excluded.value, version = excluded.version,
            updated_at = excluded.updated_at",
        values![name, value, version, now],
    )?;
    Ok(version)
}

pub fn remove(tx: &mut WriteTx<'_>, name: &str) -> Result<bool> {
    Ok(tx.execute("delete from settings where name = $1", values![name])? == 1)
}

/// Comes after every name that begins so.
fn end(prefix: &str) -> String {
    format!("{prefix}\u{10ffff}")
}

/// Those whose names begin so, in the order of their names.
pub fn under(tx: &mut Tx<'_>, prefix: &str) -> Result<Vec<(String, Setting)>> {
    tx.all(
        "select name, value, version, updated_at from settings where name >= $1 and name < $2 order by name",
        values![prefix, end(prefix)],
        |r| Ok((r.text()?, Setting { value: r.bytes()?, version: r.int()?, updated_at: r.int()? })),
    )
}

/// Removes those whose names begin so and that were written before then.
pub fn tidy(tx: &mut WriteTx<'_>, prefix: &str, before: Micros) -> Result<u64> {
    tx.execute(
        "delete from settings where name >= $1 and name < $2 and updated_at < $3",
        values![prefix, end(prefix), before],
    )
}
