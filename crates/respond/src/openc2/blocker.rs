//! Commands carried out by a connector that blocks addresses. The number of a rule stands at the device, in the mark
//! of what was put there, so that nothing has to be kept here.

use super::command::{Ask, Direction, DropProcess, No, RuleState, Told, Wanted};
use crate::act::Act;
use crate::connector::{Control, Effect, Known, Order};
use crate::fault::Fault;
use crate::target::Target;
use crate::value::Net;
use sha2::{Digest, Sha256};

/// Says why an address must not be blocked, where it must not.
pub type Guard = Box<dyn Fn(Net) -> Result<(), String> + Send>;

/// Says which approved step left this mark at the device, where one did.
pub type Owner = Box<dyn Fn(&str) -> Result<Option<String>, String> + Send>;

/// Rules over one connector.
pub struct Blocker {
    open: Box<dyn Fn() -> Result<Box<dyn Control>, Fault> + Send>,
    guard: Guard,
    owner: Owner,
}

/// The number that a command's rule gets: it follows from the command's id, so that a command that comes again makes
/// no second rule, also after a restart. 48 bits, which JSON holds exactly.
pub fn rule_number(request_id: &str) -> u64 {
    let hash = Sha256::digest(request_id.as_bytes());
    hash.iter().take(6).fold(0, |n, b| n << 8 | u64::from(*b)).max(1)
}

/// Numbers are written into a mark of twelve digits.
const LARGEST: u64 = (1 << 48) - 1;

fn mark(number: u64) -> String {
    format!("portreeve-{number:012x}")
}

fn number(mark: &str) -> Option<u64> {
    let digits = mark.strip_prefix("portreeve-").filter(|d| d.len() == 12)?;
    u64::from_str_radix(digits, 16).ok()
}

impl Blocker {
    /// `open` opens the connector for each command; `guard` is asked before anything is sent.
    pub fn new(open: impl Fn() -> Result<Box<dyn Control>, Fault> + Send + 'static, guard: Guard) -> Blocker {
        Blocker { open: Box::new(open), guard, owner: Box::new(|_| Ok(None)) }
    }

    /// What `owner` knows as a step that people approved is theirs: no command takes it back.
    #[must_use]
    pub fn beside(self, owner: Owner) -> Blocker {
        Blocker { owner, ..self }
    }

    /// Carries out what is asked.
    pub fn act(&mut self, ask: &Ask, request_id: &str) -> Result<Told, No> {
        let failed = |fault: Fault| No::Failed(fault.to_string());
        match ask {
            Ask::Features(_) => Err(No::CommandUnsupported),
            Ask::Allow(wanted) => self.allow(wanted),
            Ask::Deny(wanted) => self.deny(wanted, request_id),
            Ask::Delete(number) => self.delete(*number),
            Ask::Rules(None) => {
                let rules = self.rules((self.open)().map_err(failed)?.as_mut())?;
                let state = |(rule_number, net)| RuleState { rule_number, net, effect: None, why: None };
                Ok(Told::Rules(rules.into_iter().map(state).collect()))
            }
            Ask::Rules(Some(number)) => {
                let mut control = (self.open)().map_err(failed)?;
                let found = self.rules(control.as_mut())?.into_iter().find(|(n, _)| n == number);
                let Some((rule_number, net)) = found else { return Ok(Told::Rules(Vec::new())) };
                let effect = control.verify(&order(net, rule_number, None), &Known::default());
                Ok(Told::Rules(vec![RuleState {
                    rule_number,
                    net,
                    effect: Some(effect.name().to_owned()),
                    why: Some(effect.why().to_owned()),
                }]))
            }
        }
    }

    fn rules(&self, control: &mut dyn Control) -> Result<Vec<(u64, Net)>, No> {
        let all = control.present().map_err(|f| No::Failed(f.to_string()))?;
        let all = all.ok_or_else(|| No::Failed("this device cannot list what is blocked".into()))?;
        let ours = all.into_iter().filter_map(|p| Some((number(p.mark.as_deref()?)?, p.what.parse().ok()?)));
        Ok(ours.collect())
    }

    fn deny(&self, wanted: &Wanted, request_id: &str) -> Result<Told, No> {
        if wanted.direction != Direction::Both {
            return Err(No::OptionUnsupported("direction".into()));
        }
        if wanted.drop != DropProcess::None {
            return Err(No::OptionUnsupported("drop_process".into()));
        }
        if wanted.persistent == Some(true) {
            return Err(No::OptionUnsupported("persistent".into()));
        }
        (self.guard)(wanted.net).map_err(No::Forbidden)?;
        let rule = wanted.number.unwrap_or_else(|| rule_number(request_id));
        if !(1..=LARGEST).contains(&rule) {
            return Err(No::NotUpdated(format!("rule numbers go from 1 to {LARGEST}")));
        }
        let refused = |fault: Fault| match fault {
            Fault::Unsupported(_) => No::TargetUnsupported,
            other => No::NotUpdated(other.to_string()),
        };
        let mut control = (self.open)().map_err(refused)?;
        let rules = self.rules(control.as_mut())?;
        let used = rules.iter().find(|(n, _)| *n == rule);
        // The command that came again names no number; one that names its number names a new rule.
        if used.is_some_and(|(_, net)| *net != wanted.net || wanted.number.is_some()) {
            return Err(No::NumberInUse);
        }
        let order = order(wanted.net, rule, wanted.until);
        let seen = control.read(&order).map_err(refused)?;
        if seen.in_force {
            return Err(No::NotUpdated(seen.says));
        }
        match control.apply(&order, &seen) {
            Ok(_) => {}
            Err(fault) if fault.may_have_acted() => {}
            Err(fault) => return Err(refused(fault)),
        }
        match control.verify(&order, &Known { seen, ack: None }) {
            Effect::NotEffective(why) => Err(No::Failed(why)),
            // A list that is not fetched yet, for one, is told by the query of the rule.
            Effect::Effective(_) | Effect::Unknown(_) => Ok(Told::Rule(rule)),
        }
    }

