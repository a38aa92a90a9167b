//! Deadlines: every setter with every condition, the tellers, PERSIST.

use crate::support::same_replies;

#[test]
fn conditions_and_their_combinations() {
    let words = ["NX", "XX", "GT", "LT"];
    let mut script = Vec::new();
    for first in ["", "NX", "xx", "Gt", "lT"] {
        for second in words {
            for before in ["PERSIST a", "EXPIREAT a 5000000000"] {
                for at in ["4000000000", "5000000000", "6000000000"] {
                    script.extend([
                        "SET a value".to_owned(),
                        before.to_owned(),
                        format!("EXPIREAT a {at} {first} {second}"),
                        "EXPIRETIME a".to_owned(),
                    ]);
                }
            }
        }
    }
    script.extend(["EXPIREAT a 6000000000 XX GT XX GT".to_owned(), "EXPIRETIME a".to_owned()]);
    same_replies(&script);
}

#[test]
fn units_origins_and_overflows() {
    let times = [
        "100",
        "0",
        "-1",
        "9223372036854775",
        "9223372036854776",
        "9223372036854775807",
        "9223372036854775808",
        "-9223372036854775",
        "-9223372036854776",
        "-9223372036854775808",
        "-9223372036854775809",
        "1.5",
        "x",
        "+1",
        "01",
        "-0",
        "\" 1\"",
        "\"\"",
    ];
    let mut script = Vec::new();
    for setter in ["EXPIRE", "PEXPIRE", "EXPIREAT", "PEXPIREAT", "expire"] {
        for time in times {
            script.extend([
                "SET a value".to_owned(),
                format!("{setter} a {time}"),
                "EXISTS a".to_owned(),
                format!("{setter} nokey {time}"),
                "SET a value".to_owned(),
                format!("{setter} a {time} LT"),
                "EXISTS a".to_owned(),
            ]);
        }
        script.extend(
            ["", " a", " a 1 other", " a x other", " a 1 NX XX", " a 1 NX GT", " a 1 NX LT", " a 1 GT LT"]
                .map(|rest| format!("{setter}{rest}")),
        );
    }
    same_replies(&script);
}

#[test]
fn telling_and_persisting() {
    let mut script = Vec::new();
    for at in [99_999_999_999_499u64, 99_999_999_999_500, 9_223_372_036_854_775_807] {
        script.extend([
            "SET a value".to_owned(),
            format!("PEXPIREAT a {at}"),
            "PEXPIRETIME a".to_owned(),
            "EXPIRETIME a".to_owned(),
            "PERSIST a".to_owned(),
            "PERSIST a".to_owned(),
        ]);
    }
    for teller in ["TTL", "PTTL", "EXPIRETIME", "PEXPIRETIME", "PERSIST"] {
        script.extend(["", " a", " nokey", " a b"].map(|rest| format!("{teller}{rest}")));
    }
    script
        .extend(["EXPIRE a 100", "TTL a", "SET a other", "TTL a", "EXPIRE a 0", "TTL a"].map(str::to_owned));
    same_replies(&script);
}
