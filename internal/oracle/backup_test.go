package oracle

import (
	"context"
	"testing"
	"time"

	"midflight/internal/testmysql"
	"midflight/schema"
)

// TestBackupLock: a backup that lets no definition change holds a swap up, and
// nobody else meanwhile.
func TestBackupLock(t *testing.T) {
	eachSite(t, func(t *testing.T, s *site) {
		lock, unlock := "LOCK INSTANCE FOR BACKUP", "UNLOCK INSTANCE"
		if s.flavor == testmysql.MariaDB {
			lock, unlock = "BACKUP STAGE START", "BACKUP STAGE END"
		}
		for _, tb := range []table{watched(s.flavor), guarded(s.flavor)} {
			n := schema.Name{Schema: s.server.NewDatabase(t), Table: tb.name}
			session(t, s.server.Addr, n.Schema, append([]string{tb.create()}, tb.extras...)...)
			user := s.session(t, n.Schema, "SET @midflight_strategy = 'copy', @midflight_cutover = 'manual', @midflight_async = 1", "ALTER TABLE "+tb.name+" ADD COLUMN x INT")
			awaitPhase(t, s.root, n.Schema, "ready")
			backup := session(t, s.server.Addr, "", lock)
			if s.flavor == testmysql.MariaDB {
				mustExec(t, backup, "BACKUP STAGE FLUSH")
				mustExec(t, backup, "BACKUP STAGE BLOCK_DDL")
			}
			mustExec(t, user, "CALL midflight.cutover((SELECT MAX(id) FROM midflight.migrations))")
			around := session(t, s.server.Addr, n.Schema)
			for end := time.Now().Add(6 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
				began := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				if _, err := around.ExecContext(ctx, "UPDATE "+tb.name+" SET id = id LIMIT 1"); err != nil {
					t.Error(err)
				}
				cancel()
				if took := time.Since(began); took > time.Second {
					t.Errorf("%s: an UPDATE took %s", tb.name, took)
				}
			}
			mustExec(t, backup, unlock)
			awaitPhase(t, s.root, n.Schema, "completed")
		}
	})
}
