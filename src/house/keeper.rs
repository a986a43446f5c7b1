//! The house's one writer: decides, appends, and only then lets anything take effect.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::Mutex;

use super::{Command, Device, Event, House, Refusal};
use crate::auth::{Auth, random_u128};
use crate::clock::Clock;
use crate::journal::{Append, Appended, CatalogueRow, HOUSE, Journal, ReadError, Record};
use crate::room::{PersonId, Timestamp};

/// How much of the log is read at once.
const READ_BYTES: usize = 1 << 20;

/// Epochs are below 2^53.
const EPOCH_MASK: u64 = (1 << 53) - 1;

/// Why a command was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotDone {
    /// The house's rules say no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The journal takes no writes, or cannot be read.
    #[error("the journal takes no writes at the moment")]
    JournalUnavailable,
}

/// Holds the house. Revocations take effect in [`Auth`] as soon as they are durable, and again at start.
pub struct Keeper {
    journal: Arc<dyn Journal>,
    auth: Arc<Auth>,
    clock: Clock,
    log: Mutex<Log>,
}

struct Log {
    house: House,
    epoch: u64,
    /// An append's outcome is unknown: read again before deciding anything.
    doubtful: bool,
}

impl Keeper {
    /// Reads the house from the journal.
    ///
    /// # Errors
    ///
    /// The journal cannot be read, or its records are not the house's.
    pub async fn open(journal: Arc<dyn Journal>, auth: Arc<Auth>, clock: Clock) -> Result<Self, ReadError> {
        let log = Mutex::new(Log::read(journal.as_ref()).await?);
        let keeper = Self {
            journal,
            auth,
            clock,
            log,
        };
        keeper.revoke_all(&keeper.log.lock().await.house);
        Ok(keeper)
    }

    /// Does a command. Resolves when it is durable.
    ///
    /// # Errors
    ///
    /// See [`NotDone`].
    pub async fn command(&self, command: Command) -> Result<(), NotDone> {
        let mut log = self.log.lock().await;
        self.settle(&mut log).await?;
        let now = self.clock.now().max(log.house.at);
        let Some(event) = log.house.decide(command, now)? else {
            return Ok(());
        };
        let append = log.append(event, now);
        let batch = append.record.batch;
        match self.journal.append(append).await {
            Appended::Durable => log.house.apply(&event, now),
            Appended::NotWritten(error) => {
                tracing::warn!(%error, "the house cannot be written");
                log.doubtful = true;
                return Err(NotDone::JournalUnavailable);
            }
            Appended::Unknown(error) => {
                tracing::error!(%error, "nobody knows whether the house was written");
                log.doubtful = true;
                self.settle(&mut log).await?;
                self.is_last(batch).await?;
            }
        }
        self.revoke_all(&log.house);
        Ok(())
    }

    /// Operators' devices that have not ended, revoked ones among them, in order of id.
    pub async fn devices(&self) -> Vec<(PersonId, Device)> {
        let now = self.clock.now();
        let log = self.log.lock().await;
        let lasting = log.house.devices.iter().filter(|(_, device)| now < device.expires_at);
        lasting.map(|(person, device)| (*person, *device)).collect()
    }

    /// Makes sure that the house is as the journal has it.
    async fn settle(&self, log: &mut Log) -> Result<(), NotDone> {
        if log.doubtful {
            *log = Log::read(self.journal.as_ref()).await.map_err(unreadable)?;
            self.revoke_all(&log.house);
        }
        Ok(())
    }

    async fn is_last(&self, batch: u128) -> Result<(), NotDone> {
        let tail = self.journal.tail(HOUSE, 1, READ_BYTES).await.map_err(unreadable)?;
        let written = tail.last().is_some_and(|record| record.batch == batch);
        written.then_some(()).ok_or(NotDone::JournalUnavailable)
    }

