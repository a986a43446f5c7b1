//! The show itself: what is shown about it, and its states `draft -> scheduled -> live <-> paused -> ended`.

use serde::{Deserialize, Deserializer, Serialize};
use sha2::{Digest, Sha256};

use super::staff::{Role, StaffEvent};
use super::stage::{ShowCard, ShowChange, ShownDetails, StaffOnly, StageEvent, Summary};
use super::{
    Actor, Answer, Decision, Event, Hash, Luck, PersonId, Personal, Refusal, Room, Timestamp, ViewerNo, discount, draw,
    text,
};

/// After End, this long can be undone.
pub const END_UNDO_MS: u64 = 10_000;
/// The longest checkout grace.
pub const GRACE_MS_MAX: u64 = 30 * 60_000;
/// A show on air without viewers, without staff and without any event for this long ends by itself: 2 h.
pub const DESERTED_MS: u64 = 2 * 3_600_000;
/// The numbers of a show in their event, as JSON: those of the largest show of 100 discounts have 25 KiB.
pub const SUMMARY_BYTES_MAX: usize = 32 * 1024;
/// Most hashtags.
pub const TAGS_MAX: usize = 5;
/// Most entries of the menu.
pub const LINKS_MAX: usize = 8;
/// No announced start is later: JavaScript and calendars end there.
const YEAR_10000: Timestamp = Timestamp(253_402_300_800_000);

/// Where a show stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Being prepared, without a date.
    #[default]
    Draft,
    /// Its start is announced; the page is a lobby.
    Scheduled,
    /// On air.
    Live,
    /// Live, with the picture interrupted; deadlines run on.
    Paused,
    /// Over, for good.
    Ended,
}

impl State {
    /// Live or paused: what a viewer may do while live is allowed.
    pub fn on_air(self) -> bool {
        matches!(self, Self::Live | Self::Paused)
    }
}

/// Picture or sound only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Video.
    #[default]
    Video,
    /// Sound: the page shows the cover.
    Audio,
}

/// Who may come in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// Everybody; listed on the landing page.
    #[default]
    Public,
    /// Whoever has the link.
    Unlisted,
}

/// Where the picture comes from. URLs are `https:`, or `http:` to this machine or the network around it
/// ([`text::source_url`]).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Source {
    /// A playlist, where the browser plays HLS by itself.
    Hls {
        /// Its address.
        url: String,
    },
    /// A WHEP endpoint.
    Whep {
        /// Its address.
        url: String,
    },
    /// An MP4 or WebM file.
    File {
        /// Its address.
        url: String,
    },
}

/// An entry of the menu that stands on the page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// What it says, 1-40 characters.
    pub label: String,
    /// Where it leads, `https:` or `http:`.
    pub url: String,
}

/// What the host wants to reach; shown on the control page beside the numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Goals {
    /// Viewers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub viewers: Option<u32>,
    /// Comments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comments: Option<u32>,
    /// Likes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub likes: Option<u32>,
    /// Discounts claimed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claims: Option<u32>,
}

/// An uploaded picture, served by the shell from its own hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Cover {
    /// `{sha256 in hex}.{jpg|png|webp}`: the file's name under `/covers/`.
    pub file: String,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
}

/// All that is shown about a show.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Details {
    /// 1-80 characters.
    pub title: String,
    /// At most 2,000 characters.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// The name under which the host speaks, 1-20 characters.
    pub host: String,
    /// Picture or sound only.
    #[serde(default)]
    pub kind: Kind,
    /// Who may come in.
    #[serde(default)]
    pub access: Access,
    /// At most 5, without `#`, 1-30 characters each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// The announced start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduled_at: Option<Timestamp>,
    /// Where the picture comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// The cover.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cover: Option<Cover>,
    /// The menu, at most 8.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<Link>,
    /// What the host wants to reach. Not shown to viewers.
    #[serde(default, skip_serializing_if = "Goals::are_none")]
    pub goals: Goals,
    /// Made by a load test: never listed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub test: bool,
}

/// Makes the room. The same again is a retry; another body is a conflict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Create {
    /// What is shown about it.
    pub details: Details,
}

/// Makes the room for a host who runs a show of theirs again: they are its first member. The server asks for it,
/// having seen that they are the host of the room which is copied. The same again is a retry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateFor {
    /// What is shown about it.
    pub details: Details,
    /// Who, the same person as in the other room.
    pub host: PersonId,
}

/// Changes what is given; `null` clears what may be absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields of `Details`")]
pub struct Change {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<Kind>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access: Option<Access>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub scheduled_at: Option<Option<Timestamp>>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub source: Option<Option<Source>>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub cover: Option<Option<Cover>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub links: Option<Vec<Link>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub goals: Option<Goals>,
}

/// Tells `null` (clear it) from an absent field (leave it).
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(deserializer).map(Some)
}

/// Ends the show in [`END_UNDO_MS`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct End {
    /// How long after the end codes can still be used, at most [`GRACE_MS_MAX`].
    pub grace_ms: u64,
    /// What becomes of a draw that is open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open_draw: Option<OpenDrawAtEnd>,
}

/// What becomes of a draw that is open when the show ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OpenDrawAtEnd {
    /// It is locked at the end and drawn.
    Draw,
    /// It is cancelled.
    Cancel,
}

