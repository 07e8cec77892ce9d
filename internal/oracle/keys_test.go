package oracle

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"

	"midflight/internal/testmysql"
)

// keyed is a table whose key has the given columns, "name TYPE" each, and two
// others.
func keyed(name string, newKey func(n int64, r *rand.Rand) []string, columns ...string) func(testmysql.Flavor) table {
	return func(testmysql.Flavor) table {
		t := table{name: name, rows: 1200, newKey: newKey, options: "DEFAULT CHARSET=utf8mb4"}
		for _, c := range columns {
			name, definition, _ := strings.Cut(c, " ")
			t.key = append(t.key, name)
			t.columns = append(t.columns, column{name, definition + " NOT NULL", nil})
		}
		t.columns = append(t.columns, column{"v", "INT NULL", integers("-2147483648", "2147483647")}, column{"t", "VARCHAR(30) NULL", utf8})
		t.keys = "PRIMARY KEY (" + strings.Join(t.key, ", ") + ")"
		return t
	}
}

func ordered(key string, of func(testmysql.Flavor) table) func(testmysql.Flavor) table {
	return func(f testmysql.Flavor) table {
		t := of(f)
		t.keys = "PRIMARY KEY (" + key + ")"
		return t
	}
}

// spelled: upper and lower case are one in the key.
func spelled(of func(testmysql.Flavor) table) func(testmysql.Flavor) table {
	return func(f testmysql.Flavor) table {
		t := of(f)
		t.variant = func(key []string, r *rand.Rand) []string {
			change := []func(string) string{strings.ToUpper, strings.ToLower}[r.IntN(2)]
			return append([]string{change(key[0])}, key[1:]...)
		}
		return t
	}
}

func one(format func(n int64, r *rand.Rand) string) func(int64, *rand.Rand) []string {
	return func(n int64, r *rand.Rand) []string { return []string{format(n, r)} }
}

func exactFloat(f float64) string { return strconv.FormatFloat(f, 'e', -1, 64) }

