//! ACL, of a server with one user.

use bobbin_proto::Value;

use crate::support::{bobbin, same_replies, same_replies_with};

const SCRIPT: &[&str] = &[
    "ACL",
    "ACL unknown",
    "ACL WHOAMI",
    "ACL WHOAMI x",
    "ACL USERS",
    "ACL USERS x",
    "ACL LIST",
    "ACL GETUSER default",
    "ACL GETUSER Default",
    "ACL GETUSER nobody",
    "ACL GETUSER",
    "ACL CAT",
    "ACL CAT unknown",
    "ACL CAT string x",
];

#[test]
fn replies_are_those_of_redis() {
    same_replies(SCRIPT);
}

#[test]
fn with_a_password_too() {
    let mut script = vec!["ACL WHOAMI", "AUTH s3cret"];
    script.extend(SCRIPT);
    same_replies_with(&["--requirepass", "s3cret"], &script);
}

#[test]
fn every_command_of_a_category_is_listed() {
    let Value::Array(names) = bobbin().connect().run("ACL CAT STRING") else { panic!("not an array") };
    for name in ["get", "set", "mget"] {
        assert!(names.contains(&Value::Bulk(name.into())), "{name} of {names:?}");
    }
}
