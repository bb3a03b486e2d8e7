//! A web server with one page. It answers each request with a page about that request, and closes.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

/// The parts of a request that the page shows.
pub struct Request {
    /// The client's address, as the server sees it.
    pub peer: SocketAddr,
    /// The value of the `Host` field, which is the address that the browser dialled. It is safe in HTML.
    pub host: String,
}

/// Answers the clients of `listener` with the HTML that `page` makes, until the process ends.
pub fn serve(listener: TcpListener, page: impl Fn(&Request) -> String + Clone + Send + 'static) {
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let page = page.clone();
            // A browser may close in the middle of its request. That is no fault of the server.
            thread::spawn(move || drop(answer(&client, page)));
        }
    });
}

/// Requests the page of the server at `address`, and returns the body.
pub fn fetch(address: &str) -> io::Result<String> {
    let mut server = TcpStream::connect(address)?;
    server.set_read_timeout(Some(TIMEOUT))?;
    write!(server, "GET / HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
    let mut answer = String::new();
    server.read_to_string(&mut answer)?;
    match answer.split_once("\r\n\r\n") {
        Some((head, body)) if head.starts_with("HTTP/1.0 200 ") => Ok(body.to_owned()),
        _ => Err(io::Error::new(
            ErrorKind::InvalidData,
            "the answer is not a page",
        )),
    }
}

fn answer(mut client: &TcpStream, page: impl Fn(&Request) -> String) -> io::Result<()> {
    client.set_read_timeout(Some(TIMEOUT))?;
    let head = BufReader::new(client.take(HEAD_MAX))
        .lines()
        .take_while(|line| !matches!(line.as_deref(), Ok("")));
    let head = head.collect::<io::Result<Vec<String>>>()?;
    let body = page(&Request {
        peer: client.peer_addr()?,
        host: host(&head),
    });
    write!(
        client,
        "HTTP/1.0 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n"
    )?;
    write!(
        client,
        "Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

fn host(head: &[String]) -> String {
    let fields = head.iter().filter_map(|line| line.split_once(':'));
    let host = fields
        .filter(|(name, _)| name.eq_ignore_ascii_case("host"))
        .map(|(_, value)| value.trim())
        .next();
    host.unwrap_or("an address it did not tell")
        .replace('&', "&amp;")
        .replace('<', "&lt;")
}

const HEAD_MAX: u64 = 16 * 1024;
const TIMEOUT: Duration = Duration::from_secs(10);
