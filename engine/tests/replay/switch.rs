//! The journal begins and ends at any moment, while clients write: what a start would load is the state of a moment, and all
//! that was acknowledged, if the journal has begun and `appendfsync` is `always`.
//!
//! A saver plays what the server's does, on a disk in memory; the disk crashes in between.

use bobbin_engine::config::{AppendFsync, Config};
use bobbin_engine::core::Core;
use bobbin_engine::ids::Stamp;
use bobbin_engine::journal::{DiskFile, Files, JournalFile, Listed, Manifest, Writer};
use bobbin_engine::rules::{Rule, with_broken};
use bobbin_engine::txn::Cut;
use bobbin_proto::Value;

use super::disk::FaultyDisk;
use super::snapshot::{Growing, loaded, settle_written};
use super::state::{first_difference, state};
use super::world::World;
use super::{Play, for_seeds, grammar};

const CLIENTS: usize = 5;
/// Keys that each client counts up, one after the other and again.
const KEYS: usize = 4;
/// Keys of those that set theirs at once: few, so that they may all be elsewhere.
const KEYS_AT_ONCE: usize = 2;

/// How far the saver is.
#[derive(Debug)]
enum Progress {
    Off,
    /// Shards journal into a file that no start would load yet.
    Beginning(Box<Growing>, JournalFile),
    /// Their snapshot is whole; what was done up to here is being made durable.
    Reaching(Box<Growing>, JournalFile, Stamp),
    On,
    /// The cut is asked for; how many shards have made it.
    Ending(usize),
    /// All have: what was done up to here is being made durable.
    Finishing(Stamp),
}

struct Switch {
    disk: FaultyDisk,
    files: Files<FaultyDisk>,
    progress: Progress,
    /// The last attempt to begin was given up: the file that goes.
    given_up: Option<JournalFile>,
    /// How often the journal has begun, and ended.
    begun: usize,
    ended: usize,
}

impl Switch {
    fn new(world: &mut World) -> Self {
        let disk = FaultyDisk::default();
        let mut files = Files::new(disk.clone(), Manifest::default());
        files.make_manifest().expect("the disk is well");
        // Cores walk where there is a file; nothing is written to this one.
        world.journal_file = Some(scratch());
        Self { disk, files, progress: Progress::Off, given_up: None, begun: 0, ended: 0 }
    }

    fn is_on(&self) -> bool {
        matches!(self.progress, Progress::On)
    }

    /// The next thing that the saver does, if it can be done.
    fn go_on(&mut self, world: &mut World) {
        match &mut self.progress {
            Progress::Off => self.begin(world),
            Progress::Beginning(growing, facts) => {
                world.pieces.drain(..).for_each(|piece| growing.take(piece));
                if growing.ended == world.cores.len() {
                    let (growing, facts) = (std::mem::take(growing), *facts);
                    self.progress = Progress::Reaching(growing, facts, world.shared.last_stamp());
                }
            }
            Progress::Reaching(growing, facts, until) => {
                if world.cores[0].journal_reached(*until).is_none() {
                    return;
                }
                let (growing, facts, is_disk_well) = (std::mem::take(growing), *facts, world.rng.u8(..4) > 0);
                if is_disk_well {
                    growing.install(&mut self.files, Some(vec![Listed { id: facts.id, first: facts.first }]));
                    self.files.clean().expect("the disk is well");
                    self.begun += 1;
                    self.progress = Progress::On;
                } else {
                    self.given_up = Some(facts);
                    self.end(world);
                }
            }
            Progress::On => self.end(world),
            Progress::Ending(ended) => {
                *ended += world.pieces.drain(..).filter(|piece| piece.chunk.is_none()).count();
                if *ended == world.cores.len() {
                    world.input(0, Core::close_journal);
                    self.progress = Progress::Finishing(world.shared.last_stamp());
                }
            }
            Progress::Finishing(until) => {
                if world.cores[0].journal_reached(*until).is_none() {
                    return;
                }
                world.input(0, |core| core.set_journal_writer(None));
                world.journal_file = Some(scratch());
                (0..world.cores.len()).for_each(|core| world.input(core, Core::end_journal));
                self.given_up.take().into_iter().for_each(|file| self.files.drop_journal(&file));
                self.ended += 1;
                self.progress = Progress::Off;
            }
        }
    }

