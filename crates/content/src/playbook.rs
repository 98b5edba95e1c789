//! `playbooks/T1133.yml`: the playbook's rows, held to the code behind them.

use portreeve_playbook::Book;

pub(crate) fn read(text: &str) -> Result<Book, Vec<String>> {
    let book: Book = yaml_serde::from_str(text).map_err(|e| vec![e.to_string()])?;
    let problems = book.mismatches();
    if problems.is_empty() { Ok(book) } else { Err(problems) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = include_str!("../../../content/playbooks/T1133.yml");

    #[test]
    fn every_id_has_a_function_and_every_function_an_id() {
        assert!(read(TEXT).is_ok_and(|b| b.questions.rows.len() == 7 && b.escalation.rows.len() == 4));
        let error = |from: &str, to: &str| {
            assert!(TEXT.contains(from), "{from}");
            read(&TEXT.replace(from, to)).err().unwrap_or_default().join("; ")
        };
        let asked = error("- id: ip_seen_before", "- id: ip_seen");
        assert!(
            asked.contains("ip_seen has no code") && asked.contains("ip_seen_before is missing"),
            "{asked}"
        );
        assert!(error("id: edr_alerts,", "id: lateral_graph,").contains("lateral_graph is there twice"));
        assert!(error("id: enforce_mfa", "id: enforce").contains("enforce_mfa is missing"));
        assert!(error("row: t2.edr_alerts", "row: t2.edr").contains("names the row t2.edr"));
        assert!(error("label: MFA", "lable: MFA").contains("lable"));
    }
}
