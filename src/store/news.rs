//! What of the lines about a server is news to the log: all workers of an nginx write to the same one.

use ssl_session_cache_core::server::Line;

use crate::counters::{Begin, End, Outage, StoreStats};
use crate::net::Address;

/// A line to be written.
pub(super) struct News {
    pub(super) line: Line<Address>,
    /// How many workers it concerns, of how many, where that is known.
    pub(super) workers: Option<(usize, usize)>,
}

/// The line as it is to be written, if no other worker has written the same. A worker that does not count
/// knows of no other.
pub(super) fn of(stats: Option<StoreStats>, line: Line<Address>) -> Option<News> {
    match stats {
        Some(stats) => of_all(stats, line),
        None => Some(News { line, workers: None }),
    }
}

/// Whether to tell that a cluster does not tell its map.
pub(super) fn is_map_lost(stats: Option<StoreStats>, reason: &str) -> bool {
    stats.is_none_or(|stats| stats.outage_begun(Outage::Down, &[reason]) != Begin::Known)
}

/// Whether to tell that a cluster that did not tell its map does so again.
pub(super) fn is_map_found(stats: Option<StoreStats>) -> bool {
    stats.is_none_or(|stats| stats.outage_ended(Outage::Down) != End::Partial)
}

fn of_all(stats: StoreStats, line: Line<Address>) -> Option<News> {
    let mut workers = None;
    let line = match line {
        Line::Up { address, was_down } => {
            stats.used(address.name());
            let end = stats.outage_ended(Outage::Down);
            let is_told = end != End::Partial && stats.up_is_told(address.name());
            match end {
                End::Partial => None,
                // Another worker may have told it, and be gone.
                End::Told => Some(Line::Up { address, was_down: true }),
                End::Untold => (was_down || !is_told).then_some(Line::Up { address, was_down }),
            }
        }
        Line::Down { address, count, reason } => {
            match stats.outage_begun(Outage::Down, &[address.name(), &reason]) {
                Begin::First => Some(Line::Down { address, count, reason }),
                Begin::OtherReason => Some(Line::StillDown { address, reason }),
                Begin::Known => None,
            }
        }
        Line::StillDown { ref address, ref reason } => {
            let begin = stats.outage_begun(Outage::Down, &[address.name(), reason]);
            (begin != Begin::Known).then_some(line)
        }
        Line::DownFor { .. } => {
            workers = stats.concerned(Outage::Down);
            stats.may_remind(Outage::Down).then_some(line)
        }
        Line::Unresolved { ref reason, .. } => {
            let begin = stats.outage_begun(Outage::Unresolved, &[reason]);
            (begin != Begin::Known).then_some(line)
        }
        Line::UnresolvedFor { .. } => {
            workers = stats.concerned(Outage::Unresolved);
            stats.may_remind(Outage::Unresolved).then_some(line)
        }
        Line::Resolved { .. } => {
            let end = stats.outage_ended(Outage::Unresolved);
            (end != End::Partial).then_some(line)
        }
        Line::Refuses { address, count, reason, is_of_cluster } => {
            let count = stats.refused(count, &[address.name(), &reason]);
            count.map(|count| Line::Refuses { address, count, reason, is_of_cluster })
        }
        Line::Dropped { ref address } => (!stats.dropped_is_told(address.name())).then_some(line),
    };
    Some(News { line: line?, workers })
}
