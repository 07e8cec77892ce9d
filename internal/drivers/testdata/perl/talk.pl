# Talks with a server through DBD::MariaDB and prints all that it hears.
use strict;
use warnings;
use DBI;

$| = 1;
my %e = %ENV;
my $dsn = "dbi:MariaDB:host=$e{DB_HOST};port=$e{DB_PORT};mariadb_multi_statements=1;mariadb_local_infile=1";
$dsn .= ";mariadb_ssl=1;mariadb_ssl_ca_file=$e{DB_CA};mariadb_ssl_verify_server_cert=1" if $e{DB_TLS};
$dsn .= ';mariadb_compression=1' if $e{DB_COMPRESS};

sub failure { my $h = shift; print '  error ', $h->err, ' ', $h->state, ' ', $h->errstr, "\n" }
sub show { my $v = shift; return 'NULL' unless defined $v; $v =~ s/([^ -~])/sprintf '\\x{%x}', ord $1/ge; length $v > 300 ? '[' . length($v) . ' ' . unpack('%32C*', $v) . ']' : "'$v'" }
sub dial { my ($user, $password, $db) = @_; DBI->connect("$dsn;database=$db", $user, $password, {RaiseError => 0, PrintError => 0, AutoCommit => 1}) or print "connect: $DBI::err $DBI::state $DBI::errstr\n" }

sub results {
	my $s = shift;
	do {
		if ($s->{NUM_OF_FIELDS}) {
			for my $a (qw(NAME TYPE PRECISION SCALE NULLABLE mariadb_table mariadb_type mariadb_type_name mariadb_length mariadb_max_length mariadb_is_key mariadb_is_pri_key mariadb_is_num mariadb_is_auto_increment)) {
				print "  $a ", join(' ', map { defined $_ ? $_ : '-' } @{$s->{$a}}), "\n";
			}
			my $n = 0;
			while (my @row = $s->fetchrow_array) { print '  row ', join(' | ', map { show($_) } @row), "\n" if ++$n <= 12 }
			failure($s) if $s->err;
			print "  $n rows\n";
		}
		print '  affected ', $s->rows, ' id ', $s->{mariadb_insertid} || 0, ' warnings ', $s->{mariadb_warning_count} || 0, "\n";
	} while ($s->more_results);
	failure($s) if $s->err;
}
sub query {
	my ($c, $q, $attributes, @values) = @_;
	print '> ', length $q > 200 ? length $q : $q, "\n";
	my $s = $c->prepare($q, $attributes || {}) or return failure($c);
	$s->execute(@values) ? results($s) : failure($s);
}