/// What happened to the show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShowEvent {
    /// The room was made: its first event.
    Created {
        /// What is shown about it.
        details: Details,
    },
    /// Something about it was changed; the state may become scheduled or draft with the date.
    Changed(Change),
    /// It went on air.
    Started {},
    /// It was interrupted.
    Paused {},
    /// It went on.
    Resumed {},
    /// The host ended it; it takes effect at `ends_at` unless undone.
    Ending {
        /// When.
        ends_at: Timestamp,
        /// How long after the end codes can still be used.
        grace_ms: u64,
        /// What becomes of an open draw.
        open_draw: Option<OpenDrawAtEnd>,
    },
    /// The end was taken back.
    EndUndone {},
    /// It is over. `due` is when it should have been, the batch says when it was.
    Ended {
        /// When it was due.
        due: Timestamp,
        /// Until when codes can be used.
        redeem_until: Timestamp,
    },
    /// The numbers of the show that is over, once its last draw is revealed: in the event, so that every page
    /// gets them with it instead of asking all at once.
    SummedUp {
        /// The numbers then, at most [`SUMMARY_BYTES_MAX`] as JSON. Prizes claimed and codes redeemed later are
        /// in keyframes.
        summary: Summary,
    },
}

/// The show's part of the room's state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Show {
    /// What is shown about it.
    pub details: Details,
    state: State,
    /// Of the details as they were when it was made, to know a retry.
    created: Option<Hash>,
    /// First start.
    pub started_at: Option<Timestamp>,
    /// Final end.
    pub ended_at: Option<Timestamp>,
    /// An end that can still be undone.
    pub ending: Option<Ending>,
    /// Until when codes can be used, once ended.
    pub redeem_until: Option<Timestamp>,
    /// Live time before `live_since`, without pauses, ms.
    pub live_ms_before: u64,
    /// Since when it has been live without a pause.
    pub live_since: Option<Timestamp>,
    /// Its numbers were told.
    summed_up: bool,
}

/// An end that was asked for and can still be undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    /// When it takes effect.
    pub ends_at: Timestamp,
    /// How long after the end codes can still be used.
    pub grace_ms: u64,
    /// What becomes of an open draw.
    pub open_draw: Option<OpenDrawAtEnd>,
}

impl Show {
    /// Where it stands.
    pub fn state(&self) -> State {
        self.state
    }
}

pub(super) fn create(actor: &Actor, create: &Create) -> Result<Decision, Refusal> {
    if !matches!(actor, Actor::Operator(_)) {
        return Err(Refusal::NotAllowed);
    }
    let details = create.details.checked()?;
    Ok(Decision::event(ShowEvent::Created { details }))
}

/// The room exists already: the same details again are a retry, whatever they were changed to since.
pub(super) fn create_again(room: &Room, create: &Create) -> Result<Decision, Refusal> {
    let same = room.show.created == Some(create.details.checked()?.fingerprint());
    let retry = same.then(|| Decision::again(Answer::Done {}));
    retry.ok_or(Refusal::IdempotencyConflict)
}

/// A room of which nothing has been decided yet gets its details and its host.
pub(super) fn create_for(actor: &Actor, create: &CreateFor) -> Result<Decision, Refusal> {
    if *actor != Actor::Server {
        return Err(Refusal::NotAllowed);
    }
    let details = create.details.checked()?;
    let (person, role) = (create.host, Role::Host);
    let joined = StaffEvent::Joined {
        person,
        role,
        name: Personal(details.host.clone()),
        invitation: None,
    };
    Ok(Decision {
        events: vec![ShowEvent::Created { details }.into(), joined.into()],
        answer: Answer::Joined { person, role },
    })
}

/// The room exists already: a retry finds it made for the same host.
pub(super) fn create_for_again(room: &Room, create: &CreateFor) -> Result<Decision, Refusal> {
    let same = room.show.created == Some(create.details.checked()?.fingerprint());
    let member = room.staff.members.get(&create.host);
    let (person, role) = (create.host, Role::Host);
    let theirs = same && member.is_some_and(|member| member.role == role);
    let retry = theirs.then(|| Decision::again(Answer::Joined { person, role }));
    retry.ok_or(Refusal::IdempotencyConflict)
}

pub(super) fn change(room: &Room, change: &Change, _now: Timestamp) -> Result<Decision, Refusal> {
    let before = &room.show.details;
    let mut after = before.clone();
    after.apply(change);
    let after = after.checked()?;
    let changed = before.changed_to(&after);
    if changed.scheduled_at.is_some() && !matches!(room.show.state, State::Draft | State::Scheduled) {
        return Err(Refusal::WrongState {
            reason: "the show has started",
        });
    }
    if changed == Change::default() {
        return Ok(Decision::again(Answer::Done {}));
    }
    Ok(Decision::event(ShowEvent::Changed(changed)))
}

