package rowsql

import (
	"fmt"
	"strings"

	"midflight/ghost/plan"
	"midflight/mysqld"
)

// AddHelper gives the shadow what it lacks to find its rows by the chunk key,
// and DropHelper takes it away again. Each statement changes the definition and
// builds or drops an index: no row is copied for any of them.
func (t Tables) AddHelper() []string {
	if !t.Key.Helper {
		return nil
	}
	var columns []string
	for i, own := range t.Key.Computed {
		if own.Name == "" {
			continue
		}
		c := t.Key.Shadow[i]
		definition := c.FullType
		if c.Charset != "" && c.Charset != "binary" {
			definition += " CHARACTER SET " + c.Charset + " COLLATE " + c.Collation
		}
		columns = append(columns, fmt.Sprintf("ADD COLUMN %s %s GENERATED ALWAYS AS (%s) VIRTUAL", mysqld.QuoteName(c.Name), definition, mysqld.QuoteName(own.Name)))
	}
	names := make([]string, len(t.Key.Shadow))
	for i, c := range t.Key.Shadow {
		names[i] = mysqld.QuoteName(c.Name)
		if i < len(t.Key.Prefix) && t.Key.Prefix[i] > 0 {
			names[i] += fmt.Sprintf("(%d)", t.Key.Prefix[i])
		}
	}
	index := t.alterShadow(fmt.Sprintf("ADD INDEX %s (%s), ALGORITHM=INPLACE", mysqld.QuoteName(plan.HelperIndex), strings.Join(names, ", ")))
	if len(columns) == 0 {
		return []string{index}
	}
	// Virtual columns and indexes can't be changed in place by one statement.
	return []string{t.alterShadow(strings.Join(columns, ", ") + ", ALGORITHM=INSTANT"), index}
}

// DropHelper: see AddHelper.
func (t Tables) DropHelper() []string {
	if !t.Key.Helper {
		return nil
	}
	var columns []string
	for i, own := range t.Key.Computed {
		if own.Name != "" {
			columns = append(columns, "DROP COLUMN "+mysqld.QuoteName(t.Key.Shadow[i].Name))
		}
	}
	index := t.alterShadow(fmt.Sprintf("DROP INDEX %s, ALGORITHM=INPLACE", mysqld.QuoteName(plan.HelperIndex)))
	if len(columns) == 0 {
		return []string{index}
	}
	return []string{index, t.alterShadow(strings.Join(columns, ", ") + ", ALGORITHM=INSTANT")}
}

func (t Tables) alterShadow(change string) string {
	return fmt.Sprintf("ALTER TABLE /* midflight m%d */ %s %s", t.ID, t.Shadow.Quoted(), change)
}
