//! The page of all directives, for people: `engine/DIRECTIVES.md`.

use super::{
    DIRECTIVES,
    directive::{Change, Class, Directive},
};

const HEAD: &str = "\
# Directives

Made from the table by `cargo run -p bobbin-engine --example directives > engine/DIRECTIVES.md`.

A file holds one directive per line in redis.conf's syntax; `--name value` on the command line overrides it. Names
have no case. **R**: `CONFIG SET` changes it at run time. **P**: only where `enable-protected-configs` allows it.

Besides these, a file may hold `include <path or glob pattern>` and `rename-command <command> <new name>`, where the
new name `\"\"` hides the command. `user`, `loadmodule` and `sentinel` are refused.
";

const LIVE_HEAD: &str = "\n| directive | value | default | |\n|---|---|---|---|\n";

const INERT_HEAD: &str =
    "\nChecked, remembered and answered, without effect:\n\n| directive | why |\n|---|---|\n";

/// The page as Markdown.
pub fn reference() -> String {
    let mut page = HEAD.to_owned();
    for group in DIRECTIVES.chunk_by(|left, right| left.group == right.group) {
        let (live, inert): (Vec<_>, Vec<_>) = group.iter().partition(|row| row.class == Class::Live);
        page.extend(["\n## ", group[0].group, "\n"]);
        page.push_str(&table(LIVE_HEAD, live.into_iter().map(live_line)));
        page.push_str(&table(INERT_HEAD, inert.into_iter().map(inert_line)));
    }
    page
}

/// Nothing if there are no lines.
fn table(head: &str, lines: impl Iterator<Item = String>) -> String {
    let lines: String = lines.collect();
    if lines.is_empty() { lines } else { format!("{head}{lines}") }
}

fn inert_line(row: &Directive) -> String {
    format!("| {} | {} |\n", names(row), row.help)
}

fn live_line(row: &Directive) -> String {
    let change = match row.change {
        Change::Runtime => " **R**",
        Change::Start | Change::ProtectedStart => "",
        Change::Protected => " **P**",
    };
    let default = if row.default.is_empty() { "`\"\"`".into() } else { format!("`{}`", row.default) };
    let expected = row.kind.expected().replace('|', "\\|");
    format!("| {}{change} | {expected} | {default} | {} |\n", names(row), row.help)
}

fn names(row: &Directive) -> String {
    row.names().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_the_tables() {
        let page = include_str!("../../DIRECTIVES.md");
        assert!(page == reference(), "make it again: see the head of engine/DIRECTIVES.md");
    }
}