impl Details {
    /// The same as they are stored: trimmed, without `#` before tags; or which field is wrong.
    fn checked(&self) -> Result<Self, Refusal> {
        let bad = |field, reason| Err(Refusal::BadField { field, reason });
        if self.tags.len() > TAGS_MAX {
            return bad("tags", "has more than 5");
        }
        if self.links.len() > LINKS_MAX {
            return bad("links", "has more than 8");
        }
        if self.scheduled_at.is_some_and(|at| at > YEAR_10000) {
            return bad("scheduled_at", "is no date");
        }
        if self.cover.as_ref().is_some_and(|cover| !cover.is_sound()) {
            return bad("cover", "is no uploaded picture");
        }
        let mut tags = Vec::with_capacity(self.tags.len());
        for tag in &self.tags {
            let tag = checked_tag(tag)?;
            if !tags.contains(&tag) {
                tags.push(tag);
            }
        }
        Ok(Self {
            title: text::line(&self.title, "title", 1..=80)?,
            description: text::paragraphs(&self.description, "description", 2_000)?,
            host: text::line(&self.host, "host", 1..=text::NAME_MAX)?,
            tags,
            source: self.source.as_ref().map(Source::checked).transpose()?,
            links: self.links.iter().map(Link::checked).collect::<Result<_, _>>()?,
            ..self.clone()
        })
    }

    fn apply(&mut self, change: &Change) {
        let Change {
            title,
            description,
            host,
            kind,
            access,
            tags,
            scheduled_at,
            source,
            cover,
            links,
            goals,
        } = change.clone();
        put(&mut self.title, title);
        put(&mut self.description, description);
        put(&mut self.host, host);
        put(&mut self.kind, kind);
        put(&mut self.access, access);
        put(&mut self.tags, tags);
        put(&mut self.scheduled_at, scheduled_at);
        put(&mut self.source, source);
        put(&mut self.cover, cover);
        put(&mut self.links, links);
        put(&mut self.goals, goals);
    }

    /// What of these differs in the others: the change that leads there.
    fn changed_to(&self, after: &Self) -> Change {
        Change {
            title: differing(&self.title, &after.title),
            description: differing(&self.description, &after.description),
            host: differing(&self.host, &after.host),
            kind: differing(&self.kind, &after.kind),
            access: differing(&self.access, &after.access),
            tags: differing(&self.tags, &after.tags),
            scheduled_at: differing(&self.scheduled_at, &after.scheduled_at),
            source: differing(&self.source, &after.source),
            cover: differing(&self.cover, &after.cover),
            links: differing(&self.links, &after.links),
            goals: differing(&self.goals, &after.goals),
        }
    }

    fn fingerprint(&self) -> Hash {
        let details = serde_json::to_vec(self).expect("plain fields with text keys are always JSON");
        Hash(Sha256::digest(details).into())
    }

    /// Without what only staff see.
    fn shown(&self) -> ShownDetails {
        Self {
            goals: Goals::default(),
            ..self.clone()
        }
    }
}

fn put<T>(field: &mut T, given: Option<T>) {
    if let Some(given) = given {
        *field = given;
    }
}

fn differing<T: Clone + PartialEq>(before: &T, after: &T) -> Option<T> {
    (before != after).then(|| after.clone())
}

fn checked_tag(tag: &str) -> Result<String, Refusal> {
    let tag = text::line(tag.trim().trim_start_matches(['#', '＃']), "tags", 1..=30)?;
    if tag.contains(|c: char| c.is_whitespace() || c == '#' || c == ',') {
        return Err(Refusal::BadField {
            field: "tags",
            reason: "has one of several words",
        });
    }
    Ok(tag)
}

impl Source {
    fn checked(&self) -> Result<Self, Refusal> {
        let address = |url: &str| text::source_url(url, "source");
        Ok(match self {
            Self::Hls { url } => Self::Hls { url: address(url)? },
            Self::Whep { url } => Self::Whep { url: address(url)? },
            Self::File { url } => Self::File { url: address(url)? },
        })
    }
}

impl Link {
    fn checked(&self) -> Result<Self, Refusal> {
        Ok(Self {
            label: text::line(&self.label, "links", 1..=40)?,
            url: text::url(&self.url, "links")?,
        })
    }
}

impl Cover {
    /// Whether its file can be one that the shell has stored: nothing else may stand in a page's address.
    fn is_sound(&self) -> bool {
        let (hash, kind) = self.file.split_once('.').unwrap_or_default();
        let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        hash.len() == 64 && hash.bytes().all(hex) && matches!(kind, "jpg" | "png" | "webp")
    }
}

impl Goals {
    fn are_none(&self) -> bool {
        *self == Self::default()
    }
}

pub(super) fn start(room: &Room, _now: Timestamp) -> Result<Decision, Refusal> {
    match room.show.state {
        State::Draft | State::Scheduled => Ok(Decision::event(ShowEvent::Started {})),
        State::Live => Ok(Decision::again(Answer::Done {})),
        State::Paused => Err(Refusal::WrongState {
            reason: "the show is paused",
        }),
        State::Ended => Err(Refusal::Ended),
    }
}

pub(super) fn pause(room: &Room, now: Timestamp) -> Result<Decision, Refusal> {
    match room.show.state {
        _ if room.show.is_overdue(now) => Err(Refusal::Ended),
        State::Live => Ok(Decision::event(ShowEvent::Paused {})),
        State::Paused => Ok(Decision::again(Answer::Done {})),
        State::Draft | State::Scheduled => Err(Refusal::NotLive),
        State::Ended => Err(Refusal::Ended),
    }
}

pub(super) fn resume(room: &Room, now: Timestamp) -> Result<Decision, Refusal> {
    match room.show.state {
        _ if room.show.is_overdue(now) => Err(Refusal::Ended),
        State::Paused => Ok(Decision::event(ShowEvent::Resumed {})),
        State::Live => Ok(Decision::again(Answer::Done {})),
        State::Draft | State::Scheduled => Err(Refusal::NotLive),
        State::Ended => Err(Refusal::Ended),
    }
}