    fn begin(&mut self, world: &mut World) {
        let first = world.shared.last_stamp().next();
        let (facts, file) = self.files.make_journal(first, world.rng.u64(..), 0).expect("the disk is well");
        world.journal_file = Some(Box::new(file));
        let writer = Writer::new(facts, AppendFsync::Always);
        world.input(0, |core| {
            core.set_journal_writer(Some(writer));
            core.cut(Cut { walks: true, journals: Some(true), holds: false });
        });
        self.progress = Progress::Beginning(Box::default(), facts);
    }

    fn end(&mut self, world: &mut World) {
        world.input(0, |core| core.cut(Cut { walks: false, journals: Some(false), holds: false }));
        self.progress = Progress::Ending(0);
    }
}

fn scratch() -> Box<dyn DiskFile> {
    use bobbin_engine::journal::Disk as _;
    Box::new(FaultyDisk::default().create("unused").expect("the disk is well"))
}

/// Clients that count, each with one command under way: some one key after the other, some all keys at once.
struct Counting {
    world: World,
    sent: [u64; CLIENTS],
    acknowledged: [u64; CLIENTS],
}

impl Counting {
    fn new(seed: u64) -> Self {
        let config = Config { appendonly: false, appendfsync: AppendFsync::Always, ..Config::default() };
        let world = World::configured(seed, 1 + seed as usize % 4, CLIENTS, config);
        Self { world, sent: [0; CLIENTS], acknowledged: [0; CLIENTS] }
    }

    fn step(&mut self) {
        self.world.step();
        for client in 0..CLIENTS {
            while let Some(reply) = self.world.clients[client].reply() {
                self.acknowledged[client] += 1;
                let n = self.acknowledged[client].div_ceil(KEYS as u64);
                let expected =
                    if spans(client) { Value::Simple(b"OK".to_vec()) } else { Value::Int(n as i64) };
                assert_eq!(reply, expected, "client {client}");
            }
            if self.sent[client] == self.acknowledged[client] {
                let request = request(client, self.sent[client]);
                self.world.clients[client].request(&request.iter().map(String::as_str).collect::<Vec<_>>());
                self.sent[client] += 1;
            }
        }
    }
}

fn name(client: usize, key: usize) -> String {
    format!("{client}:{key}")
}

/// Whether a client sets all of its keys at once.
fn spans(client: usize) -> bool {
    client % 2 == 1
}

/// What a client sends that has sent so many.
fn request(client: usize, sent: u64) -> Vec<String> {
    if !spans(client) {
        return vec!["INCR".to_owned(), name(client, sent as usize % KEYS)];
    }
    let pairs = (0..KEYS_AT_ONCE).flat_map(|key| [name(client, key), (sent + 1).to_string()]);
    std::iter::once("MSET".to_owned()).chain(pairs).collect()
}

/// How far each client was in the state that a start would load.
fn found(disk: &FaultyDisk, seed: u64) -> [u64; CLIENTS] {
    let (replica, journal) = loaded(disk);
    let state = state([&replica.core], 0);
    std::array::from_fn(|client| {
        let count = |key| {
            let facts = state.get(&(0, name(client, key)));
            facts.map_or(0, |facts| facts[1].parse::<u64>().expect("a number"))
        };
        let counts: Vec<u64> = (0..KEYS).map(count).collect();
        if spans(client) {
            let is_whole = counts[..KEYS_AT_ONCE].iter().all(|count| *count == counts[0]);
            assert!(is_whole, "seed {seed}: client {client} has {counts:?}:\n{}", journal.concat());
            return counts[0];
        }
        let is_prefix = counts.is_sorted_by(|a, b| a >= b) && counts[0] - counts[KEYS - 1] <= 1;
        assert!(is_prefix, "seed {seed}: client {client} has {counts:?}, no prefix:\n{}", journal.concat());
        counts.iter().sum()
    })
}

#[test]
fn a_start_finds_one_moment_whenever_the_journal_begins_or_ends() {
    let switched = std::panic::AssertUnwindSafe(std::cell::Cell::new((0, 0)));
    for_seeds(300, |seed| {
        let (begun, ended) = switched.get();
        let switch = switch_under_writes(seed);
        switched.set((begun + switch.begun, ended + switch.ended));
    });
    let (begun, ended) = switched.get();
    let is_enough = begun > 100 && ended > 100;
    assert!(is_enough || std::env::var_os("BOBBIN_REPLAY_SEED").is_some(), "{begun} begun, {ended} ended");
}

