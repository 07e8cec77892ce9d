// Package parser tells what a statement is, and takes an ALTER TABLE apart.
//
// It reads tokens, not a grammar, and that is a decision:
//
//   - The server is the judge of syntax; the proxy asks it (COM_STMT_PREPARE).
//     A second grammar could only be wrong in other places: every parser
//     library lags behind MySQL and refuses much of MariaDB, and a statement
//     that a library refuses would lose its online path.
//   - The text is kept byte for byte. Only the table name is replaced, and
//     ALGORITHM and LOCK, at the lexer's positions. A statement restored from a
//     syntax tree loses comments, character set introducers and whatever the
//     tree has no field for.
//
// So the reader is strict where a mistake would hurt (strings, comments,
// version comments, names: the lexer follows the servers' sql_lex.cc) and
// lenient elsewhere: a clause it doesn't know is an Action of Kind Unknown,
// never an error. The TiDB parser is used by the tests only, as an oracle.
//
// Nothing here does I/O or keeps state.
package parser
