//! The page on tables against the tables.

use std::collections::BTreeMap;

use super::markdown::Page;
use crate::ledger::{Home, on_both};

on_both! {
    the_page_has_every_column_of_every_table_and_view,
}

const SQLITE: &str = "
    SELECT home.name, col.name, col.type
    FROM sqlite_schema AS home JOIN pragma_table_info(home.name) AS col
    WHERE home.type IN ('table', 'view') AND home.name NOT LIKE 'sqlite%'";

const POSTGRES: &str = "
    SELECT home.relname, col.attname, format_type(col.atttypid, col.atttypmod)
    FROM pg_attribute AS col JOIN pg_class AS home ON home.oid = col.attrelid
    WHERE home.relnamespace = 'lamplighter'::regnamespace AND home.relkind IN ('r', 'v')
      AND col.attnum > 0 AND NOT col.attisdropped";

/// Type of each column, by table.
type Columns = BTreeMap<(String, String), String>;

fn of_page(is_sqlite: bool) -> Columns {
    let rows = Page::read("src/ledger/tables.md").rows().into_iter();
    let rows = rows.filter(|(_, cells)| cells.len() == 4 && cells[0].starts_with('`'));
    rows.map(|(heading, cells)| {
        let place = [&heading, &cells[0]].map(|name| name.trim_matches('`').to_owned());
        let [table, column] = place;
        assert!(!cells[3].is_empty(), "{table}.{column} has no meaning");
        let kind = if is_sqlite { &cells[1] } else { &cells[2] };
        ((table, column), kind.clone())
    })
    .collect()
}

fn the_page_has_every_column_of_every_table_and_view(home: &Home) {
    let is_sqlite = home.url().starts_with("sqlite");
    let rows = home.query(if is_sqlite { SQLITE } else { POSTGRES });
    let mut columns = Columns::new();
    for row in rows.iter().filter(|row| !row[0].starts_with('_')) {
        columns.insert((row[0].clone(), row[1].clone()), row[2].clone());
    }
    let documented = of_page(is_sqlite);
    let not_in = |columns: &Columns, others: &Columns| {
        let mut only = columns.clone();
        only.retain(|place, kind| others.get(place) != Some(kind));
        only
    };
    assert_eq!(
        not_in(&columns, &documented),
        Columns::new(),
        "not in the page"
    );
    assert_eq!(not_in(&documented, &columns), Columns::new(), "in no table");
}
