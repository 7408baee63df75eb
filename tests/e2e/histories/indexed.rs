//! Rows found through an index and rows found in the table, at one snapshot: they are the same.

use super::{Client, Ended, rows, run};
use shardforge_history::Level;
use std::collections::BTreeMap;

const ROWS: u64 = 40;
const GROUPS: u64 = 5;

pub fn indexed(name: &'static str, kills: u64) {
    let fill =
        format!("insert into items select n, n % {GROUPS}, 'x' || n from generate_series(1, {ROWS}) n");
    let setup = [
        "create table items (id int primary key, grp int, name text not null)",
        &fill,
        "create index items_grp on items (grp)",
        "create unique index items_name on items (name)",
    ];
    let work = |client: &mut Client, number: u64| {
        let mut next = 0;
        while client.shared.take_one() {
            let level = client.random.pick(&Level::ALL);
            let looks = client.random.one_in(3);
            let rolls_back = client.random.one_in(10);
            let went = client.begin(level).and_then(|()| match looks {
                true => look(client, level),
                false => {
                    let steps = 1 + client.random.below(3);
                    (0..steps).try_for_each(|_| change(client, number, &mut next))
                }
            });
            client.end(went, rolls_back);
        }
    };
    run(name, kills, &setup, work, |_, last| {
        last.begin(Level::RepeatableRead).unwrap();
        for _ in 0..20 {
            look(last, Level::RepeatableRead).unwrap();
        }
    });
}

/// An insert, a move between groups (to none, too), a new name, a delete.
fn change(client: &mut Client, number: u64, next: &mut u64) -> Result<(), Ended> {
    let id = 1 + client.random.below(ROWS);
    let group = client.random.below(GROUPS);
    *next += 1;
    let sql = match client.random.below(6) {
        0 => format!("delete from items where id = {id}"),
        1 => format!("update items set name = 'n{number}_{next}' where id = {id}"),
        2 => format!("update items set grp = null where id = {id}"),
        3 => format!("update items set grp = {group} where id = {id}"),
        // Through the index that it changes.
        4 => format!("update items set grp = {group} where grp = {} and id <= {id}", (group + 1) % GROUPS),
        _ => format!(
            "insert into items values ({id}, {group}, 'i{number}_{next}') on conflict (id) do update set grp = excluded.grp"
        ),
    };
    client.ask(&sql).map(|_| ())
}

fn look(client: &mut Client, level: Level) -> Result<(), Ended> {
    let group = client.random.below(GROUPS);
    if level == Level::ReadCommitted {
        // One statement is one state.
        let sql = format!(
            "select (select count(*) from items where grp = {group}), (select count(*) from items where grp + 0 = {group})"
        );
        let counts = &rows(&client.ask(&sql)?)[0];
        assert_eq!(counts[0], counts[1], "HISTORY_SEED={}", client.shared.seed);
        return Ok(());
    }
    let by_group = rows(&client.ask(&format!("select id, name from items where grp = {group} order by id"))?);
    let between = rows(&client.ask(&format!("select id from items where grp >= {group} order by grp, id"))?);
    let all = rows(&client.ask("select id, name, grp from items")?);
    let table: BTreeMap<u64, (&str, Option<u64>)> =
        all.iter().map(|row| (row[0].parse().unwrap(), (&row[1][..], row[2].parse().ok()))).collect();
    let seed = client.shared.seed;
    let expected: Vec<_> =
        table.iter().filter(|(_, (_, of))| *of == Some(group)).map(|(id, row)| (*id, row.0)).collect();
    let found: Vec<_> = by_group.iter().map(|row| (row[0].parse::<u64>().unwrap(), &row[1][..])).collect();
    assert_eq!(found, expected, "rows of group {group}; HISTORY_SEED={seed}");
    let mut expected: Vec<_> =
        table.iter().filter_map(|(id, (_, of))| of.filter(|of| *of >= group).map(|of| (of, *id))).collect();
    expected.sort_unstable();
    let found: Vec<u64> = between.iter().map(|row| row[0].parse().unwrap()).collect();
    assert_eq!(
        found,
        expected.iter().map(|(_, id)| *id).collect::<Vec<_>>(),
        "from group {group}; HISTORY_SEED={seed}"
    );
    if let Some((id, (name, _))) = table.iter().nth(client.random.below(ROWS) as usize % table.len().max(1)) {
        let by_name = rows(&client.ask(&format!("select id from items where name = '{name}'"))?);
        assert_eq!(by_name, [[id.to_string()]], "the row of name {name}; HISTORY_SEED={seed}");
    }
    Ok(())
}
