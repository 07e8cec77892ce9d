// Package plan decides whether and how a table can be migrated. It is pure:
// statement, definitions and the server's answers in, a plan or a refusal out.
package plan
