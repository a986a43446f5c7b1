//! Viewers that are programs, and clients like any other: they join, comment, like, claim, enter, leave, and come
//! back where they were.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{Sink, SinkExt, Stream, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::{self, Message as Frame};

use crate::hub::luck;
use crate::protocol::{Cursor, Encoding, Message};
use crate::room::draw::Eligibility;
use crate::room::stage::StageEvent;
use crate::room::{Luck, Offset, RoomId, discount, draw};

/// The whole audience has come within this time.
const ARRIVALS_MS: u64 = 15_000;

const NAMES: [&str; 24] = [
    "Mia",
    "Noah",
    "Ines",
    "Tom",
    "Yuki",
    "Priya",
    "Olu",
    "Sofia",
    "Jonas",
    "Ada",
    "Marco",
    "Eva",
    "小雨",
    "阿杰",
    "木木",
    "晚风",
    "糖糖",
    "一只猫",
    "南瓜",
    "青柠",
    "豆豆",
    "云朵",
    "阿宁",
    "橙子",
];

const TALK: [&str; 28] = [
    "Hello from the train!",
    "Is shade 07 matte?",
    "That red is wonderful",
    "How long does it stay on?",
    "Bought it last spring, still my favourite",
    "Does it smell of anything?",
    "Can you show it in daylight?",
    "My sister needs this one",
    "Which one for a warm skin tone?",
    "So pretty!",
    "Do you ship on Saturdays?",
    "The packaging can be refilled, right?",
    "12 or 07? I cannot decide",
    "The sound is great today",
    "来啦来啦",
    "07 是哑光的吗？",
    "这个红好好看",
    "持久度怎么样？",
    "黄皮适合哪一支？",
    "能在自然光下看看吗",
    "已经回购三次了",
    "送妈妈选哪个颜色好",
    "主播今天气色真好",
    "周末发货吗？",
    "有没有小样？",
    "12 和 07 纠结中",
    "声音很清楚",
    "第一次来，支持一下",
];

const CHEERS: [&str; 6] = [
    "Congratulations!",
    "Next time me",
    "Lucky you",
    "恭喜恭喜",
    "下次一定是我",
    "羡慕了",
];

/// One viewer, visit after visit, until the task is dropped.
pub(super) async fn attend(address: SocketAddr, room: RoomId, seat: u32, seats: u32) {
    let mut viewer = Viewer {
        name: name(seat),
        luck: luck(),
        token: None,
        cursor: None,
        plans: Vec::new(),
        requests: 1,
    };
    sleep(Duration::from_millis(
        ARRIVALS_MS * u64::from(seat) / u64::from(seats.max(1)),
    ))
    .await;
    loop {
        if let Err(error) = viewer.visit(address, &room).await {
            tracing::debug!(%error, seat, "a simulated viewer's connection ended");
        }
        sleep(viewer.between(2_000, 15_000)).await;
    }
}

fn name(seat: u32) -> String {
    let name = NAMES[seat as usize % NAMES.len()];
    match seat as usize / NAMES.len() {
        0 => name.to_owned(),
        again => format!("{name} {}", again + 1),
    }
}

/// Something that will be sent.
struct Plan {
    at: Instant,
    what: Does,
}

enum Does {
    Says(&'static str),
    SaysPhrase(String),
    Likes,
    Claims(discount::Card),
    Enters(draw::Card),
    Leaves,
}

struct Viewer {
    name: String,
    luck: Luck,
    token: Option<String>,
    cursor: Option<Cursor>,
    plans: Vec<Plan>,
    requests: u64,
}

impl Viewer {
    fn between(&mut self, least_ms: u64, most_ms: u64) -> Duration {
        Duration::from_millis(least_ms + self.luck.below(most_ms - least_ms))
    }

    fn one_of<T: Copy>(&mut self, things: &[T]) -> T {
        things[self.luck.below(things.len() as u64) as usize]
    }

    fn plan(&mut self, least_ms: u64, most_ms: u64, what: Does) {
        let at = Instant::now() + self.between(least_ms, most_ms);
        self.plans.push(Plan { at, what });
    }

    fn next(&mut self) -> Option<Plan> {
        let first = (0..self.plans.len()).min_by_key(|index| self.plans[*index].at)?;
        Some(self.plans.swap_remove(first))
    }

    /// From the hello until it leaves or is sent away.
    async fn visit(&mut self, address: SocketAddr, room: &RoomId) -> Result<(), tungstenite::Error> {
        let socket = TcpStream::connect(address).await?;
        let (mut socket, _) = client_async(format!("ws://{address}/ws/{room}"), socket).await?;
        let hello = json!({"name": self.name, "src": "friend"});
        self.ask(
            &mut socket,
            "hello",
            hello_with(hello, self.token.as_deref(), self.cursor),
        )
        .await?;

        self.plans.clear();
        self.plan(60_000, 300_000, Does::Leaves);
        let first = self.one_of(&TALK);
        self.plan(2_000, 40_000, Does::Says(first));
        self.plan(500, 6_000, Does::Likes);
        while let Some(plan) = self.next() {
            self.listen(&mut socket, plan.at).await?;
            if let Does::Leaves = plan.what {
                return socket.close(None).await;
            }
            self.act(&mut socket, plan.what).await?;
        }
        Ok(())
    }

