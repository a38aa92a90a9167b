//! The server: reactors on their threads, and the control thread that starts and stops them.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Barrier};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::config::Config;
use crate::core::{About, Core, Shared, Shutdown, Stopwatch};
use crate::ids::ReactorId;
use crate::reactor::{Listener, Order, Plant, Reactor};

/// What the control thread hears.
#[derive(Debug)]
pub enum Event {
    /// A client asked for it.
    Shutdown(Shutdown),
    /// SIGTERM or SIGINT.
    Signal(&'static str),
    /// A reactor could not go on.
    Failed { reactor: ReactorId, error: io::Error },
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    plant: Arc<Plant>,
    threads: Vec<JoinHandle<()>>,
    events: Receiver<Event>,
    sender: Sender<Event>,
}

impl Server {
    /// Starts one reactor for each of `cpus`, pinned to it. Returns once all of them serve.
    pub fn start(
        config: Arc<Config>,
        about: About,
        cpus: &[usize],
        listeners: Vec<Listener>,
    ) -> io::Result<Self> {
        let plant = Arc::new(Plant::new(cpus.len(), listeners)?);
        let shared = Arc::new(Shared::new(cpus.len(), config, about));
        let (sender, events) = channel();
        let ready = Arc::new(Barrier::new(cpus.len() + 1));
        let mut threads = Vec::new();
        for (index, &cpu) in cpus.iter().enumerate() {
            let launch = Launch {
                id: ReactorId::from_index(index),
                cpu,
                plant: Arc::clone(&plant),
                shared: Arc::clone(&shared),
                events: sender.clone(),
                ready: Arc::clone(&ready),
            };
            threads.push(
                std::thread::Builder::new().name(format!("reactor-{index}")).spawn(move || launch.run())?,
            );
        }
        ready.wait();
        Ok(Self { plant, threads, events, sender })
    }

    /// Where signals are announced.
    pub fn events(&self) -> Sender<Event> {
        self.sender.clone()
    }

    /// The next event; `None` when `patience` is over.
    pub fn next_event(&self, patience: Duration) -> Option<Event> {
        match self.events.recv_timeout(patience) {
            Ok(event) => Some(event),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => None,
        }
    }

    /// Stops all reactors and waits for them.
    pub fn stop(self) -> io::Result<()> {
        for index in 0..self.threads.len() {
            self.plant.order(ReactorId::from_index(index), Order::Stop)?;
        }
        for thread in self.threads {
            if thread.join().is_err() {
                return Err(io::Error::other("a reactor panicked"));
            }
        }
        Ok(())
    }
}

/// All that a reactor's thread starts with.
struct Launch {
    id: ReactorId,
    cpu: usize,
    plant: Arc<Plant>,
    shared: Arc<Shared>,
    events: Sender<Event>,
    ready: Arc<Barrier>,
}

impl Launch {
    /// All rings are made before any reactor runs: a reactor may wake any other from its first iteration on.
    fn run(self) {
        if !core_affinity::set_for_current(core_affinity::CoreId { id: self.cpu }) {
            tracing::warn!("reactor {} could not be pinned to CPU {}", self.id.0, self.cpu);
        }
        let config = self.shared.config();
        let core =
            Core::new(self.id, Arc::clone(&self.shared), config, Stopwatch::Real(quanta::Clock::new()));
        let reactor = Reactor::new(core, self.plant);
        self.ready.wait();
        let events = self.events.clone();
        let ended = reactor.and_then(|reactor| {
            reactor.run(move |shutdown| {
                let _ = events.send(Event::Shutdown(shutdown));
            })
        });
        if let Err(error) = ended {
            let _ = self.events.send(Event::Failed { reactor: self.id, error });
        }
    }
}
