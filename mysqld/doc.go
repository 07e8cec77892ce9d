// Package mysqld says what is true of a MySQL or MariaDB server whoever asks:
// its flavor, how identifiers and literals are quoted, its error numbers, and
// how we connect to it.
package mysqld
