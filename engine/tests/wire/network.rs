//! The network as it is: half-open and reset connections, clients that do not read, thousands at once, values of
//! many megabytes, bytes that are no protocol. Whatever one client does, the others are served.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use bobbin_proto::{Value, encode_command};
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit, setrlimit};

use crate::support::{Client, Server, bobbin, bobbin_with, bobbin_with_files, eventually, oracle};

const MIB: usize = 1 << 20;

fn connect(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", server.port)).expect("the server listens");
    stream.set_read_timeout(Some(Duration::from_mins(1))).expect("a timeout is set");
    stream
}

fn command(args: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    encode_command(&mut out, args);
    out
}

/// Bytes resident in the server's memory.
fn resident(server: &Server) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).expect("the server runs");
    let line = status.lines().find(|line| line.starts_with("VmRSS")).expect("Linux tells it");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<usize>().ok()).expect("a number") * 1024
}

/// Waits until the server serves so many clients.
#[track_caller]
fn until_clients(client: &mut Client, clients: usize) {
    eventually(|| {
        let Value::Bulk(list) = client.run("CLIENT LIST") else { panic!("CLIENT LIST is a bulk") };
        list.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()).count() == clients
    });
}

#[test]
fn a_value_of_many_megabytes_comes_back_whole_from_either_shard() {
    let server = bobbin();
    let mut client = server.connect();
    let value: Vec<u8> = (0..64 * MIB as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    for key in [&b"a"[..], b"b"] {
        assert_eq!(client.call(&[b"SET", key, &value]), Value::Simple(b"OK".to_vec()));
        assert!(client.call(&[b"GET", key]) == Value::Bulk(value.clone()), "the value is another");
        assert_eq!(client.call(&[b"DEL", key]), Value::Int(1));
    }
}

#[test]
fn a_length_that_is_announced_and_never_sent_costs_nothing() {
    let server = bobbin();
    let mut other = server.connect();
    let before = resident(&server);
    let idle: Vec<TcpStream> = (0..100)
        .map(|_| {
            let mut stream = connect(&server);
            stream.write_all(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$500000000\r\nabc").expect("it is sent");
            stream
        })
        .collect();
    assert_eq!(other.run("PING"), Value::Simple(b"PONG".to_vec()));
    until_clients(&mut other, idle.len() + 1);
    assert!(resident(&server) < before + 32 * MIB, "memory was taken for bytes that did not come");
}

#[test]
fn a_client_that_does_not_read_is_no_longer_read_from_and_gets_everything_in_the_end() {
    let server = bobbin();
    let mut other = server.connect();
    let value = vec![b'x'; 64 << 10];
    other.call(&[&b"SET"[..], b"k", &value]);
    // 640 MiB of replies, ten times what is kept for a client that does not read.
    let requests = command(&[b"GET", b"k"]).repeat(10_000);
    let stream = connect(&server);
    let writer = {
        let mut stream = stream.try_clone().expect("a second handle");
        std::thread::spawn(move || stream.write_all(&requests))
    };
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(other.run("PING"), Value::Simple(b"PONG".to_vec()));
    assert!(resident(&server) < 300 * MIB, "{} MiB are held for it", resident(&server) / MIB);
    let reply = [b"$65536\r\n", &value[..], b"\r\n"].concat();
    let (mut reader, mut got) = (std::io::BufReader::with_capacity(MIB, stream), vec![0; reply.len()]);
    for index in 0..10_000 {
        reader.read_exact(&mut got).expect("every reply comes");
        assert!(got == reply, "reply {index} is another");
    }
    writer.join().expect("no panic").expect("every request is read in the end");
}

#[test]
fn a_client_over_its_output_limit_is_cut_off_and_nobody_else() {
    let server = bobbin_with(&["--client-output-buffer-limit", "normal", "1mb", "0", "0"]);
    let mut other = server.connect();
    other.call(&[&b"SET"[..], b"k", &vec![b'x'; 4 * MIB]]);
    let mut stream = connect(&server);
    stream.write_all(&command(&[b"GET", b"k"]).repeat(4)).expect("it is sent");
    until_clients(&mut other, 1);
    assert_eq!(other.run("PING"), Value::Simple(b"PONG".to_vec()));
}

/// The beginning of a request whose last argument is announced to be longer than it will ever be.
fn half_request(len: usize) -> Vec<u8> {
    let mut bytes = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$90000000\r\n".to_vec();
    bytes.resize(len, b'x');
    bytes
}

/// Sends what the server may not want to the end. Who closes a socket whose window is full is found out by the kernel's
/// probes, which take their time: nobody waits for that.
fn send_aside(stream: &TcpStream, bytes: Vec<u8>) {
    let mut stream = stream.try_clone().expect("a second handle");
    std::thread::spawn(move || stream.write_all(&bytes));
}

/// A figure of INFO stats.
fn figure(client: &mut Client, name: &str) -> u64 {
    let Value::Bulk(info) = client.run("INFO stats") else { panic!("no text") };
    let info = String::from_utf8(info).expect("text");
    let line = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {name}: {info}"))
}

#[test]
fn a_client_over_its_query_limit_is_cut_off_and_nobody_else() {
    let server = bobbin_with(&["--client-query-buffer-limit", "1mb"]);
    let mut other = server.connect();
    let stream = connect(&server);
    send_aside(&stream, half_request(8 * MIB));
    until_clients(&mut other, 1);
    // It is refused for what it announces, or for what it has sent.
    let refused = ["protocol_errors", "client_query_buffer_limit_disconnections"];
    assert_eq!(refused.map(|name| figure(&mut other, name)).iter().sum::<u64>(), 1);
}

#[test]
fn of_clients_that_take_too_much_together_the_largest_are_cut_off() {
    let server = bobbin_with(&["--maxmemory-clients", "4mb"]);
    let mut other = server.connect();
    let mut small: Vec<TcpStream> = (0..4).map(|_| connect(&server)).collect();
    small.iter_mut().for_each(|stream| stream.write_all(&half_request(64 << 10)).expect("it is sent"));
    let large: Vec<TcpStream> = (0..4).map(|_| connect(&server)).collect();
    large.iter().for_each(|stream| send_aside(stream, half_request(8 * MIB)));
    eventually(|| figure(&mut other, "evicted_clients") == large.len() as u64);
    until_clients(&mut other, 1 + small.len());
}

#[test]
fn a_client_that_sends_byte_by_byte_is_answered_and_holds_up_nobody() {
    let server = bobbin();
    let (mut slow, mut other) = (connect(&server), server.connect());
    for byte in command(&[b"SET", b"k", b"a value that comes slowly"]) {
        slow.write_all(&[byte]).expect("it is sent");
        assert_eq!(other.run("PING"), Value::Simple(b"PONG".to_vec()));
    }
    let mut reply = [0; 5];
    slow.read_exact(&mut reply).expect("it is answered");
    assert_eq!(&reply, b"+OK\r\n");
}

#[test]
fn clients_that_come_and_go_by_the_thousand_leave_the_others_served() {
    let server = bobbin();
    let mut other = server.connect();
    std::thread::scope(|scope| {
        let storms: Vec<_> =
            (0..4).map(|_| scope.spawn(|| (0..1000).for_each(|_| drop(connect(&server))))).collect();
        let mut served = 0;
        while storms.iter().any(|storm| !storm.is_finished()) || served == 0 {
            assert_eq!(other.run("INCR served"), Value::Int(served + 1));
            served += 1;
        }
    });
    until_clients(&mut other, 1);
}

/// Whether a connection gets its PONG. One that is refused may be closed before it asks.
fn is_served(stream: &mut TcpStream) -> bool {
    let _ = stream.write_all(b"PING\r\n");
    let mut first = [0];
    stream.read_exact(&mut first).is_ok() && &first == b"+"
}

/// Has all reactors stand still for two seconds; `asked` has asked for a PONG then.
fn stand_still(other: &mut Client, asked: &mut Client) {
    other.send(&["DEBUG", "SLEEP", "2"]).expect("it is sent");
    asked.send(&["PING"]).expect("it is sent");
    while !asked.is_silent() {
        asked.read();
        asked.send(&["PING"]).expect("it is sent");
    }
}

/// While the reactors stand still connections pile up, more than there are descriptors: the listener rests until some are
/// free again.
#[test]
fn more_connections_at_once_than_descriptors_are_all_dealt_with() {
    const FILES: u32 = 64;
    let server = bobbin_with_files(FILES, &["--enable-debug-command", "yes"]);
    let (mut other, mut asked) = (server.connect(), server.connect());
    stand_still(&mut other, &mut asked);
    let mut streams: Vec<TcpStream> = (0..4 * FILES).map(|_| connect(&server)).collect();
    let served = streams.iter_mut().filter_map(|stream| is_served(stream).then_some(())).count();
    assert!((1..FILES as usize).contains(&served), "{served} of {} were served", streams.len());
    drop(streams);
    assert_eq!(other.read(), Value::Simple(b"OK".to_vec()));
    until_clients(&mut other, 2);
    assert_eq!(server.connect().run("PING"), Value::Simple(b"PONG".to_vec()));
}

/// User and system time of a process so far.
fn cpu_time(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    let fields = stat.rsplit_once(')').expect("a name in brackets").1.split_ascii_whitespace();
    let ticks: u64 = fields.skip(11).take(2).map(|field| field.parse::<u64>().expect("a number")).sum();
    Duration::from_millis(1000 * ticks / rustix::param::clock_ticks_per_second())
}

/// Connections pile up while the reactors stand still, and the limit on descriptors falls meanwhile: nobody gets in. That
/// costs next to nothing, is told of once, and ends with the limit.
#[test]
fn a_server_out_of_descriptors_serves_who_is_there_and_does_not_spin() {
    const FILES: u32 = 64;
    const WANT: &str = "cannot accept connections";
    let server = bobbin_with_files(FILES, &["--enable-debug-command", "yes"]);
    let (mut other, mut asked) = (server.connect(), server.connect());
    stand_still(&mut other, &mut asked);
    let pid = Pid::from_raw(server.pid().cast_signed()).expect("it runs");
    let limit = |current: u32| {
        let limits = Rlimit { current: Some(current.into()), maximum: Some(FILES.into()) };
        prlimit(Some(pid), Resource::Nofile, limits).expect("the child is ours");
    };
    let streams: Vec<TcpStream> = (0..4 * FILES).map(|_| connect(&server)).collect();
    limit(3);
    eventually(|| server.log().contains(WANT));
    assert_eq!(other.read(), Value::Simple(b"OK".to_vec()));
    let mut late = server.connect();
    late.send(&["PING"]).expect("the kernel takes it");
    let (began, used) = (Instant::now(), cpu_time(server.pid()));
    while began.elapsed() < Duration::from_secs(1) {
        assert!(late.is_silent(), "somebody got in");
    }
    let share = cpu_time(server.pid()).saturating_sub(used).as_secs_f64() / began.elapsed().as_secs_f64();
    assert!(share < 0.05, "{share} of a core for nothing");
    assert_eq!(asked.read(), Value::Simple(b"PONG".to_vec()));
    assert_eq!(other.run("PING"), Value::Simple(b"PONG".to_vec()));
    drop((streams, late));
    limit(FILES);
    // Those that have gone away meanwhile come first out of the backlog, and may be more than are allowed.
    eventually(|| is_served(&mut connect(&server)));
    assert_eq!(server.log().matches(WANT).count(), 1, "{}", server.log());
}

#[test]
fn connections_that_are_reset_in_the_middle_leave_nothing_behind() {
    let server = bobbin();
    let mut other = server.connect();
    let request = command(&[b"MSET", b"a", b"1", b"b", b"2", b"c", b"3"]).repeat(20);
    for round in 0..200 {
        let mut stream = connect(&server);
        let cut = (round * 7919) % request.len();
        stream.write_all(&request[..cut]).expect("it is sent");
        // Closed with a reset, not with a farewell.
        rustix::net::sockopt::set_socket_linger(stream.as_fd(), Some(Duration::ZERO)).expect("linger is set");
    }
    until_clients(&mut other, 1);
    assert_eq!(other.run("MSET a 1 b 2 c 3"), Value::Simple(b"OK".to_vec()));
}

#[test]
fn a_client_that_closes_its_half_still_lets_go_of_its_connection() {
    let server = bobbin();
    let mut other = server.connect();
    let stream = connect(&server);
    stream.shutdown(std::net::Shutdown::Write).expect("it is shut");
    until_clients(&mut other, 1);
}

/// `printf … | nc -N`: all that came before the end is run and answered, whichever shards it takes.
#[test]
fn what_a_client_sent_before_it_closed_its_half_is_answered() {
    let (bobbin, redis) = (bobbin(), oracle());
    let mset = command(&[b"MSET", b"a", b"1", b"b", b"2", b"c", b"3", b"d", b"4"]);
    let get = |key: &[u8]| command(&[b"GET", key]);
    let mget = command(&[b"MGET", b"d", b"c", b"b", b"a"]);
    let singles = [get(b"a"), get(b"b"), get(b"c"), get(b"d")].concat();
    let cases =
        [command(&[b"PING"]), singles.repeat(100), [mset, singles, mget, b"PING\r\nPIN".to_vec()].concat()];
    for case in cases.iter().cycle().take(30) {
        let replies = |server: &Server| {
            let mut stream = connect(server);
            stream.write_all(case).expect("it is sent");
            stream.shutdown(std::net::Shutdown::Write).expect("it is shut");
            let mut replies = Vec::new();
            stream.read_to_end(&mut replies).expect("the connection ends");
            replies.escape_ascii().to_string()
        };
        assert_eq!(replies(&bobbin), replies(&redis));
    }
}

#[test]
fn ten_thousand_connections_are_served_at_once() {
    const CONNECTIONS: usize = 9_900;
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })
        .expect("the hard limit");
    let room = limit.maximum.map_or(usize::MAX, |most| most as usize);
    assert!(
        room > CONNECTIONS + 1000,
        "the test needs {CONNECTIONS} descriptors (ulimit -Hn), it has {room}"
    );
    let server = bobbin();
    let mut streams: Vec<TcpStream> = (0..CONNECTIONS).map(|_| connect(&server)).collect();
    // Twice all of the receive buffers together, so that they run out.
    let value = vec![b'v'; 800];
    for (index, stream) in streams.iter_mut().enumerate() {
        stream.write_all(&command(&[b"SET", format!("key:{index}").as_bytes(), &value])).expect("it is sent");
    }
    for stream in &mut streams {
        let mut reply = [0; 5];
        stream.read_exact(&mut reply).expect("every client is answered");
        assert_eq!(&reply, b"+OK\r\n");
    }
    assert_eq!(server.connect().run("DBSIZE"), Value::Int(CONNECTIONS as i64));
}

