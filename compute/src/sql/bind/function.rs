//! Functions: which one is meant by a name and its arguments.

use super::Binder;
use super::coerce::{Pathway, pathway};
use super::resolve::{Candidate, best, convertible};
use super::types::{PG_CATALOG, category, type_name};
use crate::catalog::builtin::{CastContext, ProcEntry, procs_by_name, type_by_name};
use crate::sql::ast::{Loc, ObjectName};
use crate::{SqlError, SqlResult};
use shardforge_types::{Oid, SqlState, oids};

/// A way to call a function with so many arguments.
#[derive(Clone)]
pub(super) struct Match {
    pub proc: &'static ProcEntry,
    /// The declared type of each argument, given or defaulted, a variadic one repeated.
    pub args: Vec<Oid>,
    /// How many of the last arguments are elements of the variadic array.
    pub variadic: usize,
    /// How many of the last arguments take their defaults.
    pub defaults: usize,
    /// For each declared argument the one given, when names were used.
    pub order: Option<Vec<Option<usize>>>,
}

impl Candidate for Match {
    fn args(&self) -> &[Oid] {
        &self.args
    }
}

/// What a call means.
pub(super) enum Callee {
    Function(Match),
    /// `type(value)`, which is a cast.
    Cast(Oid),
}

impl Binder<'_> {
    /// The function that a call means.
    pub(super) fn find_function(
        &self,
        name: &ObjectName,
        types: &[Oid],
        arg_names: &[Option<&str>],
        variadic: bool,
        loc: Loc,
    ) -> SqlResult<Callee> {
        let candidates = self.candidates(name, types.len(), arg_names, variadic, loc)?;
        if let Some(found) = candidates.iter().find(|candidate| given(candidate) == types) {
            return Ok(Callee::Function(found.clone()));
        }
        if let ([source], [None], false) = (types, arg_names, variadic)
            && let Some(target) = self.cast_by_name(name, *source)
        {
            return Ok(Callee::Cast(target));
        }
        // Candidates are compared by the arguments given alone.
        let trimmed = candidates
            .into_iter()
            .map(|candidate| Match { args: given(&candidate).to_vec(), ..candidate })
            .collect();
        let fitting = convertible(trimmed, types);
        let chosen = match fitting.as_slice() {
            [] => return Err(self.no_function(name, types, arg_names, loc)),
            [only] => Some(only.clone()),
            _ => best(fitting, types),
        };
        chosen.map(Callee::Function).ok_or_else(|| {
            let message = format!("function {} is not unique", signature(name, types, arg_names));
            self.error(SqlState::AMBIGUOUS_FUNCTION, message, loc).hint(
                "Could not choose a best candidate function. You might need to add explicit type casts.",
            )
        })
    }

    fn no_function(
        &self,
        name: &ObjectName,
        types: &[Oid],
        arg_names: &[Option<&str>],
        loc: Loc,
    ) -> SqlError {
        let message = format!("function {} does not exist", signature(name, types, arg_names));
        self.error(SqlState::UNDEFINED_FUNCTION, message, loc)
            .hint("No function matches the given name and argument types. You might need to add explicit type casts.")
    }

    /// All functions of the name that can take so many arguments.
    fn candidates(
        &self,
        name: &ObjectName,
        count: usize,
        arg_names: &[Option<&str>],
        variadic: bool,
        loc: Loc,
    ) -> SqlResult<Vec<Match>> {
        let in_schema = match name.schema() {
            None | Some("pg_catalog") => Some(PG_CATALOG),
            Some("information_schema") => None,
            Some(schema) => {
                if self.ctx.catalog.schema(schema)?.is_none() {
                    let message = format!("schema \"{schema}\" does not exist");
                    return Err(self.error(SqlState::INVALID_SCHEMA_NAME, message, loc));
                }
                return Ok(Vec::new());
            }
        };
        let mut out: Vec<Match> = Vec::new();
        for proc in procs_by_name(name.name()) {
            let here = in_schema.map_or(proc.namespace != PG_CATALOG, |schema| proc.namespace == schema);
            let Some(found) = (if here { matching(proc, count, arg_names, variadic) } else { None }) else {
                continue;
            };
            // Of two that take the same arguments, the one without a variadic or defaults is meant.
            match out.iter_mut().find(|other| given(other) == given(&found)) {
                Some(other) => {
                    if (found.variadic, found.defaults) < (other.variadic, other.defaults) {
                        *other = found;
                    }
                }
                None => out.push(found),
            }
        }
        Ok(out)
    }

    /// `type(value)`: a cast, when it needs no function or goes through text.
    fn cast_by_name(&self, name: &ObjectName, source: Oid) -> Option<Oid> {
        if !matches!(name.schema(), None | Some("pg_catalog")) {
            return None;
        }
        let target = type_by_name(PG_CATALOG, name.name()).filter(|entry| entry.kind != b'p')?.oid;
        if source == oids::UNKNOWN {
            return Some(target);
        }
        match pathway(target, source, CastContext::Explicit)? {
            Pathway::Relabel => Some(target),
            Pathway::InOut => {
                let to_text = category(target).0 == b'S';
                (source != oids::RECORD || !to_text).then_some(target)
            }
            Pathway::Function(_) | Pathway::Array => None,
        }
    }
}