pub(super) fn end(room: &Room, _actor: &Actor, end: &End, now: Timestamp) -> Result<Decision, Refusal> {
    match room.show.state {
        State::Live | State::Paused => {}
        State::Draft | State::Scheduled => return Err(Refusal::NotLive),
        State::Ended => return Err(Refusal::Ended),
    }
    if end.grace_ms > GRACE_MS_MAX {
        return Err(Refusal::BadField {
            field: "grace_ms",
            reason: "is more than 30 minutes",
        });
    }
    if let Some(ending) = room.show.ending {
        let same = (ending.grace_ms, ending.open_draw) == (end.grace_ms, end.open_draw);
        let retry = same.then(|| Decision::again(Answer::Done {}));
        return retry.ok_or(Refusal::WrongState {
            reason: "the show is ending already",
        });
    }
    if room.draws.is_open() && end.open_draw.is_none() {
        return Err(Refusal::WrongState {
            reason: "a draw is open",
        });
    }
    Ok(Decision::event(ShowEvent::Ending {
        ends_at: now.plus(END_UNDO_MS),
        grace_ms: end.grace_ms,
        open_draw: end.open_draw,
    }))
}

pub(super) fn undo_end(room: &Room, _now: Timestamp) -> Result<Decision, Refusal> {
    match (room.show.state, room.show.ending) {
        (State::Ended, _) => Err(Refusal::UndoOver),
        (_, Some(_)) => Ok(Decision::event(ShowEvent::EndUndone {})),
        (_, None) => Ok(Decision::again(Answer::Done {})),
    }
}

/// The end: as the host asked for it, or because nobody was there any more. What is open closes with it; a
/// draw is drawn unless the host chose to cancel it, since its entries were promised a chance. After the end:
/// its numbers.
pub(super) fn due(room: &Room, due: Timestamp, now: Timestamp, luck: &mut Luck) -> Vec<Event> {
    if room.show.state == State::Ended {
        let summary = room.summary(now).fit(SUMMARY_BYTES_MAX);
        return vec![ShowEvent::SummedUp { summary }.into()];
    }
    let ending = room.show.ending;
    let grace_ms = ending.map_or(0, |ending| ending.grace_ms);
    let open_draw = ending.and_then(|ending| ending.open_draw);
    let mut events = draw::at_show_end(room, open_draw, now, luck);
    events.extend(discount::at_show_end(room, now));
    let ended = ShowEvent::Ended {
        due,
        redeem_until: now.plus(grace_ms),
    };
    events.push(ended.into());
    events
}

impl Show {
    /// The end that was asked for is due and has not come yet: a restarted server holds deadlines for a while. What
    /// would be live time after it is none.
    fn is_overdue(&self, now: Timestamp) -> bool {
        self.ending.is_some_and(|ending| ending.ends_at <= now)
    }

    /// An end that was asked for, or the one of a show on air in which nothing at all happens any more: no
    /// viewers, no page of the staff, and no event of any kind for [`DESERTED_MS`].
    /// After the end: at once, or when the draw under way is revealed, its numbers.
    pub(super) fn next_deadline(&self, room: &Room) -> Option<Timestamp> {
        if self.state == State::Ended {
            return self.ended_at.filter(|_| !self.summed_up && !room.draws.is_under_way());
        }
        let deserted = self.state.on_air() && room.audience.totals.watching == 0;
        let asked = self.ending.map(|ending| ending.ends_at);
        let quiet = room.attendance.quiet_since().filter(|_| deserted);
        asked.or(quiet.map(|since| since.plus(DESERTED_MS)))
    }

    pub(super) fn apply(&mut self, event: &ShowEvent, at: Timestamp) {
        match event {
            ShowEvent::Created { details } => {
                self.created = Some(details.fingerprint());
                self.details = details.clone();
                self.follow_date();
            }
            ShowEvent::Changed(change) => {
                self.details.apply(change);
                self.follow_date();
            }
            ShowEvent::Started {} => {
                self.state = State::Live;
                self.started_at.get_or_insert(at);
                self.live_since = Some(at);
            }
            ShowEvent::Paused {} => {
                self.state = State::Paused;
                self.stop_live_time(at);
            }
            ShowEvent::Resumed {} => {
                self.state = State::Live;
                self.live_since = Some(at);
            }
            ShowEvent::Ending {
                ends_at,
                grace_ms,
                open_draw,
            } => {
                self.ending = Some(Ending {
                    ends_at: *ends_at,
                    grace_ms: *grace_ms,
                    open_draw: *open_draw,
                });
            }
            ShowEvent::EndUndone {} => self.ending = None,
            ShowEvent::Ended { due, redeem_until } => {
                self.stop_live_time(at.min(*due));
                self.state = State::Ended;
                self.ending = None;
                self.ended_at = Some(at);
                self.redeem_until = Some(*redeem_until);
            }
            ShowEvent::SummedUp { .. } => self.summed_up = true,
        }
    }

    /// A draft with a date is scheduled; a scheduled show without one is a draft.
    fn follow_date(&mut self) {
        if matches!(self.state, State::Draft | State::Scheduled) {
            let scheduled = self.details.scheduled_at.is_some();
            self.state = if scheduled { State::Scheduled } else { State::Draft };
        }
    }

