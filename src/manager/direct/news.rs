//! A bounded queue of news for one listener.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

use crate::manager::News;

/// News that wait. A listener that is further behind lists again, which tells it the same in one go.
pub(super) const NEWS_MAX: usize = 256;

#[derive(Debug, Default)]
pub(super) struct NewsQueue {
    waiting: Mutex<VecDeque<News>>,
    ready: Notify,
}

impl NewsQueue {
    pub(super) fn push(&self, news: News) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() < NEWS_MAX {
            waiting.push_back(news);
        } else {
            // Jobs that ended are not in any list: they stay.
            waiting.retain(|news| matches!(news, News::JobEnded(_)));
            waiting.truncate(NEWS_MAX / 2);
            waiting.push_back(News::ListAgain);
        }
        drop(waiting);
        self.ready.notify_one();
    }

    pub(super) async fn next(&self) -> News {
        loop {
            let first = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            match first {
                Some(news) => return news,
                None => self.ready.notified().await,
            }
        }
    }
}