/// The declared types of the arguments that were given.
fn given(candidate: &Match) -> &[Oid] {
    match &candidate.order {
        None => &candidate.args[..candidate.args.len() - candidate.defaults.min(candidate.args.len())],
        Some(_) => &candidate.args,
    }
}

fn matching(
    proc: &'static ProcEntry,
    count: usize,
    arg_names: &[Option<&str>],
    array_given: bool,
) -> Option<Match> {
    let declared = proc.args.len();
    if arg_names.iter().any(Option::is_some) {
        return matching_names(proc, arg_names);
    }
    let args = proc.args.to_vec();
    if proc.variadic != Oid::INVALID && !array_given && count >= declared {
        let mut args = args;
        args.truncate(declared - 1);
        let variadic = count + 1 - declared;
        args.extend(std::iter::repeat_n(proc.variadic, variadic));
        return Some(Match { proc, args, variadic, defaults: 0, order: None });
    }
    if array_given && proc.variadic == Oid::INVALID {
        return None;
    }
    if declared == count {
        return Some(Match { proc, args, variadic: 0, defaults: 0, order: None });
    }
    let defaults = declared.checked_sub(count)?;
    (defaults <= proc.default_count).then_some(Match { proc, args, variadic: 0, defaults, order: None })
}

/// `f(a, name => b)`: positional arguments first, then each name once, then defaults.
fn matching_names(proc: &'static ProcEntry, arg_names: &[Option<&str>]) -> Option<Match> {
    let names = proc.arg_names.as_ref()?;
    let declared = proc.args.len();
    // The names of the input arguments, in order.
    let inputs: Vec<&str> = match &proc.all_args {
        None => names.to_vec(),
        Some(all) => all
            .iter()
            .zip(names.iter())
            .filter(|((_, mode), _)| matches!(mode, b'i' | b'b' | b'v'))
            .map(|(_, name)| *name)
            .collect(),
    };
    let mut order: Vec<Option<usize>> = vec![None; declared];
    let mut given = vec![Oid::INVALID; arg_names.len()];
    for (index, name) in arg_names.iter().enumerate() {
        let place = match name {
            None => index,
            Some(name) => inputs.iter().position(|input| input == name)?,
        };
        if place >= declared || order[place].is_some() {
            return None;
        }
        order[place] = Some(index);
        given[index] = proc.args[place];
    }
    let first_default = declared - proc.default_count;
    if order.iter().enumerate().any(|(place, arg)| arg.is_none() && place < first_default) {
        return None;
    }
    let defaults = order.iter().filter(|arg| arg.is_none()).count();
    Some(Match { proc, args: given, variadic: 0, defaults, order: Some(order) })
}

/// `name(type, arg => type)` for messages.
fn signature(name: &ObjectName, types: &[Oid], arg_names: &[Option<&str>]) -> String {
    let arg = |(ty, name): (&Oid, &Option<&str>)| match name {
        Some(name) => format!("{name} => {}", type_name(*ty)),
        None => type_name(*ty),
    };
    let args: Vec<String> = types.iter().zip(arg_names).map(arg).collect();
    format!("{}({})", name.display(), args.join(", "))
}

/// The function of a name with exactly these arguments, for calls that the binder makes itself.
pub(super) fn exact_function(name: &str, args: &[Oid]) -> SqlResult<&'static ProcEntry> {
    let found = procs_by_name(name).iter().find(|proc| proc.namespace == PG_CATALOG && *proc.args == *args);
    found
        .copied()
        .ok_or_else(|| SqlError::internal(format!("function {name} is not among the built-in ones")))
}
