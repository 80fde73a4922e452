//! The loads: what is asked of eight caches, in which order, what each value weighs and what it takes to compute.

use crate::Random;

/// Requests in a phase: thirty epochs of the coordinator's.
pub const PHASE: usize = 30 * EPOCH;
/// Requests in an epoch.
pub const EPOCH: usize = 20_000;
/// So many requests of a load are not counted: caches begin empty.
pub const WARM: usize = 5 * EPOCH;

/// How the keys of a tenant come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Keys {
    /// The key of rank `n` with a weight of `1 / n^skew`.
    Zipf(f64),
    /// One after the other, and again.
    Loop,
    /// Any, alike.
    Uniform,
}

/// One cache, and how it is used.
#[derive(Clone, Copy, Debug)]
pub struct Tenant {
    /// Its name.
    pub name: &'static str,
    /// Different keys.
    pub keys: u64,
    /// How they come.
    pub order: Keys,
    /// Bytes of an entry, in the middle.
    pub bytes: f64,
    /// Nanoseconds to compute one, in the middle.
    pub nanos: f64,
    /// Parts of the requests, for each phase.
    pub share: [f64; 2],
}

const fn tenant(
    name: &'static str,
    keys: u64,
    order: Keys,
    bytes: f64,
    micros: f64,
    share: [f64; 2],
) -> Tenant {
    Tenant { name, keys, order, bytes, nanos: micros * 1e3, share }
}

/// The mix: a little of everything that services cache.
const MIX: [Tenant; 8] = [
    tenant("lookup", 100_000, Keys::Zipf(0.9), 300.0, 5.0, [0.40, 0.30]),
    tenant("template", 2_500, Keys::Zipf(0.8), 20_000.0, 800.0, [0.10, 0.04]),
    tenant("plan", 1_000, Keys::Zipf(1.0), 8_000.0, 3_000.0, [0.10, 0.03]),
    tenant("thumb", 2_000, Keys::Zipf(0.7), 60_000.0, 10_000.0, [0.05, 0.12]),
    tenant("geo", 150_000, Keys::Zipf(0.6), 150.0, 20.0, [0.15, 0.15]),
    tenant("page", 6_000, Keys::Zipf(0.7), 4_000.0, 1_000.0, [0.05, 0.08]),
    tenant("report", 40_000, Keys::Zipf(0.5), 2_000.0, 50.0, [0.10, 0.18]),
    tenant("embed", 5_000, Keys::Zipf(0.9), 4_000.0, 5_000.0, [0.05, 0.10]),
];

/// A load by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing changes.
    Steady,
    /// Half-way, other tenants are asked more.
    Shift,
    /// Which keys are asked most changes all the time.
    Drift,
    /// Now and then a million keys that nobody asks for again.
    Scan,
    /// A tenant goes round a set that is larger than the memory.
    Loop,
    /// For a while nearly all requests are for one tenant.
    Crowd,
    /// A tenant that was busy is not asked any more.
    Idle,
    /// All entries weigh and cost the same, and nothing changes.
    Equal,
    /// Tenants are busy in turn, like day and night. No bar is set for it: nobody looked at it while constants were chosen.
    Tides,
    /// Half-way, all keys are new, as after a release. No bar is set for it, either; constants were chosen with an eye on it.
    Renewal,
}

impl Kind {
    /// All loads.
    pub const ALL: [Self; 8] = [
        Self::Steady,
        Self::Shift,
        Self::Drift,
        Self::Scan,
        Self::Loop,
        Self::Crowd,
        Self::Idle,
        Self::Equal,
    ];

    /// Loads without bars.
    pub const MORE: [Self; 2] = [Self::Tides, Self::Renewal];

    /// A word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Steady => "steady",
            Self::Shift => "phase shift",
            Self::Drift => "drift",
            Self::Scan => "scan burst",
            Self::Loop => "loop",
            Self::Crowd => "flash crowd",
            Self::Idle => "idle cache",
            Self::Equal => "all equal",
            Self::Tides => "tides",
            Self::Renewal => "renewal",
        }
    }

    /// Whether what is best to hold changes.
    #[must_use]
    pub fn is_changing(self) -> bool {
        !matches!(self, Self::Steady | Self::Equal | Self::Loop)
    }

    fn tenants(self) -> [Tenant; 8] {
        let mut mix = MIX;
        for tenant in &mut mix {
            match self {
                Self::Shift => {}
                Self::Idle if tenant.name == "thumb" => tenant.share = [0.3, 0.0],
                Self::Crowd if tenant.name == "page" => tenant.share = [0.05, 1.5],
                Self::Equal => {
                    (tenant.bytes, tenant.nanos) = (2_000.0, 1_000_000.0);
                    (tenant.keys, tenant.share) = (tenant.keys.clamp(2_000, 20_000), [tenant.share[0]; 2]);
                }
                _ => tenant.share = [tenant.share[0]; 2],
            }
            if self == Self::Loop && tenant.name == "report" {
                (tenant.order, tenant.keys) = (Keys::Loop, 25_000);
            }
        }
        mix
    }
}

/// What is asked: a tenant and a key.
pub type Request = (u8, u64);

/// A load, ready to be replayed.
#[derive(Debug)]
pub struct Load {
    /// Which it is.
    pub kind: Kind,
    /// The caches.
    pub tenants: [Tenant; 8],
    /// Everything that is asked, in order.
    pub requests: Vec<Request>,
    seed: u64,
}

