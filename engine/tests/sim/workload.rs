//! Random clients that issue every kind of command that the server has over shards.
//!
//! Each history has a theme, so that few keys are fought over, by commands that get in each other's way. Requests are
//! templates: `$s` is a string's key, `$l` a list's, and so on, no key twice in one request; see [`Words`].

use crate::history::{Anomaly, Call, History, check};
use crate::record::Record;

/// What the clients of one history do.
#[derive(Debug)]
struct Theme {
    requests: &'static [&'static str],
    /// What is asked in one block at the end: all that is left.
    looks: &'static [&'static str],
}

const STRINGS: &[&str] = &["GET s0", "GET s1", "GET s2", "GET s3"];
const LISTS: &[&str] = &["LRANGE l0 0 -1", "LRANGE l1 0 -1", "LRANGE l2 0 -1"];

const THEMES: &[Theme] = &[
    // Registers and counters, by commands that are scattered and commands that borrow keys.
    Theme {
        requests: &[
            "SET $s $v",
            "GET $s",
            "GET $s",
            "INCRBY $s $v",
            "GETSET $s $v",
            "GETDEL $s",
            "SETNX $s $v",
            "MSET $s $v $s $v",
            "MSET $s $v $s $v $s $v",
            "MGET $s $s",
            "MGET $s $s $s $s",
            "MSETNX $s $v $s $v",
            "DEL $s $s",
            "UNLINK $s $s $s",
            "EXISTS $s $s $s",
            "TOUCH $s $s",
            "RENAME $s $s",
            "RENAMENX $s $s",
            "COPY $s $s",
            "DBSIZE",
            "KEYS *",
            "SCAN 0",
            "RANDOMKEY",
        ],
        looks: STRINGS,
    },
    // Money between accounts.
    Theme {
        requests: &[
            "DECRBY $s 7",
            "INCRBY $s 7",
            "MGET $s $s $s",
            "GET $s",
            "MSET $s $v $s $v",
            "DBSIZE",
            "KEYS *",
            "SCAN 0",
            "RANDOMKEY",
            "COPY $s $s",
        ],
        looks: STRINGS,
    },
    // Lists that elements are moved between, and those who wait for them.
    Theme {
        requests: &[
            "RPUSH $l $v",
            "RPUSH $l $v",
            "LPUSH $l $v $v",
            "LPOP $l",
            "RPOP $l",
            "LLEN $l",
            "LRANGE $l 0 -1",
            "LMOVE $l $l $d $d",
            "RPOPLPUSH $l $l",
            "LMPOP 2 $l $l $d",
            "BLPOP $l 0",
            "BLPOP $l $l 0",
            "BRPOP $l $l $l 0",
            "BLMOVE $l $l $d $d 0",
            "BRPOPLPUSH $l $l 0",
            "BLMPOP 0 2 $l $l $d",
            "BLPOP $l $l 0.001",
            "BLMOVE $l $l $d $d 0.001",
            "CLIENT UNBLOCK $c",
            "WAIT 0 0",
            "DEL $l $l",
            "RENAME $l $l",
            "COPY $l $l",
        ],
        looks: LISTS,
    },
    // Sorted sets and streams, and those who wait for them.
    Theme {
        requests: &[
            "ZADD $z $n $v",
            "ZADD $z $n $v",
            "ZPOPMIN $z",
            "ZPOPMAX $z",
            "ZCARD $z",
            "ZMPOP 2 $z $z MIN",
            "BZPOPMIN $z 0",
            "BZPOPMAX $z $z 0",
            "BZPOPMIN $z $z 0.001",
            "BZMPOP 0 2 $z $z MAX",
            "XADD $x $i f $v",
            "XADD $x $i f $v",
            "XLEN $x",
            "XREAD STREAMS $x $x 0-0 0-0",
            "XREAD BLOCK 0 STREAMS $x $",
            "XREAD BLOCK 0 STREAMS $x $x $ $",
            "XREAD BLOCK 1 STREAMS $x $x $ 0-0",
        ],
        looks: &["ZCARD z0", "ZCARD z1", "ZCARD z2", "XLEN x0", "XLEN x1", "XLEN x2"],
    },
    // Sets and hashes.
    Theme {
        requests: &[
            "SADD $u $n",
            "SADD $u $n $n",
            "SREM $u $n",
            "SISMEMBER $u $n",
            "SCARD $u",
            "SMOVE $u $u $n",
            "SINTERSTORE $u $u $u",
            "SUNIONSTORE $u $u $u",
            "SDIFFSTORE $u $u $u",
            "HSET $h f $v",
            "HGET $h f",
            "COPY $h $h",
            "RENAME $h $h",
        ],
        looks: &["SCARD u0", "SCARD u1", "SCARD u2", "HGET h0 f", "HGET h1 f", "HGET h2 f"],
    },
    // Commands that concern every shard.
    Theme {
        requests: &[
            "SET $s $v",
            "GET $s",
            "MSET $s $v $s $v $s $v",
            "MGET $s $s $s",
            "SORT l0 BY nosort GET s*",
            "SORT l1 BY nosort GET s*",
            "SORT l0 BY nosort GET s* STORE l1",
            "RPUSH $l $k",
            "RPUSH l0 $k $k",
            "LRANGE $l 0 -1",
            "LPOP $l",
            "SWAPDB 0 1",
            "FLUSHALL",
            "FLUSHDB",
            "DBSIZE",
            "KEYS *",
            "SCAN 0",
            "RANDOMKEY",
            "MOVE $s 1",
            "MOVE $l 1",
            "BLPOP $l 0",
        ],
        looks: &[
            "GET s0",
            "GET s1",
            "GET s2",
            "GET s3",
            "LRANGE l0 0 -1",
            "LRANGE l1 0 -1",
            "LRANGE l2 0 -1",
        ],
    },
    // Two lists, so that whoever waits meets locks.
    Theme {
        requests: &[
            "RPUSH l0 $v",
            "RPUSH l1 $v",
            "BLPOP l0 0",
            "BLPOP l0 l1 0",
            "BLPOP l1 l0 0",
            "LMOVE l0 l1 $d $d",
            "LMOVE l1 l0 $d $d",
            "EXISTS l0 l1",
        ],
        looks: LISTS,
    },
    // Two keys under watch.
    Theme {
        requests: &[
            "MSET s0 $v s1 $v",
            "MSET s0 $v s1 $v",
            "SET $s $v",
            "GET s0",
            "WATCH s0",
            "WATCH s1",
            "WATCH s0 s1",
        ],
        looks: STRINGS,
    },
    // Keys whose time comes.
    Theme {
        requests: &[
            "SET $s $v PXAT $t",
            "SET $s $v PXAT $t",
            "SET $s $v",
            "PEXPIREAT $s $f",
            "PERSIST $s",
            "GET $s",
            "MGET $s $s $s",
            "EXISTS $s $s",
            "RENAME $s $s",
            "COPY $s $s",
            "GETDEL $s",
        ],
        looks: STRINGS,
    },
];

