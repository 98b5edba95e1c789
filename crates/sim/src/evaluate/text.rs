//! The evaluation as a table of at most 80 columns.

use std::fmt;

use crate::evaluate::{Evaluation, Mark};

impl Evaluation {
    /// The table as text, each line at most 80 columns wide.
    pub fn to_text(&self) -> String {
        self.to_string()
    }
}

fn share(mark: Mark) -> String {
    if mark.counted == 0 {
        return "     n/a".to_owned();
    }
    format!("{:5.1} %  ({} of {})", 100.0 * mark.right as f64 / mark.counted as f64, mark.right, mark.counted)
}

impl fmt::Display for Evaluation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |right, counted| share(Mark { right, counted });
        writeln!(
            f,
            "{}, {} employees, {} days, seed {}; {} cases",
            self.company, self.employees, self.days, self.seed, self.cases
        )?;
        writeln!(f, "\ndecisions")?;
        writeln!(
            f,
            "  attacks escalated                       {}",
            of(self.attacks_escalated, self.attacks)
        )?;
        writeln!(f, "  attacks with an open case               {}", of(self.attacks_open, self.attacks))?;
        writeln!(
            f,
            "  look-alikes not escalated               {}",
            of(self.lookalikes.saturating_sub(self.lookalikes_escalated), self.lookalikes)
        )?;
        writeln!(
            f,
            "  escalations that are true               {}",
            of(self.true_escalations, self.escalations)
        )?;
        writeln!(
            f,
            "  false escalations                       {:5}    {:.3} per day and 1000 users",
            self.false_escalations, self.false_escalations_per_day_and_1000_users
        )?;
        writeln!(
            f,
            "  false cases not closed                  {:5}    {:.3} per day and 1000 users",
            self.false_open, self.false_open_per_day_and_1000_users
        )?;
        writeln!(f, "  weak (right account, other addresses)   {:5}", self.weak)?;
        writeln!(f, "\nanswers right")?;
        for (question, mark) in &self.answers {
            writeln!(f, "  {question:<38}  {}", share(*mark))?;
        }
        writeln!(f, "  {:<38}  {}", "all questions", share(self.answers_together))?;
        writeln!(f, "\ncriteria right")?;
        for (criterion, mark) in &self.criteria {
            writeln!(f, "  {criterion:<38}  {}", share(*mark))?;
        }
        for (title, rows) in [("attacks", &self.per_attack), ("look-alikes", &self.per_lookalike)] {
            writeln!(f, "\n{title:<42} escalated   open     of")?;
            for row in rows {
                writeln!(f, "  {:<40} {:>9} {:>6} {:>6}", row.scenario, row.escalated, row.open, row.of)?;
            }
        }
        if !self.false_cases.is_empty() {
            writeln!(f, "\nescalated without an attack")?;
            for id in self.false_cases.iter().take(20) {
                writeln!(f, "  {}", id.chars().filter(|c| !c.is_control()).take(70).collect::<String>())?;
            }
            if self.false_cases.len() > 20 {
                writeln!(f, "  and {} more", self.false_cases.len() - 20)?;
            }
        }
        if !self.missed.is_empty() {
            writeln!(f, "\nnot escalated")?;
            for miss in &self.missed {
                let best = match (&miss.best, miss.risk_score) {
                    (Some(best), Some(score)) => format!("best case: {best}, risk {score:.0}"),
                    _ => "no case".to_owned(),
                };
                writeln!(f, "  {:<5} {:<34} {best}", miss.id, miss.scenario)?;
            }
        }
        Ok(())
    }
}
