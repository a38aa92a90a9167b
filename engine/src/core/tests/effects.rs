//! What commands are journalled as.

use std::fmt::Write as _;

use super::{Cores, START_MS};
use crate::journal::{Batch, Commands};

/// Cores that journal what they do.
fn journalled(reactors: usize) -> (Cores, usize) {
    let mut cores = Cores::new(reactors, |_| ());
    cores.all.iter_mut().for_each(|core| core.set_journalled(true));
    let client = cores.connect();
    (cores, client)
}

/// What all cores have done since this was last asked, a line for each command.
pub(super) fn effects(cores: &mut Cores) -> String {
    let mut lines = String::new();
    for batch in cores.all.iter_mut().filter_map(|core| core.take_effects(Batch::default)) {
        for command in Commands::of(batch.bytes()).map(|command| command.expect("it is well-formed")) {
            let args: Vec<String> = command.args.map(|arg| arg.escape_ascii().to_string()).collect();
            if let Some(at_ms) = command.at_ms {
                write!(lines, "+{} ", at_ms - START_MS).expect("a string takes all");
            }
            writeln!(lines, "{}", args.join(" ")).expect("a string takes all");
        }
    }
    lines.trim_end().to_owned()
}

/// Runs commands that prepare, and one that is looked at.
fn effect_of(before: &[&str], command: &str) -> String {
    let (mut cores, client) = journalled(1);
    before.iter().for_each(|command| _ = cores.call(client, command));
    effects(&mut cores);
    cores.call(client, command);
    effects(&mut cores)
}

#[test]
fn a_lifetime_is_journalled_as_a_time() {
    for (before, command, effect) in [
        (&[][..], "SET k v EX 5", "SET k v PXAT 1800000005000"),
        (&[], "SET k v PX 5 NX", "SET k v PXAT 1800000000005"),
        (&[], "SETEX k 5 v", "SET k v PXAT 1800000005000"),
        (&[], "PSETEX k 5 v", "SET k v PXAT 1800000000005"),
        (&["SET k v"], "SET k w KEEPTTL", "SET k w KEEPTTL"),
        (&["SET k v"], "SET k w EX 5 NX", ""),
        (&["SET k v"], "GETEX k EX 5", "PEXPIREAT k 1800000005000"),
        (&["SET k v"], "GETEX k PXAT 1", "DEL k"),
        (&["SET k v"], "GETEX k", ""),
        (&["SET k v"], "EXPIRE k 5", "PEXPIREAT k 1800000005000"),
        (&["SET k v"], "PEXPIRE k 5 NX", "PEXPIREAT k 1800000000005"),
        (&["SET k v"], "EXPIRE k -1", "DEL k"),
        (&["SET k v"], "EXPIREAT k 1", "DEL k"),
        (&[], "EXPIRE k 5", ""),
        (&["HSET h f v"], "HEXPIRE h 5 FIELDS 1 f", "+0 HEXPIRE h 5 FIELDS 1 f"),
        (&[], "HSETEX h EX 5 FIELDS 1 f v", "+0 HSETEX h EX 5 FIELDS 1 f v"),
        (&["HSET h f v"], "HGETEX h PX 5 FIELDS 1 f", "+0 HGETEX h PX 5 FIELDS 1 f"),
    ] {
        assert_eq!(effect_of(before, command), effect, "{command}");
    }
}

/// A consumer that polls in vain has been seen, and that is all; a new one is a change, and so is what is read.
#[test]
fn reading_nothing_as_a_member_of_a_group_is_not_journalled() {
    let group = ["XADD x 1-1 f v", "XGROUP CREATE x g 0", "XGROUP CREATECONSUMER x g c"];
    let read = [&group[..], &["XREADGROUP GROUP g c STREAMS x >"]].concat();
    for (before, command, is_journalled) in [
        (&group[..], "XREADGROUP GROUP g c STREAMS x >", true),
        (&group, "XREADGROUP GROUP g c NOACK STREAMS x >", true),
        (&group, "XREADGROUP GROUP g c STREAMS x 0", false),
        (&read, "XREADGROUP GROUP g c STREAMS x >", false),
        (&read, "XREADGROUP GROUP g d STREAMS x >", true),
        (&read, "XREADGROUP GROUP g c STREAMS x 0", true),
        (&read, "XREADGROUP GROUP g c STREAMS x 1-1", false),
    ] {
        let expected = if is_journalled { format!("+0 {command}") } else { String::new() };
        assert_eq!(effect_of(before, command), expected, "{command}");
    }
}

