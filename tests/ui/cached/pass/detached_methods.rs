//! Bodies that an executor runs, of methods: what they work on is their own.
#![deny(warnings, missing_docs, unreachable_pub)]

use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use larder::{Local, Status, Task, cached};

/// An object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Client {
    base: String,
    caches: Local,
}

impl Client {
    #[cached(detach, skip(self))]
    async fn shared(self: Arc<Self>, name: &str, words: &[String], (a, mut b): (u8, u8)) -> Result<String, String> {
        b += a;
        let name = std::future::ready(name).await;
        if words.is_empty() {
            return Err(self.base.clone());
        }
        Ok(format!("{}{name}{b}", self.base))
    }

    #[cached(detach)]
    async fn own<'a>(self, name: &'a str, n: &'a u64) -> String {
        let name: &str = name;
        format!("{}{name}{n}", std::future::ready(self.base).await)
    }

    /// With all that can stand beside it.
    #[cached(detach, skip(self), uncached, refresh, status, cache_if = |text| text.len() > 1)]
    pub async fn around(self: Arc<Self>, name: &str) -> String {
        format!("{}{}", self.base, std::future::ready(name).await)
    }

    #[cached(detach, within = self.caches, key(name.trim(): &str))]
    async fn near(self: Arc<Self>, name: String) -> Option<String> {
        std::future::ready(Some(self.base.clone() + &name)).await
    }

    #[cached(detach, force_if = again, key(a))]
    async fn told(a: u8, again: bool) -> Self {
        Self { base: std::future::ready(a.to_string()).await, caches: Local::new() }
    }
}

static TASKS: Mutex<Vec<Task>> = Mutex::new(Vec::new());

fn run<T>(future: impl Future<Output = T> + Send) -> T {
    let mut context = Context::from_waker(Waker::noop());
    let mut future = std::pin::pin!(future);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
        let tasks = std::mem::take(&mut *TASKS.lock().unwrap());
        for mut task in tasks {
            assert!(task.as_mut().poll(&mut context).is_ready());
        }
    }
}

fn main() {
    larder::set_executor(|task| TASKS.lock().unwrap().push(task));
    let client = || Arc::new(Client { base: "b".to_owned(), caches: Local::new() });
    for _ in 0..2 {
        assert_eq!(run(client().shared("n", &["w".to_owned()], (1, 2))), Ok("bn3".to_owned()));
        assert_eq!(run(client().shared("n", &[], (1, 2))), Err("b".to_owned()));
        assert_eq!(run(Client::clone(&client()).own("n", &7)), "bn7");
        assert_eq!(run(client().around("n")), "bn");
        assert_eq!(run(Arc::new(Client::default()).around("m")), "m");
        assert_eq!(run(client().near(" n ".to_owned())).as_deref(), Some("b n "));
        assert_eq!(run(Client::told(1, true)).base, "1");
    }
    assert_eq!(run(client().around_with_status("n")), ("bn".to_owned(), Status::Hit));
    assert_eq!(run(Arc::new(Client::default()).around_with_status("m")).1, Status::Miss);
    assert_eq!((run(client().around_refresh("n")), run(client().around_uncached("n"))), ("bn".into(), "bn".into()));
    assert_eq!(Client::around_cache().len(), 1);
}