    fn stop_live_time(&mut self, at: Timestamp) {
        if let Some(since) = self.live_since.take() {
            self.live_ms_before += at.since(since);
        }
    }
}

impl Show {
    /// The show as the stage has it.
    pub(super) fn card(&self) -> ShowCard {
        ShowCard {
            details: self.details.shown(),
            state: self.state,
            started_at: self.started_at,
            live_ms: self.live_ms_before,
            live_since: self.live_since,
            ends_at: self.ending.map(|ending| ending.ends_at),
            ended_at: self.ended_at,
            redeem_until: self.redeem_until,
        }
    }

    /// Live time so far, without pauses.
    pub fn live_ms(&self, now: Timestamp) -> u64 {
        self.live_ms_before + self.live_since.map_or(0, |since| now.since(since))
    }
}

impl ShowEvent {
    pub(super) fn personal(&mut self, each: &mut dyn FnMut(Option<ViewerNo>, &mut Personal)) {
        let Self::SummedUp { summary } = self else { return };
        let winners = summary.draws.iter_mut().flat_map(|draw| &mut draw.winners);
        winners.for_each(|winner| each(Some(winner.by), &mut winner.name));
    }

    pub(super) fn stage(&self) -> Option<StageEvent> {
        let change = match self {
            Self::Created { details } => ShowChange::Created(details.shown()),
            Self::Changed(change) => {
                let shown = Change {
                    goals: None,
                    ..change.clone()
                };
                if shown == Change::default() {
                    return None;
                }
                ShowChange::Changed(shown)
            }
            Self::Started {} => ShowChange::Started {},
            Self::Paused {} => ShowChange::Paused {},
            Self::Resumed {} => ShowChange::Resumed {},
            Self::Ending { ends_at, .. } => ShowChange::Ending { ends_at: *ends_at },
            Self::EndUndone {} => ShowChange::EndUndone {},
            Self::Ended { redeem_until, .. } => ShowChange::Ended {
                redeem_until: *redeem_until,
            },
            Self::SummedUp { summary } => return Some(StageEvent::Summary(summary.clone())),
        };
        Some(StageEvent::Show(change))
    }

    pub(super) fn staff_only(&self) -> Vec<StaffOnly> {
        let goals = match self {
            Self::Created { details } => Some(details.goals).filter(|goals| !goals.are_none()),
            Self::Changed(change) => change.goals,
            _ => None,
        };
        goals.map(StaffOnly::Goals).into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::audience::Totals;
    use super::super::stage::DrawSummary;
    use super::super::{Command, Empty, Offset, PersonId, RoomId};
    use super::*;

    const OPERATOR: Actor = Actor::Operator(PersonId(1));

    fn details(title: &str) -> Details {
        Details {
            title: title.into(),
            host: "Lina".into(),
            ..Details::default()
        }
    }

    fn made(details: Details) -> Room {
        let mut room = Room::new(RoomId::new("show").expect("good"));
        run(&mut room, Command::Create(Create { details }), 0).expect("made");
        room
    }

    /// Fires what is due, then decides and applies.
    fn run(room: &mut Room, command: Command, now: u64) -> Result<(), Refusal> {
        pass(room, now);
        let decision = room.decide(&OPERATOR, &command, Timestamp(now), &mut Luck::new([1; 32]))?;
        for event in decision.events {
            room.apply(&event, Timestamp(now));
        }
        Ok(())
    }

    fn pass(room: &mut Room, now: u64) {
        while let Some(events) = room.due(Timestamp(now), &mut Luck::new([2; 32])) {
            for event in events {
                room.apply(&event, Timestamp(now));
            }
        }
    }

    fn watching(room: &mut Room, watching: u32, now: u64) {
        let totals = Totals {
            watching,
            ..Totals::default()
        };
        room.audience.totals = totals;
        room.at = Timestamp(now);
    }

    /// Runs lines of `@seconds what -> result`: a state (of the room after it) or the code of a refusal.
    /// `date`, `no date` change the announced start; `wait` only lets the time pass.
    fn check(scenario: &str) {
        let mut room = made(details("Lipsticks"));
        for line in scenario.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (step, expected) = line.split_once(" -> ").expect("a result");
            let (time, what) = step.split_once(' ').expect("a time");
            let now = time.trim_start_matches('@').parse::<u64>().expect("seconds") * 1_000;
            let date = |scheduled_at| {
                Command::Change(Change {
                    scheduled_at: Some(scheduled_at),
                    ..Change::default()
                })
            };
            let command = match what.trim() {
                "start" => Command::Start(Empty {}),
                "pause" => Command::Pause(Empty {}),
                "resume" => Command::Resume(Empty {}),
                "end" => Command::End(End::default()),
                "undo" => Command::UndoEnd(Empty {}),
                "date" => date(Some(Timestamp(5_000_000))),
                "no date" => date(None),
                "retitle" => Command::Change(Change {
                    title: Some(format!("At {now}")),
                    ..Change::default()
                }),
                "wait" => {
                    pass(&mut room, now);
                    assert_eq!(state(&room), expected, "{line}");
                    continue;
                }
                other => panic!("what is {other}?"),
            };
            let result = run(&mut room, command, now);
            let result = result.map_or_else(|refusal| refusal.code().to_owned(), |()| state(&room));
            assert_eq!(result, expected, "{line}");
        }
    }

