//! Results as one HTML file that needs nothing else: tables, plots as SVG, and the JSON they were made of,
//! which a program finds in the element `data`.

mod compare;
mod load;
mod plot;

use std::fmt::Write;

use serde::Serialize;

use crate::machine::Machine;

const STYLE: &str = include_str!("style.css");

/// A whole page.
fn document(title: &str, body: &str, data: &impl Serialize) -> Result<String, serde_json::Error> {
    // Nothing in the data may end the element it is in.
    let json = serde_json::to_string(data)?.replace("</", "<\\/");
    let title = escape(title);
    Ok(format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n{body}\
         <script type=\"application/json\" id=\"data\">{json}</script>\n</body>\n</html>\n"
    ))
}

fn machine(machine: &Machine) -> String {
    format!("<pre>{}</pre>\n", escape(machine.text().trim_end()))
}

/// The first column is text, the others are figures.
fn table(head: &[String], rows: &[Vec<String>]) -> String {
    let mut html = "<table>\n".to_owned();
    let mut row = |cells: &[String], tag: &str| {
        let cell = |cell: &String| format!("<{tag}>{}</{tag}>", escape(cell));
        // Writing to a String cannot fail.
        let _ = writeln!(html, "<tr>{}</tr>", cells.iter().map(cell).collect::<Vec<_>>().concat());
    };
    row(head, "th");
    rows.iter().for_each(|cells| row(cells, "td"));
    html.push_str("</table>\n");
    html
}

fn escape(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut escaped, char| {
        match char {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            _ => escaped.push(char),
        }
        escaped
    })
}

#[cfg(test)]
fn data_of(page: &str) -> serde_json::Value {
    let (_, behind) = page.split_once("id=\"data\">").expect("the page has data");
    let (json, _) = behind.split_once("</script>").expect("the data end");
    serde_json::from_str(json).expect("they are JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_was_measured_is_markup() {
        let page = document("a < b", &table(&["<i>".to_owned()], &[]), &["</script><b>\"&"]).unwrap();
        assert!(page.contains("<title>a &lt; b</title>") && page.contains("<th>&lt;i&gt;</th>"));
        assert_eq!(page.matches("</script>").count(), 1);
        assert_eq!(data_of(&page), serde_json::json!(["</script><b>\"&"]));
    }
}