/// Fills templates in.
struct Words {
    last: u64,
    now_us: u64,
}

impl Words {
    fn fill(&mut self, rng: &mut fastrand::Rng, template: &str) -> String {
        let mut used: Vec<String> = Vec::new();
        let words = template.split(' ').map(|word| match word {
            "$v" => self.fresh(),
            "$i" => format!("{}-0", self.fresh()),
            "$c" => rng.u8(1..8).to_string(),
            "$n" => rng.u8(1..4).to_string(),
            "$k" => rng.u8(..4).to_string(),
            "$d" => if rng.bool() { "LEFT" } else { "RIGHT" }.to_owned(),
            "$t" => (self.now_us / 1000 + rng.u64(1..3)).to_string(),
            "$f" => (self.now_us / 1000 + 1_000_000).to_string(),
            "$" => word.to_owned(),
            _ => match word.strip_prefix('$') {
                None => word.to_owned(),
                Some(kind) => {
                    let of = if kind == "s" { 4 } else { 3 };
                    let all = (0..of).map(|number| format!("{kind}{number}"));
                    let left: Vec<String> = all.filter(|key| !used.contains(key)).collect();
                    used.push(left[rng.usize(..left.len())].clone());
                    used[used.len() - 1].clone()
                }
            },
        });
        words.collect::<Vec<_>>().join(" ")
    }

    /// A number that has not been used.
    fn fresh(&mut self) -> String {
        self.last += 1;
        self.last.to_string()
    }
}

/// How a history comes about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) cores: usize,
    pub(crate) clients: usize,
    /// Calls of each client.
    pub(crate) calls: usize,
    /// A client goes away after this many steps.
    pub(crate) vanishes: Option<Vanishing>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Vanishing {
    pub(crate) client: usize,
    pub(crate) step: usize,
    /// It only closes its half.
    pub(crate) half: bool,
}

