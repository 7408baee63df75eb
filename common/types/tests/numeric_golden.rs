//! What `numeric` answers, against what a PostgreSQL 15 answered: `golden/numeric_v15.tsv`.

#![allow(clippy::unwrap_used, reason = "a test may; clippy does not see that these helpers belong to one")]

use shardforge_types::{Numeric, ValueError, text::float};

fn answer(operation: &str, a: &str, b: &str) -> Result<String, ValueError> {
    match operation {
        "from_float8" => return Ok(Numeric::from_f64(a.parse().unwrap()).to_string()),
        "from_float4" => return Ok(Numeric::from_f32(a.parse().unwrap()).to_string()),
        _ => {}
    }
    let x: Numeric = a.parse()?;
    let places = || b.parse::<i32>().unwrap();
    let y = || b.parse::<Numeric>();
    let value = match operation {
        "+" => x.add(&y()?)?,
        "-" => x.sub(&y()?)?,
        "*" => x.mul(&y()?)?,
        "/" => x.div(&y()?)?,
        "%" => x.rem(&y()?)?,
        "div" => x.div_trunc(&y()?)?,
        "cmp" => return Ok((-(x.cmp(&y()?) as i32)).to_string()),
        "abs" => x.abs(),
        "neg" => x.neg(),
        "sign" => x.sign(),
        "ceil" => x.ceil()?,
        "floor" => x.floor()?,
        "sqrt" => x.sqrt()?,
        "exp" => x.exp()?,
        "ln" => x.ln()?,
        "log10" => x.log(&Numeric::from(10i32))?,
        "log" => x.log(&y()?)?,
        "power" => x.power(&y()?)?,
        "round" => x.round(places())?,
        "trunc" => x.trunc(places())?,
        "trim_scale" => x.trim_scale(),
        "min_scale" if !x.is_finite() => return Ok("".to_owned()),
        "min_scale" => return Ok(x.min_scale().to_string()),
        "int2" => return x.to_i16().map(|value| value.to_string()),
        "int4" => return x.to_i32().map(|value| value.to_string()),
        "int8" => return x.to_i64().map(|value| value.to_string()),
        "float8" => return x.to_f64().map(|value| float::format_f64(value, 1)),
        "float4" => return x.to_f32().map(|value| float::format_f32(value, 1)),
        other => panic!("{other}"),
    };
    Ok(value.to_string())
}

#[test]
fn numerics_answer_as_postgresql_does() {
    let golden = include_str!("../golden/numeric_v15.tsv");
    let mut wrong = Vec::new();
    let mut count = 0;
    for line in golden.lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<&str> = line.split('\t').collect();
        let [operation, a, b, state, result] = fields[..] else { continue };
        let ours = match answer(operation, a, b) {
            Ok(value) => ("ok".to_owned(), value),
            Err(error) => (error.sqlstate.to_string(), error.message.into_owned()),
        };
        count += 1;
        if ours != (state.to_owned(), result.to_owned()) {
            wrong.push(format!("{line}\n    {}\t{}", ours.0, ours.1));
        }
    }
    assert!(count > 2000, "{count}");
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
}
