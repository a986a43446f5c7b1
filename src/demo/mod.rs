//! `hubbub demo`: a sample show whose host runs through a script again and again, before an audience that is
//! simulated but comes over real sockets. A newcomer sees everything move within a minute, and can take part.

mod audience;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::auth::fresh_person;
use crate::hub::{CommandError, Hub, luck};
use crate::room::comment::Post;
use crate::room::discount::{self, Closes, CodeSource, Off, Terms, WhoCounts};
use crate::room::draw::{self, Ask, Eligibility, Rules};
use crate::room::show::{Create, Details};
use crate::room::staff::{Invite, Role};
use crate::room::{Actor, Answer, Command, Empty, Key, Refusal, RoomId};

/// What viewers type to enter a draw.
const PHRASE: &str = "lipstick";
/// How long a discount and a draw stay open, ms.
const OPEN_MS: u64 = 30_000;

/// A demo's size and speed.
#[derive(Clone, Copy, Debug)]
pub struct Script {
    /// Simulated viewers.
    pub viewers: u32,
    /// Between two acts of the host.
    pub act: Duration,
}

/// A show that runs. Dropping it stops host and audience; the room stays.
pub struct Demo {
    /// The show.
    pub room: RoomId,
    /// A code that makes one browser the host's, once.
    pub invitation: String,
    _players: JoinSet<()>,
}

impl Demo {
    /// Makes the show, goes live, and lets the audience in.
    ///
    /// # Errors
    ///
    /// The journal takes no writes.
    pub async fn start(hub: Arc<Hub>, address: SocketAddr, script: Script) -> Result<Self, CommandError> {
        let host = Host {
            hub,
            room: RoomId::random(&mut luck()),
            actor: Actor::Operator(fresh_person()),
        };
        let invitation = host.make_show(script.viewers).await?;
        let room = host.room.clone();
        let mut players = JoinSet::new();
        for seat in 0..script.viewers {
            players.spawn(audience::attend(address, room.clone(), seat, script.viewers));
        }
        players.spawn(host.run(script));
        Ok(Self {
            room,
            invitation,
            _players: players,
        })
    }
}

struct Host {
    hub: Arc<Hub>,
    room: RoomId,
    actor: Actor,
}

impl Host {
    async fn does(&self, command: Command) -> Result<Answer, CommandError> {
        let done = self.hub.command(&self.room, self.actor.clone(), command).await?;
        Ok(done.answer)
    }

    /// The show is made and live, and has something prepared for whoever takes the control page over.
    async fn make_show(&self, viewers: u32) -> Result<String, CommandError> {
        let details = Details {
            title: "Spring colours, live · 春日新色直播".to_owned(),
            description: "Twelve new lipsticks, a discount every few minutes, and a lucky draw. A demo with a \
                          simulated audience. 十二款新口红，限时优惠与抽奖。演示：观众为模拟。"
                .to_owned(),
            host: "Lena 莉娜".to_owned(),
            tags: vec!["beauty".to_owned(), "demo".to_owned()],
            ..Details::default()
        };
        self.does(Command::Create(Create { details })).await?;
        self.does(discount("yours", "Your own discount · 你来发券", 15, viewers / 2))
            .await?;
        self.does(draw("your-draw", "A mirror · 化妆镜", 1, Eligibility::Present {}))
            .await?;
        let invite = Invite {
            id: key("newcomer"),
            role: Role::Host,
            name: "Lena 莉娜".to_owned(),
            valid_ms: None,
        };
        let invited = self.does(Command::Invite(invite)).await?;
        self.does(Command::Start(Empty {})).await?;
        match invited {
            Answer::Invited { code, .. } => Ok(code),
            _ => Err(CommandError::JournalUnavailable),
        }
    }

    /// The script, until the show ends or the room holds no more.
    async fn run(self, script: Script) {
        for round in 1_u32.. {
            if let Err(stop) = self.round(round, script).await {
                tracing::info!(%stop, "the demo's host has finished");
                return;
            }
        }
    }

    async fn round(&self, round: u32, script: Script) -> Result<(), CommandError> {
        let offer = format!("offer-{round}");
        let lots = format!("draw-{round}");
        let phrase = Eligibility::Phrase {
            phrase: PHRASE.to_owned(),
        };
        let acts = [
            says(round, 1, "Hello and welcome! 欢迎大家来到直播间！"),
            says(
                round,
                2,
                "Shade 07 on the left, shade 12 on the right. 左边是 07，右边是 12。",
            ),
            discount(&offer, "Everything · 全场", 20, (script.viewers / 3).max(1)),
            Command::OpenDiscount(discount::ById { discount: key(&offer) }),
            says(
                round,
                3,
                "Your code works in the store until the show ends. 券在直播结束前有效。",
            ),
            draw(&lots, "A set of three lipsticks · 口红三支装", 3, phrase),
            Command::OpenDraw(draw::ById { draw: key(&lots) }),
            says(
                round,
                4,
                "Type the word on the card to enter. 发送卡片上的口令参加抽奖。",
            ),
            says(
                round,
                5,
                "Check the draw with Verify: anybody can. 点「验证」，人人可查。",
            ),
        ];
        for act in acts {
            sleep(script.act).await;
            match self.does(act).await {
                Err(CommandError::Refused(
                    refusal @ (Refusal::Ended | Refusal::Full { .. } | Refusal::UnknownRoom),
                )) => {
                    return Err(refusal.into());
                }
                // Somebody else drives too: a pause, a draw of theirs.
                Err(reason) => tracing::debug!(%reason, "the demo's host is refused"),
                Ok(_) => {}
            }
        }
        Ok(())
    }
}

fn key(text: &str) -> Key {
    Key::new(text).expect("the script's names are letters, digits and `-`")
}

fn says(round: u32, line: u32, text: &str) -> Command {
    Command::Comment(Post {
        nonce: format!("script-{round}-{line}"),
        text: text.to_owned(),
    })
}

fn discount(id: &str, title: &str, percent: u8, quota: u32) -> Command {
    Command::PrepareDiscount(discount::Prepare {
        id: key(id),
        terms: Terms {
            title: title.to_owned(),
            off: Off::Percent(percent),
            items: None,
            quota: quota.max(1),
            per_viewer: 1,
            closes: Closes::AfterMs(OPEN_MS),
            use_before: None,
            gate: None,
            // The whole audience comes from one address.
            who: Some(WhoCounts::Anyone),
            link: None,
        },
        codes: CodeSource::Generated {},
    })
}

fn draw(id: &str, prize: &str, winners: u32, eligibility: Eligibility) -> Command {
    Command::PrepareDraw(draw::Prepare {
        id: key(id),
        rules: Rules {
            prize: prize.to_owned(),
            winners,
            open_ms: OPEN_MS,
            eligibility,
            exclude_earlier_winners: true,
            who: Some(WhoCounts::Anyone),
            ask: vec![Ask::Name, Ask::Address],
            readers: Some("Only the demo's host reads this. 仅演示主播可见。".to_owned()),
            claim_ms: None,
        },
    })
}
