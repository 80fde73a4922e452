//! Decisions about memory as events of `tracing`: their levels and fields, and listeners that use caches themselves. A process of
//! its own, because what listens is known to all threads.
#![cfg(feature = "tracing")]

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use larder::{Cache, Domain, testing::FixedPressure};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

const MB: u64 = 1 << 20;

/// Level and fields of one event.
type Told = (Level, BTreeMap<&'static str, String>);

#[derive(Clone)]
struct Listener {
    told: Arc<Mutex<Vec<Told>>>,
    cache: Cache<u64, u64>,
    domain: Arc<Domain>,
}

#[derive(Default)]
struct Fields(BTreeMap<&'static str, String>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }
}

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "larder"
    }

    fn new_span(&self, _span: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _span: &Id, _values: &Record<'_>) {}

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        self.told.lock().unwrap().push((*event.metadata().level(), fields.0));
        // No lock is held, so all of this is allowed here.
        self.cache.insert(7, 7);
        let _ = (self.cache.get(7), self.domain.explain(), self.domain.stats());
    }

    fn enter(&self, _span: &Id) {}

    fn exit(&self, _span: &Id) {}
}

#[test]
fn each_decision_is_an_event() {
    let memory = FixedPressure::new(500 * MB, 1000 * MB);
    let domain = Domain::builder().limit_bytes(100 * MB).pressure(memory.clone()).manual().build();
    let cache = Cache::<u64, u64>::builder("told").weigh(|_, value| *value).build_in(&domain).unwrap();
    (1000..1990).for_each(|key| cache.insert(key, MB / 10));
    let domain = Arc::new(domain);
    let told = Arc::new(Mutex::new(Vec::new()));
    let listener = Listener { told: Arc::clone(&told), cache: cache.clone(), domain: Arc::clone(&domain) };
    tracing::subscriber::with_default(listener, || {
        for percent in [90, 97, 50] {
            memory.set(percent * 10 * MB, 1000 * MB);
            domain.tick();
        }
        let _ = domain.trim(MB);
    });
    let told = told.lock().unwrap();
    let of = |cause: &str| {
        let found = told.iter().find(|(_, fields)| fields["cause"] == cause);
        found.unwrap_or_else(|| panic!("no `{cause}` in {told:?}"))
    };
    let (level, fields) = of("pressure");
    assert_eq!((*level, fields["message"].as_str()), (Level::INFO, "fixed 90 % full of 1000.0 MB"));
    assert_eq!(fields["allowed_before"], (100 * MB).to_string());
    assert!(fields["gave"].contains("told") && fields["freed"].parse::<u64>().unwrap() > MB, "{fields:?}");
    assert_eq!((of("emergency").0, of("growth").0, of("trim").0), (Level::WARN, Level::DEBUG, Level::INFO));
    assert_eq!(told.len() as u64, domain.stats().coordinator.decisions);
}
