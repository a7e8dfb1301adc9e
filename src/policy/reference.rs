//! The reference page of the rule language, from the same tables that rules are checked against.

use std::fmt::Write as _;

use crate::model::{Remedy, Risk, SubjectKind, fields_of};

use super::predicate::{describe, subject_word};

/// Fields and remedies as a page of Markdown. The keys of a policy are explained in the shipped files themselves
/// ([`super::builtin_files`]).
#[must_use]
pub fn reference() -> String {
    let mut page = String::from("# Rules: fields and remedies\n");
    for kind in SubjectKind::ALL {
        let mut table = format!(
            "\n## Fields of the subject `{}`\n\n| field | type | meaning |\n|---|---|---|\n",
            subject_word(kind)
        );
        for spec in fields_of(kind) {
            let words: Vec<String> = spec.words.iter().map(|word| format!("`'{word}'`")).collect();
            let words =
                if words.is_empty() { String::new() } else { format!("; one of {}", words.join(", ")) };
            // Writing to a String can't fail.
            let _ = writeln!(
                table,
                "| `{}` | {} | {}{words} |",
                spec.name,
                describe(spec.field_type),
                spec.meaning
            );
        }
        page += &table;
    }
    page += "\n## Remedies, lightest first\n\n| remedy | of a | risk |\n|---|---|---|\n";
    for remedy in Remedy::ALL {
        let risk = match remedy.risk() {
            Risk::Low => "low",
            Risk::Medium => "medium",
            Risk::High => "high: waits for a person's approval in every mode",
        };
        let _ = writeln!(page, "| `{remedy}` | {} | {risk} |", remedy.works_on().as_str());
    }
    page
}
