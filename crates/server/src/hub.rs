//! What happened just now, told to every open page and every webhook that waits.

use serde::Serialize;
use tokio::sync::broadcast;

/// Something that a page shows changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum News {
    /// A case is new or changed, by the engine or by somebody.
    Case { number: i64, is_new: bool },
    /// A plan of containment, or a step of it.
    Plan { digest: String },
    /// Sources came, went silent, or are not understood any more.
    Health,
}

/// Cheap to clone. Who does not listen fast enough is told that it missed something, and looks anew.
#[derive(Clone, Debug)]
pub struct Hub {
    to: broadcast::Sender<News>,
}

impl Default for Hub {
    fn default() -> Self {
        Hub { to: broadcast::channel(1_024).0 }
    }
}

impl Hub {
    pub fn tell(&self, news: News) {
        // Nobody listens where no page is open.
        self.to.send(news).ok();
    }

    pub fn listen(&self) -> broadcast::Receiver<News> {
        self.to.subscribe()
    }
}
