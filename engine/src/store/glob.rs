//! Redis's glob patterns, for KEYS, SCAN MATCH, CONFIG GET and PSUBSCRIBE.
//!
//! `*` any bytes, `?` any one, `[abc]`, `[a-z]`, `[^a-z]` one of or none of a class, `\x` the byte x. What Redis
//! 7.0.15 does at the edges is kept, as found by asking it:
//! - an empty text matches only an empty pattern, so not `*`;
//! - a class that is never closed ends with the pattern, and `[` alone matches nothing, `[^` any byte;
//! - `]` closes a class wherever it stands; in a class a backslash escapes, at the end of a pattern it is itself;
//! - a range is taken in either direction, and compares bytes as signed, as `char` is on x86-64;
//! - without regard to case, an escaped byte in a class still has one.
//!
//! Matching goes back to the last `*` only, so it takes at most pattern length times text length.

/// Whether ASCII letters match in either case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    Sensitive,
    Ignored,
}

impl Case {
    fn fold(self, byte: u8) -> u8 {
        if self == Self::Ignored { byte.to_ascii_lowercase() } else { byte }
    }
}

/// Whether the whole text matches the pattern.
pub fn glob_matches(pattern: &[u8], text: &[u8], case: Case) -> bool {
    if text.is_empty() {
        return pattern.is_empty();
    }
    let (mut p, mut t) = (0, 0);
    // Behind the last `*`: where the pattern goes on, and the text from which that was last tried.
    let mut star = None;
    while t < text.len() {
        if pattern.get(p) == Some(&b'*') {
            p += 1;
            star = Some((p, t));
        } else if let Some(next) = match_one(&pattern[p..], text[t], case) {
            p += next;
            t += 1;
        } else if let Some((after, from)) = star {
            if after == pattern.len() {
                return true;
            }
            p = after;
            t = from + 1;
            star = Some((after, t));
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|&byte| byte == b'*')
}

/// Matches one byte against the head of a pattern that is no `*`; the length of that head if it does.
fn match_one(pattern: &[u8], byte: u8, case: Case) -> Option<usize> {
    let (matched, len) = match pattern {
        [] => return None,
        [b'?', ..] => (true, 1),
        [b'[', class @ ..] => {
            let (matched, len) = match_class(class, byte, case);
            (matched, len + 1)
        }
        [b'\\', escaped, ..] => (case.fold(*escaped) == case.fold(byte), 2),
        [literal, ..] => (case.fold(*literal) == case.fold(byte), 1),
    };
    matched.then_some(len)
}

/// Matches one byte against a class, from behind its `[`; and the class's length, its `]` included.
fn match_class(class: &[u8], byte: u8, case: Case) -> (bool, usize) {
    let negated = class.first() == Some(&b'^');
    let mut at = usize::from(negated);
    let mut matched = false;
    loop {
        let (hit, len) = match &class[at..] {
            [] => break,
            [b']', ..] => {
                at += 1;
                break;
            }
            [b'\\', escaped, ..] => (*escaped == byte, 2),
            [from, b'-', to, ..] => (in_range(*from, *to, byte, case), 3),
            [member, ..] => (case.fold(*member) == case.fold(byte), 1),
        };
        matched |= hit;
        at += len;
    }
    (matched != negated, at)
}

fn in_range(from: u8, to: u8, byte: u8, case: Case) -> bool {
    let signed = |byte: u8| byte.cast_signed();
    let (low, high) = if signed(from) <= signed(to) { (from, to) } else { (to, from) };
    (signed(case.fold(low))..=signed(case.fold(high))).contains(&signed(case.fold(byte)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    /// The same language, told as a table: `table[p][t]` is whether the pattern from part `p` on matches the
    /// text from `t` on.
    fn model(pattern: &[u8], text: &[u8], case: Case) -> bool {
        if text.is_empty() {
            return pattern.is_empty();
        }
        let mut parts = vec![];
        let mut at = 0;
        while at < pattern.len() {
            let start = at;
            at += match &pattern[at..] {
                [b'\\', _, ..] => 2,
                [b'[', class @ ..] => 1 + class_len(class),
                _ => 1,
            };
            parts.push(&pattern[start..at]);
        }
        let mut table = vec![vec![false; text.len() + 1]; parts.len() + 1];
        table[parts.len()][text.len()] = true;
        for (p, part) in parts.iter().enumerate().rev() {
            for t in (0..=text.len()).rev() {
                table[p][t] = match *part {
                    b"*" => table[p + 1][t] || t < text.len() && table[p][t + 1],
                    _ => t < text.len() && part_matches(part, text[t], case) && table[p + 1][t + 1],
                };
            }
        }
        table[0][0]
    }

    fn class_len(class: &[u8]) -> usize {
        let mut rest = class.strip_prefix(b"^").unwrap_or(class);
        while let [first, tail @ ..] = rest {
            rest = match (first, tail) {
                (b']', tail) => return class.len() - tail.len(),
                (b'\\', [_, tail @ ..]) | (_, [b'-', _, tail @ ..]) => tail,
                _ => tail,
            };
        }
        class.len()
    }

    fn part_matches(part: &[u8], byte: u8, case: Case) -> bool {
        let same = |a: u8, b: u8| if case == Case::Ignored { a.eq_ignore_ascii_case(&b) } else { a == b };
        match part {
            b"?" => true,
            [b'\\', escaped] => same(*escaped, byte),
            [b'[', class @ ..] => {
                let (class, negated) = class.strip_prefix(b"^").map_or((class, false), |class| (class, true));
                class_has(class, byte, case, same) != negated
            }
            [literal] => same(*literal, byte),
            _ => panic!("no such part"),
        }
    }

    fn class_has(class: &[u8], byte: u8, case: Case, same: impl Fn(u8, u8) -> bool + Copy) -> bool {
        match class {
            [] | [b']', ..] => false,
            [b'\\', escaped, rest @ ..] => *escaped == byte || class_has(rest, byte, case, same),
            [from, b'-', to, rest @ ..] => {
                let lower = |b: u8| if case == Case::Ignored { b.to_ascii_lowercase() } else { b } as i8;
                let (low, high) = ((*from as i8).min(*to as i8) as u8, (*from as i8).max(*to as i8) as u8);
                lower(low) <= lower(byte) && lower(byte) <= lower(high) || class_has(rest, byte, case, same)
            }
            [member, rest @ ..] => same(*member, byte) || class_has(rest, byte, case, same),
        }
    }

    fn byte() -> impl Strategy<Value = u8> {
        prop_oneof![
            12 => prop::sample::select(b"aabcAB*?[]^-\\".to_vec()),
            1 => any::<u8>(),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn matches_as_the_model(pattern in vec(byte(), 0..9), text in vec(byte(), 0..7), ignored: bool) {
            let case = if ignored { Case::Ignored } else { Case::Sensitive };
            prop_assert_eq!(glob_matches(&pattern, &text, case), model(&pattern, &text, case));
        }
    }

    #[test]
    fn answers_as_redis_does() {
        // Pattern, text, and what redis-server 7.0.15 said.
        let asked: &[(&str, &str, bool)] = &[
            ("h?llo", "hello", true),
            ("h*llo", "heeeello", true),
            ("h*llo", "hllo", true),
            ("h[ae]llo", "hillo", false),
            ("h[^e]llo", "hallo", true),
            ("h[^e]llo", "hello", false),
            ("h[a-b]llo", "hbllo", true),
            ("h[b-a]llo", "hallo", true),
            ("h\\*llo", "h*llo", true),
            ("h\\*llo", "hello", false),
            ("a\\", "a\\", true),
            ("[", "[", false),
            ("[a", "a", true),
            ("[^", "x", true),
            ("[]", "]", false),
            ("[]a]", "]a]", false),
            ("[^]a", "xa", true),
            ("[a-]", "-", false),
            ("[a-]", "a", true),
            ("[a\\]b]", "]", true),
            ("**", "a", true),
            ("a**", "a", true),
            ("", "a", false),
            ("?", "", false),
            ("**", "", false),
        ];
        for &(pattern, text, expected) in asked {
            let found = glob_matches(pattern.as_bytes(), text.as_bytes(), Case::Sensitive);
            assert_eq!(found, expected, "{pattern} on {text}");
        }
    }

    #[test]
    fn many_stars_stay_cheap() {
        let pattern = [b"a*".repeat(1000), b"b".to_vec()].concat();
        assert!(!glob_matches(&pattern, &vec![b'a'; 100_000], Case::Sensitive));
    }
}