    fn revoke_all(&self, house: &House) {
        let revoked = house.devices.iter().filter(|(_, device)| device.revoked);
        revoked.for_each(|(person, _)| self.auth.revoke(*person));
    }
}

fn unreadable(error: ReadError) -> NotDone {
    tracing::error!(%error, "the house cannot be read");
    NotDone::JournalUnavailable
}

impl Log {
    async fn read(journal: &dyn Journal) -> Result<Self, ReadError> {
        let mut house = House::default();
        let mut epoch = None;
        loop {
            let records = journal.read(HOUSE, house.head, READ_BYTES).await?;
            if records.is_empty() {
                let epoch = epoch.unwrap_or(random_u128() as u64 & EPOCH_MASK);
                return Ok(Self {
                    house,
                    epoch,
                    doubtful: false,
                });
            }
            for record in records {
                epoch = Some(record.epoch);
                house.fold(&record)?;
            }
        }
    }

    fn append(&self, event: Event, now: Timestamp) -> Append {
        let offset = self.house.head + 1;
        let events = serde_json::to_vec(&[event]).expect("ids and numbers");
        Append {
            record: Record {
                batch: random_u128(),
                epoch: self.epoch,
                first: offset,
                count: 1,
                at: now,
                events: events.into(),
                personal: Bytes::from_static(b"[]"),
            },
            row: CatalogueRow {
                stream: HOUSE.to_owned(),
                epoch: self.epoch,
                head: offset,
                next_deadline: None,
                summary: Bytes::from_static(b"{}"),
            },
            contacts: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU8, Ordering};

    use futures_util::future::BoxFuture;

    use super::*;
    use crate::auth::{BadToken, SigningSecret};
    use crate::journal::sqlite::{Options, Sqlite};
    use crate::journal::{AppendError, Erasure, Snapshot};
    use crate::room::Offset;

    const SECRET: &str = "0101010101010101010101010101010101010101010101010101010101010101";

    fn auth() -> Arc<Auth> {
        let secret: SigningSecret = SECRET.parse().unwrap();
        Arc::new(Auth::new(secret, None, Vec::new()))
    }

    fn sign_in(person: u128) -> Command {
        let person = PersonId(person);
        Command::SignIn { person }
    }

    fn revoke(person: u128) -> Command {
        let (person, by) = (PersonId(person), PersonId(1));
        Command::Revoke { person, by }
    }

    #[tokio::test]
    async fn a_code_is_used_and_a_device_revoked_also_after_a_restart() {
        let (folder, clock) = (tempfile::tempdir().unwrap(), Clock::start());
        for run in 0..2 {
            let journal: Arc<dyn Journal> = Arc::new(Sqlite::open(folder.path(), Options::default()).unwrap());
            let auth = auth();
            let token = auth.operator_token(PersonId(8), clock.now()).token;
            let keeper = Keeper::open(journal.clone(), auth.clone(), clock).await.unwrap();
            if run == 0 {
                keeper.command(sign_in(7)).await.unwrap();
                keeper.command(sign_in(8)).await.unwrap();
                assert!(auth.verify(&token, clock.now()).is_ok());
                keeper.command(revoke(8)).await.unwrap();
            }
            let used = NotDone::Refused(Refusal::CodeUsed);
            assert_eq!(keeper.command(sign_in(7)).await, Err(used));
            assert_eq!(auth.verify(&token, clock.now()), Err(BadToken));
            let revoked: Vec<_> = keeper
                .devices()
                .await
                .iter()
                .map(|(_, device)| device.revoked)
                .collect();
            assert_eq!(revoked, [false, true]);
            drop(keeper);
            journal.close().await;
        }
    }

    #[tokio::test]
    async fn of_ten_who_use_one_code_at_once_one_gets_in() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Arc::new(Sqlite::open(folder.path(), Options::default()).unwrap());
        let keeper = Keeper::open(journal, auth(), Clock::start()).await.unwrap();
        let all = (0..10).map(|_| keeper.command(sign_in(7)));
        let in_count = futures_util::future::join_all(all)
            .await
            .iter()
            .filter(|done| done.is_ok())
            .count();
        assert_eq!(in_count, 1);
    }

