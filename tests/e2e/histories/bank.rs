//! Transfers between accounts: what all of them hold together never changes, whoever looks, and how.

use super::{Client, Ended, rows, run};
use shardforge_history::Level;

const ACCOUNTS: u64 = 8;
const EACH: i64 = 100;

pub fn bank(name: &'static str, kills: u64) {
    let fill = format!("insert into accounts select n, {EACH} from generate_series(1, {ACCOUNTS}) n");
    let setup = ["create table accounts (id int primary key, balance int not null)", &fill];
    let work = |client: &mut Client, _: u64| {
        while client.shared.take_one() {
            let level = client.random.pick(&Level::ALL);
            let looks = client.random.one_in(3);
            let went = client.begin(level).and_then(|()| match looks {
                true => look(client, level),
                false => transfer(client, level),
            });
            client.end(went, false);
        }
    };
    run(name, kills, &setup, work, |shared, last| {
        let sum = total(&last.must("select balance from accounts"));
        assert_eq!(sum, EACH * ACCOUNTS as i64, "HISTORY_SEED={}", shared.seed);
    });
}

fn total(answer: &[String]) -> i64 {
    rows(answer).iter().map(|row| row[0].parse::<i64>().unwrap()).sum()
}

/// Everything at once; above READ COMMITTED also in two parts.
fn look(client: &mut Client, level: Level) -> Result<(), Ended> {
    let expected = EACH * ACCOUNTS as i64;
    let way = client.random.below(3);
    let sum = match way {
        0 => total(&client.ask("select balance from accounts")?),
        // The report engine's.
        1 => total(&client.ask("select sum(balance) from accounts")?),
        _ if level == Level::ReadCommitted => return Ok(()),
        _ => {
            let half = ACCOUNTS / 2;
            total(&client.ask(&format!("select balance from accounts where id <= {half}"))?)
                + total(&client.ask(&format!("select balance from accounts where id > {half}"))?)
        }
    };
    assert_eq!(sum, expected, "read {way} at {level:?}; HISTORY_SEED={}", client.shared.seed);
    Ok(())
}

fn transfer(client: &mut Client, level: Level) -> Result<(), Ended> {
    let from = 1 + client.random.below(ACCOUNTS);
    let to = 1 + (from + client.random.below(ACCOUNTS - 1)) % ACCOUNTS;
    let amount = 1 + client.random.below(20) as i64;
    let way = client.random.below(3);
    if way == 0 {
        // The server's arithmetic.
        client.ask(&format!("update accounts set balance = balance - {amount} where id = {from}"))?;
        client.ask(&format!("update accounts set balance = balance + {amount} where id = {to}"))?;
        return Ok(());
    }
    if way == 1 {
        // Both in one statement.
        let sql = format!(
            "update accounts set balance = balance + case when id = {to} then {amount} else -{amount} end \
             where id in ({from}, {to})"
        );
        return client.ask(&sql).map(|_| ());
    }
    // The client's arithmetic, on what it has read; READ COMMITTED needs the lock.
    let lock = if level == Level::ReadCommitted { " for update" } else { "" };
    for (id, change) in [(from, -amount), (to, amount)] {
        let answer = client.ask(&format!("select balance from accounts where id = {id}{lock}"))?;
        let balance = total(&answer) + change;
        client.ask(&format!("update accounts set balance = {balance} where id = {id}"))?;
    }
    Ok(())
}
