//! The cursor rule, as one viewer checks it. This server never sends anything that the rule would drop.

use hubbub::room::Offset;

use crate::faults::Fault;

/// Where a viewer is in the feed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Follower {
    /// The last offset applied; `None` before the first keyframe.
    offset: Option<Offset>,
    /// The next keyframe is announced: the viewer joins without being continued, or was told of a skip.
    keyframe_due: bool,
}

impl Follower {
    /// The cursor's offset, to come back with.
    pub(crate) fn offset(&self) -> Option<Offset> {
        self.offset
    }

    /// The server answered `hello`. Without being continued a keyframe must come next.
    pub(crate) fn joined(&mut self, resumed: bool) {
        self.keyframe_due = !resumed;
    }

    /// The server said that it left something out.
    pub(crate) fn skipped(&mut self) {
        self.keyframe_due = true;
    }

    /// Whether the viewer has the room's state: from then on deltas can come.
    pub(crate) fn is_following(&self) -> bool {
        self.offset.is_some() && !self.keyframe_due
    }

    /// A keyframe: the new cursor.
    ///
    /// # Errors
    ///
    /// [`Fault::SilentJump`] for one that hides a gap.
    pub(crate) fn keyframe(&mut self, offset: Offset) -> Result<(), Fault> {
        let before = self.offset.replace(offset);
        let announced = std::mem::take(&mut self.keyframe_due);
        match before {
            Some(before) if !announced && before != offset => Err(Fault::SilentJump),
            _ => Ok(()),
        }
    }

    /// A delta. After a fault the viewer goes on from it, so that one hole is one fault.
    ///
    /// # Errors
    ///
    /// [`Fault::Gap`], [`Fault::Double`], [`Fault::Disorder`].
    pub(crate) fn delta(&mut self, follows: Offset, offset: Offset) -> Result<(), Fault> {
        let Some(cursor) = self.offset.filter(|_| !self.keyframe_due) else {
            return Err(Fault::Disorder);
        };
        if offset == cursor {
            return Err(Fault::Double);
        }
        if offset < cursor || offset <= follows {
            return Err(Fault::Disorder);
        }
        self.offset = Some(offset);
        if follows > cursor {
            return Err(Fault::Gap);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays messages: `j` joined, `r` resumed, `s` skipped, `k5` keyframe, `5>7` delta; after `=` what it is.
    fn check(course: &str) {
        let mut follower = Follower::default();
        for step in course.split_whitespace() {
            let (message, expected) = step.split_once('=').unwrap_or((step, "ok"));
            let result = match message.split_at(1) {
                ("j", _) => {
                    follower.joined(false);
                    Ok(())
                }
                ("r", _) => {
                    follower.joined(true);
                    Ok(())
                }
                ("s", _) => {
                    follower.skipped();
                    Ok(())
                }
                ("k", offset) => follower.keyframe(offset.parse().unwrap()),
                _ => {
                    let (follows, offset) = message.split_once('>').unwrap();
                    follower.delta(follows.parse().unwrap(), offset.parse().unwrap())
                }
            };
            let said = result.map_or_else(|fault| format!("{fault:?}"), |()| "ok".to_owned());
            assert_eq!(said, expected, "{step} in {course}");
        }
    }

    #[test]
    fn deltas_follow_each_other_and_may_have_holes() {
        check("j k12 12>13 13>14 14>20 20>21");
        check("j k12 10>13");
    }

    #[test]
    fn a_missing_delta_is_one_gap() {
        check("j k12 12>13 14>15=Gap 15>16");
    }

    #[test]
    fn a_delta_that_comes_twice_is_noticed() {
        check("j k12 12>13 12>13=Double 13>14");
        check("j k12 11>12=Double");
    }

    #[test]
    fn deltas_in_the_wrong_order_are_noticed() {
        check("j k12 13>14=Gap 12>13=Disorder 14>15");
        check("j k12 12>14 12>13=Disorder");
        check("j 12>13=Disorder");
        check("j k12 20>19=Disorder");
    }

    #[test]
    fn who_comes_back_goes_on_from_the_cursor() {
        check("j k12 12>13 r 13>14");
        check("j k12 12>13 r 14>15=Gap");
        check("j k12 12>13 r 12>13=Double");
    }

    #[test]
    fn a_keyframe_may_hide_a_gap_only_when_it_is_announced() {
        check("j k12 12>13 s k40 40>41");
        check("j k12 12>13 j k40 40>41");
        check("j k12 12>13 k13 13>14");
        check("j k12 12>13 k40=SilentJump 40>41");
        check("j k12 s 12>13=Disorder");
    }
}
