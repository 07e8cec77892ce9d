package schema_test

import (
	"fmt"
	"slices"
	"testing"

	"midflight/internal/testmysql"
	"midflight/mysqld"
	"midflight/schema"
)

// The foreign keys are those that the standard's own list has, whatever they are called.
func TestForeignKeys(t *testing.T) {
	testmysql.Each(t, func(t *testing.T, s *testmysql.Server) {
		db, odd, other := s.DB(t), s.NewDatabase(t)+" ä-b`.c", s.NewDatabase(t)
		t.Cleanup(func() { s.Exec(t, "SET foreign_key_checks = 0", "DROP DATABASE "+mysqld.QuoteName(odd)) })
		parent, child := schema.Name{Schema: odd, Table: "Par/e`nt #1@ Ω日"}, schema.Name{Schema: odd, Table: "#sql-child"}
		s.Exec(t, "CREATE DATABASE "+mysqld.QuoteName(odd),
			"CREATE TABLE "+parent.Quoted()+" (id INT PRIMARY KEY, p INT, CONSTRAINT own FOREIGN KEY (p) REFERENCES "+parent.Quoted()+" (id))",
			"CREATE TABLE "+child.Quoted()+" (id INT PRIMARY KEY, p INT, CONSTRAINT `fk/ü '1` FOREIGN KEY (p) REFERENCES "+parent.Quoted()+" (id))",
			"CREATE TABLE "+other+".t (id INT PRIMARY KEY, FOREIGN KEY (id) REFERENCES "+child.Quoted()+" (id))")
		rows, err := db.Query("SELECT constraint_name, constraint_schema, table_name, unique_constraint_schema, referenced_table_name FROM information_schema.referential_constraints ORDER BY constraint_schema, constraint_name")
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		var want []string
		for rows.Next() {
			var k schema.ForeignKey
			if err := rows.Scan(&k.Name, &k.Child.Schema, &k.Child.Table, &k.Parent.Schema, &k.Parent.Table); err != nil {
				t.Fatal(err)
			}
			want = append(want, fmt.Sprint(k))
		}
		if len(want) < 3 {
			t.Fatalf("the server has %q", want)
		}
		keys, err := schema.ForeignKeys(t.Context(), db, mysqld.Flavor{MariaDB: s.Flavor == testmysql.MariaDB})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, k := range keys {
			got = append(got, fmt.Sprint(k))
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("got\n%q, the server's\n%q", got, want)
		}
		read, err := schema.Read(t.Context(), db, parent)
		if err != nil {
			t.Fatal(err)
		}
		by := []string{odd + "." + child.Table + ".fk/ü '1", odd + "." + parent.Table + ".own"}
		slices.Sort(read.ReferencedBy)
		slices.Sort(by)
		if !slices.Equal(read.ReferencedBy, by) || !slices.Equal(read.ForeignKeys, []string{"own"}) {
			t.Errorf("referred to by %q, want %q; its own %q", read.ReferencedBy, by, read.ForeignKeys)
		}
	})
}

// To read one table opens no others: on a server with many that takes long, and theirs leave
// its cache.
func TestReadOpensNoOthers(t *testing.T) {
	testmysql.Each(t, func(t *testing.T, s *testmysql.Server) {
		name := schema.Name{Schema: s.NewDatabase(t), Table: "t0"}
		var make []string
		for i := range 100 {
			make = append(make, fmt.Sprintf("CREATE TABLE %s.t%d (id INT PRIMARY KEY)", name.Schema, i))
		}
		s.Exec(t, append(make, "FLUSH TABLES")...)
		db := s.DB(t)
		f := mysqld.Flavor{MariaDB: s.Flavor == testmysql.MariaDB}
		if _, err := schema.Read(t.Context(), db, name); err != nil {
			t.Fatal(err)
		}
		if _, err := schema.ForeignKeys(t.Context(), db, f); err != nil {
			t.Fatal(err)
		}
		rows, err := db.Query("SHOW OPEN TABLES FROM " + name.Schema)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		open := 0
		for rows.Next() {
			open++
		}
		if open > 1 {
			t.Errorf("%d tables are open", open)
		}
	})
}
