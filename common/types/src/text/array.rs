//! Arrays: `{1,NULL,"a b"}`, `{{1,2},{3,4}}`, `[0:1]={a,b}`; and the vectors of the catalogs: `1 2 3`.

use super::is_space;
use crate::array::{ArrayDim, MAX_DIMS};
use crate::sqlstate::SqlState;
use crate::{ArrayValue, Datum, PgType, Settings, ValueError};
use smallvec::SmallVec;
use std::sync::Arc;

pub(super) fn parse(text: &str, element: PgType, settings: &Settings) -> Result<Datum, ValueError> {
    let mut reader = Reader {
        text,
        rest: text.trim_start_matches(is_space),
        element,
        settings,
        values: Vec::new(),
        lens: [0; MAX_DIMS],
        depth: None,
    };
    let declared = reader.dimensions()?;
    if !reader.rest.starts_with('{') {
        let detail = if declared.is_empty() {
            "Array value must start with \"{\" or dimension information."
        } else {
            "Array contents must start with \"{\"."
        };
        return Err(reader.malformed(detail));
    }
    reader.braces(0)?;
    if !reader.rest.trim_start_matches(is_space).is_empty() {
        return Err(reader.malformed("Junk after closing right brace."));
    }
    let Reader { ref lens, depth, ref values, .. } = reader;
    let depth = if values.is_empty() { 0 } else { depth.map_or(0, |depth| depth + 1) };
    let dims: SmallVec<[ArrayDim; 1]> = if declared.is_empty() {
        lens[..depth].iter().map(|len| ArrayDim { len: *len, lower: 1 }).collect()
    } else {
        let matching = declared.len() == depth && declared.iter().zip(lens).all(|(dim, len)| dim.len == *len);
        if !matching {
            return Err(reader.malformed("Specified array dimensions do not match array contents."));
        }
        declared
    };
    Ok(Datum::Array(Arc::new(ArrayValue { element: element.oid, dims, values: reader.values })))
}

struct Reader<'a> {
    /// All of the text, for messages.
    text: &'a str,
    rest: &'a str,
    element: PgType,
    settings: &'a Settings,
    values: Vec<Datum>,
    /// Length of each dimension, once a list at that depth has ended.
    lens: [i32; MAX_DIMS],
    /// How deep the elements are, once one was seen.
    depth: Option<usize>,
}