impl Load {
    /// The load of this kind; another seed asks in another order, for other sizes and costs.
    #[must_use]
    pub fn new(kind: Kind, seed: u64) -> Self {
        let tenants = kind.tenants();
        let mut random = Random::new(seed);
        let zipfs: Vec<Cumulative> = tenants.iter().map(Cumulative::of).collect();
        let mut turns = [0_u64; 8];
        let mut requests = Vec::with_capacity(2 * PHASE);
        for at in 0..2 * PHASE {
            let phase = usize::from(at >= PHASE);
            let scan = kind == Kind::Scan && (at / EPOCH) % 10 == 7;
            let share = |tenant: &Tenant| match kind {
                // The crowd comes for a third of the second phase.
                Kind::Crowd if (PHASE + PHASE / 3..PHASE + 2 * PHASE / 3).contains(&at) => tenant.share[1],
                Kind::Crowd => tenant.share[0],
                // Twenty epochs from one flood to the next; tenants take turns.
                Kind::Tides => {
                    let turn =
                        at as f64 / (20 * EPOCH) as f64 + f64::from(u8::from(tenant.bytes > 3_000.0)) / 2.0;
                    tenant.share[0] * (1.0 + 0.9 * (turn * std::f64::consts::TAU).sin())
                }
                _ => tenant.share[phase],
            };
            let sum: f64 = tenants.iter().map(share).sum();
            let mut point = random.unit() * sum;
            let mut which = 0;
            while which + 1 < tenants.len() && point >= share(&tenants[which]) {
                point -= share(&tenants[which]);
                which += 1;
            }
            if scan && random.unit() < 0.5 {
                // Keys beyond all others, each once.
                which = 6;
                turns[7] += 1;
                requests.push((which as u8, (1 << 40) + turns[7]));
                continue;
            }
            let tenant = &tenants[which];
            let key = match tenant.order {
                Keys::Loop => {
                    turns[which] += 1;
                    turns[which] % tenant.keys
                }
                Keys::Uniform => random.bits() % tenant.keys,
                Keys::Zipf(_) => {
                    let rank = zipfs[which].draw(random.unit());
                    // Every 300,000 requests the ranks belong to other keys.
                    let turn = if kind == Kind::Drift { (at / 300_000) as u64 } else { 0 };
                    (rank + turn * tenant.keys / 3) % tenant.keys
                }
            };
            let release = if kind == Kind::Renewal { (phase as u64) << 32 } else { 0 };
            requests.push((which as u8, key + release));
        }
        Self { kind, tenants, requests, seed }
    }

    /// Sizes and costs of another load, without its requests.
    pub(super) fn new_like(other: &Self) -> Self {
        Self { kind: other.kind, tenants: other.tenants, requests: Vec::new(), seed: other.seed }
    }

    /// Bytes of an entry: the logarithms are spread like a bell around the middle, and kept to 100 B up to 100 KB.
    #[must_use]
    pub fn bytes(&self, (tenant, key): Request) -> u64 {
        let tenant_of = &self.tenants[usize::from(tenant)];
        if self.kind == Kind::Equal {
            return tenant_of.bytes as u64;
        }
        let spread = self.bell(tenant, key, 1) * 0.5;
        (tenant_of.bytes * spread.exp()).clamp(100.0, 100_000.0) as u64
    }

    /// Nanoseconds that computing it takes, from 5 us to 10 ms.
    #[must_use]
    pub fn nanos(&self, (tenant, key): Request) -> u64 {
        let tenant_of = &self.tenants[usize::from(tenant)];
        if self.kind == Kind::Equal {
            return tenant_of.nanos as u64;
        }
        let spread = self.bell(tenant, key, 2) * 0.7;
        (tenant_of.nanos * spread.exp()).clamp(5e3, 1e7) as u64
    }

    /// Bytes of all entries that are asked for more than once by chance: all but those of scans.
    #[must_use]
    pub fn footprint(&self) -> u64 {
        let all = |at: u8| (0..self.tenants[usize::from(at)].keys).map(move |key| (at, key));
        (0..8).flat_map(all).map(|request| self.bytes(request) + 64).sum()
    }

    /// Which phase a request is of.
    #[must_use]
    pub fn phase(&self, at: usize) -> usize {
        if self.kind == Kind::Crowd {
            return usize::from(at >= PHASE + PHASE / 3) + usize::from(at >= PHASE + 2 * PHASE / 3);
        }
        usize::from(at >= PHASE)
    }

    /// How many there are.
    #[must_use]
    pub fn phases(&self) -> usize {
        if self.kind == Kind::Crowd { 3 } else { 2 }
    }

    /// About normal: the sum of four, around 0 with a deviation of 1.
    fn bell(&self, tenant: u8, key: u64, what: u64) -> f64 {
        let seed = self.seed ^ (u64::from(tenant) << 56) ^ (what << 48) ^ key.wrapping_mul(0x9E37_79B9);
        let mut random = Random::new(seed);
        let sum: f64 = (0..4).map(|_| random.unit()).sum();
        (sum - 2.0) * 3.0_f64.sqrt()
    }
}

/// Draws ranks.
struct Cumulative(Vec<f64>);

impl Cumulative {
    fn of(tenant: &Tenant) -> Self {
        let Keys::Zipf(skew) = tenant.order else { return Self(Vec::new()) };
        let mut sum = 0.0;
        Self(
            (1..=tenant.keys)
                .map(|rank| {
                    sum += (rank as f64).powf(-skew);
                    sum
                })
                .collect(),
        )
    }

    fn draw(&self, unit: f64) -> u64 {
        let at = unit * self.0.last().copied().unwrap_or(0.0);
        self.0.partition_point(|weight| *weight <= at) as u64
    }
}
