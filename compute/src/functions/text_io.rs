//! Values as text and back, the `reg` types included, whose names only the catalog knows.

use super::{Call, EvalContext, ObjectClass};
use crate::{SqlError, SqlResult};
use shardforge_types::{ArrayValue, Datum, Oid, PgType, SqlState, oids, text};

/// Whether the text of a type's values needs the catalog.
fn is_named_object(oid: Oid) -> bool {
    matches!(
        oid,
        oids::REGCLASS
            | oids::REGTYPE
            | oids::REGPROC
            | oids::REGPROCEDURE
            | oids::REGNAMESPACE
            | oids::REGROLE
            | oids::REGOPER
            | oids::REGOPERATOR
            | oids::REGCOLLATION
    )
}

/// Appends the text of a value; nothing for null.
pub fn output_text(datum: &Datum, ty: PgType, context: &EvalContext, out: &mut String) -> SqlResult<()> {
    match datum {
        Datum::Null => {}
        Datum::Text(text) => out.push_str(text),
        Datum::Oid(oid) if is_named_object(ty.oid) => out.push_str(&object_text(*oid, ty.oid, context)),
        Datum::Array(array) if is_named_object(array.element) => {
            let names = array.values.iter().map(|value| match value {
                Datum::Oid(oid) => Datum::text(object_text(*oid, array.element, context)),
                other => other.clone(),
            });
            let named = ArrayValue { element: oids::TEXT, dims: array.dims.clone(), values: names.collect() };
            let named = Datum::Array(std::sync::Arc::new(named));
            push_output(&named, PgType::new(oids::TEXT_ARRAY), context, out);
        }
        other => push_output(other, ty, context, out),
    }
    Ok(())
}

fn push_output(datum: &Datum, ty: PgType, context: &EvalContext, out: &mut String) {
    if let Some(text) = text::output_string(datum, ty, context.settings()) {
        out.push_str(&text);
    }
}

/// The text of a value; `None` for null.
pub fn to_text(datum: &Datum, ty: PgType, context: &EvalContext) -> SqlResult<Option<String>> {
    if datum.is_null() {
        return Ok(None);
    }
    let mut out = String::new();
    output_text(datum, ty, context, &mut out)?;
    Ok(Some(out))
}

/// The value that a text means.
pub fn from_text(text: &str, ty: PgType, context: &EvalContext) -> SqlResult<Datum> {
    if is_named_object(ty.oid) {
        return find_object(text, ty.oid, context, true).map(|oid| oid.map_or(Datum::Null, Datum::Oid));
    }
    Ok(text::input(text, ty, context.settings())?)
}

/// A conversion through the text form.
pub fn io_cast(datum: &Datum, from: PgType, call: &Call<'_>) -> SqlResult<Datum> {
    if datum.is_null() {
        return Ok(Datum::Null);
    }
    let to = call.result;
    if to.oid == oids::TEXT || (to.oid == oids::VARCHAR && to.typmod < 0) {
        if let Datum::Text(text) = datum {
            return Ok(Datum::Text(text.clone()));
        }
        let mut out = String::new();
        output_text(datum, from, call.context, &mut out)?;
        return Ok(Datum::text(out));
    }
    match datum {
        Datum::Text(text) => from_text(text, to, call.context),
        other => {
            let mut out = String::new();
            output_text(other, from, call.context, &mut out)?;
            from_text(&out, to, call.context)
        }
    }
}