    /// Takes in what comes, until it is time for something.
    async fn listen(
        &mut self,
        socket: &mut (impl Stream<Item = Result<Frame, tungstenite::Error>> + Unpin),
        until: Instant,
    ) -> Result<(), tungstenite::Error> {
        loop {
            let frame = tokio::select! {
                () = sleep_until(until) => return Ok(()),
                frame = socket.next() => frame.ok_or(tungstenite::Error::ConnectionClosed)??,
            };
            if let Frame::Text(text) = frame
                && let Ok(message) = Encoding::Json.decode(text.as_bytes())
            {
                self.hear(message);
            }
        }
    }

    fn hear(&mut self, message: Message) {
        match message {
            Message::Joined(joined) => self.token = joined.token.or(self.token.take()),
            Message::Keyframe(keyframe) => {
                self.cursor = Some(Cursor {
                    epoch: keyframe.epoch,
                    offset: keyframe.offset,
                });
                keyframe
                    .state
                    .discounts
                    .into_iter()
                    .for_each(|card| self.see_discount(card));
                keyframe.state.draws.into_iter().for_each(|card| self.see_draw(card));
            }
            Message::Delta(delta) => {
                self.advance(delta.offset);
                delta.events.into_iter().for_each(|event| self.see(event));
            }
            _ => {}
        }
    }

    fn advance(&mut self, offset: Offset) {
        if let Some(cursor) = &mut self.cursor {
            cursor.offset = offset;
        }
    }

    fn see(&mut self, event: StageEvent) {
        match event {
            StageEvent::DiscountOpened(card) => self.see_discount(card),
            StageEvent::DrawOpened(card) => self.see_draw(card),
            StageEvent::DrawRevealed { .. } if self.luck.below(4) == 0 => {
                let cheer = self.one_of(&CHEERS);
                self.plan(1_000, 8_000, Does::Says(cheer));
            }
            _ => {}
        }
    }

    fn see_discount(&mut self, card: discount::Card) {
        if card.closed.is_none() && self.luck.below(10) < 7 {
            self.plan(300, 20_000, Does::Claims(card));
        }
    }

    fn see_draw(&mut self, card: draw::Card) {
        if card.phase == (draw::Phase::Open {}) && self.luck.below(10) < 8 {
            self.plan(500, 20_000, Does::Enters(card));
        }
    }

    async fn act(
        &mut self,
        socket: &mut (impl Sink<Frame, Error = tungstenite::Error> + Unpin),
        what: Does,
    ) -> Result<(), tungstenite::Error> {
        match what {
            Does::Says(text) => {
                let next = self.one_of(&TALK);
                self.plan(15_000, 70_000, Does::Says(next));
                self.say(socket, text).await
            }
            Does::SaysPhrase(phrase) => self.say(socket, &phrase).await,
            Does::Likes => {
                self.plan(800, 9_000, Does::Likes);
                let taps = 1 + self.luck.below(8);
                send(socket, &json!({"cmd": "like", "args": {"taps": taps}})).await
            }
            Does::Claims(card) => self.ask(socket, "claim", json!({"discount": card.id, "unit": 1})).await,
            Does::Enters(card) => match card.rules.eligibility {
                Eligibility::Phrase { phrase } => {
                    self.plan(0, 500, Does::SaysPhrase(phrase));
                    Ok(())
                }
                Eligibility::Present {} => Ok(()),
                Eligibility::Watched { .. } => self.ask(socket, "enter_draw", json!({"draw": card.id})).await,
            },
            Does::Leaves => Ok(()),
        }
    }

    async fn say(
        &mut self,
        socket: &mut (impl Sink<Frame, Error = tungstenite::Error> + Unpin),
        text: &str,
    ) -> Result<(), tungstenite::Error> {
        let nonce = self.luck.letters(12);
        self.ask(socket, "comment", json!({"nonce": nonce, "text": text})).await
    }

    async fn ask(
        &mut self,
        socket: &mut (impl Sink<Frame, Error = tungstenite::Error> + Unpin),
        command: &str,
        args: Value,
    ) -> Result<(), tungstenite::Error> {
        self.requests += 1;
        send(socket, &json!({"id": self.requests, "cmd": command, "args": args})).await
    }
}

fn hello_with(mut hello: Value, token: Option<&str>, cursor: Option<Cursor>) -> Value {
    if let Some(token) = token {
        hello["token"] = token.into();
    }
    if let Some(cursor) = cursor {
        hello["cursor"] = json!(cursor);
    }
    hello
}

async fn send(
    socket: &mut (impl Sink<Frame, Error = tungstenite::Error> + Unpin),
    message: &Value,
) -> Result<(), tungstenite::Error> {
    socket.send(Frame::text(message.to_string())).await
}