/// With them, the seeds of the test before show nothing.
#[test]
fn without_a_cut_that_holds_shards_until_all_have_made_it_it_is_no_moment() {
    const SEEDS_MAX: u64 = 1000;
    for &rule in Rule::OF_SWITCHES {
        let shows = |seed: &u64| {
            let switch = || with_broken(rule, || drop(switch_under_writes(*seed)));
            std::panic::catch_unwind(switch).is_err()
        };
        let seed = (0..SEEDS_MAX).find(shows);
        eprintln!("without {rule:?}: seed {seed:?}");
        assert!(seed.is_some(), "nobody notices that {rule:?} is broken");
    }
}

fn switch_under_writes(seed: u64) -> Switch {
    let mut counting = Counting::new(seed);
    let mut switch = Switch::new(&mut counting.world);
    let mut least = [0; CLIENTS];
    for _ in 0..60 {
        for _ in 0..counting.world.rng.usize(..40) {
            counting.step();
        }
        // All that is acknowledged while the journal is on is durable, and before the snapshot with which it begins too.
        if switch.is_on() {
            least = counting.acknowledged;
        }
        if counting.world.rng.bool() {
            switch.go_on(&mut counting.world);
        }
        if switch.is_on() {
            least = counting.acknowledged;
        }
        let crashed = switch.disk.crashed(&mut counting.world.rng);
        for (client, done) in found(&crashed, seed).into_iter().enumerate() {
            let (least, sent) = (least[client], counting.sent[client]);
            assert!(
                (least..=sent).contains(&done),
                "client {client}: {done} of {least} acknowledged, {sent} sent, {:?}",
                switch.progress
            );
        }
    }
    let before = counting.acknowledged;
    for _ in 0..2000 {
        counting.step();
    }
    let goes_on = counting.acknowledged.iter().zip(&before).all(|(now, before)| now > before);
    assert!(
        goes_on,
        "somebody waits for ever: {before:?}, {:?}, {:?}",
        counting.acknowledged, switch.progress
    );
    switch
}

/// The disk fails just then, so that it takes until nobody tries any more.
#[test]
fn replies_wait_for_what_was_journalled_before_it_ended() {
    let config = Config { appendonly: false, appendfsync: AppendFsync::Always, ..Config::default() };
    let mut world = World::configured(0, 1, 1, config);
    let mut switch = Switch::new(&mut world);
    while !switch.is_on() {
        switch.go_on(&mut world);
        world.run();
    }
    switch.disk.fail_after(0, std::io::ErrorKind::StorageFull);
    world.clients[0].request(&["SET", "a", "1"]);
    world.run();
    assert_eq!(world.clients[0].reply(), None, "it is not durable");
    switch.end(&mut world);
    world.run();
    switch.go_on(&mut world);
    assert!(matches!(switch.progress, Progress::Finishing(_)), "all shards have ended it");
    world.run();
    assert_eq!(world.clients[0].reply(), None, "it is not durable yet");
    switch.go_on(&mut world);
    world.run();
    assert!(matches!(switch.progress, Progress::Off));
    assert_eq!(world.clients[0].reply(), Some(Value::Simple(b"OK".to_vec())));
    world.clients[0].request(&["SET", "a", "2"]);
    world.run();
    assert_eq!(world.clients[0].reply(), Some(Value::Simple(b"OK".to_vec())), "nothing is refused");
}

/// With commands of all families: once the journal has begun, what is on disk is what there is.
#[test]
fn what_is_done_after_the_journal_has_begun_is_there() {
    let grammar = grammar();
    for_seeds(100, |seed| {
        let mut play = Play::new(seed);
        play.world.cores.iter_mut().for_each(|core| core.set_journalled(false));
        let mut switch = Switch::new(&mut play.world);
        for (number, step) in grammar.case(seed, 60).iter().enumerate() {
            play.step(step);
            if play.world.rng.bool() && !(switch.is_on() && play.world.rng.bool()) {
                switch.go_on(&mut play.world);
            }
            if number % 5 == 4 && switch.is_on() {
                play.settle();
                settle_written(&mut play);
                let (replica, journal) = loaded(&switch.disk);
                let now_ms = play.world.now_us / 1000;
                let difference =
                    first_difference(&state(&play.world.cores, now_ms), &state([&replica.core], now_ms));
                if let Some(difference) = difference {
                    let (sent, journal) = (play.sent.join("\n"), journal.concat());
                    panic!("{difference}\n--- sent:\n{sent}\n--- journal:\n{journal}");
                }
            }
        }
    });
}
