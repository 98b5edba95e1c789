//! JSON for programs: `type`, `timestamp`, `data`, as Standard Webhooks proposes it.

use super::{Ask, Plan};
use crate::out::letter::Letter;

pub(super) fn plan(letter: &Letter) -> Plan {
    Plan::Tell(Ask::post(letter.plain.clone()))
}
