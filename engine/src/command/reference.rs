//! The page of all commands, for people: `engine/COMMANDS.md`.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::spec::{Begin, Command, Find, Group, KeySpec, acl, flag, key_flag};
use super::table::TABLE;

const HEAD: &str = "\
# Commands

Made from the command table by `cargo run -p bobbin-engine --example commands > engine/COMMANDS.md`.

Replies, errors and their order are those of redis-server 7.0.15, of commands and options that are newer those of the
Redis that brought them, unless a command says under *differs* what is otherwise here. *Since* is the version of
Redis that brought the command. Arguments are counted with its name, and places of keys from behind it.
";

/// Redis 7.2's commands, less those of Sentinel. Source: the names of its `src/commands/*.json`.
const REDIS_7_2: &str = "\
    acl acl|cat acl|deluser acl|dryrun acl|genpass acl|getuser acl|help acl|list acl|load acl|log acl|save \
    acl|setuser acl|users acl|whoami append asking auth bgrewriteaof bgsave bitcount bitfield bitfield_ro bitop \
    bitpos blmove blmpop blpop brpop brpoplpush bzmpop bzpopmax bzpopmin client client|caching client|getname \
    client|getredir client|help client|id client|info client|kill client|list client|no-evict client|no-touch \
    client|pause client|reply client|setinfo client|setname client|tracking client|trackinginfo client|unblock \
    client|unpause cluster cluster|addslots cluster|addslotsrange cluster|bumpepoch cluster|count-failure-reports \
    cluster|countkeysinslot cluster|delslots cluster|delslotsrange cluster|failover cluster|flushslots \
    cluster|forget cluster|getkeysinslot cluster|help cluster|info cluster|keyslot cluster|links cluster|meet \
    cluster|myid cluster|myshardid cluster|nodes cluster|replicas cluster|replicate cluster|reset cluster|saveconfig \
    cluster|set-config-epoch cluster|setslot cluster|shards cluster|slaves cluster|slots command command|count \
    command|docs command|getkeys command|getkeysandflags command|help command|info command|list config config|get \
    config|help config|resetstat config|rewrite config|set copy dbsize debug decr decrby del discard dump echo eval \
    eval_ro evalsha evalsha_ro exec exists expire expireat expiretime failover fcall fcall_ro flushall flushdb \
    function function|delete function|dump function|flush function|help function|kill function|list function|load \
    function|restore function|stats geoadd geodist geohash geopos georadius georadius_ro georadiusbymember \
    georadiusbymember_ro geosearch geosearchstore get getbit getdel getex getrange getset hdel hello hexists hget \
    hgetall hincrby hincrbyfloat hkeys hlen hmget hmset hrandfield hscan hset hsetnx hstrlen hvals incr incrby \
    incrbyfloat info keys lastsave latency latency|doctor latency|graph latency|help latency|histogram \
    latency|history latency|latest latency|reset lcs lindex linsert llen lmove lmpop lolwut lpop lpos lpush lpushx \
    lrange lrem lset ltrim memory memory|doctor memory|help memory|malloc-stats memory|purge memory|stats \
    memory|usage mget migrate module module|help module|list module|load module|loadex module|unload monitor move \
    mset msetnx multi object object|encoding object|freq object|help object|idletime object|refcount persist pexpire \
    pexpireat pexpiretime pfadd pfcount pfdebug pfmerge pfselftest ping psetex psubscribe psync pttl publish pubsub \
    pubsub|channels pubsub|help pubsub|numpat pubsub|numsub pubsub|shardchannels pubsub|shardnumsub punsubscribe \
    quit randomkey readonly readwrite rename renamenx replconf replicaof reset restore restore-asking role rpop \
    rpoplpush rpush rpushx sadd save scan scard script script|debug script|exists script|flush script|help \
    script|kill script|load sdiff sdiffstore select set setbit setex setnx setrange shutdown sinter sintercard \
    sinterstore sismember slaveof slowlog slowlog|get slowlog|help slowlog|len slowlog|reset smembers smismember \
    smove sort sort_ro spop spublish srandmember srem sscan ssubscribe strlen subscribe substr sunion sunionstore \
    sunsubscribe swapdb sync time touch ttl type unlink unsubscribe unwatch wait waitaof watch xack xadd xautoclaim \
    xclaim xdel xgroup xgroup|create xgroup|createconsumer xgroup|delconsumer xgroup|destroy xgroup|help \
    xgroup|setid xinfo xinfo|consumers xinfo|groups xinfo|help xinfo|stream xlen xpending xrange xread xreadgroup \
    xrevrange xsetid xtrim zadd zcard zcount zdiff zdiffstore zincrby zinter zintercard zinterstore zlexcount zmpop \
    zmscore zpopmax zpopmin zrandmember zrange zrangebylex zrangebyscore zrangestore zrank zrem zremrangebylex \
    zremrangebyrank zremrangebyscore zrevrange zrevrangebylex zrevrangebyscore zrevrank zscan zscore zunion \
    zunionstore";

