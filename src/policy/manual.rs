//! The body of prunella.toml(5), from the tables that rules are checked against and from the shipped files themselves.

use std::fmt::Write as _;

use crate::model::{Remedy, Risk, SubjectKind, fields_of};

use super::builtin::builtin_files;
use super::predicate::{describe, subject_word};

const DESCRIPTION: &str = "\
.SH NAME
prunella.toml \\- what prunellad may do on this host, and when
.SH SYNOPSIS
.nf
/usr/lib/prunella/policy.d/*.toml
/etc/prunella/policy.d/*.toml
/etc/prunella/prunella.toml
.fi
.SH DESCRIPTION
The policy of
.BR prunellad (8)
is the sum of these files, in TOML, read in this order; files of a folder in the order of their names.
A file in /etc with the name of a shipped one replaces it as a whole; an empty one, or a link to /dev/null,
takes it out of force.
With nothing set, the shipped policy is in force.
.PP
Unknown keys are mistakes. A reload is all or nothing: with a mistake anywhere the policy before it stays in force,
and
.B prunella status
says so.
.B prunella check
finds mistakes in a file elsewhere beforehand. Files are taken in half a second after one of them has changed;
.B systemctl reload prunellad
does so at once.
";

/// From `.SH NAME` on, in the macros of man(7).
#[must_use]
pub fn manual() -> String {
    let mut page = DESCRIPTION.to_owned();
    page += ".SH KEYS\nWhat the shipped files say of their keys.\n";
    for file in builtin_files() {
        let _ = writeln!(
            page,
            ".SS {}\n.nf",
            escape(&file.name.replace("builtin:", "/usr/lib/prunella/policy.d/"))
        );
        for line in file.text.lines().take_while(|line| line.starts_with('#')) {
            let words = line.strip_prefix("# ").unwrap_or("");
            // An empty line is a paragraph of its own in every macro package.
            page += if words.is_empty() { ".sp\n".to_owned() } else { escape(words) + "\n" }.as_str();
        }
        page += ".fi\n";
    }
    for kind in SubjectKind::ALL {
        let _ = writeln!(page, ".SH FIELDS OF THE SUBJECT {}", subject_word(kind).to_uppercase());
        for spec in fields_of(kind) {
            let words: Vec<String> = spec.words.iter().map(|word| format!("'{word}'")).collect();
            let words =
                if words.is_empty() { String::new() } else { format!("; one of {}", words.join(", ")) };
            let _ = writeln!(
                page,
                ".TP\n.BR {} \" ({})\"\n{}",
                escape(spec.name),
                escape(describe(spec.field_type)),
                escape(&format!("{}{words}", spec.meaning).replace('`', ""))
            );
        }
    }
    page += ".SH REMEDIES\nLightest first.\n";
    for remedy in Remedy::ALL {
        let risk = match remedy.risk() {
            Risk::Low => "low risk",
            Risk::Medium => "medium risk",
            Risk::High => "high risk: waits for a person's approval in every mode",
        };
        let of = remedy.works_on().as_str();
        let _ = writeln!(page, ".TP\n.B {}\nof a {of}; {risk}", escape(&remedy.to_string()));
    }
    page + ".SH SEE ALSO\n.BR prunellad (8),\n.BR prunella (1)\n"
}

/// Text as it is: no request, no escape sequence, and dashes and quotes that can be copied.
fn escape(text: &str) -> String {
    let plain = text.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq").replace('`', "\\(ga");
    let plain = plain.replace('"', "\\(dq").replace('^', "\\(ha").replace('~', "\\(ti");
    if plain.starts_with(['.', '\'']) { format!("\\&{plain}") } else { plain }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_every_field_remedy_and_file() {
        let page = manual();
        for kind in SubjectKind::ALL {
            for spec in fields_of(kind) {
                assert!(page.contains(&format!(".BR {} ", escape(spec.name))), "{}", spec.name);
            }
        }
        for remedy in Remedy::ALL {
            assert!(page.contains(&escape(&remedy.to_string())), "{remedy}");
        }
        assert_eq!(page.matches(".SS ").count(), builtin_files().len());
        assert!(page.contains("The keys of a rule:"), "the explanation of the keys is on the page");
    }

    #[test]
    fn text_is_no_request() {
        assert_eq!(escape(".SH x"), "\\&.SH x");
        assert_eq!(escape("'a' \\n -b"), "\\(aqa\\(aq \\en \\-b");
    }
}
