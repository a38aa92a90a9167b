//! From a case that fails to a small one that fails: steps are left out, writes are parted, arguments made less and
//! shorter, as long as it still fails.

use super::call::{Call, Case, Step};
use super::exceptions::is_comparable;

/// Runs after which what is left must do.
const RUNS_MAX: usize = 3000;

/// The smallest case found that fails; `case` fails.
pub fn shrink(case: Case, fails: impl FnMut(&[Step]) -> bool) -> Case {
    let mut shrinker = Shrinker { case, fails, runs: 0 };
    shrinker.leave_steps_out();
    shrinker.part_writes();
    shrinker.leave_steps_out();
    shrinker.one_connection();
    shrinker.leave_arguments_out();
    shrinker.shorten_arguments();
    shrinker.leave_steps_out();
    shrinker.case
}

struct Shrinker<F> {
    case: Case,
    fails: F,
    runs: usize,
}

impl<F: FnMut(&[Step]) -> bool> Shrinker<F> {
    /// Takes `smaller` if it fails too.
    fn attempt(&mut self, smaller: Case) -> bool {
        self.runs += 1;
        let is_taken = self.runs <= RUNS_MAX && (self.fails)(&smaller);
        if is_taken {
            self.case = smaller;
        }
        is_taken
    }

    /// Halves, then quarters, down to single steps, from the end: what came last matters least often.
    fn leave_steps_out(&mut self) {
        let mut len = self.case.len() / 2;
        while len > 0 {
            let mut end = self.case.len();
            while end > 0 {
                let start = end.saturating_sub(len);
                let mut smaller = self.case.clone();
                smaller.drain(start..end);
                self.attempt(smaller);
                end = start.min(self.case.len());
            }
            len /= 2;
        }
    }

    /// Every command in a write of its own.
    fn part_writes(&mut self) {
        let part = |step: &Step| {
            let client = step.client;
            if step.is_transaction() {
                return vec![step.clone()];
            }
            step.calls
                .clone()
                .into_iter()
                .map(move |call| Step { client, calls: vec![call] })
                .collect::<Vec<_>>()
        };
        self.attempt(self.case.iter().flat_map(part).collect());
        for at in (0..self.case.len()).rev() {
            let mut smaller = self.case.clone();
            let parts = part(&smaller[at]);
            smaller.splice(at..=at, parts);
            if smaller.len() == self.case.len() || !self.attempt(smaller) {
                self.leave_calls_out(at);
            }
        }
    }

    /// A transaction keeps its ends: what it held back would be carried out elsewhere.
    fn leave_calls_out(&mut self, at: usize) {
        let (len, kept) = (self.case[at].calls.len(), usize::from(self.case[at].is_transaction()));
        for call in (kept..len - kept).rev() {
            if self.case[at].calls.len() > 1 {
                let mut smaller = self.case.clone();
                smaller[at].calls.remove(call);
                self.attempt(smaller);
            }
        }
    }

    fn one_connection(&mut self) {
        for client in [0, 1] {
            let smaller = self.case.iter().map(|step| Step { client, calls: step.calls.clone() }).collect();
            if self.attempt(smaller) {
                return;
            }
        }
    }

    fn leave_arguments_out(&mut self) {
        for len in [16, 4, 2, 1] {
            self.for_each_call(|call, at| {
                let mut smaller = call.clone();
                let has_more = at + len <= call.0.len();
                has_more.then(|| smaller.0.drain(at..at + len)).map(|_| ()).map(|()| smaller)
            });
        }
    }

    fn shorten_arguments(&mut self) {
        for simple in [&b""[..], b"0", b"1", b"a"] {
            self.for_each_call(|call, at| {
                let is_simpler = simple.len() < call.0[at].len();
                is_simpler.then(|| replaced(call, at, simple.to_vec()))
            });
        }
        for _ in 0..8 {
            self.for_each_call(|call, at| {
                let len = call.0[at].len();
                (len > 8).then(|| replaced(call, at, call.0[at][..len / 2].to_vec()))
            });
        }
    }

    /// Tries what `smaller` makes of each argument of each call, names left alone.
    fn for_each_call(&mut self, smaller: impl Fn(&Call, usize) -> Option<Call>) {
        for step in (0..self.case.len()).rev() {
            for call in (0..self.case[step].calls.len()).rev() {
                let mut at = self.case[step].calls[call].0.len();
                while at > 1 {
                    at -= 1;
                    let now = &self.case[step].calls[call];
                    if at >= now.0.len() {
                        continue;
                    }
                    let Some(smaller) = smaller(now, at).filter(is_comparable) else { continue };
                    let mut case = self.case.clone();
                    case[step].calls[call] = smaller;
                    self.attempt(case);
                }
            }
        }
    }
}

fn replaced(call: &Call, at: usize, arg: Vec<u8>) -> Call {
    let mut call = call.clone();
    call.0[at] = arg;
    call
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(line: &str) -> Step {
        Step { client: 3, calls: line.split(';').map(Call::of).collect() }
    }

    #[test]
    fn what_has_no_part_in_a_failure_is_left_out() {
        let mut case: Case = (0..200).map(|at| step(&format!("GET {at};GET again"))).collect();
        case[70] = step("GET x;SET key 123456789 NX GET;GET y");
        case[150] = step("APPEND key abcdefghijklmnopqrstuvwxyz more");
        let fails = |case: &[Step]| {
            let calls: Vec<&Call> = case.iter().flat_map(|step| &step.calls).collect();
            let set = calls.iter().position(|call| call.name() == "SET" && call.has("NX"));
            let append = calls.iter().position(|call| call.name() == "APPEND" && call.0.len() > 2);
            set.zip(append).is_some_and(|(set, append)| set < append)
        };
        let found = shrink(case, fails);
        let shown: Vec<String> =
            found.iter().flat_map(|step| &step.calls).map(|call| call.to_string()).collect();
        assert_eq!(shown, ["SET NX", r#"APPEND "" """#]);
        assert!(found.iter().all(|step| step.client == 0));
    }
}
