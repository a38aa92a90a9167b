//! Threads that work beside the reactors, for as long as seconds: they must not be felt.
//!
//! A reactor that wakes while such a thread has its CPU waits for the end of that one's turn, which is some milliseconds. So
//! they keep to the CPUs that no reactor has, where there are any; and wherever they run, their turns are short, and small
//! beside others'.

use std::io;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The least that others can be preferred by without starving this one: 1.5 % of a CPU that others want all of.
const NICE: i32 = 19;
/// The shortest turn that Linux gives (6.12; others ignore it).
const TURN_NS: u64 = 100_000;

/// Has the calling thread give way to the reactors, which have these CPUs.
pub fn stand_back(reactor_cpus: &[usize]) {
    if let Err(error) = leave(reactor_cpus).and_then(|()| defer()) {
        tracing::debug!("a thread beside the reactors runs like them: {error}");
    }
}

/// Leaves the reactors' CPUs, if there are others.
fn leave(reactor_cpus: &[usize]) -> io::Result<()> {
    let mut cpus: CpuSet = sched_getaffinity(None)?;
    reactor_cpus.iter().filter(|&&cpu| cpu < CpuSet::MAX_CPU).for_each(|&cpu| cpus.unset(cpu));
    if cpus.count() > 0 {
        sched_setaffinity(None, &cpus)?;
    }
    Ok(())
}

fn defer() -> io::Result<()> {
    let attributes = libc::sched_attr {
        size: size_of::<libc::sched_attr>() as u32,
        sched_policy: libc::SCHED_OTHER as u32,
        sched_flags: 0,
        sched_nice: NICE,
        sched_priority: 0,
        sched_runtime: TURN_NS,
        sched_deadline: 0,
        sched_period: 0,
    };
    let (this_thread, flags) = (0, 0);
    // SAFETY: the call reads as many bytes as the structure says it has, and changes the calling thread alone.
    let answer = unsafe { libc::syscall(libc::SYS_sched_setattr, this_thread, &raw const attributes, flags) };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// On a thread of its own, which ends with it.
    fn of_a_thread<T: Send + 'static>(look: impl FnOnce() -> T + Send + 'static) -> T {
        std::thread::spawn(look).join().expect("it looks")
    }

    fn cpus() -> Vec<usize> {
        let set = sched_getaffinity(None).expect("it has some");
        (0..CpuSet::MAX_CPU).filter(|&cpu| set.is_set(cpu)).collect()
    }

    #[test]
    fn it_leaves_the_reactors_their_cpus() {
        let all = cpus();
        let (first, rest) = all.split_first().expect("at least one");
        let first = *first;
        let left = of_a_thread(move || {
            stand_back(&[first, usize::MAX]);
            cpus()
        });
        assert_eq!(left, if rest.is_empty() { &all } else { rest });
    }

    #[test]
    fn it_stays_where_there_is_nowhere_to_go() {
        let all = cpus();
        let reactors = all.clone();
        assert_eq!(
            of_a_thread(move || {
                stand_back(&reactors);
                cpus()
            }),
            all
        );
    }

    #[test]
    fn others_go_first() {
        let nice = of_a_thread(|| {
            stand_back(&[]);
            rustix::process::getpriority_process(None).expect("it has one")
        });
        assert_eq!(nice, NICE);
        assert_ne!(rustix::process::getpriority_process(None).expect("it has one"), NICE);
    }
}
