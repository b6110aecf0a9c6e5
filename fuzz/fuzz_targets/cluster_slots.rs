//! What a Redis Cluster says of its slots.

#![no_main]

use std::collections::{HashMap, HashSet};

use libfuzzer_sys::fuzz_target;
use ssl_session_cache_core::topology::{
    Change, Cluster, Host, Map, Whom, MAX_MASTERS, MAX_NODES, SLOTS,
};
use ssl_session_cache_core::Instant;

// A map has each master once, with a slot. What a cluster makes of it is the same, and a node is
// opened before it is used.
fuzz_target!(|reply: &[u8]| {
    let asked = Host::parse(b"192.0.2.1").unwrap();
    let Ok(map) = Map::read(reply, &asked) else { return };
    let owners: Vec<_> = map.owners().collect();
    assert_eq!(owners.len(), usize::from(SLOTS));
    let masters: HashSet<_> = map.masters().iter().collect();
    assert!(masters.len() == map.masters().len() && masters.len() <= MAX_MASTERS);
    assert!(masters.iter().all(|master| master.port != 0));
    let with_slots: HashSet<_> = owners.iter().flatten().collect();
    assert_eq!(with_slots.len(), masters.len());

    let now = Instant::from_millis(1000);
    let mut cluster = Cluster::new(1, MAX_NODES, now);
    assert_eq!(cluster.inquiry(now), Some(Whom::Seeds));
    cluster.answered(Some(&map), now);
    let mut opened = HashMap::new();
    for (slot, owner) in (0..).zip(owners) {
        let server = cluster.server_of(slot, now);
        while let Some(change) = cluster.change() {
            let Change::Open(id, endpoint) = change else { panic!("{change:?}") };
            assert!(opened.insert(id, endpoint).is_none());
        }
        assert_eq!(server.map(|id| &opened[&id]), owner.map(|owner| &map.masters()[owner]));
    }
    assert_eq!(opened.len(), masters.len());
});
