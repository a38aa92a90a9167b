//! Requests made of a line with placeholders: `{key}` is one of 10,000 numbers, `{many}` of 1,000, `{few}` of 16,
//! all of twelve digits; `{bit}` is one of 1,000 without leading zeros. The same placeholder is the same number in
//! all of a line.

use bobbin_proto::encode_command;

/// The placeholders, how many numbers each stands for, and how many digits these have at least.
const RANGES: [(&str, u32, usize); 4] =
    [("{key}", 10_000, 12), ("{many}", 1000, 12), ("{few}", 16, 12), ("{bit}", 1000, 1)];

/// Every command that a line stands for.
pub(crate) fn all(line: &str) -> Vec<String> {
    let mut lines = vec![line.to_owned()];
    for (placeholder, count, digits) in RANGES {
        if line.contains(placeholder) {
            let of = |line: &String| {
                (0..count).map(|number| filled(line, placeholder, number, digits)).collect::<Vec<String>>()
            };
            lines = lines.iter().flat_map(of).collect();
        }
    }
    lines
}

/// One of them.
pub(crate) fn random(line: &str, rng: &mut fastrand::Rng) -> String {
    RANGES.iter().fold(line.to_owned(), |line, (placeholder, count, digits)| {
        if line.contains(placeholder) { filled(&line, placeholder, rng.u32(..*count), *digits) } else { line }
    })
}

/// As a client sends it.
pub(crate) fn encoded(line: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_command(&mut bytes, line.split(' ').collect::<Vec<_>>());
    bytes
}

fn filled(line: &str, placeholder: &str, number: u32, digits: usize) -> String {
    line.replace(placeholder, &format!("{number:0digits$}"))
}
