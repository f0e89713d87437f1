//! What may stand between a client and Postgres, and keep what passes from either.

use std::fs;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::Workspace;
use super::postgres::{Database, cluster};

/// A message of a client's.
pub struct Message<'a> {
    /// Its type; the first of a connection has none.
    pub kind: Option<u8>,
    pub body: &'a [u8],
    /// Whether rows were copied since the last COMMIT.
    pub copied: bool,
}

impl Message<'_> {
    pub fn is_commit(&self) -> bool {
        self.kind == Some(b'Q') && self.body == b"COMMIT\0"
    }
}

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    Pass,
    /// It is passed on; the client is disconnected when the answer comes.
    KeepAnswer,
    /// Neither it nor anything after it passes, in either direction or on any connection.
    FallSilent,
    /// The same, but it is the last to pass.
    PassAndFallSilent,
}

/// Decides what becomes of each message.
pub type Choice = dyn FnMut(&Message<'_>) -> Then + Send;

/// A server's socket, with the server somewhere behind it.
pub struct Proxy {
    directory: PathBuf,
    shared: Arc<Shared>,
}

struct Shared {
    choose: Mutex<Box<Choice>>,
    kept: AtomicUsize,
    silent: AtomicBool,
    /// Both ends of each connection.
    open: Mutex<Vec<UnixStream>>,
}

impl Proxy {
    /// One before the shared cluster, with its socket in the workspace.
    pub fn start(workspace: &Workspace, choose: Box<Choice>) -> Self {
        let directory = workspace.path("proxy");
        fs::create_dir(&directory).expect("a directory");
        let listener = UnixListener::bind(directory.join(".s.PGSQL.5432")).expect("a socket");
        let server = cluster()
            .socket_directory()
            .join(format!(".s.PGSQL.{}", cluster().port()));
        let shared = Arc::new(Shared {
            choose: Mutex::new(choose),
            kept: AtomicUsize::new(0),
            silent: AtomicBool::new(false),
            open: Mutex::default(),
        });
        let forwarding = shared.clone();
        thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.expect("a client");
                let server = UnixStream::connect(&server).expect("the server");
                forwarding.forward(client, server);
            }
        });
        Self { directory, shared }
    }

    /// The way to a database that leads through it.
    pub fn url(&self, database: &Database) -> String {
        let (name, place) = (database.name(), self.directory.display());
        format!("postgres:///{name}?host={place}&port=5432&user=postgres")
    }

    /// Answers that it kept.
    pub fn kept(&self) -> usize {
        self.shared.kept.load(Ordering::SeqCst)
    }

    /// Whether it has fallen silent.
    pub fn is_silent(&self) -> bool {
        self.shared.silent.load(Ordering::SeqCst)
    }

    /// Ends the silence, and every connection with it.
    pub fn hang_up(&self) {
        for end in lock(&self.shared.open).drain(..) {
            // Whoever has gone already needs no farewell.
            let _ = end.shutdown(Shutdown::Both);
        }
        self.shared.silent.store(false, Ordering::SeqCst);
    }
}

impl Shared {
    fn forward(self: &Arc<Self>, mut client: UnixStream, mut server: UnixStream) {
        let clone = |stream: &UnixStream| stream.try_clone().expect("a clone");
        let (mut from_client, mut to_server) = (clone(&client), clone(&server));
        lock(&self.open).extend([clone(&client), clone(&server)]);
        let keep = Arc::new(AtomicBool::new(false));
        let (questions, keeping) = (self.clone(), keep.clone());
        thread::spawn(move || {
            // That either side goes away is no fault of the proxy's.
            let _ = questions.questions(&mut from_client, &mut to_server, &keeping);
            let _ = to_server.shutdown(Shutdown::Both);
        });
        let answers = self.clone();
        thread::spawn(move || {
            let _ = answers.answers(&mut server, &mut client, &keep);
            let _ = client.shutdown(Shutdown::Both);
        });
    }

    /// Passes messages on: a type, the length of the rest, the rest. The first has no type.
    fn questions(
        &self,
        client: &mut UnixStream,
        server: &mut UnixStream,
        keep: &AtomicBool,
    ) -> io::Result<()> {
        let mut has_type = false;
        let mut copied = false;
        loop {
            let mut message = vec![0; if has_type { 5 } else { 4 }];
            client.read_exact(&mut message)?;
            let length = message[message.len() - 4..].try_into().expect("4 bytes");
            let mut body = vec![0; u32::from_be_bytes(length) as usize - 4];
            client.read_exact(&mut body)?;
            if self.silent.load(Ordering::SeqCst) {
                continue;
            }
            let kind = has_type.then_some(message[0]);
            copied |= kind == Some(b'd');
            let told = Message {
                kind,
                body: &body,
                copied,
            };
            let is_commit = told.is_commit();
            let then = lock(&self.choose)(&told);
            copied &= !is_commit;
            has_type = true;
            keep.store(then == Then::KeepAnswer, Ordering::SeqCst);
            if matches!(then, Then::FallSilent | Then::PassAndFallSilent) {
                self.silent.store(true, Ordering::SeqCst);
            }
            if then != Then::FallSilent {
                message.extend(body);
                server.write_all(&message)?;
            }
        }
    }

    fn answers(
        &self,
        server: &mut UnixStream,
        client: &mut UnixStream,
        keep: &AtomicBool,
    ) -> io::Result<()> {
        let mut bytes = vec![0; 64 * 1024];
        loop {
            let length = server.read(&mut bytes)?;
            if length == 0 {
                return Ok(());
            }
            if self.silent.load(Ordering::SeqCst) {
                continue;
            }
            // Nothing was under way when COMMIT was sent: this is the answer to it.
            if keep.load(Ordering::SeqCst) {
                assert!(bytes[..length].starts_with(b"C"), "it was committed");
                self.kept.fetch_add(1, Ordering::SeqCst);
                return Ok(());
            }
            client.write_all(&bytes[..length])?;
        }
    }
}

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