impl Plan {
    /// Of a size that finds most, with clients that vanish now and then.
    pub(crate) fn of(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed ^ 0x5eed);
        let clients = rng.usize(3..6);
        let vanishing = Vanishing { client: rng.usize(..clients), step: rng.usize(..150), half: rng.bool() };
        let vanishes = rng.bool().then_some(vanishing);
        Self { cores: rng.usize(1..5), clients, calls: rng.usize(3..11), vanishes }
    }

    /// Plays a history. A seed and a plan give one history, and always the same.
    pub(crate) fn play(self, seed: u64) -> History {
        let record = Record::new(seed, self.cores, self.clients + 1);
        let rng = fastrand::Rng::with_seed(!seed);
        let theme = &THEMES[seed as usize % THEMES.len()];
        let words = Words { last: 0, now_us: 0 };
        let left = vec![self.calls; self.clients];
        let mut play = Play { plan: self, theme, record, rng, words, left, steps: 0 };
        play.run();
        let look = self.clients;
        play.record.ask(look, Call::exec(0, theme.looks));
        play.record.end()
    }
}

/// A history in the making.
struct Play {
    plan: Plan,
    theme: &'static Theme,
    record: Record,
    rng: fastrand::Rng,
    words: Words,
    /// Calls that each client has yet to make.
    left: Vec<usize>,
    steps: usize,
}

impl Play {
    fn run(&mut self) {
        while self.left.iter().any(|&left| left > 0) {
            for client in 0..self.plan.clients {
                self.ask_on(client);
            }
            // Now and then all is quiet, and whoever waits stands in line.
            let rounds = self.rng.usize(1..5);
            for _ in 0..rounds {
                for _ in 0..self.rng.usize(..30) {
                    self.step();
                }
                for client in 0..self.plan.clients {
                    if self.record.is_idle(client) {
                        self.ask_on(client);
                    }
                }
            }
            while self.step() {}
            self.record.note_quiet();
        }
    }

    fn step(&mut self) -> bool {
        let vanishing = self.plan.vanishes.filter(|vanishing| vanishing.step == self.steps);
        if let Some(Vanishing { client, half, .. }) = vanishing {
            if half {
                self.record.close_half(client);
            } else {
                self.record.disconnect(client);
            }
            self.left[client] = 0;
        }
        self.steps += 1;
        self.record.step()
    }

    /// Has a client ask for one to three things, in one go.
    fn ask_on(&mut self, client: usize) {
        let calls = self.rng.usize(1..4).min(self.left[client]);
        self.left[client] -= calls;
        self.words.now_us = self.record.world.now_us();
        for _ in 0..calls {
            let call = self.call();
            self.record.ask(client, call);
        }
    }

    fn call(&mut self) -> Call {
        match self.rng.u8(..16) {
            0..3 => {
                let requests = (0..self.rng.usize(1..5)).map(|_| self.request());
                let block: Vec<String> = requests.filter(|text| Call::new(0, text).may_be_queued()).collect();
                Call::exec(0, &block.iter().map(String::as_str).collect::<Vec<_>>())
            }
            3..5 => {
                let request = self.request();
                let key = request
                    .split(' ')
                    .find(|word| word.len() == 2 && word.as_bytes()[0].is_ascii_lowercase());
                Call::new(0, &format!("WATCH {}", key.unwrap_or("s0")))
            }
            5 => Call::new(0, ["UNWATCH", "DISCARD"][self.rng.usize(..2)]),
            _ => Call::new(0, &self.request()),
        }
    }

    fn request(&mut self) -> String {
        let template = self.theme.requests[self.rng.usize(..self.theme.requests.len())];
        self.words.fill(&mut self.rng, template)
    }
}

/// Plays a history and checks it; a failure shows the shortest beginning of it that nothing explains.
pub(crate) fn play_and_check(plan: Plan, seed: u64) {
    let history = plan.play(seed);
    if let Err(anomaly) = check(&history) {
        panic!("{}", report(&history, anomaly));
    }
}

fn report(history: &History, anomaly: Anomaly) -> String {
    let (history, anomaly) = history.shortest_failing().unwrap_or_else(|| (history.clone(), anomaly));
    let verdict = if anomaly.is_undecided { "too hard to tell" } else { "no row explains" };
    let row = anomaly.row.join("\n");
    format!(
        "{verdict} this history over {} cores:\n{history}as far as it can be explained:\n{row}",
        history.cores
    )
}
