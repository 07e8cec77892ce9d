package ghost

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"midflight/ghost/plan"
	"midflight/mysqld"
)

// histogramsAsData: ANALYZE TABLE … UPDATE HISTOGRAM … USING DATA, MySQL 8.0.31.
const histogramsAsData = 80031

// keepHistograms gives the shadow the histograms that the original's columns have.
// They belong to a table, and RENAME takes them along with the old one. Replicas
// get them too. A column that is converted has none afterwards: a new one must be
// asked for.
func (s *syncer) keepHistograms(ctx context.Context) error {
	if s.Flavor.MariaDB {
		return s.keepColumnStatistics(ctx)
	}
	if s.Flavor.Version < histogramsAsData {
		return nil
	}
	rows, err := s.DB.QueryContext(ctx, "SELECT /* midflight */ column_name, CAST(histogram AS CHAR) FROM information_schema.column_statistics WHERE schema_name = ? AND table_name = ?",
		s.original.Name.Schema, s.original.Name.Table)
	if err != nil {
		return fmt.Errorf("read the histograms: %w", err)
	}
	defer rows.Close()
	var statements []string
	for rows.Next() {
		var column, histogram string
		if err := rows.Scan(&column, &histogram); err != nil {
			return fmt.Errorf("read the histograms: %w", err)
		}
		for _, m := range s.plan.Columns {
			if m.Literal == plan.FromColumn && !m.Converted && strings.EqualFold(m.From.Name, column) {
				statements = append(statements, fmt.Sprintf("ANALYZE /* midflight m%d */ TABLE %s UPDATE HISTOGRAM ON %s USING DATA %s",
					s.status.ID, s.shadow.Quoted(), mysqld.QuoteName(m.To.Name), mysqld.QuoteString(histogram)))
			}
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read the histograms: %w", err)
	}
	for _, q := range statements {
		if _, err := s.DB.ExecContext(ctx, q); err != nil {
			return fmt.Errorf("keep a histogram: %w", err)
		}
	}
	return nil
}

// keepColumnStatistics does the same on MariaDB, where ANALYZE TABLE … PERSISTENT
// leaves them in tables that RENAME keeps in step. (INSERT … SELECT is refused
// there: 1428.)
func (s *syncer) keepColumnStatistics(ctx context.Context) error {
	original, shadow := s.original.Name, s.shadow
	rows, err := s.DB.QueryContext(ctx, "SELECT /* midflight */ column_name, min_value, max_value, nulls_ratio, avg_length, avg_frequency, hist_size, hist_type, histogram FROM mysql.column_stats WHERE db_name = ? AND table_name = ?",
		original.Schema, original.Table)
	if err != nil {
		return fmt.Errorf("read the statistics of columns: %w", err)
	}
	defer rows.Close()
	var kept [][]any
	for rows.Next() {
		var column string
		values := make([]sql.NullString, 8)
		into := []any{&column}
		for i := range values {
			into = append(into, &values[i])
		}
		if err := rows.Scan(into...); err != nil {
			return fmt.Errorf("read the statistics of columns: %w", err)
		}
		for _, m := range s.plan.Columns {
			if m.Literal == plan.FromColumn && !m.Converted && strings.EqualFold(m.From.Name, column) {
				args := []any{shadow.Schema, shadow.Table, m.To.Name}
				for _, v := range values {
					args = append(args, v)
				}
				kept = append(kept, args)
			}
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read the statistics of columns: %w", err)
	}
	for _, args := range kept {
		_, err := s.DB.ExecContext(ctx, `REPLACE /* midflight */ INTO mysql.column_stats (db_name, table_name, column_name, min_value, max_value, nulls_ratio, avg_length, avg_frequency, hist_size, hist_type, histogram)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, args...)
		if err != nil {
			return fmt.Errorf("keep the statistics of a column: %w", err)
		}
	}
	var cardinality sql.NullInt64
	err = s.DB.QueryRowContext(ctx, "SELECT /* midflight */ cardinality FROM mysql.table_stats WHERE db_name = ? AND table_name = ?", original.Schema, original.Table).Scan(&cardinality)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err == nil {
		_, err = s.DB.ExecContext(ctx, "REPLACE /* midflight */ INTO mysql.table_stats (db_name, table_name, cardinality) VALUES (?, ?, ?)", shadow.Schema, shadow.Table, cardinality)
	}
	return wrap(err, "keep the statistics of the table")
}
