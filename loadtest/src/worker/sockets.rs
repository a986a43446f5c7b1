//! Viewers' sockets: what they bring and take, and how they end.

use std::cmp::Reverse;
use std::io;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use hubbub::protocol::{Close, Cursor, Hello};

use super::{Timer, Worker};
use crate::faults::Fault;
use crate::link::{Buffer, Got};
use crate::tally::add;
use crate::viewer::Stage;
use crate::wire::frame::{self, Opcode};
use crate::wire::handshake;

/// A viewer that has been failing for so long is given up.
const GIVE_UP: Duration = Duration::from_secs(30);
/// First wait before another attempt; it doubles up to ...
const BACKOFF: Duration = Duration::from_millis(200);
/// ... this.
const BACKOFF_MAX: Duration = Duration::from_secs(5);

impl Worker {
    pub(super) fn write(&mut self, viewer: usize, opcode: Opcode, payload: &[u8]) -> bool {
        let mut bytes = Vec::with_capacity(payload.len() + 14);
        frame::write(&mut bytes, opcode, payload, self.luck.bytes());
        self.write_raw(viewer, &bytes)
    }

    fn write_raw(&mut self, viewer: usize, bytes: &[u8]) -> bool {
        let Some(link) = &mut self.viewers[viewer].link else {
            return false;
        };
        let written = link.write(bytes).is_ok();
        if !written {
            self.lost(viewer, None);
        }
        written
    }

    pub(super) fn writable(&mut self, viewer: usize) {
        let room = self.room(viewer);
        let Self { viewers, course, .. } = self;
        let slot = &mut viewers[viewer];
        let Some(link) = &mut slot.link else {
            return;
        };
        if slot.stage != Stage::Connecting {
            if link.flush().is_err() {
                self.lost(viewer, None);
            }
            return;
        }
        match link.is_open() {
            // An event of the connection before: this one is not open yet.
            Ok(false) => return,
            Ok(true) => slot.stage = Stage::Upgrading,
            Err(error) => return self.failed(viewer, &error.to_string()),
        }
        let request = handshake::request(&course.server.authority, &course.rooms[room], course.form);
        self.write_raw(viewer, &request);
    }

    pub(super) fn readable(&mut self, viewer: usize, buffer: &mut Buffer) {
        loop {
            let slot = &mut self.viewers[viewer];
            if matches!(slot.stage, Stage::Connecting) {
                // Its failure is told by `writable`.
                return;
            }
            let Some(link) = &mut slot.link else {
                return;
            };
            let has = slot.partial.len();
            let (read, received, more) = match link.read(buffer, has) {
                Ok(Got::Bytes { plain, received, more }) => (plain, received, more),
                Ok(Got::End) => return self.lost(viewer, None),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => return self.broken(viewer, &error),
            };
            let partial = std::mem::take(&mut slot.partial);
            buffer.plain[..has].copy_from_slice(&partial);
            self.tally.bytes += received as u64;
            let end = has + read;
            let Some(taken) = self.take_in(viewer, &buffer.plain[..end]) else {
                return;
            };
            self.viewers[viewer].partial = buffer.plain[taken..end].to_vec();
            if !more {
                return;
            }
        }
    }

    /// Takes in what arrived; how much of it was whole, or `None` if the connection is over.
    fn take_in(&mut self, viewer: usize, bytes: &[u8]) -> Option<usize> {
        let mut taken = 0;
        if self.viewers[viewer].stage == Stage::Upgrading {
            match handshake::answer(bytes, self.course.form) {
                handshake::Answer::Incomplete => return Some(0),
                handshake::Answer::Refused(why) => {
                    self.failed(viewer, &why);
                    return None;
                }
                handshake::Answer::Open(length) => taken = length,
            }
            self.viewers[viewer].stage = Stage::Joining;
            self.hello(viewer);
        }
        let now = Instant::now();
        while self.viewers[viewer].link.is_some() {
            let frame = match frame::next(&bytes[taken..], self.course.form.compressed) {
                Ok(Some(frame)) => frame,
                Ok(None) => return Some(taken),
                Err(bad) => {
                    let number = self.number(viewer);
                    self.tally
                        .faults
                        .note(Fault::BadFrame, || format!("viewer {number}: {bad}"));
                    self.lost(viewer, None);
                    return None;
                }
            };
            taken += frame.length;
            match frame.opcode {
                Opcode::Text | Opcode::Binary if frame.compressed => match self.inflater.inflate(frame.payload) {
                    Some(payload) => self.message(viewer, &payload, frame.length, now),
                    None => {
                        let number = self.number(viewer);
                        let example = || format!("viewer {number}: it cannot be inflated");
                        self.tally.faults.note(Fault::BadMessage, example);
                    }
                },
                Opcode::Text | Opcode::Binary => self.message(viewer, frame.payload, frame.length, now),
                Opcode::Ping => drop(self.write(viewer, Opcode::Pong, frame.payload)),
                Opcode::Pong => {}
                Opcode::Close => {
                    let code = match frame.payload {
                        [a, b, ..] => u16::from_be_bytes([*a, *b]),
                        // 1005: a close frame without a code.
                        _ => 1005,
                    };
                    self.lost(viewer, Some(code));
                }
            }
        }
        None
    }

