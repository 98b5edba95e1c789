//! Deletes from the store what has run out: idempotency keys, logins that ended, deliveries that were heard long ago, new
//! passwords that nobody read; and has the engine let go of what is past its time.

use crate::app::App;
use crate::contain::handed;
use crate::service::blocking;
use portreeve_store::Keep;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const EVERY: Duration = Duration::from_secs(3_600);
const HOUR_US: i64 = 3_600_000_000;
/// What a receiver of webhooks says it never got can be looked up for so long.
const DELIVERIES_US: i64 = 30 * 24 * HOUR_US;

/// At the start, and then every hour. Of several nodes that share a store each does it; the second finds nothing.
pub(crate) async fn run(app: Arc<App>, closing: CancellationToken) {
    while !closing.is_cancelled() {
        let now = crate::line::now().0;
        let keep = Keep {
            logins_idle_since: now - i64::from(app.config.access.idle_h) * HOUR_US,
            deliveries_since: now - DELIVERIES_US,
        };
        let store = app.store.clone();
        let tidied = blocking(move || {
            store.write(|tx| handed::tidy(tx, now))?;
            store.tidy(now, &keep)
        });
        match tidied.await {
            Ok(gone) => tracing::debug!(?gone, "the store is tidy"),
            Err(error) => tracing::error!(%error, "the store cannot be tidied; it is tried again in an hour"),
        }
        let shedding = app.clone();
        if let Err(error) = blocking(move || shedding.shed()).await {
            tracing::error!(%error, "the engine keeps what is past its time; it is tried again in an hour");
        }
        closing.run_until_cancelled(tokio::time::sleep(EVERY)).await;
    }
}
