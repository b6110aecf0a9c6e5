//! The servers of a store, one by one: as named, by Sentinels, or by the map of a cluster.

use ssl_session_cache_core::plan::{Kind, Shape};
use ssl_session_cache_core::protocol::Credentials;
use ssl_session_cache_core::topology::SLOTS;

use crate::check::{link, memcached, redis, Context};
use crate::files;
use crate::link::Spot;
use crate::output::text;
use crate::store::{sentinels, Fleet, Server};

/// Checks all servers of a store.
pub fn check(context: &mut Context<'_, '_, '_>) {
    let plan = &context.used.store.plan;
    if let Shape::Sentinel { master, auth } = &plan.shape {
        let auth = auth.as_ref().map(|auth| files::credentials(context.base, auth)).transpose();
        match auth {
            Ok(credentials) => check_sentinels(context, &text(master), credentials.as_ref()),
            Err(error) => {
                context.report.failure(error, "nginx would not start with this");
                return;
            }
        }
    }
    if plan.shape == Shape::Cluster {
        for place in &plan.servers {
            let spot = Spot::of_place(place, plan.tls.as_ref());
            context.report.title(format!("server {}, named for the cluster", spot.word));
            link::check(context, &spot);
        }
    }
    let dialer = &context.access.dialer;
    let credentials = context.access.credentials.as_ref();
    let fleet = match Fleet::find(context.base, plan, dialer, credentials) {
        Ok(fleet) => fleet,
        Err(error) => {
            let advice = match plan.shape {
                Shape::Cluster => {
                    "nginx keeps no sessions: are the servers of \"server\" in a cluster, and has the user \
                     +cluster|slots?"
                }
                _ => "nginx keeps no sessions: is the name of \"sentinel\" that of \"sentinel monitor\"?",
            };
            context.report.failure(error, advice);
            return;
        }
    };
    if plan.shape == Shape::Cluster {
        check_map(context, &fleet);
    }
    for (place, member) in fleet.members.iter().enumerate() {
        let role = match (&plan.shape, member.slots) {
            (Shape::Sentinel { .. }, _) => ", the master".to_owned(),
            (_, Some(slots)) => format!(", master of {slots} slots"),
            _ => String::new(),
        };
        context.report.title(format!("server {}{role}", member.spot.word));
        let server = link::check(context, &member.spot);
        match server {
            Some(Server::Redis(server)) => {
                redis::check(context, *server, &|key| fleet.choices(key).first() == Some(&place));
            }
            Some(Server::Memcached(server)) => memcached::check(context, *server),
            None => {}
        }
    }
}

fn check_map(context: &mut Context<'_, '_, '_>, fleet: &Fleet) {
    let masters = fleet.members.len();
    context.report.title("the cluster");
    match fleet.unserved() {
        0 => context.report.ok(format!("{masters} masters serve all {SLOTS} slots")),
        count => context.report.failure(
            format!("{count} of {SLOTS} slots have no master that can be reached"),
            "sessions there are not kept: see \"redis-cli --cluster check\"; nodes must announce \
             addresses: docs/stores.md, \"Redis Cluster\"",
        ),
    }
}

/// What each Sentinel says, and whether they agree.
fn check_sentinels(
    context: &mut Context<'_, '_, '_>,
    name: &str,
    credentials: Option<&Credentials>,
) {
    let plan = &context.used.store.plan;
    let Ok(words) = sentinels(context.base, plan, &context.access.dialer) else { return };
    let asked = words.len();
    let mut masters: Vec<Spot> = Vec::new();
    let mut told = 0;
    for word in words {
        context.report.title(format!("Sentinel {}", word.spot.word));
        link::lookup(context, &word.spot);
        match word.master {
            Ok(master) => {
                told += 1;
                context.report.ok(format!("says that {name} is at {}", master.word));
                if !masters.contains(&master) {
                    masters.push(master);
                }
                more_of_sentinel(context, &word.spot, name, credentials);
            }
            Err(reason) => {
                let advice =
                    "it is of no use to nginx: does it run, does it watch this master, are \
                              sentinel_user and sentinel_auth_file right?";
                context.report.failure(reason, advice);
            }
        }
    }
    context.report.title(format!("master {name}"));
    match masters.len() {
        0 => {}
        1 => context.report.ok(format!("{told} of {asked} Sentinels name the same master")),
        _ => context.report.warning(
            "the Sentinels name different masters",
            "in a failover this is so for some seconds: otherwise one of them is cut off from the others",
        ),
    }
}

/// What else a Sentinel tells, to whom has the right.
fn more_of_sentinel(
    context: &mut Context<'_, '_, '_>,
    spot: &Spot,
    name: &str,
    credentials: Option<&Credentials>,
) {
    debug_assert!(context.access.kind == Kind::Redis);
    let Ok(link) = context.access.dialer.dial(spot) else { return };
    let advice =
        "with the right to PING and SENTINEL MASTER that can be told; nginx does not need it";
    let greeted = context.access.greet_sentinel(link, credentials.cloned());
    let facts = greeted.ok().and_then(|mut redis| redis.pairs(&["SENTINEL", "MASTER", name]).ok());
    let Some(facts) = facts else {
        context.report.note("how many Sentinels and replicas there are cannot be told", advice);
        return;
    };
    let number = |name: &str| facts.get(name).and_then(|number| number.parse::<u64>().ok());
    let (others, replicas, quorum) = (
        number("num-other-sentinels").unwrap_or_default(),
        number("num-slaves").unwrap_or_default(),
        number("quorum").unwrap_or_default(),
    );
    let line = format!(
        "knows {others} other Sentinels and {replicas} replicas, quorum {quorum}, flags {}",
        facts.get("flags").map_or("-", String::as_str)
    );
    if others.saturating_add(1) < quorum.max(2) {
        context.report.warning(line, "for a failover there are too few Sentinels: three are usual");
    } else if replicas == 0 {
        context.report.warning(line, "without a replica there is nothing to fail over to");
    } else {
        context.report.ok(line);
    }
}
