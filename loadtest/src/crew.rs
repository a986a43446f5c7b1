//! The threads with the viewers, and what is asked of all of them.

use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::{self, JoinHandle};

use crate::options::Failure;
use crate::tally::{Live, Tally};
use crate::worker::{Course, Order, Standing, Worker};

/// The threads with the viewers.
pub(crate) struct Crew {
    orders: Vec<Sender<Order>>,
    lives: Vec<Arc<Live>>,
    threads: Vec<JoinHandle<std::io::Result<Tally>>>,
}

/// How many of the first `count` viewers a thread has.
pub(crate) fn share(count: u32, index: usize, threads: u32) -> u32 {
    count.saturating_sub(index as u32).div_ceil(threads)
}

impl Crew {
    pub(crate) fn start(course: &Arc<Course>, viewers: u32) -> Result<Self, Failure> {
        let mut crew = Self {
            orders: Vec::new(),
            lives: Vec::new(),
            threads: Vec::new(),
        };
        for index in 0..course.threads {
            let live = Arc::new(Live::default());
            let count = share(viewers, index as usize, course.threads);
            let worker = Worker::new(Arc::clone(course), Arc::clone(&live), index, count)
                .map_err(|error| Failure::Usage(format!("no thread can be made: {error}")))?;
            let (orders, inbox) = channel();
            crew.threads.push(thread::spawn(move || worker.run(&inbox)));
            crew.orders.push(orders);
            crew.lives.push(live);
        }
        Ok(crew)
    }

    pub(crate) fn order(&self, order: impl Fn(usize) -> Order) {
        for (index, orders) in self.orders.iter().enumerate() {
            // A thread that has failed is found when its tally is asked for.
            let _ = orders.send(order(index));
        }
    }

    pub(crate) fn standing(&self) -> Standing {
        let (reply, replies) = channel();
        self.order(|_| Order::Tell(reply.clone()));
        drop(reply);
        replies.iter().fold(Standing::default(), Standing::and)
    }

    pub(crate) fn lives(&self) -> impl Iterator<Item = &Live> + Clone {
        self.lives.iter().map(|live| &**live)
    }

    /// Comments that viewers received so far, and bytes with everything.
    pub(crate) fn received(&self) -> (u64, u64) {
        let deliveries = Live::sum(self.lives(), |live| &live.deliveries);
        (deliveries, Live::sum(self.lives(), |live| &live.bytes))
    }

    /// All leave; what they counted.
    pub(crate) fn end(&mut self) -> Result<Tally, Failure> {
        self.orders.clear();
        let mut tally: Option<Tally> = None;
        for thread in self.threads.drain(..) {
            let told = match thread.join() {
                Ok(told) => told.map_err(|error| error.to_string()),
                Err(_) => Err("it panicked".to_owned()),
            };
            let told = told.map_err(|why| Failure::Unavailable(format!("a thread of this program failed: {why}")))?;
            match &mut tally {
                None => tally = Some(told),
                Some(tally) => tally.merge(told),
            }
        }
        Ok(tally.unwrap_or_default())
    }
}