    fn hello(&mut self, viewer: usize) {
        let slot = &self.viewers[viewer];
        let cursor = self
            .epochs
            .get(&self.room(viewer))
            .copied()
            .zip(slot.follower.offset())
            .map(|(epoch, offset)| Cursor { epoch, offset });
        let hello = Hello {
            token: slot.token.as_deref().map(str::to_owned),
            name: Some(format!("Guest {}", self.number(viewer))),
            cursor,
            src: Some("loadtest".to_owned()),
            ..Hello::default()
        };
        self.send(viewer, Some(0), "hello", &hello);
    }

    pub(super) fn cut(&mut self, viewer: usize) {
        let slot = &mut self.viewers[viewer];
        if slot.stage == Stage::Watching {
            self.live.watching.fetch_sub(1, Ordering::Relaxed);
        }
        if slot.is_on_the_way() {
            self.on_the_way -= 1;
        }
        slot.cut();
    }

    /// The connection cannot be read: on the way in, which is where TLS has its say, it is told why.
    fn broken(&mut self, viewer: usize, error: &io::Error) {
        match self.viewers[viewer].stage {
            Stage::Upgrading => self.failed(viewer, &error.to_string()),
            _ => self.lost(viewer, None),
        }
    }

    /// The connection ended, with a close frame or without.
    fn lost(&mut self, viewer: usize, code: Option<u16>) {
        if self.viewers[viewer].link.is_none() {
            return;
        }
        *self.tally.closes.entry(code.unwrap_or(0)).or_default() += 1;
        if self.watches(viewer) {
            self.viewers[viewer].due = Instant::now();
        }
        if let Some(code) = code.filter(|code| !comes_back(*code)) {
            self.cut(viewer);
            self.viewers[viewer].stage = Stage::Gone;
            let number = self.number(viewer);
            self.tally
                .faults
                .note(Fault::ClosedForGood, || format!("viewer {number}: {code}"));
            return;
        }
        self.failed(viewer, "connection lost");
    }

    /// The viewer tries again later, as a page does.
    pub(super) fn failed(&mut self, viewer: usize, why: &str) {
        let now = Instant::now();
        add(&mut self.tally.failed, why);
        self.cut(viewer);
        let number = self.number(viewer);
        let slot = &mut self.viewers[viewer];
        let failing_since = *slot.failing_since.get_or_insert(now);
        if now > failing_since + GIVE_UP {
            slot.stage = Stage::Gone;
            self.tally
                .faults
                .note(Fault::Absent, || format!("viewer {number}: {why}"));
            return;
        }
        let wait = BACKOFF.saturating_mul(1 << slot.failures.min(5)).min(BACKOFF_MAX);
        slot.failures += 1;
        // Between half and all of it, so that they do not come back together.
        let jitter = if self.course.jitter {
            0.5 + self.luck.below(1_000) as f64 / 2_000.0
        } else {
            1.0
        };
        let at = slot.asked_back_at.take().unwrap_or(now + wait.mul_f64(jitter));
        // It stays due when it was: an attempt that failed is part of the time that coming took.
        self.timers.push(Reverse((at, viewer, Timer::Come)));
    }
}

/// 4000-4499, as the guide says; and what a proxy or a dying process may send.
fn comes_back(code: u16) -> bool {
    let known = Close::ALL.into_iter().find(|close| close.code() == code);
    known.map_or(
        (4000..4500).contains(&code) || code == 1001 || code == 1005,
        Close::come_back,
    )
}
