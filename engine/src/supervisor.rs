//! Who started the process and wants to be told how it is: systemd, by the protocol of `sd_notify(3)`.
//!
//! Told are: ready, once the data are in memory and every reactor serves; stopping; and, where a watchdog is set, that
//! every reactor still takes orders. A reactor that hangs is not alive, whatever the others do: then systemd hears
//! nothing, and starts the server again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use sd_notify::NotifyState;

use crate::config::Supervised;
use crate::reactor::{Order, Plant};

/// Where a supervisor can be told.
const SOCKET: &str = "NOTIFY_SOCKET";
/// Signs of life for each span of the watchdog: one that comes late is not the last.
const BEATS: u32 = 4;

#[derive(Debug)]
pub struct Supervisor {
    watchdog: Option<Watchdog>,
}

#[derive(Debug)]
struct Watchdog {
    every: Duration,
    next: Instant,
    /// Reactors that have answered since they were last asked; none were asked yet.
    answered: Option<Arc<AtomicUsize>>,
}

impl Supervisor {
    /// The supervisor that `supervised` asks for, if the process has one.
    pub fn find(wanted: Supervised) -> Option<Self> {
        match (wanted, is_supervised(wanted)) {
            (_, true) => {
                let every = sd_notify::watchdog_enabled().map(|span| span / BEATS);
                Some(Self { watchdog: every.map(Watchdog::new) })
            }
            (Supervised::Systemd, false) => {
                tracing::warn!("supervised is systemd, but there is no {SOCKET}: nobody is notified");
                None
            }
            (Supervised::Upstart, false) => {
                tracing::warn!("supervised is upstart, which is not notified: use systemd");
                None
            }
            (Supervised::Auto | Supervised::No, false) => None,
        }
    }

    pub fn ready(&self) {
        tell(&[NotifyState::Ready, NotifyState::Status("Ready to accept connections")]);
    }

    pub fn stopping(&self) {
        tell(&[NotifyState::Stopping, NotifyState::Status("Stopping")]);
    }

    /// When [`Self::beat`] is next due, if ever.
    pub fn next_beat(&self) -> Option<Instant> {
        self.watchdog.as_ref().map(|watchdog| watchdog.next)
    }

    /// A sign of life, if all reactors have answered; and they are asked again.
    pub fn beat(&mut self, plant: &Plant) {
        if self.watchdog.as_mut().is_some_and(|watchdog| watchdog.beat(plant)) {
            tell(&[NotifyState::Watchdog]);
        }
    }
}

impl Watchdog {
    fn new(every: Duration) -> Self {
        Self { every, next: Instant::now(), answered: None }
    }

    /// Whether all reactors have answered; then, and the first time, they are asked again.
    fn beat(&mut self, plant: &Plant) -> bool {
        self.next = Instant::now() + self.every;
        let answers = self.answered.as_ref().map(|answered| answered.load(Ordering::Relaxed));
        let is_alive = answers.is_some_and(|answers| answers == plant.reactors().len());
        if is_alive || answers.is_none() {
            self.ask(plant);
        }
        is_alive
    }

    fn ask(&mut self, plant: &Plant) {
        let answered = self.answered.insert(Arc::default());
        for reactor in plant.reactors() {
            if let Err(error) = plant.order(reactor, Order::Answer(Arc::clone(answered))) {
                tracing::warn!("reactor {} cannot be asked whether it is alive: {error}", reactor.0);
            }
        }
    }
}

/// The name by which INFO knows who supervises the process.
pub fn name(wanted: Supervised) -> &'static str {
    if is_supervised(wanted) { "systemd" } else { "no" }
}

fn is_supervised(wanted: Supervised) -> bool {
    matches!(wanted, Supervised::Systemd | Supervised::Auto) && std::env::var_os(SOCKET).is_some()
}

/// Serving goes on when nobody listens any more.
fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!("the supervisor cannot be notified: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_alive_when_every_reactor_has_answered() {
        let plant = Plant::new(2, Vec::new()).unwrap();
        let mut watchdog = Watchdog::new(Duration::ZERO);
        let answer = |watchdog: &Watchdog| {
            watchdog.answered.as_ref().expect("they were asked").fetch_add(1, Ordering::Relaxed);
        };
        assert!(!watchdog.beat(&plant));
        answer(&watchdog);
        assert!(!watchdog.beat(&plant), "one of two has not answered");
        answer(&watchdog);
        assert!(watchdog.beat(&plant));
        assert!(!watchdog.beat(&plant), "they were asked anew");
    }
}