/// The page as Markdown.
pub fn reference() -> String {
    let mut page = HEAD.to_owned();
    page.push_str(&contents());
    for group in Group::ALL {
        let _ = write!(page, "\n## {} commands\n", group.name());
        of_group(group).into_iter().for_each(|row| page.push_str(&section(row)));
    }
    page.push_str(&beyond_redis());
    page.push_str(&missing());
    page
}

fn contents() -> String {
    let mut list = String::from("\n");
    for group in Group::ALL {
        let names: Vec<_> =
            of_group(group).iter().filter(|row| row.container().is_none()).map(|row| link(row)).collect();
        let _ = writeln!(list, "- [{0}](#{0}-commands): {1}", group.name(), names.join(", "));
    }
    list.push_str("- [commands that Redis 7.2 does not have](#beyond-redis-72)\n");
    list.push_str("- [commands of Redis 7.2 that Bobbin does not have](#not-there)\n");
    list
}

fn link(row: &Command) -> String {
    format!("[{}](#{})", title(row.name), row.name)
}

/// By name, subcommands behind their container.
fn of_group(group: Group) -> Vec<&'static Command> {
    let mut rows: Vec<_> = TABLE.iter().filter(|row| row.group == group).collect();
    rows.sort_unstable_by_key(|row| row.name);
    rows
}

fn title(name: &str) -> String {
    name.replace('|', " ").to_ascii_uppercase()
}

fn section(row: &Command) -> String {
    let (title, level) = (title(row.name), if row.container().is_some() { "####" } else { "###" });
    let mut text = format!("\n{level} {title}\n\n{}\n\n", row.summary);
    let _ = write!(text, "    {}\n\n", format!("{title} {}", row.syntax).trim_end());
    let _ = writeln!(text, "- since {}{}", row.since, complexity(row));
    let _ = writeln!(text, "- arguments: {}{}", arity(row), keys(row));
    let _ = writeln!(text, "- flags: {}; ACL: {}", flags(row), categories(row));
    if let Some(deprecated) = row.deprecated {
        let _ = writeln!(text, "- deprecated since {}: use {}", deprecated.since, deprecated.instead);
    }
    if !row.differs.is_empty() {
        let _ = writeln!(text, "- *differs*: {}", row.differs);
    }
    text
}

fn complexity(row: &Command) -> String {
    if row.complexity.is_empty() { String::new() } else { format!("; {}", row.complexity) }
}

fn arity(row: &Command) -> String {
    let count = row.arity.unsigned_abs();
    if row.arity < 0 { format!("{count} or more") } else { count.to_string() }
}

fn keys(row: &Command) -> String {
    let keys: Vec<_> = row.keys.iter().filter(|spec| spec.flags & key_flag::NOT_KEY == 0).map(key).collect();
    if keys.is_empty() { String::new() } else { format!("; keys: {}", keys.join(", ")) }
}

