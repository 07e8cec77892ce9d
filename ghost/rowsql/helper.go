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
	names := make([]string, len(t.Key.Shadow))
	for i, c := range t.Key.Shadow {
		names[i] = mysqld.QuoteName(c.Name)
		if i < len(t.Key.Prefix) && t.Key.Prefix[i] > 0 {
			names[i] += fmt.Sprintf("(%d)", t.Key.Prefix[i])
		}
	}
	return []string{t.alterShadow(fmt.Sprintf("ADD INDEX %s (%s), ALGORITHM=INPLACE", mysqld.QuoteName(plan.HelperIndex), strings.Join(names, ", ")))}
}

// DropHelper: see AddHelper.
func (t Tables) DropHelper() []string {
	if !t.Key.Helper {
		return nil
	}
	return []string{t.alterShadow(fmt.Sprintf("DROP INDEX %s, ALGORITHM=INPLACE", mysqld.QuoteName(plan.HelperIndex)))}
}

func (t Tables) alterShadow(change string) string {
	return fmt.Sprintf("ALTER TABLE /* midflight m%d */ %s %s", t.ID, t.Shadow.Quoted(), change)
}
