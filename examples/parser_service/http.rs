//! As much HTTP/1.1 as the example's clients and its service say to each other: a head, a `Content-Length`, a body, over a
//! connection that stays open.

use std::io::{self, BufRead, Write};

/// Most bytes of a body.
const LONGEST: usize = 1 << 20;

/// Reads a request's body; `false` when the client hung up.
pub(crate) fn read_request(reader: &mut impl BufRead, body: &mut Vec<u8>) -> io::Result<bool> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(false);
    }
    read_body(reader, body)?;
    Ok(true)
}

/// Reads what follows the first line.
fn read_body(reader: &mut impl BufRead, body: &mut Vec<u8>) -> io::Result<()> {
    let mut length = 0;
    let mut line = String::new();
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let header = line.trim_end();
        if header.is_empty() {
            break;
        }
        if let Some((name, value)) = header.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            let value = value.trim().parse().ok().filter(|length| *length <= LONGEST);
            length = value.ok_or(io::ErrorKind::InvalidData)?;
        }
    }
    body.resize(length, 0);
    reader.read_exact(body)
}

pub(crate) fn respond(writer: &mut impl Write, status: &str, body: &str) -> io::Result<()> {
    let length = body.len();
    // In one write, so that it is one packet.
    writer.write_all(format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{body}").as_bytes())
}

pub(crate) fn request(writer: &mut impl Write, body: &str) -> io::Result<()> {
    let length = body.len();
    let head = format!("POST /evaluate HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n");
    writer.write_all((head + body).as_bytes())
}

/// The status and the body of a response.
pub(crate) fn read_response(reader: &mut impl BufRead) -> io::Result<(String, String)> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let status = line.trim_end().strip_prefix("HTTP/1.1 ").ok_or(io::ErrorKind::InvalidData)?.to_owned();
    let mut body = Vec::new();
    read_body(reader, &mut body)?;
    let body = String::from_utf8(body).map_err(|_| io::ErrorKind::InvalidData)?;
    Ok((status, body))
}
