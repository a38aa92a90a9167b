//! Pub/sub: subscribing, saying something, and asking who is subscribed.
//!
//! Source: replies, errors and the counts in confirmations are those of redis-server 7.0.15.

mod inspect;

use bobbin_proto::Reply;

use super::help::help;
use super::spec::{Command, Group, KeySpec, Run, command, flag, key_flag};
use super::{Args, Cx, Session};
use crate::error::CommandError;
use crate::pubsub::Topic;

const SUBSCRIBING: u32 =
    flag::PUBSUB | flag::NOSCRIPT | flag::LOADING | flag::STALE | flag::BARRIER | flag::LISTENING;
const SAYING: u32 = flag::PUBSUB | flag::LOADING | flag::STALE | flag::FAST | flag::MAY_REPLICATE;
const ASKING: u32 = flag::PUBSUB | flag::LOADING | flag::STALE;

pub const ROWS: &[Command] = &[
    command("subscribe", -2, SUBSCRIBING, Group::Pubsub, Run::Conn(subscribe)).docs(
        "2.0.0",
        "O(N) with N channels",
        "Sends the connection what is said to these channels from now on.",
        "channel [channel ...]",
    ),
    command("unsubscribe", -1, SUBSCRIBING, Group::Pubsub, Run::Conn(unsubscribe)).docs(
        "2.0.0",
        "O(N) with N channels",
        "Sends the connection no more of what is said to these channels, or to any.",
        "[channel [channel ...]]",
    ),
    command("psubscribe", -2, SUBSCRIBING, Group::Pubsub, Run::Conn(psubscribe)).docs(
        "2.0.0",
        "O(N) with N patterns",
        "Sends the connection what is said to channels that match these patterns from now on.",
        "pattern [pattern ...]",
    ),
    command("punsubscribe", -1, SUBSCRIBING, Group::Pubsub, Run::Conn(punsubscribe)).docs(
        "2.0.0",
        "O(N) with N patterns",
        "Sends the connection no more of what matches these patterns, or any.",
        "[pattern [pattern ...]]",
    ),
    command("ssubscribe", -2, SUBSCRIBING, Group::Pubsub, Run::Conn(ssubscribe)).keys(SHARD_CHANNELS).docs(
        "7.0.0",
        "O(N) with N channels",
        "Sends the connection what is said to these shard channels from now on.",
        "shardchannel [shardchannel ...]",
    ),
    command("sunsubscribe", -1, SUBSCRIBING, Group::Pubsub, Run::Conn(sunsubscribe))
        .keys(SHARD_CHANNELS)
        .docs(
            "7.0.0",
            "O(N) with N channels",
            "Sends the connection no more of what is said to these shard channels, or to any.",
            "[shardchannel [shardchannel ...]]",
        ),
    command("publish", 3, SAYING, Group::Pubsub, Run::Publish(publish)).docs(
        "2.0.0",
        "O(N+M) with N subscribers of the channel, and M patterns",
        "Says something to whoever is subscribed to a channel, and counts them.",
        "channel message",
    ),
    command("spublish", 3, SAYING, Group::Pubsub, Run::Publish(spublish))
        .keys(&[KeySpec::one(1, key_flag::NOT_KEY)])
        .docs(
            "7.0.0",
            "O(N) with N subscribers",
            "Says something to whoever is subscribed to a shard channel, and counts them.",
            "shardchannel message",
        ),
    command("pubsub", -2, 0, Group::Pubsub, Run::Container).docs(
        "2.8.0",
        "See the subcommands.",
        "Who is subscribed to what.",
        "",
    ),
    command("pubsub|channels", -2, ASKING | flag::BARRIER, Group::Pubsub, Run::Conn(inspect::channels)).docs(
        "2.8.0",
        "O(N) with N channels",
        "Lists channels that have subscribers, of those that match the pattern.",
        "[pattern]",
    ),
    command("pubsub|numpat", 2, ASKING, Group::Pubsub, Run::Conn(inspect::numpat)).docs(
        "2.8.0",
        "O(N) with N patterns",
        "Counts the patterns that have subscribers.",
        "",
    ),
    command("pubsub|numsub", -2, ASKING | flag::BARRIER, Group::Pubsub, Run::Conn(inspect::numsub)).docs(
        "2.8.0",
        "O(N) with N channels asked about",
        "Counts the subscribers of these channels, not those of patterns.",
        "[channel [channel ...]]",
    ),
    command(
        "pubsub|shardchannels",
        -2,
        ASKING | flag::BARRIER,
        Group::Pubsub,
        Run::Conn(inspect::shardchannels),
    )
    .docs(
        "7.0.0",
        "O(N) with N shard channels",
        "Lists shard channels that have subscribers, of those that match the pattern.",
        "[pattern]",
    ),
    command("pubsub|shardnumsub", -2, ASKING | flag::BARRIER, Group::Pubsub, Run::Conn(inspect::shardnumsub))
        .docs(
            "7.0.0",
            "O(N) with N shard channels asked about",
            "Counts the subscribers of these shard channels.",
            "[shardchannel [shardchannel ...]]",
        ),
    command("pubsub|help", 2, flag::LOADING | flag::STALE, Group::Pubsub, Run::Conn(help)).docs(
        "6.2.0",
        "O(1)",
        "Prints this help.",
        "",
    ),
];

const SHARD_CHANNELS: &[KeySpec] = &[KeySpec::range(1, -1, 1, key_flag::NOT_KEY)];

fn subscribe(session: &mut Session<'_>, args: Args<'_>) -> Result<(), CommandError> {
    session.subscribe(Topic::Channel, args);
    Ok(())
}

fn unsubscribe(session: &mut Session<'_>, args: Args<'_>) -> Result<(), CommandError> {
    session.unsubscribe(Topic::Channel, args);
    Ok(())
}

fn psubscribe(session: &mut Session<'_>, args: Args<'_>) -> Result<(), CommandError> {
    session.subscribe(Topic::Pattern, args);
    Ok(())
}

fn punsubscribe(session: &mut Session<'_>, args: Args<'_>) -> Result<(), CommandError> {
    session.unsubscribe(Topic::Pattern, args);
    Ok(())
}

fn ssubscribe(session: &mut Session<'_>, args: Args<'_>) -> Result<(), CommandError> {
    session.subscribe(Topic::ShardChannel, args);
    Ok(())
}

fn sunsubscribe(session: &mut Session<'_>, args: Args<'_>) -> Result<(), CommandError> {
    session.unsubscribe(Topic::ShardChannel, args);
    Ok(())
}

fn publish(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    reply.int(cx.rest.bus.publish(Topic::Channel, args.at(1), args.at(2)) as i64);
    Ok(())
}

fn spublish(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    reply.int(cx.rest.bus.publish(Topic::ShardChannel, args.at(1), args.at(2)) as i64);
    Ok(())
}
