//! Counts: totals by columns, overdue work, the national summary.

use jiff::civil::Date;
use sqlx::{QueryBuilder, Row, SqliteConnection, sqlite::SqliteRow};

use super::{Views, list::offices, positions};
use crate::{
    error::Error,
    query::{Column, Filter, Table, Totals},
    rows::{OverdueRow, Summary, WorkRow},
};

/// The tables that the national summary counts, in its order.
const WORK: [Table; 6] = [
    Table::Contacts,
    Table::Appeals,
    Table::Receptions,
    Table::Measures,
    Table::Activities,
    Table::Directives,
];

impl Views {
    /// Counts the rows of `table` that `filter` means, by the values of `group_by`; none: one row
    /// with the whole count.
    ///
    /// # Errors
    /// [`Error::Filter`], [`Error::Grouping`], [`Error::Database`], [`Error::Damaged`].
    pub async fn totals(
        &self,
        table: Table,
        group_by: &[Column],
        filter: &Filter,
    ) -> Result<Totals, Error> {
        let spec = table.spec();
        let columns: Vec<&str> =
            group_by.iter().map(|column| spec.grouping(*column)).collect::<Result<_, _>>()?;
        let columns = columns.join(", ");
        let mut sql = QueryBuilder::new("SELECT COUNT(*)");
        if !columns.is_empty() {
            sql.push(", ").push(&columns);
        }
        sql.push(" FROM ").push(spec.name).push(" WHERE TRUE");
        spec.restrict(&mut sql, filter)?;
        if !columns.is_empty() {
            sql.push(" GROUP BY ").push(&columns).push(" ORDER BY ").push(&columns);
        }
        let mut tx = self.readers.begin().await?;
        let found = sql.build().fetch_all(&mut *tx).await?;
        let freshness = positions(&mut tx).await?;
        let group = |row: &SqliteRow| -> Result<(Vec<String>, u64), sqlx::Error> {
            let keys = (1..=group_by.len()).map(|index| row.try_get(index));
            Ok((keys.collect::<Result<_, _>>()?, row.try_get(0)?))
        };
        let rows: Vec<_> = found.iter().map(group).collect::<Result<_, _>>()?;
        let total = rows.iter().map(|(_, count)| count).sum();
        Ok(Totals { rows, total, freshness })
    }

    /// Work whose term passed unfinished before `today`, by kind and office.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Damaged`].
    pub async fn overdue(&self, today: Date) -> Result<Vec<OverdueRow>, Error> {
        let mut tx = self.readers.begin().await?;
        overdue(&mut tx, today).await
    }

    /// What the national page shows as of the day `today`.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Damaged`].
    pub async fn summary(&self, today: Date) -> Result<Summary, Error> {
        let mut tx = self.readers.begin().await?;
        let overdue = overdue(&mut tx, today).await?;
        let mut work = Vec::with_capacity(WORK.len());
        for table in WORK {
            let spec = table.spec();
            let mut sql = QueryBuilder::new("SELECT COUNT(*), COUNT(CASE WHEN ");
            sql.push(spec.open.unwrap_or("FALSE")).push(" THEN 1 END) FROM ").push(spec.name);
            let row = sql.build().fetch_one(&mut *tx).await?;
            let late = overdue.iter().filter(|row| row.table == table).map(|row| row.count).sum();
            work.push(WorkRow {
                table,
                total: row.try_get(0)?,
                open: row.try_get(1)?,
                overdue: spec.pending.map(|_| late),
            });
        }
        let offices = offices(&mut tx).await?;
        let freshness = positions(&mut tx).await?;
        Ok(Summary { offices, work, overdue, freshness })
    }

    /// How far each log is included in every answer now: the same as [`Views::positions`].
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Damaged`].
    pub async fn freshness(&self) -> Result<Vec<crate::LogPosition>, Error> {
        self.positions().await
    }
}

async fn overdue(reader: &mut SqliteConnection, today: Date) -> Result<Vec<OverdueRow>, Error> {
    let late = Filter { overdue: Some(today), ..Filter::default() };
    let mut rows = Vec::new();
    for table in WORK.into_iter().filter(|table| table.spec().pending.is_some()) {
        let spec = table.spec();
        let mut sql = QueryBuilder::new("SELECT office, COUNT(*), MIN(due_on) FROM ");
        sql.push(spec.name).push(" WHERE TRUE");
        spec.restrict(&mut sql, &late)?;
        sql.push(" GROUP BY office ORDER BY office");
        for row in sql.build().fetch_all(&mut *reader).await? {
            rows.push(OverdueRow {
                table,
                office: row.try_get(0)?,
                count: row.try_get(1)?,
                oldest: row.try_get(2)?,
            });
        }
    }
    Ok(rows)
}