    fn state(room: &Room) -> String {
        let live = format!(" {}s", room.show.live_ms(room.at) / 1_000);
        let state = format!("{:?}", room.show.state()).to_lowercase();
        let ending = if room.show.ending.is_some() { ", ending" } else { "" };
        state + &live + ending
    }

    #[test]
    fn a_show_goes_through_its_states() {
        check(
            "@0 date    -> scheduled 0s
             @0 no date -> draft 0s
             @1 pause   -> not_live
             @1 resume  -> not_live
             @1 end     -> not_live
             @1 date    -> scheduled 0s
             @10 start  -> live 0s
             @11 start  -> live 0s
             @12 no date -> wrong_state
             @15 retitle -> live 5s
             @20 pause  -> paused 10s
             @21 pause  -> paused 10s
             @22 start  -> wrong_state
             @30 resume -> live 10s
             @31 resume -> live 10s
             @40 end    -> live 20s, ending
             @50 wait   -> ended 30s
             @51 start  -> ended
             @51 pause  -> ended
             @51 resume -> ended
             @51 end    -> ended
             @51 date   -> ended 30s
             @51 no date -> wrong_state
             @52 retitle -> ended 30s",
        );
    }

    #[test]
    fn a_draft_may_go_live_at_once() {
        check("@0 start -> live 0s");
    }

    #[test]
    fn an_end_can_be_undone_for_ten_seconds() {
        check(
            "@0 start -> live 0s
             @5 undo  -> live 0s
             @10 end  -> live 10s, ending
             @11 end  -> live 10s, ending
             @12 pause -> paused 12s, ending
             @19 undo -> paused 12s
             @60 wait -> paused 12s
             @60 end  -> paused 12s, ending
             @69 wait -> paused 12s, ending
             @70 undo -> undo_over",
        );
    }

    #[test]
    fn a_late_end_counts_no_more_live_time_than_it_should() {
        check(
            "@0 start -> live 0s
             @10 end  -> live 10s, ending
             @3600 wait -> ended 20s",
        );
    }

    #[test]
    fn a_show_whose_end_is_late_is_neither_paused_nor_resumed() {
        let mut room = made(details("Lipsticks"));
        run(&mut room, Command::Start(Empty {}), 0).expect("started");
        run(&mut room, Command::End(End::default()), 1_000).expect("ending");
        let ends_at = 1_000 + END_UNDO_MS;
        run(&mut room, Command::Pause(Empty {}), ends_at - 1).expect("paused in time");
        for command in [Command::Pause(Empty {}), Command::Resume(Empty {})] {
            // What is due has not been fired.
            let decided = room.decide(&OPERATOR, &command, Timestamp(ends_at), &mut Luck::new([1; 32]));
            assert_eq!(decided, Err(Refusal::Ended));
        }
    }

    #[test]
    fn codes_can_be_used_for_the_grace_after_the_end() {
        let mut room = made(details("Lipsticks"));
        run(&mut room, Command::Start(Empty {}), 0).expect("started");
        let end = |grace_ms| {
            Command::End(End {
                grace_ms,
                open_draw: None,
            })
        };
        let too_long = run(&mut room, end(GRACE_MS_MAX + 1), 0).map_err(|refusal| refusal.code());
        assert_eq!(too_long, Err("bad_field"));
        run(&mut room, end(GRACE_MS_MAX), 0).expect("ending");
        let other = run(&mut room, end(0), 1).map_err(|refusal| refusal.code());
        assert_eq!(other, Err("wrong_state"), "another end while one is on its way");
        pass(&mut room, END_UNDO_MS);
        assert_eq!(room.show.redeem_until, Some(Timestamp(END_UNDO_MS + GRACE_MS_MAX)));
        assert_eq!(room.show.ended_at, Some(Timestamp(END_UNDO_MS)));
    }

    #[test]
    fn a_show_without_anybody_ends_after_two_hours() {
        let mut room = made(details("Lipsticks"));
        assert_eq!(room.next_deadline(), None, "a draft may wait for ever");
        run(&mut room, Command::Start(Empty {}), 1_000).expect("started");
        watching(&mut room, 3, 2_000);
        pass(&mut room, 10 * DESERTED_MS);
        assert_eq!(room.show.state(), State::Live, "somebody watches");
        watching(&mut room, 0, 3_000);
        let silence = Command::Change(Change {
            title: Some("New".into()),
            ..Change::default()
        });
        run(&mut room, silence, DESERTED_MS).expect("changed");
        pass(&mut room, 2 * DESERTED_MS - 1);
        assert_eq!(room.show.state(), State::Live, "staff did something");
        pass(&mut room, 2 * DESERTED_MS);
        assert_eq!(room.show.state(), State::Ended);
    }

