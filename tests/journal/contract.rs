//! The rules that hold for any journal, told through the trait alone. A kind of journal joins by giving a
//! [`Place`] and `contract!`.

use bytes::Bytes;
use futures_util::future::{BoxFuture, join_all};
use hubbub::journal::{Append, AppendError, Appended, CatalogueRow, Erasure, HOUSE, Journal, Record, Snapshot};
use hubbub::room::{Offset, Timestamp};

/// Where a journal keeps its data. Dropping it clears up.
pub(crate) trait Place {
    /// Opens the journal there; what earlier ones wrote is still there.
    fn open(&self) -> BoxFuture<'_, Box<dyn Journal>>;
}

/// Makes a test of each rule for a kind of [`Place`].
macro_rules! contract {
    ($place:expr) => {
        crate::contract::contract! { $place =>
            appends_are_read_back_whole_and_in_order
            an_append_where_the_stream_does_not_stand_is_a_conflict_and_writes_nothing
            a_batch_of_another_epoch_is_refused_and_writes_nothing
            a_conflict_does_not_fail_the_appends_beside_it
            many_streams_append_at_once_and_each_keeps_its_own_order
            what_is_under_way_needs_nobody_who_waits
            what_was_durable_is_there_after_a_restart
            reading_goes_on_page_by_page_without_losing_a_record
            reading_from_inside_a_batch_begins_with_that_batch
            the_tail_is_bounded_by_records_and_bytes_but_never_empty
            the_newest_time_is_that_of_the_stream_that_was_written_last
            the_catalogue_has_each_streams_newest_row
            an_unsound_append_is_refused
            a_snapshot_replaces_the_one_before
            a_snapshot_beyond_the_stream_is_a_conflict
            contacts_are_found_by_prefix_and_replaced_by_key
            a_removed_stream_is_gone_and_its_name_begins_anew
            removing_one_stream_leaves_the_others
            what_is_erased_is_gone_and_nothing_else
            a_snapshot_that_holds_what_is_erased_goes_with_it
            a_stream_that_does_not_exist_is_empty
            any_text_comes_back_as_it_was
            a_batch_of_the_largest_size_comes_back_as_it_was
            a_closed_journal_finishes_what_waits_and_refuses_the_rest
        }
    };
    ($place:expr => $($rule:ident)*) => {
        $(
            #[tokio::test]
            async fn $rule() {
                crate::contract::$rule(&$place).await;
            }
        )*
    };
}
pub(crate) use contract;

