use std::fs;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::harness::Ended;
use crate::harness::flights_on_postgres::{DATE, Flights};
use crate::harness::postgres::cluster;

/// Stands between client and server. Of some commits it keeps the answer: the server has
/// committed, and the client is disconnected before it hears so.
struct Proxy {
    kept: Arc<AtomicUsize>,
}

/// Whether to keep the answer to a connection's COMMIT; it is told whether rows were copied since
/// the one before.
type Choice = dyn FnMut(bool) -> bool + Send;

impl Proxy {
    /// One that listens in `directory` as a server of port 5432 does.
    fn start(directory: &Path, choose: Box<Choice>) -> Self {
        let listener = UnixListener::bind(directory.join(".s.PGSQL.5432")).expect("a socket");
        let server = cluster()
            .socket_directory()
            .join(format!(".s.PGSQL.{}", cluster().port()));
        let kept = Arc::new(AtomicUsize::new(0));
        let choose = Arc::new(Mutex::new(choose));
        let count = kept.clone();
        thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.expect("a client");
                forward(client, &server, choose.clone(), count.clone());
            }
        });
        Self { kept }
    }
}

fn forward(
    client: UnixStream,
    server: &PathBuf,
    choose: Arc<Mutex<Box<Choice>>>,
    kept: Arc<AtomicUsize>,
) {
    let server = UnixStream::connect(server).expect("the server");
    let is_kept = Arc::new(AtomicBool::new(false));
    let (from_client, to_server) = (client.try_clone(), server.try_clone());
    let (mut from_client, mut to_server) = (from_client.expect("a clone"), to_server.expect("one"));
    let keep = is_kept.clone();
    thread::spawn(move || {
        // That either side goes away is no fault of the proxy's.
        let _ = questions(&mut from_client, &mut to_server, &keep, &choose);
        let _ = to_server.shutdown(Shutdown::Both);
    });
    thread::spawn(move || {
        let _ = answers(server, &client, &is_kept, &kept);
        let _ = client.shutdown(Shutdown::Both);
    });
}

/// Passes messages on: a type, the length of the rest, the rest. The first has no type.
fn questions(
    client: &mut UnixStream,
    server: &mut UnixStream,
    keep: &AtomicBool,
    choose: &Mutex<Box<Choice>>,
) -> io::Result<()> {
    let mut has_type = false;
    let mut copied = false;
    loop {
        let mut message = vec![0; if has_type { 5 } else { 4 }];
        client.read_exact(&mut message)?;
        let length = message[message.len() - 4..].try_into().expect("4 bytes");
        let mut rest = vec![0; u32::from_be_bytes(length) as usize - 4];
        client.read_exact(&mut rest)?;
        if has_type && message[0] == b'd' {
            copied = true;
        }
        if has_type && message[0] == b'Q' && rest == b"COMMIT\0" {
            let chosen = (choose.lock().expect("a choice"))(copied);
            keep.store(chosen, Ordering::SeqCst);
            copied = false;
        }
        has_type = true;
        message.extend(rest);
        server.write_all(&message)?;
    }
}

fn answers(
    mut server: UnixStream,
    mut client: &UnixStream,
    keep: &AtomicBool,
    kept: &AtomicUsize,
) -> io::Result<()> {
    let mut bytes = vec![0; 64 * 1024];
    loop {
        let length = server.read(&mut bytes)?;
        // Nothing was under way when COMMIT was sent: this is the answer to it.
        if keep.load(Ordering::SeqCst) {
            assert!(bytes[..length].starts_with(b"C"), "it was committed");
            kept.fetch_add(1, Ordering::SeqCst);
            return Ok(());
        }
        if length == 0 {
            return Ok(());
        }
        client.write_all(&bytes[..length])?;
    }
}

/// A run of the flights through a proxy that keeps these answers; says how many it kept.
fn run_through(choose: Box<Choice>) -> (Flights, usize) {
    let flights = Flights::new();
    let directory = flights.workspace.path("proxy");
    fs::create_dir(&directory).expect("a directory");
    let proxy = Proxy::start(&directory, choose);
    let (name, place) = (flights.database.name(), directory.display());
    let url = format!("postgres:///{name}?host={place}&port=5432&user=postgres");
    let mut command = flights.run_at(&url, DATE, 2000, &["--set", "run.lease=2s"]);
    Ended::of(&mut command).expect(0);
    flights.check(DATE);
    (flights, proxy.kept.load(Ordering::SeqCst))
}

#[test]
fn a_shard_whose_commit_was_not_heard_of_is_written_once() {
    let mut left = 3;
    let (flights, kept) = run_through(Box::new(move |copied| {
        let chosen = copied && left > 0;
        left -= i32::from(chosen);
        chosen
    }));
    assert_eq!(kept, 3);
    // It was asked for, and not scored anew.
    assert_eq!(flights.value("SELECT max(epoch) FROM shards"), "1");
}

#[test]
fn whichever_commit_is_not_heard_of_the_run_is_planned_scored_and_finished_once() {
    for offset in 0..3 {
        let mut number = 0;
        let (flights, kept) = run_through(Box::new(move |_| {
            number += 1;
            number % 3 == offset
        }));
        assert!(kept > 10, "only {kept} answers were kept");
        assert_eq!(
            flights.value("SELECT string_agg(exit_code::text, ',') FROM run_attempts"),
            "0",
            "one process, one attempt"
        );
        let counts = "SELECT count(*) || ' ' || (SELECT count(*) FROM reports) FROM publications";
        assert_eq!(flights.value(counts), "1 1");
    }
}