    /// A journal with accidents: 1 says that nobody knows and writes, 2 says so and does not, 3 refuses.
    struct Shaky(Sqlite, AtomicU8);

    impl Journal for Shaky {
        fn append(&self, append: Append) -> BoxFuture<'static, Appended> {
            let unknown = || Appended::Unknown("a test".to_owned());
            match self.1.swap(0, Ordering::Relaxed) {
                0 => self.0.append(append),
                1 => {
                    let written = self.0.append(append);
                    Box::pin(async move {
                        assert_eq!(written.await, Appended::Durable);
                        unknown()
                    })
                }
                2 => Box::pin(async move { unknown() }),
                _ => Box::pin(async { Appended::NotWritten(AppendError::Full) }),
            }
        }
        fn read(&self, stream: &str, after: Offset, max: usize) -> BoxFuture<'static, Result<Vec<Record>, ReadError>> {
            self.0.read(stream, after, max)
        }
        fn tail(&self, stream: &str, n: usize, max: usize) -> BoxFuture<'static, Result<Vec<Record>, ReadError>> {
            self.0.tail(stream, n, max)
        }
        fn newest(&self) -> BoxFuture<'static, Result<Option<Timestamp>, ReadError>> {
            self.0.newest()
        }
        fn catalogue(&self) -> BoxFuture<'static, Result<Vec<CatalogueRow>, ReadError>> {
            self.0.catalogue()
        }
        fn put_snapshot(&self, stream: &str, snapshot: Snapshot) -> BoxFuture<'static, Result<(), AppendError>> {
            self.0.put_snapshot(stream, snapshot)
        }
        fn snapshot(&self, stream: &str) -> BoxFuture<'static, Result<Option<Snapshot>, ReadError>> {
            self.0.snapshot(stream)
        }
        fn contacts(&self, stream: &str, of: &str) -> BoxFuture<'static, Result<Vec<(String, Bytes)>, ReadError>> {
            self.0.contacts(stream, of)
        }
        fn remove(&self, stream: &str) -> BoxFuture<'static, Result<(), AppendError>> {
            self.0.remove(stream)
        }
        fn erase(&self, erasure: Erasure) -> BoxFuture<'static, Result<(), AppendError>> {
            self.0.erase(erasure)
        }
        fn sweep(&self, bytes_max: u64) -> BoxFuture<'static, Result<bool, AppendError>> {
            self.0.sweep(bytes_max)
        }
        fn failed(&self) -> BoxFuture<'static, String> {
            self.0.failed()
        }
        fn close(&self) -> BoxFuture<'static, ()> {
            self.0.close()
        }
    }

    #[tokio::test]
    async fn an_append_of_unknown_outcome_is_looked_up_before_anything_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let sqlite = Sqlite::open(folder.path(), Options::default()).unwrap();
        let journal = Arc::new(Shaky(sqlite, AtomicU8::new(0)));
        let keeper = Keeper::open(journal.clone(), auth(), Clock::start()).await.unwrap();
        let command = async |accident: u8, command: Command| {
            journal.1.store(accident, Ordering::Relaxed);
            keeper.command(command).await
        };
        assert_eq!(command(1, sign_in(7)).await, Ok(()), "it was written");
        assert_eq!(
            command(2, sign_in(8)).await,
            Err(NotDone::JournalUnavailable),
            "it was not"
        );
        assert_eq!(command(0, sign_in(8)).await, Ok(()), "so the code is still good");
        assert_eq!(command(3, sign_in(9)).await, Err(NotDone::JournalUnavailable));
        assert_eq!(command(0, sign_in(9)).await, Ok(()));
        assert_eq!(command(0, sign_in(7)).await, Err(NotDone::Refused(Refusal::CodeUsed)));
    }
}
