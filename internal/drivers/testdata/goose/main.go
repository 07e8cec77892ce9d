// Migrates with goose: up, down or status.
package main

import (
	"database/sql"
	"embed"
	"fmt"
	"log"
	"os"

	_ "github.com/go-sql-driver/mysql"
	"github.com/pressly/goose/v3"
)

//go:embed migrations
var migrations embed.FS

func main() {
	e := os.Getenv
	db, err := sql.Open("mysql", fmt.Sprintf("%s:%s@tcp(%s:%s)/%s?parseTime=true&multiStatements=true", e("DB_USER"), e("DB_PASSWORD"), e("DB_HOST"), e("DB_PORT"), e("DB_NAME")))
	if err != nil {
		log.Fatal(err)
	}
	goose.SetBaseFS(migrations)
	if err := goose.SetDialect("mysql"); err != nil {
		log.Fatal(err)
	}
	switch os.Args[1] {
	case "create":
		err = goose.UpTo(db, "migrations", 1)
	case "up":
		err = goose.Up(db, "migrations")
	case "down":
		err = goose.DownTo(db, "migrations", 1)
	}
	if err != nil {
		log.Fatal(err)
	}
}
