//! A web server that receives what lamplighter sends, and fails when it is told to.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver as Arrivals, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is answered with this status.
    Status(u16),
    /// It is never answered.
    Silence,
}

/// A request that was answered.
#[derive(Clone, Debug)]
pub struct Request {
    pub path: String,
    /// By name in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: String,
    pub status: u16,
}

impl Request {
    /// Its body as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

/// A server on a port of its own.
pub struct Receiver {
    address: SocketAddr,
    shared: Arc<Shared>,
    arrivals: Arrivals<()>,
}

#[derive(Default)]
struct Shared {
    answers: Mutex<VecDeque<Answer>>,
    requests: Mutex<Vec<Request>>,
}

impl Receiver {
    /// One that answers the first requests so, and all others with 200.
    pub fn answering(answers: &[Answer]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared::default());
        shared.lock_answers().extend(answers);
        let (arrived, arrivals) = channel();
        let serving = shared.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (shared, arrived) = (serving.clone(), arrived.clone());
                thread::spawn(move || shared.serve(stream, &arrived));
            }
        });
        Self {
            address,
            shared,
            arrivals,
        }
    }

    /// Its URL.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Waits until a request has come that is not answered yet.
    pub fn wait_for_arrival(&self) {
        self.arrivals.recv().expect("a server");
    }

    /// Says how the next requests are answered.
    pub fn answer(&self, answers: &[Answer]) {
        self.shared.lock_answers().extend(answers);
    }

    /// All requests that were answered so far.
    pub fn requests(&self) -> Vec<Request> {
        let requests = self.shared.requests.lock();
        requests.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Those that were taken.
    pub fn taken(&self) -> Vec<Request> {
        let mut requests = self.requests();
        requests.retain(|request| request.status == 200);
        requests
    }
}

impl Shared {
    fn lock_answers(&self) -> std::sync::MutexGuard<'_, VecDeque<Answer>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, stream: TcpStream, arrived: &Sender<()>) {
        let mut reader = BufReader::new(stream);
        let Some(mut request) = read(&mut reader) else {
            return;
        };
        let answer = self.lock_answers().pop_front();
        // Nobody need wait for it.
        let _ = arrived.send(());
        match answer.unwrap_or(Answer::Status(200)) {
            Answer::Silence => {
                // Until the other side has gone.
                let _ = reader.read_to_end(&mut Vec::new());
            }
            Answer::Status(status) => {
                request.status = status;
                // Noted first: who hears the answer may look at once.
                let requests = self.requests.lock();
                requests
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(request);
                let answer = format!(
                    "HTTP/1.1 {status} Told\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
                );
                let _ = reader.get_mut().write_all(answer.as_bytes());
            }
        }
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let path = words.nth(1)?.to_owned();
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim().split_once(':') else {
            break;
        };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let length: usize = headers
        .get("content-length")
        .and_then(|length| length.parse().ok())
        .unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request {
        path,
        headers,
        body: String::from_utf8(body).ok()?,
        status: 0,
    })
}