#[test]
fn what_is_restored_is_journalled_with_its_time() {
    let (mut cores, client) = journalled(1);
    cores.all[0].shard.rest.payload_checksum = crate::rdb::Checksum::Ignored;
    // The string `v`, of version 10.
    let payload = b"\x00\x01v\x0a\x00........";
    let mut bytes = Vec::new();
    bobbin_proto::encode_command(&mut bytes, [&b"RESTORE"[..], b"k", b"5", payload]);
    cores.send_bytes(client, &bytes);
    let effect = effects(&mut cores);
    assert!(effect.starts_with("RESTORE k 1800000000005 "), "{effect}");
    assert!(effect.ends_with(" REPLACE ABSTTL"), "{effect}");
}

#[test]
fn what_chance_took_is_journalled() {
    assert_eq!(effect_of(&["SADD s a"], "SPOP s"), "SREM s a");
    assert_eq!(effect_of(&["SADD s a b"], "SPOP s 2"), "DEL s");
    let three = effect_of(&["SADD s a b c"], "SPOP s 2");
    assert!(three.starts_with("SREM s ") && three.split(' ').count() == 4, "{three}");
    assert_eq!(effect_of(&["SADD s a"], "SPOP s 0"), "");
}

#[test]
fn what_a_stream_was_given_is_journalled_with_its_id_and_its_length() {
    assert_eq!(effect_of(&[], "XADD x * f v"), "XADD x 1800000000000-0 f v");
    assert_eq!(effect_of(&["XADD x 1-1 f v"], "XADD x 1-* f v"), "XADD x 1-2 f v");
    assert_eq!(effect_of(&["XADD x 1-1 f v"], "XADD x MAXLEN = 1 * f v"), {
        "XADD x MAXLEN = 1 1800000000000-0 f v"
    });
    assert_eq!(effect_of(&["XADD x 1-1 f v"], "XADD x MAXLEN ~ 1 2-1 f v"), "XADD x 2-1 f v");
    assert_eq!(effect_of(&["XADD x 1-1 f v", "XADD x 2-1 f v"], "XTRIM x MINID 2"), "XTRIM x MAXLEN = 1");
    assert_eq!(effect_of(&["XADD x 1-1 f v"], "XTRIM x MAXLEN ~ 0 LIMIT 0"), "XTRIM x MAXLEN = 0");
    assert_eq!(effect_of(&["XADD x 1-1 f v"], "XTRIM x MAXLEN 1"), "");
}

#[test]
fn what_depends_on_the_time_alone_is_journalled_with_it() {
    let group = &["XADD x 1-1 f v", "XGROUP CREATE x g 0"][..];
    for command in [
        "XGROUP CREATECONSUMER x g c",
        "XREADGROUP GROUP g c STREAMS x >",
        "XCLAIM x g c 0 1-1 FORCE LASTID 1-1",
        "XAUTOCLAIM x g c 0 0",
    ] {
        assert_eq!(effect_of(group, command), format!("+0 {command}"));
    }
    assert_eq!(effect_of(&["XADD x 1-1 f v"], "XGROUP CREATE x g $"), "XGROUP CREATE x g $");
}

#[test]
fn what_is_written_without_an_event_is_journalled() {
    assert_eq!(effect_of(&["PFADD p a"], "PFCOUNT p"), "PFCOUNT p");
    assert_eq!(effect_of(&["PFADD p a", "PFCOUNT p"], "PFCOUNT p"), "");
    let grows = "BITFIELD b OVERFLOW FAIL SET u8 #1 300";
    assert_eq!(effect_of(&[], grows), grows);
}

