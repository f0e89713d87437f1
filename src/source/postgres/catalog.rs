//! What the server says about a table or a query before anything is read.

use crate::database::postgres::Session;
use crate::database::{Identifier, Row, Value};
use crate::error::Failure;

use super::statements::array_literal;
use super::types::{SourceColumn, Stored};

/// The first version that finds a range of places without reading the whole table.
const RANGES_OF_PLACES: u32 = 140_000;

/// A table, or what can be read like one.
pub(super) struct Table {
    oid: i64,
    pub(super) facts: Facts,
}

/// What helps to find rows again. Of a query nothing is known.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Facts {
    /// Whether rows have places that can be read by range.
    pub(super) has_places: bool,
    /// About how many rows are in a block; 0 if nobody knows.
    pub(super) rows_per_block: f64,
    /// Columns by which rows are found without reading the whole table.
    pub(super) indexed: Vec<String>,
    /// Columns of which each value is in one row at most.
    pub(super) unique: Vec<String>,
}

/// The columns of a query or table: number, name, type as declared, and type; domains are then
/// followed to the types below them.
fn columns_statement(listed: &str) -> String {
    format!(
        "WITH RECURSIVE listed(number, name, declared, type) AS ({listed} \
         UNION ALL SELECT number, name, declared, typbasetype \
         FROM listed JOIN pg_type ON pg_type.oid = listed.type WHERE typtype = 'd') \
         SELECT name, declared, format_type(pg_type.oid, -1) AS base, \
         CASE WHEN typtype = 'e' THEN 'enum' WHEN typname = 'citext' \
         OR typnamespace = 'pg_catalog'::regnamespace THEN typname::text ELSE '' END AS kind \
         FROM listed JOIN pg_type ON pg_type.oid = listed.type WHERE typtype <> 'd' \
         ORDER BY number"
    )
}

const COLUMNS_OF_TABLE: &str = "SELECT attnum::bigint, attname::text, \
     format_type(atttypid, atttypmod), atttypid FROM pg_attribute \
     WHERE attrelid = $1::bigint::oid AND attnum > 0 AND NOT attisdropped";

const TABLE: &str = "SELECT pg_class.oid::bigint AS oid, relkind::text AS kind, \
     relkind IN ('r', 'm') AND NOT relhassubclass AND amname IS NOT DISTINCT FROM 'heap' \
     AS has_places, CASE WHEN relpages > 0 AND reltuples > 0 \
     THEN reltuples::float8 / relpages ELSE 0 END AS rows_per_block FROM pg_class LEFT JOIN pg_am ON pg_am.oid = relam \
     WHERE pg_class.oid = to_regclass($1)";

const INDEXED: &str = "SELECT attname::text AS name, \
     indisunique AND indnkeyatts = 1 AS is_unique FROM pg_index \
     JOIN pg_attribute ON attrelid = indrelid AND attnum = indkey[0] \
     WHERE indrelid = $1::bigint::oid AND indisvalid AND indpred IS NULL";

const CAN_LOCK: &str = "SELECT relkind IN ('r', 'p', 'v') \
     AND has_table_privilege(oid, 'SELECT') AS can_lock \
     FROM pg_class WHERE oid = to_regclass($1)";

/// Looks a table up.
pub(super) fn table(
    session: &mut Session,
    name: &Identifier,
    missing: impl FnOnce() -> Failure,
) -> anyhow::Result<Table> {
    let quoted = name.to_string();
    let mut found = None;
    let may_have_places = session.server_version() >= RANGES_OF_PLACES;
    session.query_text(TABLE.to_owned(), &[Value::from(&quoted)], &mut |row| {
        let kind: String = row.get("kind")?;
        let facts = Facts {
            has_places: may_have_places && row.get("has_places")?,
            rows_per_block: row.get("rows_per_block")?,
            ..Facts::default()
        };
        found = Some((row.get("oid")?, kind, facts));
        Ok(())
    })?;
    let (oid, kind, mut facts): (i64, String, Facts) = found.ok_or_else(missing)?;
    if !["r", "p", "v", "m", "f"].contains(&kind.as_str()) {
        return Err(Failure::config(format!("{quoted} is not a table or view")).into());
    }
    session.query_text(INDEXED.to_owned(), &[Value::from(oid)], &mut |row| {
        let name: String = row.get("name")?;
        if row.get("is_unique")? {
            facts.unique.push(name.clone());
        }
        facts.indexed.push(name);
        Ok(())
    })?;
    Ok(Table { oid, facts })
}

/// Whether what is read can be locked: not so materialized views, foreign tables, and tables of
/// which some columns only may be read.
pub(super) fn can_lock(session: &mut Session, name: &Identifier) -> anyhow::Result<bool> {
    let quoted = name.to_string();
    let mut can_lock = false;
    session.query_text(CAN_LOCK.to_owned(), &[Value::from(&quoted)], &mut |row| {
        can_lock = row.get("can_lock")?;
        Ok(())
    })?;
    Ok(can_lock)
}

/// The columns of a table.
pub(super) fn columns_of_table(
    session: &mut Session,
    table: &Table,
) -> anyhow::Result<Vec<SourceColumn>> {
    columns(session, COLUMNS_OF_TABLE, &[Value::from(table.oid)])
}

/// The columns of a query, of which `from` makes a table. It is planned but not run.
pub(super) fn columns_of_query(
    session: &mut Session,
    from: &str,
) -> anyhow::Result<Vec<SourceColumn>> {
    // One row of nulls, whatever the query gives.
    let row = format!(
        "(SELECT 1) AS lamplighter_one \
         LEFT JOIN (SELECT * FROM {from} LIMIT 0) AS lamplighter_source ON true"
    );
    let mut names: Vec<String> = Vec::new();
    let statement = format!(
        "SELECT name FROM (SELECT row_to_json(lamplighter_row) AS json FROM \
         (SELECT lamplighter_source.* FROM {row}) AS lamplighter_row) AS described, \
         json_object_keys(json) WITH ORDINALITY AS keys(name, number) ORDER BY number"
    );
    session.query_text(statement, &[], &mut |row| {
        names.push(row.get("name")?);
        Ok(())
    })?;
    for (index, name) in names.iter().enumerate() {
        if names[..index].contains(name) {
            return Err(Failure::config(format!("two columns are named `{name}`"))
                .hint("give each column a name of its own, with `AS`")
                .into());
        }
    }
    let types = names.iter().map(|name| {
        let name = Identifier::column(name)?;
        Ok(format!("pg_typeof(lamplighter_source.{name})::oid"))
    });
    let types = types.collect::<Result<Vec<_>, Failure>>()?.join(", ");
    let listed = format!(
        "SELECT number, name, format_type(type, NULL), type \
         FROM (SELECT ARRAY[{types}]::oid[] AS types FROM {row}) AS described, \
         unnest(types, $1::text[]) WITH ORDINALITY AS listed(type, name, number)"
    );
    let names = array_literal(names.iter().map(String::as_str));
    columns(session, &listed, &[Value::from(&names)])
}

fn columns(
    session: &mut Session,
    listed: &str,
    values: &[Value<'_>],
) -> anyhow::Result<Vec<SourceColumn>> {
    let mut columns = Vec::new();
    session.query_text(columns_statement(listed), values, &mut |row: &Row| {
        let kind: String = row.get("kind")?;
        columns.push(SourceColumn {
            name: row.get("name")?,
            declared: row.get("declared")?,
            stored: Stored::of(&kind),
            base: row.get("base")?,
        });
        Ok(())
    })?;
    Ok(columns)
}
