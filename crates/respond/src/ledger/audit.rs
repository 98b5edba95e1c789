//! Is the ledger whole? Every hash, every link, every signature, and that nothing was cut off its end.

use super::{Draft, Entry, Kind, Ledger, LedgerError, ROOT};
use crate::operator::{Operator, PrivateKey, PublicKey, Word};
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::path::{Path, PathBuf};

/// A signed statement that the ledger had this last entry. One line of the file beside the ledger; whoever keeps a
/// copy of that file elsewhere can prove that a ledger was cut or written anew.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Checkpoint {
    pub seq: u64,
    pub hash: String,
    pub at: i64,
    pub signature: String,
}

fn signed_text(seq: u64, hash: &str, at: i64) -> String {
    format!("portreeve checkpoint v1\n{seq}\n{hash}\n{at}\n")
}

/// What an audit found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Audit {
    pub entries: u64,
    pub plans: usize,
    pub words: usize,
    pub checkpoints: usize,
    /// Proposals that were not taken, each with its entry, who it named, and why. No fault of the ledger.
    pub refused: Vec<String>,
    /// Each names its entry.
    pub faults: Vec<String>,
}

/// The file of checkpoints beside a ledger.
pub fn checkpoints_beside(ledger: &Path) -> PathBuf {
    let mut name = ledger.as_os_str().to_owned();
    name.push(".checkpoints");
    name.into()
}

impl Ledger {
    /// Signs the last hash, into the ledger and into the file beside it.
    pub fn checkpoint(&mut self, key: &PrivateKey, at: i64) -> Result<Checkpoint, LedgerError> {
        let (seq, hash) = self.head()?;
        let signature = key.sign(&signed_text(seq, &hash, at));
        let checkpoint = Checkpoint { seq, hash, at, signature };
        let line = serde_json::to_string(&checkpoint).unwrap_or_default();
        let beside = checkpoints_beside(&self.path);
        let written =
            std::fs::OpenOptions::new().create(true).append(true).open(&beside).and_then(|mut f| {
                writeln!(f, "{line}")?;
                f.sync_data()
            });
        if let Err(e) = written {
            return Err(LedgerError::Broken { path: beside, seq, why: e.to_string() });
        }
        self.append(&Draft {
            at,
            actor: "portreeve",
            plan: "",
            step: None,
            kind: Kind::Checkpoint,
            body: serde_json::to_value(&checkpoint).unwrap_or_default(),
        })?;
        Ok(checkpoint)
    }

    /// Reads everything and checks it. `checkpoints` are files of them, of which the one beside the ledger is one.
    pub fn audit(
        &self,
        operators: &[Operator],
        key: Option<&PublicKey>,
        checkpoints: &[PathBuf],
    ) -> Result<Audit, LedgerError> {
        let entries = self.since(i64::MIN)?;
        let mut audit = Audit { entries: entries.len() as u64, ..Audit::default() };
        let sound: String =
            self.db.query_row("pragma integrity_check(1)", [], |r| r.get(0)).map_err(|e| self.wrong(e))?;
        if sound != "ok" {
            audit.faults.push(format!("the database is damaged: {sound}"));
        }
        let mut prev = ROOT;
        for (entry, seq) in entries.iter().zip(1_u64..) {
            if entry.seq != seq {
                audit.faults.push(format!("entry {seq} is missing; the next is {}", entry.seq));
            }
            if entry.prev != prev {
                audit.faults.push(format!("entry {}: does not follow the entry before it", entry.seq));
            }
            if entry.hash != entry.hash_of() {
                audit.faults.push(format!("entry {}: was changed", entry.seq));
            }
            prev = &entry.hash;
            self.one(entry, operators, key, &mut audit);
        }
        for path in checkpoints {
            let text = match std::fs::read_to_string(path) {
                Ok(text) => text,
                Err(e) => {
                    audit.faults.push(format!("{}: {e}", path.display()));
                    continue;
                }
            };
            for (line, number) in text.lines().zip(1..) {
                let at = format!("{} line {number}", path.display());
                match serde_json::from_str::<Checkpoint>(line) {
                    Ok(checkpoint) => {
                        audit.checkpoints += 1;
                        check(&checkpoint, &entries, key, &at, &mut audit.faults);
                    }
                    Err(e) => audit.faults.push(format!("{at}: {e}")),
                }
            }
        }
        Ok(audit)
    }

    fn one(&self, entry: &Entry, operators: &[Operator], key: Option<&PublicKey>, audit: &mut Audit) {
        match entry.kind {
            Kind::Planned => {
                audit.plans += 1;
                if let Err(e) = self.plan(&entry.plan) {
                    audit.faults.push(e.to_string());
                }
            }
            Kind::Word => {
                audit.words += 1;
                let fault = match serde_json::from_str::<Word>(&entry.body) {
                    Err(e) => Some(e.to_string()),
                    Ok(word) => {
                        let mut named = operators.iter().filter(|o| o.name == word.by).peekable();
                        if named.peek().is_none() {
                            Some(format!("{} is no operator of the configuration", word.by))
                        } else if !named.any(|o| word.is_of(&o.public_key)) {
                            Some(format!("the signature of {} does not hold", word.by))
                        } else if word.plan != entry.plan {
                            Some("the word is about another plan".to_owned())
                        } else {
                            None
                        }
                    }
                };
                if let Some(fault) = fault {
                    audit.faults.push(format!("entry {}: {fault}", entry.seq));
                }
            }
            Kind::Refused => {
                let body = entry.json();
                let said = |key: &str| body.get(key).and_then(|v| v.as_str()).unwrap_or_default().to_owned();
                let (by, case, why) = (said("by"), said("case"), said("why"));
                audit.refused.push(format!("entry {}: a proposal of {by} for case {case}: {why}", entry.seq));
            }
            Kind::Checkpoint => match serde_json::from_str::<Checkpoint>(&entry.body) {
                Ok(checkpoint) => {
                    if checkpoint.hash != entry.prev {
                        audit.faults.push(format!("entry {}: its checkpoint signs another chain", entry.seq));
                    }
                    if let Some(key) = key
                        && !key.verifies(
                            &signed_text(checkpoint.seq, &checkpoint.hash, checkpoint.at),
                            &checkpoint.signature,
                        )
                    {
                        audit
                            .faults
                            .push(format!("entry {}: its checkpoint is not signed by the key", entry.seq));
                    }
                }
                Err(e) => audit.faults.push(format!("entry {}: {e}", entry.seq)),
            },
            _ => {}
        }
    }
}

