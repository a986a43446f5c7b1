//! A queue bounded in number and bytes, from which one or several threads take.

use std::collections::VecDeque;

use parking_lot::{Condvar, Mutex};

/// Jobs that wait, each with its size in bytes. Closed, it takes no more but still gives what it has.
pub(super) struct Queue<T> {
    state: Mutex<State<T>>,
    arrived: Condvar,
    jobs_max: usize,
    bytes_max: usize,
}

struct State<T> {
    jobs: VecDeque<(usize, T)>,
    bytes: usize,
    closed: Option<String>,
}

/// What [`Queue::take_if`] found.
pub(super) enum Taken<T> {
    /// The next job.
    Job(T),
    /// Nothing waits now, or nothing wanted.
    Nothing,
    /// Nothing waits, and nothing will come.
    End,
}

impl<T> Queue<T> {
    /// An empty queue for at most so many jobs, with so many bytes altogether.
    pub(super) fn new(jobs_max: usize, bytes_max: usize) -> Self {
        let state = State {
            jobs: VecDeque::new(),
            bytes: 0,
            closed: None,
        };
        Self {
            state: Mutex::new(state),
            arrived: Condvar::new(),
            jobs_max,
            bytes_max,
        }
    }

    /// Adds a job at the end. An empty queue takes one of any size.
    ///
    /// # Errors
    ///
    /// Why not: full, or closed for the reason given then.
    pub(super) fn push(&self, bytes: usize, job: T) -> Result<(), String> {
        let mut state = self.state.lock();
        if let Some(reason) = &state.closed {
            return Err(reason.clone());
        }
        let fits = state.bytes.saturating_add(bytes) <= self.bytes_max && state.jobs.len() < self.jobs_max;
        if !fits && !state.jobs.is_empty() {
            return Err(format!("{} jobs wait already", state.jobs.len()));
        }
        state.bytes += bytes;
        state.jobs.push_back((bytes, job));
        drop(state);
        self.arrived.notify_one();
        Ok(())
    }

    /// Takes the oldest job if it is wanted, without waiting for one.
    pub(super) fn take_if(&self, wanted: impl FnOnce(&T) -> bool) -> Taken<T> {
        let mut state = self.state.lock();
        match state.jobs.front() {
            Some((_, job)) if !wanted(job) => Taken::Nothing,
            _ => state.take(),
        }
    }

    /// Takes the oldest job, waiting for one; `None` at the end.
    pub(super) fn wait(&self) -> Option<T> {
        let mut state = self.state.lock();
        loop {
            match state.take() {
                Taken::Job(job) => return Some(job),
                Taken::End => return None,
                Taken::Nothing => self.arrived.wait(&mut state),
            }
        }
    }

    /// Takes no more jobs; the first reason given counts.
    pub(super) fn close(&self, reason: &str) {
        self.state.lock().closed.get_or_insert_with(|| reason.to_owned());
        self.arrived.notify_all();
    }
}

impl<T> State<T> {
    fn take(&mut self) -> Taken<T> {
        match self.jobs.pop_front() {
            Some((bytes, job)) => {
                self.bytes -= bytes;
                Taken::Job(job)
            }
            None if self.closed.is_some() => Taken::End,
            None => Taken::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_refuses_by_number_and_by_bytes_but_takes_one_large_job_alone() {
        let queue = Queue::new(2, 10);
        assert_eq!(queue.push(11, "large"), Ok(()));
        assert!(queue.push(0, "beside it").is_err());
        assert_eq!(queue.wait(), Some("large"));
        assert_eq!(queue.push(5, "a"), Ok(()));
        assert!(queue.push(6, "too many bytes").is_err());
        assert_eq!(queue.push(5, "b"), Ok(()));
        assert!(queue.push(0, "too many").is_err());
    }

    #[test]
    fn a_closed_queue_gives_what_it_has_and_then_ends() {
        let queue = Queue::new(2, 10);
        assert_eq!(queue.push(1, "a"), Ok(()));
        queue.close("enough");
        queue.close("again");
        assert_eq!(queue.push(1, "b"), Err("enough".to_owned()));
        assert_eq!(queue.wait(), Some("a"));
        assert_eq!(queue.wait(), None);
    }
}