impl Reader<'_> {
    fn malformed(&self, detail: &str) -> ValueError {
        let message = format!("malformed array literal: \"{}\"", self.text);
        ValueError::new(SqlState::INVALID_TEXT_REPRESENTATION, message).with_detail(detail)
    }

    fn skip_spaces(&mut self) {
        self.rest = self.rest.trim_start_matches(is_space);
    }

    fn too_many_dimensions() -> ValueError {
        ValueError::new(
            SqlState::PROGRAM_LIMIT_EXCEEDED,
            format!("number of array dimensions ({}) exceeds the maximum allowed ({MAX_DIMS})", MAX_DIMS + 1),
        )
    }

    /// `[lower:upper]` or `[upper]`, any number of them, and `=`.
    fn dimensions(&mut self) -> Result<SmallVec<[ArrayDim; 1]>, ValueError> {
        let mut dims = SmallVec::new();
        loop {
            self.skip_spaces();
            let Some(inner) = self.rest.strip_prefix('[') else { break };
            if dims.len() >= MAX_DIMS {
                return Err(Self::too_many_dimensions());
            }
            let (first, after) = self.bound(inner)?;
            let (lower, upper, after) = match after.strip_prefix(':') {
                Some(after) => {
                    let (upper, after) = self.bound(after)?;
                    (first, upper, after)
                }
                None => (1, first, after),
            };
            let Some(after) = after.strip_prefix(']') else {
                return Err(self.malformed("Missing \"]\" after array dimensions."));
            };
            if upper < lower {
                return Err(ValueError::new(
                    SqlState::ARRAY_SUBSCRIPT_ERROR,
                    "upper bound cannot be less than lower bound",
                ));
            }
            let too_many = || {
                ValueError::new(
                    SqlState::PROGRAM_LIMIT_EXCEEDED,
                    "array size exceeds the maximum allowed (134217727)",
                )
            };
            let len = i32::try_from(i64::from(upper) - i64::from(lower) + 1).map_err(|_| too_many())?;
            dims.push(ArrayDim { len, lower });
            self.rest = after;
        }
        if !dims.is_empty() {
            let Some(after) = self.rest.strip_prefix('=') else {
                return Err(self.malformed("Missing \"=\" after array dimensions."));
            };
            self.rest = after;
            self.skip_spaces();
        }
        Ok(dims)
    }

    fn bound<'t>(&self, text: &'t str) -> Result<(i32, &'t str), ValueError> {
        let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
        let count = digits.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = text.split_at(text.len() - digits.len() + count);
        if count == 0 {
            return Err(self.malformed("\"[\" must introduce explicitly-specified array dimensions."));
        }
        let out_of_range =
            || ValueError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "array bound is out of integer range");
        Ok((number.parse().map_err(|_| out_of_range())?, after))
    }

    /// One list in braces, `depth` lists around it.
    fn braces(&mut self, depth: usize) -> Result<(), ValueError> {
        if depth >= MAX_DIMS {
            return Err(Self::too_many_dimensions());
        }
        self.rest = &self.rest[1..];
        let mut count = 0;
        let mut after_comma = false;
        loop {
            self.skip_spaces();
            match self.rest.as_bytes().first() {
                None => return Err(self.malformed("Unexpected end of input.")),
                Some(b'}') if (count == 0 && depth == 0) || (count > 0 && !after_comma) => {
                    self.rest = &self.rest[1..];
                    break;
                }
                Some(b'}') => return Err(self.malformed("Unexpected \"}\" character.")),
                Some(b',') if after_comma || count == 0 => {
                    return Err(self.malformed("Unexpected \",\" character."));
                }
                Some(b',') => {
                    self.rest = &self.rest[1..];
                    after_comma = true;
                    continue;
                }
                Some(b'{') if count > 0 && !after_comma => {
                    return Err(self.malformed("Unexpected \"{\" character."));
                }
                Some(b'{') => {
                    if self.depth.is_some_and(|elements| elements <= depth) {
                        return Err(self.malformed("Unexpected \"{\" character."));
                    }
                    self.braces(depth + 1)?;
                }
                Some(_) if count > 0 && !after_comma => {
                    return Err(self.malformed("Unexpected array element."));
                }
                Some(_) => {
                    if *self.depth.get_or_insert(depth) != depth {
                        return Err(self.malformed("Unexpected array element."));
                    }
                    self.value()?;
                }
            }
            count += 1;
            after_comma = false;
        }
        match self.lens[depth] {
            0 => self.lens[depth] = count,
            len if len != count => {
                let detail = "Multidimensional arrays must have sub-arrays with matching dimensions.";
                return Err(self.malformed(detail));
            }
            _ => {}
        }
        Ok(())
    }

    /// One element, quoted or not.
    fn value(&mut self) -> Result<(), ValueError> {
        let mut item = String::new();
        // Where blanks at the end may be cut from: what was quoted or escaped stays.
        let mut kept = 0;
        let mut quoted = false;
        let mut escaped = false;
        let mut chars = self.rest.char_indices();
        let end = loop {
            match chars.next() {
                None => return Err(self.malformed("Unexpected end of input.")),
                Some((at, ',' | '}')) => break at,
                Some((_, '{')) => return Err(self.malformed("Unexpected \"{\" character.")),
                Some((_, '\\')) => {
                    let Some((_, c)) = chars.next() else {
                        return Err(self.malformed("Unexpected end of input."));
                    };
                    item.push(c);
                    kept = item.len();
                    escaped = true;
                }
                Some((_, '"')) => {
                    if quoted || !item.is_empty() {
                        return Err(self.malformed("Unexpected array element."));
                    }
                    quoted = true;
                    loop {
                        match chars.next() {
                            None => return Err(self.malformed("Unexpected end of input.")),
                            Some((_, '"')) => break,
                            Some((_, '\\')) => match chars.next() {
                                None => return Err(self.malformed("Unexpected end of input.")),
                                Some((_, c)) => item.push(c),
                            },
                            Some((_, c)) => item.push(c),
                        }
                    }
                    kept = item.len();
                }
                Some((_, c)) if quoted && !is_space(c) => {
                    return Err(self.malformed("Unexpected array element."));
                }
                Some((_, c)) => {
                    item.push(c);
                    if !is_space(c) {
                        kept = item.len();
                    }
                }
            }
        };
        self.rest = &self.rest[end..];
        item.truncate(kept);
        let null = !quoted && !escaped && item.eq_ignore_ascii_case("null");
        let value = if null { Datum::Null } else { super::input(&item, self.element, self.settings)? };
        self.values.push(value);
        Ok(())
    }
}

