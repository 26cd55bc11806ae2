//! Trying again: which failures pass by themselves, and how long to wait for it.

use std::time::Duration;

use crate::{RegistryError, Retry};

/// One try that failed.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: Box<RegistryError>,
    /// How long the registry asked to be left alone.
    pub(crate) wait: Option<Duration>,
    /// True when another try may succeed though the answer itself sounds final.
    pub(crate) again: bool,
}

impl From<RegistryError> for Failure {
    fn from(error: RegistryError) -> Self {
        Self { error: Box::new(error), wait: None, again: false }
    }
}

/// Runs `attempt` until it succeeds, fails for good, or has been tried often enough.
pub(crate) async fn retrying<T, Try>(retry: &Retry, attempt: impl Fn() -> Try) -> Result<T, RegistryError>
where
    Try: Future<Output = Result<T, Failure>>,
{
    let mut tries = 1;
    loop {
        let failure = match attempt().await {
            Ok(value) => return Ok(value),
            Err(failure) => failure,
        };
        if tries >= retry.attempts || !(failure.again || failure.error.is_passing()) {
            return Err(counted(*failure.error, tries));
        }
        tracing::debug!(error = %failure.error, tries, "will try again");
        tokio::time::sleep(pause(retry, tries, failure.wait)).await;
        tries += 1;
    }
}

fn pause(retry: &Retry, tries: u32, asked: Option<Duration>) -> Duration {
    let doubled = retry.first.saturating_mul(1_u32.checked_shl(tries - 1).unwrap_or(u32::MAX));
    doubled.max(asked.unwrap_or_default()).min(retry.longest)
}

fn counted(error: RegistryError, made: u32) -> RegistryError {
    match error {
        RegistryError::Unreachable { at, source, .. } => {
            RegistryError::Unreachable { at, tries: made, source }
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_and_end() {
        let retry = Retry { attempts: 9, first: Duration::from_millis(100), longest: Duration::from_secs(1) };
        let waits: Vec<u128> = (1..=6).map(|tries| pause(&retry, tries, None).as_millis()).collect();
        assert_eq!(waits, [100, 200, 400, 800, 1000, 1000]);
        assert_eq!(pause(&retry, 1, Some(Duration::from_secs(60))), retry.longest);
        assert_eq!(pause(&retry, 100, None), retry.longest);
    }
}