fn key(spec: &KeySpec) -> String {
    let done = match spec.flags {
        flags if flags & key_flag::RO != 0 => "read",
        flags if flags & key_flag::RW != 0 => "changed",
        flags if flags & key_flag::OW != 0 => "overwritten",
        _ => "removed",
    };
    format!("{} ({done})", place(spec))
}

fn place(spec: &KeySpec) -> String {
    let first = match spec.begin {
        Begin::Index(index) => usize::from(index),
        Begin::Keyword { word, .. } | Begin::Option { word, .. } => return behind(word, spec.find),
        Begin::Unknown => return "elsewhere".into(),
    };
    match spec.find {
        Find::Range { last: 0, .. } => first.to_string(),
        Find::Range { last: 1.., step, .. } if step > 1 => format!("every {step} from {first} on"),
        Find::Range { last, .. } if last > 0 => {
            format!("{first} to {}", first + last.unsigned_abs() as usize)
        }
        Find::Range { limit: 2.., .. } => format!("the first half from {first} on"),
        Find::Range { last: -1, step: 1, .. } => format!("from {first} on"),
        Find::Range { last: -1, step, .. } => format!("every {} from {first} on", ordinal(step)),
        Find::Range { last, .. } => format!("from {first} on, less the last {}", last.unsigned_abs() - 1),
        Find::Keynum { at, first: behind, .. } => {
            let (count, from) = (first + usize::from(at), first + usize::from(behind));
            format!("from {from} on, as many as {count} says")
        }
        Find::Unknown => "elsewhere".into(),
    }
}

fn behind(word: &str, find: Find) -> String {
    match find {
        Find::Range { limit: 2.., .. } => format!("the first half behind {word}"),
        _ => format!("behind {word}"),
    }
}

fn ordinal(step: u8) -> &'static str {
    match step {
        2 => "second",
        3 => "third",
        _ => "other",
    }
}

fn flags(row: &Command) -> String {
    let names = flag::NAMES.iter().filter(|&&(bit, _)| row.has(bit)).map(|&(_, name)| name);
    let names: Vec<_> = names.collect();
    if names.is_empty() { "none".into() } else { names.join(", ") }
}

fn categories(row: &Command) -> String {
    let all = row.categories();
    let names = acl::NAMES.iter().filter(|&&(bit, _)| all & bit != 0).map(|(_, name)| format!("@{name}"));
    names.collect::<Vec<_>>().join(" ")
}

fn beyond_redis() -> String {
    let known: BTreeSet<_> = REDIS_7_2.split_whitespace().collect();
    let more = TABLE.iter().map(|row| row.name).filter(|name| !known.contains(name));
    format!("\n## Beyond Redis 7.2\n\n{}\n", titles(more))
}

fn missing() -> String {
    let ours: BTreeSet<_> = TABLE.iter().map(|row| row.name).collect();
    let all: BTreeSet<_> = REDIS_7_2.split_whitespace().collect();
    // A container that is not there stands for its subcommands.
    let is_told = |name: &&str| {
        let container = name.split_once('|').map_or("", |(container, _)| container);
        !ours.contains(name) && (ours.contains(container) || !all.contains(container))
    };
    let missing = all.iter().copied().filter(is_told);
    format!(
        "\n## Not there\n\nRedis 7.2 has these; Bobbin answers that it does not know them.\n\n{}\n",
        titles(missing)
    )
}

fn titles<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut titles: Vec<_> = names.map(title).collect();
    titles.sort_unstable();
    titles.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_the_tables() {
        let page = include_str!("../../COMMANDS.md");
        assert!(page == reference(), "make it again: see the head of engine/COMMANDS.md");
    }

    #[test]
    fn every_command_is_on_the_page() {
        let page = reference();
        for row in &TABLE {
            assert!(page.contains(&format!("# {}\n", title(row.name))), "{}", row.name);
        }
    }
}