/// Whether an element's text needs quotes inside an array.
pub fn array_needs_quotes(text: &str) -> bool {
    text.is_empty()
        || text.eq_ignore_ascii_case("null")
        || text.contains(|c: char| matches!(c, '"' | '\\' | '{' | '}' | ',') || is_space(c))
}

pub(super) fn text(array: &ArrayValue, settings: &Settings) -> Vec<u8> {
    let mut out = Vec::new();
    if array.dims.is_empty() {
        return b"{}".to_vec();
    }
    if array.dims.iter().any(|dim| dim.lower != 1) {
        for dim in &array.dims {
            let upper = i64::from(dim.lower) + i64::from(dim.len) - 1;
            out.extend_from_slice(format!("[{}:{upper}]", dim.lower).as_bytes());
        }
        out.push(b'=');
    }
    let mut values = array.values.iter();
    nested_text(&mut out, array, &array.dims, &mut values, settings);
    out
}

fn nested_text(
    out: &mut Vec<u8>,
    array: &ArrayValue,
    dims: &[ArrayDim],
    values: &mut std::slice::Iter<'_, Datum>,
    settings: &Settings,
) {
    let Some((outer, inner)) = dims.split_first() else {
        let text =
            values.next().and_then(|value| super::output_string(value, PgType::new(array.element), settings));
        return match text {
            None => out.extend_from_slice(b"NULL"),
            Some(text) if array_needs_quotes(&text) => {
                out.push(b'"');
                for byte in text.bytes() {
                    if matches!(byte, b'"' | b'\\') {
                        out.push(b'\\');
                    }
                    out.push(byte);
                }
                out.push(b'"');
            }
            Some(text) => out.extend_from_slice(text.as_bytes()),
        };
    };
    out.push(b'{');
    for i in 0..outer.len {
        if i > 0 {
            out.push(b',');
        }
        nested_text(out, array, inner, values, settings);
    }
    out.push(b'}');
}

pub(super) fn parse_vector(text: &str, element: PgType, settings: &Settings) -> Result<Datum, ValueError> {
    let words = text.split(is_space).filter(|word| !word.is_empty());
    let values: Vec<Datum> =
        words.map(|word| super::input(word, element, settings)).collect::<Result<_, _>>()?;
    Ok(vector(element, values))
}

/// An `int2vector` or `oidvector`: one dimension, with subscripts from 0, even when it is empty of elements.
fn vector(element: PgType, values: Vec<Datum>) -> Datum {
    let mut array = ArrayValue::from_values(element.oid, values);
    array.dims.iter_mut().for_each(|dim| dim.lower = 0);
    Datum::Array(Arc::new(array))
}

pub(super) fn vector_text(array: &ArrayValue, settings: &Settings) -> String {
    let words = array
        .values
        .iter()
        .filter_map(|value| super::output_string(value, PgType::new(array.element), settings));
    words.collect::<Vec<_>>().join(" ")
}