    /// The undo of a denial that came by command, and nothing else: no rule lets somebody in that another rule keeps
    /// out.
    fn allow(&self, wanted: &Wanted) -> Result<Told, No> {
        let unsupported = |what: &str| Err(No::OptionUnsupported(what.to_owned()));
        if wanted.direction != Direction::Both {
            return unsupported("direction");
        }
        if wanted.until.is_some() {
            return unsupported("an end; the denial is gone for good");
        }
        if wanted.persistent == Some(false) {
            return unsupported("persistent");
        }
        if wanted.number.is_some() {
            return unsupported("insert_rule; the denial is deleted, and no rule is made");
        }
        let failed = |fault: Fault| No::Failed(fault.to_string());
        let mut control = (self.open)().map_err(failed)?;
        let rules = self.rules(control.as_mut())?;
        let ours: Vec<u64> = rules.iter().filter(|(_, net)| *net == wanted.net).map(|(n, _)| *n).collect();
        if ours.is_empty() {
            let other = rules.iter().find(|(_, net)| net.overlaps(wanted.net));
            return Err(No::NotUpdated(match other {
                Some((number, net)) => {
                    format!("rule {number} denies {net}, not exactly {}; delete that rule", wanted.net)
                }
                None => format!(
                    "no command denied {}; an allow takes such a denial back and lets nobody in otherwise",
                    wanted.net
                ),
            }));
        }
        // All are asked about before the first is removed.
        for rule in &ours {
            self.of_no_step(*rule)?;
        }
        for rule in ours {
            self.remove(control.as_mut(), rule, wanted.net)?;
        }
        let left = control.present().map_err(failed)?.unwrap_or_default();
        let still = left.into_iter().find(|p| p.what.parse().is_ok_and(|net: Net| net.overlaps(wanted.net)));
        match still {
            Some(p) => Err(No::NotUpdated(format!(
                "what a command denied is removed, and {} still stands at the device ({})",
                p.what,
                p.mark.as_deref().unwrap_or("no mark")
            ))),
            None => Ok(Told::Deleted),
        }
    }

    /// A far command takes back what commands did, not what people approved.
    fn of_no_step(&self, rule: u64) -> Result<(), No> {
        match (self.owner)(&mark(rule)) {
            Ok(None) => Ok(()),
            Ok(Some(step)) => Err(No::Forbidden(format!(
                "rule {rule} is {step}, which people approved; a person takes it back with `portreeve respond rollback`"
            ))),
            Err(why) => Err(No::Failed(why)),
        }
    }

    fn delete(&self, rule: u64) -> Result<Told, No> {
        let mut control = (self.open)().map_err(|fault| No::NotRemoved(fault.to_string()))?;
        let found = self.rules(control.as_mut())?.into_iter().find(|(n, _)| *n == rule);
        let Some((_, net)) = found else { return Err(No::NotRemoved(format!("there is no rule {rule}"))) };
        self.of_no_step(rule)?;
        self.remove(control.as_mut(), rule, net)?;
        Ok(Told::Deleted)
    }

    /// Removes a rule and reads that it is gone.
    fn remove(&self, control: &mut dyn Control, rule: u64, net: Net) -> Result<(), No> {
        let removed = |fault: Fault| No::NotRemoved(fault.to_string());
        let order = order(net, rule, None);
        control.undo(&order, &Known::default()).map_err(removed)?;
        if self.rules(control)?.iter().any(|(n, _)| *n == rule) {
            return Err(No::NotRemoved(format!("rule {rule} is still there")));
        }
        Ok(())
    }
}

fn order(net: Net, rule: u64, until: Option<i64>) -> Order {
    Order {
        act: Act::BlockAddress,
        target: Target::address(net),
        until,
        mark: mark(rule),
        case: "openc2".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_found_by_its_mark() {
        let rule = rule_number("d1ac0489-ed51-4345-9175-f3078f30afe5");
        assert_eq!(rule, rule_number("d1ac0489-ed51-4345-9175-f3078f30afe5"));
        assert!((1..=LARGEST).contains(&rule));
        assert_eq!(number(&mark(rule)), Some(rule));
        assert_eq!(number(&mark(LARGEST)), Some(LARGEST));
        for bad in ["", "by hand", "portreeve-", "portreeve-xyz", "portreeve-0000000000001"] {
            assert_eq!(number(bad), None, "{bad}");
        }
    }
}