// The many types of keys.
var (
	byFloat  = keyed("by_float", one(func(n int64, r *rand.Rand) string { return exactFloat(float64(float32(float64(n-600) / 10))) }), "k FLOAT")
	byDouble = keyed("by_double", one(func(n int64, r *rand.Rand) string {
		if n == 600 {
			return "-0e0"
		}
		return exactFloat(float64(n-600) / 10 * []float64{1, 1e-300, -1e300}[n%3])
	}), "k DOUBLE")
	byMoment = keyed("by_moment", func(n int64, r *rand.Rand) []string {
		if n == 7 {
			return []string{"0", "1"}
		}
		return []string{fmt.Sprintf("FROM_UNIXTIME(%d.%03d)", 1_500_000_000+n*7919%40_000_000, n%1000), fmt.Sprint(n % 3)}
	}, "k TIMESTAMP(3)", "n TINYINT")
	byState = keyed("by_state", func(n int64, r *rand.Rand) []string {
		return []string{[]string{"'z'", "'a'", "''", "'日'", "'3'"}[n%5], fmt.Sprint(n * 7919 % 1000003)}
	}, "k ENUM('z','a','','日','3')", "n INT")
	stateSecond = keyed("state_second", func(n int64, r *rand.Rand) []string {
		return []string{fmt.Sprint(n * 7919 % 1000003 / 4), []string{"'z'", "'a'", "'m'"}[n%3], fmt.Sprint(n)}
	}, "i INT", "k ENUM('z','a','m')", "n INT")
	byFlags = keyed("by_flags", func(n int64, r *rand.Rand) []string {
		return []string{[]string{"''", "'z'", "'z,a'", "'z,a,m'", "'m'"}[n%5], fmt.Sprint(n * 7919 % 1000003)}
	}, "k SET('z','a','m')", "n INT")
	byDecimal = keyed("by_decimal", one(func(n int64, r *rand.Rand) string {
		return fmt.Sprintf("%d2345678901234567890123456789.%030d", n-600, n*7919)
	}), "k DECIMAL(65,30)")
	byBits  = keyed("by_bits", one(func(n int64, r *rand.Rand) string { return fmt.Sprint(uint64(n) * 0x9E3779B97F4A7C15) }), "k BIT(64)")
	byBytes = keyed("by_bytes", one(func(n int64, r *rand.Rand) string {
		tails := []string{"'0xab'", `x'27225C'`, "x'00'", "x'0A0D1A'", "'-#-'", "''", "' '"}
		return fmt.Sprintf("CONCAT(x'%04X', %s)", n*7919%65536, tails[n%int64(len(tails))])
	}), "k VARBINARY(40)")
	byGaps = keyed("by_gaps", one(func(n int64, r *rand.Rand) string {
		return fmt.Sprint([]int64{-n, n * 1e11, math.MaxInt64 - n, math.MinInt64 + n}[n%4])
	}), "k BIGINT")
	// Quotes are right before and after it becomes a text.
	byNumber = keyed("by_number", one(func(n int64, r *rand.Rand) string {
		return fmt.Sprintf("'%d'", []int64{-n, n * 1e11, math.MaxInt64 - n, math.MinInt64 + n}[n%4])
	}), "k BIGINT")
	byHours = keyed("by_hours", one(func(n int64, r *rand.Rand) string {
		return fmt.Sprintf("'%s%02d:%02d:%02d.%06d'", []string{"", "-"}[n%2], n*7919%838, n%60, n%60, n%1000000)
	}), "k TIME(6)")
	mixed = ordered("a, b DESC", keyed("mixed", func(n int64, r *rand.Rand) []string {
		return []string{fmt.Sprint(n % 7), fmt.Sprint(n * 7919 % 1000003)}
	}, "a INT", "b INT"))
	downwards   = ordered("k DESC", keyed("downwards", sequence, "k INT AUTO_INCREMENT"))
	lettersDown = ordered("k DESC, n", keyed("letters_down", func(n int64, r *rand.Rand) []string {
		return []string{[]string{"'z'", "'B'", "'a'", "'ä'"}[n%4], fmt.Sprint(n * 7919 % 1000003)}
	}, "k VARCHAR(20)", "n INT"))
	beginnings = ordered("k(10)", keyed("beginnings", one(func(n int64, r *rand.Rand) string {
		return fmt.Sprintf("'%c%08d-%s'", "aBc"[n%3], n*7919%1e8, strings.Repeat("xY", int(n%20)))
	}), "k VARCHAR(60)"))
	latinWords = spelled(keyed("latin_words", one(func(n int64, r *rand.Rand) string {
		return fmt.Sprintf("'%s-%07dx%s'", []string{"ä", "Z", "ß", "a", "_", "Ö b"}[n%6], n*7919%1e7, []string{"", " ", "É"}[n%3])
	}), "k VARCHAR(30) CHARACTER SET latin1"))
	gbkWords = spelled(keyed("gbk_words", func(n int64, r *rand.Rand) []string {
		return []string{fmt.Sprintf("CONCAT(_gbk x'%s', _gbk 'k%d')", []string{"8A5C", "C4E3", ""}[n%3], n*7919%1e7), fmt.Sprint(n % 3)}
	}, "k VARCHAR(30) CHARACTER SET gbk", "n INT"))
	codes = keyed("codes", one(func(n int64, r *rand.Rand) string { return fmt.Sprintf("'%c%07d'", "aBc"[n%3], n*7919%1e7) }), "k CHAR(12) CHARACTER SET latin1 COLLATE latin1_bin")
	// zero is a key of 0 in a column that numbers rows.
	byZero = keyed("by_zero", one(func(n int64, r *rand.Rand) string { return fmt.Sprint(n - 1) }), "k INT AUTO_INCREMENT")
)
