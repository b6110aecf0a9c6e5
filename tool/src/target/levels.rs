//! Finds the directives of the cache in a configuration, and what each server inherits.

use std::rc::Rc;

use ssl_session_cache_core::plan::{
    Block, Directive as CacheDirective, DirectivePlan, PlanError, StoreSource, TicketsDirective,
};

use crate::output::text;
use crate::target::nginx_conf::Directive;
use crate::target::{Store, TargetError, Use};

/// A block that names a store, and the name of its fallback.
struct Named<'a> {
    store: Rc<Store<'a>>,
    fallback: Option<Vec<u8>>,
}

/// What a level says, as far as it is of interest.
#[derive(Clone, Default)]
struct Level<'a> {
    cache: Option<CacheDirective<'a>>,
    tickets: Option<TicketsDirective>,
    early_data: Option<bool>,
    /// Where the cache is said.
    place: String,
}

/// What all servers of a configuration make of it, each different use once.
pub fn uses(main: &[Directive]) -> Result<Vec<Use<'_>>, TargetError> {
    let named = blocks(main)?;
    let mut uses: Vec<Use<'_>> = Vec::new();
    let frontends = main
        .iter()
        .filter(|directive| [&b"http"[..], b"stream", b"mail"].contains(&&directive.words[0][..]));
    for frontend in frontends {
        let inside = frontend.block.as_deref().unwrap_or_default();
        let outer = level(inside, &Level::default())?;
        let servers: Vec<_> = inside.iter().filter(|one| is_block(one, b"server")).collect();
        let levels = match servers.is_empty() {
            true => vec![outer],
            false => servers
                .iter()
                .map(|server| level(server.block.as_deref().unwrap_or_default(), &outer))
                .collect::<Result<_, _>>()?,
        };
        for level in levels {
            let Some(found) = of_level(&level, &named)? else { continue };
            let is_same = |other: &&mut Use<'_>| {
                other.store.plan == found.store.plan
                    && other.store.name == found.store.name
                    && other.sessions == found.sessions
            };
            match uses.iter_mut().find(is_same) {
                Some(other) => other.adds |= found.adds,
                None => uses.push(found),
            }
        }
    }
    Ok(uses)
}

fn is_block(directive: &Directive, name: &[u8]) -> bool {
    directive.block.is_some() && directive.words[0] == name
}

/// The stores that blocks name.
fn blocks(main: &[Directive]) -> Result<Vec<Named<'_>>, TargetError> {
    let blocks = main.iter().filter(|one| is_block(one, b"remote_ssl_session_store"));
    blocks
        .map(|block| {
            named(block).map_err(|error| TargetError::Placed { error, place: block.place.clone() })
        })
        .collect()
}

fn named(block: &Directive) -> Result<Named<'_>, PlanError> {
    let name = block.words.get(1).map(Vec::as_slice).unwrap_or_default();
    let mut read = Block::new(name)?;
    for line in block.block.as_deref().unwrap_or_default() {
        let values: Vec<&[u8]> = line.words[1..].iter().map(Vec::as_slice).collect();
        read.set(&line.words[0], &values)?;
    }
    let plan = read.plan()?;
    let fallback = plan.fallback.map(<[u8]>::to_vec);
    Ok(Named { store: Rc::new(Store { name: text(name), plan }), fallback })
}

/// What a level says, and else what the one above says.
fn level<'a>(inside: &'a [Directive], outer: &Level<'a>) -> Result<Level<'a>, TargetError> {
    let mut level = outer.clone();
    for directive in inside.iter().filter(|directive| directive.block.is_none()) {
        let words = || directive.words[1..].iter().map(Vec::as_slice);
        let place = |error| TargetError::Placed { error, place: directive.place.clone() };
        match &directive.words[0][..] {
            b"remote_ssl_session_cache" => {
                let said = CacheDirective::parse(words()).map_err(place)?;
                level.cache = Some(match &outer.cache {
                    Some(outer) => said.inherit(outer).map_err(place)?,
                    None => said,
                });
                level.place.clone_from(&directive.place);
            }
            b"remote_ssl_session_tickets" => {
                let said = TicketsDirective::parse(words()).map_err(place)?;
                level.tickets = Some(match outer.tickets {
                    Some(outer) => said.inherit(outer),
                    None => said,
                });
            }
            b"ssl_early_data" => level.early_data = Some(words().next() == Some(b"on")),
            _ => {}
        }
    }
    Ok(level)
}

