//! How long a client lets the controller work on its request.

use std::future::Future;
use std::time::Duration;

use eddy_types::ErrorCode;

/// Runs a change within the time that the request gives it. A change that takes longer may still be made.
///
/// # Errors
/// What the change answers, or REQUEST_TIMED_OUT: at once, with nothing done, when the request gives no time at all.
pub(crate) async fn within<T>(
    timeout_ms: i32,
    change: impl Future<Output = Result<T, (ErrorCode, String)>>,
) -> Result<T, (ErrorCode, String)> {
    let late =
        || (ErrorCode::RequestTimedOut, format!("not done within the request's timeout of {timeout_ms} ms"));
    let time = Some(timeout(timeout_ms)).filter(|time| !time.is_zero()).ok_or_else(late)?;
    tokio::time::timeout(time, change).await.unwrap_or_else(|_| Err(late()))
}

/// The time that a request gives; none when it is negative.
pub(crate) fn timeout(timeout_ms: i32) -> Duration {
    Duration::from_millis(u64::try_from(timeout_ms).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn change() -> Result<i32, (ErrorCode, String)> {
        Ok(7)
    }

    #[tokio::test]
    async fn a_request_without_time_changes_nothing() {
        let ran = std::cell::Cell::new(false);
        for timeout_ms in [0, -1, i32::MIN] {
            let change = async {
                ran.set(true);
                change().await
            };
            assert_eq!(within(timeout_ms, change).await.unwrap_err().0, ErrorCode::RequestTimedOut);
        }
        assert!(!ran.get());
    }

    #[tokio::test]
    async fn a_change_has_the_time_that_the_request_gives() {
        let slow = async {
            tokio::time::sleep(Duration::from_secs(60)).await;
            change().await
        };
        assert_eq!(within(20, slow).await.unwrap_err().0, ErrorCode::RequestTimedOut);
        assert_eq!(within(20, change()).await, Ok(7));
    }
}