    #[test]
    fn an_end_with_a_draw_open_asks_what_becomes_of_it() {
        for (choice, outcome) in [("draw", "locked"), ("cancel", "cancelled")] {
            let mut room = made(details("Lipsticks"));
            for (command, expected) in [
                (r#"{"cmd":"start","args":{}}"#, Ok(())),
                (
                    r#"{"cmd":"prepare_draw","args":{"id":"d","rules":{"prize":"p","winners":1,"open_ms":60000,
                        "eligibility":{"phrase":{"phrase":"red"}}}}}"#,
                    Ok(()),
                ),
                (r#"{"cmd":"open_draw","args":{"draw":"d"}}"#, Ok(())),
                (r#"{"cmd":"end","args":{}}"#, Err("wrong_state")),
                (&format!(r#"{{"cmd":"end","args":{{"open_draw":"{choice}"}}}}"#), Ok(())),
            ] {
                let command = serde_json::from_str(command).expect("a command");
                assert_eq!(run(&mut room, command, 0).map_err(|refusal| refusal.code()), expected);
            }
            pass(&mut room, END_UNDO_MS);
            assert_eq!(room.show.state(), State::Ended);
            let phase = serde_json::to_string(&room.stage().draws[0].phase).expect("serialisable");
            assert!(phase.contains(outcome), "{choice}: {phase}");
        }
    }

    #[test]
    fn the_numbers_come_once_after_the_end_and_the_last_draws_reveal() {
        let mut room = made(details("Lipsticks"));
        for command in [
            r#"{"cmd":"start","args":{}}"#,
            r#"{"cmd":"prepare_draw","args":{"id":"d","rules":{"prize":"p","winners":1,"open_ms":60000,
                "eligibility":{"phrase":{"phrase":"red"}}}}}"#,
            r#"{"cmd":"open_draw","args":{"draw":"d"}}"#,
            r#"{"cmd":"end","args":{"open_draw":"draw"}}"#,
        ] {
            run(&mut room, serde_json::from_str(command).expect("a command"), 0).expect("done");
        }
        let mut fired = |now| {
            let fired = room.fire_due(Timestamp(now), &mut Luck::new([2; 32])).into_iter();
            fired
                .filter(|event| matches!(event, Event::Show(ShowEvent::SummedUp { .. })))
                .collect::<Vec<_>>()
        };
        assert_eq!(fired(END_UNDO_MS), [], "the draw is locked");
        let numbers = fired(END_UNDO_MS + 60_000);
        let [Event::Show(ShowEvent::SummedUp { summary })] = &numbers[..] else {
            panic!("{numbers:?}");
        };
        assert_eq!((summary.live_ms, summary.draws.len()), (END_UNDO_MS, 1));
        let shown = numbers[0].stage(1);
        assert_eq!(shown, Some(StageEvent::Summary(summary.clone())));
        assert_eq!(fired(END_UNDO_MS + 120_000), []);
    }

    #[test]
    fn names_of_winners_in_the_numbers_can_be_erased() {
        let winner = draw::Winner {
            entry: 3,
            by: ViewerNo(7),
            name: "Ann".into(),
        };
        let row = DrawSummary {
            id: super::super::Key::new("d").expect("good"),
            prize: "p".into(),
            entries: 3,
            winners: vec![winner],
            won: 1,
            claimed: 0,
            cancelled: false,
        };
        let summary = Summary {
            draws: vec![row],
            ..Summary::default()
        };
        let mut event = Event::from(ShowEvent::SummedUp { summary });
        let mut found = Vec::new();
        event.personal(&mut |viewer, name| found.push((viewer, std::mem::take(&mut name.0))));
        assert_eq!(found, [(Some(ViewerNo(7)), "Ann".to_owned())]);
    }

    #[test]
    fn the_numbers_of_a_very_large_show_fit_their_event() {
        let row = |n: u32| DrawSummary {
            id: super::super::Key::new(&format!("d{n}")).expect("good"),
            prize: "p".repeat(100),
            entries: 3,
            winners: Vec::new(),
            won: 0,
            claimed: 0,
            cancelled: false,
        };
        let summary = Summary {
            draws: (0..1_000).map(row).collect(),
            ..Summary::default()
        };
        let fitted = summary.fit(SUMMARY_BYTES_MAX);
        let bytes = serde_json::to_vec(&fitted).expect("serialisable").len();
        assert!(
            (SUMMARY_BYTES_MAX - 2_000..=SUMMARY_BYTES_MAX).contains(&bytes),
            "{bytes}"
        );
        assert_eq!(
            fitted.draws.last().map(|draw| draw.id.as_str().to_owned()),
            Some("d999".to_owned())
        );
    }

    #[test]
    fn a_room_for_a_host_is_made_by_the_server_alone_and_has_them_as_its_host() {
        let mut room = Room::new(RoomId::new("again").expect("good"));
        let host = PersonId(5);
        let create = |title: &str, host| {
            Command::CreateFor(CreateFor {
                details: details(title),
                host,
            })
        };
        let luck = &mut Luck::new([0; 32]);
        for actor in [OPERATOR, Actor::Staff(host)] {
            let refused = room.decide(&actor, &create("Lipsticks", host), Timestamp(0), luck);
            assert_eq!(refused, Err(Refusal::NotAllowed));
        }
        let role = Role::Host;
        for _ in 0..2 {
            let decision = room
                .decide(&Actor::Server, &create("Lipsticks", host), Timestamp(0), luck)
                .expect("made");
            decision.events.iter().for_each(|event| room.apply(event, Timestamp(0)));
            assert_eq!(decision.answer, Answer::Joined { person: host, role });
        }
        assert_eq!(
            (room.head, room.staff.members[&host].role),
            (2, role),
            "the retry changed nothing"
        );
        for other in [create("Lipsticks", PersonId(6)), create("Other", host)] {
            let conflict = room.decide(&Actor::Server, &other, Timestamp(1), luck);
            assert_eq!(conflict, Err(Refusal::IdempotencyConflict));
        }
        let start = Command::Start(Empty {});
        assert!(room.decide(&Actor::Staff(host), &start, Timestamp(1), luck).is_ok());
    }

    #[test]
    fn a_room_is_made_once_and_only_by_an_operator() {
        let mut room = made(details(" Lipsticks "));
        assert_eq!(room.show.details.title, "Lipsticks");
        let staff = Actor::Staff(PersonId(2));
        let create = Command::Create(Create {
            details: details("Lipsticks"),
        });
        let empty = Room::new(RoomId::new("other").expect("good"));
        let luck = &mut Luck::new([0; 32]);
        let refused = empty.decide(&staff, &create, Timestamp(0), luck);
        assert_eq!(refused, Err(Refusal::NotAllowed));
        let nothing = empty.decide(&OPERATOR, &Command::Start(Empty {}), Timestamp(0), luck);
        assert_eq!(nothing, Err(Refusal::UnknownRoom));

        let title = Some("Other".to_owned());
        let change = Change {
            title,
            ..Change::default()
        };
        run(&mut room, Command::Change(change), 1).expect("changed");
        let again = room.decide(&OPERATOR, &create, Timestamp(2), luck);
        assert_eq!(again, Ok(Decision::again(Answer::Done {})));
        let other = Command::Create(Create {
            details: details("Other"),
        });
        let conflict = room.decide(&OPERATOR, &other, Timestamp(2), luck);
        assert_eq!(conflict, Err(Refusal::IdempotencyConflict));
    }

    #[test]
    fn a_change_holds_only_what_differs() {
        let room = made(details("Lipsticks"));
        let change: Change = serde_json::from_str(
            r##"{"title":"Lipsticks","tags":["#makeup"," makeup ","＃sale"],"source":{"whep":{"url":"http://localhost:8889/x"}}}"##,
        )
        .expect("a change");
        let decided = room.decide(
            &OPERATOR,
            &Command::Change(change),
            Timestamp(0),
            &mut Luck::new([0; 32]),
        );
        let events = serde_json::to_string(&decided.expect("changed").events).expect("serialisable");
        assert_eq!(
            events,
            r#"[{"show":{"changed":{"tags":["makeup","sale"],"source":{"whep":{"url":"http://localhost:8889/x"}}}}}]"#
        );
    }

    #[test]
    fn null_clears_and_the_same_again_is_nothing() {
        let mut room = made(Details {
            scheduled_at: Some(Timestamp(5)),
            ..details("Lipsticks")
        });
        assert_eq!(room.show.state(), State::Scheduled);
        let change: Change = serde_json::from_str(r#"{"scheduled_at":null}"#).expect("a change");
        for _ in 0..2 {
            run(&mut room, Command::Change(change.clone()), 1).expect("changed");
            assert_eq!((room.show.state(), room.head), (State::Draft, 2));
        }
    }

    #[test]
    fn bad_details_name_their_field() {
        let many = |n| vec!["tag".to_owned(); n];
        let link = |url: &str| Link {
            label: "Shop".into(),
            url: url.into(),
        };
        let cover = |file: &str| {
            Some(Cover {
                file: file.into(),
                width: 1,
                height: 1,
            })
        };
        let cases: [(&str, Details); 10] = [
            ("title", details(" ")),
            ("title", details(&"t".repeat(81))),
            (
                "description",
                Details {
                    description: "d".repeat(2_001),
                    ..details("t")
                },
            ),
            (
                "host",
                Details {
                    host: String::new(),
                    ..details("t")
                },
            ),
            (
                "tags",
                Details {
                    tags: many(6),
                    ..details("t")
                },
            ),
            (
                "tags",
                Details {
                    tags: vec!["two words".into()],
                    ..details("t")
                },
            ),
            (
                "links",
                Details {
                    links: vec![link("javascript:alert(1)")],
                    ..details("t")
                },
            ),
            (
                "links",
                Details {
                    links: vec![link("https://a.example"); 9],
                    ..details("t")
                },
            ),
            (
                "cover",
                Details {
                    cover: cover("../../etc/passwd"),
                    ..details("t")
                },
            ),
            (
                "source",
                Details {
                    source: Some(Source::Hls {
                        url: "http://cdn.example/x".into(),
                    }),
                    ..details("t")
                },
            ),
        ];
        for (field, details) in cases {
            match details.checked() {
                Err(Refusal::BadField { field: named, .. }) => assert_eq!(named, field),
                other => panic!("{field}: {other:?}"),
            }
        }
        let good = format!("{}.webp", "0a".repeat(32));
        assert!(
            Details {
                cover: cover(&good),
                ..details("t")
            }
            .checked()
            .is_ok()
        );
    }

    #[test]
    fn viewers_never_see_the_goals() {
        let goals = Goals {
            likes: Some(777),
            ..Goals::default()
        };
        let room = made(Details {
            goals,
            ..details("Lipsticks")
        });
        let card = serde_json::to_string(&room.show.card()).expect("serialisable");
        assert!(!card.contains("goals"), "{card}");
        let made = Event::from(ShowEvent::Created {
            details: room.show.details.clone(),
        });
        let shown = serde_json::to_string(&made.stage(1)).expect("serialisable");
        assert!(shown.contains("Lipsticks") && !shown.contains("777"), "{shown}");
        let changed = Change {
            goals: Some(goals),
            ..Change::default()
        };
        let changed = Event::from(ShowEvent::Changed(changed));
        assert_eq!(changed.stage(1 as Offset), None);
        assert_eq!(changed.backstage(1, Timestamp(0)).len(), 1);
    }
}