fn of_level<'a>(level: &Level<'a>, named: &[Named<'a>]) -> Result<Option<Use<'a>>, TargetError> {
    let place = |error| TargetError::Placed { error, place: level.place.clone() };
    let Some(cache) = &level.cache else { return Ok(None) };
    let Some(DirectivePlan { store, sessions }) = cache.plan().map_err(place)? else {
        return Ok(None);
    };
    let find = |parameter, name: &[u8]| {
        let found = named.iter().find(|one| one.store.name.as_bytes() == name);
        found.ok_or_else(|| place(PlanError::NoStore { name: parameter, value: text(name) }))
    };
    let (store, fallback) = match store {
        StoreSource::Said(plan) => (Rc::new(Store::unnamed(*plan)), None),
        StoreSource::Named(name) => {
            let one = find("store", name)?;
            let fallback =
                one.fallback.as_deref().map(|name| find("fallback", name)).transpose()?;
            (Rc::clone(&one.store), fallback.map(|other| Rc::clone(&other.store)))
        }
    };
    let has_tickets = level.tickets.is_some_and(|tickets| tickets.plan().is_some());
    let adds = has_tickets || level.early_data == Some(true);
    Ok(Some(Use { store, fallback, sessions, place: level.place.clone(), adds }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::nginx_conf::Configuration;
    use crate::target::{stores, with_store};

    const BLOCKS: &str = "
        remote_ssl_session_store far { server 10.0.0.1; }
        remote_ssl_session_store near { server 10.0.0.2; server 10.0.0.3; fallback far; }";

    fn read(content: &str) -> Configuration {
        let dump = format!("# configuration file /etc/nginx.conf:\n{content}\n");
        Configuration::read(dump.as_bytes()).unwrap()
    }

    /// Of each use: the store, the fallback, the prefix.
    fn found(content: &str) -> Vec<String> {
        let configuration = read(content);
        let uses = uses(&configuration.main).unwrap();
        let name = |found: &Use<'_>| {
            let fallback = found.fallback.as_ref().map_or("-", |store| &store.name);
            let prefix = text(found.sessions.keyspace.prefix());
            format!(
                "{} {fallback} {prefix}{}",
                found.store.name,
                if found.adds { " adds" } else { "" }
            )
        };
        uses.iter().map(name).collect()
    }

    #[test]
    fn servers_inherit() {
        let content = "http { remote_ssl_session_cache on addr=10.0.0.9 prefix=a:;
            server { } server { remote_ssl_session_cache off; }
            server { remote_ssl_session_cache prefix=b:; ssl_early_data on; }
            server { remote_ssl_session_cache prefix=a:; remote_ssl_session_tickets on; } }";
        assert_eq!(found(content), ["10.0.0.9:6379 - a: adds", "10.0.0.9:6379 - b: adds"]);
    }

    #[test]
    fn blocks_and_fallbacks() {
        let content = format!(
            "{BLOCKS} http {{ remote_ssl_session_cache store=near; server {{ }} }}
            stream {{ server {{ remote_ssl_session_cache store=far prefix=s:; }} }}
            mail {{ remote_ssl_session_cache off; server {{ }} }}"
        );
        assert_eq!(found(&content), ["near far sslsessioncache:", "far - s:"]);
        let configuration = read(&content);
        let uses = uses(&configuration.main).unwrap();
        let stores = stores(&uses);
        let names: Vec<_> = stores
            .iter()
            .map(|one| (&one.store.name[..], one.uses.len(), one.is_fallback))
            .collect();
        assert_eq!(names, [("near", 1, false), ("far", 2, false)]);
    }

    /// Blocks that are equal are one store, which both names find.
    #[test]
    fn each_name_of_a_store_is_kept() {
        let configuration = read(
            "remote_ssl_session_store one { server 10.0.0.1; }
            remote_ssl_session_store twin { server 10.0.0.1; }
            http { server { remote_ssl_session_cache store=one; }
            server { remote_ssl_session_cache store=twin; } }",
        );
        let uses = || uses(&configuration.main).unwrap();
        assert_eq!(stores(&uses()).len(), 1);
        for name in ["one", "twin"] {
            let found = with_store(uses(), name).unwrap();
            assert_eq!((&found[0].store.name[..], found.len()), (name, 1));
        }
        let message = with_store(uses(), "no").err().unwrap().to_string();
        assert!(message.ends_with("expected one of: one, twin"), "{message}");
    }

    #[test]
    fn errors_name_the_place() {
        let refused = |content: &str| match uses(&read(content).main) {
            Ok(_) => panic!("{content} is accepted"),
            Err(error) => error.to_string(),
        };
        let message = refused("http {\n server {\n remote_ssl_session_cache store=no;\n } }");
        assert!(message.starts_with("unknown store \"no\""), "{message}");
        assert!(message.ends_with(", at /etc/nginx.conf:3"), "{message}");
        let message = refused("http {\n remote_ssl_session_cache port=0;\n }");
        assert!(message.ends_with(", at /etc/nginx.conf:2"), "{message}");
    }
}