#[test]
fn a_sort_is_journalled_as_its_result_however_many_shards_it_visits() {
    for reactors in 1..=3 {
        let (mut cores, client) = journalled(reactors);
        for command in ["RPUSH l 3 1 2", "SET w1 9", "SET w2 8", "SET w3 7"] {
            cores.call(client, command);
        }
        effects(&mut cores);
        cores.call(client, "SORT l BY w* STORE to");
        assert_eq!(effects(&mut cores), "DEL to\nRPUSH to 3 2 1");
        cores.call(client, "SORT nothing BY w* STORE to");
        assert_eq!(effects(&mut cores), "DEL to");
        cores.call(client, "SORT nothing BY w* STORE to");
        assert_eq!(effects(&mut cores), "");
    }
}

#[test]
fn a_sort_in_a_block_is_journalled_with_the_block() {
    for reactors in 1..=3 {
        let (mut cores, client) = journalled(reactors);
        for command in ["RPUSH l 3 1 2", "SET w1 9", "SET w2 8", "SET w3 7"] {
            cores.call(client, command);
        }
        effects(&mut cores);
        for command in ["MULTI", "SET a 1", "SORT l BY w* STORE to", "DBSIZE", "SET b 1", "EXEC"] {
            cores.call(client, command);
        }
        assert_eq!(effects(&mut cores), "SET a 1\nDEL to\nRPUSH to 3 2 1\nSET b 1", "{reactors}");
    }
}

#[test]
fn fields_whose_time_is_over_are_journalled() {
    let (mut cores, client) = journalled(1);
    for command in
        ["HSET h a 1 b 2 c 3", "HPEXPIRE h 5 FIELDS 2 a b", "HSET g a 1 b 2", "HPEXPIRE g 5 FIELDS 1 a"]
    {
        cores.call(client, command);
    }
    effects(&mut cores);
    cores.now_ms += 10;
    cores.all[0].shard.rest.active_expire = false;
    cores.call(client, "HSET g c 1");
    assert_eq!(effects(&mut cores), "+10 HSET g c 1");
    cores.call(client, "HDEL g b");
    assert_eq!(effects(&mut cores), "HDEL g b");
    cores.all[0].shard.rest.active_expire = true;
    cores.now_ms += 1000;
    cores.run();
    assert_eq!(effects(&mut cores), "HDEL h a b");
}

/// It would fail as well when it is done again, and be taken for one that did not.
#[test]
fn a_command_that_fails_is_journalled_only_for_what_it_has_removed_by_the_time() {
    let (mut cores, client) = journalled(1);
    for command in ["SET k v PX 5", "HSET h a 1 b x", "HPEXPIRE h 5 FIELDS 1 a"] {
        cores.call(client, command);
    }
    effects(&mut cores);
    cores.all[0].shard.rest.active_expire = false;
    cores.now_ms += 10;
    assert!(cores.call(client, "XCLAIM k g c 0 1-1").starts_with('-'));
    assert_eq!(effects(&mut cores), "DEL k");
    // Once it has removed the field.
    assert!(cores.call(client, "HINCRBY h b 1").starts_with('-'));
    assert_eq!(effects(&mut cores), "+10 HINCRBY h b 1");
}

#[test]
fn with_the_journal_off_nothing_is_kept() {
    let mut cores = Cores::new(2, |_| ());
    let client = cores.connect();
    for command in ["SET k v EX 5", "SADD s a", "SPOP s", "XADD x * f v", "HSETEX h EX 5 FIELDS 1 f v"] {
        cores.call(client, command);
        assert_eq!(effects(&mut cores), "", "{command}");
    }
}

/// A block that runs step by step: what a read of several shards removes is journalled with the block, not with whatever
/// the other shard does for another block later.
#[test]
fn what_a_read_in_a_block_removes_is_journalled_with_the_block() {
    let mut cores = Cores::new(2, |_| ());
    cores.all.iter_mut().for_each(|core| core.set_journalled(true));
    let client = cores.connect_to(0);
    let (here, there) = (cores.key_of(0), cores.key_of(1));
    cores.call(client, &format!("SET {there} old PX 1"));
    cores.now_ms += 10;
    effects(&mut cores);
    for line in ["MULTI", "PUBLISH c x", &format!("MGET {here} {there}"), "EXEC"] {
        cores.call(client, line);
    }
    (0..4).for_each(|_| cores.run());
    assert_eq!(effects(&mut cores), format!("DEL {there}"));
}
