package wire

// Caps are the capability flags of the handshake.
type Caps uint32

const (
	ClientMySQL            Caps = 1 << 0 // CLIENT_LONG_PASSWORD; clear in a MariaDB greeting that carries ExtCaps
	ClientConnectWithDB    Caps = 1 << 3
	ClientCompress         Caps = 1 << 5
	ClientLocalFiles       Caps = 1 << 7
	ClientProtocol41       Caps = 1 << 9
	ClientSSL              Caps = 1 << 11
	ClientTransactions     Caps = 1 << 13
	ClientSecureConnection Caps = 1 << 15
	ClientMultiStatements  Caps = 1 << 16
	ClientMultiResults     Caps = 1 << 17
	ClientPSMultiResults   Caps = 1 << 18
	ClientPluginAuth       Caps = 1 << 19
	ClientConnectAttrs     Caps = 1 << 20
	ClientPluginAuthLenenc Caps = 1 << 21
	ClientSessionTrack     Caps = 1 << 23
	ClientDeprecateEOF     Caps = 1 << 24
	ClientOptionalMetadata Caps = 1 << 25
	ClientZstd             Caps = 1 << 26
	ClientQueryAttributes  Caps = 1 << 27
	ClientMultiFactor      Caps = 1 << 28
)

// Compression are the flags by which ends agree on it: Agreed.
const Compression = ClientCompress | ClientZstd

// ExtCaps are MariaDB's own capability flags.
type ExtCaps uint32

const (
	ExtProgress         ExtCaps = 1 << 0
	ExtBulkOperations   ExtCaps = 1 << 2
	ExtExtendedMetadata ExtCaps = 1 << 3
	ExtCacheMetadata    ExtCaps = 1 << 4
	ExtBulkUnitResults  ExtCaps = 1 << 5
)

// Status are the server's status flags, in every OK and EOF packet.
type Status uint16

const (
	StatusInTrans         Status = 0x0001
	StatusAutocommit      Status = 0x0002
	StatusMoreResults     Status = 0x0008
	StatusCursorExists    Status = 0x0040
	StatusLastRowSent     Status = 0x0080
	StatusNoBackslash     Status = 0x0200
	StatusInTransReadonly Status = 0x2000
	StatusSessionChanged  Status = 0x4000
	StatusANSIQuotes      Status = 0x8000 // MariaDB
)

// Lasting are the flags that describe the session and not the last statement.
const Lasting = StatusInTrans | StatusAutocommit | StatusNoBackslash | StatusInTransReadonly | StatusANSIQuotes

// The commands, by their first byte.
const (
	ComSleep           = 0x00
	ComQuit            = 0x01
	ComInitDB          = 0x02
	ComQuery           = 0x03
	ComFieldList       = 0x04
	ComStatistics      = 0x09
	ComProcessInfo     = 0x0a
	ComProcessKill     = 0x0c
	ComPing            = 0x0e
	ComChangeUser      = 0x11
	ComBinlogDump      = 0x12
	ComTableDump       = 0x13
	ComStmtPrepare     = 0x16
	ComStmtExecute     = 0x17
	ComStmtSendLong    = 0x18
	ComStmtClose       = 0x19
	ComStmtReset       = 0x1a
	ComSetOption       = 0x1b
	ComStmtFetch       = 0x1c
	ComBinlogDumpGTID  = 0x1e
	ComResetConnection = 0x1f
	ComClone           = 0x20
	ComStmtBulkExecute = 0xfa // MariaDB
)

// Session is what both ends of a connection agreed on.
type Session struct {
	Caps Caps
	Ext  ExtCaps
}

func (s Session) has(c Caps) bool { return s.Caps&c == c }
