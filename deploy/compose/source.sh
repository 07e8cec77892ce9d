# Sourced by the image's entrypoint when the data folder is new (it is not executable, so it
# has the entrypoint's functions). The accounts are replicated.
sed "s/change me/$(cat /run/secrets/midflight_password)/" /grants-mysql.sql | docker_process_sql --database=mysql
docker_process_sql --database=mysql <<-END
	CREATE USER replication IDENTIFIED BY '$(cat /run/secrets/replication_password)' REQUIRE SSL;
	GRANT REPLICATION SLAVE ON *.* TO replication;
END
