use super::*;
use crate::config::{MaxmemoryPolicy, SavePoint};

fn read(text: &str) -> Config {
    load_text(Path::new("t.conf"), text.as_bytes()).unwrap().config
}

fn refused(text: &str) -> String {
    load_text(Path::new("t.conf"), text.as_bytes()).expect_err("must be refused").to_string()
}

#[test]
fn later_lines_override_and_names_have_no_case() {
    let config = read("# c\n\nPORT 1\r\n  port   2  \nMaxMemory-Policy ALLKEYS-lru\n");
    assert_eq!((config.port, config.maxmemory_policy), (2, MaxmemoryPolicy::AllkeysLru));
}

#[test]
fn quotes_and_escapes_are_those_of_redis() {
    assert_eq!(read(r#"requirepass "\x41\n' b""#).requirepass.as_bytes(), b"A\n' b");
    assert_eq!(read(r"requirepass '\x41 \''").requirepass.as_bytes(), b"\\x41 '");
    assert!(refused("requirepass \"a").contains("Unbalanced quotes in configuration line"));
    assert!(refused("port \"1\"2").contains("Unbalanced quotes in configuration line"));
}

#[test]
fn save_lines_add_up_and_an_empty_one_clears() {
    let points =
        |text| read(text).save.0.iter().map(|point| (point.seconds, point.changes)).collect::<Vec<_>>();
    assert_eq!(points("save 900 1\nsave 300 10 60 1000"), [(900, 1), (300, 10), (60, 1000)]);
    assert_eq!(points("save \"900 1 300 10\""), [(900, 1), (300, 10)]);
    assert_eq!(points("save 900 1\nsave \"\"\nsave 60 5"), [(60, 5)]);
    assert_eq!(read("").save.0, [] as [SavePoint; 0]);
}

#[test]
fn output_limits_of_unnamed_classes_stay() {
    let limits = read("client-output-buffer-limit normal 1kb 2k 3\nclient-output-buffer-limit slave 4 5 6")
        .client_output_buffer_limit;
    assert_eq!(
        (limits.normal.hard_bytes, limits.normal.soft_bytes, limits.normal.soft_seconds),
        (1024, 2000, 3)
    );
    assert_eq!(limits.replica.hard_bytes, 4);
    assert_eq!(limits.pubsub, Config::default().client_output_buffer_limit.pubsub);
}

#[test]
fn a_bad_line_says_where_what_and_what_was_expected() {
    assert_eq!(
        refused("# first\nmaxmemory 1x"),
        "t.conf:2: argument must be a memory value\n  line:     maxmemory 1x\n  expected: maxmemory <bytes, such as \
         104857600, 100mb or 1gb>"
    );
}

#[test]
fn unknown_names_suggest_the_nearest() {
    assert!(refused("maxmemry 5").ends_with("a known directive: did you mean 'maxmemory'?"));
    assert!(refused("-x 5").ends_with("expected: a known directive"));
    assert!(refused(&"x".repeat(1 << 20)).ends_with("expected: a known directive"));
}

#[test]
fn what_cannot_be_honoured_is_refused_with_a_reason() {
    for (line, reason) in [
        ("loadmodule /x.so", "modules cannot be loaded here"),
        ("user default on nopass", "users cannot be declared here"),
        ("aclfile /x", "use requirepass"),
        ("daemonize yes", "systemd (Type=simple), docker run -d"),
        ("include", "wrong number of arguments"),
        ("rename-command a", "wrong number of arguments"),
    ] {
        assert!(refused(line).contains(reason), "{line}");
    }
}

#[test]
fn passwords_stay_out_of_messages() {
    let text = refused("requirepass secret word");
    assert!(text.contains("requirepass (not shown)") && !text.contains("secret"), "{text}");
}

#[test]
fn commands_can_be_renamed_and_hidden() {
    let renamed = read("rename-command FLUSHALL \"\"\nrename-command KEYS k").renamed_commands;
    assert_eq!(renamed[0], RenamedCommand { from: b"FLUSHALL".as_slice().into(), to: b"".as_slice().into() });
    assert_eq!(renamed[1].to.as_bytes(), b"k");
}

#[test]
fn inert_directives_are_remembered_and_reported() {
    let loaded =
        load_text(Path::new("t.conf"), b"io-threads 4\nport 7\nactiverehashing no\nio-threads 2").unwrap();
    assert_eq!(loaded.config.io_threads, 2);
    let names: Vec<_> = loaded.without_effect.iter().map(|row| row.name).collect();
    assert_eq!(names, ["io-threads", "activerehashing"]);
}

#[test]
fn includes_are_read_where_they_stand() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    fs::write(path("a.conf"), "port 2\nhz 20").unwrap();
    let include = |what: &Path| format!("port 1\ninclude {}\nhz 30\n", what.display());
    for pattern in ["a.conf", "*.conf"] {
        let config = read(&include(&path(pattern)));
        assert_eq!((config.port, config.hz.per_second()), (2, 30));
    }
    assert_eq!(read(&include(&path("none-*"))).port, 1);
    let text = refused(&include(&path("none")));
    assert!(text.starts_with("t.conf:2: can't open '"), "{text}");
    fs::write(path("loop.conf"), include(&path("loop.conf"))).unwrap();
    assert!(refused(&include(&path("loop.conf"))).contains("includes nest deeper than 16"));
    fs::write(path("bad.conf"), "\nport x").unwrap();
    assert!(refused(&include(&path("bad.conf"))).contains("bad.conf:2: argument couldn't be parsed"));
}
