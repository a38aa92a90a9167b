//! The writer, driven as a reactor drives it, on a disk that does what disks do: batches arrive in any order, jobs take
//! their time, writes are short, writes and syncs fail, the policy changes, it goes on in another file; and at any moment the
//! power may go.

use std::io;

use bobbin_engine::config::AppendFsync;
use bobbin_engine::ids::Stamp;
use bobbin_engine::journal::{Batch, DiskFile as _, Files, Job, JournalFile, StoreError, Writer};
use fastrand::Rng;

use crate::disk::{FaultyDisk, FaultyFile};
use crate::for_seeds;
use crate::model::{batch, recover, state_at};

const POLICIES: [AppendFsync; 3] = [AppendFsync::Always, AppendFsync::EverySec, AppendFsync::No];
/// More than the writer waits after a write, and less than until the next sync.
const SHORT_US: u64 = 10_000;
/// More than the writer waits after a failure.
const LONG_US: u64 = 2_000_000;

/// A job under way. The disk does it at some moment between its beginning and its end.
enum Underway<T> {
    Asked(T),
    Done(io::Result<usize>),
}

/// Who makes the next file: what it has done so far, and what the writer has not heard of yet.
enum Turning {
    No,
    Asked,
    Made(JournalFile, FaultyFile),
}

struct Driver {
    disk: FaultyDisk,
    files: Files<FaultyDisk>,
    turning: Turning,
    turns: u64,
    file: FaultyFile,
    writer: Writer,
    policy: AppendFsync,
    now_us: u64,
    /// The last stamp that was taken, and those taken that have not arrived.
    taken: u64,
    coming: Vec<u64>,
    write: Option<Underway<(Vec<u8>, u64)>>,
    sync: Option<Underway<()>>,
    /// The last that was ever said to be durable.
    durable: u64,
    rng: Rng,
}

impl Driver {
    fn new(seed: u64) -> Self {
        let (disk, mut rng) = (FaultyDisk::default(), Rng::with_seed(seed));
        disk.forget_when_syncs_fail();
        if rng.bool() {
            disk.short_writes(rng.usize(1..200));
        }
        let (_, mut recovered) = recover(&disk).expect("an empty directory");
        let (facts, file, _) = recovered.begin(&disk, rng.u64(..), 0).expect("the disk is well");
        let policy = POLICIES[rng.usize(..3)];
        let writer = Writer::new(facts, policy);
        let (write, sync) = (None, None);
        let files = Files::new(disk.clone(), recovered.manifest);
        Self {
            disk,
            files,
            turning: Turning::No,
            turns: 0,
            file,
            writer,
            policy,
            now_us: 0,
            taken: 0,
            coming: Vec::new(),
            write,
            sync,
            durable: 0,
            rng,
        }
    }

    /// Whatever comes to mind.
    fn act(&mut self) {
        match self.rng.u8(..27) {
            0..=5 => self.take_stamp(),
            6..=10 => self.deliver(),
            11..=14 => self.begin_jobs(),
            15..=16 => self.do_write(),
            17 => self.do_sync(),
            18..=19 => self.end_write(),
            20 => self.end_sync(),
            21..=23 => self.turn(),
            _ => self.pass_time(),
        }
    }

    fn take_stamp(&mut self) {
        if self.coming.len() < 4 {
            self.taken += 1;
            self.coming.push(self.taken);
        }
    }

    /// Any of those that have been taken: reactors are not equally fast.
    fn deliver(&mut self) {
        if !self.coming.is_empty() {
            let stamp = self.coming.swap_remove(self.rng.usize(..self.coming.len()));
            self.writer.arrive(Stamp(stamp), batch(stamp));
        }
    }

    fn begin_jobs(&mut self) {
        self.writer.set_now(self.now_us);
        self.writer.set_policy(self.policy);
        while let Some(job) = self.writer.next_job() {
            match job {
                Job::Write { bytes, at } => {
                    assert!(self.write.is_none(), "two writes at a time");
                    self.write = Some(Underway::Asked((bytes.to_vec(), at)));
                }
                Job::Sync => {
                    assert!(self.sync.is_none(), "two syncs at a time");
                    self.sync = Some(Underway::Asked(()));
                }
            }
        }
    }