/// An identifier, in double quotes where SQL needs them.
pub fn quote_ident(name: &str) -> String {
    let plain = !name.is_empty()
        && name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        && !is_reserved(name);
    if plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

/// Whether a word is more than an unreserved keyword, sorted.
fn is_reserved(word: &str) -> bool {
    RESERVED.binary_search(&word).is_ok()
}

/// PostgreSQL 15's keywords of the categories C, T and R.
const RESERVED: &[&str] = &[
    "all",
    "analyse",
    "analyze",
    "and",
    "any",
    "array",
    "as",
    "asc",
    "asymmetric",
    "authorization",
    "between",
    "bigint",
    "binary",
    "bit",
    "boolean",
    "both",
    "case",
    "cast",
    "char",
    "character",
    "check",
    "coalesce",
    "collate",
    "collation",
    "column",
    "concurrently",
    "constraint",
    "create",
    "cross",
    "current_catalog",
    "current_date",
    "current_role",
    "current_schema",
    "current_time",
    "current_timestamp",
    "current_user",
    "dec",
    "decimal",
    "default",
    "deferrable",
    "desc",
    "distinct",
    "do",
    "else",
    "end",
    "except",
    "exists",
    "extract",
    "false",
    "fetch",
    "float",
    "for",
    "foreign",
    "freeze",
    "from",
    "full",
    "grant",
    "greatest",
    "group",
    "grouping",
    "having",
    "ilike",
    "in",
    "initially",
    "inner",
    "inout",
    "int",
    "integer",
    "intersect",
    "interval",
    "into",
    "is",
    "isnull",
    "join",
    "lateral",
    "leading",
    "least",
    "left",
    "like",
    "limit",
    "localtime",
    "localtimestamp",
    "national",
    "natural",
    "nchar",
    "none",
    "normalize",
    "not",
    "notnull",
    "null",
    "nullif",
    "numeric",
    "offset",
    "on",
    "only",
    "or",
    "order",
    "out",
    "outer",
    "overlaps",
    "overlay",
    "placing",
    "position",
    "precision",
    "primary",
    "real",
    "references",
    "returning",
    "right",
    "row",
    "select",
    "session_user",
    "setof",
    "similar",
    "smallint",
    "some",
    "substring",
    "symmetric",
    "table",
    "tablesample",
    "then",
    "time",
    "timestamp",
    "to",
    "trailing",
    "treat",
    "trim",
    "true",
    "union",
    "unique",
    "user",
    "using",
    "values",
    "varchar",
    "variadic",
    "verbose",
    "when",
    "where",
    "window",
    "with",
    "xmlattributes",
    "xmlconcat",
    "xmlelement",
    "xmlexists",
    "xmlforest",
    "xmlnamespaces",
    "xmlparse",
    "xmlpi",
    "xmlroot",
    "xmlserialize",
    "xmltable",
];

/// A name in a schema, qualified unless the search path finds it.
fn qualified(schema: Option<String>, name: &str, visible: bool) -> String {
    match schema {
        Some(schema) if !visible => format!("{}.{}", quote_ident(&schema), quote_ident(name)),
        _ => quote_ident(name),
    }
}

fn schema_name(oid: Oid, context: &EvalContext) -> Option<String> {
    let (_, name) = context.catalog.as_ref()?.object_name(ObjectClass::Schema, oid)?;
    Some(name)
}

/// A relation's name, qualified unless the search path finds it.
pub(super) fn relation_text(oid: Oid, context: &EvalContext) -> Option<String> {
    let catalog = context.catalog.as_ref()?;
    let relation = catalog.relation(oid)?;
    let visible = catalog.find_relation(None, &relation.name) == Some(oid);
    Some(qualified(schema_name(relation.schema, context), &relation.name, visible))
}

/// The class of objects that a `reg` type names.
fn class_of(ty: Oid) -> ObjectClass {
    match ty {
        oids::REGPROC | oids::REGPROCEDURE => ObjectClass::Function,
        oids::REGNAMESPACE => ObjectClass::Schema,
        oids::REGROLE => ObjectClass::Role,
        oids::REGOPER | oids::REGOPERATOR => ObjectClass::Operator,
        oids::REGCOLLATION => ObjectClass::Collation,
        oids::REGTYPE => ObjectClass::Type,
        _ => ObjectClass::Relation,
    }
}

fn object_text(oid: Oid, ty: Oid, context: &EvalContext) -> String {
    if oid == Oid::INVALID {
        return "-".to_owned();
    }
    let named = match ty {
        oids::REGCLASS => relation_text(oid, context),
        oids::REGTYPE => Some(type_text(PgType::new(oid), context)).filter(|name| name != "???"),
        oids::REGPROCEDURE => object_text_with_arguments(oid, context),
        _ => context.catalog.as_ref().and_then(|catalog| {
            let class = class_of(ty);
            let (schema, name) = catalog.object_name(class, oid)?;
            let schema = schema.and_then(|schema| schema_name(schema, context));
            // Operators are not quoted; what is in pg_catalog is always visible.
            let visible = schema.as_deref() == Some("pg_catalog")
                || catalog.find_objects(class, None, &name).contains(&oid);
            Some(if class == ObjectClass::Operator { name } else { qualified(schema, &name, visible) })
        }),
    };
    named.unwrap_or_else(|| oid.to_string())
}

/// A function's name with the types of its arguments.
fn object_text_with_arguments(oid: Oid, context: &EvalContext) -> Option<String> {
    let args = &crate::catalog::builtin::proc(oid)?.args;
    let args: Vec<String> = args.iter().map(|arg| type_text(PgType::new(*arg), context)).collect();
    Some(format!("{}({})", object_text(oid, oids::REGPROC, context), args.join(",")))
}

/// The name of a type as SQL writes it.
pub(super) fn type_text(ty: PgType, context: &EvalContext) -> String {
    let known = context.catalog.as_ref().and_then(|catalog| catalog.type_name(ty));
    known.unwrap_or_else(|| oids_format(ty))
}

fn oids_format(ty: PgType) -> String {
    shardforge_types::oid::format_type(ty.oid, ty.typmod)
}

/// Splits `schema.name` into its parts: unquoted ones are folded to lower case.
pub(super) fn split_name(text: &str) -> SqlResult<Vec<String>> {
    let bad = || SqlError::new(SqlState::INVALID_NAME, "invalid name syntax");
    let mut parts = Vec::new();
    let mut rest = text.trim();
    loop {
        let part;
        if let Some(quoted) = rest.strip_prefix('"') {
            let mut name = String::new();
            let mut chars = quoted.char_indices();
            let end = loop {
                match chars.next() {
                    Some((at, '"')) => match quoted[at + 1..].strip_prefix('"') {
                        Some(_) => {
                            chars.next();
                            name.push('"');
                        }
                        None => break at + 1,
                    },
                    Some((_, c)) => name.push(c),
                    None => return Err(bad()),
                }
            };
            (part, rest) = (name, quoted[end..].trim_start());
        } else {
            let end = rest.find(|c: char| c == '.' || c.is_whitespace()).unwrap_or(rest.len());
            (part, rest) = (rest[..end].to_lowercase(), rest[end..].trim_start());
        }
        if part.is_empty() {
            return Err(bad());
        }
        parts.push(part);
        match rest.strip_prefix('.') {
            Some(after) => rest = after.trim_start(),
            None if rest.is_empty() => return Ok(parts),
            None => return Err(bad()),
        }
    }
}

/// The object that a text names, as a value of a `reg` type. A missing one is an error when `strict`.
pub(super) fn find_object(
    text: &str,
    ty: Oid,
    context: &EvalContext,
    strict: bool,
) -> SqlResult<Option<Oid>> {
    let text = text.trim();
    if text == "-" {
        return Ok(Some(Oid::INVALID));
    }
    if let Ok(number) = text.parse::<u32>() {
        return Ok(Some(Oid(number)));
    }
    let missing = |state: SqlState, what: &str, name: &str| {
        if strict { Err(SqlError::new(state, format!("{what} \"{name}\" does not exist"))) } else { Ok(None) }
    };
    if ty == oids::REGTYPE {
        return find_type(text, context, strict);
    }
    if ty == oids::REGPROCEDURE || ty == oids::REGOPERATOR {
        return Err(SqlError::not_supported("a function or operator named with its argument types"));
    }
    let parts = if ty == oids::REGOPER { vec![text.to_owned()] } else { split_name(text)? };
    let (schema, name) = match &parts[..] {
        [name] => (None, name.as_str()),
        [schema, name] => (Some(schema.as_str()), name.as_str()),
        [database, schema, name] if *database == context.session.database => {
            (Some(schema.as_str()), name.as_str())
        }
        _ => {
            let message = format!("improper relation name (too many dotted names): {text}");
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
        }
    };
    let Some(catalog) = &context.catalog else {
        return Err(SqlError::internal("the catalog was asked for a name outside a session"));
    };
    if ty == oids::REGCLASS {
        return match catalog.find_relation(schema, name) {
            Some(oid) => Ok(Some(oid)),
            None => missing(SqlState::UNDEFINED_TABLE, "relation", &parts.join(".")),
        };
    }
    let class = class_of(ty);
    match (&catalog.find_objects(class, schema, name)[..], class) {
        ([oid], _) => Ok(Some(*oid)),
        ([], ObjectClass::Schema) => missing(SqlState::INVALID_SCHEMA_NAME, "schema", name),
        ([], ObjectClass::Role) => missing(SqlState::UNDEFINED_OBJECT, "role", name),
        ([], ObjectClass::Collation) => missing(SqlState::UNDEFINED_OBJECT, "collation", name),
        ([], ObjectClass::Operator) => {
            if strict {
                return Err(SqlError::new(
                    SqlState::UNDEFINED_FUNCTION,
                    format!("operator does not exist: {text}"),
                ));
            }
            Ok(None)
        }
        ([], _) => missing(SqlState::UNDEFINED_FUNCTION, "function", text),
        (_, _) if !strict => Ok(None),
        (_, ObjectClass::Operator) => {
            Err(SqlError::new(SqlState::AMBIGUOUS_FUNCTION, format!("more than one operator named {text}")))
        }
        _ => Err(SqlError::new(
            SqlState::AMBIGUOUS_FUNCTION,
            format!("more than one function named \"{text}\""),
        )),
    }
}

fn find_type(text: &str, context: &EvalContext, strict: bool) -> SqlResult<Option<Oid>> {
    // A modifier is allowed, and says nothing about the type's OID.
    let (name, suffix) = match (text.find('('), text.find(')')) {
        (Some(open), Some(close)) if open < close => (&text[..open], &text[close + 1..]),
        _ => (text, ""),
    };
    let bare = format!("{}{suffix}", name.trim_end()).to_lowercase();
    let bare = bare.strip_prefix("pg_catalog.").unwrap_or(&bare);
    if let Some(oid) = shardforge_types::oid::parse_type_name(bare) {
        return Ok(Some(oid));
    }
    if let (Some(catalog), Ok(parts)) = (&context.catalog, split_name(text)) {
        let found = match &parts[..] {
            [name] => catalog.find_objects(ObjectClass::Type, None, name),
            [schema, name] => catalog.find_objects(ObjectClass::Type, Some(schema), name),
            _ => Vec::new(),
        };
        if let Some(oid) = found.first() {
            return Ok(Some(*oid));
        }
    }
    if strict {
        return Err(SqlError::new(SqlState::UNDEFINED_OBJECT, format!("type \"{text}\" does not exist")));
    }
    Ok(None)
}