#[test]
fn more_data_at_once_than_there_are_receive_buffers_arrives() {
    let server = bobbin();
    let value = vec![b'v'; 256 << 10];
    let request = command(&[b"SET", b"k", &value]);
    std::thread::scope(|scope| {
        for _ in 0..100 {
            scope.spawn(|| {
                let mut stream = connect(&server);
                stream.write_all(&request).expect("it is read");
                let mut reply = [0; 5];
                stream.read_exact(&mut reply).expect("it is answered");
                assert_eq!(&reply, b"+OK\r\n");
            });
        }
    });
}

#[test]
fn more_clients_than_allowed_are_told_so() {
    let server = bobbin_with(&["--maxclients", "5"]);
    let mut clients = vec![server.connect()];
    // Whoever asked whether the server is up is gone by then.
    until_clients(&mut clients[0], 1);
    clients.extend((1..5).map(|_| server.connect()));
    for client in &mut clients {
        assert_eq!(client.run("PING"), Value::Simple(b"PONG".to_vec()));
    }
    let mut refused = server.connect();
    assert_eq!(refused.read(), Value::Error(b"ERR max number of clients reached".to_vec()));
    assert!(refused.is_closed());
    drop(clients.pop());
    until_clients(&mut clients[0], 4);
    assert_eq!(server.connect().run("PING"), Value::Simple(b"PONG".to_vec()));
}

