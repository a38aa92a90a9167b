//! The server: reactors on their threads, and the control thread that starts and stops them.

use std::collections::VecDeque;
use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Barrier};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use signal_hook::consts::{SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::iterator::Signals;

use crate::allocator;
use crate::core::{About, Core, ScopeChange, Shared, Shutdown, Stopwatch, WRITER};
use crate::error::CommandError;
use crate::ids::ReactorId;
use crate::journal::{Directory, Files};
use crate::loader::{self, LoadError};
use crate::metrics;
use crate::reactor::{Helper, Listener, Notice, Order, Plant, Reactor};
use crate::saver::{self, Saver, Turned};
use crate::saves::{Reason, Request, Tell, Whom};
use crate::scopes::Keeper;
use crate::startup::{Ready, kernel};
use crate::supervisor::{self, Supervisor};

/// What the control thread hears.
#[derive(Debug)]
enum Event {
    /// A client asks the server to stop.
    Shutdown(Shutdown),
    /// A client asks for a change of scopes.
    Scopes(ScopeChange),
    Signal(i32),
    /// A reactor could not go on.
    Failed {
        reactor: ReactorId,
        error: io::Error,
    },
    /// Whether the snapshot has been made that was asked for.
    Saved(bool),
    /// Nothing is written any more, and what was done is durable; or why it is not.
    StoodStill(Result<(), Arc<str>>),
    /// The data are in memory and every reactor serves, or why not.
    Loaded(Result<Files<Directory>, LoadError>),
}

/// A running server. Its reactors serve; the thread that has this is the control thread.
#[derive(Debug)]
pub struct Server {
    plant: Arc<Plant>,
    shared: Arc<Shared>,
    keeper: Keeper,
    /// Of the reactors.
    cpus: Vec<usize>,
    threads: Vec<JoinHandle<()>>,
    events: Receiver<Event>,
    /// For whoever is to tell something later.
    sender: Sender<Event>,
    /// What has come while another event was waited for.
    waiting: VecDeque<Event>,
    requests: Sender<Request>,
    /// What the saver will hear, until there are files for it.
    ears: Option<saver::Ears>,
    saver: Option<saver::Handle>,
    /// A signal has told it to stop, and it is about to: another SIGINT ends it at once.
    is_told: Arc<AtomicBool>,
    /// The snapshot is being made with which the server ends.
    is_saving: bool,
    /// It stops whatever is lost by that: nothing is waited for that may never come.
    is_forced: bool,
}

/// How it ended to wait for something.
enum Waited<T> {
    Found(T),
    /// It has been asked to stop in a way that waits for nothing of that.
    Told(Shutdown),
    /// Nothing has gone on for long, and it is forced to stop.
    InVain,
}

/// How long the thread that makes snapshots is waited for: it looks more often than that whether it is to end, and what it
/// has begun by then is as after a crash.
const SAVER_END_MAX: Duration = Duration::from_secs(2);
/// How long a stop by force waits for a reactor, which makes the journal durable and frees its memory.
const REACTOR_END_MAX: Duration = Duration::from_secs(15);
/// How often it looks whether what it waits for goes on.
const LOOK_EVERY: Duration = Duration::from_millis(100);

impl Server {
    /// Starts one pinned reactor for each CPU, and has them load the data. Until that is done they answer that they are
    /// loading.
    pub fn start(ready: &Ready) -> io::Result<Self> {
        let reactors = ready.cpus.len();
        let (sender, events) = channel();
        let keeper = Keeper::open(&ready.config).map_err(io::Error::other)?;
        let (requests, for_saver) = channel();
        let (turned, for_turned) = channel();
        let is_told = Arc::new(AtomicBool::new(false));
        announce_signals(sender.clone(), Arc::clone(&is_told))?;
        let plant = Arc::new(Plant::new(reactors, listeners(ready)?)?);
        let shared = Arc::new(Shared::new(reactors, Arc::clone(&ready.config), about(ready)?));
        shared.set_scopes(keeper.current());
        let barrier = Arc::new(Barrier::new(reactors + 1));
        let launch = |(index, &cpu): (usize, &usize)| {
            let launch = Launch {
                id: ReactorId::from_index(index),
                cpu,
                plant: Arc::clone(&plant),
                shared: Arc::clone(&shared),
                events: sender.clone(),
                requests: requests.clone(),
                turned: turned.clone(),
                ready: Arc::clone(&barrier),
            };
            std::thread::Builder::new().name(format!("reactor-{index}")).spawn(move || launch.run())
        };
        let threads = ready.cpus.iter().enumerate().map(launch).collect::<io::Result<_>>()?;
        barrier.wait();
        metrics::serve(ready.listeners.metrics(), &plant, &shared)?;
        load_aside(Arc::clone(&plant), Arc::clone(&shared), sender.clone())?;
        let ears = Some(saver::Ears { requests: for_saver, turned: for_turned });
        Ok(Self {
            plant,
            shared,
            keeper,
            cpus: ready.cpus.clone(),
            threads,
            events,
            sender,
            waiting: VecDeque::new(),
            requests,
            ears,
            saver: None,
            is_told,
            is_saving: false,
            is_forced: false,
        })
    }

    /// Serves until a signal or a client says stop, the data cannot be loaded, or a reactor fails.
    pub fn run_until_told(mut self, mut supervisor: Option<Supervisor>) -> io::Result<()> {
        let told = self.told(&mut supervisor);
        if let Some(supervisor) = supervisor {
            supervisor.stopping();
        }
        self.is_forced |= told.is_err();
        // What came first is why it ends.
        let stopped = self.stop();
        told.and(stopped)
    }

    fn told(&mut self, supervisor: &mut Option<Supervisor>) -> io::Result<()> {
        while let Some(event) = self.next_event(supervisor) {
            match event {
                Event::Loaded(loaded) => {
                    self.start_saver(loaded.map_err(io::Error::other)?)?;
                    tracing::info!("Ready to accept connections");
                    if let Some(supervisor) = supervisor {
                        supervisor.ready();
                    }
                }
                Event::Failed { reactor, error } => return Err(failed(reactor, &error)),
                // Nobody waits for it any more.
                Event::Saved(_) | Event::StoodStill(_) => {}
                Event::Signal(signal) => {
                    let (name, how) = self.asked_by(signal);
                    tracing::warn!("Received {name}, stopping");
                    if self.may_stop(how, supervisor)? {
                        return Ok(());
                    }
                }
                Event::Scopes(change) => self.change_scopes(change)?,
                Event::Shutdown(how) => {
                    tracing::warn!("A client asked to stop ({how:?})");
                    if self.may_stop(how, supervisor)? {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    fn start_saver(&mut self, files: Files<Directory>) -> io::Result<()> {
        if let Some(ears) = self.ears.take() {
            let (plant, shared) = (Arc::clone(&self.plant), Arc::clone(&self.shared));
            self.saver = Some(Saver::start(plant, shared, files, ears, self.cpus.clone())?);
        }
        Ok(())
    }

    /// What a signal says, as `shutdown-on-sigint` and `shutdown-on-sigterm` have it.
    fn asked_by(&self, signal: i32) -> (&'static str, Shutdown) {
        let config = self.shared.config();
        let (name, flags) = match signal {
            SIGINT => ("SIGINT", config.shutdown_on_sigint),
            _ => ("SIGTERM", config.shutdown_on_sigterm),
        };
        let save = if flags.save || flags.nosave { Some(flags.save) } else { None };
        (name, Shutdown { save, now: flags.now, force: flags.force, reply_to: None })
    }

    /// Has nothing written any more, and all that was acknowledged made durable: in a snapshot that is to be made before the
    /// end, or in the journal, which has to have begun. Without that the server goes on, unless it is forced to stop. What is still being loaded
    /// is on disk already. While it waits it may be told to stop in a way that does not.
    fn may_stop(&mut self, mut how: Shutdown, supervisor: &mut Option<Supervisor>) -> io::Result<bool> {
        let is_safe = loop {
            self.is_forced = how.force;
            match self.make_safe(how, supervisor)? {
                Waited::Found(is_safe) => break is_safe,
                Waited::InVain => break false,
                Waited::Told(other) => {
                    tracing::warn!("Asked to stop without waiting for what goes on ({other:?})");
                    if !other.force {
                        self.is_forced = true;
                        break true;
                    }
                    if other.saves(&self.shared.config()) && !self.is_saving {
                        // A snapshot needs the shards that stand still.
                        self.plant.order(WRITER, Order::GoOnServing)?;
                    }
                    how = other;
                }
            }
        };
        if is_safe || how.force {
            return Ok(true);
        }
        self.plant.order(WRITER, Order::GoOnServing)?;
        match how.reply_to {
            Some(reply_to) => {
                let outcome = Err(CommandError::text("ERR Errors trying to SHUTDOWN. Check logs."));
                self.plant.order(reply_to.reactor, Order::Reply { reply_to, outcome })?;
            }
            // It was a signal: the next is the first again.
            None => self.is_told.store(false, Ordering::Relaxed),
        }
        Ok(false)
    }

    /// Whether what was acknowledged is durable, once that is known.
    fn make_safe(&mut self, how: Shutdown, supervisor: &mut Option<Supervisor>) -> io::Result<Waited<bool>> {
        let config = self.shared.config();
        let is_loaded = self.saver.is_some();
        if is_loaded && how.saves(&config) {
            self.save(supervisor)
        } else if is_loaded && config.appendonly && !how.force {
            self.stand_still(supervisor)
        } else {
            // A stop by force waits for the journal as well, but not for ever.
            Ok(Waited::Found(true))
        }
    }

    fn save(&mut self, supervisor: &mut Option<Supervisor>) -> io::Result<Waited<bool>> {
        if !std::mem::replace(&mut self.is_saving, true) {
            let sender = self.sender.clone();
            // Whoever waits for it may have ended.
            let tell = Tell::new(move |is_saved| drop(sender.send(Event::Saved(is_saved))));
            // If nobody makes snapshots any more, it is told that there is none.
            let _ = self.requests.send(Request { reason: Reason::Save, whom: Whom::Control(tell) });
        }
        let waited = self.await_event(supervisor, |event| match event {
            Event::Saved(is_saved) => Ok(is_saved),
            other => Err(other),
        })?;
        match waited {
            Waited::Found(is_saved) => {
                self.is_saving = false;
                if !is_saved {
                    tracing::error!("Error trying to save the DB, can't exit");
                }
            }
            Waited::InVain => tracing::error!("The snapshot before the end does not go on, and is given up"),
            Waited::Told(_) => {}
        }
        Ok(waited)
    }

    fn stand_still(&mut self, supervisor: &mut Option<Supervisor>) -> io::Result<Waited<bool>> {
        self.plant.order(WRITER, Order::StandStill)?;
        let waited = self.await_event(supervisor, |event| match event {
            Event::StoodStill(outcome) => Ok(outcome),
            other => Err(other),
        })?;
        Ok(match waited {
            Waited::Found(Ok(())) => Waited::Found(self.has_journal()),
            Waited::Found(Err(why)) => {
                tracing::error!(
                    "What was done last cannot be made durable in the journal: {why}; can't exit"
                );
                Waited::Found(false)
            }
            Waited::Told(how) => Waited::Told(how),
            Waited::InVain => Waited::InVain,
        })
    }

    /// A start would load the journal. Nothing changes that while the server stands still but that it has begun.
    fn has_journal(&self) -> bool {
        let has_journal = self.shared.saves.is_journalled();
        if !has_journal {
            tracing::error!("The snapshot with which the journal begins has not been made yet; can't exit");
        }
        has_journal
    }

    /// Waits for one event, and keeps the others; but not if a reactor fails, which might have to do with it, nor longer
    /// than whoever asks for a stop wants.
    fn await_event<T>(
        &mut self,
        supervisor: &mut Option<Supervisor>,
        wanted: impl Fn(Event) -> Result<T, Event>,
    ) -> io::Result<Waited<T>> {
        let (mut progress, mut since) = (self.progress(), Instant::now());
        loop {
            let until = self.is_forced.then(|| Instant::now() + LOOK_EVERY);
            match self.hear(supervisor, until).map(&wanted) {
                Ok(Ok(found)) => return Ok(Waited::Found(found)),
                Ok(Err(Event::Failed { reactor, error })) => return Err(failed(reactor, &error)),
                Ok(Err(other)) => match self.waits_for_nothing(&other) {
                    Some(how) => return Ok(Waited::Told(how)),
                    None => self.waiting.push_back(other),
                },
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(io::Error::other("nobody is left to be heard"));
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
            let now = self.progress();
            if now != progress {
                (progress, since) = (now, Instant::now());
            } else if self.is_forced && since.elapsed() >= self.patience() {
                return Ok(Waited::InVain);
            }
        }
    }

    /// How to stop, if this asks for it in a way that need not wait for what is durable.
    fn waits_for_nothing(&self, event: &Event) -> Option<Shutdown> {
        let how = match event {
            Event::Shutdown(how) => *how,
            Event::Signal(signal) => self.asked_by(*signal).1,
            _ => return None,
        };
        let config = self.shared.config();
        (how.force || !(how.saves(&config) || config.appendonly)).then_some(how)
    }

    /// What changes only if the disk does something: the keys that are written. What has yet to be written grows also if it
    /// does nothing.
    fn progress(&self) -> impl PartialEq + use<> {
        let saves = &self.shared.saves;
        (saves.keys(), saves.state().running)
    }

    /// How long a stop by force waits for a disk that does nothing.
    fn patience(&self) -> Duration {
        Duration::from_secs(self.shared.config().shutdown_timeout.unsigned_abs().max(1).into())
    }

    fn next_event(&mut self, supervisor: &mut Option<Supervisor>) -> Option<Event> {
        self.waiting.pop_front().or_else(|| self.hear(supervisor, None).ok())
    }

    /// Waits, until then if there is an end to it, and lets the supervisor have signs of life meanwhile.
    fn hear(
        &self,
        supervisor: &mut Option<Supervisor>,
        until: Option<Instant>,
    ) -> Result<Event, RecvTimeoutError> {
        loop {
            let beat = supervisor.as_ref().and_then(Supervisor::next_beat);
            let Some(at) = beat.into_iter().chain(until).min() else { return Ok(self.events.recv()?) };
            match self.events.recv_timeout(at.saturating_duration_since(Instant::now())) {
                Err(RecvTimeoutError::Timeout) if beat == Some(at) => {
                    supervisor.iter_mut().for_each(|supervisor| supervisor.beat(&self.plant));
                }
                heard => return heard,
            }
        }
    }

    /// Makes a change of scopes, and has it taken over by whoever asked for it.
    fn change_scopes(&mut self, change: ScopeChange) -> io::Result<()> {
        let outcome = self.keeper.change(change.change.clone());
        let outcome = outcome.map(|scopes| self.shared.set_scopes(scopes)).map_err(|error| error.to_string());
        self.plant.order(change.reactor(), Order::ScopesChanged { change, outcome })
    }

    /// Ends all threads. An error of the kind [`io::ErrorKind::TimedOut`]: some have been left where they hang, and may still
    /// write.
    fn stop(self) -> io::Result<()> {
        match self.saver.map(|saver| join(saver.stop(), Some(SAVER_END_MAX))) {
            Some(Some(Err(_))) => tracing::error!("The thread that makes snapshots panicked"),
            Some(None) => tracing::error!("The thread that makes snapshots waits for the disk, and is left"),
            Some(Some(Ok(()))) | None => {}
        }
        let until = self.is_forced.then(|| Instant::now() + REACTOR_END_MAX);
        let (mut panicked, mut left) = (0, Vec::new());
        // The first writes the journal: it stops when it has all that the others did.
        for (index, thread) in self.threads.into_iter().enumerate().rev() {
            self.plant.order(ReactorId::from_index(index), Order::Stop)?;
            match join(thread, until.map(|until| until.saturating_duration_since(Instant::now()))) {
                Some(ended) => panicked += usize::from(ended.is_err()),
                None => left.push(index.to_string()),
            }
        }
        if !left.is_empty() {
            let what = "does not end; what was done last may not be in the journal";
            let text = format!("reactor {} {what}", left.join(", "));
            return Err(io::Error::new(io::ErrorKind::TimedOut, text));
        }
        if panicked > 0 {
            return Err(io::Error::other("a reactor panicked"));
        }
        // What a reactor could not finish.
        let failure = |event| match event {
            Event::Failed { reactor, error } => Some(failed(reactor, &error)),
            _ => None,
        };
        self.events.try_iter().find_map(failure).map_or(Ok(()), Err)
    }
}

/// Waits until a thread ends; `None` if it does not within that time.
fn join(thread: JoinHandle<()>, within: Option<Duration>) -> Option<std::thread::Result<()>> {
    let until = within.map(|max| Instant::now() + max);
    while let Some(until) = until
        && !thread.is_finished()
    {
        if Instant::now() >= until {
            return None;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Some(thread.join())
}

fn failed(reactor: ReactorId, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("reactor {} failed: {error}", reactor.0))
}

/// Loads on a thread of its own, because a reactor may fail and a signal may come meanwhile. Who stops before it is done
/// leaves it where it is: what is on disk is then as after a crash, which is to say whole.
fn load_aside(plant: Arc<Plant>, shared: Arc<Shared>, events: Sender<Event>) -> io::Result<()> {
    let load = move || {
        let loaded = loader::load(&plant, &shared);
        plant.memory.publish_helper(Helper::Loader);
        // Nobody hears it if the server has stopped.
        let _ = events.send(Event::Loaded(loaded));
    };
    std::thread::Builder::new().name("loader".into()).spawn(load).map(drop)
}

/// SIGTERM and SIGINT become events. While the server stops because of one, another SIGTERM is not heard, and another
/// SIGINT ends the process at once, as in Redis: what is not durable is lost then.
fn announce_signals(events: Sender<Event>, is_told: Arc<AtomicBool>) -> io::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT])?;
    // A file that may not grow is a write that fails, not the end of the process.
    signal_hook::flag::register(SIGXFSZ, Arc::default())?;
    let announce = move || {
        for signal in signals.forever() {
            match (is_told.swap(true, Ordering::Relaxed), signal) {
                (true, SIGINT) => {
                    tracing::warn!("Received SIGINT, and is about to stop already: ending at once");
                    std::process::exit(1);
                }
                (true, _) => tracing::warn!("Received SIGTERM, and is about to stop already"),
                // Nobody hears it once the server has stopped.
                (false, _) => drop(events.send(Event::Signal(signal))),
            }
        }
    };
    std::thread::Builder::new().name("signals".into()).spawn(announce)?;
    Ok(())
}

fn listeners(ready: &Ready) -> io::Result<Vec<Listener>> {
    let keepalive_s = ready.config.tcp_keepalive.unsigned_abs();
    let tcp = ready.listeners.tcp().iter().map(|socket| Listener::tcp(socket, keepalive_s, None));
    let own = ready.listeners.own().iter().enumerate().flat_map(|(index, sockets)| {
        let owner = Some(ReactorId::from_index(index));
        sockets.iter().map(move |socket| Listener::tcp(socket, keepalive_s, owner))
    });
    let unix = ready.listeners.unix().zip(ready.listeners.unix_path());
    tcp.chain(own).chain(unix.map(|(socket, path)| Listener::unix(socket, path))).collect()
}

/// Hex digits in a run id.
const RUN_ID_LEN: usize = 40;

fn about(ready: &Ready) -> io::Result<About> {
    let mut seed = [0; 8];
    rustix::rand::getrandom(&mut seed, rustix::rand::GetRandomFlags::empty())?;
    let seed = u64::from_ne_bytes(seed);
    let mut digits = fastrand::Rng::with_seed(seed);
    let uname = rustix::system::uname();
    let text = |part: &std::ffi::CStr| part.to_string_lossy().into_owned();
    Ok(About {
        run_id: (0..RUN_ID_LEN).map(|_| digits.digit(16)).collect(),
        pid: std::process::id(),
        started_unix_ms: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64,
        executable: std::env::current_exe().map_or_else(|_| String::new(), |path| path.display().to_string()),
        config_file: ready.config.file.as_ref().map_or_else(String::new, |path| path.display().to_string()),
        os: format!("{} {} {}", text(uname.sysname()), text(uname.release()), text(uname.machine())),
        port: ready.listeners.addresses().first().map_or(0, |address| address.port()),
        supervisor: supervisor::name(ready.config.supervised),
        seed: digits.u64(..),
    })
}

/// All that a reactor's thread starts with.
struct Launch {
    id: ReactorId,
    cpu: usize,
    plant: Arc<Plant>,
    shared: Arc<Shared>,
    events: Sender<Event>,
    requests: Sender<Request>,
    turned: Sender<Turned>,
    ready: Arc<Barrier>,
}

impl Launch {
    /// All rings are made before any reactor runs: a reactor may wake any other from its first iteration on.
    fn run(self) {
        if !core_affinity::set_for_current(core_affinity::CoreId { id: self.cpu }) {
            tracing::warn!("reactor {} could not be pinned to CPU {}", self.id.0, self.cpu);
        }
        allocator::reserve();
        let config = self.shared.config();
        let mut core =
            Core::new(self.id, Arc::clone(&self.shared), config, Stopwatch::Real(quanta::Clock::new()));
        core.begin_loading();
        let reactor = Reactor::new(core, self.plant).map_err(kernel::explained);
        self.ready.wait();
        let (events, requests, turned) = (self.events.clone(), self.requests, self.turned);
        // Who hears may have ended: the server stops then.
        let tell = move |notice| match notice {
            Notice::Save(request) => drop(requests.send(request)),
            Notice::Turned(outcome) => drop(turned.send(outcome)),
            Notice::StoodStill(outcome) => drop(events.send(Event::StoodStill(outcome))),
            Notice::Shutdown(shutdown) => drop(events.send(Event::Shutdown(shutdown))),
            Notice::Scopes(change) => drop(events.send(Event::Scopes(change))),
        };
        let ended = caught(|| reactor?.run(tell));
        if let Err(error) = ended {
            let _ = self.events.send(Event::Failed { reactor: self.id, error });
        }
    }
}

/// A panic is a failure like others: of a reactor, so that the server stops instead of going on without one of its shards; of a
/// snapshot, so that whoever waits for it hears of it, and the next can be made.
pub(crate) fn caught<T>(work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    std::panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(io::Error::other("it panicked")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reactor_that_panics_has_failed() {
        assert!(caught(|| Ok(())).is_ok());
        assert!(caught::<()>(|| Err(io::ErrorKind::Other.into())).is_err());
        assert!(caught::<()>(|| panic!("as a bug would")).is_err());
    }
}
