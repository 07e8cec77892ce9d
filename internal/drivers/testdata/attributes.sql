QUERY_ATTRIBUTES n1 v1 n2 'and two';
SELECT mysql_query_attribute_string('n1'), mysql_query_attribute_string('n2'), mysql_query_attribute_string('n3');
SELECT mysql_query_attribute_string('n1');
QUERY_ATTRIBUTES n1 altered;
ALTER TABLE types MODIFY ti BIGINT;
QUERY_ATTRIBUTES n1 altered;
ALTER TABLE types MODIFY ti INT, ADD COLUMN again VARCHAR(10) DEFAULT 'x';
