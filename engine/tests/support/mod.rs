//! What tests over the wire need: servers that live as long as their handle, a client, and scripts that are run
//! against Bobbin and against redis-server.
//!
//! ```ignore
//! let server = support::bobbin();                                  // two reactors, its own directory and port
//! let mut client = server.connect();
//! assert_eq!(client.run("SET a 1"), Value::Simple(b"OK".to_vec()));
//! same_replies(&["SET a 1", "GET a", r#"SET b "\x00\n""#]);        // equal to redis-server's, byte for byte
//! ```

#![allow(dead_code, unused_imports, reason = "every test binary uses its own part of this")]
#![allow(unreachable_pub, reason = "a test binary has no outside")]

mod client;
mod eventually;
mod pair;
mod server;

pub use client::{Client, words};
pub use eventually::eventually;
pub use pair::{Pair, same_replies, same_replies_with};
pub use server::{
    Server, bobbin, bobbin_journalled, bobbin_of, bobbin_with, bobbin_with_files, oracle, oracle_with,
};