fn check(c: &Checkpoint, entries: &[Entry], key: Option<&PublicKey>, at: &str, faults: &mut Vec<String>) {
    if let Some(key) = key
        && !key.verifies(&signed_text(c.seq, &c.hash, c.at), &c.signature)
    {
        faults.push(format!("{at}: is not signed by the key"));
        return;
    }
    let there = usize::try_from(c.seq).ok().and_then(|n| n.checked_sub(1)).and_then(|n| entries.get(n));
    match there {
        None if c.seq == 0 => {}
        None => faults.push(format!(
            "{at}: the ledger had {} entries and now has {}: its end was cut off",
            c.seq,
            entries.len()
        )),
        Some(entry) if entry.hash != c.hash => {
            faults.push(format!(
                "{at}: entry {} is another than the one that was signed: the chain was written anew",
                c.seq
            ));
        }
        Some(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::Connection;

    fn ledger(dir: &Path, entries: u32) -> Ledger {
        let mut ledger = Ledger::open(&dir.join("ledger.db")).unwrap();
        for n in 0..entries {
            ledger
                .append(&Draft {
                    at: i64::from(n),
                    actor: "a",
                    plan: "",
                    step: None,
                    kind: Kind::Stranger,
                    body: serde_json::json!({"n": n}),
                })
                .unwrap();
        }
        ledger
    }

    fn audit(ledger: &Ledger, key: &PrivateKey) -> Vec<String> {
        let beside = checkpoints_beside(ledger.path());
        let files: Vec<PathBuf> = beside.exists().then_some(beside).into_iter().collect();
        ledger.audit(&[], Some(&key.public()), &files).unwrap().faults
    }

    /// Edits as somebody with the file would: the triggers dropped.
    fn edit(path: &Path, sql: &str) {
        let db = Connection::open(path).unwrap();
        db.execute_batch(&format!("drop trigger entries_stay; drop trigger entries_remain; {sql}")).unwrap();
    }

    #[test]
    fn an_untouched_ledger_is_whole_and_refuses_changes() {
        let dir = tempfile::tempdir().unwrap();
        let key = PrivateKey::generate().unwrap();
        let mut ledger = ledger(dir.path(), 5);
        ledger.checkpoint(&key, 9).unwrap();
        assert_eq!(audit(&ledger, &key), Vec::<String>::new());
        assert!(ledger.db.execute("update entries set actor = 'b'", []).is_err());
        assert!(ledger.db.execute("delete from entries", []).is_err());
    }

    #[test]
    fn every_edit_is_found() {
        let edits = [
            ("update entries set actor = 'b' where seq = 3", "entry 3: was changed"),
            ("update entries set at = at + 1 where seq = 2", "entry 2: was changed"),
            ("update entries set body = '{}' where seq = 1", "entry 1: was changed"),
            ("update entries set step = 1 where seq = 4", "entry 4: was changed"),
            ("update entries set kind = 'verified' where seq = 4", "entry 4: was changed"),
            ("delete from entries where seq = 3", "entry 3 is missing"),
            ("delete from entries where seq >= 4", "its end was cut off"),
        ];
        for (sql, found) in edits {
            let dir = tempfile::tempdir().unwrap();
            let key = PrivateKey::generate().unwrap();
            let mut ledger = ledger(dir.path(), 5);
            ledger.checkpoint(&key, 9).unwrap();
            edit(ledger.path(), sql);
            let faults = audit(&ledger, &key);
            assert!(faults.iter().any(|f| f.contains(found)), "{sql}: {faults:?}");
        }
    }

    #[test]
    fn a_chain_written_anew_is_found_by_the_checkpoint() {
        let dir = tempfile::tempdir().unwrap();
        let key = PrivateKey::generate().unwrap();
        let mut first = ledger(dir.path(), 5);
        first.checkpoint(&key, 9).unwrap();
        let kept = std::fs::read(checkpoints_beside(first.path())).unwrap();
        let other = tempfile::tempdir().unwrap();
        let mut anew = Ledger::open(&other.path().join("ledger.db")).unwrap();
        for n in 0..7 {
            let draft = Draft {
                at: n,
                actor: "somebody else",
                plan: "",
                step: None,
                kind: Kind::Stranger,
                body: serde_json::json!({}),
            };
            anew.append(&draft).unwrap();
        }
        std::fs::write(checkpoints_beside(anew.path()), kept).unwrap();
        let faults = audit(&anew, &key);
        assert!(faults.iter().any(|f| f.contains("written anew")), "{faults:?}");
    }
}