#[test]
fn bytes_that_are_no_protocol_get_redis_s_error_and_an_end() {
    let (bobbin, redis) = (bobbin(), oracle());
    let cases: [&[u8]; 11] = [
        b"*1\r\n!4\r\nPING\r\n",
        b"*1\r\n$-5\r\n",
        b"*1\r\n$536870913\r\n",
        b"*1\r\n$x\r\n",
        b"*2147483648\r\n",
        b"*x\r\n",
        b"*99999999999999999999\r\n",
        b"PING \"unbalanced\r\n",
        b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n:5\r\n",
        b"PING\r\n*1\r\n$x\r\n",
        b"*1\r\n$0\r\n\r\n*1\r\n$4\r\nQUIT\r\n",
    ];
    for case in cases {
        let reply = |server: &Server| {
            let mut stream = connect(server);
            stream.write_all(case).expect("it is sent");
            let mut reply = Vec::new();
            stream.read_to_end(&mut reply).expect("the connection ends");
            reply
        };
        let (ours, theirs) = (reply(&bobbin), reply(&redis));
        assert_eq!(
            ours.escape_ascii().to_string(),
            theirs.escape_ascii().to_string(),
            "{}",
            case.escape_ascii()
        );
    }
}

#[test]
fn random_bytes_harm_nobody() {
    let server = bobbin();
    let mut other = server.connect();
    let mut rng = fastrand::Rng::with_seed(7);
    let words: [&[u8]; 8] = [b"*", b"$", b"\r\n", b"3", b"SET", b"-1", b"\"", b"k"];
    for _ in 0..300 {
        let mut bytes = Vec::new();
        for _ in 0..rng.usize(1..40) {
            match rng.u8(..3) {
                0 => bytes.push(rng.u8(..)),
                _ => bytes.extend_from_slice(words[rng.usize(..words.len())]),
            }
        }
        // The server may have closed it already.
        let _ = connect(&server).write_all(&bytes);
    }
    assert_eq!(other.run("PING"), Value::Simple(b"PONG".to_vec()));
    until_clients(&mut other, 1);
}

#[test]
fn a_unix_socket_serves_as_well() {
    let dir = tempfile::TempDir::new().expect("a directory");
    let path = dir.path().join("bobbin.sock");
    let server =
        bobbin_with(&["--unixsocket", path.to_str().expect("the path is text"), "--unixsocketperm", "700"]);
    let mut stream = std::os::unix::net::UnixStream::connect(&path).expect("the socket is there");
    stream.write_all(&command(&[b"PING"])).expect("it is sent");
    let mut reply = [0; 7];
    stream.read_exact(&mut reply).expect("it is answered");
    assert_eq!(&reply, b"+PONG\r\n");
    drop(server);
}
