//! The page of metrics: `GET /metrics` on `metrics-port`, in Prometheus's text format.
//!
//! | module | owns |
//! |---|---|
//! | `http` | as much of HTTP as that takes |
//! | `page` | the figures as text |
//!
//! A thread of its own serves it, one request after the other. Reactors are asked for their figures by order, and make
//! them between two iterations, as for INFO; the page is kept for a second, so that many who ask cost no more than one.
//!
//! Refused: other paths and methods; a peer that takes longer than [`PEER_TIME_MAX`] is cut off. A reactor that does
//! not answer in [`REACTOR_TIME_MAX`] is told to be down, and the page has the others.

mod http;
mod page;

use std::io;
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::core::Shared;
use crate::ids::ReactorId;
use crate::observe::Report;
use crate::reactor::{Order, Plant};

/// How long a request and its answer may take on the wire.
const PEER_TIME_MAX: Duration = Duration::from_secs(2);
/// How long a reactor may take to tell its figures: below the ten seconds after which Prometheus gives up.
const REACTOR_TIME_MAX: Duration = Duration::from_secs(3);
const PAGE_AGE_MAX: Duration = Duration::from_secs(1);

/// Serves the page on these sockets until the process ends.
pub fn serve(sockets: &[TcpListener], plant: &Arc<Plant>, shared: &Arc<Shared>) -> io::Result<()> {
    let server = Arc::new(Server {
        plant: Arc::clone(plant),
        shared: Arc::clone(shared),
        page: Mutex::new((Instant::now(), Arc::default())),
    });
    for socket in sockets {
        let (socket, server) = (socket.try_clone()?, Arc::clone(&server));
        std::thread::Builder::new().name("metrics".into()).spawn(move || server.run(&socket))?;
    }
    Ok(())
}

#[derive(Debug)]
struct Server {
    plant: Arc<Plant>,
    shared: Arc<Shared>,
    /// The last one, and when it was made; empty: never.
    page: Mutex<(Instant, Arc<str>)>,
}

impl Server {
    fn run(&self, socket: &TcpListener) {
        loop {
            match socket.accept() {
                Ok((stream, peer)) => {
                    if let Err(error) = self.answer(&stream) {
                        tracing::debug!("no page of metrics for {peer}: {error}");
                    }
                }
                Err(error) => {
                    tracing::warn!("cannot accept a connection for metrics: {error}");
                    std::thread::sleep(PAGE_AGE_MAX);
                }
            }
        }
    }

    fn answer(&self, stream: &TcpStream) -> io::Result<()> {
        let deadline = Instant::now() + PEER_TIME_MAX;
        http::answer(stream, deadline, || self.page())
    }

    fn page(&self) -> Arc<str> {
        let mut kept = self.page.lock().unwrap_or_else(PoisonError::into_inner);
        let (made, page) = &*kept;
        if page.is_empty() || made.elapsed() > PAGE_AGE_MAX {
            *kept = (Instant::now(), page::write(&self.shared, &self.plant, &self.reports()).into());
        }
        Arc::clone(&kept.1)
    }

    /// By reactor; none of one that does not answer.
    fn reports(&self) -> Vec<Option<Report>> {
        let reactors = self.shared.reactors();
        let (done, answers) = channel();
        for reactor in (0..reactors).map(ReactorId::from_index) {
            // One that cannot be asked does not answer.
            let _ = self.plant.order(reactor, Order::Report { done: done.clone() });
        }
        drop(done);
        let deadline = Instant::now() + REACTOR_TIME_MAX;
        let mut reports: Vec<Option<Report>> = vec![None; reactors];
        while reports.iter().any(Option::is_none) {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok((reactor, report)) = answers.recv_timeout(left) else { break };
            reports[reactor.index()] = Some(report);
        }
        reports
    }
}
