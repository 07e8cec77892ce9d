package schema_test

import (
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"testing"

	"midflight/internal/testmysql"
	"midflight/mysqld"
	"midflight/schema"
)

// The foreign keys are those that the standard's own list has, whatever they are called.
func TestForeignKeys(t *testing.T) {
	testmysql.Each(t, func(t *testing.T, s *testmysql.Server) {
		db, odd, other := s.DB(t), s.NewDatabase(t)+" ä-b`.c", s.NewDatabase(t)
		f := mysqld.Flavor{MariaDB: s.Flavor == testmysql.MariaDB}
		t.Cleanup(func() { s.Exec(t, "SET foreign_key_checks = 0", "DROP DATABASE "+mysqld.QuoteName(odd)) })
		parent, child := schema.Name{Schema: odd, Table: "Par/e`nt #1@ Ω日"}, schema.Name{Schema: odd, Table: "#sql-child"}
		s.Exec(t, "CREATE DATABASE "+mysqld.QuoteName(odd),
			"CREATE TABLE "+parent.Quoted()+" (id INT PRIMARY KEY, p INT, CONSTRAINT own FOREIGN KEY (p) REFERENCES "+parent.Quoted()+" (id))",
			"CREATE TABLE "+child.Quoted()+" (id INT PRIMARY KEY, p INT, CONSTRAINT `fk/ü '1` FOREIGN KEY (p) REFERENCES "+parent.Quoted()+" (id))",
			"CREATE TABLE "+other+".t (id INT PRIMARY KEY, FOREIGN KEY (id) REFERENCES "+child.Quoted()+" (id))")
		sameForeignKeys(t, db, f)
		referredTo(t, db, parent, "own", odd+"."+child.Table+".fk/ü '1", odd+"."+parent.Table+".own")
		if !f.MariaDB {
			return
		}
		// Names that are not encoded as usual, so that nothing in InnoDB's list tells them.
		old := schema.Name{Schema: other, Table: "#mysql50#pa-rent"}
		s.Exec(t, "CREATE TABLE "+old.Quoted()+" (id INT PRIMARY KEY)",
			"CREATE TABLE "+other+".con (id INT PRIMARY KEY, CONSTRAINT con FOREIGN KEY (id) REFERENCES "+old.Quoted()+" (id))")
		sameForeignKeys(t, db, f)
		referredTo(t, db, old, "", other+".con.con")
		s.Exec(t, "DROP TABLE "+other+".con, "+old.Quoted())

		// No right to see the list is an error, and not a list without any.
		s.Exec(t, "CREATE USER fewer_rights", "GRANT SELECT ON *.* TO fewer_rights")
		t.Cleanup(func() { s.Exec(t, "DROP USER fewer_rights") })
		fewer, err := sql.Open("mysql", "fewer_rights@tcp("+s.Addr+")/")
		if err != nil {
			t.Fatal(err)
		}
		defer fewer.Close()
		if keys, err := schema.ForeignKeys(t.Context(), fewer, f); err == nil {
			t.Errorf("without PROCESS: %v", keys)
		}
	})
}

// sameForeignKeys compares with the standard's list.
func sameForeignKeys(t *testing.T, db *sql.DB, f mysqld.Flavor) {
	t.Helper()
	rows, err := db.Query("SELECT constraint_name, constraint_schema, table_name, unique_constraint_schema, referenced_table_name FROM information_schema.referential_constraints")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var got, want []string
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
	keys, err := schema.ForeignKeys(t.Context(), db, f)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range keys {
		got = append(got, fmt.Sprint(k))
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got\n%q, the server's\n%q", got, want)
	}
}

// referredTo: a table's definition has a foreign key of its own, or none (""), and those that refer to it.
func referredTo(t *testing.T, db *sql.DB, name schema.Name, own string, by ...string) {
	t.Helper()
	read, err := schema.Read(t.Context(), db, name)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(read.ReferencedBy)
	slices.Sort(by)
	if !slices.Equal(read.ReferencedBy, by) || strings.Join(read.ForeignKeys, " ") != own {
		t.Errorf("referred to by %q, want %q; its own %q, want %q", read.ReferencedBy, by, read.ForeignKeys, own)
	}
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
