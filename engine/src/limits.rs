//! Bounds that are not directives, in one place. Those that are, are in [`crate::config`].

/// The Redis whose commands are spoken: what HELLO and INFO say to clients that ask.
pub const REDIS_VERSION: &str = "7.2.4";

/// Commands parsed ahead of being run, so that their look-ups overlap. Peers gained 40 % and more on keyspaces
/// larger than the cache; beyond a few dozen the lines fetched first are evicted again.
pub const GROUP_COMMANDS_MAX: usize = 32;

/// Replies one connection may await from other shards before its input is left alone.
pub const AWAITED_REPLIES_MAX: usize = 4096;

/// Bytes of an awaited reply while a connection has had none: a first burst of large ones stays bounded.
pub const REPLY_BYTES_ASSUMED: usize = 256 << 10;

/// Bytes one open batch may hold before connections that want to add to it wait for it to leave. One command more
/// than that fits always, so a large one is never stuck.
pub const BATCH_BYTES_MAX: usize = 4 << 20;

/// Batches in one lane. Each loop iteration of the sender puts in one at most; when the lane is full the open batch
/// goes on filling.
pub const LANE_BATCHES_MAX: usize = 64;

/// Batches taken from one lane in one loop iteration.
pub const LANE_DRAIN_MAX: usize = 16;

/// How soon a core looks again at a lane that had no room. Who drains the lane need not have anything to answer, and
/// calls nobody.
pub const LANE_RETRY_US: u64 = 100;

/// Messages to itself that a core handles in one loop iteration.
pub const LOCAL_MESSAGES_MAX: usize = 1024;

/// Commands of one EXEC that run without letting others go on: about a tenth of a millisecond.
pub const EXEC_STEP_COMMANDS: usize = 512;

/// Locks that one transaction gives back without letting others go on: about half a millisecond.
pub const RELEASED_LOCKS_MAX: usize = 4096;

/// Replies a client may leave unread before its requests are left unread as well, where no output limit of its
/// class is lower. Large, because a client may send a whole pipeline before it reads: stopping it too early would
/// leave both ends writing.
pub const OUTPUT_PAUSE_BYTES: usize = 64 << 20;

/// Replies from which on each command's are weighed before the next is run.
pub const OUTPUT_WEIGHED_BYTES: usize = 1 << 20;

/// Input kept for a connection that may not run; from there on the socket is not read.
pub const QUERY_PAUSE_BYTES: usize = 1 << 20;

/// Capacity that an idle connection's input buffer may hold on to.
pub const QUERY_KEPT_BYTES: usize = 16 << 10;

/// Capacity of an output buffer that is kept for reuse.
pub const OUTPUT_KEPT_BYTES: usize = 64 << 10;

/// Output buffers kept for reuse by one reactor.
pub const OUTPUT_BUFFERS_KEPT: usize = 256;

/// Members that one command answers with repetitions (a negative count of ZRANDMEMBER): a few bytes of a request must
/// not keep a shard busy for long.
pub const RANDOM_MEMBERS_MAX: usize = 1 << 22;

const _: () = assert!(GROUP_COMMANDS_MAX <= AWAITED_REPLIES_MAX);
const _: () = assert!(QUERY_KEPT_BYTES <= QUERY_PAUSE_BYTES);