    fn do_write(&mut self) {
        if let Some(Underway::Asked((bytes, at))) = &self.write {
            self.write = Some(Underway::Done(self.file.write_at(bytes, *at)));
        }
    }

    fn do_sync(&mut self) {
        if let Some(Underway::Asked(())) = &self.sync {
            self.sync = Some(Underway::Done(self.file.sync().map(|()| 0)));
        }
    }

    fn end_write(&mut self) {
        if let Some(Underway::Done(outcome)) = self.write.take_if(|write| matches!(write, Underway::Done(_)))
        {
            self.writer.written(outcome);
            self.listen();
        }
    }

    fn end_sync(&mut self) {
        if let Some(Underway::Done(outcome)) = self.sync.take_if(|sync| matches!(sync, Underway::Done(_))) {
            self.writer.synced(outcome.map(drop));
            self.listen();
        }
    }

    /// The next step of who makes the next file, as the saver makes them: each may fail.
    fn turn(&mut self) {
        match std::mem::replace(&mut self.turning, Turning::No) {
            Turning::No => {
                self.writer.turn();
                self.turning = Turning::Asked;
            }
            Turning::Asked => match self.writer.turned() {
                None => self.turning = Turning::Asked,
                Some(Err(_)) => self.writer.go_on(None),
                Some(Ok(first)) => {
                    assert!(self.write.is_none() && self.sync.is_none(), "the file may be left");
                    match self.files.make_journal(first, self.rng.u64(..), 0) {
                        Ok((facts, file)) => self.turning = Turning::Made(facts, file),
                        Err(_) => self.writer.go_on(None),
                    }
                }
            },
            Turning::Made(facts, file) => {
                match self.files.list_journal(&facts) {
                    Ok(()) => {}
                    Err(StoreError::Before(_)) if self.writer.news().failure.is_none() => {
                        self.files.drop_journal(&facts);
                        self.writer.go_on(None);
                        return;
                    }
                    Err(error) => {
                        self.writer.stuck(error.to_string().into());
                        assert!(self.writer.news().failure.is_some());
                        self.turning = Turning::Made(facts, file);
                        return;
                    }
                }
                self.file = file;
                self.turns += 1;
                self.writer.go_on(Some(facts));
            }
        }
    }

    fn pass_time(&mut self) {
        self.now_us += self.rng.u64(..LONG_US);
    }

    fn listen(&mut self) {
        let durable = self.writer.news().durable.0;
        assert!(durable >= self.durable, "what was durable no longer is");
        self.durable = durable;
    }

    /// If the power went now: what was said to be durable is there, and what is there is a prefix.
    fn check_crash(&mut self) {
        let (state, recovered) =
            recover(&self.disk.crashed(&mut self.rng)).unwrap_or_else(|refusal| panic!("{refusal}"));
        let last = recovered.next.0 - 1;
        assert!(
            (self.durable..=self.taken).contains(&last),
            "said {}, there {last}, taken {}",
            self.durable,
            self.taken
        );
        assert!(state == state_at(last), "the state is not that of stamp {last}");
    }

    fn trouble(&mut self) {
        const KINDS: [io::ErrorKind; 4] = [
            io::ErrorKind::StorageFull,
            io::ErrorKind::Other,
            io::ErrorKind::Interrupted,
            io::ErrorKind::WouldBlock,
        ];
        self.disk.fail_after(self.rng.u64(..4), KINDS[self.rng.usize(..KINDS.len())]);
    }

