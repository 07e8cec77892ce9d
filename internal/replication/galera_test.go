package replication

import (
	"testing"
	"time"

	"midflight/internal/testmysql"
)

func TestGalera(t *testing.T) {
	began := time.Now()
	nodes := testmysql.StartCluster(t, 2)
	t.Logf("started in %s", time.Since(began))
	nodes[0].Exec(t, "CREATE DATABASE shop", "CREATE TABLE shop.t (id INT PRIMARY KEY)", "INSERT INTO shop.t VALUES (1)")
	db := nodes[1].DB(t)
	await(t, "x", func() bool {
		var n int
		return db.QueryRow("SELECT id FROM shop.t").Scan(&n) == nil
	})
}
