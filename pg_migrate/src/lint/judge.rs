//! The way through a script, statement by statement.

use super::deed::{deed, operation, reads};
use super::finding::{Deed, Finding, Severity};
use super::look::{Before, Look, Said, Unindexed};
use super::rule::FAMILIES;
use super::rules;
use super::search_path::{Given, Path};
use super::server::Server;
use super::session::{Block, Session};
use super::settings::{self, Settings};
use super::simulate::Hand;
use super::suppress::Remarks;
use super::world::World;
use crate::document::model::Sql;
use crate::fault::{Fault, Result, state};
use crate::pg::parser::Statement;
use crate::pg::parser::tree::Node;
use crate::pg::settings::Scope;
use crate::pg::wait;
use crate::recipe::quote::ident;
use crate::recipe::written::{Effect, Scene, Work};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

/// Who will run the script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runner {
    /// Any client, as it is written.
    Client,
    /// pg_migrate, which sees to timeouts and transactions itself.
    Engine,
}

/// Families that are about what pg_migrate does otherwise.
const OF_CLIENTS: [&str; 2] = ["timeouts", "transactions"];

/// Of one rule and one statement no more findings are told apart.
const ALIKE: usize = 50;

pub struct Judge<'a> {
    settings: &'a Settings,
    runner: Runner,
    remarks: Remarks,
    found: Vec<Finding>,
    /// Statements of which something was found at the end only.
    late: HashSet<i32>,
    server: Server,
}

