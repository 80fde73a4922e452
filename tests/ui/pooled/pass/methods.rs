//! Methods and associated functions that make objects.

use larder::{Pooled, Weigh, pooled};

#[derive(Weigh)]
pub struct Conn(String);

#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Server {
    host: String,
    port: u16,
}

impl Server {
    /// All of `self` is in the key.
    #[pooled(max = 4)]
    pub fn connect(&self, database: &str) -> Pooled<Conn> {
        Conn(format!("{}:{}/{database}", self.host, self.port))
    }

    /// What the object depends on, and no more.
    #[pooled(key(self.host.as_str(): &str))]
    pub fn resolver(&self) -> Result<Pooled<Conn>, String> {
        if self.host.is_empty() { Err("no host".to_owned()) } else { Ok(Conn(self.host.clone())) }
    }

    #[pooled(skip(self), reset = |conn| !conn.0.is_empty())]
    pub async fn later(&self, (a, b): (u32, u32), mut n: u32) -> Pooled<Conn> {
        n += a + b;
        Conn(n.to_string())
    }

    #[pooled]
    pub fn of(host: &str) -> Pooled<Self> {
        Self { host: host.to_owned(), port: 80 }
    }

    #[pooled(assoc)]
    pub fn nobody(n: u8) -> Pooled<Vec<u8>> {
        vec![n]
    }

    /// Not `pub`, so it could be a trait's: nothing stands beside it.
    #[pooled]
    fn hidden(self, n: u16) -> Option<Pooled<Conn>> {
        (self.port != n).then(|| Conn(self.host))
    }
}

trait Connect {
    fn connect_to(&self, n: u32) -> Pooled<Conn>;
}

impl Connect for Server {
    #[pooled]
    fn connect_to(&self, n: u32) -> Pooled<Conn> {
        Conn(format!("{} {n}", self.host))
    }
}

pub struct Of<T>(T);

impl<T: larder::CacheKey + ToString> Of<T> {
    #[pooled(key(&self.0: &T))]
    pub fn text(&self) -> Pooled<String> {
        self.0.to_string()
    }
}

fn main() {
    let server = Server { host: "here".to_owned(), port: 7 };
    let other = Server { port: 8, ..server.clone() };
    drop((server.connect("a"), other.connect("a")));
    let (again, once_more) = (server.connect("a"), other.connect("a"));
    assert_eq!((&*again.0, &*once_more.0), ("here:7/a", "here:8/a"));
    assert_eq!(Server::connect_pool().stats().entries, 2);

    assert_eq!(server.resolver().expect("a resolver").0, "here");
    assert_eq!(other.resolver().expect("a resolver").0, "here");
    assert_eq!(Server::resolver_pool().stats().hits, 1, "both have the same host");

    assert_eq!(&*Server::of("there").host, "there");
    assert_eq!(*Server::nobody(3), [3]);
    assert!(server.clone().hidden(7).is_none());
    assert_eq!(server.clone().hidden(9).expect("a connection").0, "here");
    drop(server.later((1, 2), 3));

    assert_eq!((&*server.connect_to(1).0, &*server.connect_to(2).0), ("here 1", "here 2"));
    assert_eq!((&**Of(3_u8).text(), &**Of("x".to_owned()).text()), ("3", "x"));
    assert_eq!(Of::<u8>::text_pool().idle(), 1, "a pool for each type");
    assert_eq!(Of::<u8>::text_pool().stats().entries, 2, "one row for all of them");
}