    /// The disk is well, everything arrives, and every job ends.
    fn come_to_rest(&mut self) {
        self.disk.restart();
        self.disk.short_writes(usize::MAX);
        while !self.coming.is_empty() {
            self.deliver();
        }
        for _ in 0..5000 {
            self.begin_jobs();
            let idle = self.write.is_none() && self.sync.is_none();
            if idle && !matches!(self.turning, Turning::No) {
                self.turn();
                continue;
            }
            if idle && self.writer.next_deadline_us() == u64::MAX {
                return;
            }
            if idle {
                let due_us = self.writer.next_deadline_us();
                assert!(due_us > self.now_us, "there is nothing to do, and it is due");
                self.now_us = due_us;
            }
            self.do_write();
            self.do_sync();
            self.end_write();
            self.end_sync();
        }
        panic!("it does not come to rest: {:?}", self.writer.news());
    }
}

/// So many steps with faults, a crash tried after each of some.
fn play(driver: &mut Driver, policies: &[AppendFsync]) {
    for _ in 0..300 {
        driver.act();
        match driver.rng.u8(..40) {
            0..=2 => driver.trouble(),
            3 => driver.policy = policies[driver.rng.usize(..policies.len())],
            4..=11 => driver.check_crash(),
            _ => {}
        }
    }
}

#[test]
fn what_is_said_to_be_durable_is_and_failures_heal() {
    let turns = std::panic::AssertUnwindSafe(std::cell::Cell::new(0));
    for_seeds(200, |seed| {
        let mut driver = Driver::new(seed);
        driver.policy = POLICIES[driver.rng.usize(..2)];
        play(&mut driver, &POLICIES[..2]);
        driver.come_to_rest();
        assert_eq!(driver.writer.news().failure, None);
        assert_eq!(driver.durable, driver.taken, "all is durable once the disk is well");
        assert!(driver.writer.is_settled());
        assert_eq!(driver.writer.pending_bytes(), 0);
        driver.check_crash();
        turns.set(turns.get() + driver.turns);
    });
    assert!(turns.get() > 100 || std::env::var_os("BOBBIN_JOURNAL_SEED").is_some(), "{turns:?}");
}

/// Under `no` the kernel writes when it pleases, and what a failed sync has dropped may be out of reach: then nothing
/// is written any more.
#[test]
fn the_policy_may_change_at_any_time() {
    for_seeds(200, |seed| {
        let mut driver = Driver::new(seed);
        play(&mut driver, &POLICIES);
        driver.policy = POLICIES[driver.rng.usize(..2)];
        driver.come_to_rest();
        let failure = driver.writer.news().failure;
        match failure {
            None => assert_eq!(driver.durable, driver.taken, "all is durable once the disk is well"),
            Some(failure) => assert!(failure.contains("appendfsync no"), "{failure}"),
        }
        driver.check_crash();
    });
}

#[test]
fn closing_makes_all_durable_whatever_the_policy() {
    for_seeds(200, |seed| {
        let mut driver = Driver::new(seed);
        (0..100).for_each(|_| driver.act());
        driver.writer.close();
        driver.come_to_rest();
        assert!(driver.writer.is_settled());
        assert_eq!(driver.durable, driver.taken);
        driver.check_crash();
    });
}

/// A write that fails is not forgotten because what came before it can be synced.
#[test]
fn a_failure_lasts_until_what_failed_is_durable() {
    let mut driver = Driver::new(0);
    driver.policy = AppendFsync::EverySec;
    driver.disk.short_writes(usize::MAX);
    let step = |driver: &mut Driver, is_full: bool| {
        driver.begin_jobs();
        if is_full {
            driver.disk.fail_after(0, io::ErrorKind::StorageFull);
        }
        driver.do_write();
        driver.disk.restart();
        driver.do_sync();
        driver.end_write();
        driver.end_sync();
    };
    driver.take_stamp();
    driver.come_to_rest();
    for is_full in [false, true] {
        driver.take_stamp();
        driver.deliver();
        driver.now_us += SHORT_US;
        step(&mut driver, is_full);
    }
    for _ in 0..4 {
        assert!(driver.writer.news().failure.is_some(), "the third batch is not written");
        driver.now_us += LONG_US;
        step(&mut driver, true);
    }
    assert_eq!(driver.durable, 2);
    driver.come_to_rest();
    assert_eq!((driver.writer.news().failure, driver.durable), (None, 3));
}

