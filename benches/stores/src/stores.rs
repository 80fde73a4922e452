//! The stores, each set up so that what was removed stays removed when the process is killed.

use std::error::Error;
use std::path::Path;

use fjall::{Database as Fjall, Keyspace, KeyspaceCreateOptions, KvSeparationOptions};
use heed::types::Bytes;
use heed::{Database as HeedTable, Env, EnvFlags, EnvOpenOptions};
use redb::{Database as Redb, Durability, ReadableDatabase, TableDefinition};

pub trait Store {
    /// Puts a value in, and takes another out, together.
    fn put(&self, key: &[u8; 16], value: &[u8], gone: Option<&[u8; 16]>);
    fn get(&self, key: &[u8; 16]) -> Option<Vec<u8>>;
    fn remove(&self, key: &[u8; 16]);
}

pub fn open(name: &str, dir: &Path) -> Result<Box<dyn Store>, Box<dyn Error>> {
    Ok(match name {
        "redb" => Box::new(OfRedb::open(dir)?),
        "fjall" => Box::new(OfFjall::open(dir)?),
        "heed" => Box::new(OfHeed::open(dir)?),
        other => return Err(format!("no store is called {other}").into()),
    })
}

const TABLE: TableDefinition<&[u8], &[u8]> = TableDefinition::new("records");

/// Commits without a sync are gone when the process is killed; so a removal is a commit with one, and so is every 64th
/// put.
struct OfRedb {
    db: Redb,
    puts: std::cell::Cell<u32>,
}

impl OfRedb {
    fn open(dir: &Path) -> Result<Self, Box<dyn Error>> {
        let db = Redb::builder().set_cache_size(16 << 20).create(dir.join("records.redb"))?;
        let write = db.begin_write()?;
        write.open_table(TABLE)?;
        write.commit()?;
        Ok(Self { db, puts: std::cell::Cell::new(0) })
    }
}

impl Store for OfRedb {
    fn put(&self, key: &[u8; 16], value: &[u8], gone: Option<&[u8; 16]>) {
        let mut write = self.db.begin_write().unwrap();
        self.puts.set(self.puts.get() + 1);
        let durable = self.puts.get() % 64 == 0;
        write.set_durability(if durable { Durability::Immediate } else { Durability::None }).unwrap();
        {
            let mut table = write.open_table(TABLE).unwrap();
            table.insert(&key[..], value).unwrap();
            if let Some(gone) = gone {
                table.remove(&gone[..]).unwrap();
            }
        }
        write.commit().unwrap();
    }

    fn get(&self, key: &[u8; 16]) -> Option<Vec<u8>> {
        let read = self.db.begin_read().unwrap();
        let table = read.open_table(TABLE).unwrap();
        table.get(&key[..]).unwrap().map(|value| value.value().to_vec())
    }

    fn remove(&self, key: &[u8; 16]) {
        let mut write = self.db.begin_write().unwrap();
        write.set_durability(Durability::Immediate).unwrap();
        write.open_table(TABLE).unwrap().remove(&key[..]).unwrap();
        write.commit().unwrap();
    }
}

/// Each write goes to the system's cache, which outlives the process. Values from 1 KB on lie apart from keys.
struct OfFjall {
    _db: Fjall,
    records: Keyspace,
}

impl OfFjall {
    fn open(dir: &Path) -> Result<Self, Box<dyn Error>> {
        let db = Fjall::builder(dir).cache_size(16 << 20).worker_threads(1).open()?;
        let options =
            || KeyspaceCreateOptions::default().with_kv_separation(Some(KvSeparationOptions::default()));
        let records = db.keyspace("records", options)?;
        Ok(Self { _db: db, records })
    }
}

impl Store for OfFjall {
    fn put(&self, key: &[u8; 16], value: &[u8], gone: Option<&[u8; 16]>) {
        self.records.insert(key, value).unwrap();
        if let Some(gone) = gone {
            self.records.remove(gone).unwrap();
        }
    }

    fn get(&self, key: &[u8; 16]) -> Option<Vec<u8>> {
        self.records.get(key).unwrap().map(|value| value.to_vec())
    }

    fn remove(&self, key: &[u8; 16]) {
        self.records.remove(key).unwrap();
    }
}

/// Commits go to the system's cache, which outlives the process; a crash of the machine may leave a file that is no
/// store.
struct OfHeed {
    env: Env,
    records: HeedTable<Bytes, Bytes>,
}

impl OfHeed {
    fn open(dir: &Path) -> Result<Self, Box<dyn Error>> {
        let mut options = EnvOpenOptions::new();
        options.map_size(4 << 30);
        // SAFETY: nobody else writes to the files.
        let env = unsafe { options.flags(EnvFlags::NO_SYNC).open(dir)? };
        let mut write = env.write_txn()?;
        let records = env.create_database(&mut write, None)?;
        write.commit()?;
        Ok(Self { env, records })
    }
}

impl Store for OfHeed {
    fn put(&self, key: &[u8; 16], value: &[u8], gone: Option<&[u8; 16]>) {
        let mut write = self.env.write_txn().unwrap();
        self.records.put(&mut write, key, value).unwrap();
        if let Some(gone) = gone {
            self.records.delete(&mut write, gone).unwrap();
        }
        write.commit().unwrap();
    }

    fn get(&self, key: &[u8; 16]) -> Option<Vec<u8>> {
        let read = self.env.read_txn().unwrap();
        self.records.get(&read, key).unwrap().map(<[u8]>::to_vec)
    }

    fn remove(&self, key: &[u8; 16]) {
        let mut write = self.env.write_txn().unwrap();
        self.records.delete(&mut write, key).unwrap();
        write.commit().unwrap();
    }
}