/// A batch of `count` events from `first`, as distinguishable as possible.
pub(crate) fn batch(stream: &str, first: Offset, count: u32) -> Append {
    let events = format!(r#"[{{"in":"{stream}","from":{first}}}]"#);
    let record = Record {
        batch: (u128::from(first) << 64) | u128::from(u64::MAX - first),
        epoch: 7,
        first,
        count,
        at: Timestamp(1_700_000_000_000 + first),
        events: events.into(),
        personal: format!(r#"["ann of {stream}"]"#).into(),
    };
    let row = CatalogueRow {
        stream: stream.to_owned(),
        epoch: 7,
        head: record.last(),
        next_deadline: first.is_multiple_of(2).then_some(Timestamp(first)),
        summary: format!(r#"{{"title":"{stream}","at":{first}}}"#).into(),
    };
    Append {
        record,
        row,
        contacts: Vec::new(),
    }
}

pub(crate) async fn must_append(journal: &dyn Journal, append: Append) -> Record {
    let record = append.record.clone();
    assert_eq!(journal.append(append).await, Appended::Durable);
    record
}

/// Appends `batches` batches of 1, 2, 3, 1, 2, 3 ... events to a new stream.
pub(crate) async fn fill(journal: &dyn Journal, stream: &str, batches: u32) -> Vec<Record> {
    let (mut records, mut first) = (Vec::new(), 1);
    for n in 0..batches {
        records.push(must_append(journal, batch(stream, first, 1 + n % 3)).await);
        first += u64::from(1 + n % 3);
    }
    records
}

async fn all(journal: &dyn Journal, stream: &str) -> Vec<Record> {
    journal.read(stream, 0, usize::MAX).await.unwrap()
}

fn conflict(head: Offset, expected: Offset) -> Appended {
    Appended::NotWritten(AppendError::Conflict { head, expected })
}

fn snapshot(offset: Offset, state: &str) -> Snapshot {
    Snapshot {
        epoch: u64::MAX,
        offset,
        version: 3,
        state: Bytes::from(state.to_owned()),
    }
}

pub(crate) async fn appends_are_read_back_whole_and_in_order(place: &dyn Place) {
    let journal = place.open().await;
    let records = fill(&*journal, "abc", 7).await;
    assert_eq!(all(&*journal, "abc").await, records);
}

pub(crate) async fn a_batch_of_another_epoch_is_refused_and_writes_nothing(place: &dyn Place) {
    let journal = place.open().await;
    let first = must_append(&*journal, batch("abc", 1, 2)).await;
    let mut other = batch("abc", 3, 1);
    (other.record.epoch, other.row.epoch) = (8, 8);
    let (epoch, expected) = (7, 8);
    let refused = Appended::NotWritten(AppendError::OtherEpoch { epoch, expected });
    assert_eq!(journal.append(other.clone()).await, refused);
    assert_eq!(all(&*journal, "abc").await, [first]);
    assert_eq!(journal.catalogue().await.unwrap()[0].epoch, epoch);
    journal.remove("abc").await.unwrap();
    let mut anew = batch("abc", 1, 1);
    (anew.record.epoch, anew.row.epoch) = (8, 8);
    must_append(&*journal, anew).await;
}

pub(crate) async fn an_append_where_the_stream_does_not_stand_is_a_conflict_and_writes_nothing(place: &dyn Place) {
    let journal = place.open().await;
    assert_eq!(journal.append(batch("abc", 2, 1)).await, conflict(0, 1));
    let record = must_append(&*journal, batch("abc", 1, 3)).await;
    for first in [1, 2, 3, 5] {
        let mut late = batch("abc", first, 1);
        late.contacts.push(("win/1".to_owned(), "never".into()));
        assert_eq!(journal.append(late).await, conflict(3, first - 1));
    }
    assert_eq!(all(&*journal, "abc").await, [record]);
    assert_eq!(journal.catalogue().await.unwrap()[0].head, 3);
    assert_eq!(journal.contacts("abc", "").await.unwrap(), []);
}

pub(crate) async fn a_conflict_does_not_fail_the_appends_beside_it(place: &dyn Place) {
    let journal = place.open().await;
    let appends = (0..200).map(|n| journal.append(batch(&format!("room{n}"), 1 + n % 2, 1)));
    for (n, outcome) in join_all(appends).await.into_iter().enumerate() {
        let expected = if n % 2 == 0 { Appended::Durable } else { conflict(0, 1) };
        assert_eq!(outcome, expected, "room{n}");
    }
    assert_eq!(journal.catalogue().await.unwrap().len(), 100);
}

pub(crate) async fn many_streams_append_at_once_and_each_keeps_its_own_order(place: &dyn Place) {
    let journal = place.open().await;
    let names: Vec<_> = (0..50).map(|n| format!("room{n}")).collect();
    let written = join_all(names.iter().map(|name| fill(&*journal, name, 20))).await;
    for (name, records) in names.iter().zip(written) {
        assert_eq!(all(&*journal, name).await, records);
    }
}

pub(crate) async fn what_is_under_way_needs_nobody_who_waits(place: &dyn Place) {
    let journal = place.open().await;
    drop(journal.append(batch("abc", 1, 1)));
    assert_eq!(journal.append(batch("abc", 2, 1)).await, Appended::Durable);
}

pub(crate) async fn what_was_durable_is_there_after_a_restart(place: &dyn Place) {
    let journal = place.open().await;
    let records = fill(&*journal, "abc", 5).await;
    let house = fill(&*journal, HOUSE, 2).await;
    let rows = journal.catalogue().await.unwrap();
    let shot = snapshot(4, "state");
    journal.put_snapshot("abc", shot.clone()).await.unwrap();
    journal.close().await;

    let journal = place.open().await;
    assert_eq!(all(&*journal, "abc").await, records);
    assert_eq!(all(&*journal, HOUSE).await, house);
    assert_eq!(journal.catalogue().await.unwrap(), rows);
    assert_eq!(journal.snapshot("abc").await.unwrap(), Some(shot));
    let head = records.last().unwrap().last();
    assert_eq!(journal.append(batch("abc", head, 1)).await, conflict(head, head - 1));
    must_append(&*journal, batch("abc", head + 1, 1)).await;
}

pub(crate) async fn reading_goes_on_page_by_page_without_losing_a_record(place: &dyn Place) {
    let journal = place.open().await;
    let records = fill(&*journal, "abc", 40).await;
    let size = records[0].events.len() + records[0].personal.len();
    for bytes_max in [0, 1, size, 3 * size, 10 * size] {
        let (mut read, mut after) = (Vec::new(), 0);
        loop {
            let page = journal.read("abc", after, bytes_max).await.unwrap();
            let Some(last) = page.last() else { break };
            after = last.last();
            // A byte or two more for larger offsets.
            assert!(page.len() <= 1.max(bytes_max / size), "{} in {bytes_max}", page.len());
            read.extend(page);
        }
        assert_eq!(read, records, "by {bytes_max} bytes");
    }
}

pub(crate) async fn reading_from_inside_a_batch_begins_with_that_batch(place: &dyn Place) {
    let journal = place.open().await;
    let records = fill(&*journal, "abc", 9).await;
    let head = records.last().unwrap().last();
    for after in 0..head {
        let expected: Vec<_> = records.iter().filter(|record| record.last() > after).cloned().collect();
        let read = journal.read("abc", after, usize::MAX).await.unwrap();
        assert_eq!(read, expected, "after {after}");
    }
    for after in [head, head + 1, u64::MAX] {
        assert_eq!(
            journal.read("abc", after, usize::MAX).await.unwrap(),
            [],
            "after {after}"
        );
    }
}

pub(crate) async fn the_tail_is_bounded_by_records_and_bytes_but_never_empty(place: &dyn Place) {
    let journal = place.open().await;
    let records = fill(&*journal, "abc", 9).await;
    let size = records[8].events.len() + records[8].personal.len();
    for (records_max, bytes_max, expected) in [
        (1, usize::MAX, 1),
        (4, usize::MAX, 4),
        (9, usize::MAX, 9),
        (usize::MAX, usize::MAX, 9),
        (0, 0, 1),
        (9, 0, 1),
        (9, size, 1),
        (9, 2 * size, 2),
    ] {
        let tail = journal.tail("abc", records_max, bytes_max).await.unwrap();
        assert_eq!(
            tail,
            records[9 - expected..],
            "{records_max} records, {bytes_max} bytes"
        );
    }
}

pub(crate) async fn the_catalogue_has_each_streams_newest_row(place: &dyn Place) {
    let journal = place.open().await;
    assert_eq!(journal.catalogue().await.unwrap(), []);
    for stream in ["abc", "bcd", HOUSE] {
        must_append(&*journal, batch(stream, 1, 1)).await;
    }
    must_append(&*journal, batch("bcd", 2, 5)).await;
    let mut rows = journal.catalogue().await.unwrap();
    rows.sort_by(|a, b| a.stream.cmp(&b.stream));
    assert_eq!(
        rows,
        [batch(HOUSE, 1, 1).row, batch("abc", 1, 1).row, batch("bcd", 2, 5).row]
    );
}

pub(crate) async fn an_unsound_append_is_refused(place: &dyn Place) {
    let journal = place.open().await;
    type Spoil = fn(&mut Append);
    let spoils: [(&str, Spoil); 8] = [
        ("no name", |append| append.row.stream.clear()),
        ("a long name", |append| append.row.stream = "a".repeat(65)),
        ("offset 0", |append| append.record.first = 0),
        ("no events", |append| append.record.count = 0),
        ("an offset without end", |append| append.record.first = u64::MAX),
        ("another head", |append| append.row.head += 1),
        ("another epoch", |append| append.row.epoch += 1),
        ("no text", |append| append.record.events = Bytes::from_static(b"\xff")),
    ];
    for (what, spoil) in spoils {
        let mut append = batch("abc", 1, 1);
        spoil(&mut append);
        let outcome = journal.append(append).await;
        let refused = matches!(outcome, Appended::NotWritten(AppendError::Unavailable(_)));
        assert!(refused, "{what}: {outcome:?}");
    }
    assert_eq!(journal.catalogue().await.unwrap(), []);
}

pub(crate) async fn a_snapshot_replaces_the_one_before(place: &dyn Place) {
    let journal = place.open().await;
    fill(&*journal, "abc", 3).await;
    assert_eq!(journal.snapshot("abc").await.unwrap(), None);
    for shot in [snapshot(3, "first"), snapshot(6, &"x".repeat(300_000)), snapshot(6, "")] {
        journal.put_snapshot("abc", shot.clone()).await.unwrap();
        assert_eq!(journal.snapshot("abc").await.unwrap(), Some(shot));
    }
}

pub(crate) async fn a_snapshot_beyond_the_stream_is_a_conflict(place: &dyn Place) {
    let journal = place.open().await;
    fill(&*journal, "abc", 1).await;
    for (stream, head) in [("abc", 1), ("bcd", 0)] {
        let put = journal.put_snapshot(stream, snapshot(2, "")).await;
        assert_eq!(put, Err(AppendError::Conflict { head, expected: 2 }));
        assert_eq!(journal.snapshot(stream).await.unwrap(), None);
    }
}

pub(crate) async fn contacts_are_found_by_prefix_and_replaced_by_key(place: &dyn Place) {
    let journal = place.open().await;
    let contact = |key: &str, value: &str| (key.to_owned(), Bytes::from(value.to_owned()));
    let mut first = batch("abc", 1, 1);
    first.contacts = vec![
        contact("b/2", "two"),
        contact("b/10", "ten"),
        contact("c/1", "see"),
        contact("a", ""),
    ];
    must_append(&*journal, first).await;
    let mut second = batch("abc", 2, 1);
    second.contacts = vec![contact("b/2", "二"), contact("b%", "percent")];
    must_append(&*journal, second).await;
    let mut other = batch("bcd", 1, 1);
    other.contacts = vec![contact("b/2", "elsewhere")];
    must_append(&*journal, other).await;

    let found = async |prefix: &str| journal.contacts("abc", prefix).await.unwrap();
    assert_eq!(found("b/").await, [contact("b/10", "ten"), contact("b/2", "二")]);
    assert_eq!(found("b%").await, [contact("b%", "percent")]);
    assert_eq!(found("b/1").await, [contact("b/10", "ten")]);
    assert_eq!(found("").await.len(), 5);
    assert_eq!(found("d").await, []);
}

pub(crate) async fn a_removed_stream_is_gone_and_its_name_begins_anew(place: &dyn Place) {
    let journal = place.open().await;
    let mut append = batch("abc", 1, 1);
    append.contacts = vec![("win/1".to_owned(), "ann".into())];
    must_append(&*journal, append).await;
    for first in 2..200 {
        must_append(&*journal, batch("abc", first, 1)).await;
    }
    journal.put_snapshot("abc", snapshot(1, "state")).await.unwrap();
    journal.remove("abc").await.unwrap();
    nothing_is_left(&*journal, "abc").await;

    let record = must_append(&*journal, batch("abc", 1, 2)).await;
    journal.close().await;
    let journal = place.open().await;
    assert_eq!(all(&*journal, "abc").await, [record]);
    assert_eq!(journal.contacts("abc", "").await.unwrap(), []);
    assert_eq!(journal.snapshot("abc").await.unwrap(), None);
}

pub(crate) async fn removing_one_stream_leaves_the_others(place: &dyn Place) {
    let journal = place.open().await;
    let before = fill(&*journal, "aaa", 5).await;
    fill(&*journal, "bbb", 5).await;
    let after = fill(&*journal, "ccc", 5).await;
    journal.remove("bbb").await.unwrap();
    journal.close().await;
    let journal = place.open().await;
    nothing_is_left_of_records(&*journal, "bbb").await;
    assert_eq!(all(&*journal, "aaa").await, before);
    assert_eq!(all(&*journal, "ccc").await, after);
    assert_eq!(journal.catalogue().await.unwrap().len(), 2);
}

pub(crate) async fn a_stream_that_does_not_exist_is_empty(place: &dyn Place) {
    let journal = place.open().await;
    nothing_is_left(&*journal, "abc").await;
    journal.remove("abc").await.unwrap();
}

async fn nothing_is_left(journal: &dyn Journal, stream: &str) {
    nothing_is_left_of_records(journal, stream).await;
    assert_eq!(journal.snapshot(stream).await.unwrap(), None);
    assert_eq!(journal.contacts(stream, "").await.unwrap(), []);
    assert_eq!(journal.catalogue().await.unwrap(), []);
}

async fn nothing_is_left_of_records(journal: &dyn Journal, stream: &str) {
    assert_eq!(all(journal, stream).await, []);
    assert_eq!(journal.tail(stream, 9, usize::MAX).await.unwrap(), []);
}

pub(crate) async fn the_newest_time_is_that_of_the_stream_that_was_written_last(place: &dyn Place) {
    let journal = place.open().await;
    assert_eq!(journal.newest().await.unwrap(), None);
    let long = fill(&*journal, "long", 7).await;
    fill(&*journal, "short", 2).await;
    let last = long.last().unwrap().at;
    assert_eq!(journal.newest().await.unwrap(), Some(last));
    journal.close().await;
    let journal = place.open().await;
    assert_eq!(journal.newest().await.unwrap(), Some(last));
    journal.remove("long").await.unwrap();
    assert!(
        journal.newest().await.unwrap() < Some(last),
        "the removed are forgotten"
    );
}

pub(crate) async fn what_is_erased_is_gone_and_nothing_else(place: &dyn Place) {
    let journal = place.open().await;
    let mut records = fill(&*journal, "abc", 7).await;
    let others = fill(&*journal, "abd", 2).await;
    let mut last = batch("abc", records[6].last() + 1, 1);
    last.contacts = vec![("lips/1".to_owned(), "her".into()), ("lips/2".to_owned(), "his".into())];
    records.push(must_append(&*journal, last).await);
    let erasure = Erasure {
        stream: "abc".to_owned(),
        records: vec![(records[2].first, "[{}]".into()), (records[4].first, "[]".into())],
        contacts: vec!["lips/2".to_owned(), "lips/3".to_owned()],
    };
    for _ in 0..2 {
        journal.erase(erasure.clone()).await.unwrap();
    }
    (records[2].personal, records[4].personal) = ("[{}]".into(), "[]".into());
    let contacts = [("lips/1".to_owned(), Bytes::from("her"))];
    assert!(
        journal.sweep(u64::MAX).await.unwrap(),
        "nothing keeps it from being swept"
    );
    assert!(journal.sweep(0).await.unwrap(), "there is nothing left to sweep");
    journal.erase(erasure).await.unwrap();
    assert!(!journal.sweep(0).await.unwrap(), "it is larger than that");
    journal.close().await;
    let journal = place.open().await;
    assert_eq!(all(&*journal, "abc").await, records);
    assert_eq!(all(&*journal, "abd").await, others);
    assert_eq!(journal.contacts("abc", "").await.unwrap(), contacts);
    assert!(!journal.sweep(0).await.unwrap(), "that is not forgotten over a restart");
}

pub(crate) async fn a_snapshot_that_holds_what_is_erased_goes_with_it(place: &dyn Place) {
    let journal = place.open().await;
    let records = fill(&*journal, "abc", 7).await;
    let stored = snapshot(records[3].last(), "{}");
    journal.put_snapshot("abc", stored.clone()).await.unwrap();
    let erase = |record: &Record| {
        journal.erase(Erasure {
            stream: "abc".to_owned(),
            records: vec![(record.first, "[]".into())],
            contacts: Vec::new(),
        })
    };
    erase(&records[4]).await.unwrap();
    assert_eq!(journal.snapshot("abc").await.unwrap(), Some(stored), "it ends before");
    erase(&records[3]).await.unwrap();
    assert_eq!(journal.snapshot("abc").await.unwrap(), None);
}

pub(crate) async fn any_text_comes_back_as_it_was(place: &dyn Place) {
    let journal = place.open().await;
    let text = "\"Giá rẻ\u{301} 👨‍👩‍👧 สวัสดี 直播\u{0}\u{202e}'; DROP TABLE records;--\u{10ffff}\"";
    let mut append = batch("abc", 1, 1);
    append.record.events = text.into();
    append.record.personal = text.into();
    append.row.summary = text.into();
    append.contacts = vec![(text.to_owned(), text.into())];
    let row = append.row.clone();
    let record = must_append(&*journal, append).await;
    assert_eq!(all(&*journal, "abc").await, [record]);
    assert_eq!(journal.catalogue().await.unwrap(), [row]);
    assert_eq!(
        journal.contacts("abc", "\"Giá").await.unwrap(),
        [(text.to_owned(), text.into())]
    );
}

pub(crate) async fn a_batch_of_the_largest_size_comes_back_as_it_was(place: &dyn Place) {
    let journal = place.open().await;
    let mut append = batch("abc", 1, 1000);
    append.record.events = "e".repeat(512 << 10).into();
    append.record.personal = "p".repeat(128 << 10).into();
    append.record.batch = u128::MAX;
    append.record.epoch = u64::MAX;
    append.row.epoch = u64::MAX;
    let mut next = batch("abc", 1001, 1);
    (next.record.epoch, next.row.epoch) = (u64::MAX, u64::MAX);
    let records = [must_append(&*journal, append).await, must_append(&*journal, next).await];
    assert_eq!(all(&*journal, "abc").await, records);
    assert_eq!(journal.tail("abc", 2, usize::MAX).await.unwrap(), records);
    assert_eq!(journal.read("abc", 0, 1).await.unwrap(), records[..1]);
}

pub(crate) async fn a_closed_journal_finishes_what_waits_and_refuses_the_rest(place: &dyn Place) {
    let journal = place.open().await;
    let waiting = join_all((0..100).map(|n| journal.append(batch(&format!("room{n}"), 1, 1))));
    let closed = journal.close();
    let late = journal.append(batch("late", 1, 1)).await;
    assert!(
        matches!(late, Appended::NotWritten(AppendError::Unavailable(_))),
        "{late:?}"
    );
    assert!(waiting.await.into_iter().all(|outcome| outcome == Appended::Durable));
    closed.await;
    journal.close().await;
    assert!(journal.catalogue().await.is_err());
    assert_eq!(place.open().await.catalogue().await.unwrap().len(), 100);
}