/// A writer in a file of its own, for which every job is done at once; how many writes and syncs that takes.
fn jobs_done(writer: &mut Writer) -> (usize, usize) {
    let (mut writes, mut syncs) = (0, 0);
    loop {
        match writer.next_job().map(|job| if let Job::Write { bytes, .. } = job { bytes.len() } else { 0 }) {
            None => return (writes, syncs),
            Some(0) => {
                syncs += 1;
                writer.synced(Ok(()));
            }
            Some(len) => {
                writes += 1;
                writer.written(Ok(len));
            }
        }
    }
}

fn writer(policy: AppendFsync) -> Writer {
    let disk = FaultyDisk::default();
    let (_, mut recovered) = recover(&disk).expect("an empty directory");
    Writer::new(recovered.begin(&disk, 1, 0).expect("the disk is well").0, policy)
}

fn large_batch(len: usize) -> Batch {
    let mut batch = Batch::default();
    batch.push(0, [&b"SET"[..], b"k", &vec![b'x'; len]].into_iter());
    batch
}

/// Only `always` has somebody waiting for every write.
#[test]
fn writes_in_quick_succession_become_one() {
    for (policy, jobs) in
        [(AppendFsync::Always, (1, 1)), (AppendFsync::EverySec, (0, 0)), (AppendFsync::No, (0, 0))]
    {
        let mut writer = writer(policy);
        writer.set_now(LONG_US);
        writer.arrive(Stamp(1), batch(1));
        assert_eq!(jobs_done(&mut writer).0, 1, "the first is not held up");
        writer.arrive(Stamp(2), batch(2));
        assert_eq!(jobs_done(&mut writer), jobs, "{policy:?}");
        let due_us = writer.next_deadline_us();
        if policy != AppendFsync::Always {
            assert!((LONG_US + 1..LONG_US + SHORT_US).contains(&due_us), "{due_us}");
        }
        writer.arrive(Stamp(3), large_batch(1 << 20));
        assert_eq!(jobs_done(&mut writer).0, 1, "much is not held up either");
    }
}

/// What is not durable is kept in memory.
#[test]
fn under_everysec_much_is_synced_before_the_second_is_over() {
    let mut writer = writer(AppendFsync::EverySec);
    writer.set_now(LONG_US);
    writer.arrive(Stamp(1), batch(1));
    assert_eq!(jobs_done(&mut writer), (1, 1));
    for stamp in 2..100 {
        writer.arrive(Stamp(stamp), large_batch(1 << 20));
        jobs_done(&mut writer);
        assert!(writer.pending_bytes() < 8 << 20);
    }
}

#[test]
fn the_memory_of_a_batch_comes_back() {
    let mut writer = writer(AppendFsync::EverySec);
    let late = writer.arrive(Stamp(2), large_batch(1000));
    assert_eq!(late.capacity(), 0, "it is kept until the first is there");
    let first = writer.arrive(Stamp(1), large_batch(1000));
    assert!(first.is_empty() && first.capacity() >= 1000);
}

/// The journal was ended while the disk failed, and begins anew before the last of the old one has come.
#[test]
fn a_batch_of_an_ended_journal_stands_in_nobodys_way() {
    let disk = FaultyDisk::default();
    let (_, mut recovered) = recover(&disk).expect("an empty directory");
    let (facts, ..) = recovered.begin(&disk, 1, 0).expect("the disk is well");
    let mut writer = Writer::new(JournalFile { first: Stamp(5), ..facts }, AppendFsync::Always);
    assert!(writer.arrive(Stamp(6), batch(6)).is_empty());
    assert!(writer.arrive(Stamp(4), batch(4)).is_empty());
    writer.arrive(Stamp(5), batch(5));
    jobs_done(&mut writer);
    assert!(writer.is_settled(), "both are written");
    assert_eq!(writer.news().durable, Stamp(6));
}
