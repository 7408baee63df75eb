//! Everything that is neither a query nor a write nor a schema change.

use super::Binder;
use super::aggregate::Clause;
use super::ddl::unplaced;
use super::scope::Scope;
use crate::sql::ast::{Ident, Statement};
use crate::sql::bound::{BoundStatement, Ddl, Explain, PreparedStatement};
use crate::{SqlError, SqlResult};
use shardforge_types::SqlState;

impl Binder<'_> {
    pub(super) fn utility(&mut self, statement: &Statement) -> SqlResult<BoundStatement> {
        Ok(match statement {
            Statement::Transaction(transaction) => BoundStatement::Transaction(transaction.clone()),
            Statement::Setting(setting) => BoundStatement::Setting(setting.clone()),
            Statement::Explain(explain) => {
                BoundStatement::Explain(self.explain(&explain.statement, &explain.options)?)
            }
            Statement::Prepare { name, types, body, .. } => {
                let params = types.iter().map(|ty| self.resolve_type(ty)).collect::<SqlResult<_>>()?;
                let text =
                    self.source.get(body.start as usize..body.end as usize).unwrap_or_default().to_owned();
                BoundStatement::Prepared(PreparedStatement::Prepare { name: name.name.clone(), params, text })
            }
            Statement::Execute { name, args } => {
                self.fresh_level(Clause::Execute);
                let args = self.exprs(args, &Scope::empty())?;
                BoundStatement::Prepared(PreparedStatement::Execute { name: name.name.clone(), args })
            }
            Statement::Deallocate(name) => {
                let name = name.as_ref().map(|name| name.name.clone());
                BoundStatement::Prepared(PreparedStatement::Deallocate(name))
            }
            Statement::Maintain { tag, analyze, tables } => {
                let tables = tables
                    .iter()
                    .map(|table| self.lookup_table(table))
                    .collect::<SqlResult<Vec<_>>>()
                    .map_err(unplaced)?;
                if *analyze {
                    return Ok(BoundStatement::Ddl(Ddl::Analyze { tag, tables }));
                }
                let message = "VACUUM has nothing to do: storage removes old versions by itself";
                BoundStatement::Notice { tag, message: message.to_owned() }
            }
            Statement::Checkpoint => BoundStatement::Notice {
                tag: "CHECKPOINT",
                message: "CHECKPOINT has nothing to do: every commit is durable when it is acknowledged"
                    .to_owned(),
            },
            Statement::Discard(what) => BoundStatement::Discard(what),
            Statement::Lock { names, mode, nowait } => {
                let tables = names
                    .iter()
                    .map(|name| self.lookup_table(name))
                    .collect::<SqlResult<_>>()
                    .map_err(unplaced)?;
                BoundStatement::LockTable { tables, mode: mode.clone(), nowait: *nowait }
            }
            Statement::Unsupported(name) => return Err(SqlError::not_supported(name)),
            _ => return Err(SqlError::internal("a statement that nothing binds")),
        })
    }

    fn explain(&mut self, statement: &Statement, options: &[(Ident, Option<String>)]) -> SqlResult<Explain> {
        let (mut analyze, mut verbose, mut costs) = (false, false, true);
        for (name, value) in options {
            let on = || match value.as_deref().map(str::to_ascii_lowercase).as_deref() {
                None | Some("true" | "on" | "1") => Ok(true),
                Some("false" | "off" | "0") => Ok(false),
                Some(_) => {
                    let message = format!("{} requires a Boolean value", name.name);
                    Err(SqlError::new(SqlState::SYNTAX_ERROR, message))
                }
            };
            match name.name.as_str() {
                "analyze" => analyze = on()?,
                "verbose" => verbose = on()?,
                "costs" => costs = on()?,
                "format" if value.as_deref().is_some_and(|value| value.eq_ignore_ascii_case("text")) => {}
                "format" => return Err(self.unsupported("EXPLAIN with a format other than text", name.loc)),
                "buffers" | "wal" | "settings" | "timing" | "summary" => {
                    if on()? {
                        return Err(
                            self.unsupported(format!("EXPLAIN ({})", name.name.to_uppercase()), name.loc)
                        );
                    }
                }
                other => {
                    let message = format!("unrecognized EXPLAIN option \"{other}\"");
                    return Err(self.error(SqlState::SYNTAX_ERROR, message, name.loc));
                }
            }
        }
        let statement = Box::new(self.statement(statement)?);
        Ok(Explain { statement, analyze, verbose, costs })
    }
}