dial('nobody', 'x', $e{DB_NAME});
dial($e{DB_USER}, 'wrong', $e{DB_NAME});
dial($e{DB_USER}, $e{DB_PASSWORD}, 'nowhere');
my $c = dial($e{DB_USER}, $e{DB_PASSWORD}, $e{DB_NAME});
my $other = dial($e{DB_USER}, $e{DB_PASSWORD}, $e{DB_NAME});
print "$c->{mariadb_serverinfo} $c->{mariadb_protoinfo} ", $c->{mariadb_thread_id} == $c->selectrow_array('SELECT CONNECTION_ID()') ? 'own id' : 'wrong id', "\n";
query($c, "SHOW SESSION STATUS LIKE 'Ssl_version'");
query($c, "CREATE TABLE types (id INT PRIMARY KEY AUTO_INCREMENT, bi BIGINT UNSIGNED, d DOUBLE, de DECIMAL(30,10), dt DATETIME(6), vc VARCHAR(200) CHARACTER SET latin1, bl LONGBLOB, e ENUM('a','b'))");
query($c, "CREATE TABLE n (i INT PRIMARY KEY, v VARCHAR(100))");
query($c, "INSERT INTO n WITH RECURSIVE r AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM r WHERE i < 500) SELECT i, REPEAT('v', i MOD 100) FROM r");
query($c, "CREATE PROCEDURE several(IN a INT, OUT o INT) BEGIN SELECT a AS first, 'x'; SELECT i FROM n WHERE i <= a; SET o = a * 2; INSERT INTO n VALUES (1000 + a, NULL); SELECT 1/0; END");
my $k = 2;
for my $server (0, 1) {
	my $a = {mariadb_server_prepare => $server, mariadb_server_prepare_disable_fallback => 1};
	print "prepared by the server: $server\n";
	my @values = ('18446744073709551615', -1e300, '12345678901234567890.0123456789', '2026-12-31 23:59:59.123456', "\x{e4}", "0'\\", 'b');
	my $s = $c->prepare('INSERT INTO types (bi, d, de, dt, vc, bl, e) VALUES (?, ?, ?, ?, ?, ?, ?)', $a) or failure($c);
	$s->execute(@values) ? results($s) : failure($s);
	$s->execute(@values) ? results($s) : failure($s);
	$s->execute((undef) x 7) ? results($s) : failure($s);
	$s->execute(@values[0 .. 5], 'c') ? results($s) : failure($s);
	query($c, 'SELECT * FROM types WHERE id >= ? ORDER BY id', $a, 1);
	query($c, 'SELECT i, v FROM n WHERE i > ?', {%$a, mariadb_use_result => 1}, 480);
	query($c, 'SELECT i, CASE WHEN i < 400 THEN 1 ELSE (SELECT i FROM n) END FROM n WHERE i > 398', {%$a, mariadb_use_result => 1});
	query($c, 'CALL several(?, @o)', {mariadb_server_prepare => 0}, ++$k);
	query($c, 'SELECT nothing FROM n', $a);
	query($c, 'ALTER TABLE types ADD COLUMN later INT DEFAULT 9, MODIFY d DECIMAL(60,2)', $a);
	query($c, 'ALTER TABLE types DROP COLUMN later, MODIFY d DOUBLE', $a);
}
query($c, "SELECT 1 AS a; INSERT INTO n VALUES (2000, 'multi'); SELECT * FROM n WHERE i = 2000; DELETE FROM n WHERE i = 2000; DO 1");
query($c, 'SELECT 1; SELEKT 2; SELECT 3');
$c->{AutoCommit} = 0;
query($c, "INSERT INTO n VALUES (3000, 'a')");
query($other, 'SELECT COUNT(*) FROM n WHERE i = 3000');
$c->rollback;
$c->{AutoCommit} = 1;
open my $f, '>', 'rows' or die;
print $f "$_\trow $_ ", 'x' x ($_ % 150), "\n" for 0 .. 19999;
close $f;
query($c, 'CREATE TABLE loaded (i INT PRIMARY KEY, v VARCHAR(100))');
query($c, "LOAD DATA LOCAL INFILE 'rows' INTO TABLE loaded");
query($c, 'SELECT COUNT(*), SUM(CRC32(v)) FROM loaded');
query($c, "LOAD DATA LOCAL INFILE 'nothing' INTO TABLE loaded");
query($c, "SELECT 'after'");
if ($e{DB_BIG}) {
	query($c, 'CREATE TABLE big (id INT PRIMARY KEY AUTO_INCREMENT, v LONGBLOB)');
	my $v = join '', map { chr(97 + $_ % 26) x 1024 } 1 .. 17 * 1024;
	query($c, 'INSERT INTO big (v) VALUES (?)', {mariadb_server_prepare => $_}, $v) for 0, 1;
	query($c, 'SELECT v, MD5(v) FROM big', {mariadb_server_prepare => $_}) for 0, 1;
}
print "ping ", $c->ping, "\n";
my $s = $c->prepare("SELECT SLEEP(30), 'slept'", {mariadb_async => 1});
$s->execute;
1 until $other->selectrow_array("SELECT COUNT(*) FROM information_schema.processlist WHERE id = $c->{mariadb_thread_id} AND state = 'User sleep'");
$other->do("KILL QUERY $c->{mariadb_thread_id}");
defined $s->mariadb_async_result ? results($s) : failure($s);
query($c, "SELECT 'alive'");
$_->disconnect for $c, $other;
print "end\n";