impl<'a> Judge<'a> {
    pub fn new(settings: &'a Settings, runner: Runner, remarks: Remarks) -> Judge<'a> {
        Judge {
            settings,
            runner,
            remarks,
            found: Vec::new(),
            late: HashSet::new(),
            server: Server::default(),
        }
    }

    /// Judges the statements in their order; those behind the mark of the way back begin anew.
    pub fn script(mut self, statements: &[Statement]) -> Result<Vec<Finding>> {
        let middle = match self.remarks.down {
            Some(down) => statements.partition_point(|found| found.offset < down),
            None => statements.len(),
        };
        self.section(&statements[..middle], 0)?;
        self.section(&statements[middle..], middle)?;
        let late = std::mem::take(&mut self.late);
        self.found
            .retain(|found| found.rule != rules::SAFE || !late.contains(&found.deed.statement));
        self.found.sort_by_key(|finding| finding.deed.statement);
        Ok(self.found)
    }

    fn section(&mut self, statements: &[Statement], first: usize) -> Result<()> {
        if statements.is_empty() {
            return Ok(());
        }
        let transaction = self.settings.transaction && self.runner == Runner::Client;
        let mut session = Session::new(transaction)?;
        let scope = Scope::new();
        // What another session has locked is told, not waited for.
        scope.set("lock_timeout", "1000");
        let names = statements.iter().flat_map(|statement| {
            let action = &statement.action;
            action.on.iter().chain(&action.reads).chain(&action.refers)
        });
        let mut world = World::new(Path::now()?, names);
        let mut before = Before::default();
        let mut given = Given::new(scope);
        if transaction {
            world.block(Block::Begins);
            given.block(Block::Begins)?;
        }
        let mut deeds = HashMap::new();
        for (at, statement) in statements.iter().enumerate() {
            wait::check_interrupts();
            let index = first + at;
            let number = i32::try_from(index + 1).unwrap_or(i32::MAX);
            let scene: &mut dyn Scene = {
                world.turn(&statement.action);
                &mut world
            };
            let on = scene.named(&statement.action.on)?;
            let told = scene.in_parts(&Sql::default(), statement)?;
            let (mut effect, parts) = match (told, &statement.node) {
                (Some(told), _) => told,
                (None, Node::Transaction(_)) => (Effect::none(&statement.action.tag), Vec::new()),
                // See `TAGS` of the parser.
                (None, _) => return Err(unknown_kind(&statement.action.tag)),
            };
            reads(&mut world, statement, &mut effect)?;
            let deed = deed(&mut world, number, statement, &effect, &on)?;
            let foreign = before.keys.len();
            let mut look = Look {
                number,
                index,
                statement,
                action: &statement.action,
                effect: &effect,
                parts: &parts,
                on: &on,
                locks: &deed.locks,
                world: &mut world,
                session: &mut session,
                server: &mut self.server,
                before: &mut before,
                said: Vec::new(),
            };
            for family in FAMILIES {
                if self.runner == Runner::Client || !OF_CLIENTS.contains(&family.name) {
                    (family.check)(&mut look)?;
                }
            }
            let said = std::mem::take(&mut look.said);
            let deed = self.tell(&mut world, index, statement, deed, &effect, said)?;
            if before.keys.len() > foreign {
                deeds.insert(index, Rc::clone(&deed));
            }
            let keys = on.into_iter().map(|known| known.key).collect::<Vec<_>>();
            let mut hand = Hand {
                world: &mut world,
                session: &mut session,
                before: &mut before,
                given: &mut given,
            };
            hand.after(number, statement, &effect, &deed.locks, &keys)?;
        }
        self.at_end(&mut world, &session, &before.keys, &deeds);
        drop(given);
        Ok(())
    }

    /// What only the end of the script tells.
    fn at_end(
        &mut self,
        world: &mut World,
        session: &Session,
        keys: &[Unindexed],
        deeds: &HashMap<usize, Rc<Deed>>,
    ) {
        for key in keys {
            let indexed = world
                .table(&key.table)
                .is_none_or(|table| rules::types::has_index(table, &key.columns));
            let unknown = world
                .table(&key.table)
                .is_some_and(|table| table.unlisted && table.oid == 0 && !table.fresh);
            let Some(deed) = deeds.get(&key.statement).filter(|_| !indexed && !unknown) else {
                continue;
            };
            let columns: Vec<String> = key.columns.iter().map(|name| ident(name)).collect();
            let columns = columns.join(", ");
            let fresh = world.table(&key.table).is_some_and(|table| table.fresh);
            let how = if fresh { "" } else { " CONCURRENTLY" };
            self.later(
                Rc::clone(deed),
                key.statement,
                rules::types::key_without_index(),
                Some(&key.table),
                format!(
                    "no index of {} begins with {columns}: each DELETE of a row of {} reads the whole table",
                    key.table, key.target
                ),
                Some(format!("CREATE INDEX{how} ON {} ({columns});", key.table)),
            );
        }
        let open = session.block.filter(|number| *number > 0);
        if let (Some(number), Some(last), Runner::Client) = (open, self.found.last(), self.runner) {
            let deed = Rc::clone(&last.deed);
            let index = usize::try_from(deed.statement - 1).unwrap_or(0);
            self.later(
                deed,
                index,
                rules::transactions::open_at_end(),
                None,
                format!("the transaction that statement {number} began is never ended"),
                Some("COMMIT;".to_owned()),
            );
        }
    }

    fn later(
        &mut self,
        deed: Rc<Deed>,
        index: usize,
        rule: &'static super::rule::Rule,
        relation: Option<&String>,
        message: String,
        recipe: Option<String>,
    ) {
        if self.settings.is_off(rule.name) || self.remarks.silence(index, rule.name) {
            return;
        }
        self.late.insert(deed.statement);
        self.found.push(Finding {
            severity: self.settings.severity(rule.name, rule.severity),
            deed,
            rule: rule.name,
            relation: relation.cloned(),
            lock: None,
            size: None,
            message,
            recipe,
        });
    }

    /// From what the rules said to findings.
    fn tell(
        &mut self,
        world: &mut World,
        index: usize,
        statement: &Statement,
        mut deed: Deed,
        effect: &Effect,
        said: Vec<Said>,
    ) -> Result<Rc<Deed>> {
        let mut kept = Vec::new();
        let mut silenced = Vec::new();
        let mut alike: HashMap<&'static str, usize> = HashMap::new();
        for one in said {
            let name = one.rule.name;
            if self.settings.is_off(name) || self.remarks.silence(index, name) {
                silenced.push(name);
                continue;
            }
            let count = alike.entry(name).or_default();
            *count += 1;
            if *count <= ALIKE {
                kept.push(one);
            }
        }
        silenced.dedup();
        for one in &mut kept {
            let more = alike.get_mut(one.rule.name).filter(|count| **count > ALIKE);
            if let Some(count) = more {
                one.message
                    .push_str(&format!(" (and {} more like this)", *count - ALIKE));
                *count = 0;
            }
        }
        if kept.iter().any(|one| one.severity >= Severity::Warning) {
            deed.operation = operation(statement);
        }
        let deed = Rc::new(deed);
        let mut told = 0;
        for one in kept {
            let size = match &one.relation {
                Some(key) => world.size(key)?,
                None => None,
            };
            let lock = one.relation.as_ref().and_then(|key| {
                let own = deed.locks.iter().find(|(table, _)| table == key);
                own.map(|(_, lock)| *lock).or(deed.lock)
            });
            let mut severity = one.severity;
            let small = size.is_some_and(|size| size.bytes <= self.settings.small_bytes);
            if small && severity == Severity::Error && effect.work > Work::Brief {
                severity = Severity::Warning;
            }
            told += 1;
            self.found.push(Finding {
                severity: self.settings.severity(one.rule.name, severity),
                deed: Rc::clone(&deed),
                rule: one.rule.name,
                relation: one.relation,
                lock,
                size,
                message: one.message,
                recipe: one.recipe,
            });
        }
        let remarks: Vec<(&'static super::rule::Rule, String)> = self
            .remarks
            .of(index)
            .flat_map(|(ignore, used)| rules::remarks::of(ignore, used))
            .collect();
        for (rule, message) in remarks {
            if self.settings.is_off(rule.name) {
                continue;
            }
            self.found.push(Finding {
                severity: self.settings.severity(rule.name, rule.severity),
                deed: Rc::clone(&deed),
                rule: rule.name,
                relation: None,
                lock: None,
                size: None,
                message,
                recipe: None,
            });
        }
        if told == 0 {
            let relation = deed.locks.first().map(|(key, _)| key.clone());
            let size = match &relation {
                Some(key) => world.size(key)?,
                None => None,
            };
            self.found.push(Finding {
                rule: rules::SAFE,
                severity: Severity::Safe,
                relation,
                lock: deed.lock,
                size,
                message: match silenced.as_slice() {
                    [] => rules::safe::reason(statement, effect),
                    names => format!("silenced: {}", names.join(", ")),
                },
                recipe: None,
                deed: Rc::clone(&deed),
            });
        }
        Ok(deed)
    }
}

fn unknown_kind(tag: &str) -> Fault {
    Fault::new(
        state::FEATURE_NOT_SUPPORTED,
        format!("how {tag} locks is not known"),
    )
    .hint("SELECT * FROM migrate.trace('…'); shows it.")
}

/// Rules that the settings or the comments of a script name and that are none.
pub fn unknown(name: &str) -> String {
    match settings::near(name) {
        Some(near) => format!("there is no rule {name}; did you mean {near}?"),
        None => format!("there is no rule {name}: SELECT * FROM migrate.lint_rules(); lists them"),
    }
}
